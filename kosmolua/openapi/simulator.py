"""Simulates a service from its OpenAPI document. Replies are made from the document's examples and schemas.

The same request gets the same reply each time. Created items can be listed, fetched, changed and deleted as long as the
simulator exists; a request for a deleted item gets status 404. A list honours a query for a range of times or for the
value of a key. Nothing else is simulated: no relations between items, no changes over time, no totals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kosmolua.expressions import regex
from kosmolua.http.messages import Request, Response, origin
from kosmolua.limits import whole_number
from kosmolua.openapi.functions import DocumentFunctions
from kosmolua.openapi.naming import snake
from kosmolua.openapi.operations import is_json
from kosmolua.openapi.paging import UNSAID, Recipe, at, put
from kosmolua.openapi.replies import is_decoded
from kosmolua.openapi.samples import Samples
from kosmolua.protocol import Json
from kosmolua.schema.tree import table

ITEMS = 25
"""How many items a paged list has."""
PAGE = 10
"""How many items a page has if neither the request nor the document says."""
_SLOT = regex(r"\{\+?([^{}]+)\}")
_ENDS_IN_SLOT = regex(r"/\{\+?([^{}/]+)\}$")
_SUFFIX = regex(r"\.(json|xml)$")
"""Matches the suffix of path templates such as ``/calls/{id}.json``."""
_ENDS = ("before", "until", "end", "to")
_RANGE = regex(rf"(?:(\w+)_)?(after|since|start|from|{'|'.join(_ENDS)})(?:_(?:time|date|at))?")
"""Matches the names of query parameters for the beginning or the end of a range of times."""
_IDS = ("id", "uuid", "sid", "gid", "number", "slug", "key", "name", "login")


class Simulator:
    """Simulates a service for one account; ``state`` is what an earlier one dumped, or None."""

    def __init__(self, functions: DocumentFunctions, account: str, state: Mapping[str, Any] | None = None) -> None:
        self._functions = functions
        self._samples = Samples(functions.store.schema, account)
        self._collections: dict[str, dict[str, Json]] = dict((state or {}).get("collections", {}))
        self._deleted: set[str] = set((state or {}).get("deleted", ()))
        self._made = int((state or {}).get("made", 0))
        self._graphql = functions.store.meta("graphql")

    def dump(self) -> dict[str, Any]:
        """Return the items created, changed and deleted so far, as JSON."""
        return {"collections": self._collections, "deleted": sorted(self._deleted), "made": self._made}

    def __call__(self, request: Request) -> Response:
        if self._graphql is not None and request.method == "POST" and request.route == self._graphql:
            from kosmolua.openapi.graphql_simulator import reply

            return _answer(200, reply(self._functions.store, self._samples, table(_body_of(request))))
        name = self._functions.named(self._key(request))
        found = self._functions.store.detail(name) if name else None
        if found is None:
            return _answer(404, {"message": "the document has no such operation"})
        detail = found[1]
        slots = _slots(request, detail["path"])
        body = _body_of(request)
        if request.method == "HEAD":
            return Response(200)
        if detail["result"].get("schema") is None:
            return self._without_schema(request, detail)
        if detail["paging"] and request.method == "GET":
            return self._page(request, detail)
        return self._answer(request, detail, slots, body)

    def _key(self, request: Request) -> str:
        return f"{request.method} {getattr(request.route, 'path', request.route)}"

    def _without_schema(self, request: Request, detail: Mapping[str, Any]) -> Response:
        self._store(request, detail, {})
        media = detail["result"].get("media", [])
        if not media:
            return Response(204)
        if any(map(is_json, media)):
            return _answer(200, {})
        return Response(200, {"Content-Type": media[0]}, b"{}" if is_decoded(media[0]) else b"simulated")

    def _answer(self, request: Request, detail: Mapping[str, Any], slots: Mapping[str, str], body: Json) -> Response:
        path, item = _path_of(request, detail), _item_slot(detail)
        is_item = item is not None
        if is_item and path in self._deleted:
            return _answer(404, {"message": "not found"})
        kept = self._kept(path) if is_item else None
        seed = path if is_item or request.method != "GET" else f"{request.method} {path}"
        reply = kept if kept is not None else self._samples.of(detail["result"]["schema"], seed)
        reply = _with_known(reply, slots, item)
        if request.method == "GET":
            return _answer(200, reply if is_item else self._listed(path, reply, _query(request)))
        reply = _echoed(reply, body, self._samples.fits, detail["result"]["schema"])
        return _answer(200, self._store(request, detail, reply))

    def _store(self, request: Request, detail: Mapping[str, Any], reply: Json) -> Json:
        """Record that a request created, changed or deleted an item."""
        path = _path_of(request, detail)
        collection, _, key = path.rpartition("/")
        is_item = _item_slot(detail) is not None
        if request.method == "DELETE" and is_item:
            self._deleted.add(path)
            self._collections.get(collection, {}).pop(key, None)
        elif request.method in ("PUT", "PATCH", "POST") and is_item:
            self._collections.setdefault(collection, {})[key] = reply
            self._deleted.discard(path)
        elif request.method == "POST" and isinstance(reply, dict) and (item := self._item_below(detail)):
            return self._create(path, item, reply)
        return reply

    def _create(self, path: str, item: str, reply: dict[str, Json]) -> Json:
        """Add an item, with a new id, to a collection."""
        key = _id_key(reply, item)
        if key is None:
            return reply
        self._made += 1
        if key in ("id", "uuid", "sid", "gid", "number") or reply[key] in (None, ""):
            given = reply[key]
            fresh: Json = 1000 + self._made if isinstance(given, int) else _counted_on(str(given), self._made)
            reply = {**reply, key: fresh}
        self._collections.setdefault(path, {})[str(reply[key])] = reply
        self._deleted.discard(f"{path}/{reply[key]}")
        return reply

    def _item_below(self, detail: Mapping[str, Any]) -> str | None:
        """Return the parameter for one item of a collection, ``petId`` of ``/pets/{petId}``, or None."""
        beginning = f"GET {_template(detail)}/{{"
        below = self._functions.store.keys(beginning)
        item = next((key for key in below if key.count("/") == beginning.count("/")), None)
        return _SLOT.findall(item)[-1] if item else None

    def _kept(self, path: str) -> Json:
        return self._collections.get(path.rpartition("/")[0], {}).get(unquote(path.rpartition("/")[2]))

    def _listed(self, path: str, reply: Json, asked: Mapping[str, str]) -> Json:
        """Return the reply with the items that its list has now."""
        place = _place_of_list(reply)
        return reply if place is None else put(reply, place, self._items(path, at(reply, place), asked))

    def _items(self, path: str, items: list[Json], asked: Mapping[str, str]) -> list[Json]:
        """Return created items in front of a list's own, without deleted ones and those that a query leaves out."""
        return _within([*self._own_items(path, items), *self._left(path, items)], asked)

    def _own_items(self, path: str, items: list[Json]) -> list[Json]:
        """Return created items as the list has its items, which can be wrapped."""
        made = [*self._collections.get(path, {}).values()]
        like = items[0] if items else None
        if isinstance(like, dict):
            wrapper = next((key for key, value in like.items() if isinstance(value, dict) and len(like) <= 2), None)
            if wrapper and made and isinstance(made[0], dict) and not made[0].keys() & like.keys():
                return [{**like, wrapper: each} for each in made]
        return made

    def _left(self, path: str, items: list[Json]) -> list[Json]:
        gone = {each.rpartition("/")[2] for each in self._deleted if each.rpartition("/")[0] == path}
        return [
            each for each in items if not (isinstance(each, dict) and any(str(each.get(key)) in gone for key in _IDS))
        ]

    def _page(self, request: Request, detail: Mapping[str, Any]) -> Response:
        """Return one page, with a link or token for the next."""
        recipe = Recipe(**detail["paging"])
        path = _path_of(request, detail)
        schema = detail["result"]["schema"]
        first = _with_known(self._samples.of(schema, path), _slots(request, detail["path"]))
        asked = _query(request)
        sought = {name: value for name, value in asked.items() if name not in (recipe.parameter, recipe.size)}
        items = self._items(path, self._samples.items(schema, recipe.items, path, ITEMS), sought)
        size = _number(asked.get(recipe.size, ""), recipe.usual or PAGE)
        start = self._start(recipe, asked, items, size)
        shown, rest = items[start : start + size], items[start + size :]
        headers = {"Content-Type": "application/json"}
        page = f"{origin(request.url)}{urlsplit(request.url).path}"
        leads = f"{page}?simulated_start={start + size}" if rest else ""
        if rest and (recipe.kind == "link" or (recipe.kind == "token" and not recipe.field)):
            headers["Link"] = f'<{leads}>; rel="next"'
        reply = put(first, recipe.items, shown)
        if recipe.kind in ("url", "token") and recipe.field:
            reply = put(
                reply, recipe.field, (leads or None) if recipe.kind == "url" else (f"c{start + size}" if rest else None)
            )
        if recipe.more:
            reply = put(reply, recipe.more, bool(rest))
        return Response(200, headers, json.dumps(reply).encode())

    def _start(self, recipe: Recipe, asked: Mapping[str, str], items: list[Json], size: int) -> int:
        """Return the index of a page's first item."""
        if "simulated_start" in asked:
            return _number(asked["simulated_start"], 0)
        given = asked.get(recipe.parameter, "") if recipe.parameter else ""
        if not given:
            return 0
        if recipe.kind == "page":
            first = 1 if recipe.first == UNSAID else recipe.first
            return max(_number(given, first) - first, 0) * size
        if recipe.kind == "offset":
            return _number(given, 0)
        if recipe.kind == "token":
            return _number(given.removeprefix("c"), 0)
        places = [
            place for place, each in enumerate(items) if isinstance(each, dict) and str(each.get(recipe.field)) == given
        ]
        return places[0] + 1 if places else len(items)


