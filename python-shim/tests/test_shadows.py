"""The user's modules may have names of the standard library's: theirs finds them, ours never does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from manager import Manager

from lazycluster_agent.base.shadows import Shadows

#: Of what the agent and the fork server import, and what those import.
NAMES = """
struct select socket traceback enum types functools operator keyword collections contextlib copyreg
linecache tokenize token pickle zlib marshal signal threading warnings weakref re resource fcntl pwd
tempfile shutil json hashlib datetime base64 ast dis inspect typing dataclasses array random math
""".split()  # noqa: SIM905


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of modules, and a package, that cannot be imported."""
    for name in NAMES:
        (tmp_path / (name + ".py")).write_text("raise RuntimeError('the %s of the user')" % name)
    (tmp_path / "logging").mkdir()
    (tmp_path / "logging" / "__init__.py").write_text("raise RuntimeError('logging')")
    return tmp_path


@pytest.fixture
def shadowed(python: str, folder: Path) -> Manager:
    """Without those that this Python itself needs to start: with them the user has none."""
    env = {**os.environ, "PYTHONPATH": str(folder)}
    while True:
        done = subprocess.run([python, "-c", "pass"], env=env, stderr=subprocess.PIPE, check=False, text=True)
        if done.returncode == 0:
            return Manager(python, env=env)
        (folder / (done.stderr.rpartition("Error: the ")[2].split()[0] + ".py")).unlink()


def test_the_agent_and_its_functions(shadowed: Manager, folder: Path, tmp_path: Path) -> None:
    with shadowed as manager:
        assert manager.run("echo 1").out == b"1\n"
        assert manager.do("facts", path=b"")["op"] == "done"
        assert manager.do("mkdir", path=str(tmp_path / "made"), cwd="~")["op"] == "done"
        assert manager.call("def f(x): return x + 1", 1).value == 2
        assert manager.session_call("def f(x): return x + 1", 1).value == 2
        assert manager.cell("x = 6 * 7; x").value["value"] == 42
        raised = manager.call("def f(): return 1 / 0").last["raised"]
        assert raised["type"] == "ZeroDivisionError" and "return 1 / 0" in raised["traceback"]
        # Theirs are what they find.
        for name in ("struct", "select", "logging", "enum"):
            last = manager.call("def f(): import %s" % name).last
            assert last["raised"]["type"] == "RuntimeError" and name in last["raised"]["message"]


def test_handles_and_displays(shadowed: Manager) -> None:
    with shadowed as manager:
        handle = manager.call("def f(): return lambda x: x + 1").value.content
        fn = {"kind": "pickle", "handle": 0}
        assert manager.call("", 2, fn=fn, handles=[handle["path"]]).value == 3
        shows = "class Shown:\n    def _repr_svg_(self): return '<svg/>'\ndef f(): return Shown()"
        assert manager.call(shows).value.content["mime"] == {"image/svg+xml": "<svg/>"}


def test_a_module_that_works_is_the_users(python: str, tmp_path: Path) -> None:
    (tmp_path / "struct.py").write_text("answer = 42")
    (tmp_path / "own.py").write_text("import struct\nanswer = struct.answer")
    source = (
        "import own, struct, sys\n"
        "def f(): return [own.answer, struct.answer, sys.path[1], 'pickle' in sys.modules]"
    )
    with Manager(python) as manager:
        for _ in range(3):
            assert manager.call(source, env={"PYTHONPATH": str(tmp_path)}).value == [
                42,
                42,
                str(tmp_path),
                False,
            ]
            assert manager.call("import struct\ndef f(): return struct.calcsize('i')").value == 4


def test_only_what_stands_before_the_library_counts(tmp_path: Path) -> None:
    import sys

    for folder in ("before", "behind"):
        (tmp_path / folder).mkdir()
        for name in ("struct", "zlib", "os", "time", "mine"):
            (tmp_path / folder / (name + ".py")).write_text("")
    path = [folder for folder in sys.path if "lib" in folder]
    modules, before = dict(sys.modules), sys.path[:]
    assert Shadows([*path, str(tmp_path / "behind")]).names == set()
    assert sys.modules == modules
    shadows = Shadows(["", str(tmp_path / "before"), *path])
    # Built-in modules are found before any file.
    assert "struct" in shadows.names and not shadows.names & {"time", "mine"}
    sys.modules.update(modules)
    sys.path[:] = before
