"""The environment that a login shell makes, captured once per connection."""

from __future__ import annotations

import os

from ..base import children, signals, user
from ..base.errors import Failure
from ..processes.procfs import kill
from ..processes.spawn import spawn
from ..processes.streams import Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from ..connection.host import Host

    Done = Callable[[Dict[bytes, bytes], Optional[Failure]], None]

#: [s] that profile scripts may take.
PATIENCE = 10.0
MAX_SIZE = 4 * 1024 * 1024
#: Every shell understands this line. What the profile prints comes before the marker.
COMMAND = (
    b'exec "$LAZYCLUSTER_PYTHON" -S -c "import os,sys;b=os.environb;'
    b"m=b.pop(os.fsencode(sys.argv[1]),str().encode());"
    b"e=bytes(1).join(k+bytes([61])+v for k,v in b.items());"
    b'os.write(1,m+bytes(1)+e+bytes(1)+m)" LAZYCLUSTER_MARKER'
)
OWN = (b"LAZYCLUSTER_PYTHON", b"LAZYCLUSTER_MARKER", b"_", b"SHLVL", b"PWD", b"OLDPWD")


class LoginEnvironment:
    def __init__(self, agent: Host, done: Done) -> None:
        self._agent = agent
        self._done: Optional[Done] = done
        self._marker = os.urandom(16).hex().encode()
        self._output: List[bytes] = []
        self._size = 0
        shell = agent.shell
        environment = dict(agent.environment)
        environment[b"LAZYCLUSTER_PYTHON"] = os.fsencode(user.interpreter())
        environment[b"LAZYCLUSTER_MARKER"] = self._marker
        environment[children.CONNECTION_VARIABLE] = agent.mark
        reading, writing = os.pipe()
        # A leading - makes any shell a login shell; not all of them know -l together with -c.
        argv = [b"-" + os.path.basename(shell), b"-c", COMMAND]
        try:
            self._pid = spawn(argv, shell, environment, agent.home, [agent.null, writing, agent.null])
        except Failure as failure:
            os.close(reading)
            self._fail(failure.message)
            return
        finally:
            os.close(writing)
        self._outlet = Outlet(agent.loop, reading, self._read, self._end)
        self._timer = agent.loop.later(PATIENCE, self._late)

    def _read(self, data: bytes) -> None:
        self._output.append(data)
        self._size += len(data)
        if self._size > MAX_SIZE or data.endswith(self._marker):
            self._end()

    def _late(self) -> None:
        self._fail("its profile scripts took longer than %d s" % PATIENCE)

    def _end(self) -> None:
        parts = b"".join(self._output).split(self._marker)
        if len(parts) < 3:
            self._fail("it ended before it printed its environment")
            return
        variables = {}
        for line in parts[-2].strip(b"\0").split(b"\0"):
            name, _, value = line.partition(b"=")
            if name not in OWN:
                variables[name] = value
        self._finish(variables, None)

    def _fail(self, reason: str) -> None:
        text = "The login environment could not be read: the login shell %s failed, %s. "
        text += "Repair its profile scripts, or switch the login environment off for this host."
        shell = self._agent.shell.decode("utf-8", "replace")
        self._finish({}, Failure("spawn", text % (shell, reason)))

    def _finish(self, variables: Dict[bytes, bytes], failure: Optional[Failure]) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        if hasattr(self, "_outlet"):
            self._timer.cancel()
            self._outlet.close()
            kill(self._pid, signals.SIGKILL)
        done(variables, failure)
