"""`facts`: what this host has, in one answer. Imported when somebody asks."""

from __future__ import annotations

import os
import time

from . import cgroups, fields, gpus, system
from .errors import Failure, printable
from .executables import DEFAULT_PATH
from .operation import Operation
from .paths import expand
from .procfs import kill
from .spawn import spawn
from .streams import Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from .agent import Agent
    from .frames import Header

#: [s] that a GPU tool may take; a driver at fault never answers, and one that sleeps takes seconds.
PATIENCE = 10.0
#: [bytes] of its output.
MOST_OUTPUT = 256 * 1024


class Facts(Operation):
    # PATH may come from the login environment.
    needs_environment = True

    def __init__(self, agent: Agent, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._path = fields.raw(header, "path")
        self._gpus: List[str] = []
        self._notes: List[str] = []
        self._tools: List[Tool] = []

    def start(self) -> None:
        path = self.agent.environment.get(b"PATH", DEFAULT_PATH)
        for program, argv, parse in gpus.tools(path, self.agent.home):
            try:
                self._tools.append(Tool(self.agent, program, argv, parse, self._settle))
            except Failure as failure:
                self._notes.append(failure.message)
        self._settle()

    def cancel(self) -> None:
        self.fail(Failure("cancelled", "The question was cancelled."))

    def _settle(self) -> None:
        if self.finished or any(tool.names is None for tool in self._tools):
            return
        for tool in self._tools:
            self._gpus.extend(tool.names or [])
            self._notes.extend(tool.notes)
        where = self._path or self.agent.environment.get(b"TMPDIR") or b"/tmp"
        folder = os.path.join(self.agent.home, expand(where, self.agent.home))
        now = int(time.time() * 1000)
        self.finish("done", gpus=self._gpus, notes=self._notes, time=now, **gather(), **disk(folder))

    def release(self) -> None:
        for tool in self._tools:
            tool.release()


class Tool:
    """One GPU tool, for as long as it runs."""

    def __init__(
        self,
        agent: Agent,
        program: bytes,
        argv: List[bytes],
        parse: Callable[[str], List[str]],
        done: Callable[[], None],
    ) -> None:
        #: None: not known yet.
        self.names: Optional[List[str]] = None
        self.notes: List[str] = []
        self._program = printable(program)
        self._parse = parse
        self._done = done
        self._output = bytearray()
        self._status: Optional[int] = None
        self._children = agent.children
        environment = dict(agent.environment)
        environment[system.CONNECTION_VARIABLE] = agent.mark
        reading, writing = os.pipe()
        try:
            self._pid = spawn(argv, program, environment, b"/", [agent.null, writing, agent.null])
        except Failure:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        agent.children[self._pid] = self._exited
        self._outlet = Outlet(agent.loop, reading, self._read, self._settle)
        self._timer = agent.loop.later(PATIENCE, self._late)

    def _read(self, data: bytes) -> None:
        self._output += data[: max(0, MOST_OUTPUT - len(self._output))]

    def _exited(self, status: int) -> None:
        self._status = status
        # What it has started meanwhile may hold the pipe; what it said itself is in it.
        self._outlet.expire()
        self._settle()

    def _settle(self) -> None:
        if self._status is None or self._outlet.open:
            return
        code, signal = system.outcome(self._status)
        if code == 0:
            self._end(self._parse(self._output.decode("utf-8", "replace")))
        else:
            # Installed where there is no driver, as in images that are made for all hosts.
            self._end([], "%s failed (%s)" % (self._program, signal or "exit code %s" % code))

    def _late(self) -> None:
        self._end([], "%s did not answer within %d s" % (self._program, PATIENCE))

    def _end(self, names: List[str], note: str = "") -> None:
        if self.names is not None:
            return
        self.names = names
        if note:
            self.notes.append("%s, so its GPUs are not known" % note)
        self.release()
        self._done()

    def release(self) -> None:
        self._timer.cancel()
        self._outlet.close()
        if self._status is None:
            # With what it has started.
            kill(-self._pid, system.SIGKILL)
            # Somebody must still take its status.
            self._children[self._pid] = lambda status: None


def gather(root: str = "") -> Dict[str, Any]:
    """What the system's files say."""
    quota, limit = cgroups.cpu_quota(root), cgroups.memory_limit(root)
    cores = float(usable_processors())
    total, available = memory(root)
    if limit is not None and limit < total:
        used = cgroups.memory_used(root)
        available = min(available, max(0, limit - used)) if used is not None else min(available, limit)
        total = limit
    return {
        "os": os_name(root),
        "cores": cores if quota is None else min(cores, quota),
        "memory": total,
        "available": available,
        "load": [float(value) for value in load(root)],
    }


def usable_processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def memory(root: str = "") -> List[int]:
    """[bytes] in total, and what could be had now."""
    values = {}
    for line in cgroups.read(root + "/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        amount = rest.split()
        if amount and amount[0].isdigit():
            values[name] = int(amount[0]) * 1024
    total = values.get("MemTotal", 0)
    return [total, values.get("MemAvailable", values.get("MemFree", total))]


def load(root: str = "") -> List[float]:
    """Of the last 1, 5 and 15 minutes; empty when it is unknown."""
    words = cgroups.read(root + "/proc/loadavg").split()[:3]
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def os_name(root: str = "") -> str:
    """Such as `Debian GNU/Linux 12 (bookworm)`."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        for line in cgroups.read(root + path).splitlines():
            name, _, value = line.partition("=")
            if name == "PRETTY_NAME" and value.strip("\"' "):
                return value.strip().strip("\"'")
    uname = os.uname()
    return "%s %s" % (uname.sysname, uname.release)


def disk(folder: bytes) -> Dict[str, int]:
    """[bytes] of the file system that holds, or would hold, this folder."""
    while True:
        try:
            found = os.statvfs(folder)
            return {"diskTotal": found.f_blocks * found.f_frsize, "diskFree": found.f_bavail * found.f_frsize}
        except (OSError, ValueError):
            above = os.path.dirname(folder)
            if above == folder:
                return {"diskTotal": 0, "diskFree": 0}
            folder = above
