"""Schemas of functions: types, which are read from Python signatures or JSON Schema, and how they are spelled."""
