"""Our OpenAPI description, checked against the running server by a foreign tool (schemathesis)."""
import os
import re
import subprocess
import sys
from pathlib import Path

from endpoints import ENDPOINTS, command_ids
from programs import make_program, ok, send

HERE = Path(__file__).parent
METHODS = {"get", "put", "post", "patch", "delete"}


def shape(path):
    """A path with every parameter and every example id as {}."""
    path = re.sub(r"\{[^}]*\}", "{}", path)
    path = path.replace("/programs/acme", "/programs/{}")
    path = re.sub(r"/schemas/events/[^/]+", "/schemas/events/{}", path)
    return re.sub(r"/(partners|recipients)/(grace|arc)", r"/\1/{}", path)


def test_every_endpoint_is_described(server):
    document = ok(server.client().get("/v1/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), shape(path)) for path, item in document["paths"].items()
                 for method in item if method in METHODS}
    wanted = {(e.method, shape(e.path)) for e in ENDPOINTS}
    assert wanted <= described, wanted - described
    assert described <= wanted | {("GET", "/")}, described - wanted


def test_schemathesis(server, tmp_path):
    """Zero failures. What is left out, and why, stands in schemathesis.toml."""
    make_program(server)
    environment = {**os.environ, "TIDINGS_URL": server.url,
                   "TIDINGS_MESSAGE": send(server.owner(), replies_enabled=True)["id"],
                   "TIDINGS_COMMAND": command_ids(server)["owner"],
                   "TIDINGS_PLATFORM": server.token("platform"),
                   "TIDINGS_OWNER": server.token("owner", "acme"),
                   "TIDINGS_AUDITOR": server.token("auditor", "acme"),
                   "TIDINGS_PARTNER": server.token("partner", "acme", "grace"),
                   "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(HERE)}
    result = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file",
         str(HERE / "schemathesis.toml"), "run", f"{server.url}/v1/openapi.json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=580, check=False)
    assert result.returncode == 0, result.stdout[-40_000:] + result.stderr[-2000:]
    generated = re.search(r"(\d+) generated, (\d+) passed", result.stdout)
    assert generated and int(generated[2]) > 1000, result.stdout[-3000:]
