"""The options that commands share, as click reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import click

from kosmolua.cli.arguments import OPTIONS, Option, Options

_Command = TypeVar("_Command", bound=Callable[..., Any])
LISTING = ("accounts", "plugin", "simulate", "json")


class Text(click.ParamType):  # type: ignore[type-arg]
    """The text of an option, read as the option reads it."""

    def __init__(self, option: Option) -> None:
        self.name = str(option.metavar)
        self._read = option.read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or fail with a sentence."""
        try:
            return self._read(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def running_options(command: _Command) -> _Command:
    """Give a command the options of everything that runs scripts or makes calls, as one ``options`` argument."""
    return _with_options(command, OPTIONS)


def listing_options(command: _Command) -> _Command:
    """Give a command the options that say which accounts and integrations there are, as one ``options`` argument."""
    return _with_options(command, [option for option in OPTIONS if option.attribute in LISTING])


def _with_options(command: _Command, options: Sequence[Option]) -> _Command:
    names = [option.attribute for option in options]

    @wraps(command)
    def gather(*args: Any, **given: Any) -> Any:
        return command(*args, options=Options(**{name: given.pop(name) for name in names}), **given)

    decorated: Any = gather
    for option in reversed(options):
        decorated = _declare(option)(decorated)
    return decorated  # type: ignore[no-any-return]


def _declare(option: Option) -> Callable[[Any], Any]:
    if option.metavar is None:
        return click.option(*option.names, is_flag=True, is_eager=option.attribute == "json", help=option.help)
    kind = Text(option)
    return click.option(*option.names, type=kind, multiple=option.repeatable, metavar=option.metavar, help=option.help)
