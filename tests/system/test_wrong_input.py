"""Wrong input, endpoint by endpoint: the documented answer, and not one row moves."""
import json

import pytest

from endpoints import CALLER, ENDPOINTS, GUARDED, WITH_JSON, call, fill
from programs import filtered, make_program, named, send
from tidings import at

LONG = "x" * 70_000
P = "/v1/programs/acme"
DEEP = {"tag": "a"}
for _ in range(16):
    DEEP = {"not": DEEP}

# (method, path, bad body, pointer of the bad field, its code or None where the code is not given)
FIELDS = [
    ("PUT", P, {"plan": "partner"}, "/name", None),
    ("PUT", P, {"name": "A"}, "/plan", None),
    ("PUT", P, {"name": 1, "plan": "partner"}, "/name", None),
    ("PUT", P, {"name": " ", "plan": "partner"}, "/name", None),
    ("PUT", P, {"name": "n" * 201, "plan": "partner"}, "/name", "too_long"),
    ("PUT", P, {"name": "A", "plan": "gold"}, "/plan", None),
    ("PUT", P, {"name": "A", "plan": "partner", "x": 1}, "/x", "unknown_field"),
    ("PUT", f"{P}/webhooks/partnero", {}, "/secret", None),
    ("PUT", f"{P}/webhooks/partnero", {"secret": ""}, "/secret", None),
    ("PUT", f"{P}/webhooks/partnero", {"secret": 1}, "/secret", None),
    ("PUT", f"{P}/webhooks/partnero", {"secret": "s", "a/b~c": 1}, "/a~1b~0c", "unknown_field"),
    ("POST", f"{P}/messages", {"body": "B"}, "/subject", None),
    ("POST", f"{P}/messages", {"subject": "S"}, "/body", None),
    ("POST", f"{P}/messages", {"subject": 1, "body": "B"}, "/subject", None),
    ("POST", f"{P}/messages", {"subject": "S", "body": None}, "/body", None),
    ("POST", f"{P}/messages", {"subject": "S" * 201, "body": "B"}, "/subject", "too_long"),
    ("POST", f"{P}/messages", {"subject": "a\nb", "body": "B"}, "/subject", None),
    ("POST", f"{P}/messages", {"subject": "a\u0085b", "body": "B"}, "/subject", None),
    ("POST", f"{P}/messages", {"subject": "S", "body": LONG}, "/body", "too_long"),
    ("POST", f"{P}/messages", {"subject": "S", "body": "B", "to": []}, "/to", "unknown_field"),
    ("POST", f"{P}/messages", {"subject": "S", "body": "B", "replies_enabled": "yes"},
     "/replies_enabled", None),
    ("POST", f"{P}/messages", {"subject": "S", "body": "B", "expect_digest": "x"},
     "/expect_digest", None),
    ("POST", f"{P}/partners/grace/messages/{{m}}/replies", {}, "/body", None),
    ("POST", f"{P}/partners/grace/messages/{{m}}/replies", {"body": "\u2029"}, "/body", None),
    ("POST", f"{P}/partners/grace/messages/{{m}}/replies", {"body": LONG}, "/body", "too_long"),
    ("POST", f"{P}/partners/grace/messages/{{m}}/replies", {"body": "B", "x": 1}, "/x",
     "unknown_field"),
    ("POST", "/v1/portal/messages/{m}/replies", {"body": []}, "/body", None),
    ("POST", "/v1/portal/messages/{m}/replies", {"body": "B", "from": "owner"}, "/from",
     "unknown_field"),
    ("POST", "/v1/portal/messages/{m}/open", {"up_to": 1}, "/up_to", None),
    ("POST", "/v1/portal/messages/{m}/open", {"up_to": "post_x"}, "/up_to", None),
    ("POST", "/v1/portal/messages/{m}/open", {"at": "now"}, "/at", "unknown_field"),
]
PROFILES = [
    ({"email": "no at"}, "/email", None), ({"email": "a@b@c"}, "/email", None),
    ({"email": "@"}, "/email", None), ({"email": None}, "/email", None),
    ({"email": "a" * 250 + "@x.ex"}, "/email", "too_long"),
    ({"name": "n" * 201}, "/name", "too_long"), ({"name": 1}, "/name", None),
    ({"surname": []}, "/surname", None), ({"status": "gone"}, "/status", None),
    ({"status": 1}, "/status", None), ({"tags": "a"}, "/tags", None),
    ({"tags": [1]}, "/tags/0", None), ({"tags": ["a", ""]}, "/tags/1", None),
    ({"tags": ["t" * 101]}, "/tags/0", "too_long"),
    ({"tags": [f"t{n}" for n in range(101)]}, "/tags", None),
    ({"joined_at": "yesterday"}, "/joined_at", None), ({"joined_at": 1}, "/joined_at", None),
    ({"joined_at": "2026-02-30T00:00:00Z"}, "/joined_at", None),
    ({"metrics": []}, "/metrics", None),
    ({"metrics": {"views": 1}}, "/metrics/views", "unknown_field"),
    ({"metrics": {"clicks": -1}}, "/metrics/clicks", None),
    ({"metrics": {"clicks": 1.5}}, "/metrics/clicks", None),
    ({"metrics": {"clicks": "1"}}, "/metrics/clicks", None),
    ({"metrics": {"clicks": 2 ** 53}}, "/metrics/clicks", None),
    ({"metrics": {"sales": 10 ** 30}}, "/metrics/sales", None),
    ({"metrics": {"revenue": "1"}}, "/metrics/revenue", None),
    ({"metrics": {"revenue": {"USD": 1}}}, "/metrics/revenue/USD", None),
    *[({"metrics": {"revenue": {"USD": bad}}}, "/metrics/revenue/USD", None)
      for bad in ("1e3", ".5", "1.", "+1", "01", "1.1234567", "", " 1", "-", "--1", "1.0",
                  "1.50", "-0",
                  "9223372036855", "1,5", "NaN", "0x1")],
    ({"metrics": {"commission": {"": "1"}}}, "/metrics/commission/", None),
    ({"nickname": "x"}, "/nickname", "unknown_field"),
]
FIELDS += [(method, f"{P}/partners/grace", body, pointer, code)
           for body, pointer, code in PROFILES for method in ("PUT", "PATCH")]
