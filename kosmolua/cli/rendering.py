"""Draws pages of Markdown, and tables, on a terminal with the library rich."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.table import Table
from rich.text import Text

from kosmolua.cli.streams import standard

GAP = 2
"""The width of the space between columns of a table."""
MAX_PAGE_WIDTH = 100
"""The most columns of a page, since long lines are hard to read."""


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
    with standard.given_back():
        console = Console()
        console.width = min(console.width, MAX_PAGE_WIDTH)
        page = _Page(text, code_theme="ansi_dark")
        if not paged or len(console.render_lines(page)) < console.height:
            console.print(page)
            return
        os.environ.setdefault("LESS", "FRX")  # git's choice: show styles, and exit if the page fits on the screen
        with console.pager(styles=True):
            console.print(page)


def draw_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw a table on the terminal. If the longest words do not fit into the columns, draw each row as a list."""
    with standard.given_back():
        console = Console()
        width = sum(_longest_word(cells) for cells in zip(columns, *rows, strict=True)) + GAP * (len(columns) - 1)
        if width <= console.width:
            console.print(_table(title, columns, rows))
            return
        console.print(Text(title, style="table.title"))
        for row in rows:
            console.print(_list(columns, row), "")


def _longest_word(cells: Sequence[str]) -> int:
    return max(len(word) for cell in cells for word in cell.split() or [""])


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=not any(" " in row[index] for row in rows))
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _list(columns: Sequence[str], row: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    table.add_column(style="table.header", no_wrap=True)
    table.add_column(overflow="fold")
    for column, cell in zip(columns, row, strict=True):
        if cell:
            table.add_row(column, Text(cell))
    return table
