"""Checkpoints and proofs of a running server, checked by implementations that know nothing of ours:
pymerkle builds the same trees, `cryptography` checks the notes' signatures, the go command's own
code (where Go is installed) checks both, and Cap'n Proto's tool reads the leaves.
"""
import base64
import json
import shutil
import subprocess

import pytest
from notes import Checkpoint
from programs import PEOPLE, make_program, ok, record_opens, send
from pymerkle import InmemoryTree
from test_damage import copy_of
from tidings import ROOT, at, run

SCHEMA = ROOT / "events" / "schema.capnp"


def play(server, program="acme", messages=8):
    """Every kind of event, and refusals; the messages' ids."""
    platform = make_program(server, program)
    owner = server.owner(program)
    sent = [send(owner, program, subject=f"News {n}", replies_enabled=True)["id"]
            for n in range(messages)]
    record_opens(platform, program, [(m, p) for m in sent for p in PEOPLE])
    grace = server.partner("grace", program)
    for message in sent[:3]:
        ok(grace.post(at("portal", "messages", message, "replies"), {"body": "When?"}), 201)
    refused = owner.post(at("programs", program, "messages"),
                         {"subject": "s", "body": "b", "expect_digest": "0" * 64})
    ok(refused, 409)
    return sent


def checkpoints(auditor):
    return ok(auditor.get("/v1/audit/checkpoint")).json["data"]


def proof(auditor, event, **query):
    return ok(auditor.get(at("audit", "proofs", event), query=query)).json


def decoded(text):
    return base64.b64decode(text, validate=True)


def proofs_of(auditor, program):
    """Of every event of the program, by its number."""
    found = []
    while True:
        answer = auditor.get(at("audit", "proofs", str(len(found) + 1)), query={"program": program})
        if answer.status == 404:
            return found
        found.append(ok(answer).json)


def read_leaf(leaf):
    """A leaf as Cap'n Proto's own tool reads it."""
    shown = subprocess.run(["capnp", "convert", "canonical:json", SCHEMA, "Leaf"], input=leaf,
                           capture_output=True, check=True)
    again = subprocess.run(["capnp", "convert", "json:canonical", SCHEMA, "Leaf"],
                           input=shown.stdout, capture_output=True, check=True)
    assert again.stdout == leaf  # so it was in the canonical form
    return json.loads(shown.stdout)


@pytest.fixture
def auditor(server):
    return server.client(server.token("auditor"))


@pytest.mark.parametrize("reader", ["pymerkle", pytest.param("go", marks=pytest.mark.skipif(
    shutil.which("go") is None, reason="there is no go command"))])
def test_other_implementations_agree(server, auditor, reader):
    earlier = {}
    for round_, program in enumerate(["acme", "other", "third", "fourth"]):
        play(server, program, messages=3 + 5 * round_)
        for listed in checkpoints(auditor):
            earlier.setdefault(listed["partition"], []).append(
                Checkpoint(listed["checkpoint"], listed["key"]))
    leaves = {}  # (partition's origin, index) -> leaf
    proofs = {}  # origin -> its proofs
    for program in ["acme", "other", "third", "fourth"]:
        of_program = proofs_of(auditor, program)
        assert len(of_program) > 12
        for number, one in enumerate(of_program, 1):
            assert (one["event"], one["program"]) == (str(number), program)
            origin = one["checkpoint"].splitlines()[0]
            proofs.setdefault(origin, []).append(one)
            leaves[origin, one["index"]] = decoded(one["leaf"])
            shown = read_leaf(decoded(one["leaf"]))
            assert shown["program"] == program
            first = int(shown["outcome"]["firstEvent"])
            events = shown["outcome"]["detail"].get("full", {}).get("events", [None])
            assert first <= number < first + len(events)
    for listed in checkpoints(auditor):
        head = Checkpoint(listed["checkpoint"], listed["key"])
        assert (head.origin, head.size) == (listed["origin"], listed["size"])
        if head.size > 0:
            sequence = listed["position"].split(":")[1]
            assert head.extensions[0].startswith(f"tidings commit {sequence} ")
        for index in range(head.size):  # what no event names: refusals
            if (head.origin, index) not in leaves:
                one = proof(auditor, f"refused.{listed['partition']}.{index}")
                assert one["index"] == index
                leaves[head.origin, index] = decoded(one["leaf"])
                proofs.setdefault(head.origin, []).append(one)
        tree = InmemoryTree(algorithm="sha256")
        for index in range(head.size):
            tree.append_entry(leaves[head.origin, index])
        assert tree.get_size() == head.size and tree.get_root() == head.root
        for one in proofs.get(head.origin, []):
            assert one["size"] == head.size
            wanted = tree.prove_inclusion(one["index"] + 1, head.size)
            assert [decoded(hash_) for hash_ in one["path"]] == wanted.path[1:]
        grown = []
        for before in earlier[listed["partition"]]:
            assert before.origin == head.origin
            assert tree.get_root(before.size) == before.root
            query = {"partition": listed["partition"], "from": before.size}
            shown = ok(auditor.get("/v1/audit/consistency", query=query)).json
            assert (shown["from"], shown["to"]) == (before.size, head.size)
            if before.size > 0:
                grown.append((before, shown["path"]))
        if reader == "go" and head.size > 0:
            check_with_go(listed, proofs.get(head.origin, []), grown)


