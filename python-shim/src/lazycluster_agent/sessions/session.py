"""A session: a child of a fork server that is kept, and runs its calls one after the other."""

from __future__ import annotations

import os

from ..base import children, signals
from ..base.errors import Failure, ProtocolError
from ..functions.request import block
from ..functions.servers import functions_of
from ..processes.family import Family
from ..processes.procfs import interrupt_group
from ..processes.streams import Inlet, Outlet
from ..steps.step import DRAIN, GRACE, STDERR, STDOUT
from ..wire import fields
from ..wire.control import shut_down_writing
from ..wire.frames import FrameDecoder
from ..wire.msgpack import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    from ..connection.host import Host
    from ..functions.server import Server
    from .caller import Caller

    Key = Tuple[str, str]

#: Bytes of each stream that wait for the next call.
MAX_WAITING = 1024 * 1024


class Session:
    """Its process, from the first call to its end; what comes after that is another Session."""

    def __init__(self, agent: Host, key: Key, forget: Callable[[Session], None]) -> None:
        self.agent, self.loop = agent, agent.loop
        self.key = key
        # Sessions of one name must not be taken for each other: one may begin while another still ends.
        self.tag = ("%s/session/%s/%s" % (*key, os.urandom(4).hex())).encode("utf-8", "surrogateescape")
        self._forget = forget
        self.pid: Optional[int] = None
        self.server: Optional[Server] = None
        self.current: Optional[Caller] = None
        self.waiting: List[Caller] = []
        #: Why it is no more; calls that it cannot run any more are told this.
        self.lost: Optional[str] = None
        self._begun = False
        self._inlet: Optional[Inlet] = None
        self._outlets: Dict[int, Outlet] = {}
        self._answers: Optional[Outlet] = None
        self._decoder = FrameDecoder()
        #: Output that nobody has asked for yet.
        self._output: Dict[int, List[bytes]] = {STDOUT: [], STDERR: []}
        #: The code that the current call ended with, and its output that is still in the pipes.
        self._code: Optional[int] = None
        self._due: Dict[int, int] = {}
        self._status: Optional[int] = None
        self._ending = False
        #: Nothing of it runs any more; what it said last may still be in the pipes.
        self._gone = False
        self._whenever_ended: List[Callable[[], None]] = []

    # Calls.

    def submit(self, call: Caller) -> None:
        """Raises Failure."""
        self._check_interpreter(call)
        self.waiting.append(call)
        self._advance()

    def _check_interpreter(self, call: Caller) -> None:
        wanted = call.calling.interpreter
        if self.server is None or wanted is None:
            return
        found = functions_of(self.agent).find(wanted, call.cwd)
        if found != self.server.program:
            text = "The session %s runs with %s. End it first to use %s in it, or take another name."
            raise Failure("python", text % (self.key[1], os.fsdecode(self.server.program), wanted))

    def _advance(self) -> None:
        if self.current is None and self.waiting and self.lost is None:
            self.current = call = self.waiting.pop(0)
            self.agent.guard(call, lambda: self._launch(call) if self.pid is None else self._begin(call))

    def _launch(self, call: Caller) -> None:
        if self.server is not None:
            return  # The child is on its way already.
        self.server = functions_of(self.agent).server(call.calling.interpreter, call.cwd, call.environment)
        self.server.acquire(self._assigned, None)

    def _assigned(self, failure: Optional[Failure], pid: int, fds: Tuple[int, ...]) -> None:
        call = self.current
        if failure is not None or self.server is None:
            for fd in fds:
                os.close(fd)
            self.current = None
            self._finish_quietly()
            if call is not None:
                call.fail(failure or self.failure())
            return
        self.pid = pid
        control, answers, out, err = fds
        self.agent.children[pid] = self._exited
        self._inlet = Inlet(self.loop, control, self._repay, lambda: shut_down_writing(control))
        self._answers = Outlet(self.loop, answers, self._on_answers, self._on_silence)
        self._attach(STDOUT, out)
        self._attach(STDERR, err)
        if call is not None:
            self.agent.guard(call, lambda: self._begin(call))
        else:
            # Whoever wanted it was cancelled meanwhile.
            self._advance()

    def _attach(self, stream: int, fd: int) -> None:
        self._outlets[stream] = Outlet(
            self.loop, fd, lambda data: self._on_output(stream, data), self._settle
        )

    def _begin(self, call: Caller) -> None:
        assert self.pid is not None and self._inlet is not None and self.server is not None
        if self._begun:
            request = call.calling.request(self.agent, more=call.own_variables())
        else:
            environment = call.full_environment(self.server.environment)
            environment[children.TAG_VARIABLE] = self.tag
            request = call.calling.request(self.agent, cwd=call.cwd, env=block(environment))
        self._begun = True
        call.running(self.pid, self._all_outlets())
        for stream, pieces in self._output.items():
            waited, self._output[stream] = pieces, []
            for piece in waited:
                call.output(stream, piece)
        call.begin(self._inlet, request)
        call.resume()

    def withdraw(self, call: Caller) -> None:
        """The call has ended without us."""
        if call in self.waiting:
            self.waiting.remove(call)
        if call is self.current and not call.begun:
            self.current = None
            if self.pid is None and self.server is None:
                self._finish_quietly()
            self._advance()

    # What the process says.

    def _repay(self, cost: int) -> None:
        if self.current is not None and cost:
            self.current.repay(cost)

    def _on_output(self, stream: int, data: bytes) -> None:
        due = self._due.get(stream, 0) - len(data)
        self._due[stream] = max(due, 0)
        if self.current is not None and self.current.begun:
            self.current.output(stream, data)
            if self._code is not None:
                self._settle()
            return
        waiting = self._output[stream]
        waiting.append(data)
        if sum(map(len, waiting)) >= MAX_WAITING:
            self._outlets[stream].pause()

    def _on_answers(self, data: bytes) -> None:
        """The child may be as broken as what it runs, so what it says is checked."""
        try:
            for header, payload in self._decoder.feed(data):
                call = self.current
                if call is None or self._code is not None:
                    raise WireError("an answer to nothing")
                op = header.get("op")
                if op == "ending":
                    self._code = fields.integer(header, "code", 0, 255)
                    if fields.flag(header, "gone"):
                        self.lost = ""
                    self._due = {stream: outlet.pending() for stream, outlet in self._outlets.items()}
                    self._settle()
                elif op == "ignored":
                    if call.interrupted:
                        self._signal()
                else:
                    call.on_answer(header, payload)
        except (WireError, ProtocolError) as error:
            self._kill("its process wrote %s to its control socket" % error)

    def _on_silence(self) -> None:
        """The control socket is closed: the process ends, or has closed all that it found."""
        if not self._ending:
            self.loop.later(DRAIN, lambda: self._kill("it closed the socket that connects it with the agent"))
        self._settle()

    def _settle(self) -> None:
        if self._gone:
            self._settle_end()
        elif self._code is not None and not any(self._due.values()):
            self._call_ended()

    def _call_ended(self) -> None:
        call, code = self.current, self._code
        self.current = self._code = None
        if call is not None:
            call.ended(code or 0)
        if self.lost is None:
            self._resume()
            self.loop.soon(self._advance)

    def _resume(self) -> None:
        for outlet in self._all_outlets():
            outlet.resume()

    def _all_outlets(self) -> List[Outlet]:
        return [*self._outlets.values(), *([self._answers] if self._answers is not None else [])]

    # Interrupts.

    def interrupt(self) -> bool:
        call = self.current
        if call is None or not call.begun or call.answered or self._code is not None:
            return False
        call.interrupted = True
        self._signal()
        return True

    def _signal(self) -> None:
        if self.pid is not None and self._status is None:
            interrupt_group(self.pid)

    # The end.

    def end(self, whenever_ended: Callable[[], None]) -> None:
        """Its exit handlers run if it is idle; it has a second for them."""
        self._whenever_ended.append(whenever_ended)
        if self.lost is None:
            self.lost = "it was ended"
        self._forget(self)
        self._refuse_waiting()
        if self.pid is None:
            call, self.current = self.current, None
            self._finish_quietly()
            if call is not None:
                call.fail(self.failure())
        elif self.current is None and self._inlet is not None and self._status is None:
            self._inlet.end()
            self.loop.later(GRACE, lambda: self._end_processes(GRACE))
        else:
            self._end_processes(GRACE)

    def kill(self, call: Caller, why: str) -> None:
        """The call cannot be ended without it."""
        if call is self.current:
            self._kill(why)

    def _kill(self, why: str) -> None:
        if self.lost is None:
            self.lost = why
        self._end_processes(0)

    def _end_processes(self, grace: float) -> None:
        if not self._ending and self.pid is not None:
            self._ending = True
            family = Family(children.TAG_VARIABLE, self.tag, leaders=[self.pid])
            self.agent.endings.end(family, grace, self._processes_ended)

    def _exited(self, status: int) -> None:
        self._status = status
        if self.lost is None:
            code, signal = signals.outcome(status)
            self.lost = (
                "its process was ended by %s" % signal
                if signal
                else "its process left with exit code %d" % (code or 0)
            )
        # What it left running ends with it.
        self._end_processes(GRACE)

    def _processes_ended(self, count: int) -> None:
        self.agent.reap()
        self._gone = True
        for outlet in self._all_outlets():
            if self.current is None:
                outlet.close()
            else:
                outlet.expire()
        self._settle_end()

    def _settle_end(self) -> None:
        if not self._gone or any(outlet.open for outlet in self._all_outlets()):
            return
        call, self.current = self.current, None
        self._release()
        self._forget(self)
        self._refuse_waiting()
        if call is not None:
            call.bereaved(self.failure())
        self._tell_ended()

    def _finish_quietly(self) -> None:
        """There was no process yet."""
        self._forget(self)
        self._release()
        self._refuse_waiting()
        self._tell_ended()

    def _refuse_waiting(self) -> None:
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            if self.lost:
                call.fail(self.failure())
            else:
                # The session has not even begun, so they miss nothing.
                self.agent.guard(call, call.start)

    def _tell_ended(self) -> None:
        told, self._whenever_ended = self._whenever_ended, []
        for action in told:
            action()

    def failure(self) -> Failure:
        return ended(self.key, self.lost or "it could not start")

    def _release(self) -> None:
        if self._inlet is not None:
            self._inlet.close()
            os.close(self._inlet.fd)
            self._inlet = None
        for outlet in self._all_outlets():
            outlet.close()
        self.pid = None
        if self.server is not None:
            self.server.released()
            self.server = None


def ended(key: Key, why: str) -> Failure:
    text = "The session %s ended: %s. Its variables are gone; the next call starts it anew."
    failure = Failure("session", text % (key[1], why))
    failure.more = {"sessionLost": True}
    return failure
