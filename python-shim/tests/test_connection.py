from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, List

import pytest
from manager import TAG, Gone, Manager, alive, processes_with, until

from lazycluster_agent.files.entries import DIRECTORY, pack_record

#: [s] after which nothing of ours may run.
PROMISE = 2.0
STUBBORN = """
trap '' TERM HUP INT
setsid sh -c 'trap "" TERM; while :; do sleep 1; done' &
while :; do sleep 1; done
"""


def busy(manager: Manager) -> List[int]:
    """Starts stubborn things, a function among them, and returns all processes."""
    ids = [manager.start_run(STUBBORN), manager.start_call("import time\ndef f(): time.sleep(60)")]
    pids = [manager.started(id) for id in ids]
    pids.append(int(manager.run("sleep 60 & echo $!").out))
    return [*pids, manager.pid, manager.keeper]


def make_leftovers(manager: Manager, tmp_path: Path) -> List[Path]:
    """A temporary directory with a read-only folder in it, and an unfinished transfer."""
    temporary = Path(os.fsdecode(manager.do("tempdir")["path"]))
    (temporary / "locked" / "deep").mkdir(parents=True)
    (temporary / "link").symlink_to(tmp_path)
    (temporary / "locked").chmod(0o500)
    id = manager.start("put", path=str(tmp_path / "new"), cwd="~", into=False)
    manager.input(id, pack_record(DIRECTORY, 0o755, 0, 0, b""))
    manager.wait(lambda: manager.credits.get(id))
    return [temporary.parent, *tmp_path.glob(".lazycluster-*")]


def kill_agent(manager: Manager) -> None:
    os.kill(manager.pid, signal.SIGKILL)


def kill_keeper(manager: Manager) -> None:
    os.kill(manager.keeper, signal.SIGKILL)


def end_of_input(manager: Manager) -> None:
    assert manager.process.stdin
    manager.process.stdin.close()


