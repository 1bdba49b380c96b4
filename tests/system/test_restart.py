"""Stop, start, ask again: the same answers; and models that are gone come back from the log."""
import shutil

import tidings
from programs import ACTIVE, filtered, make_program, ok, record_opens, send
from tidings import at


def history(server):
    """Something of everything."""
    platform = make_program(server)
    owner = server.owner()
    sent = [send(owner, subject=f"News {n}", replies_enabled=n % 2 == 0)["id"] for n in range(9)]
    sent.append(send(owner, audience=filtered({"tag": "premium"}))["id"])
    record_opens(platform, "acme", [(sent[0], "grace"), (sent[0], "zoe"), (sent[9], "alan")])
    ok(server.partner("grace").post(at("portal", "messages", sent[2], "replies"), {"body": "A"}),
       201)
    ok(owner.post(at("programs", "acme", "partners", "grace", "messages", sent[2], "replies"),
                  {"body": "B"}), 201)
    ok(platform.delete(at("programs", "acme", "partners", "arc")), 204)
    return sent


def everything(server, sent):
    """Every read of every role."""
    owner, answers = server.owner(), []
    paths = [at("programs", "acme", "messages"), at("programs", "acme", "summary"),
             at("programs", "acme", "tags"), at("programs", "acme", "partners") + "?status=all"]
    for message in sent:
        base = at("programs", "acme", "messages", message)
        paths += [base, base + "/recipients", base + "/recipients?state=replied",
                  base + "/opens?interval=minute"]
    for partner in ACTIVE:
        base = at("programs", "acme", "partners", partner, "messages")
        paths += [base] + [f"{base}/{m}" for m in sent[:9]]
    answers += [(path, ok(owner.get(path)).json) for path in paths]
    for partner in ACTIVE:
        portal = server.partner(partner)
        answers += [(partner, ok(portal.get(path)).json)
                    for path in ("/v1/portal/summary", "/v1/portal/messages")]
    return answers


def test_restart_changes_no_answer(server):
    sent = history(server)
    before = everything(server, sent)
    server.restart()
    assert everything(server, sent) == before
    server.kill()
    server.start()
    assert everything(server, sent) == before


def test_positions_go_on_after_a_restart(server):
    history(server)
    owner = server.owner()
    first = ok(owner.post(at("programs", "acme", "messages"), {"subject": "S", "body": "B"}), 201)
    server.restart()
    owner = server.owner()
    seen = owner.get(at("programs", "acme", "summary"),
                     headers={"Tidings-Min-Position": first.position})
    assert seen.status == 200
    second = ok(owner.post(at("programs", "acme", "messages"), {"subject": "S", "body": "B"}), 201)
    partition, sequence = first.position.split(":")
    later_partition, later_sequence = second.position.split(":")
    assert later_partition == partition and int(later_sequence) > int(sequence)


def test_idempotency_keys_outlive_a_restart(server):
    make_program(server)
    first = send(server.owner(), key="once")
    server.restart()
    again = send(server.owner(), key="once")
    assert again["id"] == first["id"]
    assert len(server.owner().pages(at("programs", "acme", "messages"))) == 1


def test_deleted_models_come_back_from_the_log(server):
    sent = history(server)
    before = everything(server, sent)
    assert server.stop() == 0
    digests = server.digests()
    shutil.rmtree(server.directory / "models")
    server.start()
    assert everything(server, sent) == before
    assert server.stop() == 0
    assert server.digests() == digests


def test_rebuild_gives_the_same_digests(server, tmp_path):
    sent = history(server)
    before = everything(server, sent)
    assert server.stop() == 0
    digests = server.digests()
    for words in ([], ["--swap"]):  # compared and thrown away; then made the live ones
        result = tidings.run("rebuild", "--data", server.directory, *words)
        assert result.returncode == 0 and "equal" in result.stdout, result.stdout + result.stderr
        assert server.digests() == digests
    server.start()
    assert everything(server, sent) == before
