"""A thousand steps at once: all get their result, or one clear error where the host's limits end it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, List

import pytest
from manager import DEADLINE, TAG, Manager, Result, alive, until
from test_endurance import below, settled

from lazycluster_agent.processes.procfs import snapshot

MANY = 1000
#: [s] for all of them, on a slow machine.
PATIENCE = 20 * DEADLINE


def start_command(manager: Manager, command: str, number: int) -> int:
    return manager.start_run(command, tag="%s/%d" % (TAG, number))


def start_many(manager: Manager, source: str, count: int = MANY) -> List[int]:
    return [manager.start_call(source, number, tag="%s/%d" % (TAG, number)) for number in range(count)]


def finish_all(manager: Manager, ids: List[int]) -> List[Result]:
    manager.wait(lambda: all(manager.results[id].last for id in ids), PATIENCE)
    return [manager.results[id] for id in ids]


@pytest.mark.parametrize("files", [0, 32])
def test_many_functions(python: str, files: int) -> None:
    with Manager(python, before="ulimit -n %d;" % files if files else "") as manager:
        server = manager.call("import os\ndef f(): return os.getppid()").value
        before = settled(manager)
        source = "import os\ndef f(x):\n print(x)\n return x, os.getppid()"
        results = finish_all(manager, start_many(manager, source))
        assert [result.last["op"] for result in results] == ["exit"] * MANY
        assert [result.value for result in results] == [[number, server] for number in range(MANY)]
        assert [result.out for result in results] == [b"%d\n" % number for number in range(MANY)]
        until(lambda: settled(manager) == before, 20)


def test_hundreds_run_at_once(python: str, tmp_path: Path) -> None:
    """Each of the first waits until there are 200 that have begun, and so does not end before."""
    with Manager(python) as manager:
        source = (
            "import os, time\n"
            "def f(x):\n"
            "    if x < 200:\n"
            "        os.mkdir(os.path.join(%r, str(x)))\n"
            "        while len(os.listdir(%r)) < 200: time.sleep(0.2)\n"
            "    return x" % ((str(tmp_path),) * 2)
        )
        results = finish_all(manager, start_many(manager, source, 300))
        assert [result.value for result in results] == list(range(300))


def test_waiting_ones_can_be_cancelled(python: str) -> None:
    with Manager(python, before="ulimit -n 128;") as manager:
        assert manager.call("def f(): return 1").value == 1
        before = settled(manager)
        ids = start_many(manager, "import time\ndef f(x): time.sleep(1000)")
        manager.wait(lambda: any(manager.results[id].frames for id in ids))
        for id in reversed(ids):
            manager.cancel(id)
        ends = Counter(result.last.get("why") or result.last["kind"] for result in finish_all(manager, ids))
        assert ends == {"cancelled": MANY}
        running = [id for id in ids if manager.results[id].last["op"] == "exit"]
        assert 1 <= len(running) <= 32
        assert manager.call("def f(): return 1").value == 1
        until(lambda: settled(manager) == before, 20)


def reads(pid: int) -> int:
    """How many times a process has read something."""
    lines = Path("/proc/%d/io" % pid).read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["syscr"])


def test_many_end_at_once_among_many_others(python: str) -> None:
    """One look at the processes serves all, and pings are answered between two looks."""
    steps, others = 100, 400
    crowd = "for i in $(seq %d); do sleep 300 & done; echo; wait" % others
    with Manager(python) as manager, subprocess.Popen(
        ["sh", "-c", crowd], stdout=subprocess.PIPE, start_new_session=True
    ) as bystanders:
        try:
            assert bystanders.stdout is not None
            bystanders.stdout.readline()
            # They do not end before they are killed, a second after they were asked to.
            stubborn = (
                "import signal, time\n"
                "signal.signal(15, signal.SIG_IGN)\n"
                "def f(x):\n"
                "    print()\n"
                "    time.sleep(300)"
            )
            ids = start_many(manager, stubborn, steps // 2)
            command = "trap '' TERM; echo; sleep 300"
            ids += [start_command(manager, command, number) for number in range(steps // 2, steps)]
            manager.wait(lambda: all(manager.results[id].out for id in ids), PATIENCE)
            before = reads(manager.pid)
            for id in ids:
                manager.cancel(id)
            pings = 0
            while not all(manager.results[id].last for id in ids):
                manager.send({"op": "ping", "t": pings})
                manager.wait(lambda: len(manager.pongs) > pings)  # noqa: B023
                pings += 1
            assert {manager.results[id].last["why"] for id in ids} == {"cancelled"}
            assert pings > 3
            # A look reads twice of each process; a single one for each step would be more.
            assert reads(manager.pid) - before - pings < 2 * steps * len(snapshot())
        finally:
            os.killpg(bystanders.pid, signal.SIGKILL)


def test_a_killed_fork_server_ends_what_it_ran(python: str) -> None:
    with Manager(python, before="ulimit -n 128;") as manager:
        server = manager.call("import os\ndef f(): return os.getppid()").value
        ids = start_many(manager, "def f(x): return x", 400)
        manager.wait(lambda: manager.results[ids[0]].last)
        manager.kill(server)
        until(lambda: not alive(server))
        results = finish_all(manager, ids)
        fine = [number for number, result in enumerate(results) if result.last["op"] == "exit"]
        lost = [result.last for result in results if result.last["op"] == "error"]
        assert len(fine) >= 200
        assert all(results[number].value == number for number in fine if results[number].last["code"] == 0)
        assert all("fork server" in last["message"] for last in lost)


def test_many_commands(python: str) -> None:
    """The usual limit is too low for them, and is raised for the agent alone."""
    with Manager(python, before="ulimit -Sn 512;") as manager:
        assert manager.call("def f(): return 1").value == 1
        before = settled(manager)
        ids = [start_command(manager, "echo %d; ulimit -n" % number, number) for number in range(MANY)]
        results = finish_all(manager, ids)
        assert [result.out for result in results] == [b"%d\n512\n" % number for number in range(MANY)]
        source = "import resource\ndef f(): return resource.getrlimit(resource.RLIMIT_NOFILE)[0]"
        assert manager.call(source).value == 512
        until(lambda: settled(manager) == before, 20)


def test_more_commands_than_files_allow(python: str) -> None:
    with Manager(python, before="ulimit -n 64;") as manager:
        ids = [start_command(manager, "sleep 1000", number) for number in range(MANY)]
        refused = [id for id in ids[60:] if manager.finish(id).last]
        last = manager.results[refused[0]].last
        assert (last["op"], last["kind"], last["errno"]) == ("error", "limit", "EMFILE")
        assert "ulimit" in last["message"]
        started = [id for id in ids if not manager.results[id].last]
        assert len(started) > 10
        # Nothing that ends them needs what they have used up.
        for id in started:
            manager.cancel(id)
        assert {manager.finish(id).last["why"] for id in started} == {"cancelled"}
        assert manager.call("def f(): return 1").value == 1


def test_more_ports_than_files_allow(python: str) -> None:
    """What there is no descriptor for ends with an error; nothing else does."""
    with Manager(python, before="ulimit -n 40;") as manager:
        sleeper = manager.start_run("echo; exec sleep 300", tag=TAG + "/sleeper")
        manager.wait(lambda: manager.results[sleeper].out)
        listens = [manager.start("listen", port=0, anyUser=bool(number % 2)) for number in range(30)]
        manager.wait(lambda: all(manager.results[id].frames for id in listens))
        first = [manager.results[id].frames[0][0] for id in listens]
        refused = [header for header in first if header["op"] == "error"]
        assert {header["kind"] for header in refused} == {"limit"}
        assert {header["op"] for header in first} == {"error", "listening"}
        port = next(header["port"] for header in first if header["op"] == "listening")
        dials = [manager.start("dial", port=port) for _ in range(30)]
        manager.wait(lambda: all(manager.results[id].frames for id in dials))
        first = [manager.results[id].frames[0][0] for id in dials]
        assert {header["kind"] for header in first if header["op"] == "error"} == {"limit"}
        assert not manager.results[sleeper].last
        manager.cancel(sleeper)
        assert manager.finish(sleeper).last["why"] == "cancelled"


def test_sessions_beyond_the_limits(python: str) -> None:
    with Manager(python, before="ulimit -n 64;") as manager:
        ids = [
            manager.start_session_call("def f(): return 1", session="s%d" % number) for number in range(50)
        ]
        lasts = [manager.finish(id).last for id in ids]
        refused = [last for last in lasts if last["op"] == "error"]
        assert refused and {(last["kind"], last["errno"]) for last in refused} == {("limit", "EMFILE")}
        assert len(refused) < 45
        manager.end_session("s0")
        assert manager.session_call("def f(): return 2", session="s0").value == 2


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs a user of its own")
@pytest.mark.parametrize("processes", [40, 3])
def test_a_limit_of_processes(python: str, tmp_path: Path, processes: int) -> None:
    """Counted by user; the capability only lets it read the Pythons of whoever runs the tests."""
    shell = tmp_path / "limited"
    shell.write_text(
        "#!/bin/sh\nexec prlimit --nproc=%d setpriv --reuid %d --regid %d --clear-groups"
        ' --inh-caps=+dac_override --ambient-caps=+dac_override /bin/sh "$@"\n'
        % (processes, 100_000 + os.getpid(), 100_000 + os.getpid())
    )
    shell.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
    fields: Any = {"shell": str(shell), "env": {"HOME": "/tmp", "PATH": os.environ["PATH"]}}
    with Manager(python, **fields) as manager:
        lasts = [
            result.last for result in finish_all(manager, start_many(manager, "def f(x): return x", 300))
        ]
        if processes > 10:
            assert {last["op"] for last in lasts} == {"exit"}
        else:
            assert {(last["kind"], last["errno"]) for last in lasts} == {("limit", "EAGAIN")}
        ids = [start_command(manager, "exec sleep 1000", number) for number in range(MANY)]
        assert manager.finish(ids[-1]).last["errno"] == "EAGAIN"
        assert "raise its limits" in manager.results[ids[-1]].last["message"]
        manager.send({"op": "ping", "t": 1})
        manager.wait(lambda: manager.pongs)
    until(lambda: not below(manager))
