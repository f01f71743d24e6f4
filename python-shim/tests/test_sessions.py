from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from manager import LONG, TAG, Manager, Result, alive, sleepers, until


@pytest.fixture
def session(shared: Manager) -> Iterator[Manager]:
    """A connection on which the session `a` is new."""
    yield shared
    assert shared.end_session()["op"] == "done"
    assert not shared.finish(shared.start_run("true")).last["code"]


def value(result: Result) -> Any:
    assert result.last["op"] == "exit" and result.last["raised"] is None, result.last
    return result.value["value"]


def is_old(manager: Manager) -> bool:
    """Whether it has no pickles."""
    return str(manager.hello["python"]).startswith(("3.6.", "3.7."))


def raised(result: Result) -> Dict[str, Any]:
    assert result.last["op"] == "exit", result.last
    return dict(result.last["raised"])


def test_variables_persist(session: Manager) -> None:
    assert value(session.cell("import os\nx = [1]\nos.environ['A'] = 'b'")) is None
    assert value(session.cell("x.append(2); x")) == [1, 2]
    assert session.session_call("def f(n): x.append(n); return [x, os.environ['A']]", 3).value == [
        [1, 2, 3],
        "b",
    ]
    assert value(session.cell("f.__module__, __name__, x")) == ["__main__", "__main__", [1, 2, 3]]
    assert "NameError" in raised(session.cell("x", session="b"))["type"]
    assert session.end_session("b")["op"] == "done"


def test_the_value_of_a_cell(session: Manager) -> None:
    assert value(session.cell("1\n2")) == 2
    assert value(session.cell("y = 5")) is None
    assert value(session.cell("y;")) is None
    assert value(session.cell("for i in range(3): i")) is None
    assert value(session.cell("")) is None
    assert value(session.cell("# nothing")) is None
    assert value(session.cell("class A:\n  pass\nA.__module__")) == "__main__"
    assert value(session.cell("if __name__ == '__main__':\n  z = 7\nz")) == 7


@pytest.mark.newer
def test_await_outside_of_functions(session: Manager) -> None:
    source = "import asyncio\nasync def g(x):\n  await asyncio.sleep(0)\n  return x\n"
    assert value(session.cell(source + "await g(1)")) == 1
    assert value(session.cell("lock = asyncio.Lock()\nasync with lock:\n  r = await g(2)\nr")) == 2
    # Objects of one call's event loop are of use in the next.
    assert value(session.cell("task = asyncio.ensure_future(g(3)) if await g(1) else 0")) is None
    assert value(session.cell("await task")) == 3
    assert session.session_call("async def f(): return await g(4)").value == 4
    assert value(session.cell("asyncio.run(g(5))")) == 5
    assert value(session.cell("await g(6)")) == 6
    id = session.start_cell("print('up')\nawait asyncio.sleep(60)")
    session.wait(lambda: session.results[id].out)
    assert session.interrupt()
    assert raised(session.finish(id))["type"] == "KeyboardInterrupt"
    assert value(session.cell("await g(7)")) == 7


def test_await_where_python_does_not_know_it_there(session: Manager) -> None:
    if not is_old(session):
        pytest.skip("this Python knows it")
    value(session.cell("async def g(x): return x"))
    result = session.cell("await g(1)")
    if result.last["op"] == "exit":
        assert raised(result)["message"].startswith("'await' outside function")
    else:
        assert result.last["kind"] == "function" and "Python 3.8" in result.last["message"]
    assert "3.8" not in session.cell("1 +").last["message"]
    assert session.session_call("async def f(): return await g(4)").value == 4


def test_tracebacks_show_the_lines_of_all_cells(session: Manager) -> None:
    session.cell("def inner(x):\n    return 1 / x  # here", file="<session a, cell 1>")
    error = raised(session.cell("a = 1\ninner(0)", file="<session a, cell 2>"))
    lines = [line.strip() for line in error["traceback"].splitlines() if not set(line) <= set(" ~^")]
    assert lines == [
        "Traceback (most recent call last):",
        'File "<session a, cell 2>", line 2, in <module>',
        "inner(0)",
        'File "<session a, cell 1>", line 2, in inner',
        "return 1 / x  # here",
        "ZeroDivisionError: division by zero",
    ]
    last = session.cell("a = [", file="<session a, cell 3>").last
    assert (last["op"], last["kind"], last["raised"]["type"]) == ("error", "function", "SyntaxError")
    assert 'File "<session a, cell 3>", line 1' in last["raised"]["traceback"]
    assert "lazycluster" not in last["raised"]["traceback"]


