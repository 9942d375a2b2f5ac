"""Options that a script itself declares in its header, such as ``--days`` in ``kosmolua run report.lua --days 7``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from kosmolua.cli.completion import offered_values
from kosmolua.cli.defaults import user_defaults
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, Sectioned
from kosmolua.cli.scripts import located, name_of, read_file
from kosmolua.cli.values import value_of
from kosmolua.errors import KosmoError
from kosmolua.limits import Limits
from kosmolua.lua.header import NONE, Header, read_header
from kosmolua.schema import luacats
from kosmolua.schema.arguments import Parameter

TITLE = "Parameters of the script"
PREFIX = "--param-"
"""The prefix of a parameter's option if the command itself has an option of this name."""
_HEADER, _FILE = "kosmolua.header", "kosmolua.file"


class HeaderCommand(Command):
    """A command that runs the script in its argument ``file``, and whose options are also those of the script."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the script's header, and then parse the command line with the options that the header declares."""
        args = self.spelled_out(ctx, args)
        if file := self._file_in(ctx, args):
            ctx.meta[_FILE] = file[0]
            ctx.meta[_HEADER] = _header_of(located(*file))
        options = [each for each in self.get_params(ctx) if getattr(each, "section", "") == TITLE]
        return super().parse_args(ctx, _switched(args, {each.opts[0]: each.secondary_opts for each in options}, ctx))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, and an option for each parameter of the script."""
        own = super().get_params(ctx)
        header: Header = ctx.meta.get(_HEADER, NONE)
        taken = {name for each in own for name in each.opts}
        return [*own, *(_option_of(each, taken) for each in header.parameters)]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of the script if the script has a header, else the help of the command."""
        header: Header = ctx.meta.get(_HEADER, NONE)
        if not (header.doc or header.is_declared):
            super().format_help(ctx, formatter)
            return
        file = ctx.meta[_FILE]
        formatter.write_usage(f"{ctx.command_path} {file}", "[OPTIONS] [ARGS]...")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(header.doc or "A script.")
        rows = [each.get_help_record(ctx) for each in self.get_params(ctx) if getattr(each, "section", "") == TITLE]
        if rows:
            with formatter.section("Parameters"):
                formatter.write_dl([row for row in rows if row])
        if header.returns:
            with formatter.section("Returns"), formatter.indentation():
                formatter.write_text(header.returns.lua)
        with formatter.section("More"), formatter.indentation():
            formatter.write_text(f"{ctx.command_path} --help lists the options that every script has.")

    def _file_in(self, ctx: click.Context, args: list[str]) -> tuple[str, Options] | None:
        """Return the script that a command line names and where saved scripts are, or None if it names no file."""
        parser = super().make_parser(ctx)
        parser.ignore_unknown_options = True
        try:
            given, _, _ = parser.parse_args([word for word in args if word not in ("--help", "-h")])
        except click.UsageError:
            return None  # the actual parsing reports this error
        file = None if given.get("code") else given.get("file")
        if not isinstance(file, str) or file.startswith("-"):
            return None
        return file, Options(user_defaults(given.get("accounts"), os.environ), scripts=given.get("scripts"))


def params_of(ctx: click.Context, given: dict[str, Any]) -> dict[str, object]:
    """Return the values of a script's parameters, by name, and remove them from ``given``, those of all options.

    Raises:
        UsageError: An option occurs several times, but its parameter takes only one value.
    """
    header: Header = ctx.meta.get(_HEADER, NONE)
    values = {each.name: (each.type, given.pop(_attribute(each), None)) for each in header.parameters}
    return {
        name: value if isinstance(value, bool) else value_of(name, kind, value)
        for name, (kind, value) in values.items()
        if value not in (None, ())
    }


def _header_of(file: str) -> Header:
    """Return a script's header, empty for a pipe, which is read once, and where the run will report an error."""
    if not os.path.isfile(file):
        return NONE
    try:
        return read_header(read_file(file, Limits().max_source), name_of(file))
    except KosmoError:
        return NONE


def _attribute(parameter: Parameter) -> str:
    return f"parameter_{parameter.name}"


def _switched(words: list[str], opposites: Mapping[str, list[str]], ctx: click.Context) -> list[str]:
    """Return a command line with ``--no-flag`` for ``--flag false`` or ``--flag=false``, and ``--flag`` for true."""
    kept: list[str] = []
    flag = ""
    for place, word in enumerate(words):
        if word == "--":
            return [*kept, *words[place:]]
        name, equals, value = word.partition("=") if "=" in word else (flag, "", word)
        if opposites.get(name) and value in ("true", "false"):
            kept[len(kept) - (not equals) :] = [name] if value == "true" else opposites[name]
            flag = ""
        elif equals and opposites.get(name):
            raise click.UsageError(f"{name} is true or false, not {value!r}.", ctx)
        else:
            kept.append(word)
            flag = word
    return kept


def _option_of(parameter: Parameter, taken: set[str]) -> click.Option:
    """Return the command line option for a parameter of a script."""
    plain = f"--{parameter.name.replace('_', '-')}"
    name = f"{PREFIX}{plain[2:]}" if plain in taken else plain
    about = luacats.description(parameter) + ("" if parameter.may_be_absent else " [needed]")
    kind = luacats.label(parameter.type)
    given: dict[str, Any] = {"section": TITLE, "help": about, "default": None}
    if kind == "boolean":
        return Sectioned([_attribute(parameter), f"{name}/--no-{name[2:]}"], **given)

    def complete(_: click.Context, __: click.Parameter, typed: str) -> list[str]:
        return [value for value in offered_values(parameter.type) if value.startswith(typed)]

    given |= {"multiple": True, "shell_complete": complete, "metavar": kind.upper().replace(" OR ", "|")}
    return Sectioned([_attribute(parameter), name], **given)
