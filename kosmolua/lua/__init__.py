"""Lua source: the host parses, checks and rewrites it, but never runs it."""
