from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zlib
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from manager import Header, Manager, until

from lazycluster_agent.files.entries import RecordReader, inflate, pack_record

Entry = Tuple[Header, bytes]

FILE: Header = {"path": [], "kind": "file", "mode": 0o644, "mtime": 10**18 + 123456789}
FOLDER: Header = {"path": [], "kind": "dir", "mode": 0o755, "mtime": 10**18}
#: Names what is kept.
KEY = b"a secret of the user"


def entry(*path: bytes, kind: str = "file", data: bytes = b"", mode: int = 0o644, **fields: Any) -> Entry:
    header: Header = {"path": list(path), "kind": kind, "mode": mode, "mtime": 10**18 + 5}
    if kind == "file":
        header["size"] = len(data)
    header.update(fields)
    return header, data


KINDS = {"file": b"f", "dir": b"d", "link": b"l", "apart": b"p", "touch": b"t", "gone": b"x", "sum": b"s"}


def stream(entries: List[Entry]) -> bytes:
    """The bytes of a tree."""
    text = b""
    for header, data in entries:
        path = b"/".join(header["path"])
        extra = header.get("target", b"")
        kind = KINDS[header["kind"]]
        text += pack_record(kind, header["mode"], header["mtime"], header.get("size", 0), path, extra) + data
    return text


def put(
    manager: Manager,
    entries: List[Entry],
    totals: Optional[Tuple[int, int]] = None,
    piece: int = 200_000,
    **fields: Any,
) -> Header:
    id = manager.start("put", **{"cwd": "~", "into": False, **fields})
    text = stream(entries)
    for at in range(0, len(text), piece):
        manager.input(id, text[at : at + piece])
    content = sum(header.get("size", 0) for header, _ in entries)
    count = (content, len(entries)) if totals is None else totals
    manager.send({"op": "end", "id": id, "bytes": count[0], "entries": count[1]})
    return manager.finish(id).last


def get(
    manager: Manager, path: Any, cwd: str = "~", op: str = "get", **fields: Any
) -> Tuple[Dict[bytes, Entry], Header]:
    result = manager.finish(manager.start(op, path=path, cwd=cwd, **fields))
    entries: Dict[bytes, Entry] = {}
    last = b""

    def on_record(kind: bytes, mode: int, mtime: int, size: int, path: bytes, extra: bytes) -> None:
        nonlocal last
        last = path
        name = next(name for name, letter in KINDS.items() if letter == kind)
        names = path.split(b"/") if path else []
        header: Header = {"path": names, "kind": name, "mode": mode, "mtime": mtime}
        if name in ("file", "apart"):
            header["size"] = size
        if extra:
            header["target"] = extra
        assert path not in entries
        entries[path] = header, b""

    def on_content(data: memoryview) -> None:
        entries[last] = entries[last][0], entries[last][1] + data.tobytes()

    reader = RecordReader(on_record, on_content)
    for header, payload in result.frames:
        if header["op"] == "data":
            reader.feed(inflate(payload) if header.get("z") else memoryview(payload))
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
        shared.input(id, stream([(FOLDER, b""), entry(b"a", data=b"a")]))
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


def test_a_listing(shared: Manager, tmp_path: Path) -> None:
    make_tree(tmp_path / "a")
    (tmp_path / "a" / "out").symlink_to("/etc")
    entries, last = get(shared, str(tmp_path / "a"), op="list", leaving=True)
    assert last["op"] == "end" and last["entries"] == len(entries)
    expected = look(tmp_path / "a")
    assert {os.fsdecode(path) or "." for path in entries} == set(expected)
    assert entries[b"large"][0]["kind"] == "apart" and entries[b"large"][0]["size"] == 1_500_000
    assert entries[b"out"][0]["target"] == b"/etc" and entries[b"sub/up"][0]["target"] == b"../large"
    for path, (header, _) in entries.items():
        mode, mtime, _ = expected[os.fsdecode(path) or "."]
        assert header["mtime"] == mtime and (header["kind"] == "link" or header["mode"] == mode)
    _, last = get(shared, str(tmp_path / "a"), op="list", leaving=False)
    assert last["kind"] == "transfer"
    entries, last = get(shared, str(tmp_path / "missing"), op="list", leaving=False)
    assert (last["op"], entries) == ("end", {})
    _, last = get(shared, str(tmp_path / "a" / "large"), op="list", leaving=False)
    assert last["kind"] == "path"


