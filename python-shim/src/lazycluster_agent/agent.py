"""The agent: one connection, its operations, and their end."""

from __future__ import annotations

import gc
import os
import sys

from . import fields, system
from .channel import Channel
from .errors import Failure, ProtocolError, failure_of, internal, printable
from .lease import Lease
from .leftovers import Leftovers
from .loop import READ, MainLoop
from .old import freeze
from .operations import MESSAGES, OPERATIONS
from .surroundings import Surroundings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    from .ending import Endings
    from .frames import Header
    from .functions import Functions
    from .operation import Operation
    from .sessions import Sessions

PROTOCOL = 1
MAX_ID = 2**31 - 1
CAPABILITIES = [*OPERATIONS, "pty", "loginEnv", "sessions", "ports", "detach"]
#: [s] without a sign of the manager, until it says its own.
FIRST_LEASE = 60.0
#: [s] between SIGTERM and SIGKILL when the connection ends.
GRACE = 0.5

EXIT_OK, EXIT_LOST, EXIT_PROTOCOL = 0, 75, 76


class Agent:
    def __init__(
        self, connection: Optional[Tuple[int, int]], keeper: int, keeper_lives: int, notes: int, mark: bytes
    ) -> None:
        """Without a connection its first client is still to come (detached.py)."""
        self.loop = MainLoop(self._before_wait)
        self.channel: Channel = self._open(connection)
        self.keeper = keeper
        self._keeper_lives = keeper_lives
        self.mark = mark
        self.leftovers = Leftovers(notes)
        self.home = system.home_directory()
        self.shell = system.user_shell()
        self.surroundings = Surroundings()
        self.null = os.open(os.devnull, os.O_RDWR)
        self.operations: Dict[int, Operation] = {}
        #: Operations that owe the manager credit.
        self.debtors: List[Operation] = []
        #: Who wants to know how a process ended.
        self.children: Dict[int, Callable[[int], None]] = {}
        self.endings: Endings
        self.functions: Optional[Functions] = None
        self.sessions: Optional[Sessions] = None
        #: The sshd that listens on ports in our stead; 0 without.
        self.session = 0
        self._ready = False
        self._greeted = False
        #: Of whom the channel leads to.
        self._client_lease: Optional[Lease] = None
        self._exit = EXIT_OK
        self._temporary: Optional[bytes] = None

    def run(self, leftover: bytes) -> int:
        """Returns the exit status when everything of ours has ended."""
        system.ignore_signals("SIGINT", "SIGPIPE")
        system.on_termination(self.loop.stop)
        self._child_ended = system.wake_on_child()
        self.loop.watch(self._child_ended, READ, self._on_child)
        self.loop.watch(self._keeper_lives, READ, self._on_keeper_end)
        self._meet(leftover)
        self.loop.later(0, self._get_ready)
        try:
            while True:
                try:
                    self.loop.run()
                    break
                except ProtocolError as error:
                    if not self._on_protocol_error(error):
                        break
        except Exception:
            self._end_everything()
            raise
        self._end_everything()
        return self._exit

    @property
    def environment(self) -> Dict[bytes, bytes]:
        """What steps start with, besides their own variables."""
        return self.surroundings.variables

    # Life and death.

    def _open(self, connection: Optional[Tuple[int, int]]) -> Channel:
        assert connection is not None
        return Channel(self.loop, *connection, self._on_frame, self._on_end, self._on_drained)

    def _meet(self, leftover: bytes) -> None:
        self._welcome(leftover)

    def _welcome(self, leftover: bytes) -> None:
        """The client that the channel leads to."""
        self._greeted = False
        self._say_hello()
        self.channel.start(leftover)
        self._grant(FIRST_LEASE)

    def _grant(self, seconds: float) -> None:
        channel = self.channel
        self._withdraw_grant()
        self._client_lease = Lease(self.loop, seconds, lambda: channel.heard, self._on_silence)

    def _withdraw_grant(self) -> None:
        if self._client_lease is not None:
            self._client_lease.cancel()
            self._client_lease = None

    def _on_protocol_error(self, error: ProtocolError) -> bool:
        """Whether to go on."""
        self._last_words("protocol error: %s" % error)
        self._exit = EXIT_PROTOCOL
        return False

    def _on_bye(self) -> None:
        self.loop.stop()

    def _say_hello(self) -> None:
        account = system.account()
        uname = os.uname()
        self.channel.send(
            {
                "op": "hello",
                "v": PROTOCOL,
                "pid": os.getpid(),
                "python": "%d.%d.%d" % sys.version_info[:3],
                "implementation": sys.implementation.name,
                "executable": printable(sys.executable or ""),
                "home": printable(self.home),
                "user": account.pw_name if account else os.environ.get("USER", str(os.getuid())),
                "uid": os.getuid(),
                "shell": printable(self.shell),
                "hostname": uname.nodename,
                "system": uname.sysname,
                "network": system.network_stack(),
                "caps": CAPABILITIES,
            }
        )

    def _get_ready(self) -> None:
        """What the first step needs, while the manager's answer is on its way."""
        if self._ready:
            return
        self._ready = True
        from .ending import Endings

        self.endings = Endings(self.loop)
        system.become_subreaper()
        self.leftovers.greet()
        __import__("%s.command" % __package__)
        freeze()
        gc.enable()

    def _on_end(self, reason: str) -> None:
        if reason:
            self._last_words(reason)
            self._exit = EXIT_LOST
        self.loop.stop()

    def _on_keeper_end(self) -> None:
        self._on_end("the keeper was killed")

    def _on_silence(self, seconds: float) -> None:
        self._on_end("nothing was heard of the manager for %.1f s" % seconds)

    def _end_everything(self) -> None:
        from .ending import end_now
        from .family import Family

        family = Family(system.CONNECTION_VARIABLE, self.mark, ancestor=os.getpid())
        end_now(family, GRACE)
        self.let_go_of_all()
        self.leftovers.remove_all()
        if self.session and self._exit == EXIT_LOST:
            from .relay_sshd import end_session

            end_session(self.session)

    def _last_words(self, text: str) -> None:
        system.write_quietly(2, b"lazycluster agent: %s\n" % text.encode("utf-8", "replace"))

    # Operations.

    def _on_frame(self, header: Header, payload: memoryview) -> None:
        op = header.get("op")
        if not self._greeted:
            if op != "hello":
                raise ProtocolError("the first message is no hello")
            self._greet(header)
        elif op == "ping":
            self.channel.send({"op": "pong", "t": fields.number(header, "t")})
        elif op == "bye":
            self._on_bye()
        elif op in OPERATIONS:
            self._begin(op, header)
        elif op in MESSAGES:
            operation = self.operations.get(fields.integer(header, "id", 1, MAX_ID))
            # Messages and the end of their operation may cross each other.
            if operation is not None:
                self.guard(operation, lambda: MESSAGES[op](operation, header, payload))
        else:
            raise ProtocolError("there is no message %.40r" % (op,))

    def _greet(self, header: Header) -> None:
        version = fields.integer(header, "v")
        if version != PROTOCOL:
            raise ProtocolError(
                "the manager speaks version %d of the protocol; this agent %d" % (version, PROTOCOL)
            )
        self._greeted = True
        self._grant(fields.optional_milliseconds(header, "lease") or 0)
        if fields.flag(header, "loginEnv"):
            self._ask_login()

    def _ask_login(self) -> None:
        self.surroundings.ask_login(self)

    def _begin(self, op: str, header: Header) -> None:
        id = fields.integer(header, "id", 1, MAX_ID)
        if id in self.operations:
            raise ProtocolError("operation %d twice" % id)
        self._get_ready()
        try:
            operation = OPERATIONS[op](self, id, header)
        except ProtocolError:
            raise
        except Exception as error:
            self.channel.send({"op": "error", "id": id, **failure_of(error).fields()})
            return
        self.operations[id] = operation
        if operation.needs_environment:
            self.surroundings.when_known(lambda failure: self._start(operation, failure))
        else:
            self._start(operation, None)

    def _start(self, operation: Operation, failure: Optional[Failure]) -> None:
        if failure is not None:
            operation.fail(failure)
        elif not operation.finished:
            self.guard(operation, operation.start)

    def guard(self, operation: Operation, action: Callable[[], None]) -> None:
        try:
            action()
        except ProtocolError:
            raise
        except Exception as error:
            try:
                operation.fail(failure_of(error))
            except Exception as another:
                # The manager has been told; what it could not let go of ends with the connection.
                self._last_words(internal(another).message)

    def let_go_of_all(self) -> None:
        for operation in list(self.operations.values()):
            self.operations.pop(operation.id, None)
            operation.finished = True
            self.guard(operation, operation.release)

    def forget(self, operation: Operation) -> None:
        self.operations.pop(operation.id, None)

    def _on_child(self) -> None:
        system.drain(self._child_ended)
        self.reap()

    def reap(self) -> None:
        while True:
            ended = system.reap()
            if ended is None:
                return
            self.child_ended(*ended)

    def child_ended(self, pid: int, status: int) -> None:
        """Also for children of a fork server, which tells us."""
        callback = self.children.pop(pid, None)
        if callback is not None:
            callback(status)

    def temporary_path(self) -> bytes:
        """The connection's own directory, which may not be there yet."""
        if self._temporary is None:
            parent = self.environment.get(b"TMPDIR") or b"/tmp"
            self._temporary = os.path.join(self.home, parent, b"lazycluster-" + self.mark[:16])
            self.leftovers.add(self._temporary)
        return self._temporary

    def temporary_directory(self) -> bytes:
        """The same; private, made on first use."""
        path = self.temporary_path()
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass  # Made before, or by a function that had a handle to keep.
        except OSError as error:
            what = "The temporary directory %s cannot be created" % printable(path)
            advice = "Set TMPDIR on the host to a directory that can be written."
            raise Failure.of("path", error, path, what, advice) from None
        return path

    def is_temporary(self, path: bytes) -> bool:
        """Whether it lies in the connection's own directory, which is removed whatever its modes say."""
        return self._temporary is not None and path.startswith(self._temporary + b"/")

    # Flow.

    def _before_wait(self) -> None:
        if self.debtors:
            debtors, self.debtors = self.debtors, []
            for operation in debtors:
                operation.give_back()
        self.channel.flush()

    def _on_drained(self) -> None:
        for operation in list(self.operations.values()):
            if self.channel.congested:
                break
            if operation.may_send:
                self.guard(operation, operation.resume)
