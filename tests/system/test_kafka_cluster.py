"""Four processes, eight partitions, two replicas of each: everybody answers everything, and the
loss of one is over with its takeover."""
import threading
import time

import pytest

from books import BROKEN
from kafka_fleet import MEMBER_TIMEOUT_MS, start_all, until
from programs import import_lines, named, ok, record_opens
from tidings import Client, at

PARTITIONS, REPLICAS = 8, 2
PROGRAMS = [f"program-{n}" for n in range(20)]
PEOPLE = [f"p{n}" for n in range(30)]
SLOW_S = 0.3            # an answer that takes longer counts as none
CALM_S = 2.0            # without a failed or slow request: it is over
LONGEST_TAKEOVER_S = 10


@pytest.fixture
def four(make_cluster, kafka):
    fleet = make_cluster(kafka, partitions=PARTITIONS, **{"cluster.replicas": REPLICAS})
    fleet.processes(*[None] * 4)
    until("every partition has its replicas", lambda: placed(fleet))
    return fleet


def placed(fleet):
    """Every partition is decided, and held as often as it is to be."""
    deciders, told = fleet.deciders(), fleet.held()
    held = sorted(p for one in fleet.running for p in told.get(one.url, ()))
    return (len(deciders) == PARTITIONS and all(len(who) == 1 for who in deciders.values()) and
            held == sorted(list(range(PARTITIONS)) * REPLICAS))


