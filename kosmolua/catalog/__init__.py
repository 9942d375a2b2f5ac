"""The catalog: finds integrations, and resolves paths under ``app``."""
