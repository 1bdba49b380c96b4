"""Exports: loaded by foreign readers as they are, and the same on the command line."""
import csv
import io
import json
import re
import threading
import time

import duckdb
import jsonschema_rs
import pandas
import pytest

from exports import TABLES, export, rows_of
from programs import filtered, import_lines, make_program, named, ok, send
from tidings import at, run

NASTY = ["plain", "a,b", 'say "hi"', "two\nlines", "two\r\nlines", "lone\rreturn", ",", '"', '""',
         "=1+1", "@SUM(A1)", " spaces ", "\ttab", "łódź 日本語 🎉", "a\u2028b", "\ufeffmark",
         "null", "NA", "x" * 65_536]


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


def test_nobody(server):
    """A program without partners and messages: a header and nothing else."""
    make_program(server, people={})
    owner = server.owner()
    for table in TABLES:
        assert export(owner, table) == b""
        body = export(owner, table, format="csv")
        assert body.count(b"\r\n") == 1 and body.startswith(b"message_id,")
        assert len(pandas.read_csv(io.BytesIO(body))) == 0


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
