"""``kosmolua fleet``: run one script once for each of many inputs."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import click

from kosmolua.calls.titles import title_of
from kosmolua.cli import console, terminal
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, fleet_options
from kosmolua.cli.rows import read_rows
from kosmolua.cli.scripts import name_of, open_runtime, read_file, taken_as_interrupts
from kosmolua.cli.streams import standard
from kosmolua.cli.tenants import Kept, TenantFleet, tenant_options
from kosmolua.errors import CheckFailed, Paused, UsageError, WorkerLost
from kosmolua.escaping import visible
from kosmolua.fleet.executors import opened, works_here
from kosmolua.fleet.fleet import Fleet
from kosmolua.fleet.ledger import Ledger, line_of, place_of
from kosmolua.fleet.recordings import FleetRecordings
from kosmolua.fleet.tasks import FleetScript, ScriptRunner, Task, tasks_of
from kosmolua.runs import Outcome
from kosmolua.runs.job import chunk_of
from kosmolua.runtime import Runtime
from kosmolua.stores.tasks import new_run

SUFFIX = ".runs"
"""The suffix of the folder beside ``--out`` that keeps the recordings of unfinished runs."""
MAX_SHOWN = 10
INTERVAL = 0.2
"""Seconds between two updates of the progress line."""


@click.command(
    "fleet",
    cls=Command,
    epilog=examples(
        "kosmolua fleet audit.lua --inputs teams.csv --key team --out audit.jsonl",
        "kosmolua fleet audit.lua --inputs teams.csv --key team --out audit.jsonl --resume",
        "kosmolua fleet audit.lua --inputs ids.jsonl --each-account production,staging --jobs 16",
        "kosmolua fleet audit.lua --inputs ids.jsonl --executor dask://scheduler:8786 --out audit.jsonl",
    ),
)
@click.argument("script", type=click.Path(), metavar="SCRIPT")
@click.option(
    "--inputs", required=True, metavar="FILE", help="The inputs, in a .jsonl, .csv or .json; - is JSON lines."
)
@click.option("--key", metavar="FIELD", help="The field that names an input [its number].")
@click.option("--each-account", metavar="A,B", help="Run each input with each account as the default one.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Runs at once [8, or as many as there are workers].")
@click.option("--executor", metavar="NAME", help="dask://HOST:PORT, dask:local, or MODULE:FACTORY [threads].")
@click.option("--out", metavar="FILE", help="Append a JSON line for each outcome [standard output].")
@click.option("--resume", is_flag=True, help="Run inputs that failed or are missing from --out; no write is repeated.")
@click.option("--recordings", metavar="DIR", help="Keep a recording of each run here.")
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="How often to repeat a run that may succeed later [0].",
)
@click.option("--max-failures", type=click.IntRange(1), metavar="N", help="Stop after N failures.")
@click.option(
    "--done",
    multiple=True,
    metavar="KEY[=JSON]",
    help="With --resume: count this input's open writes as done, with JSON as their result.",
)
@click.option("--again", multiple=True, metavar="KEY", help="With --resume: send this input's open writes again.")
@click.option("--approve", is_flag=True, help="With --resume: approve the calls that paused runs wait for.")
@tenant_options
@fleet_options
def command(options: Options, kept: Kept, script: str, **given: Any) -> int:
    """Run one script over many inputs.

    Each run finds its input in the global variable input. If the script begins with a header (a comment that declares
    its parameters), the input is also in params. Results are JSON lines, in the order in which runs end; a
    summary goes to standard error.

    With --out, the runs of a script that may write are recorded until they are done. --resume then continues each run
    where it stopped, and repeats no write. If a run stopped during a write, nobody knows whether the write was done:
    the input is reported and not run, until you name it with --done (the write was done) or with --again (send the
    write again). A script that goes on to use the result of the write needs it: --done KEY=JSON.

    With --tenant, the runs have the tenant's accounts and permissions, and are kept in its store. The website of
    kosmolua serve then shows the fleet, and asks people about calls that need approval.

    The exit status is 0 if all runs succeeded, 1 if some failed or are paused, and 130 if the fleet was interrupted.
    """
    wanted = _Wanted(**given)
    if wanted.resume and not wanted.out:
        raise UsageError("--resume needs --out, the file that says which inputs are done")
    if (wanted.done or wanted.again or wanted.approve) and not wanted.resume:
        raise UsageError("--done, --again and --approve decide about runs that --resume continues: give --resume too")
    if kept.tenant and (wanted.resume or wanted.recordings or wanted.executor):
        raise UsageError(
            "--tenant is for runs in this process, recorded in the tenant's store: --resume, --recordings and "
            "--executor do not apply",
            hint="a run of a tenant goes on at its website, or with kosmolua resume RUN --tenant NAME",
        )
    with ExitStack() as stack:
        if kept.tenant:
            store = stack.enter_context(kept.opened(options.accounts))
            runtime = stack.enter_context(kept.runtime(options, store, simulate=options.simulate))
        else:
            runtime = stack.enter_context(open_runtime(options, reuse=options.reuse))
        stack.enter_context(taken_as_interrupts())
        source = read_file(script, runtime.limits.max_source)
        chunk = FleetScript(source, {"name": name_of(script), "check": False})  # the command checks it once
        return _Report(chunk, runtime, kept, options, wanted).run()


@dataclass(frozen=True)
class _Wanted:
    """What the options of the command alone say."""

    inputs: str
    key: str | None
    each_account: str | None
    jobs: int | None
    executor: str | None
    out: str | None
    resume: bool
    recordings: str | None
    retries: int
    max_failures: int | None
    done: tuple[str, ...]
    again: tuple[str, ...]
    approve: bool


class _Report:
    """Runs a script over the inputs of one ``kosmolua fleet`` command, and reports progress and results."""

    def __init__(self, script: FleetScript, runtime: Runtime, kept: Kept, options: Options, wanted: _Wanted) -> None:
        self._script = script
        self._runtime = runtime
        self._kept = kept
        self._options = options
        self._wanted = wanted
        self._started = monotonic()
        self._counts: Counter[str] = Counter()  # of done, failed and paused runs
        self._errors: dict[str, list[Outcome]] = {}
        self._slowest: tuple[float, object] = (0.0, None)
        self._shown = 0.0
        self._total = 0

    def run(self) -> int:
        """Run the script once for each input that is not done, and return the exit status."""
        wanted = self._wanted
        may_write = self._check()
        accounts = [name.strip() for name in (wanted.each_account or "").split(",") if name.strip()]
        for account in accounts:
            self._runtime.catalog.check_account(account)
        rows = read_rows(wanted.inputs, wanted.key, self._script.header)
        with ExitStack() as stack:
            ledger = Ledger(wanted.out, resume=wanted.resume) if wanted.out else None
            if ledger:
                stack.callback(ledger.close)
            recordings = self._recordings(may_write=may_write)
            every = [*tasks_of(iter(rows), accounts, recordings)]
            if recordings and ledger:
                stack.callback(self._end, recordings, every, ledger)
            tasks = [*self._left(every, ledger)]
            self._total = len(tasks)
            executor, limit = stack.enter_context(opened(wanted.executor, wanted.jobs))
            if may_write and not recordings and not works_here(executor):
                console.complain("a run whose process is lost may be repeated, with its writes: --out prevents that")
            runner: ScriptRunner = self._runtime
            if self._kept.tenant:
                runner = stack.enter_context(TenantFleet.opened(self._kept, self._options.accounts, self._runtime))
                self._script = _in_fleet(self._script, len(tasks))
            fleet = Fleet(runner, self._script, executor, limit, retries=wanted.retries, warn=self._complain)
            status = self._work(fleet, tasks, ledger)
        self._summarize()
        return status

    def _work(self, fleet: Fleet, tasks: list[Task], ledger: Ledger | None) -> int:
        """Run the tasks, write the outcome of each, and return the exit status."""
        outcomes = fleet.run(tasks)
        try:
            for outcome in outcomes:
                self._add(outcome, ledger)
                if self._counts["failed"] == self._wanted.max_failures:
                    self._complain(f"stopped after {self._counts['failed']} failures, as --max-failures says")
                    break
        except WorkerLost as error:
            self._complain(error.message + self._way_on())
            return 1
        except KeyboardInterrupt:
            self._complain("interrupted: runs that had not begun are left out" + self._way_on())
            return 130
        finally:
            outcomes.close()
            self._end_progress()
        return 1 if self._counts["failed"] or self._counts["paused"] else 0

    def _check(self) -> bool:
        """Return True if the script may write. Raise an error if the script is certain to fail."""
        report = self._runtime.checker().check(chunk_of(self._script.source))
        if not self._options.no_check and (refusal := report.refusal()) and report.is_lua:
            if isinstance(refusal, CheckFailed):
                refusal.script = self._script.options["name"]
            raise refusal
        return not report.is_read_only

    def _recordings(self, *, may_write: bool) -> FleetRecordings | None:
        """Return the folder in which to record the runs, or None if they are not recorded."""
        kept, out = self._wanted.recordings, self._wanted.out
        if kept:
            return FleetRecordings(kept, are_kept=True)
        is_own = out and may_write and not self._kept.tenant
        return FleetRecordings(f"{out}{SUFFIX}", are_kept=False) if is_own else None

    def _end(self, recordings: FleetRecordings, tasks: list[Task], ledger: Ledger) -> None:
        """Remove the recordings that are no longer needed, since the ledger has the outcomes of their runs."""
        ledger.sync()
        done = (task for task in tasks if place_of(task.key, task.account) in ledger.done)
        recordings.end(task.recording for task in done if task.recording)

    def _left(self, tasks: list[Task], ledger: Ledger | None) -> Iterator[Task]:
        """Yield the tasks that are not done; ``--done`` and ``--again`` decide about writes at which they stopped."""
        keys = {str(task.key) for task in tasks}
        settled = {}
        for option, words in (("done", self._wanted.done), ("again", self._wanted.again)):
            for word in words:
                key, result = _decision(word, keys, option)
                settled[key] = option, result
        for task in tasks:
            if ledger and place_of(task.key, task.account) in ledger.done:
                continue
            settle, result = settled.get(str(task.key), ("", None))
            yield replace(task, settle=settle, result=result, approve=self._wanted.approve)

    def _add(self, outcome: Outcome, ledger: Ledger | None) -> None:
        if ledger:
            ledger.add(outcome)
        else:
            if standard.is_shown:
                self._end_progress()
            console.as_json(line_of(outcome), None)
        self._counts["done" if outcome.ok else "paused" if isinstance(outcome.error, Paused) else "failed"] += 1
        if outcome.error:
            self._errors.setdefault(outcome.error.code, []).append(outcome)
        self._slowest = max(
            self._slowest, ((outcome.usage.wall_ms or 0.0) / 1000, outcome.key), key=lambda each: each[0]
        )
        self._show_progress()

    # On standard error

    def _complain(self, said: str) -> None:
        self._end_progress()
        console.complain(said)

    def _show_progress(self) -> None:
        now = monotonic()
        if not terminal.draws_on(sys.stderr) or now - self._shown < INTERVAL:
            return
        self._shown = now
        room = terminal.width(sys.stderr) - 1
        sys.stderr.write(f"\r\x1b[K{terminal.on_one_line(self._progress(now - self._started), room)}")
        sys.stderr.flush()

    def _progress(self, seconds: float) -> str:
        """Return the progress after so many seconds on one line: a bar, the time that is left, and what failed."""
        count = self._counts.total()
        rest = (self._total - count) / count * seconds
        left = f"{terminal.spelled(max(1.0, rest) * 1000)} left  " if rest else ""
        slowest = terminal.spelled(self._slowest[0] * 1000)
        key = " ".join(visible(str(self._slowest[1])).split())
        return (
            f"{terminal.bar(count, self._total)} {count:,}/{self._total:,}  {left}{count / seconds:.0f}/s  "
            f"{self._counts['failed']:,} failed  slowest {slowest} ({key})"
        )

    def _end_progress(self) -> None:
        if terminal.draws_on(sys.stderr):
            sys.stderr.write("\r\x1b[K")

    def _summarize(self) -> None:
        count, seconds = self._counts.total(), monotonic() - self._started
        waiting = f", {self._counts['paused']:,} paused" if self._counts["paused"] else ""
        left = f", {self._total - count:,} not run" if count < self._total else ""
        ended = f"{self._counts['done']:,} done, {self._counts['failed']:,} failed"
        console.complain(f"{ended}{waiting}{left} in {seconds:.1f} s")
        for kind, outcomes in sorted(self._errors.items(), key=lambda each: -len(each[1])):
            keys = ", ".join(_named(outcome) for outcome in outcomes[:MAX_SHOWN])
            more = f" and {len(outcomes) - MAX_SHOWN:,} more" if len(outcomes) > MAX_SHOWN else ""
            console.complain(f"{len(outcomes):,} {kind}: {keys}{more}")
        if self._errors.get("under_way"):
            console.complain(
                "writes that were under way may have been done: check, then --resume with --done KEY or --again KEY"
            )
        if paused := self._errors.get("paused"):
            console.complain(f"paused runs wait for the approval of {_calls_of(paused)}")
            on_site = "to go on: people of the tenant allow these calls on its website"
            here = "to go on: --resume --approve allows these calls, --resume --yes all calls"
            console.complain(on_site if self._kept.tenant else here)

    def _way_on(self) -> str:
        return "; --resume goes on" if self._wanted.out and not self._kept.tenant else ""


def _in_fleet(script: FleetScript, size: int) -> FleetScript:
    """Return the script with the option by which its runs say which fleet they belong to."""
    title = title_of(script.source, script.options["name"])
    return replace(script, options={**script.options, "fleet": {"id": new_run(), "title": title, "size": size}})


def _named(outcome: Outcome) -> str:
    return f"{outcome.key}" if outcome.account is None else f"{outcome.key} ({outcome.account})"


def _calls_of(paused: list[Outcome]) -> str:
    """Return the calls that paused runs wait for as text: how often which function with which account."""
    calls = [call for outcome in paused if isinstance(outcome.error, Paused) for call in outcome.error.calls]
    kinds = Counter(f"{call['path']} with {call['account']}" for call in calls)
    named = [f"{count:,} x {kind}" for kind, count in kinds.most_common(MAX_SHOWN)]
    return ", ".join(named) + (f" and {len(kinds) - MAX_SHOWN:,} other functions" if len(kinds) > MAX_SHOWN else "")


def _decision(word: str, keys: set[str], option: str) -> tuple[str, Any]:
    """Return the key of the input that the value of ``--done`` or ``--again`` names, and the result after its ``=``."""
    if word in keys:
        return word, None
    for end in (match.start() for match in re.finditer("=", word)):
        if option == "done" and word[:end] in keys:
            try:
                return word[:end], json.loads(word[end + 1 :])
            except ValueError:
                raise UsageError(f"the text after --done {word[: end + 1]} is not JSON") from None
    raise UsageError(f"--{option} {word}: no input has this key")
