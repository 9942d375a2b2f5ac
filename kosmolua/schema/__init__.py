"""Descriptions of functions and types: reads them from Python signatures, JSON Schema and LuaCATS, and writes them.

LuaCATS are annotations of types in Lua comments, such as ``---@param days integer``.
"""
