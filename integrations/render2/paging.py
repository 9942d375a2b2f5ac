"""Paging: the parameters ``limit``, ``cursor`` and ``all`` of every list function, and the requests for pages."""

from typing import Annotated, Any

from kosmolua.plugin import between, by_cursor

from .bodies import wire
from .render import Render
from .wire import Thing, page_of

LARGEST_PAGE = 100

Limit = Annotated[int, "The number of items on a page.", between(1, LARGEST_PAGE)]
Cursor = Annotated[str | None, "The cursor that the previous page returned; the next page starts there."]
All = Annotated[bool, "Whether to return the items of all pages at once; limit is then ignored."]


def listed(
    path: str,
    key: str,
    /,
    *,
    render: Render,
    limit: int = 20,
    cursor: str | None = None,
    all: bool = False,
    repeats: bool = False,
    **given: Any,
) -> tuple[list[Thing], str | None]:
    """Fetch a page of the list at a path, or all pages after a cursor. The rows have the items under ``key``.

    A list function passes its own arguments on, ``**locals()``. Those that the path has in braces go into the path. The
    others are filters, whose names in Render's queries are the same in camel case; for paths where such a name must be
    repeated for each value, ``repeats`` is true.

    Return the items, and the cursor of the next page, or None at the end of the list. Only a page shorter than the
    limit shows that a list ends, so a full last page still comes with a cursor, and the page after it is empty.
    """
    api = render.repeating if repeats else render.api
    segments = {name: value for name, value in given.items() if f"{{{name}}}" in path}
    filters: Thing = wire({name: value for name, value in given.items() if name not in segments})

    def fetch(after: str | None, size: int = LARGEST_PAGE) -> tuple[list[Thing], str | None]:
        items, last = page_of(api.get(path, query={**filters, "limit": size, "cursor": after}, **segments), key)
        return items, last if len(items) >= size else None

    if all:
        return list(by_cursor(lambda after: fetch(after or cursor))), None
    return fetch(cursor, limit)
