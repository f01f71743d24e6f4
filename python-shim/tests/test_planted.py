"""In a folder where others may write, too: what they put there is never taken for ours, nor written to."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator

import pytest
from manager import Manager
from test_trees import KEY, start_apart, write

from lazycluster_agent.files.partials import partial_path

OTHER = 65534
DATA = bytes(range(256)) * 40

as_other = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def other(command: str, *arguments: object) -> None:
    """As another user."""
    subprocess.run(
        ["sh", "-c", command, "sh", *map(str, arguments)],
        check=True,
        user=OTHER,
        group=OTHER,
        extra_groups=[],
    )


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Everybody may write in it, without the sticky bit."""
    # Not one of pytest's, where others cannot get to.
    with tempfile.TemporaryDirectory(prefix="lazycluster-test-") as name:
        os.chmod(name, 0o755)
        folder = Path(name, "shared")
        folder.mkdir()
        folder.chmod(0o777)
        yield folder


def kept_path(target: Path, key: bytes = KEY) -> Path:
    return Path(os.fsdecode(partial_path(os.fsencode(target.parent), key, os.fsencode(target))))


def resume(manager: Manager, target: Path) -> int:
    """Sends it, and gives what was taken of the kept piece."""
    id, part = start_apart(manager, target, len(DATA), resume=KEY)
    assert write(manager, part["path"], 0, DATA)["op"] == "done"
    manager.send({"op": "end", "id": id, "bytes": len(DATA), "entries": 1})
    assert manager.finish(id).last["op"] == "done"
    assert target.read_bytes() == DATA and target.stat().st_uid == os.geteuid()
    assert not target.is_symlink() and target.stat().st_nlink == 1
    return int(part["kept"])


def make_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def make_second_name(path: Path, victim: Path) -> None:
    os.link(victim, path)


def make_open_to_others(path: Path, victim: Path) -> None:
    path.write_bytes(DATA[:100])
    path.chmod(0o622)


def make_folder(path: Path, victim: Path) -> None:
    path.mkdir()


def make_pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def make_foreign(path: Path, victim: Path) -> None:
    other('umask 177; printf evil > "$1"', path)


def make_foreign_link(path: Path, victim: Path) -> None:
    other('ln -s "$2" "$1"', path, victim)


PLANTED: Dict[str, Callable[[Path, Path], None]] = {
    "link": make_link,
    "second name": make_second_name,
    "open to others": make_open_to_others,
    "folder": make_folder,
    "pipe": make_pipe,
}
FOREIGN: Dict[str, Callable[[Path, Path], None]] = {"file": make_foreign, "link": make_foreign_link}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_not_ours_is_not_taken(shared: Manager, shared_folder: Path, what: str) -> None:
    check_planted(shared, shared_folder, PLANTED[what])


@as_other
@pytest.mark.parametrize("what", FOREIGN)
def test_what_somebody_else_put_there_is_not_taken(shared: Manager, shared_folder: Path, what: str) -> None:
    check_planted(shared, shared_folder, FOREIGN[what])


def check_planted(manager: Manager, folder: Path, plant: Callable[[Path, Path], None]) -> None:
    victim = folder.parent / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    target = folder / "target"
    plant(kept_path(target), victim)
    before = kept_path(target).lstat()
    assert resume(manager, target) == 0
    assert victim.read_text() == "precious" and victim.stat().st_mode & 0o777 == 0o600
    # It is not ours to remove, either.
    assert kept_path(target).lstat().st_ino == before.st_ino


def test_what_is_ours_is_taken(shared: Manager, shared_folder: Path) -> None:
    target = shared_folder / "target"
    kept_path(target).write_bytes(DATA[:100])
    kept_path(target).chmod(0o600)
    assert resume(shared, target) == 100
    assert os.listdir(shared_folder) == ["target"]


def test_the_names_are_those_of_one_user(shared: Manager, shared_folder: Path) -> None:
    target = shared_folder / "target"
    for key in (b"", b"another"):
        kept_path(target, key).write_bytes(DATA[:100])
        kept_path(target, key).chmod(0o600)
    assert resume(shared, target) == 0


@as_other
def test_what_others_keep_is_theirs(shared: Manager, shared_folder: Path) -> None:
    script = 'cd "$1"; for i in 0 1 2 3 4 5 6 7 8 9; do touch -d 2001-01-01 .lazycluster-partial-$i; done'
    other(script + "; ln -s /nowhere .lazycluster-partial-link", shared_folder)
    mine = shared_folder / ".lazycluster-partial-mine"
    mine.write_text("")
    resume(shared, shared_folder / "target")
    assert len(os.listdir(shared_folder)) == 10 + 1 + 1 + 1 and mine.exists()


def test_a_hidden_file_that_was_exchanged_is_refused(shared: Manager, shared_folder: Path) -> None:
    victim = shared_folder.parent / "victim"
    victim.write_bytes(bytes(len(DATA)))
    target = shared_folder / "target"
    for plant in (make_link, make_second_name, make_pipe):
        id, part = start_apart(shared, target, len(DATA))
        staged = Path(os.fsdecode(part["path"]))
        staged.unlink()
        plant(staged, victim)
        assert write(shared, part["path"], 0, DATA)["op"] == "error"
        shared.send({"op": "end", "id": id, "bytes": len(DATA), "entries": 1})
        assert shared.finish(id).last["op"] == "error"
        assert victim.read_bytes() == bytes(len(DATA))
        assert os.listdir(shared_folder) == []


@as_other
def test_a_hidden_file_of_somebody_else_does_not_become_ours(shared: Manager, shared_folder: Path) -> None:
    target = shared_folder / "target"
    id, part = start_apart(shared, target, len(DATA))
    other('rm -f "$1"; head -c %d /dev/zero > "$1"; chmod 666 "$1"' % len(DATA), os.fsdecode(part["path"]))
    shared.send({"op": "end", "id": id, "bytes": len(DATA), "entries": 1})
    last = shared.finish(id).last
    assert last["kind"] == "transfer" and "somebody else" in last["message"]
    assert os.listdir(shared_folder) == []
