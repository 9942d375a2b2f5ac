"""Tasks of a fleet: each is one run of the script, in this process or in another one."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import Any, Protocol

from kosmolua.broker.answers import calls_of
from kosmolua.broker.recording import Recording, read
from kosmolua.errors import Busy, ConfigError, KosmoError, UsageError, WorkerLost
from kosmolua.lua.header import Header, read_header
from kosmolua.runs import Outcome
from kosmolua.runs.job import as_bytes
from kosmolua.runs.telemetry import going_on

PLUGINS = "kosmolua_integrations_"
"""The prefix of the names of plugins' modules, which the catalog imports."""


class Runtime(Protocol):
    """Runs scripts: a :class:`kosmolua.runtime.Runtime`, which is pickled as its options."""

    @property
    def catalog(self) -> Any:
        """Every integration."""

    @property
    def run(self) -> Callable[..., Outcome]:
        """Runs a script."""

    @property
    def resume(self) -> Callable[..., Outcome]:
        """Continues a recorded run."""


@dataclass(frozen=True)
class Script:
    """The script of a fleet.

    Args:
        source: Its text.
        options: Options of each run, as :class:`kosmolua.runs.RunOptions` names them.
    """

    source: bytes
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def header(self) -> Header:
        """The header of the script."""
        return read_header(self.source, str(self.options.get("name", "script.lua")))


@dataclass(frozen=True)
class Task:
    """One run of the script.

    Args:
        key: Identifies the input.
        input: The value that the script finds in ``input``, and in ``params`` if it has a header.
        account: The default account in this run; None for the one of the accounts file.
        recording: The file that keeps the run's recording, or None. If it already exists, the run goes on from it.
        settle: How to treat writes that were under way when an earlier attempt was killed: ``done`` to count them as
            done, ``again`` to send them again; by default the run is not resumed.
    """

    key: Any
    input: Any
    account: str | None = None
    recording: str | None = None
    settle: str = ""


def tasks_of(
    inputs: Iterable[tuple[Any, Any]], accounts: Sequence[str], folder: str | os.PathLike[str] | None
) -> Iterator[Task]:
    """Yield a task for each input, or one for each input and account.

    Args:
        inputs: Keys and inputs.
        accounts: The accounts to use as the default, one task for each; if empty, that of the accounts file is used.
        folder: The folder of recordings, or None.
    """
    for key, value in inputs:
        for account in accounts or (None,):
            recording = None if folder is None else os.path.join(folder, recording_name(key, account))
            yield Task(key, value, account, recording)


def recording_name(key: object, account: str | None) -> str:
    """Return the name of the file that keeps the recording of an input's run."""
    said = json.dumps([key, account], default=str)
    plain = re.sub(r"[^\w.-]+", "_", f"{key}" if account is None else f"{key}.{account}")[:60]
    return f"{plain}-{sha256(said.encode()).hexdigest()[:10]}.jsonl"


def perform(runtime: Runtime, script: Script, task: Task) -> Outcome:
    """Run a task and return its outcome, with the task's key and account."""
    try:
        outcome = _run(runtime, script, task)
    except KosmoError as error:
        outcome = Outcome([], "", error, [])
    outcome.key, outcome.account = task.key, task.account
    return outcome


class NotPortable(UsageError, TypeError):
    """A runtime or an input cannot be sent to another process."""


