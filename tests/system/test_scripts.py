"""scripts/install-packages where nothing can be installed; scripts/kafka started several at once."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tidings import ROOT

NOBODY = "65534"
TOOLS = ["bash", "comm", "dirname", "dpkg-query", "env", "grep", "id", "sed", "sort"]  # no sudo
ABSENT = "tidings-no-such-package"


@pytest.fixture
def copy():
    """The script in a directory that any user may read, and a PATH without sudo."""
    root = Path(tempfile.mkdtemp(prefix="tidings-scripts-"))
    root.chmod(0o755)
    (root / "bin").mkdir()
    for tool in TOOLS:
        (root / "bin" / tool).symlink_to(shutil.which(tool))
    (root / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/install-packages", root / "scripts")
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755)
    yield root
    shutil.rmtree(root)


def install(copy, *packages):
    """Runs the script without rights on a list of these packages."""
    listed = copy / "list.txt"
    listed.write_text("# what is needed\n\n" + "".join(f"{p}  # why\n" for p in packages))
    listed.chmod(0o644)
    command = [str(copy / "scripts/install-packages"), str(listed)]
    if os.geteuid() == 0:
        command = [shutil.which("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}",
                   "--clear-groups", *command]
    return subprocess.run(command, env={"PATH": str(copy / "bin")}, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)


def test_nothing_missing_needs_no_rights(copy):
    result = install(copy, "bash", "coreutils")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_without_rights_the_missing_packages_are_named(copy):
    result = install(copy, "bash", ABSENT, "coreutils", ABSENT + "-2")
    assert result.returncode == 1
    assert ABSENT in result.stderr and ABSENT + "-2" in result.stderr
    assert "bash" not in result.stderr and "no sudo" in result.stderr


def test_another_system_is_told_what_to_look_at(copy):
    (copy / "bin/dpkg-query").unlink()
    result = install(copy, "bash")
    assert result.returncode == 1
    assert "not a Debian system" in result.stderr and "list.txt" in result.stderr


def test_kafka_is_fetched_once_by_several_that_start_at_once(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in ("kafka", "kafka-pom.xml", "kafka-packages.txt", "install-packages"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    command = [str(tmp_path / "scripts/kafka"), "install"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for _ in range(3)]
    ended = [(*one.communicate(timeout=300), one.returncode) for one in started]
    assert [code for _, _, code in ended] == [0, 0, 0], ended
    assert sum("fetching" in errors for _, errors, _ in ended) == 1
    jars = {jar.name for jar in (tmp_path / ".kafka/lib").glob("*.jar")}
    assert any(jar.startswith("kafka-server-4.1") for jar in jars), jars
