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
    """The part of a list to fetch: one page, or all items.

    Args:
        limit: How many items to return, 1 to 100.
        cursor: The cursor that the previous page returned, or None for the first page.
        all: Whether to fetch all items after the cursor.
    """

    limit: int = 20
    cursor: str | None = None
    all: bool = False

    def of(
        self, api: Api, template: str, key: str, filters: Mapping[str, Any] | None = None, **segments: Any
    ) -> tuple[list[Thing], str | None]:
        """Fetch this part of the list at a path.

        Args:
            api: The client that sends the requests.
            template: The path of the list, with names in braces, such as ``/services/{service_id}/jobs``.
            key: The key of the item in each row of the reply, such as ``service``.
            filters: Further parameters of the query; those with the value None are left out.
            segments: The values for the names in braces.

        Returns:
            The items, and the cursor of the next page, or None at the end of the list. Only a page shorter than the
            limit shows that a list ends. So a full last page still comes with a cursor, and the page after it is empty.
        """

        def fetch(cursor: str | None, limit: int = LARGEST_PAGE) -> tuple[list[Thing], str | None]:
            query = {**(filters or {}), "limit": limit, "cursor": cursor}
            items, last = page_of(api.get(template, query=query, **segments), key)
            return items, last if len(items) >= limit else None

        if self.all:
            return list(by_cursor(lambda cursor: fetch(cursor or self.cursor))), None
        return fetch(self.cursor, self.limit)
