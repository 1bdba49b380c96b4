"""as_of, receipts and why, snapshots and restore: the past answers as it answered then."""
import json
import os
import random
import re
import shutil
import statistics
import threading
import time

import pytest

from past import PROGRAM, Question, RandomHistory
from programs import filtered, make_program, ok, send
from tidings import StartFailed, at, run

POSITIONS = int(os.environ.get("TIDINGS_PAST_POSITIONS", "1000"))
KILLS = 8
SEED = int(os.environ.get("TIDINGS_SEED", "7"))


@pytest.fixture
def small_snapshots(fleet, tmp_path):
    """A server that makes a snapshot every few commits, and thins them all the time."""
    config = tmp_path / "tidings.toml"
    config.write_text("[history]\nsnapshot_every_kib = 8\nsnapshots = 6\n")
    return fleet.deployment("--config", config).start()


def snapshots_of(server):
    """{partition: sequences} of what lies in snapshots/."""
    root = server.directory / "snapshots"
    return {p.name: sorted(int(s.name) for s in p.iterdir()) for p in root.glob("p*")}


def compare(recorded, client, label):
    times = []
    for number, one in enumerate(recorded):
        began = time.monotonic()
        answer = one.question.ask(client, as_of=one.position)
        times.append(time.monotonic() - began)
        assert answer == one.answer, (number, one.position, one.question)
    times.sort()
    print(f"{label}: {len(recorded)} questions; ms: median {statistics.median(times) * 1e3:.1f}, "
          f"p99 {times[int(len(times) * 0.99)] * 1e3:.1f}, most {times[-1] * 1e3:.1f}", flush=True)


def test_answers_of_the_past_equal_those_recorded_live(small_snapshots):
    server, history = small_snapshots, RandomHistory(SEED)
    history.reach(server)
    history.begin()
    recorded, killed = [], False
    while len(recorded) < POSITIONS:
        before = history.position
        history.step()
        if history.position != before and history.random.random() < 0.6:
            recorded.append(history.record())
        if len(recorded) == POSITIONS // 2 and not killed:
            server.kill()
            server.start()
            history.reach(server)
            killed = True
    assert len({one.position for one in recorded}) == POSITIONS
    kept = max(snapshots_of(server).values(), key=len)
    assert 3 <= len(kept) <= 6, kept
    random.Random(SEED).shuffle(recorded)
    compare(recorded, history.clients["auditor"], "while it runs")
    server.restart()
    compare(recorded[:200], server.client(server.token("auditor", PROGRAM)), "after a restart")
    check_on_the_command_line(server, recorded)
    metrics = server.client().get("/metrics").body.decode()
    for name in ("tidings_history_built_total", "tidings_history_replayed_commits_total",
                 "tidings_history_seconds_total"):
        print(name, re.search(rf"^{name} (\S+)$", metrics, re.M)[1])


def check_on_the_command_line(server, recorded):
    """Beside the running server."""
    program = at("programs", PROGRAM)
    checked = 0
    for one in recorded:
        match = re.fullmatch(rf"{program}/messages/(msg_\w+)", one.question.path)
        if not match or one.answer[0] != 200 or checked == 5:
            continue
        result = run("show", "message", match[1], "--as-of", one.position, "--json", "--data",
                     server.directory)
        assert result.returncode == 0, result.stderr
        assert result.stdout.encode() == one.answer[1] + b"\n"
        checked += 1
    assert checked == 5


def test_as_of_a_time_is_the_last_commit_at_or_before_it(small_snapshots):
    server, history = small_snapshots, RandomHistory(SEED + 1)
    history.reach(server)
    history.begin()
    sent = []  # (position, sent_at) of sends that stand alone in their millisecond
    for _ in range(120):
        known = len(history.messages)
        history.step()
        if len(history.messages) > known:
            message = ok(history.clients["owner"].get(
                at("programs", PROGRAM, "messages", history.messages[-1]))).json
            sent.append((history.position, message["sent_at"]))
    auditor, summary = history.clients["auditor"], at("programs", PROGRAM, "messages")
    for index, (_, sent_at) in enumerate(sent):
        answer = ok(auditor.get(summary, query={"as_of": sent_at, "limit": 200}))
        there = [m["sent_at"] for m in answer.json["data"]]
        assert there == [s for _, s in reversed(sent) if s <= sent_at], index
        same = ok(auditor.get(summary, query={"as_of": answer.position, "limit": 200}))
        assert same.body == answer.body
    # the next request of the same connection is answered live again
    ok(auditor.get(summary, query={"as_of": sent[0][0]}))
    assert ok(auditor.get(summary)).body == ok(history.clients["owner"].get(summary)).body
    before = auditor.get(summary, query={"as_of": "2001-01-01T00:00:00Z"})
    assert before.status == 404
    now = ok(auditor.get(summary, query={"as_of": "9999-01-01T00:00:00Z"}))
    assert now.body == ok(auditor.get(summary)).body


