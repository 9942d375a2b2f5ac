"""How operations split their lists into pages, and all pages in one call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urljoin

from kosmolua.errors import NetworkError
from kosmolua.http.messages import Response
from kosmolua.http.paging import next_link
from kosmolua.openapi.document import Document
from kosmolua.openapi.operations import Field, Operation
from kosmolua.protocol import Json, Truncated
from kosmolua.schema.tree import rows, table

MAX_PAGES = 10_000
"""The maximum number of pages that one call fetches, even if they have few items."""
_NAMES = """
sizes: per_page page_size limit count max_results maxresults size pagesize perpage page_limit results_per_page
sizes: first take num top max page[size] page[limit] itemsperpage maxitems max_items
tokens: cursor page_token pagetoken next_token nexttoken page_cursor after start_cursor continuation
tokens: continuation_token continuationtoken pagination_token marker next_cursor page[cursor] page[after]
tokens: starting_after scroll_id start_key exclusivestartkey bookmark
pages: page page_number pagenumber page[number] page_num p
offsets: offset skip start page[offset] start_index startindex from page_offset
next_urls: next next_page_uri next_url next_page_url next_link nextlink @odata.nextlink next_href nextpageurl
next_tokens: next_cursor nextcursor next_page_token nextpagetoken next_token nexttoken cursor next_page next after
next_tokens: continuation_token continuationtoken next_marker nextmarker end_cursor pagination_token bookmark next_start
next_tokens: last_id
wrappers: links _links meta metadata paging pagination response_metadata page page_info pageinfo list_metadata
wrappers: cursor cursors
lists: data items results records values list entries members value
"""


def _named(what: str) -> list[str]:
    """Return the services' names for a kind, the likeliest first: ``per_page``, ``page_size``... for ``sizes``."""
    lines = (line.partition(": ") for line in _NAMES.splitlines())
    return [name for kind, _, names in lines if kind == what for name in names.split()]


_SIZES, _TOKENS, _PAGES, _OFFSETS = map(_named, ("sizes", "tokens", "pages", "offsets"))
_NEXT_URLS, _NEXT_TOKENS, _WRAPPERS, _LISTS = map(_named, ("next_urls", "next_tokens", "wrappers", "lists"))


_LINK = re.compile(r"`?\bLink\b`?\s+(\w+\s+)?header", re.IGNORECASE)


class ResultPage(NamedTuple):
    """One page: the decoded body, and the response, whose headers may lead to the next."""

    value: Json
    response: Response


@dataclass(frozen=True)
class Recipe:
    """How an operation splits its list into pages.

    Args:
        kind: What leads to the next page: a ``token`` or a ``url`` in the response, the header ``Link`` (``link``), a
            ``page`` number, an ``offset``, the id of the last item (``last_id``), or a cursor that each item contains
            (``item_cursor``).
        parameter: The wire name of what says where a page starts.
        field: The place of the token or URL; for ``last_id`` and ``item_cursor``, a key of an item.
        items: The place of the list; empty if the response is the list.
        size: The parameter for the number of items on a page.
        maximum: The largest such number; 0 if unknown.
        usual: The default; 0 if unknown.
        more: The place of a value that is true while there are more pages.
        first: The number of the first page, for the kind ``page``.
    """

    kind: str
    parameter: str = ""
    field: str = ""
    items: str = ""
    size: str = ""
    maximum: int = 0
    usual: int = 0
    more: str = ""
    first: int = 1

    @property
    def words(self) -> str:
        """A phrase for the documentation of a function."""
        ways = {
            "token": f"`{self.parameter}` takes `{self.field}` of the previous page",
            "link": "the `Link` header leads to the next one",
            "url": f"`{self.field}` is the address of the next one",
            "page": f"`{self.parameter}` is the page number",
            "offset": f"`{self.parameter}` is the number of items to skip",
            "last_id": f"`{self.parameter}` takes the last item's `{self.field}`",
            "item_cursor": f"`{self.parameter}` takes the last item's `{self.field}`",
        }
        return ways[self.kind]


def recipe_of(document: Document, operation: Operation, told: Mapping[str, Any]) -> Recipe | None:
    """Return an operation's recipe; None if it has no pages, if ``told`` is ``kind = "none"``, or if unknown."""
    if operation.method not in ("GET", "POST"):
        return None
    shape = _Shape(document, operation)
    if told:
        return _told(shape, told)
    return _by_extension(shape) or (_found(shape) if operation.method == "GET" else None)


def _told(shape: _Shape, told: Mapping[str, Any]) -> Recipe | None:
    if told["kind"] == "none":
        return None
    if told.get("parameter") and not shape.has(str(told["parameter"])):
        return None  # a default for lists, and this is not a list
    if shape.items() is None and "items" not in told:
        return None
    found = _list_of(shape, shape.parameter(_SIZES))
    own = {key: str(told[key]) for key in ("parameter", "field", "items", "size", "more") if key in told}
    return Recipe(str(told["kind"]), first=int(told.get("first", 1)), **{**found, **own})


