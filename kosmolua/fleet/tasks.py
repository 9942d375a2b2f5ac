"""The tasks of a fleet. Each task is one run of the fleet's script, in this process or in another one."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from time import monotonic
from typing import Any, Protocol

from kosmolua.errors import Busy, ConfigError, KosmoError, UsageError, WorkerLost
from kosmolua.fleet.executors import keep_worker_alive
from kosmolua.fleet.recordings import FleetRecordings, locked
from kosmolua.limits import Limits
from kosmolua.lua.header import Header, read_header
from kosmolua.recordings.answers import calls_of
from kosmolua.recordings.recording import Recording, read
from kosmolua.runs import Outcome
from kosmolua.runs.job import as_bytes
from kosmolua.runs.telemetry import going_on

MAX_BATCH_SECONDS = 10.0
"""How many seconds a batch of tasks may have taken when another of its tasks is begun."""
MARGIN = 30.0
"""Seconds that a run may take beyond its limit of elapsed time: to be started, and to be ended."""
PLUGINS = "kosmolua_integrations_"
"""The prefix of the names of plugins' modules. The catalog imports these modules."""


class ScriptRunner(Protocol):
    """The part of :class:`kosmolua.runtime.Runtime` that a fleet uses. Pickling a runtime stores only its options."""

    @property
    def catalog(self) -> Any:
        """The catalog of all integrations."""

    @property
    def limits(self) -> Limits:
        """The limits of each run."""

    @property
    def run(self) -> Callable[..., Outcome]:
        """The method that runs a script and returns its outcome."""

    @property
    def resume(self) -> Callable[..., Outcome]:
        """The method that continues a recorded run and returns its outcome."""


@dataclass(frozen=True)
class FleetScript:
    """The script that a fleet runs for each input, with options of :class:`kosmolua.runs.RunOptions`."""

    source: bytes
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def header(self) -> Header:
        """The header of the script: its description and parameters, from the comments at its beginning."""
        return read_header(self.source, str(self.options.get("name", "script.lua")))


@dataclass(frozen=True)
class Task:
    """One run of the script of a fleet.

    Args:
        key: A value that identifies the input in outcomes and ledgers.
        input: The value that the script finds in ``input`` and, if it declares parameters, also in ``params``.
        account: The default account of this run, or None for the default account in the accounts file.
        recording: The path of the file to record the run in, or None. If the file already holds a recording in which
            something was written or the run ended, the run is resumed from that recording.
        fleet: The id of the fleet that the recording belongs to, or empty if the recording is kept for the user. When
            this fleet has ended, the task does nothing.
        settle: How to treat writes that were under way when an earlier attempt was killed: ``done`` counts them as
            done, ``again`` sends them again. By default, such a run fails and is not resumed.
        result: The result that the script gets for writes that count as done.
        approve: True to approve the calls that an earlier attempt waits for.
    """

    key: Any
    input: Any
    account: str | None = None
    recording: str | None = None
    fleet: str = ""
    settle: str = ""
    result: Any = None
    approve: bool = False


def tasks_of(
    inputs: Iterable[tuple[Any, Any]], accounts: Sequence[str], recordings: FleetRecordings | None
) -> Iterator[Task]:
    """Yield a task for each pair of a key and an input or, if there are ``accounts``, for each input and account.

    Without ``recordings``, nothing is recorded.
    """
    for key, value in inputs:
        for account in accounts or (None,):
            if recordings is None:
                yield Task(key, value, account)
            else:
                yield Task(key, value, account, recordings.of(key, account), recordings.fleet)


def perform(runtime: ScriptRunner, script: FleetScript, task: Task) -> Outcome:
    """Run a task in this process. Return its outcome, with the key and account of the task."""
    try:
        outcome = _run(runtime, script, task)
    except KosmoError as error:
        outcome = Outcome([], "", error, [])
    outcome.key, outcome.account = task.key, task.account
    return outcome


class NotPortable(UsageError, TypeError):
    """A runtime, script or input cannot be pickled, so it cannot be sent to another process."""


