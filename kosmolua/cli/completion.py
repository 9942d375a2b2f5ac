"""Completes pages, integrations, accounts, functions and arguments in the shell, through click."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from kosmolua.catalog.catalog import Catalog
from kosmolua.catalog.offers import Offers, offered_functions
from kosmolua.cli.streams import standard
from kosmolua.errors import KosmoError
from kosmolua.protocol import Json
from kosmolua.schema import luacats
from kosmolua.schema.names import APP, ROOT
from kosmolua.schema.types import Type


def offered_values(kind: Type) -> list[str]:
    """Return the values of a boolean, or of a type that declares its choices, as typed on a command line."""
    choices: tuple[Json, ...] = luacats.choices_in(kind) or ((True, False) if luacats.label(kind) == "boolean" else ())
    return [each if isinstance(each, str) else json.dumps(each) for each in choices]


_BEFORE_NAMES = re.compile(rf"^(?:{APP}\.)?(?:{ROOT}\.)?")
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completes(find: Callable[[Catalog, str], Offers]) -> Complete:
    """Return a callback for click: it completes an argument with what ``find`` returns for the typed text."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            with standard.apart():
                found = find(_catalog(context), incomplete)
        except KosmoError:
            return []
        return [CompletionItem(text, help=about) for text, about in found.items() if text.startswith(incomplete)]

    return complete


def _catalog(context: click.Context) -> Catalog:
    from kosmolua.runtime import Runtime

    given = context.params
    runtime = Runtime(given.get("accounts"), plugins=given.get("plugin") or (), simulate=bool(given.get("simulate")))
    return runtime.catalog


def integrations(catalog: Catalog, _: str) -> Offers:
    """Return the names of all integrations. The typed text is not used."""
    return dict.fromkeys(catalog.names(), "integration")


def accounts(catalog: Catalog, typed: str) -> Offers:
    """Return all integrations, and, after an integration and a dot, its accounts as ``INTEGRATION.ACCOUNT``."""
    found = integrations(catalog, typed)
    for name in filter(lambda each: typed.startswith(f"{each}."), catalog.names()):
        found |= {f"{name}.{account}": "account" for account in catalog.accounts(name)}
    return found


def paths(catalog: Catalog, typed: str) -> Offers:
    """Return the integrations that match a text or, if only one matches, the functions of this integration."""
    name, dot, rest = _BEFORE_NAMES.sub("", typed, count=1).partition(".")
    before = typed.removesuffix(f"{name}{dot}{rest}")
    matches = [each for each in catalog.names() if (each == name if dot else each.startswith(name))]
    if len(matches) != 1:
        return dict.fromkeys((f"{before}{each}." for each in matches), "integration")
    account, dot, _ = rest.partition(".")
    between = f"{account}." if dot and account in [*catalog.accounts(matches[0]), "default"] else ""
    prefix = f"{before}{matches[0]}.{between}"
    return {f"{prefix}{name}": about for name, about in offered_functions(catalog, matches[0]).items()}


def arguments_of(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return completions of an argument of ``kosmolua call``: KEY= for parameters, or values for a typed key."""
    try:
        with standard.apart():
            function = _catalog(context).find(str(context.params.get("path")))
    except KosmoError:
        return []
    words = [*(context.params.get("words") or ())]
    given = {word.partition("=")[0] for word in words}
    found = {f"{each.name}=": each.about for each in function.parameters if each.name not in given}
    for each in function.parameters:
        if incomplete.startswith(f"{each.name}="):
            found = {f"{each.name}={value}": "" for value in offered_values(each.type)}
        elif each.name == _key_apart(words):
            found = dict.fromkeys(offered_values(each.type), "")
    return [CompletionItem(text, help=about) for text, about in found.items() if text.startswith(incomplete)]


def _key_apart(words: list[str]) -> str | None:
    """Return the key whose value Bash passes as a word of its own, or None if a key is being typed.

    Bash splits KEY=VALUE into three words, and omits an equals sign that comes last. Both ``limit=`` and ``limit=2``
    therefore have the key ``limit``. After the three words ``limit``, ``=`` and ``2``, a new key is being typed.
    """
    if words[-1:] == ["="]:
        words = words[:-1]
    return words[-1] if words and words[-2:-1] != ["="] else None
