"""The command line: exit statuses (0 done, 1 refused or a check failed, 2 wrong usage), words, tools
on sound directories. Damaged ones: test_damage.py."""
import base64
import json
import re
import subprocess

import pytest

import tidings
from programs import make_program, ok, send
from tidings import at, run

SUBCOMMANDS = ["serve", "token", "import", "log", "rebuild", "doctor", "audit"]


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.parametrize("command", [[], *[[c] for c in SUBCOMMANDS], ["log", "cat"],
                                     ["log", "tail"], ["audit", "verify"],
                                     ["audit", "redecide"]])
def test_help(command):
    result = run(*command, "--help")
    assert result.returncode == 0 and "--help" in result.stdout
    if not command:
        assert all(name in result.stdout for name in SUBCOMMANDS)


@pytest.mark.parametrize("command", [
    [], ["fly"], ["serve", "--fly"], ["serve", "--listen", "nowhere"], ["token"], ["log"],
    ["token", "--role", "emperor"], ["token", "--role", "owner", "--ttl", "soon"],
    ["log", "cat", "--from", "there"], ["import", "file"], ["serve", "--config", "missing.toml"],
])
def test_wrong_usage_is_status_2(command, tmp_path):
    result = run(*command, cwd=tmp_path)
    assert result.returncode == 2, result
    assert result.stderr.strip()
    assert list(tmp_path.iterdir()) == []


def test_token_on_a_fresh_directory(tmp_path):
    result = run("token", "--data", tmp_path / "d", "--role", "owner", "--program", "acme")
    assert result.returncode == 0
    shown = claims(result.stdout.strip())
    assert (shown["role"], shown["program"], shown["sub"], shown["name"]) == (
        "owner", "acme", "owner", "owner")
    result = run("token", "--data", tmp_path / "d", "--role", "partner", "--program", "acme",
                 "--partner", "Zoë", "--sub", "s", "--name", "N", "--ttl", "1h")
    shown = claims(result.stdout.strip())
    assert (shown["partner"], shown["sub"], shown["name"]) == ("Zoë", "s", "N")
    assert 0 < shown["exp"] - shown["iat"] <= 3600 if "iat" in shown else True


def test_token_while_serving_and_across_directories(fleet):
    server, other = fleet.deployment().start(), fleet.deployment().start()
    make_program(server)
    ok(server.owner().get(at("programs", "acme", "summary")))
    foreign = server.client(other.token("owner", "acme"))
    answer = foreign.get(at("programs", "acme", "summary"))
    assert (answer.status, answer.code) == (401, "unauthenticated")


def test_tokens_need_their_claims(tmp_path):
    for role, words in (("owner", []), ("partner", ["--program", "acme"])):
        result = run("token", "--data", tmp_path / "d", "--role", role, *words)
        assert result.returncode == 2, role


def write_import(path, count):
    path.write_text("".join(json.dumps({"id": f"p{n}", "email": f"p{n}@x.example"}) + "\n"
                            for n in range(count)))
    return path


def test_import(server, tmp_path):
    make_program(server, people={})
    file = write_import(tmp_path / "partners.ndjson", 5000)
    words = ["--url", server.url, "--token", server.token("platform"), "--program", "acme"]
    result = run("import", *words, file)
    assert result.returncode == 0, result.stderr
    assert "5000" in result.stdout
    assert ok(server.owner().get(at("programs", "acme", "summary"))).json["partners"] == 5000

    with file.open("a") as out:
        out.write('{"id":"bad"}\n')
    result = run("import", *words, file)
    assert result.returncode == 1 and "5001" in result.stdout + result.stderr  # the line
    for words in (["--url", server.url, "--token", "x.y.z", "--program", "acme"],
                  ["--url", server.url, "--token", server.token("platform"), "--program", "none"],
                  ["--url", "http://127.0.0.1:1", "--token", "x", "--program", "acme"]):
        result = run("import", *words, file)
        assert result.returncode == 1 and result.stderr.strip()
    result = run("import", *words, tmp_path / "missing.ndjson")
    assert result.returncode == 1 and "missing.ndjson" in result.stderr


def cat(server, *words):
    result = run("log", "cat", "--data", server.directory, *words)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_log_cat(server):
    make_program(server)
    send(server.owner(), subject="Distinctly")
    assert server.stop() == 0
    lines = [json.loads(line) for line in cat(server, "--json")]
    assert len(lines) >= 7 and any("Distinctly" in json.dumps(line) for line in lines)
    plain = cat(server)
    assert plain and any("MessageSent" in line for line in plain)
    partition = lines[-1]["position"].split(":")[0]
    tail = [json.loads(line) for line in cat(server, "--json", "--from", f"{partition}:3")]
    assert 0 < len(tail) < len(lines) and tail == lines[-len(tail):]


def test_log_tail_follows_a_running_server(server):
    platform = make_program(server)
    position = platform.put(at("programs", "acme"), {"name": "A", "plan": "partner"}).position
    process = subprocess.Popen(
        [str(tidings.BINARY), "log", "tail", "--json", "--data", str(server.directory),
         "--from", position], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for number in range(3):
            subject = f"Heard it {number}"
            send(server.owner(), subject=subject)
            for line in process.stdout:  # ends with the test's own time-out if it never comes
                json.loads(line)
                if subject in line:
                    break
            else:
                raise AssertionError(process.stderr.read())
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_doctor_and_rebuild_on_a_sound_directory(server):
    make_program(server)
    send(server.owner())
    assert server.stop() == 0
    result = server.doctor()
    assert result.returncode == 0 and tidings.digests_in(result.stdout)
    before = server.digests()
    for words in ([], ["--into", server.directory.parent / "new"], ["--swap"], ["--swap"]):
        result = run("rebuild", "--data", server.directory, *words)
        assert result.returncode == 0 and "equal" in result.stdout, result.stdout + result.stderr
        assert server.digests() == before


def test_tools_on_a_directory_that_is_none(tmp_path):
    for command, status in ((["doctor"], 1), (["rebuild"], 2), (["log", "cat"], 2)):
        result = run(*command, "--data", tmp_path / "nothing")
        assert result.returncode == status, command
        assert "nothing" in result.stderr + result.stdout
    assert not (tmp_path / "nothing").exists()


def test_demo(fleet):
    """--demo loads a believable program and prints how to act in it; twice, it loads it once."""
    server = fleet.deployment("--demo").start()
    text = server.wait_for_output("the second partner's last command", "limit=5")
    platform = server.platform()
    program = text.split("/v1/programs/")[1].split("/")[0]
    summary = ok(platform.get(at("programs", program, "summary"))).json
    assert summary["partners"] >= 200 and summary["messages"] >= 3
    messages = ok(platform.get(at("programs", program, "messages"))).json["data"]
    assert any(m["stats"]["replied"] for m in messages)
    assert any(0 < m["stats"]["open_rate"] < 1 for m in messages)
    assert {m["replies_enabled"] for m in messages} == {True, False}
    script = "\n".join(line for line in text.splitlines()
                       if re.match(r"curl |#|[A-Z0-9]+=", line))
    assert script.count("curl ") >= 10
    result = subprocess.run(["bash", "-euc", script.replace("curl -s", "curl -sf")], text=True,
                            capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, (result, script)
    after = ok(platform.get(at("programs", program, "summary"))).json
    assert after["messages"] == summary["messages"] + 1  # the script sent one
    server.restart()
    server.wait_for_output("the second partner's last command", "limit=5")
    assert ok(server.platform().get(at("programs", program, "summary"))).json == after
