"""What a session knows of its calls. Types only: no host loads it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Protocol

    from ..base.errors import Failure
    from ..connection.host import Running
    from ..functions.request import Calling
    from ..processes.streams import Inlet, Outlet
    from ..wire.frames import Buffer, Header

    class Caller(Running, Protocol):
        calling: Calling
        cwd: bytes
        environment: Dict[bytes, bytes]
        #: Its turn has come.
        begun: bool
        #: The session's process has begun to answer.
        answered: bool
        #: A SIGINT was sent on its behalf.
        interrupted: bool

        def start(self) -> None: ...

        def resume(self) -> None: ...

        def repay(self, cost: int) -> None: ...

        def full_environment(self, base: Optional[Dict[bytes, bytes]] = None) -> Dict[bytes, bytes]: ...

        def own_variables(self) -> Dict[str, bytes]: ...

        def running(self, pid: int, outlets: List[Outlet]) -> None: ...

        def begin(self, inlet: Inlet, request: bytes) -> None: ...

        def output(self, stream: int, data: Buffer) -> None: ...

        def on_answer(self, header: Header, payload: memoryview) -> None: ...

        def ended(self, code: int) -> None: ...

        def bereaved(self, failure: Failure) -> None: ...
