"""Reads the inputs for ``kosmolua fleet``: the rows of a file, each with a key that identifies it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kosmolua.cli.inputs import read_input
from kosmolua.cli.streams import names_standard_input
from kosmolua.errors import UsageError
from kosmolua.lua.header import Header
from kosmolua.suggestions import listed

MAX_INPUTS = 1024**3
"""The most bytes of a file of inputs."""


def read_rows(path: str, key: str | None, header: Header) -> list[tuple[Any, Any]]:
    """Return key and content of each row of a ``.jsonl``, ``.csv`` or ``.json`` file, or of JSON lines for ``-``.

    ``key`` names the field that contains the key of a row; None counts rows from 1. The cells of a ``.csv`` file get
    the types of the parameters that the script's header declares, and empty cells are left out.

    Raises:
        UsageError: The file cannot be read or contains no list of rows, a row has no key, two rows have the same key,
            or a column of a ``.csv`` is no parameter.
    """
    rows = read_input(path, MAX_INPUTS, "jsonl" if names_standard_input(path) else None)
    if not isinstance(rows, list):
        raise UsageError(
            f"{path} does not contain a list of inputs", hint="name a .jsonl, a .csv, or a .json with a list"
        )
    if Path(path).suffix.lower() == ".csv" and header.is_declared:
        rows = [_typed(row, header) for row in rows]
        _check_columns(path, rows, [each.name for each in header.parameters])
    keyed = [(number if key is None else _key_of(row, key, number), row) for number, row in enumerate(rows, start=1)]
    seen: set[str] = set()
    for found, _ in keyed:
        said = json.dumps(found, sort_keys=True)
        if said in seen:
            subject = "Standard input" if names_standard_input(path) else path
            hint = "choose with --key a field that is different in each input"
            raise UsageError(f"{subject} has two inputs with the key {said}", hint=hint)
        seen.add(said)
    return keyed


def _typed(row: Mapping[str, str], header: Header) -> dict[str, object]:
    """Convert the cells of a CSV row to the types of the script's parameters, and leave out empty cells."""
    kinds = {each.name: each.type for each in header.parameters}
    return {name: kinds[name].read(cell) if name in kinds else cell for name, cell in row.items() if cell != ""}


def _check_columns(path: str, rows: list[dict[str, object]], declared: list[str]) -> None:
    columns = dict.fromkeys(name for row in rows for name in row)
    if unknown := [repr(name) for name in columns if name not in declared]:
        named = f"the column{'s'[: len(unknown) > 1]} {listed(unknown)}"
        problem = f"{path} has {named}, which the script's header does not declare"
        there = f"declares {listed(declared)}" if declared else "has no ---@param"
        raise UsageError(f"{problem}. Nothing was sent", hint=f"the header {there}: add to it, or remove from the file")


def _key_of(row: object, key: str, number: int) -> object:
    if not isinstance(row, dict) or key not in row:
        raise UsageError(f"Input {number} has no field {key!r}, which --key names as the key of each input")
    return row[key]
