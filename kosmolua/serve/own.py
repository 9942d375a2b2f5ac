"""What the accounts file gives to the server itself: the stores of its tenants, and its secrets."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from kosmolua.accounts.sources import Sources
from kosmolua.broker.store import Stores
from kosmolua.broker.stores import open_stores
from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.folders import expanded
from kosmolua.secret import Secret
from kosmolua.serve.settings import Given, Settings


class Own:
    """What is the server's own. Every method raises a ConfigError if a secret's source does not give it.

    Args:
        settings: What the file says.
        environ: The environment that secrets may come from.
        warn: Called with a sentence about what is unwise but works.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._folder = settings.path.parent if settings.path else Path()
        self._sources = Sources(self._folder, environ, warn)

    def stores(self) -> Stores | None:
        """Return the stores that ``[serve] store`` names, or None."""
        if self._settings.store is None:
            return None
        where = self.secret("serve.store", self._settings.store).reveal()
        return open_stores(where if "://" in where else str(self._folder / expanded(where)))

    def cookie_key(self, stores: Stores | None) -> bytes:
        """Return what signs the cookies of the page: what the file has, or the stores have, or else another key.

        Args:
            stores: Those of the tenants, or None.
        """
        if self._settings.cookie_key is not None:
            return sha256(self.secret("serve.cookie_key", self._settings.cookie_key).reveal().encode()).digest()
        return stores.key() if stores else secrets.token_bytes(32)

    def metrics_token(self) -> Secret | None:
        """Return the token for the metrics, or None."""
        given = self._settings.metrics_token
        return None if given is None else self.secret("serve.metrics_token", given)

    def client_secret(self) -> Secret | None:
        """Return what the server shows to the provider that people sign in at, or None."""
        given = self._settings.oidc.client_secret if self._settings.oidc else None
        return None if given is None else self.secret("serve.oidc.client_secret", given)

    def secret(self, where: str, given: Given) -> Secret:
        """Return a secret.

        Args:
            where: How messages name it.
            given: The secret as the file gives it.
        """
        try:
            return self._sources.read(where, given)
        except NotConfigured as error:
            raise ConfigError(error.message, hint=error.hint, detail=error.detail) from None
