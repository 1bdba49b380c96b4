"""A mixed load that keeps its own books: what was acknowledged, what was refused, what is unknown.

An operation is unknown when its connection broke before the answer: it may have happened or not,
but never twice, and never half. settling.py asks again for what is unknown, and compares.
"""
import collections
import http.client
import random
import threading
import time
import uuid
from dataclasses import dataclass

from programs import filtered, named
from tidings import Client, at

PARTNERS = [f"p{n:02}" for n in range(40)]
BROKEN = (OSError, http.client.HTTPException)
RECENT = 30          # messages that most opens and replies go to
OLD_SHARE = 0.05     # of opens and replies: to any message
REFUSED_SHARE = 0.1  # of sends
ENOUGH_S = 120       # for the acknowledgements of one run


@dataclass
class Send:
    key: str
    audience: list = None  # None: all
    message: str = None    # its id, once it is known
    rule: dict = None      # the filter that selects the audience, if it is not named

    @property
    def recipients(self):
        return self.audience or PARTNERS


@dataclass
class Reply:
    key: str
    role: str
    partner: str
    post: str = None  # its id, once it is known


class Callers:
    """Clients of everybody, on the processes of a fleet: "platform", "owner", or a partner's id."""

    def __init__(self, deployment):
        """Everybody's token is from this deployment, and good for every process."""
        self.tokens = {p: deployment.token("partner", "acme", p) for p in PARTNERS}
        self.tokens["owner"] = deployment.token("owner", "acme")
        self.tokens["platform"] = deployment.token("platform")
        self.addresses = []
        self._kept = {}

    def reach(self, *addresses):
        """From now on the processes listen here."""
        for client in self._kept.values():
            client.close()
        self._kept.clear()
        self.addresses = list(addresses)

    def client(self, name, number=0):
        """A client of one thread's own; `number` chooses the process."""
        return Client(self.addresses[number % len(self.addresses)], self.tokens[name])

    def __getitem__(self, name):
        """The kept client of a name; for one thread."""
        if name not in self._kept:
            self._kept[name] = self.client(name)
        return self._kept[name]


