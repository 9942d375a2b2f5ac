"""Descriptions of functions and types: reads them from Python signatures, JSON Schema and LuaCATS, and writes them."""
