"""The operations of a document as functions of a plugin's integration, read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kosmolua.concurrency import lazy
from kosmolua.errors import BadArguments, NotConfigured
from kosmolua.http.client import Api
from kosmolua.openapi.routes import Route
from kosmolua.protocol import Json
from kosmolua.schema.effects import Effect, changes
from kosmolua.schema.function import taken_by, with_declared
from kosmolua.schema.functions import Functions, More
from kosmolua.schema.integration import Extension, Integration
from kosmolua.schema.mismatch import Mismatch

if TYPE_CHECKING:
    from kosmolua.http.messages import Request, Response, Send
    from kosmolua.openapi.calls import OperationCall
    from kosmolua.openapi.functions import DocumentFunctions
    from kosmolua.openapi.security import Access
    from kosmolua.openapi.store import DocumentStore
    from kosmolua.schema.function import Function


class ExtensionFunctions:
    """The functions that a document adds to the integration that a plugin defines."""

    def __init__(self, extension: Extension, integration: Integration) -> None:
        self._extension = extension
        self._integration = integration

    @lazy
    def read(self) -> DocumentFunctions:
        """The functions of the compiled document, which the first use compiles."""
        from kosmolua.openapi.functions import DocumentFunctions
        from kosmolua.openapi.store import DocumentStore, Home

        store = DocumentStore(Home.of_folder(Path(self._extension.file).parent))
        return DocumentFunctions(
            store,
            self._integration.name,
            self._integration.prefix,
            partial(_handler, self._extension, store),
            without=self._integration.functions.own,
            supplied=self._extension.supplies,
        )

    @lazy
    def _names(self) -> str:
        """The text of ``names.lock``."""
        lock = Path(self._extension.file).parent / "names.lock"
        return lock.read_text(encoding="utf-8") if lock.is_file() else ""

    def has(self, name: str) -> bool:
        """Return True if there is such a function. Most unknown names are not in ``names.lock``, which saves the
        reading.
        """
        return (not self._names or f"\n{name} " in self._names) and self.read.has(name)

    def function(self, name: str) -> Function | None:
        function = self.read.function(name)
        return function and with_declared(function, **self._extension.declared.get(name, {}))

    def __getattr__(self, name: str) -> Any:
        """Return what the functions of the compiled document have under a name."""
        return getattr(self.read, name)


def api_of(opened: Any) -> Api:
    """Return the HTTP client of an opened account: itself, or its attribute ``api``.

    Raises:
        NotConfigured: Neither is an HTTP client.
    """
    api = getattr(opened, "api", opened)
    if not isinstance(api, Api):
        what = "the account's open() returns no HTTP client, which the functions of the OpenAPI document need"
        raise NotConfigured(what, hint="let open() return an Api, or an object whose attribute api is one")
    return api


def extended(integration: Integration, onto: Path | None = None) -> Integration:
    """Return a copy of an integration with a document's functions: the user's in ``onto``, else the plugin's own."""
    extension = integration.extension
    if onto:
        file = str(onto / "openapi.json")
        extension = extension._replace(file=file) if extension else Extension(file, api_of, {}, {})
    assert extension is not None, "it has no document to extend it with"
    more = ExtensionFunctions(extension, integration)
    whole = copy(integration)
    own = {name: _extensible(function) for name, function in integration.functions.own.items()}
    whole.functions = Functions(own, cast(More, more))
    whole.simulate = _beside(integration.simulate, more)
    return whole


def _handler(extension: Extension, store: DocumentStore, call: OperationCall) -> Callable[..., Any]:
    from kosmolua.openapi.security import access_of

    access = access_of(store.meta("access"))
    lacking = [each.name for each in call.fields if each.required and each.name in extension.supplies]

    def handle(opened: Any, /, **arguments: Any) -> Any:
        known = {name: extension.supplies[name](opened) for name in lacking if name not in arguments}
        return call.make(_PluginClient(extension.api(opened), access), {**known, **arguments})

    return handle


class _PluginClient:
    """Sends a document's requests with the HTTP client of a plugin's account."""

    def __init__(self, api: Api, access: Access) -> None:
        self._api = api
        self._access = access

    def api(self, server: str, *, is_open: bool = False) -> Api:
        """Return the account's client, or one for an operation's own base URL."""
        if not server or self._api.base_url != self._access.base_url:
            return self._api
        self._access.check_origin(server)
        return self._api.at(server)

    def checked(self, response: Response) -> Response:
        """Return the response: the plugin's client would have raised its error."""
        return response


def _extensible(function: Function) -> Function:
    """Return a function that takes ``extra``, unless a parameter is called so."""
    if any(each.name == "extra" for each in function.parameters):
        return function
    return replace(function, extra=partial(_checked, function.effect))


def _checked(effect: Effect, path: str, given: Json) -> object:
    """Return the argument ``extra``, checked as that of a document's function."""
    from kosmolua.openapi.extra import checked_extra

    try:
        return checked_extra(reads=not changes(effect)).accept(given)
    except Mismatch as mismatch:
        raise BadArguments(f"{path}: extra{mismatch.where} {mismatch.problem}", param="extra") from None


def _beside(curated: Callable[..., Send] | None, more: ExtensionFunctions) -> Callable[..., Send]:
    """Return what makes an account's :class:`Beside`."""

    def simulate(account: str, **options: Any) -> Send:
        return Beside(curated, more, account, options)

    return wraps(curated)(simulate) if curated else simulate


class Beside:
    """An account's simulator that answers the document's requests, and leaves others to the plugin's own, if any.

    ``options`` are those of simulators: ``clock``, ``failures`` and ``state``.
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
            self.own = curated(
                account, **taken_by(curated, {**options, "state": state.get("own")} if state else options)
            )

    @lazy
    def _document(self) -> Any:
        from kosmolua.openapi.simulator import Simulator

        return Simulator(self._functions.read, self._account, self._state)

    def dump(self) -> dict[str, Any]:
        """Return the state of both simulators as JSON."""
        dump = getattr(self.own, "dump", None)
        own = dump() if dump else None
        return {"own": own, "document": self._document.dump() if "_document" in vars(self) else self._state}

    def __call__(self, request: Request) -> Response:
        answer: Send = self._document if self.own is None or isinstance(request.route, Route) else self.own
        return answer(request)