def test_input_is_at_its_end(session: Manager) -> None:
    assert raised(session.cell("input('name? ')"))["type"] == "EOFError"
    assert value(session.cell("import sys\nsys.stdin.read()")) == ""


SURVIVED = {
    "raises": "1/0",
    "exits": "import sys; sys.exit(3)",
    "quits": "exit()",
    "interrupts itself": "raise KeyboardInterrupt",
    "recurses": "def g(): g()\ng()",
    "memory": "x = bytearray(1 << 50)",
    "floods": "print('x' * 3_000_000)",
    "floods from below": "import os\nos.system('yes | head -c 3000000')",
    "closes stdout": "import os, sys\nos.close(1); os.close(2); os.close(0)",
    "closes streams": "import sys\nsys.stdout.close(); sys.stdin.close(); sys.stderr = None",
    "forks": "import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)",
    "forks and leaves": "import os, sys\npid = os.fork()\nif not pid: sys.exit(4)",
    "forks on a terminal": "import os, sys\np, _ = os.forkpty()\nif not p: sys.exit(4)\np = os.waitpid(p, 0)",
    "a pool": "import multiprocessing as m\nm.get_context('fork').Pool(2).map(abs, [1, -2])",
    "cannot be pickled": "import threading\nthreading.Lock()",
    "a bad repr": "class B:\n  def __repr__(self): 1/0\n  def __reduce__(self): raise ValueError('no')\nB()",
    "odd streams": "import sys\nsys.stdout = object()",
}


@pytest.mark.parametrize("source", SURVIVED.values(), ids=SURVIVED.keys())
def test_what_a_session_survives(session: Manager, source: str) -> None:
    value(session.cell("x = 1"))
    result = session.cell(source)
    would_be_a_handle = "Lock" in source or "class B" in source
    if would_be_a_handle and is_old(session):
        assert result.last["kind"] == "python" and "Python 3.8" in result.last["message"], result.last
    else:
        assert result.last["op"] == "exit" and result.last["code"] in (0, 1, 3), result.last
    if "floods" in source:
        assert len(result.out) >= 3_000_000
    if would_be_a_handle and not is_old(session):
        assert "cannot be pickled" in raised(result)["message"]
    if "1 << 50" in source:
        assert raised(result)["type"] == "MemoryError"
    result = session.cell(
        "import sys\nif type(sys.stdout) is object: sys.stdout = sys.__stdout__\nprint('on')\nx"
    )
    if source != SURVIVED["memory"]:
        assert value(result) == 1
    assert b"on\n" in result.out


@pytest.mark.parametrize("error", ["TimeoutError", "ValueError"])
def test_a_handler_that_raises_between_two_calls(session: Manager, tmp_path: Path, error: str) -> None:
    rung = tmp_path / "rung"
    value(
        session.cell(
            "import signal\n"
            "def alarm(number, frame):\n"
            "    open(%r, 'w').close()\n"
            "    raise %s('too late')\n"
            "signal.signal(signal.SIGALRM, alarm)\n"
            "x = 1" % (str(rung), error)
        )
    )
    for delay in (0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01):
        # It may ring in the call itself, which is then its own affair.
        session.cell("signal.setitimer(signal.ITIMER_REAL, %r)" % delay)
        until(rung.exists)
        rung.unlink()
    os.kill(value(session.cell("import os\nos.getpid()")), signal.SIGALRM)
    until(rung.exists)
    result = session.cell("y = x + 1\ny")
    assert value(result) == 2
    assert b"raised this between two calls" in result.err and b"%s: too late" % error.encode() in result.err
    assert value(session.cell("signal.getsignal(signal.SIGALRM) is alarm")) is True
    # Where it can be caught, it is still raised.
    waiting = "import time\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\ntime.sleep(100)"
    assert raised(session.cell(waiting))["type"] == error


