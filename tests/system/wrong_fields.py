"""Bad fields of every endpoint that takes a body or parameters: (…, pointer, the field's own code).

`{m}` stands for a message that grace received.
"""
from programs import filtered, named

P = "/v1/programs/acme"
GRACE = f"{P}/partners/grace"
LONG = "x" * 70_000
DEEP = {"tag": "a"}
for _ in range(16):
    DEEP = {"not": DEEP}

# Of a program, a secret, a message, a post, an open: (method, path, body, pointer, code)
FIELDS = [
    ("PUT", P, {"plan": "partner"}, "/name", "required"),
    ("PUT", P, {"name": "A"}, "/plan", "required"),
    ("PUT", P, {"name": 1, "plan": "partner"}, "/name", "wrong_type"),
    ("PUT", P, {"name": " ", "plan": "partner"}, "/name", "blank"),
    ("PUT", P, {"name": "n" * 201, "plan": "partner"}, "/name", "too_long"),
    ("PUT", P, {"name": "A", "plan": "gold"}, "/plan", "invalid_value"),
    ("PUT", P, {"name": "A", "plan": "partner", "x": 1}, "/x", "unknown_field"),
    ("PUT", f"{P}/webhooks/partnero", {}, "/secret", "required"),
    ("PUT", f"{P}/webhooks/partnero", {"secret": ""}, "/secret", "blank"),
    ("PUT", f"{P}/webhooks/partnero", {"secret": 1}, "/secret", "wrong_type"),
    ("PUT", f"{P}/webhooks/partnero", {"secret": "s", "a/b~c": 1}, "/a~1b~0c", "unknown_field"),
    ("POST", f"{P}/messages", {"body": "B"}, "/subject", "required"),
    ("POST", f"{P}/messages", {"subject": "S"}, "/body", "required"),
    ("POST", f"{P}/messages", {"subject": 1, "body": "B"}, "/subject", "wrong_type"),
    ("POST", f"{P}/messages", {"subject": "S", "body": None}, "/body", "wrong_type"),
    ("POST", f"{P}/messages", {"subject": "S" * 201, "body": "B"}, "/subject", "too_long"),
    ("POST", f"{P}/messages", {"subject": "a\nb", "body": "B"}, "/subject", "invalid_format"),
    ("POST", f"{P}/messages", {"subject": "a\u0085b", "body": "B"}, "/subject", "invalid_format"),
    ("POST", f"{P}/messages", {"subject": "S", "body": LONG}, "/body", "too_long"),
    ("POST", f"{P}/messages", {"subject": "S", "body": "B", "to": []}, "/to", "unknown_field"),
    ("POST", f"{P}/messages", {"subject": "S", "body": "B", "replies_enabled": "yes"},
     "/replies_enabled", "wrong_type"),
    ("POST", f"{P}/messages", {"subject": "S", "body": "B", "expect_digest": "x"},
     "/expect_digest", "invalid_format"),
    ("POST", f"{P}/messages", {"subject": "S", "body": "B", "expect_digest": 1},
     "/expect_digest", "wrong_type"),
    ("POST", f"{P}/audiences", {"audience": {}}, "/audience/type", "required"),
    *[("POST", f"{P}/audiences", {"audience": {"type": "all"}, **bad}, pointer, code)
      for bad, pointer, code in [
          ({"limit": 0}, "/limit", "out_of_range"), ({"limit": 201}, "/limit", "out_of_range"),
          ({"limit": -1}, "/limit", "out_of_range"), ({"limit": 1.5}, "/limit", "out_of_range"),
          ({"limit": "5"}, "/limit", "wrong_type"), ({"limit": None}, "/limit", "wrong_type"),
          ({"cursor": ""}, "/cursor", "blank"),
          ({"cursor": "x"}, "/cursor", "invalid_cursor"),
          ({"cursor": "!!"}, "/cursor", "invalid_cursor"),
          ({"cursor": 1}, "/cursor", "wrong_type"), ({"page": 1}, "/page", "unknown_field")]],
    ("POST", f"{GRACE}/messages/{{m}}/replies", {}, "/body", "required"),
    ("POST", f"{GRACE}/messages/{{m}}/replies", {"body": "\u2029"}, "/body", "blank"),
    ("POST", f"{GRACE}/messages/{{m}}/replies", {"body": LONG}, "/body", "too_long"),
    ("POST", f"{GRACE}/messages/{{m}}/replies", {"body": "B", "x": 1}, "/x", "unknown_field"),
    ("POST", f"{GRACE}/messages/{{m}}/read", {"up_to": "post_x"}, "/up_to", "unknown_field"),
    ("POST", "/v1/portal/messages/{m}/replies", {"body": []}, "/body", "wrong_type"),
    ("POST", "/v1/portal/messages/{m}/replies", {"body": "B", "from": "owner"}, "/from",
     "unknown_field"),
    ("POST", "/v1/portal/messages/{m}/open", {"up_to": 1}, "/up_to", "wrong_type"),
    ("POST", "/v1/portal/messages/{m}/open", {"up_to": "post_x"}, "/up_to", "not_found"),
    ("POST", "/v1/portal/messages/{m}/open", {"at": "now"}, "/at", "unknown_field"),
]

