"""Handles: objects that are no data, kept in a file on the host that made them.

They are pickled by the cloudpickle of the bundle under a name of our own, `lazycluster_agent.cloudpickle`.
A pickle names the functions that rebuild it, so it must be loaded by the same cloudpickle that wrote it; the
host's own may be older or newer, and what else uses it (dask, joblib) must not find another in its place. So
neither wins: both are there. Where the host has none, ours is found as `cloudpickle` too.
"""

from __future__ import annotations

import os
import pickle
import sys

from ..base.errors import Failure, printable
from ..base.old import require_newer
from ..base.package import PACKAGE
from .brief import short_repr, type_name
from .raised import MODULE, describe, missing_module, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Dict, Iterable, Iterator

#: Who may load a pickle: compiled code of one minor version is wrong, or crashes, on another.
PYTHON = "%s %d.%d" % (sys.implementation.name, *sys.version_info[:2])
MAGIC = "lazycluster-pickle 1"
HEADER = ("%s %s\n" % (MAGIC, PYTHON)).encode()
MAX_HEADER = 200
PROTOCOL = 5
BUFFER = 1024 * 1024

ADVICE_SPACE = "Check the space on its file system, or set TMPDIR on the host to another one."
ADVICE = (
    "Return data, or something that can be pickled; what lives in one process only can stay in a session."
)


class Unpicklable(Exception):
    """The object cannot leave its process; the text says why."""


def prepare() -> None:
    """Loads what handles need: where there is one, more are likely, and it takes longer than most calls."""
    if sys.version_info >= (3, 8):
        __import__("%s.cloudpickle" % PACKAGE)


def save(subject: object, folder: bytes, modules: Iterable[str]) -> Dict[str, Any]:
    """Writes a handle file and describes it. Raises Unpicklable or Failure."""
    path = os.path.join(folder, os.urandom(16).hex().encode())
    try:
        with create(path) as file:
            file.write(HEADER)
            dump(subject, file, modules)
            file.flush()
            size = file.tell()
            publish(file, path)
    except Failure:
        raise
    except OSError as error:
        if error.errno is None:
            raise Unpicklable(shown(error)) from None
        what = "The result cannot be kept in %s" % printable(path)
        raise Failure.of("handle", error, path, what, ADVICE_SPACE) from None
    except Exception as error:
        raise Unpicklable(shown(error)) from None
    return {
        "path": path,
        "repr": short_repr(subject),
        "type": type_name(type(subject)),
        "python": PYTHON,
        "size": size,
    }


def create(path: bytes) -> BinaryIO:
    """A file that only this user can read, and that is gone with this process as long as it has no name.

    Its folders are the connection's, made when they are needed.
    """
    folder = os.path.dirname(path)
    for place in (os.path.dirname(folder), folder):
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            pass
    try:
        fd = os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:
        # Not every file system has files without a name.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    return open(fd, "wb", buffering=BUFFER)


def publish(file: BinaryIO, path: bytes) -> None:
    """Gives the file its name now that it is whole."""
    if not os.fstat(file.fileno()).st_nlink:
        # Only with a directory to start from, which is not used, Python asks for the link to be followed.
        os.link(b"/proc/self/fd/%d" % file.fileno(), path, src_dir_fd=file.fileno(), follow_symlinks=True)


def dump(subject: object, file: BinaryIO, modules: Iterable[str]) -> None:
    require_newer("Pickled functions and objects")
    from ..cloudpickle import (  # type: ignore[import-not-found]
        CloudPickler,
        register_pickle_by_value,
        unregister_pickle_by_value,
    )

    registered = []
    try:
        for module in by_value(modules):
            register_pickle_by_value(module)
            registered.append(module)
        CloudPickler(file, protocol=PROTOCOL).dump(subject)
    finally:
        for module in registered:
            unregister_pickle_by_value(module)


def by_value(names: Iterable[str]) -> Iterator[Any]:
    """The modules that nobody else can import: of a function's source, and those that the user names."""
    if MODULE in sys.modules:
        yield sys.modules[MODULE]
    for name in dict.fromkeys(names):
        try:
            __import__(name)
        except ModuleNotFoundError as error:
            raise missing_module(error, "The module %s cannot be passed by value" % name) from None
        yield sys.modules[name]


def load(path: bytes) -> object:
    """The object in a handle file, if this Python may load it. Raises Failure."""
    try:
        with open(path, "rb") as file:
            check(file.readline(MAX_HEADER), path)
            return read(file, path)
    except OSError as error:
        what = "The handle file %s cannot be read" % printable(path)
        advice = "A handle lives as long as the connection that made it. Make it again."
        raise Failure.of("handle", error, path, what, advice) from None


def check(line: bytes, path: bytes) -> None:
    words = line.decode("utf-8", "replace")
    if not words.startswith(MAGIC + " ") or not words.endswith("\n"):
        raise Failure("handle", "The file %s holds no handle." % printable(path), path=path)
    needed = words[len(MAGIC) + 1 : -1]
    if needed != PYTHON:
        text = (
            "The function or object was made by %s, but this host runs it with %s (%s). What Python compiles "
            "for one minor version gives wrong results or crashes on another, so it is not loaded. Name an "
            "interpreter of %s for this host, or write the function as source."
            % (needed, PYTHON, sys.executable, needed)
        )
        failure = Failure("version", text, path=path)
        failure.more = {"found": PYTHON, "needed": needed}
        raise failure


def read(file: BinaryIO, path: bytes) -> object:
    try:
        return pickle.load(file)
    except ModuleNotFoundError as error:
        raise missing_module(error, "The object needs a module that is missing") from None
    except Exception as error:
        message = "The object cannot be loaded: %s" % shown(error)
        raise Failure("handle", message, path=path, raised=describe(error)) from None


def shown(error: Exception) -> str:
    return "%s: %s" % (type(error).__name__, text(error))
