"""The README's walk-through, and one check per requirement of the product: M1 to M17."""
import json
import os
import re
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

import tidings
from kafka_fleet import Together
from programs import ACTIVE, filtered, make_program, named, ok, send
from tidings import at

WHOLE = os.environ.get("TIDINGS_KAFKA_WALKTHROUGH") == "whole"
MESSAGES = at("programs", "acme", "messages")


@pytest.fixture(params=["embedded", "kafka", "roles", "brokers"])
def server(request):
    """One process with its own log; one process on Kafka; three with a role each; one on three
    brokers (without TIDINGS_KAFKA_WALKTHROUGH=whole the README's walk-through alone)."""
    if request.param == "brokers" and not (
            WHOLE or request.function is test_readme_walkthrough):
        pytest.skip("TIDINGS_KAFKA_WALKTHROUGH=whole runs it")
    if request.param == "embedded":
        return request.getfixturevalue("fleet").deployment(name="data").start()
    broker = request.getfixturevalue("three_brokers" if request.param == "brokers" else "kafka")
    roles = ["api", "decider", "projector"] if request.param == "roles" else [None]
    return Together(request.getfixturevalue("make_cluster")(broker, partitions=1), *roles).start()


@pytest.fixture
def acme(server):
    make_program(server)
    return server


def inbox(server, partner, **query):
    return ok(server.partner(partner).get("/v1/portal/messages", query=query)).json["data"]


def stats(owner, message):
    return ok(owner.get(at("programs", "acme", "messages", message))).json["stats"]


def open_message(server, partner, message):
    return ok(server.partner(partner).post(at("portal", "messages", message, "open"))).json


def reply(server, partner, message, body="Thank you."):
    answer = server.partner(partner).post(at("portal", "messages", message, "replies"),
                                          {"body": body})
    return ok(answer, 201).json


SHOWN = re.compile(r"^# -> (.*)$", re.M)


def check_walkthrough(server, part, directory):
    """Runs all commands; what a comment shows is in the answer right above it, and an error is
    an answer only where one is shown."""
    blocks = re.findall(r"```sh\n(.*?)```", part, re.S)
    script = "set -euo pipefail\n" + "\ncat <<'END'\n\n===\nEND\n".join(
        SHOWN.sub(lambda match: f"cat <<'END'\n\n===> {match[1]}\nEND", block)
        for block in blocks)
    script = script.replace("http://127.0.0.1:8080", server.url)
    script = script.replace("build/tidings", str(tidings.BINARY))
    script = script.replace("./data", str(server.keys))
    result = subprocess.run(["bash", "-c", script], cwd=directory, capture_output=True, text=True,
                            timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line] + ["==="]
    for line, after in zip(lines, lines[1:]):
        if line.startswith("==="):
            assert not after.startswith("===> "), f"no answer above {after}"
            continue
        shown = after.removeprefix("===> ") if after.startswith("===> ") else ""
        assert shown in line, (shown, line)
        is_problem = json.loads(line).get("type", "").startswith("urn:tidings:problem:")
        assert is_problem == shown.startswith('"code":'), (shown, line)
    return len(blocks), len(SHOWN.findall(part))


def walkthrough_of_readme():
    text = (tidings.ROOT / "README.md").read_text()
    part = text[text.index("## A walk through"):]
    return part[:part.index("\n## ", 5)]


def test_readme_walkthrough(server, tmp_path):
    """Every command block of the README's walk-through runs as it stands, on a free port."""
    blocks, shown = check_walkthrough(server, walkthrough_of_readme(), tmp_path)
    assert blocks >= 8 and shown >= 12


@pytest.mark.parametrize("right,wrong", [
    ('# -> "recipients":3', '# -> "first":true'),            # shown by another block only
    ('# -> "count":1', '# -> "count":2'),
    ('# -> "code":"plan_required"\n', ""),                    # an error that nothing tells of
    ('{"email":"grace@hopper.example",', '{"email":"grace",'),  # refused, and nothing shown there
])
def test_a_wrong_walkthrough_is_noticed(fleet, tmp_path, right, wrong):
    server = fleet.deployment(name="data").start()
    part = walkthrough_of_readme()
    assert part.count(right) == 1
    with pytest.raises(AssertionError):
        check_walkthrough(server, part.replace(right, wrong), tmp_path)