ENDS: Dict[str, Callable[[Manager], None]] = {
    "end of input": end_of_input,
    "bye": lambda manager: manager.send({"op": "bye"}),
    "protocol error": lambda manager: manager.write(b"\xff" * 100),
    "agent killed": kill_agent,
    "keeper killed": kill_keeper,
    "agent told to end": lambda manager: os.kill(manager.pid, signal.SIGTERM),
    "session killed": lambda manager: os.killpg(manager.keeper, signal.SIGKILL),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_nothing_stays_behind(own: Manager, tmp_path: Path, end: Callable[[Manager], None]) -> None:
    pids = busy(own)
    leftovers = make_leftovers(own, tmp_path)
    assert len(leftovers) == 2 and all(path.exists() for path in leftovers)
    end(own)
    begin = time.monotonic()

    def over() -> bool:
        own.process.poll()
        return not any(alive(pid) for pid in pids) and not any(os.path.lexists(path) for path in leftovers)

    until(over)
    assert time.monotonic() - begin < PROMISE
    assert list(tmp_path.iterdir()) == []
    assert not processes_with("LAZYCLUSTER_TAG=%s/" % TAG)


def test_silence_ends_everything_after_the_lease(python: str) -> None:
    with Manager(python, lease=0.5) as manager:
        pid = manager.started(manager.start_run("sleep 60"))
        for number in range(8):
            time.sleep(0.1)
            manager.send({"op": "ping", "t": number})
        assert alive(pid)
        begin = time.monotonic()
        manager.process.wait(timeout=3)
        assert 0.3 < time.monotonic() - begin < 2
        assert not alive(pid)
        manager.close()
        assert b"nothing was heard" in manager.last_words


def test_an_agent_whose_output_is_stuck_still_obeys(own: Manager) -> None:
    """Nobody reads, so the pipe is full; that must not stop the agent from seeing the end of its input."""
    for _ in range(3):
        own.start_run("head -c 100000000 /dev/zero")
    pid = own.pid
    time.sleep(0.2)
    end_of_input(own)
    until(lambda: not alive(pid), PROMISE)


def test_hello(shared: Manager) -> None:
    hello = shared.hello
    assert hello["v"] == 1 and hello["system"] == "Linux" and hello["uid"] == os.getuid()
    assert hello["home"] == os.environ["HOME"] and os.path.isabs(hello["shell"])
    assert alive(hello["pid"]) and hello["hostname"] == os.uname().nodename
    code = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
    done = subprocess.run([hello["executable"], "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert hello["python"] == done.stdout.strip()


def test_ping(shared: Manager) -> None:
    shared.pongs.clear()
    for number in (1, 2.5, 2**40):
        shared.send({"op": "ping", "t": number})
    shared.wait(lambda: len(shared.pongs) == 3)
    assert shared.pongs == [1, 2.5, 2**40]


def test_the_keeper_holds_nothing_of_the_channel(shared: Manager) -> None:
    ours = {os.readlink("/proc/%d/fd/%s" % (shared.pid, fd)) for fd in ("0", "1", "2")}
    links = {
        fd: os.readlink("/proc/%d/fd/%s" % (shared.keeper, fd))
        for fd in os.listdir("/proc/%d/fd" % shared.keeper)
    }
    assert {links[fd] for fd in ("0", "1", "2")} == {"/dev/null"}
    assert not {link for link in links.values() if link in ours - {"/dev/null"}}


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "fish", "csh", "tcsh", "busybox"])
def test_every_login_shell_understands_the_bootstrap_line(shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip("no %s here" % shell)
    if shell == "busybox":
        pytest.skip("busybox is no login shell by that name")
    with Manager(shell=path) as manager:
        assert manager.run("echo hi").out == b"hi\n"


def test_noise_before_the_marker_is_passed_over(python: str) -> None:
    with Manager(python, before="printf 'Welcome\\n\\0\\1 to the host\\n'; ") as manager:
        assert manager.noise.startswith(b"Welcome\n")
        assert manager.run("echo hi").out == b"hi\n"


def test_an_interpreter_that_is_not_there() -> None:
    for name in ("no-such-python", "~/no-such-python", "/no/such/python", "", "-c"):
        with pytest.raises(Gone, match="lazycluster: no interpreter"):
            Manager(name)


def test_an_old_interpreter(tmp_path: Path) -> None:
    old = sorted(Path.home().glob(".pyenv/versions/[23].*/bin/python"), key=lambda path: path.parts[-3])
    old = [path for path in old if path.parts[-3].startswith(("2.", "3.5"))]
    if not old:
        pytest.skip("no Python before 3.6 here")
    for path in old:
        with pytest.raises(Gone, match="^lazycluster: old python %s\n$" % path.parts[-3]):
            Manager(str(path))


def test_the_interpreter_below_the_home_directory(python: str, tmp_path: Path) -> None:
    (tmp_path / "my python").symlink_to(python)
    with Manager("~/my python", env={**os.environ, "HOME": str(tmp_path)}) as manager:
        assert manager.hello["home"] == str(tmp_path)


def test_modules_in_the_home_directory_shadow_nothing(python: str, tmp_path: Path) -> None:
    for name in ("os", "sys", "zlib", "struct", "site", "select"):
        (tmp_path / (name + ".py")).write_text("raise SystemExit('shadowed')")
    env = {**os.environ, "HOME": str(tmp_path)}
    with Manager(python, env=env, before="cd '%s'; " % tmp_path) as manager:
        assert manager.run("echo hi", cwd="/").out == b"hi\n"
        assert manager.call("def f(): return 1", cwd="/").value == 1


def test_a_users_utf8_setting_is_kept(python: str) -> None:
    with Manager(python, env={**os.environ, "PYTHONUTF8": "0"}) as manager:
        assert manager.run('echo "$PYTHONUTF8"').out == b"0\n"


@pytest.mark.parametrize(
    "header",
    [
        {"op": "nonsense"},
        {"no": "op"},
        {"op": "run", "id": 0},
        {"op": "run", "id": 2**31},
        {"op": "run", "id": 5},
        {"op": "run", "id": 5, "cmd": 5, "cwd": "~", "env": {}, "tag": "t", "timeout": None},
        {"op": "run", "id": 5, "cmd": "true", "cwd": "~", "env": {"A": 1}, "tag": "t", "timeout": None},
        {"op": "data", "id": "x"},
        {"op": "reap", "id": 5, "tag": ""},
        {"op": "ping", "t": "x"},
    ],
)
def test_a_wrong_message_ends_the_connection(header: Dict[str, object]) -> None:
    manager = Manager()
    manager.send(header)
    with pytest.raises(Gone):
        manager.wait(lambda: False)
    assert manager.close() == 76
    assert manager.last_words.startswith(b"lazycluster agent: protocol error: ")
    assert b"Traceback" not in manager.last_words


def test_more_than_the_credit_ends_the_connection(own: Manager) -> None:
    id = own.start_run("sleep 60", stdin=True)
    with pytest.raises(Gone):
        for _ in range(100):
            own.input(id, bytes(65536))
        own.wait(lambda: False)
    own.process.wait(timeout=5)


def test_temporary_directories(own: Manager) -> None:
    paths = [Path(os.fsdecode(own.do("tempdir")["path"])) for _ in range(2)]
    assert paths[0] != paths[1] and paths[0].parent == paths[1].parent
    assert stat.S_IMODE(paths[0].stat().st_mode) == stat.S_IMODE(paths[0].parent.stat().st_mode) == 0o700
    assert own.do("remove", path=str(paths[0]), cwd="~")["removed"] is True
    assert own.do("remove", path=str(paths[0]), cwd="~")["removed"] is False
    assert paths[1].exists()
    own.close()
    assert not paths[1].parent.exists()


def test_a_temporary_directory_that_cannot_be_made(python: str) -> None:
    with Manager(python, env={**os.environ, "TMPDIR": "/no/such/place"}) as manager:
        last = manager.do("tempdir")
        assert (last["op"], last["kind"], last["errno"]) == ("error", "path", "ENOENT")
        assert "TMPDIR" in last["message"]


def test_mkdir(shared: Manager, tmp_path: Path) -> None:
    done = shared.do("mkdir", path=b"a/b\xff/c", cwd=str(tmp_path))
    assert done["path"] == os.fsencode(tmp_path) + b"/a/b\xff/c"
    assert os.path.isdir(done["path"])
    assert shared.do("mkdir", path=b"a/b\xff/c", cwd=str(tmp_path))["op"] == "done"
    (tmp_path / "file").touch()
    last = shared.do("mkdir", path="file/x", cwd=str(tmp_path))
    assert (last["kind"], last["errno"]) == ("path", "ENOTDIR")


def test_remove(shared: Manager, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").touch()
    (tree / "link").symlink_to(outside)
    (tmp_path / "link").symlink_to(outside)
    assert shared.do("remove", path="link/", cwd=str(tmp_path))["removed"] is True
    assert shared.do("remove", path="tree", cwd=str(tmp_path))["removed"] is True
    assert not tree.exists() and (outside / "kept").exists()


def test_remove_of_a_deep_tree(shared: Manager, tmp_path: Path) -> None:
    def nest(fd: int, levels: int) -> None:
        for _ in range(levels):
            os.mkdir("d" * 50, dir_fd=fd)
            deeper = os.open("d" * 50, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = deeper
        os.close(fd)

    (tmp_path / "top").mkdir()
    nest(os.open(tmp_path / "top", os.O_RDONLY), 1200)
    assert shared.do("remove", path="top", cwd=str(tmp_path))["removed"] is True
    assert not (tmp_path / "top").exists()


def test_what_is_never_removed(shared: Manager) -> None:
    for path in ("/", "~", "~/", "//", ".", "~/x/.."):
        last = shared.do("remove", path=path, cwd="~")
        assert (last["op"], last["kind"]) == ("error", "path"), path


def test_the_login_environment(python: str, tmp_path: Path) -> None:
    (tmp_path / ".profile").write_text("echo noise; echo more >&2; export FROM_PROFILE='a\nb'\n")
    env = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/sh"}
    with Manager(python, env=env, login_env=True) as manager:
        id = manager.start_run('cat; printf %s "$FROM_PROFILE"', stdin=True)
        manager.input(id, b"early ", eof=True)
        assert manager.finish(id).out == b"early a\nb"
        assert manager.call("import os\ndef f(): return os.environ['FROM_PROFILE']").value == "a\nb"
    with Manager(python, env=env) as manager:
        assert manager.run('echo "[$FROM_PROFILE]"').out == b"[]\n"


def test_a_login_shell_that_fails(python: str, tmp_path: Path) -> None:
    (tmp_path / ".profile").write_text("exit 1\n")
    env = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/sh"}
    with Manager(python, env=env, login_env=True) as manager:
        last = manager.run("true").last
        assert (last["op"], last["kind"]) == ("error", "spawn")
        assert "login environment" in last["message"]
        assert manager.do("mkdir", path=".", cwd="~")["op"] == "done"
