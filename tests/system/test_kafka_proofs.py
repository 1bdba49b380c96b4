"""Checkpoints, proofs and the log of a deployment on Kafka: the same from every process, and over
rewritten topics."""
import json

from kafka_fleet import until
from notes import Checkpoint
from test_proofs import checkpoints, log_lines, play, proof
from tidings import at, run


def test_every_process_says_the_same(cluster, kafka, tmp_path):
    one, other = cluster.processes(None, None)
    messages = play(one, messages=4)
    for number in range(5):
        play(other, f"program-{number}", messages=2)
    cluster.settle()
    auditors = [process.client(process.token("auditor")) for process in (one, other)]
    heads, logs = [], []
    for auditor in auditors:
        listed = checkpoints(auditor)
        assert [c["partition"] for c in listed] == [0, 1]
        heads.append([Checkpoint(c["checkpoint"], c["key"]) for c in listed])
        logs.append([log_lines(auditor, f"{p}:1") for p in range(2)])
    assert logs[0] == logs[1]
    for ours, theirs, lines in zip(*heads, logs[0]):
        assert (ours.origin, ours.size, ours.root) == (theirs.origin, theirs.size, theirs.root)
        assert ours.extensions == theirs.extensions and ours.size == len(lines) > 0
    shown = [proof(auditor, message) for auditor in auditors for message in messages]
    assert shown[:4] == shown[4:]
    # the log is still what was signed; and with a record twice, since that counts for nothing
    notes, keys = tmp_path / "notes", tmp_path / "keys"
    notes.write_text(run("audit", "checkpoint", "--url", one.url, "--token", auditors[0].token).stdout)
    keys.write_text("\n".join(c["key"] for c in checkpoints(auditors[0])))

    def verify():
        result = run("audit", "verify", "--json", "--kafka", kafka.bootstrap, "--prefix",
                     cluster.prefix, "--data", tmp_path / "none", "--checkpoint", notes,
                     "--key", keys)
        return result.returncode, json.loads(result.stdout)

    status, found = verify()
    assert status == 0 and sum(p["checkpoints"] for p in found["partitions"]) == 2
    proven = tmp_path / "proof.json"
    proven.write_text(json.dumps(shown[0]))
    result = run("audit", "check-proof", proven, "--key", keys)
    assert result.returncode == 0, result.stderr
    assert other.stop() == 0
    assert proof(auditors[0], messages[0])["leaf"] == shown[0]["leaf"]


def test_a_process_that_lacks_the_partition_passes_on(make_cluster, kafka):
    """Each partition is held by one process alone; both answer for all."""
    partitions = 4
    cluster = make_cluster(kafka, partitions=partitions, **{"cluster.replicas": 1})
    processes = cluster.processes(None, None)
    auditors = [process.client(process.token("auditor")) for process in processes]

    def shared_out():
        """Each has its part, and both know whom to ask for the rest."""
        held = cluster.held().values()
        if len(held) < 2 or not all(held):
            return False
        return sorted(p for one in held for p in one) == list(range(partitions)) and all(
            auditor.get("/v1/audit/checkpoint", query={"partition": p}).status == 200
            for auditor in auditors for p in range(partitions))

    until("each partition has one holder", shared_out)
    programs = [f"program-{number}" for number in range(8)]
    messages = [play(processes[0], program, messages=2)[0] for program in programs]
    answers, listed = [], []
    for auditor in auditors:
        lines = 0
        for p in range(partitions):
            note = auditor.get("/v1/audit/checkpoint", query={"partition": p})
            assert note.status == 200 and note.body.decode().splitlines()[0].endswith(f"/p{p}")
            lines += len(log_lines(auditor, f"{p}:1"))
            grown = auditor.get("/v1/audit/consistency", query={"partition": p, "from": 0})
            assert grown.status == 200
        assert lines > 80
        listed += [one["partition"] for one in checkpoints(auditor)]  # of those that it holds
        answers.append([proof(auditor, message)["leaf"] for message in messages])
        for program in programs:
            one = auditor.get(at("audit", "proofs", "1"), query={"program": program})
            assert one.json["program"] == program
    assert answers[0] == answers[1]
    assert sorted(listed) == list(range(partitions))
