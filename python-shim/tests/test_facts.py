"""What a host has. Recorded outputs and trees of files stand for GPUs and cgroup v2, where there are none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from manager import TAG, Manager, changed, processes_with, until

from lazycluster_agent.facts import cgroups, figures
from lazycluster_agent.facts.gpus import parse_nvidia, parse_rocm

MEMINFO = """MemTotal:       16384000 kB
MemFree:         1024000 kB
MemAvailable:    8192000 kB
SwapTotal:             0 kB
"""
GIB = 1 << 30

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate"

#: A container of Docker with `--cpus=1.5 --memory=512m` on a host with the unified hierarchy.
V2_CONTAINER = {
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": V2,
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/memory.max": "536870912\n",
    "sys/fs/cgroup/memory.current": "209715200\n",
    "sys/fs/cgroup/memory.stat": "anon 104857600\ninactive_file 104857600\n",
}
#: A login below a slice that has a quota; the session itself has none.
V2_SLICE = {
    "proc/self/cgroup": "0::/user.slice/user-1000.slice/session-3.scope\n",
    "proc/self/mountinfo": V2,
    "sys/fs/cgroup/user.slice/cpu.max": "max 100000\n",
    "sys/fs/cgroup/user.slice/user-1000.slice/cpu.max": "50000 100000\n",
    "sys/fs/cgroup/user.slice/user-1000.slice/memory.max": "4294967296\n",
    "sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/cpu.max": "max 100000\n",
    "sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/memory.max": "max\n",
}
#: A container that sees its host's path, but only its own group mounted; its parent limits the memory.
V1_CONTAINER = {
    "proc/self/cgroup": "5:memory:/docker/0a1b\n4:cpu,cpuacct:/docker/0a1b\n1:name=systemd:/docker/0a1b\n",
    "proc/self/mountinfo": (
        "40 30 0:33 /docker/0a1b /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        "41 30 0:34 /docker/0a1b /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    ),
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.stat": "cache 0\nhierarchical_memory_limit 1073741824\n",
}
V1_UNLIMITED = {
    **V1_CONTAINER,
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/memory/memory.stat": "hierarchical_memory_limit 9223372036854771712\n",
}
#: Both hierarchies: processors in the old one, the new one without controllers.
HYBRID = {
    "proc/self/cgroup": "3:cpu:/job\n0::/job\n",
    "proc/self/mountinfo": (
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    ),
    "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "300000\n",
    "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
}
#: Namespaces that do not fit together: the group lies outside of what is mounted.
OUTSIDE = {
    "proc/self/cgroup": "0::/../../job\n",
    "proc/self/mountinfo": V2,
    "sys/fs/cgroup/cpu.max": "200000 100000\n",
}


def tree(root: Path, files: Dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        (V2_CONTAINER, 1.5, GIB // 2),
        (V2_SLICE, 0.5, 4 * GIB),
        (V1_CONTAINER, 2.5, GIB),
        (HYBRID, 3.0, None),
        (OUTSIDE, 2.0, None),
        ({}, None, None),
        ({"proc/self/cgroup": "nonsense\n\n:", "proc/self/mountinfo": "- - -\n1 2"}, None, None),
    ],
)
def test_the_limits_of_control_groups(tmp_path: Path, files: Dict[str, str], cores: Any, memory: Any) -> None:
    root = tree(tmp_path, files)
    assert cgroups.cpu_quota(root) == cores
    assert cgroups.memory_limit(root) == memory


@pytest.fixture
def real_group() -> Iterator[List[Path]]:
    """A control group of v1 with half a processor and 256 MB, in each hierarchy."""
    limits = {"cpu": ("cpu.cfs_quota_us", "50000"), "memory": ("memory.limit_in_bytes", str(GIB // 4))}
    folders: List[Path] = []
    try:
        for controller, (name, limit) in limits.items():
            folder = Path("/sys/fs/cgroup", controller, "%s-facts" % TAG)
            try:
                folder.mkdir()
                folders.append(folder)
                (folder / name).write_text(limit)
            except OSError as error:
                pytest.skip("no control group of v1 can be made here: %s" % error)
        yield folders
    finally:
        for folder in folders:
            until(lambda folder=folder: not (folder / "cgroup.procs").read_text())  # type: ignore[misc]
            folder.rmdir()


def test_a_real_control_group_limits_what_the_agent_tells(real_group: List[Path]) -> None:
    enter = "".join("echo $$ > %s/cgroup.procs; " % folder for folder in real_group)
    with Manager(before=enter) as manager:
        done = manager.do("facts", path="")
        assert (done["cores"], done["memory"]) == (0.5, GIB // 4)
        assert 0 < done["available"] < done["memory"]


def test_no_limit_of_the_old_hierarchy_is_a_very_large_one(tmp_path: Path) -> None:
    root = tree(tmp_path, {**V1_UNLIMITED, "proc/meminfo": MEMINFO})
    assert cgroups.cpu_quota(root) is None
    assert figures.gather(root)["memory"] == 16384000 * 1024


def test_a_container_has_what_its_limits_leave_of_the_machine(tmp_path: Path) -> None:
    release = 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'
    more = {"proc/meminfo": MEMINFO, "proc/loadavg": "0.50 1.25 2.00 1/99 42\n", "etc/os-release": release}
    found = figures.gather(tree(tmp_path, {**V2_CONTAINER, **more}))
    assert found == {
        "os": "Debian GNU/Linux 12 (bookworm)",
        "cores": min(1.5, figures.usable_processors()),
        "memory": GIB // 2,
        # 512 MB less 200 that are used, of which the kernel would give up 100.
        "available": 412 << 20,
        "load": [0.5, 1.25, 2.0],
    }


def test_an_unknown_system_still_has_a_name(tmp_path: Path) -> None:
    assert figures.os_name(str(tmp_path)) == "%s %s" % (os.uname().sysname, os.uname().release)
    assert figures.load(str(tmp_path)) == []


def test_recorded_outputs_of_nvidia_smi() -> None:
    assert parse_nvidia("NVIDIA A100-SXM4-40GB\nNVIDIA A100-SXM4-40GB\n") == ["NVIDIA A100-SXM4-40GB"] * 2
    assert parse_nvidia("Tesla V100-PCIE-16GB\r\n\n") == ["Tesla V100-PCIE-16GB"]
    assert parse_nvidia("No devices were found\n") == []
    failed = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"
    assert parse_nvidia(failed) == []
    assert parse_nvidia("") == []


def test_recorded_outputs_of_rocm_smi() -> None:
    old = '{"card0": {"Card series": "Arcturus GL-XL [AMD Instinct MI100]", "Card model": "0x0c34"}}'
    assert parse_rocm(old) == ["Arcturus GL-XL [AMD Instinct MI100]"]
    new = (
        "WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status\n\n"
        '{"card10": {"Card Series": "B", "Card Model": "0x1"}, "card2": {"Card Series": "A"},'
        ' "system": {"Driver version": "6.7.0"}}\n'
    )
    assert parse_rocm(new) == ["A", "B"]
    assert parse_rocm('{"card0": {"Card Series": "N/A", "Device Name": "Phoenix3"}}') == ["Phoenix3"]
    assert parse_rocm('{"card0": {"Card Model": "0x744c"}, "card1": {}}') == ["AMD GPU 0x744c", "AMD GPU"]
    for nothing in ("", "{}", "[]", "{", "No AMD GPUs specified", '{"card0": 3}'):
        assert parse_rocm(nothing) in ([], ["AMD GPU"])


def test_an_answer_has_it_all(shared: Manager, tmp_path: Path) -> None:
    done = shared.do("facts", path=str(tmp_path / "not" / "there"))
    assert done["op"] == "done"
    assert done["cores"] > 0 and done["memory"] >= done["available"] > 0
    assert len(done["load"]) == 3 and all(isinstance(value, float) for value in done["load"])
    assert done["diskTotal"] == os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert done["diskTotal"] >= done["diskFree"] > 0
    assert done["os"] and done["notes"] == []


def with_tool(folder: Path, name: str, script: str) -> Dict[str, str]:
    tool = folder / name
    tool.write_text("#!/bin/sh\n%s\n" % script)
    tool.chmod(0o755)
    return {**os.environ, "PATH": "%s:%s" % (folder, os.environ["PATH"])}


def test_a_gpu_tool_on_the_path_is_asked(tmp_path: Path) -> None:
    script = '[ "$*" = "--query-gpu=name --format=csv,noheader" ] && echo NVIDIA L4 && echo NVIDIA T4'
    with_tool(tmp_path, "rocm-smi", """echo '{"card0": {"Card Series": "Instinct"}}'""")
    with Manager(env=with_tool(tmp_path, "nvidia-smi", script)) as manager:
        done = manager.do("facts", path="")
        assert (done["gpus"], done["notes"]) == (["NVIDIA L4", "NVIDIA T4", "Instinct"], [])


def test_a_gpu_tool_that_fails_is_noted(tmp_path: Path) -> None:
    script = "echo No devices were found; exit 6"
    with Manager(env=with_tool(tmp_path, "nvidia-smi", script)) as manager:
        done = manager.do("facts", path="")
        assert done["gpus"] == []
        assert done["notes"] == ["%s/nvidia-smi failed (exit code 6), so its GPUs are not known" % tmp_path]


def test_what_a_gpu_tool_says_costs_the_question_at_most(tmp_path: Path) -> None:
    assert parse_rocm('{"a":' * 100_000) == parse_rocm('{"card\u00b2": {}}') == []
    text = changed("facts/gpus", "json.JSONDecoder()", "json.Missing()")
    with Manager(env=with_tool(tmp_path, "rocm-smi", "echo {}"), text=text) as manager:
        assert manager.do("facts", path="")["kind"] == "internal"
        assert manager.run("echo hello").out == b"hello\n"


def test_a_gpu_tool_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    sleeper = "sleep 9%d" % os.getpid()
    with Manager(env=with_tool(tmp_path, "nvidia-smi", "%s & %s" % (sleeper, sleeper))) as manager:
        id = manager.start("facts", path="")
        until(lambda: len(processes_with(sleeper.replace(" ", "\0"))) == 2)
        assert manager.run("echo hello").out == b"hello\n"
        assert not manager.results[id].last
        manager.cancel(id)
        assert manager.finish(id).last["kind"] == "cancelled"
        until(lambda: not processes_with(sleeper.replace(" ", "\0")))


def test_a_gpu_tool_that_never_answers_is_noted(tmp_path: Path) -> None:
    text = changed("facts/tool", "PATIENCE = 10.0", "PATIENCE = 0.3")
    env = with_tool(tmp_path, "nvidia-smi", "echo NVIDIA L4; sleep 9%d" % os.getpid())
    with Manager(env=env, text=text) as manager:
        done = manager.do("facts", path="")
        assert done["gpus"] == []
        assert "nvidia-smi did not answer within" in done["notes"][0]
        until(lambda: not processes_with("sleep\x009%d" % os.getpid()))


def test_what_a_tool_has_started_does_not_hold_its_answer(tmp_path: Path) -> None:
    with Manager(env=with_tool(tmp_path, "nvidia-smi", "echo NVIDIA L4; sleep 4713 &")) as manager:
        assert manager.do("facts", path="")["gpus"] == ["NVIDIA L4"]


def test_programs_are_looked_up_on_the_path(shared: Manager, tmp_path: Path) -> None:
    tool = tmp_path / "my tool"
    tool.write_text("")
    names = [b"sh", b"my tool", b"surely-not-there", b"", b"/bin/sh", b"./my tool", b"a\0b"]

    def missing(**fields: Any) -> Any:
        return shared.do("which", **{"names": names, "env": {}, "cwd": str(tmp_path), **fields})["missing"]

    rest = [b"surely-not-there", b"", b"a\0b"]
    assert missing() == [b"my tool", *rest[:2], b"./my tool", *rest[2:]]
    tool.chmod(0o755)
    assert missing(env={"PATH": "/nowhere:%s:/bin" % tmp_path}) == rest
    assert missing(env={"PATH": ":/bin"}) == rest
    assert missing(env={"PATH": "/nowhere"}, names=[b"sh"]) == [b"sh"]