def _query(request: Request) -> dict[str, str]:
    asked = {name: value for name, value in request.query if isinstance(value, str)}
    return asked | dict(parse_qsl(urlsplit(request.url).query))


def _within(items: list[Json], asked: Mapping[str, str]) -> list[Json]:
    """Return the items in the ranges of times of a query, such as ``createdAfter``, and with the values of its keys."""
    for name, value in asked.items():
        found, limit = _RANGE.fullmatch(snake(name)), _moment(value)
        if not limit:
            items = _with_value(items, snake(name), value)
        if found and limit:
            is_end = found[2] in _ENDS
            times = [_time_of(each, found[1] or "") for each in items]
            items = [
                each
                for each, time in zip(items, times, strict=True)
                if time is None or (time <= limit if is_end else time >= limit)
            ]
    return items


def _with_value(items: list[Json], name: str, value: str) -> list[Json]:
    """Return the items that have a value, or if none has it, the first one with it, so that a query finds one."""
    first = items[0] if items else None
    key = next((key for key in first if snake(key) == name), None) if isinstance(first, dict) else None
    if key is None or not isinstance(first, dict) or isinstance(first[key], (dict, list)) or "," in value:
        return items
    same: list[Json] = [
        each for each in items if isinstance(each, dict) and str(each.get(key)).lower() == value.lower()
    ]
    if same or isinstance(first[key], bool):
        return same
    if isinstance(first[key], (int, float)):
        return items if (number := whole_number(value)) is None else [{**first, key: number}]
    return [{**first, key: value}]


