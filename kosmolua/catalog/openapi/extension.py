"""Extensions: a plugin's integration with the operations of a document, which is read when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kosmolua.catalog.openapi.naming import Route
from kosmolua.concurrency import lazy
from kosmolua.errors import NotConfigured
from kosmolua.http.client import Api
from kosmolua.schema.functions import Functions
from kosmolua.schema.integration import Extension, Integration

if TYPE_CHECKING:
    from kosmolua.catalog.openapi.functions import DocumentFunctions
    from kosmolua.docs.outline import Sketch
    from kosmolua.docs.search import Index
    from kosmolua.http.messages import Request, Response, Send
    from kosmolua.schema.function import Function
    from kosmolua.schema.types import Record


class ExtensionFunctions:
    """The functions that a document adds to a plugin, as :class:`kosmolua.schema.functions.More` has them.

    Args:
        extension: The document.
        integration: The plugin's own.
    """

    def __init__(self, extension: Extension, integration: Integration) -> None:
        self._extension = extension
        self._integration = integration

    @lazy
    def read(self) -> DocumentFunctions:
        """The functions themselves; the compiled file is opened, or made."""
        from kosmolua.catalog.openapi.integration import functions_of

        return functions_of(self._extension, self._integration)

    @lazy
    def _names(self) -> str:
        """The file that keeps the names of functions, or nothing if there is none."""
        lock = Path(self._extension.file).parent / "names.lock"
        return lock.read_text(encoding="utf-8") if lock.is_file() else ""

    def names(self) -> Sequence[str]:
        """Return the short name of each."""
        return self.read.names()

    def has(self, name: str) -> bool:
        """Return True if there is one of this short name; the file of names is enough to say that there is none."""
        return (not self._names or f"\n{name} " in self._names) and self.read.has(name)

    def function(self, name: str) -> Function | None:
        """Return a function by its short name, or None."""
        return self.read.function(name)

    def named(self, key: str) -> str | None:
        """Return the function of an operation, as :meth:`DocumentFunctions.named` does."""
        return self.read.named(key)

    def sketches(self) -> Mapping[str, Sketch]:
        """Return what lists and searches show of each."""
        return self.read.sketches()

    def records(self) -> Mapping[str, Record]:
        """Return the types of tables that the document gives names to."""
        return self.read.records()

    @property
    def index(self) -> Index:
        """The search in them."""
        return self.read.index

    @property
    def document(self) -> Path:
        """The file that they come from."""
        return self.read.document

    @property
    def overlay(self) -> Path:
        """The file that says what the document does not; it need not exist."""
        return self.read.overlay

    def findings(self) -> tuple[list[str], list[str]]:
        """Return what is wrong with the overlay, and what is worth knowing of the document."""
        return self.read.findings()


def api_of(opened: Any) -> Api:
    """Return the client of a plugin's account: what its ``open`` returned, or the ``api`` of that.

    Raises:
        NotConfigured: It is neither.
    """
    api = getattr(opened, "api", opened)
    if not isinstance(api, Api):
        raise NotConfigured("its account has no client that a document could use", hint="it needs an attribute api")
    return api


def extended(integration: Integration, onto: Path | None = None) -> Integration:
    """Return a plugin's integration with the operations of a document.

    Args:
        integration: The plugin's own, which stays as it is.
        onto: The folder of a document that the user imported onto it, in place of one that it came with.
    """
    extension = integration.extension
    if onto:
        file = str(onto / "openapi.json")
        extension = replace(extension, file=file) if extension else Extension(file, api_of)
    assert extension is not None, "there is nothing to extend it by"
    more = ExtensionFunctions(extension, integration)
    whole = copy(integration)
    whole.functions = Functions(integration.functions.own, more)
    whole.simulate = _beside(integration.simulate, more)
    return whole


def _beside(curated: Callable[..., Send] | None, more: ExtensionFunctions) -> Callable[..., Send]:
    """Return a simulator that answers a document's requests by itself, and all others as the plugin's does."""

    def simulate(account: str, **options: Any) -> Send:
        return Beside(curated, more, account, options)

    return wraps(curated)(simulate) if curated else simulate


class Beside:
    """A plugin's own simulator, and beside it that of the document which extends the plugin.

    Args:
        curated: Makes the plugin's own, or None.
        functions: The functions of the document.
        account: The name of the account.
        options: What the plugin's own takes: ``clock``, ``failures`` and ``state``.
    """

    def __init__(
        self,
        curated: Callable[..., Send] | None,
        functions: ExtensionFunctions,
        account: str,
        options: Mapping[str, Any],
    ) -> None:
        self._functions = functions
        self._account = account
        state = options.get("state") or {}
        self._state = state.get("document")
        self.own: Send | None = None
        if curated:
            parameters = signature(curated).parameters.values()
            takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
            known = {each.name for each in parameters}
            given = {**options, "state": state.get("own")} if state else dict(options)
            self.own = curated(account, **{key: value for key, value in given.items() if takes_all or key in known})

    @lazy
    def _document(self) -> Any:
        from kosmolua.catalog.openapi.simulator import Simulator

        return Simulator(self._functions.read, self._account, self._state)

    def dump(self) -> dict[str, Any]:
        """Return the state of both, as JSON."""
        dump = getattr(self.own, "dump", None)
        own = dump() if dump else None
        return {"own": own, "document": self._document.dump() if "_document" in vars(self) else self._state}

    def __call__(self, request: Request) -> Response:
        """Answer a request: the document's operations by the document, all others as the plugin does."""
        answer: Send = self._document if self.own is None or isinstance(request.route, Route) else self.own
        return answer(request)
