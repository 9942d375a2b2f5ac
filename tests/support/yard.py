"""An integration with a service over HTTP that logs its writes, whose answers a test can change, for tests of plans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypedDict, cast
from urllib.parse import urlsplit

from kosmolua.plugin import Api, Integration, Request, Response, Send
from kosmolua.testing import answer


class Item(TypedDict):
    """An item of the yard."""

    id: str
    name: str
    size: int
    state: str
    note: str


class OneItem(TypedDict):
    """An item."""

    item: Item


class Page(TypedDict):
    """A page of items."""

    items: list[Item]
    cursor: str | None


class Yard:
    """The service: items by id, and the log of its writes, each with what was sent."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[str, str, Any]] = []
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew: eight items, and an empty log."""
        self.items = {f"i-{n}": item(n) for n in range(1, 9)}
        self.log = []

    def __call__(self, request: Request) -> Response:
        with self._lock:
            return self._answer(request)

    def _answer(self, request: Request) -> Response:
        parts = urlsplit(request.url).path.strip("/").split("/")
        id, sent = (parts[1] if len(parts) > 1 else ""), json.loads(request.content or b"null")
        if request.method != "GET":
            self.log.append((request.method, id, sent))
        if request.method == "GET" and not id:
            after = int(dict(request.query).get("after") or 0)
            shown = [*self.items.values()][after : after + 4]
            return answer(200, {"items": shown, "cursor": str(after + 4) if after + 4 < len(self.items) else None})
        if request.method == "POST" and not id:
            id = f"i-{len(self.items) + 1}"
            self.items[id] = {**item(len(self.items) + 1), **cast("dict[str, Any]", sent), "id": id}
        elif id not in self.items:
            return answer(404, {"message": f"there is no item {id}"})
        elif request.method == "PUT":
            self.items[id].update(cast("dict[str, Any]", sent))
        elif request.method == "POST":
            self.items[id]["state"] = "starting"
        elif request.method == "DELETE":
            return answer(200, {"item": self.items.pop(id)})
        if request.method == "GET" and self.items[id]["state"] == "starting":
            self.items[id]["state"] = "ready"
        return answer(200, {"item": self.items[id]})


def item(number: int) -> dict[str, Any]:
    """Return an item as the service has it."""
    state = "ready" if number % 3 else "broken"
    return {"id": f"i-{number}", "name": f"item {number}", "size": number * 10, "state": state, "note": f"n{number}"}


def yard() -> Integration:
    """Return the integration, whose account has the address of the service."""

    @dataclass(frozen=True)
    class Account:
        """The yard's address."""

        url: str

        def open(self, send: Send) -> Api:
            return Api(send, self.url)

    integration = Integration("yard", Account, about="Items of a yard.")

    @integration.reads
    def list_items(api: Api, /, *, cursor: str | None = None) -> Page:
        """List items, four at a time."""
        return cast("Page", api.get("/items", query={"after": cursor}))

    @integration.reads
    def get_item(api: Api, /, *, id: str) -> OneItem:
        """Return an item."""
        return cast("OneItem", api.get("/items/{id}", id=id))

    @integration.writes
    def add_item(api: Api, /, *, name: str, size: int = 1) -> OneItem:
        """Add an item."""
        return cast("OneItem", api.post("/items", json={"name": name, "size": size}))

    @integration.writes
    def set_item(api: Api, /, *, id: str, note: str, size: int | None = None, state: str | None = None) -> OneItem:
        """Change an item."""
        given = {key: value for key, value in (("note", note), ("size", size), ("state", state)) if value is not None}
        return cast("OneItem", api.put("/items/{id}", json=given, id=id))

    @integration.writes(assume={"item.state": "ready"})
    def start_item(api: Api, /, *, id: str) -> OneItem:
        """Start an item, which is ready after a while."""
        return cast("OneItem", api.post("/items/{id}/start", id=id))

    @integration.destroys
    def delete_item(api: Api, /, *, id: str) -> OneItem:
        """Delete an item."""
        return cast("OneItem", api.delete("/items/{id}", id=id))

    return integration


def log_of(requests: list[tuple[str, str, Any]]) -> list[str]:
    """Return the writes of a log as texts, sorted."""
    return sorted(json.dumps(each, sort_keys=True) for each in requests)
