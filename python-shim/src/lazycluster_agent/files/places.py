"""`tempdir`, `mkdir` and `remove`."""

from __future__ import annotations

import errno
import os

from ..base.errors import Failure, internal, printable
from ..base.loop import Job
from ..base.paths import resolve, tidy
from ..base.precious import precious, refused
from ..base.remove import remove_tree
from ..connection.operation import Operation
from ..wire import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional

    from ..connection.host import Host
    from ..wire.frames import Header


class TemporaryDirectory(Operation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)

    def start(self) -> None:
        parent = self.agent.temporary_directory()
        path = os.path.join(parent, b"%d" % self.id)
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            what = "The temporary directory %s cannot be created" % printable(path)
            raise Failure.of("path", error, path, what, "Check the space on its file system.") from None
        self.finish("done", path=path)


class PathOperation(Operation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._given = fields.raw(header, "path")
        self._cwd = fields.raw(header, "cwd")

    def path(self) -> bytes:
        return resolve(self._given, self._cwd, self.agent.home)


class MakeDirectory(PathOperation):
    def start(self) -> None:
        path = self.path()
        make_directories(path)
        self.finish("done", path=tidy(path))


class Remove(PathOperation):
    _job: Optional[Job] = None

    def start(self) -> None:
        path = self.path()
        if os.path.normpath(path) in (b"/", b"//", os.path.normpath(self.agent.home)):
            raise refused(path)
        # A slash at the end would make the system follow a link.
        self._job = Job(self.loop, self._remove(path.rstrip(b"/")))

    def _remove(self, path: bytes) -> Iterator[bool]:
        try:
            temporary = self.agent.is_temporary(tidy(path))
            never = () if temporary else precious(self.agent.home)
            yield from remove_tree(path, temporary, never)
            self.agent.leftovers.discard(path)
        except FileNotFoundError as error:
            if os.path.lexists(path):
                self.fail(self._failure(error, path))
            else:
                self.finish("done", removed=False)
            return
        except OSError as error:
            self.fail(self._failure(error, path))
            return
        except Failure as failure:
            self.fail(failure)
            return
        except Exception as error:
            self.fail(internal(error))
            return
        self.finish("done", removed=True)

    def _failure(self, error: OSError, path: bytes) -> Failure:
        what = "%s cannot be removed" % printable(path)
        if error.filename is not None:
            what += ", because of %s in it" % printable(os.fsencode(error.filename))
        return Failure.of("path", error, path, what, "Check who owns it and who may write there.")

    def release(self) -> None:
        if self._job is not None:
            self._job.cancel()


def make_directories(path: bytes) -> None:
    """Raises Failure."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        if isinstance(error, FileExistsError):
            error = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        what = "The directory %s cannot be created" % printable(path)
        advice = "Choose another path, or check who may write there."
        raise Failure.of("path", error, path, what, advice) from None
