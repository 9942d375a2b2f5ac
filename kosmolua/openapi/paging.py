"""How operations split their lists into pages, as far as a document says it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.expressions import regex
from kosmolua.http.messages import Response
from kosmolua.openapi.operations import Field, Operation
from kosmolua.protocol import Json
from kosmolua.schema.tree import table

if TYPE_CHECKING:
    from kosmolua.openapi.document import Document

_NAMES = """
sizes: per_page page_size limit count max_results maxresults size pagesize perpage page_limit results_per_page
sizes: first take num top max page[size] page[limit] itemsperpage maxitems max_items pagelen
sizes: pagination[pagesize] pagination[limit]
tokens: cursor page_token pagetoken next_page_token next_token nexttoken page_cursor after start_cursor continuation
tokens: continuation_token continuationtoken pagination_token marker next_cursor page[cursor] page[after]
tokens: starting_after after_id scroll_id start_key exclusivestartkey bookmark continue iterator max_id page_info
pages: page page_number pagenumber page[number] page_num page_index pageindex p pagination[page]
offsets: offset skip start page[offset] start_index startindex startat start_at from page_offset pagination[start]
next_urls: next next_page_uri next_url next_page_url next_link nextlink @odata.nextlink next_href nextpageurl
next_urls: next_uri nextrecordsurl next_page
next_tokens: next_cursor nextcursor next_page_token nextpagetoken next_token nexttoken cursor next_page next after
next_tokens: continuation_token continuationtoken next_marker nextmarker end_cursor pagination_token bookmark next_start
next_tokens: last_id continue iterator after_cursor
wrappers: links _links meta metadata paging pagination response_metadata page page_info pageinfo list_metadata
wrappers: cursor cursors result_info next_page pages next additional_data records
around: _embedded data result response message
lists: data items results records values list entries members value result
no_lists: errors warnings messages links _links included
more: has_more hasmore has_next hasnext has_next_page hasnextpage more_results_available more
more: more_data_available more_items_in_collection
last: done is_last islast last last_page is_last_page islastpage
totals: total total_count totalcount count_total total_items totalitems total_results totalresults total_records
totals: total_entries totalelements totalsize itemstotal
counts: pages page_count pagecount total_pages totalpages pagestotal last_page
numbers: page page_number pagenumber current_page currentpage number page_index
"""


def _named(what: str) -> list[str]:
    """Return the services' names for a kind, the likeliest first: ``per_page``, ``page_size``... for ``sizes``."""
    lines = (line.partition(": ") for line in _NAMES.splitlines())
    return [name for kind, _, names in lines if kind == what for name in names.split()]


_SIZES, _TOKENS, _PAGES, _OFFSETS = map(_named, ("sizes", "tokens", "pages", "offsets"))
NEXT_URLS, NEXT_TOKENS, _WRAPPERS, _LISTS = map(_named, ("next_urls", "next_tokens", "wrappers", "lists"))
MORE, LAST, TOTALS, NUMBERS, COUNTS = map(_named, ("more", "last", "totals", "numbers", "counts"))
_NO_LISTS, _AROUND = map(_named, ("no_lists", "around"))
AFTER = ("starting_after", "after", "after_id", "last_id")
"""Parameters that take the id of the last item, where a reply only says whether there are more."""
_DATED = regex(r"\b(dates?|times?|timestamps?|iso.?8601|epoch)\b", re.IGNORECASE)
_NO_NUMBER = regex(r"\b(dates?|times?|timestamps?|iso.?8601|epoch|tokens?|cursors?|ids?)\b", re.IGNORECASE)
"""Matches the description of a parameter that is called like an offset, but is a date, a token or an id."""
_FROM_ZERO = regex(r"\b(zero|0)[ -]?(based|indexed)|\bstart(s|ing)?( (at|from|with|index))* 0\b", re.IGNORECASE)
_FROM_ONE = regex(
    r"\b(one|1)[ -]?(based|indexed)|\b(starts?|starting|begins?|beginning|from|with|at|defaults?|first)( \w+){0,3} 1\b|"
    r"1 (is|for|being) the first",
    re.IGNORECASE,
)
UNSAID = -1
"""The number of the first page if nothing says whether pages count from 0 or from 1."""
_LINK = regex(r"`?\bLink\b`?\s+(\w+\s+)?header", re.IGNORECASE)


