"""MCP servers as integrations under ``app.mcp``: a server's tools become functions that scripts can call.

- *card*: what a server offered at the last connection, for documentation without a running server.
- *identity*: the settings, such as command or URL, by which a card belongs to a server.
- *method* and *params*: those of the protocol, such as ``tools/call``; *result*: as the protocol defines it.
- *session*: the MCP SDK's; a *direct call* goes past it, over the same pipes.
- *tag*: the :func:`~.tools.digest` of the tool that a caller knows; a call of a tool with another fails. Empty: no
  check.
- *confirm*: a function that asks the user a question of the server; None if no user can be asked.
- *until*: a function that returns the deadline, which can move while a request is under way.
- *trace*: a function for the lines that a server printed or logged; None if the user does not want to see them.
"""
