"""The Pythons under which the agent is tested: `LAZYCLUSTER_PYTHONS` (paths, separated by colons), else those found."""

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


def find_pythons() -> Dict[str, str]:
    """Path by version."""
    given = os.environ.get("LAZYCLUSTER_PYTHONS")
    candidates: List[str] = []
    if given:
        candidates = given.split(":")
    else:
        candidates += filter(None, (shutil.which("python" + version) for version in VERSIONS))
        versions = Path.home() / ".pyenv" / "versions"
        candidates += sorted(str(path) for path in versions.glob("3.*/bin/python3"))
        candidates.append(sys.executable)
    found: Dict[str, str] = {}
    # The interpreter itself, for a version manager's stand-in does not work under another name.
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for path in candidates:
        done = subprocess.run([path, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode == 0:
            version, _, executable = done.stdout.strip().partition(" ")
            if version in VERSIONS:
                found.setdefault(version, executable)
    return found


PYTHONS = find_pythons()


def every_python() -> List[object]:
    versions = list(PYTHONS) if os.environ.get("LAZYCLUSTER_PYTHONS") else VERSIONS
    return [
        pytest.param(version, marks=[] if version in PYTHONS else pytest.mark.skip("no Python %s here" % version))
        for version in versions
    ]


@pytest.fixture(scope="module", params=every_python())
def python(request: pytest.FixtureRequest) -> str:
    return PYTHONS[request.param]


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
