"""Programs and partners as system tests set them up, through the API only."""
import json
import time

from tidings import at

GRACE = {"email": "grace@hopper.example", "name": "Grace", "surname": "Hopper",
         "tags": ["premium"], "joined_at": "2025-01-05T09:00:00.000Z",
         "metrics": {"clicks": 1200, "signups": 90, "sales": 40, "paid_accounts": 30,
                     "revenue": {"USD": "99.99"}, "commission": {"USD": "29.997"}}}
ALAN = {"email": "alan@turing.example", "name": "Alan", "surname": "Turing",
        "tags": ["premium", "integration"], "joined_at": "2025-02-05T09:00:00.000Z",
        "metrics": {"clicks": 40, "sales": 2, "revenue": {"EUR": "10.5"}}}
ZOE = {"email": "zoe@łódź.example", "name": "Zoë", "surname": "Ząbek", "tags": ["integration"],
       "joined_at": "2025-03-05T09:00:00.000Z", "metrics": {"clicks": 700}}
PAT = {"email": "pat@pending.example", "name": "Pat", "surname": "Pending", "status": "pending"}
ARC = {"email": "arc@archived.example", "name": "Arc", "surname": "Hived", "status": "archived"}
PEOPLE = {"grace": GRACE, "alan": ALAN, "zoe": ZOE, "pat": PAT, "arc": ARC}
ACTIVE = ["grace", "alan", "zoe"]


def ok(answer, status=200):
    """The answer, whose status must be this one."""
    assert answer.status == status, answer
    return answer


def make_program(server, program="acme", plan="partner", people=None):
    """A program with PEOPLE (or others); returns the platform's client."""
    platform = server.platform()
    ok(platform.put(at("programs", program), {"name": program.title(), "plan": plan}))
    for partner, profile in (PEOPLE if people is None else people).items():
        ok(platform.put(at("programs", program, "partners", partner), profile))
    return platform


def import_lines(client, program, lines):
    """Imports NDJSON lines (dicts) in one request; returns the answer's JSON."""
    body = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
    answer = client.post(at("programs", program, "partners", "import"), body=body,
                         headers={"Content-Type": "application/x-ndjson"})
    return ok(answer).json


def record_opens(client, program, opens):
    """Bulk opens, as (message, partner) pairs; returns the answer's JSON."""
    body = b"".join(json.dumps({"message": m, "partner": p}).encode() + b"\n" for m, p in opens)
    answer = client.post(at("programs", program, "opens"), body=body,
                         headers={"Content-Type": "application/x-ndjson"})
    return ok(answer).json


def send(client, program="acme", subject="News", body="Hello.", key=None, **members):
    """Sends a message; returns it as the 201 answer shows it."""
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.post(at("programs", program, "messages"),
                         {"subject": subject, "body": body, **members}, headers=headers)
    return ok(answer, 201).json


def finished(client, location):
    """Polls a command until it is no longer pending; what is then shown of it."""
    deadline = time.monotonic() + 30
    while True:
        shown = ok(client.get(location)).json
        if shown["state"] != "pending":
            return shown
        assert time.monotonic() < deadline, shown


def named(*partners):
    return {"type": "partners", "partners": list(partners)}


def filtered(rule, exclude=None):
    return {"type": "filter", "filter": rule, **({"exclude": exclude} if exclude else {})}
