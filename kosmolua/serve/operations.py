"""The operations of the HTTP API: what the website shows and does for a tenant, for programs, a function for each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any

from kosmolua import __version__
from kosmolua.errors import NOT_NOW
from kosmolua.runs import Outcome, RunOptions
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.work import overview
from kosmolua.stores.store import DEFAULT_RUNS, STATUSES, Decision, Summary
from kosmolua.stores.tasks import HOOK, SCHEDULE, begin_by_hand

CLIENT = "the API"
"""The name of the client in runs that are started with the API."""
PERSON = "a person at the API"
"""The phrase in the journal that says who approved or denied a call."""
MAX_RUNS = 1_000
TENANT_ONLY, ALL, OPERATOR = "tenant", "all", "operator"
"""The values of :attr:`Endpoint.reach`."""
Json = Mapping[str, Any]
Answer = Callable[[Tenant, Json], Coroutine[Any, Any, object]]
"""A function that returns the answer as a JSON value. It gets the tenant and the parameters by name."""


class RequestRefused(Exception):
    """A request that is refused, with the HTTP status of the answer, and a sentence that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Endpoint:
    """An operation of the API.

    Args:
        method: The HTTP method.
        path: The path below :data:`kosmolua.serve.api.ROOT`, with the parameters of the path in braces.
        name: The name of the operation.
        about: A sentence that says what the operation does.
        answer: The function that answers.
        query: The parameters of the query, each with its JSON Schema.
        body: The properties of the body, each with its JSON Schema; empty if the request has no body.
        required: The properties of the body that must be there.
        reach: Whether the operation is about one tenant, or, for the operator's token, about all tenants if none is
            named; or whether it needs the operator's token in addition.
    """

    method: str
    path: str
    name: str
    about: str
    answer: Answer
    query: Json = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    required: tuple[str, ...] = ()
    reach: str = TENANT_ONLY


_TEXT: Json = {"type": "string"}
TENANT_PARAMETER: Json = {"tenant": {**_TEXT, "description": "The tenant, for requests with the operator's token."}}
_NUMBERS = {"type": "array", "items": {"type": "integer"}, "description": "The numbers of calls."}
_SCRIPT: Json = {
    "source": {**_TEXT, "description": "The script, in Lua."},
    "name": {**_TEXT, "description": "The name of the script."},
    "input": {"description": "The value of the script's variable input."},
}
_PAUSED = {"paused": {"type": "boolean", "description": "False to let it run again [true]."}}

ENDPOINTS: list[Endpoint] = []
"""The operations, which :func:`_operation` adds in the order in which they stand here."""


def _operation(method: str, path: str, **more: Any) -> Callable[[Answer], Answer]:
    """Add an operation, whose name and sentence are those of the function that answers."""

    def add(answer: Answer) -> Answer:
        ENDPOINTS.append(Endpoint(method, path, answer.__name__, str(answer.__doc__), answer, **more))
        return answer

    return add


@_operation("GET", "/status", reach=ALL)
async def get_status(tenant: Tenant, given: Json) -> object:
    """Get how busy the server is."""
    load = tenant.runtime.load
    waiting = await asyncio.to_thread(tenant.runtime.store.waiting)
    await asyncio.to_thread(tenant.orders.read)
    return {
        "tenant": tenant.name,
        "version": __version__,
        "workers": load.workers,
        "busy": load.busy,
        "queued": load.queued,
        "approvals_waiting": len(waiting),
        "drained": tenant.orders.is_drained,
    }


@_operation(
    "GET",
    "/runs",
    query={
        "status": {**_TEXT, "enum": [*STATUSES], "description": "Only runs with this status."},
        "before": {**_TEXT, "description": "Only runs that began before this time."},
        "limit": {"type": "integer", "description": f"The most runs to list [{DEFAULT_RUNS}]."},
    },
)
async def list_runs(tenant: Tenant, given: Json) -> object:
    """List the recorded runs of the tenant, the latest first."""
    limit = given.get("limit", str(DEFAULT_RUNS))
    if not re.fullmatch("[0-9]{1,4}", limit) or not 0 < int(limit) <= MAX_RUNS:
        raise RequestRefused(400, f"The parameter limit must be a number from 1 to {MAX_RUNS:,}")
    status, before = given.get("status", ""), given.get("before", "")
    if status and status not in STATUSES:
        raise RequestRefused(400, f"The parameter status must be one of {', '.join(STATUSES)}")
    store = tenant.runtime.store
    found = await asyncio.to_thread(lambda: store.runs(status=status, before=before, limit=int(limit)))
    return {"runs": [each._asdict() for each in found]}


