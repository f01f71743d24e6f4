"""The variables that steps start with, which a login shell may have to be asked for first."""

from __future__ import annotations

import os

from ..base.errors import failure_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from ..base.errors import Failure
    from ..connection.host import Host

    #: Is told why the login environment could not be had, if so.
    WhenKnown = Callable[[Optional[Failure]], None]


class Surroundings:
    def __init__(self) -> None:
        #: Besides these a step has variables of its own.
        self.variables: Dict[bytes, bytes] = dict(os.environb)
        self._asked = False
        self._failure: Optional[Failure] = None
        #: None when there is nothing to wait for.
        self._waiting: Optional[List[WhenKnown]] = None

    def ask_login(self, agent: Host) -> None:
        """Once for all steps, so that none differs from the one before it."""
        if self._asked:
            return
        self._asked = True
        self._waiting = []
        from .login import LoginEnvironment

        try:
            LoginEnvironment(agent, self._know)
        except OSError as error:
            self._know({}, failure_of(error))

    def when_known(self, action: WhenKnown) -> None:
        """At once where nothing has to be waited for."""
        if self._waiting is None:
            action(self._failure)
        else:
            self._waiting.append(action)

    def _know(self, variables: Dict[bytes, bytes], failure: Optional[Failure]) -> None:
        self._failure = failure
        self.variables.update(variables)
        waiting, self._waiting = self._waiting or [], None
        for action in waiting:
            action(failure)
