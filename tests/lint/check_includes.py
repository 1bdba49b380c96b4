#!/usr/bin/env python3
"""Arrows point inward only: apps -> connectors -> projections -> events -> core.

Also: connectors never include each other, heavy libraries stay where they belong, every include of
ours is root-relative, and no property's answer is thrown away. Exit status 1 names every line that
breaks a rule.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LAYERS = ["core", "events", "projections", "connectors", "apps"]
OUTSIDE = ["bench", "tests"]  # may include everything; nothing may include them
# Its answer thrown away is a test that cannot fail; CHECK_PROPERTY looks at it.
BARE_PROPERTY = re.compile(r"\brc::check\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

# Library (as its headers begin) -> the files that may include it, as patterns on the path.
RESERVED = {
    "rocksdb/": r"(events/(embedded_log|key_database|partner_keys|rocks_erase|silent_logger)|projections/(rocks_)?store)[^/]*|bench/physical_limits\.cpp|tests/(events|projections|support)/.*",
    "catch2/": r"tests/support/catch\.h",
    "rapidcheck": r"tests/support/property\.h",
    "capnp/": r"(tests/)?events/.*",
    "boost/beast": r"connectors/.*|apps/http_client\.cpp|bench/.*|tests/(connectors|apps)/.*",
    "boost/asio": r"connectors/.*|apps/.*|bench/.*|tests/(connectors|apps)/.*",
    "rhonabwy": r"connectors/jose\.h",
    "prometheus/": r"connectors/.*|apps/.*",
    "CLI/": r"apps/.*|bench/.*|tests/simulation/main\.cpp",
    "toml++/": r"apps/.*",
    "librdkafka/": r"connectors/kafka/.*|bench/kafka_alone\.cpp|tests/connectors/.*",
}


def layer_of(path):
    return path.split("/", 1)[0]


def connector_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "connectors" and len(parts) > 2 else None


def faults_of_own(path, target):
    """Rules about including one of our own headers."""
    source, aim = layer_of(path), layer_of(target)
    if aim not in LAYERS + OUTSIDE:
        if not target.endswith(".capnp.h"):
            yield f'"{target}" is not root-relative'
        return
    if source in LAYERS:
        if aim in OUTSIDE:
            yield f"{source} includes {aim}"
        elif LAYERS.index(aim) > LAYERS.index(source):
            yield f"arrow points outward: {source} -> {aim}"
    if source in LAYERS and connector_of(path) and connector_of(target):
        if connector_of(path) != connector_of(target):
            yield f"connectors/{connector_of(path)} includes connectors/{connector_of(target)}"


def faults(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if BARE_PROPERTY.search(line) and path != "tests/support/property.h":
            yield f"{path}:{number}: a property is checked with CHECK_PROPERTY"
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match[2]
        if match[1] == '"':
            for fault in faults_of_own(path, target):
                yield f"{path}:{number}: {fault}"
        for prefix, allowed in RESERVED.items():
            if target.startswith(prefix) and not re.fullmatch(allowed, path):
                yield f"{path}:{number}: <{target}> is only for {allowed}"
        if path.endswith(".h") and path.startswith("core/") and target.startswith("boost/"):
            if not target.startswith(("boost/system/", "boost/assert/")):
                yield f"{path}:{number}: core knows no <{target}>"
    if path.endswith(".h") and "#pragma once" not in text:
        yield f"{path}: no #pragma once"


# Lines that must be found, so that a rule that has gone blind fails this script.
SELF_TEST = [
    ("core/a.cpp", '#include "events/codec.h"'),
    ("events/a.cpp", '#include "projections/store.h"'),
    ("projections/a.cpp", '#include "connectors/http/server.h"'),
    ("connectors/http/a.cpp", '#include "connectors/upstream/partnero.h"'),
    ("connectors/http/a.cpp", '#include "apps/host.h"'),
    ("apps/a.cpp", '#include "tests/support/catch.h"'),
    ("connectors/http/a.cpp", '#include "server.h"'),
    ("projections/inboxes.cpp", "#include <rocksdb/db.h>"),
    ("tests/core/money_test.cpp", "#include <catch2/catch.hpp>"),
    ("tests/core/money_test.cpp", "#include <rapidcheck.h>"),
    ("tests/support/generators.h", "#include <rapidcheck/gen/Numeric.h>"),
    ("tests/core/money_test.cpp", "    rc::check([] {"),
    ("tests/core/money_test.cpp", "    CHECK(rc::check([] {"),
]


def main():
    for path, line in SELF_TEST:
        if not list(faults(path, line)):
            print(f"check_includes: blind to {line} in {path}")
            return 1
    found, files = [], 0
    for layer in LAYERS + OUTSIDE:
        for file in sorted((ROOT / layer).rglob("*")):
            if file.suffix in (".h", ".cpp") and file.is_file():
                files += 1
                found += faults(file.relative_to(ROOT).as_posix(), file.read_text())
    print("\n".join(found + [f"includes: {files} files, {len(found)} faults"]))
    return 1 if found or not files else 0


sys.exit(main())