AUDIENCES = [
    ("all", "/audience"), ({}, "/audience/type"), ({"type": "some"}, "/audience/type"),
    ({"type": "all", "partners": ["grace"]}, "/audience/partners"),
    ({"type": "partners"}, "/audience/partners"),
    ({"type": "partners", "partners": "grace"}, "/audience/partners"),
    ({"type": "partners", "partners": ["grace", 1]}, "/audience/partners/1"),
    ({"type": "filter"}, "/audience/filter"), (filtered({}), "/audience/filter"),
    (filtered([]), "/audience/filter"), (filtered({"tag": 1}), "/audience/filter/tag"),
    (filtered({"tag": "a", "any": []}), "/audience/filter"),
    (filtered({"all": {}}), "/audience/filter/all"),
    (filtered({"any": [{"tag": "a"}, {"tag": None}]}), "/audience/filter/any/1/tag"),
    (filtered({"not": []}), "/audience/filter/not"),
    (filtered({"metric": "views", "op": ">", "value": 1}), "/audience/filter/metric"),
    (filtered({"metric": "clicks", "op": "~", "value": 1}), "/audience/filter/op"),
    (filtered({"metric": "clicks", "op": ">"}), "/audience/filter/value"),
    (filtered({"metric": "clicks", "op": ">", "value": "1"}), "/audience/filter/value"),
    (filtered({"metric": "clicks", "op": ">", "value": 1.5}), "/audience/filter/value"),
    (filtered({"metric": "clicks", "op": ">", "value": 1, "currency": "USD"}),
     "/audience/filter/currency"),
    (filtered({"metric": "revenue", "op": ">", "value": "1"}), "/audience/filter/currency"),
    (filtered({"metric": "revenue", "op": ">", "value": 1, "currency": "USD"}),
     "/audience/filter/value"),
    (filtered({"metric": "revenue", "op": ">", "value": "1.0", "currency": "USD"}),
     "/audience/filter/value"),
    (filtered({"joined": "during", "at": "2026-01-01T00:00:00Z"}), "/audience/filter/joined"),
    (filtered({"joined": "before"}), "/audience/filter/at"),
    (filtered({"joined": "before", "at": "soon"}), "/audience/filter/at"),
    (filtered({"engagement": "liked", "message": "{m}"}), "/audience/filter/engagement"),
    (filtered({"engagement": "opened"}), "/audience/filter/message"),
    (filtered({"engagement": "opened", "message": "msg_x"}), "/audience/filter/message"),
    (filtered({"tag": "a", "x": 1}), "/audience/filter/x"),
    (filtered(DEEP), None), (filtered({"all": [{"tag": "a"}] * 256}), None),
    (filtered({"tag": "a"}, exclude="grace"), "/audience/exclude"),
    ({"type": "all", "sort": 1}, "/audience/sort"),
    (named("grace", "nobody"), "/audience/partners/1"),
]
QUERIES = [
    (f"{P}/partners", "status=gone"), (f"{P}/partners", "limit=0"), (f"{P}/partners", "x=1"),
    (f"{P}/partners", "query=" + "q" * 201), (f"{P}/tags", "limit=201"),
    (f"{P}/messages", "cursor=!!"), (f"{P}/messages/{{m}}/recipients", "state=maybe"),
    (f"{P}/messages/{{m}}/recipients", "limit=-1"), (f"{P}/messages/{{m}}/opens", "interval=week"),
    (f"{P}/partners/grace/messages", "cursor=x"), ("/v1/portal/messages", "unread=maybe"),
    ("/v1/portal/messages", "limit=1e1"),
]


