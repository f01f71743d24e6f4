"""The process of a session: runs one call after the other and keeps what they leave behind."""

from __future__ import annotations

import os
import sys
import warnings

from ..base import signals
from ..call.actions import Call
from ..call.kept_space import SessionSpace
from .script import finish, flush, perform, set_variables, settle_in, stream
from .shield import Shield

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn, Optional

    from ..call.arguments import Arguments
    from ..wire.frames import Header
    from .requests import Line


class Ignored(Exception):
    """A SIGINT came when nothing could be interrupted."""


class SessionChild:
    def __init__(self, line: Line) -> None:
        self._line = line
        self._space = SessionSpace()
        self._shield = Shield()
        #: Whether a SIGINT found nothing that it could interrupt.
        self._ignored = False
        self._settled = False
        self._stdio = [os.dup(fd) for fd in (0, 1, 2)]

    def run(self, request: Header, document: Optional[Arguments]) -> NoReturn:
        signals.on_interrupt(self._on_interrupt)
        line = self._line
        while True:
            code = 1 if document is None else self._serve(request, document)
            if line.lost:
                # A process that the call has forked came back from it: to a script this is the end.
                os._exit(finish(code))
            self._repair()
            line.tell("ending", code=code, gone=not self._settled)
            line.send()
            following = line.receive() if self._settled else None
            if following is None:
                os._exit(finish(0))
            request, document = following

    def _serve(self, request: Header, document: Arguments) -> int:
        def action() -> Any:
            while True:
                try:
                    self._shield.take_down()
                    return self._interruptible(request, document)
                except Ignored:
                    # It may have been meant for this call; the agent knows.
                    self._ignored = False
                    self._line.tell("ignored")
                    self._line.send()
                finally:
                    self._put_up_shield()

        return perform(self._line, action)

    def _put_up_shield(self) -> None:
        while True:
            try:
                self._shield.put_up()
                return
            except Exception:
                pass  # From a handler, at the last moment.

    def _interruptible(self, request: Header, document: Arguments) -> Any:
        """What a SIGINT may end; it does nothing where this is not on the stack."""
        if self._ignored:
            raise Ignored
        if not self._settled:
            settle_in(request)
            self._settled = True
        else:
            set_variables({os.fsencode(name): value for name, value in request["more"].items()})
        result = Call(request, self._space).perform(document)
        # A full pipe may make this wait.
        flush()
        return result

    def _on_interrupt(self, number: int, frame: Optional[FrameType]) -> None:
        while frame is not None:
            if frame.f_code is INTERRUPTIBLE:
                raise KeyboardInterrupt
            frame = frame.f_back
        self._ignored = True

    def _repair(self) -> None:
        """A call that closes its streams, or handles signals itself, must not take that from the next one."""
        signals.on_interrupt(self._on_interrupt)
        for fd, spare in enumerate(self._stdio):
            try:
                os.fstat(fd)
            except OSError:
                os.dup2(spare, fd)
        for fd, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
            current = getattr(sys, name, None)
            if current is None or getattr(current, "closed", False):
                fresh = stream(fd, mode)
                setattr(sys, name, fresh)
                setattr(sys, "__%s__" % name, fresh)


INTERRUPTIBLE = SessionChild._interruptible.__code__


# Figures are shown when a cell ends, so `show()` need not warn that it cannot. This is here because an import
# of ours finds what it needs in the standard library (shadows.py); only the process of a session imports it.
warnings.filterwarnings("ignore", "FigureCanvas.* is non-interactive", UserWarning)
warnings.filterwarnings("ignore", "Matplotlib is currently using agg", UserWarning)
