"""Kernels that are reached by sockets in a folder, as those of `npm start`: nobody else on the machine can read along."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import Iterator

import pytest
from conftest import TIMEOUT_S
from jupyter_client.manager import KernelManager

# Of whom nothing on this machine is.
NOBODY = 65534


def connecting_as(user: int, path: str) -> int:
    """The error number of another user's attempt to connect; 0: none."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            with socket.socket(socket.AF_UNIX) as connection:
                os._exit(connection.connect_ex(path))
        finally:
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def runtime() -> Iterator[pathlib.Path]:
    """Short, for a socket's path has a limit; of this user alone."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lc-"))
    yield folder
    shutil.rmtree(folder)


def begin(name: str, runtime: pathlib.Path) -> tuple:
    manager = KernelManager(kernel_name=name, transport="ipc", connection_file=str(runtime / "kernel.json"))
    manager.start_kernel(cwd=str(runtime))
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=TIMEOUT_S)
    return manager, client


def printed(client, code: str) -> str:
    said: list[str] = []
    hook = lambda message: said.append(message["content"].get("text", ""))  # noqa: E731
    reply = client.execute_interactive(code, timeout=TIMEOUT_S, output_hook=hook)
    assert reply["content"]["status"] == "ok"
    return "".join(said)


@pytest.mark.parametrize(("name", "code"), [("lazycluster", "console.log(6 * 7)"), ("python3", "print(6 * 7)")])
def test_a_kernel_starts_restarts_and_ends(runtime, name, code):
    manager, client = begin(name, runtime)
    try:
        assert printed(client, code) == "42\n"
        manager.restart_kernel()
        client.wait_for_ready(timeout=TIMEOUT_S)
        assert printed(client, code) == "42\n"
        command = ["-m", "jupyter_console", "--existing", manager.connection_file, "--simple-prompt"]
        console = subprocess.run(
            [sys.executable, *command], input=code + "\n", capture_output=True, text=True, timeout=TIMEOUT_S
        )
        assert "42" in console.stdout, console.stderr
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert not manager.is_alive()
    assert list(runtime.glob("*ipc*")) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_cannot_read_along(runtime):
    manager, client = begin("lazycluster", runtime)
    public = runtime.parent / f"{runtime.name}-public"
    try:
        iopub = client._make_url("iopub").removeprefix("ipc://")
        # Whatever the socket's own mode; and, so that the test would see it, by a folder for all.
        os.chmod(iopub, 0o777)
        public.mkdir(mode=0o755)
        os.link(iopub, public / "iopub")
        assert connecting_as(NOBODY, iopub) == errno.EACCES
        assert connecting_as(NOBODY, str(public / "iopub")) == 0
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        shutil.rmtree(public, ignore_errors=True)
