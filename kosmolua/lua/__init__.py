"""Parses, checks and rewrites the source of Lua scripts. Nothing in this package runs a script."""
