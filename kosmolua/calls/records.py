"""Records of calls: a call under way, the record of an ended call, and the events that report them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from kosmolua.calls.approvals import Confirm
from kosmolua.calls.credentials import masked
from kosmolua.calls.titles import title_of
from kosmolua.errors import CallError, CallTimeout, Denied, KosmoError, NetworkError
from kosmolua.http.errors import LOOK_FIRST
from kosmolua.protocol import JsonObject, Truncated
from kosmolua.schema.effects import changes
from kosmolua.schema.function import OF_PARTS
from kosmolua.secret import Redactor

if TYPE_CHECKING:
    from queue import SimpleQueue

    from kosmolua.calls.extra import Addition
    from kosmolua.catalog.catalog import Target
    from kosmolua.clock import Until
    from kosmolua.flow.judge import Verdict
    from kosmolua.http.messages import Attempt, Request
    from kosmolua.protocol import Json
    from kosmolua.schema.effects import Effect
    from kosmolua.schema.function import Paging

Status: TypeAlias = Literal["ok", "failed", "refused", "unknown", "planned"]
"""How a call ended.

``refused`` and ``planned`` mean that nothing was sent; ``unknown`` means that the call was under way when the run
ended.
"""
Mode: TypeAlias = Literal["live", "simulated", "replayed"]
"""What answers calls: services, simulators, or a recording."""
Stage: TypeAlias = Literal["new", "planned", "begun", "returned"]
"""How far a call has come: it is checked, is only planned, its function has begun, and has returned."""
NEXT = ("next", "next_cursor", "next_page_token", "next_token", "has_more", "truncated")
"""Keys of a result that usually have a value while a list goes on."""
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
_encode_parts = json.JSONEncoder(ensure_ascii=False).encode
"""With spaces: the keys of writes, also of those in earlier recordings, are made of this text."""


class Write(NamedTuple):
    """What tells a write from all other writes.

    Args:
        key: A text that no other write has. The write keeps it when its run is resumed.
        is_doubtful: True if an earlier attempt was under way when the run ended, so that the write may have been done.
    """

    key: str
    is_doubtful: bool = False


def may_have_written(call: Mapping[str, Any]) -> bool:
    """Return True if a call changed something, or may have: not if the service answered with a status of 400 to 499."""
    failed = (call.get("attempts") or (0,))[-1] if call.get("status") == "failed" else 0
    return changes(call.get("effect")) and call.get("status") not in ("refused", "planned") and not 400 <= failed < 500


def key_of(*parts: object) -> str:
    """Return a key in the form of a UUID, which equal parts always have and other parts never have."""
    from hashlib import sha256

    digits = sha256(_encode_parts(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))


@dataclass(frozen=True)
class Origin:
    """The origin of a run's calls: the script, and what answers the calls.

    Args:
        mode: What answers the calls: ``live``, ``simulated`` or ``replayed``.
        script: The script's name; None if no script makes the call.
        source: The text of the script; None if no script makes the call.
        given: The title that the client gave the run, or None.
    """

    mode: Mode = "live"
    script: str | None = None
    source: bytes | None = None
    given: str | None = None

    @cached_property
    def title(self) -> str:
        """The title of the run, as far as it is known before its end."""
        return "" if self.source is None else title_of(self.source, self.script or "", self.given)

    @cached_property
    def sha256(self) -> str | None:
        """The SHA-256 hash of the script's text, in hex. Computed on first use, since hashlib takes long to import."""
        from hashlib import sha256

        return None if self.source is None else sha256(self.source).hexdigest()


class Returned(NamedTuple):
    """A call that has returned, as the facts about the run need it.

    Args:
        line: The line of the script.
        path: The path of the function.
        digest: Equal for equal arguments with an equal answer.
        paging: How the function returns a list in parts; None if it does not.
        items: How many items the list in the result has; None if there is no such list.
        has_more: Whether the service has more items.
        filters: The names of the arguments that limit which items are in the list, joined by ``and``.
        is_limited: Whether the script said how many items it wants.
        begins_at: The place at which the script said the part begins; empty for the first part.
        goes_on_at: The place at which the next part begins; empty if it is not known.
    """

    line: int
    path: str
    digest: int
    paging: Paging | None = None
    items: int | None = None
    has_more: bool = False
    filters: str = ""
    is_limited: bool = False
    begins_at: str = ""
    goes_on_at: str = ""


