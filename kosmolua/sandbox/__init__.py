"""The sandbox: a small process with a Lua VM, no credentials, no plugins and no network."""
