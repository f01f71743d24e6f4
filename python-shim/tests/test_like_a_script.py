"""A function finds what a script finds that the user starts with the same variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator

import pytest
from manager import Manager, processes_with, until

#: What each variable changes in an interpreter that starts with it.
SHOWS: Dict[str, Dict[str, str]] = {
    "time.strftime('%H', time.localtime(0)), time.tzname[0]": {"TZ": "Asia/Tokyo"},
    "sys.path[1]": {"PYTHONPATH": "/opt/no/such/folder"},
    "sys.path[1:3]": {"PYTHONPATH": "lib:/x/"},
    "hash('lazycluster')": {"PYTHONHASHSEED": "7"},
    "sys.flags.utf8_mode, sys.getfilesystemencoding()": {"PYTHONUTF8": "1"},
    "sys.flags.optimize, __debug__": {"PYTHONOPTIMIZE": "1"},
    "sys.warnoptions": {"PYTHONWARNINGS": "ignore"},
    "__import__('locale').getpreferredencoding()": {"LC_ALL": "C", "PYTHONUTF8": "0"},
    "__import__('site').getusersitepackages()": {"HOME": "/somewhere/else"},
    "b'\\0MALLOC_ARENA_MAX=3\\0' in open('/proc/self/environ', 'rb').read()": {"MALLOC_ARENA_MAX": "3"},
    "__import__('tracemalloc').is_tracing()": {"PYTHONTRACEMALLOC": "1"},
    "sys.flags.no_site, sys.flags.isolated, sys.flags.ignore_environment, sys.flags.utf8_mode": {},
    "__import__('subprocess')._args_from_interpreter_flags()": {},
    "sys.prefix, sys.exec_prefix, sys.base_prefix, sys.executable": {},
    "[int(__import__('signal').getsignal(n)) for n in (13, 25)]": {},
}
HEAD = "import sys, time\n"


def in_a_script(python: str, expression: str, cwd: Path, env: Dict[str, str]) -> str:
    code = "%sprint(%s)" % (HEAD, expression)
    environment = {**os.environ, "PWD": str(cwd), **env}
    return subprocess.run(
        [python, "-c", code], cwd=str(cwd), env=environment, stdout=subprocess.PIPE, check=True, text=True
    ).stdout.strip()


def in_a_function(manager: Manager, expression: str, **fields: object) -> str:
    return str(manager.call("%sdef f(): return str((%s))" % (HEAD, expression), **fields).value)


@pytest.mark.parametrize("expression", SHOWS)
def test_variables_of_the_call(shared: Manager, python: str, tmp_path: Path, expression: str) -> None:
    env = SHOWS[expression]
    usual = in_a_script(python, expression, tmp_path, {})
    expected = in_a_script(python, "str((%s))" % expression, tmp_path, env)
    fields = {"cwd": str(tmp_path), "env": env}
    for _ in range(2):
        assert in_a_function(shared, expression, **fields) == expected
        assert (
            shared.session_call(
                "%sdef f(): return str((%s))" % (HEAD, expression), session=expression, **fields
            ).value
            == expected
        )
    shared.end_session(expression)
    if env and "HASHSEED" not in str(env):
        assert expected != usual


@pytest.fixture(scope="module")
def login(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A connection whose login shell sets variables, a module's folder among them."""
    home = tmp_path_factory.mktemp("home")
    (home / "modules").mkdir()
    (home / "modules" / "of_the_login.py").write_text("answer = 42")
    lines = ["export TZ=Asia/Tokyo", "export PYTHONPATH=%s/modules" % home, "export LD_LIBRARY_PATH=/opt/lib"]
    (home / ".profile").write_text("\n".join(lines))
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "SHELL": "/bin/sh"}
    with Manager(python, env=env, login_env=True) as manager:
        yield manager


def test_variables_of_the_login(login: Manager) -> None:
    source = (
        "import of_the_login, os, time\n"
        "def f(): return [of_the_login.answer, time.localtime(0).tm_hour,"
        " b'LD_LIBRARY_PATH=/opt/lib' in open('/proc/self/environ', 'rb').read()]"
    )
    assert login.call(source).value == [42, 9, True]
    assert login.session_call(source).value == [42, 9, True]
    assert login.call(source, env={"TZ": "UTC"}).value == [42, 0, True]
    # They count nothing against what is imported ahead.
    there = "import sys\ndef f(): return 'json' in sys.modules"
    until(lambda: login.call("import json\ndef f(): pass").last and login.call(there).value)


def test_a_zone_that_a_later_call_of_a_session_sets(shared: Manager) -> None:
    source = "import time\ndef f(): return time.localtime(0).tm_hour"
    zones = {"Asia/Tokyo": 9, "UTC": 0, "America/Bogota": 19}
    for zone, hour in zones.items():
        assert shared.session_call(source, session="zones", env={"TZ": zone}).value == hour
    shared.end_session("zones")