class CallRecord(JsonObject):
    """A call in the outcome of a run.

    Attributes:
        path: The path of the function, such as ``render2.list_services``.
        account: The name of the account; None if the path leads to no function.
        effect: ``read``, ``write`` or ``destroy``; None if the path leads to no function.
        status: How the call ended.
        duration_ms: The duration of the call, in milliseconds.
        error: The code of the error that ended the call, or None.
        flows: A sentence for each argument that somebody else's text decided, or that is private; None if there is no
            such argument.
    """

    __slots__ = ()

    path: str
    account: str | None
    effect: Effect | None
    status: Status
    duration_ms: float | None
    error: str | None
    flows: list[str] | None


class FinishedCall(NamedTuple):
    """A call that has ended, with secrets redacted.

    Args:
        run: The id of the run.
        number: The call's number in its run, counted from 1.
        path: The path of the function, such as ``render2.list_services``. If there is no such function, the path as the
            caller wrote it.
        account: The account; None if the path leads to no function.
        effect: ``read``, ``write`` or ``destroy``; None if the path leads to no function.
        arguments: The arguments by name; None if they are wrong, or if the call was refused before they were checked.
        status: How the call ended.
        error: The code of the error that ended the call, or None.
        allowed_by: What or who allowed the call, such as ``--yes``; None if it was not allowed.
        attempts: The status of each HTTP request; 0 for a request without an answer.
        request_id: The id that the service gave to the last HTTP request.
        started: When the call started, in UTC.
        duration_ms: The duration of the call, in milliseconds.
        origin: The script that made the call, and what answered it.
        through: The names of the called scripts that led to the call, the outermost first. Empty if the main script
            made the call.
        request: The last HTTP request; None if no request was made.
        credentials: The names of the arguments that are credentials according to the function.
        flows: A sentence for each argument that somebody else's text decided, or that is private.
        asked: When a person was asked about the call, or None.
        answered: When the person answered, or None.
        redirects: The other origins to which the service redirected its requests.
    """

    run: str
    number: int
    path: str
    account: str | None
    effect: str | None
    arguments: object
    status: Status
    error: str | None
    allowed_by: str | None
    attempts: tuple[int, ...]
    request_id: str | None
    started: datetime
    duration_ms: float
    origin: Origin = Origin()
    through: tuple[str, ...] = ()
    request: Request | None = None
    credentials: frozenset[str] = frozenset()
    flows: tuple[str, ...] = ()
    asked: datetime | None = None
    answered: datetime | None = None
    redirects: tuple[str, ...] = ()

    @property
    def question(self) -> dict[str, str]:
        """When a person was asked, and answered, as fields of a record; empty if nobody was asked."""
        moments = {"asked": self.asked, "answered": self.answered}
        return {name: moment.isoformat(timespec="milliseconds") for name, moment in moments.items() if moment}

    def __repr__(self) -> str:
        """Return a text with all fields except the request, which may contain secrets."""
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name != "request")
        return f"FinishedCall({', '.join(shown)})"

    def summary(self) -> CallRecord:
        """Return the entry for this call in the outcome of its run."""
        summary = CallRecord(
            path=self.path,
            account=self.account,
            effect=self.effect,
            status=self.status,
            duration_ms=self.duration_ms,
            error=self.error,
        )
        if self.flows:
            summary["flows"] = list(self.flows)
        return summary

    def line(self, redactor: Redactor) -> bytes:
        """Return the record as a line of the journal, with known secrets and credentials in the arguments masked."""
        arguments = self.arguments
        record = {
            "time": self.started.isoformat(timespec="milliseconds"),
            "run": self.run,
            **({"title": self.origin.title} if self.origin.title else {}),
            "script": self.origin.script,
            "sha256": self.origin.sha256,
            "mode": self.origin.mode,
            **({"through": list(self.through)} if self.through else {}),
            **self.summary(),
            "allowed_by": self.allowed_by,
            **self.question,
            "arguments": masked(arguments, self.credentials) if isinstance(arguments, dict) else arguments,
            "attempts": self.attempts,
            "request_id": self.request_id,
            **({"redirects": self.redirects} if self.redirects else {}),
        }
        text = _encode(record)
        if redactor.knows(text):
            text = _encode(redactor.value(record))
        return text.encode("utf-8", "replace") + b"\n"


