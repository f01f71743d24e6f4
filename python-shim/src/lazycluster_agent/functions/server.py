"""The agent's side of one fork server: its start, its children, and who waits for one."""

from __future__ import annotations

import errno
import os
import time

from ..base.errors import Failure, exhausted, internal
from ..base.limits import check_room
from ..base.loop import READ
from ..child.libraries import AHEAD, PICKLES
from ..wire.control import MAX_DESCRIPTORS
from ..wire.msgpack import WireError
from .interpreters import activated
from .spares import Spares
from .starting import start_server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

    from ..child.libraries import Folders
    from ..connection.host import Host
    from .spares import Identity
    from .variables import Variables

    #: The interpreter, the variables that count when it starts, whether it must not have libraries at hand.
    Key = Tuple[bytes, Variables, bool]
    Assigned = Callable[[Optional[Failure], int, Tuple[int, ...]], None]

#: Children that a fork server is asked for at a time. It makes them one by one, and the socket to it holds
#: only so many messages; a send beyond that fails.
ORDERED = 8
#: [s] that an interpreter may take to start.
START_PATIENCE = 20.0
#: Bytes that an interpreter may say before it is ready.
MAX_NOISE = 4096


class Server:
    """Raises Failure where it cannot be started."""

    def __init__(self, agent: Host, key: Key, folders: Folders, ended: Callable[[Server], None]) -> None:
        self.key = key
        self.program, variables, self._cold = key
        self._agent, self._loop = agent, agent.loop
        #: What its children start with, besides a call's own variables.
        self.environment = activated(self.program, agent.environment)
        self._folders, self._ended = folders, ended
        self._spares = Spares(agent)
        self._waiting: List[Tuple[Assigned, Optional[Identity]]] = []
        self._ordered = 0
        self._ready = False
        #: Children that run a function.
        self.busy = 0
        #: When its last function ended [s on the monotonic clock]; means nothing while it is busy.
        self.idle_since = time.monotonic()
        self._warm: Set[str] = set()
        self._noise: List[bytes] = []
        self._closed = False
        environment = {**self.environment, **dict(variables)}
        self._control = start_server(agent, self.program, environment, self._on_noise)
        os.set_blocking(self._control.fileno(), False)
        self._loop.watch(self._control.fileno(), READ, self._readable)
        self._patience = self._loop.later(START_PATIENCE, self._late)

    def acquire(self, assigned: Assigned, identity: Optional[Identity]) -> None:
        """Calls `assigned` with the pid of a child and descriptors to write to it, to read its answers, its
        stdout and its stderr; or with a failure, of kind `limit` when the host has no room for a child.

        `identity`: the function, whose own children may take it again; None: a child that has run nothing."""
        self.busy += 1
        child = self._spares.take(identity)
        if child is not None:
            assigned(None, *child)
        else:
            self._waiting.append((assigned, identity))
            self._order()

    def withdraw(self, assigned: Assigned) -> None:
        """It is wanted no more; `assigned` is not called."""
        self._waiting = [waiter for waiter in self._waiting if waiter[0] != assigned]

    def released(self) -> None:
        """A function has ended. Only now, when its result is out, a fork may cost time."""
        self.busy -= 1
        self.idle_since = time.monotonic()
        self._loop.later(0.001, self.refill)

    def take_back(self, pid: int, fds: Tuple[int, ...], identity: Identity) -> None:
        """A child in which its function has left nothing."""
        self._spares.keep((pid, fds), identity)
        self._loop.soon(self._hand_out)

    def _hand_out(self) -> None:
        if self._closed:
            self._spares.drop_all()
        at = 0
        while at < len(self._waiting):
            assigned, identity = self._waiting[at]
            child = self._spares.take(identity)
            if child is None:
                at += 1
            else:
                del self._waiting[at]
                assigned(None, *child)
                at = 0
        self._spares.trim()

    def warm(self, names: List[str]) -> None:
        """Its next children have these at hand, as far as that is possible."""
        possible = (PICKLES,) if self._cold else AHEAD
        new = [name for name in possible if name in names and name not in self._warm]
        if new and self._ready and not self._closed:
            self._warm.update(new)
            self._folders.add(new)
            self._tell("warm", names=new)
            # They have it not.
            self._spares.drop_all()

    def refill(self) -> None:
        self._order(self._spares.missing)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._patience.cancel()
        self._loop.forget(self._control.fileno())
        self._control.close()
        self._spares.drop_all()
        waiting, self._waiting = self._waiting, []
        failure = None if self._ready else self._failure()
        # First, for the next in turn must find another one.
        self._ended(self)
        for assigned, _ in waiting:
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
            self._spares.add((pid, tuple(fds)))
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
        if not self._waiting:
            return
        if not self._spares.give_up():
            self._waiting.pop(0)[0](exhausted(error) or internal(error), 0, ())
        self._order()

    def _late(self) -> None:
        self._noise.append(b"It did not answer within %d s." % START_PATIENCE)
        self.close()

    def _failure(self) -> Failure:
        """Why it never became ready."""
        name = self.program.decode("utf-8", "replace")
        said = b"".join(self._noise).decode("utf-8", "replace").strip()
        old = said.partition("lazycluster: old python ")[2]
        if old:
            text = "The interpreter %s is Python %s; functions need Python 3.6 or newer." % (name, old)
        else:
            text = "The interpreter %s is not a usable Python 3.6 or newer: %s" % (
                name,
                said or "it ended at once.",
            )
        return Failure("python", text + " Name another one.", path=self.program)