def check_with_go(listed, proofs, grown):
    """With the go command's own code."""
    question = {
        "key": listed["key"], "checkpoint": listed["checkpoint"],
        "records": [{name: one[name] for name in ("index", "leaf", "path")} for one in proofs],
        "trees": [{"from": before.size, "from_root": base64.b64encode(before.root).decode(),
                   "path": path} for before, path in grown]}
    for wrong in (None, "leaf"):
        if wrong and proofs:
            question["records"][0]["leaf"] = base64.b64encode(b"other").decode()
        answer = subprocess.run(["go", "run", "."], cwd=ROOT / "tests" / "system" / "sumdb",
                                input=json.dumps(question), text=True, capture_output=True,
                                check=False)
        if wrong and proofs:
            assert answer.returncode != 0
        else:
            assert answer.returncode == 0, answer.stderr
            assert int(answer.stdout) == len(proofs) + len(grown)


def test_check_proof_needs_the_key_alone(server, auditor, tmp_path):
    message = play(server)[0]
    keys, old, new, everything = (tmp_path / name for name in ("keys", "old", "new", "all"))
    said = run("audit", "checkpoint", "--url", server.url, "--token", auditor.token, "--vkey")
    keys.write_text(said.stdout)
    assert said.stdout.split() == [listed["key"] for listed in checkpoints(auditor)]
    one = proof(auditor, message)
    partition = next(listed["partition"] for listed in checkpoints(auditor)
                     if listed["origin"] == one["checkpoint"].splitlines()[0])
    note = ok(auditor.get("/v1/audit/checkpoint", query={"partition": partition}))
    assert note.headers["Content-Type"].startswith("text/plain")
    old.write_bytes(note.body)
    everything.write_text(run("audit", "checkpoint", "--url", server.url, "--token",
                              auditor.token).stdout)

    def check(document, *options):
        file = tmp_path / "proof.json"
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        result = run("audit", "check-proof", file, "--key", keys, *options)
        return result.returncode, result.stdout + result.stderr

    proven = run("audit", "prove", message, "--url", server.url, "--token", auditor.token)
    status, said = check(proven.stdout)
    assert status == 0 and f"event {one['event']} of program acme" in said
    shown = json.loads(said.splitlines()[-1])
    assert shown["events"][0]["id"] == message and shown["program"] == "acme"
    assert check(one) == (0, said)
    # whatever is changed about it, it does not hold
    for member, lie in (("event", "2"), ("program", "other"), ("index", one["index"] + 1),
                        ("size", one["size"] + 1), ("leaf", one["leaf"][4:]),
                        ("path", one["path"][1:]), ("path", one["path"][::-1]),
                        ("checkpoint", one["checkpoint"].replace("\n", "\n1", 1))):
        status, said = check({**one, member: lie})
        assert status == 1 and "tidings:" in said, (member, said)
    assert check({**one, "size": "x"})[0] == 1 and check("no proof")[0] == 1
    other_key = run("audit", "check-proof", tmp_path / "proof.json", "--key", "x")
    assert other_key.returncode == 2
    # of the tree as it was
    again = proof(auditor, message, size=one["index"] + 1)
    assert again["size"] == one["index"] + 1 and check(again)[0] == 0
    # a tree that grew
    send(server.owner(), subject="Later")
    grown = run("audit", "prove", "--from", one["size"], "--partition", partition,
                "--url", server.url, "--token", auditor.token).stdout
    status, said = check(grown, "--checkpoint", old)
    assert status == 0 and f"tree of {one['size']} leaves" in said
    assert check(grown)[0] == 2  # which earlier tree?
    assert check(grown, "--checkpoint", everything) == (status, said)  # among those of the others
    lie = json.loads(grown)
    lie["path"][0] = base64.b64encode(bytes(32)).decode()
    assert check(lie, "--checkpoint", old)[0] == 1
    new.write_text(json.loads(grown)["checkpoint"])
    assert check(grown, "--checkpoint", new)[0] == 1  # not the tree that it begins from
    # offline, on the directory of a server that is stopped
    beside = run("audit", "prove", message, "--data", server.directory)
    assert beside.returncode == 1 and "--url" in beside.stderr
    assert server.stop() == 0
    stopped = run("audit", "prove", message, "--data", server.directory)
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(stopped.stdout)["leaf"] == one["leaf"]
    assert check(stopped.stdout)[0] == 0
    listed = run("audit", "checkpoint", "--data", server.directory, "--partition", partition)
    new.write_text(listed.stdout)
    grown = run("audit", "prove", "--from", one["size"], "--partition", partition,
                "--data", server.directory)
    assert check(grown.stdout, "--checkpoint", old)[0] == 0
    for wrong in (["17"], ["nothing", "--program", "acme"], [message, "--size", "1"],
                  ["--from", "9999", "--partition", partition]):
        assert run("audit", "prove", *wrong, "--data", server.directory).returncode != 0, wrong


