"""``kosmolua docs``: read and search the documentation."""

from __future__ import annotations

import click

from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.completion import completes, pages
from kosmolua.cli.opening import open_to_list
from kosmolua.cli.options import Command, examples, listing_options


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
@click.argument("page", required=False, shell_complete=completes(pages))
@click.option("--search", "query", metavar="QUERY", help="Find pages instead.")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="How many pages to find.")
@click.option("--detail", default="full", show_default=True, help="brief, signatures, types or full.")
@click.option("--budget", type=click.IntRange(min=1), metavar="N", help="The richest form in at most N characters.")
@listing_options
def command(page: str | None, query: str | None, limit: int, detail: str, budget: int | None, options: Options) -> None:
    """Read a PAGE, such as integrations.render2; without one, list the pages."""
    runtime = open_to_list(options)
    if query is not None:
        text = runtime.docs.search(query, limit=limit)
    elif page is None:
        text = runtime.docs.list()
    else:
        text = runtime.docs.read(page, detail=detail, budget=budget)
    if options.json:
        show.as_json({"page": page, "text": text})
    else:
        show.markdown(text, paged=True)
