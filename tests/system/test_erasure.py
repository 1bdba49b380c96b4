"""Erasure: a partner's texts are gone from every answer and every file, and nothing else is."""
import concurrent.futures
import contextlib
import fcntl
import http.client
import random
import re
import shutil
import signal
import subprocess
import threading
import time

from endpoints import ENDPOINTS
from programs import GRACE, import_lines, make_program, ok, record_opens, send
from tidings import at, run

EMAIL, NAME, SURNAME = "qvx.wyzzle@flumbrix.example", "Qvxandra", "Wyzzlebrook"
LATER = "Qvxandriana"
REPLY, ANSWER = "my mother's maiden name is Trosklunt", "noted: you said Trosklunt"
SUB, CALLED = "sub-of-qvxandra-wyzzlebrook", "Qvxandra W. of the portal"
TEXTS = [EMAIL, NAME, SURNAME, LATER, "Trosklunt", SUB, CALLED, "wyzzle", "flumbrix", "yzzlebro"]
PERSON = {**GRACE, "email": EMAIL, "name": NAME, "surname": SURNAME, "tags": ["premium"]}


def live_some(server):
    """A program in which the person received, read, wrote and was answered; the message's id."""
    platform = make_program(server)
    ok(platform.put(at("programs", "acme", "partners", "person"), PERSON))
    ok(platform.patch(at("programs", "acme", "partners", "person"), {"name": LATER}))
    owner = server.owner()
    message = send(owner, replies_enabled=True)["id"]
    send(owner, subject="To few", audience={"type": "partners", "partners": ["person", "alan"]})
    person = server.partner("person", sub=SUB, name=CALLED)
    ok(person.post(at("portal", "messages", message, "open")))
    ok(person.post(at("portal", "messages", message, "replies"), {"body": REPLY},
                   headers={"Idempotency-Key": "first"}), 201)
    ok(owner.post(at("programs", "acme", "partners", "person", "messages", message, "replies"),
                  {"body": ANSWER}), 201)
    ok(person.post(at("portal", "messages", message, "replies"), {"body": "And " + REPLY}), 201)
    ok(server.partner("grace").post(at("portal", "messages", message, "replies"),
                                    {"body": "Grace stays"}), 201)
    record_opens(platform, "acme", [(message, "alan")])
    return message


def files_with(directory, texts):
    """{file: texts} of all files below, by grep."""
    found = {}
    for text in texts:
        result = subprocess.run(["grep", "-r", "-l", "-a", "-i", "-F", text, str(directory)],
                                capture_output=True, text=True, check=False)
        assert result.returncode in (0, 1), result.stderr
        for name in result.stdout.splitlines():
            found.setdefault(name, []).append(text)
    return found


def rows_with_piece(directory, piece):
    """Files of rows that hold a row of the search for this piece of a text, current or not."""
    piece = len(piece).to_bytes(2, "big") + piece.encode()
    key = re.compile(rf"^'67[0-9A-F]{{8}}{piece.hex()}".encode(), re.M | re.I)
    found = []
    for file in sorted(directory.rglob("*.sst")):
        rows = subprocess.run(["sst_dump", "--command=scan", "--output_hex", f"--file={file}"],
                              capture_output=True, check=True).stdout
        if key.search(rows):
            found.append(str(file.relative_to(directory)))
    return found


def numbers(server, message):
    """Every count that an erasure must leave alone."""
    owner = server.owner()
    stats = [ok(owner.get(at("programs", "acme", "messages", m["id"]))).json["stats"]
             for m in owner.pages(at("programs", "acme", "messages"))]
    people = {r["partner"]["id"]: [r["opened_at"], r["first_replied_at"], r["last_replied_at"],
                                   r["unread_replies"]]
              for r in owner.pages(at("programs", "acme", "messages", message, "recipients"))}
    inbox = owner.pages(at("programs", "acme", "partners", "person", "messages"))
    posts = ok(owner.get(at("programs", "acme", "partners", "person", "messages", message))).json
    return stats, people, [(r["id"], r["posts"], r["opened_at"], r["replied_at"]) for r in inbox], [
        (p["id"], p["from"], p["posted_at"]) for p in posts["posts"]]


def erase(server, partner="person"):
    return ok(server.platform().post(at("programs", "acme", "partners", partner, "erasures"))).json


