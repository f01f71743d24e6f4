"""All fork servers of a connection: which there are, and for how long."""

from __future__ import annotations

import os
import time

from ..base import user
from ..child.libraries import Folders
from .interpreters import find
from .server import Server
from .turns import AT_ONCE, JS_AT_ONCE, Turn, Turns
from .variables import counting, settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Optional

    from ..connection.host import Host
    from .server import Key
    from .variables import Variables

#: Fork servers besides the usual one: how many stay, and for how many seconds without work.
MAX_SERVERS, IDLE = 4, 60.0


class Functions:
    def __init__(self, agent: Host, most: int = MAX_SERVERS, idle: float = IDLE) -> None:
        self._agent = agent
        self._most, self._idle = most, idle
        self._turns, self._js_turns = Turns(AT_ONCE), Turns(JS_AT_ONCE)
        self._servers: Dict[Key, Server] = {}
        self._program = os.fsencode(user.interpreter())
        self._folders = Folders()
        #: The variables of all calls, and those of them that count when a server starts.
        self._variables: Dict[bytes, bytes] = {}
        self._counting: Dict[bytes, bytes] = {}

    def turn(self, begin: Callable[[], None], js: bool) -> Turn:
        return Turn(self._js_turns if js else self._turns, begin)

    def server(self, interpreter: Optional[str], cwd: bytes, environment: Dict[bytes, bytes]) -> Server:
        """For a function with these variables of its own. Raises Failure."""
        program = self._program if interpreter is None else self.find(interpreter, cwd)
        key = program, self._counted(cwd, environment), self._folders.shadow(cwd)
        server = self._servers.get(key)
        if server is None:
            if not self._is_usual(key):
                self._make_room()
            server = self._servers[key] = Server(self._agent, key, self._folders, self._forget)
            self._look_after(server, self._idle)
        return server

    def find(self, interpreter: str, cwd: bytes) -> bytes:
        return find(interpreter, cwd, self._agent.home, self._agent.environment)

    def _counted(self, cwd: bytes, environment: Dict[bytes, bytes]) -> Variables:
        if self._variables != self._agent.environment:
            self._variables = dict(self._agent.environment)
            self._counting = counting(self._variables)
        own = counting(environment)
        return settle({**self._counting, **own} if own else self._counting, cwd)

    def _is_usual(self, key: Key) -> bool:
        """Whether it is the one that is always there once a function has run."""
        program, variables, cold = key
        return program == self._program and not cold and variables == settle(self._counting, self._agent.home)

    def _make_room(self) -> None:
        """For one more, by the end of those whose last function ended longest ago.

        Busy ones stay, for a session may be busy for hours and a call must not wait for that: while all are
        busy there are more than the limit. The surplus goes when it is idle, at the latest with the next one.
        """
        others = [server for server in self._servers.values() if not self._is_usual(server.key)]
        idle = sorted((server for server in others if not server.busy), key=lambda server: server.idle_since)
        for server in idle[: max(len(others) + 1 - self._most, 0)]:
            server.close()

    def _look_after(self, server: Server, seconds: float) -> None:
        """Closes it when it has had no work for long; looks again after so many seconds."""

        def look() -> None:
            if self._servers.get(server.key) is not server:
                return
            busy = server.busy or self._is_usual(server.key)
            left = self._idle - (0.0 if busy else time.monotonic() - server.idle_since)
            if left > 0:
                self._look_after(server, left)
            else:
                server.close()

        self._agent.loop.later(seconds, look)

    def _forget(self, server: Server) -> None:
        if self._servers.get(server.key) is server:
            del self._servers[server.key]


def functions_of(agent: Host) -> Functions:
    found: Functions = agent.kept.get("functions") or Functions(agent)
    agent.kept["functions"] = found
    return found
