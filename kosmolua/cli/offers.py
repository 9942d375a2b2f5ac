"""What can be offered to a person who types: names, each with a word on what it stands for."""

from __future__ import annotations

from kosmolua.catalog import Catalog
from kosmolua.paths import page_of
from kosmolua.spec import wording
from kosmolua.spec.types import Type

Offers = dict[str, str]


def pages(catalog: Catalog, typed: str) -> Offers:
    """Return each guide and integration, and the functions of an integration that was typed."""
    from kosmolua.docs import guide

    found = dict.fromkeys(guide.NAMES, "guide")
    for name in catalog.names():
        page = page_of(name)
        found[page] = "integration"
        for base in filter(typed.startswith, (page, name)):
            found |= {f"{base}.{each}": about for each, about in functions(catalog, name).items()}
    return found


def values(kind: Type) -> list[str]:
    """Return the strings that a type lists, or how both booleans are written; nothing for other types."""
    return [*wording.choices_in(kind)] or (["true", "false"] if kind.label == "boolean" else [])


def integrations(catalog: Catalog) -> Offers:
    """Return each integration."""
    return dict.fromkeys(catalog.names(), "integration")


def accounts(catalog: Catalog, integration: str) -> Offers:
    """Return the accounts of an integration."""
    return dict.fromkeys(catalog.accounts(integration), "account")


def functions(catalog: Catalog, integration: str) -> Offers:
    """Return the functions of an integration."""
    return {name: function.summary for name, function in catalog.integration(integration).functions.items()}
