"""Every list, page by page, while items arrive, leave and move: none is skipped, none comes twice."""
import itertools

import pytest

from programs import filtered, import_lines, make_program, named, ok, record_opens, send
from tidings import at

PARTNERS = 60
MESSAGES = at("programs", "acme", "messages")
CROWD = at("programs", "acme", "partners")
INBOX = "/v1/portal/messages"


@pytest.fixture
def acme(server):
    """Partners p0 to p59, every third of which is tagged; tags tag-00 to tag-29."""
    platform = make_program(server)
    import_lines(platform, "acme", (profile(n) for n in range(PARTNERS)))
    return server


def profile(n, **more):
    tags = [f"tag-{n:02}"] if n < 30 else []
    return {"id": f"p{n}", "email": f"p{n}@x.example", "name": f"Person {n}",
            "tags": [*tags, *(["third"] if n % 3 == 0 else [])], **more}


def partners(chosen):
    return [f"p{n}" for n in chosen]


def walk(page_of, between, limit):
    """All items, with something happening between any two pages; `page_of(limit, cursor)`."""
    seen, cursor, pages = [], None, 0
    while True:
        page = page_of(limit, cursor)
        assert len(page["data"]) <= limit
        seen += page["data"]
        pages += 1
        cursor = page["next_cursor"]
        if cursor is None:
            assert pages > 3, "too few pages to say anything"
            return seen
        between()


def listing(client, path, **query):
    def page_of(limit, cursor):
        asked = {"limit": limit, **query, **({"cursor": cursor} if cursor else {})}
        return ok(client.get(path, query=asked)).json
    return page_of


def check_walk(page_of, between, identity, limit=7, stay=None):
    """What was there before, and stays (all of it unless said), comes once and in its order."""
    whole = page_of(200, None)
    assert whole["next_cursor"] is None
    before = [identity(item) for item in whole["data"]]
    seen = [identity(item) for item in walk(page_of, between, limit)]
    assert len(seen) == len(set(seen)), "an item came twice"
    kept = [item for item in before if stay is None or stay(item)]
    assert [item for item in seen if item in set(kept)] == kept
    return before, seen


def by_id(item):
    return item["id"]


def by_partner(item):
    return item["partner"]["id"]


def new_partners(platform):
    """A partner more at each call, like those that there are."""
    numbers = itertools.count(1000)

    def arrive():
        n = next(numbers)
        ok(platform.put(f"{CROWD}/n{n}", {"email": f"n{n}@x.example", "name": "Person",
                                          "tags": ["third", f"later-{n}", f"a-{n}"]}))
    return arrive


def new_messages(owner, partner):
    def arrive():
        send(owner, subject="While")
        send(owner, subject="While", audience=named(partner))
    return arrive


def test_messages(acme):
    owner = acme.owner()
    for n in range(40):
        send(owner, audience=named("grace") if n % 3 else {"type": "all"})
    check_walk(listing(owner, MESSAGES), new_messages(owner, "grace"), by_id)


def test_inbox_and_profile(acme):
    owner = acme.owner()
    for n in range(40):
        send(owner, audience=named("grace") if n % 3 else {"type": "all"})
    arrive = new_messages(owner, "grace")
    check_walk(listing(acme.partner("grace"), INBOX), arrive, by_id)
    check_walk(listing(owner, f"{CROWD}/grace/messages"), arrive, by_id)


def test_unread_inbox(acme):
    """Messages arrive, and others are opened: what stays unread comes, opened or not before it."""
    owner, grace = acme.owner(), acme.partner("grace")
    sent = [send(owner, audience=named("grace") if n % 2 else {"type": "all"})["id"]
            for n in range(40)]
    opened = iter(sent[3::5] + sent[4::5])
    arrive = new_messages(owner, "grace")

    def change():
        arrive()
        ok(grace.post(at("portal", "messages", next(opened), "open")))

    left = set(sent) - set(sent[3::5]) - set(sent[4::5])
    before, _ = check_walk(listing(grace, INBOX, unread="true"), change, by_id, limit=5,
                           stay=left.__contains__)
    assert before == sent[::-1]


