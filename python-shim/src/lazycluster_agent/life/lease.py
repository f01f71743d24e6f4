"""For how long somebody may be silent."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from ..base.loop import Loop


class Lease:
    """What one party was granted. It stays as it is: another party, or another time, is another lease."""

    def __init__(
        self, loop: Loop, seconds: float, heard: Callable[[], float], over: Callable[[float], None]
    ) -> None:
        """Calls `over` with the length of the silence once it is longer than `seconds`; 0: never.

        `heard` tells when the party was heard last, by the monotonic clock.
        """
        self._loop, self._seconds = loop, seconds
        self._heard, self._over = heard, over
        self._valid = bool(seconds)
        if seconds:
            loop.soon(self._look)

    def cancel(self) -> None:
        self._valid = False

    def _look(self) -> None:
        if self._valid:
            # Looked at again when it would be over, whatever comes meanwhile.
            left = self._seconds - self._silence()
            self._loop.later(max(left, 0), self._look if left > 0 else self._look_closely)

    def _look_closely(self) -> None:
        # What came while we were stopped, or busy, is still to be read.
        self._loop.soon(self._judge)

    def _judge(self) -> None:
        if self._valid and self._silence() >= self._seconds:
            self._valid = False
            self._over(self._silence())
        else:
            self._look()

    def _silence(self) -> float:
        return time.monotonic() - self._heard()
