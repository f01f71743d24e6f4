"""Fork servers of other interpreters: how many there are, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, Set

import pytest
from manager import Manager, changed, processes_with, until

NAMES = "abcd"
QUICK = "def f(): return 1"
#: Runs until a file is there.
HELD = """
def f(gate):
    import os, time
    while not os.path.exists(gate):
        time.sleep(0.01)
    return 2
"""


@pytest.fixture
def interpreters(python: str, tmp_path: Path) -> Path:
    """A folder of interpreters that are one, but not by their paths."""
    for name in NAMES:
        (tmp_path / name).symlink_to(python)
    return tmp_path


@pytest.fixture
def limited(python: str) -> Iterator[Callable[[int, float], Manager]]:
    """Makes a connection whose agent has other limits."""
    managers = []

    def start(most: int, idle: float) -> Manager:
        text = changed("functions/servers", "Functions(agent)", "Functions(agent, %d, %r)" % (most, idle))
        managers.append(Manager(python, text=text))
        return managers[-1]

    yield start
    for manager in managers:
        manager.close()


def there(folder: Path) -> Set[str]:
    """Names of the interpreters that have processes."""
    return {name for name in NAMES if processes_with("%s\0-c\0" % (folder / name))}


def becomes(folder: Path, names: str) -> None:
    until(lambda: there(folder) == set(names))


@pytest.mark.parametrize("ours", [False, True], ids=["others only", "with the connection's own"])
def test_the_least_recently_used_one_makes_room(
    limited: Callable[[int, float], Manager], interpreters: Path, ours: bool
) -> None:
    manager = limited(2, 60.0)
    if ours:
        assert manager.call(QUICK).value == 1
    for name in "aba":
        assert manager.call(QUICK, python=str(interpreters / name)).value == 1
    becomes(interpreters, "ab")
    assert manager.call(QUICK, python=str(interpreters / "c")).value == 1
    becomes(interpreters, "ac")
    # The connection's own one is not among those that are counted, and stays.
    assert manager.call(QUICK).value == 1
    becomes(interpreters, "ac")
    assert manager.call(QUICK, python=str(interpreters / "b")).value == 1
    becomes(interpreters, "bc")


def test_what_was_busy_until_now_is_recently_used(
    limited: Callable[[int, float], Manager], interpreters: Path
) -> None:
    manager = limited(2, 60.0)
    gate = interpreters / "gate"
    held = manager.start_call(HELD, str(gate), python=str(interpreters / "a"))
    manager.started(held)
    assert manager.call(QUICK, python=str(interpreters / "b")).value == 1
    gate.touch()
    assert manager.finish(held).value == 2
    assert manager.call(QUICK, python=str(interpreters / "c")).value == 1
    becomes(interpreters, "ac")


def test_busy_ones_stay_and_keep_nobody_waiting(
    limited: Callable[[int, float], Manager], interpreters: Path
) -> None:
    manager = limited(2, 60.0)
    gates = {name: interpreters / ("gate-" + name) for name in "ab"}
    held = {
        name: manager.start_call(HELD, str(gate), python=str(interpreters / name))
        for name, gate in gates.items()
    }
    for id in held.values():
        manager.started(id)
    assert manager.call(QUICK, python=str(interpreters / "c")).value == 1
    becomes(interpreters, "abc")
    gates["a"].touch()
    assert manager.finish(held["a"]).value == 2
    # Two must go for one more.
    assert manager.call(QUICK, python=str(interpreters / "d")).value == 1
    becomes(interpreters, "bd")
    gates["b"].touch()
    assert manager.finish(held["b"]).value == 2


def test_an_idle_one_is_closed_and_started_anew(
    limited: Callable[[int, float], Manager], interpreters: Path
) -> None:
    manager = limited(4, 0.2)
    gate = interpreters / "gate"
    held = manager.start_call(HELD, str(gate), python=str(interpreters / "a"))
    manager.started(held)
    assert manager.session_call(QUICK, python=str(interpreters / "b")).value == 1
    assert manager.call(QUICK, python=str(interpreters / "c")).value == 1
    # A function and a session are work, however long they take.
    becomes(interpreters, "ab")
    gate.touch()
    assert manager.finish(held).value == 2
    becomes(interpreters, "b")
    manager.end_session()
    becomes(interpreters, "")
    assert manager.call(QUICK, python=str(interpreters / "a")).value == 1
    becomes(interpreters, "")
