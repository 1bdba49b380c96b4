"""Catching up with a log that takes many reads: a start and `rebuild` end at its end, not before.

The log is read in pieces of 4 MiB; one that counts as read after the first piece would answer from
read models of the past.
"""
import re
import shutil

import pytest

import tidings
from programs import import_lines, make_program, ok
from tidings import Client, at

PIECE_BYTES = 4 << 20  # limits::kRunBytes: what one read of the log gives
BODY = "b" * 65_536    # the longest
SENDS = 2 * PIECE_BYTES // len(BODY)  # the first two pieces are quick to apply...
IMPORTED = 25_000                     # ...the last two slow: searchable names of 400 characters
LINES = [{"id": f"p{n}", "email": f"p{n}@x.example", "name": f"{n:0200}",
          "surname": f"{7 * n:0200}"} for n in range(IMPORTED)]


class History:
    """A log of more than four pieces, and what its end shows."""

    def __init__(self, server):
        platform = make_program(server)
        self.token = server.token("owner", "acme")
        owner = server.owner()
        for number in range(SENDS):
            body = {"subject": f"News {number}", "body": BODY}
            ok(owner.post(at("programs", "acme", "messages"), body), 201)
        assert import_lines(platform, "acme", LINES)["created"] == IMPORTED
        assert SENDS * len(BODY) + IMPORTED * 400 > 4 * PIECE_BYTES
        last = ok(owner.post(at("programs", "acme", "messages"),
                             {"subject": "Last", "body": "B"}), 201)
        self.partition, self.commits = map(int, last.position.split(":"))
        self.reads = self.ask(server)

    def ask(self, server):
        """The first answers that there are."""
        owner = Client(server.address, self.token)
        answers = [ok(owner.get(path)) for path in (
            at("programs", "acme", "messages") + "?limit=1",
            at("programs", "acme", "summary"),
            at("programs", "acme", "partners") + f"?query={IMPORTED - 1:0200}")]
        answers.append(ok(owner.get("/readyz")))
        owner.close()
        return [answer.json for answer in answers]


@pytest.fixture(scope="module")
def grown(module_fleet):
    server = module_fleet.deployment().start()
    return server, History(server)


def tips(output, which):
    """{partition: last commit applied} that rebuild prints beside a digest, and the digest."""
    digest, found = re.search(rf"^{which} +([0-9a-f]{{64}})  at (\S+)$", output, re.M).groups()
    return {int(p): int(s) for p, s in (tip.split(":") for tip in found.split(","))}, digest


def test_a_start_applies_all_of_a_long_log_before_it_answers(grown):
    server, history = grown
    server.kill()
    shutil.rmtree(server.directory / "models")
    server.start()  # nothing listens before; from here on no answer may be of the past
    assert history.ask(server) == history.reads
    said = re.findall(rf" partition={history.partition} ready sequence=(\d+) applied=(\d+) ",
                      server.errors.read_text())
    assert said[-1] == (str(history.commits), str(history.commits))


def test_rebuild_reads_a_long_log_to_its_end(grown):
    server, history = grown
    assert server.stop() == 0
    live = server.digests()
    for words in ([], ["--swap"]):
        result = tidings.run("rebuild", "--data", server.directory, *words)
        assert result.returncode == 0 and "equal" in result.stdout, result.stdout + result.stderr
        assert tips(result.stdout, "rebuilt") == tips(result.stdout, "live")
        assert tips(result.stdout, "rebuilt")[0][history.partition] == history.commits
        assert server.digests() == live
    shutil.rmtree(server.directory / "models")  # nothing left to compare with: the tip must tell
    result = tidings.run("rebuild", "--data", server.directory, "--swap")
    assert result.returncode == 0, result.stdout + result.stderr
    assert tips(result.stdout, "rebuilt")[0][history.partition] == history.commits
    assert server.digests() == live
    server.start()
    assert history.ask(server) == history.reads
