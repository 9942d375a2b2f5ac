"""Brokers of plans: one notes the writes of a script instead of sending them, one makes exactly those of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kosmolua.broker.broker import Broker, mask_in
from kosmolua.broker.permissions import Permissions
from kosmolua.errors import BadArguments, KosmoError
from kosmolua.protocol import Json
from kosmolua.recordings.plans import PLANNED, Application, PlannedCall, Planner, marks_in
from kosmolua.secret import Redactor

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.broker.options import RunContext
    from kosmolua.calls.records import Call
    from kosmolua.catalog.catalog import Target
    from kosmolua.schema.integration import Integration


def broker_of(plan: Planner | Application, host: Host, context: RunContext) -> Broker:
    """Return the broker of a run that makes or applies a plan."""
    if isinstance(plan, Planner):
        return _PlanningBroker(plan, host, context)
    return _ApplyingBroker(plan, host, context)


class _UnsealingBroker(Broker):
    """Puts the secrets that an earlier run replaced in place of their sealed texts, for the plan of an undo.

    They are masked in this run alone: an old value can be a common word, which other runs have to show.
    """

    def __init__(self, host: Host, context: RunContext) -> None:
        super().__init__(host, context)
        self._unsealed = Redactor()

    def redact_error(self, error: KosmoError) -> None:
        super().redact_error(error)
        mask_in(error, self._unsealed)

    def _bind(self, target: Target, given: Sequence[Json]) -> dict[str, object]:
        return super()._bind(target, self._host.sealer.filled(given, target.section, self._unsealed.learn))

    def _encode(self, call: Call, target: Target, value: object) -> str:
        return super()._encode(call, target, self._unsealed.value(value) if self._unsealed.learned else value)


class _PlanningBroker(_UnsealingBroker):
    """Makes only the reads whose arguments contain nothing of a planned call's result."""

    def __init__(self, planner: Planner, host: Host, context: RunContext) -> None:
        super().__init__(host, context)
        self._planner = planner

    def peek(self, number: int, key: str, line: int) -> None:
        self._planner.peek(number, key, line)

    def _bind(self, target: Target, given: Sequence[Json]) -> dict[str, object]:
        """Accept an argument that contains a mark, which stands for a part of a result, for any parameter."""
        try:
            return super()._bind(target, given)
        except BadArguments as error:
            named = given[0] if len(given) == 1 and isinstance(given[0], Mapping) else {}
            if not marks_in(named.get(error.param or "")):
                raise
            return dict(named)

    def _carry_out(
        self,
        call: Call,
        target: Target,
        given: Sequence[Json],
        arguments: Mapping[str, object],
        redacted: Mapping[str, object],
    ) -> str:
        depends_on = marks_in(redacted)
        if call.effect == "read" and not depends_on:
            return super()._carry_out(call, target, given, arguments, redacted)
        call.allowed_by, call.is_planned = PLANNED, True
        function, details = target.function, self._details(target, arguments, exists=not depends_on)
        about = call.number, call.line, target.path, target.account, function.effect, dict(redacted), depends_on
        return self._planner.note(PlannedCall(*about, **details), function.returns)

    def _names_behind(self, target: Target, arguments: Mapping[str, object]) -> dict[str, str]:
        return super()._names_behind(target, {name: each for name, each in arguments.items() if not marks_in(each)})


class _ApplyingBroker(_UnsealingBroker):
    """Makes each write of the plan once, and no other write."""

    def __init__(self, application: Application, host: Host, context: RunContext) -> None:
        super().__init__(host, context)
        self._application = application
        self._permissions = _PlannedPermissions(application, host, context)

    def _invoke(
        self,
        call: Call,
        integration: Integration,
        account: str,
        handler: Callable[..., object],
        arguments: Mapping[str, object],
    ) -> object:
        value = super()._invoke(call, integration, account, handler, arguments)
        self._application.note(call.number, value)
        return value


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
    ) -> str:
        if target.function.effect == "read":  # the plan says nothing about reads
            return super().allow(target, arguments, number=number, details=details)
        self._application.take(number, target, arguments)
        return PLANNED
