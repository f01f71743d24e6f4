"""The agent's side of fork servers: which there are, and their spare children."""

from __future__ import annotations

import errno
import os
import time

from . import system, warmth
from .descriptors import MAX_DESCRIPTORS, Control, control_pair
from .errors import Become, Failure, exhausted, internal
from .interpreters import activated, find
from .limits import check_room
from .loop import READ
from .msgpack import WireError
from .spares import Spares
from .spawn import spawn
from .streams import Inlet, Outlet
from .turns import AT_ONCE, JS_AT_ONCE, Turn, Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, NoReturn, Optional, Set, Tuple

    from .agent import Agent

    #: The program of another interpreter; and whether its children must not have libraries at hand.
    Key = Tuple[Optional[bytes], bool]
    Assigned = Callable[[Optional[Failure], int, Tuple[int, ...]], None]

#: Children that a fork server is asked for at a time. It makes them one by one, and the socket to it holds
#: only so many messages; a send beyond that fails.
ORDERED = 8
#: Fork servers of other interpreters: how many stay, and for how many seconds without work.
MAX_SERVERS, IDLE = 4, 60.0
#: [s] that another interpreter may take to start.
START_PATIENCE = 20.0
#: Bytes that an interpreter may say before it is ready.
MAX_NOISE = 4096


#: The server that is always there once a function has run.
OURS: Key = (None, False)


