"""Paging: the parameters ``limit``, ``cursor`` and ``all`` of every list function, and the requests for pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from kosmolua.plugin import Api, between, by_cursor

from .wire import Thing, page_of

LARGEST_PAGE = 100

Limit = Annotated[int, "The number of items on a page.", between(1, LARGEST_PAGE)]
Cursor = Annotated[str | None, "The cursor that the previous page returned; the next page starts there."]
All = Annotated[bool, "Whether to return the items of all pages at once; limit is then ignored."]


@dataclass(frozen=True)
class Page:
    """The part of a list to fetch: one page of ``limit`` items, or all, after a cursor."""

    limit: int = 20
    cursor: str | None = None
    all: bool = False

    def of(
        self, api: Api, template: str, key: str, filters: Mapping[str, Any] | None = None, **segments: Any
    ) -> tuple[list[Thing], str | None]:
        """Fetch this part of the list at a path, whose rows have the items under ``key``.

        Return the items, and the cursor of the next page, or None at the end of the list. Only a page shorter than the
        limit shows that a list ends, so a full last page still comes with a cursor, and the page after it is empty.
        """

        def fetch(cursor: str | None, limit: int = LARGEST_PAGE) -> tuple[list[Thing], str | None]:
            query = {**(filters or {}), "limit": limit, "cursor": cursor}
            items, last = page_of(api.get(template, query=query, **segments), key)
            return items, last if len(items) >= limit else None

        if self.all:
            return list(by_cursor(lambda cursor: fetch(cursor or self.cursor))), None
        return fetch(self.cursor, self.limit)