GARBAGE = """
import os
for fd in range(3, 100):
    try: os.write(fd, b"garbage")
    except OSError: pass
"""
ENDED = {
    "import os\nos.kill(os.getpid(), 11)": "SIGSEGV",
    "import ctypes\nctypes.string_at(0)": "SIGSEGV",
    "import os\nos._exit(5)": "code 5",
    "import os\nos.abort()": "SIGABRT",
    "import os\nos.closerange(3, 1000)": "ended",
    GARBAGE: "control socket",
}


@pytest.mark.parametrize("source", ENDED)
def test_what_ends_a_session(shared: Manager, source: str) -> None:
    value(shared.cell("import os; x = 1"))
    pid = value(shared.cell("os.getpid()"))
    value(shared.cell("child = os.popen('exec sleep %s')" % LONG))
    first = shared.start_cell("print('last words', flush=True)\n" + source)
    second = shared.start_cell("x")
    result = shared.finish(first)
    assert (result.last["op"], result.last.get("kind")) == ("error", "session"), result.last
    assert ENDED[source] in result.last["message"] and "The session a ended" in result.last["message"]
    assert result.out.startswith(b"last words\n")
    # It was sent to the session that is no more.
    assert shared.finish(second).last["kind"] == "session"
    until(lambda: not alive(pid))
    assert not sleepers()
    assert raised(shared.cell("x"))["type"] == "NameError"
    assert shared.end_session()["op"] == "done"


def test_a_call_for_a_process_that_is_no_more(session: Manager) -> None:
    value(session.cell("x = 1"))
    first = session.process_of()
    # However long ago that process has died, and whatever runs by now.
    assert session.cell("import os; os._exit(7)").last["kind"] == "session"
    for _ in range(2):
        last = session.cell("x", process=first).last
        assert (last["op"], last["kind"]) == ("error", "session")
        assert "exit code 7" in last["message"]
        assert value(session.cell("y = 2\ny")) == 2
    # Who has seen more deaths than we know of wants a new one.
    session.processes["a"] = first + 8
    assert raised(session.cell("y"))["type"] == "NameError"
    assert session.cell("y", process=first + 1).last["kind"] == "session"
    assert value(session.cell("2")) == 2
    assert session.end_session()["op"] == "done"
    last = session.cell("y", process=first + 8).last
    assert last["kind"] == "session" and "it was ended" in last["message"]
    assert value(session.cell("2")) == 2


def test_an_interrupt_is_for_one_process(session: Manager) -> None:
    id = session.start_cell("import time\nprint('up', flush=True)\ntime.sleep(0.3)\n5")
    session.wait(lambda: session.results[id].out)
    fields = {"scope": TAG, "session": "a", "process": session.process_of() + 1}
    assert session.do("interrupt", **fields)["interrupted"] is False
    assert value(session.finish(id)) == 5


def test_a_session_that_dies_between_calls(session: Manager) -> None:
    pid = value(session.cell("import os; x = 1\nos.getpid()"))
    session.kill(pid)
    until(lambda: not alive(pid))
    results = [session.cell("1").last]
    # Its end may be seen a moment later than its death.
    if results[0]["op"] == "exit":
        results.append(session.cell("1").last)
    assert (results[-1]["op"], results[-1]["kind"]) == ("error", "session")
    assert "SIGKILL" in results[-1]["message"] and "anew" in results[-1]["message"]
    assert raised(session.cell("x"))["type"] == "NameError"


BUSY = {
    "a loop": "while True: pass",
    "sleep": "import time; time.sleep(100)",
    "a subprocess": "import subprocess; subprocess.run(['sleep', '100'])",
    "a lock": "import threading; l = threading.Lock(); l.acquire(); l.acquire()",
    "output": "while True: print('x' * 1000)",
}
#: Of objects that stay there, which hosts before Python 3.8 refuse.
BUSY_RESULTS = {
    "a repr": "class R:\n  def __repr__(self):\n    while True: pass\nR()",
    "pickling": "class P:\n  def __reduce__(self):\n    while True: pass\nP()",
}


