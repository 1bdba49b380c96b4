"""Erasure on Kafka: sealed for every process, erased for every process, and on every disk."""
import contextlib
import http.client
import random
import signal
import subprocess
import threading
import time

import pytest

from kafka_broker import Kafka
from kafka_fleet import start_all, until
from programs import import_lines, make_program, ok
from test_erasure import (EMAIL, LATER, REPLY, TEXTS, assert_forgotten, erase, files_with, live_some,
                          numbers, position_before, rows_with_piece)
from tidings import at, run

PARTNERS = at("programs", "acme", "partners")
PERSON_PATH = at("programs", "acme", "partners", "person")
SETTINGS = {"partitions": 4}  # as the embedded log's: what is asked of every partition
PAST = (8, 14, 16)  # a few commits: each is read from Kafka once


def restart(process):
    """Writes out what was only in memory."""
    assert process.stop() == 0
    process.start()


def is_clean(process, piece="wyz", texts=tuple(TEXTS)):
    try:
        return not rows_with_piece(process.directory, piece) and not files_with(process.directory,
                                                                               texts)
    except (subprocess.CalledProcessError, AssertionError):
        return False  # a file went while it was looked at


def keys_on_topic(cluster, owner):
    """What compaction would leave of this partner's keys."""
    left = {}
    for record in cluster.kafka.read_all(cluster.topic_names["keys"])[0]:
        if record.key().startswith(b"k") and owner.encode() in record.key():
            left[record.key()] = record.value()
    return [value for value in left.values() if value is not None]


def assert_topics_hold_nothing(cluster, *topics):
    for topic in topics:
        for messages in cluster.kafka.read_all(cluster.topic_names[topic]).values():
            for message in messages:
                data = ((message.key() or b"") + (message.value() or b"")).lower()
                for text in TEXTS:
                    assert text.lower().encode() not in data, (topic, message.offset(), text)


def test_an_erased_person_is_nowhere_on_kafka(make_cluster, kafka, tmp_path):
    cluster = make_cluster(kafka, **SETTINGS)
    first, second = cluster.processes(None, None)
    message = live_some(first)
    conversation = PERSON_PATH + f"/messages/{message}"
    cluster.settle()
    for process in (first, second):  # sealed by the one, opened by both
        found = process.owner().pages(PARTNERS, query="wyzzleb")
        assert [p["id"] for p in found] == ["person"]
        assert ok(process.platform().get(PERSON_PATH)).json["email"] == EMAIL
        assert ok(process.owner().get(conversation)).json["posts"][0]["body"] == REPLY
    for process in (first, second):
        restart(process)
        assert rows_with_piece(process.directory, "wyz")
    assert_topics_hold_nothing(cluster, "commands", "commits", "keys", "members")
    assert len(keys_on_topic(cluster, "person")) == 1
    counted = numbers(first, message)
    auditor = first.client(first.token("auditor"))
    checkpoint = run("audit", "checkpoint", "--url", first.url, "--token", auditor.token).stdout
    verifiers = "\n".join(one["key"] for one in
                          ok(auditor.get("/v1/audit/checkpoint")).json["data"])
    proof = ok(auditor.get(f"/v1/audit/proofs/{message}")).body
    before = position_before(first)
    assert ok(auditor.get(conversation, query={"as_of": before})).json["posts"][0]["body"] == REPLY

    report = erase(second)
    assert report["partner"] == "person" and report["keys_destroyed"] == 1
    assert report["plain_records"] == {"count": 0, "first": None, "last": None}
    assert is_clean(second)  # which was asked
    until("the other process is clean, too", lambda: is_clean(first))
    assert keys_on_topic(cluster, "person") == []
    cluster.settle()
    for process in (first, second):
        assert_forgotten(process, message, PAST)
        assert numbers(process, message) == counted
    refused = first.owner().post(conversation + "/replies", {"body": "hello?"})
    assert refused.status == 404, refused
    erase(first)
    assert erase(second)["keys_destroyed"] == 0

    # a process that comes later, and commands beside them
    third = cluster.process()
    third.start()
    cluster.settle()
    assert_forgotten(third, message, PAST)
    place = ["--config", third.config, "--data", third.directory]
    for sequence in (int(before.split(":")[1]), PAST[0]):
        shown = run("show", "partner", "person", "--program", "acme", "--as-of",
                    f"{before.split(':')[0]}:{sequence}", *place)
        assert shown.returncode == 0 and not any(t in shown.stdout for t in TEXTS), shown
    notes, proven, keys = tmp_path / "notes", tmp_path / "proof", tmp_path / "keys"
    notes.write_text(checkpoint)
    proven.write_bytes(proof)
    keys.write_text(verifiers)
    for words in (["verify", "--checkpoint", notes, "--key", keys, "--kafka", kafka.bootstrap,
                   "--prefix", cluster.prefix, "--data", tmp_path / "none"],
                  ["redecide", *place], ["check-proof", proven, "--key", keys]):
        result = run("audit", *words)
        assert result.returncode == 0, (words, result.stdout, result.stderr)
    cluster.check_equal()
    rebuilt = run("rebuild", "--into", tmp_path / "anew", *place)
    assert rebuilt.returncode == 0 and "equal" in rebuilt.stdout, rebuilt.stdout + rebuilt.stderr


