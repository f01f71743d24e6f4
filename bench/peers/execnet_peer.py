"""execnet: a gateway from start to end; and over a warm one a small function, bytes, an array."""

import os
import sys

import execnet
from peer import serve

group = execnet.Group()
state = {}


def start():
    spec = "ssh=-F %s %s//python=python3" % (os.environ["BENCH_SSH_CONFIG"], sys.argv[1])
    state["gateway"] = group.makegateway(spec)
    state["gateway"].remote_exec("channel.send(1)").receive()


def gateway():
    one = group.makegateway("popen//python=python3")
    one.remote_exec("channel.send(1)").receive()
    one.exit()
    one.join()


def function():
    channel = state["gateway"].remote_exec("channel.send(channel.receive() + 1)")
    channel.send(41)
    assert channel.receive() == 42
    channel.waitclose()


def content():
    channel = state["gateway"].remote_exec("channel.send(bytes(10 * 1024 * 1024))")
    assert len(channel.receive()) == 10 * 1024 * 1024
    channel.waitclose()


def array():
    import numpy

    channel = state["gateway"].remote_exec("import numpy; channel.send(numpy.ones(8 * 1024 * 1024).tobytes())")
    values = numpy.frombuffer(channel.receive())
    assert values[-1] == 1 and len(values) == 8 * 1024 * 1024
    channel.waitclose()


serve({"start": start, "gateway": gateway, "function": function, "content": content, "array": array})
