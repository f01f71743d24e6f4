"""`record`, `follow`, `stop`, `forget`: steps that go on without a manager, and a file of what they did.

The file has the frames that the steps would have sent, in their order, each with its step as `id`; a manager
that follows it from its beginning sees what it would have seen.
"""

from __future__ import annotations

import os
import time
from functools import partial

from . import fields
from .command import Command
from .detached import DetachedAgent
from .errors import Failure, ProtocolError
from .frames import FRAME_COST, PIECE, frame_head
from .function import function
from .operation import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from .agent import Agent
    from .frames import Buffer, Header
    from .step import Step

KINDS: Dict[str, Callable[[Any, int, Header], Step]] = {"run": Command, "call": function}
#: Bytes of output that are kept for a manager that may come.
MAX_SPOOL = 1 << 30


class Spool:
    """The channel as recorded steps see it."""

    congested = False

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self.recording: Optional[Recording] = None

    def send(self, header: Header, payload: Buffer = b"") -> None:
        assert self.recording is not None
        if header["op"] == "credit":
            self.recording.feed()
        else:
            self.recording.write(header, payload)

    def write(self, header: Header, payload: Buffer) -> None:
        """Raises OSError."""
        head = frame_head(dict(header, time=int(time.time() * 1000)), len(payload))
        for part in (head, payload):
            view = memoryview(part)
            while view:
                written = os.write(self._file, view)
                self.size += written
                view = view[written:]

    def close(self) -> None:
        os.close(self._file)


class Scene:
    """The agent as recorded steps see it: all of it but its channel."""

    def __init__(self, agent: DetachedAgent, recording: Recording, channel: Spool) -> None:
        self._agent, self._recording = agent, recording
        self.channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)

    def forget(self, operation: Operation) -> None:
        self._recording.step_ended()


class Recording:
    """Runs the steps one after the other, until one fails."""

    def __init__(self, agent: DetachedAgent, steps: List[Header]) -> None:
        self._agent, self._steps = agent, steps
        self.spool = Spool(os.path.join(agent.folder, b"spool"))
        self.spool.recording = self
        self._scene: Any = Scene(agent, self, self.spool)
        self._at = -1
        self._current: Optional[Step] = None
        self._last: Header = {}
        self._input = -1
        #: Why it had to be ended, if so.
        self._failure: Optional[Failure] = None
        self.over = False
        self.followers: List[Follow] = []

    def input_path(self, step: int) -> bytes:
        return os.path.join(self._agent.folder, b"input-%d" % step)

    def next(self) -> None:
        self._at += 1
        if self._at == len(self._steps):
            self._end("done")
            return
        header = self._steps[self._at]
        self._last = {}
        self.write({"op": "begin", "id": self._at + 1}, b"")
        try:
            step = KINDS[header["op"]](self._scene, self._at + 1, header)
        except Failure as failure:
            self.write(dict(failure.fields(), op="error", id=self._at + 1), b"")
            self._end("failed")
            return
        self._current = step
        self._agent.guard(step, step.start)
        path = self.input_path(self._at)
        if not step.finished and os.path.exists(path):
            self._input = os.open(path, os.O_RDONLY)
            self.feed()

    def feed(self) -> None:
        """The next piece of the step's input; the step says when it wants more."""
        step = self._current
        while self._input >= 0 and step is not None and not step.finished and step.takes_more:
            data = os.read(self._input, PIECE)
            more = os.fstat(self._input).st_size > os.lseek(self._input, 0, os.SEEK_CUR)
            header = {"op": "data", "id": step.id, "s": 0, "eof": not more}
            self._agent.guard(step, partial(step.on_data, header, memoryview(data)))
            if not more:
                self._close_input()

    def _close_input(self) -> None:
        if self._input >= 0:
            os.close(self._input)
            self._input = -1

    def write(self, header: Header, payload: Buffer) -> None:
        """Also what was recorded of a step that is ended because it cannot be recorded any more."""
        if header["op"] in ("exit", "error"):
            self._last = header
        if self.spool.size + len(payload) > MAX_SPOOL and header["op"] == "data":
            text = (
                "It printed more than %d bytes while nobody read them. Write such output to a file."
                % MAX_SPOOL
            )
            self._give_up(Failure("limit", text))
            return
        try:
            self.spool.write(header, payload)
        except OSError as error:
            self._give_up(
                Failure.of("path", error, self.spool.path, "What a detached task prints cannot be kept")
            )
            return
        finally:
            step = self._current
            if header["op"] == "data" and step is not None:
                # On the disk, and so gone.
                cost = FRAME_COST + len(payload)
                self._agent.loop.soon(partial(credit, step, cost))
        for follower in self.followers:
            self._agent.loop.soon(follower.resume)

    def _give_up(self, failure: Failure) -> None:
        if self._failure is None:
            self._failure = failure
            self.stop()

    def stop(self) -> None:
        if self._current is not None:
            step = self._current
            self._agent.guard(step, step.cancel)

    def step_ended(self) -> None:
        self._current = None
        self._close_input()
        last, header = self._last, self._steps[self._at]
        good = last.get("op") == "exit" and last.get("why") == "exit" and not last.get("raised")
        if good and header.get("check", True):
            good = last.get("code") == 0 and last.get("sig") is None
        if good and self._failure is None:
            self._agent.loop.soon(self.next)
        else:
            self._end("failed")

    def _end(self, state: str) -> None:
        self.over = True
        header: Dict[str, Any] = {"op": "over", "id": 0, "state": state, "failure": None}
        if self._failure is not None:
            header["failure"] = self._failure.fields()
        try:
            self.spool.write(header, b"")
        except OSError:
            pass  # Who follows is told all the same, by the end of its operation.
        for follower in self.followers:
            self._agent.loop.soon(follower.resume)