def test_seen_again_an_erased_partner_is_new_data_on_kafka(make_cluster, kafka):
    cluster = make_cluster(kafka, **SETTINGS)
    first, second = cluster.processes(None, None)
    live_some(first)
    for number in range(3):  # each time under keys that the other process has made, or not
        eraser, other = (first, second) if number % 2 else (second, first)
        assert erase(eraser)["keys_destroyed"] == 1
        cluster.settle()
        name = f"Newt{number}"
        ok(other.platform().put(PERSON_PATH, {"email": f"{name}@person.example", "name": name}))
        cluster.settle()
        for process in (first, second):
            assert ok(process.platform().get(PERSON_PATH)).json["name"] == name
            assert [p["id"] for p in process.owner().pages(PARTNERS, query=name)] == ["person"]
    cluster.check_equal()


def test_commands_beside_the_servers_have_all_keys(make_cluster, kafka):
    """They read the topic, whatever this directory's process knew when it stopped."""
    cluster = make_cluster(kafka, **SETTINGS)
    first, second = cluster.processes(None, None)
    make_program(first)
    assert second.stop() == 0
    position = ok(first.platform().put(PERSON_PATH, {"email": EMAIL, "name": LATER})).position
    shown = run("show", "partner", "person", "--program", "acme", "--as-of", position,
                "--config", second.config, "--data", second.directory)
    assert shown.returncode == 0 and EMAIL in shown.stdout and LATER in shown.stdout, shown


def test_a_process_that_was_away_cleans_up(make_cluster, kafka):
    cluster = make_cluster(kafka, **SETTINGS)
    first, second = cluster.processes(None, None)
    live_some(first)
    cluster.settle()
    assert second.stop() == 0
    assert rows_with_piece(second.directory, "wyz")
    erase(first)
    assert rows_with_piece(second.directory, "wyz")
    second.start()
    until("it is clean", lambda: is_clean(second))
    until("it says so", lambda: "is gone from this disk" in second.log())
    restart(second)
    assert is_clean(second)
    assert second.log().count("is gone from this disk") == 1  # once


def test_what_a_process_holds_no_longer_is_cleaned_up(make_cluster, kafka):
    """Each partition has one holder; what lies on the other's disk must go all the same."""
    cluster = make_cluster(kafka, **SETTINGS, **{"cluster.replicas": 1})
    first = cluster.process()
    first.start()
    live_some(first)
    restart(first)
    assert rows_with_piece(first.directory, "wyz")
    assert first.stop() == 0
    others = [cluster.process() for _ in range(3)]
    start_all(others)  # one of them holds the partition now
    cluster.settle()
    erase(others[0])
    first.start()
    until("all are clean", lambda: all(is_clean(one) for one in [first, *others]))


def test_a_kill_at_any_moment_of_an_erasure_on_kafka(make_cluster, kafka):
    """Afterwards the partner is as before, or erased everywhere; asking again ends it."""
    cluster = make_cluster(kafka, **SETTINGS)
    first, second = cluster.processes(None, None)
    make_program(first)
    called = [f"zq{a}{b}" for a in "abcde" for b in "klmn"]  # by nobody else
    import_lines(first.platform(), "acme", [
        {"id": f"p{i}x", "email": f"{name}@mail.example", "name": name}
        for i, name in enumerate(called)])
    cluster.settle()
    chance = random.Random(7)
    cut_off = 0
    for i, name in enumerate(called):
        if cut_off >= 6:
            break
        where = at("programs", "acme", "partners", f"p{i}x")
        answers = []

        def ask(client=first.platform(), where=where, answers=answers):
            with contextlib.suppress(OSError, http.client.HTTPException):
                answers.append(client.post(where + "/erasures"))

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(chance.random() * 0.1)
        first._end(signal.SIGKILL)
        asking.join()
        partner = ok(second.platform().get(where)).json
        if answers:
            assert answers[0].status == 200
        else:
            cut_off += 1
        first.start()
        cluster.settle()
        for process in (first, second):
            partner = ok(process.platform().get(where)).json
            if "erased" not in partner:
                assert (partner["email"], partner["name"]) == (f"{name}@mail.example", name)
        erase(chance.choice([first, second]), f"p{i}x")
        cluster.settle()
        for process in (first, second):
            partner = ok(process.platform().get(where)).json
            assert partner["erased"] and partner["name"] == "" and partner["email"] == ""
        assert keys_on_topic(cluster, f"acmep{i}x") == []
        until("all are clean", lambda name=name: all(
            is_clean(one, name[1:], [name]) for one in (first, second)))
    assert cut_off >= 6, cut_off
    cluster.check_equal()


