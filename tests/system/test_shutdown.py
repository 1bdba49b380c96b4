"""SIGTERM finishes what was accepted, takes nothing new, and ends with status 0."""
import http.client
import signal
import threading

from programs import make_program, ok
from tidings import Client, at

MESSAGES = at("programs", "acme", "messages")


def test_sigterm_finishes_what_was_accepted(server):
    """Every send either got its answer and stands, or got none; none is answered and lost."""
    make_program(server)
    token, acknowledged, lock = server.token("owner", "acme"), [], threading.Lock()
    refused = []

    def work(number):
        client = Client(server.address, token)
        try:
            for turn in range(100_000):
                answer = client.post(MESSAGES, {"subject": f"{number}.{turn}", "body": "B"})
                with lock:
                    (acknowledged if answer.status == 201 else refused).append(answer.json)
                if answer.status != 201:
                    return
        except (OSError, http.client.HTTPException):
            return  # closed: nothing was acknowledged

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 200:
        threads[0].join(timeout=0.002)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=60) == 0
    for thread in threads:
        thread.join()
    server.process = None
    server.start()
    listed = {m["id"] for m in server.owner().pages(MESSAGES)}
    assert {m["id"] for m in acknowledged} <= listed
    assert len(listed) - len(acknowledged) <= 8  # one under way per connection at most
    assert all(problem["code"] in ("overloaded", "outcome_unknown") for problem in refused)


def test_sigterm_lets_a_streamed_request_end(server):
    """An import that is under way when the signal comes is either finished or visibly broken."""
    make_program(server, people={})
    lines = [b'{"id":"p%d","email":"p%d@x.example"}\n' % (n, n) for n in range(20_000)]

    def body():
        for start in range(0, len(lines), 500):
            if start == 10_000:
                server.process.send_signal(signal.SIGTERM)
            yield b"".join(lines[start:start + 500])

    outcome = None
    try:
        outcome = server.platform().post(at("programs", "acme", "partners", "import"), body=body(),
                                         headers={"Content-Type": "application/x-ndjson"})
    except (OSError, http.client.HTTPException):
        pass
    assert server.process.wait(timeout=60) == 0
    server.process = None
    server.start()
    partners = ok(server.owner().get(at("programs", "acme", "summary"))).json["partners"]
    if outcome is not None and outcome.status == 200:
        assert outcome.json["created"] == partners == 20_000
    else:
        assert partners <= 20_000


def test_sigint_is_as_good(server):
    make_program(server)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=60) == 0
    server.process = None
    server.start()
    assert ok(server.owner().get(at("programs", "acme", "summary"))).json["partners"] == 3


def test_idle_connections_do_not_hold_it_up(server):
    make_program(server)
    clients = [server.owner() for _ in range(50)]
    for client in clients:
        ok(client.get(at("programs", "acme", "summary")))
    assert server.stop() == 0
