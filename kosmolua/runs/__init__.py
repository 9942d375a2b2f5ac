"""Runs of scripts: the options of a run, and its outcome."""

from __future__ import annotations

from typing import Protocol

from kosmolua.limits import LimitOptions
from kosmolua.runs.job import Outcome as Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Executor

    from kosmolua.calls.approvals import Approve
    from kosmolua.calls.contents import Contents
    from kosmolua.calls.records import Watch
    from kosmolua.clock import Clock
    from kosmolua.flow.memory import SessionMemory
    from kosmolua.lua.site import Site
    from kosmolua.memory import Passage
    from kosmolua.processes.child import Child
    from kosmolua.recordings.planned import Application, Planner
    from kosmolua.runs.recorded import RunRecording
    from kosmolua.secret import Secret


class Recorder(Protocol):
    """Records the chunks of a session, as :class:`kosmolua.runs.session_recording.SessionRecorder` does."""

    path: str

    def take(self, source: bytes, name: str, verb: str) -> RunRecording: ...
    def reset(self) -> None: ...
    def close(self) -> None: ...


class RunOptions(LimitOptions, total=False):
    """The options of one run, including its limits. A missing option has the value of the runtime, or a default."""

    name: str
    """The script's name in messages and tracebacks."""
    args: Sequence[str]
    """The arguments of the script. The script finds them in its variables ``arg`` and ``...``."""
    input: object
    """The value of the script's variable ``input``: a JSON value, bytes for a Lua string, or None for nil."""
    input_of: str | None
    """The run whose result the input is. Its values count as what that run has read, not as what a person said."""
    params: Mapping[str, object] | None
    """The value of the script's variable ``params``. If a header in the script declares its parameters, the values are
    checked against the header, and defaults are added."""
    read_only: bool
    """Deny every write of this run."""
    account: str | None
    """The name of an account. In this run it is the default account of each integration that has an account with this
    name."""
    allow: Sequence[str]
    """Patterns of functions that need no approval in this run, such as ``render2.delete_service``."""
    deny: Sequence[str]
    """Patterns of functions that are denied in this run. They take precedence over all other permissions."""
    check: bool
    """Whether to check the script first, and refuse to run it if it is certain to fail. The command line and the MCP
    server turn this on. In Python it is off by default, since the check takes some milliseconds."""
    planning: Planner | Application | None
    """A Planner, which lists writes in a plan instead of sending them; or an Application, which allows only the writes
    of a plan. :meth:`kosmolua.Runtime.plan` and :meth:`kosmolua.Runtime.apply` set this option."""
    record: str | os.PathLike[str] | bool | None
    """The file in which the run is recorded, which must not exist yet. With True, the recording is kept in the store of
    the runtime, by default in the user's state folder. The outcome has the path of the recording."""
    recorder: Recorder | None
    """The recorder of a session. The script is a chunk of this session, and is appended to the session's recording."""
    approve: Approve | None
    """A function that asks a person to approve a call of this run. The functions ``approve``, ``on_output`` and
    ``watch`` are called in the thread that executes the run, so never at the same time."""
    on_output: Callable[[bytes], None] | None
    """A function that is called with each piece of output as soon as the script has printed it."""
    watch: Watch | None
    """A function that is called with a :class:`kosmolua.calls.records.CallStarted` when a call starts, with a
    ``CallEnded`` when a call ends, and with a ``Waiting`` when the script waits."""
    observe: Watch | None
    """The same, but called in the thread of the call, in one at a time, so that no thread waits for another. A server
    sets this option."""
    contents: Contents | None
    """The store of the binary data to which the chunks of a session have handles.
    :class:`kosmolua.runs.session.Session` sets this option."""
    known: Collection[str] | None
    """The names of all globals that a chunk of a session finds, for its check; None for a script, which finds only what
    every script has. :class:`kosmolua.runs.session.Session` sets this option."""
    sites: Sequence[Site]
    """The places of calls, for the guards of the run, if the script was checked already (``report.sites``)."""
    child: Child | None
    """A child process that was started for this script. By default the runtime provides one."""
    run: str | None
    """The id of the run, which has twelve hexadecimal digits; by default a new one."""
    park: Callable[[float], None] | None
    """A function that arranges for a recorded run to be resumed at a time, in seconds since 1970. With it, the run ends
    with the status ``waiting`` when the script sleeps for a minute or longer and does nothing else meanwhile."""
    room: Passage | None
    """The memory that is reserved for what the run prints and returns, until whoever gave it frees it. A long output is
    kept in a temporary file meanwhile. A server sets this option; by default the memory has no limit but those of the
    run."""
    pace: Callable[[Clock], None] | None
    """A function that each thread of the run calls again and again with the run's clock, and which can keep it waiting.
    A server sets this option, so that its tenants share the time of the interpreter."""
    seen: SessionMemory | None
    """What the client's session has seen, to tell where destinations come from; None if the run is a session."""
    client: str | None
    """The name of the client that the run belongs to, in a server with several clients. The workers are shared fairly
    among the clients."""
    title: str | None
    """A line that says what the run is for, by which people recognise it. By default the first sentence of the script's
    first comment, or else its name."""
    fleet: Mapping[str, object] | None
    """The fleet that the run belongs to: its ``id``, its ``title``, and its ``size``, the number of its runs."""
    software: str | None
    """The client's own name and version, such as ``claude-code 2.1``."""
    task: Mapping[str, object] | None
    """What an MCP server needs to answer for the run after a restart, if the run is a task of its client."""
    subject: Secret | None
    """The token of the person who is logged in, for accounts that act on their behalf. It is not recorded."""
    person: str | None
    """The name of the person who is signed in; if the run is resumed, of the person who decided about its calls."""


class MapOptions(RunOptions, total=False):
    """The options of :meth:`kosmolua.Runtime.map`, which explains them, and of each run."""

    accounts: Sequence[str] | None
    executor: Executor | None
    limit: int | None
    ordered: bool
    retries: int
    recordings: str | os.PathLike[str] | None


DEFAULTS: RunOptions = {
    **dict.fromkeys(RunOptions.__annotations__),  # type: ignore[typeddict-item]
    "name": "script.lua",
    "args": (),
    "sites": (),
    "allow": (),
    "deny": (),
    "read_only": False,
    "check": False,
}
"""The values of the options that are not given; None for those that are not listed."""
