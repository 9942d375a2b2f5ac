"""Runs of scripts: the options of a run, and its outcome."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from kosmolua.errors import Interrupted, KosmoError, LimitExceeded, Paused
from kosmolua.limits import LimitOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from kosmolua.broker.approvals import Approve
    from kosmolua.broker.contents import Contents
    from kosmolua.broker.planning import Application, Planner
    from kosmolua.broker.records import Watch
    from kosmolua.processes.child import Child
    from kosmolua.runs.recorded import Take

Status: TypeAlias = Literal["done", "failed", "limit", "interrupted", "paused"]


class Recorder(Protocol):
    """Records a session. See :class:`kosmolua.runs.session_recording.SessionRecorder`."""

    path: str

    def take(self, source: bytes, name: str, verb: str) -> Take:
        """Return the take that records the next chunk."""

    def reset(self) -> None:
        """Record that the session loses its state."""

    def close(self) -> None:
        """End the recording."""


class RunOptions(LimitOptions, total=False):
    """Options of one run, its limits among them. For an option that is left out, the runtime's setting applies."""

    name: str
    """The script's name in messages and tracebacks."""
    args: Sequence[str]
    """The script's arguments, in ``arg`` and ``...``."""
    input: object
    """The script's ``input``: a value that JSON can carry, bytes for a Lua string, or None for nil."""
    params: Mapping[str, object]
    """The script's ``params``. If the script has a header, they are checked against it, and defaults are added."""
    read_only: bool
    """Deny every write of this run."""
    account: str
    """The default account in this run, for each integration that has an account of this name."""
    allow: Sequence[str]
    """Patterns of functions that need no approval in this run, such as ``render2.delete_service``."""
    deny: Sequence[str]
    """Patterns of functions that are denied in this run. They take precedence over all other permissions."""
    check: bool
    """Check the script first, and refuse to run it if it is certain to fail. The command line and the MCP server turn
    this on. In Python it is off by default, since it takes some milliseconds."""
    planning: Planner | Application | None
    """A planner notes writes instead of sending them; an application allows only the writes of a plan. See
    :meth:`kosmolua.Runtime.plan`."""
    record: str | os.PathLike[str] | bool
    """Keep a recording in this file, which must not exist yet; True for a file in the user's state folder. The outcome
    has its path."""
    recorder: Recorder
    """Records a session; this chunk is appended to the recording."""
    approve: Approve | None
    """Asks a person to approve a call of this run. ``approve``, ``on_output`` and ``watch`` are called by the thread
    that runs the script, one at a time."""
    on_output: Callable[[bytes], None]
    """Called with each piece of output as the script prints it."""
    watch: Watch
    """Called when a call starts, with a :class:`kosmolua.broker.records.CallStarted`, and when it ends, with a
    ``CallEnded``; and with ``Waiting`` when the script waits."""
    contents: Contents | None
    """Keeps the bytes that the chunks of a session have handles to."""
    child: Child | None
    """A child process that was started earlier, for this script only."""
    run: str
    """The id of the run: twelve hexadecimal digits; by default a new one."""
    client: str | None
    """The client that the run belongs to, in a server of several clients: each gets its share of the workers."""


class Outcome:
    """The outcome of a script.

    Args:
        result: The values that the script returned.
        output: The text that it printed, with U+FFFD in place of bytes that are not UTF-8.
        error: The error that ended it, or None.
        calls: For each call ``path``, ``account``, ``effect``, ``status``, ``duration_ms`` and ``error``.
        usage: ``wall_ms``, ``cpu_ms``, ``memory_bytes``, ``calls``, ``output_bytes``, and in ``isolation`` the names
            of the isolation layers that were in force. Unknown values are left out.
        warnings: Sentences about likely mistakes in the script, if it was checked, and about the run.
        exit: The exit status that the script asked for, or None.

    ``recording`` is the path of the recording, if one was kept, and ``run`` the id of the run in the journal, if it
    made calls. ``plan`` is the plan as JSON values, if one was made. In a fleet, ``key`` and ``account`` identify the
    input that the outcome belongs to.
    """

    def __init__(
        self,
        result: list[Any],
        output: str,
        error: KosmoError | None,
        calls: list[dict[str, object]],
        usage: dict[str, Any] | None = None,
        warnings: Sequence[str] = (),
        exit: int | None = None,
    ) -> None:
        self.result = result
        self.exit = exit
        self.output = output
        self.error = error
        self.calls = calls
        self.usage = usage or {}
        self.warnings = list(warnings)
        self.recording: str | None = None
        self.run: str | None = None
        self.key: Any = None
        self.account: str | None = None
        self.plan: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Outcome({self.to_json()!r})"

    @property
    def ok(self) -> bool:
        """Whether the script ended without an error."""
        return self.error is None

    @property
    def status(self) -> Status:
        """How the script ended: ``done``, ``failed``, ``limit``, ``interrupted`` or ``paused``."""
        if self.error is None:
            return "done"
        if isinstance(self.error, LimitExceeded):
            return "limit"
        if isinstance(self.error, Interrupted):
            return "interrupted"
        return "paused" if isinstance(self.error, Paused) else "failed"

    def to_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        kept: dict[str, object] = {"recording": self.recording} if self.recording else {}
        kept |= {"plan": self.plan} if self.plan else {}
        return {
            "ok": self.ok,
            "status": self.status,
            "result": self.result,
            "output": self.output,
            "error": self.error.report() if self.error else None,
            "warnings": self.warnings,
            "calls": self.calls,
            "usage": self.usage,
            **kept,
        }
