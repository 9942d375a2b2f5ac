"""Reads the source of Lua scripts: syntax, scopes, values, and what depends on them. Nothing here runs a script."""