def test_only_some_of_a_folder(shared: Manager, tmp_path: Path) -> None:
    make_tree(tmp_path / "a")
    id = shared.start("get", path=str(tmp_path / "a"), cwd="~", only=True, verify=True)
    shared.input(id, b"\0sub\0sub/run")
    shared.input(id, b".sh\0")
    shared.send({"op": "end", "id": id})
    result = shared.finish(id)
    kinds: List[Tuple[bytes, bytes, bytes]] = []
    reader = RecordReader(lambda kind, *rest: kinds.append((kind, rest[3], rest[4])), lambda data: None)
    reader.feed(memoryview(bytes(result.streams[None])))
    digest = hashlib.sha256(b"#!/bin/sh\n").digest()
    assert kinds == [
        (b"d", b"", b""),
        (b"d", b"sub", b""),
        (b"f", b"sub/run.sh", b""),
        (b"s", b"sub/run.sh", digest),
    ]


def sync(manager: Manager, target: Path, *entries: Entry) -> Header:
    content = [header for header, _ in entries if header["kind"] in ("file", "dir", "link")]
    totals = sum(header.get("size", 0) for header in content), len(content)
    return put(manager, list(entries), totals, path=str(target), sync=True)


def test_a_sync_touches_and_removes(shared: Manager, tmp_path: Path) -> None:
    target = tmp_path / "t"
    (target / "old" / "deep").mkdir(parents=True)
    (target / "old" / "deep" / "file").touch()
    (target / "full").mkdir()
    (target / "full" / "new").touch()
    (target / "closed").mkdir()
    (target / "closed" / "x").touch()
    (target / "closed").chmod(0o500)
    (target / "kind").mkdir()
    (target / "same").write_text("same")
    done = sync(
        shared,
        target,
        (FOLDER, b""),
        entry(b"closed", kind="dir", mode=0o500),
        entry(b"closed", b"y", data=b"y"),
        entry(b"kind", data=b"now a file"),
        entry(b"same", kind="touch", mode=0o600),
        *(entry(*path.split(b"/"), kind="gone") for path in (b"old/deep/file", b"old/deep", b"old", b"full")),
        *(entry(*path.split(b"/"), kind="gone") for path in (b"closed/x", b"kind", b"was/not/there")),
    )
    assert done["op"] == "done", done
    # What somebody put into a folder meanwhile stays, and so does the folder.
    names = sorted(str(path.relative_to(target)) for path in target.glob("**/*"))
    assert names == ["closed", "closed/y", "full", "full/new", "kind", "same"]
    assert stat.S_IMODE((target / "closed").stat().st_mode) == 0o500
    assert (target / "same").stat().st_mtime_ns == 10**18 + 5
    assert stat.S_IMODE((target / "same").stat().st_mode) == 0o600
    assert (target / "same").read_text() == "same" and target.stat().st_mtime_ns == 10**18
    (target / "closed").chmod(0o700)


def test_a_sync_stays_inside(shared: Manager, tmp_path: Path) -> None:
    target = tmp_path / "t"
    target.mkdir()
    (tmp_path / "canary").touch()
    (target / "link").symlink_to("..")
    for path in ([b"..", b"canary"], [b"link", b"canary"], [b"", b"etc"], [b"a\0b"]):
        for kind in ("gone", "touch"):
            assert sync(shared, target, (FOLDER, b""), entry(*path, kind=kind, mode=0))["op"] == "error"
    assert (tmp_path / "canary").exists() and (tmp_path / "canary").stat().st_mtime_ns != 10**18 + 5
    assert os.listdir(target) == ["link"]
    assert put(shared, [(FOLDER, b""), entry(b"a", kind="gone")], path=str(target))["kind"] == "transfer"


def start_apart(manager: Manager, target: Path, size: int, **fields: Any) -> Tuple[int, Header]:
    id = manager.start("put", path=str(target), cwd="~", into=False, **fields)
    manager.input(id, stream([({**FILE, "kind": "apart", "size": size}, b"")]))
    manager.wait(lambda: manager.results[id].frames)
    return id, manager.results[id].frames[0][0]


def write(manager: Manager, path: bytes, offset: int, data: bytes, packed: bool = False) -> Header:
    id = manager.start("write", path=path, cwd="~", offset=offset, size=len(data))
    payload = zlib.compress(data) if packed else data
    manager.send({"op": "data", "id": id, "z": packed}, payload)
    return manager.finish(id).last


