"""Paging: reads all pages of a list that a service sends by cursor, by page number, or with a Link header.

Each function is a generator, and fetches a page when its first item is needed. So ``itertools.islice`` limits how many
pages are fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import urljoin

from kosmolua.errors import NetworkError
from kosmolua.expressions import regex
from kosmolua.http.client import Api, Query, decode
from kosmolua.http.messages import Response
from kosmolua.protocol import Json

T = TypeVar("T")

_LINK = regex(r'<([^>]*)>((?:\s*;\s*[^\s;,="]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)')
_PARAMETER = regex(r';\s*([^\s;,="]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?')


def by_cursor(fetch: Callable[[str | None], tuple[Sequence[T], str | None]]) -> Iterator[T]:
    """Yield the items of all pages of a list that is paged by cursors.

    The list ends with a page that names no next cursor, or repeats an earlier cursor.

    Args:
        fetch: The function that fetches a page. It gets the cursor of the page, or None for the first page. It returns
            the page's items, and the cursor of the next page or None.
    """
    cursor: str | None = None
    seen: set[str | None] = {None, ""}
    while True:
        items, cursor = fetch(cursor)
        yield from items
        if cursor in seen:
            return
        seen.add(cursor)


def by_page(fetch: Callable[[int], Sequence[T]], *, size: int) -> Iterator[T]:
    """Yield the items of all pages of a list whose pages are numbered from 1.

    Args:
        fetch: The function that fetches a page. It gets the number of the page, and returns the page's items.
        size: The number of items of a full page. A page with fewer items is the last one.
    """
    number = 1
    while True:
        items = fetch(number)
        yield from items
        if len(items) < max(size, 1):
            return
        number += 1


def by_link(
    api: Api, template: str, /, *, query: Query | None = None, items: str | None = None, **segments: str | int
) -> Iterator[Json]:
    """Yield the items of all pages of a list whose pages name the next page in a ``Link`` header (RFC 8288).

    Args:
        api: The client of the service.
        template: The path of the first page, with ``{name}`` for each segment to fill, as in :meth:`Api.get`.
        query: The query of the first page. The links to later pages already contain a query.
        items: The key of the list, if a page is an object that contains the list.
        segments: The values of the names in the template.

    Raises:
        ApiError: The service answered with an error.
        NetworkError: The service could not be reached, a page has no such list, or the next page is at another origin,
            which must not receive the credential.
    """
    url = api.url(template, **segments)
    page = api.fetch("GET", template, segments, query=query)
    seen: set[str] = set()
    while True:
        yield from _items_of(page, items)
        target = next_link(page)
        if target is None:
            return
        try:
            url = urljoin(url, target)
        except ValueError:
            raise NetworkError("The address of the next page is not valid", retryable=False) from None
        if url in seen:
            return
        seen.add(url)
        page = api.follow(url)


def next_link(response: Response) -> str | None:
    """Return the address, perhaps relative, with ``rel="next"`` in the ``Link`` header (RFC 8288), or None."""
    for target, rest in _LINK.findall(response.header("Link") or ""):
        parameters = {name.lower(): quoted or bare for name, quoted, bare in reversed(_PARAMETER.findall(rest))}
        is_next = "next" in parameters.get("rel", "").lower().split() and parameters.get("results") != "false"  # Sentry
        if is_next and "anchor" not in parameters:
            return str(target)
    return None


def _items_of(page: Response, key: str | None) -> Sequence[Json]:
    body = decode(page)
    found = (body.get(key) or []) if key is not None and isinstance(body, dict) else body
    if isinstance(found, list):
        return found
    what = "A page of the list" if key is None else f"The key {key!r} in a page of the list"
    raise NetworkError(f"{what} is not a JSON array", retryable=False)
