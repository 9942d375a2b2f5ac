"""Planned runs: what a script would write is noted for a plan, held against an earlier plan, or made as planned."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kosmolua.broker.used_accounts import refuse_others, used_accounts
from kosmolua.clock import moment
from kosmolua.errors import ConfigError, Denied, Exited, PlanOpen, Stale
from kosmolua.recordings.answers import Answers
from kosmolua.recordings.notes import Notes
from kosmolua.recordings.planned import Planner
from kosmolua.recordings.plans import Plan
from kosmolua.recordings.recording import Event, read
from kosmolua.runs.recorded import RunRecording, script_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kosmolua.broker.host import Host
    from kosmolua.recordings.recording import Recording
    from kosmolua.runs import RunOptions
    from kosmolua.runs.job import Job, Outcome

KEPT = ("account", "read_only", "check")
"""The options of a run that its plan keeps, beside ``deny``."""
HAS_SECRET = "its script or input contains a secret, which no plan keeps: name it with --secret, and use secrets.NAME"


class PlanningTape(RunRecording):
    """The tape of a run that makes a plan or rehearses one: it notes what the script asks, and keeps no answers."""

    def __init__(self, planner: Planner, host: Host, run: str | None = None) -> None:
        self.notes = Notes(host.redactor.value)
        header: Event = {"run": run or os.urandom(6).hex(), "seed": planner.seed}
        super().__init__(header, "", Answers(), self.notes, host=host, is_chunk=True)
        if planner.plan:
            self.follow(planner.plan.order)

    def finish(self, outcome: Outcome) -> None:
        """End the notes."""
        self.close()


def new_plan(host: Host, source: bytes, job: Job, options: RunOptions) -> Plan:
    """Return a plan for a script, which lists no calls yet. ``source`` is the text of the script, unchanged."""
    run: Event = {"mode": host.mode, "host": host.places(), "args": list(job.arguments)}
    run |= {"input": job.input, "params": dict(job.params), "account": options.get("account")}
    run |= {name: options.get(name) for name in ("client", "title", "software", "person")}
    deny = options.get("deny") or ()
    run |= {name: bool(options.get(name)) for name in ("read_only", "check")}
    run |= {"deny": [deny] if isinstance(deny, str) else list(deny)}
    return Plan(script_fields(job.name, source), run, [], [], moment())


def complete(plan: Plan, outcome: Outcome, tape: RunRecording | None, planner: Planner, host: Host) -> None:
    """Complete a plan once its script has run, without the error of the outcome if it only ended an open plan.

    ``tape`` is that of the run; None if the script did not begin.
    """
    error = outcome.error
    if isinstance(error, PlanOpen):
        plan.open_at, outcome.error = error.line or 0, None
    elif error and not isinstance(error, Exited):
        said = {"number": 0, "line": error.line or 0, "path": "", "message": error.message}
        if error is not planner.refusal:
            planner.refused.append(said)
    redact: Callable[[Any], Any] = host.redactor.value
    kept = [plan.script["source"], *(plan.run[name] for name in ("args", "input", "params"))]
    if redact(kept) != kept:
        planner.refusal = Denied(HAS_SECRET)
        planner.refused.append({"number": 0, "line": 0, "path": "", "message": HAS_SECRET})
    outcome.error = outcome.error or planner.refusal
    plan.outcome = outcome
    plan.calls = sorted(planner.calls, key=lambda call: call.number)
    decisions = sorted(planner.decisions, key=lambda seen: (seen["line"], seen["number"], seen["key"]))
    plan.script, plan.run, plan.decisions = redact(plan.script), redact(plan.run), redact(decisions)
    plan.assumptions, plan.refused = redact(planner.assumptions), redact(planner.refused)
    if isinstance(tape, PlanningTape):
        plan.clocks, plan.reads, plan.order = tape.notes.clocks, tape.notes.reads, tape.notes.order
    used = [(call.path, call.account) for call in plan.calls] + [(read["path"], read["account"]) for read in plan.reads]
    plan.accounts = used_accounts(host, ((path.rpartition(".")[0], account) for path, account in used))
    plan.sign(host.signer)


def objection(
    plan: Plan, tape: RunRecording | None, outcome: Outcome, planner: Planner, *, accept: bool
) -> Outcome | None:
    """Return the outcome of a plan that cannot be applied now, as its rehearsal shows; None if it can.

    With ``accept`` it can be applied in spite of changes, as long as no write would have other arguments.
    """
    outcome.result, outcome.output = [], ""
    if isinstance(outcome.error, (PlanOpen, Exited)):
        outcome.error = None
    outcome.error = outcome.error or planner.refusal
    if outcome.error:
        outcome.warnings.append("nothing of the plan was applied: its script failed when its reads were made again")
        return outcome
    assert isinstance(tape, PlanningTape)
    differences, is_bearable = planner.differences(tape.notes.reads)
    if not differences or (accept and is_bearable):
        return None
    hint = "make a new plan, or pass --accept-changes" if is_bearable else "make a new plan"
    outcome.error = Stale(f"The plan {plan.id} is stale: what its script reads has changed", differences, hint=hint)
    return outcome


def check_applicable(plan: Plan, host: Host, *, accept_accounts: bool | Callable[[str], bool] = False) -> None:
    """Refuse a plan that was refused itself, or that was made in another mode or with other accounts.

    Raises:
        ConfigError: Only one of the two runs is simulated, the one that made the plan or this one, or an account has
            changed.
        Denied: A run would refuse a call of the plan.
    """
    if plan.run["mode"] != host.mode:
        hint = "pass --simulate" if plan.run["mode"] == "simulated" else "apply it without --simulate"
        what = f"The plan was made by a {plan.run['mode']} run"
        raise ConfigError(f"{what}, so the plan cannot be applied in a {host.mode} run", hint=hint)
    if plan.refused:
        first = plan.refused[0]
        which = f"call {first['number']}, {first['path']}, would fail: " if first["number"] else ""
        what = f"The plan {plan.id} is refused: {which}{first['message'].rstrip('.')}"
        raise Denied(what, hint="mend the script, and make a new plan")
    refuse_others(f"The plan {plan.id} was made with", host, plan.accounts, accept=accept_accounts)


def applied_before(plan: Plan, host: Host, *, anew: bool = False) -> Recording | None:
    """Return the recording with which a plan was applied before and has to go on; None to apply it from the start.

    A plan is applied from the start if nothing was written when it was applied before. With ``anew`` it is applied from
    the start in any case.

    Raises:
        ConfigError: The plan was applied to its end, is being applied now, or the recording cannot be read.
    """
    host.plans.refresh(plan)
    if plan.applied is None or anew:
        return None
    time, name = plan.applied["time"], plan.applied["recording"]
    what, hint = f"The plan was already applied at {time}", "pass --again to apply it once more"
    try:
        recording = name and (read(name) if os.path.dirname(name) else host.store.read(name))
    except ConfigError as error:
        raise ConfigError(f"{what}, and its recording does not say what was done: {error.what}", hint=hint) from None
    if recording is None or (recording.status == "done" and not recording.place.is_in_use()):
        raise ConfigError(what, hint=hint)
    if recording.place.is_in_use():
        raise ConfigError(f"The plan is being applied now, since {time}", hint="wait until that run ends")
    has_written = any(event["event"] == "intent" for event in recording.events)
    return recording if has_written else None


def options_of(plan: Plan, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with which the script of a plan is run again; what the plan denies stays denied."""
    kept = {name: plan.run.get(name) for name in ("args", "input", "params", "account", "title")}
    deny: str | Sequence[str] = options.get("deny") or ()
    denied = {"deny": [*plan.run["deny"], *([deny] if isinstance(deny, str) else deny)]}
    strict = {name: bool(options.get(name)) or plan.run[name] for name in ("read_only", "check")}
    return {"name": plan.script["name"], **kept, **options, **denied, **strict}
