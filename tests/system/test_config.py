"""The configuration file: production keys (JWKS), allowed origins, operations off, wrong settings."""
import base64
import hashlib
import hmac
import json
import re
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from programs import make_program, ok
from tidings import at, run

SUMMARY = at("programs", "acme", "summary")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def ed25519_key(kid):
    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return key, {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), "kid": kid, "use": "sig"}


def es256_key(kid):
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    return key, {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")),
                 "y": b64(numbers.y.to_bytes(32, "big")), "kid": kid, "use": "sig"}


def sign(key, algorithm, kid, **claims):
    body = {"sub": "s", "name": "N", "role": "owner", "program": "acme",
            "exp": int(time.time()) + 600, **claims}
    return jwt.encode({k: v for k, v in body.items() if v is not None}, key, algorithm,
                      headers={"kid": kid})


@pytest.fixture
def configure(fleet, tmp_path):
    """A deployment with this configuration file."""
    def make(text):
        file = tmp_path / "tidings.toml"
        file.write_text(text)
        return fleet.deployment("--config", str(file))
    return make


def test_keys_of_a_jwks_file(configure, tmp_path):
    """Tokens of two foreign key pairs are taken; the directory's own key no longer counts."""
    ed_key, ed_public = ed25519_key("ed")
    es_key, es_public = es256_key("es")
    stranger, _ = ed25519_key("ed")
    jwks = tmp_path / "keys.json"
    jwks.write_text(json.dumps({"keys": [ed_public, es_public]}))
    server = configure(f'[keys]\njwks_file = "{jwks}"\n').start()

    platform = sign(ed_key, "EdDSA", "ed", role="platform", program=None)
    client = server.client(platform)
    ok(client.put(at("programs", "acme"), {"name": "Acme", "plan": "partner"}))
    for token in (sign(ed_key, "EdDSA", "ed"), sign(es_key, "ES256", "es")):
        ok(server.client(token).get(SUMMARY))
    head, claims, _ = sign(es_key, "ES256", "es").split(".")
    head = b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "es"}).encode())
    mixed = hmac.new(json.dumps(es_public).encode(), f"{head}.{claims}".encode(), hashlib.sha256)
    for words, token in (
            ("own", server.token("owner", "acme")),
            ("another key", sign(stranger, "EdDSA", "ed")),
            ("key of another kind", sign(ed_key, "EdDSA", "es")),
            ("expired", sign(ed_key, "EdDSA", "ed", exp=int(time.time()) - 3600)),
            ("no end", sign(ed_key, "EdDSA", "ed", exp=None)),
            ("no role", sign(ed_key, "EdDSA", "ed", role=None)),
            ("unknown role", sign(ed_key, "EdDSA", "ed", role="king")),
            ("owner of nothing", sign(ed_key, "EdDSA", "ed", program=None)),
            ("role is no word", sign(ed_key, "EdDSA", "ed", role=7)),
            ("public key as secret", f"{head}.{claims}.{b64(mixed.digest())}")):
        answer = server.client(token).get(SUMMARY)
        assert (answer.status, answer.code) == (401, "unauthenticated"), words


def test_allowed_origins(configure):
    server = configure('[cors]\nallowed_origins = ["https://portal.example"]\n').start()
    make_program(server)
    ask = {"Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "authorization,content-type"}
    path = at("programs", "acme", "messages")
    good = server.client().request("OPTIONS", path, headers={"Origin": "https://portal.example",
                                                             **ask})
    assert good.status == 204
    assert good.headers["Access-Control-Allow-Origin"] == "https://portal.example"
    assert "POST" in good.headers["Access-Control-Allow-Methods"]
    shown = ok(server.owner().get(SUMMARY, headers={"Origin": "https://portal.example"}))
    assert shown.headers["Access-Control-Allow-Origin"] == "https://portal.example"
    for origin in ("https://evil.example", "https://portal.example.evil", "null"):
        shown = ok(server.owner().get(SUMMARY, headers={"Origin": origin}))
        assert "Access-Control-Allow-Origin" not in shown.headers


def test_rate_limit(configure):
    """Each caller has its own bucket; 429 names when to come back, and then it is let in."""
    server = configure("[rate_limit]\nrequests_per_second = 2\nburst = 20\n").start()
    platform = make_program(server)
    owner, other = server.owner(), server.owner(sub="other")
    answers = [owner.get(SUMMARY) for _ in range(60)]
    statuses = [a.status for a in answers]
    allowed = statuses.index(429)
    assert allowed >= 20 and set(statuses) == {200, 429}
    refused = answers[allowed]
    assert refused.code == "rate_limited" and refused.headers["Retry-After"] == "1"
    ok(other.get(SUMMARY))
    for path in ("/healthz", "/readyz", "/metrics", "/v1/openapi.json"):
        for _ in range(30):
            assert owner.get(path).status == 200, path
    deadline = time.monotonic() + 60
    while owner.get(SUMMARY).status != 200:  # a refusal costs nothing
        assert time.monotonic() < deadline
    count = re.search(rb"^tidings_rate_limited_total (\d+)$", owner.get("/metrics").body, re.M)
    assert int(count[1]) >= statuses.count(429)
    assert platform.get(at("programs", "acme")).status == 200


def test_operations(configure, server):
    make_program(server)
    assert server.client().get("/healthz").status == 200
    assert server.client().get("/readyz").status == 200
    metrics = ok(server.client().get("/metrics"))
    assert metrics.headers["Content-Type"].startswith("text/plain")
    assert b"# TYPE" in metrics.body and b"tidings_" in metrics.body
    quiet = configure("[http]\noperations = false\n").start()
    for path in ("/healthz", "/readyz", "/metrics"):
        answer = quiet.client().get(path)
        assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("text,word,status", [
    ("[http]\nio_thread = 1\n", "io_thread", 2), ("[http]\nio_threads = -1\n", "io_threads", 2),
    ("[http]\nio_threads = \"two\"\n", "io_threads", 2), ("listen = \"here\"\n", "listen", 2),
    ("listen = \n", "tidings.toml", 2),
    # A sound setting, but the server could not start.
    ("[keys]\njwks_file = \"/nowhere/keys.json\"\n", "nowhere", 1),
])
def test_wrong_settings_are_named(tmp_path, text, word, status):
    file = tmp_path / "tidings.toml"
    file.write_text(text)
    result = run("serve", "--config", file, "--data", tmp_path / "data", "--listen", "127.0.0.1:0")
    assert result.returncode == status
    assert word in result.stderr, result.stderr