def test_bad_as_of_and_other_roles(server):
    make_program(server)
    message = send(server.owner())["id"]
    path = at("programs", "acme", "messages", message)
    auditor = server.client(server.token("auditor"))
    tip = ok(auditor.get(path, query={"as_of": "9999-01-01T00:00:00Z"})).position
    partition, sequence = map(int, tip.split(":"))
    for bad in ("", "yesterday", "1", "1:", ":1", f"{partition + 1}:1", f"{partition}:-1",
                f"{partition}:{sequence + 1}", "2026-01-05", f"{partition}:1,{partition}:2"):
        answer = auditor.get(path, query={"as_of": bad})
        assert answer.status == 422 and "/as_of" in answer.pointers, (bad, answer)
    assert tip in auditor.get(path, query={"as_of": f"{partition}:{sequence + 1}"}).body.decode()
    assert auditor.get(path, query={"as_of": f"{partition}:0"}).status == 404
    for client in (server.owner(), server.platform(),
                   server.client(server.token("analyst"))):
        answer = client.get(path, query={"as_of": tip})
        assert (answer.status, answer.code) == (403, "forbidden")
    # an unknown parameter where nothing of the past is to be read
    answer = server.partner("grace").get(f"/v1/portal/messages/{message}", query={"as_of": tip})
    assert answer.status == 422


def test_receipt_and_why(server):
    platform = make_program(server)
    owner, auditor = server.owner(), server.client(server.token("auditor"))
    first = send(owner, subject="First")["id"]
    ok(server.partner("zoe").post(f"/v1/portal/messages/{first}/open"))
    rule = {"any": [{"tag": "premium"},
                    {"all": [{"metric": "clicks", "op": ">=", "value": 500},
                             {"not": {"metric": "revenue", "op": ">", "value": "1",
                                      "currency": "USD"}},
                             {"engagement": "opened", "message": first}]}]}
    answer = owner.post(at("programs", "acme", "messages"),
                        {"subject": "Second", "body": "b", "audience": filtered(rule, ["alan"])})
    message, position = ok(answer, 201).json["id"], answer.position
    # what changes later changes nothing about what was decided
    ok(platform.put(at("programs", "acme", "partners", "late"), {"email": "l@x.example",
                                                                "tags": ["premium"]}))
    ok(platform.patch(at("programs", "acme", "partners", "grace"), {"tags": []}))
    path = at("programs", "acme", "messages", message)

    receipt = ok(auditor.get(path + "/receipt")).json
    sent = ok(owner.get(path)).json
    assert receipt["position"] == position and receipt["recipients"] == 2
    assert receipt["sender"]["id"] == sent["sender"]["id"] and receipt["plan"] == "partner"
    assert receipt["digest"] == sent["audience"]["digest"]
    assert receipt["audience"] == filtered(rule, ["alan"])
    assert message.endswith(f"{receipt['event']:016x}")

    def why(partner):
        return ok(auditor.get(f"{path}/recipients/{partner}/why")).json

    grace = why("grace")
    assert (grace["received"], grace["reason"]) == (True, "matched")
    assert grace["partner"]["tags"] == ["premium"]
    assert grace["filter"]["any"][0] == {"tag": "premium", "actual": ["premium"], "holds": True}
    assert grace["filter"]["any"][1]["holds"] is False
    zoe = why("zoe")
    assert (zoe["received"], zoe["reason"]) == (True, "matched")
    assert zoe["filter"]["any"][0]["holds"] is False
    clicks, revenue, opened = zoe["filter"]["any"][1]["all"]
    assert (clicks["actual"], clicks["holds"]) == (700, True)
    assert revenue["holds"] is True and revenue["not"]["actual"] == "0"
    assert (opened["actual"], opened["holds"]) == ("opened", True)
    assert (why("alan")["received"], why("alan")["reason"]) == (False, "excluded")
    assert why("arc")["reason"] == "not_active" and why("late")["reason"] == "not_known"
    assert auditor.get(f"{path}/recipients/nobody/why").status == 404
    assert auditor.get(at("programs", "acme", "messages", "msg_00", "receipt")).status == 404

    result = run("why", message, "zoe", "--data", server.directory)
    assert result.returncode == 0, result.stderr
    assert f"zoe received {message}: matched" in result.stdout
    assert '"actual":700' in result.stdout
    result = run("why", message, "zoe", "--json", "--data", server.directory)
    assert json.loads(result.stdout) == zoe
    result = run("show", "receipt", message, "--data", server.directory)
    assert json.loads(result.stdout) == receipt