class Call:
    """A call under way. The thread that makes the call sets the attributes as their values become known."""

    line = 0
    hidden = ""
    at = 0
    through: tuple[str, ...] = ()
    account: str | None = None
    effect: str | None = None
    allowed_by: str | None = None
    target: Target
    given: Sequence[Json] = ()
    """The arguments as the script passed them; ``arguments`` has them by name, ``redacted`` also without secrets."""
    arguments: Mapping[str, object] | None = None
    redacted: Mapping[str, object] = {}
    credentials: frozenset[str] = frozenset()
    confirm: Confirm | None = None
    request: Request | None = None
    addition: Addition | None = None
    """What the argument ``extra`` adds to the requests of a plugin's function; None if there is none."""
    places: SimpleQueue[int]
    """The places for calls that use the account at once."""
    stage: Stage = "new"
    has_written = False
    """Whether one of its requests has changed something."""
    idempotency: str | None = None
    key = ""
    flows: tuple[Verdict, ...] = ()
    """Why a person should decide about the call."""
    asked: datetime | None = None
    answered: datetime | None = None
    """When a person was asked about the call, and answered."""
    _keyed = 0
    _learned = -1
    _request_id: str | None = None

    def __init__(self, run: str, number: int, path: str, origin: Origin | None = None) -> None:
        self.origin = origin or Origin()
        self.run = run
        self.number = number
        self.path = path
        self.held: list[int] = []
        """The place of this call; empty once it has been put back."""
        self._attempts: list[int] = []
        self._redirects: list[str] = []
        self._started = datetime.now(timezone.utc)
        self._clock = monotonic()

    def give_place(self) -> None:
        """Let another call use the account in the place of this one, which has ended or is left behind."""
        try:
            place = self.held.pop()
        except IndexError:  # it has none, or another thread was faster
            return
        self.places.put(place)

    def redact(self, redactor: Redactor) -> Mapping[str, object]:
        """Mask the secrets in the arguments that are known now, keep these as ``redacted``, and return them."""
        if self._learned != redactor.learned:
            self._learned, given = redactor.learned, self.arguments or {}
            self.redacted = {name: redactor.value(value, is_given=True) for name, value in given.items()}
        return self.redacted

    def keyed(self, request: Request) -> Request:
        """Return a request that changes something with the key of this write, if the service takes one.

        Each request of the call gets a key of its own. A key that the request has already is kept.
        """
        assert self.idempotency
        self._keyed += 1
        if any(name.lower() == self.idempotency.lower() for name in request.headers):
            return request
        key = self.key if self._keyed == 1 else key_of(self.key, self._keyed)
        return replace(request, headers={**request.headers, self.idempotency: key})

    def returned(self, value: object, answer: str) -> Returned:
        """Return what the facts about the run need of this call, which has returned."""
        digest, paging = hash((repr(self.given), answer)), self.target.function.paging
        if paging is None:
            return Returned(self.line, self.path, digest)
        result = value if isinstance(value, Mapping) else {}
        lists = [each for each in (result.values() if result else [value]) if isinstance(each, list)]
        if len(lists) != 1:
            return Returned(self.line, self.path, digest)
        arguments = self.arguments or {}
        begins_at, goes_on_at = arguments.get(paging.parameter), result.get(paging.key)
        return Returned(
            self.line,
            self.path,
            digest,
            paging,
            len(lists[0]),
            isinstance(value, Truncated) or bool(result.get("has_more", goes_on_at or any(map(result.get, NEXT)))),
            " and ".join([name for name in arguments if arguments[name] is not None and name not in OF_PARTS]),
            not arguments.keys().isdisjoint(("limit", "max_items")),
            "" if begins_at is None else str(begins_at),
            str(goes_on_at or ""),
        )

    def observe(self, attempt: Attempt) -> None:
        """Note the status and the id of an HTTP request that was made for this call."""
        self._attempts.append(attempt.status or 0)
        self._redirects += [attempt.redirect] if attempt.redirect else []
        self._request_id = attempt.request_id or self._request_id

    def record(self, error: KosmoError | None, redactor: Redactor, *, is_over: bool) -> FinishedCall:
        """Return the record of this call, which ends now.

        If the run is over, a call without an answer was cut off.
        """
        return FinishedCall(
            run=self.run,
            number=self.number,
            path=self.path,
            account=self.account,
            effect=self.effect,
            arguments=None if self.arguments is None else self.redact(redactor),
            status=self._status(error, is_over=is_over),
            error=error.code if error else None,
            allowed_by=self.allowed_by,
            attempts=tuple(self._attempts),
            request_id=self._request_id and redactor.text(self._request_id),
            started=self._started,
            duration_ms=round((monotonic() - self._clock) * 1000, 2),
            origin=self.origin,
            through=self.through,
            request=self.request,
            credentials=self.credentials,
            flows=tuple(redactor.text(flow.text) for flow in self.flows) if self.flows else (),
            asked=self.asked,
            answered=self.answered
            or (datetime.now(timezone.utc) if self.asked and isinstance(error, Denied) else None),
            redirects=tuple(dict.fromkeys(self._redirects)) if self._redirects else (),
        )

    def complete(self, error: KosmoError) -> None:
        """Add details to the error that ended this call: the function, the account, and what may have been sent."""
        if self._attempts:
            error.sent = ""
        if self.has_written:
            error.advise(LOOK_FIRST)
        if isinstance(error, CallError) and self.account:
            error.path, error.account = self.path, self.account

    def _status(self, error: KosmoError | None, *, is_over: bool) -> Status:
        if error is None:
            return "planned" if self.stage == "planned" else "ok"
        if isinstance(error, CallTimeout):
            is_cut_off = self.effect != "read"
        else:
            is_cut_off = not isinstance(error, CallError) or (is_over and isinstance(error, NetworkError))
        if self.stage == "begun" and is_cut_off:
            return "unknown"
        has_begun = self.stage == "returned" or (self.stage == "begun" and isinstance(error, CallTimeout))
        return "failed" if has_begun or self._attempts else "refused"


