"""`which`: programs that a command would find."""

from __future__ import annotations

import os

from ..base.paths import working_directory
from ..connection.operation import Operation
from ..wire import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..connection.host import Host
    from ..wire.frames import Header

#: What shells use when there is no PATH.
DEFAULT_PATH = b"/usr/local/bin:/usr/bin:/bin"


class Which(Operation):
    # PATH may come from the login environment.
    needs_environment = True

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._names = fields.raw_list(header, "names")
        self._environment = fields.environment(header, "env")
        self._cwd = working_directory(fields.raw(header, "cwd"), agent.home)

    def start(self) -> None:
        path = self._environment.get(b"PATH", self.agent.environment.get(b"PATH", DEFAULT_PATH))
        missing = [name for name in self._names if find(name, path, self._cwd) is None]
        self.finish("done", missing=missing)


def find(name: bytes, path: bytes, cwd: bytes) -> Optional[bytes]:
    """Absolute; a name with a slash is looked up as it is. None: there is no such program."""
    folders = [b""] if b"/" in name else path.split(b":")
    for folder in folders:
        program = os.path.join(cwd, folder, name)
        if name and b"\0" not in program and os.path.isfile(program) and os.access(program, os.X_OK):
            return program
    return None
