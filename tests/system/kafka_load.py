"""The load of books.py against a deployment in trouble: its threads go on to the next process when
one is gone, and take 503 for what it is: nothing is known, ask again later.
"""
import random
import time

from books import BROKEN, ENOUGH_S, PARTNERS, Books, Callers, Load, set_clicks
from programs import make_program, ok
from settling import settle
from tidings import Client, at

SUMMARY = at("programs", "acme", "summary")
BACKOFF_S = 0.2  # of a caller whom nobody could help
TIMEOUT_S = 20  # of one request: longer than any process keeps one


class PatientBooks(Books):
    """503 leaves an operation unknown, and so does 404 of a message that another process has only
    just sent; settling asks again."""

    def __init__(self):
        super().__init__()
        self.unavailable = self.behind = self.broken = 0

    def answered(self, answer, status):
        with self.lock:
            if answer.status == 503:
                assert answer.code in ("overloaded", "outcome_unknown", "not_caught_up"), answer
                self.unavailable += 1
            if answer.status == 404:
                self.behind += 1
                return False
        if answer.status == 503:
            time.sleep(BACKOFF_S)
            return False
        return super().answered(answer, status)

    def troubles(self):
        return f"{self.unavailable} answers 503, {self.behind} 404, {self.broken} broken connections"


class PatientCallers(Callers):
    def client(self, name, number=0):
        return Client(self.addresses[number % len(self.addresses)], self.tokens[name], TIMEOUT_S)


class PatientLoad(Load):
    """Begins, is waited for, ends."""

    def begin(self):
        for thread in self.threads:
            thread.start()
        return self

    def wait(self, acknowledgements):
        """Until so many more were acknowledged; the seconds that it took."""
        goal, began = self.books.acknowledged + acknowledgements, time.monotonic()
        while self.books.acknowledged < goal:
            assert time.monotonic() < began + ENOUGH_S, (self.books.totals(), self.books.strange[:3])
            assert any(t.is_alive() for t in self.threads), "every thread of the load has failed"
            time.sleep(0.001)
        return time.monotonic() - began

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def __enter__(self):
        return self.begin()

    def __exit__(self, *_):
        self.end()

    def _work(self, job, number, seed):
        clients, chance, turn = {}, random.Random(seed), [number]

        def client(name):
            if name not in clients:
                clients[name] = self.callers.client(name, turn[0])
            return clients[name]

        while not self.stop.is_set():
            try:
                job(chance, client)
            except BROKEN:
                with self.books.lock:
                    self.books.broken += 1
                clients.clear()
                turn[0] += 1
                self.stop.wait(BACKOFF_S)
        for one in clients.values():
            one.close()

    def upserter(self, chance, client):
        """An upsert without an answer may land at any time: no other follows it before it is
        known."""
        partner = chance.choice(PARTNERS)
        sure, tried = self.books.clicks[partner]
        if sure != tried:
            return self.stop.wait(0.01)
        self.books.clicks[partner] = (sure, sure + 1)
        if self.books.answered(set_clicks(client("platform"), partner, sure + 1), 200):
            self.books.clicks[partner] = (sure + 1, sure + 1)
        return None


def open_books(process):
    """The program and its partners, and (books, callers) for them."""
    make_program(process, people={p: {"email": f"{p}@x.example"} for p in PARTNERS})
    return PatientBooks(), PatientCallers(process)


def settled(books, callers, process, chance=None):
    """What settle() says, asked at one process, once it has all that anybody was told of."""
    callers.reach(process.address)
    position = ",".join(f"{p}:{s}" for p, s in sorted(books.reached.items()))
    deadline = time.monotonic() + ENOUGH_S
    while True:
        answer = callers["owner"].get(SUMMARY, headers={"Tidings-Min-Position": position})
        if answer.status == 200 or time.monotonic() > deadline:
            break
        assert answer.status == 503, answer
    assert ok(answer).json["messages"] >= len(books.sent), "caught up, but messages are missing"
    return settle(books, callers, chance)