def test_an_old_log_in_place_of_the_new(fleet, server, auditor, tmp_path):
    """A whole copy of yesterday's directory, sound in itself, is found out by today's checkpoint."""
    play(server)
    assert server.stop() == 0
    yesterday = copy_of(fleet, server)
    server.start()
    auditor = server.client(auditor.token)
    for number in range(30):
        send(server.owner(), subject=f"Today {number}")
    notes = tmp_path / "notes"
    result = run("audit", "checkpoint", "--url", server.url, "--token", auditor.token)
    notes.write_text(result.stdout)

    def verify(deployment, *options):
        result = run("audit", "verify", "--json", "--data", deployment.directory, *options)
        return result.returncode, json.loads(result.stdout)

    status, found = verify(server, "--checkpoint", notes)  # beside the process that runs
    assert status == 0
    assert sum(p["checkpoints"] for p in found["partitions"]) == 4
    assert server.stop() == 0
    assert verify(server, "--checkpoint", notes) == (status, found)
    assert verify(yesterday)[0] == 0  # nothing wrong with it
    status, found = verify(yesterday, "--checkpoint", notes)
    faults = [p for p in found["partitions"] if p["fault"]]
    assert status == 1 and len(faults) == 1
    assert faults[0]["fault"]["position"] == faults[0]["commits"] + 1
    assert "cut off" in faults[0]["fault"]["detail"]
    # with the key alone; with another one; with another log's
    keys = tmp_path / "keys"
    keys.write_text(run("audit", "checkpoint", "--vkey", "--data", server.directory).stdout)
    assert verify(server, "--checkpoint", notes, "--key", keys)[0] == 0
    foreign = fleet.deployment().start()
    assert foreign.stop() == 0
    other_keys = run("audit", "checkpoint", "--vkey", "--data", foreign.directory).stdout
    (tmp_path / "other").write_text(other_keys)
    for options in (["--key", tmp_path / "other"], ["--key", "x"]):
        result = run("audit", "verify", "--data", server.directory, "--checkpoint", notes, *options)
        assert result.returncode in (1, 2) and len(result.stderr) > 20
    result = run("audit", "verify", "--data", foreign.directory, "--checkpoint", notes)
    assert result.returncode == 1 and len(result.stderr) > 20


def test_the_tree_survives_kills_and_rebuilds(server, auditor, tmp_path):
    notes = tmp_path / "notes"
    for _ in range(3):
        play(server, messages=2)
        kept = run("audit", "checkpoint", "--url", server.url, "--token", auditor.token).stdout
        with open(notes, "a") as file:
            file.write(kept)
        server.kill()
        server.start()
        result = run("audit", "verify", "--data", server.directory, "--checkpoint", notes)
        assert result.returncode == 0, result.stdout
    client = server.client(auditor.token)
    before = [(c["size"], c["checkpoint"]) for c in checkpoints(client)]
    assert server.stop() == 0
    digests = server.digests()
    assert sum(model == "tree" for _, model in digests) == 4
    assert run("rebuild", "--swap", "--data", server.directory).returncode == 0
    assert server.digests() == digests
    server.start()
    client = server.client(auditor.token)
    assert [(c["size"], c["checkpoint"]) for c in checkpoints(client)] == before


