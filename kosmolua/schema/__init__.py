"""Describes functions and their types, read from Python signatures, JSON Schema or LuaCATS, and writes them out."""
