"""Our OpenAPI description, checked against the running server by a foreign tool (schemathesis)."""
import os
import re
import subprocess
import sys
from pathlib import Path

from endpoints import ENDPOINTS, READERS
from programs import make_program, ok, send

HERE = Path(__file__).parent
METHODS = {"get", "put", "post", "patch", "delete"}


def shape(path):
    """A path with every parameter and every example id as {}."""
    path = re.sub(r"\{[^}]*\}", "{}", path)
    path = path.replace("/programs/acme", "/programs/{}")
    return re.sub(r"/partners/(grace|arc)", "/partners/{}", path)


def test_every_endpoint_is_described(server):
    document = ok(server.client().get("/v1/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), shape(path)) for path, item in document["paths"].items()
                 for method in item if method in METHODS}
    wanted = {(e.method, shape(e.path)) for e in ENDPOINTS}
    wanted |= {("POST", "/v1/programs/{}/webhooks/partnero"), ("GET", "/v1/commands/{}")}
    assert wanted <= described, wanted - described
    assert described <= wanted | {("GET", "/")}, described - wanted


def run_schemathesis(server, tmp_path, role, token, message, paths):
    """Runs the tool as one role; returns (exit status, report)."""
    environment = {**os.environ, "TIDINGS_URL": server.url, "TIDINGS_MESSAGE": message,
                   "TIDINGS_TOKEN": token}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file",
               str(HERE / "schemathesis.toml"), "run", f"{server.url}/v1/openapi.json",
               "--include-path-regex", paths, "--no-color", "--report", "junit",
               "--report-dir", str(tmp_path / role)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True,
                            text=True, timeout=900, check=False)
    return result.returncode, result.stdout + result.stderr


def test_schemathesis(server, tmp_path):
    assert READERS
    make_program(server)
    message = send(server.owner(), replies_enabled=True)["id"]
    for role, token, paths in (
            ("platform", server.token("platform"), "^/v1/(programs|events)"),
            ("owner", server.token("owner", "acme"), "^/v1/programs"),
            ("partner", server.token("partner", "acme", "grace"), "^/v1/portal")):
        status, report = run_schemathesis(server, tmp_path, role, token, message, paths)
        print(report[-6000:])
        assert status == 0, role
