"""The pages of a list, fetched in one call: a recipe from the document is confirmed or replaced by what replies say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from kosmolua.errors import NetworkError
from kosmolua.expressions import regex
from kosmolua.http.messages import SAFE_METHODS, origin
from kosmolua.http.paging import next_link
from kosmolua.limits import whole_number
from kosmolua.openapi.paging import (
    AFTER,
    COUNTS,
    LAST,
    MORE,
    NEXT_TOKENS,
    NEXT_URLS,
    NUMBERS,
    TOTALS,
    UNSAID,
    Recipe,
    ResultPage,
    at,
    levels,
    put,
    spelled,
    the_list,
)
from kosmolua.protocol import Json, Truncated
from kosmolua.schema.tree import table

MAX_PAGES = 10_000
"""The maximum number of pages that one call fetches, even if they have few items."""
_NEXT_HEADER = regex(r"(.*-)?(next-?(page-?)?|continuation-?)(token|cursor)", re.IGNORECASE)
_TOTAL_HEADER = regex(r"(.*-)?total(-?(count|items|records|results))?", re.IGNORECASE)
_IDS = ("id", "_id", "uuid", "sid", "key")

Fetch = Callable[[Mapping[str, Json]], ResultPage]
Follow = Callable[[str], ResultPage]


class Lead(NamedTuple):
    """What leads to the next page: an address, or a value of the recipe's parameter, and where the reply has it."""

    value: Any
    place: str = ""
    is_url: bool = False


def walk(recipe: Recipe, given: Mapping[str, Json], fetch: Fetch, follow: Follow, most: int, key: str) -> Json:
    """Fetch all pages of a list, and return the first page with the items of all.

    ``fetch`` sends the request with some arguments changed, ``follow`` returns the page at a URL from the service. If
    there are more than ``most`` items, or the service says so, a table gets ``truncated = true``, and a list becomes a
    :class:`kosmolua.protocol.Truncated`.

    Raises:
        NetworkError: A page has no list at the place of the list, or the same items as pages before.
    """
    sized = dict(given)
    if recipe.size and recipe.size not in given and recipe.maximum:
        sized[recipe.size] = recipe.maximum
    first = page = fetch(sized)
    recipe = _as_replied(recipe, first.value, given)
    found = _items(page, recipe, key)
    items, known, leads = [*found], {*map(_identity, found)}, list[Lead]()
    while len(items) <= most:
        lead = _lead(recipe, page, found, sized, len(leads), len(items))
        if lead is None or lead.value in [each.value for each in leads] or len(leads) == MAX_PAGES:
            break
        if leads and leads[-1].is_url > lead.is_url:
            break  # the page before had an address, and this one has none, so it is the last
        leads.append(lead)
        page = follow(lead.value) if lead.is_url else fetch({**sized, recipe.parameter: lead.value})
        found, before = _items(page, recipe, key), len(found)
        if recipe.first == UNSAID and not lead.is_url:
            is_same = bool(found) and known.issuperset(map(_identity, found))
            recipe = recipe._replace(first=int(is_same))
            if is_same:  # page 1 is the first one, which is there already
                leads.clear()
                continue
        if found and not lead.is_url and len(found) == before and known.issuperset(map(_identity, found)):
            raise NetworkError(
                f"The pages of {key} repeat their items, so {recipe.parameter} does not lead to the next",
                retryable=False,
                hint=_hint(key),
            )
        known.update(map(_identity, found))
        items += found
    is_left = _says_more(recipe, page, sized, len(items)) or (not leads and _may_be_more(recipe, page, found, sized))
    is_cut = len(items) > most or bool(is_left) or len(leads) == MAX_PAGES
    return _merged(first.value, recipe, items[:most], leads, truncated=is_cut)


def _as_replied(recipe: Recipe, value: Json, given: Mapping[str, Json]) -> Recipe:
    """Return a recipe with the place of the list, and the number of the first page, that the first reply has."""
    if recipe.kind == "page" and recipe.parameter not in given:
        number = next((each for _, each in _said(value, NUMBERS) if each in (0, 1) and each is not True), recipe.first)
        recipe = recipe._replace(first=int(number))
    elif recipe.first == UNSAID:
        recipe = recipe._replace(first=1)
    if isinstance(at(value, recipe.items), list) or (recipe.items and not isinstance(value, list)):
        return recipe
    place = the_list(table(value), table, lambda each: isinstance(each, list))
    return recipe if place is None and not isinstance(value, list) else recipe._replace(items=place or "")


