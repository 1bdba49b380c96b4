"""After a kill: makes the unknown known, and compares what is there with the books.

Most comparisons take what is new since the last one, a sample of what is old, and every total; a
whole one takes everything.
"""
import collections

from books import PARTNERS, open_message, reply, send, set_clicks
from programs import ok
from tidings import at

SAMPLE = 40              # old messages that every comparison looks at
PORTALS = PARTNERS[::5]  # whose whole inbox a whole comparison reads


def ask_again(books, callers):
    """Sends once more, with its key, all that had no answer: now it exists, and exactly once, as
    the comparison will see."""
    for subject in sorted(books.fresh):
        one = books.sends[subject]
        if one.message is None:
            books.unknown += 1
            books.sent_as(one, ok(send(callers["owner"], subject, one), 201).json["id"])
    for message in sorted(books.touched):
        for partner, time in books.opens[message].items():
            if time is None:
                books.unknown += 1
                answer = ok(open_message(callers[partner], message)).json
                books.opens[message][partner] = answer["opened_at"]
        for body, one in books.replies[message].items():
            if one.post is None:
                books.unknown += 1
                client = callers[one.partner if one.role == "partner" else "owner"]
                one.post = ok(reply(client, message, body, one), 201).json["id"]
    for partner, (sure, tried) in books.clicks.items():
        if sure != tried:
            books.unknown += 1
            profile = ok(callers["owner"].get(at("programs", "acme", "partners", partner))).json
            assert sure <= profile["metrics"]["clicks"] <= tried, partner
            ok(set_clicks(callers["platform"], partner, tried))
            books.clicks[partner] = (tried, tried)


class Comparison:
    """Of the deployment with the books. Nothing is raised while it goes on: what differs is noted
    in lost, duplicated, invented and wrong."""

    def __init__(self, books, callers):
        self.books = books
        self.owner = callers["owner"]
        self.callers = callers
        self.lost, self.duplicated, self.invented, self.wrong = [], [], [], []
        self.messages = 0  # looked at, each with its recipients, opens and conversations

    def match(self, what, wanted, shown):
        """`wanted`: {name: value}, each to be shown once; `shown`: (name, value) in any order."""
        times = collections.Counter(name for name, _ in shown)
        self.lost += [(what, name) for name in wanted if name not in times]
        self.duplicated += [(what, name) for name, count in times.items() if count > 1]
        self.invented += [(what, name) for name in times if name not in wanted]
        self.wrong += [(what, name, value, wanted[name]) for name, value in shown
                       if name in wanted and value != wanted[name]]

    def match_names(self, what, wanted, shown):
        self.match(what, dict.fromkeys(wanted), [(name, None) for name in shown])

    def equal(self, what, shown, wanted):
        if shown != wanted:
            self.wrong.append((what, shown, wanted))

    def new_and_sampled(self, chance):
        books = self.books
        fresh = {subject: books.sends[subject] for subject in books.fresh}
        listed = self.list_messages(fresh, len(fresh))
        old = [one for one in books.sent if one.message not in books.touched]
        for one in ([one for one in books.sent if one.message in books.touched] +
                    chance.sample(old, min(SAMPLE, len(old)))):
            card = listed.get(one.message) or ok(
                self.owner.get(at("programs", "acme", "messages", one.message))).json
            self.check_message(one, card)
        self.check_partners(())

    def whole(self):
        listed = self.list_messages(self.books.sends, None)
        for one in self.books.sent:
            if one.message in listed:
                self.check_message(one, listed[one.message])
        self.check_partners(PORTALS)

    def list_messages(self, sends, count):
        """The newest `count` messages (None: all) are those of `sends`. {id: message}"""
        shown = self.owner.pages(at("programs", "acme", "messages"), most=count)
        self.match("message", {subject: one.message for subject, one in sends.items()},
                   [(m["subject"], m["id"]) for m in shown])
        summary = ok(self.owner.get(at("programs", "acme", "summary"))).json
        self.equal("messages in total", summary["messages"], len(self.books.sends))
        return {m["id"]: m for m in shown}

    def check_message(self, one, card):
        """Its recipients, opens and conversations, in rows and in counters."""
        self.messages += 1
        message, stats = one.message, card["stats"]
        rows = self.owner.pages(at("programs", "acme", "messages", message, "recipients"))
        self.match_names(f"recipient of {message}", one.recipients,
                         [r["partner"]["id"] for r in rows])
        opens, replies = self.books.opens[message], self.books.replies[message]
        replied = {r.partner for r in replies.values() if r.role == "partner"}
        opened = {r["partner"]["id"]: r["opened_at"] for r in rows if r["opened_at"]}
        # A reply is an open too, at a time that no answer told.
        self.match(f"open of {message}", {**{p: opened.get(p) for p in replied}, **opens},
                   list(opened.items()))
        self.match_names(f"reply to {message}", replied,
                         [r["partner"]["id"] for r in rows if r["first_replied_at"]])
        self.equal(f"counters of {message}",
                   (stats["recipients"], stats["opens"], stats["replied"]),
                   (len(rows), len(opened), len(replied)))
        for partner in {r.partner for r in replies.values()}:
            path = at("programs", "acme", "partners", partner, "messages", message)
            self.match(f"post by or to {partner} about {message}",
                       {body: (r.post, r.role) for body, r in replies.items()
                        if r.partner == partner},
                       [(p["body"], (p["id"], p["from"]))
                        for p in ok(self.owner.get(path)).json["posts"]])

    def check_partners(self, portals):
        """Counters of partners: upserts, totals, unread as the rows have it."""
        shown = self.owner.pages(at("programs", "acme", "partners"))
        self.match_names("partner", PARTNERS, [p["id"] for p in shown])
        for profile in shown:
            partner = profile["id"]
            self.equal(f"clicks of {partner}", profile["metrics"]["clicks"],
                       self.books.clicks[partner][0])
            summary = ok(self.callers[partner].get("/v1/portal/summary")).json
            self.equal(f"inbox of {partner}", summary["total"], self.books.received[partner])
            if partner not in portals:
                continue
            rows = self.callers[partner].pages("/v1/portal/messages")
            self.match_names(f"message in the inbox of {partner}",
                             [s.message for s in self.books.sent if partner in s.recipients],
                             [r["id"] for r in rows])
            self.equal(f"unread of {partner}", summary["unread"], sum(r["unread"] for r in rows))


def check_first_answer(books, callers):
    """The first answer after a start knows all that was acknowledged."""
    summary = ok(callers["owner"].get(at("programs", "acme", "summary"))).json
    assert summary["messages"] >= len(books.sent), "ready, but not caught up"


def settle(books, callers, chance=None):
    """After a restart. `chance` samples what is old; None: the whole is compared. Returns the
    comparison, which found no fault."""
    assert not books.strange, books.strange[:3]
    ask_again(books, callers)
    comparison = Comparison(books, callers)
    if chance:
        comparison.new_and_sampled(chance)
    else:
        comparison.whole()
    faults = {name: getattr(comparison, name)
              for name in ("lost", "duplicated", "invented", "wrong")}
    assert not any(faults.values()), {name: (len(f), f[:3]) for name, f in faults.items()}
    books.compared()
    return comparison
