"""The catalog: integrations, where they come from, and what a path means."""
