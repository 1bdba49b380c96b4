"""The cluster goes away and comes back: said at once, healed without help, nothing lost."""
import contextlib
import time

import pytest

from kafka_fleet import until
from kafka_load import PatientLoad, SUMMARY, open_books, settled
from programs import ok
from tidings import StartFailed, at

QUICK_S = 1.0
STOP_S = 15  # the cluster is given 10 s to answer


@contextlib.contextmanager
def away(kafka):
    """Whatever happens within, the broker runs afterwards."""
    try:
        yield
    finally:
        kafka.start()


def test_no_broker_then_the_broker_again(cluster, kafka):
    process = cluster.process().start()
    books, callers = open_books(process)
    callers.reach(process.address)
    with PatientLoad(books, callers, 1) as load, away(kafka):
        load.wait(200)
        kafka.kill()
        gone = time.monotonic()
        noticed = until("every partition says so", lambda: not process.metrics().total(
            "tidings_partition_ready"), patience=15)
        status, said = process.ready()
        assert status == 503 and "broker" in said.lower(), said
        before = time.monotonic()
        answer = process.platform().put(at("programs", "acme"), {"name": "A", "plan": "partner"})
        quick = time.monotonic() - before
        assert (answer.status, answer.code) == (503, "overloaded") and quick < QUICK_S, answer
        assert int(answer.headers["Retry-After"]) >= 1
        assert ok(process.owner().get(SUMMARY)).json["messages"] >= len(books.sent) - 2
        assert process.client().get("/healthz").status == 200
        absent = time.monotonic() - gone
        kafka.restart()
        healed = until("ready again", lambda: process.ready()[0] == 200)
        load.wait(200)
    comparison = settled(books, callers, process)
    print(f"noticed after {noticed:.1f} s, refused within {quick * 1000:.0f} ms, away {absent:.1f} s, "
          f"healed {healed:.1f} s after the broker; {books.totals()}; {books.troubles()}; "
          f"{len(comparison.lost)} lost, {len(comparison.duplicated)} duplicated", flush=True)


def test_writes_under_way_when_the_broker_goes(cluster, kafka):
    """They wait no longer than http.outcome_timeout_ms, and happen when it is back, once."""
    process = cluster.process(**{"http.outcome_timeout_ms": 2_000}).start()
    open_books(process)
    answers = []

    def send():
        owner = process.owner()
        answers.append(owner.post(at("programs", "acme", "messages"),
                                  {"subject": "News", "body": "Hello."},
                                  headers={"Idempotency-Key": "once"}))
    with away(kafka):
        kafka.kill()
        began = time.monotonic()
        send()
        assert time.monotonic() - began < 5 and answers[0].status == 503, answers
        location = answers[0].headers.get("Location")
        assert (answers[0].code == "outcome_unknown") == (location is not None), answers
    until("ready again", lambda: process.ready()[0] == 200)
    send()
    assert ok(answers[1], 201)
    assert ok(process.owner().get(SUMMARY)).json["messages"] == 1


def test_stop_and_start_without_a_broker(cluster, kafka):
    process = cluster.process(**{"http.shutdown_timeout_ms": 2_000}).start()
    with away(kafka):
        kafka.kill()
        began = time.monotonic()
        assert process.stop() == 0
        stopped = time.monotonic()
        with pytest.raises(StartFailed) as failed:
            process.start()
        last = failed.value.output.strip().splitlines()[-1]
        print(f"stopped in {stopped - began:.1f} s; {time.monotonic() - stopped:.1f} s until: {last}")
        assert failed.value.status == 1 and kafka.bootstrap in failed.value.output
        assert stopped - began < STOP_S
    process.start()
