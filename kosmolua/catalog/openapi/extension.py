"""Adds the operations of an OpenAPI document to a plugin's integration. The document is read when it is needed."""

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
    """The functions that an OpenAPI document adds to a plugin. Implements :class:`kosmolua.schema.functions.More`.

    Args:
        extension: The document to add, and how to get an HTTP client for its operations from the plugin's account.
        integration: The integration that the plugin defines.
    """

    def __init__(self, extension: Extension, integration: Integration) -> None:
        self._extension = extension
        self._integration = integration

    @lazy
    def read(self) -> DocumentFunctions:
        """The functions that the document adds, as read from its compiled form: a database in the cache folder.

        The first use of this attribute compiles the document if that has not been done yet.
        """
        from kosmolua.catalog.openapi.integration import functions_of

        return functions_of(self._extension, self._integration)

    @lazy
    def _names(self) -> str:
        """The text of ``names.lock``, which lists the names of the functions; empty if there is no such file."""
        lock = Path(self._extension.file).parent / "names.lock"
        return lock.read_text(encoding="utf-8") if lock.is_file() else ""

    def names(self) -> Sequence[str]:
        """Return the names of the functions, without the integration's prefix."""
        return self.read.names()

    def has(self, name: str) -> bool:
        """Return True if the document adds a function of this name (without the integration's prefix).

        Most unknown names are missing in ``names.lock`` too, so that the document need not be read for them.
        """
        return (not self._names or f"\n{name} " in self._names) and self.read.has(name)

    def function(self, name: str) -> Function | None:
        """Return the function of this name, without the integration's prefix; None if there is no such function."""
        return self.read.function(name)

    def named(self, key: str) -> str | None:
        """Return the name of the function for an operation such as ``GET /pets``, or None if there is none."""
        return self.read.named(key)

    def sketches(self) -> Mapping[str, Sketch]:
        """Return the entries of the functions for lists of functions and search results.

        Returns:
            A sketch (effect, summary and so on) for each function's name without the integration's prefix.
        """
        return self.read.sketches()

    def records(self) -> Mapping[str, Record]:
        """Return by name those named types of the document that are tables with fixed keys."""
        return self.read.records()

    @property
    def index(self) -> Index:
        """The search index of the functions."""
        return self.read.index

    @property
    def document(self) -> Path:
        """The path of the OpenAPI document."""
        return self.read.document

    @property
    def overlay(self) -> Path:
        """The path of ``openapi.toml``, in which users correct the document. The file need not exist."""
        return self.read.overlay

    def findings(self) -> tuple[list[str], list[str]]:
        """Return two lists of sentences: mistakes in ``openapi.toml``, and notes about the document."""
        return self.read.findings()


def api_of(opened: Any) -> Api:
    """Return the HTTP client of a plugin's account, for the operations of an OpenAPI document.

    Args:
        opened: What the account's ``open`` returned: the HTTP client, or an object with the client as its attribute
            ``api``.

    Raises:
        NotConfigured: Neither ``opened`` nor its attribute ``api`` is an HTTP client.
    """
    api = getattr(opened, "api", opened)
    if not isinstance(api, Api):
        what = "the account's open() returns no HTTP client, which the functions of the OpenAPI document need"
        raise NotConfigured(what, hint="let open() return an Api, or an object whose attribute api is one")
    return api


def extended(integration: Integration, onto: Path | None = None) -> Integration:
    """Return a copy of a plugin's integration that also has the operations of an OpenAPI document as functions.

    Args:
        integration: The integration that the plugin defines. It is not changed.
        onto: The folder of a document that the user added to the integration; None for the plugin's own document.
    """
    extension = integration.extension
    if onto:
        file = str(onto / "openapi.json")
        extension = replace(extension, file=file) if extension else Extension(file, api_of)
    assert extension is not None, "it has no document to extend it with"
    more = ExtensionFunctions(extension, integration)
    whole = copy(integration)
    whole.functions = Functions(integration.functions.own, more)
    whole.simulate = _beside(integration.simulate, more)
    return whole


def _beside(curated: Callable[..., Send] | None, more: ExtensionFunctions) -> Callable[..., Send]:
    """Return a function that makes the simulator of an account.

    This simulator, a :class:`Beside`, answers the requests of the document's functions itself. It passes all other
    requests to the plugin's own simulator, if there is one.
    """

    def simulate(account: str, **options: Any) -> Send:
        return Beside(curated, more, account, options)

    return wraps(curated)(simulate) if curated else simulate


class Beside:
    """The simulator for a plugin with an OpenAPI document.

    It answers the requests of the document's functions itself. The plugin's own simulator, if there is one, answers all
    others.

    Args:
        curated: The plugin's function that makes its own simulator; None if the plugin has none.
        functions: The functions that the document adds.
        account: The name of the account.
        options: The options of simulators, as keyword arguments: ``clock``, ``failures`` and ``state``.
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
        """Return the state of both simulators as a JSON value, so that a later process can continue with it."""
        dump = getattr(self.own, "dump", None)
        own = dump() if dump else None
        return {"own": own, "document": self._document.dump() if "_document" in vars(self) else self._state}

    def __call__(self, request: Request) -> Response:
        """Return the simulated response to a request."""
        answer: Send = self._document if self.own is None or isinstance(request.route, Route) else self.own
        return answer(request)
