"""A disk that is full, of everything or of the partners' keys alone: what cannot be kept is refused
and leaves nothing behind, nothing that was acknowledged is lost, and with space all goes on."""
import contextlib
import json
import subprocess

import pytest

from kafka_fleet import until
from programs import make_program, ok
from tidings import at

PARTNERS, IMPORTS = 20_000, 60  # enough to use up what is allotted to the files already


@pytest.fixture
def small_disk(fleet):
    """Makes a deployment of which one directory is a file system of its own, of some MiB."""
    mounted = []

    def make(below, mib):
        deployment = fleet.deployment()
        directory = deployment.directory / below
        directory.mkdir(parents=True)
        result = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tidings-test",
                                 directory], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            pytest.skip(f"this user may not mount file systems: {result.stderr}")
        mounted.append((deployment, directory))
        return deployment, directory
    yield make
    for deployment, directory in mounted:
        if deployment.running:
            assert deployment.stop() == 0
        subprocess.run(["umount", directory], check=True)


def fill(directory):
    path = directory / "filler"
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def put(server, partner):
    """Each is new, and needs a key."""
    return server.platform().put(at("programs", "acme", "partners", partner),
                                 {"email": f"{partner}@flumbrix.example"})


def import_until_full(server):
    """How many lines were acknowledged; the answer that was not."""
    count = 0
    for number in range(IMPORTS):
        lines = [json.dumps({"id": f"i{number}x{one}", "email": f"i{number}x{one}@x.example"})
                 for one in range(PARTNERS)]
        answer = server.platform().post(at("programs", "acme", "partners", "import"),
                                        body="\n".join(lines).encode(),
                                        headers={"Content-Type": "application/x-ndjson"})
        if answer.status != 200:
            return count, answer
        count += PARTNERS
    raise AssertionError("the disk was never full")


def check(server, directory):
    server.start()
    make_program(server)
    ok(put(server, "first"))
    filler = fill(directory)
    acknowledged, answer = import_until_full(server)
    assert (answer.status, answer.code) == (503, "overloaded"), answer
    refused = [put(server, f"refused{number}") for number in range(20)]
    assert all(one.status == 503 for one in refused), refused
    filler.unlink()
    until("there is space again", lambda: put(server, "later").status in (200, 201), 30)
    for _ in range(2):
        assert server.platform().get(at("programs", "acme", "partners", "refused7")).status == 404
        for partner in ("first", "later"):
            got = ok(server.platform().get(at("programs", "acme", "partners", partner))).json
            assert got["email"] == f"{partner}@flumbrix.example"
        for partner in (f"i{n}x{PARTNERS - 1}" for n in range(acknowledged // PARTNERS)):
            ok(server.platform().get(at("programs", "acme", "partners", partner)))
        server.kill()
        server.start()
    return refused


def test_a_full_disk_of_keys(small_disk):
    refused = check(*small_disk("keys/partners", 24))
    assert "keys" in refused[-1].json["detail"], refused[-1].json


def test_a_full_disk_of_everything(small_disk):
    check(*small_disk("", 160))
