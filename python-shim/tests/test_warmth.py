"""What functions have used is imported before the fork, and nobody can tell but by the time that it saves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest
from manager import Manager

THERE = "import sys\ndef f(): return 'numpy' in sys.modules"
USE = "import numpy\ndef f(): return 1"


@pytest.fixture(scope="module")
def warm() -> Iterator[Manager]:
    """A connection whose children have NumPy."""
    if subprocess.call([sys.executable, "-c", "import numpy"], stderr=subprocess.DEVNULL):
        pytest.skip("the Python that runs the tests has no NumPy")
    with Manager(sys.executable) as manager:
        assert manager.call(THERE).value is False
        # At the next call, though this function has run in a child that had none.
        assert manager.call(USE).value == 1
        assert manager.call(THERE).value is True
        yield manager


def test_random_numbers_are_new_in_every_call(warm: Manager) -> None:
    source = "import numpy\ndef f(): return float(numpy.random.random())"
    ids = [warm.start_call(source) for _ in range(40)]
    assert len({warm.finish(id).value for id in ids}) == 40
    warm.call("import numpy\ndef f(): numpy.random.seed(1)")
    first, second = (warm.call(source).value for _ in range(2))
    assert first != second and 0.417022004702574 not in (first, second)


@pytest.mark.parametrize(
    "change", ["seterr(all='raise')", "set_printoptions(precision=1)", "seterrcall(print)", "pi = 3"]
)
def test_what_a_function_sets_is_gone_after_it(warm: Manager, change: str) -> None:
    settings = "numpy.geterr(), numpy.get_printoptions(), numpy.geterrcall(), numpy.pi"
    source = "import numpy\ndef f(): return str([%s])" % settings
    before = warm.call(source).value
    for _ in range(3):
        assert warm.call("import numpy\ndef f(): numpy.%s" % change).last["op"] == "exit"
        assert warm.call(source).value == before


def test_who_sets_threads_gets_a_library_that_knows_it(warm: Manager) -> None:
    env = {"OMP_NUM_THREADS": b"1"}
    source = (
        "import sys\nthere = 'numpy' in sys.modules\nimport numpy, threadpoolctl\n"
        "def f(): return [there, [pool['num_threads'] for pool in threadpoolctl.threadpool_info()]]"
    )
    # Imported in the call, and then ahead of it, by a server that was started with the variable.
    assert warm.call(THERE, env=env).value is False
    assert warm.call(source, env=env).value == [False, [1]]
    assert warm.call(source, env=env).value == [True, [1]]
    assert warm.call(THERE).value is True


def test_a_module_in_the_working_directory_comes_first(warm: Manager, tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("answer = 42")
    source = "import numpy\ndef f(): return numpy.answer"
    for _ in range(3):
        assert warm.call(source, cwd=str(tmp_path)).value == 42
    assert warm.call(THERE).value is True


def test_it_computes_with_threads(warm: Manager) -> None:
    source = "import numpy\ndef f(n): a = numpy.eye(n); return float((a @ a).sum())"
    ids = [warm.start_call(source, 500) for _ in range(20)]
    assert [warm.finish(id).value for id in ids] == [500.0] * 20