def credit(step: Step, cost: int) -> None:
    if not step.finished:
        step.on_credit(cost)


class Record(Operation):
    """Takes the steps and their inputs; once all are here, nobody needs to stay."""

    def __init__(self, agent: Agent, id: int, header: Header) -> None:
        super().__init__(agent, id)
        if not isinstance(agent, DetachedAgent) or agent.recording is not None:
            raise ProtocolError("record is for an agent that was started detached, once")
        self._detached = agent
        steps = header.get("steps")
        if not isinstance(steps, list) or not all(
            isinstance(step, dict) and step.get("op") in KINDS for step in steps
        ):
            raise fields.refuse(header, "steps", "a list of run and call")
        self._lease = fields.optional_milliseconds(header, "lease") or 0
        self._about = fields.raw(header, "about")
        self._missing = {at for at, step in enumerate(steps) if step.get("input")}
        self._recording = Recording(agent, steps)
        self._inputs: Dict[int, int] = {}

    def start(self) -> None:
        self._begin_when_complete()

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        at = fields.integer(header, "s")
        if at not in self._missing:
            raise ProtocolError("input for step %d, which takes none" % at)
        if at not in self._inputs:
            path = self._recording.input_path(at)
            self._inputs[at] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            while payload:
                payload = payload[os.write(self._inputs[at], payload) :]
        except OSError as error:
            what = "What a detached task reads cannot be kept"
            raise Failure.of("path", error, self._detached.folder, what) from None
        self.repay(cost)
        if fields.flag(header, "eof"):
            os.close(self._inputs.pop(at))
            self._missing.discard(at)
            self._begin_when_complete()

    def _begin_when_complete(self) -> None:
        if self._missing:
            return
        path = os.path.join(self._detached.folder, b"about")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, self._about)
        finally:
            os.close(file)
        self._detached.committed(self._recording, self._lease)
        self.loop.soon(self._recording.next)
        self.finish("done")

    def release(self) -> None:
        for fd in self._inputs.values():
            os.close(fd)


class OfRecording(Operation):
    def __init__(self, agent: Agent, id: int, header: Header) -> None:
        super().__init__(agent, id)
        if not isinstance(agent, DetachedAgent) or agent.recording is None:
            raise ProtocolError("nothing is recorded here")
        self.detached = agent
        self.recording = agent.recording


class Follow(OfRecording):
    """The recording from an offset on, to its end."""

    def __init__(self, agent: Agent, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._offset = fields.integer(header, "from")
        self._file = os.open(self.recording.spool.path, os.O_RDONLY)
        self.recording.followers.append(self)

    def start(self) -> None:
        self.resume()

    def resume(self) -> None:
        while self.may_send and not self.finished:
            data = os.pread(self._file, PIECE, self._offset)
            if not data:
                if self.recording.over:
                    self.finish("done")
                return
            self._offset += len(data)
            self.send("data", data)

    def release(self) -> None:
        self.recording.followers.remove(self)
        os.close(self._file)


class Stop(OfRecording):
    """Ends the step that runs, and with it the task."""

    def start(self) -> None:
        self.recording.stop()
        self.finish("done")


class Forget(OfRecording):
    """The manager has all that it wants."""

    def start(self) -> None:
        if not self.recording.over:
            raise Failure("path", "The task still runs; end it first.")
        self.finish("done")
        self.detached.dismiss()
