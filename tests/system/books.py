"""A mixed load that keeps its own books: what was acknowledged, what was refused, what is unknown.

An operation is unknown when its connection broke before the answer: it may have happened or not,
but never twice, and never half.
"""
import http.client
import random
import threading
import uuid

from programs import named
from tidings import at

PARTNERS = [f"p{n:02}" for n in range(40)]
BROKEN = (OSError, http.client.HTTPException)


class Books:
    """Thread-safe. Keys and subjects are unique, so that every effect can be told apart."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sends = {}      # subject -> (key, audience or None for all, message id or None)
        self.opens = {}      # (message, partner) -> opened_at or None
        self.replies = {}    # body -> (key, role, message, partner, post id or None)
        self.clicks = {p: (0, 0) for p in PARTNERS}  # partner -> (acknowledged, last attempted)
        self.acknowledged = 0
        self.unexpected = []

    def messages(self, replies=False):
        """(message, recipients) of acknowledged sends."""
        with self.lock:
            return [(m, a or PARTNERS) for _, a, m in self.sends.values() if m]

    def note(self, table, entry, value):
        with self.lock:
            table[entry] = value

    def done(self, table, entry, value):
        with self.lock:
            table[entry] = value
            self.acknowledged += 1

    def strange(self, answer):
        with self.lock:
            self.unexpected.append(repr(answer))


class Load:
    """Threads that work until the server is gone. `tokens`: name -> token."""

    def __init__(self, books, address, tokens, seed, client):
        self.books = books
        self.stop = threading.Event()
        self.make_client = lambda token: client(address, token)
        self.tokens = tokens
        jobs = [self.sender, self.sender, self.opener, self.opener, self.replier, self.replier,
                self.upserter]
        self.threads = [threading.Thread(target=self._work, args=(job, n, seed * 100 + n))
                        for n, job in enumerate(jobs)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _work(self, job, number, seed):
        try:
            job(random.Random(seed), number)
        except BROKEN:
            pass  # the server is gone: what was under way stays unknown in the books

    def sender(self, chance, _):
        owner = self.make_client(self.tokens["owner"])
        while not self.stop.is_set():
            subject, key = f"News {uuid.UUID(int=chance.getrandbits(128))}", f"k{chance.random()}"
            audience = chance.choice([None, sorted(chance.sample(PARTNERS, chance.randint(1, 20)))])
            self.books.note(self.books.sends, subject, (key, audience, None))
            answer = send(owner, subject, key, audience)
            if answer.status == 201:
                self.books.done(self.books.sends, subject, (key, audience, answer.json["id"]))
            else:
                self.books.strange(answer)

    def opener(self, chance, _):
        clients = {}
        while not self.stop.is_set():
            known = self.books.messages()
            if not known:
                continue
            message, recipients = chance.choice(known[-30:])
            partner = chance.choice(recipients)
            client = clients.setdefault(partner, self.make_client(self.tokens[partner]))
            with self.books.lock:
                self.books.opens.setdefault((message, partner), None)
            answer = client.post(at("portal", "messages", message, "open"))
            if answer.status != 200:
                self.books.strange(answer)
                continue
            before = self.books.opens[(message, partner)]
            if before not in (None, answer.json["opened_at"]):
                self.books.strange(f"opened at {before}, then at {answer.body}")
            self.books.done(self.books.opens, (message, partner), answer.json["opened_at"])

    def replier(self, chance, number):
        clients = {}
        while not self.stop.is_set():
            known = self.books.messages()
            if not known:
                continue
            message, recipients = chance.choice(known[-30:])
            partner = chance.choice(recipients)
            role = chance.choice(["owner", "partner"])
            name = partner if role == "partner" else "owner"
            client = clients.setdefault(name, self.make_client(self.tokens[name]))
            body, key = f"Reply {chance.getrandbits(96)}", f"r{chance.random()}"
            self.books.note(self.books.replies, body, (key, role, message, partner, None))
            answer = reply(client, role, message, partner, body, key)
            if answer.status == 201:
                self.books.done(self.books.replies, body,
                                (key, role, message, partner, answer.json["id"]))
            else:
                self.books.strange(answer)

    def upserter(self, chance, _):
        platform = self.make_client(self.tokens["platform"])
        while not self.stop.is_set():
            partner = chance.choice(PARTNERS)
            sure, tried = self.books.clicks[partner]
            clicks = max(sure, tried) + 1
            self.books.note(self.books.clicks, partner, (sure, clicks))
            answer = platform.patch(at("programs", "acme", "partners", partner),
                                    {"metrics": {"clicks": clicks}})
            if answer.status == 200:
                self.books.done(self.books.clicks, partner, (clicks, clicks))
            else:
                self.books.strange(answer)


def send(owner, subject, key, audience):
    members = {"audience": named(*audience)} if audience else {}
    return owner.post(at("programs", "acme", "messages"),
                      {"subject": subject, "body": "Hello.", "replies_enabled": True, **members},
                      headers={"Idempotency-Key": key})


def reply(client, role, message, partner, body, key):
    path = (at("portal", "messages", message, "replies") if role == "partner" else
            at("programs", "acme", "partners", partner, "messages", message, "replies"))
    return client.post(path, {"body": body}, headers={"Idempotency-Key": key})
