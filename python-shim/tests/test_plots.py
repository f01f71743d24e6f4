"""Figures of matplotlib, under the first Python found that has it."""

from __future__ import annotations

import os
import subprocess
from typing import Iterator, Optional

import pytest
from conftest import PYTHONS
from manager import Manager

from lazycluster_agent.values.codes import EXT_DISPLAY, Special

#: Another one may be named, for few test environments have matplotlib.
GIVEN = os.environ.get("LAZYCLUSTER_PLOT_PYTHON")


def find_python() -> Optional[str]:
    for path in [GIVEN] if GIVEN else PYTHONS.values():
        if not subprocess.call([path, "-c", "import matplotlib"], stderr=subprocess.DEVNULL):
            return path
    return None


@pytest.fixture(scope="module")
def plotting() -> Iterator[Manager]:
    path = find_python()
    if path is None:
        pytest.skip("no Python here has matplotlib; LAZYCLUSTER_PLOT_PYTHON names one")
    with Manager(path) as manager:
        yield manager


def is_figure(special: object) -> bool:
    return (
        isinstance(special, Special)
        and special.kind == EXT_DISPLAY
        and special.content["type"] == "matplotlib.figure.Figure"
        and special.content["mime"]["image/png"].startswith(b"\x89PNG")
    )


def test_a_function_that_gives_a_figure(plotting: Manager) -> None:
    source = "import matplotlib.pyplot as plt\ndef f():\n  plt.plot([1, 2])\n  return plt.gcf()"
    assert is_figure(plotting.call(source).value)


def test_the_figures_of_a_cell(plotting: Manager) -> None:
    result = plotting.cell(
        "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.figure()\nplt.show()", cwd="/"
    )
    assert [is_figure(item) for item in result.value["displays"]] == [True, True]
    assert result.err == b""
    # They were closed, and a figure that is the value comes once.
    result = plotting.cell("fig, axes = plt.subplots()\nfig")
    assert is_figure(result.value["value"]) and result.value["displays"] == []
    result = plotting.cell("plt.plot([1])\n1/0")
    assert result.last["raised"]["type"] == "ZeroDivisionError"
    assert [is_figure(item) for item in result.value["displays"]] == [True]
    assert plotting.cell("plt.get_fignums()").value == {"value": [], "displays": []}
