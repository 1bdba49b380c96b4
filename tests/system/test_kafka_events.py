"""Foreign clients: a Python consumer that knows <prefix>.events alone, and kcat as an upstream
platform."""
import collections
import json
import os
import random
import subprocess
import threading
from urllib.parse import urlsplit

import jsonschema_rs
from confluent_kafka import TopicPartition

from kafka_fleet import until
from kafka_load import PatientLoad, open_books, settled
from programs import ok
from tidings import at

KILLS = int(os.environ.get("TIDINGS_KAFKA_EVENT_KILLS", "3"))
SOME = 150  # acknowledgements before and after each


class OpenRates:
    """Follows the topic from its beginning; what docs/analytics.md tells a consumer to do."""

    def __init__(self, kafka, topic):
        self.kafka, self.topic = kafka, topic
        self.stop = threading.Event()
        self.records = {}    # (source, id) -> value
        self.repeated = 0
        self.strange = []
        self.types = collections.Counter()
        self.newest = {}     # program -> number of its newest event
        self.sent = {}       # message -> recipients
        self.opens = {}      # message -> {partner: at}
        self.posts = collections.Counter()  # post -> times
        self.subjects = collections.Counter()
        self.next = {}       # partition -> offset
        self.thread = threading.Thread(target=self._follow)
        self.thread.start()

    def _follow(self):
        consumer = self.kafka.consumer()
        consumer.assign([TopicPartition(self.topic, p, 0)
                         for p in range(self.kafka.partitions(self.topic))])
        while not self.stop.is_set():
            message = consumer.poll(0.1)
            if message is None or message.error():
                continue
            try:
                self.take(message)
            except Exception as error:  # told by end(), on the test's thread
                self.strange.append((message.value(), repr(error)))
            self.next[message.partition()] = message.offset() + 1
        consumer.close()

    def take(self, message):
        record = json.loads(message.value())
        name = (record["source"], record["id"])
        if message.key().decode() != record["program"]:
            self.strange.append((name, "key", message.key()))
        if name in self.records:
            self.repeated += 1
            if self.records[name] != message.value():
                self.strange.append((name, "came again with other bytes"))
            return
        self.records[name] = message.value()
        kind, data = record["type"].removeprefix("io.tidings."), record["data"]
        self.types[kind] += 1
        if not record["id"].startswith("refused."):
            number = tuple(map(int, record["id"].split(".")))
            if number <= self.newest.get(record["program"], (0,)):
                self.strange.append((name, "behind", self.newest[record["program"]]))
            self.newest[record["program"]] = number
        if kind == "message.sent":
            self.sent[data["message"]] = data["recipients"]
            self.subjects[data["subject"]] += 1
        elif kind == "message.opened":
            for one in data["opens"]:
                known = self.opens.setdefault(data["message"], {})
                if one["partner"] in known:
                    self.strange.append((name, "a second first open", one))
                known[one["partner"]] = one["at"]
        elif kind == "message.replied":
            self.posts[data["post"]] += 1

    def caught_up(self):
        ends = {p: messages[-1].offset() + 1
                for p, messages in self.kafka.read_all(self.topic).items() if messages}
        return all(self.next.get(p, 0) >= end for p, end in ends.items())

    def end(self):
        self.stop.set()
        self.thread.join()
        assert not self.strange, (len(self.strange), self.strange[:3])


def check_schemas(process, records):
    """Every record is as the process describes it."""
    client = process.client()
    listed = ok(client.get("/v1/schemas/events")).json
    validators = {path: jsonschema_rs.Draft202012Validator(ok(client.get(path)).json,
                                                           validate_formats=True)
                  for path in [listed["envelope"]] + [entry["url"] for entry in listed["data"]]}
    for value in records:
        record = json.loads(value)
        for path, part in ((listed["envelope"], record),
                           (urlsplit(record["dataschema"]).path, record["data"])):
            faults = [str(fault) for fault in validators[path].iter_errors(part)]
            assert not faults, (record, faults)


