"""A random history driven through HTTP, one write after the other, and the answers that the live
server gave at its positions: what `as_of` must answer later."""
import random
from dataclasses import dataclass, field

from programs import filtered, named, ok
from tidings import at

PROGRAM = "acme"
PARTNERS = [f"p{n:02}" for n in range(24)]
TAGS = ["premium", "new", "łódź"]
CSV = {"Accept": "text/csv"}
EXPORTS = ["messages", "recipients", "opens", "conversations"]


@dataclass
class Question:
    path: str
    query: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)

    def ask(self, client, as_of=None, at_least=None):
        """`at_least`: a position, for another process than the one that was written to."""
        query = {**self.query, **({"as_of": as_of} if as_of else {})}
        headers = {**self.headers, **({"Tidings-Min-Position": at_least} if at_least else {})}
        answer = client.get(self.path, query=query or None, headers=headers)
        return answer.status, answer.body


@dataclass
class Recorded:
    position: str
    question: Question
    answer: tuple  # status and body


class RandomHistory:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.messages = []  # ids, oldest first
        self.conversations = []  # (message, partner) that have posts
        self.position = None
        self.clients = {}

    def reach(self, server):
        self.clients = {p: server.partner(p) for p in PARTNERS}
        self.clients["platform"], self.clients["owner"] = server.platform(), server.owner()
        self.clients["auditor"] = server.client(server.token("auditor"))

    def begin(self):
        platform = self.clients["platform"]
        ok(platform.put(at("programs", PROGRAM), {"name": "Acme", "plan": "partner"}))
        for partner in PARTNERS[:8]:
            self.upsert(partner)

    def write(self, caller, method, path, data=None):
        """Behind what was written before, whichever process answers."""
        headers = {"Tidings-Min-Position": self.position} if self.position else {}
        return self.clients[caller].request(method, path, data, headers=headers)

    def done(self, answer, *statuses):
        assert answer.status in statuses, answer
        if answer.position:
            self.position = answer.position
        return answer

    # Writes.

    def upsert(self, partner):
        profile = {"email": f"{partner}@x.example", "name": partner.title(), "surname": "Ł",
                   "tags": self.random.sample(TAGS, self.random.randint(0, 2)),
                   "status": self.random.choice(["active"] * 5 + ["archived", "pending"]),
                   "metrics": {"clicks": self.random.randint(0, 100),
                               "revenue": {"USD": f"{self.random.randint(1, 99)}.5"}}}
        self.done(self.write("platform", "PUT", at("programs", PROGRAM, "partners", partner),
                             profile), 200)

    def rule(self, depth=0):
        kind = self.random.choice(["tag", "clicks", "revenue", "engagement", "not", "all", "any"]
                                  if depth < 3 else ["tag", "clicks"])
        if kind in ("all", "any"):
            return {kind: [self.rule(depth + 1) for _ in range(self.random.randint(1, 3))]}
        if kind == "not":
            return {"not": self.rule(depth + 1)}
        if kind == "engagement" and self.messages:
            return {"engagement": self.random.choice(["opened", "not_opened", "replied"]),
                    "message": self.random.choice(self.messages)}
        if kind == "revenue":
            return {"metric": "revenue", "op": ">=", "value": "40", "currency": "USD"}
        if kind == "clicks":
            return {"metric": "clicks", "op": self.random.choice(["<", ">="]), "value": 50}
        return {"tag": self.random.choice(TAGS)}

    def send(self):
        kind = self.random.random()
        audience = {"type": "all"}
        if kind < 0.5:
            audience = filtered(self.rule(), self.random.sample(PARTNERS, 2))
        elif kind < 0.6:
            audience = named(self.random.choice(PARTNERS))
        answer = self.write(
            "owner", "POST", at("programs", PROGRAM, "messages"),
            {"subject": f"News {len(self.messages)}", "body": "b" * self.random.randint(1, 400),
             "audience": audience, "replies_enabled": self.random.random() < 0.7})
        self.done(answer, 201, 403, 422)
        if answer.status == 201:
            self.messages.append(answer.json["id"])

    def step(self):
        kind = self.random.random()
        partner = self.random.choice(PARTNERS)
        message = self.random.choice(self.messages[-12:]) if self.messages else None
        if kind < 0.15 or message is None:
            self.send()
        elif kind < 0.3:
            self.upsert(partner)
        elif kind < 0.33:
            self.done(self.write(
                "platform", "PUT", at("programs", PROGRAM),
                {"name": "Acme", "plan": self.random.choice(["partner", "advanced", "starter"])}),
                200)
        elif kind < 0.35:
            self.done(self.write("platform", "DELETE",
                                 at("programs", PROGRAM, "partners", partner)), 204, 404)
        elif kind < 0.7:
            self.done(self.write(partner, "POST", f"/v1/portal/messages/{message}/open"), 200, 404)
        elif kind < 0.85:
            answer = self.write(partner, "POST", f"/v1/portal/messages/{message}/replies",
                                {"body": f"reply {self.random.random()}"})
            self.done(answer, 201, 403, 404)
            if answer.status == 201:
                self.conversations.append((message, partner))
        elif self.conversations:
            message, partner = self.random.choice(self.conversations)
            path = at("programs", PROGRAM, "partners", partner, "messages", message)
            if kind < 0.93:
                answer = self.write("owner", "POST", path + "/replies", {"body": "an answer"})
                self.done(answer, 201, 403)
            else:
                self.done(self.write("owner", "POST", path + "/read"), 204)

    # Questions.

    def question(self):
        program = at("programs", PROGRAM)
        partner = self.random.choice(PARTNERS)
        if self.conversations and self.random.random() < 0.5:
            message, partner = self.random.choice(self.conversations)
        else:
            message = self.random.choice(self.messages or ["msg_none"])
        limit = {"limit": self.random.choice([1, 3, 200])}
        profile = at("programs", PROGRAM, "partners", partner)
        return self.random.choice([
            Question(f"{program}/messages/{message}"),
            Question(f"{program}/messages", limit),
            Question(f"{program}/messages/{message}/recipients",
                     {**limit, "state": self.random.choice(["all", "opened", "unopened",
                                                            "replied"])}),
            Question(f"{program}/messages/{message}/recipients", headers=CSV),
            Question(f"{program}/messages/{message}/opens", {"interval": "minute"}),
            Question(profile),
            Question(f"{profile}/messages", limit),
            Question(f"{profile}/messages/{message}"),
            Question(f"{program}/partners", {**limit, "tag": self.random.choice(TAGS),
                                             "status": self.random.choice(["active", "all"])}),
            Question(f"{program}/partners", {"query": self.random.choice(["p1", "Ł"])}),
            Question(f"{program}/summary"),
            Question(f"{program}/tags"),
            Question(f"{program}/exports/{self.random.choice(EXPORTS)}",
                     {"format": self.random.choice(["ndjson", "csv"])}),
        ])

    def record(self):
        """One random question, answered by the live server at its present position."""
        question = self.question()
        answer = question.ask(self.clients["auditor"], at_least=self.position)
        return Recorded(self.position, question, answer)
