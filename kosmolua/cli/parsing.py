"""Classes and decorators for click: commands with shared options, and help with a heading for each kind of option."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from kosmolua.cli.defaults import user_defaults
from kosmolua.cli.options import FOR_FLEETS, OPTIONS, Option, Options, spelled_out
from kosmolua.limits import ADJUSTABLE
from kosmolua.suggestions import closest

_Command = TypeVar("_Command", bound=Callable[..., Any])
WIDE, DEFAULT_COLUMN, NARROW_COLUMN = 60, 30, 16
"""The width for names in the help: at most NARROW_COLUMN on a terminal narrower than WIDE, else DEFAULT_COLUMN."""
_FILES = ("FILE", "PATH", "DIR")


class Text(click.ParamType):  # type: ignore[type-arg]
    """The click type of a shared option. It converts the value with the function in the option's declaration."""

    def __init__(self, option: Option[Any]) -> None:
        self.name = str(option.metavar)
        self._read = option.read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the converted value, or end the command with a message that says why the value is wrong."""
        try:
            return self._read(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete file names if the option takes a file; otherwise offer no completions."""
        return [CompletionItem(incomplete, type="file")] if self.name in _FILES else []


class Sectioned(click.Option):
    """An option that a command's help lists under the heading ``section``."""

    def __init__(self, *args: Any, section: str, **given: Any) -> None:
        super().__init__(*args, **given)
        self.section = section


