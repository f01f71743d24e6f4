"""Many calls leave no file, process or descriptor behind."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Dict, List, Tuple

from manager import TAG, Manager, until

from lazycluster_agent.functions.spares import IDLE
from lazycluster_agent.processes.procfs import descendants, snapshot
from lazycluster_agent.values.codes import Special

#: 10,000 where there is time for it.
COUNT = 10_000 if os.environ.get("LAZYCLUSTER_LONG_TESTS") else 1500
AT_ONCE = 8

SOURCES: List[str] = [
    "def f(x): return x",
    "def f(x): print(x); return bytes(100_000)",
    "def f(x): raise ValueError(x)",
    "import os\ndef f(x): os._exit(3)",
    "def f(x): return lambda: x",
    "import subprocess\ndef f(x): subprocess.Popen(['true'])",
]


def descriptors(pid: int) -> int:
    return len(os.listdir("/proc/%d/fd" % pid))


def resident(pid: int) -> int:
    return int(Path("/proc/%d/statm" % pid).read_text().split()[1]) * 4096


def below(manager: Manager) -> Dict[int, int]:
    """Open descriptors of every process of the connection that lives."""
    table = snapshot()
    found = {}
    for pid in descendants(table, {manager.keeper}):
        try:
            if table[pid].alive:
                found[pid] = descriptors(pid)
        except OSError:
            pass  # It has ended meanwhile.
    return found


def settled(manager: Manager) -> Tuple[int, int]:
    """How many processes there are, and descriptors of the agent, when nothing runs and none is too many."""
    latest = (0, 0)
    since = 0.0

    def quiet() -> bool:
        nonlocal latest, since
        manager.do("mkdir", path="/tmp", cwd="~")
        found = (len(below(manager)), descriptors(manager.pid))
        if found != latest:
            latest, since = found, time.monotonic()
        return time.monotonic() > since + IDLE + 0.3

    until(quiet, 20)
    return latest


def some(manager: Manager, count: int, session: bool) -> None:
    ids: List[int] = []
    for number in range(count):
        source = SOURCES[number % (1 if session else len(SOURCES))]
        start = manager.start_session_call if session else manager.start_call
        ids.append(start(source, number, tag="%s/%d" % (TAG, number)))
        if len(ids) == AT_ONCE or number == count - 1:
            for id in ids:
                result = manager.finish(id)
                assert result.last["op"] == "exit", result.last
                value = result.value if 3 in result.streams else None
                if isinstance(value, Special):
                    assert manager.do("remove", path=value.content["path"], cwd="~")["removed"]
                del manager.results[id]
            ids.clear()


def test_many_calls_leave_nothing() -> None:
    with Manager() as manager:
        manager.cell("import os")
        some(manager, 50, session=False)
        some(manager, 50, session=True)
        before, memory = settled(manager), resident(manager.pid)
        some(manager, COUNT // 2, session=False)
        some(manager, COUNT // 2, session=True)
        assert settled(manager) == before
        assert resident(manager.pid) - memory < 4_000_000
        handles = Path(os.fsdecode(manager.call("def f(): return object").value.content["path"])).parent
        assert len(list(handles.iterdir())) == 1
        pid = manager.cell("os.getpid()").value["value"]
        assert descriptors(pid) < 20
        manager.end_session()
    assert not handles.parent.exists() and not below(manager)


def test_many_sessions_leave_nothing() -> None:
    with Manager() as manager:
        some(manager, 10, session=False)
        manager.cell("1")
        manager.end_session()
        before = settled(manager)
        for number in range(COUNT // 100):
            manager.cell("import os", session="s%d" % number)
            if number % 3 == 0:
                manager.cell("os._exit(1)", session="s%d" % number)
            manager.end_session("s%d" % number)
        assert settled(manager) == before
