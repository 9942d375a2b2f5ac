"""Calls: the state of one under way, the errors that it can end with, and the lists that calls left unfinished."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from kosmolua.broker.records import Origin, Record, Status
from kosmolua.errors import BadArguments, CallError, CallTimeout, KosmoError, NetworkError, PluginFault, log_traceback
from kosmolua.http.errors import LOOK_FIRST

if TYPE_CHECKING:
    from kosmolua.http.messages import Attempt
    from kosmolua.schema.function import Function
    from kosmolua.secret import Redactor

MAX_TEXT = 300
"""Characters of an exception's text; a longer one is cut."""
POINTERS = {"cursor": "cursor", "next_page": "page"}
"""Keys of a result that lead to the next page, each with the parameter that takes it."""
MAX_REMEMBERED = 10_000
MAX_NOTES = 3


class Call:
    """One call. The thread that makes it fills it in.

    Args:
        run: The id of the run.
        number: Its number in the run, counted from 1.
        path: The function, as the caller wrote it.
        origin: What makes it, and what answers it.
    """

    def __init__(self, run: str, number: int, path: str, origin: Origin | None = None) -> None:
        self.origin = origin or Origin()
        self.run = run
        self.number = number
        self.path = path
        self.account: str | None = None
        self.effect: str | None = None
        self.allowed_by: str | None = None
        self.arguments: Mapping[str, object] | None = None
        self.has_begun = self.has_returned = self.has_written = False
        self._attempts: list[int] = []
        self._request_id: str | None = None
        self._started = datetime.now(timezone.utc)
        self._clock = monotonic()

    def observe(self, attempt: Attempt) -> None:
        """Note an HTTP request that was made for this call."""
        self._attempts.append(attempt.status or 0)
        self._request_id = attempt.request_id or self._request_id

    def record(self, error: KosmoError | None, redactor: Redactor, *, is_over: bool) -> Record:
        """Return the record of the call as it ends now.

        Args:
            error: The error, if it did not succeed.
            redactor: Redacts the arguments and the service's texts.
            is_over: True if the run is over, so that a call without an answer was cut off.
        """
        return Record(
            run=self.run,
            number=self.number,
            path=self.path,
            account=self.account,
            effect=self.effect,
            arguments=redactor.value(self.arguments),
            status=self._status(error, is_over=is_over),
            error=error.code if error else None,
            allowed_by=self.allowed_by,
            attempts=tuple(self._attempts),
            request_id=self._request_id and redactor.text(self._request_id),
            started=self._started,
            duration_ms=round((monotonic() - self._clock) * 1000, 2),
            origin=self.origin,
        )

    def complete(self, error: KosmoError) -> None:
        """Complete an error that ended the call: what was sent, and by which account."""
        if self._attempts:
            error.sent = ""
        if self.has_written:
            error.advise(LOOK_FIRST)
        if isinstance(error, CallError) and self.account:
            error.path, error.account = self.path, self.account

    def _status(self, error: KosmoError | None, *, is_over: bool) -> Status:
        if error is None:
            return "ok"
        if isinstance(error, CallTimeout):
            is_cut_off = self.effect != "read"
        else:
            is_cut_off = not isinstance(error, CallError) or (is_over and isinstance(error, NetworkError))
        if self.has_begun and not self.has_returned and is_cut_off:
            return "unknown"
        return "failed" if self._attempts or self.has_returned else "refused"


def unsendable(subject: str, fault: Mapping[str, str]) -> BadArguments:
    """Return the refusal of arguments that could not leave the sandbox.

    Args:
        subject: What was called.
        fault: ``where`` in the arguments, and the ``problem``.
    """
    where = fault["where"]
    param = where.partition(".")[0].partition("[")[0] or None
    return BadArguments(f"{subject}: {where or 'an argument'} {fault['problem']}", param=param)


@contextmanager
def blaming(path: str, origin: str) -> Iterator[None]:
    """Turn an exception that an integration raises into a PluginFault. A KosmoError and Ctrl-C pass unchanged.

    Args:
        path: The function that is called.
        origin: Where the integration is defined, as ``file:line``.
    """
    try:
        yield
    except (KosmoError, KeyboardInterrupt):
        raise
    except BaseException as error:
        log_traceback(path, error)
        raise _fault(path, origin, error) from error


def _fault(path: str, origin: str, error: BaseException) -> PluginFault:
    kind, text = type(error).__name__, _text_of(error)
    return PluginFault(f"{path} failed inside its integration: {kind}", detail=f"{_place_of(origin, error)}: {text}")


def _text_of(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception as another:  # noqa: BLE001 - the exception's own __str__ may fail
        text = f"its text cannot be had, {type(another).__name__}"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _place_of(origin: str, error: BaseException) -> str:
    """Return the file and line in the integration's own code at which an exception was raised or passed last."""
    folder = Path(origin.rpartition(":")[0]).parent
    place, step = origin, error.__traceback__
    while step:
        file = step.tb_frame.f_code.co_filename
        if Path(file).is_relative_to(folder):
            place = f"{file}:{step.tb_lineno}"
        step = step.tb_next
    return place


class _Rest(NamedTuple):
    path: str
    items: int
    parameter: str
    takes_all: bool


class Pages:
    """The pages that one run has got. Any thread may use it.

    A page counts as the last that was wanted if the script itself said how many items it wants.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._rests: dict[tuple[str, str], _Rest] = {}

    def note(self, path: str, function: Function, arguments: Mapping[str, object], value: object) -> None:
        """Note what a call returned, and that the page before it was followed.

        Args:
            path: The function, such as ``render2.list_services``.
            function: Its description.
            arguments: What it was called with.
            value: What it returned.
        """
        names = {parameter.name for parameter in function.parameters}
        for key, parameter in POINTERS.items():
            if parameter not in names or not isinstance(value, Mapping):
                continue
            with self._lock:
                self._rests.pop((path, str(arguments.get(parameter))), None)
                if value.get(key) and "limit" not in arguments and len(self._rests) < MAX_REMEMBERED:
                    items = max((len(each) for each in value.values() if isinstance(each, list)), default=0)
                    self._rests[path, str(value[key])] = _Rest(path, items, parameter, "all" in names)

    def warnings(self, dropped: Collection[str] = ()) -> list[str]:
        """Return a sentence for each function whose list a script got in part, without asking for the rest.

        Args:
            dropped: The functions whose results the script does not use.
        """
        with self._lock:
            rests = list({rest.path: rest for rest in self._rests.values() if rest.path not in dropped}.values())
        return [_sentence(rest) for rest in rests[:MAX_NOTES]]


def _sentence(rest: _Rest) -> str:
    way = "all = true gets all" if rest.takes_all else f"pass its {rest.parameter} to get the next page"
    return f"{rest.path} returned {rest.items:,} items and there are more, which the script did not get ({way})"
