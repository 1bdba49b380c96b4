"""Starts, stops and kills real `tidings` processes, and talks to them: what every system test uses.

Owns: processes, tokens, one HTTP client. Knows nothing of what an answer should be.
"""
import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlencode

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = Path(os.environ.get("TIDINGS_BINARY", ROOT / "build" / "tidings"))
START_TIMEOUT_S = 120  # sanitizer builds on a busy machine
STOP_TIMEOUT_S = 60
REQUEST_TIMEOUT_S = 300
LISTENING = re.compile(r"^listening on http://(\S+):(\d+)\s*$")


class StartFailed(Exception):
    """The server ended, or stayed silent, before it listened."""

    def __init__(self, status, output):
        super().__init__(f"exit status {status}: {output}")
        self.status = status
        self.output = output


class Answer:
    """One HTTP answer."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The problem's code; None where the answer is no problem."""
        kind = self.headers.get("Content-Type", "")
        return self.json["code"] if kind.startswith("application/problem+json") else None

    @property
    def pointers(self):
        """{pointer: code} of the bad fields."""
        return {e["pointer"]: e["code"] for e in self.json.get("errors", [])}

    @property
    def position(self):
        return self.headers.get("Tidings-Position")

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class Client:
    """One caller on one kept-alive connection. One thread at a time."""

    def __init__(self, address, token=None, timeout=REQUEST_TIMEOUT_S):
        self.address = address
        self.token = token
        self.timeout = timeout
        self._connection = None

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def request(self, method, path, data=None, *, body=None, headers=None, query=None):
        """`data` is sent as JSON, `body` as it is: bytes, or an iterable of bytes (chunked)."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if data is not None:
            body = json.dumps(data, ensure_ascii=False).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        if query:
            path += ("&" if "?" in path else "?") + urlencode(query)
        reused = self._connection is not None
        try:
            return self._exchange(method, path, body, sent)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            if not (reused and method == "GET"):
                raise
            return self._exchange(method, path, body, sent)  # an idle connection had been closed
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _exchange(self, method, path, body, headers):
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self.address, timeout=self.timeout)
            self._connection.connect()
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chunked = body is not None and not isinstance(body, bytes)
        if chunked:
            headers = {**headers, "Transfer-Encoding": "chunked"}
        self._connection.request(method, path, body=body, headers=headers, encode_chunked=chunked)
        response = self._connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        if response.will_close:
            self.close()
        return answer

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, data=None, **options):
        return self.request("POST", path, data, **options)

    def put(self, path, data=None, **options):
        return self.request("PUT", path, data, **options)

    def patch(self, path, data=None, **options):
        options.setdefault("headers", {}).setdefault("Content-Type", "application/merge-patch+json")
        return self.request("PATCH", path, data, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def pages(self, path, limit=200, most=None, **query):
        """The first `most` items of a list, or every one, page after page."""
        items, cursor = [], None
        while True:
            asked = {"limit": limit, **query, **({"cursor": cursor} if cursor else {})}
            answer = self.get(path, query=asked)
            assert answer.status == 200, answer
            items += answer.json["data"]
            cursor = answer.json["next_cursor"]
            if cursor is None or (most is not None and len(items) >= most):
                return items[:most]


def at(*parts):
    """A path below /v1, every part percent-encoded."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def run(*arguments, timeout=600, **options):
    """Runs the binary to its end."""
    return subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL, check=False, **options)


class Deployment:
    """One data directory with its tokens, and at most one server process on it."""

    def __init__(self, directory, *options):
        self.directory = Path(directory)
        self.keys = self.directory  # whose keys/ tokens are issued from
        self.options = options
        self.process = None
        self.address = None
        self.errors = self.directory.parent / f"{self.directory.name}.stderr"
        self.output = []
        self._tokens = {}
        self._clients = []

    def start(self):
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                [str(BINARY), "serve", "--data", str(self.directory), "--listen", "127.0.0.1:0",
                 *self.options],
                stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True)
        lines = queue.Queue()
        self.output = []
        threading.Thread(target=self._drain, args=(self.process.stdout, lines),
                         daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=START_TIMEOUT_S)
            except queue.Empty:
                line = None
            if line is None:
                self.process.kill()
                status = self.process.wait()
                self.process = None
                raise StartFailed(status, "".join(self.output) + self.errors.read_text())
            if match := LISTENING.match(line):
                self.address = (match[1], int(match[2]))
                return self

    def _drain(self, stream, lines):
        for line in stream:
            self.output.append(line)
            lines.put(line)
        lines.put(None)

    def wait_for_output(self, what, text):
        """All of standard output so far, once `text` stands in it."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while text not in (output := "".join(self.output)):
            assert time.monotonic() < deadline, f"no sign of {what} in {output}"
            time.sleep(0.01)
        return output

    @property
    def running(self):
        return self.process is not None

    @property
    def url(self):
        return f"http://{self.address[0]}:{self.address[1]}"

    def _end(self, number):
        for client in self._clients:
            client.close()
        self._clients.clear()
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise

    def stop(self):
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self):
        """SIGKILL: what a crash of the process is."""
        return self._end(signal.SIGKILL)

    def restart(self):
        assert self.stop() == 0
        return self.start()

    def token(self, role, program=None, partner=None, **claims):
        key = (role, program, partner, tuple(sorted(claims.items())))
        if key not in self._tokens:
            options = {"program": program, "partner": partner, **claims}
            words = [w for k, v in options.items() if v is not None for w in (f"--{k}", v)]
            result = run("token", "--data", self.keys, "--role", role, *words)
            assert result.returncode == 0, result.stderr
            self._tokens[key] = result.stdout.strip()
        return self._tokens[key]

    def client(self, token=None):
        client = Client(self.address, token)
        self._clients.append(client)
        return client

    def platform(self):
        return self.client(self.token("platform"))

    def owner(self, program="acme", **claims):
        return self.client(self.token("owner", program, **claims))

    def partner(self, partner, program="acme", **claims):
        return self.client(self.token("partner", program, partner, **claims))

    def resident_peak_kib(self):
        """VmHWM: the most memory that the process ever had resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])

    def doctor(self):
        assert not self.running
        return run("doctor", "--data", self.directory)

    def digests(self):
        """What doctor prints of every read model's digest: {(partition, model): digest}."""
        result = self.doctor()
        assert result.returncode == 0, result.stdout + result.stderr
        return digests_in(result.stdout)


def digests_in(text):
    """{(partition, model): digest} of doctor's report."""
    found, partition = {}, None
    for line in text.splitlines():
        if match := re.match(r"\S+\s+partition (\d+): read models", line):
            partition = int(match[1])
        elif match := re.fullmatch(r"\s+(\w+)\s+([0-9a-f]{64})", line):
            found[(partition, match[1])] = match[2]
    assert len(found) >= 5, text
    return found
