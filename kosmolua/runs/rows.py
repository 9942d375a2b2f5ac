"""A result as rows: the items of its one list, or the result itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kosmolua.protocol import Json

VALUE = "value"
"""The column of items that are no tables."""
_ABOUT_PAGES = {"pageinfo", "page_info", "page", "paging", "pagination", "meta", "metadata", "links", "_links"}
"""The tables, in lower case, that a page of a list can have beside the list."""


def rows_of(value: Json) -> list[Mapping[str, Json]]:
    """Return the rows of a result, each with its columns by name.

    Raises:
        ValueError: The result has several lists, so that it is not clear which of them has the rows.
    """
    return [item if isinstance(item, Mapping) else {VALUE: item} for item in _items(value)]


def _items(value: Json) -> Sequence[Json]:
    if not isinstance(value, Mapping):
        return value if isinstance(value, list) else [value]
    lists = {key: each for key, each in value.items() if isinstance(each, list)}
    tables = {key.lower() for key, each in value.items() if isinstance(each, Mapping)}
    if not lists or not tables <= _ABOUT_PAGES:
        return [value]
    if len(lists) > 1:
        names = ", ".join(lists)
        raise ValueError(f"The result has several lists, so it is not clear which has the rows: {names}")
    name, items = next(iter(lists.items()))
    are_edges = name == "edges" and all(isinstance(each, Mapping) and "node" in each for each in items)
    return [each["node"] for each in items] if are_edges else items
