"""The catalog: finds and loads integrations, and resolves paths in scripts, such as ``app.integrations.github``.

- *provider*: finds the integrations of one root; *plugin*: an integration that was loaded, and where it was found.
- *target*: the function, integration and account of a call, with the rule that decides it.
- *server*: an MCP server, an integration under ``app.mcp``; its *card* is a record of what it offered when last
  connected.
- *document*: an OpenAPI document, whose operations become functions; see :mod:`kosmolua.openapi`.
"""
