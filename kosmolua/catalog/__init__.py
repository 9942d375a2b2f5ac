"""The catalog: finds and loads integrations, and resolves the paths under ``app`` that scripts name."""
