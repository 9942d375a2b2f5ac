"""Integrations from documents that were imported, passed with ``--plugin``, or belong to a plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kosmolua.errors import ConfigError, PluginError
from kosmolua.http.client import Api
from kosmolua.http.messages import Response, Send
from kosmolua.openapi.accounts import ClientTokens, DocumentAccount, DocumentClient, fields_of, refusal_of
from kosmolua.openapi.calls import OperationCall
from kosmolua.openapi.functions import DocumentFunctions
from kosmolua.openapi.security import Access, access_of
from kosmolua.openapi.store import DocumentStore, Home
from kosmolua.schema.integration import Extension, Integration
from kosmolua.schema.sessions import BEGIN, SessionRule, session_function


def imported(file: str) -> Integration:
    """Return the integration of an imported document; ``file`` is the ``__file__`` beside it, of the module that calls
    this.

    Raises:
        PluginError: The document or the overlay cannot be read.
    """
    folder = Path(file).parent
    return of_home(Home.of_folder(folder), folder.name, file)


def home_of(document: Path) -> Home:
    """Return the files of a document used in place: beside ``pets.openapi.json``, its ``.toml`` and
    ``pets.names.lock``.
    """
    overlay = document.with_suffix(".toml")
    lock = document.with_name(document.name.partition(".")[0] + ".names.lock")
    return Home(document, overlay if overlay.is_file() else None, lock if lock.is_file() else None)


def of_home(home: Home, name: str, origin: str) -> Integration:
    """Make the integration of a document; ``origin`` is its file, for messages.

    Raises:
        PluginError: The document or the overlay cannot be read.
    """
    store = DocumentStore(home)
    try:
        access, title = access_of(store.meta("access")), store.meta("title")
        refusal = refusal_of(store.meta("errors") or {})
    except ConfigError as error:
        raise PluginError(error.what, origin=origin, hint=error.hint) from None
    more = DocumentFunctions(store, name, "", _handler)
    integration = Integration(
        name,
        partial(DocumentAccount, access, refusal, ClientTokens()),
        about=title if title[-1:] in ".!?" else f"{title}.",
        prefix="",
        fields=fields_of(access),
        more=more,
    )
    integration.origin = origin
    integration.address = access.address
    integration.simulator(_simulator(more))
    if access.session and not more.has(BEGIN):
        integration.session = SessionRule(**access.session)
        integration.functions.own[BEGIN] = session_function(integration.session, origin)
    return integration


def functions_of(extension: Extension, integration: Integration) -> DocumentFunctions:
    store = DocumentStore(Home.of_folder(Path(extension.file).parent))
    return DocumentFunctions(
        store,
        integration.name,
        integration.prefix,
        partial(_extending, extension, store),
        without=integration.functions.own,
        supplied=extension.supplies,
    )


def _handler(call: OperationCall) -> Callable[..., Any]:
    def handle(client: DocumentClient, /, **arguments: Any) -> Any:
        return call.make(client, arguments)

    return handle


def _extending(extension: Extension, store: DocumentStore, call: OperationCall) -> Callable[..., Any]:
    access = access_of(store.meta("access"))
    lacking = [each.name for each in call.fields if each.required and each.name in extension.supplies]

    def handle(opened: Any, /, **arguments: Any) -> Any:
        known = {name: extension.supplies[name](opened) for name in lacking if name not in arguments}
        return call.make(_Extended(extension.api(opened), access), {**known, **arguments})

    return handle


class _Extended:
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


def _simulator(more: DocumentFunctions) -> Callable[..., Send]:
    """Return what makes an account's simulator."""

    def simulate(account: str, *, state: Mapping[str, Any] | None = None) -> Send:
        from kosmolua.openapi.simulator import Simulator

        return Simulator(more, account, state)

    return simulate
