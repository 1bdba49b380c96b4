"""Audiences of 0, 1, both sides of the row limit, and 250,000, against plain sets and maps."""
import csv
import io
import random

import pytest

from oracle import Program
from programs import filtered, import_lines, make_program, named, ok, record_opens, send
from tidings import at

PARTNERS = 250_000
SIZES = (1, 4096, 4097)


@pytest.fixture(scope="module")
def world(module_fleet):
    """250,000 partners; tags size-N on N random ones; a sample of partners to look at closely."""
    server, chance, truth = module_fleet.deployment().start(), random.Random(5), Program()
    platform = make_program(server, people={})
    tags = {}
    for size in SIZES:
        for n in chance.sample(range(PARTNERS), size):
            tags.setdefault(n, []).append(f"size-{size}")
    for n in range(PARTNERS):
        truth.partners[f"p{n}"] = {"tags": tags.get(n, []), "metrics": {"clicks": n % 1000}}
    done = import_lines(platform, "acme", (
        {"id": p, "email": f"{p}@x.example", **profile} for p, profile in truth.partners.items()))
    assert done["created"] == PARTNERS
    sample = sorted({f"p{n}" for n in [0, PARTNERS - 1, *list(tags)[:6],
                                       *chance.sample(range(PARTNERS), 6)]})
    return server, truth, chance, sample


def check_inboxes(server, truth, sample):
    owner = server.owner()
    for partner in sample:
        expected = truth.inbox(partner)
        portal = server.partner(partner)
        rows = portal.pages("/v1/portal/messages", limit=3)
        assert [(r["id"], r["unread"]) for r in rows] == expected
        unread = [m for m, new in expected if new]
        assert ok(portal.get("/v1/portal/summary")).json == {"unread": len(unread),
                                                             "total": len(expected)}
        rows = portal.pages("/v1/portal/messages", limit=2, unread="true")
        assert [r["id"] for r in rows] == unread
        rows = owner.pages(at("programs", "acme", "partners", partner, "messages"))
        assert [(r["id"], r["opened_at"] is None, r["unread_replies"]) for r in rows] == [
            (m, partner not in truth.opened[m], truth.unread[m].get(partner, 0))
            for m, _ in expected]


def recipients_csv(owner, message, **query):
    answer = ok(owner.get(at("programs", "acme", "messages", message, "recipients"),
                          headers={"Accept": "text/csv"}, query=query))
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert answer.body.decode().splitlines()[0] == (
        "partner_id,email,name,surname,opened_at,first_replied_at,last_replied_at,unread_replies")
    return rows


def check_message(owner, truth, message):
    recipients, opened = truth.messages[message], truth.opened[message]
    shown = ok(owner.get(at("programs", "acme", "messages", message))).json["stats"]
    assert shown == {"recipients": len(recipients), "opens": len(opened),
                     "open_rate": pytest.approx(len(opened) / len(recipients)),
                     "replied": len(truth.unread[message]),
                     "unread_replies": sum(truth.unread[message].values())}
    rows = recipients_csv(owner, message)
    order = {p: n for n, p in enumerate(truth.partners)}
    ids = [r["partner_id"] for r in rows]
    assert ids == sorted(recipients, key=order.__getitem__)
    assert {r["partner_id"] for r in rows if r["opened_at"]} == opened
    for state, expected in (("opened", opened), ("unopened", recipients - opened)):
        if len(expected) <= 5000:
            path = at("programs", "acme", "messages", message, "recipients")
            listed = [r["partner"]["id"] for r in owner.pages(path, state=state)]
            assert listed == sorted(expected, key=order.__getitem__)
    path = at("programs", "acme", "messages", message, "recipients")
    listed = owner.pages(path, limit=3, state="replied")
    assert [(r["partner"]["id"], r["unread_replies"]) for r in listed] == list(
        truth.unread[message].items())[::-1]
    for text in ("p12345@", "@x.example", "P2499"):
        found = [r["partner"]["id"] for r in owner.pages(path, most=400, query=text)]
        assert found == [p for p in ids if text.lower() in f"{p}@x.example"][:400]
    buckets = ok(owner.get(at("programs", "acme", "messages", message, "opens"),
                           query={"interval": "minute"})).json["data"]
    assert sum(b["opens"] for b in buckets) == len(opened)
    assert [b["at"] for b in buckets] == sorted(b["at"] for b in buckets)


