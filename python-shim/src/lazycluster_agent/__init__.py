"""The host agent: runs commands and functions, moves files, and leaves nothing behind.

It is sent over ssh as one compressed text (see `boot`) and speaks docs/agent-protocol.md.
"""

__version__ = "0.1.0"
