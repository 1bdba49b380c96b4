"""Wrong lines, events and deliveries: each is told what it is, and not one row moves."""
import json

import pytest

from endpoints import DELIVERY, EVENT, NDJSON, SECRET, signature
from programs import make_program, ok, send
from untouched import untouched
from wrong_fields import LONG, P, PROFILES, STRICT_PROFILES

HOOK = f"{P}/webhooks/partnero"


class World:
    def __init__(self, server):
        self.server = server
        platform = make_program(server)
        ok(platform.put(HOOK, {"secret": SECRET}), 204)
        self.message = send(server.owner(), replies_enabled=True)["id"]

    def post(self, path, body, **headers):
        client = self.server.platform()
        return client.post(path, body=body.replace(b"{m}", self.message.encode()), headers=headers)


@pytest.fixture(scope="module")
def world(module_fleet):
    world = World(module_fleet.deployment().start())
    with untouched(world.server):
        yield world


def check_rejected(answer, counts, rejected, place="line"):
    """Exactly these, as (place, code, beginning of the detail); and nothing was counted."""
    shown = ok(answer).json
    assert {name: shown[name] for name in shown if name != "rejected"} == dict.fromkeys(counts, 0)
    for told, (number, code, detail) in zip(shown["rejected"], rejected, strict=True):
        assert (told[place], told["code"]) == (number, code), told
        assert told["detail"].startswith(detail), (told, detail)


def check_lines(answer, counts, lines):
    check_rejected(answer, counts, [(number, code, detail) for number, (_, code, detail)
                                    in enumerate(lines, 1)])


IMPORTS = ("created", "updated", "unchanged")
# (line, code, beginning of the detail: the bad field)
SYNTAX = [
    (b"{", "malformed", "not valid JSON"), (b"\xff\xfe", "malformed", "not valid JSON"),
    (b'{"a":01}', "malformed", "not valid JSON"), (b'{"a":1}}', "malformed", "not valid JSON"),
    (b'{"a":1,"a":2}', "malformed", "not valid JSON"),
    (b"[]", "invalid", "the document: must be an object"),
    (b'"x"', "invalid", "the document: must be an object"),
    (b"null", "invalid", "the document: must be an object"),
]
IDS = [
    (b'{"email":"b@x.example"}', "invalid", "/id: "),
    (b'{"id":1,"email":"b@x.example"}', "invalid", "/id: "),
    (b'{"id":"","email":"b@x.example"}', "invalid", "/id: "),
    (b'{"id":"g/h","email":"b@x.example"}', "invalid", "/id: "),
    (b'{"id":"g\\n","email":"b@x.example"}', "invalid", "/id: "),
    (b'{"id":"%s","email":"b@x.example"}' % (b"i" * 129), "invalid", "/id: "),
    (b'{"id":"first sight"}', "invalid", "/email: "),
]


def test_import_lines(world):
    fields = [(json.dumps({"id": "grace", **body}).encode(), "invalid", f"{pointer}: ")
              for body, pointer, _ in STRICT_PROFILES]
    lines = [*SYNTAX, *IDS, *fields]
    check_lines(world.post(f"{P}/partners/import", b"\n".join(line for line, _, _ in lines),
                           **{"Content-Type": NDJSON}), IMPORTS, lines)


def test_open_lines(world):
    lines = [
        *SYNTAX,
        (b'{"partner":"grace"}', "invalid", "/message: "),
        (b'{"message":1,"partner":"grace"}', "invalid", "/message: "),
        (b'{"message":null,"partner":"grace"}', "invalid", "/message: "),
        (b'{"message":"{m}"}', "invalid", "/partner: "),
        (b'{"message":"{m}","partner":1}', "invalid", "/partner: "),
        (b'{"message":"{m}","partner":"grace","at":"soon"}', "invalid", "/at: "),
        (b'{"message":"{m}","partner":"grace","at":1}', "invalid", "/at: "),
        (b'{"message":"{m}","partner":"grace","at":null}', "invalid", "/at: "),
        (b'{"message":"{m}","partner":"grace","x":1}', "invalid", "/x: "),
        (b'{"message":"msg_x","partner":"grace"}', "not_found", "/message: "),
        (b'{"message":"{m}0","partner":"grace"}', "not_found", "/message: "),
        (b'{"message":"{m}","partner":"nobody"}', "not_found", "/partner: "),
        (b'{"message":"{m}","partner":"a/b"}', "not_found", "/partner: "),
        (b'{"message":"{m}","partner":"pat"}', "not_a_recipient", "the partner did not receive"),
    ]
    check_lines(world.post(f"{P}/opens", b"\n".join(line for line, _, _ in lines),
                           **{"Content-Type": NDJSON}), ("accepted", "first_opens"), lines)


