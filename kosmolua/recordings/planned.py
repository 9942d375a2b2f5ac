"""What runs with a plan keep: a planner notes what a script would write, and an application makes exactly that.

A plan is applied in two runs. The first is a *rehearsal*: the script runs with the plan's seed and readings of the
clock, its reads are made again, and its writes are only noted. So whatever the script looked at counts, and nothing
else: if it would write what the plan lists, the second run makes these writes, and gets the same answers to its reads
until the first write was sent. If not, the plan is stale, and nothing was sent.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from kosmolua import protocol
from kosmolua.errors import ConfigError, Denied, KosmoError, PlanOpen
from kosmolua.recordings.events import is_same
from kosmolua.recordings.outlines import PlannedCall, kind_of
from kosmolua.recordings.placeholders import assumed, filled, head_of, marks_in, placeholder
from kosmolua.recordings.plans import Plan
from kosmolua.recordings.recording import question

if TYPE_CHECKING:
    from kosmolua.calls.records import Call
    from kosmolua.catalog.catalog import Target
    from kosmolua.recordings.answers import RecordedAnswer
    from kosmolua.schema.types import Type

MAX_DECISIONS = 1000
MAX_KEY = 100
"""How many characters a plan keeps of the name of a field that the script reads in a planned call's result."""
MAX_REPEATS = 5
"""How often a script makes the same read with the same answer, without a write between, until its planning ends."""
SHOWN = 200
"""The length to which arguments are cut in a message, in characters."""
NEW = 1_000_000
"""What is added to the numbers of calls that are not in the plan, since marks name the numbers of the plan."""


class Readings:
    """The readings of a plan's clocks, given again one by one. After the last one, time goes on from it."""

    def __init__(self, planned: Mapping[str, Sequence[float]] | None = None) -> None:
        self._left = {clock: deque(readings) for clock, readings in (planned or {}).items()}
        self._ahead: dict[str, float] = {}

    def take(self, clock: str, now: float) -> float:
        """Return the next reading of a clock, which shows ``now`` in this run."""
        if left := self._left.get(clock):
            self._ahead[clock] = left.popleft() - now
        return now + self._ahead.get(clock, 0.0)

    def skip(self, seconds: float) -> None:
        """Let time pass at once."""
        self._ahead["wall"] = self._ahead.get("wall", 0.0) + seconds


