"""Brokers of plans: one notes the writes of a script instead of sending them, one makes exactly those of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from kosmolua import protocol
from kosmolua.broker.broker import Broker, mask_in
from kosmolua.broker.permissions import Permissions
from kosmolua.errors import BadArguments, CallError, KosmoError, PlanOpen
from kosmolua.protocol import Json
from kosmolua.recordings.outlines import PlannedCall
from kosmolua.recordings.placeholders import head_of, heads_in, marks_in, placeholder
from kosmolua.recordings.planned import Application, Planner, read_key
from kosmolua.recordings.plans import PLANNED
from kosmolua.schema.effects import changes
from kosmolua.secret import Redactor

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.broker.options import RunContext
    from kosmolua.calls.records import Call
    from kosmolua.catalog.catalog import Target
    from kosmolua.flow.judge import Verdict


def broker_of(plan: Planner | Application, host: Host, context: RunContext) -> Broker:
    """Return the broker of a run that makes or applies a plan."""
    if isinstance(plan, Planner):
        return _PlanningBroker(plan, host, context)
    return _ApplyingBroker(plan, host, context)


class _OfPlan(Broker):
    """What the brokers of plans have in common: the plan's clocks, and arguments that contain marks.

    A mark that also stands in an answer of a service is none: whoever wrote it there may want to hide a destination.

    In the plan of an undo, arguments also contain sealed texts of the secrets that an earlier run replaced. The secrets
    are masked in this run alone: an old value can be a common word, which other runs have to show.
    """

    def __init__(self, plan: Planner | Application, host: Host, context: RunContext) -> None:
        super().__init__(host, context)
        self._readings = plan.readings
        self._given = plan.heads
        self._placeholders = plan.placeholders if isinstance(plan, Application) else ()
        self._heard: set[str] = set()
        self._unsealed = Redactor()

    def time(self, clock: str, own: float) -> float:
        return self._readings.take(clock, super().time(clock, own))

    def redact_error(self, error: KosmoError) -> None:
        super().redact_error(error)
        mask_in(error, self._unsealed)
        if isinstance(error, CallError):
            self._heard |= heads_in(protocol.encode([error.what, error.body]))

    def _note(self, call: Call, value: object, answer: str, *, is_earlier: bool = False) -> None:
        if answer not in self._placeholders:
            self._heard |= heads_in(answer)
        super()._note(call, value, answer, is_earlier=is_earlier)

    def _marks_in(self, value: object) -> list[int]:
        return marks_in(value, self._given - self._heard)

    def _known(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Leave out what contains a mark, whose value no service has given yet."""
        return {name: value for name, value in arguments.items() if not self._marks_in(value)}

    def _bind(self, target: Target, given: Sequence[Json]) -> dict[str, object]:
        """Accept an argument that contains a mark, which stands for a part of a result, for any parameter."""
        given = self._host.sealer.filled(given, target.section, self._unsealed.learn)
        try:
            return super()._bind(target, given)
        except BadArguments as error:
            named = given[0] if len(given) == 1 and isinstance(given[0], Mapping) else {}
            if not self._marks_in(named.get(error.param or "")):
                raise
            return dict(named)

    def _encode(self, call: Call, value: object) -> str:
        return super()._encode(call, self._unsealed.value(value) if self._unsealed.learned else value)


