"""Jobs, endings and outcomes: what a sandbox process is told to run, how the script ended, and what a run returns.

The last message (frame) of the process says how the script ended. If there is none, the exit status of the process
does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module signal makes enums, which takes longer
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeGuard, TypeVar, overload

from kosmolua import protocol
from kosmolua.errors import (
    RESERVED_CODES,
    Exited,
    Interrupted,
    KosmoError,
    LimitExceeded,
    Parked,
    Paused,
    ScriptError,
    WorkerLost,
)
from kosmolua.expressions import regex
from kosmolua.limits import REPORTED, Limits
from kosmolua.processes.launch import SIGKILL
from kosmolua.protocol import JsonObject

if TYPE_CHECKING:
    from kosmolua.calls.facts import Fact, Facts
    from kosmolua.calls.records import CallRecord
    from kosmolua.protocol import Json

_CPU_SIGNALS = {getattr(_signal, name) for name in ("SIGPROF", "SIGXCPU") if hasattr(_signal, name)}
_LARGEST_NUMBER = 2**53
_FENCED = regex(rb"(\s*```[a-z]*[ \t]*\r?\n)(.*\n)```\s*", re.DOTALL)
MAX_EXIT = 63
MAX_LOSSES = 20
_WORD = regex(r"[^\s\x00-\x1f\x7f]{1,100}")
MAX_TEXT = 16 * 1024
"""The length to which a message or a traceback from a sandbox process is cut, in characters."""
OUT_OF_MEMORY = "the system may be out of memory: run the script again, or run fewer scripts at once"
NO_ROOM = "The sandbox cannot be started: the system allows no further process"
Status: TypeAlias = Literal["done", "failed", "limit", "interrupted", "paused", "waiting"]
Frame = TypeVar("Frame")
Refused = Callable[[int], "KosmoError | None"]
"""A function from the number of a request to the error that was its answer; None if the answer was no error."""


class Job(NamedTuple):
    """What a sandbox process has to run: a script, and the values that the script's variables have at the start.

    Args:
        source: The text of the script.
        name: The script's name in messages.
        arguments: The values of ``arg`` and ``...``.
        input: The value of ``input`` as JSON; None for nil. Bytes that are not UTF-8 are lone surrogates in it.
        params: The value of ``params``.
        secrets: The names in ``secrets``.
        asks_time: Whether the process asks the host for the time whenever the script reads a clock.
        seed: The seed of the random numbers, in hex; None for numbers that differ in each run.
        is_planned: Whether writes are only listed in a plan and not sent.
    """

    source: bytes
    name: str
    arguments: Sequence[str] = ()
    input: object = None
    params: Mapping[str, object] = MappingProxyType({})
    secrets: Sequence[str] = ()
    asks_time: bool = False
    seed: str | None = None
    is_planned: bool = False

    def frame(self, limits: Limits, *, isolated: bool) -> bytes:
        """Return the frame that tells a process to run the script, if ``isolated`` only with all isolation layers."""
        chunk = self.name if self.name.startswith("=") else f"@{self.name}"
        name, *arguments = (each.encode("utf-8", "surrogateescape") for each in (chunk, *self.arguments))
        return protocol.frame(
            "job",
            source=protocol.to_text(self.source),
            name=protocol.to_text(name),
            args=[protocol.to_text(argument) for argument in arguments],
            limits=vars(limits),
            isolated=isolated,
            asks_time=self.asks_time,
            input=self.input,
            params=dict(self.params),
            secrets=list(self.secrets),
            seed=self.seed,
            is_planned=self.is_planned,
        )


def as_bytes(source: str | bytes) -> bytes:
    """Return a script as bytes. Text is encoded as UTF-8, with the option ``surrogateescape``."""
    return source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source


def chunk_of(source: bytes) -> bytes:
    """Return a script in a form that Lua's ``load`` accepts. Every line keeps its number.

    A byte order mark is removed, and so are the lines with ``` around a script that was copied from Markdown. A first
    line that begins with ``#`` becomes a comment, as in the program ``lua``.
    """
    source = source.removeprefix(b"\xef\xbb\xbf")
    if fenced := _FENCED.fullmatch(source):
        source = b"\n" * fenced[1].count(b"\n") + fenced[2]
    return b"--" + source if source.startswith(b"#") else source


class Ending(NamedTuple):
    """How a script ended: its result, the error that ended it, and the exit status that it requested, if any.

    ``usage`` has what is known of ``cpu_ms``, ``memory_bytes`` and ``isolation``; ``losses`` a sentence about each part
    of the result that JSON cannot represent.
    """

    result: Sequence[Any] = ()
    error: KosmoError | None = None
    usage: Mapping[str, Any] = MappingProxyType({})
    exit: int | None = None
    losses: Sequence[str] = ()


class Usage(JsonObject):
    """What a run used. A value is None if it is not known.

    Attributes:
        wall_ms: How long the run took, in milliseconds.
        cpu_ms: The processor time of the sandbox process, in milliseconds.
        memory_bytes: The most memory that the script had at once.
        calls: How many calls the script made.
        output_bytes: How much the script printed.
        isolation: The names of the isolation layers that were in force.
    """

    __slots__ = ()

    wall_ms: float | None
    cpu_ms: float | None
    memory_bytes: int | None
    calls: int | None
    output_bytes: int | None
    isolation: list[str] | None


class Outcome:
    """The outcome of a script.

    Args:
        result: The values that the script returned.
        output: The text that the script printed, with U+FFFD in place of bytes that are not UTF-8.
        error: The error that ended the script; None if it ended without one.
        calls: The calls of the script.
        usage: What the run used.
        warnings: Sentences about the run, and about likely mistakes in the script if it was checked.
        exit: The exit status that the script requested; None if it requested none.
        facts: What the facts about the run are made of.

    ``recording`` is the path of the recording, or None if the run was not recorded. ``run`` is the id of the run in the
    journal, or None if the run made no calls and was not recorded. ``plan`` is the plan as JSON values, or None if no
    plan was made. For an outcome of :meth:`kosmolua.Runtime.map`, ``key`` and ``account`` identify the input that the
    outcome belongs to.
    """

    def __init__(
        self,
        result: list[Json],
        output: str,
        error: KosmoError | None,
        calls: list[CallRecord],
        usage: Mapping[str, Json] = MappingProxyType({}),
        warnings: Sequence[str] = (),
        exit: int | None = None,
        facts: Facts | None = None,
    ) -> None:
        self.result = result
        self._facts = facts
        self.exit = exit
        self.output = output
        self.error = error
        self.calls = calls
        self.usage = Usage(usage)
        self.warnings = list(warnings)
        self.recording: str | None = None
        self.run: str | None = None
        self.key: object = None
        self.account: str | None = None
        self.plan: dict[str, Json] | None = None

    def __repr__(self) -> str:
        return f"Outcome({self.to_json()!r})"

    @property
    def ok(self) -> bool:
        """True if the script ended without an error."""
        return self.error is None

    @cached_property
    def facts(self) -> list[Fact]:
        """Sentences that make silent mistakes visible, such as how many items a list had; at most 20."""
        return self._facts.found() if self._facts else []

    @property
    def status(self) -> Status:
        """How the script ended: ``done``, ``failed``, ``limit``, ``interrupted``, ``paused`` or ``waiting``."""
        if self.error is None:
            return "done"
        if isinstance(self.error, LimitExceeded):
            return "limit"
        if isinstance(self.error, Interrupted):
            return "interrupted"
        if isinstance(self.error, Parked):
            return "waiting"
        return "paused" if isinstance(self.error, Paused) else "failed"

    @overload
    def frame(self) -> object: ...

    @overload
    def frame(self, make: Callable[[list[Mapping[str, Json]]], Frame]) -> Frame: ...

    def frame(self, make: Callable[[list[Mapping[str, Json]]], object] | None = None) -> object:
        """Return the first value of the result as a data frame, whose rows are the items of its one list.

        Args:
            make: What makes the data frame of the rows; by default ``pandas.DataFrame``, or ``polars.DataFrame`` where
                only polars is installed.

        Raises:
            KosmoError: The script failed.
            ValueError: The result has several lists, or no value.
            ImportError: Neither pandas nor polars is installed.
        """
        from kosmolua.runs.rows import rows_of

        if self.error:
            raise self.error
        if not self.result:
            raise ValueError("the script returned no value")
        return (make or _frames())(rows_of(self.result[0]))

    def to_json(self) -> dict[str, object]:
        """Return the outcome as the JSON object that the command line prints with ``--json``."""
        kept: dict[str, object] = {"recording": self.recording} if self.recording else {}
        kept |= {"plan": self.plan} if self.plan else {}
        return {
            "ok": self.ok,
            "status": self.status,
            "result": self.result,
            "output": self.output,
            "error": self.error.report() if self.error else None,
            "warnings": self.warnings,
            "facts": [vars(fact) for fact in self.facts],
            "calls": self.calls,
            "usage": self.usage,
            **kept,
        }


def _frames() -> Callable[[list[Mapping[str, Json]]], object]:
    from importlib import import_module

    for name in ("pandas", "polars"):
        with suppress(ModuleNotFoundError):
            return import_module(name).DataFrame  # type: ignore[no-any-return]
    raise ImportError("a data frame needs pandas or polars: install one of them")


def ending_of(frame: dict[str, Any], limits: Limits, refused: Refused) -> Ending:
    """Return how a script ended, according to the last frame of its process.

    If an error that was the answer to a request ended the script, the frame has only the request's number; ``refused``
    returns the error.
    """
    usage = {name: frame["usage"].get(name) for name in ("cpu_ms", "memory_bytes")}
    usage = {name: value for name, value in usage.items() if _is_number(value)}
    if frame["kind"] == "limit":
        return Ending(error=_limit(frame["limit"], limits), usage=usage)
    if "exit" in frame:
        return _exit(frame["exit"], usage)
    if isinstance(frame.get("error"), dict):
        return Ending(error=_script_error(frame["error"], refused), usage=usage)
    if isinstance(frame.get("result"), list):
        losses = frame["losses"][:MAX_LOSSES] if isinstance(frame.get("losses"), list) else []
        return Ending(frame["result"], usage=usage, losses=[_cut(each) for each in losses if isinstance(each, str)])
    return Ending(error=WorkerLost.broken_protocol("an end without a result"), usage=usage)


def ending_of_process(status: int, limits: Limits) -> Ending:
    """Return how a script ended, for a process that died before it sent a last message.

    If a signal ended the process, ``status`` is the negative of the signal's number.
    """
    if -status in _CPU_SIGNALS:
        return Ending(error=limits.exceeded("cpu"))
    if status == protocol.NO_ROOM:
        return Ending(error=WorkerLost(NO_ROOM, hint="run fewer scripts at once, or allow this user more processes"))
    hint = OUT_OF_MEMORY if status == -SIGKILL else "run the script again"
    return Ending(error=WorkerLost(f"The sandbox died: {_describe(status)}", hint=hint))


def _limit(name: str, limits: Limits) -> KosmoError:
    return limits.exceeded(name) if name in REPORTED else WorkerLost.broken_protocol("it reported an unknown limit")


def _exit(status: object, usage: dict[str, Any]) -> Ending:
    if not isinstance(status, int) or isinstance(status, bool) or not 0 <= status <= MAX_EXIT:
        return Ending(error=WorkerLost.broken_protocol("an exit status out of range"), usage=usage)
    return Ending(error=Exited(status) if status else None, usage=usage, exit=status)


def _script_error(fields: dict[str, Any], refused: Refused) -> KosmoError:
    number, line, trace = (fields.get(name) for name in ("call", "line", "traceback"))
    error = refused(number) if _is_count(number) else None
    error = error or ScriptError(
        str(fields.get("message", "the script failed")),
        code=_script_code(fields.get("code")),
        is_syntax=fields.get("is_syntax") is True,
    )
    error.what, error.hints = _cut(error.what), [_cut(hint) for hint in error.hints]
    error.line = line if _is_count(line) else None
    error.traceback = _cut(trace) if isinstance(trace, str) and _tells_more(trace, error.line) else None
    return error


def _script_code(code: object) -> str | None:
    """Return the error code that a script chose. Return None if it is not a single word or is reserved for KosmoLua."""
    is_word = isinstance(code, str) and _WORD.fullmatch(code) is not None
    return str(code) if is_word and code not in RESERVED_CODES else None


def _tells_more(trace: str, line: int | None) -> bool:
    frames = [frame for frame in trace.split("\n\t")[1:] if not frame.startswith("[C]:")]
    return len(frames) != 1 or f":{line}: " not in frames[0]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... (cut)"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LARGEST_NUMBER


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and _is_number(value) and value > 0


def _describe(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}"
    from signal import Signals

    try:
        return f"its process was ended by {Signals(-status).name}"
    except ValueError:
        return f"its process was ended by signal {-status}"