class Books:
    """Shared by the threads of a load. Keys, subjects and bodies are unique, so that every effect
    can be told apart."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sends = {}    # subject -> Send
        self.replies = collections.defaultdict(dict)  # message -> {body: Reply}
        self.opens = collections.defaultdict(dict)    # message -> {partner: opened_at or None}
        self.clicks = {p: (0, 0) for p in PARTNERS}   # partner -> (acknowledged, last attempted)
        self.sent = []     # sends whose message is known
        self.received = collections.Counter()         # partner -> messages
        # Since the last comparison:
        self.fresh = set()    # subjects
        self.touched = set()  # messages with a new open, reply or send
        # Over all:
        self.acknowledged = self.refused = self.unknown = 0
        self.reached = {}  # partition -> the last commit that an answer told of
        self.strange = []  # answers that nobody expected

    def totals(self):
        """For a line of progress. There may be more commits, of which nobody was told."""
        return (f"{self.acknowledged} acknowledged, {self.refused} refused, {self.unknown} unknown "
                f"and settled, {sum(self.reached.values())} commits")

    def answered(self, answer, status):
        """Counts an answer; true if it is the one hoped for."""
        with self.lock:
            if answer.status != status:
                self.strange.append(repr(answer))
            elif status < 400:
                self.acknowledged += 1
                partition, sequence = map(int, answer.position.split(":"))
                self.reached[partition] = max(sequence, self.reached.get(partition, 0))
            else:
                self.refused += 1
            return answer.status == status

    def sending(self, subject, new):
        with self.lock:
            self.sends[subject] = new
            self.fresh.add(subject)

    def sent_as(self, one, message):
        with self.lock:
            one.message = message
            self.sent.append(one)
            self.received.update(one.recipients)
            self.touched.add(message)

    def replying(self, message, body, new):
        with self.lock:
            self.replies[message][body] = new
            self.touched.add(message)

    def opening(self, message, partner):
        with self.lock:
            self.opens[message].setdefault(partner, None)
            self.touched.add(message)

    def opened_at(self, message, partner, when):
        """A first open has one time, whoever asks and however often."""
        with self.lock:
            if (before := self.opens[message][partner]) not in (None, when):
                self.strange.append(f"{message} opened by {partner} at {before}, then at {when}")
            self.opens[message][partner] = when

    def pick(self, chance):
        """A known message and one who received it; None while there is none."""
        with self.lock:
            if not self.sent:
                return None
            one = chance.choice(self.sent if chance.random() < OLD_SHARE else self.sent[-RECENT:])
        return one.message, chance.choice(one.recipients)

    def compared(self):
        """All is known, and was found as it stands here."""
        self.fresh.clear()
        self.touched.clear()


class Load:
    """Threads that work until their process is gone; one run each."""

    def __init__(self, books, callers, seed):
        self.books = books
        self.callers = callers
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(job, n, seed * 100 + n))
                        for n, job in enumerate(self.jobs())]

    def jobs(self):
        return [self.sender, self.sender, self.opener, self.opener, self.replier, self.replier,
                self.upserter]

    def run(self, acknowledgements, strike):
        """Works until there are so many more acknowledgements, then calls `strike`, which ends a
        process that the threads talk to. Returns the seconds until then."""
        goal = self.books.acknowledged + acknowledgements
        began = time.monotonic()
        for thread in self.threads:
            thread.start()
        while self.books.acknowledged < goal and time.monotonic() < began + ENOUGH_S:
            assert any(t.is_alive() for t in self.threads), "every process ended by itself"
            time.sleep(0.001)  # a random moment: between two acknowledgements
        struck = time.monotonic()
        strike()
        self.stop.set()
        for thread in self.threads:
            thread.join()
        assert self.books.acknowledged >= goal, self.books.strange[:3]
        return struck - began

    def _work(self, job, number, seed):
        clients = {}

        def client(name):
            if name not in clients:
                clients[name] = self.callers.client(name, number)
            return clients[name]

        chance = random.Random(seed)
        try:
            while not self.stop.is_set():
                job(chance, client)
        except BROKEN:
            pass  # the process is gone: what was under way stays unknown in the books
        finally:
            for one in clients.values():
                one.close()

    def sender(self, chance, client):
        subject, key = f"News {uuid.UUID(int=chance.getrandbits(128))}", f"k{chance.random()}"
        if chance.random() < REFUSED_SHARE:  # in no book: it may not leave a trace
            self.books.answered(send(client("owner"), subject, Send(key, ["nobody"])), 422)
            return
        audience = chance.choice([None, sorted(chance.sample(PARTNERS, chance.randint(1, 20)))])
        new = Send(key, audience)
        self.books.sending(subject, new)
        answer = send(client("owner"), subject, new)
        if self.books.answered(answer, 201):
            self.books.sent_as(new, answer.json["id"])

    def opener(self, chance, client):
        if not (place := self.books.pick(chance)):
            return
        message, partner = place
        self.books.opening(message, partner)
        answer = open_message(client(partner), message)
        if self.books.answered(answer, 200):
            self.books.opened_at(message, partner, answer.json["opened_at"])

    def replier(self, chance, client):
        if not (place := self.books.pick(chance)):
            return
        message, partner = place
        role, body = chance.choice(["owner", "partner"]), f"Reply {chance.getrandbits(96)}"
        new = Reply(f"r{chance.random()}", role, partner)
        self.books.replying(message, body, new)
        answer = reply(client(partner if role == "partner" else "owner"), message, body, new)
        if self.books.answered(answer, 201):
            new.post = answer.json["id"]

    def upserter(self, chance, client):
        partner = chance.choice(PARTNERS)
        sure, tried = self.books.clicks[partner]
        clicks = max(sure, tried) + 1
        self.books.clicks[partner] = (sure, clicks)
        if self.books.answered(set_clicks(client("platform"), partner, clicks), 200):
            self.books.clicks[partner] = (clicks, clicks)


def send(owner, subject, new):
    audience = filtered(new.rule) if new.rule else new.audience and named(*new.audience)
    members = {"audience": audience} if audience else {}
    return owner.post(at("programs", "acme", "messages"),
                      {"subject": subject, "body": "Hello.", "replies_enabled": True, **members},
                      headers={"Idempotency-Key": new.key})


def open_message(partner, message):
    return partner.post(at("portal", "messages", message, "open"))


def reply(client, message, body, new):
    path = (at("portal", "messages", message, "replies") if new.role == "partner" else
            at("programs", "acme", "partners", new.partner, "messages", message, "replies"))
    return client.post(path, {"body": body}, headers={"Idempotency-Key": new.key})


def set_clicks(platform, partner, clicks):
    return platform.patch(at("programs", "acme", "partners", partner),
                          {"metrics": {"clicks": clicks}})
