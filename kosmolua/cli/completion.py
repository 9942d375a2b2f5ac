"""What a shell completes, when click asks: pages, integrations, accounts and functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import click
from click.shell_completion import CompletionItem

from kosmolua.catalog import ROOT, Catalog
from kosmolua.errors import KosmoError

Found = Iterable[tuple[str, str]]
"""What could be meant, each with a word on it."""
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completes(find: Callable[[Catalog, str], Found]) -> Complete:
    """Return what click calls to complete an argument.

    Args:
        find: Says what there is, given what was typed so far.
    """

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            found = [*find(_catalog(context), incomplete)]
        except KosmoError:
            return []
        return [CompletionItem(text, help=about) for text, about in found if text.startswith(incomplete)]

    return complete


def _catalog(context: click.Context) -> Catalog:
    from kosmolua.runtime import Runtime

    given = context.params
    runtime = Runtime(given.get("accounts"), plugins=given.get("plugin") or (), simulate=bool(given.get("simulate")))
    return runtime.catalog


def integrations(catalog: Catalog, _: str) -> Iterator[tuple[str, str]]:
    """Yield each integration."""
    for name in catalog.names():
        yield name, "integration"


def accounts(catalog: Catalog, typed: str) -> Iterator[tuple[str, str]]:
    """Yield each integration, and the accounts of the one that was typed."""
    for name in catalog.names():
        yield name, "integration"
        if typed.startswith(f"{name}."):
            yield from ((f"{name}.{account}", "account") for account in catalog.accounts(name))


def pages(catalog: Catalog, typed: str) -> Iterator[tuple[str, str]]:
    """Yield each guide and integration, and the functions of the one that was typed."""
    from kosmolua.docs import guide

    yield from ((name, "guide") for name in guide.NAMES)
    for name in catalog.names():
        page = f"{ROOT}.{name}"
        yield page, "integration"
        if typed.startswith(page):
            yield from _functions(catalog, name, f"{page}.")


def paths(catalog: Catalog, typed: str) -> Iterator[tuple[str, str]]:
    """Yield the functions of the integration that was typed, or can only be meant; else the integrations."""
    name, dot, rest = typed.partition(".")
    meant = [each for each in catalog.names() if (each == name if dot else each.startswith(name))]
    if len(meant) != 1:
        yield from ((f"{each}.", "integration") for each in meant)
        return
    account, dot, _ = rest.partition(".")
    between = f"{account}." if dot and account in [*catalog.accounts(meant[0]), "default"] else ""
    yield from _functions(catalog, meant[0], f"{meant[0]}.{between}")


def _functions(catalog: Catalog, name: str, prefix: str) -> Iterator[tuple[str, str]]:
    for function in catalog.integration(name).functions.values():
        yield f"{prefix}{function.name}", function.summary


def pairs(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the arguments of the function that stands earlier on the line, as KEY=."""
    try:
        function = _catalog(context).find(str(context.params.get("path")))
    except KosmoError:
        return []
    given = {pair.partition("=")[0] for pair in context.params.get("pairs") or ()}
    wanted = [each for each in function.parameters if each.name not in given]
    return [CompletionItem(f"{each.name}=", help=each.about) for each in wanted if each.name.startswith(incomplete)]
