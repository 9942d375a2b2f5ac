"""``kosmolua resume``: continue a recorded run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from kosmolua.calls.approvals import Approve
from kosmolua.cli import recordings
from kosmolua.cli.approval import TerminalApprover
from kosmolua.cli.decisions import ALL, NUMBERS, accepted, accounts_option, done_option, numbers_option
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, session_options
from kosmolua.cli.scripts import open_runtime, perform, watched
from kosmolua.cli.tenants import Kept, audited, tenant_options
from kosmolua.recordings.recording import Recording
from kosmolua.recordings.signing import Signer
from kosmolua.runs import Outcome
from kosmolua.runs.recorded import was_made_here
from kosmolua.runtime import Runtime
from kosmolua.stores.store import Store, Vote, approved_calls, ballot


class Resume(Command):
    """The command ``resume``. ``--approve`` and ``--deny`` apply to all waiting calls if no numbers follow them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, after :func:`_with_numbers` has added ``all`` where numbers of calls are left out."""
        return super().parse_args(ctx, list(_with_numbers(args)))


def _with_numbers(words: Sequence[str]) -> Iterator[str]:
    """Yield a command line with the word ``all`` after each ``--approve`` and ``--deny`` that names no calls.

    ``--deny`` is also replaced by ``--deny-calls``, unless a pattern of functions follows. ``--deny PATTERN`` is a
    different option, which this command shares with ``kosmolua run``.
    """
    following = [*words[1:], "--"]
    for word, after in zip(words, following, strict=False):
        has_numbers = NUMBERS.fullmatch(after) is not None
        if word == "--approve":
            yield from [word] if has_numbers else [word, ALL]
        elif word == "--deny" and (has_numbers or after.startswith("-")):
            yield from ["--deny-calls"] if has_numbers else ["--deny-calls", ALL]
        else:
            yield word


@click.command(
    "resume",
    cls=Resume,
    epilog=examples(
        "kosmolua resume 3f2a",
        "kosmolua resume run.jsonl --timeout 10m",
        "kosmolua resume run.jsonl --script mended.lua",
        "kosmolua resume 3f2a --approve 7,9 --deny 8",
        "kosmolua resume 3f2a --done 12 --again 13",
        "kosmolua resume 3f2a --tenant acme --approve",
    ),
)
@click.argument("file", type=click.Path())
@recordings.script_option
@numbers_option("--approve", help="Allow these calls of a paused run, or all that wait.")
@numbers_option("--deny-calls", hidden=True)
@done_option
@numbers_option("--again", help="Send a write without an answer again.")
@accounts_option
@click.option("--until-damage", is_flag=True, help="Cut a damaged recording at its damage, and go on from there.")
@tenant_options
@session_options
def command(
    file: str,
    script: str | None,
    approve: list[int] | bool,
    deny_calls: list[int] | bool,
    done: dict[int, Any],
    again: list[int] | bool,
    accept_accounts: bool,
    until_damage: bool,
    kept: Kept,
    options: Options,
) -> int:
    """Continue a recorded run where it ended.

    FILE is a recording, or the beginning of the id of a run whose recording is in your state folder. The results of
    recorded calls come from the recording; all other calls are made now, and appended to the recording. A write that is
    recorded as done is never sent again. If the run ended during a write, nobody knows whether the write was done: its
    call is shown, and --done or --again decides about it.

    A paused run goes on with --approve or --deny, followed by numbers of calls; without numbers, they mean all waiting
    calls. Limits are the recorded ones, unless options raise them. A tenant's run has the accounts and permissions that
    the accounts file gives to the tenant.
    """
    decided: dict[str, Any] = {"approve": approve, "deny": deny_calls, "again": again, "done": done}
    decided["accept_accounts"] = accepted(accept_accounts)
    with kept.opened(options.accounts) as store:
        return _resume(recordings.find(file, store, until_damage=until_damage), kept, store, script, options, decided)


def _resume(
    recording: Recording, kept: Kept, store: Store, script: str | None, options: Options, decided: dict[str, Any]
) -> int:
    name = recording.script["name"]
    if kept.tenant is None:
        subject = f"The recording {recording.path}"
        is_own = was_made_here(recording, Signer(store))
        options = recordings.options_again(options, recording.header["host"], subject, is_own=is_own)
    given: dict[str, Any] = {**options.limits_given, **decided}
    if changed := recordings.changed_script(script):
        name, given["script"] = changed
        given |= {"name": name, "check": True}
    if options.no_check:
        given["check"] = False

    def run(**callbacks: Any) -> Outcome:
        # A person at the terminal is asked about calls whose numbers were not given.
        asks = callbacks.pop("approve", None)
        with _runtime(recording, kept, store, options, asks) as runtime:
            if kept.tenant:
                from kosmolua.serve.grants import Grants  # what its people have allowed for good on the website

                given["allow"] = Grants(lambda: store).patterns(runtime.catalog)
                _vote(recording, decided["approve"], runtime, store)
                with audited(recording, kept, options.accounts, runtime, callbacks) as end:
                    return end(runtime.resume(recording, **given, **callbacks))
            return runtime.resume(recording, **given, **callbacks)

    return perform(lambda: watched(run, options), options, name.removeprefix("="), kept.where_it_is, in_full=True)


def _vote(recording: Recording, approved: object, runtime: Runtime, store: Store) -> None:
    """Keep the yes of the person at the terminal to those calls that several people have to approve."""
    for call in approved_calls(recording, approved):
        if runtime.accounts.sections.approvals.get(call["effect"], 1) > 1:
            store.vote(ballot(recording.header["run"], call), Vote(TerminalApprover().name))


def _runtime(recording: Recording, kept: Kept, store: Store, options: Options, asks: Approve | None) -> Runtime:
    """Return a runtime that continues a recorded run, with the settings of the run's tenant, or else of the user."""
    if kept.tenant is None:
        return open_runtime(options, approve=asks)
    simulate = bool(options.simulate or recording.header["host"]["simulate"])
    return kept.runtime(options, store, simulate=simulate, approve=asks)
