"""`put`: receives a file or a folder.

It appears whole or not at all, and nothing is written outside its place.
"""

from __future__ import annotations

import os

from ..base.errors import Failure, ProtocolError, internal, printable
from ..base.loop import Job
from ..base.paths import tidy
from ..base.remove import remove_tree
from ..wire import fields
from .entries import (
    APART,
    DIRECTORY,
    FILE,
    GONE,
    LINK,
    SUM,
    TOUCH,
    RecordReader,
    inflate,
)
from .links import stays_inside
from .opening import WRITE_FLAGS
from .places import PathOperation, make_directories
from .staging import Tree, exchanged, identity, unsafe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Optional, Set

    from ..connection.host import Host
    from ..wire.frames import Header

#: Everything is collected under such a name, beside its place.
PREFIX = b".lazycluster-"
CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
ADVICE = "Check the space on its file system and who may write there."


class Put(PathOperation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._into = fields.flag(header, "into")
        self._name = fields.raw(header, "name") if self._into else b""
        #: Whether the target becomes what was sent: also modes and times of folders, and what shall go.
        self._sync = fields.flag(header, "sync")
        #: Names the pieces of big files that are kept when the transfer is interrupted; empty: none are.
        self._key = fields.raw(header, "resume") if "resume" in header else b""
        self._reader = RecordReader(self._on_record, self._on_content)
        self._bytes = 0
        self._entries = 0
        self._place = b""
        self._tree: Optional[Tree] = None
        self._failing = False
        #: The manager knows how it ended.
        self._told = False
        self._known: Set[bytes] = set()
        self._fd = -1
        self._path = b""
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
        target = tidy(path)
        # An existing folder holds the staging folder itself: its parent may be another file system.
        self._place = os.path.realpath(target) if folder else os.path.dirname(target)
        staging = os.path.join(self._place, PREFIX + os.urandom(8).hex().encode())
        make_directories(self._place)
        self._tree = Tree(target, staging)
        if self._key:
            from .partials import tidy_up

            tidy_up(self._place)

    @property
    def tree(self) -> Tree:
        assert self._tree is not None
        return self._tree

    # What comes.

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        if self._failing:
            return
        if self._job is not None:
            raise ProtocolError("data after the end of operation %d" % self.id)
        try:
            self._reader.feed(inflate(payload) if fields.flag(header, "z") else payload)
        except OSError as error:
            path = os.path.join(self.tree.target, self._path) if self._path else self.tree.target
            raise Failure.of("path", error, path, "%s cannot be written" % printable(path), ADVICE) from None
        self.repay(cost)

    def _on_record(self, kind: bytes, mode: int, mtime: int, size: int, path: bytes, extra: bytes) -> None:
        tree = self.tree
        self._path = path
        if kind == SUM:
            tree.sums.append((path, extra))
            return
        if kind in (TOUCH, GONE):
            if not self._sync or not path or not all(map(is_name, path.split(b"/"))):
                raise unsafe("%s shall change" % printable(path))
            if kind == GONE:
                tree.gone.append(path)
            else:
                tree.touched.append((path, mode & 0o777, mtime))
            return
        staged = self._staged(kind, path)
        self._entries += 1
        self._mtime = mtime
        try:
            if kind == FILE:
                self._fd = os.open(staged, CREATE_FLAGS, mode & 0o777)
                if mode & self._umask & 0o777:
                    os.fchmod(self._fd, mode & 0o777)
                self._bytes += size
                if not size:
                    self._finish_file()
            elif kind == DIRECTORY:
                os.mkdir(staged, 0o700)
                self._known.add(path)
                tree.directories.append((path, mode & 0o777, mtime))
            elif kind == LINK:
                if not stays_inside(extra, path.count(b"/")):
                    raise unsafe("the link %s leads to %s" % (printable(path), printable(extra)))
                os.symlink(extra, staged)
                os.utime(staged, ns=(mtime, mtime), follow_symlinks=False)
            elif kind == APART:
                self._bytes += size
                self._expect(staged, path, mode & 0o777, mtime, size)
            else:
                raise ProtocolError("a record of kind %r" % kind)
        except FileExistsError:
            raise unsafe("%s comes twice" % printable(path)) from None

    def _staged(self, kind: bytes, path: bytes) -> bytes:
        """Where an entry goes: in the staging folder, below a directory that has come before."""
        tree = self.tree
        if not path:
            if tree.root:
                raise unsafe("the root comes twice")
            if kind not in (FILE, APART, DIRECTORY) or (self._sync and kind != DIRECTORY):
                raise unsafe("the root is of kind %s" % printable(kind))
            tree.root = DIRECTORY if kind == DIRECTORY else FILE
            self.agent.leftovers.add(tree.staging)
            return tree.staging
        folder, _, name = path.rpartition(b"/")
        # Every folder that is known has come by this check itself.
        if not is_name(name) or path.startswith(b"/"):
            raise unsafe("a name is %s" % printable(name))
        if folder not in self._known:
            raise unsafe("%s is not in a folder of the tree" % printable(path))
        return os.path.join(tree.staging, path)

    def _expect(self, staged: bytes, path: bytes, mode: int, mtime: int, size: int) -> None:
        """Makes the hidden file that `write` operations fill, or takes what was kept of it."""
        tree = self.tree
        fd = os.open(staged, CREATE_FLAGS, 0o600)
        try:
            if self._key:
                fd = self._claim(fd, staged, path)
            status = os.fstat(fd)
            there = min(status.st_size, size)
            os.ftruncate(fd, there)
        finally:
            os.close(fd)
        self.send("part", number=len(tree.parts), path=staged, kept=there)
        tree.parts.append((path, mode, mtime, size, identity(status)))

    def _claim(self, fd: int, staged: bytes, path: bytes) -> int:
        """The file to fill, for this one, which is new: what was kept of it, or the new one itself."""
        from .partials import claim, is_like

        fresh = os.fstat(fd)
        if claim(self._place, self._key, self.tree.target_of(path), staged, fresh):
            kept = os.open(staged, WRITE_FLAGS)
            os.close(fd)
            fd = kept
            if not is_like(os.fstat(fd), fresh):
                os.close(fd)
                raise exchanged(staged)
        return fd

    def _on_content(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._fd, data) :]
        if not self._reader.left:
            self._finish_file()

    def _finish_file(self) -> None:
        fd, self._fd = self._fd, -1
        try:
            os.utime(fd, ns=(self._mtime, self._mtime))
        finally:
            os.close(fd)

    # The end.

    def on_abort(self, header: Header) -> None:
        if not self._failing:
            if fields.flag(header, "keep"):
                self._keep()
            raise Failure("transfer", "The sender gave up: %s" % fields.text(header, "message"))

    def cancel(self) -> None:
        if not self._failing:
            self._keep()
        super().cancel()

    def on_end(self, header: Header) -> None:
        if self._failing:
            return
        if self._job is not None or not self.tree.root or not self._reader.whole:
            raise unsafe("the end came at the wrong time")
        expected = fields.integer(header, "bytes"), fields.integer(header, "entries")
        if expected != (self._bytes, self._entries):
            text = "%d bytes and %d entries were announced, %d and %d came"
            raise unsafe(text % (*expected, self._bytes, self._entries))
        self._job = Job(self.loop, self._finish())

    def _finish(self) -> Iterator[bool]:
        tree = self.tree
        try:
            if tree.gone:
                from ..base.precious import precious

                tree.never = precious(self.agent.home)
            yield from tree.check()
            yield from tree.move(self._sync)
            self.agent.leftovers.discard(tree.staging)
            yield from tree.settle(self._sync)
        except Failure as failure:
            self.fail(failure)
        except OSError as error:
            path = error.filename if isinstance(error.filename, bytes) else tree.target
            what = "%s cannot be put in its place" % printable(path)
            self.fail(Failure.of("path", error, path, what, ADVICE))
        except Exception as error:
            self.fail(internal(error))
        else:
            self.finish("done", path=tree.target, bytes=self._bytes, entries=self._entries)

    def fail(self, failure: Failure) -> None:
        """Tells of a failure only when nothing is left of what came."""
        if not self._failing:
            self._failing = True
            self._stop()
            self._job = Job(self.loop, self._discard(failure))

    def _discard(self, failure: Failure) -> Iterator[bool]:
        if self._tree is not None and self._tree.root:
            try:
                yield from remove_tree(self._tree.staging, force=True)
                self.agent.leftovers.discard(self._tree.staging)
            except FileNotFoundError:
                self.agent.leftovers.discard(self._tree.staging)
            except OSError:
                pass  # It stays in the leftovers, for another try at the end of the connection.
        super().fail(failure)

    def _keep(self) -> None:
        """What an interrupted transfer leaves for the next one, if that was wished."""
        if self._key and self._tree is not None and not self._tree.moved:
            from .partials import keep

            for path, _, _, _, _ in self._tree.parts:
                staged = os.path.join(self._tree.staging, path) if path else self._tree.staging
                keep(self._place, self._key, self._tree.target_of(path), staged)

    def _stop(self) -> None:
        if self._job is not None:
            self._job.cancel()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def finish(self, op: str, **fields: Any) -> None:
        self._told = True
        super().finish(op, **fields)

    def release(self) -> None:
        # Else the connection ends.
        if not self._told and not self._failing:
            self._keep()
        self._stop()


def is_name(name: bytes) -> bool:
    return name not in (b"", b".", b"..") and b"/" not in name and b"\0" not in name