def pack(
    runtime: ScriptRunner, script: FleetScript, tasks: Sequence[Task], trace: Mapping[str, str] | None = None
) -> bytes:
    """Encode tasks as bytes for :func:`perform_apart`, which runs them in another process, with the runtime's options.

    ``trace`` is what :func:`kosmolua.runs.telemetry.carried` returned.

    Raises:
        NotPortable: Something in the tasks cannot be pickled.
    """
    try:
        # Random bytes are added, since dask does equal bytes only once.
        return pickle.dumps((runtime, script, tasks, trace, os.urandom(8)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise NotPortable(f"The tasks cannot be sent to another process: {error}") from None


def perform_apart(packed: bytes) -> bytes:
    """Run the tasks from :func:`pack` one after another, in another process. Return the outcomes as bytes.

    :func:`unpack` decodes these bytes in the fleet's process. After ``MAX_BATCH_SECONDS``, no further task is begun, so
    that there are fewer outcomes than tasks.
    """
    keep_worker_alive()
    runtime, script, tasks, trace, _ = pickle.loads(packed)
    outcomes, ends = [], monotonic() + MAX_BATCH_SECONDS
    with going_on(trace):
        for task in tasks:
            outcomes.append(_picklable(perform(runtime, script, task)))
            if monotonic() > ends:
                break
    return pickle.dumps(outcomes)


def _picklable(outcome: Outcome) -> Outcome:
    """Make an outcome picklable and return it: a plugin's error that cannot be pickled becomes a KosmoError."""
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


def unpack(packed: bytes, runtime: ScriptRunner) -> list[Outcome]:
    """Decode the outcomes of :func:`perform_apart`. The runtime's catalog loads plugins whose types they have."""
    outcomes: list[Outcome] = _Unpickler(BytesIO(packed), runtime).load()
    return outcomes


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BytesIO, runtime: ScriptRunner) -> None:
        super().__init__(stream)
        self._runtime = runtime

    def find_class(self, module: str, name: str) -> Any:
        """Return the class ``name`` of a module. If the module belongs to a plugin, load the plugin first."""
        if module.startswith(PLUGINS):
            with suppress(KosmoError):
                self._runtime.catalog.integration(module.split(".")[1])
        return super().find_class(module, name)


def may_repeat(outcome: Outcome) -> bool:
    """Return True if a run failed for a temporary reason and wrote nothing."""
    sent = [call for call in outcome.calls if call["status"] != "refused"]
    if outcome.ok or any(call["effect"] not in ("read", None) for call in sent):
        return False
    return isinstance(outcome.error, (Busy, WorkerLost)) or getattr(outcome.error, "retryable", None) is True


def _run(runtime: ScriptRunner, script: FleetScript, task: Task) -> Outcome:
    options: dict[str, Any] = {**script.options, "input": task.input}
    if task.account:
        options["account"] = task.account
    if fleet := options.get("fleet"):
        named = task.key if task.account is None else f"{task.key} with {task.account}"
        options["title"] = f"{fleet['title']}: {named}"
    if isinstance(task.input, dict) and b"---@" in script.source and script.header.is_declared:
        options["params"] = task.input
    if not task.recording:
        return runtime.run(script.source, **options)
    with locked(task.recording, task.fleet, runtime.limits.timeout + MARGIN):
        earlier = _recording(task.recording)
        waits = task.approve and earlier is not None and earlier.status == "paused"
        has_written = earlier is not None and any(event["event"] == "intent" for event in earlier.events)
        if earlier is None or not (earlier.status == "done" or waits or has_written):
            with suppress(FileNotFoundError):
                os.unlink(task.recording)
            return runtime.run(script.source, **options, record=task.recording)
        return _resume(runtime, script, task, earlier, options)


def _resume(
    runtime: ScriptRunner, script: FleetScript, task: Task, earlier: Recording, options: Mapping[str, Any]
) -> Outcome:
    from kosmolua.runs.recorded import source_of

    decided: dict[str, Any] = {}
    if task.settle == "done":
        decided["done"] = dict.fromkeys(_under_way(earlier), task.result)
    elif task.settle == "again":
        decided["again"] = _under_way(earlier)
    if task.approve and earlier.status == "paused":
        decided["approve"] = True
    changed = None if as_bytes(script.source) == source_of(earlier.script) else script.source
    own = {name: value for name, value in options.items() if name not in ("input", "params")}
    return runtime.resume(earlier.path, script=changed, **decided, **own)


def _recording(path: str) -> Recording | None:
    """Read the recording in a file. Return None if the file does not exist or has no complete line."""
    try:
        return read(path) if os.path.getsize(path) else None
    except FileNotFoundError:
        return None
    except ConfigError:
        with open(path, "rb") as file:
            if b"\n" in file.read():
                raise
        return None


def _under_way(recording: Recording) -> list[int]:
    """Return the numbers of those calls in a recording that are writes without a known result."""
    return [number for number, call in calls_of(recording).items() if call.get("status") == "unknown"]
