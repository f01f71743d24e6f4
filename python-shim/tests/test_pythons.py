"""Which Pythons the agent is tested under; what is left out is named here, once."""

from __future__ import annotations

import pytest
from conftest import PYTHONS, chosen
from manager import Manager


@pytest.mark.parametrize("version", chosen())
def test_the_agent_runs_under(version: str) -> None:
    reason = chosen()[version]
    if reason:
        pytest.skip(reason)
    with Manager(PYTHONS[version]) as manager:
        assert str(manager.hello["python"]).startswith(version + ".")
