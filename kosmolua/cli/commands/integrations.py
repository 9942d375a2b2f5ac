"""``kosmolua integrations``: list integrations, write a new one, check one, and import OpenAPI documents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from kosmolua.authoring import lint
from kosmolua.authoring.findings import Defect
from kosmolua.authoring.plan import (
    AUTH,
    EXAMPLE_URL,
    Draft,
    check_auth,
    check_name,
    check_token,
    check_url,
    with_access,
)
from kosmolua.authoring.scaffold import write
from kosmolua.catalog.plugins import Plugin, Plugins
from kosmolua.cli import console, terminal
from kosmolua.cli.commands import documents
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Group, examples, listing_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.cli.streams import standard
from kosmolua.docs.outline import outline_of
from kosmolua.errors import ConfigError, PluginError, UsageError
from kosmolua.runtime import Runtime
from kosmolua.schema.effects import EFFECTS, is_final
from kosmolua.schema.names import FLAT, lua_path

if TYPE_CHECKING:
    from kosmolua.authoring.curated import Start


@click.group(
    "integrations",
    cls=Group,
    invoke_without_command=True,
    epilog=examples(
        "kosmolua integrations",
        "kosmolua integrations new weather --base-url https://api.example.com --auth bearer",
        "kosmolua integrations new shop --from shop.json --functions list_pets,get_pet",
        "kosmolua integrations import https://api.example.com/openapi.json",
        "kosmolua integrations check weather",
    ),
)
@listing_options
@click.pass_context
def command(context: click.Context, options: Options) -> None:
    """List the integrations: where each comes from, how many functions it has, its accounts, and errors."""
    if context.invoked_subcommand:
        return
    with open_to_list(options) as runtime:
        entries = [_describe(runtime, name) for name in runtime.catalog.names() if name not in FLAT]
    console.answer(entries, lambda: _list(entries), in_json=options.json)


def _list(entries: list[dict[str, object]]) -> None:
    rows = [[entry["name"], entry["place"], _summary(entry), _origin(entry)] for entry in entries]
    console.table("Integrations", ["name", "from", "what", "origin"], rows)


def _describe(runtime: Runtime, name: str) -> dict[str, object]:
    try:
        plugin = runtime.catalog.plugin(name)
    except PluginError as error:
        return {"name": name, "place": "broken", "origin": error.origin, "error": error.message}
    try:
        accounts, problem = runtime.catalog.accounts(name), None
    except ConfigError as error:
        accounts, problem = [], error.message
    effects = [sketch.effect for sketch in outline_of(plugin.integration).functions.values()]
    return {
        "name": name,
        "place": plugin.place,
        "origin": plugin.origin,
        "about": plugin.integration.about,
        **{f"{effect}s": effects.count(effect) for effect in EFFECTS},
        "accounts": accounts,
        "error": problem,
    }


def _summary(entry: dict[str, object]) -> str:
    if entry["error"]:
        return f"error: {entry['error']}"
    accounts = ", ".join(entry["accounts"]) if isinstance(entry["accounts"], list) and entry["accounts"] else "none"
    counts = [_counted(count, each) for each in EFFECTS if (count := entry[f"{each}s"]) or not is_final(each)]
    return f"{', '.join(counts)}; accounts: {accounts}"


def _counted(count: object, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _origin(entry: dict[str, object]) -> str:
    """Return the origin of an integration, for a table. On a terminal it is empty for a bundled integration."""
    return "" if entry["place"] == "bundled" and terminal.on_terminal() else str(entry["origin"])


@command.command("new")
@click.argument("name")
@click.option(
    "--dir", "parent", type=click.Path(path_type=Path), default=".", metavar="DIR", help="The parent folder [.]."
)
@click.option("--base-url", metavar="URL", help="The URL of the service.")
@click.option("--auth", type=click.Choice(AUTH), help="How requests carry a credential [none].")
@click.option("--header", metavar="NAME", help="The header that carries the key, with --auth header [X-Api-Key].")
@click.option("--parameter", metavar="NAME", help="The query parameter for the key, with --auth query [api_key].")
@click.option("--from", "source", metavar="FILE|URL|-", help="Extend this OpenAPI document.")
@click.option(
    "--functions",
    multiple=True,
    metavar="A,B,...",
    help="With --from: the operations to write as functions; repeatable.",
)
@listing_options
def new(
    name: str,
    parent: Path,
    base_url: str | None,
    auth: str | None,
    header: str | None,
    parameter: str | None,
    source: str | None,
    functions: tuple[str, ...],
    options: Options,
) -> None:
    """Write a new plugin into the folder NAME: the integration, its page, a simulator, a test and a pyproject.toml.

    On a terminal you are asked for the options that you leave out; elsewhere they have their defaults. With --from, the
    plugin extends an OpenAPI document: --functions names operations that are written as functions in Python, each by
    its function's name, its operationId or 'GET /path'. All other operations come from the document.
    """
    check_name(name, open_to_list(options).catalog.names())
    usual = "header" if header else "query" if parameter else "none"
    plan = Draft(name, EXAMPLE_URL, auth or usual, header or Draft.header, parameter or Draft.parameter)
    if source:
        plan, start = _from_document(plan, source, functions, base_url)
        _say_what_was_written(plan, write(plan, parent, start), start.functions[0].example(name), options)
        return
    if functions:
        problem = "--functions names operations of an OpenAPI document, so it needs --from"
        raise UsageError(problem, hint="name the document: --from FILE")
    plan = replace(plan, base_url=_ask("Base URL of the service", base_url, EXAMPLE_URL, check_url))
    if not (auth or header or parameter):
        auth = _ask(f"How requests carry a credential ({', '.join(AUTH)})", None, "none", check_auth)
        plan = replace(plan, auth=auth)
    if plan.auth == "header":
        plan = replace(plan, header=_ask("Name of the header", header, Draft.header, check_token))
    if plan.auth == "query":
        plan = replace(plan, parameter=_ask("Name of the parameter", parameter, Draft.parameter, check_token))
    _say_what_was_written(plan, write(plan, parent), f"print({lua_path(name)}.list_items())", options)


def _from_document(plan: Draft, source: str, functions: Sequence[str], base_url: str | None) -> tuple[Draft, Start]:
    """Return the plan of a plugin that extends an OpenAPI document, and what it starts with."""
    from kosmolua.authoring.curated import curate
    from kosmolua.openapi import importing

    wanted = [word for given in functions for word in map(str.strip, given.split(",")) if word]
    if not wanted:
        hint = "list the operations that you want from the document, as in --functions a,b,c"
        raise UsageError("--from requires --functions", hint=hint)
    fetched = importing.fetch(source, documents.standard_document)
    ready = importing.prepare(fetched, importing.Wishes(onto=plan.name, base_url=base_url or ""))
    base_url = base_url or importing.relative_server(fetched, ready.root) or EXAMPLE_URL
    return with_access(replace(plan, base_url=check_url(base_url)), ready.result.access), curate(ready, wanted)


def _say_what_was_written(plan: Draft, files: Sequence[Path], script: str, options: Options) -> None:
    written = [str(file) for file in files]
    text = "\n".join([*written, "", *_next_steps(plan, files[0].parent, script)])
    console.answer(written, lambda: console.line(text), in_json=options.json)


def _ask(question: str, given: str | None, default: str, check: Callable[[str], str]) -> str:
    """Return the value of an option: from the command line, else a person's answer, else the default."""
    if given is not None or not console.can_ask():
        return check(given or default)

    def read(answer: str) -> str:
        try:
            return check(answer)
        except UsageError as error:
            raise click.UsageError(error.message) from None  # click shows the message and asks again

    return console.ask(question, default=default, value_proc=read)


