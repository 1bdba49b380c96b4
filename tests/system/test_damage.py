"""Damaged directories: doctor and serve say what is wrong and repair nothing in silence."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import tidings
from programs import make_program, ok, send
from tidings import StartFailed, at, run


@pytest.fixture
def stopped(server):
    """A stopped deployment with a log and flushed models."""
    make_program(server)
    for number in range(60):
        send(server.owner(), subject=f"News {number}", body="b" * 2000)
    assert server.stop() == 0
    assert server.doctor().returncode == 0
    return server


def copy_of(fleet, stopped):
    """A second deployment on a copy, so that the fixture's own stays sound."""
    copy = fleet.deployment()
    shutil.copytree(stopped.directory, copy.directory)
    return copy


def files_below(directory, suffixes):
    """Data files, largest first."""
    found = [f for f in Path(directory).rglob("*") if f.is_file() and f.suffix in suffixes]
    return sorted(found, key=lambda f: -f.stat().st_size)


def refuses(deployment):
    """serve must end by itself with status 1 and words."""
    with pytest.raises(StartFailed) as failure:
        deployment.start()
    assert failure.value.status == 1, failure.value.output
    assert len(failure.value.output.strip()) > 20
    return failure.value.output


def flip(file, offset):
    data = bytearray(file.read_bytes())
    data[offset] ^= 0x10
    file.write_bytes(data)


def log_data(deployment):
    """Files that hold the log's records: its write-ahead log and tables."""
    found = files_below(deployment.directory / "log", {".log", ".sst"})
    assert found and found[0].stat().st_size > 10_000
    return found[0]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_flipped_byte_in_the_log(fleet, stopped, part):
    copy = copy_of(fleet, stopped)
    file = log_data(copy)
    flip(file, int(file.stat().st_size * part))
    result = copy.doctor()
    assert result.returncode == 1, result.stdout
    assert "log" in (result.stdout + result.stderr).lower()
    refuses(copy)
    assert copy.doctor().returncode == 1  # still: nothing was repaired in silence


