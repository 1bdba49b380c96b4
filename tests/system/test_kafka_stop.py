"""SIGTERM ends a process in time though no broker answers, and loses nothing acknowledged."""
import time

import pytest

from kafka_fleet import until
from programs import make_program, ok, send

IN_TIME_S = 12


@pytest.fixture
def served(cluster):
    """A process that has served a little."""
    process = cluster.process().start()
    make_program(process)
    for number in range(20):
        send(process.owner(), subject=f"News {number}")
    return process


def check_stops(process):
    began = time.monotonic()
    status = process.stop()
    took = time.monotonic() - began
    print(f"stopped after {took:.1f} s", flush=True)
    assert status == 0 and took < IN_TIME_S, process.log()[-3000:]


def test_without_a_broker(served, kafka):
    kafka.stop()
    try:
        until("it is not ready", lambda: served.ready()[0] == 503)
        check_stops(served)
    finally:
        kafka.start()
    served.start()
    assert ok(served.owner().get("/v1/programs/acme/summary")).json["messages"] >= 20


@pytest.mark.parametrize("kind", ["commits", "commands", "members"])
def test_while_a_topic_is_gone(served, cluster, kafka, kind):
    topic = cluster.topic_names[kind]
    kafka.delete(topic)
    until("the process has heard of it", lambda: topic in served.log())
    check_stops(served)
