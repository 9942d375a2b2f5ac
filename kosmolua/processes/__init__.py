"""The sandbox processes that scripts run in, from the host's side: started, ended, and limited in number.

- *frame*: a message between host and child, a line of JSON; see :mod:`kosmolua.protocol`.
- *worker*: a process that runs scripts (*jobs*); *zygote*: a warm process that forks workers; *spare*: a worker that
  waits for a script. *Terms*: the limits of a worker before its job is known.
- *session*: processes that run chunks of Lua one after another in one VM.
- *place*: what an active run has in the pool; *turn*: a run that waits for a place or has one; *slot*: a place shared
  with other servers; *client*: whom a run belongs to, None for the program itself, which can use all places.
- *role*: the module of ``kosmolua.sandbox`` that a process runs: ``worker``, ``zygote`` or ``session``.
- *incoming* and *outgoing*: the descriptors of the pipes from and to a child.

The exit status of a process is negative if a signal ended it. A process that cannot be started raises WorkerLost, or
OSError below the pool. In a fork of the program, ``leave`` and ``start_anew`` let go of what belongs to the parent.
"""
