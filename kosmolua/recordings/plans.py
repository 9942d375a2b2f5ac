"""Plans: the writes that a script would make. They are noted instead of sent.

To apply a plan means to run the script again, with these writes allowed and no others.

As the result of a planned write, the script gets a placeholder of the type that the function declares. The strings in
the placeholder are marks: ``<render2.create_service#2.id>`` stands for the ``id`` in the result of call 2. If a mark is
passed to a later call, that call depends on call 2.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from threading import Lock
from typing import TYPE_CHECKING, Any

from kosmolua import __version__, protocol
from kosmolua.errors import ConfigError, Denied
from kosmolua.recordings.events import is_same, plan_fault
from kosmolua.recordings.sheets import held_file, replace_file
from kosmolua.recordings.signing import SIGNATURE
from kosmolua.schema.types import Choice, List, Map, Record, Scalar, Type, Union

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Target
    from kosmolua.recordings.answers import RecordedAnswer
    from kosmolua.recordings.signing import Signer

FORMAT = 3
PLAN = "plan"
"""What the signature of a plan is bound to, so that it is not that of a line of a recording."""
MAX_DECISIONS = 1000
MAX_KEY = 100
"""How many characters a plan keeps of the name of a field that the script reads in a planned call's result."""
MAX_NESTING = 5
"""How many levels of nesting a placeholder has at most. A type that contains itself has no innermost level."""
PLANNED = "the plan"
"""The journal's words for what allowed a call that is in a plan."""
_MARK = re.compile(r"<[\w.]+#(\d+)((?:\.[^.<>\[\]]+|\[\d+\])*)>")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


@dataclass
class PlannedCall:
    """A call in a plan.

    Args:
        number: The number of the call in the run.
        line: The line of the script that makes the call; 0 if the line is not known.
        path: The path of the function.
        account: The name of the account.
        effect: ``write`` or ``destroy``; ``read`` for a read that was not made because its arguments contain the
            result of a planned call.
        arguments: The arguments by name, with secrets redacted.
        depends_on: The numbers of the planned calls whose results are in the arguments.
        names: The names of the objects whose ids are in the arguments, by parameter.
        before: The values that the call replaces, by parameter, as far as a read told them.
        undoable: Whether the call can be undone.
        lost: A sentence that says what cannot be brought back once the call was made; empty if nothing is known.
    """

    number: int
    line: int
    path: str
    account: str
    effect: str
    arguments: dict[str, Any]
    depends_on: list[int] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    undoable: bool = False
    lost: str = ""


def new_id() -> str:
    """Return an id for a plan: ``p-`` and eight hexadecimal digits."""
    return f"p-{os.urandom(4).hex()}"


