"""Integrations from documents that were imported, or passed with ``--plugin``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from kosmolua.errors import ConfigError, PluginError
from kosmolua.http.messages import Send
from kosmolua.openapi.accounts import ClientTokens, DocumentAccount, DocumentClient, fields_of, refusal_of
from kosmolua.openapi.calls import OperationCall
from kosmolua.openapi.functions import DocumentFunctions
from kosmolua.openapi.security import access_of
from kosmolua.openapi.store import DocumentStore, Home
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import BEGIN
from kosmolua.schema.sessions import SessionRule, session_function


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


def _handler(call: OperationCall) -> Callable[..., Any]:
    def handle(client: DocumentClient, /, **arguments: Any) -> Any:
        return call.make(client, arguments)

    return handle


def _simulator(more: DocumentFunctions) -> Callable[..., Send]:
    """Return what makes an account's simulator."""

    def simulate(account: str, *, state: Mapping[str, Any] | None = None) -> Send:
        from kosmolua.openapi.simulator import Simulator

        return Simulator(more, account, state)

    return simulate
