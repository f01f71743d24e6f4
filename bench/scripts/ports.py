"""`serve PORT`, or a client that prints [ms]: `bulk PORT MIB` (down, then up), `new PORT COUNT` (a line for each connection)."""

import socket
import sys
import threading
import time

PIECE = bytes(1 << 18)


def serve(connection):
    with connection:
        mode = connection.recv(1)
        if mode == b"e":
            connection.sendall(connection.recv(1))
        elif mode == b"d":
            left = int(connection.recv(8)) << 20
            while left > 0:
                connection.sendall(PIECE)
                left -= len(PIECE)
        elif mode == b"u":
            while connection.recv(1 << 18):
                pass
            connection.sendall(b"k")


def connect():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def bulk(mib):
    begin = time.monotonic()
    with connect() as connection:
        connection.sendall(b"d%8d" % mib)
        left = mib << 20
        while left > 0:
            left -= len(connection.recv(1 << 18)) or sys.exit("cut off")
    with connect() as connection:
        connection.sendall(b"u")
        for _ in range(mib * 4):
            connection.sendall(PIECE)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1) != b"k":
            sys.exit("cut off")
    print((time.monotonic() - begin) * 1000)


def new(count):
    for _ in range(count):
        begin = time.monotonic()
        with connect() as connection:
            connection.sendall(b"ex")
            connection.recv(1)
        print((time.monotonic() - begin) * 1000)


if sys.argv[1] == "serve":
    listening = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=1000)
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
else:
    {"bulk": bulk, "new": new}[sys.argv[1]](int(sys.argv[3]))