def test_m1_send_with_subject_and_body(acme):
    owner = acme.owner(sub="olivia", name="Olivia Owner")
    sent = send(owner, subject="S" * 200, body="ł" * 32_768)
    assert sent["subject"] == "S" * 200 and sent["body"] == "ł" * 32_768
    for field, bad in (("subject", ""), ("subject", " \u2003\t"), ("subject", "S" * 201),
                       ("body", ""), ("body", "\n \u00a0"), ("body", "ł" * 32_769)):
        answer = owner.post(MESSAGES, {"subject": "News", "body": "Hello.", field: bad})
        assert (answer.status, answer.code) == (422, "invalid"), (field, bad[:9])
        assert list(answer.pointers) == [f"/{field}"]
    assert len(ok(owner.get(MESSAGES)).json["data"]) == 1


def test_m2_all_partners_is_the_default(acme):
    owner = acme.owner()
    sent = send(owner)
    assert sent["audience"]["type"] == "all" and sent["stats"]["recipients"] == 3
    recipients = owner.pages(at("programs", "acme", "messages", sent["id"], "recipients"))
    assert [r["partner"]["id"] for r in recipients] == ACTIVE
    assert send(owner, audience={"type": "all"})["audience"]["digest"] == sent["audience"]["digest"]
    assert inbox(acme, "pat") == [] and inbox(acme, "arc") == []


def test_m3_specific_partners_by_name_or_email(acme):
    owner = acme.owner()
    for text, expected in (("HOPPER", ["grace"]), ("grace hop", ["grace"]), ("ząb", ["zoe"]),
                           ("ZĄB", ["zoe"]), ("@TURING", ["alan"]), ("an", ["alan"]),
                           ("łódź", ["zoe"]), ("zo", ["zoe"]), ("nobody", []),
                           ("e", ["grace", "alan", "zoe"]), ("pending", [])):
        found = owner.pages(at("programs", "acme", "partners"), query=text)
        assert [p["id"] for p in found] == expected, text
    found = owner.pages(at("programs", "acme", "partners"), query="pending", status="all")
    assert [p["id"] for p in found] == ["pat"]
    sent = send(owner, audience=named("zoe", "grace", "zoe"))
    assert sent["stats"]["recipients"] == 2
    assert inbox(acme, "zoe") and inbox(acme, "grace") and not inbox(acme, "alan")
    for bad, place in ((["grace", "nobody"], 1), (["pat"], 0), (["zoe", "grace", "arc"], 2)):
        answer = owner.post(MESSAGES, {"subject": "S", "body": "B", "audience": named(*bad)})
        assert (answer.status, answer.code) == (422, "unknown_partner"), bad
        assert list(answer.pointers) == [f"/audience/partners/{place}"]


def preview(owner, audience):
    return ok(owner.post(at("programs", "acme", "audiences"), {"audience": audience})).json


