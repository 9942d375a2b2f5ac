"""The sandbox: a small process that runs Lua scripts in a VM, without credentials, plugins and network.

- *host*: the process that started this one; *frame*: a message between them, see :mod:`kosmolua.protocol`.
- *prelude*: KosmoLua's own Lua code, the functions and libraries of scripts; *verb*: a Python function for Lua.
- *worker*, *zygote*, *session*: the roles of a process; *job*: a script to run; *chunk*: a piece of a session's Lua.
- *layer*: a kind of isolation, such as resource limits; *step*: what applies one.
- *room*: the bytes that may still be used, above which MemoryError is raised.

Parents prepare what they can before they fork: the fewer memory pages a fork writes to, the earlier it is ready.
"""
