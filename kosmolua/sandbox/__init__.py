"""The sandbox: a small process that runs Lua scripts in a VM. It has no credentials, no plugins and no network."""
