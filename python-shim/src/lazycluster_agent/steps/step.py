"""An operation that runs a process: a command or a function."""

from __future__ import annotations

from ..base import children, signals
from ..base.errors import Failure, printable
from ..base.paths import working_directory
from ..connection.operation import Operation
from ..processes.family import Family
from ..processes.streams import Outlet
from ..wire import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from ..base.loop import Timer
    from ..connection.host import Host
    from ..wire.frames import Buffer, Header

#: [s] that output is still read after the process itself has ended.
DRAIN = 0.2
#: [s] between SIGTERM and SIGKILL.
GRACE = 1.0

#: [s] for which `started` waits for something to travel with: most of what is short has ended by then.
ANNOUNCE = 0.003

STDOUT, STDERR, RESULT = 1, 2, 3


class Step(Operation):
    needs_environment = True

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self.tag = fields.text(header, "tag").encode("utf-8", "surrogateescape")
        self.environment = fields.environment(header, "env")
        self.timeout = fields.optional_milliseconds(header, "timeout")
        self.cwd = working_directory(fields.raw(header, "cwd"), agent.home)
        self.pid: Optional[int] = None
        self.outlets: List[Outlet] = []
        self.raised: Optional[Dict[str, Any]] = None
        self._status: Optional[int] = None
        self._why = "exit"
        #: Its processes are being ended, or were.
        self._ending = False
        self._done_for = False
        self._timers: List[Timer] = []
        self._announcement: Optional[Timer] = None

    def full_environment(self, base: Optional[Dict[bytes, bytes]] = None) -> Dict[bytes, bytes]:
        environment = dict(self.agent.environment if base is None else base)
        environment[b"PWD"] = self.cwd
        environment.update(self.environment)
        environment[children.TAG_VARIABLE] = self.tag
        environment[children.CONNECTION_VARIABLE] = self.agent.mark
        for name, value in self.environment.items():
            if not name or b"=" in name or b"\0" in name or b"\0" in value:
                text = (
                    "The environment variable %s cannot be set: there is a NUL in it, or its name is wrong."
                )
                raise Failure("spawn", text % printable(name))
        return environment

    def family(self) -> Family:
        leaders = [] if self.pid is None else [self.pid]
        return Family(children.TAG_VARIABLE, self.tag, leaders=leaders)

    def started(self, pid: int) -> None:
        self.pid = pid
        self.agent.children[pid] = self.guarded(self.exited)
        self.announce()
        if self.timeout is not None:
            self._timers.append(self.loop.later(self.timeout, lambda: self._stop("timeout")))

    def announce(self) -> None:
        """Tells the pid soon, and before anything else."""
        self._announcement = self.loop.later(ANNOUNCE, self._tell_started)
        self._timers.append(self._announcement)

    def _tell_started(self) -> None:
        if self._announcement is not None:
            self._announcement.cancel()
            self._announcement = None
            super().send("started", pid=self.pid)

    def send(self, op: str, payload: Buffer = b"", **more: Any) -> None:
        self._tell_started()
        super().send(op, payload, **more)

    def cancel(self) -> None:
        if self.pid is None:
            self.fail(Failure("cancelled", "The step was cancelled before it started."))
        else:
            self._stop("cancelled")

    def _stop(self, why: str) -> None:
        if not self._ending and self.pid is not None:
            if self._status is None:
                self._why = why
            self._ending = True
            self.agent.endings.end(self.family(), GRACE, self.guarded(self._ended))

    def _ended(self, count: int) -> None:
        """Nothing of the step runs any more, or it is stuck beyond our reach."""
        self._ending, self._done_for = False, True
        self.agent.reap()
        self._expire_later()
        if self._status is None:
            # A fork server tells the end of its child a moment later, unless it is gone too.
            self._timers.append(self.loop.later(DRAIN, lambda: self._settle(unreachable=True)))
        self._settle()

    def exited(self, status: int) -> None:
        """The step's own process has ended."""
        self._status = status
        if not self._ending:
            self._expire_later()
        self._settle()

    def _expire_later(self) -> None:
        self._timers.append(self.loop.later(DRAIN, self._expire))

    def _expire(self) -> None:
        for outlet in self.outlets:
            outlet.expire()

    def _settle(self, unreachable: bool = False) -> None:
        if self._ending or any(outlet.open for outlet in self.outlets):
            return
        if self._status is not None:
            code, signal = signals.outcome(self._status)
            self.settled(code, signal)
        elif unreachable:
            self.settled(None, "SIGKILL")

    def settled(self, code: Optional[int], signal: Optional[str]) -> None:
        self.finish("exit", code=code, sig=signal, why=self._why, raised=self.raised)

    # Output.

    def attach(self, fd: int, stream: int) -> None:
        self.outlets.append(Outlet(self.loop, fd, lambda data: self.output(stream, data), self._settle))

    def output(self, stream: int, data: Buffer) -> None:
        self.send("data", data, s=stream)
        if not self.may_send:
            for outlet in self.outlets:
                outlet.pause()

    def resume(self) -> None:
        for outlet in self.outlets:
            outlet.resume()

    def _abandon(self) -> None:
        """It runs, and nobody will hear of it: it failed half-way, or its client has left."""
        self.agent.endings.end(self.family(), GRACE, lambda count: self.agent.reap())

    def release(self) -> None:
        if self.pid is not None and self._status is None and not self._ending and not self._done_for:
            self._abandon()
        for timer in self._timers:
            timer.cancel()
        for outlet in self.outlets:
            outlet.close()
