"""``kosmolua integrations check``: load a plugin and say what could be better about it."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import click

from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.opening import open_to_list
from kosmolua.cli.options import listing_options
from kosmolua.cli.streams import standard
from kosmolua.plugins import Plugin, Plugins


@click.command("check")
@click.argument("target", metavar="PATH|NAME")
@listing_options
@click.pass_obj
def command(earlier: Options, target: str, options: Options) -> int:
    """Check a plugin: its docstrings, types, names, effects, page and examples.

    Each finding is a line, FILE:LINE: what is wrong (what to do). The exit status is 1 if there are any, notes aside,
    and 3 if the plugin cannot be loaded.
    """
    from kosmolua.lint import check

    options = options.over(earlier)
    standard.set_apart()
    plugin = _loaded(target, options)
    findings = [replace(finding, place=_short(finding.place)) for finding in check(plugin)]
    if options.json:
        show.as_json([asdict(finding) for finding in findings])
    elif findings:
        show.line("\n".join(map(str, findings)))
    else:
        show.line(f"{plugin.integration.name}: nothing to mend")
    return 0 if all(finding.note for finding in findings) else 1


def _loaded(target: str, options: Options) -> Plugin:
    """Return the plugin at a path, by itself, or else the one of this name."""
    if not Path(target).exists() and "/" not in target and not target.endswith(".py"):
        return open_to_list(options).catalog.plugin(target)
    plugins = Plugins([target], places=(), entry_points=dict)
    return plugins.load(plugins.names()[0])


def _short(place: str) -> str:
    """Return a file and line as seen from here, unless it is far away."""
    relative = os.path.relpath(place)
    return place if relative.startswith("..") else relative