def test_show(server):
    make_program(server)
    owner, auditor = server.owner(), server.client(server.token("auditor"))
    message = send(owner, subject="Hi", replies_enabled=True)["id"]
    before = ok(server.partner("grace").post(f"/v1/portal/messages/{message}/open")).position
    ok(server.partner("grace").post(f"/v1/portal/messages/{message}/replies", {"body": "Yes"}), 201)
    words = {"message": [message], "recipients": [message], "inbox": ["grace"],
             "conversation": [message, "grace"], "partner": ["grace"]}
    paths = {"message": f"messages/{message}", "recipients": f"messages/{message}/recipients",
             "inbox": "partners/grace/messages", "partner": "partners/grace",
             "conversation": f"partners/grace/messages/{message}"}
    for as_of in (None, before):
        for what, arguments in words.items():
            options = ["--data", server.directory, *(["--as-of", as_of] if as_of else [])]
            result = run("show", what, *arguments, *options, "--json")
            assert result.returncode == 0, (what, result.stderr)
            answer = ok(auditor.get(at("programs", "acme") + "/" + paths[what],
                                    query={"as_of": as_of} if as_of else None))
            assert result.stdout.encode() == answer.body + b"\n"
            text = run("show", what, *arguments, *options)
            assert text.returncode == 0 and len(text.stdout) > 10
            assert "commits behind it" in text.stderr
    replied = run("show", "conversation", message, "grace", "--data", server.directory).stdout
    assert "Yes" in replied
    for wrong in (["--as-of", ""], ["--as-of", "0"], ["--as-of", before.split(":")[0] + ":99999"]):
        assert run("show", "inbox", "grace", "--data", server.directory, *wrong).returncode == 2
    assert run("show", "inbox", "nobody", "--data", server.directory).returncode == 1
    # what the commands made for it is gone
    left = [p.name for p in (server.directory / "history").iterdir()]
    assert left == [str(server.process.pid)]


def test_kill_while_snapshots_are_made(fleet, tmp_path):
    config = tmp_path / "tidings.toml"
    config.write_text("[history]\nsnapshot_every_kib = 1\nsnapshots = 50\n")
    server = fleet.deployment("--config", config).start()
    history, moments = RandomHistory(SEED + 2), random.Random(SEED)
    history.reach(server)
    history.begin()
    recorded, half_made = [], 0
    for _ in range(KILLS):
        for _ in range(moments.randint(20, 60)):
            history.step()
            recorded.append(history.record())
        server.kill()
        half_made += len(list(server.directory.glob("snapshots/*/making")))
        # what a kill in the middle of one leaves: neither this nor that is ever used
        newest = max(server.directory.glob("snapshots/*/[0-9]*"), key=lambda p: int(p.name))
        making = newest.parent / "making"
        shutil.rmtree(making, ignore_errors=True)
        shutil.copytree(newest, making)
        next((making / "models").glob("*.sst")).unlink()
        server.start()
        history.reach(server)
        assert not list(server.directory.glob("snapshots/*/making"))
    assert sum(map(len, snapshots_of(server).values())) > 10
    moments.shuffle(recorded)
    compare(recorded, history.clients["auditor"], f"after {KILLS} kills, {half_made} in the middle")


