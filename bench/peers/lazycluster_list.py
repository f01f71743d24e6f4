"""What Python lazycluster's `list-runtimes -l` does. The command itself stops at an import from Python 3.10 on."""

import os

os.chdir(os.environ["HOME"])

from lazycluster import RuntimeManager  # noqa: E402

manager = RuntimeManager()
manager._group.fill_runtime_info_buffers_async()
manager.print_runtime_info()
