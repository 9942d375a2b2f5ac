"""The MCP server, with which agents run scripts and read documentation. It uses the official SDK.

Everything here calls a :class:`kosmolua.runtime.Runtime`. No MCP request can do more than that runtime permits.
"""