@pytest.mark.parametrize("path,counts", [(f"{P}/partners/import", IMPORTS),
                                         (f"{P}/opens", ("accepted", "first_opens"))])
def test_a_line_too_large(world, path, counts):
    """More than 1 MiB is too large whatever stands in it; up to that, its fields are looked at."""
    start, end = b'{"id":"', b'"}'
    fits = start + b"x" * ((1 << 20) - len(start) - len(end)) + end
    answer = world.post(path, fits + b"\n" + fits[:-2] + b'x"}\n{}', **{"Content-Type": NDJSON})
    check_rejected(answer, counts, [(1, "invalid", "/"), (2, "payload_too_large", "a line has"),
                                    (3, "invalid", "/")])


EVENT_COUNTS = ("accepted", "duplicates", "ignored")
LEFT_OUT = type("LeftOut", (), {"__repr__": lambda self: "left out"})()  # named alike in every run
# (what is put into the event, beginning of the detail)
ATTRIBUTES = [
    ({"specversion": LEFT_OUT}, "/specversion: "), ({"specversion": "0.3"}, "/specversion: "),
    ({"specversion": 1.0}, "/specversion: "), ({"id": LEFT_OUT}, "/id: "), ({"id": ""}, "/id: "),
    ({"id": 1}, "/id: "), ({"source": LEFT_OUT}, "/source: "), ({"source": ""}, "/source: "),
    ({"source": {}}, "/source: "), ({"type": LEFT_OUT}, "/type: "), ({"type": ""}, "/type: "),
    ({"type": []}, "/type: "), ({"time": "yesterday"}, "/time: "),
    ({"time": "2026-02-30T00:00:00Z"}, "/time: "), ({"time": 1}, "/time: "),
    ({"program": LEFT_OUT}, "/program: "), ({"program": ""}, "/program: "),
    ({"program": "a/b"}, "/program: "), ({"program": 1}, "/program: "),
    ({"subject": LEFT_OUT}, "/subject: "), ({"subject": ""}, "/subject: "),
    ({"subject": "a/b"}, "/subject: "), ({"subject": "s" * 129}, "/subject: "),
    ({"subject": 1}, "/subject: "), ({"data": LEFT_OUT}, "/data: "), ({"data": None}, "/data: "),
    ({"data": []}, "/data: "), ({"data": "x"}, "/data: "),
    ({"data_base64": "e30="}, "/data_base64: "),
    ({"data": LEFT_OUT, "data_base64": "e30"}, "/data_base64: "),
    ({"data": LEFT_OUT, "data_base64": 1}, "/data_base64: "),
    ({"data": LEFT_OUT, "data_base64": "e30=", "datacontenttype": "text/plain"},
     "/datacontenttype: "),
]
# (type without its beginning, data, beginning of the detail)
DATA = [
    *[("partner.upserted", body, f"/data{pointer}: ") for body, pointer, _ in PROFILES],
    ("program.upserted", {"plan": "partner"}, "/data/name: "),
    ("program.upserted", {"name": "A"}, "/data/plan: "),
    ("program.upserted", {"name": 1, "plan": "partner"}, "/data/name: "),
    ("program.upserted", {"name": "A", "plan": "gold"}, "/data/plan: "),
    ("program.upserted", [], "/data: "),
    ("partner.performance", {}, "/data/mode: "),
    ("partner.performance", {"mode": "add"}, "/data/metrics: "),
    ("partner.performance", {"mode": "mul", "metrics": {}}, "/data/mode: "),
    ("partner.performance", {"mode": "add", "metrics": []}, "/data/metrics: "),
    ("partner.performance", {"mode": "add", "metrics": {"clicks": "1"}}, "/data/metrics/clicks: "),
    ("partner.performance", {"mode": "set", "metrics": {"clicks": -1}}, "/data/metrics/clicks: "),
    ("partner.performance", {"mode": "set", "metrics": {"revenue": {"USD": 1}}},
     "/data/metrics/revenue/USD: "),
    ("message.opened", {}, "/data/message: "), ("message.opened", {"message": 1}, "/data/message"),
    ("message.opened", [], "/data: "),
    ("message.opened", {"message": "{m}", "at": "soon"}, "/data/at: "),
    ("message.opened", {"message": "{m}", "at": 1}, "/data/at: "),
]