def test_m4_filtered_reviewed_then_sent(acme):
    owner = acme.owner()
    first = send(owner)["id"]
    open_message(acme, "grace", first)
    cases = (
        ({"tag": "premium"}, ["grace", "alan"]),
        ({"all": [{"tag": "premium"}, {"not": {"tag": "integration"}}]}, ["grace"]),
        ({"any": [{"tag": "premium"}, {"metric": "clicks", "op": ">=", "value": 700}]}, ACTIVE),
        ({"metric": "clicks", "op": "<", "value": 700}, ["alan"]),
        ({"metric": "sales", "op": "=", "value": 0}, ["zoe"]),
        ({"metric": "revenue", "op": ">", "value": "99.98", "currency": "USD"}, ["grace"]),
        ({"metric": "commission", "op": "!=", "value": "29.997", "currency": "USD"},
         ["alan", "zoe"]),
        ({"joined": "before", "at": "2025-02-05T09:00:00.000Z"}, ["grace"]),
        ({"joined": "after", "at": "2025-02-05T09:00:00Z"}, ["zoe"]),
        ({"engagement": "opened", "message": first}, ["grace"]),
        ({"engagement": "not_opened", "message": first}, ["alan", "zoe"]),
        ({"engagement": "replied", "message": first}, []),
        ({"not": {"any": []}}, ACTIVE),
    )
    for rule, expected in cases:
        seen = preview(owner, filtered(rule))
        assert seen["count"] == len(expected), rule
        assert [p["id"] for p in seen["data"]] == expected, rule

    seen = preview(owner, filtered({"tag": "premium"}, exclude=["grace"]))
    assert [p["id"] for p in seen["data"]] == ["alan"]
    sent = send(owner, audience=filtered({"tag": "premium"}, exclude=["grace"]),
                expect_digest=seen["digest"])
    assert sent["audience"]["digest"] == seen["digest"]
    assert len(inbox(acme, "alan")) == 2 and len(inbox(acme, "grace")) == 1

    reviewed = preview(owner, filtered({"tag": "premium"}))["digest"]
    ok(acme.platform().patch(at("programs", "acme", "partners", "zoe"), {"tags": ["premium"]}))
    answer = owner.post(MESSAGES, {"subject": "S", "body": "B", "expect_digest": reviewed,
                                   "audience": filtered({"tag": "premium"})})
    assert (answer.status, answer.code) == (409, "audience_changed")
    answer = owner.post(MESSAGES, {"subject": "S", "body": "B",
                                   "audience": filtered({"tag": "nobody has it"})})
    assert (answer.status, answer.code) == (422, "audience_empty")
    assert len(ok(owner.get(MESSAGES)).json["data"]) == 2


def test_m5_replies_are_chosen_at_send(acme):
    owner = acme.owner()
    assert send(owner)["replies_enabled"] is False
    for chosen in (True, False):
        sent = send(owner, replies_enabled=chosen)
        assert sent["replies_enabled"] is chosen
        assert inbox(acme, "grace")[0]["can_reply"] is chosen
        answer = owner.request("PATCH", at("programs", "acme", "messages", sent["id"]), {})
        assert answer.status == 405


def test_m6_in_every_inbox_when_the_send_returns(acme):
    owner = acme.owner()
    portals = {p: acme.partner(p) for p in ACTIVE}
    for count in range(1, 30):
        sent = send(owner, subject=f"News {count}")
        for portal in portals.values():
            assert ok(portal.get("/v1/portal/summary")).json == {"unread": count, "total": count}
            row = ok(portal.get("/v1/portal/messages?limit=1")).json["data"][0]
            assert row["id"] == sent["id"] and row["unread"] is True


def facts(server):
    """What the log holds, one JSON text each: from the log itself, or from the topic made of it."""
    if isinstance(server, Together):
        return server.published()
    assert server.stop() == 0
    log = tidings.run("log", "cat", "--json", "--data", server.directory)
    assert log.returncode == 0, log.stderr
    return log.stdout.splitlines()


def test_m7_only_with_a_plan_that_has_messaging(acme):
    owner, platform = acme.owner(), acme.platform()
    before = send(owner, replies_enabled=True)
    assert before["audience"]["plan"] == "partner"
    reply(acme, "grace", before["id"], "While I may.")
    ok(platform.put(at("programs", "acme"), {"name": "Acme", "plan": "starter"}))

    answer = owner.post(MESSAGES, {"subject": "S", "body": "B"})
    assert (answer.status, answer.code) == (403, "plan_required")
    answer = acme.partner("alan").post(at("portal", "messages", before["id"], "replies"),
                                       {"body": "May I?"})
    assert (answer.status, answer.code) == (403, "plan_required")
    answer = owner.post(at("programs", "acme", "partners", "grace", "messages", before["id"],
                           "replies"), {"body": "Back to you."})
    assert (answer.status, answer.code) == (403, "plan_required")

    assert stats(owner, before["id"])["replied"] == 1
    assert preview(owner, {"type": "all"})["count"] == 3
    conversation = ok(acme.partner("alan").get(at("portal", "messages", before["id"]))).json
    assert conversation["can_reply"] is False and conversation["posts"] == []
    assert open_message(acme, "alan", before["id"])["first"] is True

    ok(platform.put(at("programs", "acme"), {"name": "Acme", "plan": "advanced"}))
    assert send(owner)["audience"]["plan"] == "advanced"
    refused = [line for line in facts(acme) if "plan_required" in line]
    assert len(refused) == 3 and all('"starter"' in line for line in refused)