class Examples:
    """Mixin for click commands: shows the epilog, which contains example command lines, at the end of the help."""

    epilog: str | None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, one on a line, without wrapping them."""
        if self.epilog:
            with formatter.section("Examples"):
                indent = " " * formatter.current_indent
                formatter.write("".join(f"{indent}{line}\n" for line in self.epilog.splitlines()))


class Group(Examples, click.Group):
    """A group of subcommands, whose help ends with examples."""


class ListGroup(Group):
    """A group that means its subcommand ``list`` without a subcommand, as in ``kosmolua runs calls.jsonl``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Add ``list`` if the command line names no subcommand, and parse the command line."""
        is_own = args and (args[0] in self.commands or args[0] in ("--help", "-h"))
        return super().parse_args(ctx, args if is_own else ["list", *args])


class Command(Examples, click.Command):
    """A command whose help lists first the command's own options, and then the shared options under headings.

    ``advice`` is added to the message about an unknown option, with ``{name}`` for its name. ``meant`` has the options
    that are meant by names which other programs use.
    """

    def __init__(self, *args: Any, advice: str = "", meant: Mapping[str, str] | None = None, **given: Any) -> None:
        super().__init__(*args, **given)
        self._advice = advice
        self._meant = meant or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line. For an unknown option, raise a UsageError that names similar options."""
        try:
            return super().parse_args(ctx, self.spelled_out(ctx, args))
        except click.NoSuchOption as error:
            name = error.option_name.lstrip("-")
            options = [option.lstrip("-") for option in error.possibilities or ()]
            if meant := self._meant.get(error.option_name):
                what = f"No such option {error.option_name!r}. Did you mean {meant!r}?"
                raise click.UsageError(what, ctx) from None
            close = [f"--{option}" for option in closest(name, options)]
            refusal = click.NoSuchOption(error.option_name, possibilities=close).format_message()
            # such as: No such option '--limit'. An argument of the function is written limit=VALUE.
            raise click.UsageError(f"{refusal} {self._advice.format(name=name)}".rstrip(), ctx) from None

    def spelled_out(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return a command line with ``--record --record-file FILE`` for ``--record=FILE``, and the like."""
        return spelled_out(args, takes_value=_values_of(self, ctx))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the command, with a heading for each section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record:
                sections.setdefault(getattr(parameter, "section", "") or "Options", []).append(record)
        for title in sorted(sections, key=lambda title: title != "Options"):
            with formatter.section(title):
                write_list(formatter, sections[title])


def _values_of(command: click.Command, ctx: click.Context) -> Callable[[str], bool]:
    """Return what says if a word is an option before its value, with short flags too: ``-ye`` as ``-e``."""
    options = [each for each in command.get_params(ctx) if isinstance(each, click.Option)]
    named = {name for each in options if not (each.is_flag or each.count) for name in each.opts}

    def takes_value(word: str) -> bool:
        letters = word[1:] if not word.startswith("--") else ""
        first = next((place for place, letter in enumerate(letters) if f"-{letter}" in named), None)
        return word in named or (first is not None and first == len(letters) - 1)

    return takes_value


def write_list(formatter: click.HelpFormatter, rows: Sequence[tuple[str, str]]) -> None:
    """Write names and their descriptions into a command's help, in two columns that also fit a narrow terminal."""
    formatter.write_dl(rows, col_max=DEFAULT_COLUMN if formatter.width >= WIDE else NARROW_COLUMN)


def examples(*lines: str) -> str:
    """Return the epilog of a command, which shows these example command lines at the end of the command's help."""
    return "\n".join(lines)


def _sharing(names: Collection[str]) -> Callable[[_Command], _Command]:
    """Return a decorator: a command gets the shared options with these names, as its argument ``options``.

    Those of a subcommand are combined with those of its group, which are typed before its name.
    """
    options = [option for option in OPTIONS if option.attribute in names]

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def gather(*args: Any, **given: Any) -> Any:
            context = click.get_current_context()
            typed = {option.attribute: given.pop(option.attribute) for option in options}
            shared = Options(_defaults(context, typed["accounts"]), **typed)
            if isinstance(context.obj, Options):
                shared = shared.over(context.obj)
            if isinstance(context.command, click.Group):
                context.obj = shared
            return command(*args, options=shared, **given)

        decorated: Any = gather
        for option in reversed(options):
            decorated = _declare(option)(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


_PLAN, _RECORDING, _INPUT = {"plan", "plan_file"}, {"record", "record_file"}, {"input", "input_format"}
_RUN = {option.attribute for option in OPTIONS} - {*FOR_FLEETS}
_SESSION = _RUN - _PLAN - _RECORDING
_SERVE = _SESSION - _INPUT
running_options = _sharing(_RUN)
"""Decorates a command that runs one script: it gets all shared options."""
applying_options = _sharing(_RUN - _PLAN)
"""Decorates a command that applies a plan."""
session_options = _sharing(_SESSION)
"""Decorates a command that can run several scripts."""
serving_options = _sharing(_SERVE)
"""Decorates a command that runs scripts from clients."""
fleet_options = _sharing(_SERVE | {*FOR_FLEETS})
"""Decorates the command that runs a script over many inputs."""
calling_options = _sharing(_SERVE - {"scripts", "secret", "no_check"})
"""Decorates a command that calls a function without a script."""
hosting_options = _sharing(
    {
        "accounts",
        "plugin",
        "simulate",
        "simulate_fail",
        "read_only",
        "deny",
        "require_isolation",
        "no_check",
        *ADJUSTABLE,
    }
)
"""Decorates a command that serves tenants: it gets the options that apply to all tenants."""
listing_options = _sharing({"accounts", "plugin", "server", "scripts", "simulate", "debug", "json"})
"""Decorates a command that only lists or reads things."""
reading_options = _sharing({"accounts", "json"})
"""Decorates a command that reads recordings."""


def _defaults(context: click.Context, accounts: str | None) -> dict[str, Any]:
    """Return the user's defaults for the current command; none for a group, whose subcommand reads them."""
    if context.invoked_subcommand:
        return {}
    earlier = context.obj.accounts if isinstance(context.obj, Options) else None
    return user_defaults(accounts or earlier, os.environ)


def _declare(option: Option[Any]) -> Callable[[Any], Any]:
    given: dict[str, Any] = {"cls": Sectioned, "section": option.section, "help": option.help}
    if option.metavar is None:
        return click.option(*option.names, is_flag=True, **given)
    given |= {"type": Text(option), "metavar": option.metavar}
    return click.option(*option.names, multiple=option.is_repeatable, **given)