class PagingKind(NamedTuple):
    """A kind of paging: the keys that a recipe of it needs, what leads to a page, and a phrase about it."""

    needs: tuple[str, ...]
    way: str
    words: str


KINDS = {
    "token": PagingKind(("parameter", "field"), "token", "`{parameter}` takes {token} of the previous page"),
    "link": PagingKind((), "Link header", "the `Link` header leads to the next one"),
    "url": PagingKind(("field",), "address of the next page", "`{field}` is the address of the next one"),
    "page": PagingKind(("parameter",), "page number", "`{parameter}` is the page number"),
    "offset": PagingKind(("parameter",), "offset", "`{parameter}` is the number of items to skip"),
    "last_id": PagingKind(("parameter", "field"), "last id", "`{parameter}` takes the last item's `{field}`"),
    "item_cursor": PagingKind(
        ("parameter", "field"), "cursor of the last item", "`{parameter}` takes the last item's `{field}`"
    ),
}


class ResultPage(NamedTuple):
    """One page: the decoded body, and the response, whose headers may lead to the next."""

    value: Json
    response: Response


class Recipe(NamedTuple):
    """How an operation splits its list into pages.

    Args:
        kind: What leads to the next page: a ``token`` or a ``url`` in the response, the header ``Link`` (``link``), a
            ``page`` number, an ``offset``, the id of the last item (``last_id``), or a cursor that each item contains
            (``item_cursor``).
        parameter: The wire name of what says where a page starts.
        field: The place of the token or URL, empty if replies have to show it; for ``last_id`` and ``item_cursor``, a
            key of an item.
        items: The place of the list; empty if the response is the list.
        size: The parameter for the number of items on a page.
        maximum: The largest such number; 0 if unknown.
        usual: The default; 0 if unknown.
        more: The place of a value that is true while there are more pages.
        first: The number of the first page, for the kind ``page``; :data:`UNSAID` if replies have to show it.
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
        token = f"`{self.field}`" if self.field else "a token"
        return KINDS[self.kind].words.format(parameter=self.parameter, field=self.field, token=token)


def recipe_of(
    document: Document, operation: Operation, told: Mapping[str, Any], usual: Mapping[str, Any] | None = None
) -> Recipe | None:
    """Return an operation's recipe; None if it has no pages, if ``told`` is ``kind = "none"``, or if unknown.

    ``usual`` is how the service's lists page, where the document leaves a doubt.
    """
    if operation.method not in ("GET", "POST"):
        return None
    shape = _Shape(document, operation)
    if told:
        return _told(shape, told)
    if by_extension := _by_extension(shape):
        return by_extension
    found = _found(shape) if operation.method == "GET" else None
    is_doubtful = found is None or (found.kind in ("token", "page", "offset") and not found.field)
    known = _told(shape, usual) if usual and is_doubtful and shape.pages else None
    return known or found


def _told(shape: _Shape, told: Mapping[str, Any]) -> Recipe | None:
    if told["kind"] == "none":
        return None
    if told.get("parameter") and not shape.has(str(told["parameter"])):
        return None  # a default for lists, and this is not a list
    if shape.items() is None and "items" not in told:
        return None
    found = _list_of(shape, shape.parameter(_SIZES, shape.is_number))
    own = {key: str(told[key]) for key in ("parameter", "field", "items", "size", "more") if key in told}
    return Recipe(str(told["kind"]), first=told.get("first", 1), **{**found, **own})


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
        start = given.get("pageStart")
        return Recipe("page", str(given["pageParam"]), first=start if type(start) is int else 0, **found)
    return None


def _found(shape: _Shape) -> Recipe | None:
    if shape.items() is None:
        return None
    size = shape.parameter(_SIZES, shape.is_number)
    found = _list_of(shape, size)
    token = shape.parameter(_TOKENS, shape.is_number)
    if shape.operation.result.links or (token and _LINK.search(token.about)):  # Okta mentions the header only in prose
        return Recipe("link", **found)
    more = shape.place(MORE)
    if token and token.wire.lower() in AFTER and more and not shape.next(NEXT_TOKENS):
        return Recipe("last_id", token.wire, "id", more=more, **found)
    if url := shape.next(NEXT_URLS, of_url=True):
        return Recipe("url", field=url, **found)
    if token:
        if next_token := shape.next(NEXT_TOKENS):
            return Recipe("token", token.wire, next_token, more=more, **found)
        if token.wire == "cursor" and shape.place(["response_metadata"]):
            return Recipe("token", token.wire, "response_metadata.next_cursor", **found)  # as in Slack's documents
        if token.wire.lower() == "cursor" and shape.item_has("cursor"):
            return Recipe("item_cursor", token.wire, "cursor", **found)
    page = shape.parameter(_PAGES)
    if page and shape.is_text(page) and (next_page := shape.next(["next_page"])):
        return Recipe("token", page.wire, next_page, **found)  # a token by another name: Stripe's searches
    if page and shape.is_number(page):
        return Recipe("page", page.wire, first=shape.first(page), **found)
    named = shape.parameter(_OFFSETS, shape.is_text)
    if named and (next_offset := shape.next(["offset", "next_offset", *NEXT_TOKENS])):
        return Recipe("token", named.wire, next_offset, **found)  # as in Asana's document
    offset = shape.parameter(_OFFSETS, shape.is_count)
    if offset and size:
        return Recipe("offset", offset.wire, **found)
    token = token or (named if named and "token" in named.about.lower() else None)
    if token and shape.is_text(token) and not _DATED.search(token.about):
        return Recipe("token", token.wire, **found)
    return None


def _list_of(shape: _Shape, size: Field | None) -> dict[str, Any]:
    """Return the parts of a recipe about the list and the size of its pages."""
    schema = table(size.schema) if size else {}
    numbers = [schema.get(word) for word in ("maximum", "default")]
    most, usual = (int(each) if isinstance(each, (int, float)) and 0 < each <= 10_000 else 0 for each in numbers)
    return {"items": shape.items() or "", "size": size.wire if size else "", "maximum": most, "usual": usual}


def the_list(
    keys: Mapping[str, Json], inside: Callable[[Json], Mapping[str, Json]], is_list: Callable[[Json], bool]
) -> str | None:
    """Return the place of the list with the items: a key, or one in a table such as ``_embedded``; None if that is not
    clear.
    """
    around = ((f"{key}.", inside(each)) for key, each in keys.items() if key.lower() in _AROUND)
    for place, some in chain([("", keys)], around):
        lists = [key for key, each in some.items() if is_list(each) and key.lower() not in _NO_LISTS]
        known = [key for key in _LISTS if key in lists]
        if len(lists) == 1 or known:
            return place + (lists if len(lists) == 1 else known)[0]
    return None


def spelled(name: str) -> str:
    """Return a name for comparisons: in lower case, with ``_`` for ``-``."""
    return name.lower().replace("-", "_")


def levels(
    keys: Mapping[str, Json], inside: Callable[[Json], Mapping[str, Json]], depth: int = 2
) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield the tables of a reply that can tell about its pages, each with its place: the reply, and those inside it.

    ``inside`` returns the keys of a value; empty if it is no table.
    """
    yield "", keys
    for key, value in keys.items():
        if depth and key.lower() in _WRAPPERS:
            for place, deeper in levels(inside(value), inside, depth - 1):
                yield f"{key}.{place}", deeper


