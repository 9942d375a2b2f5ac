"""The MCP server, with which agents run scripts and read documentation. It uses the official SDK.

Everything here calls a :class:`kosmolua.runtime.Runtime`. Nothing in the protocol can extend what that runtime may do.
"""
