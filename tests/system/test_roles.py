"""Every endpoint x every role x every kind of token: 401, 403 and 404 as the API promises."""
import base64
import hashlib
import hmac
import json
import time

import pytest

from endpoints import CALLER, ENDPOINTS, GUARDED, ROLES, call, command_ids
from programs import make_program, ok, send
from tidings import at
from untouched import untouched


class World:
    """Two programs; `foreign` is a message of the other one."""

    def __init__(self, server):
        self.server = server
        for program in ("acme", "other"):
            platform = make_program(server, program)
            hook = at("programs", program, "webhooks", "partnero")
            ok(platform.put(hook, {"secret": "whsec"}), 204)
        self.commands = command_ids(server)
        self.foreign_commands = command_ids(server, "other")
        self.message = send(server.owner(), replies_enabled=True)["id"]
        self.foreign = send(server.owner("other"), "other", replies_enabled=True)["id"]

    def call(self, role, endpoint, message=None, **parts):
        parts.setdefault("command", self.commands.get(role, self.commands["owner"]))
        client = client_for(self.server, role) if role else self.server.client()
        return call(client, endpoint, message or self.message, **parts)


@pytest.fixture(scope="module")
def world(module_fleet):
    """For calls that are allowed."""
    return World(module_fleet.deployment().start())


@pytest.fixture(scope="module")
def closed(module_fleet):
    """For calls that are not: all their tests together leave no trace in any read model."""
    world = World(module_fleet.deployment().start())
    with untouched(world.server):
        yield world


def client_for(server, role, program="acme", partner="grace"):
    _, wants_program, wants_partner = CALLER[role]
    return server.client(server.token(role, wants_program and program, wants_partner and partner))


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda e: e.name)
def test_each_role(world, endpoint):
    for role in endpoint.roles:
        answer = world.call(role, endpoint)
        assert answer.status == endpoint.status, (role, answer)


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda e: e.name)
def test_other_roles(closed, endpoint):
    for role in set(ROLES) - endpoint.roles:
        answer = closed.call(role, endpoint)
        assert (answer.status, answer.code) == endpoint.stranger, (role, answer)


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if not e.token], ids=lambda e: e.name)
def test_open_to_all(world, endpoint):
    assert world.call(None, endpoint).status == 200


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda e: e.name)
def test_another_programs_data_is_not_there(closed, endpoint):
    """404, never 403: ids can't be probed. Unknown programs and messages answer alike."""
    for role in endpoint.roles:
        answers = []
        if "/programs/acme" in endpoint.path:
            for program in ("other", "nowhere"):
                if role != "platform" or program == "nowhere":
                    path = endpoint.path.replace("/programs/acme", f"/programs/{program}")
                    if (endpoint.method, path) != ("PUT", "/v1/programs/nowhere"):
                        answers.append(closed.call(role, endpoint, path=path))
        if "{m}" in endpoint.path:
            message = closed.message
            for wrong in (closed.foreign, "msg_" + "0" * 32, "msg_x", "x", message[:-1],
                          message + "0"):
                answers.append(closed.call(role, endpoint, wrong))
        if "{c}" in endpoint.path:
            own = closed.commands[role]
            others = {*closed.commands.values(), *closed.foreign_commands.values()} - {own}
            for wrong in (*others, "x", "0" * len(own), own[:-1], own + "0", own.upper() + "G"):
                answers.append(closed.call(role, endpoint, command=wrong))
        if "/partners/grace" in endpoint.path and endpoint.method != "PUT":
            path = endpoint.path.replace("/partners/grace", "/partners/nobody")
            answers.append(closed.call(role, endpoint, path=path))
        for answer in answers:
            assert (answer.status, answer.code) == (404, "not_found"), (role, answer)


def test_commands_are_for_their_caller_only(closed):
    """Another sub, or another partner, has not asked for it."""
    server, commands = closed.server, closed.commands
    for client, command in ((server.owner(sub="another"), commands["owner"]),
                            (server.partner("alan"), commands["partner"]),
                            (server.owner("other"), commands["owner"]),
                            (server.partner("grace", "other"), commands["partner"])):
        answer = client.get(f"/v1/commands/{command}")
        assert (answer.status, answer.code) == (404, "not_found")


