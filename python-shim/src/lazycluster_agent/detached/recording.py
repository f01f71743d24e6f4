"""What a detached agent does without a manager: steps, one after the other, and a file of what they did.

The file has the frames that the steps would have sent, in their order, each with its step as `id`; a manager
that follows it from its beginning sees what it would have seen.
"""

from __future__ import annotations

import os
from functools import partial

from ..base.errors import Failure, ProtocolError
from ..functions.kinds import function
from ..steps.command import Command
from ..wire.frames import FRAME_COST, PIECE
from .spool import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from ..connection.host import Recorder, Running
    from ..connection.operation import Operation
    from ..steps.step import Step
    from ..wire.frames import Buffer, Header

KINDS: Dict[str, Callable[[Any, int, Header], Step]] = {"run": Command, "call": function}
#: Bytes of output that are kept for a manager that may come.
MAX_SPOOL = 1 << 30


class Tape:
    """The channel as recorded steps see it."""

    congested = False

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def send(self, header: Header, payload: Buffer = b"") -> None:
        if header["op"] == "credit":
            self._recording.feed()
        else:
            self._recording.write(header, payload)


class Scene:
    """The agent as recorded steps see it: all of it but its channel."""

    def __init__(self, agent: Recorder, recording: Recording) -> None:
        self._agent, self._recording = agent, recording
        self.channel = Tape(recording)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agent, name)

    def forget(self, operation: Running) -> None:
        self._recording.step_ended()

    def guard(self, operation: Running, action: Callable[[], None]) -> None:
        try:
            self._agent.guard(operation, action)
        except ProtocolError as error:
            # Nobody is there whose connection could end of it.
            operation.fail(Failure("internal", "The step was told wrongly: %s." % error))


class Recording:
    """Runs the steps one after the other, until one fails."""

    def __init__(self, agent: Recorder, steps: List[Header]) -> None:
        """Raises OSError."""
        self._agent, self._steps = agent, steps
        self.spool = Spool(os.path.join(agent.folder, b"spool"))
        self._scene: Any = Scene(agent, self)
        self._at = -1
        self._current: Optional[Step] = None
        self._last: Header = {}
        self._input = -1
        self._stopped = False
        #: Why it had to be ended, if so.
        self._failure: Optional[Failure] = None
        self.over = False
        #: Go on when there is more to read.
        self.followers: List[Operation] = []

    def input_path(self, step: int) -> bytes:
        return os.path.join(self._agent.folder, b"input-%d" % step)

    def begin(self, failure: Optional[Failure]) -> None:
        """The variables of its steps are known, or why not."""
        self._agent.loop.soon(lambda: self._next(failure))

    def _next(self, failure: Optional[Failure] = None) -> None:
        self._at += 1
        if self._at == len(self._steps):
            self._end("done")
            return
        if self._stopped and failure is None:
            failure = Failure("cancelled", "The step was cancelled before it started.")
        self._last = {}
        self.write({"op": "begin", "id": self._at + 1})
        try:
            if failure is not None:
                raise failure
            self._start(self._steps[self._at])
        except Failure as failure:
            self._refuse(failure)
        except (OSError, ProtocolError) as error:
            self._refuse(Failure("internal", "The step cannot be started: %s." % error))

    def _refuse(self, failure: Failure) -> None:
        self.write(dict(failure.fields(), op="error", id=self._at + 1))
        self._end("failed")

    def _start(self, header: Header) -> None:
        step = KINDS[header["op"]](self._scene, self._at + 1, header)
        path = self.input_path(self._at)
        if os.path.exists(path):
            self._input = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._current = step
        self._scene.guard(step, step.start)
        self.feed()

    def feed(self) -> None:
        """The next piece of the step's input; the step says when it wants more."""
        step = self._current
        while self._input >= 0 and step is not None and not step.finished and step.takes_more:
            self._scene.guard(step, partial(self._feed_piece, step))

    def _feed_piece(self, step: Step) -> None:
        data = os.read(self._input, PIECE)
        more = os.fstat(self._input).st_size > os.lseek(self._input, 0, os.SEEK_CUR)
        if not more:
            self._close_input()
        step.on_data({"op": "data", "id": step.id, "s": 0, "eof": not more}, memoryview(data))

    def _close_input(self) -> None:
        if self._input >= 0:
            os.close(self._input)
            self._input = -1

    def write(self, header: Header, payload: Buffer = b"") -> None:
        """Output is left out from the first piece on that cannot be kept; never how a step ends."""
        is_output = header["op"] == "data"
        if header["op"] in ("exit", "error"):
            self._last = header
        if is_output:
            self._pay_back(FRAME_COST + len(payload))
            if self._failure is not None:
                return
            if self.spool.size + len(payload) > MAX_SPOOL:
                text = "It printed more than %d bytes while nobody read them. Write such output to a file."
                self._give_up(Failure("limit", text % MAX_SPOOL))
                return
        try:
            self.spool.append(header, payload)
        except OSError as error:
            what = "What a detached task prints cannot be kept"
            self._give_up(Failure.of("path", error, self.spool.path, what))
        else:
            self._tell_followers()

    def _pay_back(self, cost: int) -> None:
        """On the disk, and so gone."""
        step = self._current
        if step is not None:
            self._agent.loop.soon(partial(credit, self._scene, step, cost))

    def _tell_followers(self) -> None:
        for follower in self.followers:
            follower.loop.soon(follower.resume)

    def _give_up(self, failure: Failure) -> None:
        if self._failure is None:
            self._failure = failure
            self.stop()

    def stop(self) -> None:
        """Ends the step that runs, and keeps the next one from starting."""
        self._stopped = True
        step = self._current
        if step is not None:
            self._scene.guard(step, step.cancel)

    def step_ended(self) -> None:
        self._current = None
        self._close_input()
        last, header = self._last, self._steps[self._at]
        good = last.get("op") == "exit" and last.get("why") == "exit" and not last.get("raised")
        if good and header.get("check", True):
            good = last.get("code") == 0 and last.get("sig") is None
        if good and self._failure is None:
            self._agent.loop.soon(self._next)
        else:
            self._end("failed")

    def _end(self, state: str) -> None:
        self.over = True
        header: Dict[str, Any] = {"op": "over", "id": 0, "state": state, "failure": None}
        if self._failure is not None:
            header["failure"] = self._failure.fields()
        try:
            self.spool.append(header)
            self.spool.end()
        except OSError:
            pass  # Who follows is told all the same, by the end of its operation.
        self._tell_followers()


def credit(scene: Scene, step: Step, cost: int) -> None:
    if not step.finished:
        scene.guard(step, partial(step.on_credit, cost))
