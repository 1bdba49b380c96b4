"""Every endpoint of the API as a table: who may call it, and a request that it takes.

`{m}` stands for a message that grace received and that takes replies, `{c}` for a command that the
caller asked for.
"""
import hashlib
import hmac
import json
from dataclasses import dataclass

from programs import finished, ok

READERS = {"platform", "owner", "analyst", "auditor"}
CONVERSATION_READERS = READERS - {"analyst"}
ROLES = ["platform", "owner", "partner", "analyst", "auditor"]
NDJSON = "application/x-ndjson"
JSON = "application/json"


@dataclass
class Endpoint:
    method: str
    path: str
    roles: set
    body: object = None        # JSON members, or bytes
    kind: str = None           # content type of the body
    query: tuple = ()          # parameters that it knows
    given: dict = None         # parameters that it needs
    status: int = 200          # of the good answer
    token: bool = True
    secret: str = None         # what its body is signed with, where that stands for a token
    stranger: tuple = (403, "forbidden")  # the answer to other roles

    def __post_init__(self):
        if self.kind is None and self.body is not None:
            self.kind = JSON

    @property
    def name(self):
        return f"{self.method} {self.path}"


P = "/v1/programs/acme"
PAGE = ("limit", "cursor")
SECRET = "whsec"
DELIVERY = {"event": "partner.updated", "created_at": "2026-03-01T10:00:00.000000Z",
            "data": {"id": "zoe", "email": "zoe@x.example"}}
EVENT = {"specversion": "1.0", "id": "endpoint", "source": "/endpoints", "program": "acme",
         "type": "io.tidings.partner.upserted", "subject": "grace", "data": {"name": "Grace"}}

ENDPOINTS = [
    Endpoint("PUT", P, {"platform"}, {"name": "Acme", "plan": "partner"}),
    Endpoint("GET", P, {"platform"}),
    Endpoint("PUT", f"{P}/partners/grace", {"platform"}, {"name": "Grace"}),
    Endpoint("PATCH", f"{P}/partners/grace", {"platform"}, {"name": "Grace"}),
    Endpoint("DELETE", f"{P}/partners/arc", {"platform"}, status=204),
    Endpoint("POST", f"{P}/partners/import", {"platform"},
             b'{"id":"zoe","email":"zoe@x.example"}\n', NDJSON),
    Endpoint("POST", f"{P}/partners/arc/erasures", {"platform"}),
    Endpoint("POST", f"{P}/opens", {"platform"}, b'{"message":"{m}","partner":"zoe"}\n', NDJSON),
    Endpoint("PUT", f"{P}/webhooks/partnero", {"platform"}, {"secret": SECRET}, status=204),
    Endpoint("POST", f"{P}/webhooks/partnero", set(), DELIVERY, token=False, secret=SECRET),
    Endpoint("POST", "/v1/events", {"platform"}, EVENT, "application/cloudevents+json"),
    Endpoint("GET", f"{P}/partners", READERS, query=("query", "tag", "status", *PAGE)),
    Endpoint("GET", f"{P}/partners/grace", READERS),
    Endpoint("GET", f"{P}/tags", READERS, query=PAGE),
    Endpoint("POST", f"{P}/audiences", READERS, {"audience": {"type": "all"}}),
    Endpoint("POST", f"{P}/messages", {"owner"}, {"subject": "S", "body": "B"}, status=201),
    Endpoint("GET", f"{P}/messages", READERS, query=PAGE),
    Endpoint("GET", f"{P}/messages/{{m}}", READERS),
    Endpoint("GET", f"{P}/messages/{{m}}/recipients", READERS, query=("state", "query", *PAGE)),
    Endpoint("GET", f"{P}/messages/{{m}}/opens", READERS, query=("interval",)),
    Endpoint("GET", f"{P}/messages/{{m}}/receipt", READERS),
    Endpoint("GET", f"{P}/messages/{{m}}/recipients/grace/why", READERS),
    Endpoint("GET", f"{P}/partners/grace/messages", READERS, query=PAGE),
    Endpoint("GET", f"{P}/partners/grace/messages/{{m}}", CONVERSATION_READERS),
    Endpoint("POST", f"{P}/partners/grace/messages/{{m}}/replies", {"owner"}, {"body": "B"},
             status=201),
    Endpoint("POST", f"{P}/partners/grace/messages/{{m}}/read", {"owner"}, status=204),
    Endpoint("GET", f"{P}/summary", READERS),
    Endpoint("GET", f"{P}/exports/messages", READERS, query=("format",)),
    Endpoint("GET", f"{P}/exports/recipients", READERS, query=("format", "message")),
    Endpoint("GET", f"{P}/exports/opens", READERS, query=("format", "message")),
    Endpoint("GET", f"{P}/exports/conversations", CONVERSATION_READERS,
             query=("format", "message")),
    Endpoint("GET", "/v1/portal/summary", {"partner"}),
    Endpoint("GET", "/v1/portal/messages", {"partner"}, query=("unread", *PAGE)),
    Endpoint("GET", "/v1/portal/messages/{m}", {"partner"}),
    Endpoint("POST", "/v1/portal/messages/{m}/open", {"partner"}),
    Endpoint("POST", "/v1/portal/messages/{m}/replies", {"partner"}, {"body": "B"}, status=201),
    Endpoint("GET", "/v1/commands/{c}", {"owner", "partner"}, stranger=(404, "not_found")),
    Endpoint("GET", "/v1/audit/checkpoint", {"auditor"}, query=("partition",)),
    Endpoint("GET", "/v1/audit/consistency", {"auditor"}, query=("partition", "from", "to"),
             given={"partition": 0, "from": 0}),
    Endpoint("GET", "/v1/audit/proofs/{m}", {"auditor"}, query=("program", "size")),
    Endpoint("GET", "/v1/log", {"auditor"}, query=("from",), given={"from": "0:1"}),
    Endpoint("POST", "/v1/operations/rebuild", {"platform"}, status=202),
    Endpoint("GET", "/v1/operations/rebuild", {"platform"}),
    Endpoint("GET", "/v1/schemas/events", set(), token=False),
    Endpoint("GET", "/v1/schemas/events/io.tidings.message.sent", set(), token=False),
    Endpoint("GET", "/v1/openapi.json", set(), token=False),
    Endpoint("GET", "/healthz", set(), token=False),
    Endpoint("GET", "/readyz", set(), token=False),
    Endpoint("GET", "/metrics", set(), token=False),
]
GUARDED = [e for e in ENDPOINTS if e.token]
CLOSED = [e for e in ENDPOINTS if e.token or e.secret]
# A JSON body may be left out of these.
MAY_LACK_JSON = ("/open", "/read", "/rebuild")
WITH_JSON = [e for e in CLOSED if isinstance(e.body, dict) or
             (e.method == "POST" and e.path.endswith(MAY_LACK_JSON))]
