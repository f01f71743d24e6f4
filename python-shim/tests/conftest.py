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

MINORS = range(8, 15)


def find_pythons() -> Dict[str, str]:
    """Path by version."""
    given = os.environ.get("LAZYCLUSTER_PYTHONS")
    candidates: List[str] = []
    if given:
        candidates = given.split(":")
    else:
        for minor in MINORS:
            candidates += [path for path in [shutil.which("python3.%d" % minor)] if path]
        versions = Path.home() / ".pyenv" / "versions"
        candidates += sorted(str(path) for path in versions.glob("3.*/bin/python3"))
        candidates.append(sys.executable)
    found: Dict[str, str] = {}
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    for path in candidates:
        done = subprocess.run([path, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode == 0:
            found.setdefault(done.stdout.strip(), path)
    return found


PYTHONS = find_pythons()


def every_python() -> List[object]:
    versions = ["3.%d" % minor for minor in MINORS]
    if os.environ.get("LAZYCLUSTER_PYTHONS"):
        versions = list(PYTHONS)
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