class _PlanningBroker(_OfPlan):
    """Makes only the reads whose arguments contain nothing of a planned call's result."""

    def __init__(self, planner: Planner, host: Host, context: RunContext) -> None:
        super().__init__(planner, host, context)
        self._planner = planner

    def peek(self, number: int, key: str, line: int) -> None:
        self._planner.peek(number, key, line)

    def sleep(self, seconds: float, *, in_branch: bool = False, line: int = 0, is_for: bool = False) -> float:
        if is_for:
            raise PlanOpen("The script waits for something that no call of the plan brings about", line)
        self._readings.skip(seconds)
        return 0.0

    def _answer(self, call: Call, *rest: Any) -> str:
        try:
            return super()._answer(call, *rest)
        except CallError as error:
            if call.stage in ("new", "planned") and changes(call.effect):
                self._planner.refuse(call, error)
            raise

    def _carry_out(self, call: Call, target: Target, arguments: Mapping[str, object]) -> str:
        depends_on, function = self._marks_in(call.redacted), target.function
        if call.effect == "read" and not depends_on:
            answer = super()._carry_out(call, target, arguments)
            self._planner.repeat(target.path, target.account, call.redacted, answer, call.line)
            self._planner.look(target.path, target.account, call.redacted, call.line)
            return answer
        call.allowed_by, call.stage = PLANNED, "planned"
        details = self._details(target, arguments, exists=not depends_on)
        if not depends_on and self._previews.is_done(target, arguments):
            details["before"] = dict(call.redacted)  # it changes nothing
        details["why"] = target.rule.why
        details["flows"] = [self._host.redactor.text(flow.text) for flow in call.flows]
        about = call.number, call.line, target.path, target.account, function.effect, dict(call.redacted), depends_on
        read = function.before(arguments) if function.before and details["before"] else None
        names = read[1].keys() & call.redacted.keys() if read else ()
        return self._planner.note(PlannedCall(*about, **details), function.returns, function.assume, names)

    def _names_behind(self, target: Target, arguments: Mapping[str, object]) -> dict[str, str]:
        return super()._names_behind(target, self._known(arguments))

    def _invoke(self, call: Call, *called: Any) -> object:
        value = super()._invoke(call, *called)
        if self._planner.plan:
            self._planner.values[read_key(call.path, str(call.account), call.arguments or {})].append(deepcopy(value))
        return value

    def _encode(self, call: Call, value: object) -> str:
        given = call.arguments or {}
        assumed = self._planner.as_assumed(call.path, str(call.account), given, value, call.line)
        return super()._encode(call, assumed)


class _ApplyingBroker(_OfPlan):
    """Makes each write of the plan once, and no other write before the end of the plan."""

    def __init__(self, application: Application, host: Host, context: RunContext) -> None:
        super().__init__(application, host, context)
        self._application = application
        self._permissions = _PlannedPermissions(application, host, context)

    def _carry_out(self, call: Call, target: Target, arguments: Mapping[str, object]) -> str:
        if call.effect == "read":
            number = call.number if self._marks_in(call.redacted) else 0
        else:
            planned = self._application.take(call.number, target, call.redacted)
            number = planned.number if planned and planned.number in self._application.without else 0
        if not number:
            return super()._carry_out(call, target, arguments)
        # The plan is applied without this call, or without one whose result it takes.
        call.allowed_by, call.stage = PLANNED, "planned"
        self._application.heads.add(head_of(target.path, number))
        value = placeholder(target.function.returns, target.path, number)
        self._application.note(call.number, value)
        return protocol.encode(value)

    def _invoke(self, call: Call, *called: Any) -> object:
        if call.effect == "read":
            key = read_key(call.path, str(call.account), call.arguments or {})
            is_known, value = self._application.rehearsed_value(key)
            call.stage = "returned" if is_known else "new"
            return value if is_known else super()._invoke(call, *called)
        self._application.begin_writing()
        return super()._invoke(call, *called)

    def _note(self, call: Call, value: object, answer: str, *, is_earlier: bool = False) -> None:
        if call.effect != "read":
            self._application.note(call.number, self.handles.shown_in(answer))
        super()._note(call, value, answer, is_earlier=is_earlier)


class _PlannedPermissions(Permissions):
    def __init__(self, application: Application, host: Host, context: RunContext) -> None:
        super().__init__(host, context)
        self._application = application

    def allow(
        self,
        target: Target,
        arguments: Mapping[str, object],
        *,
        number: int = 0,
        details: Callable[[], Mapping[str, Any]] = dict,
        flows: Sequence[Verdict] = (),
    ) -> str:
        """Allow the writes of the plan, but for those that several people must approve; for others, see the base.

        A value that came with the result of a write was not in the plan, so that a person is asked about its flows.
        """
        if agreed := self._application.agreed(number):
            known = agreed.flows if agreed.depends_on else [self._host.redactor.text(each.text) for each in flows]
            flows = [each for each in flows if self._host.redactor.text(each.text) not in known]
            if self._host.people_for(target.function.effect) == 1 and not (flows and self._held(target, flows)):
                return PLANNED
        return super().allow(target, arguments, number=number, details=details, flows=flows)
