"""Runs of scripts: what a caller says of one, and what it gets back."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias, TypedDict

from kosmolua.errors import Interrupted, KosmoError, LimitExceeded, Paused

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
    """Records a session, see :class:`kosmolua.runs.session_recording.SessionRecorder`."""

    path: str

    def take(self, source: bytes, name: str, verb: str) -> Take:
        """Return the take of the next chunk."""

    def reset(self) -> None:
        """Note that the session forgets its state."""

    def close(self) -> None:
        """End the recording."""


class RunOptions(TypedDict, total=False):
    """Options of one run; the runtime's settings apply to those that are left out."""

    name: str
    """The script's name in messages and tracebacks."""
    args: Sequence[str]
    """The script's arguments, in ``arg`` and ``...``."""
    input: object
    """What the script finds in ``input``: what JSON can carry, bytes for a string, or None for nil."""
    params: Mapping[str, object]
    """The script's parameters, in ``params``: checked against its header if it has one, which also has defaults."""
    read_only: bool
    """Deny every write of this run."""
    account: str
    """The account that is the default one in this run, for each integration that has it."""
    allow: Sequence[str]
    """Patterns of functions that need no approval in this run, such as ``render2.delete_service``."""
    deny: Sequence[str]
    """Patterns of functions that are denied in this run, whatever else is said."""
    check: bool
    """Check the script first, and refuse to run one that is certain to fail, before anything is sent. The command line
    and the MCP server do; here it takes some milliseconds and is off by default."""
    planning: Planner | Application | None
    """Notes writes instead of sending them, or allows those of a plan alone, see :meth:`kosmolua.Runtime.plan`."""
    record: str | os.PathLike[str] | bool
    """Keep a recording in this file, which must not exist yet; True for one in the user's state folder. The outcome
    says where it is."""
    recorder: Recorder
    """Keeps a recording of a session, to which this chunk is appended."""
    approve: Approve | None
    """Asks a person about a call of this run. This, ``on_output`` and ``watch`` are called by the thread that runs the
    script, one at a time."""
    on_output: Callable[[bytes], None]
    """Called with each piece of output as the script prints it."""
    watch: Watch
    """Called when a call starts, with a :class:`kosmolua.broker.records.CallStarted`, and when it ends, with a
    ``CallEnded``; and with ``Waiting`` when the script waits."""
    contents: Contents | None
    """Keeps the bytes that the scripts of a session have handles of."""
    child: Child | None
    """A child process that was started earlier, for this script only."""
    run: str
    """The id of the run, of twelve hexadecimal digits; by default a new one."""
    client: str | None
    """Whose run it is, in a server of several clients: each gets its share of the workers."""
    timeout: float | None
    """Seconds on the wall; this and the others are explained in :class:`kosmolua.limits.Limits`."""
    cpu: float | None
    """Seconds of processor time."""
    call_timeout: float | None
    """Seconds that one call may take."""
    memory: int | None
    """Bytes in the Lua VM."""
    max_calls: int | None
    """Calls of integration functions."""
    max_output: int | None
    """Bytes printed."""


class Outcome:
    """The outcome of a script.

    Args:
        result: The values that it returned.
        output: What it printed; bytes that are not UTF-8 are U+FFFD here.
        error: What ended it, or None.
        calls: For each call ``path``, ``account``, ``effect``, ``status``, ``duration_ms`` and ``error``.
        usage: ``wall_ms``, ``cpu_ms``, ``memory_bytes``, ``calls``, ``output_bytes``, and in ``isolation`` the layers
            around the sandbox that were in force; what is not known is left out.
        warnings: What is likely wrong with the script, a sentence each, if it was checked.
        exit: The exit status that the script asked for, if it did.

    ``recording`` is the path of the recording, if one was kept, and ``run`` the id of the run in the journal, if it
    made calls; ``plan`` is the plan as JSON values, if one was made. ``key`` and ``account`` say which input of a fleet
    it is the outcome of.
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
        """Whether the script ran to its end."""
        return self.error is None

    @property
    def status(self) -> Status:
        """How it ended: ``done``, ``failed``, ``limit``, ``interrupted`` or ``paused``."""
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
