"""Idempotency keys, asynchronous answers, positions, pages, CSV."""
import csv
import io
import time

import pytest

import tidings
from programs import ACTIVE, PEOPLE, filtered, finished, make_program, named, ok, send
from tidings import at

MESSAGES = at("programs", "acme", "messages")
NEWS = {"subject": "S", "body": "B"}


@pytest.fixture
def acme(server):
    make_program(server)
    return server


def keyed(key, **more):
    return {"Idempotency-Key": key, **more}


def test_same_key_same_content_is_the_first_answer(acme):
    owner = acme.owner()
    first = ok(owner.post(MESSAGES, NEWS, headers=keyed("k")), 201)
    # Another spelling of the same fields, and defaults written out, are the same content.
    spelled = b'{ "body":"\\u0042", "subject":"S" ,"replies_enabled":false,"audience":{"type":"all"}}'
    again = owner.post(MESSAGES, body=spelled,
                       headers=keyed("k", **{"Content-Type": "application/json"}))
    assert again.status == 201 and again.json == first.json
    assert len(owner.pages(MESSAGES)) == 1


@pytest.mark.parametrize("change", [
    {"subject": "T"}, {"body": "C"}, {"replies_enabled": True}, {"audience": named("grace")},
    {"expect_digest": "0" * 64}])
def test_same_key_other_content_is_a_conflict(acme, change):
    owner = acme.owner()
    ok(owner.post(MESSAGES, NEWS, headers=keyed("k")), 201)
    answer = owner.post(MESSAGES, {**NEWS, **change}, headers=keyed("k"))
    assert (answer.status, answer.code) == (409, "idempotency_key_reused")
    assert len(owner.pages(MESSAGES)) == 1


def test_keys_have_their_scope(acme):
    """Role, program, and sub or partner: the same key of another caller is another key."""
    make_program(acme, "other")
    ids = {ok(acme.owner(program, sub=sub).post(at("programs", program, "messages"), NEWS,
                                                headers=keyed("k")), 201).json["id"]
           for program in ("acme", "other") for sub in ("olivia", "oscar")}
    assert len(ids) == 4
    sent = send(acme.owner(), replies_enabled=True)["id"]
    posts = set()
    for partner in ("grace", "alan"):
        path = at("portal", "messages", sent, "replies")
        answers = [ok(acme.partner(partner).post(path, {"body": "A"}, headers=keyed("k")), 201)
                   for _ in range(2)]
        assert answers[0].json == answers[1].json
        posts.add(answers[0].json["id"])
        answer = acme.partner(partner).post(path, {"body": "B"}, headers=keyed("k"))
        assert (answer.status, answer.code) == (409, "idempotency_key_reused")
    assert len(posts) == 2


def test_a_key_of_a_refusal_is_free_again(acme):
    owner = acme.owner()
    nobody = filtered({"tag": "later"})
    answer = owner.post(MESSAGES, {**NEWS, "audience": nobody}, headers=keyed("k"))
    assert (answer.status, answer.code) == (422, "audience_empty")
    ok(acme.platform().patch(at("programs", "acme", "partners", "zoe"), {"tags": ["later"]}))
    ok(owner.post(MESSAGES, {**NEWS, "audience": nobody}, headers=keyed("k")), 201)


def test_remembered_key_comes_before_plan(acme):
    owner = acme.owner()
    first = ok(owner.post(MESSAGES, NEWS, headers=keyed("k")), 201)
    ok(acme.platform().put(at("programs", "acme"), {"name": "Acme", "plan": "starter"}))
    again = owner.post(MESSAGES, NEWS, headers=keyed("k"))
    assert again.status == 201 and again.json["id"] == first.json["id"]
    answer = owner.post(MESSAGES, {**NEWS, "subject": "T"}, headers=keyed("k"))
    assert (answer.status, answer.code) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_keys_have_a_length(acme, key):
    answer = acme.owner().post(MESSAGES, NEWS, headers=keyed(key))
    assert (answer.status, answer.code) == (422, "invalid")
    ok(acme.owner().post(MESSAGES, NEWS, headers=keyed("k" * 255)), 201)


def test_respond_async(acme):
    owner = acme.owner()
    asked = owner.post(MESSAGES, NEWS, headers={"Prefer": "respond-async"})
    assert asked.status == 202
    location = asked.headers["Location"]
    assert location.startswith("/v1/commands/")
    shown = finished(owner, location)
    assert (shown["state"], shown["status"]) == ("done", 201)
    assert shown["id"] == location.rsplit("/", 1)[1]
    assert owner.pages(MESSAGES) == [shown["answer"]]

    sent = send(owner, replies_enabled=True)["id"]
    path = at("portal", "messages", sent, "replies")
    partner = acme.partner("grace")
    asked = ok(partner.post(path, {"body": "A"}, headers={"Prefer": "respond-async"}), 202)
    shown = finished(partner, asked.headers["Location"])
    assert shown["answer"]["body"] == "A"
    for other in (owner, acme.partner("alan"), acme.owner(sub="another"), acme.platform()):
        answer = other.get(asked.headers["Location"])
        assert (answer.status, answer.code) == (404, "not_found")
    acme.restart()
    again = ok(acme.partner("grace").get(asked.headers["Location"])).json
    assert again["answer"] == shown["answer"]


