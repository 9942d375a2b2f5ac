"""The MCP server: what agents reach over the Model Context Protocol, on the official SDK.

Everything here is one more caller of a :class:`kosmolua.runtime.Runtime`; nothing in the protocol can widen what that
runtime may do.
"""
