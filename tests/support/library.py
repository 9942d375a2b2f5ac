"""A small integration for tests: a library with readers, a writer, and functions that fail in every way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from kosmolua.plugin import Api, CallError, Integration, Request, Response, Secret, Send, between

KEY = "rnd_SECRET_of_the_library"
ACCOUNTS: dict[str, Any] = {
    "library": {
        "default": "work",
        "work": {"api_key": KEY, "permissions": {"write": "allow"}},
        "home": {"api_key": {"env": "HOME_KEY"}},
        "locked": {"api_key": KEY, "permissions": {"read": "deny", "write": "deny"}},
        "broken": {"api_key": KEY, "base_url": "nonsense"},
    }
}


@dataclass(frozen=True)
class Account:
    """A reader's card."""

    api_key: Annotated[Secret, "On the card."]
    base_url: str = "https://library.example/v1"

    def open(self, send: Send) -> Api:
        if self.base_url == "nonsense":
            raise RuntimeError(f"cannot open {self.base_url} with {self.api_key.reveal()}")
        return Api(send, self.base_url, bearer=self.api_key)


def library() -> Integration:
    """Return a fresh integration."""
    integration = Integration("library", Account, about="Books to lend.", prefix="lib")

    @integration.identifies
    def identify(api: Api) -> str:
        return str(api.get("/me"))

    @integration.reads
    def list_books(api: Api, /, *, limit: Annotated[int, between(1, 100)] = 20) -> Any:
        """List books."""
        return api.get("/books", query={"limit": limit})

    @integration.writes
    def lend(api: Api, /, *, book: str, note: str | None = None) -> Any:
        """Lend a book."""
        return api.post("/books/{book}", book=book, json={"note": note})

    @integration.reads
    def returns(api: Api, /, *, what: str) -> Any:
        """Return something without asking the service."""
        return ODDITIES[what]

    @integration.reads
    def fails(api: Api, /, *, how: str) -> Any:
        """Fail inside the integration."""
        raise FAILURES[how]()

    return integration


class Speechless(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def nested(depth: int) -> Any:
    """Return lists within lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def cycle() -> list[Any]:
    """Return a list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


ODDITIES: dict[str, Any] = {
    "date": {"on": date(2026, 1, 1)},
    "cycle": cycle(),
    "nan": float("nan"),
    "bytes": b"x",
    "set": {1},
    "key": {(1, 2): 3},
    "secret": Secret(KEY),
    "wide": 2**70,
    "tuple": (1, 2),
    "nothing": None,
    "echo": {"you sent": [f"Bearer {KEY}"], KEY: 1},
    "big": "x" * 5000,
}
FAILURES: dict[str, Callable[[], BaseException]] = {
    "key": lambda: KeyError("name"),
    "value": lambda: ValueError(f"bad {KEY}"),
    "own": lambda: CallError("no_such_book", f"There is no such book for {KEY}", hint="look again", param="book"),
    "assert": lambda: AssertionError(),
    "exit": lambda: SystemExit(3),
    "generator": lambda: GeneratorExit(),
    "speechless": lambda: Speechless(),
    "path": lambda: FileNotFoundError(2, "No such file or directory", "/home/ann/.private/notes"),
    "repr": lambda: ValueError(object()),
    "long": lambda: ValueError("one\ntwo " * 1000),
    "recursion": lambda: RecursionError("maximum recursion depth exceeded"),
}


def service(request: Request) -> Response:
    """Answer as a library would: 404 for the book b-404, a request id for everybody."""
    status = 404 if request.url.endswith("b-404") else 200
    body = b'{"message":"not found"}' if status == 404 else b'{"ok":true}'
    return Response(status, {"X-Request-Id": "req-7", "Content-Type": "application/json"}, body)
