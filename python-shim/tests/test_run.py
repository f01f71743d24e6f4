from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path

from manager import TAG, Manager, alive, processes_with, until


def test_output_and_exit_code(shared: Manager) -> None:
    result = shared.run("echo out; echo err >&2; exit 3")
    assert (result.out, result.err) == (b"out\n", b"err\n")
    assert result.last == {
        "op": "exit",
        "id": result.last["id"],
        "code": 3,
        "sig": None,
        "why": "exit",
        "raised": None,
    }


def test_a_signal_is_named(shared: Manager) -> None:
    last = shared.run("kill -USR1 $$").last
    assert (last["code"], last["sig"]) == (None, "SIGUSR1")


def test_strings_are_passed_on_unchanged(shared: Manager, tmp_path: Path) -> None:
    folder = tmp_path / "a 'b' \"c\" $(touch hacked) \n \u00fc \U0001f600"
    folder.mkdir()
    value = "x'y\"z $(touch hacked) `touch hacked` \\ \n \u20ac"
    result = shared.run(
        'printf %s "$VALUE"; printf "|%s|" "$PWD"; pwd', cwd=str(folder), env={"VALUE": value}
    )
    assert result.out.decode() == "%s|%s|%s\n" % (value, folder, folder)
    assert not list(tmp_path.glob("**/hacked"))


def test_the_environment_of_a_step(shared: Manager) -> None:
    result = shared.run("env -0", env={"A": "1"}, tag="task-1/2")
    variables = dict(line.split(b"=", 1) for line in result.out.split(b"\0") if line)
    assert variables[b"A"] == b"1"
    assert variables[b"LAZYCLUSTER_TAG"] == b"task-1/2"
    assert variables[b"PWD"] == os.environb[b"HOME"]
    assert b"PYTHONUTF8" not in variables and b"LAZYCLUSTER_UTF8" not in variables


def test_working_directories(shared: Manager, tmp_path: Path) -> None:
    home = os.environ["HOME"]
    assert shared.run("pwd").out.decode().strip() == home
    assert shared.run("pwd", cwd=str(tmp_path)).out.decode().strip() == str(tmp_path)
    relative = os.path.relpath(tmp_path, home)
    assert os.path.realpath(shared.run("pwd -P", cwd=relative).out.decode().strip()) == os.path.realpath(
        tmp_path
    )


def test_a_missing_working_directory(shared: Manager, tmp_path: Path) -> None:
    last = shared.run("true", cwd=str(tmp_path / "missing")).last
    assert (last["op"], last["kind"], last["errno"]) == ("error", "cwd", "ENOENT")
    assert str(tmp_path / "missing") in last["message"]


def test_what_cannot_be_spawned(shared: Manager) -> None:
    assert shared.run("true", env={"BIG": "x" * 300_000}).last["errno"] == "E2BIG"
    assert shared.run("echo \0").last["kind"] == "spawn"
    for name, value in (("A=B", "x"), ("", "x"), ("A", "\0")):
        assert shared.run("true", env={name: value}).last["kind"] == "spawn"
        assert shared.call("def f(): pass", env={name: value}).last["kind"] == "spawn"


def test_binary_output(shared: Manager) -> None:
    result = shared.run("head -c 3000000 /dev/urandom | tee /dev/stderr", cwd="/")
    assert len(result.out) == 3_000_000
    assert result.out == result.err


def test_input(shared: Manager) -> None:
    id = shared.start_run("cat; echo end", stdin=True)
    shared.input(id, b"one\n")
    shared.wait(lambda: shared.results[id].out == b"one\n")
    shared.input(id, b"two\n", eof=True)
    assert shared.finish(id).out == b"one\ntwo\nend\n"
    assert shared.credits[id] == 2 * 64 + 8


def test_no_input_is_the_end_of_input(shared: Manager) -> None:
    assert shared.run("cat; echo end").out == b"end\n"


def test_input_waits_for_its_reader(shared: Manager) -> None:
    id = shared.start_run("read line; sleep 0.2; wc -c", stdin=True)
    shared.input(id, b"go\n")
    for _ in range(15):
        shared.input(id, bytes(65536))
    shared.input(id, b"", eof=True)
    assert shared.finish(id).out.split() == [b"%d" % (15 * 65536)]


def test_input_that_nobody_reads(shared: Manager) -> None:
    id = shared.start_run("exec 0<&-; sleep 0.1; echo done", stdin=True)
    for _ in range(15):
        shared.input(id, bytes(65536))
    shared.input(id, b"", eof=True)
    assert shared.finish(id).out == b"done\n"


