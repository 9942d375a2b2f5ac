"""``kosmolua call``: one function, without Lua."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from kosmolua.broker.records import CallEnded, Event, Record
from kosmolua.cli import console
from kosmolua.cli.approval import Approver
from kosmolua.cli.completion import completes, pairs, paths
from kosmolua.cli.console import status_of
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, running_options
from kosmolua.cli.progress import watching
from kosmolua.cli.scripts import open_runtime, taken_as_interrupts
from kosmolua.errors import Interrupted, KosmoError, UsageError
from kosmolua.runs.run import Outcome
from kosmolua.runtime import Runtime
from kosmolua.schema.names import parts_of
from kosmolua.schema.types import List, Type, Union


@click.command(
    "call",
    cls=Command,
    advice="An argument of the function is written {name}=VALUE.",
    epilog=examples(
        "kosmolua call render2.list_services limit=5",
        "kosmolua call render2.production.get_service service_id=srv-cabc12345678",
        """kosmolua call render2.create_service --args '{"name": "api", "type": "web_service"}'""",
    ),
)
@click.argument("path", shell_complete=completes(paths))
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=pairs)
@click.option(
    "--args",
    "text",
    metavar="JSON",
    help="The arguments as a JSON object, or - to read it from standard input; KEY=VALUE goes before.",
)
@running_options
def command(path: str, pairs: tuple[str, ...], text: str | None, options: Options) -> int:
    """Call one function and print what it returns as JSON.

    PATH is INTEGRATION.FUNCTION or INTEGRATION.ACCOUNT.FUNCTION. A value takes the type that the function declares:
    id=00420 stays a string, limit=5 is a number, and tables are written as JSON. A list is JSON too, or its KEY is
    given once for each item.

    Without Lua, --cpu, --memory, --max-calls, --max-output and --require-isolation bound nothing.
    """
    records: list[Record] = []
    with taken_as_interrupts():
        try:
            value = _call(path, pairs, text, records, options)
        except KosmoError as error:
            if not options.json:
                raise
            console.as_json(_outcome(None, error, records).to_json())
            return status_of(error)
        console.as_json(_outcome(value, None, records).to_json() if options.json else value)
        return 0


def _call(path: str, pairs: tuple[str, ...], text: str | None, records: list[Record], options: Options) -> Any:
    given = _parse(text)
    approver = Approver(single=True) if console.somebody_is_there() else None
    with watching(trace=options.trace, approver=approver) as watched, open_runtime(options, watched.approve) as runtime:
        _check_shape(path)
        arguments = {**given, **_read_pairs(runtime, path, pairs)}

        def watch(event: Event) -> None:
            watched.watch(event)
            if isinstance(event, CallEnded):
                records.append(event.record)

        try:
            return runtime.call(path, arguments, watch=watch)
        except KeyboardInterrupt:
            raise Interrupted("The call was interrupted") from None


def _outcome(value: Any, error: KosmoError | None, records: list[Record]) -> Outcome:
    usage = {"wall_ms": sum(record.duration_ms for record in records), "calls": len(records), "output_bytes": 0}
    return Outcome([] if error else [value], "", error, [record.summary() for record in records], usage)


def _parse(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    if text == "-" and sys.stdin is None:
        raise click.UsageError("Standard input is closed, so there are no arguments to read.")
    try:
        raw = sys.stdin.buffer.read() if text == "-" else _as_utf_8(text)
        arguments = json.loads(raw, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"--args is not JSON: {error}.") from None
    if not isinstance(arguments, dict):
        raise click.UsageError('--args must be a JSON object, such as {"limit": 5}.')
    return arguments


def _as_utf_8(argument: str) -> str:
    """Return an argument of the command line, which Python decoded as the locale has it, as the UTF-8 that it is."""
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name in found if [key for key, _ in pairs].count(name) > 1)
        raise click.UsageError(f"--args has the key {name!r} twice.")
    return found


def _check_shape(path: str) -> None:
    if len(parts_of(path)) not in (2, 3):
        raise UsageError(f"{path!r} names no function", hint="write INTEGRATION.FUNCTION, as in render2.list_services")


def _read_pairs(runtime: Runtime, path: str, pairs: tuple[str, ...]) -> dict[str, Any]:
    types = _types_of(runtime, path) if pairs else {}
    texts: dict[str, list[str]] = {}
    for pair in map(_as_utf_8, pairs):
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r} is not of the form KEY=VALUE", hint=f"such as {next(iter(types), 'key')}=...")
        texts.setdefault(name, []).append(value)
    return {name: _value(name, types[name], given) if name in types else given[-1] for name, given in texts.items()}


def _value(name: str, kind: Type, texts: list[str]) -> object:
    """Return what the texts of one argument stand for: several are a list, and so is one that has to be."""
    item, first = _item_of(kind), texts[0]
    if len(texts) > 1 and item is None:
        raise UsageError(f"{name} is given {len(texts)} times and takes one value")
    value = kind.read(first)
    is_bare = isinstance(kind, List) and not isinstance(value, (list, type(None))) and not first.startswith("[")
    return [item.read(text) for text in texts] if item and (is_bare or len(texts) > 1) else value


def _item_of(kind: Type) -> Type | None:
    """Return the type of the items, if a type is a list or a union with one, else None."""
    allowed = kind.members if isinstance(kind, Union) else (kind,)
    return next((each.item for each in allowed if isinstance(each, List)), None)


def _types_of(runtime: Runtime, path: str) -> dict[str, Type]:
    try:
        return {parameter.name: parameter.type for parameter in runtime.catalog.find(path).parameters}
    except KosmoError:
        return {}  # the call itself will be refused, and noted in the journal