def test_m8_sent_messages_newest_first_with_performance(acme):
    owner = acme.owner()
    sent = [send(owner, subject=f"News {n}", replies_enabled=True)["id"] for n in range(7)]
    open_message(acme, "grace", sent[3])
    reply(acme, "zoe", sent[3])
    listed = owner.pages(MESSAGES, limit=2)
    assert [m["id"] for m in listed] == sent[::-1]
    performance = {m["id"]: m["stats"] for m in listed}
    assert performance[sent[3]] == {"recipients": 3, "opens": 2, "open_rate": 2 / 3, "replied": 1,
                                    "unread_replies": 1}
    assert performance[sent[0]] == {"recipients": 3, "opens": 0, "open_rate": 0, "replied": 0,
                                    "unread_replies": 0}
    assert ok(owner.get(at("programs", "acme", "summary"))).json == {
        "messages": 7, "partners": 3, "unread_replies": 1}


def parse_time(text):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text), text
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def test_m9_the_message_and_its_opens(acme):
    owner = acme.owner(sub="olivia", name="Olivia Owner")
    sent = send(owner, subject="Terms", body="New terms.\nRead them.")
    shown = ok(owner.get(at("programs", "acme", "messages", sent["id"]))).json
    assert shown == sent
    assert shown["sender"] == {"id": "olivia", "name": "Olivia Owner"}
    assert shown["body"] == "New terms.\nRead them." and shown["program"] == "acme"
    assert abs(datetime.now(timezone.utc) - parse_time(shown["sent_at"])) < timedelta(minutes=5)

    # A sender's preview, reading in the portal without the open, and a repeated open count nothing.
    ok(owner.get(at("programs", "acme", "partners", "zoe", "messages", sent["id"])))
    ok(acme.partner("zoe").get(at("portal", "messages", sent["id"])))
    assert stats(owner, sent["id"])["opens"] == 0
    first = open_message(acme, "grace", sent["id"])
    again = open_message(acme, "grace", sent["id"])
    assert first["first"] is True and again == {"opened_at": first["opened_at"], "first": False}
    open_message(acme, "alan", sent["id"])
    assert stats(owner, sent["id"])["opens"] == 2
    assert stats(owner, sent["id"])["open_rate"] == 2 / 3

    path = at("programs", "acme", "messages", sent["id"], "recipients")
    rows = {r["partner"]["id"]: r["opened_at"] for r in owner.pages(path)}
    assert set(rows) == set(ACTIVE) and rows["zoe"] is None
    assert rows["grace"] == first["opened_at"]
    for state, expected in (("opened", ["grace", "alan"]), ("unopened", ["zoe"]), ("replied", [])):
        assert [r["partner"]["id"] for r in owner.pages(path, state=state)] == expected
    assert [r["partner"]["id"] for r in owner.pages(path, query="turing")] == ["alan"]
    buckets = ok(owner.get(at("programs", "acme", "messages", sent["id"], "opens"),
                           query={"interval": "day"})).json["data"]
    assert sum(b["opens"] for b in buckets) == 2


def test_m9_the_audience_is_frozen_at_send(acme):
    owner, platform = acme.owner(), acme.platform()
    sent = send(owner, audience=filtered({"tag": "premium"}))
    ok(platform.patch(at("programs", "acme", "partners", "grace"),
                      {"tags": [], "status": "archived"}))
    ok(platform.patch(at("programs", "acme", "partners", "zoe"), {"tags": ["premium"]}))
    ok(platform.put(at("programs", "acme", "partners", "late"),
                    {"email": "late@comer.example", "tags": ["premium"]}))
    ok(platform.delete(at("programs", "acme", "partners", "alan")), 204)
    rows = owner.pages(at("programs", "acme", "messages", sent["id"], "recipients"))
    assert [r["partner"]["id"] for r in rows] == ["grace", "alan"]
    assert stats(owner, sent["id"])["recipients"] == 2
    assert inbox(acme, "late") == [] and inbox(acme, "zoe") == []
    assert [m["id"] for m in inbox(acme, "grace")] == [sent["id"]]  # archived: keeps the portal
    assert acme.partner("alan").get("/v1/portal/summary").status == 404  # deleted: does not


