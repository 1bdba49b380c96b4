"""The other kinds of writes of a mixed load: sends by a filter, opens in bulk, CloudEvents, webhook
deliveries, and read marks, with books of their own.
"""
import collections
import json
from dataclasses import dataclass

from books import PARTNERS, Books, Load, Send, send
from endpoints import NDJSON, signature
from programs import make_program, ok
from programs import send as send_message
from tidings import at

EVEN = PARTNERS[::2]  # who carry the tag
RULE = {"all": [{"tag": "even"}, {"metric": "clicks", "op": ">=", "value": 0}]}
NOBODY = {"all": [{"tag": "even"}, {"metric": "clicks", "op": "<", "value": 0}]}
SECRET = "whsec_load"
HOOK = at("programs", "acme", "webhooks", "partnero")
READERS = [f"r{n}" for n in range(8)]  # partners of a program where one thread alone writes
REPLAYED = 5  # facts that are told once more after each kill


@dataclass
class Fact:
    """Something upstream that counts once, however often it is told."""
    partner: str
    known: bool = False


@dataclass
class Reading:
    """A conversation of which exactly this is known: how many of its replies are unread."""
    partner: str
    unread: int = 0
    pending: tuple = None  # a reply's (key, body), or () for a read mark, while it is unknown


class WideBooks(Books):
    def __init__(self):
        super().__init__()
        self.bulk = collections.defaultdict(set)  # message -> opened in bulk, since compared
        self.events = {}     # id -> Fact: one sale more
        self.customers = {}  # key -> Fact: one signup more
        self.readings = [Reading(r) for r in READERS]
        self.read_message = None


def prepare(server, callers, books):
    """The programs, and tokens for those who read."""
    make_program(server, people={p: {"email": f"{p}@x.example",
                                     "tags": ["even"] if p in EVEN else []} for p in PARTNERS})
    ok(server.platform().put(HOOK, {"secret": SECRET}), 204)
    make_program(server, "reads", people={r: {"email": f"{r}@x.example"} for r in READERS})
    books.read_message = send_message(server.owner("reads"), "reads", replies_enabled=True)["id"]
    callers.tokens["reader"] = server.token("owner", "reads")
    for reader in READERS:
        callers.tokens[reader] = server.token("partner", "reads", reader)


class WideLoad(Load):
    def jobs(self):
        return [*super().jobs(), self.filter_sender, self.bulk_opener, self.event_teller,
                self.deliverer, self.reader]

    def filter_sender(self, chance, client):
        subject, key = f"Filtered {chance.getrandbits(96)}", f"f{chance.random()}"
        if chance.random() < 0.2:
            self.books.answered(send(client("owner"), subject, Send(key, EVEN, rule=NOBODY)), 422)
            return
        new = Send(key, EVEN, rule=RULE)
        self.books.sending(subject, new)
        answer = send(client("owner"), subject, new)
        if self.books.answered(answer, 201):
            self.books.sent_as(new, answer.json["id"])

    def bulk_opener(self, chance, client):
        with self.books.lock:
            if not self.books.sent:
                return
            one = chance.choice(self.books.sent[-10:])
        chosen = chance.sample(one.recipients, chance.randint(1, min(10, len(one.recipients))))
        for partner in chosen:
            self.books.opening(one.message, partner)
        lines = [json.dumps({"message": one.message, "partner": p}) for p in chosen]
        answer = client("platform").post(at("programs", "acme", "opens"),
                                         body="\n".join(lines).encode(),
                                         headers={"Content-Type": NDJSON})
        if self.books.answered(answer, 200):
            with self.books.lock:
                self.books.bulk[one.message].update(chosen)
                if answer.json["accepted"] != len(chosen):
                    self.books.strange.append(repr(answer))

    def event_teller(self, chance, client):
        identity, fact = f"e{chance.getrandbits(96)}", Fact(chance.choice(PARTNERS))
        self.books.events[identity] = fact
        answer = tell_event(client("platform"), identity, fact)
        if self.books.answered(answer, 200):
            fact.known = True

    def deliverer(self, chance, client):
        key, fact = f"c{chance.getrandbits(96)}", Fact(chance.choice(PARTNERS))
        self.books.customers[key] = fact
        if self.books.answered(deliver_customer(client("platform"), key, fact), 200):
            fact.known = True

    def reader(self, chance, client):
        one = chance.choice(self.books.readings)
        if chance.random() < 0.7:
            one.pending = (f"k{chance.random()}", f"Reply {chance.getrandbits(96)}")
        else:
            one.pending = ()
        answer = do_pending(client, one, self.books.read_message)
        if self.books.answered(answer, 201 if one.pending else 204):
            settle_pending(one)


