"""What the platform tells: programs, partners, merge-patches, bulk opens, CloudEvents."""
import json

import pytest

from programs import ACTIVE, GRACE, make_program, ok, record_opens, send
from tidings import at

EVENTS = "/v1/events"
PARTNER = at("programs", "acme", "partners", "grace")


@pytest.fixture
def acme(server):
    make_program(server)
    return server


def event(number, kind, data, subject="grace", **more):
    return {"specversion": "1.0", "id": str(number), "source": "/upstream", "program": "acme",
            "type": f"io.tidings.{kind}", "subject": subject, "data": data, **more}


def batch(client, events):
    answer = client.post(EVENTS, body=json.dumps(events).encode(),
                         headers={"Content-Type": "application/cloudevents-batch+json"})
    return ok(answer).json


def test_programs(server):
    platform, path = server.platform(), at("programs", "żółw & co")
    assert platform.get(path).status == 404
    ok(platform.put(path, {"name": "Żółw", "plan": "starter"}))
    assert ok(platform.get(path)).json == {"id": "żółw & co", "name": "Żółw", "plan": "starter"}
    ok(platform.put(path, {"name": "Żółw", "plan": "advanced"}))
    assert ok(platform.get(path)).json["plan"] == "advanced"


def test_put_keeps_what_is_left_out(acme):
    platform = acme.platform()
    shown = ok(platform.put(PARTNER, {"surname": "Murray"})).json
    assert shown["surname"] == "Murray"
    for field in ("email", "name", "tags", "joined_at"):
        assert shown[field] == GRACE[field]
    assert shown["metrics"] == GRACE["metrics"] and shown["status"] == "active"
    shown = ok(platform.put(PARTNER, {"metrics": {"clicks": 7, "revenue": {"EUR": "1.5"}}})).json
    assert shown["metrics"]["clicks"] == 7 and shown["metrics"]["sales"] == 40
    assert shown["metrics"]["revenue"]["EUR"] == "1.5"


def test_first_sight_needs_an_email(acme):
    platform, path = acme.platform(), at("programs", "acme", "partners", "new")
    answer = platform.put(path, {"name": "New"})
    assert answer.status == 422 and list(answer.pointers) == ["/email"]
    shown = ok(platform.put(path, {"email": "new@x.example"})).json
    assert (shown["status"], shown["tags"], shown["name"]) == ("active", [], "")
    assert shown["metrics"] == {"clicks": 0, "signups": 0, "sales": 0, "paid_accounts": 0,
                                "revenue": {}, "commission": {}}


def test_merge_patch(acme):
    platform = acme.platform()
    shown = ok(platform.patch(PARTNER, {"tags": None, "metrics": {"revenue": {"USD": None}}})).json
    assert shown["tags"] == [] and shown["metrics"]["revenue"] == {"USD": "0"}
    assert shown["metrics"]["clicks"] == 1200
    assert platform.patch(at("programs", "acme", "partners", "nobody"), {}).status == 404


def test_delete_keeps_history_and_put_revives(acme):
    platform, owner = acme.platform(), acme.owner()
    sent = send(owner)["id"]
    ok(platform.delete(PARTNER), 204)
    assert ok(owner.get(PARTNER)).json["status"] == "deleted"
    assert [p["id"] for p in owner.pages(at("programs", "acme", "partners"))] == ACTIVE[1:]
    rows = owner.pages(at("programs", "acme", "messages", sent, "recipients"))
    assert [r["partner"]["id"] for r in rows] == ACTIVE
    assert acme.partner("grace").get("/v1/portal/summary").status == 404
    assert ok(platform.put(PARTNER, {})).json["status"] == "active"
    assert ok(acme.partner("grace").get("/v1/portal/summary")).json == {"unread": 1, "total": 1}


def test_bulk_opens(acme):
    owner, platform = acme.owner(), acme.platform()
    sent = send(owner)["id"]
    done = record_opens(platform, "acme", [(sent, "grace"), (sent, "alan"), (sent, "grace"),
                                           (sent, "pat"), (sent, "nobody"), ("msg_x", "grace")])
    assert (done["accepted"], done["first_opens"]) == (3, 2)
    assert [r["line"] for r in done["rejected"]] == [4, 5, 6]
    assert [r["code"] for r in done["rejected"]] == ["not_a_recipient", "not_found", "not_found"]
    again = record_opens(platform, "acme", [(sent, "grace")])
    assert (again["accepted"], again["first_opens"], again["rejected"]) == (1, 0, [])


