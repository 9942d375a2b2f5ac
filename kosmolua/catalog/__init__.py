"""The catalog: finds and loads integrations, and finds what the paths in scripts, such as ``app.integrations.x``, name."""
