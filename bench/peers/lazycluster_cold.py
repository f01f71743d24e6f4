"""Python lazycluster from nothing to the end of `true`."""

import os
import sys

os.chdir(os.environ["HOME"])

from lazycluster import Runtime, RuntimeTask  # noqa: E402

Runtime(sys.argv[1]).execute_task(RuntimeTask("true").run_command("true"), execute_async=False)