def test_m10_partners_who_replied(acme):
    owner = acme.owner()
    sent = send(owner, replies_enabled=True)["id"]
    first = reply(acme, "zoe", sent, "One")
    reply(acme, "grace", sent, "Two")
    last = reply(acme, "zoe", sent, "Three")
    path = at("programs", "acme", "messages", sent, "recipients")
    rows = owner.pages(path, state="replied")
    assert [r["partner"]["id"] for r in rows] == ["zoe", "grace"]
    assert rows[0]["first_replied_at"] == first["posted_at"]
    assert rows[0]["last_replied_at"] == last["posted_at"]
    assert [r["unread_replies"] for r in rows] == [2, 1]
    assert stats(owner, sent) == {"recipients": 3, "opens": 2, "open_rate": 2 / 3, "replied": 2,
                                  "unread_replies": 3}
    read = owner.post(at("programs", "acme", "partners", "zoe", "messages", sent, "read"))
    assert read.status == 204
    assert [r["unread_replies"] for r in owner.pages(path, state="replied")] == [0, 1]
    assert stats(owner, sent)["unread_replies"] == 1


def test_m11_the_conversation_goes_on(acme):
    owner = acme.owner(sub="olivia", name="Olivia Owner")
    sent = send(owner, replies_enabled=True)["id"]
    reply(acme, "grace", sent, "When?")
    path = at("programs", "acme", "partners", "grace", "messages", sent)
    shown = ok(owner.get(path)).json
    assert shown["message"]["id"] == sent and shown["partner"]["id"] == "grace"
    assert [(p["from"], p["body"]) for p in shown["posts"]] == [("partner", "When?")]
    assert ok(acme.partner("grace").get("/v1/portal/summary")).json["unread"] == 0

    posted = ok(owner.post(path + "/replies", {"body": "Tomorrow."}), 201).json
    assert posted["from"] == "owner" and posted["id"].startswith("post_")
    assert posted["author"] == {"id": "olivia", "name": "Olivia Owner"}
    assert ok(owner.get(path)).json["posts"][-1] == posted
    assert ok(acme.partner("grace").get("/v1/portal/summary")).json["unread"] == 1
    row = inbox(acme, "grace", unread="true")[0]
    assert row["id"] == sent and row["posts"] == 2
    conversation = ok(acme.partner("grace").get(at("portal", "messages", sent))).json
    assert [p["body"] for p in conversation["posts"]] == ["When?", "Tomorrow."]
    open_message(acme, "grace", sent)
    assert ok(acme.partner("grace").get("/v1/portal/summary")).json["unread"] == 0
    other = ok(owner.get(at("programs", "acme", "partners", "alan", "messages", sent))).json
    assert other["posts"] == []
    ok(owner.post(at("programs", "acme", "partners", "alan", "messages", sent, "replies"),
                  {"body": "And you?"}), 201)  # allowed before any reply


def test_m12_messages_tab_of_the_profile(acme):
    owner = acme.owner()
    sent = [send(owner, subject=f"News {n}", replies_enabled=True)["id"] for n in range(5)]
    send(owner, audience=named("zoe"))
    opened = open_message(acme, "grace", sent[1])
    posted = reply(acme, "grace", sent[2])
    rows = owner.pages(at("programs", "acme", "partners", "grace", "messages"), limit=2)
    assert [r["id"] for r in rows] == sent[::-1]
    state = {r["id"]: (r["opened_at"], r["replied_at"], r["unread_replies"]) for r in rows}
    assert state[sent[0]] == (None, None, 0)
    assert state[sent[1]] == (opened["opened_at"], None, 0)
    assert state[sent[2]] == (posted["posted_at"], posted["posted_at"], 1)
    profile = ok(owner.get(at("programs", "acme", "partners", "grace"))).json
    assert profile["name"] == "Grace" and profile["metrics"]["revenue"] == {"USD": "99.99"}


