"""Which message does what. A new kind of operation is one more function and one more line in the table.

The modules are compiled when they are first needed, for most connections need few of them.
"""

from __future__ import annotations

from ..wire import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict

    from ..connection.host import Host
    from ..connection.operation import Operation
    from ..wire.frames import Header


def _run(agent: Host, id: int, header: Header) -> Operation:
    from ..steps.command import Command

    return Command(agent, id, header)


def _call(agent: Host, id: int, header: Header) -> Operation:
    if header.get("session") is not None:
        from ..sessions.operations import SessionCall

        return SessionCall(agent, id, header)
    from ..functions.kinds import function

    return function(agent, id, header)


def _end_session(agent: Host, id: int, header: Header) -> Operation:
    from ..sessions.operations import EndSession

    return EndSession(agent, id, header)


def _interrupt(agent: Host, id: int, header: Header) -> Operation:
    from ..sessions.operations import Interrupt

    return Interrupt(agent, id, header)


def _put(agent: Host, id: int, header: Header) -> Operation:
    from ..files.put import Put

    return Put(agent, id, header)


def _get(agent: Host, id: int, header: Header) -> Operation:
    from ..files.get import Get

    return Get(agent, id, header)


def _list(agent: Host, id: int, header: Header) -> Operation:
    from ..files.get import Listing

    return Listing(agent, id, header)


def _read(agent: Host, id: int, header: Header) -> Operation:
    from ..files.ranges import Read

    return Read(agent, id, header)


def _write(agent: Host, id: int, header: Header) -> Operation:
    from ..files.ranges import Write

    return Write(agent, id, header)


def _hash(agent: Host, id: int, header: Header) -> Operation:
    from ..files.hashes import Hash

    return Hash(agent, id, header)


def _tempdir(agent: Host, id: int, header: Header) -> Operation:
    from ..files.places import TemporaryDirectory

    return TemporaryDirectory(agent, id, header)


def _mkdir(agent: Host, id: int, header: Header) -> Operation:
    from ..files.places import MakeDirectory

    return MakeDirectory(agent, id, header)


def _remove(agent: Host, id: int, header: Header) -> Operation:
    from ..files.places import Remove

    return Remove(agent, id, header)


def _reap(agent: Host, id: int, header: Header) -> Operation:
    from ..steps.reap import Reap

    return Reap(agent, id, header)


def _record(agent: Host, id: int, header: Header) -> Operation:
    from ..detached import operations

    kinds = {
        "record": operations.Record,
        "follow": operations.Follow,
        "stop": operations.Stop,
        "forget": operations.Forget,
    }
    return kinds[header["op"]](agent, id, header)


def _facts(agent: Host, id: int, header: Header) -> Operation:
    from ..facts.facts import Facts

    return Facts(agent, id, header)


def _which(agent: Host, id: int, header: Header) -> Operation:
    from ..facts.which import Which

    return Which(agent, id, header)


def _dial(agent: Host, id: int, header: Header) -> Operation:
    from ..relay.dial import Dial

    return Dial(agent, id, header)


def _listen(agent: Host, id: int, header: Header) -> Operation:
    from ..relay.listen import Listen

    return Listen(agent, id, header)


def _accept(agent: Host, id: int, header: Header) -> Operation:
    from ..relay.listen import Accept

    return Accept(agent, id, header)


def _peer(agent: Host, id: int, header: Header) -> Operation:
    from ..relay.peer import Peer

    return Peer(agent, id, header)


def _ports(agent: Host, id: int, header: Header) -> Operation:
    from ..relay.ports import FreePorts

    return FreePorts(agent, id, header)


def _sshd(agent: Host, id: int, header: Header) -> Operation:
    from ..relay.sshd import Sshd

    return Sshd(agent, id, header)


OPERATIONS: Dict[str, Callable[[Host, int, Header], Operation]] = {
    "run": _run,
    "call": _call,
    "endsession": _end_session,
    "interrupt": _interrupt,
    "put": _put,
    "get": _get,
    "list": _list,
    "read": _read,
    "write": _write,
    "hash": _hash,
    "tempdir": _tempdir,
    "mkdir": _mkdir,
    "remove": _remove,
    "reap": _reap,
    "record": _record,
    "follow": _record,
    "stop": _record,
    "forget": _record,
    "facts": _facts,
    "which": _which,
    "dial": _dial,
    "listen": _listen,
    "accept": _accept,
    "peer": _peer,
    "ports": _ports,
    "sshd": _sshd,
}


def _credit(operation: Operation, header: Header, payload: memoryview) -> None:
    operation.on_credit(fields.integer(header, "n"))


#: Messages to an operation that is under way.
MESSAGES: Dict[str, Callable[[Operation, Header, memoryview], None]] = {
    "cancel": lambda operation, header, payload: operation.cancel(),
    "credit": _credit,
    "data": lambda operation, header, payload: operation.on_data(header, payload),
    "end": lambda operation, header, payload: operation.on_end(header),
    "abort": lambda operation, header, payload: operation.on_abort(header),
}