def test_what_an_auditor_of_one_program_may_see(server):
    message = play(server)[0]
    play(server, "other")
    mine = server.client(server.token("auditor", "acme"))
    theirs = server.client(server.token("auditor", "other"))
    assert mine.get(at("audit", "proofs", message)).status == 200
    assert mine.get(at("audit", "proofs", "3")).json["program"] == "acme"
    assert theirs.get(at("audit", "proofs", "3")).json["program"] == "other"
    for client, event, query in ((theirs, message, {}), (theirs, "3", {"program": "acme"}),
                                 (mine, "99999", {}), (mine, "x", {}), (mine, "msg_" + "0" * 32, {}),
                                 (mine, "refused.9.1", {}), (mine, "refused.0.99999", {})):
        assert client.get(at("audit", "proofs", event), query=query).status == 404, event
    refused = [client.get(at("audit", "proofs", f"refused.{p}.{c}"))
               for client in (mine, theirs) for p in range(4) for c in range(60)]
    assert sum(answer.status == 200 for answer in refused) == 2  # each its own
    assert mine.get("/v1/audit/checkpoint").status == 200
    for path, query in (("/v1/audit/checkpoint", {"partition": "4"}),
                        ("/v1/audit/checkpoint", {"partition": "x"}),
                        ("/v1/audit/consistency", {"from": "1"}),
                        ("/v1/audit/consistency", {"partition": "0"}),
                        ("/v1/audit/consistency", {"partition": "0", "from": "99999"}),
                        ("/v1/audit/consistency", {"partition": "0", "from": "0", "to": "99999"}),
                        (at("audit", "proofs", message), {"size": "0"}),
                        (at("audit", "proofs", message), {"size": "99999"})):
        assert mine.get(path, query=query).status == 422, (path, query)


def log_lines(client, start, **options):
    answer = ok(client.get("/v1/log", query={"from": start}, **options))
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return answer.body.decode().splitlines()


def test_the_log_is_that_of_log_cat(server, auditor):
    play(server, messages=30)
    play(server, "other", messages=30)
    play(server, "third", messages=3)
    send(server.owner(), subject="x" * 200, body="b" * 60_000)
    whole = [log_lines(auditor, f"{p}:1") for p in range(4)]
    assert sum(map(len, whole)) > 90
    # long, in pieces, while others write
    platform = server.platform()
    for number in range(300):
        ok(platform.put(at("programs", "acme", "partners", f"p{number}"),
                        {"email": "a@b.example", "name": "n" * 200}))
    grown = [log_lines(auditor, f"{p}:1") for p in range(4)]
    for before, after in zip(whole, grown):
        assert after[:len(before)] == before
    assert sum(map(len, grown)) == sum(map(len, whole)) + 300
    for p, lines in enumerate(grown):
        assert [json.loads(line)["command_position"] for line in lines] == list(range(len(lines)))
        for sequence in (2, len(lines) // 2, len(lines)):
            if 0 < sequence <= len(lines):
                start = f"{p}:{sequence}"
                assert log_lines(auditor, start) == [
                    line for line in lines
                    if int(json.loads(line)["position"].split(":")[1]) >= sequence]
    # of one program alone
    for program in ("acme", "other"):
        mine = server.client(server.token("auditor", program))
        for p, lines in enumerate(grown):
            assert log_lines(mine, f"{p}:1") == [
                line for line in lines if json.loads(line)["outcome"]["program"] == program]
    tips = [int(json.loads(lines[-1])["position"].split(":")[1]) if lines else 0 for lines in grown]
    for p, tip in enumerate(tips):
        assert log_lines(auditor, f"{p}:{tip + 1}") == []
        assert auditor.get("/v1/log", query={"from": f"{p}:{tip + 2}"}).status == 422
    for wrong in ({}, {"from": ""}, {"from": "x"}, {"from": "4:1"}, {"from": "0"},
                  {"from": "0:1,1:1"}, {"from": "0:1", "to": "0:2"}):
        assert auditor.get("/v1/log", query=wrong).status == 422, wrong
    headers = {"Tidings-Min-Position": "0:999999"}
    assert auditor.get("/v1/log", query={"from": "0:1"}, headers=headers).status == 503
    assert server.stop() == 0
    for p, lines in enumerate(grown):
        printed = run("log", "cat", "--json", "--data", server.directory, "--from", f"{p}:1")
        assert printed.stdout.splitlines() == lines
