"""Bytes to messages and back: msgpack, frames, and messages with descriptors."""
