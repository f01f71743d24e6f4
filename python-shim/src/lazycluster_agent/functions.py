"""The agent's side of fork servers: which there are, and their spare children."""

from __future__ import annotations

import errno
import os
import time

from . import system
from .descriptors import Control, control_pair
from .errors import Become, Failure, exhausted
from .interpreters import activated, find
from .loop import READ
from .msgpack import WireError
from .spawn import spawn
from .streams import Inlet, Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, NamedTuple, NoReturn, Optional, Tuple

    from .agent import Agent

    class Spare(NamedTuple):
        pid: int
        control: int
        out: int
        err: int

    Assigned = Callable[[Optional[Failure], int, Tuple[int, ...]], None]

#: Children that wait for a function, of each interpreter.
SPARES = 2
#: Fork servers of other interpreters: how many stay, and for how many seconds without work.
MAX_SERVERS, IDLE = 4, 60.0
#: [s] that another interpreter may take to start.
START_PATIENCE = 20.0
#: Bytes that an interpreter may say before it is ready.
MAX_NOISE = 4096


class Server:
    """One fork server."""

    def __init__(self, agent: Agent, interpreter: Optional[bytes], ended: Callable[[Server], None]) -> None:
        self._agent, self._loop = agent, agent.loop
        self.interpreter = interpreter
        #: The interpreter's path, and the variables that its children start with.
        self.program = interpreter or os.fsencode(system.interpreter())
        self.environment = activated(self.program, agent.environment)
        self._ended = ended
        self._spares: List[Tuple[int, Tuple[int, ...]]] = []
        self._waiting: List[Assigned] = []
        self._ordered = 0
        self._ready = False
        #: Children that run a function.
        self.busy = 0
        #: When its last function ended [s on the monotonic clock]; means nothing while it is busy.
        self.idle_since = time.monotonic()
        self._warm = False
        self._noise: List[bytes] = []
        self._closed = False
        self._pid, self._control = self._fork() if interpreter is None else self._start(interpreter)
        os.set_blocking(self._control.fileno(), False)
        self._loop.watch(self._control.fileno(), READ, self._readable)
        self._patience = self._loop.later(START_PATIENCE, self._late)

    def acquire(self, assigned: Assigned) -> None:
        """Calls `assigned` with pid, control socket, stdout and stderr of a child, or with a failure."""
        self.busy += 1
        if self._spares:
            pid, fds = self._spares.pop(0)
            assigned(None, pid, fds)
        else:
            self._waiting.append(assigned)
            self._order(len(self._waiting))

    def released(self) -> None:
        """A function has ended. Only now, when its result is out, a fork may cost time."""
        self.busy -= 1
        self.idle_since = time.monotonic()
        self._loop.later(0.001, self.refill)

    def warm(self) -> None:
        """Its next children have cloudpickle at hand."""
        if not self._warm and self._ready and not self._closed:
            self._warm = True
            self._tell("warm")

    def refill(self) -> None:
        self._order(len(self._waiting) + SPARES - len(self._spares))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._patience.cancel()
        self._loop.forget(self._control.fileno())
        self._control.close()
        for pid, fds in self._spares:
            self._agent.children.pop(pid, None)
            for fd in fds:
                os.close(fd)
        self._spares.clear()
        waiting, self._waiting = self._waiting, []
        failure = None if self._ready else self._failure()
        for assigned in waiting:
            assigned(failure or Failure("python", "The fork server of this host was killed."), 0, ())
        self._ended(self)

    def _order(self, wanted: int) -> None:
        while self._ordered < wanted and self._ready and not self._closed:
            self._ordered += 1
            self._tell("fork")

    def _tell(self, op: str) -> None:
        try:
            self._control.send({"op": op})
        except OSError:
            self._loop.soon(self.close)

    def _fork(self) -> Tuple[int, Control]:
        ours, theirs = control_pair()
        pid = os.fork()
        if pid == 0:

            def serve() -> NoReturn:
                from .forkserver import ForkServer

                ForkServer(theirs).run()

            # Else the garbage collector closes it when its number stands for something else already.
            self._loop.close()
            raise Become(serve)
        os.close(theirs)
        return pid, Control(ours)

    def _start(self, interpreter: bytes) -> Tuple[int, Control]:
        from .bundling import bundle, start_line

        ours, theirs = control_pair()
        bundle_out, bundle_in = os.pipe()
        noise_out, noise_in = os.pipe()
        text = bundle()
        text = b"%d\n%s" % (len(text), text)
        environment = dict(self.environment)
        environment[b"LAZYCLUSTER_UTF8"] = environment.get(b"PYTHONUTF8", b"")
        environment[b"PYTHONUTF8"] = b"1"
        environment[system.CONNECTION_VARIABLE] = self._agent.mark
        argv = [interpreter, *start_line(), b"3"]
        try:
            # Descriptor 3 is the control socket, as the last argument says.
            stdio = [bundle_out, noise_in, noise_in, theirs]
            pid = spawn(argv, interpreter, environment, self._agent.home, stdio)
        except BaseException as error:
            for fd in (ours, bundle_in, noise_out):
                os.close(fd)
            if isinstance(error, Failure):
                error.kind = "python"
            raise
        finally:
            for fd in (theirs, bundle_out, noise_in):
                os.close(fd)
        inlet = Inlet(self._loop, bundle_in, lambda cost: None)
        inlet.write(memoryview(text), 0)
        inlet.end()
        Outlet(self._loop, noise_out, self._on_noise, lambda: None)
        return pid, Control(ours)

    def _on_noise(self, data: bytes) -> None:
        if sum(map(len, self._noise)) < MAX_NOISE:
            self._noise.append(data[:MAX_NOISE])

    def _readable(self) -> None:
        try:
            while not self._closed:
                message, fds = self._control.receive()
                self._on_message(message, fds)
        except BlockingIOError:
            pass
        except (EOFError, OSError, WireError):
            # What it said last may still be on its way.
            self._loop.later(0.02, self.close)
            self._loop.forget(self._control.fileno())

    def _on_message(self, message: Dict[str, object], fds: List[int]) -> None:
        op, pid, status = message.get("op"), message.get("pid"), message.get("status")
        if op == "ready":
            self._ready = True
            self._patience.cancel()
            self.refill()
        elif op == "spare" and isinstance(pid, int):
            self._ordered -= 1
            if len(fds) != 3:
                # We may open no more files. The child sees that it has lost us and leaves.
                for fd in fds:
                    os.close(fd)
                failure = exhausted(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
                if self._waiting:
                    self._waiting.pop(0)(failure, 0, ())
            elif self._waiting:
                self._waiting.pop(0)(None, pid, tuple(fds))
            else:
                self._spares.append((pid, tuple(fds)))
                self._agent.children[pid] = lambda status: self._spare_died(pid)
        elif op == "ended" and isinstance(pid, int) and isinstance(status, int):
            self._agent.child_ended(pid, status)

    def _spare_died(self, pid: int) -> None:
        for spare in self._spares:
            if spare[0] == pid:
                self._spares.remove(spare)
                for fd in spare[1]:
                    os.close(fd)
                return

    def _late(self) -> None:
        self._noise.append(b"It did not answer within %d s." % START_PATIENCE)
        self.close()

    def _failure(self) -> Failure:
        """Why it never became ready."""
        name = (self.interpreter or b"python3").decode("utf-8", "replace")
        said = b"".join(self._noise).decode("utf-8", "replace").strip()
        old = said.partition("lazycluster: old python ")[2]
        if old:
            text = "The interpreter %s is Python %s; functions need Python 3.8 or newer." % (name, old)
        else:
            text = "The interpreter %s is not a usable Python 3.8 or newer: %s" % (
                name,
                said or "it ended at once.",
            )
        return Failure("python", text + " Name another one.", path=self.interpreter)


class Functions:
    """All fork servers of the connection: ours, and those of other interpreters."""

    def __init__(self, agent: Agent, most: int = MAX_SERVERS, idle: float = IDLE) -> None:
        self._agent = agent
        self._most, self._idle = most, idle
        self._servers: Dict[Optional[bytes], Server] = {}

    def server(self, interpreter: Optional[str], cwd: bytes) -> Server:
        """Raises Failure."""
        key = None if interpreter is None else self.find(interpreter, cwd)
        server = self._servers.get(key)
        if server is None:
            if key is not None:
                self._make_room()
            server = self._servers[key] = Server(self._agent, key, self._forget)
            if key is not None:
                self._look_after(server, self._idle)
        return server

    def find(self, interpreter: str, cwd: bytes) -> bytes:
        return find(interpreter, cwd, self._agent.home, self._agent.environment)

    def _make_room(self) -> None:
        """For one more, by the end of those whose last function ended longest ago.

        Busy ones stay, for a session may be busy for hours and a call must not wait for that: while all are
        busy there are more than the limit. The surplus goes when it is idle, at the latest with the next one.
        """
        others = [server for server in self._servers.values() if server.interpreter]
        idle = sorted((server for server in others if not server.busy), key=lambda server: server.idle_since)
        for server in idle[: max(len(others) + 1 - self._most, 0)]:
            server.close()

    def _look_after(self, server: Server, seconds: float) -> None:
        """Closes it when it has had no work for long; looks again after so many seconds."""

        def look() -> None:
            if self._servers.get(server.interpreter) is not server:
                return
            left = self._idle - (0.0 if server.busy else time.monotonic() - server.idle_since)
            if left > 0:
                self._look_after(server, left)
            else:
                server.close()

        self._agent.loop.later(seconds, look)

    def _forget(self, server: Server) -> None:
        if self._servers.get(server.interpreter) is server:
            del self._servers[server.interpreter]


def functions_of(agent: Agent) -> Functions:
    if agent.functions is None:
        agent.functions = Functions(agent)
    return agent.functions
