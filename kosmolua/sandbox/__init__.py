"""The sandbox: a small process that has a Lua VM, but no credentials, no plugins and no network."""
