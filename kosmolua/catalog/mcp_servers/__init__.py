"""MCP servers as integrations under ``app.mcp``: a server's tools become functions that scripts can call."""
