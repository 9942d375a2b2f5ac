"""The server's own stores and secrets, from the accounts file."""

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
    """The server's own stores and secrets. Every method raises a ConfigError if a secret is missing at its source.

    Args:
        settings: The settings of the server.
        environ: The environment that secrets may come from.
        warn: Called with a sentence about a setting that is unwise but works.
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
        """Return the key that signs cookies: the key in the settings, else that of the stores, else a random one.

        Args:
            stores: The stores of the tenants, or None.
        """
        if self._settings.cookie_key is not None:
            return sha256(self.secret("serve.cookie_key", self._settings.cookie_key).reveal().encode()).digest()
        return stores.key() if stores else secrets.token_bytes(32)

    def metrics_token(self) -> Secret | None:
        """Return the token for the metrics, or None."""
        given = self._settings.metrics_token
        return None if given is None else self.secret("serve.metrics_token", given)

    def client_secret(self) -> Secret | None:
        """Return the client secret for the OpenID Connect provider, or None."""
        given = self._settings.oidc.client_secret if self._settings.oidc else None
        return None if given is None else self.secret("serve.oidc.client_secret", given)

    def secret(self, where: str, given: Given) -> Secret:
        """Return a secret.

        Args:
            where: The key of the secret, for messages.
            given: The secret in the accounts file.
        """
        try:
            return self._sources.read(where, given)
        except NotConfigured as error:
            raise ConfigError(error.message, hint=error.hint, detail=error.detail) from None
