"""A small manager for the tests: starts the agent as the real one does and speaks the protocol."""

from __future__ import annotations

import itertools
import os
import select
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from bundle import bundle, sources
from lazycluster_agent.values.codes import EXT_HANDLE, Special
from lazycluster_agent.values.decode import DocumentReader, ValueReader
from lazycluster_agent.values.encode import ENCODERS, encode_document
from lazycluster_agent.wire.frames import INITIAL_CREDIT, FrameDecoder, frame_head

MARKER = b"\0\x01lazycluster-agent/1\x02\n"
BOOTSTRAP = (Path(__file__).parents[1] / "src/lazycluster_agent/bootstrap.sh").read_text().rstrip("\n")
SOURCES = sources()
BUNDLE = bundle(SOURCES)
DEADLINE = 30.0
#: Of this run of the tests only, for several may run on one machine.
TAG = "test-%d" % os.getpid()

#: Seconds that nothing else on this machine sleeps, so that its process is found by its arguments.
LONG = "1000.%06d" % os.getpid()

Header = Dict[str, Any]
Frame = Tuple[Header, bytes]


def changed(module: str, place: str, instead: str) -> bytes:
    """The agent with another text in one place."""
    assert SOURCES[module].count(place) == 1
    return bundle({**SOURCES, module: SOURCES[module].replace(place, instead)})


class Gone(Exception):
    """The agent has closed its output."""


class Result:
    """All that an operation sent, and its last frame."""

    def __init__(self) -> None:
        self.streams: Dict[Optional[int], bytearray] = {}
        self.frames: List[Frame] = []
        self.last: Header = {}

    @property
    def out(self) -> bytes:
        return bytes(self.streams.get(1, b""))

    @property
    def err(self) -> bytes:
        return bytes(self.streams.get(2, b""))

    @property
    def value(self) -> Any:
        return read_document(bytes(self.streams[3]))

    @property
    def pid(self) -> int:
        return next(int(header["pid"]) for header, _ in self.frames if header["op"] == "started")


class Sent:
    """An argument of an ext type that only the manager sends."""

    def __init__(self, kind: int, content: object) -> None:
        self.kind, self.content = kind, content


def pack_sent(packer: Any, value: Sent, depth: int) -> None:
    if value.kind == EXT_HANDLE:
        packer.ext(EXT_HANDLE, struct.pack(">I", value.content))
    else:
        packer.special(value.kind, value.content, depth)


ENCODERS[Sent] = pack_sent


class ResultReader(ValueReader):
    """Gives handles, refs and displays as they came."""

    __slots__ = ()

    def special(self, kind: int, size: int, depth: int) -> object:
        if kind >= EXT_HANDLE:
            content: Any = self.content(size, depth)
            return Special(kind, content)
        return super().special(kind, size, depth)


def read_document(document: bytes) -> Any:
    reader = DocumentReader()
    reader.feed(document)
    assert reader._tree is not None
    reader._tree.__class__ = ResultReader
    return reader.value()