def test_servers_of_many_variables_are_few(python: str) -> None:
    with Manager(python) as manager:
        for number in range(12):
            source = "import os\ndef f(): return os.getppid(), hash('x')"
            assert manager.call(source, env={"PYTHONHASHSEED": str(number)}).last["code"] == 0
        assert len(processes_with("LAZYCLUSTER_CONNECTION=")) >= 4
        children = Path("/proc/%d/task/%d/children" % (manager.pid, manager.pid))
        until(lambda: len(children.read_text().split()) <= 5)


PROGRAM = """
import concurrent.futures, math, multiprocessing, sys

def square(x):
    return x * x

def f(way):
    if way == "futures":
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            return list(pool.map(square, range(5)))
    if way == "process":
        queue = multiprocessing.get_context("spawn").SimpleQueue()
        process = multiprocessing.get_context("spawn").Process(target=put, args=(queue, 3))
        process.start()
        value = queue.get()
        process.join()
        return [value, process.exitcode]
    with multiprocessing.get_context(way).Pool(2) as pool:
        return [pool.map(square, range(5)), pool.map(math.sqrt, [4, 9]), pool.apply(where) == sys.prefix]

def put(queue, value):
    queue.put(value * factor)

def where():
    return sys.prefix
"""
WAYS = {
    "fork": [[0, 1, 4, 9, 16], [2, 3], True],
    "spawn": [[0, 1, 4, 9, 16], [2, 3], True],
    "forkserver": [[0, 1, 4, 9, 16], [2, 3], True],
    "futures": [0, 1, 4, 9, 16],
    "process": [21, 0],
}


@pytest.mark.parametrize("way", WAYS)
def test_processes_of_a_function(shared: Manager, way: str) -> None:
    tag = "test-%d/%s" % (os.getpid(), way)
    result = shared.call(PROGRAM, way, bind={"factor": 7}, tag=tag)
    assert (result.last["code"], result.err, result.value) == (0, b"", WAYS[way]), result.last
    until(lambda: not processes_with("LAZYCLUSTER_TAG=%s\0" % tag))


@pytest.fixture(scope="module", params=["named", "on PATH"])
def venv(
    request: pytest.FixtureRequest, python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Manager]:
    """A virtual environment with a module in a .pth file's folder: of the call, or as the host's python3."""
    folder = tmp_path_factory.mktemp("venv")
    assert os.spawnl(os.P_WAIT, python, python, "-m", "venv", "--without-pip", str(folder)) == 0
    (folder / "editable").mkdir()
    (folder / "editable" / "of_the_venv.py").write_text("def double(x): return 2 * x")
    site = next(folder.glob("lib/python3*/site-packages"))
    (site / "editable.pth").write_text("%s/editable\n" % folder)
    if request.param == "named":
        with Manager(python) as manager:
            manager.folder, manager.python = folder, str(folder)  # type: ignore[attr-defined]
            yield manager
    else:
        env = {**os.environ, "PATH": "%s/bin:%s" % (folder, os.environ["PATH"])}
        with Manager("python3", env=env) as manager:
            manager.folder, manager.python = folder, None  # type: ignore[attr-defined]
            yield manager


@pytest.mark.parametrize("way", ["spawn", "forkserver"])
def test_processes_in_a_virtual_environment(venv: Manager, way: str) -> None:
    source = (
        "import multiprocessing, sys, of_the_venv\n"
        "def where(x): import of_the_venv; return [sys.prefix, of_the_venv.double(x)]\n"
        "def f(way):\n"
        "    with multiprocessing.get_context(way).Pool(1) as pool: return pool.apply(where, (2,))"
    )
    result = venv.call(source, way, python=venv.python)  # type: ignore[attr-defined]
    assert (result.err, result.value) == (b"", [str(venv.folder), 4]), result.last  # type: ignore[attr-defined]


JOBLIB = """
import os
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.datasets import make_classification

def square(x):
    return x * x, os.getpid()

def f():
    values, pids = zip(*Parallel(n_jobs=2)(delayed(square)(x) for x in range(20)))
    x, y = make_classification(60, random_state=1)
    scores = cross_val_score(RandomForestClassifier(5, random_state=1), x, y, cv=2, n_jobs=2)
    return list(values), os.getpid() in pids, len(scores)
"""


def test_joblib_and_scikit_learn() -> None:
    if subprocess.call([sys.executable, "-c", "import joblib, sklearn"], stderr=subprocess.DEVNULL):
        pytest.skip("the Python that runs the tests has no joblib or no scikit-learn")
    tag = "test-%d/joblib" % os.getpid()
    with Manager(sys.executable) as manager:
        result = manager.call(JOBLIB, tag=tag)
        assert result.err == b""
        assert result.value == [[x * x for x in range(20)], False, 2]
        until(lambda: not processes_with("LAZYCLUSTER_TAG=%s\0" % tag))