def test_a_terminal(shared: Manager) -> None:
    result = shared.run("test -t 1 && test -t 2 && echo yes && stty size <&1 && ps -o tty= -p $$", pty=True)
    lines = result.out.split(b"\r\n")
    assert lines[:2] == [b"yes", b"24 80"] and lines[2].startswith(b"pts/")
    assert result.err == b""


def test_a_terminal_stays_for_a_program_that_closes_its_output(shared: Manager) -> None:
    # As `seq` and others of its package do before they end.
    result = shared.run("exec >/dev/null 2>&1; sleep 0.1; echo back >/dev/tty; exit 4", pty=True)
    assert (result.out, result.last["code"], result.last["sig"]) == (b"back\r\n", 4, None)
    for _ in range(50):
        result = shared.run("seq 3", pty=True)
        assert (result.out, result.last["code"], result.last["sig"]) == (b"1\r\n2\r\n3\r\n", 0, None)


def test_a_terminal_with_input(shared: Manager) -> None:
    id = shared.start_run("test -t 0 && cat", stdin=True, pty=True)
    shared.input(id, b"hello\n", eof=True)
    result = shared.finish(id)
    assert result.last["code"] == 0
    assert result.out == b"hello\r\nhello\r\n"


def test_timeout(shared: Manager) -> None:
    begin = time.monotonic()
    last = shared.run("echo a; sleep 60", timeout=100).last
    assert (last["why"], last["sig"]) == ("timeout", "SIGTERM")
    assert time.monotonic() - begin < 1


def test_a_timeout_lets_the_step_clean_up(shared: Manager) -> None:
    result = shared.run("trap 'echo bye; exit 7' TERM; echo hi; while :; do sleep 0.01; done", timeout=200)
    assert (result.out, result.last["code"], result.last["why"]) == (b"hi\nbye\n", 7, "timeout")


def test_cancel_of_what_ignores_sigterm(shared: Manager) -> None:
    id = shared.start_run("trap '' TERM; echo up; while :; do sleep 0.05; done")
    shared.wait(lambda: shared.results[id].out)
    shared.cancel(id)
    last = shared.finish(id).last
    assert (last["why"], last["sig"]) == ("cancelled", "SIGKILL")


ESCAPE = (
    "import os,sys,time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(60)"
)


def test_cancel_finds_what_left_the_session(shared: Manager, tmp_path: Path) -> None:
    script = tmp_path / "escape.py"
    script.write_text(ESCAPE)
    id = shared.start_run(
        "python3 %s; setsid sleep 61 & setsid sh -c 'trap \"\" TERM; sleep 62' & echo up; wait" % script
    )
    shared.wait(lambda: shared.results[id].out)
    until(lambda: processes_with(str(script)))
    pids = processes_with(str(script))
    shared.cancel(id)
    assert shared.finish(id).last["why"] == "cancelled"
    assert not any(alive(pid) for pid in pids)
    assert not processes_with("LAZYCLUSTER_TAG=%s/step" % TAG)


FORKER = """python3 -c '
import os, time
end = time.time() + 20
while time.time() < end:
    if os.fork():
        os._exit(0)
    os.setsid()
'; sleep 60"""


def test_cancel_of_fast_forks(shared: Manager) -> None:
    id = shared.start_run(FORKER, tag=TAG + "/fork")
    shared.started(id)
    until(lambda: len(processes_with("LAZYCLUSTER_TAG=%s/fork" % TAG)) > 1)
    shared.cancel(id)
    shared.finish(id)
    until(lambda: not processes_with("LAZYCLUSTER_TAG=%s/fork" % TAG), 1)


def test_a_stopped_process_ends(shared: Manager) -> None:
    id = shared.start_run("kill -STOP $$")
    pid = shared.started(id)
    until(lambda: Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] == "T")
    shared.cancel(id)
    assert shared.finish(id).last["sig"] == "SIGTERM"


def test_a_background_child_lives_on(shared: Manager) -> None:
    begin = time.monotonic()
    command = "sh -c 'while :; do echo noise || exit; sleep 0.01; done' & echo $!"
    result = shared.run(command, tag=TAG + "-service/1")
    assert time.monotonic() - begin < 1
    pid = int(result.out.split()[0])
    time.sleep(0.1)  # Long enough for it to die of a closed pipe, if it were closed.
    assert alive(pid)
    assert shared.do("reap", tag=TAG + "-service")["count"] >= 1
    assert not alive(pid)


