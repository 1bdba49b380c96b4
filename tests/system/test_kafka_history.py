"""The past on Kafka: as_of on any process, and a new follower from a snapshot and the tail."""
import random
import re

from kafka_fleet import until
from past import RandomHistory
from programs import ok
from tidings import run


def drive(history, process, steps):
    history.reach(process)
    recorded = []
    for _ in range(steps):
        history.step()
        recorded.append(history.record())
    return recorded


def test_as_of_and_a_follower_from_a_snapshot(make_cluster, kafka, tmp_path):
    cluster = make_cluster(kafka, **{"history.snapshot_every_kib": 8, "history.snapshots": 6,
                                     "cluster.replicas": 1,
                                     "cluster.member_timeout_ms": 10_000})  # nobody is missed
    first, second = cluster.processes(None, None)
    history = RandomHistory(11)
    history.reach(first)
    history.begin()
    recorded = drive(history, first, 120)
    random.Random(11).shuffle(recorded)
    for one in recorded[:60]:  # by a process that holds the partition, and by one that does not
        for process in (first, second):
            client = process.client(process.token("auditor"))
            assert one.question.ask(client, as_of=one.position) == one.answer
    holder = first if list(first.directory.glob("snapshots/*/[0-9]*")) else second
    assert list(holder.directory.glob("snapshots/*/[0-9]*"))

    target = tmp_path / "snapshot"
    result = run("snapshot", "--config", holder.config, "--data", holder.directory,
                 "--into", target)
    assert result.returncode == 0, result.stderr
    taken = history.position
    recorded += drive(history, first, 40)
    assert first.stop() == 0 and second.stop() == 0
    follower = cluster.process(name="follower")
    follower.directory.mkdir()
    result = run("restore", "--data", follower.directory, "--from", target)
    assert result.returncode == 0, result.stderr
    follower.start()
    partition, sequence = taken.split(":")
    ready = rf"partition={partition} ready sequence=(\d+) applied=(\d+)"
    until("it holds the partition", lambda: re.search(ready, follower.log()))
    applied = re.search(ready, follower.log())
    assert int(applied[1]) - int(applied[2]) == int(sequence) and int(applied[2]) > 10
    client = follower.client(follower.token("auditor"))
    random.Random(12).shuffle(recorded)
    for one in recorded[:40]:  # also what was before its snapshot
        assert one.question.ask(client, as_of=one.position) == one.answer

    # the models of one deployment are not taken for another's
    other = make_cluster(kafka).process()
    other.directory.mkdir()
    (other.directory / "log_id").write_text("00" * 16 + "\n")
    result = run("restore", "--data", other.directory, "--from", target)
    assert result.returncode == 1 and "follows log" in result.stderr
    (other.directory / "log_id").unlink()
    assert ok(client.get("/readyz")).status == 200
