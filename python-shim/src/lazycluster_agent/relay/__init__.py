"""Connections that are passed on, from the host and to it."""
