"""Operations on sessions: `call` with a session, `endsession`, `interrupt`."""

from __future__ import annotations

from ..base.errors import Failure
from ..connection.operation import Operation
from ..functions.function import CallStep
from ..steps.step import GRACE
from ..wire import fields
from ..wire.frames import frame_head
from .registry import sessions_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from ..connection.host import Host
    from ..processes.streams import Outlet
    from ..wire.frames import Buffer, Header
    from .session import Key, Session


def key_of(header: Header) -> Key:
    return fields.text(header, "scope"), fields.text(header, "session")


def number_of(header: Header) -> int:
    """Which of its processes is meant."""
    return fields.integer(header, "process", 1)


class SessionCall(CallStep):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header, kept=True)
        self._key, self._number = key_of(header), number_of(header)
        self._session: Optional[Session] = None
        #: Its turn has come.
        self.begun = False
        #: The session's process has begun to answer.
        self.answered = False
        #: A SIGINT was sent on its behalf.
        self.interrupted = False
        self._complete = False

    def start(self) -> None:
        self._session = session = sessions_of(self.agent).find_or_begin(self._key, self._number)
        session.submit(self)

    def own_variables(self) -> Dict[str, bytes]:
        """What the manager has set for this call."""
        self.full_environment({})
        return {name.decode("utf-8", "surrogateescape"): value for name, value in self.environment.items()}

    def running(self, pid: int, outlets: List[Outlet]) -> None:
        self.begun = True
        self.pid = pid
        self.outlets = outlets
        self.announce()
        if self.timeout is not None:
            self._timers.append(self.loop.later(self.timeout, lambda: self._stop("timeout")))

    def pass_on(self, data: memoryview, cost: int, end: bool) -> None:
        if self._complete:
            self.repay(cost)
            return
        self._complete = end
        super().pass_on(data, cost, end)

    def on_answer(self, header: Header, payload: memoryview) -> None:
        if not self.finished:
            self.answered = True
            super().on_answer(header, payload)

    def output(self, stream: int, data: Buffer) -> None:
        # Of a call that was cancelled too late nothing is wanted any more, and it must not wait for credit.
        if not self.finished and (self._why == "exit" or not self.answered):
            super().output(stream, data)

    def cancel(self) -> None:
        if not self.begun:
            self.fail(Failure("cancelled", "The call was cancelled before its turn in the session came."))
        else:
            self._stop("cancelled")

    def _stop(self, why: str) -> None:
        if self._why != "exit" or self._session is None or self.finished:
            return
        self._why = why
        session = self._session
        if self.answered:
            # What is left of the answer is not wanted; the process must get rid of it all the same.
            self.resume()
            return
        if not self._complete:
            # It still reads its arguments, and would wait for the rest of them.
            self._complete = True
            assert self._inlet is not None
            self._inlet.write(memoryview(frame_head({"op": "data", "eof": True, "aborted": True})), 0)
        else:
            session.interrupt()
        why = "a call did not answer its interrupt, so it was killed"
        self._timers.append(self.loop.later(GRACE, lambda: session.kill(self, why)))

    def ended(self, code: int) -> None:
        """It has ended, and the session lives on."""
        self.settled(code, None)

    def bereaved(self, failure: Failure) -> None:
        """The session ended under it."""
        if self._why == "exit":
            self.fail(failure)
        else:
            self.finish("exit", code=None, sig="SIGKILL", why=self._why, raised=self.raised, sessionLost=True)

    def settled(self, code: Optional[int], signal: Optional[str]) -> None:
        if self._why != "exit":
            self.failure = None
        super().settled(code, signal)

    def _abandon(self) -> None:
        # Only while it runs is the process what it would be for another call.
        if self._session is not None:
            self._session.kill(self, "nobody was left to hear of what it ran")

    def release(self) -> None:
        # They are the session's.
        self.outlets = []
        super().release()
        if self._session is not None:
            self._session.withdraw(self)


class EndSession(Operation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._key, self._number = key_of(header), number_of(header)

    def start(self) -> None:
        session = sessions_of(self.agent).end(self._key, self._number)
        if session is None:
            self.finish("done")
        else:
            session.end(lambda: self.finish("done"))

    def cancel(self) -> None:
        """Half-way is no place to stop; it takes some seconds at most."""


class Interrupt(Operation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._key, self._number = key_of(header), number_of(header)

    def start(self) -> None:
        session = sessions_of(self.agent).find(self._key, self._number)
        self.finish("done", interrupted=session is not None and session.interrupt())