def test_partners_and_search(acme):
    owner, arrive = acme.owner(), new_partners(acme.platform())
    before, seen = check_walk(listing(owner, CROWD), arrive, by_id)
    assert seen[:len(before)] == before and len(seen) > len(before)
    for query, count in (({"query": "person"}, PARTNERS), ({"query": "rson 1"}, 11),
                         ({"tag": "third"}, 20), ({"query": "person", "tag": "third"}, 20)):
        page_of = listing(owner, CROWD, **query)
        found = [by_id(p) for p in ok(owner.get(CROWD, query={"limit": 200, **query})).json["data"]]
        assert len([p for p in found if p.startswith("p")]) == count
        before, seen = check_walk(page_of, arrive, by_id, limit=3)
        assert seen[:len(before)] == before


def test_partners_who_leave_a_search(acme):
    """One who is changed out of the search does not take another one along."""
    owner, platform = acme.owner(), acme.platform()
    leavers = iter(range(0, PARTNERS, 6))

    def leave():
        ok(platform.patch(f"{CROWD}/p{next(leavers)}", {"tags": [], "status": "archived"}))

    check_walk(listing(owner, CROWD, tag="third"), leave, by_id, limit=3,
               stay=lambda p: int(p[1:]) % 6 != 0)


def test_tags(acme):
    owner, arrive = acme.owner(), new_partners(acme.platform())
    before, seen = check_walk(listing(owner, at("programs", "acme", "tags")), arrive,
                              lambda row: row["tag"], limit=4)
    assert "tag-00" in before and "tag-29" in before and set(seen) >= set(before)


def test_preview(acme):
    owner, arrive = acme.owner(), new_partners(acme.platform())
    for audience in ({"type": "all"}, filtered({"tag": "third"}),
                     named(*partners(range(0, PARTNERS, 2)))):
        def page_of(limit, cursor, audience=audience):
            asked = {"audience": audience, "limit": limit, **({"cursor": cursor} if cursor else {})}
            return ok(owner.post(at("programs", "acme", "audiences"), asked)).json
        before, seen = check_walk(page_of, arrive, by_id, limit=4)
        assert seen[:len(before)] == before


@pytest.mark.parametrize("state", ["all", "opened", "unopened"])
def test_recipients(acme, state):
    """All, and those found by a query, while opens arrive before and behind the cursor."""
    owner, platform = acme.owner(), acme.platform()
    for query in ({}, {"query": "person"}):
        sent = send(owner)["id"]
        record_opens(platform, "acme", [(sent, p) for p in partners(range(0, PARTNERS, 2))])
        openers = iter([1, 59, 3, 57, 31, 33, 29, 55, 53, 5, 7, 51, 9, 11, 13])
        late = set(partners([1, 59, 3, 57, 31, 33, 29, 55, 53, 5, 7, 51, 9, 11, 13]))

        def change(sent=sent, openers=openers):
            record_opens(platform, "acme", [(sent, f"p{next(openers)}")])

        path = at("programs", "acme", "messages", sent, "recipients")
        before, _ = check_walk(listing(owner, path, state=state, **query), change, by_partner,
                               limit=5, stay=None if state != "unopened" else
                               lambda p, late=late: p not in late)
        few = {"all": PARTNERS, "opened": PARTNERS // 2, "unopened": PARTNERS // 2}[state]
        assert len([p for p in before if p.startswith("p") and p != "pat"]) == few


@pytest.mark.parametrize("query", [{}, {"query": "person"}])
def test_recipients_who_replied(acme, query):
    """Newest reply first: one that moves may come again, none is left out."""
    owner = acme.owner()
    sent = send(owner, replies_enabled=True)["id"]
    tokens = {p: acme.token("partner", "acme", p) for p in partners(range(25))}

    def reply(partner):
        ok(acme.client(tokens[partner]).post(at("portal", "messages", sent, "replies"),
                                             {"body": "A"}), 201)

    for partner in tokens:
        reply(partner)
    movers = iter(list(tokens)[:8])
    path = at("programs", "acme", "messages", sent, "recipients")
    seen = walk(listing(owner, path, state="replied", **query),
                lambda: reply(next(movers, "p24")), limit=4)
    unmoved = list(tokens)[8:24][::-1]
    assert [by_partner(r) for r in seen if by_partner(r) in unmoved] == unmoved
