"""The connection's own directory."""

from __future__ import annotations

import os

from ..base.errors import Failure, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..connection.host import Host


class Temporary:
    def __init__(self, agent: Host) -> None:
        self._agent = agent
        self._path: Optional[bytes] = None

    def path(self) -> bytes:
        """It may not be there yet."""
        if self._path is None:
            agent = self._agent
            parent = agent.environment.get(b"TMPDIR") or b"/tmp"
            self._path = os.path.join(agent.home, parent, b"lazycluster-" + agent.mark[:16])
            agent.leftovers.add(self._path)
        return self._path

    def make(self) -> bytes:
        """The same; private, made on first use."""
        path = self.path()
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass  # Made before, or by a function that had a handle to keep.
        except OSError as error:
            what = "The temporary directory %s cannot be created" % printable(path)
            advice = "Set TMPDIR on the host to a directory that can be written."
            raise Failure.of("path", error, path, what, advice) from None
        return path

    def holds(self, path: bytes) -> bool:
        """Whether this lies in it: it is removed whatever its modes say."""
        return self._path is not None and path.startswith(self._path + b"/")
