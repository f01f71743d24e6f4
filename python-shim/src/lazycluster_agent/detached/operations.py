"""`record`, `follow`, `stop`, `forget`: what a client of a detached agent has to do with its recording."""

from __future__ import annotations

import os

from ..base.errors import Failure, ProtocolError
from ..connection.operation import Operation
from ..wire import fields
from ..wire.frames import PIECE
from .recording import KINDS, Recording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from ..connection.host import Host
    from ..wire.frames import Header

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Record(Operation):
    """Takes the steps and their inputs; once all are here, nobody needs to stay."""

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        if agent.recorder is None:
            raise ProtocolError("record is for an agent that was started detached")
        self._detached = agent.recorder
        steps = header.get("steps")
        if not isinstance(steps, list) or not all(
            isinstance(step, dict) and step.get("op") in KINDS for step in steps
        ):
            raise fields.refuse(header, "steps", "a list of run and call")
        self._steps = steps
        self._lease = fields.optional_milliseconds(header, "lease") or 0
        self._about = fields.raw(header, "about")
        self._missing = {at for at, step in enumerate(steps) if step.get("input")}
        self._inputs: Dict[int, int] = {}

    def start(self) -> None:
        if self._detached.is_taken:
            raise ProtocolError("an agent records once")
        self._detached.is_taken = True
        try:
            self._recording = Recording(self._detached, self._steps)
        except OSError as error:
            raise self._failure(error, "What a detached task prints") from None
        self._begin_when_complete()

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        at = fields.integer(header, "s")
        if at not in self._missing:
            raise ProtocolError("input for step %d, which takes none" % at)
        try:
            if at not in self._inputs:
                self._inputs[at] = os.open(self._recording.input_path(at), CREATE, 0o600)
            while payload:
                payload = payload[os.write(self._inputs[at], payload) :]
        except OSError as error:
            raise self._failure(error, "What a detached task reads") from None
        self.repay(cost)
        if fields.flag(header, "eof"):
            os.close(self._inputs.pop(at))
            self._missing.discard(at)
            self._begin_when_complete()

    def _begin_when_complete(self) -> None:
        if self._missing:
            return
        try:
            file = os.open(os.path.join(self._detached.folder, b"about"), CREATE, 0o600)
            try:
                os.write(file, self._about)
            finally:
                os.close(file)
        except OSError as error:
            raise self._failure(error, "What a detached task is") from None
        self._detached.committed(self._recording, self._lease)
        self.finish("done")

    def _failure(self, error: OSError, what: str) -> Failure:
        advice = "Check the space on its file system."
        return Failure.of("path", error, self._detached.folder, "%s cannot be kept" % what, advice)

    def release(self) -> None:
        for fd in self._inputs.values():
            os.close(fd)


class OfRecording(Operation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        if agent.recorder is None or agent.recorder.recording is None:
            raise ProtocolError("nothing is recorded here")
        self.detached = agent.recorder
        self.recording: Recording = agent.recorder.recording


class Follow(OfRecording):
    """The recording from an offset on, to its end."""

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._offset = fields.integer(header, "from")
        self._file = -1

    def start(self) -> None:
        self._file = os.open(self.recording.spool.path, os.O_RDONLY | os.O_CLOEXEC)
        self.recording.followers.append(self)
        self.resume()

    def resume(self) -> None:
        while self.may_send and not self.finished and self._file >= 0:
            data = self.recording.spool.read(self._file, self._offset, PIECE)
            if not data:
                if self.recording.over:
                    self.finish("done")
                return
            self._offset += len(data)
            self.send("data", data)

    def release(self) -> None:
        if self._file >= 0:
            self.recording.followers.remove(self)
            os.close(self._file)
            self._file = -1


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
