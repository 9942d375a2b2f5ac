"""The MCP server, with which agents run scripts and read documentation. It uses the official MCP SDK.

Everything is done with a :class:`kosmolua.runtime.Runtime`. No MCP request can do more than this runtime permits.
"""