class Planner:
    """Notes the writes of a script for a plan instead of sending them. Any thread may use it.

    With a plan, it rehearses this, and compares the writes.
    """

    replaces_writes: Literal[True] = True

    def __init__(self, plan: Plan | None = None) -> None:
        self.seed = plan.seed if plan else os.urandom(16).hex()
        self.plan = plan
        self.readings = Readings(plan.clocks if plan else None)
        self.calls: list[PlannedCall] = []
        self.decisions: list[dict[str, Any]] = []
        self.assumptions: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.refusal: KosmoError | None = None
        self.values: dict[str, deque[object]] = defaultdict(deque)
        """The answers to the reads of a rehearsal, by what :func:`read_key` returns."""
        self.heads: set[str] = set()
        """The heads of the marks that the script has got."""
        self._left = list(plan.calls) if plan else []
        self._pairs: list[tuple[PlannedCall, PlannedCall]] = []
        self._new: list[PlannedCall] = []
        self._repeats: Counter[str] = Counter()
        self._expected: list[tuple[PlannedCall, Mapping[str, object]]] = []
        self._written: dict[str, int] = {}
        """The numbers of the latest writes by each text or number that they have as an argument, of an account."""
        self._lock = Lock()

    def note(
        self,
        call: PlannedCall,
        returns: Type | None,
        expected: Mapping[str, object] | None = None,
        names: Collection[str] = (),
    ) -> str:
        """Note a call that is not made, and return the placeholder for its result as JSON.

        ``expected`` is what is assumed of the outcome of the call, once it is made. ``names`` are those of the
        arguments by which what it replaces was read, if that was.
        """
        with self._lock:
            subjects = _subjects(call.path, call.account, call.arguments, (str, int))
            read = _subjects(call.path, call.account, {name: call.arguments[name] for name in names}, (str, int))
            if kind_of(call) == "same" and subjects and self._written.keys() >= {*(read or subjects)}:
                call.before = {}  # it would change nothing now, but a planned write may change that
            number = self._matched(call)
            self.calls.append(call)
            if call.effect != "read":
                self._repeats.clear()
                self._written |= dict.fromkeys(subjects, number) if kind_of(call) != "same" else {}
                if expected:
                    self._expected.append((call, expected))
        self.heads.add(head_of(call.path, number))
        value = placeholder(returns, call.path, number)
        if call.effect == "read":
            value = self.as_assumed(call.path, call.account, call.arguments, value, call.line)
            self.repeat(call.path, call.account, call.arguments, None, call.line)  # each has marks of its own
        return protocol.encode({"$planned": number, "value": value})

    def _matched(self, call: PlannedCall) -> int:
        """Return the number of a call in the plan, so that its marks are those of the plan."""
        if self.plan is None:
            return call.number
        for planned in self._left:
            if is_call_of(planned, call.path, call.account, call.arguments):
                self._left.remove(planned)
                self._pairs.append((planned, call))
                return planned.number
        if not self.plan.is_open or any(each.effect != "read" for each in self._left):
            self._new.append(call)
        return NEW + call.number

    def look(self, path: str, account: str, arguments: Mapping[str, object], line: int) -> None:
        """Note that the script reads what a planned write changes, as it is before it, unless an assumption says so."""
        with self._lock:
            if any(each["line"] == line for each in self.assumptions):
                return
            numbers = {self._written.get(each) for each in _subjects(path, account, arguments)} - {None}
        for number in numbers:
            self.peek(number or 0, f"the answer of {path}", line)

    def as_assumed(self, path: str, account: str, arguments: Mapping[str, object], value: object, line: int) -> Any:
        """Return the answer to a read as if the planned writes that it is about had been done, and note what of it.

        A read is about a write if it takes the write's result, or shares an argument with it.
        """
        integration = path.rpartition(".")[0]
        marks = marks_in(arguments, self.heads)
        with self._lock:
            expected = list(self._expected)
        for call, outcome in expected:
            is_there = call.path.rpartition(".")[0] == integration and call.account == account
            shares = any(each is not None and arguments.get(name) == each for name, each in call.arguments.items())
            if not is_there or not (shares or self._number_of(call) in marks):
                continue
            for key, wanted in outcome.items():
                new = assumed(value, key, wanted)
                if new is not value:
                    value = new
                    noted = {"line": line, "number": call.number, "path": call.path, "key": key, "value": wanted}
                    with self._lock:
                        if noted not in self.assumptions and len(self.assumptions) < MAX_DECISIONS:
                            self.assumptions.append(noted)
        return value

    def _number_of(self, call: PlannedCall) -> int:
        return next((planned.number for planned, made in self._pairs if made is call), call.number)

    def repeat(self, path: str, account: str, arguments: object, answer: object, line: int) -> None:
        """Count a read and its answer since the last write.

        Raises:
            PlanOpen: The read was repeated with the same answer, so the script waits for something else.
        """
        key = question([line, path, account, arguments, answer])
        with self._lock:
            self._repeats[key] += 1
            is_waiting = self._repeats[key] >= MAX_REPEATS
        if is_waiting:
            raise PlanOpen(f"The script waits for another answer of {path}", line)

    def refuse(self, call: Call, error: KosmoError) -> None:
        """Note that a run would refuse a call."""
        said = {"number": call.number, "line": call.line, "path": call.path, "message": error.message}
        with self._lock:
            self.refused.append(said)
            self.refusal = self.refusal or error

    def peek(self, number: int, key: str, line: int) -> None:
        """Note that the script reads a field of a planned call's result."""
        with self._lock:
            made = next((call for call in self.calls if call.number == number), None)
            seen = {"line": line, "number": number, "path": made.path if made else "", "key": key[:MAX_KEY]}
            if made and seen not in self.decisions and len(self.decisions) < MAX_DECISIONS:
                self.decisions.append(seen)

    def differences(self, reads: Iterable[Mapping[str, Any]]) -> tuple[list[str], bool]:
        """Return how a rehearsal differs from the plan, a sentence each, and whether it can be applied all the same.

        It can if no write would have other arguments. ``reads`` are those of the rehearsal.
        """
        assert self.plan
        said, new = [], [call for call in self._new if call.effect != "read"]
        for planned in (call for call in self._left if call.effect != "read"):
            other = next((call for call in new if (call.path, call.account) == (planned.path, planned.account)), None)
            if other:
                new.remove(other)
                said.append(f"{_named(planned)} would have other arguments: {_changes(planned, other)}")
            else:
                said.append(f"{_named(planned)} would not be made: {_shown(planned.arguments)}")
        said += [f"{call.path} with {call.account} would be made too: {_shown(call.arguments)}" for call in new]
        graver = [(planned, call) for planned, call in self._pairs if planned.effect != call.effect]
        said += [f"{_named(planned)} is a {call.effect} now, and was a {planned.effect}" for planned, call in graver]
        is_bearable = not graver and not any(call.effect != "read" for call in self._new)
        changed = _changed_reads(self.plan.reads, reads)
        made = [planned for planned, _ in sorted(self._pairs, key=lambda pair: pair[1].number)]
        numbers = [planned.number for planned in made if planned.effect != "read"]
        if changed and numbers != sorted(numbers):  # with the same answers, only branches change places
            said.append(f"its writes would be made in another order: {', '.join(map(str, numbers))}")
        for planned, call in self._pairs:
            if not is_same(planned.before, call.before):
                said.append(f"{_named(planned)} {_replaced(planned, call)}")
        return (said and said + changed), is_bearable


