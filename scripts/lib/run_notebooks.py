"""Runs the notebooks through the kernel, each in a copy of its folder, and checks what they print.

    .venv/bin/python scripts/lib/run_notebooks.py --report FILE [NOTEBOOK ...]

The kernel must be registered in the environment of this Python, and LAZYCLUSTER_SSH_CONFIG name the demo hosts. Some
small notebooks, made here, check the kernel itself, and that a cell that fails is noticed at all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time
from typing import Callable, Iterator

import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
KERNEL = "lazycluster"
CELL_TIMEOUT_S = 120
KERNEL_TIMEOUT_S = 60

# What each notebook must print, in this order. A notebook without an entry only must not fail.
EXPECTED = {
    "01-first-task.ipynb": [
        r"host-1 has Python 3\.\d+",
        r"\[0\] Hello World!",
        r"\nHello World!\n",
        r"orders is done on host-1 after \d+ ms",
        # The table of the task that ran when its cell had ended already, in its last form.
        r"<b>slow</b> <span[^>]*>done on host-1.*part 3",
        r"slow took \d+ ms",
        r"orders: 3000",
        r"DE,\d+,\d+\.\d+",
        r"read 3000 orders",
        r"Step 0 on host-1 failed with exit code 1:\n.*no-such-table\.csv",
        r"Nothing of this notebook is left on host-1\.",
    ],
    "02-arrays-and-plots.ipynb": [
        r"host-1 has NumPy \d+\.\d+.*, scikit-learn \d+\.\d+",
        r"host-2 has NumPy",
        r"host-1: tried 4 values, \d+ ms",
        r"host-2: tried 4 values, \d+ ms",
        r"best gamma: 0\.0010",
        r"gamma",
        r"SVC\(gamma=0\.001.*\) is a sklearn\.svm\._classes\.SVC on host-1",
        r"5\d\d of 597 digits are right",
        r"image/png of \d{5,} bytes",
        r"images: \[ 1797, 8, 8 \]",
        r"image/png of \d{4,} bytes",
        r"Nothing of this notebook is left on the hosts\.",
    ],
    "03-many-hosts.ipynb": [
        r"host-1",
        r"host-2",
        r"6 chunks on host-1 and host-2\n",
        r"DE \d+\.\d\d\n",
        r"where-1 was done on host-1: I am ",
        r"where-2 was done on host-2: I am ",
        r"host-1: done\nhost-2: failed\n",
        r"debug: .*\nheard",
        r"Nothing is left on the hosts\.",
    ],
    "04-ports.ipynb": [
        r"free on host-1: true",
        r"portExposure running",
        r"from the host\n",
        r"alive: false",
        r"host-1: from the notebook\nhost-2: from the notebook\n",
        r"Nothing listens any more\.",
    ],
    "05-files-and-sync.ipynb": [
        r"4 new, 0 changed, 0 deleted, 0 unchanged, \d+ bytes",
        r"project/data/numbers\.csv\nproject/main\.py\nHello World!",
        r'changed "main\.py"\ndeleted "data/numbers\.csv"\ndeleted "data"\ndry run: 0 new, 1 changed, 2 deleted',
        r"0 new, 1 changed, 2 deleted, 1 unchanged, \d+ bytes",
        r"2 new, 0 changed, 0 deleted, 2 unchanged, 10 bytes",
        r"1 2 3 4 5",
        r"67108864",
    ],
}


class Failure(Exception):
    """A notebook that does not do what it should; the message says where."""


@contextlib.contextmanager
def copy_of_notebooks() -> Iterator[pathlib.Path]:
    """A folder that may be written to: running a notebook leaves nothing in the project."""
    with tempfile.TemporaryDirectory(prefix="lazycluster-notebooks-") as temporary:
        copy = pathlib.Path(temporary, "notebooks")
        shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("lazycluster", ".ipynb_checkpoints"))
        yield copy


def execute(notebook: nbformat.NotebookNode, folder: pathlib.Path) -> str:
    """Runs all cells. Gives what they printed; raises Failure for a cell that failed, or that wrote to stderr."""
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        startup_timeout=KERNEL_TIMEOUT_S,
        kernel_name=KERNEL,
        resources=resources,
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        # The kernel tells why on stderr, in the outputs of the cell.
        raise Failure("\n".join([str(error).strip(), *stderr_of(notebook)])) from None
    problems = stderr_of(notebook)
    if problems:
        raise Failure("Cells wrote to stderr:\n" + "\n".join(problems))
    return "".join(text_of(output) for output in outputs_of(notebook))


def text_of(output: nbformat.NotebookNode) -> str:
    """What was printed, and what was displayed as HTML or as an image."""
    if output["output_type"] == "stream":
        return str(output["text"])
    data = output.get("data", {})
    if "image/png" in data:
        return f"image/png of {len(data['image/png'])} bytes\n"
    return str(data.get("text/html", "")) + "\n"


def outputs_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def stderr_of(notebook: nbformat.NotebookNode) -> list[str]:
    found = []
    for output in outputs_of(notebook):
        if output["output_type"] == "error":
            found.append(f"{output['ename']}: {output['evalue']}")
        elif output.get("name") == "stderr":
            found.append(output["text"].rstrip())
    return found


def run_notebook(name: str) -> None:
    with copy_of_notebooks() as folder:
        notebook = nbformat.read(folder / name, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
                raise Failure("It was saved with outputs; clear them.")
        if notebook.metadata.get("kernelspec", {}).get("name") != KERNEL:
            raise Failure(f"It is not for the kernel {KERNEL}.")
        printed = execute(notebook, folder)
    position = 0
    for pattern in EXPECTED.get(name, []):
        match = re.compile(pattern, re.DOTALL if pattern.startswith("<") else 0).search(printed, position)
        if match is None:
            raise Failure(f"It did not print (in this order) {pattern!r}. It printed:\n{printed}")
        position = match.end()


def run_cells(*sources: str) -> str:
    """In an empty folder, as far from any node_modules as a folder can be."""
    with tempfile.TemporaryDirectory(prefix="lazycluster-kernel-") as folder:
        notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
        return execute(notebook, pathlib.Path(folder))


def must_fail(pattern: str, *sources: str) -> None:
    try:
        printed = run_cells(*sources)
    except Failure as failure:
        if re.search(pattern, str(failure)) is None:
            raise Failure(f"The message does not say {pattern!r}: {failure}") from None
    else:
        raise Failure(f"It was not noticed. Printed: {printed}")


def kernel_finds_the_library() -> None:
    printed = run_cells(
        'import { RuntimeTask } from "lazycluster";\nconst task: RuntimeTask = new RuntimeTask("far-away");',
        'import * as library from "lazycluster";\nconsole.log(task.name, library.RuntimeTask === RuntimeTask, typeof Buffer);',
    )
    if printed != "far-away true function\n":
        raise Failure(f"Printed: {printed}")


def a_blocked_cell_loses_nothing() -> None:
    """Longer than the lease and three missed probes: the engine's thread goes on all the same."""
    printed = run_cells(
        'import { Runtime, RuntimeTask } from "lazycluster";\n'
        'const runtime = new Runtime("host-1", { leaseMs: 3000, connection: { keepaliveIntervalMs: 1000 } });\n'
        'const task = new RuntimeTask("ticks").runCommand("for i in $(seq 40); do echo tick $i; sleep 0.2; done");\n'
        "const execution = runtime.executeTask(task);",
        "const until = Date.now() + 12000;\nwhile (Date.now() < until) { Math.random(); }",
        'await execution;\nconsole.log(task.state, task.executionLog[0].trim().split("\\n").length);\nawait runtime.close();',
    )
    if printed != "done 40\n":
        raise Failure(f"Printed: {printed}")


