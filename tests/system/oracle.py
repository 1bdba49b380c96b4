"""The plain truth: sets and maps of Python, to compare the broker's answers with."""


class Program:
    """Partners by first sight, messages by sending order."""

    def __init__(self):
        self.partners = {}   # id -> profile
        self.messages = {}   # message id -> recipients (set)
        self.opened = {}     # message id -> partners (set)
        self.unread = {}     # message id -> {partner who replied: replies not read}, by last reply
        self.answered = {}   # message id -> partners who have not seen an answer (set)

    def active(self):
        return {p for p, profile in self.partners.items()
                if profile.get("status", "active") == "active"}

    def select(self, rule):
        """Members of the filter among active partners."""
        return {p for p in self.active() if self.matches(p, rule)}

    def matches(self, partner, rule):
        profile = self.partners[partner]
        (kind, value), = [(k, v) for k, v in rule.items()
                          if k in ("all", "any", "not", "tag", "metric", "engagement")]
        if kind == "all":
            return all(self.matches(partner, r) for r in value)
        if kind == "any":
            return any(self.matches(partner, r) for r in value)
        if kind == "not":
            return not self.matches(partner, value)
        if kind == "tag":
            return value in profile.get("tags", ())
        if kind == "metric":
            have, want = profile.get("metrics", {}).get(value, 0), rule["value"]
            return {"<": have < want, "<=": have <= want, "=": have == want, "!=": have != want,
                    ">=": have >= want, ">": have > want}[rule["op"]]
        received = partner in self.messages[rule["message"]]
        opened = partner in self.opened[rule["message"]]
        replied = partner in self.unread[rule["message"]]
        return received and {"opened": opened, "not_opened": not opened, "replied": replied}[value]

    def sent(self, message, recipients):
        self.messages[message] = set(recipients)
        self.opened[message] = set()
        self.unread[message] = {}
        self.answered[message] = set()

    def open(self, message, partner):
        """Whether this was the first open; None: not a recipient."""
        if partner not in self.messages[message]:
            return None
        first = partner not in self.opened[message]
        self.opened[message].add(partner)
        self.answered[message].discard(partner)
        return first

    def reply(self, message, partner):
        self.open(message, partner)
        self.unread[message][partner] = self.unread[message].pop(partner, 0) + 1

    def answer(self, message, partner):
        self.read(message, partner)
        self.answered[message].add(partner)

    def read(self, message, partner):
        if partner in self.unread[message]:
            self.unread[message][partner] = 0

    def inbox(self, partner):
        """Newest first, with the unread mark."""
        return [(m, partner not in self.opened[m] or partner in self.answered[m])
                for m in reversed(self.messages) if partner in self.messages[m]]
