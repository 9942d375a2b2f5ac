"""Names behind ids: what a person sees of an id that a call is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

import pytest
from support.identifiers import stable

from kosmolua import Runtime
from kosmolua.calls.approvals import Approval
from kosmolua.plugin import CallError, Integration, Request, Response, Send

DELETE = "return app.integrations.shelf.delete_book({ book_id = 'b-1', note = 'b-1' })"


@dataclass
class Account:
    """Nothing to configure."""

    def open(self, send: Send) -> Send:
        return send


class Shelf:
    """A runtime with one integration that names books as a function says, and what a person was asked."""

    def __init__(self, name_of: Callable[[str], str], **options: Any) -> None:
        self.looked_up: list[str] = []
        self.asked: list[Approval] = []
        self._lock = Lock()
        integration = Integration("shelf", Account, about="Books.")

        @integration.names("book_id", "other_id")
        def book_name(send: Send, book_id: str) -> str:
            with self._lock:
                self.looked_up.append(book_id)
            return name_of(book_id)

        @integration.destroys
        def delete_book(send: Send, /, *, book_id: str, note: str = "") -> bool:
            """Delete a book for good."""
            return True

        def send(request: Request) -> Response:
            return Response(200, {}, b"{}")

        integration.simulator(lambda account: send)
        self.runtime = Runtime(
            {"shelf": {"work": options.pop("permissions", {})}},
            plugins=[integration],
            simulate=True,
            environ={},
            approve=options.pop("approve", self._approve),
            **options,
        )

    def _approve(self, approval: Approval) -> bool:
        self.asked.append(approval)
        return True


@pytest.fixture
def shelf() -> Iterator[Callable[..., Shelf]]:
    """Return a function that makes a shelf."""
    made: list[Shelf] = []

    def make(name_of: Callable[[str], str] = str.upper, **options: Any) -> Shelf:
        made.append(Shelf(name_of, **options))
        return made[-1]

    yield make
    for each in made:
        each.runtime.close()


def test_a_person_sees_the_name(shelf: Callable[..., Shelf]) -> None:
    """Of the parameters that hold ids, with the function's sentence and effect; the read is no call of the script."""
    books = shelf()
    outcome = books.runtime.run(DELETE, max_calls=1)
    assert outcome.result == [True]
    assert len(outcome.calls) == 1
    (approval,) = books.asked
    assert approval.effect == "destroy"
    assert approval.about == "Delete a book for good."
    assert approval.names == {"book_id": "B-1"}


def test_each_name_is_looked_up_once(shelf: Callable[..., Shelf]) -> None:
    """Also if many calls at once are about the same thing."""
    books = shelf()
    script = "local d = app.integrations.shelf.delete_book parallel.map({ 1, 2, 3, 4, 5, 6 }, function() d('b-1') end)"
    assert books.runtime.run(script).ok
    assert len(books.asked) == 6
    assert books.looked_up == ["b-1"]


def failing(error: BaseException) -> Callable[[str], str]:
    """Return a function that raises an error."""

    def fail(_: str) -> str:
        raise error

    return fail


@pytest.mark.parametrize(
    "name_of", [failing(CallError("gone", "There is none")), failing(KeyError("name")), lambda _: ""], ids=stable
)
def test_without_a_name_the_id_has_to_do(shelf: Callable[..., Shelf], name_of: Callable[[str], str]) -> None:
    """Whatever the look-up raises, the question is asked."""
    books = shelf(name_of)
    assert books.runtime.run(DELETE).ok
    assert [approval.names for approval in books.asked] == [{}]


@pytest.mark.parametrize(
    "options",
    [
        {"permissions": {"permissions": {"destroy": "allow"}}},
        {"allow": ["shelf.delete_book"]},
        {"approve": None},
        {"permissions": {"permissions": {"read": "deny"}}},
    ],
    ids=str,
)
def test_nothing_is_looked_up_in_vain(shelf: Callable[..., Shelf], options: dict[str, Any]) -> None:
    """Not if nobody is asked, and not with an account that may not read."""
    books = shelf(**options)
    books.runtime.run(DELETE)
    assert books.looked_up == []