CALLER = {"platform": ("platform", None, None), "owner": ("owner", "acme", None),
          "partner": ("partner", "acme", "grace"), "analyst": ("analyst", "acme", None),
          "auditor": ("auditor", "acme", None)}


def command_ids(server, program="acme"):
    """One command that each caller asked for, done: {role: id}."""
    found = {}
    for role, path, content in (
            ("owner", f"/v1/programs/{program}/messages",
             {"subject": "S", "body": "B", "replies_enabled": True}),
            ("partner", "/v1/portal/messages/{m}/replies", {"body": "B"})):
        _, wants_program, wants_partner = CALLER[role]
        client = server.client(server.token(role, wants_program and program, wants_partner))
        if "{m}" in path:
            path = path.replace("{m}", client.get("/v1/portal/messages").json["data"][0]["id"])
        asked = ok(client.post(path, content, headers={"Prefer": "respond-async"}), 202)
        found[role] = finished(client, asked.headers["Location"])["id"]
    return found


def signature(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def fill(text, message, command=""):
    return text.replace("{m}", message).replace("{c}", command)


def call(client, endpoint, message, *, command="", path=None, body=None, headers=None, query=None,
         method=None):
    """The endpoint's own request, with parts replaced."""
    sent = endpoint.body if body is None else body
    if isinstance(sent, (dict, list)):
        sent = json.dumps(sent).encode()
    elif isinstance(sent, bytes):
        sent = sent.replace(b"{m}", message.encode())
    own = {} if sent is None else {"Content-Type": endpoint.kind or JSON}
    if endpoint.secret:
        own["Signature"] = signature(endpoint.secret, sent or b"")
    return client.request(method or endpoint.method,
                          fill(path or endpoint.path, message, command), body=sent,
                          headers={**own, **(headers or {})},
                          query={**(endpoint.given or {}), **(query or {})})
