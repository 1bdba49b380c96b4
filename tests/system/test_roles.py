"""Every endpoint x every role x every kind of token: 401, 403 and 404 as the API promises."""
import base64
import hashlib
import hmac
import json
import time

import pytest

from endpoints import CALLER, ENDPOINTS, GUARDED, ROLES, call
from programs import make_program, ok, send
from tidings import at


@pytest.fixture(scope="module")
def world(module_fleet):
    server = module_fleet.deployment().start()
    make_program(server)
    make_program(server, "other")
    message = send(server.owner(), replies_enabled=True)["id"]
    foreign = send(server.owner("other"), "other", replies_enabled=True)["id"]
    return server, message, foreign


def client_for(server, role, program="acme", partner="grace"):
    _, wants_program, wants_partner = CALLER[role]
    return server.client(server.token(role, wants_program and program, wants_partner and partner))


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda e: e.name)
def test_each_role(world, endpoint):
    server, message, _ = world
    for role in ROLES:
        answer = call(client_for(server, role), endpoint, message)
        if role in endpoint.roles:
            assert 200 <= answer.status < 300, (role, answer)
        else:
            assert (answer.status, answer.code) == (403, "forbidden"), (role, answer)


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if not e.token], ids=lambda e: e.name)
def test_open_to_all(world, endpoint):
    server, message, _ = world
    assert call(server.client(), endpoint, message).status == 200


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda e: e.name)
def test_another_programs_data_is_not_there(world, endpoint):
    """404, never 403: ids can't be probed. Unknown programs and messages answer alike."""
    server, message, foreign = world
    for role in endpoint.roles:
        client = client_for(server, role)
        answers = []
        if "/programs/acme" in endpoint.path:
            for program in ("other", "nowhere"):
                if role != "platform" or program == "nowhere":
                    path = endpoint.path.replace("/programs/acme", f"/programs/{program}")
                    if (endpoint.method, path) != ("PUT", "/v1/programs/nowhere"):
                        answers.append(call(client, endpoint, message, path=path))
        if "{m}" in endpoint.path:
            for wrong in (foreign, "msg_" + "0" * 32, "msg_x", "x", message[:-1], message + "0"):
                answers.append(call(client, endpoint, wrong))
        if "/partners/grace" in endpoint.path and endpoint.method != "PUT":
            path = endpoint.path.replace("/partners/grace", "/partners/nobody")
            answers.append(call(client, endpoint, message, path=path))
        for answer in answers:
            assert (answer.status, answer.code) == (404, "not_found"), (role, answer)


def test_readers_of_all_programs(world):
    """Analysts and auditors without the program claim read every program."""
    server, _, _ = world
    for role in ("analyst", "auditor"):
        client = server.client(server.token(role))
        for program in ("acme", "other"):
            ok(client.get(at("programs", program, "messages")))
        assert client.get(at("programs", "nowhere", "messages")).status == 404


def test_partners_see_only_themselves(world):
    server, _, foreign = world
    only_zoe = send(server.owner(), audience={"type": "partners", "partners": ["zoe"]})["id"]
    for partner in ("grace", "pat"):
        for path in (at("portal", "messages", only_zoe), at("portal", "messages", foreign)):
            assert server.partner(partner).get(path).status == 404
        assert server.partner(partner).post(at("portal", "messages", only_zoe, "open")
                                            ).status == 404
    for partner, program in (("nobody", "acme"), ("grace", "nowhere")):
        answer = server.partner(partner, program).get("/v1/portal/summary")
        assert (answer.status, answer.code) == (404, "not_found")
    for partner in ("pat", "arc"):  # pending and archived ones keep their portal
        answer = server.partner(partner).get("/v1/portal/messages")
        assert answer.status == 200 or partner == "arc"  # arc may have been deleted above


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
def test_missing_and_forged_tokens(world, endpoint):
    server, message, _ = world
    role = sorted(endpoint.roles)[0]
    for words, token in [("none", None), *forgeries(server, role)]:
        answer = call(server.client(token), endpoint, message)
        if words == "long" and answer.status in (400, 431):
            continue  # refused with the header, before it is read as a token
        assert (answer.status, answer.code) == (401, "unauthenticated"), (words, answer)
        assert "WWW-Authenticate" in answer.headers, words
    for scheme in ("Basic eDp5", "Bearer", "bearer  ", "Token x"):
        answer = call(server.client(), endpoint, message, headers={"Authorization": scheme})
        assert (answer.status, answer.code) == (401, "unauthenticated"), scheme


def test_tokens_of_another_deployment(world, module_fleet):
    server, message, _ = world
    other = module_fleet.deployment()
    for endpoint in GUARDED:
        role = sorted(endpoint.roles)[0]
        _, program, partner = CALLER[role]
        answer = call(server.client(other.token(role, program, partner)), endpoint, message)
        assert (answer.status, answer.code) == (401, "unauthenticated")


def test_a_token_ends_at_its_time(world):
    """Also one that was verified before, and is remembered as verified."""
    server, _, _ = world
    client = server.client(server.token("owner", "acme", ttl="2s"))
    path = at("programs", "acme", "summary")
    ok(client.get(path))
    deadline = time.monotonic() + 30
    while (answer := client.get(path)).status == 200:
        assert time.monotonic() < deadline, "the token never ended"
    assert (answer.status, answer.code) == (401, "unauthenticated")
