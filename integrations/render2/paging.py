"""Paging: the parameters ``limit``, ``cursor`` and ``all`` of all list functions, and fetching pages."""

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
    """The part of a list that is asked for.

    Args:
        limit: How many items to return, 1 to 100.
        cursor: The cursor that the previous page returned, or None for the first page.
        all: Whether to fetch all items after the cursor.
    """

    limit: int = 20
    cursor: str | None = None
    all: bool = False

    def of(
        self, api: Api, template: str, key: str, filters: Mapping[str, Any] | None = None, **segments: str
    ) -> tuple[list[Thing], str | None]:
        """Fetch this part of the list at a path.

        Args:
            api: The client to ask.
            template: The path of the list, as a template for ``Api.get``.
            key: The key of the item in each row of the reply, such as ``service``.
            filters: Names and values for the query.
            segments: The values of the names in the template.

        Returns:
            The items, and the cursor of the next page or None. Render marks the end of a list by a page that is
            shorter than its limit. So a full last page still has a cursor, and the page after it is empty.
        """

        def fetch(cursor: str | None, limit: int = LARGEST_PAGE) -> tuple[list[Thing], str | None]:
            query = {**(filters or {}), "limit": limit, "cursor": cursor}
            items, last = page_of(api.get(template, query=query, **segments), key)
            return items, last if len(items) >= limit else None

        if self.all:
            return list(by_cursor(lambda cursor: fetch(cursor or self.cursor))), None
        return fetch(self.cursor, self.limit)