def _time_of(item: Json, event: str) -> datetime | None:
    """Return the time of an event, such as ``created``, in an item, which can be wrapped: the first whose name fits."""
    if not isinstance(item, dict):
        return None
    inner = [each for value in item.values() if isinstance(value, dict) for each in value.items()]
    times = ((snake(name), _moment(value)) for name, value in [*item.items(), *inner])
    return next((time for name, time in times if time and name.startswith(event)), None)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or value[4:5] != "-":
        return None
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _counted_on(text: str, more: int) -> str:
    """Add to the last number in an id: ``evt-12`` becomes ``evt-13``."""
    found = re.search(r"(\d+)(\D*)$", text)
    if found is None:
        return f"{text}-{more}"
    number = str(int(found[1]) + more).zfill(len(found[1]))
    return f"{text[: found.start()]}{number[-len(found[1]) :]}{found[2]}"


def _answer(status: int, value: Json) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _number(text: str, otherwise: int) -> int:
    return otherwise if (number := whole_number(text)) is None else number


def _template(detail: Mapping[str, Any]) -> str:
    """Return an operation's path template, without query and suffix such as ``.json``."""
    return _SUFFIX.sub("", str(detail["path"]).partition("?")[0].rstrip("/"))


def _path_of(request: Request, detail: Mapping[str, Any]) -> str:
    """Return a request's path, without the suffix of its template."""
    path = urlsplit(request.url).path.rstrip("/")
    return _SUFFIX.sub("", path) if _SUFFIX.search(detail["path"]) else path