def test_events_apply_once(acme):
    platform, owner = acme.platform(), acme.owner()
    sent = send(owner)["id"]
    events = [
        event(1, "partner.upserted", {"name": "Admiral"}, time="2026-03-01T10:00:00Z"),
        event(2, "partner.performance", {"mode": "add", "metrics": {"clicks": 5,
                                                                    "revenue": {"USD": "0.01"}}}),
        event(2, "partner.performance", {"mode": "add", "metrics": {"clicks": 5,
                                                                    "revenue": {"USD": "0.01"}}}),
        event(3, "message.opened", {"message": sent}),
        event(4, "program.upserted", {"name": "Acme Inc.", "plan": "advanced"}),
        event(5, "partner.upserted", {"email": "new@x.example"}, subject="new"),
        event(6, "partner.deleted", {}, subject="arc", time="2026-03-01T10:00:00Z"),
        event(7, "unheard.of", {}),
        {"specversion": "1.0"},
        event(8, "message.opened", {"message": sent}, subject="pat"),
    ]
    done = batch(platform, events)
    assert (done["accepted"], done["duplicates"], done["ignored"]) == (6, 1, 1)
    assert [r["index"] for r in done["rejected"]] == [8, 9]
    assert [r["code"] for r in done["rejected"]] == ["invalid", "not_a_recipient"]
    again = batch(platform, events)
    assert (again["accepted"], again["duplicates"], again["ignored"]) == (0, 7, 1)
    assert again["rejected"] == done["rejected"]

    shown = ok(owner.get(PARTNER)).json
    assert shown["name"] == "Admiral" and shown["metrics"]["clicks"] == 1205
    assert shown["metrics"]["revenue"] == {"USD": "100"}
    assert ok(owner.get(at("programs", "acme", "messages", sent))).json["stats"]["opens"] == 1
    assert ok(platform.get(at("programs", "acme"))).json["name"] == "Acme Inc."
    assert ok(owner.get(at("programs", "acme", "partners", "arc"))).json["status"] == "deleted"


def test_events_are_ordered_by_their_time(acme):
    platform, owner = acme.platform(), acme.owner()
    newer = event(1, "partner.upserted", {"name": "Newer"}, time="2026-03-02T10:00:00Z")
    older = event(2, "partner.upserted", {"name": "Older"}, time="2026-03-01T10:00:00Z")
    batch(platform, [newer])
    batch(platform, [older])
    assert ok(owner.get(PARTNER)).json["name"] == "Newer"
    newer = event(3, "partner.performance", {"mode": "set", "metrics": {"clicks": 9}},
                  time="2026-03-02T10:00:00Z")
    older = event(4, "partner.performance", {"mode": "set", "metrics": {"clicks": 8}},
                  time="2026-03-01T10:00:00Z")
    batch(platform, [newer, older])
    assert ok(owner.get(PARTNER)).json["metrics"]["clicks"] == 9


def test_structured_and_binary_events(acme):
    platform = acme.platform()
    one = event(1, "partner.upserted", {"name": "One"}, time="2026-03-01T10:00:00Z")
    answer = platform.post(EVENTS, body=json.dumps(one).encode(),
                           headers={"Content-Type": "application/cloudevents+json"})
    assert ok(answer).json["accepted"] == 1
    headers = {"Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "2",
               "ce-source": "/upstream", "ce-type": "io.tidings.partner.upserted",
               "ce-program": "acme", "ce-subject": "grace", "ce-time": "2026-03-02T10:00:00Z"}
    answer = platform.post(EVENTS, body=b'{"name":"Two","unheard":"of"}', headers=headers)
    assert ok(answer).json == {"accepted": 1, "duplicates": 0, "ignored": 0, "rejected": []}
    assert ok(acme.owner().get(PARTNER)).json["name"] == "Two"


def test_metrics_never_fall_below_zero(acme):
    batch(acme.platform(), [event(1, "partner.performance", {
        "mode": "add", "metrics": {"sales": -1000, "clicks": -1}})])
    metrics = ok(acme.owner().get(PARTNER)).json["metrics"]
    assert metrics["sales"] == 0 and metrics["clicks"] == 1199
