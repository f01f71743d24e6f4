"""Ports: connections that the agent relays, ports that it listens on, and what it tells about them."""

from __future__ import annotations

import os
import socket
import struct
from typing import Tuple

import pytest
from manager import Manager, until

from lazycluster_agent.relay.peer import Peers, from_proc

TIMEOUT = 10.0


def server(family: int = socket.AF_INET, address: str = "127.0.0.1") -> Tuple[socket.socket, int]:
    listening = socket.socket(family)
    listening.settimeout(TIMEOUT)
    listening.bind((address, 0))
    listening.listen(10)
    return listening, listening.getsockname()[1]


def accept(listening: socket.socket) -> socket.socket:
    connection, _ = listening.accept()
    connection.settimeout(TIMEOUT)
    return connection


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def dial(manager: Manager, port: int) -> int:
    id = manager.start("dial", port=port)
    manager.wait(lambda: manager.results[id].frames)
    return id


def listen(manager: Manager, **fields: object) -> Tuple[int, int]:
    id = manager.start("listen", **{"port": 0, "anyUser": False, **fields})
    manager.wait(lambda: manager.results[id].frames)
    header = manager.results[id].frames[0][0]
    assert header["op"] == "listening"
    return id, header["port"]


def incoming(manager: Manager, listening: int, count: int) -> int:
    def arrived() -> bool:
        return any(header.get("conn") == count for header, _ in manager.results[listening].frames)

    manager.wait(arrived)
    return manager.start("accept", listen=listening, conn=count)


def ends(manager: Manager, id: int) -> int:
    return sum(1 for header, _ in manager.results[id].frames if header.get("eof"))