class World:
    """One server; a digest of everything that can be read, before and after each test."""

    def __init__(self, server):
        self.server = server
        make_program(server)
        self.message = send(server.owner(), replies_enabled=True)["id"]
        self.clients = {role: server.client(server.token(*CALLER[role]))
                        for role in ("platform", "owner", "partner")}

    def client(self, endpoint):
        return self.clients[next(r for r in self.clients if r in endpoint.roles)]

    def by_path(self, method, path):
        for endpoint in GUARDED:
            if (endpoint.method, endpoint.path) == (method, path):
                return endpoint
        raise KeyError(path)

    def call(self, endpoint, **parts):
        return call(self.client(endpoint), endpoint, self.message, **parts)


@pytest.fixture(scope="module")
def world(module_fleet):
    """The digests of all read models are the same after every test of this file as before."""
    world = World(module_fleet.deployment().start())
    assert world.server.stop() == 0
    before = world.server.digests()
    world.server.start()
    world.clients = {role: world.server.client(world.server.token(*CALLER[role]))
                     for role in ("platform", "owner", "partner")}
    yield world
    assert world.server.stop() == 0
    assert world.server.digests() == before, "wrong input left a trace"


def check(answer, status, code, about=None):
    assert (answer.status, answer.code) == (status, code), (about, answer)
    problem = answer.json
    assert problem["status"] == status and problem["title"] and problem["detail"], problem
    assert answer.headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("method,path,body,pointer,code", FIELDS,
                         ids=lambda v: str(v)[:60] if not isinstance(v, dict) else None)
def test_bad_fields(world, method, path, body, pointer, code):
    answer = world.call(world.by_path(method, path), body=body)
    check(answer, 422, "invalid", body)
    assert pointer in answer.pointers, answer.pointers
    assert code in (None, answer.pointers[pointer])
    assert all(e["detail"] for e in answer.json["errors"])


@pytest.mark.parametrize("audience,pointer", AUDIENCES, ids=lambda v: str(v)[:70])
def test_bad_audiences(world, audience, pointer):
    """In a preview and in a send alike."""
    audience = json.loads(json.dumps(audience).replace("{m}", world.message))
    for path, rest in ((f"{P}/audiences", {}), (f"{P}/messages", {"subject": "S", "body": "B"})):
        answer = world.call(world.by_path("POST", path), body={"audience": audience, **rest})
        unknown = isinstance(audience, dict) and audience.get("partners") == ["grace", "nobody"]
        check(answer, 422, "unknown_partner" if unknown else "invalid", audience)
        if pointer:
            assert pointer in answer.pointers, answer.pointers
        else:
            assert all(p.startswith("/audience/filter") for p in answer.pointers)


@pytest.mark.parametrize("path,query", QUERIES)
def test_bad_queries(world, path, query):
    endpoint = world.by_path("GET", path)
    check(world.call(endpoint, path=f"{path}?{query}"), 422, "invalid")


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda e: e.name)
def test_unknown_queries(world, endpoint):
    answer = world.call(endpoint, path=endpoint.path + "?surprise=1")
    check(answer, 422, "invalid")
    assert "/surprise" in answer.pointers
    check(world.call(endpoint, path=endpoint.path + "?limit=%ff"), 400, "malformed")


def body_endpoint(endpoint):
    return endpoint in WITH_JSON or endpoint.path.endswith("/open")


@pytest.mark.parametrize("endpoint", [e for e in GUARDED if body_endpoint(e)],
                         ids=lambda e: e.name)
def test_malformed_bodies(world, endpoint):
    event = endpoint.path == "/v1/events"
    kind = {"Content-Type": endpoint.kind or "application/json"}
    for bad in (b"{", b"nonsense", b'{"a":1}}', b'{"a":1,}', b"{'a':1}", b'{"a":\x00}',
                b'{"body":"\xff\xfe"}', b'{"body":"\xed\xa0\x80"}', b'{"body":"\\ud800"}',
                b'{"a":01}', b'{"a":NaN}', b"\xef\xbb\xbf{}" + b"x", b"[" * 10_000):
        check(world.call(endpoint, body=bad, headers=kind), 400, "malformed", bad[:20])
    for wrong in (b"[]", b'"x"', b"1", b"null", b"true"):
        answer = world.call(endpoint, body=wrong, headers=kind)
        assert answer.status in ((200, 422) if event else (422,)), (wrong, answer)
    if not endpoint.path.endswith("/open"):
        answer = world.call(endpoint, body=b"", headers=kind)
        assert answer.status in (400, 422), answer
    twice = b'{"subject":"S","subject":"T","body":"B"}'
    if endpoint.path.endswith("/messages"):
        assert world.call(endpoint, body=twice).status in (400, 422)