# Of a partner: (members, pointer, code)
METRICS = [
    ({"clicks": -1}, "/clicks", "out_of_range"), ({"clicks": 1.5}, "/clicks", "wrong_type"),
    ({"clicks": "1"}, "/clicks", "wrong_type"), ({"clicks": 2 ** 53}, "/clicks", "out_of_range"),
    ({"sales": 10 ** 30}, "/sales", "out_of_range"), ({"revenue": "1"}, "/revenue", "wrong_type"),
    ({"revenue": {"USD": 1}}, "/revenue/USD", "wrong_type"),
    *[({"revenue": {"USD": bad}}, "/revenue/USD", "invalid_format")
      for bad in ("1e3", ".5", "1.", "+1", "01", "1.1234567", "", " 1", "-", "--1", "1.0", "1.50",
                  "-0", "9223372036855", "1,5", "NaN", "0x1")],
    ({"commission": {"": "1"}}, "/commission/", "invalid_format"),
]
PROFILES = [
    ({"email": "no at"}, "/email", "invalid_format"),
    ({"email": "a@b@c"}, "/email", "invalid_format"), ({"email": "@"}, "/email", "invalid_format"),
    ({"email": "a" * 250 + "@x.ex"}, "/email", "too_long"),
    ({"name": "n" * 201}, "/name", "too_long"), ({"name": 1}, "/name", "wrong_type"),
    ({"surname": []}, "/surname", "wrong_type"), ({"status": "gone"}, "/status", "invalid_value"),
    ({"status": 1}, "/status", "wrong_type"), ({"tags": "a"}, "/tags", "wrong_type"),
    ({"tags": [1]}, "/tags/0", "wrong_type"), ({"tags": ["a", ""]}, "/tags/1", "blank"),
    ({"tags": ["t" * 101]}, "/tags/0", "too_long"),
    ({"tags": [f"t{n}" for n in range(101)]}, "/tags", "too_many"),
    ({"joined_at": "yesterday"}, "/joined_at", "invalid_format"),
    ({"joined_at": 1}, "/joined_at", "wrong_type"),
    ({"joined_at": "2026-02-30T00:00:00Z"}, "/joined_at", "invalid_format"),
    ({"metrics": []}, "/metrics", "wrong_type"),
    *[({"metrics": bad}, f"/metrics{pointer}", code) for bad, pointer, code in METRICS],
]
STRICT_PROFILES = [*PROFILES, ({"nickname": "x"}, "/nickname", "unknown_field"),
                   ({"metrics": {"views": 1}}, "/metrics/views", "unknown_field")]
FIELDS += [("PUT", GRACE, {"email": None}, "/email", "wrong_type"),
           ("PATCH", GRACE, {"email": None}, "/email", "required")]  # it would be removed
FIELDS += [(method, GRACE, body, pointer, code)
           for body, pointer, code in STRICT_PROFILES for method in ("PUT", "PATCH")]

