"""Exports: loaded by foreign readers as they are, consistent while the program lives, the same in
the past and on the command line."""
import contextlib
import csv
import http.client
import io
import json
import random
import re
import threading
import time

import duckdb
import pandas
import pytest

from programs import filtered, import_lines, make_program, named, ok, record_opens, send
from tidings import at, run

TABLES = ["messages", "recipients", "opens", "conversations"]
PARTNERS = 250_000
SIZES = (1, 4096, 4097)
NASTY = ["plain", "a,b", 'say "hi"', "two\nlines", "two\r\nlines", "lone\rreturn", ",", '"', '""',
         "=1+1", "@SUM(A1)", " spaces ", "\ttab", "łódź 日本語 🎉", "a\u2028b", "\ufeffmark", "null", "NA", "x" * 65_536]


def path_of(table, program="acme"):
    return at("programs", program, "exports", table)


def export(client, table, **query):
    """The answer's text."""
    answer = ok(client.get(path_of(table), query=query or None))
    assert re.fullmatch(r"\d+:\d+", answer.position)
    return answer.body


def rows_of(body):
    """Of NDJSON."""
    return [json.loads(line) for line in body.split(b"\n")[:-1]]


def csv_rows(body):
    return list(csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True))


def as_csv(value):
    """What a value of NDJSON is in CSV."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, (bool, float, int)) else value


@pytest.fixture(scope="module")
def lively(module_fleet):
    """A program in which everything has happened: (server, messages)."""
    server = module_fleet.deployment().start()
    platform = make_program(server)
    owner = server.owner()
    ok(platform.put(at("programs", "acme", "partners", "007"),
                    {"email": "bond@x.example", "name": 'J, "007"', "surname": "Bond\u00a0=1"}))
    messages = [send(owner, subject='Say "hi", all', body=text, replies_enabled=True)["id"]
                for text in NASTY]
    messages.append(send(owner, audience=named("grace"))["id"])
    messages.append(send(owner, audience=filtered({"all": [{"tag": "premium"}]}, ["alan"]))["id"])
    grace, bond = server.partner("grace"), server.partner("007")
    for message in messages[:5]:
        ok(grace.post(at("portal", "messages", message, "open")))
    for text in NASTY:
        ok(bond.post(at("portal", "messages", messages[0], "replies"), {"body": text}), 201)
        ok(grace.post(at("portal", "messages", messages[1], "replies"), {"body": text}), 201)
        ok(owner.post(at("programs", "acme", "partners", "grace", "messages", messages[1],
                         "replies"), {"body": text}), 201)
    ok(bond.post(at("portal", "messages", messages[2], "replies"), {"body": "unread"}), 201)
    ok(platform.delete(at("programs", "acme", "partners", "zoe")), 204)
    return server, messages


@pytest.fixture(scope="module")
def files(lively, tmp_path_factory):
    """{(table, format): file}, of one position."""
    server, _ = lively
    root, client = tmp_path_factory.mktemp("exports"), server.owner()
    found = {}
    for table in TABLES:
        for kind in ("csv", "ndjson"):
            found[table, kind] = root / f"{table}.{kind}"
            found[table, kind].write_bytes(export(client, table, format=kind))
    return found


def test_texts_are_exact_in_both_formats(lively, files):
    server, messages = lively
    owner = server.owner()
    for table in TABLES:
        rows = rows_of(files[table, "ndjson"].read_bytes())
        columns = list(rows[0])
        assert all(list(row) == columns for row in rows)
        assert csv_rows(files[table, "csv"].read_bytes()) == [
            {name: as_csv(value) for name, value in row.items()} for row in rows]
    bodies = {r["message_id"]: r["body"] for r in rows_of(files["messages", "ndjson"].read_bytes())}
    assert [bodies[m] for m in messages[:len(NASTY)]] == NASTY
    for message, partner in ((messages[0], "007"), (messages[1], "grace")):
        shown = ok(owner.get(at("programs", "acme", "partners", partner, "messages", message))).json
        posts = [r for r in rows_of(files["conversations", "ndjson"].read_bytes())
                 if (r["message_id"], r["partner_id"]) == (message, partner)]
        assert [(r["post_id"], r["posted_by"], r["author_id"], r["author_name"], r["posted_at"],
                 r["body"]) for r in posts] == [
            (p["id"], p["from"], p["author"]["id"], p["author"]["name"], p["posted_at"], p["body"])
            for p in shown["posts"]]


def test_rows_are_as_the_description_says(lively, files):
    server, _ = lively
    schemas = ok(server.client().get("/v1/openapi.json")).json
    import jsonschema_rs
    for table, name in zip(TABLES, ("Message", "Recipient", "Open", "Post")):
        schema = {"$ref": f"#/components/schemas/Exported{name}", "components": schemas["components"]}
        rows = rows_of(files[table, "ndjson"].read_bytes())
        validator = jsonschema_rs.Draft202012Validator(schema)
        for row in rows:
            validator.validate(row)
        assert list(rows[0]) == schemas["components"]["schemas"][f"Exported{name}"]["required"]


def loaders(files, table):
    """(name, the table as a DuckDB relation), as four foreign readers load it without options."""
    yield "duckdb csv", duckdb.sql(f"SELECT * FROM read_csv_auto('{files[table, 'csv']}')")
    yield "duckdb json", duckdb.sql(f"SELECT * FROM read_json_auto('{files[table, 'ndjson']}')")
    frame = pandas.read_csv(files[table, "csv"])
    yield "pandas csv", duckdb.sql("SELECT * FROM frame")
    frame = pandas.read_json(files[table, "ndjson"], lines=True)
    yield "pandas json", duckdb.sql("SELECT * FROM frame")


def test_foreign_readers_agree_with_the_api(lively, files):
    server, messages = lively
    owner = server.owner()
    shown = {m: ok(owner.get(at("programs", "acme", "messages", m))).json for m in messages}
    stats = {m: (s["recipients"], s["opens"], s["replied"], s["unread_replies"])
             for m, s in ((m, shown[m]["stats"]) for m in messages)}
    rates = {m: shown[m]["stats"]["open_rate"] for m in messages}
    columns = {t: list(rows_of(files[t, "ndjson"].read_bytes())[0]) for t in TABLES}
    for name, table in loaders(files, "messages"):
        assert table.columns == columns["messages"], name
        got = table.select("message_id, recipients, opens, replied, unread_replies").fetchall()
        assert [g[0] for g in got] == messages, name
        assert {m: tuple(rest) for m, *rest in got} == stats, name
        assert dict(table.select("message_id, open_rate").fetchall()) == rates, name
        assert len(table.filter("replies_enabled").fetchall()) == len(NASTY), name
        premium = table.filter("audience_type = 'filter'").select(
            "audience->>'$.filter.all[0].tag'").fetchall()
        assert premium == [("premium",)], name
    for name, table in loaders(files, "recipients"):
        assert table.columns == columns["recipients"], name
        got = table.aggregate(
            "message_id, count(*), count(opened_at), sum(replied::INT), sum(unread_replies)",
            "message_id").fetchall()
        assert {m: tuple(map(int, rest)) for m, *rest in got} == stats, name
        got = table.aggregate("message_id, avg(opened::INT)", "message_id").fetchall()
        assert dict(got) == pytest.approx(rates), name
        assert len(table.filter("status = 'deleted'").fetchall()) == len(NASTY), name
    for name, table in loaders(files, "opens"):
        assert table.columns == columns["opens"], name
        got = dict(table.aggregate("message_id, count(opened_at)", "message_id").fetchall())
        assert got == {m: s[1] for m, s in stats.items() if s[1]}, name
    for name, table in loaders(files, "conversations"):
        assert table.columns == columns["conversations"], name
        got = dict(table.filter("posted_by = 'partner'").aggregate(
            "message_id, count(DISTINCT partner_id)", "message_id").fetchall())
        assert got == {m: s[2] for m, s in stats.items() if s[2]}, name
        assert len(table.fetchall()) == 3 * len(NASTY) + 1, name


def test_times_and_truths_are_found_without_help(files):
    for table, times, truths in (("messages", ["sent_at"], ["replies_enabled"]),
                                 ("recipients", ["sent_at", "opened_at", "first_replied_at",
                                                 "last_replied_at"], ["opened", "replied"]),
                                 ("opens", ["sent_at", "opened_at"], []),
                                 ("conversations", ["posted_at"], [])):
        for reader, kind in (("read_csv_auto", "csv"), ("read_json_auto", "ndjson")):
            loaded = duckdb.sql(f"SELECT * FROM {reader}('{files[table, kind]}')")
            types = dict(zip(loaded.columns, map(str, loaded.types)))
            assert {types[c] for c in times} == {"TIMESTAMP WITH TIME ZONE"}, types
            assert {types[c] for c in truths} <= {"BOOLEAN"}, types
        frame = pandas.read_json(files[table, "ndjson"], lines=True)
        assert all(str(frame[c].dtype).startswith("datetime64[") for c in times), frame.dtypes
        assert all(frame[c].dtype == bool for c in truths), frame.dtypes
    ids = duckdb.sql(f"SELECT DISTINCT partner_id FROM read_json_auto('{files['opens', 'ndjson']}')")
    assert ("007",) in ids.fetchall()


def test_recipients_are_those_of_the_list(lively, files):
    server, messages = lively
    owner, rows = server.owner(), rows_of(files["recipients", "ndjson"].read_bytes())
    for message in messages:
        listed = owner.pages(at("programs", "acme", "messages", message, "recipients"))
        mine = [r for r in rows if r["message_id"] == message]
        assert [(r["partner"]["id"], r["partner"]["email"], r["partner"]["name"],
                 r["partner"]["surname"], r["partner"]["status"], r["opened_at"],
                 r["first_replied_at"], r["last_replied_at"], r["unread_replies"])
                for r in listed] == [
            (r["partner_id"], r["email"], r["name"], r["surname"], r["status"], r["opened_at"],
             r["first_replied_at"], r["last_replied_at"], r["unread_replies"]) for r in mine]
        for table in TABLES[1:]:
            alone = rows_of(export(owner, table, message=message))
            assert alone == [r for r in rows_of(files[table, "ndjson"].read_bytes())
                             if r["message_id"] == message]


def test_the_command_line_writes_the_same(lively, files, tmp_path):
    server, messages = lively
    owner = server.token("owner", "acme")
    for table in TABLES:
        for kind in ("csv", "ndjson"):
            expected = files[table, kind].read_bytes()
            rows = len(rows_of(files[table, "ndjson"].read_bytes()))
            for source in (["--data", server.directory], ["--url", server.url, "--token", owner]):
                out = tmp_path / "out"
                result = run("export", table, "--program", "acme", "--format", kind, "--out", out,
                             *source)
                assert result.returncode == 0, result.stderr
                assert out.read_bytes() == expected
                assert re.search(rf"^{rows} rows of {table}, .* rows/s$", result.stderr, re.M)
    result = run("export", "opens", "--data", server.directory, "--message", messages[0])
    assert result.returncode == 0, result.stderr
    assert result.stdout.encode() == export(server.owner(), "opens", message=messages[0])
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_wrong_use_of_the_command_leaves_no_file(lively, tmp_path):
    server, messages = lively
    here, out = ["--data", server.directory, "--program", "acme"], ["--out", tmp_path / "out"]
    served = ["--url", server.url, "--token"]
    for status, message, arguments in (
            (2, "TABLE", ["partners", *here]),
            (2, "--format", ["opens", *here, "--format", "parquet"]),
            (2, "--message is for the other tables", ["messages", *here, "--message", messages[0]]),
            (2, "--as-of", ["opens", *here, "--as-of", "yesterday"]),
            (2, "--as-of", ["opens", *here, "--as-of", "0:999999"]),
            (2, "--token", ["opens", "--program", "acme", "--url", server.url]),
            (2, "--program", ["opens", *served, server.token("owner", "acme")]),
            (2, "excludes", ["opens", *here, *served, "x"]),
            (1, "no such message", ["opens", *here, "--message", "msg_" + 32 * "0"]),
            (1, "no such program", ["opens", "--data", server.directory, "--program", "none"]),
            (1, "401 unauthenticated", ["opens", "--program", "acme", *served, "x"]),
            (1, "403 forbidden", ["opens", "--program", "acme", *served,
                                  server.token("partner", "acme", "grace")]),
            (1, "cannot connect", ["opens", "--program", "acme", "--url", "http://127.0.0.1:1",
                                   "--token", "x"])):
        result = run("export", *arguments, *out)
        assert (result.returncode, list(tmp_path.iterdir())) == (status, []), result.stderr
        assert message in result.stderr, result.stderr
    for target in (tmp_path / "none" / "out", tmp_path):
        result = run("export", "opens", *here, "--out", target)
        assert result.returncode in (1, 2) and "tidings: " in result.stderr
    full = run("export", "conversations", *here, "--out", "/dev/full")
    assert full.returncode == 2 and "is no file" in full.stderr


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


def test_nobody(server):
    """A program without partners and messages: a header and nothing else."""
    make_program(server, people={})
    owner = server.owner()
    for table in TABLES:
        assert export(owner, table) == b""
        body = export(owner, table, format="csv")
        assert body.count(b"\r\n") == 1 and body.startswith(b"message_id,")
        assert len(pandas.read_csv(io.BytesIO(body))) == 0


def test_an_export_while_opens_arrive_is_of_its_position(wide, tmp_path):
    server, messages, _ = wide
    auditor, message = server.client(server.token("auditor")), messages[PARTNERS]
    unopened = [r["partner_id"] for r in rows_of(export(auditor, "recipients", message=message))
                if not r["opened"]]
    done = threading.Event()

    def flood():
        platform = server.platform()
        for begin in range(0, len(unopened), 200):
            if done.is_set():
                return
            record_opens(platform, "acme", [(message, p) for p in unopened[begin:begin + 200]])

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


class Begun:
    """An export whose answer has begun, and of which nothing is read unless asked for."""

    def __init__(self, server, table="recipients"):
        self.connection = http.client.HTTPConnection(*server.address, timeout=120)
        token = server.token("owner", "acme")
        self.connection.request("GET", path_of(table), headers={"Authorization": f"Bearer {token}"})
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def close(self):
        self.connection.close()
        self.response.close()


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


def test_as_many_at_a_time_as_there_are_places(wide):
    """Readers that go away in the middle give theirs back."""
    server, _, _ = wide
    with contextlib.ExitStack() as stack:
        begun = [stack.enter_context(contextlib.closing(Begun(server))) for _ in range(16)]
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


def test_a_download_that_is_cut_off_leaves_no_file(fleet, tmp_path):
    deployment = fleet.deployment()
    server = deployment.start()
    platform = make_program(server, people={})
    import_lines(platform, "acme", ({"id": f"p{n}", "email": f"p{n}@x.example"}
                                    for n in range(100_000)))
    owner = server.owner()
    for _ in range(10):
        send(owner)
    token, url = server.token("owner", "acme"), server.url
    results = []
    reader = threading.Thread(target=lambda: results.append(run(
        "export", "recipients", "--program", "acme", "--url", url, "--token", token, "--out",
        tmp_path / "out")))
    reader.start()
    deadline = time.monotonic() + 60
    while not [p for p in tmp_path.glob("out.part-*") if p.stat().st_size > 0]:
        assert time.monotonic() < deadline and not results, results
    server.kill()
    reader.join()
    assert results[0].returncode == 1 and "cut off" in results[0].stderr, results[0].stderr
    assert not list(tmp_path.glob("out*"))
    server.start()
