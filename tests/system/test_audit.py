"""audit verify and redecide on real directories: beside a running process, stopped, damaged."""
import json

from programs import make_program, send
from test_damage import copy_of, flip, log_data
from tidings import run


def verify(deployment):
    result = run("audit", "verify", "--json", "--data", deployment.directory)
    return result.returncode, json.loads(result.stdout)


def test_beside_a_running_process_and_stopped(server):
    make_program(server)
    for number in range(20):
        send(server.owner(), subject=f"News {number}", body="b" * 2000)
    status, found = verify(server)
    assert (status, found["sound"], found["skipped"]) == (0, True, 0)
    assert found["commands"] >= 21 and found["events"] >= 21 and found["bytes"] > 40_000
    assert sum(p["commits"] for p in found["partitions"]) == found["commits"]
    result = run("audit", "redecide", "--data", server.directory)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{found['commands']} commands decided again, 0 differences" in result.stdout
    assert server.stop() == 0
    assert verify(server) == (status, found)


def test_damaged(fleet, server):
    make_program(server)
    for number in range(60):
        send(server.owner(), subject=f"News {number}", body="b" * 2000)
    assert server.stop() == 0
    for part in (0.1, 0.5, 0.9):
        copy = copy_of(fleet, server)
        file = log_data(copy)
        flip(file, int(file.stat().st_size * part))
        for command in ("verify", "redecide"):
            result = run("audit", command, "--data", copy.directory)
            assert result.returncode == 1, (part, command, result.stdout)
            assert len((result.stdout + result.stderr).strip()) > 20


def test_damaged_files_are_told_with_their_position(fleet, server):
    """In the write-ahead log as well as in tables; the other partitions are verified all the same."""
    make_program(server)
    for number in range(60):
        send(server.owner(), subject=f"News {number}", body="b" * 2000)
    assert server.stop() == 0
    sound = verify(server)[1]
    busy = next(p for p in sound["partitions"] if p["commits"] > 0)
    name = f"p{busy['partition']}"
    positions = {}
    for kind in (".log", ".sst"):
        if kind == ".sst":  # a start writes out what it replays
            server.start()
            assert server.stop() == 0
            assert verify(server) == (0, sound)
        for part in (0.2, 0.4, 0.6, 0.8):
            copy = copy_of(fleet, server)
            file = max((copy.directory / "log" / name).glob("*" + kind),
                       key=lambda file: file.stat().st_size)
            flip(file, int(file.stat().st_size * part))
            status, found = verify(copy)
            assert (status, found["sound"]) == (1, False), (kind, part)
            for before, now in zip(sound["partitions"], found["partitions"], strict=True):
                if now["partition"] != busy["partition"]:
                    assert now == before
                    continue
                fault = now["fault"]
                assert fault["detail"]
                assert now["commits"] == fault["position"] - 1 < busy["commits"]
                positions.setdefault(kind, []).append(fault["position"])
    # what comes before the damage of the write-ahead log counts
    assert positions[".log"] == sorted(positions[".log"]) and positions[".log"][-1] > 30, positions


def test_no_log_is_wrong_usage(tmp_path):
    for command in ("verify", "redecide"):
        assert run("audit", command, "--data", tmp_path / "none").returncode == 2
    assert list(tmp_path.iterdir()) == []
