"""Python lazycluster: commands and functions."""

import os
import sys

os.chdir(os.environ["HOME"])

from lazycluster import Runtime, RuntimeTask  # noqa: E402
from peer import serve  # noqa: E402

state = {}


def start():
    state["runtime"] = Runtime(sys.argv[1])


def command():
    state["runtime"].execute_task(RuntimeTask("true").run_command("true"), execute_async=False)


def add(x):
    return x + 1


def function():
    task = RuntimeTask("function").run_function(add, x=41)
    state["runtime"].execute_task(task, execute_async=False)
    assert list(task.function_returns) == [42]


serve({"start": start, "command": command, "function": function})
