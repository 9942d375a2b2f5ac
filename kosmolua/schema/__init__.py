"""Schemas of functions: types, read from Python signatures or JSON Schema, and their spellings."""
