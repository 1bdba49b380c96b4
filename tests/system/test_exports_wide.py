"""Exports of audiences of 1, both sides of the row limit, and 250,000: consistent while the program
lives, of readers slow and fast, beside the thread's other connections."""
import contextlib
import http.client
import random
import re
import threading
import time

import duckdb
import pytest

from exports import Begun, export, path_of, rows_of
from programs import filtered, import_lines, make_program, ok, record_opens, send
from tidings import at, run

PARTNERS = 250_000
SIZES = (1, 4096, 4097)


@pytest.fixture(scope="module")
def wide(module_fleet, tmp_path_factory):
    """250,000 partners, messages to 1, 4096, 4097 and all of them, on one io thread."""
    config = tmp_path_factory.mktemp("wide") / "tidings.toml"
    config.write_text("[http]\nio_threads = 1\nwrite_timeout_ms = 4000\n")
    server, chance = module_fleet.deployment("--config", config).start(), random.Random(5)
    platform = make_program(server, people={})
    tags = {}
    for size in SIZES:
        for n in chance.sample(range(PARTNERS), size):
            tags.setdefault(n, []).append(f"size-{size}")
    assert import_lines(platform, "acme", (
        {"id": f"p{n}", "email": f"p{n}@x.example", "name": f"Name {n}", "tags": tags.get(n, [])}
        for n in range(PARTNERS)))["created"] == PARTNERS
    owner = server.owner()
    messages = {size: send(owner, audience=filtered({"tag": f"size-{size}"}),
                           replies_enabled=True)["id"] for size in SIZES}
    messages[PARTNERS] = send(owner, replies_enabled=True)["id"]
    members = {size: [n for n in range(PARTNERS) if f"size-{size}" in tags.get(n, ())]
               for size in SIZES}
    members[PARTNERS] = range(PARTNERS)
    opens = [(messages[size], f"p{n}") for size in members
             for n in chance.sample(members[size], (len(members[size]) + 1) // 2)]
    assert record_opens(platform, "acme", opens)["first_opens"] == len(opens)
    for n in chance.sample(range(PARTNERS), 20):
        ok(server.partner(f"p{n}").post(at("portal", "messages", messages[PARTNERS], "replies"),
                                        {"body": "A"}), 201)
    return server, messages, members


@pytest.mark.parametrize("size", [*SIZES, PARTNERS])
def test_audience_sizes(wide, size):
    server, messages, members = wide
    owner = server.owner()
    stats = ok(owner.get(at("programs", "acme", "messages", messages[size]))).json["stats"]
    began = time.monotonic()
    recipients = rows_of(export(owner, "recipients", message=messages[size]))
    took = time.monotonic() - began
    print(f"{size} recipients: {took * 1e3:.0f} ms, {size / took:,.0f} rows/s with their parsing")
    assert [r["partner_id"] for r in recipients] == [f"p{n}" for n in members[size]]
    assert [r["email"] for r in recipients] == [f"p{n}@x.example" for n in members[size]]
    opened = [r for r in recipients if r["opened"]]
    replied = [r for r in recipients if r["replied"]]
    assert (len(opened), len(replied)) == (stats["opens"], stats["replied"])
    assert all((r["opened_at"] is not None) == r["opened"] for r in recipients)
    assert [(r["partner_id"], r["opened_at"]) for r in rows_of(
        export(owner, "opens", message=messages[size]))] == [
            (r["partner_id"], r["opened_at"]) for r in opened]
    assert len(rows_of(export(owner, "conversations", message=messages[size]))) == len(replied)


def test_what_comes_late_in_a_wide_table_is_loaded_too(wide, tmp_path):
    """Nobody among the rows that DuckDB looks at first has replied; docs/exports.md says how."""
    server, _, members = wide
    owner, late = server.owner(), members[PARTNERS][-1]
    message = send(owner, subject="Late", replies_enabled=True)["id"]
    ok(server.partner(f"p{late}").post(at("portal", "messages", message, "replies"),
                                       {"body": "A"}), 201)
    for kind in ("csv", "ndjson"):
        (tmp_path / kind).write_bytes(export(owner, "recipients", message=message, format=kind))
    shown, = ok(owner.get(at("programs", "acme", "messages", message, "recipients"),
                          query={"state": "replied"})).json["data"]
    for reader in (f"read_csv_auto('{tmp_path / 'csv'}')",
                   f"read_json_auto('{tmp_path / 'ndjson'}', sample_size=-1)"):
        assert duckdb.sql(f"SELECT partner_id, strftime(last_replied_at::TIMESTAMP, '%xT%X.%gZ') "
                          f"FROM {reader} WHERE replied").fetchall() == [
            (f"p{late}", shown["last_replied_at"])]
    without_help = f"read_json_auto('{tmp_path / 'ndjson'}')"
    assert duckdb.sql(f"SELECT count(*), sum(opened::INT), sum(replied::INT) FROM {without_help}"
                      ).fetchall() == [(PARTNERS, 1, 1)]


def test_an_export_while_opens_arrive_is_of_its_position(wide, tmp_path):
    server, messages, _ = wide
    auditor, message = server.client(server.token("auditor")), messages[PARTNERS]
    unopened = [r["partner_id"] for r in rows_of(export(auditor, "recipients", message=message))
                if not r["opened"]]
    done = threading.Event()

    def flood():
        platform = server.platform()
        for begin in range(0, len(unopened), 25):
            if done.is_set():
                return
            record_opens(platform, "acme", [(message, p) for p in unopened[begin:begin + 25]])

    writer = threading.Thread(target=flood)
    writer.start()
    try:
        seen = []
        for _ in range(5):
            for table in ("recipients", "opens"):
                answer = ok(auditor.get(path_of(table), query={"message": message}))
                opens = len(re.findall(rb'"opened_at":"', answer.body))
                seen.append((table, answer.position, opens, answer.body))
    finally:
        done.set()
        writer.join()
    assert len({position for _, position, _, _ in seen}) > 3, "nothing was written meanwhile"
    for table, position, opens, body in seen:
        stats = ok(auditor.get(at("programs", "acme", "messages", message),
                               query={"as_of": position})).json["stats"]
        assert (opens, stats["recipients"]) == (stats["opens"], PARTNERS)
        if table == "recipients":
            assert body.count(b"\n") == PARTNERS
    table, position, _, body = seen[0]
    assert export(auditor, table, message=message, as_of=position) == body
    result = run("export", table, "--data", server.directory, "--program", "acme", "--as-of",
                 position, "--message", message, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out").read_bytes() == body


def test_the_thread_serves_others_meanwhile(wide):
    """One io thread: requests beside an export that is read at full speed."""
    server, messages, _ = wide
    client, slowest, done = server.owner(), 0.0, threading.Event()
    bytes_read = []

    def read():
        reader = server.client(server.token("owner", "acme"))
        while not done.is_set():
            bytes_read.append(len(export(reader, "recipients")))

    reader = threading.Thread(target=read)
    reader.start()
    count = 0
    try:
        while len(bytes_read) < 2:
            began = time.monotonic()
            ok(client.get(at("programs", "acme", "messages", messages[1])))
            slowest, count = max(slowest, time.monotonic() - began), count + 1
    finally:
        done.set()
        reader.join()
    print(f"{count} requests beside {len(bytes_read)} exports; slowest {slowest * 1e3:.1f} ms")
    assert count > 100 and slowest < 1.0


def test_memory_stays_bounded(wide):
    server, _, _ = wide
    server.restart()
    export(server.owner(), "opens", format="csv")
    before = server.resident_peak_kib()
    body = export(server.owner(), "recipients", format="csv")
    grown = server.resident_peak_kib() - before
    print(f"{len(body) / 2**20:.0f} MiB exported, peak grew by {grown} KiB")
    assert len(body) > 32 << 20 and grown < 16 << 10


def test_a_stop_cuts_an_export_off(wide):
    server, _, _ = wide
    with contextlib.closing(Begun(server)) as begun:
        server.restart()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            while begun.response.read(1 << 20):
                pass


def test_a_slow_reader_gets_it_all(wide):
    server, _, _ = wide
    expected, body = export(server.owner(), "recipients"), b""
    with contextlib.closing(Begun(server)) as slow:
        while piece := slow.response.read(4 << 20):
            body += piece
            time.sleep(0.5)  # altogether longer than the server waits for a reader that stands still
    assert body == expected


def test_as_many_at_a_time_as_a_program_has_places(wide):
    """Readers that go away in the middle give theirs back."""
    server, _, _ = wide
    with contextlib.ExitStack() as stack:
        begun = [stack.enter_context(contextlib.closing(Begun(server))) for _ in range(4)]
        assert {one.status for one in begun} == {200}
        answer = server.owner().get(path_of("opens"))
        assert (answer.status, answer.code) == (503, "overloaded"), answer
        assert answer.headers["Retry-After"]
        begun[0].close()
        deadline = time.monotonic() + 30
        while server.owner().get(path_of("opens")).status != 200:
            assert time.monotonic() < deadline
    export(server.owner(), "recipients")


def test_a_reader_that_stands_still_is_cut_off(wide):
    """And can tell that it has not got everything."""
    server, _, _ = wide
    timeouts = re.compile(r"^tidings_http_timeouts_total (\d+)", re.M)

    def count():
        return int(timeouts.search(server.client().get("/metrics").body.decode())[1])

    before = count()
    with contextlib.closing(Begun(server)) as still:
        deadline = time.monotonic() + 60
        while count() == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            while still.response.read(1 << 20):
                pass