def test_output_of_a_late_child_is_complete(shared: Manager) -> None:
    result = shared.run("(sleep 0.05; echo late) & echo early")
    assert result.out == b"early\nlate\n"


def test_reap_knows_tags_and_their_parts(shared: Manager) -> None:
    root = TAG + "-a"
    tags = (root, root + "/1", root + "/1/x", root + "b", TAG + "-b")
    ids = [shared.start_run("sleep 60", tag=tag) for tag in tags]
    for id in ids:
        shared.started(id)
    assert shared.do("reap", tag=root)["count"] >= 3
    for id in ids[:3]:
        assert shared.finish(id).last["sig"] == "SIGTERM"
    assert not shared.results[ids[3]].last and not shared.results[ids[4]].last
    assert shared.do("reap", tag="nothing")["count"] == 0
    for id in ids[3:]:
        shared.cancel(id)
        shared.finish(id)


def test_a_withheld_credit_stops_the_producer(shared: Manager) -> None:
    id = next(shared.ids)
    shared.ids = itertools.count(id)
    shared.withheld[id] = 0
    assert shared.start_run("head -c 50000000 /dev/zero; echo end >&2") == id
    shared.wait(lambda: shared.withheld[id] >= 1024 * 1024)
    shared.send({"op": "ping", "t": 1})
    shared.wait(lambda: shared.pongs)
    assert shared.withheld[id] <= 1024 * 1024 + 256 * 1024 + 64
    assert shared.results[id].err == b""
    shared.pay(id)
    result = shared.finish(id)
    assert len(result.out) == 50_000_000 and result.err == b"end\n"


def test_nothing_is_lost_when_the_process_ends_before_its_reader_goes_on(shared: Manager) -> None:
    id = next(shared.ids)
    shared.ids = itertools.count(id)
    shared.withheld[id] = 0
    size = 1024 * 1024 + 40_000
    shared.start_run("head -c %d /dev/zero" % size)
    shared.wait(lambda: shared.withheld[id] >= 1024 * 1024)
    pid = shared.started(id)
    until(lambda: not alive(pid))
    time.sleep(0.3)  # Past the time for which output is read after the end.
    assert not shared.results[id].last
    shared.pay(id)
    assert len(shared.finish(id).out) == size


def test_many_at_once(shared: Manager) -> None:
    ids = [shared.start_run("echo %d" % number) for number in range(200)]
    for number, id in enumerate(ids):
        result = shared.finish(id)
        assert result.out == b"%d\n" % number and result.last["code"] == 0


def test_no_descriptor_leaks(own: Manager) -> None:
    folder = Path("/proc/%d/fd" % own.pid)
    spares = 2 * 4  # Of each waiting child: its control socket (twice), stdout and stderr.
    own.run("true", stdin=True)
    before = len(list(folder.iterdir()))
    own.call("def f(): return 1")
    server = 1
    until(lambda: len(list(folder.iterdir())) == before + server + spares)
    for _ in range(100):
        own.run("true", stdin=True)
        own.run("true", pty=True)
        own.run("true", cwd="/missing")
        own.call("def f(): return 1")
    until(lambda: len(list(folder.iterdir())) == before + server + spares)


def test_steps_inherit_no_descriptors(shared: Manager) -> None:
    assert shared.run("ls /proc/self/fd").out.split() == [b"0", b"1", b"2", b"3"]


def test_signals_are_as_at_login(shared: Manager) -> None:
    text = shared.run("grep -E 'SigIgn|SigBlk' /proc/self/status").out.decode()
    ignored = int(text.split("SigIgn:")[1].split()[0], 16)
    assert int(text.split("SigBlk:")[1].split()[0], 16) == 0
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        assert not ignored & 1 << (number - 1)


def test_cancel_of_a_silent_operation_that_is_over(shared: Manager) -> None:
    id = shared.start_run("true")
    shared.finish(id)
    shared.cancel(id)
    shared.send({"op": "credit", "id": id, "n": 5})
    assert shared.run("echo on").out == b"on\n"


def test_an_end_at_the_moment_of_its_limit(shared: Manager) -> None:
    for limit in range(90, 120, 3):
        ids = [shared.start_run("sleep 0.1", timeout=limit) for _ in range(8)]
        for id in ids:
            last = shared.finish(id, 10).last
            assert (last["op"], last["why"]) in (("exit", "exit"), ("exit", "timeout"))


def test_an_end_at_the_moment_of_its_cancel(shared: Manager) -> None:
    for _ in range(100):
        id = shared.start_run("true")
        shared.started(id)
        shared.cancel(id)
        assert shared.finish(id, 10).last["op"] == "exit"