current: ContextVar[tuple[Call, Until] | None] = ContextVar("current_call", default=None)
"""The call that this thread makes, and its deadline."""


def current_confirm() -> Confirm | None:
    """Return the function with which this thread's call can ask a person to confirm something.

    Return None if the thread makes no call, or if nobody can be asked.
    """
    found = current.get()
    return found[0].confirm if found else None


class CallStarted(NamedTuple):
    """The event that reports that a call is about to be made. The call is allowed, and its arguments are valid.

    Args:
        number: The call's number in its run, counted from 1.
        path: The path of the function.
        account: The name of the account.
        effect: ``read``, ``write`` or ``destroy``.
        arguments: The arguments by name, with secrets redacted.
        key: The key of the write, as in :class:`Write`; empty for a read.
        before: The answer to the read before a recorded write, as JSON in which secrets are sealed; empty without one.
    """

    number: int
    path: str
    account: str
    effect: str
    arguments: object
    key: str = ""
    before: str = ""


class CallEnded(NamedTuple):
    """The event that reports that a call has ended. If the call was not allowed, there was no :class:`CallStarted`."""

    record: FinishedCall


class Waiting(NamedTuple):
    """The event that reports that the script waits, as in ``sleep``. Other branches of ``parallel`` continue."""

    seconds: float


Event: TypeAlias = "CallStarted | CallEnded | Waiting"
Watch: TypeAlias = Callable[[Event], None]


def waited_seconds(calls: Iterable[Mapping[str, Any]], until: str | None = None) -> float:
    """Return for how many seconds calls waited for a person; waits at the same time count once.

    The calls are as recordings have them: those with ``answered`` have ``asked`` too, both ISO 8601. A call that was
    asked about and has no answer waited ``until`` this moment, if that is given.
    """
    answers = ((call.get("asked"), call.get("answered") or until) for call in calls)
    waits = sorted((_seconds(asked), _seconds(answered)) for asked, answered in answers if asked and answered)
    seconds, reached = 0.0, 0.0
    for asked, answered in waits:
        seconds += max(0.0, answered - max(asked, reached))
        reached = max(reached, answered)
    return seconds


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
