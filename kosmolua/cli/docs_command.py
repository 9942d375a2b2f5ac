"""``kosmolua docs``: read and search the documentation."""

from __future__ import annotations

import click

from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.opening import open_to_list
from kosmolua.cli.options import listing_options


@click.command("docs")
@click.argument("page", required=False)
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
        _show(text)


def _show(text: str) -> None:
    if not show.on_terminal():
        show.line(text.rstrip("\n"))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    page = Markdown(text)
    if len(text.splitlines()) > console.height:
        with console.pager(styles=True):
            console.print(page)
    else:
        console.print(page)