class Asking:
    """Threads that write to and read every program through the given processes, one request after
    the other, and remember what failed or took long."""

    def __init__(self, fleet, addresses, tokens):
        self.stop = threading.Event()
        self.fleet, self.tokens, self.addresses = fleet, tokens, addresses
        self.requests, self.bad, self.lost = 0, [], []
        self.lock = threading.Lock()
        self.sent = {program: set() for program in PROGRAMS}
        self.threads = [threading.Thread(target=self._work, args=(n,)) for n in range(6)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _work(self, number):
        count = 0
        clients = [Client(address, None, 30) for address in self.addresses]
        while not self.stop.is_set():
            count += 1
            program = PROGRAMS[(number + count) % len(PROGRAMS)]
            client = clients[count % len(clients)]
            client.token = self.tokens[program]
            began = time.monotonic()
            status = None
            try:
                if count % 3 == 0:
                    subject = f"News {number} {count}"
                    answer = client.post(at("programs", program, "messages"),
                                         {"subject": subject, "body": "Hello."},
                                         headers={"Idempotency-Key": subject})
                    status = answer.status
                    if status == 201:
                        with self.lock:
                            self.sent[program].add(subject)
                else:
                    status = client.get(at("programs", program, "summary")).status
            except BROKEN as broken:
                status = type(broken).__name__
            ended = time.monotonic()
            with self.lock:
                self.requests += 1
                if status not in (200, 201) or ended - began > SLOW_S:
                    self.bad.append((began, ended, status))


def set_up(process):
    """Every program with partners, through one process. {program: its owner's token}"""
    for program in PROGRAMS:
        platform = process.platform()
        ok(platform.put(at("programs", program), {"name": program, "plan": "partner"}))
        import_lines(platform, program, [{"id": p, "email": f"{p}@x.example"} for p in PEOPLE])
    return {program: process.token("owner", program) for program in PROGRAMS}


def test_all_start_at_the_same_time(cluster):
    """Each finds no topics; one log comes of it."""
    processes = [cluster.process() for _ in range(3)]
    start_all(processes)
    for number, process in enumerate(processes):
        ok(process.platform().put(at("programs", f"program-{number}"),
                                  {"name": "P", "plan": "partner"}))
    for process in processes:
        process.restart()
    assert cluster.check_equal()


def test_first_starts_on_three_brokers(make_cluster, three_brokers):
    """A broker may not know yet a topic that another one has just made."""
    for _ in range(6):
        one = make_cluster(three_brokers).process().start()
        assert one.ready()[0] == 200
        one.kill()


def test_any_process_answers_anything(four):
    processes = four.deployments
    set_up(processes[0])
    for number, program in enumerate(PROGRAMS):
        writer, others = processes[number % 4], processes[:number % 4] + processes[number % 4 + 1:]
        answer = writer.owner(program).post(
            at("programs", program, "messages"),
            {"subject": "News", "body": "Hello.", "replies_enabled": True,
             "audience": named("p0", "p1", "p2")})
        message, position = ok(answer, 201).json["id"], {"Tidings-Min-Position": answer.position}
        path = at("programs", program, "messages", message)
        for process in others:
            owner = process.owner(program)
            assert ok(owner.get(path, headers=position)).json["stats"]["recipients"] == 3
            table = owner.get(path + "/recipients", headers={"Accept": "text/csv", **position})
            assert ok(table).body.count(b"\n") == 4
            rows = process.partner("p1", program).get("/v1/portal/messages", headers=position)
            assert [r["id"] for r in ok(rows).json["data"]] == [message]
        reader = others[0]
        opened = reader.partner("p1", program).post(at("portal", "messages", message, "open"))
        assert ok(opened).json["first"] is True
        replied = others[1].partner("p2", program).post(
            at("portal", "messages", message, "replies"), {"body": "Thank you."})
        assert ok(replied, 201)
        counted = record_opens(others[2].platform(), program,
                               [(message, "p0"), (message, "p1"), (message, "nobody")])
        assert (counted["accepted"], counted["first_opens"], len(counted["rejected"])) == (2, 1, 1)
        stats = ok(writer.owner(program).get(path, headers={
            "Tidings-Min-Position": replied.position})).json["stats"]
        assert stats["opens"] >= 2 and stats["replied"] == 1
        until("the opens told to another process are seen",
              lambda: ok(writer.owner(program).get(path)).json["stats"]["opens"] == 3)


def test_one_is_killed(four):
    first, *others = four.deployments
    tokens = set_up(others[0])
    with Asking(four, [one.address for one in others], tokens) as asking:
        until("a while of traffic", lambda: asking.requests > 500)
        with asking.lock:
            calm = [b for b in asking.bad]
        before = four.deciders()
        killed = time.monotonic()
        first.kill()

        def over():
            with asking.lock:
                last = max((end for _, end, _ in asking.bad), default=killed)
            return time.monotonic() > max(last, killed) + CALM_S and placed(four)
        until("nothing fails any more", over)
        with asking.lock:
            bad = [b for b in asking.bad if b[1] > killed]
            requests = asking.requests
        takeover = max((end for _, end, _ in bad), default=killed) - killed
        longest = max((end - began for began, end, _ in bad), default=0)
        first.start()
        until("it is back, and every partition has its replicas", lambda: placed(four))
        again = time.monotonic()
        until("calm", lambda: time.monotonic() > again + 1)
        with asking.lock:
            restarted = [b for b in asking.bad if b[1] > again - 0.5]
    moved = sum(first in who for who in before.values())
    print(f"takeover {takeover:.2f} s with a member timeout of {MEMBER_TIMEOUT_MS} ms; "
          f"{moved} of {PARTITIONS} partitions were decided by the killed one; {requests} requests, "
          f"{len(bad)} failed or slow, the longest {longest:.2f} s: "
          f"{sorted({str(status) for _, _, status in bad})}; before the kill {len(calm)}; after the "
          f"restart {len(restarted)}", flush=True)
    assert takeover < LONGEST_TAKEOVER_S and longest < LONGEST_TAKEOVER_S
    # What was acknowledged is there, whoever is asked.
    four.settle()
    for process in four.deployments:
        for program in PROGRAMS[::3]:
            shown = process.owner(program).pages(at("programs", program, "messages"))
            subjects = [m["subject"] for m in shown]
            assert len(subjects) == len(set(subjects)) and asking.sent[program] <= set(subjects)
