"""Wrong input, endpoint by endpoint: the documented answer, and not one row moves."""
import json

import pytest

from endpoints import CALLER, CLOSED, ENDPOINTS, WITH_JSON, call, command_ids, fill
from programs import make_program, ok, send
from tidings import at
from untouched import untouched
from wrong_fields import AUDIENCES, FIELDS, P, QUERIES, UNKNOWN_PARTNER


class World:
    """One server with a program that has everything an endpoint may name."""

    def __init__(self, server):
        self.server = server
        platform = make_program(server)
        ok(platform.put(f"{P}/webhooks/partnero", {"secret": "whsec"}), 204)
        self.commands = command_ids(server)
        self.message = send(server.owner(), replies_enabled=True)["id"]
        ok(server.partner("grace").post(at("portal", "messages", self.message, "open")))

    def connect(self):
        self.clients = {role: self.server.client(self.server.token(*CALLER[role]))
                        for role in ("platform", "owner", "partner", "auditor")}

    def caller(self, endpoint):
        return next((r for r in self.clients if r in endpoint.roles), None)

    def by_path(self, method, path):
        for endpoint in CLOSED:
            if (endpoint.method, endpoint.path) == (method, path):
                return endpoint
        raise KeyError(path)

    def call(self, endpoint, **parts):
        role = self.caller(endpoint)
        return call(self.clients[role] if role else self.server.client(), endpoint, self.message,
                    command=self.commands.get(role, ""), **parts)


@pytest.fixture(scope="module")
def world(module_fleet):
    """The digests of all read models are the same after every test of this file as before."""
    world = World(module_fleet.deployment().start())
    with untouched(world.server):
        world.connect()
        yield world


def check(answer, status, code, about=None):
    assert (answer.status, answer.code) == (status, code), (about, answer)
    problem = answer.json
    assert problem["status"] == status and problem["title"] and problem["detail"], problem
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def check_field(answer, pointer, code, about=None, status=422, problem="invalid"):
    """Exactly this field is named."""
    check(answer, status, problem, about)
    assert answer.pointers == {pointer: code}
    assert all(e["detail"] for e in answer.json["errors"])


@pytest.mark.parametrize("method,path,body,pointer,code", FIELDS,
                         ids=lambda v: str(v)[:60] if not isinstance(v, dict) else None)
def test_bad_fields(world, method, path, body, pointer, code):
    check_field(world.call(world.by_path(method, path), body=body), pointer, code, body)


@pytest.mark.parametrize("audience,pointer,code", AUDIENCES, ids=lambda v: str(v)[:70])
def test_bad_audiences(world, audience, pointer, code):
    """In a preview and in a send alike."""
    audience = json.loads(json.dumps(audience).replace("{m}", world.message))
    for path, rest in ((f"{P}/audiences", {}), (f"{P}/messages", {"subject": "S", "body": "B"})):
        answer = world.call(world.by_path("POST", path), body={"audience": audience, **rest})
        check_field(answer, f"/audience{pointer}", code, audience)


def test_unknown_partners(world):
    audience, pointer, code = UNKNOWN_PARTNER
    for path, rest in ((f"{P}/audiences", {}), (f"{P}/messages", {"subject": "S", "body": "B"})):
        answer = world.call(world.by_path("POST", path), body={"audience": audience, **rest})
        check_field(answer, pointer, code, problem="unknown_partner")


@pytest.mark.parametrize("path,query,pointer,code", QUERIES)
def test_bad_queries(world, path, query, pointer, code):
    answer = world.call(world.by_path("GET", path), path=f"{path}?{query}")
    check_field(answer, pointer, code)


@pytest.mark.parametrize("endpoint", CLOSED, ids=lambda e: e.name)
def test_unknown_queries(world, endpoint):
    check_field(world.call(endpoint, path=endpoint.path + "?surprise=1"), "/surprise",
                "unknown_field")
    check(world.call(endpoint, path=endpoint.path + "?limit=%ff"), 400, "malformed")


@pytest.mark.parametrize("endpoint", WITH_JSON, ids=lambda e: e.name)
def test_malformed_bodies(world, endpoint):
    kind = {"Content-Type": endpoint.kind or "application/json"}
    for bad in (b"{", b"nonsense", b'{"a":1}}', b'{"a":1,}', b"{'a':1}", b'{"a":\x00}',
                b'{"body":"\xff\xfe"}', b'{"body":"\xed\xa0\x80"}', b'{"body":"\\ud800"}',
                b'{"a":01}', b'{"a":NaN}', b"\xef\xbb\xbf{}" + b"x", b"[" * 10_000,
                b'{"body":"B","body":"C"}'):
        check(world.call(endpoint, body=bad, headers=kind), 400, "malformed", bad[:20])
    for wrong in (b"[]", b'"x"', b"1", b"null", b"true"):
        check(world.call(endpoint, body=wrong, headers=kind), 422, "invalid", wrong)
    if endpoint.body is not None:
        check(world.call(endpoint, body=b"", headers=kind), 400, "malformed", b"")