class Application:
    """Applies a plan to a run: allows each write of the plan once, and denies all other writes.

    Any thread may use this object. The writes in ``without`` are not made, nor those that take their results. If it is
    not agreed, the writes need the usual permissions.

    Raises:
        ConfigError: The plan has no write with such a number.
    """

    replaces_writes: Literal[False] = False

    def __init__(self, plan: Plan, without: Iterable[int] = (), *, is_agreed: bool = True) -> None:
        self.plan = plan
        self.seed = plan.seed
        self.readings = Readings(plan.clocks)
        self.left = list(plan.writes)
        self.without = _with_dependents(plan, {*without})
        self.rehearsed: dict[str, deque[object]] = {}
        self.heads: set[str] = set()
        """The heads of the marks that the script has got, for calls that are left out."""
        self.placeholders: set[str] = set()
        """What the script got for these calls, as JSON, when the plan was applied before."""
        self._is_agreed = is_agreed
        self._made: dict[int, PlannedCall] = {}
        self._results: dict[str, object] = {}
        self._lock = Lock()

    def leave_out(self, without: Iterable[int]) -> None:
        """Leave out these calls too, as when the plan was applied before: those that depend on them are among them."""
        self.without |= {*without}

    def take(self, number: int, target: Target, arguments: Mapping[str, object]) -> PlannedCall | None:
        """Count a write of the plan as made, and return it. Beyond the end of an open plan, return None.

        Raises:
            Denied: The plan has no such write, or the script has made it already.
        """
        with self._lock:
            planned = self._take(target.path, target.account, arguments)
            if planned and planned.effect != target.function.effect:
                what = f"{target.path} is a {target.function.effect} now, and was a {planned.effect} in the plan"
                raise Denied(what, hint="make a new plan")
            if planned:
                self._made[number] = planned
                return planned
            if self.plan.is_open and not self.left:
                return None
            close = [each for each in self.left if (each.path, each.account) == (target.path, target.account)]
        said = json.dumps(filled(close[0].arguments, self._results), ensure_ascii=False) if close else ""
        raise Denied(
            f"{target.path} {target.function.effect}s with the account {target.account}, and the plan has no such call",
            hint=f"call {close[0].number} of the plan has the arguments {said}" if close else "make a new plan",
        )

    def agreed(self, number: int) -> PlannedCall | None:
        """Return the write of the plan that the call with this number makes, if a person has agreed to it."""
        with self._lock:
            return self._made.get(number) if self._is_agreed else None

    def rehearsed_value(self, key: str) -> tuple[bool, object]:
        """Return whether the rehearsal made a read that this run has not repeated yet, and its answer."""
        with self._lock:
            left = self.rehearsed.get(key)
            return (True, left.popleft()) if left else (False, None)

    def begin_writing(self) -> None:
        """Forget the answers of the rehearsal, since the first write is about to be sent."""
        with self._lock:
            self.rehearsed = {}

    def note(self, number: int, value: object) -> None:
        """Keep the result of the call with this number, if it is planned: it replaces the marks that stand for it."""
        with self._lock:
            if planned := self._made.get(number):
                self._results[head_of(planned.path, planned.number)] = value

    def go_on(self, answers: Sequence[RecordedAnswer]) -> None:
        """Count the writes and readings of clocks that were made when the plan was applied before."""
        for answer in sorted(answers, key=lambda each: each.order):
            call = answer.call or {}
            if answer.ask[0] == "time":
                self.readings.take(answer.ask[1], 0.0)
            number = call.get("number", 0)
            if answer.is_write:
                with self._lock:
                    made = self._take(str(call["path"]), call["account"], call.get("arguments"))
                    if made and answer.value is not None:
                        number = made.number
                        self._results[head_of(made.path, number)] = json.loads(answer.value)
            if call.get("status") == "planned" and answer.value is not None:
                self.heads.add(head_of(str(call["path"]), number))
                self.placeholders.add(answer.value)

    def _take(self, path: str, account: str | None, arguments: object) -> PlannedCall | None:
        """Return the planned write with these arguments, which is no longer left; None if there is none."""
        for planned in self.left:
            if is_call_of(planned, path, account, arguments, self._results):
                self.left.remove(planned)
                return planned
        return None

    def warnings(self) -> list[str]:
        """Return a sentence for each planned call that the script did not make."""
        return [
            f"call {call.number} of the plan was not made: {call.path} with {call.account}, "
            f"{json.dumps(filled(call.arguments, self._results), ensure_ascii=False)}"
            for call in self.left
            if call.number not in self.without
        ]


