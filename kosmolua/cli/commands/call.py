"""``kosmolua call``: call one function of an integration from the shell, without Lua."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

import click

from kosmolua.calls.records import CallEnded, Event, FinishedCall
from kosmolua.cli import console, results
from kosmolua.cli.approval import TerminalApprover
from kosmolua.cli.completion import arguments_of, completes, paths
from kosmolua.cli.console import status_of
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, calling_options, examples, write_list
from kosmolua.cli.progress import watching
from kosmolua.cli.scripts import open_runtime, open_to_list, taken_as_interrupts
from kosmolua.cli.streams import standard
from kosmolua.cli.values import value_of
from kosmolua.errors import Interrupted, KosmoError, UsageError
from kosmolua.folders import expanded
from kosmolua.limits import Limits
from kosmolua.protocol import Truncated
from kosmolua.runs import Outcome
from kosmolua.schema import luacats
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function
from kosmolua.schema.names import integration_in, page_of, parts_of
from kosmolua.secret import Redactor

_PAIR = re.compile(r"([\w.$\[\]-]+)(:?=)(.*)", re.DOTALL)


class CallCommand(Command):
    """The command ``call``. It handles ``--help`` itself, since the help depends on the function that PATH names."""

    _help_wanted = click.Option(
        ["-h", "--help", "wants_help"], is_flag=True, help="Show this message, or the parameters of PATH, and exit."
    )

    def get_help_option(self, ctx: click.Context) -> click.Option:
        """Return the option ``--help``. It shows no help: it only sets the parameter ``wants_help`` of the command."""
        return self._help_wanted


@click.command(
    "call",
    cls=CallCommand,
    advice="An argument of the function is written {name}=VALUE.",
    epilog=examples(
        "kosmolua call render2.list_services limit=5",
        "kosmolua call render2.list_services --output csv > services.csv",
        "kosmolua call render2.production.get_service srv-cabc12345678",
        "kosmolua call render2.get_service --help",
        """kosmolua call render2.create_service --args '{"name": "api", "type": "web_service"}'""",
    ),
)
@click.argument("path", required=False, metavar="PATH", shell_complete=completes(paths))
@click.argument("words", nargs=-1, metavar="[VALUE|KEY=VALUE]...", shell_complete=arguments_of)
@click.option(
    "--args",
    "text",
    metavar="JSON",
    help="The arguments as a JSON object, or - to read it from standard input; KEY=VALUE takes precedence.",
)
@click.option(
    "--output",
    "form",
    type=click.Choice(["json", "table", "csv"]),
    default="json",
    help="Print the result as JSON, or the items of its list as a table or CSV [json].",
)
@calling_options
@click.pass_context
def command(
    context: click.Context,
    path: str | None,
    words: tuple[str, ...],
    text: str | None,
    wants_help: bool,
    form: str,
    options: Options,
) -> int:
    """Call one function and print its result.

    PATH is INTEGRATION.FUNCTION or INTEGRATION.ACCOUNT.FUNCTION. A VALUE without a KEY is the value of the function's
    next parameter, in declared order. A value is converted to the type that the function declares: id=00420 stays a
    string, and limit=5 is a number. Write a table as JSON. Write a list as JSON too, or repeat its KEY for each item.

    KEY=@FILE reads the value from a file, and KEY=@- from standard input; KEY=@@TEXT is the text @TEXT. KEY:=JSON
    is always read as JSON, whatever type the function declares.

    Since no Lua runs, --cpu, --memory, --max-calls, --max-output and --require-isolation have no effect.
    """
    if wants_help:
        console.line(_help_on(context, path, options) if path else context.get_help())
        return 0
    if path is None:
        raise click.MissingParameter(ctx=context, param_hint="'PATH'", param_type="argument")
    if options.json and form != "json":
        raise UsageError(f"--json and --output {form} cannot be combined: leave one of them out")
    records: list[FinishedCall] = []
    with taken_as_interrupts():
        try:
            value = _call(path, words, text, records, options)
        except KosmoError as error:
            if not options.json:
                raise
            console.as_json(_outcome(None, error, records).to_json())
            return status_of(error)
        if form == "json":
            console.as_json(_outcome(value, None, records).to_json() if options.json else value)
        else:
            results.write(value, form)
        return 0


def _help_on(context: click.Context, path: str, options: Options) -> str:
    """Return the help on one function: its usage, its parameters, and the command that shows its documentation."""
    _check_shape(path)
    catalog = open_to_list(options).catalog
    function = catalog.find(path)
    formatter = context.make_formatter()
    required = [f"{each.name}=VALUE" for each in function.parameters if not each.may_be_absent]
    optional = ["[KEY=VALUE]..."] if len(required) < len(function.parameters) else []
    formatter.write_usage(context.command_path, " ".join([path, *required, *optional]))
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(f"{function.summary} ({function.effect})")
    if function.parameters:
        with formatter.section("Parameters"):
            write_list(formatter, [_row_of(each) for each in function.parameters])
    integration, _ = integration_in(parts_of(path), catalog.names())
    with formatter.section("Documentation"), formatter.indentation():
        formatter.write_text(f"kosmolua docs {page_of(integration, function.name)}")
    return formatter.getvalue().rstrip("\n")


def _row_of(parameter: Parameter) -> tuple[str, str]:
    about = luacats.description(parameter)
    return (
        f"{parameter.name} {luacats.label(parameter.type)}",
        about if parameter.may_be_absent else f"{about} [needed]",
    )


def _call(path: str, words: Sequence[str], text: str | None, records: list[FinishedCall], options: Options) -> Any:
    _check_shape(path)
    approver = TerminalApprover(is_single=True) if console.can_ask() else None
    with watching(trace=options.trace, approver=approver) as watched, open_runtime(options, watched.approve) as runtime:
        try:
            function: Function | None = runtime.catalog.find(path)
        except KosmoError:
            function = None  # the call itself will be refused, and recorded in the journal
        arguments = _parse(text, runtime.limits) | _arguments(path, function, words, runtime.limits)

        def watch(event: Event) -> None:
            watched.watch(event)
            if isinstance(event, CallEnded):
                records.append(event.record)

        try:
            value = runtime.call_watched(path, [arguments], watch)
        except KeyboardInterrupt:
            raise Interrupted("The call was interrupted") from None
        if isinstance(value, Truncated):
            console.warn(f"there are more than these {len(value)} items; max_items says how many to fetch")
        return Redactor().value(value)  # secrets in it are masked


def _outcome(value: Any, error: KosmoError | None, records: list[FinishedCall]) -> Outcome:
    usage = {"wall_ms": sum(record.duration_ms for record in records), "calls": len(records), "output_bytes": 0}
    return Outcome([] if error else [value], "", error, [record.summary() for record in records], usage)


def _parse(text: str | None, limits: Limits) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        raw = _read("-", limits, "Standard input", "there are no arguments to read") if text == "-" else _as_utf_8(text)
        arguments = json.loads(raw, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--args is not JSON: {error}.") from None
    if not isinstance(arguments, dict):
        raise click.UsageError('--args must be a JSON object, such as {"limit": 5}.')
    return arguments


def _read(path: str, limits: Limits, subject: str, if_closed: str) -> bytes:
    """Return the content of a file, or of standard input, unless it is larger than arguments can be."""
    with standard.opened(path, subject, if_closed) as stream:
        content = stream.read(limits.max_arguments + 1)
    if len(content) > limits.max_arguments:
        raise limits.exceeded("arguments", "call")
    return content


def _as_utf_8(argument: str) -> str:
    """Return an argument of the command line decoded as UTF-8, even if Python decoded it with another encoding."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name in found if [key for key, _ in pairs].count(name) > 1)
        raise click.UsageError(f"--args has the key {name!r} twice. Write it once.")
    return found