# (audience, pointer below /audience, code); `filter` stands for /filter
AUDIENCES = [
    ("all", "", "wrong_type"), ({}, "/type", "required"), ({"type": "some"}, "/type",
                                                           "invalid_value"),
    ({"type": 1}, "/type", "wrong_type"),
    ({"type": "all", "partners": ["grace"]}, "/partners", "unknown_field"),
    ({"type": "all", "sort": 1}, "/sort", "unknown_field"),
    ({"type": "partners"}, "/partners", "required"),
    ({"type": "partners", "partners": "grace"}, "/partners", "wrong_type"),
    ({"type": "partners", "partners": ["grace", 1]}, "/partners/1", "wrong_type"),
    ({"type": "filter"}, "/filter", "required"),
    (filtered({"tag": "a"}, exclude="grace"), "/exclude", "wrong_type"),
    *[(filtered(rule), f"/filter{pointer}", code) for rule, pointer, code in [
        ({}, "", "required"), ([], "", "wrong_type"), ({"tag": 1}, "/tag", "wrong_type"),
        ({"tag": "a", "any": []}, "", "invalid_value"), ({"tag": "a", "x": 1}, "/x",
                                                         "unknown_field"),
        ({"all": {}}, "/all", "wrong_type"),
        ({"any": [{"tag": "a"}, {"tag": None}]}, "/any/1/tag", "wrong_type"),
        ({"not": []}, "/not", "wrong_type"), (DEEP, "/not" * 16, "too_deep"),
        ({"all": [{"tag": "a"}] * 256}, "/all/255", "too_many"),
        ({"metric": "views", "op": ">", "value": 1}, "/metric", "invalid_value"),
        ({"metric": "clicks", "op": "~", "value": 1}, "/op", "invalid_value"),
        ({"metric": "clicks", "op": ">"}, "/value", "required"),
        ({"metric": "clicks", "op": ">", "value": "1"}, "/value", "wrong_type"),
        ({"metric": "clicks", "op": ">", "value": 1.5}, "/value", "wrong_type"),
        ({"metric": "clicks", "op": ">", "value": 1, "currency": "USD"}, "/currency",
         "unknown_field"),
        ({"metric": "revenue", "op": ">", "value": "1"}, "/currency", "required"),
        ({"metric": "revenue", "op": ">", "value": 1, "currency": "USD"}, "/value", "wrong_type"),
        ({"metric": "revenue", "op": ">", "value": "1.0", "currency": "USD"}, "/value",
         "invalid_format"),
        ({"joined": "during", "at": "2026-01-01T00:00:00Z"}, "/joined", "invalid_value"),
        ({"joined": "before"}, "/at", "required"),
        ({"joined": "before", "at": "soon"}, "/at", "invalid_format"),
        ({"engagement": "liked", "message": "{m}"}, "/engagement", "invalid_value"),
        ({"engagement": "opened"}, "/message", "required"),
        ({"engagement": "opened", "message": "msg_x"}, "/message", "not_found")]],
]
UNKNOWN_PARTNER = (named("grace", "nobody"), "/audience/partners/1", "unknown_partner")

# (path, query, pointer, code)
QUERIES = [
    (f"{P}/partners", "status=gone", "/status", "invalid_value"),
    (f"{P}/partners", "limit=0", "/limit", "out_of_range"),
    (f"{P}/partners", "x=1", "/x", "unknown_field"),
    (f"{P}/partners", "query=" + "q" * 201, "/query", "too_long"),
    (f"{P}/partners", "tag=" + "t" * 101, "/tag", "too_long"),
    (f"{P}/tags", "limit=201", "/limit", "out_of_range"),
    (f"{P}/tags", "cursor=x", "/cursor", "invalid_cursor"),
    (f"{P}/messages", "cursor=!!", "/cursor", "invalid_cursor"),
    (f"{P}/messages/{{m}}/recipients", "state=maybe", "/state", "invalid_value"),
    (f"{P}/messages/{{m}}/recipients", "limit=-1", "/limit", "wrong_type"),
    (f"{P}/messages/{{m}}/recipients", "cursor=x", "/cursor", "invalid_cursor"),
    (f"{P}/messages/{{m}}/recipients", "query=" + "q" * 201, "/query", "too_long"),
    (f"{P}/messages/{{m}}/opens", "interval=week", "/interval", "invalid_value"),
    (f"{GRACE}/messages", "cursor=x", "/cursor", "invalid_cursor"),
    ("/v1/portal/messages", "unread=maybe", "/unread", "invalid_value"),
    ("/v1/portal/messages", "limit=1e1", "/limit", "wrong_type"),
]
