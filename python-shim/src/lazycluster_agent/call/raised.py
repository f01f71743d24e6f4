"""How an exception is told to the manager: its type, its text, and a traceback of the user's own lines."""

from __future__ import annotations

import sys
import traceback

from ..base.errors import Failure
from ..base.shadows import among_ours
from .missing import told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

#: The module that a function's source becomes, and below it those of functions that are arguments.
MODULE = "__lazycluster__"
MAX_MESSAGE = 64 * 1024
MAX_TRACEBACK = 256 * 1024


def describe(error: BaseException) -> Dict[str, Any]:
    kind = type(error)
    plain = own_module(kind.__module__)
    message = text(error)
    if isinstance(error, ModuleNotFoundError):
        message = told(error)
    return {
        "type": kind.__qualname__ if plain else "%s.%s" % (kind.__module__, kind.__qualname__),
        "message": shorten(message, MAX_MESSAGE, head=MAX_MESSAGE),
        "traceback": shorten(
            among_ours(lambda: format_traceback(error)), MAX_TRACEBACK, head=MAX_TRACEBACK // 4
        ),
    }


def missing_module(error: ModuleNotFoundError, what: str) -> Failure:
    return Failure("module", "%s: %s" % (what, told(error)), raised=describe(error))


def own_module(module: str) -> bool:
    """Whether its classes are known by their bare names."""
    return module in ("builtins", "__main__") or module.partition(".")[0] == MODULE


def complete(error: BaseException) -> int:
    """The exit code that the interpreter would end with."""
    if not isinstance(error, SystemExit):
        return 1
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write("%s\n" % (error.code,))
    return 1


def text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "<its text cannot be made>"


def format_traceback(error: BaseException) -> str:
    """Without the agent's frames above the user's function, and below it, where a signal has called us."""
    try:
        trace = error.__traceback__
        while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        told = traceback.TracebackException(type(error), error, trace)
        ours = [at for at, frame in enumerate(told.stack) if is_ours(frame.filename)]
        if ours:
            del told.stack[ours[0] :]
        lines = list(told.format())
    except Exception as failure:
        return "<its traceback cannot be made: %s>" % type(failure).__name__
    return "".join(lines)


def is_ours(file: str) -> bool:
    return file.startswith("<lazycluster_agent/")


def shorten(value: str, limit: int, head: int) -> str:
    """At most `limit` bytes of UTF-8: the first `head` of them and the last."""
    raw = value.encode("utf-8", "backslashreplace")
    if len(raw) > limit:
        note = b"\n... %d bytes are left out ...\n" % (len(raw) - limit)
        tail = limit - head
        raw = raw[: max(head - len(note), 0)] + note + (raw[-tail:] if tail else b"")
    return raw.decode("utf-8", "ignore")
