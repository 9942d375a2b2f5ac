"""How an MCP server runs scripts for its clients: the interface, and its implementation with one runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kosmolua.calls.approvals import Approve
from kosmolua.limits import Limits
from kosmolua.memory import Passage
from kosmolua.recordings.kept_plans import missing as missing_plan
from kosmolua.recordings.plans import Plan
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runtime import Runtime
from kosmolua.stores.store import missing


class Runner(Protocol):
    """Runs scripts for the clients of an MCP server."""

    def way_to_approve(self, site: str, path: str, run: str) -> str:
        """How a person approves calls of a paused ``run``; ``path`` is their page on the website, of which the client
        knows the address ``site``, if any.
        """

    @property
    def limits(self) -> Limits:
        """The limits, which a client can only lower."""

    @property
    def saves(self) -> bool:
        """Whether scripts can be saved among the user's own."""

    def room(self) -> Passage | None:
        """Return what reserves memory for one outcome, to be closed by the caller, or None."""

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script and return its outcome. If the task is cancelled, the script ends."""

    @property
    def runtime(self) -> Runtime:
        """The runtime, which keeps plans."""

    async def plan(self, source: str, options: RunOptions) -> Outcome:
        """Make a plan of a script and keep it; return the outcome of the script, with the plan."""

    async def apply(self, plan: Plan, options: RunOptions, *, without: Sequence[int], agreed: bool) -> Outcome:
        """Apply a plan; ``agreed`` says whether a person has agreed to all of its writes but ``without``."""

    def end_run(self, run: str) -> None:
        """Ask the process that has a run to end it, if it is another one."""

    async def resume(self, run: str, options: RunOptions, **decided: Any) -> Outcome:
        """Continue a recorded run for ``options.client``, as :meth:`run` does, with what a person ``decided``.

        Raises:
            ConfigError: There is no run with this id, or it belongs to another client.
        """


class PlainRunner:
    """Runs scripts with one runtime, recorded if the accounts file turns this on for MCP."""

    saves = True

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def limits(self) -> Limits:
        return self.runtime.limits

    def room(self) -> Passage | None:
        return None

    def way_to_approve(self, site: str, path: str, run: str) -> str:
        return f"with kosmolua resume {run} --approve"

    def end_run(self, run: str) -> None:
        """Do nothing: a run of another process with the user's store ends by itself."""

    async def run(self, source: str, options: RunOptions) -> Outcome:
        if self.runtime.recordings.mcp:
            options["record"] = True
        return await self.runtime.run_async(source, **options)

    async def plan(self, source: str, options: RunOptions) -> Outcome:
        return await planned(self.runtime, source, options)

    async def apply(self, plan: Plan, options: RunOptions, *, without: Sequence[int], agreed: bool) -> Outcome:
        return await self.runtime.apply_async(plan, without=without, agreed=agreed, **options)

    async def resume(self, run: str, options: RunOptions, **decided: Any) -> Outcome:
        recording = self.runtime.store.read(run)
        if recording.header["client"] != options.get("client"):
            raise missing(run)
        return await self.runtime.resume_async(recording, **{**options, **with_asker(decided, options.get("approve"))})


def with_asker(decided: Mapping[str, Any], approve: Approve | None) -> Mapping[str, Any]:
    """Return decisions with a function that asks a person about further calls, if there is one."""
    return {**decided, "approve": [*decided.get("approve", ()), approve]} if decided and approve else decided


async def planned(runtime: Runtime, source: str, options: RunOptions) -> Outcome:
    """Make a plan of a script and keep it under its id; return the outcome of the script, with the plan."""
    plan = await runtime.plan_async(source, **options)
    await asyncio.to_thread(runtime.plans.keep, plan)
    outcome: Outcome = plan.outcome
    outcome.plan = plan.to_json() | {"outline": [line.text for line in plan.outline()]}
    return outcome


def plan_of(runtime: Runtime, id: str, client: str | None) -> Plan:
    """Return a plan that can be applied for a client: one of its own.

    Raises:
        ConfigError: There is no such plan of this client, or it was applied before.
        Denied: The plan is refused.
    """
    plan = runtime.plans.load(id)
    if plan.run["client"] != client:
        raise missing_plan(id)
    runtime.check_applicable(plan)
    return plan