def tell_event(platform, identity, fact):
    event = {"specversion": "1.0", "id": identity, "source": "/load", "program": "acme",
             "subject": fact.partner, "type": "io.tidings.partner.performance",
             "data": {"mode": "add", "metrics": {"sales": 1}}}
    return platform.post("/v1/events", body=json.dumps(event).encode(),
                         headers={"Content-Type": "application/cloudevents+json"})


def deliver_customer(sender, key, fact):
    body = json.dumps({"event": "customer.created", "created_at": "2026-01-05T09:00:00.000000Z",
                       "data": {"key": key, "partner": {"id": fact.partner}}}).encode()
    return sender.post(HOOK, body=body, headers={"Signature": signature(SECRET, body),
                                                 "Content-Type": "application/json"})


def do_pending(client, one, message):
    if one.pending:
        key, body = one.pending
        return client(one.partner).post(at("portal", "messages", message, "replies"),
                                        {"body": body}, headers={"Idempotency-Key": key})
    return client("reader").post(at("programs", "reads", "partners", one.partner, "messages",
                                    message, "read"))


def settle_pending(one):
    one.unread = one.unread + 1 if one.pending else 0
    one.pending = None


def settle_wide(books, callers, chance):
    """After a restart, before the rest is compared: first that all that was acknowledged is there,
    then, with the unknown told again, that nothing is there twice."""
    for message, partners in books.bulk.items():
        rows = callers["owner"].pages(at("programs", "acme", "messages", message, "recipients"),
                                      state="opened")
        opened = {r["partner"]["id"]: r["opened_at"] for r in rows}
        assert partners <= set(opened), (message, partners - set(opened))
        for partner in partners:
            books.opened_at(message, partner, opened[partner])
    books.bulk.clear()
    settle_facts(books, callers, chance, books.events, tell_event, "sales")
    settle_facts(books, callers, chance, books.customers, deliver_customer, "signups")
    settle_readings(books, callers)


def settle_facts(books, callers, chance, facts, tell, metric):
    def counts(of):
        return collections.Counter(fact.partner for fact in of)

    def shown():
        profiles = callers["owner"].pages(at("programs", "acme", "partners"))
        return {p["id"]: p["metrics"][metric] for p in profiles}

    sure, tried, found = counts(f for f in facts.values() if f.known), counts(facts.values()), shown()
    for partner in PARTNERS:
        assert sure[partner] <= found[partner] <= tried[partner], (metric, partner)
    unknown = [identity for identity, fact in facts.items() if not fact.known]
    known = sorted(set(facts) - set(unknown))
    for identity in unknown + chance.sample(known, min(REPLAYED, len(known))):
        ok(tell(callers["platform"], identity, facts[identity]))
        facts[identity].known = True
    books.unknown += len(unknown)
    assert shown() == {partner: tried[partner] for partner in PARTNERS}, metric


def settle_readings(books, callers):
    def shown():
        rows = callers["reader"].pages(at("programs", "reads", "messages", books.read_message,
                                          "recipients"))
        return {r["partner"]["id"]: r["unread_replies"] for r in rows}

    found = shown()
    for one in books.readings:
        may_be = {one.unread}
        if one.pending is not None:
            may_be.add(one.unread + 1 if one.pending else 0)
        assert found[one.partner] in may_be, (one, found[one.partner])
    for one in books.readings:
        if one.pending is not None:
            books.unknown += 1
            ok(do_pending(callers.__getitem__, one, books.read_message), 201 if one.pending else 204)
            settle_pending(one)
    assert shown() == {one.partner: one.unread for one in books.readings}
    summary = ok(callers["reader"].get(at("programs", "reads", "summary"))).json
    assert summary["unread_replies"] == sum(one.unread for one in books.readings)
