"""Lets processes that a function starts anew find the code that it pickles for them.

`multiprocessing` with spawn or forkserver, and joblib's loky, start an interpreter that imports what is
pickled by name. They pass on `sys.path`; on it we put an archive with the function's module. It is a file
without a name, so it lives exactly as long as the process that it belongs to.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import zlib

from ..base.old import memory_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    #: The module's name, its source, its file for tracebacks, and what is bound before it runs.
    Source = Tuple[str, str, str, Dict[str, Any]]

TEXT = """\
def prepare(source, file, bound):
    import linecache, pickle
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    names = globals()
    del names["prepare"]
    for name, value in bound.items():
        names[name] = pickle.loads(value)
    exec(compile(source, file, "exec", dont_inherit=True), names)
prepare(%s, %s, %r)
"""


def publish(sources: List[Source]) -> None:
    files = {
        name.partition(".")[0] + "/" + (name.partition(".")[2] or "__init__") + ".py": TEXT
        % (ascii(source), ascii(file), pickled(bound))
        for name, source, file, bound in sources
    }
    fd = memory_file("lazycluster")
    with os.fdopen(os.dup(fd), "wb") as out:
        out.write(archive({name: text.encode() for name, text in files.items()}))
    sys.path.append("/proc/%d/fd/%d" % (os.getpid(), fd))


def pickled(values: Dict[str, Any]) -> Dict[str, bytes]:
    """What cannot be pickled is missing there; only who uses it needs it."""
    found = {}
    for name, value in values.items():
        try:
            found[name] = pickle.dumps(value)
        except Exception:
            pass
    return found


def archive(files: Dict[str, bytes]) -> bytes:
    """A zip file without compression; `zipfile` would bring in far more than this needs."""
    content, directory = b"", b""
    for name, data in files.items():
        path = name.encode()
        head = struct.pack(
            "<5H3I2H", 20, 0x800, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(path), 0
        )
        directory += b"PK\1\2\x14\0" + head + struct.pack("<3H2I", 0, 0, 0, 0, len(content)) + path
        content += b"PK\3\4" + head + path + data
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(files), len(files), len(directory), len(content), 0)
    return content + directory + end