@dataclass
class Plan:
    """A plan: the writes that a script would make.

    Args:
        script: The script: ``name``, ``sha256`` and ``source``.
        run: How the script was run: ``mode``, ``host``, ``args``, ``input`` and ``params``, see
            :mod:`kosmolua.recordings.recording`.
        calls: The writes that the script would make, and the reads that depend on them.
        decisions: The places where the script reads a field of a planned call's result. Each has the ``line`` of the
            script, the ``number`` and ``path`` of the call, and the field's name as ``key``. What the script does after
            such a place can depend on the real result, and so differ from the plan.
        time: The time when the plan was made.
        id: ``p-`` and eight hexadecimal digits.
        lost: For the plan of an undo, a sentence for each write of the run that cannot be undone.
        applied: The ``time`` when the plan was applied, and the ``recording`` of the run that applied it: its file, or
            the run's id in the store, or None; None if the plan has not been applied.
        signature: Shows that the plan was written with the key of a store, see :mod:`kosmolua.recordings.signing`.
        kosmolua: The version that made the plan.
        path: The file that the plan was saved to or loaded from, or None.
    """

    script: dict[str, Any]
    run: dict[str, Any]
    calls: list[PlannedCall]
    decisions: list[dict[str, Any]]
    time: str
    id: str = field(default_factory=new_id)
    lost: list[str] = field(default_factory=list)
    applied: dict[str, Any] | None = None
    signature: str | None = None
    kosmolua: str = __version__
    path: str | None = field(default=None, repr=False, compare=False)

    outcome: Any = field(default=None, repr=False, compare=False)
    """The outcome of the script when the plan was made; None for a plan that was loaded from a file."""

    @property
    def writes(self) -> list[PlannedCall]:
        """The calls that write or destroy."""
        return [call for call in self.calls if call.effect != "read"]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        fields = {name: value for name, value in vars(self).items() if name not in _OF_OBJECT}
        return {"format": FORMAT, **fields, "calls": [vars(call) for call in self.calls]}

    def sign(self, signer: Signer) -> None:
        """Sign the plan as it is now."""
        self.signature = signer.signed(self.to_json(), PLAN).get(SIGNATURE)

    def was_made_here(self, signer: Signer) -> bool:
        """Return True if the plan is as it was signed with the key of this store."""
        return signer.has_signed(self.to_json(), PLAN)

    @contextmanager
    def held(self) -> Iterator[None]:
        """In the ``with`` block, keep other processes from applying the plan's file, whose mark is read again.

        Raises:
            ConfigError: The file cannot be written, has changed, or another process is about to apply it.
        """
        if self.path is None:
            yield
            return
        with held_file(self.path, f"The plan {self.path}"):
            now = type(self).load(self.path)
            if now._content != self._content:
                raise ConfigError(f"The plan {self.path} has changed since it was read", hint="try again")
            self.applied, self.signature = now.applied, now.signature
            yield

    @property
    def _content(self) -> str:
        """The plan without its mark, as JSON."""
        return json.dumps({**self.to_json(), "applied": None, "signature": None}, sort_keys=True)

    def mark(self, recording: str | None, signer: Signer) -> None:
        """Note that the plan is being applied, also in its file, where the mark survives a power cut.

        Args:
            recording: The recording of the run that applies it: its file, or the run's id in the store, or None.
            signer: Signs the plan with its mark.

        Raises:
            ConfigError: The file cannot be written.
        """
        before = self.applied, self.signature
        self.applied = {"time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"), "recording": recording}
        self.sign(signer)
        try:
            if self.path is not None:
                self.save(self.path)
        except ConfigError:
            self.applied, self.signature = before
            raise

    def fill(self, planner: Planner, redact: Callable[[Any], Any]) -> None:
        """Copy into this plan what a planner has noted, and mask secrets.

        Args:
            planner: The planner of the script's run.
            redact: A function that returns a copy of a value with secrets masked.
        """
        self.calls = sorted(planner.calls, key=lambda call: call.number)
        decisions = sorted(planner.decisions, key=lambda seen: (seen["line"], seen["number"], seen["key"]))
        self.script, self.run, self.decisions = redact(self.script), redact(self.run), redact(decisions)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file as indented JSON, readable by its owner only.

        Raises:
            ConfigError: The file cannot be written.
        """
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=2) + "\n"
        try:
            replace_file(os.fspath(path), text.encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise ConfigError(f"The plan cannot be written to {os.fspath(path)}: {error.strerror}") from None
        self.path = os.path.abspath(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan from a file, and return it.

        Raises:
            ConfigError: The file cannot be read, is not a plan, or has a different version of the format.
        """
        name = os.fspath(path)
        try:
            with open(name, "rb") as file:
                found = json.loads(file.read())
        except OSError as error:
            raise ConfigError(f"The plan {name} cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or "format" not in found:
            raise ConfigError(f"{name} is not a plan", hint="kosmolua run --plan=FILE makes one")
        if found["format"] != FORMAT:
            what = f"The plan {name} has a different format: it was made by kosmolua {found.get('kosmolua')}"
            raise ConfigError(what, hint="make a new plan")
        if fault := plan_fault(found):
            raise ConfigError(f"The plan {name} is not valid: {fault}", hint="make a new plan")
        calls = [PlannedCall(**{key: call[key] for key in _CALL_FIELDS}) for call in found["calls"]]
        fields = {key: found[key] for key in cls.__dataclass_fields__ if key not in _OF_OBJECT}
        return cls(**{**fields, "calls": calls}, path=os.path.abspath(name))


_OF_OBJECT = ("outcome", "path")
"""The attributes of a plan that its file does not have."""
_CALL_FIELDS = tuple(PlannedCall.__dataclass_fields__)


class Planner:
    """Notes the writes of a script for a plan instead of sending them. Any thread may use it."""

    replaces_writes = True

    def __init__(self) -> None:
        self.calls: list[PlannedCall] = []
        self.decisions: list[dict[str, Any]] = []
        self._lock = Lock()

    def note(self, call: PlannedCall, returns: Type | None) -> str:
        """Note a call, and return the placeholder for its result, which is of the type ``returns``, as JSON."""
        with self._lock:
            self.calls.append(call)
        value = _placeholder(returns, f"{call.path}#{call.number}", "", 0)
        return protocol.encode({"$planned": call.number, "value": value})

    def peek(self, number: int, key: str, line: int) -> None:
        """Note that the script reads a field of a planned call's result.

        Args:
            number: The number of the planned call.
            key: The name of the field.
            line: The line of the script that reads the field.
        """
        with self._lock:
            made = next((call for call in self.calls if call.number == number), None)
            seen = {"line": line, "number": number, "path": made.path if made else "", "key": key[:MAX_KEY]}
            if made and seen not in self.decisions and len(self.decisions) < MAX_DECISIONS:
                self.decisions.append(seen)


class Application:
    """Applies a plan to a run: allows each write of the plan once, and denies all other writes.

    Any thread may use this object.

    Args:
        plan: The plan.
    """

    replaces_writes = False

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.left = list(plan.writes)
        self._numbers: dict[int, int] = {}
        self._results: dict[int, object] = {}
        self._lock = Lock()

    def take(self, number: int, target: Target, arguments: Mapping[str, object]) -> None:
        """Count a write of the plan as made.

        Args:
            number: The number of the call.
            target: The function that is called, with its account.
            arguments: The arguments by name, with secrets redacted.

        Raises:
            Denied: The plan has no such write, or the script has made it already.
        """
        with self._lock:
            if planned := self._take(target.path, target.account, arguments):
                self._numbers[number] = planned.number
                return
            close = [each for each in self.left if (each.path, each.account) == (target.path, target.account)]
        said = json.dumps(self._filled(close[0].arguments), ensure_ascii=False) if close else ""
        raise Denied(
            f"{target.path} {target.function.effect}s with the account {target.account}, and the plan has no such call",
            hint=f"call {close[0].number} of the plan has the arguments {said}" if close else "make a new plan",
        )

    def note(self, number: int, value: object) -> None:
        """Keep the result of the call with this number, if it is planned: it replaces the marks that stand for it."""
        with self._lock:
            if planned := self._numbers.get(number):
                self._results[planned] = value

    def go_on(self, answers: Sequence[RecordedAnswer]) -> None:
        """Count the writes that were made when the plan was applied before as made.

        Args:
            answers: The recorded answers of that run.
        """
        with self._lock:
            for answer in sorted(answers, key=lambda each: each.order):
                call = answer.call or {}
                if not answer.is_write:
                    continue
                made = self._take(str(call["path"]), call["account"], call.get("arguments"))
                if made and answer.value is not None:
                    self._results[made.number] = json.loads(answer.value)

    def _take(self, path: str, account: str | None, arguments: object) -> PlannedCall | None:
        """Return the planned write with these arguments, which is no longer left; None if there is none."""
        for planned in self.left:
            is_of = (planned.path, planned.account) == (path, account)
            if is_of and is_same(self._filled(planned.arguments), arguments):
                self.left.remove(planned)
                return planned
        return None

    def warnings(self) -> list[str]:
        """Return a sentence for each planned call that the script did not make."""
        return [
            f"call {call.number} of the plan was not made: {call.path} with {call.account}, "
            f"{json.dumps(self._filled(call.arguments), ensure_ascii=False)}"
            for call in self.left
        ]

    def _filled(self, value: Any) -> Any:
        """Return planned arguments with marks such as ``<render2.create_service#2.id>`` replaced if call 2 was made."""
        if isinstance(value, Mapping):
            return {key: self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, str):
            return value
        if whole := _MARK.fullmatch(value):
            return self._result(whole)
        return _MARK.sub(lambda mark: str(self._result(mark)), value)

    def _result(self, mark: re.Match[str]) -> object:
        """Return the value for which a mark stands, the ``id`` in the result of call 2, or the mark if unknown."""
        value = self._results.get(int(mark[1]), mark[0])
        for key, index in _STEP.findall(mark[2]):
            if key and isinstance(value, Mapping) and key in value:
                value = value[key]
            elif index and isinstance(value, list) and int(index) <= len(value):
                value = value[int(index) - 1]
            else:
                return mark[0]
        return value


def marks_in(value: object) -> list[int]:
    """Return the numbers of the calls whose marks are in a value."""
    return sorted({int(number) for number, _ in _MARK.findall(json.dumps(value, ensure_ascii=False, default=str))})


def _placeholder(kind: Type | None, call: str, where: str, depth: int) -> Any:
    """Return a placeholder for a result, or for a part of it."""
    if isinstance(kind, Scalar):
        plain: dict[str, Any] = {"integer": 0, "number": 0.0, "boolean": False, "any": None}
        return plain.get(kind.kind, f"<{call}{where}>")
    if isinstance(kind, Choice):
        return kind.values[0] if kind.values else None
    if isinstance(kind, Union):
        return _placeholder(kind.members[0], call, where, depth)
    if kind is None or depth == MAX_NESTING:
        return None
    if isinstance(kind, List):
        return [_placeholder(kind.item, call, f"{where}[1]", depth + 1)]
    if isinstance(kind, Record):
        return {key: _placeholder(each, call, f"{where}.{key}", depth + 1) for key, each in kind.fields.items()}
    assert isinstance(kind, Map)
    return {}
