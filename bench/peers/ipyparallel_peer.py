"""ipyparallel: a controller here, an engine on each host, started over ssh."""

import atexit
import glob
import os
import re
import signal
import socket
import subprocess
import sys
import time

import ipyparallel
from peer import serve

CALLS = 1000
#: [s] until controller and engines are there.
PATIENCE = 60
config = os.environ["BENCH_SSH_CONFIG"]
folder = os.path.join(os.environ["HOME"], "ipyparallel")
state = {}
children = []


def end():
    for child in children:
        child.send_signal(signal.SIGTERM)


atexit.register(end)


def here(alias):
    """Our address as the host sees it."""
    said = subprocess.run(["ssh", "-F", config, "-G", alias], capture_output=True, text=True, check=True).stdout
    address = re.search("^hostname (.*)$", said, re.M).group(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return probe.getsockname()[0]


def wait_for(look, what):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise RuntimeError("%s did not come" % what)


def start():
    hosts = sys.argv[1:]
    os.makedirs(folder)
    program = os.path.join(os.path.dirname(sys.executable), "ipcontroller")
    told = sys.stderr if os.environ.get("BENCH_DEBUG") else subprocess.DEVNULL
    quiet = {"stdout": told, "stderr": told}
    address = here(hosts[0])
    argv = [program, "--profile-dir=%s" % folder, "--ip=%s" % address, "--location=%s" % address, "--nodb"]
    children.append(subprocess.Popen(argv, **quiet))
    pattern = os.path.join(folder, "security", "ipcontroller-%s.json")
    wait_for(lambda: glob.glob(pattern % "engine") and glob.glob(pattern % "client"), "the controller")
    with open(pattern % "engine", "rb") as file:
        connection = file.read()
    for host in hosts:
        command = "umask 077; cat > /tmp/bench-engine.json; exec ipengine --file=/tmp/bench-engine.json --location=%s" % address
        engine = subprocess.Popen(["ssh", "-F", config, host, command], stdin=subprocess.PIPE, **quiet)
        engine.stdin.write(connection)
        engine.stdin.close()
        children.append(engine)
    state["client"] = ipyparallel.Client(pattern % "client")
    wait_for(lambda: len(state["client"].ids) == len(hosts), "the engines")
    state["view"] = state["client"].load_balanced_view()
    calls()


def add(x):
    return x + 1


def calls():
    found = state["view"].map_async(add, range(CALLS), chunksize=1, ordered=True).get(timeout=PATIENCE)
    assert found == list(range(1, CALLS + 1))


serve({"start": start, "calls": calls})
