from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from manager import Header, Manager

Entry = Tuple[Header, bytes]

FILE: Header = {"path": [], "kind": "file", "mode": 0o644, "mtime": 10**18 + 123456789}
FOLDER: Header = {"path": [], "kind": "dir", "mode": 0o755, "mtime": 10**18}


def entry(*path: bytes, kind: str = "file", data: bytes = b"", mode: int = 0o644, **fields: Any) -> Entry:
    header: Header = {"path": list(path), "kind": kind, "mode": mode, "mtime": 10**18 + 5}
    if kind == "file":
        header["size"] = len(data)
    header.update(fields)
    return header, data


def put(
    manager: Manager,
    entries: List[Entry],
    totals: Optional[Tuple[int, int]] = None,
    end: bool = True,
    **fields: Any,
) -> Header:
    id = manager.start("put", **{"cwd": "~", "into": False, **fields})
    for header, data in entries:
        manager.send({"op": "entry", "id": id, **header})
        for at in range(0, len(data), 200_000):
            manager.input(id, data[at : at + 200_000])
    count = (sum(len(data) for _, data in entries), len(entries)) if totals is None else totals
    if end:
        manager.send({"op": "end", "id": id, "bytes": count[0], "entries": count[1], "notes": []})
    return manager.finish(id).last


def get(manager: Manager, path: Any, cwd: str = "~") -> Tuple[Dict[bytes, Entry], Header]:
    result = manager.finish(manager.start("get", path=path, cwd=cwd))
    entries: Dict[bytes, Entry] = {}
    name = b""
    for header, payload in result.frames:
        if header["op"] == "entry":
            name = b"/".join(header["path"])
            assert name not in entries
            entries[name] = header, b""
        elif header["op"] == "data":
            entries[name] = entries[name][0], entries[name][1] + payload
    return entries, result.last


