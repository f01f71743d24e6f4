"""The process of a session: a child of a fork server that is kept, its streams, and its end."""

from __future__ import annotations

import os

from ..base import children, signals
from ..base.errors import ProtocolError
from ..processes.family import Family
from ..processes.procfs import interrupt_group
from ..processes.streams import Inlet, Outlet
from ..steps.step import DRAIN, GRACE, STDERR, STDOUT
from ..wire.control import shut_down_writing
from ..wire.frames import FrameDecoder
from ..wire.msgpack import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Protocol, Tuple

    from ..base.errors import Failure
    from ..connection.host import Host
    from ..functions.server import Server
    from ..wire.frames import Header

    class Owner(Protocol):
        """Who runs calls in it."""

        @property
        def is_busy(self) -> bool: ...

        def launched(self) -> None: ...

        def not_launched(self, failure: Optional[Failure]) -> None: ...

        def repay(self, cost: int) -> None: ...

        def on_output(self, stream: int, data: bytes) -> None: ...

        def on_answer(self, header: Header, payload: memoryview) -> None:
            """Raises WireError or ProtocolError."""

        def settle(self) -> None:
            """A stream has ended, or all that ran."""

        def lose(self, why: str) -> None:
            """It ends, or has ended; the first reason counts."""


class Process:
    def __init__(self, agent: Host, tag: bytes, server: Server, owner: Owner) -> None:
        self._agent, self._loop = agent, agent.loop
        self._tag = tag
        self._owner = owner
        #: None when it is not there yet, or no more.
        self.pid: Optional[int] = None
        self.server: Optional[Server] = server
        self.inlet: Optional[Inlet] = None
        self._outlets: Dict[int, Outlet] = {}
        self._answers: Optional[Outlet] = None
        self._decoder = FrameDecoder()
        self._status: Optional[int] = None
        self._ending = False
        #: Nothing of it runs any more; what it said last may still be in the pipes.
        self.gone = False

    def launch(self) -> None:
        assert self.server is not None
        self.server.acquire(self._assigned, None)

    def _assigned(self, failure: Optional[Failure], pid: int, fds: Tuple[int, ...]) -> None:
        if failure is not None or self.server is None:
            for fd in fds:
                os.close(fd)
            self._owner.not_launched(failure)
            return
        self.pid = pid
        control, answers, out, err = fds
        self._agent.children[pid] = self._exited
        self.inlet = Inlet(self._loop, control, self._owner.repay, lambda: shut_down_writing(control))
        self._answers = Outlet(self._loop, answers, self._on_answers, self._on_silence)
        self._attach(STDOUT, out)
        self._attach(STDERR, err)
        self._owner.launched()

    # What it says.

    def _attach(self, stream: int, fd: int) -> None:
        self._outlets[stream] = Outlet(
            self._loop, fd, lambda data: self._owner.on_output(stream, data), self._owner.settle
        )

    def _on_answers(self, data: bytes) -> None:
        """The child may be as broken as what it runs, so what it says is checked."""
        try:
            for header, payload in self._decoder.feed(data):
                self._owner.on_answer(header, payload)
        except (WireError, ProtocolError) as error:
            self.kill("its process wrote %s to its control socket" % error)

    def _on_silence(self) -> None:
        """The control socket is closed: the process ends, or has closed all that it found."""
        if not self._ending:
            self._loop.later(DRAIN, lambda: self.kill("it closed the socket that connects it with the agent"))
        self._owner.settle()

    def outlets(self) -> List[Outlet]:
        return [*self._outlets.values(), *([self._answers] if self._answers is not None else [])]

    def pending(self) -> Dict[int, int]:
        """Bytes that are still in its pipes."""
        return {stream: outlet.pending() for stream, outlet in self._outlets.items()}

    def pause(self, stream: int) -> None:
        self._outlets[stream].pause()

    def resume(self) -> None:
        for outlet in self.outlets():
            outlet.resume()

    @property
    def is_over(self) -> bool:
        """Also what it said last has come."""
        return self.gone and not any(outlet.open for outlet in self.outlets())

    # Its end.

    def interrupt(self) -> None:
        if self.pid is not None and self._status is None:
            interrupt_group(self.pid)

    def end(self) -> None:
        """Its exit handlers run if it is idle; it has a second for them."""
        if not self._owner.is_busy and self.inlet is not None and self._status is None:
            self.inlet.end()
            self._loop.later(GRACE, lambda: self._end_all(GRACE))
        else:
            self._end_all(GRACE)

    def kill(self, why: str) -> None:
        self._owner.lose(why)
        self._end_all(0)

    def _end_all(self, grace: float) -> None:
        if not self._ending and self.pid is not None:
            self._ending = True
            family = Family(children.TAG_VARIABLE, self._tag, leaders=[self.pid])
            self._agent.endings.end(family, grace, self._ended)

    def _exited(self, status: int) -> None:
        self._status = status
        code, signal = signals.outcome(status)
        self._owner.lose(
            "its process was ended by %s" % signal
            if signal
            else "its process left with exit code %d" % (code or 0)
        )
        # What it left running ends with it.
        self._end_all(GRACE)

    def _ended(self, count: int) -> None:
        self._agent.reap()
        self.gone = True
        for outlet in self.outlets():
            if self._owner.is_busy:
                outlet.expire()
            else:
                outlet.close()
        self._owner.settle()

    def release(self) -> None:
        if self.inlet is not None:
            self.inlet.close()
            os.close(self.inlet.fd)
            self.inlet = None
        for outlet in self.outlets():
            outlet.close()
        self.pid = None
        if self.server is not None:
            self.server.released()
            self.server = None
