"""Descriptions of functions and types: read from Python signatures, JSON Schema and LuaCATS, and written.

- *integration*: a service's functions and accounts, under ``app.integrations.NAME``; a *plugin* is its Python package.
- *root*: the table in ``app`` that contains an integration: ``integrations``, ``mcp`` or ``scripts``.
- *unique name*: ``render2``; with the root in front if it is not ``integrations``: ``mcp.files``.
- *full name* of a function: with the integration's prefix, ``render_list_services``; *short name*: without.
- *effect*: ``read`` changes nothing, ``destroy`` cannot be undone, ``write`` is everything else.
- *record*: a type of tables with named keys, a class in LuaCATS; its name has a *namespace* in front, ``render2``.
- *choice*: a type of a few values; *bound*: a restriction, such as a range.
- *overlay*: ``openapi.toml``, which changes what ``openapi.json`` says.
- LuaCATS: annotations of types in Lua comments, such as ``---@param days integer``.
"""
