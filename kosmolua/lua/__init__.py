"""Lua source: parsed, checked and rewritten by the host, which never runs it."""
