"""A function child: waits for a function, runs it as a script would run, and ends.

One in which the function has left no trace waits for another instead: that saves a fork, which takes longer
than most functions.
"""

from __future__ import annotations

import atexit
import linecache
import os
import sys
import time

from . import system, warmth
from .calls import MODULE, Call, CellRaised
from .errors import Failure, printable
from .line import TOO_LARGE, Arguments, Line
from .msgpack import NotData
from .outcome import complete, describe
from .spaces import Space
from .traces import Traces
from .values import encode_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, NoReturn, Optional, Tuple

    from .boot import Importer
    from .frames import Header
    from .traces import Names


class Worker:
    def __init__(self, control: int, out: int, err: int, names: Names, importer: Importer) -> None:
        self._control, self._out, self._err = control, out, err
        self._names, self._importer = names, importer

    def run(self) -> NoReturn:
        self._prepare()
        rehearse()
        line = Line(self._control)
        traces = Traces(self._names)
        code = 1
        try:
            again = True
            while again:
                request = line.receive()
                if request is None:
                    os._exit(0)  # We were not needed.
                header, document = request
                again = False
                if header["kept"]:
                    from .session_child import SessionChild

                    SessionChild(line).run(header, document)
                elif document is not None:
                    again, code = self._serve(line, traces, header, document)
                del request, header, document
        except MemoryError:
            line.tell("failed", **Failure("limit", TOO_LARGE).fields())
            line.tell("ending", code=1, warm=[])
            line.send()
        except OSError as error:
            if not line.lost:
                # Most likely the function closed every descriptor that it found.
                system.write_quietly(2, b"lazycluster: the result was lost: %s\n" % str(error).encode())
        finally:
            os._exit(code)

    def _serve(self, line: Line, traces: Traces, request: Header, document: Arguments) -> Tuple[bool, int]:
        """Whether the process can run the function again, and its exit code if it ends."""
        call: Optional[Call] = None

        def action() -> Any:
            nonlocal call
            settle_in(request)
            space = Space()
            self._importer.awaited["multiprocessing"] = space.publish
            found = Call(request, space)
            result = found.perform(document)
            # Code among the arguments may be other code the next time.
            call = None if found.brought_code else found
            return result

        code = perform(line, action)
        if line.lost:
            return False, finish(code)
        if call is not None and traces.none([os.fsdecode(request["cwd"]), *self._names.path], flush):
            line.tell("ending", code=0, warm=[], again=True)
            line.send()
            return True, 1
        if lingers():
            line.send()
        code = finish(code)
        line.tell("ending", code=code, warm=warmth.used(self._names))
        line.send()
        # The end of the process takes longer than all the rest, so nobody waits for it.
        for fd in (1, 2):
            system.close_quietly(fd)
        return False, code

    def _prepare(self) -> None:
        """All that can be done before the function is known, and not before the fork."""
        os.setsid()
        system.become_function_child()
        system.become_subreaper()
        os.dup2(self._out, 1)
        os.dup2(self._err, 2)
        os.close(self._out)
        os.close(self._err)
        warmth.begin()


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


def rehearse() -> None:
    """Runs a function for nothing, so that the memory that a run touches is ours when it counts."""
    arguments = encode_document({"args": [], "kwargs": {}, "bind": {}})
    document = Arguments()
    document.feed(b"".join(arguments))
    source = {"kind": "source", "source": "def f(): pass", "name": "f", "file": "rehearsal"}
    request = {"fn": source, "result": "data", "modules": [], "folder": b"", "handles": []}
    Call(request, Space()).perform(document)
    del sys.modules[MODULE], linecache.cache["rehearsal"]


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
