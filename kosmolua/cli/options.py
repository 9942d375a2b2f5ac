"""The options that commands share, and the runtime that they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from kosmolua.cli import show
from kosmolua.limits import MOST_SECONDS, Limits, parse_size

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes, such as 64K or 96MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes, or fail with a sentence."""
        try:
            size = value if isinstance(value, int) else parse_size(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        return size if size > 0 else self.fail(f"{value} is not more than 0.", param, ctx)


@dataclass(frozen=True)
class Options:
    """What the shared options were set to."""

    accounts: Path | None
    plugin: tuple[Path, ...]
    simulate: bool
    read_only: bool
    yes: bool
    timeout: float | None
    cpu: float | None
    memory: int | None
    max_calls: int | None
    max_output: int | None
    journal: Path | None
    trace: bool
    json: bool


POSITIVE = click.FloatRange(min=0, min_open=True, max=MOST_SECONDS)
_FILE = click.Path(path_type=Path)
_RUNNING = [
    click.option("--accounts", type=_FILE, metavar="FILE", help="The accounts file."),
    click.option("--plugin", type=_FILE, multiple=True, metavar="PATH", help="Load this integration too; repeatable."),
    click.option("--simulate", is_flag=True, help="Use simulators: no network, no credentials."),
    click.option("--read-only", is_flag=True, help="Deny every write."),
    click.option("--yes", "-y", is_flag=True, help="Allow what would be asked."),
    click.option("--timeout", type=POSITIVE, metavar="S", help="Seconds on the wall, waiting included [120]."),
    click.option("--cpu", type=POSITIVE, metavar="S", help="Seconds of processor time [30]."),
    click.option("--memory", type=Size(), metavar="SIZE", help="Memory of the Lua VM [96MiB]."),
    click.option("--max-calls", type=click.IntRange(min=1), metavar="N", help="Calls of functions [1000]."),
    click.option("--max-output", type=Size(), metavar="SIZE", help="Bytes printed [10MiB]."),
    click.option("--journal", type=_FILE, metavar="FILE", help="Append a JSON line for each call."),
    click.option("--trace", is_flag=True, help="Show each call on standard error."),
    click.option("--json", is_flag=True, is_eager=True, help="Print one JSON object, also on failure."),
]


def running_options(command: _Command) -> _Command:
    """Give a command the options of everything that runs scripts or makes calls, as one ``options`` argument."""
    return _with_options(command, Options, _RUNNING)


def _with_options(command: _Command, kind: Any, options: list[Callable[[Any], Any]]) -> _Command:
    names = tuple(kind.__dataclass_fields__)

    @wraps(command)
    def gather(*args: Any, **given: Any) -> Any:
        return command(*args, options=kind(**{name: given.pop(name) for name in names}), **given)

    decorated: Any = gather
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def make_runtime(options: Options) -> Any:
    """Return the runtime that the options ask for.

    Raises:
        ConfigError: A file cannot be read, or says something that it may not.
    """
    from kosmolua.cli.approval import approver
    from kosmolua.runtime import Runtime

    runtime = Runtime(
        options.accounts,
        simulate=options.simulate,
        plugins=options.plugin,
        read_only=options.read_only,
        yes=options.yes,
        approve=approver(),
        journal=options.journal,
        warn=show.warn,
    )
    runtime.limits = limits_of(options, runtime.limits)
    return runtime


def list_runtime(options: Listing) -> Any:
    """Return the runtime for a command that only lists."""
    from kosmolua.runtime import Runtime

    return Runtime(options.accounts, plugins=options.plugin, simulate=options.simulate, warn=show.warn)


def limits_of(options: Options, base: Limits) -> Limits:
    """Return limits with what the options say."""
    return base.but(
        timeout=options.timeout,
        cpu=options.cpu,
        memory=options.memory,
        max_calls=options.max_calls,
        max_output=options.max_output,
    )


@dataclass(frozen=True)
class Listing:
    """What the options of a command that only lists were set to."""

    accounts: Path | None
    plugin: tuple[Path, ...]
    simulate: bool
    json: bool


def listing_options(command: _Command) -> _Command:
    """Give a command the options that say which accounts and integrations there are, as one ``options`` argument."""
    return _with_options(command, Listing, [*_RUNNING[:3], click.option("--json", is_flag=True, help="Print JSON.")])
