"""Finds a recording that the command line names, and the script and the options with which to run it again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

import click

from kosmolua.cli import console
from kosmolua.cli.defaults import user_defaults
from kosmolua.cli.options import Options
from kosmolua.cli.scripts import name_of, read_file
from kosmolua.errors import NOTHING_SENT, ConfigError, UsageError
from kosmolua.escaping import exposed
from kosmolua.folders import accounts_file
from kosmolua.limits import Limits
from kosmolua.recordings.recording import Recording, read
from kosmolua.recordings.repair import repaired
from kosmolua.recordings.sheets import File, Place
from kosmolua.stores.store import Store


def find(named: str, store: Store, *, until_damage: bool = False) -> Recording:
    """Return the recording that the user named: by its path, or by the id of its run in the store, or its beginning.

    With ``until_damage``, a damaged recording is cut at its damage, see :mod:`kosmolua.recordings.repair`.

    Raises:
        ConfigError: The recording cannot be read.
        UsageError: There is no such recording, or several ids begin with the text.
    """
    if os.path.exists(named) or os.path.dirname(named):
        return _repaired(File(named)) if until_damage else read(named)
    found = [each.run for each in store.runs(beginning=named)]
    if len(found) == 1:
        return _repaired(store.place(found[0])) if until_damage else store.read(found[0])
    if found:
        raise UsageError(
            f"The ids of several recorded runs begin with {named!r}: {', '.join(found)}", hint="name one of them"
        )
    problem = f"There is no recording {named!r}, neither a file of this name nor a run with such an id"
    raise UsageError(problem, hint="run 'kosmolua runs' for a list of the recorded runs")


def _repaired(place: Place) -> Recording:
    recording, said = repaired(place)
    if said:
        console.warn(said)
    return recording


def changed_script(file: str | None) -> tuple[str, bytes] | None:
    """Return the name and the text of the script that the option ``--script`` names, or None without this option."""
    return None if file is None else (name_of(file), read_file(file, Limits().max_source))


def options_again(options: Options, host: Mapping[str, Any], subject: str, *, is_own: bool) -> Options:
    """Return the options of a command that continues an earlier run, or applies the plan of one.

    For a run of the user's own, the accounts file, plugins, scripts and simulators are those in ``host`` of its
    recording or plan, unless the options name others. Of a file that was made elsewhere, they are a hint: the user is
    asked before it is followed. The user's defaults come from ``[kosmolua.options]`` of the accounts file that is used.

    Raises:
        ConfigError: The file names other settings than the user's, and the user does not agree to use them. Or
            ``[kosmolua.options]`` has an unknown key, or a value is invalid.
    """
    earlier = Options(
        accounts=host["accounts"],
        plugin=tuple(host["plugins"]),
        scripts=host["scripts"],
        simulate=host["simulate"],
        simulate_state=host["simulate_state"],
        simulate_fail=tuple(f"{path}={outcome}" for path, outcome in host["simulate_fail"].items()),
    )
    if not is_own and (named := _named_elsewhere(options, earlier)):
        _agree(subject, named)
    combined = options.over(earlier)
    return Options(user_defaults(combined.accounts, os.environ), **combined.given)


def _named_elsewhere(options: Options, earlier: Options) -> list[str]:
    """Return the options, as they are typed, for those places in a file that are not the user's own."""
    accounts, exists = accounts_file(options.accounts, os.environ)
    own = {
        "accounts": os.path.abspath(accounts) if exists else None,
        "plugin": tuple(map(os.path.abspath, options.plugin)),
        "scripts": options.scripts and os.path.abspath(options.scripts),
        "simulate_state": options.simulate_state and os.path.abspath(options.simulate_state),
    }
    other = {name: earlier.given[name] for name in own if name in earlier.given and name not in options.given}
    return [
        f"--{name.replace('_', '-')} {quote(each)}"
        for name, value in other.items()
        if value != own[name]
        for each in ([value] if isinstance(value, str) else value)
    ]


def _agree(subject: str, named: Sequence[str]) -> None:
    said = f"{subject} was not made here, and names other settings than yours, which may run programs: "
    said += exposed(" ".join(named))
    agree(said, "Use them?", hint="to use them, or others in their place, pass these options")


def agree(said: str, question: str, *, hint: str) -> None:
    """Ask the person at the terminal whether to go on in spite of something; ``hint`` says what to do if not.

    Raises:
        ConfigError: Nobody can be asked, or the answer is no.
    """
    if console.can_ask():
        console.complain(said)
        if console.agrees(question):
            return
    refusal = ConfigError(said, hint=hint)
    refusal.sent = NOTHING_SENT
    raise refusal


script_option = click.option(
    "--script", metavar="FILE", type=click.Path(), help="Run this script in place of the recorded one."
)
