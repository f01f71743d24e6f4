"""The host agent: runs commands and functions, moves files, leaves nothing behind (docs/agent-protocol)."""
