"""The agent: one connection, its operations, and their end."""

from __future__ import annotations

import gc
import os

from ..base import children, descriptors, signals, user
from ..base.errors import Failure, ProtocolError, failure_of, internal
from ..base.loop import READ, MainLoop
from ..base.old import freeze
from ..connection.channel import Channel
from ..connection.leftovers import Leftovers
from ..wire import fields
from .hello import PROTOCOL, hello
from .lease import Lease
from .surroundings import Surroundings
from .table import MESSAGES, OPERATIONS
from .temporary import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    from ..connection.host import Recorder, Running
    from ..connection.operation import Operation
    from ..processes.ending import Endings
    from ..wire.frames import Header

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
        self.home = user.home_directory()
        self.shell = user.user_shell()
        self.surroundings = Surroundings()
        self.null = os.open(os.devnull, os.O_RDWR)
        self.operations: Dict[int, Operation] = {}
        #: Operations that owe the manager credit.
        self.debtors: List[Running] = []
        #: Who wants to know how a process ended.
        self.children: Dict[int, Callable[[int], None]] = {}
        self.endings: Endings
        #: What operations share: fork servers and sessions, once there are some.
        self.kept: Dict[str, Any] = {}
        self.recorder: Optional[Recorder] = None
        #: The sshd that listens on ports in our stead; 0 without.
        self.session = 0
        self._ready = False
        self._greeted = False
        #: Of whom the channel leads to.
        self._client_lease: Optional[Lease] = None
        self._exit = EXIT_OK
        self._temporary = Temporary(self)

    def run(self, leftover: bytes) -> int:
        """Returns the exit status when everything of ours has ended."""
        signals.ignore_signals("SIGINT", "SIGPIPE")
        signals.on_termination(self.loop.stop)
        self._child_ended = children.wake_on_child()
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
        self.channel.send(hello(self.home, self.shell, CAPABILITIES))

    def _get_ready(self) -> None:
        """What the first step needs, while the manager's answer is on its way."""
        if self._ready:
            return
        self._ready = True
        from ..processes.ending import Endings

        self.endings = Endings(self.loop)
        children.become_subreaper()
        self.leftovers.greet()
        from ..steps import command  # noqa: F401

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
        from ..processes.ending import end_now
        from ..processes.family import Family

        family = Family(children.CONNECTION_VARIABLE, self.mark, ancestor=os.getpid())
        end_now(family, GRACE)
        self.let_go_of_all()
        self.leftovers.remove_all()
        if self.session and self._exit == EXIT_LOST:
            from ..relay.sshd import end_session

            end_session(self.session)

    def _last_words(self, text: str) -> None:
        descriptors.write_quietly(2, b"lazycluster agent: %s\n" % text.encode("utf-8", "replace"))

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

    def guard(self, operation: Running, action: Callable[[], None]) -> None:
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

    def forget(self, operation: Running) -> None:
        self.operations.pop(operation.id, None)

    def _on_child(self) -> None:
        descriptors.drain(self._child_ended)
        self.reap()

    def reap(self) -> None:
        while True:
            ended = children.reap()
            if ended is None:
                return
            self.child_ended(*ended)

    def child_ended(self, pid: int, status: int) -> None:
        """Also for children of a fork server, which tells us."""
        callback = self.children.pop(pid, None)
        if callback is not None:
            callback(status)

    def temporary_path(self) -> bytes:
        return self._temporary.path()

    def temporary_directory(self) -> bytes:
        return self._temporary.make()

    def is_temporary(self, path: bytes) -> bool:
        return self._temporary.holds(path)

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
