"""``kosmolua call``: one function, without Lua."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.completion import completes, pairs, paths
from kosmolua.cli.exits import status_of
from kosmolua.cli.opening import open_runtime
from kosmolua.cli.options import Command, examples, running_options
from kosmolua.cli.watching import watching
from kosmolua.errors import BadArguments, KosmoError
from kosmolua.journal import Record
from kosmolua.outcome import Outcome
from kosmolua.runtime import Runtime
from kosmolua.spec.types import Type


@click.command(
    "call",
    cls=Command,
    epilog=examples(
        "kosmolua call render2.list_services limit=5",
        "kosmolua call render2.production.get_service service_id=srv-cabc12345678",
        """kosmolua call render2.create_service --args '{"name": "api", "type": "web_service"}'""",
    ),
)
@click.argument("path", shell_complete=completes(paths))
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=pairs)
@click.option(
    "--args", "text", metavar="JSON", help="The arguments as a JSON object, or - to read it from standard input."
)
@running_options
def command(path: str, pairs: tuple[str, ...], text: str | None, options: Options) -> int:
    """Call one function and print what it returns as JSON.

    PATH is INTEGRATION.FUNCTION or INTEGRATION.ACCOUNT.FUNCTION. A value takes the type that the function declares:
    id=00420 stays a string, limit=5 is a number, and lists and tables are written as JSON.
    """
    records: list[Record] = []
    try:
        value = _call(path, pairs, text, records, options)
    except KosmoError as error:
        if not options.json:
            raise
        show.as_json(_outcome(None, error, records).to_json())
        return status_of(error)
    show.as_json(_outcome(value, None, records).to_json() if options.json else value)
    return 0


def _call(path: str, pairs: tuple[str, ...], text: str | None, records: list[Record], options: Options) -> Any:
    with watching(trace=options.trace) as watched, open_runtime(options, watched.approve) as runtime:
        arguments = {**_parse(text), **_read_pairs(runtime, path, pairs)}

        def watch(record: Record) -> None:
            watched.watch(record)
            if record.status != "running":
                records.append(record)

        return runtime.call(path, arguments, watch=watch)


def _outcome(value: Any, error: KosmoError | None, records: list[Record]) -> Outcome:
    usage = {"wall_ms": sum(record.duration_ms for record in records), "calls": len(records), "output_bytes": 0}
    return Outcome([] if error else [value], "", error, [record.summary() for record in records], usage)


def _parse(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    if text == "-" and sys.stdin is None:
        raise click.UsageError("Standard input is closed, so there are no arguments to read.")
    try:
        arguments = json.loads(sys.stdin.read() if text == "-" else text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--args is not JSON: {error}.") from None
    if not isinstance(arguments, dict):
        raise click.UsageError('--args must be a JSON object, such as {"limit": 5}.')
    return arguments


def _read_pairs(runtime: Runtime, path: str, pairs: tuple[str, ...]) -> dict[str, Any]:
    types = _types_of(runtime, path) if pairs else {}
    arguments = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadArguments(f"{pair!r} is not of the form KEY=VALUE", hint=f"such as {next(iter(types), 'key')}=...")
        arguments[name] = types[name].read(value) if name in types else value
    return arguments


def _types_of(runtime: Runtime, path: str) -> dict[str, Type]:
    try:
        return {parameter.name: parameter.type for parameter in runtime.catalog.find(path).parameters}
    except KosmoError:
        return {}  # the call itself will be refused, and noted in the journal