def test_readers_of_all_programs(world):
    """Analysts and auditors without the program claim read every program."""
    server = world.server
    for role in ("analyst", "auditor"):
        client = server.client(server.token(role))
        for program in ("acme", "other"):
            ok(client.get(at("programs", program, "messages")))
        assert client.get(at("programs", "nowhere", "messages")).status == 404


def test_partners_see_only_themselves(world):
    server, foreign = world.server, world.foreign
    only_zoe = send(server.owner(), audience={"type": "partners", "partners": ["zoe"]})["id"]
    for partner in ("grace", "pat"):
        for path in (at("portal", "messages", only_zoe), at("portal", "messages", foreign)):
            assert server.partner(partner).get(path).status == 404
        assert server.partner(partner).post(at("portal", "messages", only_zoe, "open")
                                            ).status == 404
    for partner, program in (("nobody", "acme"), ("grace", "nowhere")):
        answer = server.partner(partner, program).get("/v1/portal/summary")
        assert (answer.status, answer.code) == (404, "not_found")
    ok(server.platform().put(at("programs", "acme", "partners", "old"),
                             {"email": "old@x.example", "status": "archived"}))
    for partner in ("pat", "old"):  # pending and archived ones keep their portal
        ok(server.partner(partner).get("/v1/portal/messages"))


def encode(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def decode(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def forgeries(server, role):
    """Tokens that look right and are not."""
    _, program, partner = CALLER[role]
    good = server.token(role, program, partner)
    head, claims, signature = good.split(".")
    shown = decode(claims)
    flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
    yield "flipped signature", f"{head}.{claims}.{flipped}"
    yield "no signature", f"{head}.{claims}."
    yield "cut", good[:-8]
    yield "raised", f"{head}.{encode({**shown, 'role': 'platform', 'exp': 4102444800})}.{signature}"
    yield "alg none", f"{encode({'alg': 'none', 'typ': 'JWT'})}.{claims}."
    symmetric = encode({**decode(head), "alg": "HS256"})
    for key in (b"", b"secret", signature.encode()):
        digest = hmac.new(key, f"{symmetric}.{claims}".encode(), hashlib.sha256).digest()
        yield "HS256", f"{symmetric}.{claims}." + base64.urlsafe_b64encode(digest).rstrip(
            b"=").decode()
    yield "words", "not a token"
    yield "dots", ".."
    yield "empty", ""
    yield "long", "a" * 9000


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda e: e.name)
def test_missing_and_forged_tokens(closed, endpoint):
    server = closed.server
    role = sorted(endpoint.roles)[0]
    for words, token in [("none", None), *forgeries(server, role)]:
        answer = call(server.client(token), endpoint, closed.message,
                      command=closed.commands["owner"])
        assert (answer.status, answer.code) == (401, "unauthenticated"), (words, answer)
        assert "WWW-Authenticate" in answer.headers, words
    for scheme in ("Basic eDp5", "Bearer", "bearer  ", "Token x"):
        answer = call(server.client(), endpoint, closed.message, command=closed.commands["owner"],
                      headers={"Authorization": scheme})
        assert (answer.status, answer.code) == (401, "unauthenticated"), scheme


def test_tokens_of_another_deployment(closed, module_fleet):
    other = module_fleet.deployment()
    for endpoint in GUARDED:
        role = sorted(endpoint.roles)[0]
        _, program, partner = CALLER[role]
        client = closed.server.client(other.token(role, program, partner))
        answer = call(client, endpoint, closed.message, command=closed.commands["owner"])
        assert (answer.status, answer.code) == (401, "unauthenticated")


def test_a_token_ends_at_its_time(world):
    """Also one that was verified before, and is remembered as verified."""
    client = world.server.client(world.server.token("owner", "acme", ttl="2s"))
    path = at("programs", "acme", "summary")
    ok(client.get(path))
    deadline = time.monotonic() + 30
    while (answer := client.get(path)).status == 200:
        assert time.monotonic() < deadline, "the token never ended"
    assert (answer.status, answer.code) == (401, "unauthenticated")
