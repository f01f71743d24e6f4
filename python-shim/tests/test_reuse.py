"""A child takes its function again only when that has left nothing in it, and never another function."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import pytest
from manager import Manager, Sent, until
from test_endurance import settled

from lazycluster_agent.values.codes import EXT_FUNCTION

PID = "import os\ndef f(*a): return os.getpid()"

#: Body of a function after which its process is as it was.
CLEAN = {
    "nothing": "pass",
    "output": "print('x' * 300000); print('y', file=sys.stderr)",
    "its own variables": "global x; x = 1; os.environ['LEFT'] = 'x'",
    "its own arguments": "a[0].append(1)",
    "a file that it closed": "open('/dev/null').close()",
    "a process that has ended": "os.waitpid(os.posix_spawn('/bin/true', ['true'], os.environ), 0)",
    "a module without a state": "import math, json, datetime",
    "a cycle": "x = []; x.append(x)",
    "a file in a cycle": "x = [open('/dev/null')]; x.append(x)",
    "an error that it caught": "try: 1 / 0\n    except ZeroDivisionError: pass",
}
#: Likewise one that leaves something.
TRACES = {
    "a module": "import colorsys",
    "a module that it made": "import types; sys.modules['made'] = types.ModuleType('made')",
    "a module that it took": "del sys.modules['stat']",
    "a replaced builtin": "import builtins; builtins.print = lambda *a: None",
    "a replaced function": "os.getcwd = lambda: '/'",
    "a name in __main__": "import __main__; __main__.x = 1",
    "a folder in sys.path": "sys.path.append('/tmp')",
    "an argument": "sys.argv.append('x')",
    "a filter of warnings": "import warnings; warnings.simplefilter('error')",
    "a standard stream": "sys.stdout = sys.stderr",
    "a hook": "sys.excepthook = lambda *a: None",
    "a handler of the log": "import logging; logging.basicConfig()",
    "a level of the log": "import logging; logging.root.setLevel('DEBUG')",
    "a tracer": "sys.settrace(lambda *a: None)",
    "an exit handler": "import atexit; atexit.register(print, 'the end')",
    "a thread": "import _thread, time; _thread.start_new_thread(time.sleep, (1,))",
    "a process": "os.posix_spawn('/bin/sleep', ['sleep', '1'], os.environ)",
    "an orphan": "os.system('sleep 1 &')",
    "an open file": "global x; x = os.open('/dev/null', 0); os.dup2(x, 40)",
    "its stdout": "os.dup2(os.open('/dev/null', 1), 1)",
    "a closed stdin": "os.close(0)",
    "a descriptor that does not wait": "os.set_blocking(2, False)",
    "a umask": "os.umask(0o123)",
    "a nice value": "os.nice(1)",
    "fewer cores": "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])",
    "a signal handler": "import _signal as s; s.signal(s.SIGUSR1, lambda *a: None)",
    "an alarm": "import _signal as s; s.signal(s.SIGALRM, s.SIG_IGN); s.setitimer(s.ITIMER_REAL, 100)",
    "a blocked signal": "import _signal as s; s.pthread_sigmask(s.SIG_BLOCK, [s.SIGTERM])",
    "a limit of recursion": "sys.setrecursionlimit(500)",
    "no garbage collection": "import gc; gc.disable()",
    "a callback of the garbage collection": "import gc; gc.callbacks.append(print)",
    "longer numbers": "getattr(sys, 'set_int_max_str_digits', sys.setrecursionlimit)(10000)",
    "a hook of generators": "sys.set_asyncgen_hooks(print)",
    "the stack of threads": "import _thread; _thread.stack_size(1 << 20)",
    "a timeout of sockets": "import _socket; _socket.setdefaulttimeout(1)",
    "a limit": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))",
    "a foreign function": "import ctypes; ctypes.CDLL(None).getpid()",
    "a changed module without a state": "import json; json.dumps = print",
    "another module of a known name": "import json; sys.modules['json'] = sys",
    "memory": "global x; x = sys.stdin; x.kept = bytearray(b'x') * 50_000_000",
    "an error": "1 / 0",
    "an exit": "sys.exit(0)",
}


def function(body: str) -> str:
    """Runs the body or does nothing, so that it is the same function that comes before and after."""
    return "import os, sys\ndef f(go, *a):\n    if go:\n        %s\n    return os.getpid()" % body.replace(
        "\n    ", "\n        "
    )


def again(manager: Manager, source: str, *args: Any) -> Any:
    """Runs it until its own child takes it again, which is the case as soon as what it imports is at hand."""
    until(lambda: manager.call(source, *args).value == manager.call(source, *args).value)
    return manager.call(source, *args).value


@pytest.mark.parametrize("name", CLEAN)
def test_is_taken_again_after(shared: Manager, name: str) -> None:
    source = function(CLEAN[name])
    before = again(shared, source, True, [])
    result = shared.call(source, True, [], env={})
    assert (result.last["code"], result.value) == (0, before), result.last
    assert shared.call(source, False).value == before


@pytest.mark.parametrize("name", TRACES)
def test_is_not_taken_again_after(shared: Manager, name: str) -> None:
    if name == "fewer cores" and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("one core only")
    source = function(TRACES[name])
    before = again(shared, source, False)
    assert shared.call(source, True, []).pid == before
    assert shared.call(source, False).value != before


#: What one function changes, what shows it to others, and how often it changes it: once what it needs is at
#: hand its child could be taken for another function.
CHANGES = {
    "json.dumps = None": "json.dumps is not None",
    "json.JSONEncoder.default = None": "json.JSONEncoder.default is not None",
    "json.made = 1": "not hasattr(json, 'made')",
    "datetime.datetime = None": "datetime.datetime is not None",
    "math.pi = 3": "math.pi > 3",
    "getattr(sys, 'set_int_max_str_digits', print)(0)": "getattr(sys, 'get_int_max_str_digits', bool)() != 0 "
    "or not hasattr(sys, 'get_int_max_str_digits')",
    "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, -1))": "resource.getrlimit(1)[0] != 1000",
    "copy._deepcopy_dispatch.clear()": "copy._deepcopy_dispatch",
    "re.Pattern = None": "re.Pattern",
    "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()": "time.timezone != -9 * 3600",
}
IMPORTS = "import copy, datetime, json, math, os, re, resource, sys, time\n"


@pytest.mark.parametrize("change", CHANGES)
def test_other_functions_see_nothing_of(own: Manager, change: str) -> None:
    source = IMPORTS.replace(" resource,", "" if "resource" not in change else " resource,")
    look = source + "def f(): return bool(%s)" % CHANGES[change]
    for _ in range(6):
        assert own.call(source + "def f(): %s" % change).last["op"] == "exit"
        assert own.call(look).value is True


def test_a_limit_is_gone_where_the_agent_has_raised_its_own(python: str) -> None:
    change = "import resource\ndef f(): resource.setrlimit(resource.RLIMIT_FSIZE, (1000, -1))"
    with Manager(python, before="ulimit -S -n 64;") as manager:
        for id in [manager.start_run("sleep 1") for _ in range(30)]:
            manager.finish(id)
        for _ in range(4):
            assert manager.call(change).last["code"] == 0
            assert manager.call("import resource\ndef f(): return resource.getrlimit(1)[0]").value != 1000
        source = "import resource\ndef f(): return resource.getrlimit(resource.RLIMIT_NOFILE)[0]"
        assert manager.call(source).value == 64


def test_what_objects_print_at_their_end_belongs_to_their_call(shared: Manager) -> None:
    source = (
        "class Last:\n    def __del__(self): print('gone')\n"
        "def f(go):\n    if go: x = Last(); x.x = x\n    import os; return os.getpid()"
    )
    for go in (True, True, False, True):
        assert shared.call(source, go).out == (b"gone\n" if go else b"")


def test_code_among_the_arguments_counts(shared: Manager) -> None:
    source = "def f(g=None): return g() if g else bound()"

    def bound(body: str) -> Sent:
        return Sent(EXT_FUNCTION, [{"kind": "source", "source": body, "name": "g", "file": "g"}, {}])

    change = "import json\ndef g(): json.dumps = None"
    look = "import json\ndef g(): return json.dumps is not None"
    for _ in range(4):
        for fields in ({"args": [bound(change)]}, {"args": [], "bind": {"bound": bound(change)}}):
            assert shared.call(source, *fields["args"], bind=fields.get("bind")).last["code"] == 0
            assert shared.call(source, bound(look)).value is True


def test_has_nothing_of_the_call_before(shared: Manager) -> None:
    shared.call(
        "import os\nx = 1\ndef f(): os.environ['LEFT'] = '1'; os.chdir('/')", env={"GIVEN": "1"}, cwd="/tmp"
    )
    source = (
        "import os, sys\n"
        "def f():\n"
        "    left, given = os.environ.get('LEFT'), os.environ.get('GIVEN')\n"
        "    return left, given, os.getcwd(), sys.path[0], globals().get('x')"
    )
    assert shared.call(source, cwd="/").value == [None, None, "/", "/", None]


def test_has_random_numbers_of_its_own(shared: Manager) -> None:
    shared.call("import random\ndef f(): random.seed(1)")
    assert shared.call("import random\ndef f(): return random.random()").value != random.Random(1).random()


def test_output_is_that_of_its_own_call(shared: Manager) -> None:
    source = "import sys\ndef f(x):\n    for _ in range(3000): print(x); print(-x, file=sys.stderr)"
    ids = [shared.start_call(source, number) for number in range(1, 30)]
    for number, id in enumerate(ids, 1):
        result = shared.finish(id)
        assert result.out == b"%d\n" % number * 3000
        assert result.err == b"-%d\n" % number * 3000


def test_a_killed_one_is_missed_by_nobody(shared: Manager) -> None:
    for _ in range(20):
        pid = shared.call(PID).value
        os.kill(pid, signal.SIGKILL)
        # A call that comes before anybody knows may still meet it.
        until(lambda: shared.call(PID).last["code"] == 0)


def test_a_cancelled_one_is_not_taken_again(shared: Manager) -> None:
    for _ in range(10):
        id = shared.start_call("def f():\n    while True: pass")
        pid = shared.started(id)
        shared.cancel(id)
        assert shared.finish(id).last["why"] == "cancelled"
        assert shared.call(PID).value != pid


def test_many_at_once_leave_a_few_that_go(own: Manager) -> None:
    own.call(PID)
    before = settled(own)
    for _ in range(5):
        for id in [own.start_call(PID) for _ in range(100)]:
            assert own.finish(id).last["code"] == 0
    until(lambda: settled(own) == before, 20)


def test_takes_so_many_and_no_more(shared: Manager) -> None:
    found = [shared.call(PID).value for _ in range(1100)]
    assert 3 <= len(set(found)) <= 6
