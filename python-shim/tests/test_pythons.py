"""Which Pythons the agent is tested under; what is left out is named here, once."""

from __future__ import annotations

import pytest
from conftest import GIVEN, OLD_PYTHONS, OLD_VERSIONS, PYTHONS, chosen
from manager import Manager


@pytest.mark.parametrize("version", chosen())
def test_the_agent_runs_under(version: str) -> None:
    reason = chosen()[version]
    if reason:
        pytest.skip(reason)
    with Manager(PYTHONS[version]) as manager:
        assert str(manager.hello["python"]).startswith(version + ".")


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_the_agent_runs_under_an_old(version: str) -> None:
    if version not in OLD_PYTHONS:
        pytest.skip("no Python %s %s" % (version, "here" if GIVEN in ("", "all") else "was given"))
    with Manager(OLD_PYTHONS[version]) as manager:
        assert str(manager.hello["python"]).startswith(version + ".")
