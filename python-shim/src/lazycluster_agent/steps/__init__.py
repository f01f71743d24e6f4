"""Commands, and what all processes that are run for the manager have in common."""
