"""A function child: waits for one function, runs it as a script would run, and ends."""

from __future__ import annotations

import atexit
import linecache
import os
import sys

from . import system
from .errors import Failure, printable
from .frames import PIECE, FrameDecoder, frame_head
from .msgpack import NotData, WireError
from .outcome import complete, describe
from .values import decode_document, encode_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn, Tuple

    from .frames import Buffer, Header

#: The module that a function's source becomes.
MODULE = "__lazycluster__"


class Worker:
    def __init__(self, control: int, out: int, err: int) -> None:
        self._control, self._out, self._err = control, out, err
        #: Messages that leave with the next ones.
        self._unsent: List[Buffer] = []

    def run(self) -> NoReturn:
        self._prepare()
        self._rehearse()
        request, document = self._receive()
        code = 1
        try:
            code = self._serve(request, document)
            if lingers():
                self._send()
            code = finish(code)
            self._tell("ending", code=code)
            self._send()
            # The end of the process takes longer than all the rest, so nobody waits for it.
            for fd in (1, 2):
                system.close_quietly(fd)
        except OSError as error:
            # Most likely the function closed every descriptor that it found.
            system.write_quietly(2, b"lazycluster: the result was lost: %s\n" % str(error).encode())
            code = 1
        finally:
            os._exit(code)

    def _serve(self, request: Header, document: List[bytes]) -> int:
        """Returns the exit code."""
        try:
            self._settle_in(request)
            result = self._call(request["fn"], read_arguments(document))
        except Failure as failure:
            self._tell("failed", **failure.fields())
            return 1
        except BaseException as error:
            code = complete(error)
            flush()
            self._tell("raised", raised=describe(error))
            return code
        flush()
        return self._return(result)

    def _rehearse(self) -> None:
        """Runs a function for nothing, so that the memory that a run touches is ours when it counts."""
        document = encode_document({"args": [], "kwargs": {}, "bind": {}})
        source: Dict[str, Any] = {
            "kind": "source",
            "source": "def f(): pass",
            "name": "f",
            "file": "rehearsal",
        }
        request = frame_head({"fn": source, "cwd": b"/", "env": b""})
        for _ in FrameDecoder().feed(request):
            encode_document(self._call(source, decode_document(list(map(bytes, document)))), "result")
        del sys.modules[MODULE], linecache.cache[source["file"]]

    def _prepare(self) -> None:
        """All that can be done before the function is known, and not before the fork."""
        os.setsid()
        system.become_function_child()
        system.become_subreaper()
        os.dup2(self._out, 1)
        os.dup2(self._err, 2)
        system.close_low_but(self._control)
        # A fork without exec must not hold the channel to the agent open.
        os.register_at_fork(after_in_child=lambda: system.close_quietly(self._control))

    def _receive(self) -> Tuple[Header, List[bytes]]:
        """The request, and the document that follows it up to the end of the input."""
        decoder = FrameDecoder()
        request: Header = {}
        document: List[bytes] = []
        while not request:
            data = os.read(self._control, PIECE)
            if not data:
                os._exit(0)  # We were not needed.
            for header, _ in decoder.feed_one(data):
                request = header
        document.append(decoder.rest())
        while True:
            data = os.read(self._control, PIECE)
            if not data:
                return request, document
            document.append(data)

    def _settle_in(self, request: Header) -> None:
        replace_environment(request["env"])
        cwd = request["cwd"]
        try:
            os.chdir(cwd)
        except OSError as error:
            what = "The working directory %s is not usable" % printable(cwd)
            raise Failure.of("cwd", error, cwd, what, "Create it first or choose another one.") from None
        sys.path.insert(0, os.fsdecode(cwd))

    def _call(self, function: Dict[str, Any], arguments: Dict[str, Any]) -> object:
        if function["kind"] == "module":
            target = self._import(function["module"], function["name"])
        else:
            target = self._define(function, arguments["bind"])
        result = target(*arguments["args"], **arguments["kwargs"])
        if hasattr(result, "__await__"):
            import asyncio

            result = asyncio.run(await_it(result))
        return result

    def _import(self, module: str, name: str) -> Any:
        try:
            target: Any = __import__(module, fromlist=["*"])
        except ModuleNotFoundError as error:
            # Only when it is the module itself that is missing; a fault inside it is the module's own.
            if error.name is None or not (module + ".").startswith(error.name + "."):
                raise
            text = "There is no module %s on this host. Install it, or add its folder to PYTHONPATH." % module
            raise Failure("function", text, raised=describe(error)) from None
        return find(target, name, "The module %s" % module)

    def _define(self, function: Dict[str, Any], bind: Dict[str, Any]) -> Any:
        source, file = function["source"], function["file"]
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        module = sys.modules[MODULE] = type(sys)(MODULE)
        module.__dict__.update(bind)
        try:
            code = compile(source, file, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            text = "The source of the function does not compile: %s" % error
            raise Failure("function", text, raised=describe(error)) from None
        exec(code, module.__dict__)
        return find(module, function["name"], "The source %s" % file)

    def _return(self, result: object) -> int:
        try:
            document = encode_document(result, "result")
        except NotData as error:
            self._tell("raised", raised={"type": "TypeError", "message": str(error), "traceback": ""})
            return 1
        if sum(map(len, document)) <= PIECE:
            self._tell("result", b"".join(document))
            return 0
        for buffer in document:
            view = memoryview(buffer)
            for start in range(0, len(view), PIECE):
                self._tell("result", view[start : start + PIECE])
                self._send()
        return 0

    def _tell(self, op: str, payload: Buffer = b"", **fields: Any) -> None:
        header = {"op": op}
        header.update(fields)
        self._unsent += frame_head(header, len(payload)), payload

    def _send(self) -> None:
        pending = self._unsent
        while pending:
            written = os.writev(self._control, pending)
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if pending:
                pending[0] = memoryview(pending[0])[written:]


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


def read_arguments(document: List[bytes]) -> Dict[str, Any]:
    try:
        arguments = decode_document(document)
    except WireError as error:
        raise Failure("transfer", "The arguments of the function are broken: %s." % error) from None
    kinds: Dict[str, type] = {"args": list, "kwargs": dict, "bind": dict}
    if isinstance(arguments, dict) and all(isinstance(arguments.get(name), kinds[name]) for name in kinds):
        return arguments
    raise Failure("transfer", "The arguments of the function are no map of args, kwargs and bind.")


def find(target: Any, name: str, where: str) -> Any:
    for part in name.split("."):
        try:
            target = getattr(target, part)
        except AttributeError as error:
            text = "%s has no function %s." % (where, name)
            raise Failure("function", text, raised=describe(error)) from None
    if not callable(target):
        raise Failure("function", "%s has %s, but it cannot be called." % (where, name))
    return target


async def await_it(awaitable: Any) -> object:
    return await awaitable


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
