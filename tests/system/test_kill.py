"""kill -9 in the middle of a mixed load: what was acknowledged is there once, nothing else is."""
import os
import random
import time

import tidings
from books import PARTNERS, Books, Load, reply, send
from programs import make_program, ok
from tidings import at

ROUNDS = int(os.environ.get("TIDINGS_KILL_ROUNDS", "6"))


def settle_sends(books, owner):
    """Acknowledged sends exist once, under their id; an unknown one at most once, and a repeat with
    its key makes it exist exactly once."""
    def listed():
        found = {}
        for message in owner.pages(at("programs", "acme", "messages")):
            assert message["subject"] not in found, f"sent twice: {message['subject']}"
            found[message["subject"]] = message
        return found

    present = listed()
    assert set(present) <= set(books.sends), "a message that nobody sent"
    for subject, (key, audience, message) in list(books.sends.items()):
        if message:
            assert present[subject]["id"] == message
        else:
            again = ok(send(owner, subject, key, audience), 201).json
            if subject in present:
                assert again["id"] == present[subject]["id"]
            books.sends[subject] = (key, audience, again["id"])
    present = listed()
    assert {s: m["id"] for s, m in present.items()} == {s: m for s, (_, _, m) in
                                                        books.sends.items()}
    for subject, (_, audience, _) in books.sends.items():
        assert present[subject]["stats"]["recipients"] == len(audience or PARTNERS)
    return {m["id"]: m for m in present.values()}


def settle_replies(books, server, conversations):
    """The same for replies: `conversations` is {(message, partner): posts}."""
    by_place = {}
    for body, (key, role, message, partner, post) in list(books.replies.items()):
        posts = [p for p in conversations(message, partner) if p["body"] == body]
        if post:
            assert [p["id"] for p in posts] == [post], body
        else:
            assert len(posts) <= 1
            client = server.partner(partner) if role == "partner" else server.owner()
            again = ok(reply(client, role, message, partner, body, key), 201).json
            if posts:
                assert again["id"] == posts[0]["id"]
            books.replies[body] = (key, role, message, partner, again["id"])
        by_place.setdefault((message, partner), []).append((body, role))
    return by_place


def check_conversations(server, by_place):
    """Every conversation has exactly the posts of the books."""
    owner = server.owner()
    for (message, partner), wanted in by_place.items():
        shown = ok(owner.get(at("programs", "acme", "partners", partner, "messages",
                                message))).json["posts"]
        assert sorted((p["body"], p["from"]) for p in shown) == sorted(wanted)


def check_opens(books, owner, messages, by_place):
    """Acknowledged opens stand with their time; nobody opened who did not try to."""
    replied_by_partner = {place for place, posts in by_place.items()
                          if any(role == "partner" for _, role in posts)}
    for message, shown in messages.items():
        path = at("programs", "acme", "messages", message, "recipients")
        rows = {r["partner"]["id"]: r for r in owner.pages(path)}
        opened = {p: r["opened_at"] for p, r in rows.items() if r["opened_at"]}
        for (opened_message, partner), when in books.opens.items():
            if opened_message == message and when:
                assert opened[partner] == when
        for partner in opened:
            assert ((message, partner) in books.opens or
                    (message, partner) in replied_by_partner), "an open that nobody made"
        # Conservation, on the rows and on the counters.
        stats = ok(owner.get(at("programs", "acme", "messages", message))).json["stats"]
        replied = {p for p, r in rows.items() if r["first_replied_at"]}
        assert stats["recipients"] == len(rows) == shown["stats"]["recipients"]
        assert stats["opens"] == len(opened) and stats["replied"] == len(replied)
        assert replied <= set(opened)
        assert replied == {p for m, p in replied_by_partner if m == message}