def _by_extension(shape: _Shape) -> Recipe | None:
    given = shape.operation.hints.get("x-pagination")
    if not isinstance(given, dict):
        return None
    size = shape.parameter([str(given.get("limitParam", "")).lower()])
    found = _list_of(shape, size)
    found |= {"items": str(given["resultsPath"])} if "resultsPath" in given else {}
    if "cursorParam" in given:
        return Recipe("token", str(given["cursorParam"]), str(given.get("cursorPath", "")), **found)
    if "pageOffsetParam" in given:
        return Recipe("offset", str(given["pageOffsetParam"]), **found)
    if "pageParam" in given:
        return Recipe("page", str(given["pageParam"]), first=int(given.get("pageStart", 0)), **found)
    return None


def _found(shape: _Shape) -> Recipe | None:
    if shape.items() is None:
        return None
    size = shape.parameter(_SIZES)
    found = _list_of(shape, size)
    token = shape.parameter(_TOKENS)
    if shape.operation.result.links or (token and _LINK.search(token.about)):  # Okta mentions the header only in prose
        return Recipe("link", **found)
    if token and token.wire.lower() == "starting_after" and shape.key("has_more"):
        return Recipe("last_id", token.wire, "id", more="has_more", **found)
    if url := shape.next(_NEXT_URLS, of_url=True):
        return Recipe("url", field=url, **found)
    if token:
        if next_token := shape.next(_NEXT_TOKENS):
            return Recipe("token", token.wire, next_token, **found)
        if token.wire == "cursor" and shape.key("response_metadata"):
            return Recipe("token", token.wire, "response_metadata.next_cursor", **found)  # as in Slack's documents
        if token.wire.lower() == "cursor" and shape.item_has("cursor"):
            return Recipe("item_cursor", token.wire, "cursor", **found)
    page = shape.parameter(_PAGES)
    if page and shape.is_text(page) and (next_page := shape.next(["next_page"])):
        return Recipe("token", page.wire, next_page, **found)  # a token by another name: Stripe's searches
    if page and shape.is_number(page):
        first = table(page.schema).get("default", 1)
        return Recipe("page", page.wire, first=first if first in (0, 1) else 1, **found)
    offset = shape.parameter(_OFFSETS)
    if offset and size and shape.is_number(offset):
        return Recipe("offset", offset.wire, **found)
    return None


def _list_of(shape: _Shape, size: Field | None) -> dict[str, Any]:
    """Return the parts of a recipe about the list and the size of its pages."""
    schema = table(size.schema) if size else {}
    numbers = [schema.get(word) for word in ("maximum", "default")]
    most, usual = (number if isinstance(number, int) and 0 < number <= 10_000 else 0 for number in numbers)
    return {"items": shape.items() or "", "size": size.wire if size else "", "maximum": most, "usual": usual}


class _Shape:
    """The parameters of an operation and the keys of its result, from which the paging is guessed."""

    def __init__(self, document: Document, operation: Operation) -> None:
        self._document = document
        self.operation = operation
        self._parameters = {each.wire.lower(): each for each in operation.fields if each.place in ("query", "body")}
        schema = document.resolve(operation.result.schema)
        self._is_list = schema.get("type") == "array"
        self._item = schema.get("items") if self._is_list else None
        flat = None if self._is_list else document.flat(operation.result.schema)
        self._keys = flat[0] if flat else {}

    def parameter(self, names: list[str]) -> Field | None:
        """Return the parameter with the earliest of these names, or None."""
        plain = {re.sub(r"^\$", "", wire): each for wire, each in self._parameters.items()}
        return next((plain[name] for name in names if name in plain), None)

    def has(self, wire: str) -> bool:
        return wire.lower() in self._parameters

    def is_number(self, each: Field) -> bool:
        """Return True if a parameter can be a number."""
        return self._document.resolve(each.schema).get("type", "integer") in ("integer", "number", "string")

    def is_text(self, each: Field) -> bool:
        return self._document.resolve(each.schema).get("type") == "string"

    def key(self, name: str) -> bool:
        return name in self._keys

    def items(self) -> str | None:
        """Return the key of the list; empty if the result is the list, None if there is none."""
        if self._is_list:
            return ""
        lists = [key for key, schema in self._keys.items() if self._lists(schema)]
        if len(lists) > 1:
            lists = [key for key in _LISTS if key in lists]
        if not lists:
            return None
        self._item = self._document.resolve(self._keys[lists[0]]).get("items")
        return lists[0]

    def _lists(self, schema: Json) -> bool:
        return self._document.resolve(schema).get("type") in ("array", ["array", "null"], ["null", "array"])

    def item_has(self, key: str) -> bool:
        """Return True if items have this key; after :meth:`items`."""
        flat = self._document.flat(self._item)
        return bool(flat and key in flat[0])

    def next(self, names: list[str], *, of_url: bool = False) -> str:
        """Return the place of what leads to the next page, or an empty string."""
        for place, keys in self._levels():
            known = {key.lower(): key for key in keys}
            for name in names:
                if name in known and self._leads(known[name], keys[known[name]], of_url=of_url):
                    return f"{place}{known[name]}"
        return ""

    def _levels(self) -> Iterator[tuple[str, Mapping[str, Json]]]:
        yield "", self._keys
        for key, schema in self._keys.items():
            if key.lower() in _WRAPPERS and (flat := self._document.flat(schema)):
                yield f"{key}.", flat[0]
                for inner, below in flat[0].items():
                    if inner.lower() in _WRAPPERS and (deeper := self._document.flat(below)):
                        yield f"{key}.{inner}.", deeper[0]

    def _leads(self, key: str, schema: Json, *, of_url: bool) -> bool:
        plain = self._document.resolve(schema)
        kinds = {plain.get("type")} if isinstance(plain.get("type"), str) else set(plain.get("type") or ())
        for word in ("anyOf", "oneOf", "allOf"):
            kinds |= {self._document.resolve(each).get("type") for each in rows(plain.get(word))}
        if not of_url:
            return not kinds or bool(kinds & {"string", "integer", "number"})
        is_told = "ur" in key.lower() or "link" in key.lower() or "href" in key.lower()
        return "string" in kinds and (is_told or plain.get("format") in ("uri", "url", "uri-reference"))