def test_what_a_dead_process_left_is_finished_by_another_on_kafka(make_cluster, kafka):
    cluster = make_cluster(kafka, **SETTINGS)
    first, second = cluster.processes(None, None)
    make_program(first)
    names = [f"zq{a}k" for a in "abcdefghijklmnop"]
    import_lines(first.platform(), "acme", [
        {"id": f"q{i}q", "email": f"{name}@mail.example", "name": name}
        for i, name in enumerate(names)])
    asking = []
    for i in range(len(names)):
        def ask(client=first.platform(), i=i):
            with contextlib.suppress(OSError, http.client.HTTPException):
                client.post(at("programs", "acme", "partners", f"q{i}q", "erasures"))
        asking.append(threading.Thread(target=ask))
        asking[-1].start()

    def decided():
        return any("erased" in p for p in second.owner().pages(PARTNERS, status="all"))
    until("one is decided", decided)
    first._end(signal.SIGKILL)
    for thread in asking:
        thread.join()

    def erased():
        return [p["id"] for p in second.owner().pages(PARTNERS, status="all") if "erased" in p]
    assert any(keys_on_topic(cluster, one) for one in erased()), "it was too fast to be cut off"

    until("the other one has finished them",
          lambda: not any(keys_on_topic(cluster, one) for one in erased()), patience=150)
    until("it says so", lambda: "an erasure that was cut off is finished" in second.log())


def test_a_destroyed_key_leaves_the_brokers_disk_on_kafka(make_cluster, kafka):
    cluster = make_cluster(kafka, **SETTINGS)
    topic = cluster.topic_names["keys"]
    kafka.create(topic, 1, **{"cleanup.policy": "compact", "segment.ms": "2000",
                              "max.compaction.lag.ms": "2000", "delete.retention.ms": "604800000",
                              "file.delete.delay.ms": "1000",
                              "unclean.leader.election.enable": "false"})
    process = cluster.process()
    process.start()
    live_some(process)
    [wrapped] = keys_on_topic(cluster, "person")

    def on_disk():
        try:
            return any(wrapped in file.read_bytes() for file in kafka.files(topic).iterdir())
        except FileNotFoundError:
            return True  # look again
    assert on_disk()
    erase(process)
    until("it is compacted", lambda: not on_disk(), patience=120)
    restart(process)  # reads what is left
    assert len(keys_on_topic(cluster, "grace")) == 1
    assert ok(process.platform().get(at("programs", "acme", "partners", "grace"))).json["email"]


@pytest.fixture
def own_broker(tmp_path):
    broker = Kafka(tmp_path / "kafka").start()
    yield broker
    broker.stop()


def test_without_brokers_nothing_new_is_sealed_or_erased_on_kafka(own_broker, make_cluster):
    cluster = make_cluster(own_broker, **SETTINGS)
    process = cluster.process()
    process.start()
    live_some(process)
    partition, now = position_before(process).split(":")
    own_broker.kill(0)
    assert ok(process.platform().get(PERSON_PATH)).json["email"] == EMAIL
    asked = process.platform().post(PERSON_PATH + "/erasures")
    assert asked.status == 503, asked
    asked = process.platform().put(at("programs", "acme", "partners", "new"),
                                   {"email": "new@person.example"})
    assert asked.status == 503, asked
    assert ok(process.platform().get(PERSON_PATH)).json["email"] == EMAIL
    message = at("programs", "acme", "messages", live_message(process))
    auditor = process.client(process.token("auditor"))
    asked = auditor.get(message, query={"as_of": f"{partition}:{int(now) - 2}"})
    assert (asked.status, asked.code) == (503, "overloaded"), asked
    own_broker.restart(0)
    until("it takes commands again", lambda: process.platform().post(
        PERSON_PATH + "/erasures").status == 200)
    assert_forgotten(process, live_message(process), PAST)


def live_message(process):
    return process.owner().pages(at("programs", "acme", "messages"))[-1]["id"]
