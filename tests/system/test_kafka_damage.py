"""Topics that somebody harmed: refused at the start, noticed at run time, and never repaired in
silence."""
import shutil

import pytest

import tidings
from kafka_fleet import until
from programs import make_program, ok, send
from tidings import StartFailed

REMEDIES = ("restore", "another prefix", "new deployment")
NOTICED_S = 25  # librdkafka asks for the topics every 10 s


@pytest.fixture
def served(cluster):
    """A process that has served a little; its program's partition is `served.partition`."""
    process = cluster.process().start()
    process.partition = work(process)
    return process


def work(process, count=20):
    """Some commits; the partition that they are in."""
    platform = make_program(process)
    for number in range(count):
        send(process.owner(), subject=f"News {number}")
    answer = ok(platform.put("/v1/programs/acme", {"name": "Acme", "plan": "partner"}))
    return int(answer.position.split(":")[0])


def recreate(kafka, topic):
    partitions = kafka.partitions(topic)
    kafka.delete(topic)
    until("it is gone", lambda: topic not in kafka.topics(topic))
    kafka.create(topic, partitions, **{
        "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1",
        "unclean.leader.election.enable": "false", "max.message.bytes": str(64 << 20)})


def cut_end(kafka, topic, partition):
    kafka.stop()
    try:
        assert kafka.cut(topic, partition) > 0
    finally:
        kafka.start()


HARM = {
    "beginning deleted": lambda kafka, topic, partition: kafka.delete_records(topic, partition, 9),
    "end cut off": cut_end,
    "deleted": lambda kafka, topic, _: kafka.delete(topic),
    "recreated": lambda kafka, topic, _: recreate(kafka, topic),
    "more partitions": lambda kafka, topic, _: kafka.add_partitions(topic, 3),
}


SEEN_WITHOUT_READ_MODELS = ("beginning deleted", "deleted", "more partitions")


def check_topics(cluster, kafka):
    """What `tidings topics check` says, and its exit status."""
    result = tidings.run("topics", "check", "--kafka", kafka.bootstrap, "--prefix", cluster.prefix)
    return result.returncode, result.stdout + result.stderr


def check_refused(process, name):
    """Does not start: exit status 1, the last line says what happened, and what to do."""
    with pytest.raises(StartFailed) as failed:
        process.start()
    last = failed.value.output.strip().splitlines()[-1]
    print(last, flush=True)
    assert failed.value.status == 1
    assert last.startswith("tidings: ") and name in last, last
    assert any(remedy in last.lower() for remedy in REMEDIES), f"what to do? {last}"


@pytest.mark.parametrize("kind", ["commits", "commands"])
@pytest.mark.parametrize("harm", HARM)
def test_harm_is_refused_at_the_start(served, cluster, kafka, kind, harm):
    topic = cluster.topic_names[kind]
    status, said = check_topics(cluster, kafka)
    assert status == 0 and topic in said, said
    assert served.stop() == 0
    before = served.digests()
    HARM[harm](kafka, topic, served.partition)
    if harm in SEEN_WITHOUT_READ_MODELS:
        status, said = check_topics(cluster, kafka)
        assert status == 1 and topic in said, said
    for _ in range(2):  # nothing was reset by the refusal
        check_refused(served, topic)
    assert served.digests() == before


def test_cut_off_and_grown_again_is_refused(served, cluster, kafka):
    """Another process, that never saw what was cut off, makes the log longer than it was."""
    topic = cluster.topic_names["commits"]
    assert served.stop() == 0
    cut_end(kafka, topic, served.partition)
    other = cluster.process().start()
    work(other, count=60)
    assert other.stop() == 0
    check_refused(served, topic)


@pytest.mark.parametrize("kind", ["commits", "commands"])
@pytest.mark.parametrize("harm", ["end cut off", "recreated", "more partitions"])
def test_harm_is_noticed_at_run_time(served, cluster, kafka, kind, harm):
    topic = cluster.topic_names[kind]
    HARM[harm](kafka, topic, served.partition)

    def noticed():
        if harm != "more partitions":
            answer = served.owner().post("/v1/programs/acme/messages",
                                         {"subject": "S", "body": "B"},
                                         headers={"Prefer": "respond-async"})
            assert answer.status in (202, 503), answer
        status, said = served.ready()
        return status == 503 and (topic in said or "commit " in said)
    took = until(f"/readyz tells of {topic}", noticed, NOTICED_S)
    print(f"noticed after {took:.1f} s: {served.ready()[1]}", flush=True)
    # Reads go on.
    assert ok(served.owner().get("/v1/programs/acme/summary")).json["messages"] >= 20


def test_another_log_under_the_same_prefix(cluster, kafka):
    """Read models of one log are not continued with another's commits."""
    process = cluster.process().start()
    work(process)
    assert process.stop() == 0
    kafka.delete(*kafka.topics(cluster.prefix + "."))
    until("they are gone", lambda: not kafka.topics(cluster.prefix + "."))
    other = cluster.process().start()
    assert other.stop() == 0
    check_refused(process, "the topics hold log")
    shutil.rmtree(process.directory)
    process.start()  # with an empty directory it is a process of the new log