def kernel_knows_the_types() -> None:
    must_fail("not assignable", 'import { RuntimeTask } from "lazycluster";\nnew RuntimeTask(1);')


def kernel_ends_with_a_timer_alive() -> None:
    manager = KernelManager(kernel_name=KERNEL)
    manager.start_kernel()
    process = manager.provisioner.process
    try:
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=KERNEL_TIMEOUT_S)
        client.execute("setInterval(() => undefined, 1000);", reply=True, timeout=CELL_TIMEOUT_S)
        client.stop_channels()
    finally:
        manager.shutdown_kernel()
    if process.returncode != 0:
        raise Failure(f"It had to be killed: {process.returncode}")


CHECKS: dict[str, Callable[[], None]] = {
    "a cell that throws fails the notebook": lambda: must_fail("on purpose", 'throw new Error("on purpose");'),
    "a cell that does not compile fails the notebook": lambda: must_fail("noSuchName", "noSuchName;"),
    "a cell that writes to stderr fails the notebook": lambda: must_fail("careful", 'console.error("careful");'),
    "the kernel finds lazycluster in an empty folder": kernel_finds_the_library,
    "the kernel checks types of lazycluster in an empty folder": kernel_knows_the_types,
    "a cell that blocks JavaScript loses no task, no heartbeat, no line": a_blocked_cell_loses_nothing,
    "the kernel ends with a timer alive": kernel_ends_with_a_timer_alive,
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--report", type=pathlib.Path, required=True)
    parser.add_argument("notebooks", nargs="*")
    options = parser.parse_args()
    names = options.notebooks or sorted(path.name for path in FOLDER.glob("*.ipynb"))
    checks = {} if options.notebooks else CHECKS
    os.environ["NO_COLOR"] = "1"

    results = []
    for name, check in [*checks.items(), *((name, lambda name=name: run_notebook(name)) for name in names)]:
        start = time.monotonic()
        try:
            check()
            message = ""
        except Failure as failure:
            message = str(failure)
        took = time.monotonic() - start
        print(f"{'✗' if message else '✓'} {name} ({took:.1f} s)", flush=True)
        if message:
            print("\n".join("    " + line for line in message.splitlines()), flush=True)
        results.append({"name": name, "ok": not message})
        options.report.write_text(json.dumps(results))
    failed = sum(not result["ok"] for result in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