@pytest.mark.newer
@pytest.mark.parametrize("source", BUSY_RESULTS.values(), ids=BUSY_RESULTS.keys())
def test_interrupt_of_a_result(session: Manager, source: str) -> None:
    test_interrupt(session, source)


@pytest.mark.parametrize("source", BUSY.values(), ids=BUSY.keys())
def test_interrupt(session: Manager, source: str) -> None:
    value(session.cell("x = 1"))
    id = session.start_cell("import sys; print('up', flush=True)\n" + source)
    session.wait(lambda: session.results[id].out)
    begin = time.monotonic()
    assert session.interrupt()
    result = session.finish(id)
    assert raised(result)["type"] == "KeyboardInterrupt" and result.last["why"] == "exit"
    # What pickles is ours, and may be where the interrupt hits.
    assert "__reduce__" in source or "lazycluster_agent" not in result.last["raised"]["traceback"]
    assert time.monotonic() - begin < 3
    assert value(session.cell("x")) == 1


def test_an_interrupt_reaches_what_the_shell_runs(session: Manager) -> None:
    id = session.start_cell("import os\nos.system('sleep %s')" % LONG)
    until(sleepers)
    assert session.interrupt()
    assert value(session.finish(id)) == 2


def test_an_interrupt_hits_the_call_that_it_was_meant_for(session: Manager) -> None:
    value(session.cell("n = 0"))
    for _ in range(30):
        # Sent together: the process may not even have read the call when the signal comes.
        id = session.start_cell("while True: pass")
        assert session.interrupt()
        assert raised(session.finish(id))["type"] == "KeyboardInterrupt"
    for count in range(1, 31):
        # And one that comes late must not hit the next call.
        id = session.start_cell("n += 1")
        session.start_interrupt()
        result = session.finish(id)
        assert value(session.cell("n")) <= count, result.last
    assert value(session.cell("'on'")) == "on"


def test_a_handler_that_a_call_sets_is_its_own(session: Manager) -> None:
    value(session.cell("import signal; signal.signal(signal.SIGINT, signal.SIG_DFL);"))
    id = session.start_cell("print('up')\nwhile True: pass")
    session.wait(lambda: session.results[id].out)
    assert session.interrupt()
    assert raised(session.finish(id))["type"] == "KeyboardInterrupt"


def test_an_interrupt_of_nothing(session: Manager) -> None:
    assert not session.interrupt()
    value(session.cell("x = 1"))
    assert not session.interrupt()
    assert value(session.cell("x")) == 1


def test_cancel(session: Manager) -> None:
    value(session.cell("x = 1"))
    id = session.start_cell("print('up')\nwhile True: pass")
    waiting = session.start_cell("x = 2")
    session.wait(lambda: session.results[id].out)
    session.cancel(waiting)
    assert session.finish(waiting).last["kind"] == "cancelled"
    session.cancel(id)
    last = session.finish(id).last
    assert (last["op"], last["why"], last.get("sessionLost")) == ("exit", "cancelled", None)
    assert value(session.cell("x")) == 1


def test_cancel_of_what_does_not_listen(session: Manager) -> None:
    value(session.cell("x = 1"))
    source = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up')\nwhile True: pass"
    id = session.start_cell(source)
    session.wait(lambda: session.results[id].out)
    waiting = session.start_cell("x")
    session.cancel(id)
    last = session.finish(id).last
    assert (last["op"], last["why"], last["sessionLost"]) == ("exit", "cancelled", True)
    assert session.finish(waiting).last["kind"] == "session"
    assert raised(session.cell("x"))["type"] == "NameError"


def test_cancel_before_the_arguments_are_there(session: Manager) -> None:
    value(session.cell("x = 1"))
    fn = {"kind": "value"}
    fields: Dict[str, Any] = {"cwd": "~", "env": {}, "timeout": None, "tag": TAG, "python": None}
    id = session.start("call", fn=fn, session="a", scope=TAG, process=session.process_of(), **fields)
    session.input(id, b"\0\0")
    session.started(id)
    session.cancel(id)
    assert session.finish(id).last["why"] == "cancelled"
    assert value(session.cell("x")) == 1