def pack(runtime: Runtime, script: Script, tasks: Sequence[Task], trace: Mapping[str, str] | None = None) -> bytes:
    """Return tasks as bytes for another process.

    Args:
        runtime: Runs them; another process opens one with the same options.
        script: The script.
        tasks: The tasks.
        trace: The trace that they belong to, as :func:`kosmolua.runs.telemetry.carried` returns it.

    Raises:
        NotPortable: Something in them cannot be pickled.
    """
    try:
        # Random bytes are added, since dask does equal bytes only once.
        return pickle.dumps((runtime, script, tasks, trace, os.urandom(8)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise NotPortable(f"The tasks cannot be sent to another process: {error}") from None


def perform_apart(packed: bytes) -> bytes:
    """Run tasks in a process other than the fleet's, one after another, and return the packed outcomes."""
    runtime, script, tasks, trace, _ = pickle.loads(packed)
    with going_on(trace):
        return pickle.dumps([_carried(perform(runtime, script, task)) for task in tasks])


def _carried(outcome: Outcome) -> Outcome:
    """Return an outcome that can be pickled: a plugin's error may contain anything."""
    try:
        pickle.dumps(outcome.error)
    except Exception as error:  # noqa: BLE001 - whatever the plugin's own types raise
        assert outcome.error
        plain = KosmoError(
            outcome.error.message, detail=f"its {type(outcome.error).__name__} is not picklable: {error}"
        )
        plain.code = outcome.error.code
        outcome.error = plain
    return outcome


def unpack(packed: bytes, runtime: Runtime) -> list[Outcome]:
    """Return outcomes from another process. Types of plugins are found by this process's own catalog."""
    outcomes: list[Outcome] = _Unpickler(BytesIO(packed), runtime).load()
    return outcomes


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BytesIO, runtime: Runtime) -> None:
        super().__init__(stream)
        self._runtime = runtime

    def find_class(self, module: str, name: str) -> Any:
        """Return a class. If it is in a plugin's module, load the plugin first."""
        if module.startswith(PLUGINS):
            with suppress(KosmoError):
                self._runtime.catalog.integration(module.split(".")[1])
        return super().find_class(module, name)


def may_repeat(outcome: Outcome) -> bool:
    """Return True if a run failed for a temporary reason and has written nothing."""
    sent = [call for call in outcome.calls if call["status"] != "refused"]
    if outcome.ok or any(call["effect"] not in ("read", None) for call in sent):
        return False
    return isinstance(outcome.error, (Busy, WorkerLost)) or getattr(outcome.error, "retryable", None) is True


def _run(runtime: Runtime, script: Script, task: Task) -> Outcome:
    options: dict[str, Any] = {**script.options, "input": task.input}
    if task.account:
        options["account"] = task.account
    if isinstance(task.input, dict) and b"---@" in script.source and script.header.is_declared:
        options["params"] = task.input
    if not task.recording:
        return runtime.run(script.source, **options)
    os.makedirs(os.path.dirname(task.recording), mode=0o700, exist_ok=True)
    _wait_for_other(task.recording)
    earlier = _recording(task.recording)
    if earlier is None or not (earlier.status == "done" or _has_written(earlier)):
        with suppress(FileNotFoundError):
            os.unlink(task.recording)
        return runtime.run(script.source, **options, record=task.recording)
    open_writes = _under_way(earlier)
    settled: dict[str, Any] = {}
    if task.settle == "done":
        settled["done"] = dict.fromkeys(open_writes)
    elif task.settle == "again":
        settled["again"] = open_writes
    changed = None if as_bytes(script.source) == _source(earlier) else script.source
    own = {name: value for name, value in options.items() if name not in ("input", "params")}
    return runtime.resume(task.recording, script=changed, **settled, **own)


def _wait_for_other(path: str) -> None:
    """Wait until no other process writes a recording: a process of a killed fleet may still write it."""
    try:
        import fcntl

        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
    except (ImportError, FileNotFoundError):
        return


def _recording(path: str) -> Recording | None:
    """Return a recording, or None if there is none with a complete line."""
    try:
        return read(path) if os.path.getsize(path) else None
    except FileNotFoundError:
        return None
    except ConfigError:
        with open(path, "rb") as file:
            if b"\n" in file.read():
                raise
        return None


def _has_written(recording: Recording) -> bool:
    """Return True if a run has sent a write, or may have sent one."""
    return any(event["event"] == "intent" for event in recording.events)


def _under_way(recording: Recording) -> list[int]:
    """Return the numbers of writes that were sent and have no answer."""
    return [number for number, call in calls_of(recording).items() if call.get("status") == "unknown"]


def _source(recording: Recording) -> bytes:
    from kosmolua.runs.recorded import source_of

    return source_of(recording.script)
