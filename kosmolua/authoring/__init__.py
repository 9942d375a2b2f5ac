"""Tools for authors of plugins: a generator of new plugins, a linter, and type definitions for editors."""