def test_cancel_while_the_result_comes(session: Manager) -> None:
    value(session.cell("x = 1"))
    session.withheld[next(session.ids) + 1] = 0
    id = session.start_cell("bytes(20_000_000)")
    session.wait(lambda: session.withheld[id] >= 1024 * 1024)
    session.cancel(id)
    assert session.finish(id).last["why"] == "cancelled"
    assert value(session.cell("x")) == 1


def test_timeout(session: Manager) -> None:
    value(session.cell("x = 1"))
    last = session.cell("while True: pass", timeout=200).last
    assert (last["why"], last["raised"]["type"]) == ("timeout", "KeyboardInterrupt")
    assert value(session.cell("x", timeout=10_000)) == 1


def test_calls_run_one_after_the_other(session: Manager) -> None:
    value(session.cell("seen = []"))
    ids = [
        session.start_cell("import time; seen.append(%d); time.sleep(0.001); seen[-1]" % n) for n in range(30)
    ]
    assert [value(session.finish(id)) for id in ids] == list(range(30))
    assert value(session.cell("seen")) == list(range(30))


def test_output_between_calls_belongs_to_the_next(session: Manager) -> None:
    source = """
import threading
go, gone = threading.Event(), threading.Event()
def later():
    go.wait()
    print("between")
    gone.set()
threading.Thread(target=later, daemon=True).start()
import os
out, back = os.popen("cat > /dev/null; echo background >&2", "w"), None
"""
    assert session.cell(source).out == b""
    first = session.cell("print('first')\nthreading.Timer(0.05, go.set).start()")
    assert first.out == b"first\n"
    result = session.cell("gone.wait()\nout.close()\nprint('second')")
    assert result.out == b"between\nsecond\n" and result.err == b"background\n"


def test_output_that_nobody_asks_for_is_bounded(session: Manager) -> None:
    source = "import subprocess\np = subprocess.Popen(['yes', 'x' * 50])"
    value(session.cell(source))
    state = Path("/proc/%d/statm" % session.pid)
    before = int(state.read_text().split()[1])
    for _ in range(20):
        assert session.run("true").last["code"] == 0
    assert (int(state.read_text().split()[1]) - before) * 4096 < 20_000_000
    result = session.cell("p.kill()")
    assert b"xxx" in result.out


def test_background_processes_live_until_the_session_ends(shared: Manager) -> None:
    source = "import subprocess\np = subprocess.Popen('setsid sleep %s & exec sleep %s', shell=True)\np.pid"
    pid = value(shared.cell(source % (LONG, LONG)))
    time.sleep(0.3)  # Longer than the output of an ended step is read.
    assert value(shared.cell("p.poll()")) is None and alive(pid)
    assert shared.end_session()["op"] == "done"
    assert not alive(pid) and not sleepers()


def test_exit_handlers_run_at_the_end(shared: Manager, tmp_path: Path) -> None:
    file = tmp_path / "ended"
    value(shared.cell("import atexit\natexit.register(open, %r, 'w')\n0" % str(file)))
    assert shared.end_session()["op"] == "done"
    assert file.exists()
    value(shared.cell("import threading, time\nthreading.Thread(target=time.sleep, args=(100,)).start()"))
    begin = time.monotonic()
    assert shared.end_session()["op"] == "done"
    assert time.monotonic() - begin < 5


def test_the_end_of_a_session_that_works(shared: Manager) -> None:
    id = shared.start_cell("print('up')\nwhile True: pass")
    shared.wait(lambda: shared.results[id].out)
    waiting = shared.start_cell("1")
    assert shared.end_session()["op"] == "done"
    for ended in (id, waiting):
        assert shared.finish(ended).last["kind"] == "session"
        assert "it was ended" in shared.finish(ended).last["message"]
    assert raised(shared.cell("x"))["type"] == "NameError"
    assert shared.end_session()["op"] == "done"


