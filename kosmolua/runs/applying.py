"""What takes a planned run: making a plan of it, and applying the plan, which rehearses it first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kosmolua.errors import ConfigError
from kosmolua.recordings.planned import Application, Planner
from kosmolua.recordings.plans import Plan
from kosmolua.runs.job import Outcome, as_bytes
from kosmolua.runs.planned import applied_before, check_applicable, complete, new_plan, objection, options_of
from kosmolua.runs.recorded import source_of
from kosmolua.runs.resuming import Decisions, resumed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kosmolua.runs import RunOptions
    from kosmolua.runs.run import Run
    from kosmolua.runs.running import Runs, Steps


def planning(runs: Runs, source: str | bytes, options: RunOptions) -> Steps[Plan]:
    """Yield the run that only lists its writes, and return the plan of them: see :meth:`kosmolua.Runtime.plan`."""
    planner = Planner()
    given: RunOptions = {**options, "planning": planner}
    run = runs.prepare(source, given)
    plan = new_plan(runs.host, as_bytes(source), run.job, given)
    plan.seed = planner.seed
    complete(plan, (yield run), run.recording, planner, runs.host)
    return plan


def applying(
    runs: Runs,
    application: Application,
    decisions: Decisions,
    options: Mapping[str, Any],
    *,
    anew: bool = False,
    accept_changes: bool = False,
) -> Steps[Outcome]:
    """Yield the runs that apply a plan, and return the outcome of its script: see :meth:`kosmolua.Runtime.apply`.

    ``decisions`` are about writes of an earlier application. With ``anew`` there is none that counts.
    """
    plan = application.plan
    check_applicable(plan, runs.host, accept_accounts=decisions.accept_accounts)
    if applied_before(plan, runs.host, anew=anew) is None:
        planner = Planner(plan)
        application.rehearsed = planner.values
        silent = {"on_output": None, "watch": None, "observe": None, "record": None, "run": None, "planning": planner}
        given: Any = {**options_of(plan, options), **silent}
        run = runs.prepare(source_of(plan.script), given)
        outcome = yield run
        if refusal := objection(plan, run.recording, outcome, planner, accept=accept_changes):
            return runs.told(refusal)
    with plan.held():
        run = _prepared(runs, application, decisions, options, anew=anew)
    outcome = yield run
    outcome.warnings += application.warnings()
    return outcome


def _prepared(
    runs: Runs, application: Application, decisions: Decisions, options: Mapping[str, Any], *, anew: bool
) -> Run:
    """Prepare the run that makes the writes of a plan. Mark the plan, or resume its earlier application."""
    plan = application.plan
    if earlier := applied_before(plan, runs.host, anew=anew):
        application.leave_out(plan.applied["without"] if plan.applied else ())
        run = resumed(runs, earlier, None, decisions, {**options, "planning": application})
        assert run.recording
        run.recording.follow(plan.order)
        application.go_on(run.recording.answers.all)
        return run
    if decisions.done or decisions.again:
        what = "The plan is applied from its start, so no write of it may have been done"
        raise ConfigError(what, hint="apply it without --done and without numbers after --again")
    record = options.get("record") or True
    given: Any = {**options_of(plan, options), "record": record, "planning": application}
    run = runs.prepare(source_of(plan.script), given)
    try:
        run.begin_recording()
        assert run.recording
        run.recording.follow(plan.order)
        path = run.recording.path
        where = path if record is True else os.path.abspath(path)
        runs.host.plans.mark(plan, where, application.without, runs.host.signer)
    except BaseException:
        runs.forget(run)
        raise
    return run