def is_call_of(
    planned: PlannedCall,
    path: str,
    account: str | None,
    arguments: object,
    results: Mapping[str, object] | None = None,
) -> bool:
    """Return True if a call is this one of a plan, in whose arguments the results of earlier calls are filled in."""
    is_of = (planned.path, planned.account) == (path, account)
    return is_of and is_same(filled(planned.arguments, results or {}), arguments)


def _subjects(path: str, account: str, arguments: Mapping[str, object], kinds: Any = str) -> list[str]:
    """Return what a call is about: each of its arguments that is a text, or of other kinds, as a key."""
    about = path.rpartition(".")[0], account
    return [question([*about, name, value]) for name, value in arguments.items() if isinstance(value, kinds)]


def read_key(path: str, account: str | None, arguments: Mapping[str, object]) -> str:
    """Return a text that identifies a read by its function, account and arguments."""
    return f"{path} {account} {sorted(arguments.items(), key=lambda each: each[0])!r}"


def _with_dependents(plan: Plan, without: set[int]) -> frozenset[int]:
    numbers = {call.number for call in plan.writes}
    if unknown := without - numbers:
        known = ", ".join(map(str, sorted(numbers))) or "none"
        raise ConfigError(f"Call {min(unknown)} is not a write of the plan", hint=f"its writes are the calls {known}")
    for call in plan.calls:
        if without.intersection(call.depends_on):
            without.add(call.number)
    return frozenset(without)


def _changed_reads(planned: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each planned read with another answer."""
    found: dict[str, deque[str]] = defaultdict(deque)
    for read in now:
        found[_read(read)].append(read["digest"])
    said = []
    for read in planned:
        left = found[_read(read)]
        if left and left.popleft() != read["digest"]:
            shown = json.dumps(read["given"], ensure_ascii=False)[1:-1][:SHOWN]
            said.append(f"call {read['number']}, {read['path']}({shown}), has another answer")
    return said


def _read(read: Mapping[str, Any]) -> str:
    return question([read["path"], read["account"], read["given"]])


def _named(call: PlannedCall) -> str:
    return f"call {call.number}, {call.path} with {call.account},"


def _replaced(planned: PlannedCall, now: PlannedCall) -> str:
    """Return how what a call replaces differs from what it would have replaced."""
    if changes := _changes(planned, now, "before"):
        return f"would replace other values: {changes}"
    if kind_of(planned) != kind_of(now):
        return "would change nothing" if kind_of(now) == "same" else "would change something"
    return "would replace other values: a secret is another one"


def _changes(planned: PlannedCall, now: PlannedCall, what: str = "arguments") -> str:
    """Return which arguments, or values before the write, differ. A value that a write does not replace is its own."""
    old, new = getattr(planned, what), getattr(now, what)
    if what == "before":
        old, new = ({key: each.get(key, planned.arguments.get(key)) for key in {**old, **new}} for each in (old, new))
    keys = [key for key in {**old, **new} if not is_same(old.get(key), new.get(key))]
    return ", ".join(f"{key} was {_shown(old.get(key))} and is {_shown(new.get(key))}" for key in keys)


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:SHOWN]
