"""Lua source, as the host reads it without running it."""
