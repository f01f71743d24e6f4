"""What names an interpreter, for a connection and for a call."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Dict, Iterator

import pytest
from manager import Gone, Manager

from lazycluster_agent.base.errors import Failure
from lazycluster_agent.functions.interpreters import activated, find

SOURCE = """
import os, sys
def f():
    names = ["VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONHOME", "MPLBACKEND"]
    return {"prefix": sys.prefix, "path": os.environ["PATH"].split(":")[0],
            **{name: os.environ.get(name) for name in names}}
"""


@pytest.fixture
def home(python: str, tmp_path: Path) -> Iterator[Path]:
    """A home directory with environments of all kinds; they are virtual ones, whatever they pretend to be."""

    def environment(name: str) -> Path:
        folder = tmp_path / name
        if name != "venv":
            shutil.copytree(str(tmp_path / "venv"), str(folder), symlinks=True)
        else:
            assert os.spawnl(os.P_WAIT, python, python, "-m", "venv", "--without-pip", str(folder)) == 0
        return folder

    environment("venv")
    environment(".venv")
    for name in ("miniconda3/envs/science", "elsewhere/listed"):
        folder = environment(name)
        (folder / "conda-meta").mkdir()
        (folder / "pyvenv.cfg").unlink()
    for version in ("3.99.2", "3.99.10", "mine"):
        environment(".pyenv/versions/" + version)
    (tmp_path / ".conda").mkdir()
    (tmp_path / ".conda/environments.txt").write_text("/no/such\n%s\n" % (tmp_path / "elsewhere/listed"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("")
    yield tmp_path
    shutil.rmtree(str(tmp_path), ignore_errors=True)


def environment(home: Path) -> Dict[bytes, bytes]:
    return {b"HOME": os.fsencode(home), b"PATH": b"/usr/bin:/bin"}


NAMES = {
    "venv": "venv",
    ".venv": ".venv",
    "~/venv": "venv",
    "./venv/bin/python3": "venv",
    "venv/": "venv",
    "science": "miniconda3/envs/science",
    "listed": "elsewhere/listed",
    "mine": ".pyenv/versions/mine",
    "3.99.2": ".pyenv/versions/3.99.2",
}


def test_names_of_interpreters(python: str, home: Path) -> None:
    cwd = os.fsencode(home)
    for name, folder in {**NAMES, "3.99": ".pyenv/versions/3.99.10"}.items():
        found = find(name, cwd, cwd, environment(home))
        assert os.path.normpath(os.fsdecode(found)) == str(home / folder / "bin/python3"), name
        # A connection finds the same (and of several pyenv versions any).
        with Manager(name, before="cd %s; " % home, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}) as own:
            executable = os.path.normpath(str(own.hello["executable"]))
            assert executable.startswith(str(home / folder)[:-2]), (name, executable)
    assert os.path.dirname(find("sh", cwd, cwd, environment(home))) in (b"/usr/bin", b"/bin")
    for name in ("nothing", "empty", "text", "./text", "/no/such", "", "a\0b", "3.98"):
        with pytest.raises(Failure, match="no interpreter"):
            find(name, cwd, cwd, environment(home))
        if name and "\0" not in name:
            with pytest.raises(Gone, match="no interpreter"):
                Manager(name, before="cd %s; " % home, env={"HOME": str(home), "PATH": "/usr/bin:/bin"})


def test_an_environment_is_activated(shared: Manager, home: Path) -> None:
    value = shared.call(SOURCE, python="venv", cwd=str(home), env={"X": "1"}).value
    venv = str(home / "venv")
    assert value == {
        "prefix": venv,
        "path": venv + "/bin",
        "VIRTUAL_ENV": venv,
        "CONDA_PREFIX": None,
        "CONDA_DEFAULT_ENV": None,
        "PYTHONHOME": None,
        "MPLBACKEND": "Agg",
    }
    # What the user sets comes last.
    value = shared.call(SOURCE, python="venv", cwd=str(home), env={"PATH": "/bin", "MPLBACKEND": "x"}).value
    assert (value["path"], value["MPLBACKEND"]) == ("/bin", "x")
    with Manager(str(home / ".venv")) as own:
        assert own.call(SOURCE).value["VIRTUAL_ENV"] == str(home / ".venv")
        assert own.cell("import os; os.environ['VIRTUAL_ENV']").value["value"] == str(home / ".venv")


def test_variables_of_an_environment(home: Path) -> None:
    before = {b"PATH": b"/a:/b", b"PYTHONHOME": b"/p", b"MPLBACKEND": b"module://inline"}
    conda = os.fsencode(home / "miniconda3/envs/science")
    assert activated(conda + b"/bin/python3", before) == {
        b"PATH": conda + b"/bin:/a:/b",
        b"CONDA_PREFIX": conda,
        b"CONDA_DEFAULT_ENV": b"science",
        b"MPLBACKEND": b"Agg",
    }
    assert activated(b"/usr/bin/python3", before) == {**before, b"MPLBACKEND": b"Agg"}
    assert activated(b"/usr/bin/python3", {b"MPLBACKEND": b"svg"}) == {b"MPLBACKEND": b"svg"}


def test_a_shell_with_odd_names(python: str, tmp_path: Path) -> None:
    folder = tmp_path / "a b'c\"$(d)"
    assert os.spawnl(os.P_WAIT, python, python, "-m", "venv", "--without-pip", str(folder)) == 0
    with Manager(str(folder)) as own:
        assert str(own.hello["executable"]).startswith(str(folder))
        assert own.call("import sys\ndef f(): return sys.prefix").value == str(folder)
