"""All sessions of the connection, by name; and which of its processes a call is meant for."""

from __future__ import annotations

from .session import Session, ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from ..base.errors import Failure
    from ..connection.host import Host
    from .session import Key


class Entry:
    """A session's latest process, by its number among them."""

    def __init__(self, number: int, before: Failure) -> None:
        self.number = number
        #: How those before it ended, as far as that is known.
        self.before = before
        #: None: it has not begun, or has ended.
        self.session: Optional[Session] = None
        #: How it ended.
        self.end: Optional[Failure] = None


class Sessions:
    """The manager counts the processes of a session that it has seen end, and says which one a call is for.

    So none runs in an empty process that was sent to a filled one, however late it comes. What has ended is
    remembered for as long as the connection lasts.
    """

    def __init__(self, agent: Host) -> None:
        self._agent = agent
        self._entries: Dict[Key, Entry] = {}

    def all(self) -> List[Session]:
        return [entry.session for entry in self._entries.values() if entry.session is not None]

    def find(self, key: Key, number: int) -> Optional[Session]:
        """That process, if it is there."""
        entry = self._entries.get(key)
        return entry.session if entry is not None and entry.number == number else None

    def find_or_begin(self, key: Key, number: int) -> Session:
        """Raises Failure when that process has ended."""
        entry = self._turn_to(key, number)
        if number < entry.number:
            raise entry.before
        if entry.end is not None:
            raise entry.end
        if entry.session is None:
            entry.session = Session(self._agent, key, self._forget)
        return entry.session

    def end(self, key: Key, number: int) -> Optional[Session]:
        """No call for it is run any more; gives the process if there is something to end."""
        entry = self._turn_to(key, number)
        if entry.number > number or entry.end is not None:
            return None
        if entry.session is None:
            entry.end = ended(key, "it was ended")
        return entry.session

    def _turn_to(self, key: Key, number: int) -> Entry:
        """Whoever speaks of a later process knows that the ones before it are no more, or shall be."""
        entry = self._entries.get(key)
        if entry is None or entry.number < number:
            if entry is not None and entry.session is not None:
                entry.session.end(lambda: None)
            before = entry.end if entry is not None else None
            entry = self._entries[key] = Entry(number, before or ended(key, "it was ended"))
        return entry

    def _forget(self, session: Session) -> None:
        entry = self._entries.get(session.key)
        if entry is not None and entry.session is session:
            entry.session = None
            # One that has not even begun may begin another time.
            if session.lost:
                entry.end = session.failure()


def sessions_of(agent: Host) -> Sessions:
    found: Sessions = agent.kept.get("sessions") or Sessions(agent)
    agent.kept["sessions"] = found
    return found