def at(value: Json, place: str) -> Any:
    """Return what is at a place, or None."""
    if not place:
        return value
    if isinstance(value, dict) and place in value:
        return value[place]
    for key in place.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def put(value: Json, place: str, what: Any) -> Any:
    """Copy JSON, with ``what`` at a place."""
    if not place:
        return what
    whole: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
    if place in whole or "." not in place:
        whole[place] = what
        return whole
    first, _, rest = place.partition(".")
    whole[first] = put(whole.get(first), rest, what)
    return whole


class _Shape:
    """The parameters of an operation and the keys of its result, from which the paging is guessed."""

    def __init__(self, document: Document, operation: Operation) -> None:
        self._document = document
        self.operation = operation
        self._parameters = {each.wire.lower(): each for each in operation.fields if each.place in ("query", "body")}
        schema = document.resolve(operation.result.schema)
        self._is_list = schema.get("type") == "array"
        self._item = schema.get("items") if self._is_list else None
        self._keys = document.keys(operation.result.schema)

    def parameter(self, names: list[str], fits: Callable[[Field], bool] | None = None) -> Field | None:
        """Return the parameter with the earliest of these names that fits, or None."""
        plain = {re.sub(r"^[$_]", "", spelled(wire)): each for wire, each in self._parameters.items()}
        return next((plain[name] for name in names if name in plain and (fits is None or fits(plain[name]))), None)

    @property
    def pages(self) -> bool:
        """Whether a parameter chooses a page, or its size."""
        return self.parameter([*_SIZES, *_TOKENS, *_PAGES, *_OFFSETS]) is not None

    def has(self, wire: str) -> bool:
        return wire.lower() in self._parameters

    def is_number(self, each: Field) -> bool:
        """Return True if a parameter can be a number."""
        kinds = self._document.types(each.schema) or {"integer"}
        return not self._is_date(each) and bool(kinds & {"integer", "number", "string"})

    def is_text(self, each: Field) -> bool:
        """Return True if a parameter is a string that is no date."""
        return not self._is_date(each) and "string" in self._document.types(each.schema)

    def is_count(self, each: Field) -> bool:
        """Return True if a parameter can be a number of items to skip, by its type and description."""
        doubtful = self.is_text(each) or each.wire.lower() in ("from", "start")
        return self.is_number(each) and not (doubtful and _NO_NUMBER.search(each.about))

    def first(self, page: Field) -> int:
        """Return the number of the first page, as far as the document says it."""
        schema = self._document.whole(page.schema)
        begins = schema.get("default", schema.get("minimum"))
        if begins is None:
            return 0 if _FROM_ZERO.search(page.about) else 1 if _FROM_ONE.search(page.about) else UNSAID
        return 0 if begins == 0 else 1

    def _is_date(self, each: Field) -> bool:
        return "date" in str(self._document.whole(each.schema).get("format", ""))

    def items(self) -> str | None:
        """Return the place of the list; empty if the result is the list, None if there is none."""
        if self._is_list:
            return ""
        found = the_list(self._keys, self._document.keys, self._lists)
        if found is not None:
            around, _, key = ("", "", found) if found in self._keys else found.rpartition(".")
            keys = self._document.keys(self._keys[around]) if around else self._keys
            self._item = self._document.whole(keys[key]).get("items")
        return found

    def _lists(self, schema: Json) -> bool:
        return self._document.types(schema) == {"array"}

    def item_has(self, key: str) -> bool:
        """Return True if items have this key; after :meth:`items`."""
        return key in self._document.keys(self._item)

    def next(self, names: list[str], *, of_url: bool = False) -> str:
        """Return the place of what leads to the next page, or an empty string."""
        return self.place(names, partial(self._leads, of_url=of_url))

    def place(self, names: list[str], fits: Callable[[str, Json], bool] = lambda key, schema: True) -> str:
        """Return the place of the first key with one of these names that fits, or an empty string."""
        for place, keys in levels(self._keys, self._document.keys):
            known = {spelled(key): key for key in keys}
            for name in names:
                if name in known and fits(known[name], keys[known[name]]):
                    return f"{place}{known[name]}"
        return ""

    def _leads(self, key: str, schema: Json, *, of_url: bool) -> bool:
        kinds = self._document.types(schema)
        if not of_url:
            return not kinds or bool(kinds & {"string", "integer", "number"})
        is_told = "ur" in key.lower() or "link" in key.lower() or "href" in key.lower()
        form = self._document.whole(schema).get("format")
        return "string" in kinds and (is_told or form in ("uri", "url", "uri-reference"))
