"""Signal handlers of the user's while nothing of the user's runs."""

from __future__ import annotations

import sys

from ..base.signals import SIGINT, handler_of, handlers, set_handler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Dict, Optional

    from ..base.signals import Handler


class Shield:
    """Between two calls they run as ever, but what they raise is only told: nobody there could catch it."""

    def __init__(self) -> None:
        self._theirs: Dict[int, Handler] = {}

    def put_up(self) -> None:
        """Can be tried again when one of them has interrupted it."""
        for number, handler in handlers().items():
            if number != SIGINT and handler != self._run:
                self._theirs[number] = handler
                set_handler(number, self._run)

    def take_down(self) -> None:
        for number in list(self._theirs):
            if handler_of(number) == self._run:
                set_handler(number, self._theirs[number])

    def _run(self, number: int, frame: Optional[FrameType]) -> None:
        try:
            self._theirs[number](number, frame)
        except Exception:
            import traceback

            text = "lazycluster: a signal handler raised this between two calls:\n%s"
            try:
                sys.stderr.write(text % traceback.format_exc())
            except Exception:
                pass  # The call has closed it, or put something else in its place.
