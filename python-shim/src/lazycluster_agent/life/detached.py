"""An agent without a connection of its own: clients come and go one by one, and what is recorded goes on."""

from __future__ import annotations

import os
import socket
import time

from ..base.loop import READ
from ..connection.channel import Channel
from .agent import FIRST_LEASE, Agent
from .lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

    from ..base.errors import ProtocolError
    from ..detached.recording import Recording
    from ..wire.frames import Buffer, Header

    Client = Tuple[socket.socket, socket.socket]


#: [s] until the next try when there is no descriptor left for a client.
PAUSE = 0.1


class Silence(Channel):
    """The channel while nobody is there."""

    def __init__(self, heard: float) -> None:
        self.congested = False
        #: When the last client was heard of.
        self.heard = heard

    def start(self, leftover: bytes) -> None:
        """There is nothing to read."""

    def send(self, header: Header, payload: Buffer = b"") -> None:
        """Nobody hears it."""

    def flush(self) -> None:
        """There is nothing to write."""

    def close(self) -> None:
        """There is nothing to close."""


class DetachedAgent(Agent):
    def __init__(self, listener: int, folder: bytes, *rest: Any) -> None:
        super().__init__(None, *rest)
        self.recorder = self
        self.folder = folder
        self._listener = socket.socket(fileno=listener)
        self._client: Optional[Client] = None
        self._stopping = False
        #: Somebody has begun to tell what it shall do.
        self.is_taken = False
        #: What goes on without a client, once it is complete.
        self.recording: Optional[Recording] = None

    def _open(self, connection: Optional[Tuple[int, int]]) -> Channel:
        return Silence(time.monotonic())

    def _meet(self, leftover: bytes) -> None:
        self._own_lease = Lease(self.loop, FIRST_LEASE, self._last_heard, self._on_own_end)
        self._listener.setblocking(False)
        self._listen()

    def _listen(self) -> None:
        self.loop.watch(self._listener.fileno(), READ, self._accept)

    def _get_ready(self) -> None:
        super()._get_ready()
        self.leftovers.add(self.folder)
        self.leftovers.add(os.path.dirname(self.folder) + b"/")

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:
            self._pause()
            return
        # The last one counts: the one before it may be a connection that died without a word.
        self._part()
        try:
            # Reading and writing are waited for apart, so each has its own descriptor.
            client = self._client = accepted, accepted.dup()
        except OSError:
            accepted.close()
            self._pause()
            return
        fds = client[0].fileno(), client[1].fileno()
        channel = Channel(self.loop, *fds, self._on_frame, lambda why: self._left(client), self._on_drained)
        self.channel = channel
        if self.recording is None:
            # It ends with this client, for nobody else knows of it.
            self._own_lease.cancel()
        self._welcome(b"")

    def _pause(self) -> None:
        """There is no descriptor for a client. Without a pause it would be tried again at once, and again."""
        self.loop.forget(self._listener.fileno())
        self.loop.later(PAUSE, self._listen)

    def _last_heard(self) -> float:
        return self.channel.heard

    def _on_silence(self, seconds: float) -> None:
        """A client's lease is the client's."""
        self._part()

    def _on_own_end(self, seconds: float) -> None:
        super()._on_silence(seconds)

    def _ask_login(self) -> None:
        # Whoever looks later must not change what the next step finds.
        if self.recording is None:
            super()._ask_login()

    def _left(self, client: Client) -> None:
        if client is self._client:
            self._part()

    def _part(self) -> None:
        """Without its client there is only what is recorded, or nothing worth living for."""
        if self._client is None:
            return
        self._withdraw_grant()
        self.channel.close()
        for end in self._client:
            end.close()
        self._client = None
        self.channel = Silence(self.channel.heard)
        self.let_go_of_all()
        sessions = self.kept.pop("sessions", None)
        for session in sessions.all() if sessions is not None else ():
            session.end(lambda: None)
        if self.recording is None:
            self._stopping = True
            self.loop.stop()

    def _on_protocol_error(self, error: ProtocolError) -> bool:
        """What a client does wrong is its own end only."""
        self._part()
        return not self._stopping

    def _on_bye(self) -> None:
        self._part()

    def committed(self, recording: Recording, lease: float) -> None:
        """From now on nobody needs to be there."""
        self.recording = recording
        self._own_lease.cancel()
        self._own_lease = Lease(self.loop, lease, self._last_heard, self._on_own_end)
        self.surroundings.when_known(recording.begin)

    def dismiss(self) -> None:
        """The recording was fetched and is of no more use."""
        self._stopping = True
        self.recording = None
        self.loop.later(0, self.loop.stop)
