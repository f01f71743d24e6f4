"""A function child: waits for a function, runs it as a script would run, and ends.

One in which the function has left no trace waits for another instead: that saves a fork, which takes longer
than most functions.
"""

from __future__ import annotations

import linecache
import os
import sys

from ..base import children, descriptors, signals
from ..base.errors import Failure
from ..call.actions import Call
from ..call.arguments import TOO_LARGE, Arguments
from ..call.raised import MODULE
from ..call.spaces import Space
from ..values.encode import encode_document
from . import warmth
from .requests import Line
from .script import finish, flush, lingers, perform, settle_in
from .traces import Traces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Optional, Tuple

    from ..wire.frames import Header
    from .importer import Importer
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
                    from .kept import SessionChild

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
                descriptors.write_quietly(2, b"lazycluster: the result was lost: %s\n" % str(error).encode())
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
        line.tell("ending", code=code, warm=warmth.used(self._names.modules, self._names.path))
        line.send()
        # The end of the process takes longer than all the rest, so nobody waits for it.
        for fd in (1, 2):
            descriptors.close_quietly(fd)
        return False, code

    def _prepare(self) -> None:
        """All that can be done before the function is known, and not before the fork."""
        os.setsid()
        signals.become_function_child()
        children.become_subreaper()
        os.dup2(self._out, 1)
        os.dup2(self._err, 2)
        os.close(self._out)
        os.close(self._err)
        warmth.begin()


def rehearse() -> None:
    """Runs a function for nothing, so that the memory that a run touches is ours when it counts."""
    arguments = encode_document({"args": [], "kwargs": {}, "bind": {}})
    document = Arguments()
    document.feed(b"".join(arguments))
    source = {"kind": "source", "source": "def f(): pass", "name": "f", "file": "rehearsal"}
    request = {"fn": source, "result": "data", "modules": [], "folder": b"", "handles": []}
    Call(request, Space()).perform(document)
    del sys.modules[MODULE], linecache.cache["rehearsal"]