def event_with(change, number=0):
    event = {**EVENT, "id": f"wrong-{number}", **change}
    return {name: value for name, value in event.items() if value is not LEFT_OUT}


def test_events_one_by_one(world):
    """In structured mode, each alone."""
    for change, detail in ATTRIBUTES:
        answer = world.post("/v1/events", json.dumps(event_with(change)).encode(),
                            **{"Content-Type": "application/cloudevents+json"})
        check_rejected(answer, EVENT_COUNTS, [(0, "invalid", detail)], "index")


def test_events_in_a_batch(world):
    changes = [({"type": f"io.tidings.{name}", "data": data}, detail) for name, data, detail in DATA]
    wanted = [(n, "invalid", detail) for n, (_, detail) in enumerate([*ATTRIBUTES, *changes])]
    events = [event_with(change, n) for n, (change, _) in enumerate([*ATTRIBUTES, *changes])]
    for odd in ([], "x", None, 1):
        wanted.append((len(events), "invalid", "the event: must be an object"))
        events.append(odd)
    for kind, data, code in (("message.opened", {"message": "msg_x"}, "not_found"),
                             ("message.opened", {"message": world.message}, "not_a_recipient")):
        wanted.append((len(events), code, "the p"))
        events.append({**EVENT, "id": code, "subject": "pat", "type": f"io.tidings.{kind}",
                       "data": data})
    wanted.append((len(events), "unknown_partner", "the p"))
    events.append({**EVENT, "id": "unknown", "subject": "nobody",
                   "type": "io.tidings.message.opened", "data": {"message": world.message}})
    answer = world.post("/v1/events", json.dumps(events).encode(),
                        **{"Content-Type": "application/cloudevents-batch+json"})
    check_rejected(answer, EVENT_COUNTS, wanted, "index")


def test_events_in_headers(world):
    """In binary mode the attributes are headers."""
    good = {"Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "b",
            "ce-source": "/s", "ce-type": "io.tidings.partner.upserted", "ce-program": "acme",
            "ce-subject": "grace"}
    for change, detail in (({"ce-id": ""}, "/id: "), ({"ce-specversion": "2.0"}, "/specversion: "),
                           ({"ce-subject": "%ff"}, "/subject: "), ({"ce-subject": "%4"}, "/subject"),
                           ({"ce-program": "a%2Fb"}, "/program: "), ({"ce-time": "x"}, "/time: ")):
        answer = world.post("/v1/events", b"{}", **{**good, **change})
        check_rejected(answer, EVENT_COUNTS, [(0, "invalid", detail)], "index")
    answer = world.post("/v1/events", b'{"email":1}', **good)
    check_rejected(answer, EVENT_COUNTS, [(0, "invalid", "/data/email: ")], "index")
    answer = world.post("/v1/events", b'{"email":', **good)
    assert (answer.status, answer.code) == (400, "malformed"), answer


@pytest.mark.parametrize("kind,body,status,code", [
    ("application/cloudevents+json", b"{", 400, "malformed"),
    ("application/cloudevents+json", b"", 400, "malformed"),
    ("application/cloudevents+json", b"[]", 422, "invalid"),
    ("application/cloudevents-batch+json", b"[", 400, "malformed"),
    ("application/cloudevents-batch+json", b"{}", 422, "invalid"),
    ("application/cloudevents+xml", b"<event/>", 415, "unsupported_media_type"),
    ("application/json", b"{}", 422, "invalid")])
def test_requests_that_are_no_events(world, kind, body, status, code):
    answer = world.post("/v1/events", body, **{"Content-Type": kind})
    assert (answer.status, answer.code) == (status, code), answer


