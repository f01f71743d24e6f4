"""What operations know of the agent that runs them, and it of them. Types only: no host loads it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol

    from ..base.errors import Failure
    from ..base.loop import MainLoop
    from ..processes.ending import Endings
    from .channel import Channel
    from .leftovers import Leftovers

    class Running(Protocol):
        """An operation."""

        id: int

        def fail(self, failure: Failure) -> None: ...

        def give_back(self) -> None: ...

    class Host(Protocol):
        """The agent."""

        loop: MainLoop
        channel: Channel
        leftovers: Leftovers
        endings: Endings
        mark: bytes
        home: bytes
        shell: bytes
        #: A descriptor of /dev/null.
        null: int
        #: Who wants to know how a process ended.
        children: Dict[int, Callable[[int], None]]
        #: Operations that owe the manager credit.
        debtors: List[Running]
        #: The sshd that listens on ports in our stead; 0 without.
        session: int
        #: What operations share, by the name of who looks after it.
        kept: Dict[str, Any]
        #: On an agent that lives without a connection.
        recorder: Optional[Recorder]

        @property
        def environment(self) -> Dict[bytes, bytes]:
            """What steps start with, besides their own variables."""

        @property
        def operations(self) -> Mapping[int, Running]: ...

        def guard(self, operation: Running, action: Callable[[], None]) -> None: ...

        def forget(self, operation: Running) -> None: ...

        def reap(self) -> None: ...

        def child_ended(self, pid: int, status: int) -> None: ...

        def temporary_path(self) -> bytes:
            """The connection's own directory, which may not be there yet."""

        def temporary_directory(self) -> bytes:
            """The same; private, made on first use."""

        def is_temporary(self, path: bytes) -> bool:
            """Whether it lies in there."""

    class Recorder(Host, Protocol):
        folder: bytes
        #: Somebody has begun to tell what it shall do.
        is_taken: bool
        recording: Optional[Any]

        def committed(self, recording: Any, lease: float) -> None: ...

        def dismiss(self) -> None: ...
