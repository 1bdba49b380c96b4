"""A start that finds read models of another version: those of an older one are made anew."""
import random
import re
import signal
import socket
import subprocess
import time

import pytest

import tidings
from kafka_fleet import until
from programs import import_lines, make_program, ok
from test_rebuild import PARTITIONS, REBUILD, change_layout, ldb, live_of, long_log, prepare
from tidings import Client, StartFailed, at


def test_a_start_on_an_older_layout_makes_them_anew(fleet):
    server = fleet.deployment().start()
    message = long_log(server, 400)
    assert server.stop() == 0
    wanted = server.digests()
    for partition in range(PARTITIONS):
        change_layout(server, partition, 1)
    report = server.doctor()
    assert report.returncode == 1 and "older version" in report.stdout
    server.start()
    assert "older version" in server.errors.read_text()
    assert ok(server.owner().get(at("programs", "acme", "messages", message))).json
    assert ok(server.client().get("/readyz"))
    assert ok(server.platform().get(REBUILD)).json["state"] == "none"
    assert sorted(f.name for f in (server.directory / "models").iterdir()) == sorted(
        name for p in range(PARTITIONS) for name in (f"p{p}.1", f"p{p}.live"))
    server.restart()
    assert server.stop() == 0
    assert server.digests() == wanted


def test_readiness_while_they_are_made_anew(fleet):
    """Nobody is answered from what is not complete, and how long it will take is said."""
    server = fleet.deployment().start()
    prepare(server)
    for number in range(5):
        import_lines(server.platform(), "acme", [
            {"id": f"i{number}-{n}", "email": f"i{n}@x.example", "tags": ["a", "b"]}
            for n in range(20_000)])
    partners = ok(server.owner().get(at("programs", "acme", "summary"))).json["partners"]
    assert server.stop() == 0
    for partition in range(PARTITIONS):
        change_layout(server, partition, 1)
    token = server.token("owner", "acme")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    not_ready, early = [], []
    with subprocess.Popen([str(tidings.BINARY), "serve", "--data", str(server.directory),
                           "--listen", f"127.0.0.1:{port}"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                assert time.monotonic() < deadline and process.poll() is None
                client = Client(("127.0.0.1", port), token)
                try:
                    ready = client.get("/readyz")
                    summary = client.get(at("programs", "acme", "summary"))
                except ConnectionError:
                    continue
                finally:
                    client.close()
                if summary.status == 200:
                    break
                assert ready.status == 503  # nobody is sent here before there are answers
                not_ready.append(ready)
                early.append(summary)
        finally:
            process.send_signal(signal.SIGTERM)
    assert summary.json["partners"] == partners
    assert all(answer.code == "not_caught_up" for answer in early)
    told = [a.json["detail"] for a in not_ready if a.status == 503]
    assert any("makes its read models anew" in one for one in told), told


def test_a_kill_while_an_older_layout_is_left(fleet):
    """Either generation is live at every moment."""
    server = fleet.deployment().start()
    message = long_log(server, 2_000)
    assert server.stop() == 0
    wanted = server.digests()
    for partition in range(PARTITIONS):
        change_layout(server, partition, 1)
    chance = random.Random(3)
    for _ in range(4):
        with open(server.errors, "ab") as errors:
            process = subprocess.Popen(
                [str(tidings.BINARY), "serve", "--data", str(server.directory), "--listen",
                 "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=errors)
        time.sleep(0.05 + chance.random() * 0.3)
        process.kill()
        process.wait()
    server.start()
    assert ok(server.owner().get(at("programs", "acme", "messages", message))).json
    assert server.stop() == 0
    assert server.digests() == wanted


def test_a_newer_layout_is_refused(fleet):
    server = fleet.deployment().start()
    make_program(server)
    assert server.stop() == 0
    change_layout(server, 0, 99)
    with pytest.raises(StartFailed, match="newer version"):
        server.start()
    change_layout_back = ldb(live_of(server, 0), "get", "0x4D76657273696F6E").strip()
    assert change_layout_back == "0x63"  # nothing was repaired in silence