def test_truncated_log(fleet, stopped):
    """Models are ahead of the log: commits are gone, and which is said."""
    copy = copy_of(fleet, stopped)
    file = log_data(copy)
    os.truncate(file, file.stat().st_size // 2)
    result = copy.doctor()
    assert result.returncode == 1, result.stdout
    refuses(copy)


def test_a_cut_off_write_is_said(fleet, stopped):
    """What a power failure in the middle of an append leaves: nothing acknowledged is missing."""
    copy = copy_of(fleet, stopped)
    shutil.rmtree(copy.directory / "models")  # otherwise they are ahead: test_truncated_log
    file = files_below(copy.directory / "log", {".log"})[0]
    os.truncate(file, file.stat().st_size - 3)
    copy.start()
    assert "cut off" in copy.errors.read_text()


def test_deleted_log(fleet, stopped):
    copy = copy_of(fleet, stopped)
    shutil.rmtree(copy.directory / "log")
    assert copy.doctor().returncode == 1
    refuses(copy)


def test_lost_keys_of_partners(fleet, stopped):
    """Nobody can be read any more: it is said, and making new keys takes a decision."""
    copy = copy_of(fleet, stopped)
    keys = copy.directory / "keys" / "partners"
    shutil.rmtree(keys)
    result = copy.doctor()
    assert result.returncode == 1 and str(keys) in result.stdout, result.stdout
    assert str(keys) in refuses(copy)
    assert not keys.exists()
    shutil.copytree(stopped.directory / "keys" / "partners", keys)
    copy.start()
    assert ok(copy.platform().get(at("programs", "acme", "partners", "grace"))).json[
        "name"] == "Grace"
    assert copy.stop() == 0
    shutil.rmtree(keys)
    keys.mkdir()
    copy.start()
    assert "cannot be read" in copy.errors.read_text()
    grace = ok(copy.platform().get(at("programs", "acme", "partners", "grace"))).json
    assert grace["name"] == "" and grace["status"] == "active"


def test_a_lost_partition_of_the_log(fleet, stopped):
    copy = copy_of(fleet, stopped)
    shutil.rmtree(copy.directory / "log" / "p3")
    for words in (["doctor"], ["audit", "verify"]):
        result = run(*words, "--data", copy.directory)
        assert result.returncode == 1
        assert "holds 3 of the log's 4 partitions" in result.stdout + result.stderr
    assert "3 partitions lie in" in refuses(copy)


def test_log_of_another_deployment(fleet, stopped):
    other = fleet.deployment().start()
    make_program(other)
    assert other.stop() == 0
    copy = copy_of(fleet, stopped)
    shutil.rmtree(copy.directory / "log")
    shutil.copytree(other.directory / "log", copy.directory / "log")
    assert copy.doctor().returncode == 1
    refuses(copy)


def test_an_older_log_under_newer_models(fleet, server):
    """A log restored from a backup is shorter than what the models have seen."""
    make_program(server)
    assert server.stop() == 0
    backup = server.directory.parent / "backup"
    shutil.copytree(server.directory / "log", backup)
    server.start()
    for _ in range(5):
        send(server.owner())
    assert server.stop() == 0
    copy = copy_of(fleet, server)
    shutil.rmtree(copy.directory / "log")
    shutil.copytree(backup, copy.directory / "log")
    assert copy.doctor().returncode == 1
    refuses(copy)


def test_flipped_byte_in_the_models(fleet, stopped):
    """Found by doctor; rebuild makes the same models anew from the log."""
    sound = stopped.digests()
    copy = copy_of(fleet, stopped)
    tables = files_below(copy.directory / "models", {".sst"}) or files_below(
        copy.directory / "models", {".log"})
    flip(tables[0], tables[0].stat().st_size // 3)
    result = copy.doctor()
    assert result.returncode == 1, result.stdout
    assert "model" in (result.stdout + result.stderr).lower()
    result = run("rebuild", "--data", copy.directory)
    assert result.returncode == 1  # what is live cannot be compared
    result = run("rebuild", "--data", copy.directory, "--swap")
    assert result.returncode == 0, result.stdout + result.stderr
    assert copy.digests() == sound


def test_second_server_on_the_same_directory(server):
    make_program(server)
    second = tidings.Deployment(server.directory)
    second.errors = server.directory.parent / "second.stderr"
    said = refuses(second)
    assert str(server.directory) in said
    for command in ("doctor", "rebuild"):
        assert run(command, "--data", server.directory).returncode == 1
    send(server.owner())
    assert ok(server.owner().get(at("programs", "acme", "summary"))).json["messages"] == 1


def test_port_in_use(fleet, server):
    other = fleet.deployment()
    result = run("serve", "--data", other.directory, "--listen", server.url[7:])
    assert result.returncode == 1 and str(server.address[1]) in result.stderr


@pytest.fixture
def as_nobody(stopped):
    """A world-readable copy that a user without rights may not write; yields (directory, run)."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    shutil.copytree(stopped.directory, root / "data")
    shutil.copy(tidings.BINARY, root / "tidings")
    (root / "tidings").chmod(0o755)
    for path in (root / "data").rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    (root / "data").chmod(0o555)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    prefix = user if os.geteuid() == 0 else []

    def run_there(*words):
        return subprocess.run([*prefix, str(root / "tidings"), *words], capture_output=True,
                              text=True, timeout=60, check=False, cwd="/")

    yield root / "data", run_there
    for path in [root / "data", *(root / "data").rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(root)


def test_read_only_directory(as_nobody):
    directory, run_there = as_nobody
    result = run_there("serve", "--data", str(directory), "--listen", "127.0.0.1:0")
    assert result.returncode == 1, result
    assert str(directory) in result.stderr + result.stdout
    result = run_there("serve", "--data", str(directory / "new"), "--listen", "127.0.0.1:0")
    assert result.returncode == 1 and str(directory) in result.stderr + result.stdout
