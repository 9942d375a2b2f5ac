"""The plans that a store keeps by their ids, with the marks of those that were applied."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from kosmolua.clock import moment
from kosmolua.errors import ConfigError
from kosmolua.recordings.events import PLAN_ID
from kosmolua.recordings.plans import Plan

if TYPE_CHECKING:
    from kosmolua.recordings.signing import Signer

UNDO = "=undo "
"""How the name of the script begins that undoes a run; the id of the run follows."""


class PlanStore(Protocol):
    """Keeps plans as bytes. :class:`kosmolua.stores.store.Store` is one."""

    def plan(self, id: str) -> bytes | None: ...
    def plans(self) -> list[bytes]: ...
    def put_plan(self, id: str, new: bytes, old: bytes | None) -> bool: ...
    def remove_plan(self, id: str) -> None: ...


class KeptPlans:
    """The plans in a store. It also keeps each plan that was applied from a file, since the file can have copies."""

    def __init__(self, store: PlanStore) -> None:
        self._store = store

    def keep(self, plan: Plan) -> None:
        """Keep a new plan under its id.

        Raises:
            ConfigError: The store cannot be written, or has a plan with this id.
        """
        self._put(plan, None)

    def load(self, id: str) -> Plan:
        """Return the plan with an id; raise ConfigError if there is no such plan, or it cannot be read."""
        data = self._store.plan(id) if PLAN_ID.fullmatch(id) else None
        if data is None:
            raise missing(id)
        return Plan.parse(data, id)

    def all(self) -> list[Plan]:
        """Return the plans that can be read, the latest first."""
        found: list[Plan] = []
        for data in self._store.plans():
            with suppress(ConfigError):  # of another version
                found.append(Plan.parse(data, ""))
        return sorted(found, key=lambda plan: plan.time, reverse=True)

    def undone(self, run: str) -> set[int]:
        """Return the numbers of a run's calls that plans which were applied take back."""
        undoing = [plan for plan in self.all() if plan.applied and plan.script["name"] == f"{UNDO}{run}"]
        steps = [
            step
            for plan in undoing
            for number, step in enumerate(plan.run["input"] or (), start=1)
            if plan.applied and number not in plan.applied["without"]
        ]
        return {step["undoes"] for step in steps if isinstance(step, dict) and "undoes" in step}

    def remove(self, id: str) -> None:
        """Remove the plan with an id; raise ConfigError if there is no such plan."""
        if not PLAN_ID.fullmatch(id) or self._store.plan(id) is None:
            raise missing(id)
        self._store.remove_plan(id)

    def refresh(self, plan: Plan) -> None:
        """Take over the mark that the store has of a plan, which may be a copy that has none."""
        plan.kept = self._store.plan(plan.id)
        if plan.kept and (mark := Plan.parse(plan.kept, plan.id).applied):
            plan.applied = mark

    def mark(self, plan: Plan, recording: str | None, without: Iterable[int], signer: Signer) -> None:
        """Note that a plan is being applied, in the store and in the plan's file. The note survives a power cut.

        ``recording`` is that of the run that applies it: its file, or the run's id in the store. The calls with the
        numbers in ``without`` are not made.

        Raises:
            ConfigError: The store or the file cannot be written, or another process has marked the plan meanwhile.
        """
        before = plan.applied, plan.signature
        now = moment()
        plan.applied = {"time": now, "recording": recording, "without": sorted(without)}
        plan.sign(signer)
        try:
            if plan.path is not None:
                plan.save(plan.path)
            self._put(plan, plan.kept)
        except ConfigError:
            plan.applied, plan.signature = before
            raise

    def _put(self, plan: Plan, old: bytes | None) -> None:
        new = plan.to_bytes()
        if not self._store.put_plan(plan.id, new, old):
            raise ConfigError(f"The plan {plan.id} is in use: another process applies or denies it", hint="try again")
        plan.kept = new


def missing(id: str) -> ConfigError:
    """Return the error for a plan that does not exist."""
    return ConfigError(
        f"There is no plan {id[:40]!r}", hint="kosmolua run --plan makes one, and kosmolua plans lists them"
    )
