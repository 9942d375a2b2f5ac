"""The result of a call as a table or CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from kosmolua.cli import console
from kosmolua.errors import UsageError
from kosmolua.runs.rows import rows_of

FIRST = ("id", "number", "name", "title", "type", "status")
"""The columns that stand first, since people know things by them."""


def write(value: Any, form: str) -> None:
    """Write a result to standard output in one of the forms ``table`` and ``csv``.

    Raises:
        UsageError: The result has several lists, so that it is not clear which of them are the rows.
    """
    try:
        items = rows_of(value)
    except ValueError as error:
        raise UsageError(str(error), hint="leave --output out") from None
    columns = list(dict.fromkeys(key for item in items for key in item))
    nested = {name for name in columns if any(isinstance(item.get(name), (dict, list)) for item in items)}
    columns.sort(key=lambda name: (name in nested, FIRST.index(name) if name in FIRST else len(FIRST)))
    rows = [[_cell(item.get(name)) for name in columns] for item in items]
    if form == "csv":
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows([columns, *rows])
        console.line(written.getvalue().rstrip("\n"))
    elif columns:
        console.table(f"{len(rows):,} rows", columns, rows, has_header=True, spare=columns[:0:-1])


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
