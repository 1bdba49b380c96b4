"""Asking a server for exports, whole or not to the end."""
import http.client
import json
import re

from programs import ok
from tidings import at

TABLES = ["messages", "recipients", "opens", "conversations"]


def path_of(table, program="acme"):
    return at("programs", program, "exports", table)


def export(client, table, **query):
    """The answer's text."""
    answer = ok(client.get(path_of(table), query=query or None))
    assert re.fullmatch(r"\d+:\d+", answer.position)
    return answer.body


def rows_of(body):
    """Of NDJSON."""
    return [json.loads(line) for line in body.split(b"\n")[:-1]]


class Begun:
    """An export whose answer has begun, and of which nothing is read unless asked for."""

    def __init__(self, server, table="recipients"):
        self.connection = http.client.HTTPConnection(*server.address, timeout=120)
        token = server.token("owner", "acme")
        self.connection.request("GET", path_of(table), headers={"Authorization": f"Bearer {token}"})
        self.response = self.connection.getresponse()
        self.status = self.response.status

    def close(self):
        self.connection.close()
        self.response.close()