class Manager:
    def __init__(
        self,
        python: str = "python3",
        *,
        shell: str = "/bin/sh",
        env: Optional[Dict[str, str]] = None,
        lease: float = 60.0,
        login_env: bool = False,
        text: Optional[bytes] = None,
        before: str = "",
        mode: str = "agent",
    ) -> None:
        self.process = subprocess.Popen(
            [shell, "-c", before + BOOTSTRAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
            bufsize=0,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.ids = itertools.count(1)
        self.results: Dict[int, Result] = {}
        self.pongs: List[float] = []
        #: Operations whose output is not paid for.
        self.withheld: Dict[int, int] = {}
        self.credits: Dict[int, int] = {}
        #: Which process of a session calls are for, and which one a call was for.
        self.processes: Dict[str, int] = {}
        self._meant: Dict[int, Tuple[str, int]] = {}
        self.noise = b""
        self._decoder = FrameDecoder()
        self._in = self.process.stdin.fileno()
        self._out = self.process.stdout.fileno()
        self._pending = bytearray()
        os.set_blocking(self._in, False)
        text = BUNDLE if text is None else text
        hello = {"op": "hello", "v": 1, "lease": int(lease * 1000), "loginEnv": login_env}
        self.write(python.encode() + b"\n%d\n%s%s\n" % (len(text), text, mode.encode()))
        self.send(hello)
        self.hello = self._wait_for_hello()

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """Ends the input and returns the exit status."""
        assert self.process.stdin and self.process.stdout and self.process.stderr
        if not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            code = self.process.wait(timeout=DEADLINE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self.last_words = self.process.stderr.read() if not self.process.stderr.closed else b""
            self.process.stderr.close()
        return code

    # Frames.

    def write(self, data: Union[bytes, bytearray]) -> None:
        self._pending += data
        self._flush()

    def _flush(self) -> None:
        try:
            while self._pending:
                del self._pending[: os.write(self._in, memoryview(self._pending)[:65536].tobytes())]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._pending.clear()  # Reading will tell why.

    def send(self, header: Header, payload: bytes = b"") -> None:
        self.write(frame_head(header, len(payload)) + payload)

    def _read(self, deadline: float) -> bytes:
        """What the agent has written; what waits to be written meanwhile gets on its way."""
        while True:
            left = deadline - time.monotonic()
            assert left > 0, "the agent did not answer in time"
            readable, writable, _ = select.select([self._out], [self._in] if self._pending else [], [], left)
            if writable:
                self._flush()
            if readable:
                return os.read(self._out, 1 << 20)

    def _wait_for_hello(self) -> Header:
        text = b""
        while MARKER not in text:
            data = self._read(time.monotonic() + DEADLINE)
            if not data:
                self.noise = text
                self.close()
                raise Gone((text + self.last_words).decode("utf-8", "replace"))
            text += data
        self.noise, _, rest = text.partition(MARKER)
        self._hello: Optional[Header] = None
        self._feed(rest)
        self.wait(lambda: self._hello is not None)
        assert self._hello is not None
        return self._hello

    def _feed(self, data: bytes) -> None:
        for header, payload in self._decoder.feed(data):
            self._on_frame(header, bytes(payload))

    def _on_frame(self, header: Header, payload: bytes) -> None:
        op, id = header["op"], header.get("id", 0)
        if op == "hello":
            self._hello = header
        elif op == "pong":
            self.pongs.append(header["t"])
        elif op == "credit":
            self.credits[id] = self.credits.get(id, 0) + header["n"]
        else:
            result = self.results.setdefault(id, Result())
            assert not result.last, "a frame after the last one"
            result.frames.append((header, payload))
            if op == "data":
                cost = 64 + len(payload)
                if id in self.withheld:
                    self.withheld[id] += cost
                else:
                    self.send({"op": "credit", "id": id, "n": cost})
            if op == "data":
                result.streams.setdefault(header.get("s"), bytearray()).extend(payload)
            elif op in ("exit", "done", "error", "end"):
                result.last = header
                if id in self._meant and header.get("sessionLost"):
                    self._has_ended(*self._meant[id])

    def wait(self, condition: Callable[[], object], seconds: float = DEADLINE) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            data = self._read(deadline)
            if not data:
                raise Gone
            self._feed(data)

    def wait_for_end(self, seconds: float = DEADLINE) -> None:
        try:
            self.wait(lambda: False, seconds)
        except Gone:
            pass

    def pay(self, id: int) -> None:
        """Gives the credit that was withheld, and no longer withholds it."""
        self.send({"op": "credit", "id": id, "n": self.withheld.pop(id)})

    # Operations.

    def start(self, op: str, **fields: Any) -> int:
        id = next(self.ids)
        self.results[id] = Result()
        self.send({"op": op, "id": id, **fields})
        return id

    def start_run(self, cmd: str, **fields: Any) -> int:
        defaults = {
            "cwd": "~",
            "env": {},
            "stdin": False,
            "pty": False,
            "timeout": None,
            "tag": TAG + "/step",
        }
        return self.start("run", cmd=cmd, **{**defaults, **fields})

    def finish(self, id: int, seconds: float = DEADLINE) -> Result:
        self.wait(lambda: self.results[id].last, seconds)
        return self.results[id]

    def run(self, cmd: str, **fields: Any) -> Result:
        return self.finish(self.start_run(cmd, **fields))

    def do(self, op: str, **fields: Any) -> Header:
        return self.finish(self.start(op, **fields)).last

    def input(self, id: int, data: bytes, eof: bool = False) -> None:
        self.send({"op": "data", "id": id, "s": 0, "eof": eof}, data)

    def started(self, id: int) -> int:
        self.wait(lambda: any(header["op"] == "started" for header, _ in self.results[id].frames))
        return self.results[id].pid

    def cancel(self, id: int) -> None:
        self.send({"op": "cancel", "id": id})

    def start_call(
        self,
        source: str,
        *args: Any,
        kwargs: Optional[Dict[str, Any]] = None,
        bind: Optional[Dict[str, Any]] = None,
        name: str = "f",
        fn: Optional[Dict[str, Any]] = None,
        **fields: Any,
    ) -> int:
        bind = bind or {}
        function = fn or {
            "kind": "source",
            "source": source,
            "name": name,
            "file": "cell.py",
            "bind": list(bind),
        }
        defaults: Header = {"cwd": "~", "env": {}, "timeout": None, "tag": TAG + "/call", "python": None}
        id = self.start("call", fn=function, **{**defaults, **fields})
        document = b"".join(encode_document({"args": list(args), "kwargs": kwargs or {}, "bind": bind}))
        self._pour(id, document)
        return id

    def _pour(self, id: int, data: bytes) -> None:
        """Sends the input of an operation as its credit allows."""
        spent = 0
        pieces = [data[at : at + 65536] for at in range(0, len(data), 65536)]
        for number, piece in enumerate(pieces, 1):

            def allowed(spent: int = spent) -> bool:
                over = bool(self.results[id].last)
                return over or INITIAL_CREDIT + self.credits.get(id, 0) > spent

            self.wait(allowed)
            if self.results[id].last:
                return
            self.input(id, piece, number == len(pieces))
            spent += 64 + len(piece)

    def call(self, source: str, *args: Any, **fields: Any) -> Result:
        return self.finish(self.start_call(source, *args, **fields))

    # Sessions.

    def process_of(self, session: str = "a") -> int:
        return self.processes.get(session, 1)

    def _has_ended(self, session: str, process: int) -> None:
        self.processes[session] = max(self.process_of(session), process + 1)

    def start_session_call(
        self, source: str, *args: Any, session: str = "a", process: Optional[int] = None, **fields: Any
    ) -> int:
        process = process or self.process_of(session)
        id = self.start_call(source, *args, session=session, process=process, scope=TAG, **fields)
        self._meant[id] = session, process
        return id

    def session_call(self, source: str, *args: Any, **fields: Any) -> Result:
        return self.finish(self.start_session_call(source, *args, **fields))

    def start_cell(self, source: str, *, file: str = "<cell>", **fields: Any) -> int:
        fn = {"kind": "cell", "source": source, "file": file}
        return self.start_session_call("", fn=fn, **{"result": "auto", **fields})

    def cell(self, source: str, **fields: Any) -> Result:
        return self.finish(self.start_cell(source, **fields))

    def start_end_session(self, session: str = "a") -> int:
        process = self.process_of(session)
        self._has_ended(session, process)
        return self.start("endsession", scope=TAG, session=session, process=process)

    def end_session(self, session: str = "a") -> Header:
        return self.finish(self.start_end_session(session)).last

    def start_interrupt(self, session: str = "a") -> int:
        return self.start("interrupt", scope=TAG, session=session, process=self.process_of(session))

    def interrupt(self, session: str = "a") -> bool:
        return bool(self.finish(self.start_interrupt(session)).last["interrupted"])

    # The agent's process.

    @property
    def pid(self) -> int:
        return int(self.hello["pid"])

    @property
    def keeper(self) -> int:
        return self.process.pid

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Waits for something that nobody tells."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def sleepers() -> List[int]:
    """The processes that run `sleep LONG`."""
    return processes_with("sleep\0%s\0" % LONG)


def processes_with(text: str) -> List[int]:
    """The processes whose command line or environment has this text."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            for file in ("cmdline", "environ"):
                try:
                    if text.encode() in Path("/proc", name, file).read_bytes() and alive(int(name)):
                        found.append(int(name))
                        break
                except OSError:
                    pass
    return found
