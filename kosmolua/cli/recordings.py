"""Recordings on the command line: finds a recording, and the script and options to run it with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from kosmolua.broker.recording import Recording, read
from kosmolua.broker.store import Store
from kosmolua.cli.options import Options
from kosmolua.cli.scripts import name_of, read_file
from kosmolua.errors import UsageError
from kosmolua.limits import Limits


def find(named: str, store: Store) -> Recording:
    """Return a recording.

    Args:
            named: Its path; or, if it is in the store, the id of its run or the beginning of that.
        store: The store.

    Raises:
        ConfigError: It cannot be read.
        UsageError: There is no such recording, or there are several.
    """
    if os.path.exists(named) or os.path.dirname(named):
        return read(named)
    found = [each.run for each in store.runs(beginning=named)]
    if len(found) == 1:
        return store.read(found[0])
    if found:
        raise UsageError(f"Several recordings begin with {named!r}: {', '.join(found)}")
    raise UsageError(f"There is no recording {named!r}, neither a file of this name nor a run that was recorded")


def changed_script(file: str | None) -> tuple[str, bytes] | None:
    """Return the name and the text of the script that ``--script`` names, or None if it was not given."""
    return None if file is None else (name_of(file), read_file(file, Limits().max_source))


def options_of_host(host: Mapping[str, Any]) -> Options:
    """Return the options that give a run the accounts, plugins and backend of an earlier run."""
    return Options(
        accounts=host["accounts"],
        plugin=tuple(host["plugins"]),
        simulate=host["simulate"],
        simulate_state=host["simulate_state"],
        simulate_fail=tuple(f"{path}={outcome}" for path, outcome in host["simulate_fail"].items()),
    )


script_option = click.option(
    "--script", metavar="FILE", type=click.Path(), help="Run this script in place of the recorded one."
)