def _next_steps(plan: Draft, folder: Path, script: str) -> list[str]:
    place = quote(str(folder))
    account = [f"  kosmolua accounts example {plan.name} --plugin {place}"] if plan.auth != "none" else []
    return [
        "Next:",
        f"  kosmolua run --simulate --plugin {place} -e {quote(script)}",
        f"  python -m pytest {place}" + ("" if find_spec("pytest") else "  # after: pip install pytest"),
        f"  kosmolua integrations check {place}",
        *account,
    ]


@command.command("check")
@click.argument("target", metavar="PATH|NAME")
@click.option("--paging", is_flag=True, help="Try with the default account how lists of an imported document page.")
@listing_options
def check(target: str, paging: bool, options: Options) -> int:
    """Check a plugin: its docstrings, types, names, effects, page and examples.

    Each finding is a line of the form FILE:LINE: what is wrong (what to do). The exit status is 1 if there are findings
    that are not just notes, and 3 if the plugin cannot be loaded.
    """
    if paging:
        return documents.check_paging(target, options)
    plugin = _load(target, options)
    written = lint.check(plugin) if plugin.integration.functions.own else []
    found = [*written, *_in_document(plugin)]
    findings = [replace(finding, place=_relative(finding.place)) for finding in found]
    said = "\n".join(map(str, findings)) or f"{plugin.integration.name}: nothing to correct"
    console.answer([asdict(finding) for finding in findings], lambda: console.say(said), in_json=options.json)
    return 0 if all(finding.note for finding in findings) else 1


def _in_document(plugin: Plugin) -> Iterator[Defect]:
    """Yield findings about the overlay (openapi.toml) of a plugin, and notes about its OpenAPI document, if any."""
    more = plugin.integration.functions.more
    if more is None:
        return
    wrong, notes = more.findings()
    for place, sentences in ((str(more.overlay), wrong), (str(more.document), notes)):
        yield from (Defect(place, sentence, "", note=sentences is notes) for sentence in sentences)


def _load(target: str, options: Options) -> Plugin:
    if not Path(target).exists() and "/" not in target and not target.endswith(".py"):
        return open_to_list(options).catalog.plugin(target)
    standard.set_apart()
    if options.debug:
        from kosmolua.cli.tracebacks import Tracebacks

        Tracebacks()
    plugins = Plugins([target], places=(), entry_points=dict)
    return plugins.load(plugins.names()[0])


def _relative(place: str) -> str:
    """Return a place FILE:LINE with the file relative to the current folder, if the file is inside this folder."""
    relative = os.path.relpath(place)
    return place if relative.startswith("..") else relative


command.add_command(documents.import_)
command.add_command(documents.update)
command.add_command(documents.remove)
