"""`call`: a Python function in a child of a fork server."""

from __future__ import annotations

import os

from . import fields
from .descriptors import shut_down_writing
from .errors import Failure, ProtocolError
from .frames import FrameDecoder, frame_head
from .functions import Functions
from .msgpack import NotData, WireError
from .step import RESULT, STDERR, STDOUT, Step
from .streams import Inlet, Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from .agent import Agent
    from .frames import Header
    from .functions import Server

#: The strings that each kind of function is told by.
FIELDS = {
    "source": ("source", "name", "file"),
    "module": ("module", "name"),
    "js": ("source", "name", "file", "form"),
}


class Function(Step):
    def __init__(self, agent: Agent, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._function = fields.mapping(header, "fn")
        kind = fields.text(self._function, "kind")
        if kind not in FIELDS:
            raise ProtocolError("a function of kind %.40r" % kind)
        for name in FIELDS[kind]:
            fields.text(self._function, name)
        self._interpreter = fields.optional_text(header, "python")
        self._inlet: Optional[Inlet] = None
        self._server: Optional[Server] = None
        #: Arguments that came before the child was there.
        self._early: List[Tuple[memoryview, int, bool]] = []
        self._decoder = FrameDecoder()
        self._control: Optional[Outlet] = None
        self._failure: Optional[Failure] = None
        self._request = b""

    def start(self) -> None:
        environment = b"\0".join(map(b"=".join, self.full_environment().items()))
        try:
            self._request = frame_head({"fn": self._function, "cwd": self.cwd, "env": environment})
        except NotData as error:
            text = "The function %s. Put its data into arguments or files." % error.message
            raise Failure("limit", text) from None
        if self.agent.functions is None:
            self.agent.functions = Functions(self.agent)
        self._server = self.agent.functions.server(self._interpreter, self.cwd)
        self._server.acquire(self._assigned)

    def _assigned(self, failure: Optional[Failure], pid: int, fds: Tuple[int, ...]) -> None:
        if failure is not None:
            self.fail(failure)
            return
        if self.finished:
            # Cancelled meanwhile: the child sees the end of its control socket and leaves.
            for fd in fds:
                os.close(fd)
            return
        self.agent.guard(self, lambda: self._attach(pid, *fds))

    def _attach(self, pid: int, control: int, out: int, err: int) -> None:
        self.started(pid)
        self.attach(out, STDOUT)
        self.attach(err, STDERR)
        answers = os.dup(control)
        self._control = Outlet(self.loop, answers, self._on_answer, self._settle)
        self.outlets.append(self._control)
        self._inlet = Inlet(self.loop, control, self.repay, lambda: shut_down_writing(control))
        self._inlet.write(memoryview(self._request), 0)
        for data, cost, end in self._early:
            self._pass_on(data, cost, end)
        self._early.clear()

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        end = fields.flag(header, "eof")
        if self._inlet is None:
            self._early.append((memoryview(bytes(payload)), cost, end))
        else:
            self._pass_on(payload, cost, end)

    def _pass_on(self, data: memoryview, cost: int, end: bool) -> None:
        assert self._inlet is not None
        self._inlet.write(data, cost)
        if end:
            self._inlet.end()

    def _on_answer(self, data: bytes) -> None:
        """The child may be as broken as its function, so what it says is checked."""
        try:
            for header, payload in self._decoder.feed(data):
                self._on_message(header, payload)
        except (WireError, ProtocolError) as error:
            text = "The function's process wrote %s to its control socket." % error
            self._failure = Failure("internal", text)
            self._end_of_answers()

    def _on_message(self, header: Header, payload: memoryview) -> None:
        op = header.get("op")
        if op == "result":
            self.output(RESULT, bytes(payload))
        elif op == "raised":
            self.raised = fields.mapping(header, "raised")
        elif op == "failed":
            failure = Failure(fields.text(header, "kind"), fields.text(header, "message"))
            failure.errno = fields.optional_text(header, "errno")
            failure.path = fields.optional_text(header, "path")
            failure.raised = header.get("raised")
            self._failure = failure
        elif op == "ending":
            self._end_of_answers()
            # The process may take another moment; it is past everything that could change this.
            assert self.pid is not None
            self.agent.child_ended(self.pid, fields.integer(header, "code", 0, 255) << 8)

    def _end_of_answers(self) -> None:
        """Nothing comes after this; a process in the background may hold the socket for long."""
        if self._control is not None:
            self._control.close()
        self._settle()

    def settled(self, code: Optional[int], signal: Optional[str]) -> None:
        if self._failure is not None:
            self.fail(self._failure)
        else:
            super().settled(code, signal)

    def release(self) -> None:
        super().release()
        if self._inlet is not None:
            self._inlet.close()
            os.close(self._inlet.fd)
            self._inlet = None
        for _, cost, _ in self._early:
            self.repay(cost)
        if self._server is not None:
            self._server.released()
            self._server = None
