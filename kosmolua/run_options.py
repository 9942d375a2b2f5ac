"""What can be said of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

from kosmolua.journal import Watch
from kosmolua.policy import Approve
from kosmolua.processes.children import Child


class RunOptions(TypedDict, total=False):
    """What can be said of one run; what is not said is as the runtime has it."""

    name: str
    """The script's name in messages and tracebacks."""
    args: Sequence[str]
    """What the script finds in ``arg`` and ``...``."""
    read_only: bool
    """Deny every write of this run."""
    approve: Approve | None
    """Asks a person about a call of this run. The thread that runs it calls this, ``on_output`` and ``watch``, one at a
    time."""
    on_output: Callable[[bytes], None]
    """Is given what the script prints, piece by piece, as it happens."""
    watch: Watch
    """Told of each call's record when it starts and when it ends."""
    child: Child | None
    """A worker that was started earlier, for this script only."""
    timeout: float | None
    """Seconds on the wall; this and the others are explained in :class:`kosmolua.limits.Limits`."""
    cpu: float | None
    """Seconds of processor time."""
    memory: int | None
    """Bytes in the Lua VM."""
    max_calls: int | None
    """Calls of integration functions."""
    max_output: int | None
    """Bytes printed."""