def _check_shape(path: str) -> None:
    """Raise a UsageError for a text that is neither ``render2.list_services`` nor ``hub GET /issues``."""
    if len(parts_of(path)) < 2 and " " not in path.strip():
        raise UsageError(f"{path!r} names no function", hint="write INTEGRATION.FUNCTION, as in render2.list_services")


def _arguments(path: str, function: Function | None, words: Sequence[str], limits: Limits) -> dict[str, Any]:
    """Return the arguments in the words after PATH, by name and converted to the declared types."""
    types = {each.name: each.type for each in function.parameters} if function else {}
    names = iter(types)
    values: dict[str, Any] = {}
    texts: dict[str, list[str]] = {}
    for word in map(_as_utf_8, words):
        name, operator, text = found.groups() if (found := _PAIR.fullmatch(word)) else (next(names, None), "=", word)
        if name is None:
            if not function:
                continue
            hint = f"'kosmolua call {path} --help' lists the parameters"
            raise UsageError(f"{path} has no parameter left for the value {word!r}", hint=hint)
        if operator == ":=":
            values[name] = _json(name, _content(text, limits))
        else:
            texts.setdefault(name, []).append(_content(text, limits))
    if twice := next(filter(values.__contains__, texts), None):
        raise UsageError(f"{twice} is given both as text and as JSON: give it once")
    return values | {
        name: value_of(name, types[name], given) if name in types else given[-1] for name, given in texts.items()
    }


def _content(text: str, limits: Limits) -> str:
    """Return an argument's text, the content of ``@FILE``, or of standard input for ``@-``; ``@@`` is one ``@``."""
    if not text.startswith("@") or text.startswith("@@"):
        return text.removeprefix("@")
    subject = f"The value {text}"
    try:
        return _read(expanded(text[1:]), limits, subject, "there is no value to read").decode("utf-8-sig")
    except UnicodeDecodeError:
        refusal = UsageError(f"{subject} cannot be read: it is not UTF-8 text")
    except UsageError as error:
        refusal = error
    refusal.advise(f"write @{text} to pass the text itself")
    raise refusal


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The value after {name}:= is not JSON: {error}", hint=f"{name}=VALUE passes text") from None
