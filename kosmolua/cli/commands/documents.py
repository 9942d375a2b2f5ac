"""``kosmolua integrations import`` and ``update``: make integrations from OpenAPI documents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from kosmolua.catalog.catalog import Catalog
from kosmolua.catalog.plugins import onto_folder
from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import listing_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.cli.streams import standard
from kosmolua.errors import KosmoError, UsageError
from kosmolua.folders import config_folder
from kosmolua.openapi import importing
from kosmolua.openapi.document import MAX_BYTES
from kosmolua.openapi.importing import Import, Wishes
from kosmolua.openapi.store import DOCUMENT, OVERLAY

EFFECTS = ("accept", "ask", "none")


@click.command("import")
@click.argument("source", metavar="FILE|URL|-")
@click.option("--name", default="", metavar="NAME", help="The integration's name [from the file, or the title].")
@click.option("--onto", default="", metavar="NAME", help="Extend this integration, with its accounts.")
@click.option(
    "--auth",
    default="",
    metavar="KIND",
    help="The credential: bearer, basic, header:NAME, query:NAME, aws:SERVICE or none.",
)
@click.option("--base-url", default="", metavar="URL", help="The beginning of every address.")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="Also send the credential here; repeatable.")
@click.option("--only", multiple=True, metavar="TAG", help="Import only a tag, '/pets/*' or 'GET /pets'; repeatable.")
@click.option(
    "--effects",
    type=click.Choice(EFFECTS),
    default="ask",
    metavar="HOW",
    help="Whether POSTs that read by their names are reads: accept, ask or none [ask].",
)
@click.option("--graphql", is_flag=True, help="The document is a GraphQL schema, or the address of a service.")
@click.option("--dry-run", is_flag=True, help="Show what would be written.")
@listing_options
def import_(
    source: str,
    name: str,
    onto: str,
    auth: str,
    base_url: str,
    origins: tuple[str, ...],
    only: tuple[str, ...],
    effects: str,
    graphql: bool,
    dry_run: bool,
    options: Options,
) -> None:
    """Make an integration from an OpenAPI document: 3.0, 3.1 or Swagger 2.0, in JSON or YAML.

    With --graphql, from a GraphQL schema: SDL, the JSON of an introspection query, or the address of a service, which
    is asked for its schema. --base-url is then the address of the service.

    The integration is written into your folder of integrations. In its file openapi.toml, you can correct the document
    and add to it. What acts or deletes by its name never counts as less; functions that read by POST are shown, and
    are reads if you agree.
    """
    runtime = open_to_list(options)
    taken = runtime.catalog.names()
    base = _overlay_to_start_from(onto, taken, options) if onto else ""
    wishes = Wishes(name, onto, auth, base_url, only, base, origins, graphql=graphql)
    fetched = importing.fetch(source, standard_document, graphql=graphql)
    try:
        ready = importing.prepare(fetched, wishes, taken)
    except UsageError:
        if auth or not console.can_ask():
            raise
        answer = console.ask("How requests carry a credential (bearer, basic, header:NAME, none)")
        ready = importing.prepare(fetched, replace(wishes, auth=answer), taken)
    if ready.header and not dry_run and (word := _word_instead(ready)) is not None:
        ready = importing.prepare(fetched, replace(wishes, prefix=word), taken)
    if effects == "accept" or (effects == "ask" and not dry_run and _agrees_to_reads(ready)):
        ready = ready.with_reads()
    files = [] if dry_run else ready.write(integrations_folder())
    _show(ready, files, options)


def _word_instead(ready: Import) -> str | None:
    """Return the word before the key that the user wants in place of the document's; None if that is right."""
    if not console.can_ask():
        return None
    if console.agrees(f"The document describes the header as {ready.header}. Is it sent so?"):
        return None
    return console.ask("The word before the key; - for none", default="-").removeprefix("-").strip()


def _agrees_to_reads(ready: Import) -> bool:
    """Ask whether the functions that may only read do so; if nobody can be asked, they do not."""
    names = ready.proposals
    if not names or not console.can_ask():
        return False
    if len(names) == 1:
        console.complain(f"{names[0]} is sent as a write, but seems to read")
        return console.agrees("Is it a read?")
    console.complain(f"these {len(names)} functions are sent as writes, but seem to read: {', '.join(names)}")
    return console.agrees("Are all of them reads?")


def _overlay_to_start_from(onto: str, taken: list[str], options: Options) -> str:
    """Return the text of the file openapi.toml in the plugin of an integration; empty if there is no such file."""
    if onto not in taken:
        raise UsageError(f"There is no integration called {onto}", hint="kosmolua integrations lists them")
    extension = open_to_list(options).catalog.integration(onto).extension
    overlay = Path(extension.file).parent / OVERLAY if extension else None
    return overlay.read_text(encoding="utf-8") if overlay and overlay.is_file() else ""


