"""A Jupyter kernel, timed from outside: its start, a cell, its memory. Run by the Python of .venv, which has jupyter_client."""

import sys
import time

from jupyter_client.manager import KernelManager
from peer import serve

NAME = sys.argv[1]
CELLS = 20
state = {"count": 0}


def begin():
    manager = KernelManager(kernel_name=NAME)
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    # Not wait_for_ready: it pauses between its looks.
    client.kernel_info(reply=True, timeout=60)
    return manager, client


def end(manager, client):
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code):
    reply = client.execute_interactive(code, timeout=60, output_hook=lambda _: None)
    assert reply["content"]["status"] == "ok", reply["content"]


def start():
    state["kernel"] = begin()
    for _ in range(CELLS):
        cell()


def cell():
    state["count"] += 1
    run(state["kernel"][1], "const v%d = %d;\nconsole.log(v%d);" % ((state["count"],) * 3))


def expression():
    run(state["kernel"][1], "6 * 7")


def startup():
    kernel = begin()
    state["began"] = kernel


def first_cell():
    kernel = begin()
    # Only the reply counts: stock tslab's output is lost when a client's subscription has not reached it yet.
    reply = kernel[1].execute("const a = 1;\nconsole.log(a);", reply=True, timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    state["began"] = kernel


def stop():
    end(*state.pop("began"))


def memory():
    """[KB], as if it was milliseconds."""
    pid = state["kernel"][0].provisioner.pid
    with open("/proc/%d/status" % pid) as file:
        rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return rss / 1024


def leave():
    end(*state["kernel"])


serve({f.__name__: f for f in (start, cell, expression, startup, first_cell, stop, memory, leave)})
