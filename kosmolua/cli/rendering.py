"""Draws pages of Markdown on a terminal with the library rich."""

from __future__ import annotations

import os
import sys
from io import StringIO
from shutil import get_terminal_size

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.table import Table
from rich.theme import Theme

from kosmolua.cli import terminal
from kosmolua.cli.streams import standard

MAX_PAGE_WIDTH = 100
"""The most columns of a page, since long lines are hard to read."""
THEME = Theme({"markdown.code": "bold", "markdown.link_url": "underline"})
"""What rich draws in colours that only a dark, or only a light terminal shows well."""


class _FoldingTable(TableElement):
    """A table in a page of Markdown. A word that is wider than its column is wrapped; rich would cut it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            assert isinstance(table, Table)
            for column in table.columns:
                column.overflow = "fold"
            yield table


class _Page(Markdown):
    elements = {**Markdown.elements, "table_open": _FoldingTable}  # noqa: RUF012 - as rich declares it


def draw_page(text: str, *, paged: bool) -> None:
    """Draw a page of Markdown on the terminal, or in the user's pager if it is ``paged`` and longer than the screen."""
    drawn, width = StringIO(), min(terminal.width(), MAX_PAGE_WIDTH)
    console = Console(file=drawn, force_terminal=True, width=width, theme=THEME)
    console.print(_Page(text, code_theme="ansi_light" if terminal.is_light() else "ansi_dark"))
    page = drawn.getvalue()
    with standard.given_back():
        if not paged or page.count("\n") < get_terminal_size().lines:
            sys.stdout.write(page)
            return
        from pydoc import pager

        os.environ.setdefault("LESS", "FRX")  # git's choice: show styles, and exit if the page fits on the screen
        pager(page)
