"""`put`: receives a file or a folder.

It appears whole or not at all, and nothing is written outside its place.
"""

from __future__ import annotations

import os
import stat

from . import fields
from .errors import Failure, ProtocolError, internal, printable
from .files import PathOperation, make_directories
from .links import stays_inside
from .loop import Job
from .merge import merge
from .paths import tidy
from .remove import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Set, Tuple

    from .agent import Agent
    from .frames import Header

#: Everything is collected under such a name, beside its place.
PREFIX = b".lazycluster-"
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
ADVICE = "Check the space on its file system and who may write there."


class Put(PathOperation):
    def __init__(self, agent: Agent, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._into = fields.flag(header, "into")
        self._name = fields.raw(header, "name") if self._into else b""
        self._bytes = 0
        self._entries = 0
        self._target = b""
        self._staging = b""
        #: Whether the staging path exists.
        self._staged = False
        self._failing = False
        self._root_kind = ""
        #: Of directories: their names, and mode and time to be set when nothing changes in them any more.
        self._directories: List[Tuple[bytes, int, int]] = []
        self._known: Set[bytes] = set()
        self._fd = -1
        self._file = b""
        self._left = 0
        self._mtime = 0
        self._job: Optional[Job] = None
        self._umask = os.umask(0)
        os.umask(self._umask)

    def start(self) -> None:
        if self._into and not is_name(self._name):
            raise unsafe("the root's name is %s" % printable(self._name))
        path = self.path()
        folder = os.path.isdir(path)
        if self._into and (folder or path.endswith(b"/")):
            path = os.path.join(path, self._name)
            folder = os.path.isdir(path)
        self._target = tidy(path)
        # An existing folder holds the staging folder itself: its parent may be another file system.
        place = os.path.realpath(self._target) if folder else os.path.dirname(self._target)
        self._staging = os.path.join(place, PREFIX + os.urandom(8).hex().encode())
        make_directories(place)

    # Entries.

    def on_entry(self, header: Header) -> None:
        cost = self.received(memoryview(b""))
        if self._failing:
            return
        names = fields.raw_list(header, "path")
        kind = fields.text(header, "kind")
        self._finish_file()
        if self._job is not None:
            raise ProtocolError("an entry after the end of operation %d" % self.id)
        path = self._place(names, kind)
        try:
            if kind == "dir":
                self._make_directory(path, header)
            elif kind == "file":
                self._open_file(path, header)
            elif kind == "link":
                self._make_link(path, header, len(names) - 1)
            else:
                raise ProtocolError("an entry of kind %.40r" % kind)
        except FileExistsError:
            raise unsafe("%s comes twice" % printable(b"/".join(names))) from None
        except OSError as error:
            raise self._write_failure(error, names) from None
        self._entries += 1
        self.repay(cost)

    def _place(self, names: List[bytes], kind: str) -> bytes:
        """Where an entry goes: in the staging folder, below a directory that has come before."""
        if not names:
            if self._root_kind:
                raise unsafe("the root comes twice")
            if kind not in ("file", "dir"):
                raise unsafe("the root is a %.40s" % kind)
            self._root_kind = kind
            self._staged = True
            self.agent.leftovers.add(self._staging)
            return self._staging
        for name in names:
            if not is_name(name):
                raise unsafe("a name is %s" % printable(name))
        if b"/".join(names[:-1]) not in self._known:
            raise unsafe("%s is not in a folder of the tree" % printable(b"/".join(names)))
        return os.path.join(self._staging, *names)

    def _make_directory(self, path: bytes, header: Header) -> None:
        mode, mtime = fields.integer(header, "mode"), fields.integer(header, "mtime", -(2**63))
        os.mkdir(path, 0o700)
        name = path[len(self._staging) + 1 :]
        self._known.add(name)
        self._directories.append((name, mode & 0o777, mtime))

    def _open_file(self, path: bytes, header: Header) -> None:
        mode = fields.integer(header, "mode") & 0o777
        self._mtime = fields.integer(header, "mtime", -(2**63))
        self._left = fields.integer(header, "size")
        self._file = path
        self._fd = os.open(path, CREATE_FLAGS, mode)
        if mode & self._umask:
            os.fchmod(self._fd, mode)
        if not self._left:
            self._finish_file()

    def _make_link(self, path: bytes, header: Header, depth: int) -> None:
        target = fields.raw(header, "target")
        if not stays_inside(target, depth):
            raise unsafe("the link %s leads to %s" % (printable(path), printable(target)))
        os.symlink(target, path)
        mtime = fields.integer(header, "mtime", -(2**63))
        os.utime(path, ns=(mtime, mtime), follow_symlinks=False)

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        if self._failing:
            return
        if len(payload) > self._left or self._fd < 0:
            raise unsafe("more content came than was announced")
        self._left -= len(payload)
        self._bytes += len(payload)
        try:
            while payload:
                payload = payload[os.write(self._fd, payload) :]
            if not self._left:
                self._finish_file()
        except OSError as error:
            raise self._write_failure(error, [self._file[len(self._staging) + 1 :]]) from None
        self.repay(cost)

    def _finish_file(self) -> None:
        if self._fd < 0:
            return
        if self._left:
            raise unsafe("%d bytes of a file did not come" % self._left)
        fd, self._fd = self._fd, -1
        try:
            os.utime(fd, ns=(self._mtime, self._mtime))
        finally:
            os.close(fd)

    # The end.

    def on_abort(self, header: Header) -> None:
        if not self._failing:
            raise Failure("transfer", "The sender gave up: %s" % fields.text(header, "message"))

    def on_end(self, header: Header) -> None:
        if self._failing:
            return
        self._finish_file()
        if self._job is not None or not self._root_kind:
            raise unsafe("the end came at the wrong time")
        expected = fields.integer(header, "bytes"), fields.integer(header, "entries")
        if expected != (self._bytes, self._entries):
            text = "%d bytes and %d entries were announced, %d and %d came"
            raise unsafe(text % (*expected, self._bytes, self._entries))
        self._job = Job(self.loop, self._finish())

    def _finish(self) -> Iterator[bool]:
        try:
            yield from self._move()
        except Failure as failure:
            self.fail(failure)
        except OSError as error:
            path = error.filename if isinstance(error.filename, bytes) else self._target
            what = "%s cannot be put in its place" % printable(path)
            self.fail(Failure.of("path", error, path, what, ADVICE))
        except Exception as error:
            self.fail(internal(error))
        else:
            self.finish("done", path=self._target, bytes=self._bytes, entries=self._entries)

    def _move(self) -> Iterator[bool]:
        """Renames what was collected to its place, then sets the modes and times of new directories."""
        try:
            existing: Optional[int] = os.stat(self._target).st_mode
        except FileNotFoundError:
            existing = None
        new = {name for name, _, _ in self._directories}
        if self._root_kind == "file":
            if existing is not None and not stat.S_ISREG(existing):
                raise conflict(self._target, "is no file, so a file cannot take its place")
            os.replace(self._staging, self._target)
        elif existing is None:
            os.rename(self._staging, self._target)
        elif stat.S_ISDIR(existing):
            new = set()
            yield from merge(self._staging, os.path.realpath(self._target), new)
        else:
            raise conflict(self._target, "is no folder, so a folder cannot be put there")
        self._staged = False
        self.agent.leftovers.discard(self._staging)
        for name, mode, mtime in reversed(self._directories):
            yield True
            if name in new:
                path = os.path.join(self._target, name) if name else self._target
                os.chmod(path, mode)
                os.utime(path, ns=(mtime, mtime))

    def fail(self, failure: Failure) -> None:
        """Tells of a failure only when nothing is left of what came."""
        if not self._failing:
            self._failing = True
            self._stop()
            self._job = Job(self.loop, self._discard(failure))

    def _discard(self, failure: Failure) -> Iterator[bool]:
        if self._staged:
            try:
                yield from remove_tree(self._staging, force=True)
                self.agent.leftovers.discard(self._staging)
            except OSError:
                pass  # It stays in the leftovers, for another try at the end of the connection.
        super().fail(failure)

    def _stop(self) -> None:
        if self._job is not None:
            self._job.cancel()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def release(self) -> None:
        self._stop()

    def _write_failure(self, error: OSError, names: List[bytes]) -> Failure:
        path = os.path.join(self._target, *names)
        return Failure.of("path", error, path, "%s cannot be written" % printable(path), ADVICE)


def is_name(name: bytes) -> bool:
    return name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name


def unsafe(what: str) -> Failure:
    return Failure("transfer", "The transfer was refused and left nothing behind: %s." % what)


def conflict(path: bytes, what: str) -> Failure:
    return Failure(
        "path", "%s %s. Remove it first, or choose another path." % (printable(path), what), path=path
    )