def answers(server, message, sequences):
    """Every answer that a GET gives to every role, in the present and at these commits."""
    position = position_before(server)
    clients = {"platform": server.platform(), "owner": server.owner(),
               "analyst": server.client(server.token("analyst", "acme")),
               "auditor": server.client(server.token("auditor", "acme")),
               "partner": server.partner("grace")}
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" or "stream" in endpoint.path:
            continue
        for partner in ("person", "grace"):
            path = endpoint.path.replace("{m}", message).replace("grace", partner)
            for role in sorted(endpoint.roles) or ["owner"]:
                client = clients[role]
                for accept in ("application/json", "text/csv"):
                    answer = client.get(path, headers={"Accept": accept},
                                        query=endpoint.given or {})
                    yield f"{role} {path}", answer.body
                if role == "auditor" and path.startswith("/v1/programs/"):
                    for sequence in sequences:
                        yield f"as of {sequence} {path}", client.get(
                            path, query={"as_of": f"{partition_of(position)}:{sequence}"}).body
    owner = clients["owner"]
    for query in TEXTS:
        for path in (at("programs", "acme", "partners"),
                     at("programs", "acme", "messages", message, "recipients")):
            found = owner.get(path, query={"query": query[:100], "status": "all"}
                              if path.endswith("partners") else {"query": query[:100]})
            ids = [(r.get("partner") or r)["id"] for r in ok(found).json["data"]]
            assert "person" not in ids, (query, ids)
            yield f"search {path}", found.body
    for partition in range(4):
        yield "log", clients["auditor"].get("/v1/log", query={"from": f"{partition}:1"}).body


def partition_of(position):
    return position.split(":")[0]


def assert_forgotten(server, message, sequences=range(1, 40)):
    seen = 0
    for what, body in answers(server, message, sequences):
        seen += 1
        text = body.decode().lower()
        for secret in TEXTS:
            assert secret.lower() not in text, (what, secret)
    assert seen > 100


def test_an_erased_person_is_nowhere(fleet, tmp_path):
    server = fleet.deployment().start()
    message = live_some(server)
    # what is looked for afterwards can be found before
    conversation = at("programs", "acme", "partners", "person", "messages", message)
    before = ok(server.owner().get(conversation)).json
    assert [p["body"] for p in before["posts"]] == [REPLY, ANSWER, "And " + REPLY]
    assert before["posts"][0]["author"] == {"id": SUB, "name": CALLED}
    assert before["partner"]["email"] == EMAIL and before["partner"]["name"] == LATER
    found = server.owner().pages(at("programs", "acme", "partners"), query="wyzzleb")
    assert [p["id"] for p in found] == ["person"]
    server.restart()  # writes out what was only in memory
    assert rows_with_piece(server.directory, "wyz")
    assert any(EMAIL in body.decode() for what, body in raw_log(server))
    counted = numbers(server, message)
    auditor = server.client(server.token("auditor"))
    checkpoint = ok(auditor.get("/v1/audit/checkpoint")).body
    proof = ok(auditor.get(f"/v1/audit/proofs/{message}")).body
    as_it_was = ok(auditor.get(conversation, query={"as_of": position_before(server)})).json
    assert as_it_was["posts"][0]["body"] == REPLY

    report = erase(server)
    assert report["partner"] == "person" and report["keys_destroyed"] == 1
    assert report["plain_records"] == {"count": 0, "first": None, "last": None}
    assert files_with(server.directory, TEXTS) == {}
    assert_forgotten(server, message)
    assert numbers(server, message) == counted
    after = ok(server.owner().get(conversation)).json
    assert after["partner"]["erased"] is True and after["partner"]["status"] == "deleted"
    assert [p["body"] for p in after["posts"]] == ["", "", ""]
    assert after["posts"][1]["author"]["name"] != ""  # the owner's own
    assert ok(server.owner().get(at("programs", "acme", "partners", "grace", "messages",
                                    message))).json["posts"][0]["body"] == "Grace stays"
    assert server.partner("person").get("/v1/portal/summary").status == 404
    refused = server.owner().post(conversation + "/replies", {"body": "hello?"})
    assert refused.status == 404, refused
    assert erase(server)["keys_destroyed"] == 1  # of what was refused
    assert erase(server)["keys_destroyed"] == 0

    # the log is what it was: chain, checkpoints, old proofs
    (tmp_path / "checkpoint").write_bytes(checkpoint)
    (tmp_path / "proof").write_bytes(proof)
    assert server.stop() == 0
    assert files_with(server.directory, TEXTS) == {}
    assert rows_with_piece(server.directory, "gra") and not rows_with_piece(server.directory, "wyz")
    key = run("audit", "checkpoint", "--vkey", "--data", server.directory)
    assert key.returncode == 0, key.stderr
    (tmp_path / "keys").write_text(key.stdout)
    for words in (["verify", "--data", server.directory, "--checkpoint", tmp_path / "checkpoint"],
                  ["redecide", "--data", server.directory],
                  ["check-proof", tmp_path / "proof", "--key", tmp_path / "keys"]):
        result = run("audit", *words)
        assert result.returncode == 0, (words, result.stdout, result.stderr)
    digests = server.digests()
    rebuilt = run("rebuild", "--data", server.directory, "--into", tmp_path / "anew")
    assert rebuilt.returncode == 0 and "equal" in rebuilt.stdout, rebuilt.stdout + rebuilt.stderr
    assert digests == server.digests()
    shown = run("log", "cat", "--json", "--data", server.directory).stdout
    assert "PartnerErased" in shown and not any(t in shown for t in TEXTS)