def test_respond_async_refused(acme):
    owner = acme.owner()
    asked = owner.post(MESSAGES, {**NEWS, "audience": filtered({"tag": "none"})},
                       headers={"Prefer": "respond-async"})
    assert asked.status == 202
    shown = finished(owner, asked.headers["Location"])
    assert (shown["state"], shown["status"]) == ("refused", 422)
    assert shown["answer"]["code"] == "audience_empty"
    answer = owner.post(MESSAGES, {"subject": "", "body": "B"},
                        headers={"Prefer": "respond-async"})
    assert answer.status == 422  # what can be seen at once is said at once


def test_respond_async_with_a_key(acme):
    owner = acme.owner()
    headers = keyed("k", Prefer="respond-async")
    first = ok(owner.post(MESSAGES, NEWS, headers=headers), 202)
    shown = finished(owner, first.headers["Location"])
    again = owner.post(MESSAGES, NEWS, headers=keyed("k"))
    assert again.status == 201 and again.json["id"] == shown["answer"]["id"]
    assert len(owner.pages(MESSAGES)) == 1


def test_positions(acme):
    owner = acme.owner()
    written = ok(owner.post(MESSAGES, NEWS), 201)
    partition, sequence = written.position.split(":")
    path = at("programs", "acme", "summary")
    ok(owner.get(path, headers={"Tidings-Min-Position": written.position}))
    for ahead in (1, 10 ** 12):
        started = time.monotonic()
        answer = owner.get(path, headers={
            "Tidings-Min-Position": f"{partition}:{int(sequence) + ahead}"})
        assert (answer.status, answer.code) == (503, "not_caught_up")
        assert 1.5 < time.monotonic() - started < 10
    for bad in ("x", "1", "0:", ":1", "0:-1", "0:1,", "9:1", "0:99999999999999999999999"):
        answer = owner.get(path, headers={"Tidings-Min-Position": bad})
        assert (answer.status, answer.code) == (422, "invalid"), bad


def test_every_decided_write_has_its_position(acme):
    owner, platform, grace = acme.owner(), acme.platform(), acme.partner("grace")
    sent = send(owner, replies_enabled=True)["id"]
    answers = [
        platform.put(at("programs", "acme"), {"name": "New name", "plan": "partner"}),
        platform.patch(at("programs", "acme", "partners", "zoe"), {"name": "Z"}),
        platform.delete(at("programs", "acme", "partners", "arc")),
        owner.post(MESSAGES, NEWS),
        owner.post(MESSAGES, {**NEWS, "audience": filtered({"tag": "none"})}),
        grace.post(at("portal", "messages", sent, "open")),
        grace.post(at("portal", "messages", sent, "replies"), {"body": "A"}),
        owner.post(at("programs", "acme", "partners", "grace", "messages", sent, "read")),
    ]
    sequences = []
    for answer in answers:
        assert answer.position, answer
        sequences.append(int(answer.position.split(":")[1]))
    assert sequences == sorted(sequences)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=", "limit=1.5",
                                   "cursor=x", "cursor=", "surprise=1", "limit=1&limit=2"])
def test_bad_pages(acme, query):
    send(acme.owner())
    for client, path in ((acme.owner(), MESSAGES), (acme.partner("grace"), "/v1/portal/messages"),
                         (acme.owner(), at("programs", "acme", "partners"))):
        answer = client.get(f"{path}?{query}")
        assert (answer.status, answer.code) == (422, "invalid"), (path, query)


def test_a_cursor_belongs_to_its_list(acme):
    owner = acme.owner()
    send(owner)
    send(owner)
    cursor = ok(owner.get(MESSAGES, query={"limit": 1})).json["next_cursor"]
    for path, other in ((MESSAGES, cursor[:-1]), (MESSAGES, cursor + "A"),
                        (MESSAGES, cursor.swapcase()), (MESSAGES, cursor[1:]),
                        (at("programs", "acme", "partners"), cursor),
                        (at("programs", "acme", "tags"), cursor)):
        answer = owner.get(path, query={"limit": 1, "cursor": other})
        assert (answer.status, answer.code) == (422, "invalid"), (path, other)
        assert answer.pointers == {"/cursor": "invalid_cursor"}
    assert len(owner.pages(MESSAGES, limit=1)) == 2  # and as it was given, it leads on


def test_recipients_as_csv(acme):
    owner = acme.owner()
    odd = {"email": "odd@x.example", "name": 'Quote " and, comma', "surname": "O'Neil; =1+1"}
    ok(acme.platform().put(at("programs", "acme", "partners", "odd"), odd))
    sent = send(owner, replies_enabled=True)["id"]
    ok(acme.partner("odd").post(at("portal", "messages", sent, "replies"), {"body": "A"}), 201)
    path = at("programs", "acme", "messages", sent, "recipients")
    answer = ok(owner.get(path, headers={"Accept": "text/csv"}))
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    assert [r["partner_id"] for r in rows] == [*ACTIVE, "odd"]
    assert (rows[3]["name"], rows[3]["surname"]) == (odd["name"], odd["surname"])
    assert rows[3]["unread_replies"] == "1" and rows[3]["first_replied_at"].endswith("Z")
    assert rows[0]["opened_at"] == "" and rows[0]["surname"] == PEOPLE["grace"]["surname"]
    only = ok(owner.get(path, headers={"Accept": "text/csv"}, query={"state": "replied"}))
    assert [r["partner_id"] for r in csv.DictReader(io.StringIO(only.body.decode()))] == ["odd"]
    answer = owner.get(path, headers={"Accept": "image/png"})
    assert (answer.status, answer.code) == (406, "not_acceptable")
    assert tidings.json.loads(ok(owner.get(path, headers={"Accept": "*/*"})).body)["data"]