class Server:
    """One fork server."""

    def __init__(self, agent: Agent, key: Key, ended: Callable[[Server], None]) -> None:
        self.key = key
        interpreter = key[0]
        self._agent, self._loop = agent, agent.loop
        self.interpreter = interpreter
        #: The interpreter's path, and the variables that its children start with.
        self.program = interpreter or os.fsencode(system.interpreter())
        self.environment = activated(self.program, agent.environment)
        self._ended = ended
        self._spares = Spares(agent)
        self._waiting: List[Assigned] = []
        self._ordered = 0
        self._ready = False
        #: Children that run a function.
        self.busy = 0
        #: When its last function ended [s on the monotonic clock]; means nothing while it is busy.
        self.idle_since = time.monotonic()
        self._warm: Set[str] = set()
        self._noise: List[bytes] = []
        self._closed = False
        self._pid, self._control = self._fork() if interpreter is None else self._start(interpreter)
        os.set_blocking(self._control.fileno(), False)
        self._loop.watch(self._control.fileno(), READ, self._readable)
        self._patience = self._loop.later(START_PATIENCE, self._late)

    def acquire(self, assigned: Assigned) -> None:
        """Calls `assigned` with the pid of a child and descriptors to write to it, to read its answers, its
        stdout and its stderr; or with a failure, of kind `limit` when the host has no room for a child."""
        self.busy += 1
        child = None if self._waiting else self._spares.take()
        if child is not None:
            assigned(None, *child)
        else:
            self._waiting.append(assigned)
            self._order()

    def withdraw(self, assigned: Assigned) -> None:
        """It is wanted no more; `assigned` is not called."""
        if assigned in self._waiting:
            self._waiting.remove(assigned)

    def released(self) -> None:
        """A function has ended. Only now, when its result is out, a fork may cost time."""
        self.busy -= 1
        self.idle_since = time.monotonic()
        self._loop.later(0.001, self.refill)

    def take_back(self, pid: int, fds: Tuple[int, ...]) -> None:
        """A child in which its function has left nothing."""
        self._spares.keep((pid, fds))
        self._loop.soon(self._hand_out)

    def _hand_out(self) -> None:
        if self._closed:
            self._spares.close()
        while self._waiting:
            child = self._spares.take()
            if child is None:
                break
            self._waiting.pop(0)(None, *child)
        self._spares.trim()

    def warm(self, names: List[str]) -> None:
        """Its next children have these at hand, as far as that is possible."""
        possible = warmth.NAMES[:1] if self.key[1] else warmth.NAMES
        new = [name for name in possible if name in names and name not in self._warm]
        if new and self._ready and not self._closed:
            self._warm.update(new)
            self._tell("warm", names=new)

    def refill(self) -> None:
        self._order(self._spares.missing)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._patience.cancel()
        self._loop.forget(self._control.fileno())
        self._control.close()
        self._spares.close()
        waiting, self._waiting = self._waiting, []
        failure = None if self._ready else self._failure()
        # First, for the next in turn must find another one.
        self._ended(self)
        for assigned in waiting:
            assigned(failure or Failure("python", "The fork server of this host was killed."), 0, ())

    def _order(self, spares: int = 0) -> None:
        wanted = min(len(self._waiting) + spares, ORDERED)
        while self._ordered < wanted and self._ready and not self._closed:
            self._ordered += 1
            self._tell("fork")

    def _tell(self, op: str, **more: Any) -> None:
        try:
            self._control.send({"op": op, **more})
        except OSError:
            self._loop.soon(self.close)

    def _fork(self) -> Tuple[int, Control]:
        ours, theirs = control_pair()
        try:
            pid = os.fork()
        except OSError:
            os.close(ours)
            os.close(theirs)
            raise
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

        kept: List[int] = []
        given: List[int] = []
        text = bundle()
        text = b"%d\n%s" % (len(text), text)
        environment = dict(self.environment)
        environment[b"LAZYCLUSTER_UTF8"] = environment.get(b"PYTHONUTF8", b"")
        environment[b"PYTHONUTF8"] = b"1"
        environment[system.CONNECTION_VARIABLE] = self._agent.mark
        argv = [interpreter, *start_line(), b"3"]
        try:
            for make in control_pair, os.pipe, os.pipe:
                one, other = make()
                kept.append(one)
                given.append(other)
            # The bundle goes the other way.
            kept[1], given[1] = given[1], kept[1]
            ours, bundle_in, noise_out = kept
            theirs, bundle_out, noise_in = given
            # Descriptor 3 is the control socket, as the last argument says.
            stdio = [bundle_out, noise_in, noise_in, theirs]
            pid = spawn(argv, interpreter, environment, self._agent.home, stdio)
        except BaseException as error:
            for fd in kept:
                os.close(fd)
            if isinstance(error, Failure) and error.kind != "limit":
                error.kind = "python"
            raise
        finally:
            for fd in given:
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
            try:
                if len(fds) != MAX_DESCRIPTORS:
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                check_room(fds)
            except OSError as error:
                # We may open no more files. The child sees that it has lost us and leaves.
                for fd in fds:
                    os.close(fd)
                self._refuse(error)
                return
            self._spares.keep((pid, tuple(fds)))
            self._hand_out()
            self._order()
        elif op == "failed" and isinstance(message.get("errno"), int):
            self._ordered -= 1
            code = int(str(message["errno"]))
            self._refuse(OSError(code, os.strerror(code)))
        elif op == "ended" and isinstance(pid, int) and isinstance(status, int):
            self._agent.child_ended(pid, status)

    def _refuse(self, error: OSError) -> None:
        """A child could not be had."""
        if self._waiting:
            self._waiting.pop(0)(exhausted(error) or internal(error), 0, ())
            self._order()

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
        self._turns, self._js_turns = Turns(AT_ONCE), Turns(JS_AT_ONCE)
        self._servers: Dict[Key, Server] = {}

    def turn(self, begin: Callable[[], None], js: bool) -> Turn:
        return Turn(self._js_turns if js else self._turns, begin)

    def server(self, interpreter: Optional[str], cwd: bytes, environment: Dict[bytes, bytes]) -> Server:
        """For a function with these variables of its own. Raises Failure."""
        program = None if interpreter is None else self.find(interpreter, cwd)
        usual = self._agent.environment
        # Ours was forked from the agent, before anybody asked a login shell.
        began_with = dict(os.environb) if program is None else usual
        key = program, warmth.unwanted({**usual, **environment}, began_with, cwd)
        server = self._servers.get(key)
        if server is None:
            if key != OURS:
                self._make_room()
            server = self._servers[key] = Server(self._agent, key, self._forget)
            if key != OURS:
                self._look_after(server, self._idle)
        return server

    def find(self, interpreter: str, cwd: bytes) -> bytes:
        return find(interpreter, cwd, self._agent.home, self._agent.environment)

    def _make_room(self) -> None:
        """For one more, by the end of those whose last function ended longest ago.

        Busy ones stay, for a session may be busy for hours and a call must not wait for that: while all are
        busy there are more than the limit. The surplus goes when it is idle, at the latest with the next one.
        """
        others = [server for server in self._servers.values() if server.key != OURS]
        idle = sorted((server for server in others if not server.busy), key=lambda server: server.idle_since)
        for server in idle[: max(len(others) + 1 - self._most, 0)]:
            server.close()

    def _look_after(self, server: Server, seconds: float) -> None:
        """Closes it when it has had no work for long; looks again after so many seconds."""

        def look() -> None:
            if self._servers.get(server.key) is not server:
                return
            left = self._idle - (0.0 if server.busy else time.monotonic() - server.idle_since)
            if left > 0:
                self._look_after(server, left)
            else:
                server.close()

        self._agent.loop.later(seconds, look)

    def _forget(self, server: Server) -> None:
        if self._servers.get(server.key) is server:
            del self._servers[server.key]


def functions_of(agent: Agent) -> Functions:
    if agent.functions is None:
        agent.functions = Functions(agent)
    return agent.functions
