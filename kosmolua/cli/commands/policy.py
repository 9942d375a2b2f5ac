"""``kosmolua policy``: suggest permissions from recorded runs, and test those of a file against them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import click

from kosmolua.accounts.toml import assignments, quoted_keys
from kosmolua.catalog.catalog import Target
from kosmolua.cli import console, recordings
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, Group, examples, listing_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.errors import CallError, PluginError
from kosmolua.recordings.policies import calls_in, suggested
from kosmolua.runtime import Runtime
from kosmolua.stores.opening import default_store

VERDICTS = {"allow": "allowed", "ask": "asked", "deny": "denied"}
UNKNOWN = "unknown"


@click.group(
    "policy",
    cls=Group,
    epilog=examples("kosmolua policy suggest 3f2a 91bc > policy.toml", "kosmolua policy test policy.toml 77d0"),
)
def command() -> None:
    """Suggest permissions from recorded runs, and test the permissions of a file against them."""


@command.command("suggest", cls=Command)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@listing_options
def suggest(runs: tuple[str, ...], options: Options) -> None:
    """Print the narrowest permissions with which these runs need no question, for an accounts file.

    A RUN is a file, or the beginning of an id. Functions that the runs did not call are denied; another argument than
    those that they passed asks.
    """
    store = default_store()
    with open_to_list(options) as runtime:
        calls = [call for each in runs for call in calls_in(recordings.find(each, store), _binding(runtime))]
    policy = suggested(calls)
    if options.json:
        console.as_json(policy)
        return
    if not policy:
        console.complain("these runs made no calls that were allowed, so there is nothing to suggest")
    for number, (section, permissions) in enumerate(policy.items()):
        console.line(("\n" if number else "") + f"[{quoted_keys(*section.split('.'), 'permissions')}]")
        console.line(assignments(permissions).rstrip("\n"))
    if flows := sum(bool(call.get("flows")) for call in calls):
        console.complain(
            f"{flows} of the calls are about where a text by somebody else came from, which permissions do not decide: "
            "see kosmolua docs flow"
        )


@command.command("test", cls=Command)
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@listing_options
def test(file: str, runs: tuple[str, ...], options: Options) -> int:
    """Say which calls of recorded runs the permissions of FILE, an accounts file, would allow, ask about and deny.

    The exit status is 1 if a call would not be allowed. Nothing is sent.
    """
    store, rows = default_store(), list[dict[str, Any]]()
    with open_to_list(options.over(Options(accounts=file))) as runtime:
        for each in runs:
            recording = recordings.find(each, store)
            for call in calls_in(recording, _binding(runtime)):
                about = {name: call[name] for name in ("number", "path", "account")}
                rows.append({"run": recording.header["run"], **about, **_verdict(runtime, call)})
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (*VERDICTS.values(), UNKNOWN)}
    if options.json:
        console.as_json({"calls": rows, **counts})
    else:
        for row in rows:
            why = f": {row['why']}" if row["why"] else ""
            console.say(
                f"{row['run']} call {row['number']}: {row['path']} [{row['account']}] {row['verdict']} "
                f"by {row['rule']}{why}"
            )
        console.say(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "no calls")
    return 0 if counts[VERDICTS["allow"]] == len(rows) else 1


def _target(runtime: Runtime, call: Mapping[str, Any]) -> Target:
    integration, _, function = call["path"].rpartition(".")
    return runtime.catalog.resolve(f"{integration}.{call['account'].partition('/')[0]}.{function}")


def _binding(runtime: Runtime) -> Callable[[Mapping[str, Any], Sequence[Any]], Mapping[str, Any]]:
    """Return a function that binds the arguments of recorded calls, as far as their functions are still there."""

    def bind(call: Mapping[str, Any], given: Sequence[Any]) -> Mapping[str, Any]:
        with suppress(CallError, PluginError):
            return _target(runtime, call).function.bind(call["path"], given)
        return given[0] if len(given) == 1 and isinstance(given[0], Mapping) else {}

    return bind


def _verdict(runtime: Runtime, call: Mapping[str, Any]) -> dict[str, str]:
    try:
        rule = _target(runtime, call).rule.of_call(call.get("arguments") or {})
    except (CallError, PluginError) as error:
        return {"verdict": UNKNOWN, "rule": "nothing", "why": error.message}
    return {"verdict": VERDICTS[rule.permission], "rule": str(rule), "why": rule.why}