def test_open_rates_from_the_topic_alone(cluster, kafka):
    """Through kills of whoever publishes; nothing missing, nothing that differs when repeated."""
    processes = cluster.processes(None, None)
    table = OpenRates(kafka, cluster.topic_names["events"])
    try:
        books, callers = open_books(processes[0])
        chance = random.Random(5)
        for number in range(KILLS):
            victim = chance.choice(processes)
            callers.reach(*[one.address for one in processes])
            with PatientLoad(books, callers, number) as load:
                load.wait(chance.randint(SOME // 2, SOME))
                victim.kill()
                load.wait(SOME)
            victim.start()
            settled(books, callers, processes[0], chance)
        owner = processes[0].owner()
        shown = owner.pages(at("programs", "acme", "messages"))
        opens = sum(m["stats"]["opens"] for m in shown)
        posts = {one.post for replies in books.replies.values() for one in replies.values()}
        until("everything is published", lambda: (
            sum(map(len, table.opens.values())) >= opens and len(table.sent) >= len(shown) and
            len(table.posts) >= len(posts)))
        until("all is read", table.caught_up)
    finally:
        table.end()
    ours = {m["id"]: (m["stats"]["recipients"], m["stats"]["opens"], m["stats"]["open_rate"])
            for m in shown}
    theirs = {message: (count, len(table.opens.get(message, {})),
                        len(table.opens.get(message, {})) / count)
              for message, count in table.sent.items()}
    assert theirs == ours
    assert table.subjects == {subject: 1 for subject in books.sends}
    assert set(table.posts) == posts and set(table.posts.values()) <= {1}
    for message, when in list(books.opens.items())[-50:]:
        for partner, opened in when.items():
            assert table.opens[message][partner] == opened
    check_schemas(processes[0], table.records.values())
    print(f"{KILLS} kills: {len(table.records)} records, {table.repeated} came again with the same "
          f"bytes; {len(ours)} messages, {opens} opens, {len(posts)} posts: equal; "
          f"{dict(table.types)}", flush=True)


PARTNERS = [f"p{n}" for n in range(20)]
POISON = [b"no JSON", b'{"specversion":"1.0"}', b"\xff\xfe",
          json.dumps({"specversion": "1.0", "id": "bad", "source": "kcat", "program": "acme",
                      "type": "io.tidings.partner.upserted", "subject": "p1",
                      "data": {"email": "no address"}}).encode()]
ADDS = 40


def event(number, kind, subject, data):
    return json.dumps({"specversion": "1.0", "id": f"{number}", "source": "kcat",
                       "program": "acme", "type": f"io.tidings.{kind}", "subject": subject,
                       "data": data}).encode()


def kcat(kafka, topic, partition, lines):
    """Produces `key|value` lines."""
    done = subprocess.run(["kcat", "-P", "-b", kafka.bootstrap, "-t", topic, "-p", str(partition),
                           "-K", "|"], input=b"\n".join(lines), capture_output=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_kcat_is_an_upstream_platform(cluster, kafka):
    """Applied once, through kills; what is no event goes to a topic of its own, and blocks
    nothing."""
    topic = cluster.prefix + ".platform"
    kafka.create(topic, 2)
    cluster.settings["upstream.topics"] = [topic]
    processes = cluster.processes(None, None)
    first = [b"acme|" + event("program", "program.upserted", "acme",
                              {"name": "Acme", "plan": "partner"})]
    first += [b"acme|" + event(f"u{p}", "partner.upserted", p, {"email": f"{p}@x.example"})
              for p in PARTNERS]
    kcat(kafka, topic, 0, first)
    owner = processes[1].owner()

    def partners():
        answer = owner.get("/v1/programs/acme/summary")
        return answer.json["partners"] if answer.status == 200 else 0
    until("the partners are there", lambda: partners() == len(PARTNERS))

    adds = [b"acme|" + event(f"a{p}.{n}", "partner.performance", p,
                             {"mode": "add", "metrics": {"clicks": 1}})
            for n in range(ADDS) for p in PARTNERS]
    lines = []
    for number, line in enumerate(adds):
        lines.append(line)
        if number % 100 == 50:
            lines.append(b"acme|" + POISON[number // 100 % len(POISON)])
    poison = len(lines) - len(adds)
    kcat(kafka, topic, 0, lines[:400] + lines[200:400])  # some of them twice
    processes[0].kill()
    kcat(kafka, topic, 0, lines[400:])
    kcat(kafka, topic, 1, [b"acme|" + event("other", "partner.upserted", "late",
                                            {"email": "late@x.example"})])
    processes[0].start()
    processes[1].kill()
    processes[1].start()
    owner = processes[0].owner()

    def clicks():
        answer = owner.get("/v1/programs/acme/partners", query={"limit": 200})
        return {p["id"]: p["metrics"]["clicks"] for p in ok(answer).json["data"]}
    until("all is applied", lambda: clicks() == {**dict.fromkeys(PARTNERS, ADDS), "late": 0})

    def rejected():
        return kafka.read_all(cluster.topic_names["upstream.rejected"])[0]
    twice = sum(b"clicks" not in line for line in lines[200:400])
    until("the poison is put aside", lambda: len(rejected()) >= poison + twice)
    origins = set()
    for message in rejected():
        headers = {name: value.decode() for name, value in message.headers()}
        assert message.value() in POISON and message.key() == b"acme", message.value()
        assert headers["tidings-code"] and headers["tidings-detail"], headers
        origins.add((headers["tidings-topic"], int(headers["tidings-partition"]),
                     int(headers["tidings-offset"])))
    source = kafka.read_all(topic)
    assert origins == {(topic, 0, m.offset()) for m in source[0] if m.value() in POISON}
    cluster.settle()
    assert clicks() == {**dict.fromkeys(PARTNERS, ADDS), "late": 0}
    print(f"{len(adds)} adds of kcat applied once through 2 kills; {len(rejected())} records put "
          f"aside for {len(origins)} poison records", flush=True)
