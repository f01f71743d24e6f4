"""The Pythons under which the agent is tested.

`LAZYCLUSTER_PYTHONS` may be paths, separated by colons, or `all`. Without it the oldest and the newest that
are found and the one that runs the tests stand for the rest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from manager import Manager

VERSIONS = ["3.%d" % minor for minor in range(8, 15)]
#: For hosts with these there are neither pickles nor arrays, so only these files are for them, without the
#: tests that are marked `newer`.
OLD_VERSIONS = ["3.6", "3.7"]
FOR_OLD = ["test_call", "test_connection", "test_detached", "test_facts", "test_relay", "test_run"]
FOR_OLD += ["test_servers", "test_session_chaos", "test_sessions", "test_trees"]
GIVEN = os.environ.get("LAZYCLUSTER_PYTHONS", "")


def find_pythons(wanted: List[str]) -> Dict[str, str]:
    """Path by version."""
    candidates = [] if GIVEN in ("", "all") else GIVEN.split(":")
    if not candidates:
        candidates += filter(None, (shutil.which("python" + version) for version in wanted))
        versions = Path.home() / ".pyenv" / "versions"
        candidates += sorted(str(path) for path in versions.glob("3.*/bin/python3"))
        candidates.append(sys.executable)
    found: Dict[str, str] = {}
    # The interpreter itself, for a version manager's stand-in does not work under another name.
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for path in candidates:
        done = subprocess.run(
            [path, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if done.returncode == 0:
            version, _, executable = done.stdout.strip().partition(" ")
            if version in wanted:
                found.setdefault(version, executable)
    return found


PYTHONS = find_pythons(VERSIONS)
OLD_PYTHONS = find_pythons(OLD_VERSIONS)


def chosen() -> Dict[str, str]:
    """Why a version is left out, by version; empty for those that run."""
    ours = "%d.%d" % sys.version_info[:2]
    found = [version for version in VERSIONS if version in PYTHONS]
    reasons = {version: "" if version in found else "no Python %s here" % version for version in VERSIONS}
    if GIVEN not in ("", "all"):
        return dict.fromkeys(found, "")
    if not GIVEN:
        for version in found[1:-1]:
            if version != ours:
                reasons[version] = "only with LAZYCLUSTER_PYTHONS=all"
    return reasons


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "python" in metafunc.fixturenames:
        for_old = metafunc.module.__name__ in FOR_OLD and not metafunc.definition.get_closest_marker("newer")
        old = list(OLD_PYTHONS)[: None if GIVEN else 1] if for_old else []
        versions = [*old, *(version for version, reason in chosen().items() if not reason)]
        metafunc.parametrize("python", versions, indirect=True, scope="module")


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest) -> str:
    return {**PYTHONS, **OLD_PYTHONS}[request.param]


@pytest.fixture(scope="module")
def shared(python: str) -> Iterator[Manager]:
    """One connection for the tests that leave it as it was."""
    with Manager(python) as manager:
        yield manager


@pytest.fixture
def own(python: str) -> Iterator[Manager]:
    """A connection that the test may break."""
    with Manager(python) as manager:
        yield manager
