#!/usr/bin/env python3
"""Files under 500 lines, nothing left open, no path of one machine, no tests or lines left out.

Function length is clang-tidy's (readability-function-size). Exit status 1 names every fault.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_LINES = 499
SOURCES = (".h", ".cpp", ".py", ".capnp", ".cmake")
# Written apart, so that this file does not find itself.
LEFT_OPEN = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
LEFT_OUT = re.compile(r"\[!may" r"fail\]|\[!should" r"fail\]|pytest\.mark\.x" r"fail")
MACHINE = re.compile(r"(?<![\w.])/(?:root|home/\w+)/")
CAPTURES = re.compile(r"\[=\]|\[=,")


def tracked():
    """Files that git tracks or would track."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.splitlines()]
    # A source archive without git: everything but what builds leave.
    skipped = {"build", "data", ".venv", ".git"}
    return [p for p in ROOT.rglob("*") if not skipped & set(p.relative_to(ROOT).parts)]


def faults(path, text):
    lines = text.splitlines()
    if path.endswith(SOURCES) and len(lines) > MOST_LINES:
        yield f"{path}: {len(lines)} lines; {MOST_LINES} at most"
    for number, line in enumerate(lines, 1):
        if LEFT_OPEN.search(line):
            yield f"{path}:{number}: left open: {line.strip()}"
        if LEFT_OUT.search(line):
            yield f"{path}:{number}: a check that may not check"
        if MACHINE.search(line):
            yield f"{path}:{number}: a path of one machine"
        if path.endswith((".h", ".cpp")) and CAPTURES.search(line):
            yield f"{path}:{number}: captures everything by value"


def main():
    found, files = [], 0
    for file in sorted(tracked()):
        path = file.relative_to(ROOT).as_posix()
        if not file.is_file() or not (file.suffix in SOURCES or path.startswith("scripts/")):
            continue
        files += 1
        found += faults(path, file.read_text(encoding="utf-8"))
    print("\n".join(found + [f"sizes: {files} files, {len(found)} faults"]))
    return 1 if found or not files else 0


sys.exit(main())
