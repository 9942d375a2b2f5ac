"""Paging: the parameters ``limit``, ``page`` and ``all`` of every list function, and the requests for pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Annotated, Any, NamedTuple

from kosmolua.plugin import Api, between, by_link, decode, next_link

from .wire import Thing, number, thing_of, things_of

LARGEST_PAGE = 100
MOST_FOUND = 1000
"""The largest number of results of a search (https://docs.github.com/en/rest/search/search)."""

Limit = Annotated[int, "The number of items on a page.", between(1, LARGEST_PAGE)]
Number = Annotated[
    int, "The number of the page to return, such as next_page of the previous result.", between(1, 100_000)
]
All = Annotated[bool, "Whether to return the items of all pages at once; limit and page are then ignored."]


class Found(NamedTuple):
    """Search results: the items of a page, the number of all, whether the search ended early, and the next page."""

    items: list[Thing]
    total: int
    incomplete: bool
    next_page: int | None = None


class Page(NamedTuple):
    """The part of a list to fetch: one page, or all pages.

    ``items`` is the key under which a page holds its items, or None if the page itself is the list.
    """

    limit: int = 30
    number: int = 1
    all: bool = False
    items: str | None = None

    def listed(
        self, api: Api, template: str, filters: Mapping[str, Any], /, **segments: str | int
    ) -> tuple[list[Thing], int | None]:
        """Fetch this part of a list. Return its items, and the number of the next page, or None after the last.

        The ``Link`` header of a page has the URL of the next. It can differ in form, so it is requested unchanged.
        """
        if self.all:
            query = {**filters, "per_page": LARGEST_PAGE}
            return things_of(list(by_link(api, template, query=query, items=self.items, **segments))), None
        query = {**filters, "per_page": self.limit, "page": self.number}
        answer = api.fetch("GET", template, segments, query=query)
        body = decode(answer)
        items = body if self.items is None else thing_of(body).get(self.items)
        return things_of(items), self.number + 1 if next_link(answer) else None

    def chosen(
        self,
        api: Api,
        template: str,
        filters: Mapping[str, Any],
        is_wanted: Callable[[Thing], bool],
        /,
        **segments: str | int,
    ) -> tuple[list[Thing], int | None]:
        """Fetch this part of those items of a list that are wanted. GitHub's pages are fetched from the first one."""
        pages = by_link(api, template, query={**filters, "per_page": LARGEST_PAGE}, items=self.items, **segments)
        wanted = (each for each in map(thing_of, pages) if is_wanted(each))
        if self.all:
            return list(wanted), None
        found = list(islice(wanted, (self.number - 1) * self.limit, self.number * self.limit + 1))
        return found[: self.limit], self.number + 1 if len(found) > self.limit else None

    def found(self, api: Api, template: str, filters: Mapping[str, Any]) -> Found:
        """Fetch this part of the results of a search. Each page states the total number of matches."""
        if self.all:
            return self._all_found(api, template, filters)
        found = _search(api, template, {**filters, "per_page": self.limit, "page": self.number})
        more = self.number * self.limit < min(found.total, MOST_FOUND)
        return found._replace(next_page=self.number + 1 if more else None)

    def _all_found(self, api: Api, template: str, filters: Mapping[str, Any]) -> Found:
        """Fetch all pages. Only an empty one ends them early: GitHub can stop a search so that a page is short."""
        found = Found([], 0, incomplete=False)
        for page in range(1, MOST_FOUND // LARGEST_PAGE + 1):
            part = _search(api, template, {**filters, "per_page": LARGEST_PAGE, "page": page})
            found = Found(found.items + part.items, part.total, found.incomplete or part.incomplete)
            if not part.items or len(found.items) >= found.total:
                break
        return found


def _search(api: Api, template: str, query: Mapping[str, Any]) -> Found:
    reply = thing_of(api.get(template, query=query))
    return Found(things_of(reply.get("items")), number(reply, "total_count"), bool(reply.get("incomplete_results")))
