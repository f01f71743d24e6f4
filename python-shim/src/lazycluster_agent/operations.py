"""Which message does what. A new kind of operation is one more function and one more line in the table.

The modules are compiled when they are first needed, for most connections need few of them.
"""

from __future__ import annotations

from . import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict

    from .agent import Agent
    from .frames import Header
    from .operation import Operation


def _run(agent: Agent, id: int, header: Header) -> Operation:
    from .command import Command

    return Command(agent, id, header)


def _call(agent: Agent, id: int, header: Header) -> Operation:
    function = header.get("fn")
    if isinstance(function, dict) and function.get("kind") == "js":
        from .js import JsFunction

        return JsFunction(agent, id, header)
    if header.get("session") is not None:
        from .session_call import SessionCall

        return SessionCall(agent, id, header)
    from .function import Function

    return Function(agent, id, header)


def _end_session(agent: Agent, id: int, header: Header) -> Operation:
    from .session_call import EndSession

    return EndSession(agent, id, header)


def _interrupt(agent: Agent, id: int, header: Header) -> Operation:
    from .session_call import Interrupt

    return Interrupt(agent, id, header)


def _put(agent: Agent, id: int, header: Header) -> Operation:
    from .put import Put

    return Put(agent, id, header)


def _get(agent: Agent, id: int, header: Header) -> Operation:
    from .get import Get

    return Get(agent, id, header)


def _tempdir(agent: Agent, id: int, header: Header) -> Operation:
    from .files import TemporaryDirectory

    return TemporaryDirectory(agent, id, header)


def _mkdir(agent: Agent, id: int, header: Header) -> Operation:
    from .files import MakeDirectory

    return MakeDirectory(agent, id, header)


def _remove(agent: Agent, id: int, header: Header) -> Operation:
    from .files import Remove

    return Remove(agent, id, header)


def _reap(agent: Agent, id: int, header: Header) -> Operation:
    from .reap import Reap

    return Reap(agent, id, header)


OPERATIONS: Dict[str, Callable[[Agent, int, Header], Operation]] = {
    "run": _run,
    "call": _call,
    "endsession": _end_session,
    "interrupt": _interrupt,
    "put": _put,
    "get": _get,
    "tempdir": _tempdir,
    "mkdir": _mkdir,
    "remove": _remove,
    "reap": _reap,
}


def _credit(operation: Operation, header: Header, payload: memoryview) -> None:
    operation.on_credit(fields.integer(header, "n"))


#: Messages to an operation that is under way.
MESSAGES: Dict[str, Callable[[Operation, Header, memoryview], None]] = {
    "cancel": lambda operation, header, payload: operation.cancel(),
    "credit": _credit,
    "data": lambda operation, header, payload: operation.on_data(header, payload),
    "entry": lambda operation, header, payload: operation.on_entry(header),
    "end": lambda operation, header, payload: operation.on_end(header),
    "abort": lambda operation, header, payload: operation.on_abort(header),
}
