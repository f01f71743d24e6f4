from __future__ import annotations

import os
import signal
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest
from manager import TAG, Gone, Header, Manager, Result, alive, until

from lazycluster_agent.values.decode import decode_document
from lazycluster_agent.values.encode import encode_document
from lazycluster_agent.wire.frames import FrameDecoder, frame_head

BASE = Path("/tmp/lazycluster-%d" % os.getuid())
CALL: Header = {
    "op": "call",
    "fn": {
        "kind": "source",
        "source": "def f(x):\n    print('hi')\n    return x * 2",
        "name": "f",
        "file": "c.py",
    },
    "python": None,
    "input": True,
}


def command(cmd: str, **more: Any) -> Header:
    return {"op": "run", "cmd": cmd, "stdin": False, "pty": False, **more}


class Detached:
    """A detached task, and whoever looks at it."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.name = "test-%s" % uuid.uuid4().hex
        self.folder = BASE / self.name

    def start(self, **options: Any) -> Manager:
        return Manager(self.python, mode="detach " + self.name, **options)

    def told(self, *steps: Header, lease: float = 60.0) -> Header:
        common: Header = {"cwd": "~", "env": {}, "timeout": None, "tag": TAG + "/" + self.name}
        return {
            "steps": [{**common, **step} for step in steps],
            "lease": int(lease * 1000),
            "about": b"about",
        }

    def begin(
        self,
        *steps: Header,
        inputs: Optional[Dict[int, bytes]] = None,
        lease: float = 60.0,
        options: Optional[Dict[str, Any]] = None,
    ) -> Manager:
        manager = self.start(**(options or {}))
        id = manager.start("record", **self.told(*steps, lease=lease))
        limit = 1 << 20
        for step, data in (inputs or {}).items():
            spent = 0
            for at in range(0, len(data), 65536):
                piece = data[at : at + 65536]
                manager.wait(partial(lambda spent: limit + manager.credits.get(id, 0) > spent, spent))
                manager.send({"op": "data", "id": id, "s": step, "eof": at + 65536 >= len(data)}, piece)
                spent += 64 + len(piece)
        assert manager.finish(id).last["op"] == "done"
        return manager

    def attach(self, **options: Any) -> Manager:
        return Manager(self.python, mode="attach " + self.name, **options)


def follow(manager: Manager, offset: int = 0) -> Tuple[List[Tuple[Header, bytes]], Result]:
    """All frames of the recording, once it is over."""
    id = manager.start("follow", **{"from": offset})
    result = manager.finish(id, 30)
    data = bytes(result.streams.get(None, b""))
    return [(header, bytes(payload)) for header, payload in FrameDecoder().feed(data)], result


def output(frames: List[Tuple[Header, bytes]], step: int, stream: int = 1) -> bytes:
    return b"".join(
        payload
        for header, payload in frames
        if header["op"] == "data" and header["id"] == step + 1 and header["s"] == stream
    )


@pytest.fixture
def detached(python: str) -> Iterator[Detached]:
    task = Detached(python)
    yield task
    try:
        with task.attach() as manager:
            manager.do("stop")
            follow(manager)
            manager.do("forget")
    except (Gone, AssertionError):
        pass
    until(lambda: not task.folder.exists())


def test_outlives_its_manager_and_is_told_of_later(detached: Detached, tmp_path: Path) -> None:
    go = tmp_path / "go"
    document = b"".join(encode_document({"args": [21], "kwargs": {}, "bind": {}}))
    first = detached.begin(
        command("echo one; echo two >&2; until [ -e '%s' ]; do sleep 0.05; done; echo three" % go),
        CALL,
        inputs={1: document},
    )
    id = first.start("follow", **{"from": 0})
    first.wait(lambda: b"two" in bytes(first.results[id].streams.get(None, b"")))
    os.killpg(first.process.pid, signal.SIGKILL)
    first.close()
    go.write_text("")
    with detached.attach() as second:
        frames, _ = follow(second)
        assert [
            header["op"] for header, _ in frames if header["op"] in ("begin", "started", "exit", "over")
        ] == [
            *("begin", "started", "exit"),
            *("begin", "started", "exit", "over"),
        ]
        assert output(frames, 0) == b"one\nthree\n"
        assert output(frames, 0, 2) == b"two\n"
        assert output(frames, 1) == b"hi\n"
        assert decode_document(output(frames, 1, 3)) == 42
        assert frames[-1][0]["state"] == "done"
        assert all(header["time"] > 1e12 for header, _ in frames)
        assert (detached.folder / "about").read_bytes() == b"about"
        assert detached.folder.stat().st_mode & 0o777 == 0o700
        assert second.do("forget")["op"] == "done"
    until(lambda: not detached.folder.exists())
    with pytest.raises(Gone, match="lazycluster: not there " + detached.name):
        detached.attach()


def test_a_follower_goes_on_where_another_one_was(detached: Detached) -> None:
    with detached.begin(command("for i in $(seq 1000); do echo line $i; done")) as first:
        _, result = follow(first)
    whole = bytes(result.streams[None])
    for offset in (0, 100, len(whole) - 1, len(whole)):
        with detached.attach() as manager:
            later = manager.finish(manager.start("follow", **{"from": offset}))
            assert bytes(later.streams.get(None, b"")) == whole[offset:]


def test_a_failed_step_is_the_last_one_but_where_nobody_checks(detached: Detached) -> None:
    with detached.begin(command("exit 3", check=False), command("exit 4"), command("echo never")) as manager:
        frames, _ = follow(manager)
    assert [(header["id"], header["code"]) for header, _ in frames if header["op"] == "exit"] == [
        (1, 3),
        (2, 4),
    ]
    assert frames[-1][0] == {**frames[-1][0], "op": "over", "state": "failed"}


def test_large_input_and_output(detached: Detached) -> None:
    data = os.urandom(5 << 20)
    with detached.begin(command("cat", stdin=True, input=True), inputs={0: data}):
        pass
    with detached.attach() as manager:
        frames, _ = follow(manager)
        assert output(frames, 0) == data


def test_stop_ends_all_that_runs(detached: Detached) -> None:
    with detached.begin(command("setsid sleep 300 & echo $!; sleep 300"), command("echo never")) as manager:
        id = manager.start("follow", **{"from": 0})
        manager.wait(lambda: b"\n" in bytes(manager.results[id].streams.get(None, b"")))
        manager.do("stop")
        manager.finish(id)
        frames = list(FrameDecoder().feed(bytes(manager.results[id].streams[None])))
        kept = [(header, bytes(payload)) for header, payload in frames]
        pid = int(output(kept, 0))
        assert next(header for header, _ in kept if header["op"] == "exit")["why"] == "cancelled"
        until(lambda: not alive(pid))


def test_ends_with_its_lease(detached: Detached) -> None:
    with detached.begin(command("echo $$; exec sleep 300"), lease=1.0) as manager:
        id = manager.start("follow", **{"from": 0})
        manager.wait(lambda: b"started" in bytes(manager.results[id].streams.get(None, b"")))
        frames = FrameDecoder().feed(bytes(manager.results[id].streams[None]))
        pid = next(header["pid"] for header, _ in frames if header["op"] == "started")
    assert alive(pid)
    until(lambda: not alive(pid) and not detached.folder.exists())


def test_ends_with_its_manager_until_it_is_complete(detached: Detached) -> None:
    manager = Manager(detached.python, mode="detach " + detached.name)
    manager.start(
        "record", steps=[{**CALL, "cwd": "~", "env": {}, "timeout": None, "tag": TAG}], lease=60000, about=b""
    )
    manager.close()
    until(lambda: not detached.folder.exists())


def test_a_killed_agent_leaves_nothing(detached: Detached) -> None:
    with detached.begin(command("setsid sleep 300 & echo $!; sleep 300")) as manager:
        id = manager.start("follow", **{"from": 0})
        manager.wait(lambda: b"\n" in bytes(manager.results[id].streams.get(None, b"")))
        frames = [(h, bytes(p)) for h, p in FrameDecoder().feed(bytes(manager.results[id].streams[None]))]
        pid = int(output(frames, 0))
        os.kill(manager.pid, signal.SIGKILL)
        until(lambda: not alive(pid) and not detached.folder.exists())


def ticks(path: Path) -> int:
    return len(path.read_bytes()) if path.exists() else 0


def wait_for_ticks(path: Path, count: int) -> None:
    most = ticks(path) + count
    until(lambda: ticks(path) >= most)


def test_whoever_looks_leaves_its_lease_alone(detached: Detached, tmp_path: Path) -> None:
    path = tmp_path / "ticks"
    ticking = command("while :; do printf . >> '%s'; sleep 0.1; done" % path)
    detached.begin(ticking, options={"lease": 0.5}).close()
    wait_for_ticks(path, 8)
    # One that leaves, and one that is silent.
    detached.attach(lease=0.5).close()
    wait_for_ticks(path, 8)
    with detached.attach(lease=0.5) as silent:
        silent.wait_for_end()
    wait_for_ticks(path, 8)
    with detached.attach() as manager:
        manager.do("stop")
        assert follow(manager)[0][-1][0]["state"] == "failed"


def test_what_a_client_started_itself_ends_with_it(detached: Detached, tmp_path: Path) -> None:
    path = tmp_path / "ticks"
    detached.begin(command("while :; do printf . >> '%s'; sleep 0.1; done" % path)).close()
    with detached.attach() as manager:
        ids = [
            manager.start_run("echo $$; exec sleep 300"),
            manager.start_call("import os, time\ndef f():\n  print(os.getpid())\n  time.sleep(300)"),
            manager.start_cell("import os, time\nprint(os.getpid())\ntime.sleep(300)"),
        ]
        manager.wait(lambda: all(manager.results[id].out for id in ids))
        pids = [int(manager.results[id].out) for id in ids]
    until(lambda: not any(map(alive, pids)))
    wait_for_ticks(path, 3)


def test_its_own_lease_is_not_that_of_its_clients(detached: Detached) -> None:
    with detached.begin(command("exec sleep 300"), lease=0.5) as manager:
        # It is heard of nobody, whatever lease the client has.
        manager.wait_for_end()
    until(lambda: not detached.folder.exists())


def test_a_full_disk(detached: Detached) -> None:
    text = "for i in $(seq 200000); do echo line $i; done; sleep 300"
    options = {"before": "ulimit -f 1024;"}
    with detached.begin(command(text), command("echo never"), options=options) as manager:
        frames, result = follow(manager)
    assert result.last["op"] == "done"
    assert [header["op"] for header, _ in frames if header["op"] != "data"] == [
        *("begin", "started", "exit", "over")
    ]
    over = frames[-1][0]
    assert over["state"] == "failed"
    assert over["failure"]["errno"] == "EFBIG"
    assert "cannot be kept" in over["failure"]["message"]
    kept = output(frames, 0)
    assert len(kept) > 300_000
    assert b"".join(b"line %d\n" % number for number in range(1, 200_001)).startswith(kept)


def test_an_end_that_cannot_be_kept(detached: Detached) -> None:
    full = "import resource, sys; resource.prlimit(int(sys.argv[1]), resource.RLIMIT_FSIZE, (1, 1))"
    with detached.begin(
        command("echo one; '%s' -c '%s' $PPID; echo two" % (sys.executable, full))
    ) as manager:
        frames, result = follow(manager)
        assert result.last["op"] == "done"
        assert output(frames, 0) in (b"", b"one\n")
        assert [header["op"] for header, _ in frames if header["op"] != "data"] == ["begin", "started"]
        assert manager.do("forget")["op"] == "done"


def test_a_disk_on_which_nothing_can_be_recorded(detached: Detached) -> None:
    with detached.start(before="ulimit -f 8;") as manager:
        last = manager.finish(manager.start("record", **detached.told(command("echo never")))).last
        assert (last["op"], last["kind"], last["errno"]) == ("error", "path", "EFBIG")


def test_stop_before_the_first_step(detached: Detached, tmp_path: Path) -> None:
    with detached.start() as manager:
        told = detached.told(command("touch '%s/begun'" % tmp_path))
        # At once, so that the step has no time to start in between.
        manager.write(frame_head({"op": "record", "id": 98, **told}) + frame_head({"op": "stop", "id": 99}))
        frames, _ = follow(manager)
    assert [header["op"] for header, _ in frames] == ["begin", "error", "over"]
    assert frames[1][0]["kind"] == "cancelled"
    assert frames[2][0]["state"] == "failed"
    assert not list(tmp_path.iterdir())


def login(home: Path, shell: str = "/bin/sh") -> Dict[str, Any]:
    return {"login_env": True, "env": {**os.environ, "HOME": str(home), "SHELL": shell}}


def test_the_login_environment_is_asked_for_once(detached: Detached, tmp_path: Path) -> None:
    profile, go, asked = (tmp_path / name for name in (".profile", "go", "asked"))
    profile.write_text("export FRUIT=apple; echo asked >> ~/asked")
    waiting = command('echo "$FRUIT"; until [ -e ~/go ]; do sleep 0.05; done')
    detached.begin(waiting, command('echo "$FRUIT"'), options=login(tmp_path)).close()
    until(asked.exists)
    profile.write_text("export FRUIT=pear; echo asked >> ~/asked")
    with detached.attach(**login(tmp_path)) as manager:
        assert manager.run('echo "$FRUIT"').out == b"apple\n"
        go.touch()
        frames, _ = follow(manager)
    assert [output(frames, step) for step in (0, 1)] == [b"apple\n", b"apple\n"]
    assert asked.read_text() == "asked\n"


def test_a_later_login_changes_nothing(detached: Detached, tmp_path: Path) -> None:
    (tmp_path / ".profile").write_text("export FRUIT=apple")
    options = {**login(tmp_path), "login_env": False}
    waiting = command("until [ -e ~/go ]; do sleep 0.05; done")
    detached.begin(waiting, command('echo "[$FRUIT]"'), options=options).close()
    with detached.attach(**login(tmp_path)) as manager:
        (tmp_path / "go").touch()
        frames, _ = follow(manager)
    assert output(frames, 1) == b"[]\n"


def test_a_login_environment_that_cannot_be_had(detached: Detached, tmp_path: Path) -> None:
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\nexit 1")
    shell.chmod(0o755)
    with detached.begin(command("echo never"), options=login(tmp_path, str(shell))) as manager:
        frames, _ = follow(manager)
    assert [header["op"] for header, _ in frames] == ["begin", "error", "over"]
    assert frames[1][0]["kind"] == "spawn"
    assert "The login environment could not be read" in frames[1][0]["message"]


def test_a_later_step_that_was_told_wrongly(detached: Detached) -> None:
    with detached.begin(command("echo one"), {**command(""), "cmd": 5}) as manager:
        frames, _ = follow(manager)
    assert output(frames, 0) == b"one\n"
    assert [header["op"] for header, _ in frames[-3:]] == ["begin", "error", "over"]
    assert frames[-1][0]["state"] == "failed"


def test_a_client_that_breaks_the_protocol_harms_only_itself(detached: Detached) -> None:
    with detached.begin(command("sleep 300")) as first:
        first.write(b"\xff" * 100)
        first.wait_for_end()
    with detached.attach() as second:
        assert second.do("stop")["op"] == "done"


@pytest.mark.parametrize(
    "mode", ["", "detach", "detach ../../etc/x", "attach a b c d e f g h", "fly abcdefgh"]
)
def test_refuses_other_modes(python: str, mode: str) -> None:
    with pytest.raises(Gone):
        Manager(python, mode=mode)