def test_a_call_after_the_end_finds_a_new_session(session: Manager) -> None:
    source = "import atexit, time\natexit.register(time.sleep, 0.5)\nx = 1"
    value(session.cell(source))
    ending = session.start_end_session()
    assert raised(session.cell("x"))["type"] == "NameError"
    assert not session.results[ending].last
    value(session.cell("x = 2"))
    assert session.finish(ending).last["op"] == "done"
    assert value(session.cell("x")) == 2


def test_reap_ends_sessions(shared: Manager) -> None:
    pid = value(shared.cell("import os; x = 1\nos.getpid()"))
    assert shared.do("reap", tag=TAG)["op"] == "done"
    until(lambda: not alive(pid))
    assert "it was ended" in shared.cell("x").last["message"]
    assert raised(shared.cell("x"))["type"] == "NameError"
    assert shared.end_session()["op"] == "done"


def test_cancel_while_it_starts(own: Manager) -> None:
    for _ in range(5):
        id = own.start_cell("x = 1")
        own.cancel(id)
        last = own.finish(id).last
        assert last.get("why") == "cancelled" or last.get("kind") == "cancelled" or last.get("code") == 0
        assert own.end_session()["op"] == "done"
    id = own.start_cell("x = 1")
    ending = own.start_end_session()
    assert own.finish(id).last["op"] in ("exit", "error")
    assert own.finish(ending).last["op"] == "done"
    assert value(own.cell("2")) == 2


def test_the_place_of_a_session(shared: Manager, tmp_path: Path) -> None:
    missing = shared.cell("1", cwd=str(tmp_path / "missing")).last
    assert (missing["op"], missing["kind"]) == ("error", "cwd")
    source = "import os, sys\n[os.getcwd(), sys.path[0], os.environ['A'], os.environ['LAZYCLUSTER_TAG']]"
    place = [str(tmp_path), str(tmp_path)]
    *found, tag = value(shared.cell(source, cwd=str(tmp_path), env={"A": "1"}))
    assert found == [*place, "1"] and tag.startswith(TAG + "/session/a/")
    # The second call changes what it brings, and only that.
    assert value(shared.cell(source, cwd="/", env={"A": "2"})) == [*place, "2", tag]
    assert value(shared.cell("os.environ['A']")) == "2"
    assert shared.end_session()["op"] == "done"


def test_another_interpreter_in_a_session(session: Manager) -> None:
    own = session.hello["executable"]
    assert value(session.cell("x = 1", python=own)) is None
    assert value(session.cell("x", python=own)) == 1
    assert value(session.cell("x")) == 1
    last = session.cell("x", python="no-such-python").last
    assert (last["op"], last["kind"]) == ("error", "python")


def test_ten_sessions_at_once(shared: Manager) -> None:
    names = ["s%d" % number for number in range(10)]
    for id in [shared.start_cell("x = %r" % name, session=name) for name in names]:
        value(shared.finish(id))
    ids = {name: shared.start_cell("import time; time.sleep(0.2); x", session=name) for name in names}
    begin = time.monotonic()
    assert {name: value(shared.finish(id)) for name, id in ids.items()} == {name: name for name in names}
    assert time.monotonic() - begin < 1.5
    for name in names:
        assert shared.end_session(name)["op"] == "done"


def test_a_session_outlives_its_fork_server(own: Manager) -> None:
    server = own.call("import os\ndef f(): return os.getppid()").value
    pid = value(own.cell("import os; x = 1\nos.getpid()"))
    own.kill(server)
    until(lambda: not alive(server))
    assert value(own.cell("x")) == 1
    own.kill(pid)
    until(lambda: not alive(pid))
    assert own.cell("x").last["kind"] == "session"


def test_a_connection_that_ends_takes_its_sessions_along(python: str) -> None:
    with Manager(python) as manager:
        pid = value(
            manager.cell("import os, subprocess\np = subprocess.Popen(['sleep', '1000'])\nos.getpid()")
        )
        manager.kill(manager.pid)
        until(lambda: not alive(pid))
    assert not os.path.exists("/proc/%d" % pid) or not alive(pid)
