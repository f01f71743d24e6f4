"""A session: a child of a fork server that is kept, and runs its calls one after the other."""

from __future__ import annotations

import os

from ..base import children
from ..base.errors import Failure, printable
from ..functions.request import block
from ..functions.servers import functions_of
from ..steps.step import STDERR, STDOUT
from ..wire import fields
from ..wire.msgpack import WireError
from .process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    from ..connection.host import Host
    from ..functions.server import Server
    from ..wire.frames import Header
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
        self._process: Optional[Process] = None
        self.current: Optional[Caller] = None
        self.waiting: List[Caller] = []
        #: Why it is no more; calls that it cannot run any more are told this.
        self.lost: Optional[str] = None
        self._begun = False
        #: Output that nobody has asked for yet.
        self._output: Dict[int, List[bytes]] = {STDOUT: [], STDERR: []}
        #: The code that the current call ended with, and its output that is still in the pipes.
        self._code: Optional[int] = None
        self._due: Dict[int, int] = {}
        self._whenever_ended: List[Callable[[], None]] = []

    @property
    def pid(self) -> Optional[int]:
        return self._process.pid if self._process is not None else None

    @property
    def _server(self) -> Optional[Server]:
        return self._process.server if self._process is not None else None

    @property
    def is_busy(self) -> bool:
        return self.current is not None

    # Calls.

    def submit(self, call: Caller) -> None:
        """Raises Failure."""
        self._check_interpreter(call)
        self.waiting.append(call)
        self._advance()

    def _check_interpreter(self, call: Caller) -> None:
        wanted = call.calling.interpreter
        server = self._server
        if server is None or wanted is None:
            return
        found = functions_of(self.agent).find(wanted, call.cwd)
        if found != server.program:
            text = "The session %s runs with %s. End it first to use %s in it, or take another name."
            raise Failure("python", text % (self.key[1], printable(server.program), wanted))

    def _advance(self) -> None:
        if self.current is None and self.waiting and self.lost is None:
            self.current = call = self.waiting.pop(0)
            self.agent.guard(call, lambda: self._launch(call) if self.pid is None else self._begin(call))

    def _launch(self, call: Caller) -> None:
        if self._server is not None:
            return  # The child is on its way already.
        server = functions_of(self.agent).server(call.calling.interpreter, call.cwd, call.environment)
        self._process = Process(self.agent, self.tag, server, self)
        self._process.launch()

    def launched(self) -> None:
        call = self.current
        if call is not None:
            self.agent.guard(call, lambda: self._begin(call))
        else:
            # Whoever wanted it was cancelled meanwhile.
            self._advance()

    def not_launched(self, failure: Optional[Failure]) -> None:
        call, self.current = self.current, None
        self._finish_quietly()
        if call is not None:
            call.fail(failure or self.failure())

    def _begin(self, call: Caller) -> None:
        process = self._process
        assert process is not None and process.server is not None
        assert process.pid is not None and process.inlet is not None
        if self._begun:
            request = call.calling.request(self.agent, more=call.own_variables())
        else:
            environment = call.full_environment(process.server.environment)
            environment[children.TAG_VARIABLE] = self.tag
            request = call.calling.request(self.agent, cwd=call.cwd, env=block(environment))
        self._begun = True
        call.running(process.pid, process.outlets())
        for stream, pieces in self._output.items():
            waited, self._output[stream] = pieces, []
            for piece in waited:
                call.output(stream, piece)
        call.begin(process.inlet, request)
        call.resume()

    def withdraw(self, call: Caller) -> None:
        """The call has ended without us."""
        if call in self.waiting:
            self.waiting.remove(call)
        if call is self.current and not call.begun:
            self.current = None
            if self.pid is None and self._server is None:
                self._finish_quietly()
            self._advance()

    # What the process says.

    def repay(self, cost: int) -> None:
        if self.current is not None and cost:
            self.current.repay(cost)

    def on_output(self, stream: int, data: bytes) -> None:
        due = self._due.get(stream, 0) - len(data)
        self._due[stream] = max(due, 0)
        if self.current is not None and self.current.begun:
            self.current.output(stream, data)
            if self._code is not None:
                self.settle()
            return
        waiting = self._output[stream]
        waiting.append(data)
        if sum(map(len, waiting)) >= MAX_WAITING:
            self._there().pause(stream)

    def on_answer(self, header: Header, payload: memoryview) -> None:
        call = self.current
        if call is None or self._code is not None:
            raise WireError("an answer to nothing")
        op = header.get("op")
        if op == "ending":
            self._code = fields.integer(header, "code", 0, 255)
            if fields.flag(header, "gone"):
                self.lost = ""
            self._due = self._there().pending()
            self.settle()
        elif op == "ignored":
            if call.interrupted:
                self._there().interrupt()
        else:
            call.on_answer(header, payload)

    def _there(self) -> Process:
        assert self._process is not None
        return self._process

    def settle(self) -> None:
        if self._there().gone:
            self._settle_end()
        elif self._code is not None and not any(self._due.values()):
            self._call_ended()

    def _call_ended(self) -> None:
        call, code = self.current, self._code
        self.current = self._code = None
        if call is not None:
            call.ended(code or 0)
        if self.lost is None:
            self._there().resume()
            self.loop.soon(self._advance)

    # Interrupts.

    def interrupt(self) -> bool:
        call = self.current
        if call is None or not call.begun or call.answered or self._code is not None:
            return False
        call.interrupted = True
        self._there().interrupt()
        return True

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
        else:
            self._there().end()

    def kill(self, call: Caller, why: str) -> None:
        """The call cannot be ended without it."""
        if call is not self.current:
            return
        if self._process is None:
            self.lose(why)
        else:
            self._process.kill(why)

    def lose(self, why: str) -> None:
        if self.lost is None:
            self.lost = why

    def _settle_end(self) -> None:
        if not self._there().is_over:
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
        if self._process is not None:
            self._process.release()


def ended(key: Key, why: str) -> Failure:
    text = "The session %s ended: %s. Its variables are gone; the next call starts it anew."
    failure = Failure("session", text % (key[1], why))
    failure.more = {"sessionLost": True}
    return failure