def make_tree(root: Path) -> None:
    root.mkdir()
    (root / "empty").mkdir()
    (root / "sub").mkdir(mode=0o700)
    (root / "sub" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (root / "sub" / "run.sh").chmod(0o755)
    (root / "large").write_bytes(os.urandom(1_500_000))
    (root / "nothing").touch()
    (root / "sub" / "up").symlink_to("../large")
    (root / "dangling").symlink_to("sub/missing")
    (root / os.fsdecode(b"caf\xe9 \n$(x)")).write_bytes(b"odd")
    os.utime(root / "sub" / "run.sh", ns=(10**18 + 7, 10**18 + 7))
    os.utime(root / "sub", ns=(10**18 + 9, 10**18 + 9))


def look(root: Path) -> Dict[str, Tuple[int, int, object]]:
    """All that a transfer should keep."""
    found: Dict[str, Tuple[int, int, object]] = {}
    for path in [root, *root.glob("**/*")]:
        status = path.lstat()
        content: object = None
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
        mode = 0 if path.is_symlink() else stat.S_IMODE(status.st_mode)
        found[str(path.relative_to(root))] = (mode, status.st_mtime_ns, content)
    return found


def relay(entries: Dict[bytes, Entry]) -> List[Entry]:
    fields = ("path", "kind", "mode", "mtime", "size", "target")
    return [
        ({key: header[key] for key in fields if key in header}, data) for header, data in entries.values()
    ]


def test_a_folder_there_and_back(shared: Manager, tmp_path: Path) -> None:
    make_tree(tmp_path / "a")
    entries, last = get(shared, str(tmp_path / "a"))
    assert last["op"] == "end" and last["notes"] == []
    assert last["entries"] == len(entries) and last["bytes"] == sum(len(data) for _, data in entries.values())
    done = put(shared, relay(entries), path="new/b", cwd=str(tmp_path))
    assert done["path"] == os.fsencode(tmp_path) + b"/new/b"
    assert (done["bytes"], done["entries"]) == (last["bytes"], last["entries"])
    assert look(tmp_path / "new" / "b") == look(tmp_path / "a")
    assert not list(tmp_path.glob("**/.lazycluster-*"))


def test_a_file_there_and_back(shared: Manager, tmp_path: Path) -> None:
    data = os.urandom(600_000)
    done = put(shared, [({**FILE, "size": len(data)}, data)], path="x/y/file", cwd=str(tmp_path))
    assert done["op"] == "done"
    target = tmp_path / "x/y/file"
    assert target.read_bytes() == data and target.stat().st_mtime_ns == FILE["mtime"]
    entries, last = get(shared, "x/y/file", cwd=str(tmp_path))
    assert entries[b""][1] == data and last["bytes"] == len(data)
    put(shared, [({**FILE, "size": 1, "mode": 0o600}, b"n")], path=str(target))
    assert target.read_bytes() == b"n" and stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(target.parent) == ["file"]


def test_into_a_folder(shared: Manager, tmp_path: Path) -> None:
    one = [({**FILE, "size": 1}, b"1")]
    assert put(shared, one, path=str(tmp_path), into=True, name=b"n")["path"].endswith(b"/n")
    assert put(shared, one, path="sub/", cwd=str(tmp_path), into=True, name=b"n")["path"].endswith(b"/sub/n")
    assert put(shared, one, path="other", cwd=str(tmp_path), into=True, name=b"n")["path"].endswith(b"/other")
    assert (
        (tmp_path / "n").read_text()
        == (tmp_path / "sub/n").read_text()
        == (tmp_path / "other").read_text()
        == "1"
    )
    for name in (b"..", b"", b"a/b", b"."):
        assert put(shared, one, path=str(tmp_path), into=True, name=name)["kind"] == "transfer"


def test_a_folder_is_merged(shared: Manager, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "both").mkdir(parents=True)
    (target / "both").chmod(0o750)
    (target / "both" / "old").write_text("old")
    (target / "both" / "same").write_text("old")
    tree = [
        (FOLDER, b""),
        entry(b"both", kind="dir"),
        entry(b"both", b"same", data=b"new"),
        entry(b"fresh", kind="dir", mode=0o500),
        entry(b"fresh", b"inner", kind="dir"),
        entry(b"fresh", b"inner", b"x", data=b"x"),
    ]
    assert put(shared, tree, path=str(target))["op"] == "done"
    assert (target / "both/old").read_text() == "old" and (target / "both/same").read_text() == "new"
    assert stat.S_IMODE((target / "both").stat().st_mode) == 0o750
    assert stat.S_IMODE((target / "fresh").stat().st_mode) == 0o500
    assert (target / "fresh/inner").stat().st_mtime_ns == 10**18 + 5
    assert sorted(os.listdir(target)) == ["both", "fresh"]
    (target / "fresh").chmod(0o700)


def test_conflicts_change_nothing(shared: Manager, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "z").mkdir(parents=True)
    (target / "file").touch()
    (target / "link").symlink_to(tmp_path)
    tree = [(FOLDER, b""), entry(b"a", data=b"a"), entry(b"z", data=b"z")]
    assert put(shared, tree, path=str(target))["kind"] == "path"
    for name in (b"file", b"link"):
        tree = [(FOLDER, b""), entry(b"a", data=b"a"), entry(name, kind="dir"), entry(name, b"x", data=b"x")]
        assert put(shared, tree, path=str(target))["kind"] == "path"
    assert sorted(os.listdir(target)) == ["file", "link", "z"]
    assert put(shared, [(FOLDER, b"")], path=str(target / "file"))["kind"] == "path"
    assert put(shared, [({**FILE, "size": 0}, b"")], path=str(target))["kind"] == "path"
    assert os.listdir(tmp_path) == ["target"]


LINK = {"path": [], "kind": "link", "mode": 0o777, "mtime": 0}
EVIL: Dict[str, List[Entry]] = {
    "no root": [entry(b"a")],
    "a link as root": [({**LINK, "target": b"/etc"}, b"")],
    "the root twice": [(FOLDER, b""), (FOLDER, b"")],
    "..": [(FOLDER, b""), entry(b"..", b"x")],
    "name ..": [(FOLDER, b""), entry(b"..")],
    "name .": [(FOLDER, b""), entry(b".")],
    "empty name": [(FOLDER, b""), entry(b"")],
    "a slash": [(FOLDER, b""), entry(b"a/b")],
    "absolute": [(FOLDER, b""), entry(b"/etc")],
    "NUL": [(FOLDER, b""), entry(b"a\0b")],
    "below nothing": [(FOLDER, b""), entry(b"a", b"b")],
    "below a file": [(FOLDER, b""), entry(b"a"), entry(b"a", b"b")],
    "below a link": [
        (FOLDER, b""),
        entry(b"d", kind="dir"),
        entry(b"a", kind="link", target=b"d"),
        entry(b"a", b"b"),
    ],
    "twice": [(FOLDER, b""), entry(b"a"), entry(b"a")],
    "a folder twice": [(FOLDER, b""), entry(b"a", kind="dir"), entry(b"a", kind="dir")],
    "a file over a link": [(FOLDER, b""), entry(b"a", kind="link", target=b"b"), entry(b"a")],
    "an absolute link": [(FOLDER, b""), entry(b"a", kind="link", target=b"/etc/passwd")],
    "an empty link": [(FOLDER, b""), entry(b"a", kind="link", target=b"")],
    "a link upwards": [(FOLDER, b""), entry(b"a", kind="link", target=b"../x")],
    "a link deep upwards": [
        (FOLDER, b""),
        entry(b"d", kind="dir"),
        entry(b"d", b"a", kind="link", target=b"../../x"),
    ],
    "a crooked link": [(FOLDER, b""), entry(b"a", kind="link", target=b"b/../../x")],
    "too much content": [(FOLDER, b""), entry(b"a", data=b"12345", size=3)],
    "too little content": [(FOLDER, b""), entry(b"a", data=b"12", size=3), entry(b"b")],
    "content without a file": [({**FOLDER}, b"x")],
}


@pytest.mark.parametrize("entries", EVIL.values(), ids=EVIL.keys())
def test_unsafe_trees_are_refused(shared: Manager, tmp_path: Path, entries: List[Entry]) -> None:
    last = put(shared, entries, path=str(tmp_path / "place" / "target"))
    assert (last["op"], last["kind"]) == ("error", "transfer"), last
    assert not list((tmp_path / "place").glob("**/*"))


def test_totals_must_agree(shared: Manager, tmp_path: Path) -> None:
    tree = [(FOLDER, b""), entry(b"a", data=b"a")]
    for totals in ((1, 1), (1, 3), (0, 2), (2, 2)):
        assert put(shared, tree, totals, path=str(tmp_path / "t"))["kind"] == "transfer"
    assert os.listdir(tmp_path) == []


def test_abort_and_cancel_leave_nothing(shared: Manager, tmp_path: Path) -> None:
    for op, kind in (("abort", "transfer"), ("cancel", "cancelled")):
        id = shared.start("put", path=str(tmp_path / "t"), cwd="~", into=False)
        for header, data in [(FOLDER, b""), entry(b"a", data=b"a")]:
            shared.send({"op": "entry", "id": id, **header})
            if data:
                shared.input(id, data)
        shared.send({"op": op, "id": id, "message": "no more"})
        assert shared.finish(id).last["kind"] == kind
        assert shared.run("ls -A", cwd=str(tmp_path)).out == b""


def test_modes_lose_what_is_special(shared: Manager, tmp_path: Path) -> None:
    tree = [(FOLDER, b""), entry(b"a", mode=0o6755), entry(b"d", kind="dir", mode=0o3777)]
    assert put(shared, tree, path=str(tmp_path / "t"))["op"] == "done"
    assert stat.S_IMODE((tmp_path / "t/a").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "t/d").stat().st_mode) == 0o777


