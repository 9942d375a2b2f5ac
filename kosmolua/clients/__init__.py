"""The settings files of MCP clients, into which ``kosmolua install`` writes an entry, and takes it out again.

- *client*: a program that starts MCP servers, such as an editor; *entry*: what its file says about one server.
- *format*: JSON (with comments), TOML or YAML. Each edit changes only the entry's own characters.
"""
