"""A kernel of this project, and a client that keeps all that it says."""

from __future__ import annotations

import os
import pathlib
import time
from typing import Any, Callable, Iterator

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

TIMEOUT_S = 60


class Cell:
    """What became of a cell: its reply, and all that was published for it, in order."""

    def __init__(self) -> None:
        self.reply: dict[str, Any] = {}
        self.messages: list[dict[str, Any]] = []

    def contents(self, kind: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    def text(self, name: str = "stdout") -> str:
        return "".join(content["text"] for content in self.contents("stream") if content["name"] == name)

    @property
    def result(self) -> Any:
        found = self.contents("execute_result")
        return found[-1]["data"]["text/plain"] if found else None

    @property
    def displays(self) -> list[dict[str, Any]]:
        return [content["data"] for kind in ("display_data", "update_display_data") for content in self.contents(kind)]

    @property
    def error(self) -> str:
        found = self.contents("error")
        return f"{found[0]['ename']}: {found[0]['evalue']}" if found else ""

    @property
    def traceback(self) -> str:
        return "\n".join(line for content in self.contents("error") for line in content["traceback"])


class Kernel:
    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(cwd=str(folder))
        self.client: BlockingKernelClient = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT_S)
        self.pid: int = self.manager.provisioner.pid

    def run(self, code: str, **options: Any) -> Cell:
        return self.finish(self.send(code, **options))

    def send(self, code: str, **options: Any) -> str:
        return self.client.execute(code, **options)

    def finish(self, msg_id: str, seconds: float = TIMEOUT_S) -> Cell:
        """Waits for the reply, and for the status that ends the cell."""
        cell = Cell()
        deadline = time.monotonic() + seconds
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            cell.messages.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while cell.reply == {}:
            message = self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") == msg_id:
                cell.reply = message["content"]
        return cell

    def until(self, msg_id: str, holds: Callable[[Cell], bool]) -> Cell:
        """Reads what a running cell publishes until it holds."""
        cell = Cell()
        deadline = time.monotonic() + TIMEOUT_S
        while not holds(cell):
            message = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") == msg_id:
                cell.messages.append(message)
        return cell

    def ask(self, msg_id: str) -> dict[str, Any]:
        """The reply to a request that is no execution."""
        while True:
            message = self.client.get_shell_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") == msg_id:
                return message["content"]

    def statuses(self, ids: list[str]) -> list[str]:
        """Of the replies to these cells."""
        replies: dict[str, str] = {}
        while any(msg_id not in replies for msg_id in ids):
            message = self.client.get_shell_msg(timeout=TIMEOUT_S)
            replies[message["parent_header"]["msg_id"]] = message["content"]["status"]
        return [replies[msg_id] for msg_id in ids]

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def kill(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Callable[..., Kernel]]:
    started: list[Kernel] = []

    def begin(name: str = os.environ.get("LAZYCLUSTER_TEST_KERNEL", "lazycluster"), folder: pathlib.Path = tmp_path) -> Kernel:
        started.append(Kernel(name, folder))
        return started[-1]

    yield begin
    for kernel in started:
        kernel.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Kernel]]:
    """The kernel of a file's tests: a new one takes a second."""
    kernels: list[Kernel] = []
    yield kernels
    for kernel in kernels:
        kernel.end()


@pytest.fixture
def kernel(shared: list[Kernel], request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Kernel]:
    """A new one after a test that failed: what that left behind says nothing about the tests after it."""
    if not shared:
        shared.append(Kernel("lazycluster", tmp_path))
    failed = request.session.testsfailed
    yield shared[0]
    if request.session.testsfailed > failed:
        shared.pop().kill()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not holds():
            assert time.monotonic() < deadline, "it did not come to be"
            time.sleep(0.02)

    return wait


def processes(text: str, what: str = "line") -> list[str]:
    """The command lines, or with "pid" the numbers, of processes of the demo hosts, which share this machine."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if text in line:
            found.append(folder.name if what == "pid" else line)
    return found
