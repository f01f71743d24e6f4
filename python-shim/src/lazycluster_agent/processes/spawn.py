"""Starts programs in a session of their own, with nothing of ours in their descriptors."""

from __future__ import annotations

import errno
import os
import sys

from ..base import descriptors, signals
from ..base.errors import Failure, exhausted, printable
from ..base.limits import is_raised, restore_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Mapping, NoReturn, Sequence

TOO_LONG = "Shorten the command or the environment, or send long data in a file."


def spawn(
    argv: List[bytes],
    program: bytes,
    environment: Mapping[bytes, bytes],
    cwd: bytes,
    stdio: Sequence[int],
    terminal: bool = False,
) -> int:
    """Runs `program` with `stdio` as its descriptors from 0 on, and returns its pid. Raises Failure."""
    enter(cwd)
    try:
        # A limit can only be restored in between.
        if not terminal and not is_raised() and sys.version_info >= (3, 8):
            try:
                return os.posix_spawn(
                    program,
                    argv,
                    environment,
                    file_actions=[(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(stdio)],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=signals.DEFAULTED_SIGNALS,
                )
            except NotImplementedError:
                pass  # A C library without POSIX_SPAWN_SETSID.
        return _fork_and_execute(argv, program, environment, stdio, terminal)
    except ValueError as error:
        raise Failure("spawn", "The command or its environment cannot be passed on: %s." % error) from None
    except OSError as error:
        failure = exhausted(error)
        if failure is not None:
            raise failure from None
        what = "The program %s cannot be started" % printable(program)
        advice = TOO_LONG if error.errno == errno.E2BIG else "Check that it exists and may be executed."
        raise Failure.of("spawn", error, program, what, advice) from None
    finally:
        os.chdir("/")


def enter(cwd: bytes) -> None:
    try:
        os.chdir(cwd)
    except OSError as error:
        what = "The working directory %s is not usable" % printable(cwd)
        raise Failure.of("cwd", error, cwd, what, "Create it first or choose another one.") from None
    except ValueError:
        raise Failure("cwd", "The working directory holds a NUL character.", path=cwd) from None


def _fork_and_execute(
    argv: List[bytes],
    program: bytes,
    environment: Mapping[bytes, bytes],
    stdio: Sequence[int],
    terminal: bool,
) -> int:
    told, tell = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _execute(argv, program, environment, stdio, terminal, tell)
    except OSError:
        os.close(told)
        raise
    finally:
        os.close(tell)
    try:
        # Empty when the program runs, for the pipe closes on exec.
        failure = os.read(told, 16)
    finally:
        os.close(told)
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid


def _execute(
    argv: List[bytes],
    program: bytes,
    environment: Mapping[bytes, bytes],
    stdio: Sequence[int],
    terminal: bool,
    tell: int,
) -> NoReturn:
    code = 0
    try:
        os.setsid()
        if terminal:
            import fcntl
            import termios

            fcntl.ioctl(stdio[1], termios.TIOCSCTTY, 0)
        for target, fd in enumerate(stdio):
            os.dup2(fd, target)
        signals.restore_signals()
        restore_limit()
        os.execve(program, argv, environment)
    except OSError as error:
        code = error.errno or 0
    except BaseException:
        pass
    finally:
        descriptors.write_quietly(tell, b"%d" % code)
        os._exit(127)
