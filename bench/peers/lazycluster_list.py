"""What Python lazycluster's `list-runtimes -l` does to know all hosts. The command itself stops at an import from Python 3.10 on.

Its `print_runtime_info` stops, too, at a memory size that is no text; so what was read is printed here.
"""

import os

os.chdir(os.environ["HOME"])

from lazycluster import RuntimeManager  # noqa: E402

group = RuntimeManager()._group
group.fill_runtime_info_buffers_async()
for runtime in group.runtimes:
    assert runtime._info, runtime.host
    print(runtime._info)
