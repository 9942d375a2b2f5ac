"""Tools for plugin authors: scaffold, lint, and definitions for editors."""
