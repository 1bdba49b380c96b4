"""The schemas of the analytics events as a running server publishes them, against the records that
the unit tests know byte by byte (tests/connectors/analytics_test.cpp) and those of docs/analytics.md."""
import copy
import json
import re
from urllib.parse import urlsplit

import jsonschema_rs
import pytest

from programs import ok
from tidings import ROOT

ENVELOPE = "/v1/schemas/events/envelope"


def samples():
    text = (ROOT / "tests/connectors/analytics_samples.ndjson").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def closed(schema):
    """The same, but an object has the members that are described and no other."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: closed(value) for key, value in schema.items()}
    if out.get("type") == "object" and isinstance(out.get("properties"), dict):
        out["additionalProperties"] = False
    return out


def validator(schema):
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


@pytest.fixture(scope="module")
def published(module_fleet):
    """{path: schema} of everything that is listed, asked without a token."""
    client = module_fleet.deployment().start().client()
    listed = ok(client.get("/v1/schemas/events")).json
    paths = [listed["envelope"]] + [entry["url"] for entry in listed["data"]]
    out = {}
    for path in paths:
        answer = ok(client.get(path))
        assert answer.headers["Content-Type"] == "application/schema+json"
        out[path] = answer.json
    assert listed["envelope"] == ENVELOPE
    assert [entry["url"] for entry in listed["data"]] == [
        f"/v1/schemas/events/{entry['type']}" for entry in listed["data"]]
    as_json = client.get(ENVELOPE, headers={"Accept": "application/json"})
    assert ok(as_json).json == out[ENVELOPE]
    assert as_json.headers["Content-Type"] == "application/json"
    assert client.get("/v1/schemas/events/io.tidings.unheard.of").code == "not_found"
    return out


def test_schemas_are_schemas(published):
    for path, schema in published.items():
        jsonschema_rs.meta.validate(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert urlsplit(schema["$id"]).path == path


def test_every_record_is_as_described(published):
    """Valid as it is, and nothing in it that the schemas do not tell of; every type is met."""
    met = {ENVELOPE}
    for record in samples():
        path = urlsplit(record["dataschema"]).path
        met.add(path)
        assert path.endswith("/" + record["type"])
        for schema, value in ((published[ENVELOPE], record), (published[path], record["data"])):
            faults = [str(fault) for kind in (schema, closed(schema))
                      for fault in validator(kind).iter_errors(value)]
            assert not faults, faults
    assert met == set(published)


def test_what_is_required_is_asked_for(published):
    for record in samples():
        schema = published[urlsplit(record["dataschema"]).path]
        for member in schema.get("required", []):
            broken = copy.deepcopy(record["data"])
            del broken[member]
            assert not validator(schema).is_valid(broken), (record["type"], member)


def test_the_examples_are_real():
    page = (ROOT / "docs/analytics.md").read_text(encoding="utf-8")
    known = samples() + [record["data"] for record in samples()]
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert len(examples) >= 7
    for example in examples:
        assert example in known
    assert all(record["type"] in page for record in samples())
