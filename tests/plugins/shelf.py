"""An integration for fleets: reads and writes of a service on the loopback interface, and an error of its own."""

from dataclasses import dataclass
from typing import Annotated, Any

from kosmolua.plugin import Api, CallError, Integration, Secret, Send


class Torn(CallError):
    """A type of the plugin's own: the book is torn."""

    def __init__(self, book: int) -> None:
        super().__init__("torn", f"the book {book} is torn")
        self.book = book


@dataclass(frozen=True)
class Account:
    """A card."""

    api_key: Annotated[Secret, "A key."]
    base_url: str = "http://127.0.0.1:1"

    def open(self, send: Send) -> Api:
        return Api(send, self.base_url, bearer=self.api_key)


integration = Integration("shelf", Account, about="Books.")
Book = Annotated[int, "The book."]


@integration.reads
def get(api: Api, /, *, book: Book) -> dict[str, Any]:
    """Get a book."""
    return api.get("/books/{book}", book=book)


@integration.reads
def tear(api: Api, /, *, book: Book) -> None:
    """Fail with an error of the plugin's own."""
    raise Torn(book)


@integration.writes
def put(api: Api, /, *, book: Book) -> dict[str, Any]:
    """Put a book back."""
    return api.post("/books/{book}", book=book)
