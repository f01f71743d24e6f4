"""Calls as the agent sees them: fork servers, turns, interpreters."""
