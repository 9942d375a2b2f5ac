"""MCP servers as integrations: their settings, tools, results, connections, and the cache of their descriptions."""