Fetch = Callable[[Mapping[str, Json]], ResultPage]
Follow = Callable[[str], ResultPage]


def walk(recipe: Recipe, given: Mapping[str, Json], fetch: Fetch, follow: Follow, most: int) -> Json:
    """Fetch all pages of a list, and return the first page with the items of all.

    Args:
        recipe: The recipe.
        given: The arguments of the call, by wire.
        fetch: Sends the request with some arguments changed, and returns the page.
        follow: Returns the page at a URL from the service.
        most: The most items to return. If there are more, a table gets ``truncated = true``, and a list becomes a
            :class:`kosmolua.protocol.Truncated`.

    Raises:
        NetworkError: A page has no list at the place of the list.
    """
    sized = dict(given)
    if recipe.size and recipe.size not in given and recipe.maximum:
        sized[recipe.size] = recipe.maximum
    first = page = fetch(sized)
    items = [*_items(page, recipe)]
    seen: set[object] = set()
    for number in range(MAX_PAGES):
        if len(items) > most:
            break
        step = _next(recipe, page, sized, number, len(items))
        if step is None or step in seen:
            break
        seen.add(step)
        if recipe.kind in ("link", "url"):
            page = follow(urljoin(page.response.request.url if page.response.request else "", str(step)))
        else:
            page = fetch({**sized, recipe.parameter: step})
        found = _items(page, recipe)
        if not found:
            break
        items += found
    return _merged(first.value, recipe, items[:most], truncated=len(items) > most)


def _items(page: ResultPage, recipe: Recipe) -> list[Json]:
    found = at(page.value, recipe.items)
    if found is None:
        return []
    if not isinstance(found, list):
        where = f"{recipe.items!r} of a page" if recipe.items else "A page"
        hint = "call the function without all = true"
        raise NetworkError(f"{where} is not a list, so the pages cannot be joined", retryable=False, hint=hint)
    return found


def _next(recipe: Recipe, page: ResultPage, sized: Mapping[str, Json], number: int, count: int) -> Any:
    """Return what leads to the next page: a token, a URL or a number, or None."""
    items = _items(page, recipe)
    if recipe.kind == "link":
        return next_link(page.response)
    if recipe.kind in ("url", "token"):
        return at(page.value, recipe.field) or None
    if not items:
        return None
    size = sized.get(recipe.size) or recipe.usual
    is_short = isinstance(size, int) and 0 < len(items) < size
    if recipe.kind in ("last_id", "item_cursor"):
        ends = at(page.value, recipe.more) is False if recipe.more else is_short
        return None if ends else at(items[-1], recipe.field)
    if is_short:
        return None
    start = sized.get(recipe.parameter)
    if recipe.kind == "page":
        return (start if isinstance(start, int) else recipe.first) + number + 1
    return (start if isinstance(start, int) else 0) + count


def at(value: Json, place: str) -> Any:
    """Return what is at a place, or None."""
    if not place:
        return value
    if isinstance(value, dict) and place in value:
        return value[place]
    for key in place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _merged(first: Json, recipe: Recipe, items: list[Json], *, truncated: bool) -> Json:
    """Put all items into the first page, without what led to the next."""
    if not recipe.items or not isinstance(first, dict):
        return Truncated(items) if truncated else items
    whole = _without(first, recipe.field) if recipe.kind in ("url", "token") else dict(first)
    keys = [recipe.items] if recipe.items in whole else recipe.items.split(".")
    inner = whole
    for key in keys[:-1]:
        inner[key] = dict(inner[key])
        inner = inner[key]
    inner[keys[-1]] = items
    if recipe.more in whole:
        whole[recipe.more] = truncated
    return whole | ({"truncated": True} if truncated else {})


def _without(value: Mapping[str, Json], place: str) -> dict[str, Any]:
    """Copy a table without the value at a place."""
    first, _, rest = place.partition(".")
    if place in value or not rest:
        return {key: each for key, each in value.items() if key != place}
    inner = value.get(first)
    return {**value, first: _without(inner, rest)} if isinstance(inner, dict) else dict(value)