def check_partners(books, server, messages):
    """Counters of partners: upserts, totals, unread = received - read."""
    shown = {p["id"]: p for p in server.owner().pages(at("programs", "acme", "partners"))}
    assert set(shown) == set(PARTNERS)
    for partner, (sure, tried) in books.clicks.items():
        assert sure <= shown[partner]["metrics"]["clicks"] <= tried, partner
    received = {p: set() for p in PARTNERS}
    for _, audience, message in books.sends.values():
        for partner in audience or PARTNERS:
            received[partner].add(message)
    for partner in PARTNERS[::5]:
        portal = server.partner(partner)
        rows = portal.pages("/v1/portal/messages")
        assert {r["id"] for r in rows} == received[partner] and len(rows) == len(received[partner])
        unread = sum(r["unread"] for r in rows)
        assert ok(portal.get("/v1/portal/summary")).json == {"unread": unread, "total": len(rows)}


def settle(books, server):
    """After a restart: compares everything with the books, and makes the unknown known."""
    assert not books.unexpected, books.unexpected[:3]
    owner = server.owner()
    messages = settle_sends(books, owner)
    cache = {}

    def conversation(message, partner):
        if (message, partner) not in cache:
            path = at("programs", "acme", "partners", partner, "messages", message)
            cache[(message, partner)] = ok(owner.get(path)).json["posts"]
        return cache[(message, partner)]

    by_place = settle_replies(books, server, conversation)
    check_conversations(server, by_place)
    check_opens(books, owner, messages, by_place)
    check_partners(books, server, messages)


def test_kill_in_the_middle_of_a_mixed_load(fleet):
    server = fleet.deployment().start()
    make_program(server, people={p: {"email": f"{p}@x.example"} for p in PARTNERS})
    tokens = {p: server.token("partner", "acme", p) for p in PARTNERS}
    tokens |= {"owner": server.token("owner", "acme"), "platform": server.token("platform")}
    chance = random.Random(os.environ.get("TIDINGS_SEED", "7"))
    books = Books()
    for round_number in range(ROUNDS):
        load = Load(books, server.address, tokens, round_number + 1, tidings.Client)
        goal = books.acknowledged + chance.randint(20, 900)
        load.start()
        deadline = time.monotonic() + 120
        while books.acknowledged < goal and time.monotonic() < deadline:
            time.sleep(0.001)  # a random moment: between two acknowledgements
        server.kill()
        load.join()
        assert books.acknowledged >= goal, books.unexpected[:3]
        server.start()
        settle(books, server)

    server.restart()
    settle(books, server)
    assert server.stop() == 0
    live = server.digests()
    result = tidings.run("rebuild", "--data", server.directory, "--swap")
    assert result.returncode == 0, result.stdout + result.stderr
    assert server.digests() == live
    server.start()
    settle(books, server)


def test_kill_during_an_import(fleet):
    """Chunks that were applied stay whole; sending all of it again completes it."""
    server = fleet.deployment().start()
    make_program(server, people={})
    lines = [b'{"id":"p%d","email":"p%d@x.example","tags":["t"]}\n' % (n, n)
             for n in range(60_000)]
    path = at("programs", "acme", "partners", "import")
    kind = {"Content-Type": "application/x-ndjson"}

    def until_killed():
        for start in range(0, len(lines), 1000):
            if start == 40_000:
                server.process.kill()
                server.process.wait()
            yield b"".join(lines[start:start + 1000])

    try:
        answer = server.platform().post(path, body=until_killed(), headers=kind)
        assert answer.status != 200
    except OSError:
        pass
    except tidings.http.client.HTTPException:
        pass
    server.process = None
    server.start()
    owner = server.owner()
    before = ok(owner.get(at("programs", "acme", "summary"))).json["partners"]
    assert before <= 40_000
    answer = ok(server.platform().post(path, body=b"".join(lines), headers=kind)).json
    assert answer == {"created": 60_000 - before, "updated": 0, "unchanged": before,
                      "rejected": []}
    assert ok(owner.get(at("programs", "acme", "summary"))).json["partners"] == 60_000
