"""One GPU tool, for as long as it runs."""

from __future__ import annotations

import os

from ..base import children, signals
from ..base.errors import Failure, printable
from ..connection.operation import Operation
from ..processes.procfs import kill
from ..processes.spawn import spawn
from ..processes.streams import Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional

#: [s] that a GPU tool may take; a driver at fault never answers, and one that sleeps takes seconds.
PATIENCE = 10.0
#: [bytes] of its output.
MOST_OUTPUT = 256 * 1024


class Tool:
    """One GPU tool, for as long as it runs."""

    def __init__(
        self,
        operation: Operation,
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
        # What it says may be anything, and costs the operation at most.
        agent, loop = operation.agent, operation.loop
        self._children = agent.children
        environment = dict(agent.environment)
        environment[children.CONNECTION_VARIABLE] = agent.mark
        reading, writing = os.pipe()
        try:
            self._pid = spawn(argv, program, environment, b"/", [agent.null, writing, agent.null])
        except Failure:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        agent.children[self._pid] = operation.guarded(self._exited)
        self._outlet = Outlet(loop, reading, self._read, self._settle)
        self._timer = loop.later(PATIENCE, self._late)

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
        code, signal = signals.outcome(self._status)
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
            kill(-self._pid, signals.SIGKILL)
            # Somebody must still take its status.
            self._children[self._pid] = lambda status: None