@_operation(
    "POST",
    "/runs",
    body={
        **_SCRIPT,
        "args": {"type": "array", "items": _TEXT, "description": "The arguments of the script."},
    },
    required=("source",),
)
async def start_run(tenant: Tenant, given: Json) -> object:
    """Run a script, and get its outcome."""
    options: RunOptions = {"client": CLIENT, "name": given.get("name", "api.lua"), "check": True}
    if "input" in given:
        options["input"] = given["input"]
    if "args" in given:
        options["args"] = given["args"]
    return _report(await tenant.run(given["source"], options))


@_operation("GET", "/runs/{run}")
async def get_run(tenant: Tenant, given: Json) -> object:
    """Get a recorded run."""
    return (await _found(tenant, given["run"]))._asdict()


@_operation("GET", "/runs/{run}/outcome")
async def get_outcome(tenant: Tenant, given: Json) -> object:
    """Replay a recorded run to get its outcome."""
    run = await _found(tenant, given["run"])
    if run.status == "running":
        raise RequestRefused(409, f"The run {run.run} is still running")
    runtime = tenant.runtime
    recording = await asyncio.to_thread(runtime.store.read, run.run)
    return {**_report(await asyncio.to_thread(runtime.replay, recording, client=CLIENT)), "run": run.run}


@_operation(
    "POST", "/runs/{run}/resume", body={"approve": _NUMBERS, "deny": _NUMBERS, "done": _NUMBERS, "again": _NUMBERS}
)
async def resume_run(tenant: Tenant, given: Json) -> object:
    """Resume a run that has paused or was interrupted, and get its outcome."""
    run = await _found(tenant, given["run"])
    if given.get("approve"):
        recording = await asyncio.to_thread(tenant.runtime.store.read, run.run)
        _refuse_for_several(tenant, recording.paused_calls)
    decided: dict[str, Any] = {name: given[name] for name in ("approve", "deny", "again") if name in given}
    if "done" in given:
        decided["done"] = dict.fromkeys(given["done"])
    return _report(await tenant.resume(run.run, {"client": CLIENT}, **decided))


@_operation("POST", "/runs/{run}/cancel")
async def cancel_run(tenant: Tenant, given: Json) -> object:
    """End a script that runs or sleeps, at any server."""
    run = await _found(tenant, given["run"])
    if not await asyncio.to_thread(tenant.orders.can_cancel, run.run, run.status):
        raise RequestRefused(409, f"The run {run.run} is not running: its status is {run.status}")
    await asyncio.to_thread(tenant.orders.cancel, run.run)
    return {"run": run.run, "cancelled": True}


@_operation("GET", "/schedules")
async def list_schedules(tenant: Tenant, given: Json) -> object:
    """List the schedules and hooks, with the last run."""
    found = await asyncio.to_thread(overview.entries, tenant.name, tenant.work, tenant.runtime.store)
    return {f"{kind}s": [each.to_json() for each in found if each.kind == kind] for kind in (SCHEDULE, HOOK)}


@_operation("POST", "/schedules/{schedule}/run")
async def run_schedule(tenant: Tenant, given: Json) -> object:
    """Run the script of a schedule now, besides its ticks, at any server, and get the id of the run."""
    _refuse_unknown(SCHEDULE, given["schedule"], tenant.work.schedules)
    task = await asyncio.to_thread(begin_by_hand, tenant.runtime.store.tasks, given["schedule"])
    return {"run": task.run}


@_operation("POST", "/schedules/{schedule}/pause", body=_PAUSED)
async def pause_schedule(tenant: Tenant, given: Json) -> object:
    """Skip the ticks of a schedule until this is undone."""
    _refuse_unknown(SCHEDULE, given["schedule"], tenant.work.schedules)
    return await _pause(tenant, SCHEDULE, given["schedule"], given)


@_operation("POST", "/hooks/{hook}/pause", body=_PAUSED)
async def pause_hook(tenant: Tenant, given: Json) -> object:
    """Skip the deliveries of a hook until this is undone."""
    _refuse_unknown(HOOK, given["hook"], tenant.work.hooks)
    return await _pause(tenant, HOOK, given["hook"], given)


@_operation("GET", "/plans")
async def list_plans(tenant: Tenant, given: Json) -> object:
    """List the plans of the tenant, the latest first."""
    found = await asyncio.to_thread(tenant.runtime.plans.all)
    about = [(plan, {"plan": plan.id, "time": plan.time, "script": plan.script["name"]}) for plan in found]
    return {"plans": [{**each, "writes": len(plan.writes), "status": plan.status} for plan, each in about]}


@_operation("POST", "/plans", body=_SCRIPT, required=("source",))
async def make_plan(tenant: Tenant, given: Json) -> object:
    """Make a plan of a script: its writes are noted and not sent."""
    options: RunOptions = {"client": CLIENT, "name": given.get("name", "api.lua"), "check": True}
    return _report(await tenant.plan(given["source"], {**options, "input": given.get("input")}))


@_operation("GET", "/plans/{plan}")
async def get_plan(tenant: Tenant, given: Json) -> object:
    """Get a plan, with its outline as lines of text."""
    plan = await asyncio.to_thread(tenant.runtime.plans.load, given["plan"])
    return {**_without_places(plan.to_json()), "status": plan.status, "outline": [line.text for line in plan.outline()]}


