"""Pages of a list, as every list function takes and returns them: ``limit``, ``page`` and ``all``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

from kosmolua.plugin import Api, between, by_link, by_page, decode, next_link

from .wire import Thing, number, thing_of, things_of

LARGEST_PAGE = 100
MOST_FOUND = 1000
"""How far a search can be paged through (https://docs.github.com/en/rest/search/search)."""

Limit = Annotated[int, "How many to return a page.", between(1, LARGEST_PAGE)]
Number = Annotated[int, "Which page: the next_page of the one before.", between(1, 100_000)]
All = Annotated[bool, "Return the items of all pages at once; limit and page are then not used."]


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for.

    Args:
        limit: How many items, 1 to 100.
        number: Which page of that many, from 1.
        all: Whether to fetch everything.
    """

    limit: int = 30
    number: int = 1
    all: bool = False

    def listed(
        self, api: Api, template: str, filters: Mapping[str, Any], /, **segments: str
    ) -> tuple[list[Thing], int | None]:
        """Fetch this part of a list whose pages name the next one in a ``Link`` header.

        See https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api. The links need not
        look like the address that was asked for, so for everything they are followed as they are.

        Returns:
            The items, and the number of the next page or None.
        """
        if self.all:
            query = {**filters, "per_page": LARGEST_PAGE}
            return things_of(list(by_link(api, template, query=query, **segments))), None
        query = {**filters, "per_page": self.limit, "page": self.number}
        answer = api.fetch("GET", template, segments, query=query)
        return things_of(decode(answer)), self.number + 1 if next_link(answer) else None

    def found(self, api: Api, template: str, filters: Mapping[str, Any]) -> tuple[list[Thing], int, int | None]:
        """Fetch this part of a search's results, whose pages are numbered and tell how many there are in all.

        Returns:
            The results, how many match, and the number of the next page or None.
        """
        total = 0

        def fetch(page: int, limit: int = LARGEST_PAGE) -> list[Thing]:
            nonlocal total
            reply = thing_of(api.get(template, query={**filters, "per_page": limit, "page": page}))
            total = number(reply, "total_count")
            return things_of(reply.get("items"))

        if self.all:
            items = list(islice(by_page(fetch, size=LARGEST_PAGE), MOST_FOUND))
            return items, total, None
        items = fetch(self.number, self.limit)
        more = self.number * self.limit < min(total, MOST_FOUND)
        return items, total, self.number + 1 if more else None