@pytest.mark.parametrize("endpoint", WITH_JSON, ids=lambda e: e.name)
def test_too_large_and_wrong_types(world, endpoint):
    large = b'{"body":"' + b"x" * (1 << 20) + b'"}'
    check(world.call(endpoint, body=large,
                     headers={"Content-Type": endpoint.kind or "application/json"}),
          413, "payload_too_large")
    if endpoint.secret:
        return  # the signature covers the bytes, whatever they are called
    for kind in ("text/plain", "application/xml", "multipart/form-data", "application/jsonx"):
        answer = world.call(endpoint, body=b"{}", headers={"Content-Type": kind})
        check(answer, 415, "unsupported_media_type", kind)


@pytest.mark.parametrize("path", [f"{P}/partners/import", f"{P}/opens"])
def test_lines_have_one_type(world, path):
    for kind in ("text/plain", "text/csv", "application/x-ndjsonx"):
        answer = world.call(world.by_path("POST", path), headers={"Content-Type": kind})
        check(answer, 415, "unsupported_media_type", kind)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_wrong_methods(world, endpoint):
    known = {e.method for e in ENDPOINTS if e.path == endpoint.path}
    known |= {"GET"} if endpoint.path.endswith("/partners/arc") else set()
    known |= {"PUT", "PATCH", "DELETE"} if "/partners/" in endpoint.path and (
        endpoint.path.count("/") == 5) else set()
    role = world.caller(endpoint)
    client = world.clients[role] if role else world.server.client()
    path = fill(endpoint.path, world.message, world.commands.get(role, ""))
    for method in ("GET", "PUT", "POST", "PATCH", "DELETE", "BREW"):
        if method in known:
            continue
        if endpoint.path.endswith("/partners/import") and method == "GET":
            continue  # a partner may have the id "import"
        answer = client.request(method, path, {} if method in ("PUT", "POST", "PATCH") else None)
        assert (answer.status, answer.code) == (405, "method_not_allowed"), (method, answer)
        assert known <= {m.strip() for m in answer.headers["Allow"].split(",")}


@pytest.mark.parametrize("role", ["platform", "owner", "partner"])
def test_unknown_paths(world, role):
    for path in ("/", "/v1", "/v2/programs/acme", "/v1/programs", f"{P}/", f"{P}/nothing",
                 f"{P}/messages/{world.message}/", f"{P}/messages/{world.message}/nothing",
                 "/v1/portal", "/v1/portal/nothing", "/v1/commands", "/v1/commands/a/b",
                 "/v1/../etc/passwd"):
        check(world.clients[role].get(path), 404, "not_found", path)


@pytest.mark.parametrize("bad", ["%00", "a%0Ab", "x" * 129, "%7f", "%c2%85"])
def test_bad_ids_in_paths(world, bad):
    """Nothing has such an id, and nothing can get it."""
    platform = world.clients["platform"]
    for path, body in ((f"/v1/programs/{bad}", {"name": "A", "plan": "partner"}),
                       (f"{P}/partners/{bad}", {"email": "a@x.example"})):
        check(platform.get(path), 404, "not_found")
        check_field(platform.put(path, body), "/id", "invalid_format")
    for method in ("PATCH", "DELETE"):
        answer = platform.request(method, f"{P}/partners/{bad}", {} if method == "PATCH" else None)
        check(answer, 404, "not_found")


@pytest.mark.parametrize("bad,status,code", [("%ff", 400, "malformed"), ("%zz", 400, "malformed"),
                                             ("a%2Fb", 404, "not_found")])
def test_paths_that_are_none(world, bad, status, code):
    platform = world.clients["platform"]
    for path in (f"/v1/programs/{bad}", f"{P}/partners/{bad}"):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            body = {"name": "A", "plan": "partner"} if method in ("PUT", "PATCH") else None
            check(platform.request(method, path, body), status, code, (method, path))


def test_many_faults_are_all_named(world):
    answer = world.clients["owner"].post(at("programs", "acme", "messages"), {
        "subject": "", "body": 1, "surprise": True, "audience": {"type": "some"}})
    check(answer, 422, "invalid")
    assert answer.pointers == {"/subject": "blank", "/body": "wrong_type",
                               "/surprise": "unknown_field", "/audience/type": "invalid_value"}