def test_m13_exact_unread_count(acme):
    owner, portal = acme.owner(), acme.partner("grace")
    sent = [send(owner, subject=f"News {n}")["id"] for n in range(130)]
    assert ok(portal.get("/v1/portal/summary")).json == {"unread": 130, "total": 130}
    for message in sent[::2]:
        open_message(acme, "grace", message)
    assert ok(portal.get("/v1/portal/summary")).json == {"unread": 65, "total": 130}
    unread = portal.pages("/v1/portal/messages", limit=20, unread="true")
    assert [m["id"] for m in unread] == sent[1::2][::-1]


def test_m14_all_received_messages(acme):
    owner, portal = acme.owner(sub="olivia", name="Olivia Owner"), acme.partner("alan")
    assert ok(portal.get("/v1/portal/summary")).json == {"unread": 0, "total": 0}
    sent = [send(owner, subject=f"News {n}", body="First line\nsecond.")["id"] for n in range(7)]
    send(owner, audience=named("zoe"))
    open_message(acme, "alan", sent[6])
    rows = portal.pages("/v1/portal/messages", limit=3)
    assert [r["id"] for r in rows] == sent[::-1]
    assert [r["unread"] for r in rows] == [False] + [True] * 6
    assert rows[0]["preview"].startswith("First line") and "\n" not in rows[0]["preview"]
    assert rows[0]["sender"] == {"id": "olivia", "name": "Olivia Owner"}
    assert set(rows[0]) == {"id", "subject", "preview", "sender", "sent_at", "unread", "can_reply",
                            "posts"}


def test_m15_view_and_open(acme):
    owner, portal = acme.owner(), acme.partner("zoe")
    sent = send(owner, subject="Terms", body="Zażółć gęślą jaźń.")["id"]
    path = at("portal", "messages", sent)
    shown = ok(portal.get(path)).json
    assert shown["message"]["body"] == "Zażółć gęślą jaźń." and shown["opened_at"] is None
    assert not {"audience", "stats"} & (set(shown) | set(shown["message"]))
    assert inbox(acme, "zoe")[0]["unread"] is True  # reading records nothing
    opened = ok(portal.post(path + "/open")).json
    assert opened["first"] is True
    assert ok(portal.get(path)).json["opened_at"] == opened["opened_at"]
    assert inbox(acme, "zoe")[0]["unread"] is False
    for partner in ("pat", "arc"):
        for answer in (acme.partner(partner).get(path), acme.partner(partner).post(path + "/open")):
            assert (answer.status, answer.code) == (404, "not_found")


def test_m16_reply(acme):
    owner = acme.owner()
    sent = send(owner, replies_enabled=True)["id"]
    posted = reply(acme, "alan", sent, "Zażółć.")
    assert posted["from"] == "partner" and posted["body"] == "Zażółć."
    conversation = ok(owner.get(at("programs", "acme", "partners", "alan", "messages", sent))).json
    assert conversation["posts"] == [posted]
    assert conversation["opened_at"] is not None  # a reply records the open
    assert stats(owner, sent)["unread_replies"] == 1
    assert ok(owner.get(at("programs", "acme", "summary"))).json["unread_replies"] == 1
    for bad in ("", " \u3000", "b" * 65_537):
        answer = acme.partner("alan").post(at("portal", "messages", sent, "replies"),
                                           {"body": bad})
        assert answer.status == 422 and list(answer.pointers) == ["/body"]


def test_m17_replies_disabled(acme):
    owner = acme.owner()
    sent = send(owner, replies_enabled=False)["id"]
    portal = acme.partner("grace")
    shown = ok(portal.get(at("portal", "messages", sent))).json
    assert shown["can_reply"] is False and shown["message"]["replies_enabled"] is False
    assert inbox(acme, "grace")[0]["can_reply"] is False
    for client, path in ((portal, at("portal", "messages", sent, "replies")),
                         (owner, at("programs", "acme", "partners", "grace", "messages", sent,
                                    "replies"))):
        answer = client.post(path, {"body": "Hello?"})
        assert (answer.status, answer.code) == (403, "replies_disabled")
    assert ok(portal.get(at("portal", "messages", sent))).json["posts"] == []
    assert json.loads(ok(portal.get("/v1/portal/summary")).body) == {"unread": 1, "total": 1}
