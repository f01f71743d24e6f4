from __future__ import annotations

import math
import os
import shutil
import time
from pathlib import Path
from typing import Any, Dict

import pytest
from conftest import PYTHONS
from manager import TAG, Manager, Result, alive, changed, until
from test_endurance import below

from lazycluster_agent.values.encode import encode_document
from lazycluster_agent.wire.msgpack import NotData

VALUES: Dict[str, Any] = {
    "nothing": None,
    "booleans": [True, False],
    "integers": [0, -1, 2**53, -(2**53), 2**63 - 1, -(2**63)],
    "large integers": [2**63, -(2**63) - 1, 10**5000, -(10**4000), 7**20000],
    "floats": [0.0, -0.5, 1e300, 3.0, math.inf, -math.inf],
    "text": ["", "a", "\u00fc\u20ac\U0001f600\0", "x" * 70_000],
    "bytes": [b"", b"\0\xff", bytes(range(256)) * 1000],
    "nested": {"a": [{"b": [[], {}]}], "": None},
    "long": list(range(70_000)),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_values_there_and_back(shared: Manager, value: Any) -> None:
    result = shared.call("def f(value): return value", value)
    assert result.last["raised"] is None
    assert result.value == value
    if isinstance(value, list):
        assert [type(item) for item in result.value] == [type(item) for item in value]


def test_kinds_of_data(shared: Manager) -> None:
    source = """
import collections, enum
class Number(enum.IntEnum):
    ONE = 1
Point = collections.namedtuple("Point", "x y")
def f():
    return {"tuple": (1, 2), "named": Point(3, 4), "enum": Number.ONE, "array": bytearray(b"x"),
            "view": memoryview(b"abcd")[::2], "ordered": collections.OrderedDict(a=1), "nan": float("nan")}
"""
    value = shared.call(source).value
    assert math.isnan(value.pop("nan"))
    assert value == {
        "tuple": [1, 2],
        "named": [3, 4],
        "enum": 1,
        "array": b"x",
        "view": b"ac",
        "ordered": {"a": 1},
    }


def test_arguments_and_bound_names(shared: Manager) -> None:
    source = "def f(a, *rest, key=None): return [a, list(rest), key, bound]"
    assert shared.call(source, 1, 2, kwargs={"key": 3}, bind={"bound": b"4"}).value == [1, [2], 3, b"4"]


def test_large_values(shared: Manager) -> None:
    data = os.urandom(20_000_000)
    assert shared.call("def f(data): return [data[::-1], data]", data).value == [data[::-1], data]


def test_importable_functions(shared: Manager, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Tools:\n    @staticmethod\n    def double(x): return 2 * x\n")
    fn = {"kind": "module", "module": "mine", "name": "Tools.double"}
    assert shared.call("", 21, fn=fn, cwd=str(tmp_path)).value == 42
    fn = {"kind": "module", "module": "os.path", "name": "basename"}
    assert shared.call("", "a/b", fn=fn).value == "b"


@pytest.mark.parametrize(
    ("fn", "text"),
    [
        ({"kind": "module", "module": "no_such_module", "name": "f"}, "no module no_such_module"),
        ({"kind": "module", "module": "os", "name": "no.such"}, "no function no.such"),
        ({"kind": "source", "source": "x = 1", "name": "f", "file": "cell.py", "bind": []}, "no function f"),
        (
            {"kind": "source", "source": "f = 1", "name": "f", "file": "cell.py", "bind": []},
            "cannot be called",
        ),
    ],
)
def test_a_function_that_is_not_there(shared: Manager, fn: Dict[str, Any], text: str) -> None:
    last = shared.call("", fn=fn).last
    assert (last["op"], last["kind"]) == ("error", "function")
    assert text in last["message"]


def test_source_that_does_not_compile(shared: Manager) -> None:
    last = shared.call("\n\ndef f(:\n  pass\n").last
    assert (last["op"], last["kind"]) == ("error", "function")
    assert last["raised"]["type"] == "SyntaxError"
    assert 'File "cell.py", line 3' in last["raised"]["traceback"]
    assert "def f(:" in last["raised"]["traceback"]
    assert "lazycluster" not in last["raised"]["traceback"]


def test_a_traceback_shows_the_users_lines(shared: Manager) -> None:
    source = "def inner(x):\n    return 1 / x  # here\n\ndef f(x):\n    return inner(x)\n"
    result = shared.call(source, 0)
    raised = result.last["raised"]
    assert (result.last["code"], raised["type"], raised["message"]) == (
        1,
        "ZeroDivisionError",
        "division by zero",
    )
    lines = [line.strip() for line in raised["traceback"].splitlines() if "^" not in line]
    assert lines == [
        "Traceback (most recent call last):",
        'File "cell.py", line 5, in f',
        "return inner(x)",
        'File "cell.py", line 2, in inner',
        "return 1 / x  # here",
        "ZeroDivisionError: division by zero",
    ]


def test_own_exceptions_and_chains(shared: Manager) -> None:
    source = (
        "class Mine(Exception): pass\ndef f():\n  try: 1/0\n  except Exception as e: raise Mine('why') from e"
    )
    raised = shared.call(source).last["raised"]
    assert (raised["type"], raised["message"]) == ("Mine", "why")
    assert "direct cause" in raised["traceback"] and "ZeroDivisionError" in raised["traceback"]
    assert (
        shared.call("import json\ndef f(): json.loads('{')").last["raised"]["type"]
        == "json.decoder.JSONDecodeError"
    )


def test_endless_texts_are_cut(shared: Manager) -> None:
    raised = shared.call("def f(): raise ValueError('x' * 10_000_000)").last["raised"]
    assert len(raised["message"]) <= 64 * 1024 and raised["message"].startswith("xxx")
    assert len(raised["traceback"]) <= 256 * 1024 and raised["traceback"].startswith("Traceback")
    raised = shared.call("class E(Exception):\n  def __str__(self): raise self\ndef f(): raise E").last[
        "raised"
    ]
    assert raised["type"] == "E"
    raised = shared.call("def f(): return f()").last["raised"]
    assert raised["type"] == "RecursionError"


def test_what_is_no_data(shared: Manager) -> None:
    raised = shared.call("def f(): return {'model': [object()]}", result="data").last["raised"]
    assert raised["type"] == "TypeError"
    assert (
        raised["message"].startswith('result["model"][0] is a object')
        or 'result["model"][0]' in raised["message"]
    )
    for expression, text in {
        "{1: {2j}}": "complex",
        "1j": "complex",
        "lambda: 1": "function",
        "'\\ud800'": "surrogates",
        "10**200_000": "digits",
    }.items():
        assert (
            text in shared.call("def f(): return [%s]" % expression, result="data").last["raised"]["message"]
        ), expression
    raised = shared.call("def f():\n  a = []\n  a.append(a)\n  return a", result="data").last["raised"]
    assert "nested" in raised["message"]
    raised = shared.call("def f(): return [0.5] * 2_000_000", result="data").last["raised"]
    assert "bytes" in raised["message"]


def test_output_comes_by_lines_while_it_runs(shared: Manager) -> None:
    source = """
import sys, time
def f():
    print('out \u20ac \\ud800')
    print('err', file=sys.stderr)
    time.sleep(60)
"""
    id = shared.start_call(source)
    shared.wait(lambda: shared.results[id].out and shared.results[id].err)
    result = shared.results[id]
    assert (result.out, result.err) == ("out \u20ac \\ud800\n".encode(), b"err\n")
    shared.cancel(id)
    assert shared.finish(id).last["why"] == "cancelled"


def test_output_is_complete_and_apart_from_frames(shared: Manager) -> None:
    source = """
import os, subprocess, sys
def f():
    sys.stdout.write("text ")
    sys.stdout.flush()
    os.write(1, b"raw " * 100_000)
    subprocess.run(["echo", "child"])
    os.system("echo shell >&2")
    for fd in range(3, 100):
        try: os.write(fd, b"garbage")
        except OSError: pass
    return sys.stdin.read()
"""
    result = shared.call(source)
    assert result.out.count(b"raw ") == 100_000 and result.out.endswith(b"child\n")
    assert result.err == b"shell\n"
    # It wrote into its own control channel, too: that must cost this call only.
    assert result.last["op"] in ("exit", "error")
    assert shared.run("echo on").out == b"on\n"


ENDINGS = {
    "import os\ndef f(): os._exit(5)": (5, None, None),
    "import sys\ndef f(): sys.exit(4)": (4, None, "SystemExit"),
    "import sys\ndef f(): sys.exit()": (0, None, "SystemExit"),
    "import sys\ndef f(): sys.exit('why')": (1, None, "SystemExit"),
    "import os\ndef f(): os.abort()": (None, "SIGABRT", None),
    "import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGSEGV)": (None, "SIGSEGV", None),
    "def f(): raise KeyboardInterrupt": (1, None, "KeyboardInterrupt"),
}


def test_arguments_that_are_broken(shared: Manager) -> None:
    for document in (b"", b"garbage", b"".join(encode_document([])), b"".join(encode_document({"args": 1}))):
        function = {"kind": "source", "source": "def f(): pass", "name": "f", "file": "cell.py", "bind": []}
        id = shared.start("call", fn=function, cwd="~", env={}, timeout=None, tag=TAG, python=None)
        shared.input(id, document, eof=True)
        last = shared.finish(id).last
        assert (last["op"], last["kind"]) == ("error", "transfer")


def test_a_function_that_is_too_long(shared: Manager) -> None:
    source = "def f(): pass\n" + "#" * 1024 * 1024
    with pytest.raises(NotData):
        shared.call(source)
    assert shared.call(source[: 1024 * 1000]).last["code"] == 0


@pytest.mark.parametrize("source", ENDINGS)
def test_other_ways_to_end(shared: Manager, source: str) -> None:
    result = shared.call(source)
    raised = result.last["raised"]
    assert (result.last["code"], result.last["sig"], raised and raised["type"]) == ENDINGS[source]
    assert 3 not in result.streams
    if "why" in source:
        assert result.err == b"why\n"


def test_functions_that_close_their_descriptors(shared: Manager) -> None:
    assert shared.call("import os\ndef f():\n  os.close(1); os.close(0); os.close(2)\n  return 1").value == 1
    assert shared.call("import sys\ndef f():\n  sys.stdout.close(); sys.stderr = None\n  return 2").value == 2
    result = shared.call("import os\ndef f():\n  os.closerange(3, 1000)\n  return 3")
    assert result.last["code"] == 1 and b"the result was lost" in result.err


OUT_OF_MEMORY = """
import resource
def f():
    size = int(open("/proc/self/statm").read().split()[0]) * 4096 + 100_000_000
    resource.setrlimit(resource.RLIMIT_AS, (size, -1))
    kept = []
    while True: kept.append(bytes(1_000_000))
"""


def test_functions_that_run_out_of_memory(shared: Manager) -> None:
    assert shared.call(OUT_OF_MEMORY).last["raised"]["type"] == "MemoryError"
    # What it had is freed, so a session goes on.
    assert shared.session_call(OUT_OF_MEMORY).last["raised"]["type"] == "MemoryError"
    assert shared.session_call("def f(): return 1").value == 1
    assert shared.end_session()["op"] == "done"


def test_functions_that_fork(shared: Manager) -> None:
    # Whichever process comes back, the function has one result, and the others end as scripts do.
    source = "import os\ndef f():\n  pid = os.fork()\n  if pid: os.waitpid(pid, 0)\n  return pid > 0"
    result = shared.call(source)
    assert (result.value, result.last["code"], result.err) == (True, 0, b"")
    source = "import os\ndef f():\n  if os.fork() == 0: raise ValueError\n  os.wait()\n  return 1"
    assert shared.call(source).value == 1


def test_async_functions(shared: Manager) -> None:
    assert shared.call("import asyncio\nasync def f(x):\n  await asyncio.sleep(0)\n  return x", 5).value == 5


def test_threads_and_exit_handlers_are_waited_for(shared: Manager) -> None:
    source = """
import atexit, threading, time
def later():
    time.sleep(0.1)
    print("thread")
def f():
    atexit.register(print, "exit")
    threading.Thread(target=later).start()
    return 1
"""
    result = shared.call(source)
    assert (result.value, result.out, result.last["code"]) == (1, b"thread\nexit\n", 0)


def test_the_place_of_a_function(shared: Manager, tmp_path: Path) -> None:
    source = """
import os, sys
def f():
    return {"cwd": os.getcwd(), "path": sys.path[0], "env": os.environ["A"],
            "tag": os.environ["LAZYCLUSTER_TAG"], "session": os.getsid(0) == os.getpid(),
            "name": __name__, "encoding": sys.stdout.encoding, "utf8": os.environ.get("PYTHONUTF8")}
"""
    value = shared.call(source, cwd=str(tmp_path), env={"A": "\u00fc"}).value
    assert value == {
        "cwd": str(tmp_path),
        "path": str(tmp_path),
        "env": "\u00fc",
        "tag": TAG + "/call",
        "session": True,
        "name": "__lazycluster__",
        "encoding": "utf-8",
        "utf8": None,
    }


def test_a_missing_working_directory(shared: Manager) -> None:
    last = shared.call("def f(): pass", cwd="/no/such/place").last
    assert (last["op"], last["kind"], last["errno"]) == ("error", "cwd", "ENOENT")


def test_site_packages_are_there(shared: Manager) -> None:
    value = shared.call("import sys, site\ndef f(): return [sys.path, site.getsitepackages()]").value
    assert any(path in value[0] for path in value[1])


def test_pickling_and_processes_of_its_own(shared: Manager) -> None:
    source = """
import multiprocessing, pickle
class Thing:
    pass
def square(x):
    return x * x
def f():
    assert isinstance(pickle.loads(pickle.dumps(Thing())), Thing)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(square, [1, 2, 3])
"""
    assert shared.call(source).value == [1, 4, 9]


def test_a_child_left_behind_holds_nobody_up(shared: Manager) -> None:
    source = "import os, time\ndef f():\n  if os.fork() == 0: time.sleep(60)\n  return 1"
    begin = time.monotonic()
    result = shared.call(source, tag=TAG + "-left/1")
    assert result.value == 1 and time.monotonic() - begin < 1
    assert shared.do("reap", tag=TAG + "-left")["op"] == "done"


def test_timeout_and_cancel(shared: Manager) -> None:
    # It sleeps on when its children were ended first, so that it is ended by the signal in any order.
    source = (
        "import subprocess, time\ndef f():\n"
        "  subprocess.run('sleep 60 & setsid sleep 60 & wait', shell=True)\n  time.sleep(60)"
    )
    last = shared.call(source, timeout=300).last
    assert (last["why"], last["sig"]) == ("timeout", "SIGTERM")
    source = (
        "import signal, time\ndef f():\n  signal.signal(15, signal.SIG_IGN)\n  print('up')\n  time.sleep(60)"
    )
    id = shared.start_call(source)
    shared.wait(lambda: shared.results[id].out)
    shared.cancel(id)
    last = shared.finish(id).last
    assert (last["why"], last["sig"]) == ("cancelled", "SIGKILL")


def test_cancel_before_it_runs(own: Manager) -> None:
    id = own.start_call("def f(): pass")
    own.cancel(id)
    last = own.finish(id).last
    assert last.get("why") == "cancelled" or last.get("kind") == "cancelled" or last.get("code") == 0
    assert own.call("def f(): return 1").value == 1


def test_many_calls_at_once(shared: Manager) -> None:
    ids = [shared.start_call("def f(x): return x", number) for number in range(30)]
    assert [shared.finish(id).value for id in ids] == list(range(30))


def test_a_killed_fork_server(own: Manager) -> None:
    assert own.call("def f(): return 1").value == 1
    id = own.start_call("import os\ndef f(): return os.getppid()")
    server = own.finish(id).value
    own.kill(server)
    until(lambda: not alive(server))

    def works() -> bool:
        last: Result = own.call("def f(): return 1")
        return bool(last.last["op"] == "exit")

    until(works)


def test_a_withheld_credit_holds_the_result_back(shared: Manager) -> None:
    id = next(shared.ids)
    shared.withheld[id + 1] = 0
    id = shared.start_call("def f(): return bytes(10_000_000)")
    shared.wait(lambda: shared.withheld[id] >= 1024 * 1024)
    shared.send({"op": "ping", "t": 1})
    shared.pongs.clear()
    shared.wait(lambda: shared.pongs)
    assert shared.withheld[id] < 2 * 1024 * 1024 and not shared.results[id].last
    shared.pay(id)
    assert shared.finish(id).value == bytes(10_000_000)


def test_another_interpreter(shared: Manager) -> None:
    for version, path in PYTHONS.items():
        source = "import sys\ndef f(): return '%d.%d' % sys.version_info[:2]"
        assert shared.call(source, python=path).value == version
        assert shared.call(source, python=path).value == version


def test_an_interpreter_that_cannot_be_used(shared: Manager, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    for python in ("no-such-python", "/no/such/python", str(tmp_path / "text"), "false", "./text"):
        last = shared.call("def f(): pass", python=python, cwd=str(tmp_path)).last
        assert (last["op"], last["kind"]) == ("error", "python"), last
        assert last["message"].endswith(("name another one.", "Name another one.", "executed."))
    last = shared.call("def f(): pass", python="cat").last
    assert (last["op"], last["kind"]) == ("error", "python"), last


def test_a_virtual_environment(shared: Manager, python: str, tmp_path: Path) -> None:
    done = os.spawnl(os.P_WAIT, python, python, "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    assert done == 0
    source = "import sys\ndef f(): return [sys.prefix, [p for p in sys.path if 'site-packages' in p]]"
    prefix, packages = shared.call(source, python="venv/bin/python", cwd=str(tmp_path)).value
    assert prefix == str(tmp_path / "venv") and packages[0].startswith(prefix)
    shutil.rmtree(tmp_path / "venv")


def test_arguments_that_do_not_fit_into_memory(python: str) -> None:
    with Manager(python, before="ulimit -v 400000;") as manager:
        last = manager.call("def f(x): return len(x)", bytes(450_000_000)).last
        assert (last["op"], last["kind"]) == ("error", "limit")
        assert "arguments do not fit" in last["message"]
        assert manager.session_call("def f(): global kept; kept = 1").last["code"] == 0
        last = manager.session_call("def f(x): return len(x)", bytes(450_000_000)).last
        assert (last["op"], last["kind"]) == ("error", "limit")
        # The session lives on.
        assert manager.session_call("def f(): return kept").value == 1


def test_a_child_that_cannot_begin_ends(python: str) -> None:
    text = changed("child/worker", "signals.become_function_child()", "raise OSError(5)")
    with Manager(python, text=text) as manager:
        for _ in range(3):
            assert manager.call("def f(): return 1").last["code"] == 1
        # The agent and one fork server: no child has become another one.
        until(lambda: len(below(manager)) == 2)
