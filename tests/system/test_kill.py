"""kill -9 in the middle of a mixed load: what was acknowledged is there once, nothing else is."""
import os
import random
import time

import tidings
from books import Callers
from programs import make_program, ok
from settling import check_first_answer, settle
from tidings import at
from wide_books import WideBooks, WideLoad, prepare, settle_wide

ROUNDS = int(os.environ.get("TIDINGS_KILL_ROUNDS", "6"))
WHOLE_EVERY = 20  # rounds; the others compare what is new, a sample of what is old, all totals


def test_kill_in_the_middle_of_a_mixed_load(fleet):
    server = fleet.deployment().start()
    seed = os.environ.get("TIDINGS_SEED", "7")
    moments, samples = random.Random(seed), random.Random(seed)
    callers, books = Callers(server), WideBooks()
    prepare(server, callers, books)
    callers.reach(server.address)

    def settled(whole):
        callers.reach(server.address)
        check_first_answer(books, callers)
        assert not books.strange, books.strange[:3]
        settle_wide(books, callers, samples)
        return settle(books, callers, None if whole else samples)

    began = time.monotonic()
    for number in range(1, ROUNDS + 1):
        started, wanted = time.monotonic(), moments.randint(20, 900)
        moment = WideLoad(books, callers, number).run(wanted, server.kill)
        server.start()
        comparison = settled(whole=number % WHOLE_EVERY == 0)
        print(f"round {number:3} of {ROUNDS}: killed after {wanted:3} answers, {moment:.2f} s; "
              f"so far {books.totals()}; compared {comparison.messages} of {len(books.sent)} "
              f"messages; {time.monotonic() - started:.1f} s", flush=True)

    server.restart()
    last = settled(whole=True)
    assert server.stop() == 0
    result = tidings.run("rebuild", "--data", server.directory, "--swap")
    assert result.returncode == 0 and "equal" in result.stdout, result.stdout + result.stderr
    server.start()
    settled(whole=False)
    print(f"{ROUNDS} rounds, {time.monotonic() - began:.0f} s: {books.totals()}, "
          f"{len(books.sent)} messages; {len(last.lost)} lost, {len(last.duplicated)} duplicated, "
          f"{len(last.invented)} invented", flush=True)


def test_kill_during_an_import(fleet):
    """Chunks that were applied stay whole; sending all of it again completes it."""
    server = fleet.deployment().start()
    make_program(server, people={})
    lines = [b'{"id":"p%d","email":"p%d@x.example","tags":["t"]}\n' % (n, n)
             for n in range(60_000)]
    path = at("programs", "acme", "partners", "import")
    kind = {"Content-Type": "application/x-ndjson"}

    def until_killed():
        for start in range(0, len(lines), 1000):
            if start == 40_000:
                server.process.kill()
                server.process.wait()
            yield b"".join(lines[start:start + 1000])

    try:
        answer = server.platform().post(path, body=until_killed(), headers=kind)
        assert answer.status != 200
    except OSError:
        pass
    except tidings.http.client.HTTPException:
        pass
    server.process = None
    server.start()
    owner = server.owner()
    before = ok(owner.get(at("programs", "acme", "summary"))).json["partners"]
    assert before <= 40_000
    answer = ok(server.platform().post(path, body=b"".join(lines), headers=kind)).json
    assert answer == {"created": 60_000 - before, "updated": 0, "unchanged": before,
                      "rejected": []}
    assert ok(owner.get(at("programs", "acme", "summary"))).json["partners"] == 60_000