def _items(page: ResultPage, recipe: Recipe, key: str) -> list[Json]:
    found = at(page.value, recipe.items)
    if found is None:
        return []
    if not isinstance(found, list):
        where = f"{recipe.items!r} of a page" if recipe.items else "A page"
        raise NetworkError(f"{where} is not a list, so the pages cannot be joined", retryable=False, hint=_hint(key))
    return found


def _hint(key: str) -> str:
    return (
        "call the function without all = true, or say how it pages in openapi.toml: "
        f"[functions.{json.dumps(key)}.paging], kind = ..., parameter = ..., field = ..., items = ..."
    )


def _identity(item: Json) -> str:
    of = table(item)
    return json.dumps(next((of[key] for key in _IDS if of.get(key)), item), sort_keys=True)


def _lead(
    recipe: Recipe, page: ResultPage, found: Sequence[Json], sized: Mapping[str, Json], number: int, count: int
) -> Lead | None:
    """Return what leads to the next page; what the reply says comes before what is counted."""
    value, ends = page.value, any(flag is True for _, flag in _said(page.value, LAST))
    ends = ends or (recipe.kind == "token" and bool(recipe.more) and at(value, recipe.more) is False)
    if recipe.kind in ("url", "token") and recipe.field and not ends and (said := at(value, recipe.field)):
        is_url = recipe.kind == "url" or _is_address(said)
        return Lead(_absolute(page, said) if is_url else said, recipe.field, is_url)
    if lead := _link(page):
        return lead
    if recipe.kind in ("link", "url") or ends or not recipe.parameter:
        return None
    if recipe.kind == "token":
        return (
            None
            if recipe.field and recipe.field in _places(value)
            else _learned(recipe, page, found, sized.get(recipe.parameter))
        )
    is_more = _says_more(recipe, page, sized, count)
    is_null = any(said is None for _, said in _said(value, NEXT_URLS))
    size = sized.get(recipe.size) or recipe.usual
    is_short = isinstance(size, int) and len(found) < size
    if not found or is_more is False or (is_more is None and (is_null or (is_short and not recipe.more))):
        return None
    if recipe.kind in ("last_id", "item_cursor"):
        last = at(found[-1], recipe.field)
        return None if last is None else Lead(last)
    start = sized.get(recipe.parameter)
    if recipe.kind == "page":
        return Lead((start if isinstance(start, int) else max(recipe.first, 0)) + number + 1)
    return Lead((start if isinstance(start, int) else 0) + count)


def _link(page: ResultPage) -> Lead | None:
    """Return the address of the next page that a reply to a GET names, in ``Link`` or in its body."""
    request = page.response.request
    if request and request.method not in SAFE_METHODS:
        return None
    if named := next_link(page.response):
        return Lead(_absolute(page, named), is_url=True)
    for place, said in _said(page.value, NEXT_URLS):
        url = table(said).get("href", said)
        if _is_address(url) and request and origin(_absolute(page, url)) == origin(request.url):
            return Lead(_absolute(page, url), place, is_url=True)
    return None


def _is_address(said: object) -> bool:
    return isinstance(said, str) and (said.startswith(("http://", "https://")) or "?" in said)


def _absolute(page: ResultPage, url: object) -> str:
    """Return the whole address; a path can lack its beginning, as ``/wiki`` of Confluence or that of a gateway."""
    asked = page.response.request.url if page.response.request else ""
    whole = urljoin(asked, str(url))
    path, named = urlsplit(asked).path, urlsplit(whole).path
    is_cut = str(url)[:1] == "/" and origin(whole) == origin(asked) and path != named and path.endswith(named)
    return urljoin(asked, f"{path}?{urlsplit(whole).query}") if is_cut else whole