def _item_slot(detail: Mapping[str, Any]) -> str | None:
    """Return the parameter at a path's end, or None."""
    found = _ENDS_IN_SLOT.search(_template(detail))
    return found[1] if found else None


def _slots(request: Request, path: str) -> dict[str, str]:
    """Return a request's values for path parameters."""
    names = _SLOT.findall(path.partition("?")[0])
    pattern = re.escape(path.partition("?")[0])
    for name in names:
        pattern = pattern.replace(re.escape(f"{{{name}}}"), "([^/]+)", 1).replace(re.escape(f"{{+{name}}}"), "(.+)", 1)
    found = re.search(f"{pattern}$", urlsplit(request.url).path)
    return dict(zip(names, map(unquote, found.groups()), strict=True)) if found else {}


def _body_of(request: Request) -> Json:
    try:
        value: Json = json.loads(request.content or b"null")
    except ValueError:
        value = dict(parse_qsl(request.content.decode("utf-8", "replace")))
    return value


def _with_known(reply: Json, slots: Mapping[str, str], item: str | None = None) -> Json:
    """Return the reply with values of the path: the ``id`` 7 for ``/pets/7``."""
    if not isinstance(reply, dict) or not slots:
        return reply
    known = dict(reply)
    for name, value in slots.items():
        same = next((each for each in (name, snake(name)) if each in reply), None)
        key = same or (_id_key(reply, name) if name == item else None)
        if key is not None and isinstance(reply[key], str):
            known[key] = value
        elif key is not None and isinstance(reply[key], int) and (number := whole_number(value)) is not None:
            known[key] = number
    return known


def _id_key(reply: Mapping[str, Json], slot: str) -> str | None:
    """Return the key that likely holds a path parameter, ``id`` for ``petId``, or None."""
    plain = slot.lower().replace("-", "_")
    candidates = [slot, *(each for each in _IDS if plain.endswith(each) or each in ("id", "uuid"))]
    return next((key for key in candidates if key in reply and isinstance(reply[key], (str, int))), None)


def _echoed(reply: Json, body: Json, fits: Callable[[Json, Json], bool], schema: Json) -> Json:
    """Return the reply with the body's values for common keys, where they fit."""
    if not isinstance(reply, dict) or not isinstance(body, dict):
        return reply
    known = dict(reply)
    for key, value in body.items():
        if key in known and fits(schema, {**known, key: value}):
            known[key] = value
    return known


def _place_of_list(reply: Json) -> str | None:
    if isinstance(reply, list):
        return ""
    lists = [key for key, value in reply.items() if isinstance(value, list)] if isinstance(reply, dict) else []
    return lists[0] if len(lists) == 1 else None
