"""The agent from its start to its end, and its keeper."""