def _learned(recipe: Recipe, page: ResultPage, found: Sequence[Json], given: Json) -> Lead | None:
    """Return the token in a reply whose document does not name it, or the last id where more are left."""
    own = spelled(recipe.parameter)  # a reply can repeat what was given
    for place, said in _said(page.value, [f"next_{own}", f"next{own}", own, *NEXT_TOKENS]):
        if said and isinstance(said, (str, int)) and not isinstance(said, bool) and said != given:
            return Lead(said, place)
    for name, value in page.response.headers.items():
        if value and value != given and _NEXT_HEADER.fullmatch(name):
            return Lead(value)
    if own in AFTER and found and any(flag is True for _, flag in _said(page.value, MORE)):
        last = table(found[-1]).get("id")
        return Lead(last) if last else None
    return None


def _says_more(recipe: Recipe, page: ResultPage, sized: Mapping[str, Json], count: int) -> bool | None:
    """Return whether there are more pages, as far as a reply says it."""
    value = page.value
    own = [at(value, recipe.more)] if recipe.more else []
    for flag in chain(own, (said for _, said in _said(value, MORE))):
        if isinstance(flag, bool):
            return flag
    first, start = max(recipe.first, 0), sized.get(recipe.parameter)
    is_whole = start in (None, recipe.first) or recipe.kind != "page"
    totals = [*_numbers(value, TOTALS), *_totals_in_headers(page)] if is_whole else []
    reached = count + (start if recipe.kind == "offset" and isinstance(start, int) else 0)
    numbers = [*_numbers(value, NUMBERS)] if recipe.kind == "page" else []
    is_before = bool(numbers) and any(pages > numbers[0] - first + 1 for pages in _numbers(value, COUNTS))
    return True if is_before or any(total > reached for total in totals) else None


def _may_be_more(recipe: Recipe, page: ResultPage, found: Sequence[Json], sized: Mapping[str, Json]) -> bool:
    """Return True if nothing says where a token of the next page would be, or that this is the last one."""
    size = sized.get(recipe.size) or recipe.usual
    is_short = not found or (isinstance(size, int) and 0 < len(found) < size)
    is_unsaid = recipe.kind == "token" and not recipe.field and not is_short
    ways = [spelled(recipe.parameter), *NEXT_TOKENS, *NEXT_URLS, *MORE, *LAST, *TOTALS]
    return is_unsaid and not any(_said(page.value, ways)) and not page.response.header("Link")


def _numbers(value: Json, names: Sequence[str]) -> Iterator[int]:
    return (said for _, said in _said(value, names) if isinstance(said, int) and not isinstance(said, bool))


def _totals_in_headers(page: ResultPage) -> Iterator[int]:
    named = (value for name, value in page.response.headers.items() if _TOTAL_HEADER.fullmatch(name))
    return (number for value in named if (number := whole_number(value)) is not None)


def _said(value: Json, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield what a reply says under names, in the order of its tables and the names, each with its place."""
    for place, keys in levels(table(value), table):
        known = {spelled(key): key for key in keys}
        yield from ((f"{place}{known[name]}", keys[known[name]]) for name in names if name in known)


def _places(value: Json) -> set[str]:
    return {f"{place}{key}" for place, keys in levels(table(value), table) for key in keys}


def _merged(first: Json, recipe: Recipe, items: list[Json], leads: Sequence[Lead], *, truncated: bool) -> Json:
    """Put all items into the first page, without what led to the next."""
    if not recipe.items or not isinstance(first, dict):
        return Truncated(items) if truncated else items
    whole: dict[str, Any] = dict(first)
    for place in {recipe.field if recipe.kind in ("url", "token") else "", *(lead.place for lead in leads[:1])} - {""}:
        whole = _without(whole, place)
    whole = put(whole, recipe.items, items)
    for place in [place for place, _ in _said(whole, [*MORE, recipe.more])]:
        whole = put(whole, place, truncated)
    for place in [place for place, flag in _said(whole, LAST) if isinstance(flag, bool)]:
        whole = put(whole, place, not truncated)
    return whole | ({"truncated": True} if truncated else {})


def _without(value: Mapping[str, Json], place: str) -> dict[str, Any]:
    """Copy a table without the value at a place."""
    first, _, rest = place.partition(".")
    if place in value or not rest:
        return {key: each for key, each in value.items() if key != place}
    inner = value.get(first)
    return {**value, first: _without(inner, rest)} if isinstance(inner, dict) else dict(value)
