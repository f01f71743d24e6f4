"""asyncssh: a connection to each host, a command on all of them at once. With `once` as first word: from nothing, and no more."""

import asyncio
import os
import sys

import asyncssh
from peer import serve

once = sys.argv[1] == "once"
hosts = sys.argv[2:] if once else sys.argv[1:]
loop = asyncio.new_event_loop()
state = {}


async def connect():
    config = os.environ["BENCH_SSH_CONFIG"]
    state["connections"] = await asyncio.gather(*(asyncssh.connect(host, config=[config]) for host in hosts))


async def run():
    for done in await asyncio.gather(*(connection.run("true", check=True) for connection in state["connections"])):
        assert done.stdout == ""


def start():
    loop.run_until_complete(connect())


def command():
    loop.run_until_complete(run())


if once:
    start()
    command()
else:
    serve({"start": start, "command": command})
