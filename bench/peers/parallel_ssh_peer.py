"""parallel-ssh: a command on all hosts at once over kept connections. With `once` as first word: from nothing, and no more."""

import os
import sys

from peer import serve
from pssh.clients import ParallelSSHClient
from pssh.config import HostConfig

once = sys.argv[1] == "once"
#: It reads no ssh config: user@address:port of each.
places = sys.argv[2:] if once else sys.argv[1:]
state = {}


def connect():
    addresses, configs = [], []
    for place in places:
        user, _, rest = place.partition("@")
        address, _, port = rest.rpartition(":")
        addresses.append(address)
        key = os.environ["BENCH_IDENTITY"]
        configs.append(HostConfig(user=user, port=int(port), private_key=key, allow_agent=False, identity_auth=False))
    state["client"] = ParallelSSHClient(addresses, host_config=configs)


def command():
    client = state["client"]
    output = client.run_command("true")
    client.join(output)
    for host in output:
        assert list(host.stdout) == [] and list(host.stderr) == [] and host.exit_code == 0, host


def start():
    connect()
    # It connects with the first command.
    command()


if once:
    start()
else:
    serve({"start": start, "command": command})