def _show(ready: Import, files: list[Path], options: Options) -> None:
    if options.json:
        described = {
            "name": ready.name,
            "functions": len(ready.result.functions),
            "operations": ready.result.total,
            "origins": ready.result.access.origins,
            "notes": ready.result.notes,
            "proposed_reads": ready.proposals,
            "files": [str(file) for file in files],
        }
        console.as_json(described)
        return
    console.say("\n".join(ready.lines()))
    if files:
        console.say(f"Written to {files[0].parent}")
        account = "" if ready.folder.endswith(".onto") else f"kosmolua accounts example {ready.name}; "
        console.say(f"Next: {account}kosmolua docs {ready.name}")


@click.command("update")
@click.argument("name")
@click.argument("source", metavar="[FILE|URL|-]", default="")
@click.option("--yes", "-y", is_flag=True, help="Write the changes without asking.")
@listing_options
def update(name: str, source: str, yes: bool, options: Options) -> int:
    """Fetch the document of an integration again, show the changes, and write them if you agree.

    A function keeps its name, even if the new document gives its operation another name.
    """
    changes = importing.update(_folder_of(name), standard_document, source)
    told = {"added": changes.added, "gone": changes.gone, "changed": changes.changed}
    console.answer(told, lambda: console.say("\n".join(changes.lines())), in_json=options.json)
    if not yes and changes and not (console.can_ask() and console.agrees("Write it?")):
        console.complain("nothing was written (--yes writes it)")
        return 1
    changes.update.write(integrations_folder())
    return 0


def check_paging(name: str, options: Options) -> int:
    """Fetch a few items of the lists of an integration, show what became of each, and return the exit status."""
    from kosmolua.openapi.functions import DocumentFunctions
    from kosmolua.openapi.trial import try_paging

    with open_to_list(options) as runtime:
        more = runtime.catalog.integration(name).functions.more
        functions = getattr(more, "read", more)
        if not isinstance(functions, DocumentFunctions):
            raise UsageError(f"{name} has no OpenAPI document", hint="--paging tries the lists of imported documents")
        trials = [*try_paging(functions, lambda function, given: runtime.call(f"{name}.{function}", given))]
    lines = [f"{each.function}: {'error: ' if each.is_wrong else ''}{each.sentence}" for each in trials]
    said = "\n".join(lines) or f"{name} has no list that can be fetched without arguments"
    console.answer([each._asdict() for each in trials], lambda: console.say(said), in_json=options.json)
    return int(any(each.is_wrong for each in trials))


@click.command("remove")
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Remove it without asking.")
@listing_options
def remove(name: str, yes: bool, options: Options) -> int:
    """Remove an integration that was imported: its document, and what you said about it in openapi.toml.

    The accounts stay in the accounts file, and are listed.
    """
    folder = _folder_of(name)
    catalog = open_to_list(options).catalog
    accounts = [] if folder.name.endswith(".onto") else _accounts_in_file(catalog, name)
    if not yes and not (console.can_ask() and console.agrees(f"Remove {folder}?")):
        console.complain(f"{name} was not removed (--yes removes it)")
        return 1
    is_whole = importing.remove(folder)
    left = [] if is_whole else [f"{folder} stays, since it has other files"]
    if accounts:
        left.append(f"These accounts are left in {catalog.accounts_path}: {', '.join(accounts)}")
    told = {"removed": str(folder), "accounts": accounts}
    console.answer(told, lambda: console.say("\n".join([f"{name} was removed", *left])), in_json=options.json)
    return 0


def _accounts_in_file(catalog: Catalog, name: str) -> list[str]:
    """Return the accounts of an integration in the accounts file, as ``NAME.ACCOUNT``."""
    try:
        return [f"{name}.{account}" for account in catalog.accounts(name)]
    except KosmoError:
        return []  # it cannot be loaded, which is why it is removed


def _folder_of(name: str) -> Path:
    """Return the folder of the OpenAPI document that was imported as an integration with this name."""
    parent = integrations_folder()
    for folder in (parent / name, onto_folder(parent, name)):
        if (folder / DOCUMENT).is_file() and (folder / OVERLAY).is_file():
            return folder
    hint = f"'kosmolua integrations import FILE --name {name}' imports one"
    raise UsageError(f"No OpenAPI document was imported as {name}", hint=hint)


def integrations_folder() -> Path:
    """Return the path of the user's folder of integrations, which may not exist yet."""
    return Path(config_folder()) / "integrations"


def standard_document() -> bytes:
    """Return the OpenAPI document on standard input, or only one byte more than the limit of a larger one.

    Raises:
        UsageError: Standard input is closed, or cannot be read.
    """
    with standard.reading("there is no document to read") as stream:
        return stream.read(MAX_BYTES + 1)
