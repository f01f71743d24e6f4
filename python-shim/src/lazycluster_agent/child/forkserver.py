"""The fork server: a warm interpreter that forks function children ahead of need."""

from __future__ import annotations

import gc
import os
import select

from ..base import children, descriptors, signals
from ..base.old import freeze
from ..wire.control import Control, stream_pair
from ..wire.msgpack import WireError
from . import warmth
from .script import make_ready
from .traces import Names
from .worker import Worker, rehearse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, NoReturn

    from .importer import Importer


#: How often a function is run for nothing.
REHEARSALS = 20


class ForkServer:
    def __init__(self, control: int, importer: Importer) -> None:
        self._control = Control(control)
        self._importer = importer

    def run(self) -> NoReturn:
        """Serves until the agent closes the control socket."""
        self._warm_up()
        self._woken = children.wake_on_child()
        poller = select.poll()
        poller.register(self._control.fileno(), select.POLLIN)
        poller.register(self._woken, select.POLLIN)
        self._control.send({"op": "ready"})
        try:
            while True:
                poller.poll()
                descriptors.drain(self._woken)
                self._tell_ended()
                self._serve()
        except (EOFError, OSError, WireError):
            os._exit(0)

    def _warm_up(self) -> None:
        gc.enable()
        signals.ignore_signals("SIGINT")
        descriptors.null_stdio(0, 1, 2)
        children.become_subreaper()
        make_ready()
        # To hosts that have none.
        self._importer.stand_in_for("cloudpickle")
        # Newer Pythons rewrite code that has run a few times; each child would do it, and copy it for that.
        for _ in range(REHEARSALS):
            rehearse()
        self._freeze()

    def _freeze(self) -> None:
        """What lives until now stays untouched in the children, and so shared with them."""
        warmth.watch()
        self._names = Names()
        gc.collect()
        freeze()

    def _serve(self) -> None:
        try:
            message, _ = self._control.receive()
        except BlockingIOError:
            return
        if message.get("op") == "fork":
            self._fork()
        elif message.get("op") == "warm":
            for name in message["names"]:
                warmth.prepare(name)
            self._freeze()

    def _fork(self) -> None:
        """A child that waits for its function, and for the agent the other ends of all that it has."""
        fds: List[int] = []
        try:
            fds += stream_pair()
            fds += os.pipe()
            fds += os.pipe()
            ours, theirs, out, out_end, err, err_end = fds
            pid = os.fork()
            if pid == 0:
                # Not by way of `boot` for a clean stack: what that touches would have to be copied.
                try:
                    for fd in (ours, out, err, self._woken):
                        os.close(fd)
                    self._control.close()
                    Worker(theirs, out_end, err_end, self._names, self._importer).run()
                finally:
                    # Whatever has happened, there is one fork server.
                    os._exit(1)
            # The agent writes to one `ours` and reads from the other.
            self._control.send({"op": "spare", "pid": pid}, (ours, ours, out, err))
        except OSError as error:
            # A child that is there already sees that nobody has the other end, and leaves.
            self._control.send({"op": "failed", "errno": error.errno or 0})
        finally:
            for fd in fds:
                os.close(fd)

    def _tell_ended(self) -> None:
        while True:
            ended = children.reap()
            if ended is None:
                return
            self._control.send({"op": "ended", "pid": ended[0], "status": ended[1]})