@pytest.mark.parametrize("endpoint", [e for e in GUARDED if body_endpoint(e)],
                         ids=lambda e: e.name)
def test_too_large_and_wrong_types(world, endpoint):
    large = b'{"body":"' + b"x" * (1 << 20) + b'"}'
    check(world.call(endpoint, body=large,
                     headers={"Content-Type": endpoint.kind or "application/json"}),
          413, "payload_too_large")
    for kind in ("text/plain", "application/xml", "multipart/form-data", "application/jsonx"):
        answer = world.call(endpoint, body=b"{}", headers={"Content-Type": kind})
        check(answer, 415, "unsupported_media_type", kind)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_wrong_methods(world, endpoint):
    known = {e.method for e in ENDPOINTS if e.path == endpoint.path}
    known |= {"GET"} if endpoint.path.endswith("/partners/arc") else set()
    known |= {"PUT", "PATCH", "DELETE"} if "/partners/" in endpoint.path and (
        endpoint.path.count("/") == 5) else set()
    known |= {"POST"} if endpoint.path.endswith("/webhooks/partnero") else set()
    client = world.client(endpoint) if endpoint.token else world.server.client()
    path = fill(endpoint.path, world.message)
    for method in ("GET", "PUT", "POST", "PATCH", "DELETE", "BREW"):
        if method in known:
            continue
        answer = client.request(method, path, {} if method in ("PUT", "POST", "PATCH") else None)
        if endpoint.path.endswith("/partners/import") and method in ("PUT", "PATCH", "DELETE",
                                                                     "GET"):
            continue  # a partner may have the id "import"
        assert (answer.status, answer.code) == (405, "method_not_allowed"), (method, answer)
        assert known <= {m.strip() for m in answer.headers["Allow"].split(",")}


def test_unknown_paths(world):
    client = world.clients["owner"]
    for path in ("/", "/v1", "/v2/programs/acme", "/v1/programs", f"{P}/", f"{P}/nothing",
                 f"{P}/messages/{world.message}/", f"{P}/messages/{world.message}/nothing",
                 "/v1/portal", "/v1/portal/nothing", "/v1/../etc/passwd"):
        answer = client.get(path)
        assert answer.status in (403, 404) and answer.code in ("not_found", "forbidden"), path


@pytest.mark.parametrize("bad", ["a%2Fb", "%00", "a%0Ab", "%ff", "x" * 129, "%7f"])
def test_bad_ids_in_paths(world, bad):
    platform = world.clients["platform"]
    for path in (f"/v1/programs/{bad}", f"{P}/partners/{bad}"):
        for answer in (platform.get(path), platform.put(path, {"email": "a@x.example"} if (
                "partners" in path) else {"name": "A", "plan": "partner"})):
            assert answer.status in (400, 404, 422), (path, answer)
            assert answer.code in ("malformed", "not_found", "invalid")


def test_many_faults_are_all_named(world):
    answer = world.clients["owner"].post(at("programs", "acme", "messages"), {
        "subject": "", "body": 1, "surprise": True, "audience": {"type": "some"}})
    check(answer, 422, "invalid")
    assert {"/subject", "/body", "/surprise", "/audience/type"} <= set(answer.pointers)


def test_bad_open_lines(world):
    body = (b'{"message":"%s","partner":"pat"}\n{"message":"msg_x","partner":"grace"}\n'
            b'{"partner":"grace"}\n{\n{"message":"%s","partner":"grace","at":"soon"}\n'
            b'{"message":"%s","partner":"nobody"}\n{"message":"%s","partner":"grace","x":1}\n'
            % ((world.message.encode(),) * 4))
    answer = world.clients["platform"].post(f"{P}/opens", body=body,
                                            headers={"Content-Type": "application/x-ndjson"})
    assert answer.status == 200 and (answer.json["accepted"], answer.json["first_opens"]) == (0, 0)
    assert [r["line"] for r in answer.json["rejected"]] == [1, 2, 3, 4, 5, 6, 7]


def test_a_line_too_long(world):
    line = b'{"id":"' + b"x" * (1 << 20) + b'"}\n'
    answer = world.clients["platform"].post(f"{P}/partners/import", body=line,
                                            headers={"Content-Type": "application/x-ndjson"})
    assert answer.status in (200, 413)
    if answer.status == 200:
        assert answer.json["rejected"][0]["code"] in ("payload_too_large", "too_long")
