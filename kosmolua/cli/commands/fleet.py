"""``kosmolua fleet``: run one script once for each of many inputs."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from time import monotonic
from typing import Any

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, fleet_options
from kosmolua.cli.progress import on_one_line
from kosmolua.cli.rows import read_rows
from kosmolua.cli.scripts import name_of, open_runtime, read_file, taken_as_interrupts
from kosmolua.cli.streams import standard
from kosmolua.errors import UsageError
from kosmolua.escaping import visible
from kosmolua.fleet.executors import opened
from kosmolua.fleet.fleet import Fleet
from kosmolua.fleet.ledger import Ledger, line_of, place_of
from kosmolua.fleet.tasks import Script, Task, tasks_of
from kosmolua.runs import Outcome
from kosmolua.runs.job import chunk_of
from kosmolua.runtime import Runtime

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
@click.option("--done", multiple=True, metavar="KEY", help="With --resume: count this input's open writes as done.")
@click.option("--again", multiple=True, metavar="KEY", help="With --resume: send this input's open writes again.")
@fleet_options
def command(options: Options, **given: Any) -> int:
    """Run one script over many inputs.

    Each run finds its input in the global variable input. If the script begins with a header (a comment that declares
    its parameters), the input is also in params. Results are JSON lines, in the order in which runs end; a
    summary goes to standard error.

    With --out, the runs of a script that may write are recorded until they are done. --resume then continues each run
    where it stopped, and repeats no write. If a run stopped during a write, nobody knows whether the write was done:
    the input is reported and not run, until you name it with --done (the write was done) or with --again (send the
    write again).

    The exit status is 0 if all runs succeeded, 1 if some failed, and 130 if the fleet was interrupted.
    """
    if given["resume"] and not given["out"]:
        raise UsageError("--resume needs --out, the file that says which inputs are done")
    if (given["done"] or given["again"]) and not given["resume"]:
        raise UsageError("--done and --again decide about the runs that --resume continues: give --resume too")
    with open_runtime(options, reuse=options.reuse) as runtime, taken_as_interrupts():
        source = read_file(given["script"], runtime.limits.max_source)
        script = Script(source, {"name": name_of(given["script"]), "check": False})  # the command checks it once
        return _Report(script, runtime, given | {"no_check": options.no_check}).run()


class _Report:
    """Runs a script over the inputs of one ``kosmolua fleet`` command, and reports progress and results.

    Args:
        script: The script.
        runtime: The runtime that runs the script.
        given: The values of the options that only this command has, and of the shared option ``no_check``.
    """

    def __init__(self, script: Script, runtime: Runtime, given: dict[str, Any]) -> None:
        self._script = script
        self._runtime = runtime
        self._given = given
        self._started = monotonic()
        self._counts: Counter[bool] = Counter()
        self._errors: dict[str, list[Outcome]] = {}
        self._slowest: tuple[float, object] = (0.0, None)
        self._shown = 0.0
        self._total = 0

    def run(self) -> int:
        """Run the script once for each input that is not done, and return the exit status."""
        given = self._given
        may_write = self._check()
        accounts = [name.strip() for name in (given["each_account"] or "").split(",") if name.strip()]
        for account in accounts:
            self._runtime.catalog.check_account(account)
        rows = read_rows(given["inputs"], given["key"], self._script.header)
        with ExitStack() as stack:
            ledger = Ledger(given["out"], resume=given["resume"]) if given["out"] else None
            if ledger:
                stack.callback(ledger.close)
            folder = given["recordings"] or (f"{given['out']}{SUFFIX}" if ledger and may_write else None)
            folder = folder and os.path.abspath(folder)
            tasks = [*self._left(tasks_of(iter(rows), accounts, folder), ledger)]
            self._total = len(tasks)
            executor, limit = stack.enter_context(opened(given["executor"], given["jobs"]))
            fleet = Fleet(self._runtime, self._script, executor, limit, retries=given["retries"])
            status = self._work(fleet, tasks, ledger)
            if folder and not given["recordings"]:
                with suppress(OSError):
                    os.rmdir(folder)
        self._summarize()
        return status

    def _work(self, fleet: Fleet, tasks: list[Task], ledger: Ledger | None) -> int:
        """Run the tasks, write the outcome of each, and return the exit status.

        Args:
            fleet: The object that runs the tasks, several at the same time.
            tasks: The runs to make, one for each input and account.
            ledger: The file ``--out``, to which outcomes are written; None for standard output.
        """
        outcomes = fleet.run(tasks)
        try:
            for outcome in outcomes:
                self._add(outcome, ledger)
                if self._counts[False] == self._given["max_failures"]:
                    console.complain(f"stopped after {self._counts[False]} failures, as --max-failures says")
                    break
        except KeyboardInterrupt:
            console.complain("interrupted: runs that had not begun are left out" + self._way_on())
            return 130
        finally:
            outcomes.close()
            self._end_progress()
        return 1 if self._counts[False] else 0

    def _check(self) -> bool:
        """Return True if the script may write. Raise an error if the script is certain to fail."""
        report = self._runtime.checker().check(chunk_of(self._script.source))
        if not self._given["no_check"] and (refusal := report.refusal()) and report.is_lua:
            raise refusal
        return not report.is_read_only

    def _left(self, tasks: Iterator[Task], ledger: Ledger | None) -> Iterator[Task]:
        """Yield the tasks that the ledger does not list as done.

        If ``--done`` or ``--again`` names the key of a task, the task gets this decision about the write during which
        its earlier run stopped.
        """
        settled = {**dict.fromkeys(self._given["done"], "done"), **dict.fromkeys(self._given["again"], "again")}
        for task in tasks:
            if ledger and place_of(task.key, task.account) in ledger.done:
                continue
            settle = settled.get(str(task.key), "")
            yield Task(task.key, task.input, task.account, task.recording, settle) if settle else task

    def _add(self, outcome: Outcome, ledger: Ledger | None) -> None:
        if ledger:
            ledger.add(outcome)
            if outcome.ok and outcome.recording and not self._given["recordings"]:
                with suppress(OSError):
                    os.unlink(outcome.recording)
        else:
            if standard.is_shown:
                self._end_progress()
            console.as_json(line_of(outcome), None)
        self._counts[outcome.ok] += 1
        if outcome.error:
            self._errors.setdefault(outcome.error.code, []).append(outcome)
        self._slowest = max(
            self._slowest, (outcome.usage.get("wall_ms", 0.0) / 1000, outcome.key), key=lambda each: each[0]
        )
        self._show_progress()

    # On standard error

    def _show_progress(self) -> None:
        now = monotonic()
        if not console.draws_on(sys.stderr) or now - self._shown < INTERVAL:
            return
        self._shown = now
        count = self._counts.total()
        rate = count / (now - self._started)
        slowest = self._slowest[0]
        key = " ".join(visible(str(self._slowest[1])).split())
        line = (
            f"{count:,}/{self._total:,}  {rate:.0f}/s  {self._counts[False]:,} failed  slowest {slowest:.1f} s ({key})"
        )
        sys.stderr.write(f"\r\x1b[K{on_one_line(line, sys.stderr)}")
        sys.stderr.flush()

    def _end_progress(self) -> None:
        if console.draws_on(sys.stderr):
            sys.stderr.write("\r\x1b[K")

    def _summarize(self) -> None:
        count, seconds = self._counts.total(), monotonic() - self._started
        left = f", {self._total - count:,} not run" if count < self._total else ""
        console.complain(f"{self._counts[True]:,} done, {self._counts[False]:,} failed{left} in {seconds:.1f} s")
        for kind, outcomes in sorted(self._errors.items(), key=lambda each: -len(each[1])):
            keys = ", ".join(_named(outcome) for outcome in outcomes[:MAX_SHOWN])
            more = f" and {len(outcomes) - MAX_SHOWN:,} more" if len(outcomes) > MAX_SHOWN else ""
            console.complain(f"{len(outcomes):,} {kind}: {keys}{more}")
        if self._errors.get("under_way"):
            console.complain(
                "writes that were under way may have been done: check, then --resume with --done KEY or --again KEY"
            )

    def _way_on(self) -> str:
        return "; --resume goes on" if self._given["out"] else ""


def _named(outcome: Outcome) -> str:
    return f"{outcome.key}" if outcome.account is None else f"{outcome.key} ({outcome.account})"
