"""The root and the home directory stay, by whatever name somebody comes to them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, Iterator

import pytest
from manager import Manager
from test_trees import FOLDER, entry, sync

#: A shell in a mount namespace of its own, in which anybody may mount.
APART = '#!/bin/sh\nexec unshare -m --map-root-user -- sh "$@"\n'


def can_mount() -> bool:
    command = ["unshare", "-m", "--map-root-user", "sh", "-c", "mount --bind /usr /usr"]
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A home `x/home` that is a link to `x/data/real`."""
    home = tmp_path / "x" / "data" / "real"
    (home / "work" / "deep").mkdir(parents=True)
    (home / "precious").write_text("precious")
    (tmp_path / "x" / "home").symlink_to(home)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "real").symlink_to(home)
    (tmp_path / "other" / "data").symlink_to(home.parent)
    return tmp_path


@pytest.fixture
def manager(python: str, place: Path) -> Iterator[Manager]:
    with Manager(python, env={**os.environ, "HOME": str(place / "x" / "home")}) as manager:
        yield manager


def whole(place: Path) -> bool:
    home = place / "x" / "home"
    return (
        home.is_symlink()
        and (home / "precious").read_text() == "precious"
        and (home / "work" / "deep").is_dir()
    )


def test_by_another_name(manager: Manager, place: Path) -> None:
    names = ["x/data/real", "x/data/real/", "x/data", "x", "x/home", "x/./home/", "other/../x/data/real", "."]
    names += ["other/data/real", "other/real/../../home", "other/data/../data", "x/data/real/work/deep/../.."]
    for name in names:
        last = manager.do("remove", path=name, cwd=str(place))
        assert (last["op"], last["kind"]) == ("error", "path"), (name, last)
        assert "never removed" in last["message"]
        assert whole(place), name
    # What only leads there, or lies there, may go.
    for name in ("other", "x/home/work"):
        assert manager.do("remove", path=name, cwd=str(place))["removed"] is True
    assert (place / "x" / "home" / "precious").exists()


def test_a_sync_deletes_nothing_beside_it(manager: Manager, place: Path) -> None:
    for target, path in (
        ("x/data/real", "precious"),
        ("other/real", "precious"),
        ("x/data", "real/precious"),
        ("x", "home"),
    ):
        gone = entry(*path.encode().split(b"/"), kind="gone")
        last = sync(manager, place / target, (FOLDER, b""), entry(b"new", data=b"new"), gone)
        assert (last["op"], last["kind"]) == ("error", "path"), (target, last)
        assert whole(place) and not (place / target / "new").exists()
    # To put something there is fine, and so is deleting further down.
    assert sync(manager, place / "x" / "home", (FOLDER, b""), entry(b"new", data=b"new"))["op"] == "done"
    assert (
        sync(manager, place / "x" / "home" / "work", (FOLDER, b""), entry(b"deep", kind="gone"))["op"]
        == "done"
    )
    assert sorted(os.listdir(place / "x" / "home")) == ["new", "precious", "work"]
    assert os.listdir(place / "x" / "home" / "work") == []


@pytest.mark.skipif(
    not can_mount(), reason="this system lets us mount nothing, not even in a namespace of our own"
)
def test_over_a_bind_mount(python: str, place: Path) -> None:
    shell = place / "shell"
    shell.write_text(APART)
    shell.chmod(0o755)
    for name in ("bound", "tree/bound", "tree/a"):
        (place / name).mkdir(parents=True)
    mount = 'cd "$PLACE" && mount --bind x/data bound && mount --bind x/data/real tree/bound && '
    env: Dict[str, str] = {**os.environ, "HOME": str(place / "x" / "home"), "PLACE": str(place)}
    with Manager(python, shell=str(shell), env=env, before=mount) as manager:
        for name in ("bound", "bound/real", "tree/bound", "tree"):
            last = manager.do("remove", path=name, cwd=str(place))
            assert (last["op"], last["kind"]) == ("error", "path"), (name, last)
            assert whole(place), name
        gone = entry(b"bound", b"precious", kind="gone")
        assert sync(manager, place / "tree", (FOLDER, b""), gone)["op"] == "error"
        assert whole(place)
