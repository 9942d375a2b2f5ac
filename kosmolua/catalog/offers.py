"""What completion offers of a catalog: pages and functions, each with a short description."""

from __future__ import annotations

from kosmolua.catalog.catalog import Catalog
from kosmolua.schema.names import page_of

Offers = dict[str, str]
"""Possible completions of a word, each with a short description."""


def offered_pages(catalog: Catalog, typed: str) -> Offers:
    """Return the documentation pages to offer: guides, integrations, and, for a typed integration, its functions."""
    from kosmolua.docs import pages

    found = dict.fromkeys(pages.NAMES, "guide")
    for name in catalog.names():
        page = page_of(name)
        found[page] = "integration"
        for base in filter(typed.startswith, (page, name)):
            found |= {f"{base}.{each}": about for each, about in offered_functions(catalog, name).items()}
    return found


def offered_functions(catalog: Catalog, integration: str) -> Offers:
    """Return the short names of an integration's functions, each with its summary."""
    from kosmolua.docs.outline import outline_of

    return {name: sketch.summary for name, sketch in outline_of(catalog.listed(integration)).functions.items()}
