"""`call` of a JavaScript function: in a Node.js process that gets its program through a socket."""

from __future__ import annotations

import os

from ..base.errors import Failure
from ..base.limits import check_room
from ..base.paths import expand
from ..processes.spawn import spawn
from ..processes.streams import Inlet
from ..wire.control import shut_down_writing, stream_pair
from ..wire.msgpack import NotData, pack
from .function import Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from ..connection.host import Host
    from ..wire.frames import Header

#: Reads `u32 length | zlib text` from descriptor 3 and runs it. Even an old Node.js understands it.
LOADER = b"""
var v = process.versions.node, fs = require("fs");
function write(bytes) { for (var n = 0; n < bytes.length;) n += fs.writeSync(3, bytes, n, bytes.length - n); }
function text(t) { return Buffer.concat([Buffer.from([0xd9, Buffer.byteLength(t)]), Buffer.from(t)]); }
function read(size) {
  for (var b = Buffer.alloc(size), at = 0, n; at < size; at += n)
    if (!(n = fs.readSync(3, b, at, size - at, null))) process.exit(0);
  return b;
}
if (parseInt(v, 10) < 18) {
  var message = "The Node.js of this host is " + v + "; JavaScript functions need 18 or newer. " +
    "Install a newer one there, or put it first in PATH.";
  var head = Buffer.concat([Buffer.from([0x83]), text("op"), text("failed"), text("kind"), text("node"),
    text("message"), text(message)]);
  var lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(head.length, 0);
  write(lengths);
  write(head);
} else {
  new Function("require", require("zlib").inflateSync(read(read(4).readUInt32BE(0))).toString())(require);
}
"""

MISSING = (
    "There is no %s on this host. JavaScript functions need Node.js 18 or newer: install it there, "
    "put it into PATH, or set loginEnv where only a login shell finds it."
)

#: The program, which comes with the first call of a connection.
_worker: List[bytes] = []


class JsFunction(Function):
    js = True

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        worker = self.calling.function.pop("worker", None)
        if isinstance(worker, bytes):
            _worker[:] = [worker]

    def launch(self) -> None:
        if not _worker:
            raise Failure("internal", "The program that runs JavaScript functions did not come.")
        environment = self.full_environment()
        program = find_node(
            self.calling.function.get("node") or "node", environment, self.cwd, self.agent.home
        )
        try:
            request = pack({"fn": self.calling.function})
        except NotData as error:
            raise Failure("limit", "The function %s." % error.message) from None
        self._request = b"".join(
            [len(_worker[0]).to_bytes(4, "big"), _worker[0], len(request).to_bytes(4, "big"), request]
        )
        kept: List[int] = []
        given: List[int] = []
        try:
            for make in stream_pair, os.pipe, os.pipe:
                one, other = make()
                kept.append(one)
                given.append(other)
            kept.insert(1, os.dup(kept[0]))
            check_room(kept)
            stdio = [self.agent.null, given[1], given[2], given[0]]
            pid = spawn([b"node", b"-e", LOADER], program, environment, self.cwd, stdio)
        except BaseException:
            for fd in kept:
                os.close(fd)
            raise
        finally:
            for fd in given:
                os.close(fd)
        self.set_off(pid, *kept)

    # Node.js reads what comes until the end; it needs no frames.

    def inlet(self, control: int) -> Inlet:
        return Inlet(self.loop, control, self.repay, lambda: shut_down_writing(control))

    def pass_on(self, data: memoryview, cost: int, end: bool) -> None:
        assert self._inlet is not None
        self._inlet.write(data, cost)
        if end:
            self._inlet.end()

    def release(self) -> None:
        control = None if self._inlet is None else self._inlet.fd
        super().release()
        if control is not None:
            os.close(control)


def find_node(given: str, environment: Dict[bytes, bytes], cwd: bytes, home: bytes) -> bytes:
    name = expand(given.encode("utf-8", "surrogateescape"), home)
    folders = [cwd] if b"/" in name else environment.get(b"PATH", os.defpath.encode()).split(b":")
    for folder in folders:
        path = os.path.join(cwd, folder, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    what = "`node` in the PATH" if given == "node" else given
    raise Failure("node", MISSING % what, path=name)
