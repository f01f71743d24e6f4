"""What makes a process like one in which Python has just started, and ends it like Python."""

from __future__ import annotations

import atexit
import os
import sys
import time

from ..base.errors import Failure, printable
from ..call.actions import CellRaised
from ..call.raised import complete, describe
from ..wire.msgpack import NotData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    from ..wire.frames import Header
    from .requests import Line


def perform(line: Line, action: Callable[[], Any]) -> int:
    """Runs what makes a document, and tells what came of it. Returns the exit code of a script."""
    code = 0
    try:
        document = action()
    except Failure as failure:
        line.tell("failed", **failure.fields())
        return 1
    except NotData as error:
        line.tell("raised", raised={"type": "TypeError", "message": str(error), "traceback": ""})
        return 1
    except CellRaised as cell:
        code = complete(cell.error)
        document = cell.document
        line.tell("raised", raised=describe(cell.error))
    except BaseException as error:
        code = complete(error)
        flush()
        line.tell("raised", raised=describe(error))
        return code
    flush()
    if not line.lost:
        line.tell_document(document)
    return code


def settle_in(request: Header) -> None:
    replace_environment(request["env"])
    cwd = request["cwd"]
    try:
        os.chdir(cwd)
    except OSError as error:
        what = "The working directory %s is not usable" % printable(cwd)
        raise Failure.of("cwd", error, cwd, what, "Create it first or choose another one.") from None
    sys.path.insert(0, os.fsdecode(cwd))


def make_ready() -> None:
    """In the fork server: what children find as any Python program does. Streams are known by number only."""
    sys.stdin = sys.__stdin__ = stream(0, "r")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = stream(1, "w")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = stream(2, "w")  # type: ignore[misc]
    sys.argv = [""]
    sys.modules["__main__"] = type(sys)("__main__")


def stream(fd: int, mode: str) -> Any:
    """Text by lines, so that a log shows what happened when; no text can fail to be written."""
    return open(fd, mode, buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def set_variables(variables: Dict[bytes, bytes]) -> None:
    """On top of what is there."""
    zone = os.environb.get(b"TZ")
    os.environb.update(variables)
    if os.environb.get(b"TZ") != zone:
        time.tzset()


def replace_environment(block: bytes) -> None:
    """Most variables are right already, and each change costs a system library call."""
    wanted = dict(line.split(b"=", 1) for line in block.split(b"\0") if line)
    for name in set(os.environb) - set(wanted):
        del os.environb[name]
    for name, value in wanted.items():
        if os.environb.get(name) != value:
            os.environb[name] = value


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # The function closed it, or put something else in its place.


def lingers() -> bool:
    """Whether the end may take long: then the result does not wait for it."""
    return "threading" in sys.modules or atexit._ncallbacks() > 0


def finish(code: int) -> int:
    """What the interpreter does at its end: waits for threads, runs exit handlers, flushes."""
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
    except SystemExit as error:
        code = complete(error)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = code or 1
    flush()
    return code