def test_a_file_in_ranges(shared: Manager, tmp_path: Path) -> None:
    data = os.urandom(500_000)
    digest = hashlib.sha256(data).digest()
    id, part = start_apart(shared, tmp_path / "f", len(data))
    assert (part["op"], part["number"], part["kept"]) == ("part", 0, 0)
    assert write(shared, part["path"], 300_000, data[300_000:], packed=True)["op"] == "done"
    assert os.listdir(tmp_path) == [os.path.basename(os.fsdecode(part["path"]))]
    assert write(shared, part["path"], 0, data[:300_000])["op"] == "done"
    shared.input(id, stream([({**FILE, "kind": "sum", "target": digest}, b"")]))
    shared.send({"op": "end", "id": id, "bytes": len(data), "entries": 1})
    assert shared.finish(id).last["op"] == "done"
    assert (tmp_path / "f").read_bytes() == data and os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").stat().st_mtime_ns == FILE["mtime"]

    fields = {"path": str(tmp_path / "f"), "cwd": "~", "total": len(data), "mtime": FILE["mtime"]}
    id = shared.start("read", offset=100, size=400_000, **fields)
    result = shared.finish(id)
    assert result.last["op"] == "done" and bytes(result.streams[None]) == data[100:400_100]
    for change in ({"total": 1}, {"mtime": 1}):
        id = shared.start("read", offset=0, size=1, **{**fields, **change})
        assert shared.finish(id).last["kind"] == "transfer"
    for block, expected in ((0, [data]), (200_000, [data[:200_000], data[200_000:400_000], data[400_000:]])):
        id = shared.start("hash", path=str(tmp_path), cwd="~", block=block)
        shared.input(id, b"f\0")
        shared.send({"op": "end", "id": id})
        digests = bytes(shared.finish(id).streams[None])
        assert digests == b"".join(hashlib.sha256(piece).digest() for piece in expected)


def test_incomplete_and_wrong_content_is_refused(shared: Manager, tmp_path: Path) -> None:
    id, part = start_apart(shared, tmp_path / "f", 10)
    assert write(shared, part["path"], 0, b"12345")["op"] == "done"
    shared.send({"op": "end", "id": id, "bytes": 10, "entries": 1})
    assert shared.finish(id).last["kind"] == "transfer"
    wrong = ({**FILE, "kind": "sum", "target": bytes(32)}, b"")
    file = ({**FILE, "size": 1}, b"1")
    last = put(shared, [file, wrong], (1, 1), path=str(tmp_path / "f"))
    assert last["kind"] == "transfer" and "content" in last["message"]
    id = shared.start("write", path=str(tmp_path / "new"), cwd="~", offset=0, size=1)
    assert shared.finish(id).last["errno"] == "ENOENT"
    bomb = zlib.compress(bytes(3_000_000))
    id = shared.start("put", path=str(tmp_path / "f"), cwd="~", into=False)
    shared.send({"op": "data", "id": id, "z": True}, bomb)
    assert shared.finish(id).last["kind"] == "transfer"
    assert os.listdir(tmp_path) == []


def test_kept_pieces(python: str, shared: Manager, tmp_path: Path) -> None:
    target = tmp_path / "f"
    data = os.urandom(10_000)

    def kept() -> List[str]:
        return [name for name in os.listdir(tmp_path) if name.startswith(".lazycluster-partial-")]

    target.write_text("old")
    for how in ("cancel", "abort", "end"):
        with Manager(python) as manager:
            id, part = start_apart(manager, target, len(data), resume=KEY)
            write(manager, part["path"], 0, data[:5000])
            if how != "end":
                manager.send({"op": how, "id": id, "message": "no more", "keep": True})
                manager.finish(id)
        until(lambda: len(os.listdir(tmp_path)) == 2)
        assert target.read_text() == "old" and len(kept()) == 1
        id, part = start_apart(shared, target, len(data), resume=KEY)
        assert part["kept"] == 5000 and Path(os.fsdecode(part["path"])).read_bytes() == data[:5000]
        assert kept() == []
        shared.cancel(id)
        shared.finish(id)
    # Nothing is kept, and nothing used, for those who did not ask.
    id, part = start_apart(shared, target, len(data))
    assert part["kept"] == 0
    shared.cancel(id)
    shared.finish(id)
    (tmp_path / kept()[0]).rename(tmp_path / ".lazycluster-partial-old")
    os.utime(tmp_path / ".lazycluster-partial-old", (1, 1))
    for number in range(10):
        id, _ = start_apart(shared, tmp_path / str(number), 10, resume=KEY)
        shared.cancel(id)
        shared.finish(id)
    assert len(kept()) == 8 and ".lazycluster-partial-old" not in kept()