def test_failures_name_path_and_reason(shared: Manager, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    last = put(shared, [(FOLDER, b"")], path=str(tmp_path / "file" / "x"))
    assert (last["kind"], last["errno"]) == ("path", "ENOTDIR") and str(tmp_path / "file") in last["message"]
    last = put(shared, [(FOLDER, b""), entry(b"n" * 300)], path=str(tmp_path / "t"))
    assert (last["kind"], last["errno"]) == ("path", "ENAMETOOLONG")
    assert os.listdir(tmp_path) == ["file"]
    _, last = get(shared, str(tmp_path / "missing"))
    assert (last["op"], last["kind"], last["errno"]) == ("error", "path", "ENOENT")
    _, last = get(shared, "/dev/null")
    assert last["kind"] == "path"


def test_a_full_file_system(shared: Manager, tmp_path: Path) -> None:
    mounted = shared.run("mount -t tmpfs -o size=64k none %s" % tmp_path).last["code"] == 0
    if not mounted:
        pytest.skip("no file system can be mounted here")
    try:
        last = put(shared, [({**FILE, "size": 500_000}, bytes(500_000))], path=str(tmp_path / "f"))
        assert (last["op"], last["errno"]) == ("error", "ENOSPC")
        assert shared.run("ls -A", cwd=str(tmp_path)).out == b""
        last = put(shared, [({**FILE, "size": 5}, b"small")], path=str(tmp_path / "f"))
        assert last["op"] == "done"
    finally:
        assert shared.run("umount %s" % tmp_path, cwd="/").last["code"] == 0


def test_links_that_leave_the_tree(shared: Manager, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("content")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").symlink_to(outside)
    (root / "nowhere").symlink_to("/no/such/place")
    entries, last = get(shared, str(root))
    assert entries[b"file"][0]["kind"] == "file" and entries[b"file"][1] == b"content"
    assert b"nowhere" not in entries and "nowhere" in last["notes"][0]
    (root / "folder").symlink_to("/tmp")
    _, last = get(shared, str(root))
    assert (last["kind"], str(root / "folder") in last["message"]) == ("transfer", True)


def test_special_files_are_left_out(shared: Manager, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    entries, last = get(shared, str(tmp_path))
    assert set(entries) == {b"", b"file"} and "pipe" in last["notes"][0]


def test_a_file_that_changes_while_it_is_sent(shared: Manager, tmp_path: Path) -> None:
    for change in ("grow", "shrink"):
        file = tmp_path / change
        file.write_bytes(bytes(4_000_000))
        id = shared.start("get", path=str(file), cwd="~")
        shared.withheld[id] = 0
        shared.wait(lambda id=id: shared.withheld[id] >= 1024 * 1024)  # type: ignore[misc]
        if change == "grow":
            with file.open("ab") as stream:
                stream.write(b"x")
        else:
            os.truncate(file, 2_000_000)
        shared.pay(id)
        last = shared.finish(id).last
        assert (last["op"], last["kind"]) == ("error", "transfer") and str(file) in last["message"]


def test_an_unreadable_file(python: str, tmp_path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may read everything")
    with Manager(python) as manager:
        (tmp_path / "secret").touch(mode=0o000)
        _, last = get(manager, str(tmp_path))
        assert (last["kind"], last["errno"]) == ("path", "EACCES")


def test_cancel_of_a_get(shared: Manager, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(4_000_000))
    id = shared.start("get", path=str(tmp_path), cwd="~")
    shared.withheld[id] = 0
    shared.wait(lambda: shared.withheld[id] >= 1024 * 1024)
    shared.cancel(id)
    assert shared.finish(id).last["kind"] == "cancelled"


def test_deep_and_wide_trees(shared: Manager, tmp_path: Path) -> None:
    deep = tmp_path / "root" / "/".join(["d"] * 300)
    deep.mkdir(parents=True)
    for number in range(500):
        (deep / str(number)).write_text(str(number))
    entries, last = get(shared, str(tmp_path / "root"))
    assert last["entries"] == 801
    assert put(shared, relay(entries), path=str(tmp_path / "copy"))["op"] == "done"
    assert look(tmp_path / "copy") == look(tmp_path / "root")
    shutil.rmtree(tmp_path / "copy")