@_operation("DELETE", "/plans/{plan}")
async def deny_plan(tenant: Tenant, given: Json) -> object:
    """Deny a plan, which is then removed."""
    await asyncio.to_thread(tenant.runtime.plans.remove, given["plan"])
    return {"plan": given["plan"], "denied": True}


@_operation(
    "POST", "/plans/{plan}/apply", body={"without": {**_NUMBERS, "description": "The numbers of calls to leave out."}}
)
async def apply_plan(tenant: Tenant, given: Json) -> object:
    """Make the writes of a plan, and get the outcome."""
    plan = await asyncio.to_thread(tenant.runtime.plans.load, given["plan"])
    return _report(await tenant.apply(plan, {"client": CLIENT}, without=given.get("without", ()), agreed=True))


@_operation(
    "POST",
    "/drain",
    body={"drained": {"type": "boolean", "description": "False to begin scripts again [true]."}},
    reach=OPERATOR,
)
async def drain(tenant: Tenant, given: Json) -> object:
    """Begin no scripts at any server until this is undone; those that run go on."""
    await asyncio.to_thread(lambda: tenant.orders.drain(ends=not given.get("drained", True)))
    return await get_status(tenant, given)


@_operation("GET", "/sessions")
async def list_sessions(tenant: Tenant, given: Json) -> object:
    """List the sessions of people on the website."""
    found = await asyncio.to_thread(tenant.signed_in.all)
    ends = sorted(found.items(), key=itemgetter(1))
    return {"sessions": [{"session": name, "until": overview.utc(until)} for name, until in ends]}


@_operation("DELETE", "/sessions/{session}")
async def revoke_session(tenant: Tenant, given: Json) -> object:
    """End a session of a person on the website."""
    if not await asyncio.to_thread(tenant.signed_in.revoke, given["session"]):
        raise RequestRefused(404, "There is no such session")
    return {"session": given["session"], "revoked": True}


@_operation("GET", "/approvals")
async def list_approvals(tenant: Tenant, given: Json) -> object:
    """List the calls that wait for a person."""
    waiting = await asyncio.to_thread(tenant.runtime.store.waiting)
    return {"approvals": [{**each._asdict(), "name": each.name} for each in waiting]}


@_operation(
    "POST",
    "/approvals/{call}",
    body={"approve": {"type": "boolean", "description": "Whether the call is approved."}},
    required=("approve",),
)
async def decide_approval(tenant: Tenant, given: Json) -> object:
    """Approve or deny a call of a script that is running."""
    waiting = await asyncio.to_thread(tenant.runtime.store.waiting)
    call = next((each for each in waiting if given["call"] in (each.id, each.name)), None)
    if call is None:
        raise RequestRefused(404, "This call does not wait any more")
    if not call.is_live:
        raise RequestRefused(
            409, f"The run {call.run} is paused: resume it, with the numbers of the calls that you approve"
        )
    if given["approve"]:
        _refuse_for_several(tenant, [call.call])
    decision = Decision(given["approve"], PERSON)
    if not await asyncio.to_thread(tenant.approvals.answer, call, decision):
        raise RequestRefused(409, "Somebody else has decided about this call")
    return {"approved": given["approve"]}


def _refuse_for_several(tenant: Tenant, calls: Iterable[Json]) -> None:
    """Refuse approvals of calls that several people have to approve, whom a token of the API cannot tell apart."""
    if any(tenant.people_for(call["effect"]) > 1 for call in calls):
        raise RequestRefused(409, "Several people have to approve this call, which they can do on the website")


async def _pause(tenant: Tenant, kind: str, name: str, given: Json) -> object:
    paused = given.get("paused", True)
    await asyncio.to_thread(partial(overview.pause, tenant.runtime.store, kind, name, ends=not paused))
    return {"name": name, "paused": paused}


def _refuse_unknown(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise RequestRefused(404, f"There is no such {kind}")


def _report(outcome: Outcome) -> dict[str, object]:
    if outcome.run is None and isinstance(outcome.error, NOT_NOW):
        raise outcome.error
    told = {name: value for name, value in outcome.to_json().items() if name != "recording"}  # a path on the server
    if outcome.plan:
        told["plan"] = _without_places(outcome.plan)
    return {"run": outcome.run, **told, "error": outcome.error.fields() if outcome.error else None}


def _without_places(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a plan without the paths of files on the server."""
    return {**plan, "run": {name: value for name, value in plan["run"].items() if name != "host"}}


async def _found(tenant: Tenant, run: str) -> Summary:
    found = await asyncio.to_thread(lambda: tenant.runtime.store.runs(beginning=run, limit=1))
    if not found or found[0].run != run:
        raise RequestRefused(404, "There is no such run")
    return found[0]
