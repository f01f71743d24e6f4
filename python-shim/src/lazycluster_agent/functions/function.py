"""`call`: a Python function in a child of a fork server."""

from __future__ import annotations

from ..base.errors import Failure, ProtocolError
from ..processes.streams import Inlet, Outlet
from ..steps.step import RESULT, STDERR, STDOUT, Step
from ..wire import fields
from ..wire.frames import FrameDecoder, frame_head
from ..wire.msgpack import WireError
from .request import Calling, block
from .servers import functions_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from ..connection.host import Host
    from ..wire.frames import Header
    from .server import Server
    from .turns import Turn


class CallStep(Step):
    """What all calls have in common: arguments on their way in, answers on their way out."""

    def __init__(self, agent: Host, id: int, header: Header, kept: bool) -> None:
        super().__init__(agent, id, header)
        self.calling = Calling(header, kept)
        self.failure: Optional[Failure] = None
        self._inlet: Optional[Inlet] = None
        #: Arguments that came before the child was there.
        self._early: List[Tuple[memoryview, int, bool]] = []

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        end = fields.flag(header, "eof")
        if self._inlet is None:
            self._early.append((memoryview(bytes(payload)), cost, end))
        else:
            self.pass_on(payload, cost, end)

    def begin(self, inlet: Inlet, request: bytes) -> None:
        self._inlet = inlet
        inlet.write(memoryview(request), 0)
        early, self._early = self._early, []
        for data, cost, end in early:
            self.pass_on(data, cost, end)

    def pass_on(self, data: memoryview, cost: int, end: bool) -> None:
        assert self._inlet is not None
        self._inlet.write(memoryview(frame_head({"op": "data", "eof": end}, len(data))), 0)
        self._inlet.write(data, cost)

    def on_answer(self, header: Header, payload: memoryview) -> None:
        op = header.get("op")
        if op == "result":
            self.output(RESULT, payload)
        elif op == "raised":
            self.raised = fields.mapping(header, "raised")
        elif op == "failed":
            self.failure = failure = Failure(fields.text(header, "kind"), fields.text(header, "message"))
            failure.errno = fields.optional_text(header, "errno")
            failure.path = fields.optional_text(header, "path")
            failure.raised = header.get("raised")
            failure.more = {name: fields.text(header, name) for name in ("found", "needed") if name in header}

    def settled(self, code: Optional[int], signal: Optional[str]) -> None:
        if self.failure is not None:
            self.fail(self.failure)
        else:
            super().settled(code, signal)

    def release(self) -> None:
        super().release()
        for _, cost, _ in self._early:
            self.repay(cost)
        self._early.clear()


class Function(CallStep):
    js = False

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header, kept=False)
        self._turn: Optional[Turn] = None
        self._server: Optional[Server] = None
        self._decoder = FrameDecoder()
        self._control: Optional[Outlet] = None
        self._request = b""
        self._fds: Tuple[int, ...] = ()
        #: The child takes another function.
        self._again = False

    def start(self) -> None:
        self._turn = functions_of(self.agent).turn(lambda: self.agent.guard(self, self.launch), self.js)
        self._turn.wait()

    def launch(self) -> None:
        """Its turn has come. May raise Failure."""
        server = functions_of(self.agent).server(self.calling.interpreter, self.cwd, self.environment)
        environment = block(self.full_environment(server.environment))
        self._request = self.calling.request(self.agent, cwd=self.cwd, env=environment)
        self._server = server
        server.acquire(self._assigned, self.calling.identity)

    def _assigned(self, failure: Optional[Failure], pid: int, fds: Tuple[int, ...]) -> None:
        if failure is None:
            self.agent.guard(self, lambda: self.set_off(pid, *fds))
            return
        self._let_go()
        if failure.kind != "limit" or self._turn is None or not self._turn.wait_again():
            self.fail(failure)

    def set_off(self, pid: int, control: int, answers: int, out: int, err: int) -> None:
        self.started(pid)
        self._fds = (control, answers, out, err)
        self.attach(out, STDOUT)
        self.attach(err, STDERR)
        self._control = Outlet(self.loop, answers, self._on_answers, self._settle)
        self.outlets.append(self._control)
        self.begin(self.inlet(control), self._request)

    def inlet(self, control: int) -> Inlet:
        return Inlet(self.loop, control, self.repay)

    def _on_answers(self, data: bytes) -> None:
        """The child may be as broken as its function, so what it says is checked."""
        try:
            for header, payload in self._decoder.feed(data):
                if header.get("op") == "ending":
                    if self._server is not None:
                        self._server.warm(fields.text_list(header, "warm"))
                    if fields.flag(header, "again") and self._server is not None and not self._ending:
                        self._lay_down()
                    self._end_of_answers()
                    # The process may take another moment; it is past everything that could change this.
                    assert self.pid is not None
                    self.agent.child_ended(self.pid, fields.integer(header, "code", 0, 255) << 8)
                    return
                self.on_answer(header, payload)
        except (WireError, ProtocolError) as error:
            text = "The function's process wrote %s to its control socket." % error
            self.failure = Failure("internal", text)
            self._end_of_answers()

    def _lay_down(self) -> None:
        """The child waits for another function. Its pipes stay open, so their end is what is in them now."""
        self._again = True
        for outlet in self.outlets:
            outlet.hand_over()

    def exited(self, status: int) -> None:
        if self._again and self.pid is not None:
            # It may still die before all of its output is delivered.
            self.agent.children[self.pid] = lambda status: self._wear_out()
        super().exited(status)

    def _stop(self, why: str) -> None:
        self._wear_out()
        super()._stop(why)

    def _wear_out(self) -> None:
        self._again = False

    def _end_of_answers(self) -> None:
        """Nothing comes after this; a process in the background may hold the socket for long."""
        if self._control is not None and self._control.open:
            self._control.close()
        self._settle()

    def release(self) -> None:
        inlet, self._inlet = self._inlet, None
        again = self._again and all(outlet.handed_over for outlet in self.outlets)
        if again and inlet is not None and inlet.hand_over():
            self.outlets.clear()
            self._take_back()
        super().release()
        if inlet is not None:
            inlet.close()
        self._let_go()
        if self._turn is not None:
            self._turn.leave()

    def _take_back(self) -> None:
        assert self._server is not None and self.pid is not None
        self._server.take_back(self.pid, self._fds, self.calling.identity)

    def _let_go(self) -> None:
        if self._server is not None:
            self._server.withdraw(self._assigned)
            self._server.released()
            self._server = None