def test_a_damaged_or_foreign_snapshot_is_refused(small_snapshots, fleet):
    server, history = small_snapshots, RandomHistory(SEED + 3)
    history.reach(server)
    history.begin()
    recorded = []
    for _ in range(150):
        history.step()
        recorded.append(history.record())
    assert server.stop() == 0
    partition = recorded[0].position.split(":")[0]
    all_snapshots = sorted((server.directory / "snapshots" / f"p{partition}").iterdir(),
                           key=lambda p: int(p.name))
    assert len(all_snapshots) >= 3
    for snapshot in all_snapshots[:2]:  # another's read models under this name
        shutil.rmtree(snapshot / "models")
        shutil.copytree(all_snapshots[2] / "models", snapshot / "models")
    (all_snapshots[2] / "models" / "CURRENT").write_text("MANIFEST-999999\n")
    server.start()
    history.reach(server)
    random.Random(SEED).shuffle(recorded)
    compare(recorded[:60], history.clients["auditor"], "on what is left")
    assert "a snapshot is refused" in server.errors.read_text()


def test_snapshot_of_a_running_node_and_restore(server, fleet, tmp_path):
    history = RandomHistory(SEED + 4)
    history.reach(server)
    history.begin()
    for _ in range(200):
        history.step()
    target = tmp_path / "snapshot"
    result = run("snapshot", "--data", server.directory, "--into", target)
    assert result.returncode == 0, result.stderr
    assert run("snapshot", "--data", server.directory, "--into", target).returncode == 2
    taken = history.position
    at_snapshot = [history.record() for _ in range(40)]
    for _ in range(50):
        history.step()
    later = [history.record() for _ in range(40)]
    assert server.stop() == 0

    # all of it, into nothing: the node as it was
    copy = fleet.deployment(name="copy")
    result = run("restore", "--data", copy.directory, "--from", target)
    assert result.returncode == 0 and "copy keys/ there, too" in result.stdout, result
    with pytest.raises(StartFailed):  # forgotten
        copy.start()
    shutil.copytree(server.directory / "keys", copy.directory / "keys")
    copy.start()
    history.reach(copy)
    for one in at_snapshot:
        assert one.question.ask(history.clients["auditor"]) == one.answer
    assert copy.stop() == 0

    # beside the log that has gone on: the tail alone is replayed
    follower = fleet.deployment(name="follower")
    follower.directory.mkdir()
    for part in ("log", "keys"):
        shutil.copytree(server.directory / part, follower.directory / part)
    result = run("restore", "--data", follower.directory, "--from", target)
    assert result.returncode == 0, result.stderr
    follower.start()
    history.reach(follower)
    for one in later:
        assert one.question.ask(history.clients["auditor"]) == one.answer
    partition, sequence = taken.split(":")
    last = int(later[0].position.split(":")[1])
    ready = re.search(rf"partition={partition} ready sequence=(\d+) applied=(\d+)",
                      follower.errors.read_text())
    assert (int(ready[1]), int(ready[2])) == (last, last - int(sequence))

    # over something, into something foreign, damaged
    assert run("restore", "--data", copy.directory, "--from", target).returncode == 2
    foreign = fleet.deployment(name="foreign").start()
    make_program(foreign)
    assert foreign.stop() == 0
    shutil.rmtree(foreign.directory / "models")
    result = run("restore", "--data", foreign.directory, "--from", target)
    assert result.returncode == 1 and "holds log" in result.stderr
    assert not (foreign.directory / "models").exists()
    victim = max(target.glob(f"p{partition}/models/*.sst"), key=lambda p: p.stat().st_size)
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(raw)
    fresh = tmp_path / "fresh"
    result = run("restore", "--data", fresh, "--from", target)
    assert result.returncode == 1 and "is not what was written" in result.stderr
    assert not (fresh / "models").exists() and not (fresh / "log").exists()
    assert run("restore", "--data", fresh, "--from", tmp_path / "none").returncode == 2


def test_many_at_once(small_snapshots):
    """More questions than are built at once: all are answered, or told to come again."""
    server, history = small_snapshots, RandomHistory(SEED + 5)
    history.reach(server)
    history.begin()
    recorded = []
    for _ in range(120):
        history.step()
        recorded.append(history.record())
    wrong, refused = [], []

    def ask(number):
        client = server.client(server.token("auditor"))
        for one in recorded[number::12]:
            answer = one.question.ask(client, as_of=one.position)
            if answer[0] == 503:
                refused.append(one)
            elif answer != one.answer:
                wrong.append((one, answer))
    server.token("auditor")
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(refused) < len(recorded) / 2
    assert Question(at("programs", PROGRAM, "summary")).ask(history.clients["owner"])[0] == 200