# (event, data or what replaces members of the envelope, pointer, code)
ENVELOPES = [
    ({"event": LEFT_OUT}, "/event", "required"), ({"event": None}, "/event", "required"),
    ({"event": 1}, "/event", "wrong_type"), ({"created_at": LEFT_OUT}, "/created_at", "required"),
    ({"created_at": "soon"}, "/created_at", "invalid_format"),
    ({"created_at": 1}, "/created_at", "wrong_type"), ({"data": LEFT_OUT}, "/data", "required"),
    ({"data": []}, "/data", "wrong_type"), ({"data": "x"}, "/data", "wrong_type"),
]
PARTNERS = [
    ({"id": None}, "/id", "required"), ({"id": []}, "/id", "wrong_type"),
    ({"id": "a/b"}, "/id", "invalid_format"), ({"email": "no at"}, "/email", "invalid_format"),
    ({"email": 1}, "/email", "wrong_type"), ({"name": 1}, "/name", "wrong_type"),
    ({"surname": "n" * 201}, "/surname", "too_long"), ({"tags": "a"}, "/tags", "wrong_type"),
    ({"tags": [1]}, "/tags/0", "wrong_type"), ({"tags": [{}]}, "/tags/0/value", "required"),
    ({"tags": [{"value": ""}]}, "/tags/0/value", "blank"),
    ({"status": "gone"}, "/status", "invalid_value"), ({"status": 1}, "/status", "wrong_type"),
    ({"created_at": "soon"}, "/created_at", "invalid_format"),
    ({"referrals": {"clicks": "1"}}, "/referrals/clicks", "wrong_type"),
]
SALE = {"key": "t", "partner": "grace", "amount": 1, "amount_units": "USD"}
SALES = [
    ({"key": None}, "/key", "required"), ({"key": 1}, "/key", "wrong_type"),
    ({"key": ""}, "/key", "blank"), ({"key": LONG}, "/key", "too_long"),
    ({"partner": None}, "/partner", "required"), ({"partner": {"id": "a/b"}}, "/partner/id",
                                                  "invalid_format"),
    ({"customer": []}, "/customer", "wrong_type"),
    ({"customer": {"key": ""}}, "/customer/key", "blank"),
    ({"amount": None}, "/amount", "required"), ({"amount": []}, "/amount", "wrong_type"),
    ({"amount": "x"}, "/amount", "invalid_format"),
    ({"amount_units": None}, "/amount_units", "required"),
    ({"amount_units": "1!"}, "/amount_units", "invalid_format"),
    ({"rewards": {}}, "/rewards", "wrong_type"), ({"rewards": [1]}, "/rewards/0", "wrong_type"),
    ({"rewards": [{"amount": 1}]}, "/rewards/0/amount_units", "required"),
]
DELIVERIES = [
    *ENVELOPES,
    *[({"data": {**DELIVERY["data"], **data}}, f"/data{pointer}", code)
      for data, pointer, code in PARTNERS],
    *[({"event": "transaction.created", "data": {**SALE, **data}}, f"/data{pointer}", code)
      for data, pointer, code in SALES],
    ({"event": "customer.created", "data": {}}, "/data/key", "required"),
    ({"event": "customer.created", "data": {"key": "c", "partner": 1.5}}, "/data/partner",
     "wrong_type"),
]


def deliver(world, body, secret=SECRET, path=HOOK, **headers):
    return world.server.client().post(path, body=body, headers={
        "Content-Type": "application/json", "Signature": signature(secret, body), **headers})


@pytest.mark.parametrize("change,pointer,code", DELIVERIES, ids=lambda v: str(v)[:60])
def test_deliveries(world, change, pointer, code):
    body = {name: v for name, v in {**DELIVERY, **change}.items() if v is not LEFT_OUT}
    answer = deliver(world, json.dumps(body).encode())
    assert (answer.status, answer.code) == (422, "invalid"), answer
    assert answer.pointers == {pointer: code}


def test_deliveries_of_others(world):
    """Only the signature lets in; whatever else is wrong is not looked at before it."""
    body = json.dumps(DELIVERY).encode()
    good = signature(SECRET, body)
    answers = [deliver(world, body, secret="another"), deliver(world, b"{", secret="another"),
               deliver(world, body, Signature=good[:-2]), deliver(world, body, Signature=""),
               deliver(world, body, Signature=good[:-1] + ("0" if good[-1] != "0" else "1")),
               deliver(world, body + b" ", Signature=good),
               deliver(world, body, path=HOOK.replace("acme", "nowhere")),
               world.server.client().post(HOOK, body=body),
               world.server.platform().post(HOOK, body=body)]
    for answer in answers:
        assert (answer.status, answer.code) == (401, "unauthenticated"), answer
