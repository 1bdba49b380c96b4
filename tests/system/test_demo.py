"""`serve --demo`: a load that was killed is completed, and nobody else is served before it is.

What the demo holds and prints: test_cli.py.
"""
import csv
import socket
import subprocess
import time

import pytest

import tidings
from programs import ok
from tidings import at, run

PROGRAM = at("programs", "acme")
COMPLETE = "Acme Analytics"
PATIENCE_S = 120


def begin(server, port=0):
    """`serve --demo`, without waiting for it."""
    return subprocess.Popen(
        [str(tidings.BINARY), "serve", "--data", str(server.directory), "--demo",
         "--listen", f"127.0.0.1:{port}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)


def log_bytes(server):
    """Of the write-ahead logs; 0 while they are being made."""
    try:
        return sum(f.stat().st_size for f in server.directory.glob("log/p*/*.log"))
    except FileNotFoundError:
        return 0


def commands(server):
    result = run("log", "cat", "--data", server.directory)
    assert result.returncode == 0, result.stderr
    return len(result.stdout.splitlines())


def seen(server):
    """What users see, but for times and ids."""
    owner = server.owner()
    messages = owner.pages(PROGRAM + "/messages")
    found = {"summary": ok(owner.get(PROGRAM + "/summary")).json,
             "name": ok(server.platform().get(PROGRAM)).json["name"],
             "partners": {p["id"]: {**p, "joined_at": None}
                          for p in owner.pages(PROGRAM + "/partners", status="all")},
             "messages": [(m["subject"], m["stats"]) for m in messages]}
    for message in messages:
        path = f"{PROGRAM}/messages/{message['id']}/recipients"
        table = ok(owner.get(path, headers={"Accept": "text/csv"})).body.decode()
        talks = []
        for row in csv.DictReader(table.splitlines()):
            found[message["subject"], row["partner_id"]] = (bool(row["opened_at"]),
                                                            row["unread_replies"])
            if row["first_replied_at"]:
                talks.append(row["partner_id"])
        for partner in talks:
            talk = ok(owner.get(f"{PROGRAM}/partners/{partner}/messages/{message['id']}")).json
            found[message["subject"], partner, "posts"] = [(p["from"], p["body"])
                                                           for p in talk["posts"]]
    for partner in ("p-1063", "p-1007", "p-1009"):
        found[partner] = ok(server.partner(partner).get("/v1/portal/summary")).json
    return found


@pytest.fixture(scope="module")
def whole(module_fleet):
    """A load that nothing disturbed: what is seen of it, its commands, its bytes."""
    server = module_fleet.deployment("--demo").start()
    result = seen(server)
    count, size = commands(server), log_bytes(server)
    assert result["name"] == COMPLETE and len(result["messages"]) == 7 and count > 20
    return result, count, size


def kill_in_the_middle(fleet, size, count, part):
    """A directory on which a load was killed when `part` of its log was written."""
    for _ in range(20):
        server = fleet.deployment("--demo")
        with begin(server) as process:
            deadline = time.monotonic() + PATIENCE_S
            while (log_bytes(server) < size * part and process.poll() is None
                   and time.monotonic() < deadline):
                pass
            process.kill()
            listened = "listening on" in process.stdout.read()
        if not listened and 0 < commands(server) < count:
            return server
    raise AssertionError("no kill hit the middle of a load")


@pytest.mark.parametrize("part", [0.2, 0.6, 0.9])
def test_a_killed_load_is_completed(fleet, whole, part):
    wanted, count, size = whole
    server = kill_in_the_middle(fleet, size, count, part)
    server.start()
    assert seen(server) == wanted
    before = commands(server)
    server.restart()
    assert commands(server) == before  # complete now: a third start has nothing to do


def test_nobody_else_is_served_before_the_demo_is_complete(fleet):
    """What others send must not be stamped in the demo's past."""
    server = fleet.deployment("--demo")
    token = server.token("platform")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with begin(server, port) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            answer = None
            while answer is None or answer.code == "not_caught_up":  # it is starting
                assert time.monotonic() < deadline and process.poll() is None
                client = tidings.Client(("127.0.0.1", port), token)
                try:
                    answer = client.get(PROGRAM)
                except ConnectionError:
                    continue
                finally:
                    client.close()
        finally:
            process.kill()
    assert ok(answer).json["name"] == COMPLETE
