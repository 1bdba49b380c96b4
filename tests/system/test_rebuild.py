"""Read models are made anew while they are served: under load, after a kill and over a difference."""
import json
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from books import Books, Callers, Load, PARTNERS
from kafka_fleet import Metrics, until
from kafka_load import PatientLoad, open_books, settled
from programs import make_program, ok, send
from settling import ask_again, settle
from tidings import at, run

REBUILD = "/v1/operations/rebuild"
PARTITIONS = 4


def prepare(server):
    make_program(server, people={p: {"email": f"{p}@x.example"} for p in PARTNERS})


def rebuild(platform, **members):
    """Asks for one and waits for its end."""
    ok(platform.post(REBUILD, members), 202)
    return ended(platform)


def ended(platform, patience=120):
    found = {}

    def over():
        found.update(ok(platform.get(REBUILD)).json)
        return found["state"] != "running"
    until("the rebuild has ended", over, patience)
    return found


def check_equal(rebuilt, partitions=PARTITIONS):
    assert rebuilt["state"] == "done", rebuilt
    assert [one["partition"] for one in rebuilt["partitions"]] == list(range(partitions))
    for one in rebuilt["partitions"]:
        assert one["state"] == "done" and "problem" not in one, one
        assert one["position"] == one["target"]
        assert len(one["models"]) >= 8
        for model in one["models"]:
            assert model["live"] == model["rebuilt"], one


