"""Parses, checks and rewrites the source of Lua scripts. No code of this package runs a script."""
