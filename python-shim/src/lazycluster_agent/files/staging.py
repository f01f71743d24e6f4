"""A tree that was collected in a hidden place, and how it gets to its own."""

from __future__ import annotations

import errno
import os
import stat

from ..base.errors import Failure, printable
from ..base.precious import refused
from .entries import FILE
from .merge import check_merge, make_writable, merge
from .opening import READ_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Container, Iterator, List, Optional, Set, Tuple

    Steps = Iterator[bool]
    #: Device, inode and owner.
    Identity = Tuple[int, int, int]


class Tree:
    def __init__(self, target: bytes, staging: bytes) -> None:
        self.target = target
        self.staging = staging
        #: Kind of the root, empty before it has come.
        self.root = b""
        #: Path, mode and time, to be set when nothing changes in them any more.
        self.directories: List[Tuple[bytes, int, int]] = []
        #: Path, mode, time, size and identity of files whose content comes by other operations.
        self.parts: List[Tuple[bytes, int, int, int, Identity]] = []
        #: Path and SHA-256.
        self.sums: List[Tuple[bytes, bytes]] = []
        #: Path, mode and time of what only looks different.
        self.touched: List[Tuple[bytes, int, int]] = []
        #: What shall go; a folder behind what is in it.
        self.gone: List[bytes] = []
        #: Folders out of which nothing goes.
        self.never: Container[Tuple[int, int]] = ()
        self.moved = False
        self._new: Set[bytes] = set()

    def target_of(self, path: bytes) -> bytes:
        return os.path.join(self.target, path) if path else self.target

    def _staged(self, path: bytes) -> bytes:
        return os.path.join(self.staging, path) if path else self.staging

    def check(self) -> Steps:
        """Whether everything has come as it was sent. Raises Failure, OSError."""
        for path, mode, mtime, size, known in self.parts:
            staged = self._staged(path)
            fd = os.open(staged, READ_FLAGS)
            try:
                status = os.fstat(fd)
                if identity(status) != known or status.st_nlink != 1:
                    raise exchanged(staged)
                if status.st_size != size:
                    raise unsafe("%s is not complete" % printable(path))
                os.fchmod(fd, mode)
                os.utime(fd, ns=(mtime, mtime))
            finally:
                os.close(fd)
            yield True
        if self.sums:
            from .hashes import hash_file
        for path, expected in self.sums:
            digests: List[bytes] = []
            yield from hash_file(self._staged(path), 0, digests)
            if digests != [expected]:
                what = "the content of %s is not what was sent" % printable(self.target_of(path))
                raise unsafe(what)

    def move(self, sync: bool) -> Steps:
        """Renames what was collected to its place. Raises Failure, OSError."""
        target = self.target
        try:
            existing: Optional[int] = os.stat(target).st_mode
        except FileNotFoundError:
            existing = None
        self._new = {name for name, _, _ in self.directories}
        if self.root == FILE:
            if existing is not None and not stat.S_ISREG(existing):
                raise conflict(target, "is no file, so a file cannot take its place")
            os.replace(self.staging, target)
        elif existing is None:
            os.rename(self.staging, target)
        elif stat.S_ISDIR(existing):
            self._new = set()
            real = os.path.realpath(target)
            yield from self._check_gone(real)
            yield from check_merge(self.staging, real, set(self.gone))
            yield from self._remove(real)
            yield from merge(self.staging, real, self._new, open_up=sync)
        else:
            raise conflict(target, "is no folder, so a folder cannot be put there")
        self.moved = True

    def _check_gone(self, root: bytes) -> Steps:
        for folder in {os.path.dirname(os.path.join(root, path)) for path in self.gone}:
            inside(root, folder)
            try:
                status = os.stat(folder)
            except OSError:
                continue
            if (status.st_dev, status.st_ino) in self.never:
                raise refused(folder, "so nothing is deleted in it")
            yield True

    def _remove(self, root: bytes) -> Steps:
        folders: Set[bytes] = set()
        for path in self.gone:
            place = os.path.join(root, path)
            folder = os.path.dirname(place)
            if folder not in folders:
                inside(root, folder)
                make_writable(folder)
                folders.add(folder)
            try:
                if stat.S_ISDIR(os.lstat(place).st_mode):
                    os.rmdir(place)
                else:
                    os.unlink(place)
            except FileNotFoundError:
                pass
            except OSError as error:
                # Something new is in it, which nobody wanted to go.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            yield True

    def settle(self, sync: bool) -> Steps:
        """Sets modes and times of folders, last, for what happens in them changes these."""
        for path, mode, mtime in self.touched:
            place = self.target_of(path)
            inside(os.path.realpath(self.target), os.path.dirname(place))
            if not stat.S_ISLNK(os.lstat(place).st_mode):
                os.chmod(place, mode)
            os.utime(place, ns=(mtime, mtime), follow_symlinks=False)
            yield True
        for path, mode, mtime in reversed(self.directories):
            yield True
            if sync or path in self._new:
                place = self.target_of(path)
                os.chmod(place, mode)
                os.utime(place, ns=(mtime, mtime))


def identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino, status.st_uid


def inside(root: bytes, folder: bytes) -> None:
    """No link on the way may lead out."""
    real = os.path.realpath(folder)
    if real != root and not real.startswith(root.rstrip(b"/") + b"/"):
        raise unsafe("%s leads out of the folder" % printable(folder))


def unsafe(what: str) -> Failure:
    return Failure("transfer", "The transfer was refused and left nothing behind: %s." % what)


def exchanged(staged: bytes) -> Failure:
    return unsafe("somebody else has exchanged the hidden file %s" % printable(staged))


def conflict(path: bytes, what: str) -> Failure:
    return Failure(
        "path", "%s %s. Remove it first, or choose another path." % (printable(path), what), path=path
    )
