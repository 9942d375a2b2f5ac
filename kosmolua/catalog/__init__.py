"""The catalog: finds and loads integrations, and resolves paths in scripts, such as ``app.integrations.github``."""