def test_what_dead_processes_left_is_erased_too(fleet):
    """A killed `show` or `export` leaves history/PID, a killed `restore` models.restoring."""
    server = fleet.deployment().start()
    live_some(server)
    server.restart()  # writes out what was only in memory
    left = [server.directory / "history" / "999999999", server.directory / "models.restoring"]
    for place in left:
        shutil.copytree(server.directory / "models", place)
        assert rows_with_piece(place, "wyz")
    shutil.copytree(server.directory / "log", server.directory / "log.restoring")
    erase(server)
    assert not any(place.exists() for place in left)
    assert not (server.directory / "log.restoring").exists()
    assert not rows_with_piece(server.directory, "wyz")


def test_an_erasure_waits_for_other_processes_that_read_the_past(fleet):
    server = fleet.deployment().start()
    live_some(server)
    other = server.directory / "history" / "999999999"
    shutil.copytree(server.directory / "models", other)
    with (other / "LOCK").open("w") as lock, concurrent.futures.ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = pool.submit(erase, server)
        time.sleep(1)
        assert not answer.done() and other.exists()
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert answer.result()["partner"] == "person"
    assert not other.exists()


def test_texts_of_who_never_was_a_partner(server):
    """What was refused lies sealed in the log: asking for an erasure destroys its key."""
    platform = make_program(server)
    imported = import_lines(platform, "acme", [{"id": "ghost", "name": "Ghostwyzzle"},
                                               {"id": "alive", "email": "a@b.example"}])
    assert imported["created"] == 1 and imported["rejected"][0]["line"] == 1, imported

    def readable():
        return [text for text in ("Ghostwyzzle", "a@b.example")
                if any(text.encode() in body for _, body in raw_log(server))]

    assert readable() == ["Ghostwyzzle", "a@b.example"]
    erasures = at("programs", "acme", "partners", "ghost", "erasures")
    assert platform.post(erasures).status == 404
    assert readable() == ["a@b.example"]
    server.restart()
    assert readable() == ["a@b.example"]
    # seen for the first time after all, under a new key
    ok(server.platform().put(at("programs", "acme", "partners", "ghost"),
                             {"email": "g@b.example", "name": "Ghostwyzzle"}))
    assert ok(server.platform().get(at("programs", "acme", "partners", "ghost"))).json[
        "name"] == "Ghostwyzzle"


def raw_log(server):
    for partition in range(4):
        auditor = server.client(server.token("auditor"))
        yield partition, auditor.get("/v1/log", query={"from": f"{partition}:1"}).body


def position_before(server):
    """Now, of acme's partition."""
    answer = ok(server.platform().put(at("programs", "acme"), {"name": "Acme", "plan": "partner"}))
    return answer.position


def test_an_erased_partner_that_is_seen_again_is_new_data(server):
    message = live_some(server)
    erase(server)
    platform = server.platform()
    path = at("programs", "acme", "partners", "person")
    refused = platform.put(path, {"name": "Nobody"})
    assert refused.status == 422 and "/email" in refused.pointers, refused
    assert platform.patch(path, {"status": "active"}).status == 422
    ok(platform.patch(path, {"metrics": {"clicks": 7}}))  # numbers are no person
    assert ok(platform.get(path)).json["erased"] is True
    fresh = ok(platform.put(path, {"email": "new@person.example", "name": "Newt"})).json
    assert fresh["status"] == "active" and "erased" not in fresh and fresh["surname"] == ""
    assert fresh["metrics"]["clicks"] == 7
    assert [p["id"] for p in server.owner().pages(at("programs", "acme", "partners"),
                                                  query="newt")] == ["person"]
    server.restart()
    assert ok(server.platform().get(path)).json["email"] == "new@person.example"
    assert [p["body"] for p in ok(server.owner().get(
        at("programs", "acme", "partners", "person", "messages", message))).json["posts"]] == [""] * 3
    report = erase(server)
    assert report["keys_destroyed"] == 1
    assert files_with(server.directory, ["new@person.example", "Newt"]) == {}


