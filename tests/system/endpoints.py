"""Every endpoint of the API as a table: who may call it, and a request that it takes.

`{m}` stands for a message that grace received and that takes replies, `{post}` for none.
"""
import json
from dataclasses import dataclass

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
    token: bool = True

    def __post_init__(self):
        if self.kind is None and self.body is not None:
            self.kind = JSON

    @property
    def name(self):
        return f"{self.method} {self.path}"


P = "/v1/programs/acme"
PAGE = ("limit", "cursor")
EVENT = {"specversion": "1.0", "id": "endpoint", "source": "/endpoints", "program": "acme",
         "type": "io.tidings.partner.upserted", "subject": "grace", "data": {"name": "Grace"}}

ENDPOINTS = [
    Endpoint("PUT", P, {"platform"}, {"name": "Acme", "plan": "partner"}),
    Endpoint("GET", P, {"platform"}),
    Endpoint("PUT", f"{P}/partners/grace", {"platform"}, {"name": "Grace"}),
    Endpoint("PATCH", f"{P}/partners/grace", {"platform"}, {"name": "Grace"}),
    Endpoint("DELETE", f"{P}/partners/arc", {"platform"}),
    Endpoint("POST", f"{P}/partners/import", {"platform"},
             b'{"id":"zoe","email":"zoe@x.example"}\n', NDJSON),
    Endpoint("POST", f"{P}/opens", {"platform"}, b'{"message":"{m}","partner":"zoe"}\n', NDJSON),
    Endpoint("PUT", f"{P}/webhooks/partnero", {"platform"}, {"secret": "whsec"}),
    Endpoint("POST", "/v1/events", {"platform"}, EVENT, "application/cloudevents+json"),
    Endpoint("GET", f"{P}/partners", READERS, query=("query", "tag", "status", *PAGE)),
    Endpoint("GET", f"{P}/partners/grace", READERS),
    Endpoint("GET", f"{P}/tags", READERS, query=PAGE),
    Endpoint("POST", f"{P}/audiences", READERS, {"audience": {"type": "all"}}),
    Endpoint("POST", f"{P}/messages", {"owner"}, {"subject": "S", "body": "B"}),
    Endpoint("GET", f"{P}/messages", READERS, query=PAGE),
    Endpoint("GET", f"{P}/messages/{{m}}", READERS),
    Endpoint("GET", f"{P}/messages/{{m}}/recipients", READERS, query=("state", "query", *PAGE)),
    Endpoint("GET", f"{P}/messages/{{m}}/opens", READERS, query=("interval",)),
    Endpoint("GET", f"{P}/partners/grace/messages", READERS, query=PAGE),
    Endpoint("GET", f"{P}/partners/grace/messages/{{m}}", CONVERSATION_READERS),
    Endpoint("POST", f"{P}/partners/grace/messages/{{m}}/replies", {"owner"}, {"body": "B"}),
    Endpoint("POST", f"{P}/partners/grace/messages/{{m}}/read", {"owner"}),
    Endpoint("GET", f"{P}/summary", READERS),
    Endpoint("GET", "/v1/portal/summary", {"partner"}),
    Endpoint("GET", "/v1/portal/messages", {"partner"}, query=("unread", *PAGE)),
    Endpoint("GET", "/v1/portal/messages/{m}", {"partner"}),
    Endpoint("POST", "/v1/portal/messages/{m}/open", {"partner"}),
    Endpoint("POST", "/v1/portal/messages/{m}/replies", {"partner"}, {"body": "B"}),
    Endpoint("GET", "/v1/openapi.json", set(), token=False),
    Endpoint("GET", "/healthz", set(), token=False),
    Endpoint("GET", "/readyz", set(), token=False),
    Endpoint("GET", "/metrics", set(), token=False),
]
GUARDED = [e for e in ENDPOINTS if e.token]
WITH_JSON = [e for e in GUARDED if isinstance(e.body, dict)]
CALLER = {"platform": ("platform", None, None), "owner": ("owner", "acme", None),
          "partner": ("partner", "acme", "grace"), "analyst": ("analyst", "acme", None),
          "auditor": ("auditor", "acme", None)}


def fill(text, message):
    return text.replace("{m}", message)


def call(client, endpoint, message, *, path=None, body=None, headers=None, query=None,
         method=None):
    """The endpoint's own request, with parts replaced."""
    sent = endpoint.body if body is None else body
    if isinstance(sent, (dict, list)):
        sent = json.dumps(sent).encode()
    elif isinstance(sent, bytes):
        sent = sent.replace(b"{m}", message.encode())
    kind = {} if sent is None else {"Content-Type": endpoint.kind or JSON}
    return client.request(method or endpoint.method, fill(path or endpoint.path, message),
                          body=sent, headers={**kind, **(headers or {})}, query=query)
