"""The same commands give the same read models, byte for byte: embedded, on Kafka, on every
follower, and made anew from Kafka."""
import hashlib
import random
import shutil
import subprocess

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kafka_fleet import start_all, until
from programs import filtered, import_lines, named, ok, record_opens, send
from tidings import at

PARTITIONS = 4
PROGRAMS = [f"programme-{n}" for n in range(6)]  # in all partitions
PEOPLE = [f"p{n}" for n in range(60)]


def test_the_same_commands_give_the_same_read_models(fleet, make_cluster, kafka):
    embedded = fleet.deployment()
    embedded.start()
    for seed, program in enumerate(PROGRAMS):
        mixed_load(embedded, program, random.Random(seed))
    assert embedded.stop() == 0
    wanted = embedded.digests()
    commands = {p: commands_of(embedded.directory / "log" / f"p{p}") for p in range(PARTITIONS)}
    total = sum(len(records) for records in commands.values())
    assert total > 300 and all(commands.values())

    cluster = make_cluster(kafka, partitions=PARTITIONS, **{"keys.data": str(embedded.directory)})
    processes = [cluster.process(one) for one in ("api", "decider", "projector", None)]
    processes[0].start()
    give_partner_keys(embedded, kafka, cluster.topic_names["keys"])
    start_all(processes[1:])
    api, decider, projector, everything = processes
    replay(kafka, cluster.topic_names["commands"], commands)
    until("all is decided", lambda: api.metrics().total("tidings_commands_total") >= total)
    assert cluster.check_equal() == wanted
    for process in (api, decider, projector, everything):
        assert process.digests() == wanted, process.directory

    shutil.rmtree(api.directory / "models")
    shutil.rmtree(decider.directory)
    api.start()
    decider.start()
    assert cluster.check_equal() == wanted
    assert api.digests() == wanted and decider.digests() == wanted


def give_partner_keys(embedded, kafka, topic):
    """What is searched comes from opened texts; and the embedded log's are sealed. A row with one
    key is a record of the topic, but for the print that tells a partner's keys apart (docs/formats.md)."""
    done = subprocess.run(["ldb", f"--db={embedded.directory / 'keys' / 'partners'}", "--hex", "scan"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ring = AESGCM((embedded.directory / "keys" / "deployment.key").read_bytes())
    rows = [tuple(bytes.fromhex(part[2:]) for part in line.split(" : "))
            for line in done.stdout.splitlines() if line.startswith("0x6B")]
    assert len(rows) == len(PROGRAMS) * len(PEOPLE)
    producer = kafka.producer(acks="all")
    for key, value in rows:
        secret = ring.decrypt(value[1:13], value[13:], key)[4:]
        print_ = hashlib.sha256(b"tidings.key.v1\n" + secret).digest()[:8]
        producer.produce(topic, value, key=key + print_, partition=0)
    assert producer.flush(60) == 0


def mixed_load(server, program, chance):
    """Of everything that is decided, refusals too."""
    platform, owner = server.platform(), server.owner(program)
    base = at("programs", program)
    ok(platform.put(base, {"name": program, "plan": "partner"}))
    import_lines(platform, program, [
        {"id": p, "email": f"{p}@x.example", "name": p.title(), "tags": chance.sample("abcd", 2),
         "metrics": {"clicks": chance.randint(0, 99), "revenue": {"USD": f"{n}.5"}}}
        for n, p in enumerate(PEOPLE)])
    messages = []
    for number in range(12):
        audience = chance.choice([
            {"type": "all"}, named(*chance.sample(PEOPLE, 5)),
            filtered({"any": [{"tag": "a"}, {"metric": "clicks", "op": ">", "value": 50}]})])
        messages.append(send(owner, program, f"News {number}", key=f"k{number}",
                             replies_enabled=True, audience=audience)["id"])
        assert send(owner, program, f"News {number}", key=f"k{number}", replies_enabled=True,
                    audience=audience)["id"] == messages[-1]
    refused = owner.post(base + "/messages", {"subject": "S", "body": "B",
                                              "audience": named("nobody")})
    assert refused.status == 422
    record_opens(platform, program, [(chance.choice(messages), chance.choice(PEOPLE))
                                     for _ in range(200)])
    for _ in range(20):
        partner = server.partner(chance.choice(PEOPLE), program)
        message = chance.choice(messages)
        if partner.post(at("portal", "messages", message, "open")).status == 200:
            ok(partner.post(at("portal", "messages", message, "replies"), {"body": "Yes."}), 201)
    for partner in chance.sample(PEOPLE, 6):
        ok(platform.delete(base + f"/partners/{partner}"), 204)
        ok(owner.post(f"{base}/partners/p1/messages/{messages[0]}/replies", {"body": "Well."}),
           201) if partner == "p0" else None
    for partner in chance.sample(PEOPLE, 10):
        ok(platform.put(base + f"/partners/{partner}", {"email": f"{partner}@y.example"}))
    event = {"specversion": "1.0", "id": "1", "source": "tests", "program": program,
             "subject": "p2", "type": "io.tidings.partner.performance",
             "data": {"mode": "add", "metrics": {"sales": 3}}}
    for _ in range(2):
        ok(platform.post("/v1/events", event,
                         headers={"Content-Type": "application/cloudevents+json"}))
    ok(platform.put(base, {"name": program, "plan": "starter"}))
    assert owner.post(base + "/messages", {"subject": "S", "body": "B"}).code == "plan_required"


def commands_of(log):
    """The command records of an embedded log, in order, as its format says (docs/formats.md)."""
    done = subprocess.run(["ldb", f"--db={log}", "--column_family=commands", "--hex", "scan"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    out = []
    for line in done.stdout.splitlines():
        if not line.startswith("0x"):
            continue
        value = bytes.fromhex(line.split(" : 0x")[1])
        count = int.from_bytes(value[:4], "little")
        sizes = [int.from_bytes(value[4 + 4 * n:8 + 4 * n], "little") for n in range(count)]
        start = 4 + 4 * count
        for size in sizes:
            out.append(value[start:start + size])
            start += size
        assert start == len(value)
    return out


def replay(kafka, topic, commands):
    """Appends them as an ingress would, in bursts, so that they are cut into other runs."""
    producer = kafka.producer(acks="all", **{"enable.idempotence": True})
    for number in range(max(map(len, commands.values()))):
        for partition, records in commands.items():
            if number < len(records):
                producer.produce(topic, records[number], partition=partition)
        if number % 7 == 0:
            producer.flush()
    assert producer.flush(60) == 0
