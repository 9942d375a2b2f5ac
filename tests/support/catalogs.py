"""Shelves for the tests of the docs: a few integrations in memory, and folders of plugins that are made up."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from kosmolua.errors import PluginError, UnknownPath
from kosmolua.plugin import Integration, between, matching, unless


@dataclass(frozen=True)
class Account:
    """Nothing to configure."""

    def open(self, send: Any) -> Any:
        return send


class Author(TypedDict):
    name: str
    mail: Annotated[str | None, "Where to write to."]


class Book(TypedDict):
    id: str
    authors: list[Author]


class BookPage(TypedDict):
    books: list[Book]
    cursor: str | None


def books() -> Integration:
    """Return an integration that has one of everything a page can show."""
    integration = Integration("books", Account, about="Books of a library.", prefix="lib")

    @integration.reads
    def list_books(
        api: Any,
        /,
        *,
        limit: Annotated[int, "How many to return a page.", between(1, 100)] = 20,
        sort: Annotated[Literal["title", "year"], "What to sort by."] = "title",
        tags: Annotated[list[str] | None, "Only those with all of these tags."] = None,
        kind: Annotated[Literal["novel", "essay"] | list[Literal["novel", "essay"]] | None, "Only these kinds."] = None,
    ) -> BookPage:
        """List the books on the shelves.

        Lent ones are among them; see ``lend_book``.

        Returns:
            A page of books, the ``cursor`` of the next one with it.

        Raises:
            CallError: The library is closed.
        """
        return {"books": [], "cursor": None}

    @integration.writes
    def lend_book(
        api: Any,
        /,
        *,
        book_id: Annotated[str, "The book's id.", matching(r"b-\d+", "b-12")],
        reader: Annotated[str | None, "Who takes it | by name.", unless("card")],
        card: str | None = None,
        options: Annotated[dict[str, str] | None, "Anything else."] = None,
    ) -> dict:
        """Lend a book to a reader."""
        return {}

    @integration.reads
    def opening_hours(api: Any, /) -> dict:
        """Say when the library is open."""
        return {}

    return integration


PROSE = """# The Library

Borrow, and bring back.

## lend_book

Lending is a promise.

### Example

```lua
## not a heading
app.integrations.books.lend_book({ book_id = "b-12", card = "7" })
```

---

## `lib_opening_hours`

Open late on Thursdays.

## Multi-account usage

One account is one branch.
"""


@dataclass
class MemoryCatalog:
    """A catalog in memory, which counts what is loaded; an exception stands for an integration that cannot be."""

    integrations: dict[str, Integration | PluginError]
    known_accounts: dict[str, list[str]] = field(default_factory=dict)
    markdown: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)

    def names(self) -> Sequence[str]:
        return sorted(self.integrations)

    def integration(self, name: str) -> Integration:
        self.loaded.append(name)
        found = self.integrations.get(name)
        if found is None:
            raise UnknownPath(f"app.integrations has no '{name}'")
        if isinstance(found, PluginError):
            raise found
        return found

    def listed(self, name: str) -> Integration:
        return self.integration(name)

    def accounts(self, name: str) -> Sequence[str]:
        return self.known_accounts.get(name, [])

    def invents_accounts(self, name: str) -> bool:
        return False

    def prose(self, name: str) -> str | None:
        return self.markdown.get(name)

    def sources(self, name: str) -> Sequence[str]:
        return self.texts.get(name, [])


def library_catalog() -> MemoryCatalog:
    """Return a catalog with the books, beside one integration that cannot be loaded."""
    broken = PluginError("the file is not valid Python: invalid syntax", origin="broken.py:3")
    return MemoryCatalog(
        {"books": books(), "broken": broken},
        known_accounts={"books": ["downtown", "uptown"]},
        markdown={"books": PROSE},
    )


class FolderCatalog(MemoryCatalog):
    """A catalog of the plugins in a folder, each a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__({})
        self._files = {file.stem: file for file in folder.glob("*.py")}

    def names(self) -> Sequence[str]:
        return sorted(self._files)

    def integration(self, name: str) -> Integration:
        self.loaded.append(name)
        if name not in self._files:
            raise UnknownPath(f"app.integrations has no '{name}'")
        return load(self._files[name])

    def sources(self, name: str) -> Sequence[str]:
        return [self._files[name].read_text(encoding="utf-8")]


def load(file: Path) -> Integration:
    """Return the integration that a file holds."""
    name = f"made_up_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        return module.integration
    finally:
        del sys.modules[name]


HEAD = '''"""Made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kosmolua.plugin import Integration, between


@dataclass(frozen=True)
class Account:
    """Nothing to configure."""

    def open(self, send):
        return send


integration = Integration("{name}", Account, about="Made-up service {name}.")
'''

FUNCTION = '''

@integration.{effect}s
def {verb}_{noun}(
    api,
    /,
    *,
    {noun}_id: Annotated[str, "Which {noun}."],
    limit: Annotated[int, "How many to return.", between(1, 100)] = 20,
) -> dict:
    """{Verb} the {noun} of {name} that an account can see."""
    return {{}}
'''

VERBS = ("list", "get", "create", "update", "delete", "archive", "export", "import", "watch", "merge")
NOUNS = ("invoice", "ticket", "contact", "message", "channel", "webhook", "folder")


def write_plugin(folder: Path, name: str) -> Path:
    """Write a plugin with 70 functions."""
    functions = [
        FUNCTION.format(
            effect="read" if verb in ("list", "get", "export", "watch") else "write",
            verb=verb,
            Verb=verb.capitalize(),
            noun=noun,
            name=name,
        )
        for noun in NOUNS
        for verb in VERBS
    ]
    file = folder / f"{name}.py"
    file.write_text(HEAD.format(name=name) + "".join(functions), encoding="utf-8")
    return file
