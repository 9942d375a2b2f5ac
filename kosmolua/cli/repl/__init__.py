"""The REPL, which reads chunks (pieces of Lua that a user types), runs them and shows their results."""