def is_reset(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) != b"" and False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("family, address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_dial_and_half_close(shared: Manager, family: int, address: str) -> None:
    listening, port = server(family, address)
    id = dial(shared, port)
    connection = accept(listening)
    shared.input(id, b"question", eof=True)
    assert connection.recv(100) == b"question" and connection.recv(100) == b""
    connection.sendall(b"answer")
    shared.wait(lambda: shared.results[id].out == b"answer")
    assert not ends(shared, id)
    connection.close()
    assert shared.finish(id).last["op"] == "done" and ends(shared, id) == 1
    listening.close()


def test_nobody_listens(shared: Manager) -> None:
    listening, port = server()
    listening.close()
    error = shared.do("dial", port=port)
    assert (error["op"], error["kind"], error["errno"]) == ("error", "connection", "ECONNREFUSED")
    assert str(port) in error["message"]


def test_a_break_is_no_end(shared: Manager) -> None:
    listening, port = server()
    id = dial(shared, port)
    connection = accept(listening)
    connection.sendall(b"half")
    shared.wait(lambda: shared.results[id].out == b"half")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    error = shared.finish(id).last
    assert (error["kind"], error["errno"]) == ("connection", "ECONNRESET") and not ends(shared, id)

    id = dial(shared, port)
    connection = accept(listening)
    shared.cancel(id)
    assert shared.finish(id).last["kind"] == "cancelled" and is_reset(connection)
    listening.close()


def test_credit_holds_back_both_directions(shared: Manager) -> None:
    listening, port = server()
    id = shared.start("dial", port=port)
    shared.withheld[id] = 0
    connection = accept(listening)
    connection.settimeout(1)
    sent = 0
    with pytest.raises(socket.timeout):
        while True:
            sent += connection.send(bytes(65536))
            shared.send({"op": "ping", "t": 0})
            shared.wait(lambda: shared.pongs and shared.pongs.pop() == 0)
    assert len(shared.results[id].out) <= 1024 * 1024 + 256 * 1024
    # Nobody reads what the manager sends: credit comes back only for what the kernel takes.
    before = shared.credits.get(id, 0)
    for _ in range(14):
        shared.input(id, bytes(65536))
    shared.send({"op": "ping", "t": 1})
    shared.wait(lambda: shared.pongs and shared.pongs.pop() == 1)
    assert shared.credits.get(id, 0) - before <= 14 * (65536 + 64)
    shared.pay(id)
    shared.wait(lambda: len(shared.results[id].out) >= sent)
    shared.cancel(id)
    shared.finish(id)
    connection.close()
    listening.close()


def test_listen_and_accept(shared: Manager) -> None:
    listening, port = listen(shared)
    client = connect(port)
    client.sendall(b"early")
    id = incoming(shared, listening, 1)
    shared.wait(lambda: shared.results[id].out == b"early")
    shared.input(id, b"answer", eof=True)
    assert client.recv(100) == b"answer" and client.recv(100) == b""
    client.close()
    assert shared.finish(id).last["op"] == "done"

    gone = shared.do("accept", listen=listening, conn=77)
    assert (gone["op"], gone["kind"]) == ("error", "connection")

    waiting = connect(port)
    shared.wait(lambda: shared.results[listening].frames[-1][0].get("conn") == 2)
    taken = connect(port)
    lives = incoming(shared, listening, 3)
    shared.cancel(listening)
    assert shared.finish(listening).last["kind"] == "cancelled"
    assert waiting.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    taken.sendall(b"lives")
    shared.wait(lambda: shared.results[lives].out == b"lives")
    shared.cancel(lives)
    shared.finish(lives)


def test_another_address_of_the_host_is_no_disguise(shared: Manager) -> None:
    listening, port = listen(shared)
    honest = connect(port)
    shared.wait(lambda: shared.results[listening].frames[-1][0].get("conn") == 1)
    source = ("127.0.0.2", honest.getsockname()[1])
    with pytest.raises(ConnectionResetError):
        socket.create_connection(("127.0.0.1", port), TIMEOUT, source).recv(1)
    shared.cancel(listening)
    shared.finish(listening)

    listening, port = listen(shared, anyUser=True)
    let_in = socket.create_connection(("127.0.0.1", port), TIMEOUT, ("127.0.0.2", 0))
    id = incoming(shared, listening, 1)
    let_in.sendall(b"hello")
    shared.wait(lambda: shared.results[id].out == b"hello")
    shared.cancel(listening)
    shared.cancel(id)
    shared.finish(id)


def test_a_port_that_is_taken(shared: Manager) -> None:
    busy, port = server()
    error = shared.do("listen", port=port, anyUser=False)
    assert (error["op"], error["kind"], error["errno"]) == ("error", "port", "EADDRINUSE")
    busy.close()


def test_many_wait_and_none_is_lost(shared: Manager) -> None:
    """More than the agent accepts ahead of the manager's word."""
    listening, port = listen(shared)
    clients = [connect(port) for _ in range(300)]
    for count in range(1, 301):
        id = incoming(shared, listening, count)
        shared.input(id, b"%d" % count, eof=True)
    texts = {int(client.recv(100)) for client in clients}
    assert texts == set(range(1, 301))
    for client in clients:
        client.close()
    shared.cancel(listening)
    shared.finish(listening)


def test_ports_close_with_the_connection(own: Manager) -> None:
    listening, port = listen(own)
    client = connect(port)
    incoming(own, listening, 1)
    own.send({"op": "bye"})
    own.process.wait(TIMEOUT)
    with pytest.raises(OSError):
        connect(port)
    client.settimeout(TIMEOUT)
    assert client.recv(1) == b""


def test_free_ports(shared: Manager) -> None:
    busy, port = server()
    everywhere, wild = server(address="0.0.0.0")
    free_socket, free = server()
    free_socket.close()
    assert shared.do("ports", ports=[port, wild, free])["ports"] == [free]
    assert shared.do("ports", ports=[])["ports"] == []
    assert len(shared.do("ports", ports=list(range(20000, 21000)))["ports"]) > 900
    busy.close()
    everywhere.close()


def test_the_network_has_a_name(shared: Manager) -> None:
    boot, name = shared.hello["network"].split(" ")
    with open("/proc/sys/kernel/random/boot_id") as file:
        assert boot == file.read().strip()
    assert name == os.readlink("/proc/self/ns/net")


def test_peer(shared: Manager) -> None:
    listening, port = server()
    client = connect(port)
    assert shared.do("peer", theirs=client.getsockname()[1], ours=port)["trusted"] is True
    assert shared.do("peer", theirs=port, ours=port)["trusted"] is False
    client.close()
    listening.close()


def test_who_listens_for_the_whole_network_does_not_listen_in_our_stead(shared: Manager) -> None:
    everywhere, wild = server(address="0.0.0.0")
    assert shared.do("sshd", port=wild)["fit"] is False
    everywhere.close()


@pytest.mark.parametrize(
    "family, address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")]
)
def test_the_kernel_and_proc_agree_on_peers(family: int, address: str) -> None:
    listening, port = server()
    client = socket.socket(family)
    client.connect((address, port))
    connection = accept(listening)
    theirs = connection.getpeername()[1]
    peers, strangers = Peers(os.getuid()), Peers(os.getuid() + 1)
    assert peers._netlink is not None and from_proc(theirs, port) == os.getuid()
    assert peers.trusts(theirs, port) and not peers.trusts(port, theirs + 1)
    if os.getuid():  # Root is trusted by everybody.
        assert not strangers.trusts(theirs, port)
    # Where only somebody listens there is no peer; and a closed socket belongs to nobody.
    assert not peers.trusts(port, port)
    client.close()
    until(lambda: not peers.trusts(theirs, port))
    assert from_proc(theirs, port) is None
    peers.close()
    strangers.close()
    connection.close()
    listening.close()
