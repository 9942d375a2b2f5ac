"""``kosmolua docs``: read and search the documentation."""

from __future__ import annotations

import click

from kosmolua.catalog.offers import offered_pages
from kosmolua.cli import console
from kosmolua.cli.completion import completes
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, listing_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.docs import Library
from kosmolua.docs.pages import DEFAULT_DETAIL, DETAILS, MIN_BUDGET
from kosmolua.docs.search import DEFAULT_HITS, MAX_HITS
from kosmolua.errors import BadDocArguments, UsageError


@click.command(
    "docs",
    cls=Command,
    epilog=examples(
        "kosmolua docs",
        "kosmolua docs integrations.render2 --detail signatures",
        "kosmolua docs render2.list_services",
        "kosmolua docs --search 'failed deploys'",
    ),
)
@click.argument("page", required=False, shell_complete=completes(offered_pages))
@click.option("--search", "query", metavar="QUERY", help="Search for pages instead.")
@click.option(
    "--limit", type=click.IntRange(1, MAX_HITS), metavar="N", help=f"How many pages to find [{DEFAULT_HITS}]."
)
@click.option("--detail", type=click.Choice(DETAILS[::-1]), help=f"How much of the page [{DEFAULT_DETAIL}].")
@click.option(
    "--budget", type=click.IntRange(MIN_BUDGET), metavar="N", help="The fullest form of at most N characters."
)
@listing_options
def command(
    page: str | None, query: str | None, limit: int | None, detail: str | None, budget: int | None, options: Options
) -> None:
    """Show a PAGE of the documentation, such as integrations.render2; without a PAGE, list all pages."""
    if page is not None and query is not None:
        raise click.UsageError("Name a PAGE, or search for pages with --search, but not both.")
    if query is None and limit:
        raise click.UsageError("--limit sets how many pages --search finds: give --search too, or leave --limit out.")
    if page is None and (detail or budget):
        raise click.UsageError("--detail and --budget set how much of a PAGE to show: name a PAGE, or leave them out.")
    docs = open_to_list(options).docs
    if query is not None:
        _search(docs, query, limit or DEFAULT_HITS, options)
    else:
        _read(docs, page, detail or DEFAULT_DETAIL, budget, options)


def _read(docs: Library, page: str | None, detail: str, budget: int | None, options: Options) -> None:
    text = docs.list() if page is None else docs.read(page, detail=detail, budget=budget)
    console.answer({"page": page, "text": text}, lambda: console.markdown(text, paged=True), in_json=options.json)


def _search(docs: Library, query: str, limit: int, options: Options) -> None:
    try:
        if options.json:
            console.as_json({"query": query, "results": [hit._asdict() for hit in docs.find(query, limit=limit)]})
        else:
            console.markdown(docs.search(query, limit=limit), paged=True)
    except BadDocArguments as error:
        raise UsageError(error.message) from None
