"""Finds a recording that the command line names, and the script and the options with which to run it again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from kosmolua.broker.recording import Recording, read
from kosmolua.broker.store import Store
from kosmolua.cli.defaults import user_defaults
from kosmolua.cli.options import Options
from kosmolua.cli.scripts import name_of, read_file
from kosmolua.errors import UsageError
from kosmolua.limits import Limits


def find(named: str, store: Store) -> Recording:
    """Return the recording that the user named.

    Args:
        named: The path of a recording, or the id of a recorded run, or the beginning of an id.
        store: The store to search for the id.

    Raises:
        ConfigError: The recording cannot be read.
        UsageError: There is no such recording, or several ids begin with the text.
    """
    if os.path.exists(named) or os.path.dirname(named):
        return read(named)
    found = [each.run for each in store.runs(beginning=named)]
    if len(found) == 1:
        return store.read(found[0])
    if found:
        raise UsageError(
            f"The ids of several recorded runs begin with {named!r}: {', '.join(found)}", hint="name one of them"
        )
    problem = f"There is no recording {named!r}, neither a file of this name nor a run with such an id"
    raise UsageError(problem, hint="run 'kosmolua runs' for a list of the recorded runs")


def changed_script(file: str | None) -> tuple[str, bytes] | None:
    """Return the name and the text of the script that the option ``--script`` names, or None without this option."""
    return None if file is None else (name_of(file), read_file(file, Limits().max_source))


def options_again(options: Options, host: Mapping[str, Any]) -> Options:
    """Return the options of a command that continues an earlier run, or applies the plan of one.

    The accounts file, plugins, scripts and simulators are those of the earlier run, unless the options name others. The
    user's defaults come from ``[kosmolua.options]`` of the accounts file that is used.

    Args:
        options: The options of the command.
        host: The ``host`` of the earlier run's recording or plan, which describes these settings.

    Raises:
        ConfigError: ``[kosmolua.options]`` has an unknown key, or a value is invalid.
    """
    earlier = Options(
        accounts=host["accounts"],
        plugin=tuple(host["plugins"]),
        scripts=host["scripts"],
        simulate=host["simulate"],
        simulate_state=host["simulate_state"],
        simulate_fail=tuple(f"{path}={outcome}" for path, outcome in host["simulate_fail"].items()),
    )
    combined = options.over(earlier)
    return Options(user_defaults(combined.accounts, os.environ), **combined.given)


script_option = click.option(
    "--script", metavar="FILE", type=click.Path(), help="Run this script in place of the recorded one."
)
