"""execnet: a small function over a warm gateway."""

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


def function():
    channel = state["gateway"].remote_exec("channel.send(channel.receive() + 1)")
    channel.send(41)
    assert channel.receive() == 42
    channel.waitclose()


serve({"start": start, "function": function})
