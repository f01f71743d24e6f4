"""`get`: sends a file or a folder to the manager."""

from __future__ import annotations

import os
import stat

from .errors import Failure, internal, printable
from .files import PathOperation
from .frames import PIECE
from .links import stays_inside
from .loop import Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, List, NoReturn, Optional, Tuple

    Steps = Iterator[bool]
    Names = List[bytes]

ADVICE = "Check who may read it."
#: NONBLOCK, for a named pipe in the place of a file must not stop us.
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class Get(PathOperation):
    _job: Optional[Job] = None

    def start(self) -> None:
        self._bytes = 0
        self._entries = 0
        self._notes: List[str] = []
        self._job = Job(self.loop, self._guarded(self.path()))

    def resume(self) -> None:
        if self._job is not None:
            self._job.wake()

    def release(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def _guarded(self, path: bytes) -> Steps:
        try:
            yield from self._send_root(path)
        except Failure as failure:
            self.fail(failure)
        except Exception as error:
            self.fail(internal(error))
        else:
            self.finish("end", bytes=self._bytes, entries=self._entries, notes=self._notes)

    def _send_root(self, path: bytes) -> Steps:
        try:
            # The root was named by the user, so a link is followed here, and only here.
            path = os.path.realpath(path)
            status = os.stat(path)
        except OSError as error:
            what = "%s cannot be sent" % printable(path)
            raise Failure.of("path", error, path, what, "Check the path.") from None
        if stat.S_ISDIR(status.st_mode):
            yield from self._send_folder(path, status)
        elif stat.S_ISREG(status.st_mode):
            yield from self._send_file(path, [])
        else:
            raise Failure("path", "%s is neither a file nor a folder." % printable(path), path=path)

    def _send_folder(self, root: bytes, status: os.stat_result) -> Steps:
        """Depth first with an explicit stack, for a tree may be deeper than Python's."""
        self._send_entry([], "dir", status)
        stack: List[Tuple[Names, Iterator[os.DirEntry[bytes]]]] = [([], self._list(root))]
        while stack:
            names, entries = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                continue
            child = [*names, entry.name]
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                fail("cannot be read", error, entry.path)
            if stat.S_ISDIR(status.st_mode):
                self._send_entry(child, "dir", status)
                yield from self._pass_on()
                stack.append((child, self._list(entry.path)))
            elif stat.S_ISREG(status.st_mode):
                yield from self._send_file(entry.path, child)
            elif stat.S_ISLNK(status.st_mode):
                yield from self._send_link(entry.path, child, status)
            else:
                self._notes.append(
                    "%s was left out: it is neither a file nor a folder." % printable(entry.path)
                )
                yield True

    def _list(self, path: bytes) -> Iterator[os.DirEntry[bytes]]:
        try:
            with os.scandir(path) as entries:
                return iter(sorted(entries, key=lambda entry: entry.name))
        except OSError as error:
            fail("cannot be listed", error, path)

    def _send_link(self, path: bytes, names: Names, status: os.stat_result) -> Steps:
        try:
            target = os.readlink(path)
        except OSError as error:
            fail("cannot be read", error, path)
        if stays_inside(target, len(names) - 1):
            self._send_entry(names, "link", status, target=target)
            yield from self._pass_on()
            return
        try:
            # What lies outside does not come along, so a file's content takes the link's place.
            mode = os.stat(path).st_mode
        except OSError:
            self._notes.append("%s was left out: it is a link that leads nowhere." % printable(path))
            return
        if stat.S_ISDIR(mode):
            text = "%s is a link to the folder %s, which is not in the folder that is sent. "
            text += "Send that one, too, or remove the link."
            raise Failure("transfer", text % (printable(path), printable(target)), path=path)
        if stat.S_ISREG(mode):
            yield from self._send_file(os.path.realpath(path), names)
        else:
            self._notes.append("%s was left out: it leads to neither a file nor a folder." % printable(path))

    def _send_file(self, path: bytes, names: Names) -> Steps:
        try:
            fd = os.open(path, OPEN_FLAGS)
        except OSError as error:
            fail("cannot be read", error, path)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise changed(path)
            self._send_entry(names, "file", status, size=status.st_size)
            left = status.st_size
            while left:
                yield from self._pass_on()
                # One byte more than expected shows at no cost whether the file has grown.
                try:
                    data = os.read(fd, min(PIECE, left + 1))
                except OSError as error:
                    fail("cannot be read", error, path)
                if not data or len(data) > left:
                    raise changed(path)
                left -= len(data)
                self._bytes += len(data)
                self.send("data", data)
            yield from self._pass_on()
        finally:
            os.close(fd)

    def _send_entry(self, names: Names, kind: str, status: os.stat_result, **fields: Any) -> None:
        self._entries += 1
        mode = stat.S_IMODE(status.st_mode)
        self.send("entry", path=names, kind=kind, mode=mode, mtime=status.st_mtime_ns, **fields)

    def _pass_on(self) -> Steps:
        while not self.may_send:
            yield False
        yield True


def changed(path: bytes) -> Failure:
    text = "%s has changed while it was sent. Send it when nothing writes to it." % printable(path)
    return Failure("transfer", text, path=path)


def fail(what: str, error: OSError, path: bytes) -> NoReturn:
    raise Failure.of("path", error, path, "%s %s" % (printable(path), what), ADVICE) from None