def open_some(server, truth, chance, message):
    """A random half opens; repeats, and partners who did not receive it, are mixed in."""
    pairs = [(message, p) for p in chance.sample(sorted(truth.messages[message]),
                                                  (len(truth.messages[message]) + 1) // 2)]
    pairs += chance.sample(pairs, len(pairs) // 10)
    strangers = sorted(truth.active() - truth.messages[message])[:3]
    pairs += [(message, p) for p in strangers]
    chance.shuffle(pairs)
    answers = [truth.open(m, p) for m, p in pairs]
    done = record_opens(server.platform(), "acme", pairs)
    assert done["first_opens"] == answers.count(True)
    assert done["accepted"] == len(pairs) - len(strangers)
    assert [r["line"] for r in done["rejected"]] == [
        n for n, a in enumerate(answers, 1) if a is None]
    assert {r["code"] for r in done["rejected"]} <= {"not_a_recipient"}


def converse(server, truth, chance, message):
    """Some reply, some of them again; owners answer some and read some; some see the answer."""
    owner = server.owner()
    talkers = chance.sample(sorted(truth.messages[message]), min(8, len(truth.messages[message])))
    portals = {p: server.partner(p) for p in talkers}
    for _ in range(24):
        partner = chance.choice(talkers)
        path = at("programs", "acme", "partners", partner, "messages", message)
        step = chance.choice(["reply", "reply", "answer", "read", "open"])
        if step == "reply":
            ok(portals[partner].post(at("portal", "messages", message, "replies"),
                                     {"body": "A"}), 201)
        elif step == "answer":
            ok(owner.post(f"{path}/replies", {"body": "B"}), 201)
        elif step == "read":
            ok(owner.post(f"{path}/read"), 204)
        else:
            ok(portals[partner].post(at("portal", "messages", message, "open")))
        getattr(truth, step)(message, partner)
    check_inboxes(server, truth, talkers)


def test_nobody(world):
    server, truth, _, sample = world
    owner = server.owner()
    seen = ok(owner.post(at("programs", "acme", "audiences"),
                         {"audience": filtered({"tag": "size-0"})})).json
    assert seen["count"] == 0 and seen["data"] == [] and seen["next_cursor"] is None
    for audience in (filtered({"tag": "size-0"}), named()):
        answer = owner.post(at("programs", "acme", "messages"),
                            {"subject": "S", "body": "B", "audience": audience})
        assert (answer.status, answer.code) == (422, "audience_empty"), audience
    ok(server.platform().put(at("programs", "empty"), {"name": "Empty", "plan": "partner"}))
    answer = server.owner("empty").post(at("programs", "empty", "messages"),
                                        {"subject": "S", "body": "B"})
    assert (answer.status, answer.code) == (422, "audience_empty")
    check_inboxes(server, truth, sample)


@pytest.mark.parametrize("size", [*SIZES, "half", PARTNERS])
def test_audience(world, size):
    server, truth, chance, sample = world
    owner = server.owner()
    rule = {"metric": "clicks", "op": "<", "value": 500} if size == "half" else (
        {"tag": f"size-{size}"})
    audience = {"type": "all"} if size == PARTNERS else filtered(rule)
    expected = truth.active() if size == PARTNERS else truth.select(rule)
    assert len(expected) == {"half": PARTNERS // 2}.get(size, size)

    seen = ok(owner.post(at("programs", "acme", "audiences"), {"audience": audience})).json
    assert seen["count"] == len(expected)
    sent = send(owner, subject=f"To {size}", audience=audience, expect_digest=seen["digest"],
                replies_enabled=True)
    truth.sent(sent["id"], expected)
    check_message(owner, truth, sent["id"])
    check_inboxes(server, truth, sample)
    open_some(server, truth, chance, sent["id"])
    converse(server, truth, chance, sent["id"])
    check_message(owner, truth, sent["id"])
    check_inboxes(server, truth, sample)
    summary = ok(owner.get(at("programs", "acme", "summary"))).json
    assert summary["unread_replies"] == sum(n for m in truth.unread.values() for n in m.values())

    for state in ("opened", "not_opened", "replied"):
        rule = {"engagement": state, "message": sent["id"]}
        seen = ok(owner.post(at("programs", "acme", "audiences"),
                             {"audience": filtered(rule)})).json
        assert seen["count"] == len(truth.select(rule))


def test_the_same_set_has_the_same_digest(world):
    """However it was asked for: by name, by filter, by exclusion."""
    server, truth, _, _ = world
    owner = server.owner()
    members = sorted(truth.select({"tag": "size-4096"}))
    digests = {ok(owner.post(at("programs", "acme", "audiences"), {"audience": a})).json["digest"]
               for a in (filtered({"tag": "size-4096"}), named(*members),
                         named(*members[::-1], members[0]),
                         filtered({"all": [{"tag": "size-4096"}, {"not": {"any": []}}]}))}
    assert len(digests) == 1
    fewer = ok(owner.post(at("programs", "acme", "audiences"),
                          {"audience": filtered({"tag": "size-4096"}, [members[7]])})).json
    assert fewer["count"] == 4095 and fewer["digest"] not in digests


def test_after_a_restart(world):
    server, truth, _, sample = world
    server.restart()
    check_inboxes(server, truth, sample)
    for message in truth.messages:
        check_message(server.owner(), truth, message)


def test_small_and_wide_sends_mixed(world):
    """Random targeted sends of all sizes in between; some partners leave on the way."""
    server, truth, chance, sample = world
    owner, platform = server.owner(), server.platform()
    for turn in range(12):
        size = chance.choice([1, 2, 50, 4096, 4097, 5000])
        members = chance.sample(sorted(truth.active()), size)
        sent = send(owner, audience=named(*members, *chance.sample(members, size // 3)))
        assert sent["stats"]["recipients"] == size
        truth.sent(sent["id"], members)
        if turn % 4 == 3:
            leaver = chance.choice([p for p in sorted(truth.active()) if p not in sample])
            ok(platform.patch(at("programs", "acme", "partners", leaver), {"status": "archived"}))
            truth.partners[leaver]["status"] = "archived"
            truth.sent(send(owner)["id"], truth.active())
    check_inboxes(server, truth, sample)
    for message in list(truth.messages)[-16:]:
        check_message(owner, truth, message)
