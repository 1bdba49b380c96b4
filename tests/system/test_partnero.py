"""Partnero's webhook: recorded deliveries over HTTP, in order, shuffled, duplicated, late."""
import json
import random
import re
from pathlib import Path

import pytest

from programs import ok
from tidings import at

FIXTURES = Path(__file__).parent / "fixtures" / "partnero"
SECRET = "whsec_tidings_fixture"
EXPECTED = json.loads((FIXTURES / "expected.json").read_text())
HOOK = at("programs", "acme", "webhooks", "partnero")


def deliveries():
    """(line number, headers, raw body as it was signed) of every recorded delivery."""
    found = []
    for number, line in enumerate((FIXTURES / "deliveries.ndjson").read_bytes().splitlines(), 1):
        separator = b',"body":'
        start = line.index(separator) + len(separator)
        headers = json.loads(line[:start - len(separator)] + b"}")["headers"]
        found.append((number, headers, line[start:-1]))
    assert len(found) > 20
    return found


def expected_status(number):
    return EXPECTED["answers_by_line"].get(str(number), 200)


@pytest.fixture
def acme(server):
    platform = server.platform()
    ok(platform.put(at("programs", "acme"), {"name": "Acme", "plan": "partner"}))
    assert platform.put(HOOK, {"secret": SECRET}).status == 204
    return server


def deliver(server, sequence):
    sender = server.client()
    for number, headers, body in sequence:
        answer = sender.post(HOOK, body=body, headers=headers)
        assert answer.status == expected_status(number), (number, answer)


def check_state(server):
    owner = server.owner()
    active = owner.pages(at("programs", "acme", "partners"))
    assert sorted(p["id"] for p in active) == sorted(EXPECTED["active_partners"])
    for partner, wanted in EXPECTED["partners"].items():
        shown = ok(owner.get(at("programs", "acme", "partners", partner))).json
        for field, value in wanted.items():
            if field == "metrics":
                found = {name: shown["metrics"][name] for name in value}
                assert found == value, partner
            elif field != "note":
                assert shown[field] == value, (partner, field)
    for partner in EXPECTED["absent"]:
        answer = owner.get(at("programs", "acme", "partners", partner))
        assert (answer.status, answer.code) == (404, "not_found"), partner


def everything(server):
    """Every partner as shown, order of first sight aside."""
    shown = server.owner().pages(at("programs", "acme", "partners"), status="all")
    return {p["id"]: p for p in shown}


def counted(server):
    """The webhook's counters: {result: deliveries}, and "unknown" for unknown events."""
    text = server.client().get("/metrics").body.decode()
    found = {result: int(float(count)) for result, count in re.findall(
        r'^tidings_webhook_deliveries_total{result="(\w+)"} (\S+)$', text, re.M)}
    found["unknown"] = int(float(
        re.search(r"^tidings_webhook_unknown_events_total (\S+)$", text, re.M)[1]))
    return found


def test_as_it_stands(acme):
    sequence = deliveries()
    deliver(acme, sequence)
    check_state(acme)
    count = counted(acme)
    # galaxy.exploded is unknown; reward.approved is known, and changes nothing by itself
    assert (count["unknown"], count["ignored"]) == (1, 2)
    assert count["unauthorized"] == list(EXPECTED["answers_by_line"].values()).count(401)
    assert sum(count.values()) - count["unknown"] == len(sequence)
    before = everything(acme)
    deliver(acme, deliveries())  # all of it once more changes nothing
    assert everything(acme) == before
    acme.restart()
    assert everything(acme) == before


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shuffled_with_duplicates(acme, seed):
    chance = random.Random(seed)
    sequence = [d for d in deliveries() for _ in range(chance.choice((1, 1, 2, 3)))]
    chance.shuffle(sequence)
    deliver(acme, sequence)
    check_state(acme)


def test_every_order_ends_alike(acme, fleet):
    deliver(acme, deliveries())
    other = fleet.deployment().start()
    platform = other.platform()
    ok(platform.put(at("programs", "acme"), {"name": "Acme", "plan": "partner"}))
    assert platform.put(HOOK, {"secret": SECRET}).status == 204
    deliver(other, deliveries()[::-1])
    assert everything(other) == everything(acme)


def test_the_secret_and_the_program_are_needed(acme):
    _, headers, body = deliveries()[0]
    sender, platform = acme.client(), acme.platform()
    answer = sender.post(at("programs", "nowhere", "webhooks", "partnero"), body=body,
                         headers=headers)
    assert answer.status == 401
    ok(platform.put(at("programs", "bare"), {"name": "Bare", "plan": "partner"}))
    answer = sender.post(at("programs", "bare", "webhooks", "partnero"), body=body,
                         headers=headers)
    assert answer.status == 401
    assert platform.put(HOOK, {"secret": "another"}).status == 204
    assert sender.post(HOOK, body=body, headers=headers).status == 401
    assert platform.get(HOOK).status == 405  # never readable again
    for file in acme.directory.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), f"the secret lies open in {file}"


def test_partners_from_the_hook_are_partners(acme):
    deliver(acme, deliveries())
    owner = acme.owner()
    sent = ok(owner.post(at("programs", "acme", "messages"), {"subject": "S", "body": "B"}), 201)
    assert sent.json["stats"]["recipients"] == len(EXPECTED["active_partners"])
    for partner in EXPECTED["active_partners"]:
        summary = ok(acme.partner(partner).get("/v1/portal/summary")).json
        assert summary == {"unread": 1, "total": 1}