class Readers:
    """Read without pause; what they see never goes back, and no request of theirs fails."""

    def __init__(self, callers, count=2):
        self.callers = callers
        self.over = threading.Event()
        self.wrong = []
        self.reads = 0
        self.threads = [threading.Thread(target=self._work, args=(n,)) for n in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _work(self, number):
        owner = self.callers.client("owner")
        partner = self.callers.client(PARTNERS[number])
        messages = total = 0
        while not self.over.is_set():
            summary, inbox = (owner.get(at("programs", "acme", "summary")),
                              partner.get(at("portal", "summary")))
            newest = owner.get(at("programs", "acme", "messages"), query={"limit": 5})
            for answer in (summary, inbox, newest):
                if answer.status != 200:
                    self.wrong.append(repr(answer))
                    return
            if summary.json["messages"] < messages or inbox.json["total"] < total:
                self.wrong.append(f"back from {messages}, {total} to {summary} {inbox}")
            messages, total = summary.json["messages"], inbox.json["total"]
            self.reads += 1
        owner.close()
        partner.close()


def niceness(server):
    """{thread: nice}"""
    found = {}
    for stat in Path(f"/proc/{server.process.pid}/task").glob("*/stat"):
        name, fields = re.fullmatch(r"\d+ \((.*)\) (.*)\n", stat.read_text()).groups()
        found[name] = int(fields.split()[16])
    return found


def test_under_full_load(fleet):
    """Equal digests, no failed request, nothing lost, no reader sees anything go back."""
    server = fleet.deployment().start()
    prepare(server)
    callers, books = Callers(server), Books()
    callers.reach(server.address)
    platform = server.platform()
    ends = []

    def while_it_works():
        for _ in range(3):
            before = books.acknowledged
            ends.append(rebuild(platform))
            until("the load went on", lambda: books.acknowledged > before + 50)

    with Readers(callers) as readers:
        Load(books, callers, 5).run(1_500, while_it_works)
    assert not books.strange, books.strange[:3]
    assert not readers.wrong, readers.wrong[:3]
    assert readers.reads > 50
    for end in ends:
        check_equal(end)
    ask_again(books, callers)
    assert books.unknown == 0  # no connection was cut
    comparison = settle(books, callers)
    assert not comparison.lost
    until("the files of those before are gone", lambda: [
        f.name for f in sorted((server.directory / "models").glob("p0*"))] == ["p0.3", "p0.live"])
    nice = niceness(server)
    usual = nice["tidings"]
    assert nice.pop("rebuild") > usual
    assert any(name.startswith("rocksdb") for name in nice), nice
    assert all(one == usual for one in nice.values()), nice  # it has passed it on to nobody
    metrics = Metrics(ok(platform.get("/metrics")).body.decode())
    assert metrics.total("tidings_rebuilds_total") == 3 * PARTITIONS
    assert metrics.total("tidings_rebuilds_failed_total") == 0
    assert metrics.total("tidings_rebuilds_running") == 0
    assert metrics.total("tidings_rebuild_commits_total") > 0
    server.restart()
    callers.reach(server.address)
    settle(books, callers)
    assert server.stop() == 0
    offline = run("rebuild", "--data", server.directory)
    assert offline.returncode == 0 and "equal" in offline.stdout, offline.stdout + offline.stderr


def long_log(server, commits=3_000):
    """A log of many commits in one partition."""
    prepare(server)
    owner = server.owner()
    clients = [server.platform() for _ in range(8)]
    message = send(owner, subject="Long")["id"]

    def work(client, number):
        for n in range(commits // len(clients)):
            ok(client.patch(at("programs", "acme", "partners", PARTNERS[number]),
                            {"metrics": {"clicks": n}}))
    threads = [threading.Thread(target=work, args=(c, n)) for n, c in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return message


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_interrupted_rebuild_goes_on_at_the_next_start(fleet, number):
    server = fleet.deployment().start()
    message = long_log(server)
    platform = server.platform()
    chance = random.Random(int(number))
    interrupted, continued = 0, []
    # a process that is killed has lost what it did not write out yet
    wanted = (lambda: interrupted) if number == signal.SIGKILL else (lambda: any(continued))
    for attempt in range(60):
        if attempt >= 8 and wanted():
            break
        ok(platform.post(REBUILD), 202)
        time.sleep(chance.random() * 0.1)
        server._end(number)
        seen = server.errors.stat().st_size
        server.start()
        platform = server.platform()
        told = server.errors.read_bytes()[seen:].decode()
        interrupted += "goes on with the rebuild" in told
        end = ended(platform)
        assert end["state"] in ("done", "none"), end
        for one in end["partitions"]:
            assert all(m["live"] == m["rebuilt"] for m in one["models"]), one
        assert ok(server.owner().get(at("programs", "acme", "messages", message))).json[
            "stats"]["recipients"] == len(PARTNERS)
        told = server.errors.read_bytes()[seen:].decode()
        continued += [int(n) for n in re.findall(r"rebuild begins after commit (\d+) in", told)]
    assert wanted(), (interrupted, continued)
    # of each partition one generation, and at most its name
    for partition in range(PARTITIONS):
        until("what is old is gone", lambda p=partition: len(
            [d for d in (server.directory / "models").glob(f"p{p}*") if d.is_dir()]) == 1)


def live_of(server, partition):
    pointer = server.directory / "models" / f"p{partition}.live"
    name = pointer.read_text().strip() if pointer.exists() else f"p{partition}"
    return server.directory / "models" / name


def ldb(directory, *arguments):
    done = subprocess.run(["ldb", f"--db={directory}", "--hex", *arguments], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def damage_a_message(server):
    """Changes the text of a stored message, where nothing but a comparison sees it. Returns its
    partition."""
    for partition in range(PARTITIONS):
        table = b"b".hex().upper()  # texts of messages
        rows = ldb(live_of(server, partition), "scan", f"--from=0x{table}", f"--to=0x{table}FF")
        for key, value in re.findall(r"(0x\w+) : (0x\w+)", rows):
            if b"Hello.".hex().upper() in value.upper():
                changed = value.upper().replace(b"Hello.".hex().upper(), b"Hollo.".hex().upper())
                ldb(live_of(server, partition), "put", key, "0x" + changed[2:])
                return partition
    raise AssertionError("no message is stored")


def damage_a_set(server):
    """Cuts a stored set of recipients off, so that it cannot be read. Returns its partition."""
    for partition in range(PARTITIONS):
        table = b"r".hex().upper()
        rows = ldb(live_of(server, partition), "scan", f"--from=0x{table}", f"--to=0x{table}FF")
        for key, value in re.findall(r"(0x\w+) : (0x\w+)", rows):
            ldb(live_of(server, partition), "put", key, value[:4])
            return partition
    raise AssertionError("no message is stored")


def test_a_difference_is_told_and_not_made_live(fleet, tmp_path):
    server = fleet.deployment().start()
    make_program(server)
    message = send(server.owner())["id"]
    where = at("programs", "acme", "messages", message)
    assert server.stop() == 0
    partition = damage_a_message(server)
    config = tmp_path / "tidings.toml"
    config.write_text("[history]\nsnapshot_every_kib = 1\nsnapshots = 4\n")
    server.options = ("--config", config)  # not before: ldb spoils what was written in several parts
    server.start()
    platform = server.platform()
    snapshots = server.directory / "snapshots" / f"p{partition}"
    until("a snapshot has the damaged rows", lambda: send(
        server.owner(), subject="More", body="x" * 1_000) and any(snapshots.glob("[0-9]*")))
    auditor = server.client(server.token("auditor"))
    past = ok(auditor.get(where, query={"as_of": "9999-01-01T00:00:00Z"})).position

    def of_the_past():
        """What an auditor and a backup are told."""
        answer = ok(server.client(server.token("auditor")).get(where, query={"as_of": past}))
        shown = run("show", "message", message, "--as-of", past, "--json", "--data",
                    server.directory)
        assert shown.returncode == 0 and json.loads(shown.stdout) == answer.json, shown
        return answer.json["body"]
    assert of_the_past() == "Hollo."
    assert ok(server.owner().get(where)).json["body"] == "Hollo."

    end = rebuild(platform)
    assert end["state"] == "failed"
    for one in end["partitions"]:
        differing = [m["model"] for m in one["models"] if m["live"] != m["rebuilt"]]
        assert differing == (["messages"] if one["partition"] == partition else [])
        assert one["state"] == ("failed" if one["partition"] == partition else "done")
        assert ("messages is" in one.get("problem", "")) == (one["partition"] == partition)
    assert ok(server.owner().get(where)).json["body"] == "Hollo."  # it is the operator's choice
    assert (server.directory / "models" / f"p{partition}.differs").is_dir()
    assert "rebuild failed" in server.errors.read_text()
    metrics = Metrics(ok(platform.get("/metrics")).body.decode())
    assert metrics.total("tidings_rebuilds_failed_total") == 1

    client = run("rebuild", "--url", server.url, "--token", server.token("platform"),
                 "--partition", partition)
    assert client.returncode == 1 and "messages differs" in client.stdout, client
    server.restart()  # a difference is no interruption: nothing goes on
    assert ok(server.platform().get(REBUILD)).json == {"state": "none", "partitions": []}
    client = run("rebuild", "--url", server.url, "--token", server.token("platform"),
                 "--partition", partition, "--accept-difference")
    assert client.returncode == 0, client
    assert ok(server.owner().get(where)).json["body"] == "Hello."
    assert of_the_past() == "Hello."
    check = rebuild(server.platform())
    check_equal(check)
    assert not (server.directory / "models" / f"p{partition}.differs").exists()


def test_what_cannot_be_read_is_not_called_equal(fleet):
    server = fleet.deployment().start()
    make_program(server)
    message = send(server.owner())["id"]
    assert server.stop() == 0
    partition = damage_a_set(server)
    server.start()
    asked = ["rebuild", "--url", server.url, "--token", server.token("platform"), "--partition",
             partition]
    client = run(*asked)
    assert client.returncode == 1 and "cannot be compared" in client.stdout, client
    client = run(*asked, "--accept-difference")
    assert client.returncode == 0 and "nothing was compared" in client.stdout, client
    assert "equal" not in client.stdout
    where = at("programs", "acme", "messages", message)
    assert ok(server.owner().get(where)).json["body"] == "Hello."
    done = run(*asked)
    assert done.returncode == 0 and ", equal at" in done.stdout, done


def change_layout(server, partition, version):
    """As if the read models had been written by another version."""
    key = "0x" + (b"M" + b"version").hex().upper()
    value = ldb(live_of(server, partition), "get", key).strip()
    assert value == "0x04", value
    ldb(live_of(server, partition), "put", key, f"0x{version:02X}")


def test_one_at_a_time_and_wrong_input(fleet):
    server = fleet.deployment().start()
    long_log(server, 1_000)
    platform = server.platform()
    assert ok(platform.get(REBUILD)).json == {"state": "none", "partitions": []}
    first = ok(platform.post(REBUILD), 202).json
    second = ok(platform.post(REBUILD), 202)
    assert second.headers["Location"] == REBUILD
    assert first["state"] == "running"
    assert [p["partition"] for p in second.json["partitions"]] == list(range(PARTITIONS))
    check_equal(ended(platform))
    metrics = Metrics(ok(platform.get("/metrics")).body.decode())
    assert PARTITIONS <= metrics.total("tidings_rebuilds_total") < 2 * PARTITIONS + 1

    one = rebuild(platform, partition=2)
    assert [p["partition"] for p in one["partitions"]] == [2]
    for body, pointer, code in [
            ({"partition": 4}, "/partition", "out_of_range"),
            ({"partition": -1}, "/partition", "out_of_range"),
            ({"partition": "0"}, "/partition", "wrong_type"),
            ({"partition": 0.5}, "/partition", "wrong_type"),
            ({"accept_difference": 1}, "/accept_difference", "wrong_type"),
            ({"partitions": [0]}, "/partitions", "unknown_field"),
            ([], "", "wrong_type")]:
        answer = ok(platform.post(REBUILD, body), 422)
        assert answer.pointers == {pointer: code}, (body, answer)
    assert platform.post(REBUILD, body=b"{", headers={"Content-Type": "application/json"}
                         ).status == 400
    assert server.client().post(REBUILD).status == 401
    for client in (server.owner(), server.client(server.token("auditor")),
                   server.partner(PARTNERS[0])):
        assert client.post(REBUILD).status == 403
        assert client.get(REBUILD).status == 403
    assert ok(platform.get(REBUILD)).json["partitions"] == one["partitions"]  # nothing was begun


def test_the_command(fleet):
    server = fleet.deployment().start()
    long_log(server, 500)
    token = server.token("platform")
    done = run("rebuild", "--url", server.url, "--token", token)
    assert done.returncode == 0, done
    for partition in range(PARTITIONS):
        assert f"partition {partition}: the rebuilt read models are live, equal at {partition}:" \
            in done.stdout
    for wrong in (["--url", server.url], ["--token", token], ["--partition", "1"],
                  ["--url", server.url, "--token", token, "--swap"],
                  ["--accept-difference"], ["--url", "nowhere", "--token", token]):
        assert run("rebuild", *wrong).returncode == 2, wrong
    refused = run("rebuild", "--url", server.url, "--token", server.token("auditor"))
    assert refused.returncode == 1 and "403" in refused.stderr, refused
    refused = run("rebuild", "--url", server.url, "--token", token, "--partition", "9")
    assert refused.returncode == 1 and "below 4" in refused.stderr, refused


def test_on_kafka(cluster):
    """Of a decider and of a follower, each of its own read models, while both serve."""
    first, second = cluster.processes(None, None)
    books, callers = open_books(first)
    callers.reach(first.address, second.address)
    ends = []
    with PatientLoad(books, callers, 9) as load:
        load.wait(100)
        for process in (first, second):
            ends.append(rebuild(process.platform()))
            load.wait(50)
    for end in ends:
        check_equal(end, partitions=2)
    assert not books.unavailable and not books.broken, books.troubles()
    settled(books, callers, first)
    settled(books, callers, second)
    wanted = cluster.check_equal()
    change_layout(first, 0, 1)
    first.start()
    second.start()
    until("it says so", lambda: "older version" in first.log())
    assert first.metrics().total("tidings_rebuilds_total") == 0  # the start's own, and once
    assert first.metrics().total("tidings_rebuilds_running") == 0
    assert cluster.check_equal() == wanted