def test_erase_refuses_what_it_cannot_find(server):
    make_program(server)
    platform = server.platform()
    assert platform.post(at("programs", "acme", "partners", "nobody", "erasures")).status == 404
    assert platform.post(at("programs", "none", "partners", "grace", "erasures")).status == 404
    assert server.owner().post(at("programs", "acme", "partners", "grace", "erasures")).status == 403
    assert ok(platform.get(at("programs", "acme", "partners", "grace"))).json["name"] == "Grace"


def test_erase_on_the_command_line(fleet):
    server = fleet.deployment().start()
    message = live_some(server)
    token = server.token("platform")
    words = ["erase", "--program", "acme", "--partner"]
    online = run(*words, "person", "--url", server.url, "--token", token)
    assert online.returncode == 0 and "keys destroyed: 1" in online.stdout, online
    missing = run(*words, "nobody", "--url", server.url, "--token", token)
    assert missing.returncode == 1 and "nobody" in missing.stderr
    busy = run(*words, "grace", "--data", server.directory)
    assert busy.returncode == 1, busy  # the server has the directory
    assert server.stop() == 0
    offline = run(*words, "grace", "--partner", "nobody", "--data", server.directory)
    assert offline.returncode == 1, offline
    assert "grace erased at" in offline.stdout and "nobody" in offline.stderr
    assert files_with(server.directory, ["grace@hopper", "Grace stays", *TEXTS]) == {}
    assert run("erase", "--program", "acme").returncode == 2
    server.start()
    assert_forgotten(server, message)
    assert ok(server.platform().get(at("programs", "acme", "partners", "grace"))).json["erased"]


def test_a_kill_at_any_moment_of_an_erasure(fleet):
    """Afterwards the partner is as before, or erased to the last byte; asking again ends it."""
    server = fleet.deployment().start()
    make_program(server)
    called = [f"zq{a}{b}" for a in "abcdefghij" for b in "klmnop"]  # by nobody else
    import_lines(server.platform(), "acme", [
        {"id": f"p{i}", "email": f"{name}@mail.example", "name": name}
        for i, name in enumerate(called)])
    server.restart()  # writes out what was only in memory
    assert rows_with_piece(server.directory, called[-1][1:])
    chance = random.Random(7)
    cut_off = finished_at_start = 0
    for i, name in enumerate(called):
        if cut_off >= 8 and finished_at_start >= 2:
            break
        where = at("programs", "acme", "partners", f"p{i}")
        answers = []

        def ask(client=server.platform(), where=where, answers=answers):
            with contextlib.suppress(OSError, http.client.HTTPException):
                answers.append(client.post(where + "/erasures"))

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(chance.random() * 0.06)
        seen = server.errors.stat().st_size
        server._end(signal.SIGKILL)
        asking.join()
        server.start()
        partner = ok(server.platform().get(where)).json
        if answers:
            assert answers[0].status == 200 and partner["erased"]
        else:
            cut_off += 1
        told = server.errors.read_bytes()[seen:].decode()
        finished_at_start += "an erasure that was cut off is finished" in told
        if "erased" not in partner:
            assert (partner["email"], partner["name"]) == (f"{name}@mail.example", name)
            assert erase(server, f"p{i}")["keys_destroyed"] == 1
            partner = ok(server.platform().get(where)).json
        assert partner["erased"] and partner["name"] == "" and partner["email"] == ""
        assert files_with(server.directory, [name]) == {}
        assert rows_with_piece(server.directory, name[1:]) == []
        assert erase(server, f"p{i}")["keys_destroyed"] == 0
    assert cut_off >= 8 and finished_at_start >= 2, (cut_off, finished_at_start)
    assert server.stop() == 0
    again = run("rebuild", "--data", server.directory, "--into", server.directory.parent / "anew")
    assert again.returncode == 0 and "equal" in again.stdout, again.stdout + again.stderr
