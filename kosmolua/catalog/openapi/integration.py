"""Documents as integrations: imported ones, one that is named for a run, and those that extend a plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kosmolua.catalog.openapi.accounts import DocumentAccount, DocumentClient, fields_of, refusal_of
from kosmolua.catalog.openapi.calls import Call
from kosmolua.catalog.openapi.functions import DocumentFunctions
from kosmolua.catalog.openapi.security import access_of
from kosmolua.catalog.openapi.store import Home, Store
from kosmolua.errors import ConfigError, NotConfigured, PluginError
from kosmolua.http.client import Api
from kosmolua.http.messages import Response, Send
from kosmolua.schema.integration import Extension, Integration


def imported(file: str) -> Integration:
    """Return the integration of an imported document.

    Args:
        file: The ``__file__`` of the module beside ``openapi.json``.

    Raises:
        PluginError: The document or its overlay cannot be read.
    """
    folder = Path(file).parent
    return of_home(Home.of_folder(folder), folder.name, file)


def home_of(document: Path) -> Home:
    """Return the home of a document that is not imported; what is said about it may stand beside it.

    The overlay of ``pets.openapi.json`` is ``pets.openapi.toml``, its names are in ``pets.names.lock``.
    """
    overlay = document.with_suffix(".toml")
    lock = document.with_name(document.name.partition(".")[0] + ".names.lock")
    return Home(document, overlay if overlay.is_file() else None, lock if lock.is_file() else None)


def of_home(home: Home, name: str, origin: str) -> Integration:
    """Return the integration of a document.

    Args:
        home: The document.
        name: The integration's name.
        origin: The file that messages name.

    Raises:
        PluginError: The document or its overlay cannot be read.
    """
    store = Store(home)
    try:
        access, title = access_of(store.meta("access")), store.meta("title")
        refusal = refusal_of(store.meta("errors") or {})
    except ConfigError as error:
        raise PluginError(error.what, origin=origin, hint=error.hint) from None
    more = DocumentFunctions(store, name, "", _handler)
    integration = Integration(
        name,
        partial(DocumentAccount, access, refusal),
        about=title if title[-1:] in ".!?" else f"{title}.",
        prefix="",
        fields=fields_of(access),
        more=more,
    )
    integration.origin = origin
    integration.simulator(_simulator(more))
    return integration


def api_of(opened: Any) -> Api:
    """Return the client of a plugin's account: what its ``open`` returned, or the ``api`` of that.

    Raises:
        NotConfigured: It is neither.
    """
    api = getattr(opened, "api", opened)
    if not isinstance(api, Api):
        raise NotConfigured("its account has no client that a document could use", hint="it needs an attribute api")
    return api


def extend_onto(integration: Integration, folder: Path) -> None:
    """Add the operations of a document that the user imported onto an integration, in place of one that it has."""
    file, own = str(folder / "openapi.json"), integration.extension
    extend(integration, replace(own, file=file) if own else Extension(file, api_of))


def extend(integration: Integration, extension: Extension) -> None:
    """Add the operations of a document to a plugin's integration; nothing is read before one is asked for."""
    home = Home.of_folder(Path(extension.file).parent)
    own = integration.functions.own
    more = DocumentFunctions(Store(home), integration.name, integration.prefix, partial(_extending, extension), own)
    integration.functions.more = more
    curated = integration.simulate
    integration.simulate = _beside(curated, more) if curated else _simulator(more)


def _handler(call: Call) -> Callable[..., Any]:
    def handle(client: DocumentClient, /, **arguments: Any) -> Any:
        return call.make(client, arguments)

    return handle


def _extending(extension: Extension, call: Call) -> Callable[..., Any]:
    names = {each.name for each in call.fields}

    def handle(opened: Any, /, **arguments: Any) -> Any:
        usual = extension.defaults(opened) if extension.defaults else {}
        known = {name: value for name, value in usual.items() if name in names and value is not None}
        return call.make(_Extended(extension.api(opened)), {**known, **arguments})

    return handle


class _Extended:
    """The client of a plugin's account, for the calls of a document."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def api(self, server: str) -> Api:
        """Return the plugin's client, whatever the document says of addresses."""
        return self._api

    def checked(self, response: Response) -> Response:
        """Return the answer: a plugin's client has raised what is to be raised."""
        return response


def _simulator(more: DocumentFunctions) -> Callable[..., Send]:
    """Return what makes a simulator of a document for each account."""

    def simulate(account: str, *, state: Mapping[str, Any] | None = None) -> Send:
        from kosmolua.catalog.openapi.simulator import Simulator

        return Simulator(more, account, state)

    return simulate


def _beside(curated: Callable[..., Send], more: DocumentFunctions) -> Callable[..., Send]:
    """Return a simulator that answers a document's requests by itself, and all others as the plugin's does."""

    def simulate(account: str, **options: Any) -> Send:
        from kosmolua.catalog.openapi.simulator import Beside

        return Beside(curated, more, account, options)

    return simulate
