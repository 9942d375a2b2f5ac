"""The stores and secrets of the server itself, which ``[serve]`` in the accounts file names.

The stores keep the recordings, questions to people and grants of all tenants. The secrets are, for example, the key
that signs the website's cookies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from kosmolua.accounts.sources import Sources
from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.folders import expanded
from kosmolua.secret import Secret
from kosmolua.serve.settings import Given, Settings
from kosmolua.stores.opening import default_stores, open_stores
from kosmolua.stores.store import Stores


class ServerSecrets:
    """Opens the stores and reads the secrets that ``[serve]`` in the accounts file names.

    Every method raises a ConfigError if a secret is missing at its source, such as an environment variable.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._settings = settings
        self._folder = settings.path.parent if settings.path else Path()
        self._sources = Sources(self._folder, environ, warn)

    def stores(self) -> Stores:
        """Open and return the stores of all tenants at the place in ``[serve] store``, or else in the state folder."""
        if self._settings.store is None:
            return default_stores()
        where = self.secret("serve.store", self._settings.store).reveal()
        return open_stores(where if "://" in where else str(self._folder / expanded(where)))

    def cookie_key(self, stores: Stores) -> bytes:
        """Return the key that signs the website's cookies, from the settings, or else from the stores."""
        if self._settings.cookie_key is not None:
            return sha256(self.secret("serve.cookie_key", self._settings.cookie_key).reveal().encode()).digest()
        return stores.key()

    def metrics_token(self) -> Secret | None:
        """Return the token that requests for ``/metrics`` need, or None if the settings have none."""
        given = self._settings.metrics_token
        return None if given is None else self.secret("serve.metrics_token", given)

    def operator_token(self) -> Secret | None:
        """Return the token of those who operate the server, or None if the settings have none."""
        given = self._settings.operator_token
        return None if given is None else self.secret("serve.operator_token", given)

    def client_secret(self) -> Secret | None:
        """Return this server's client secret at the OpenID Connect provider, or None if the settings have none."""
        given = self._settings.oidc.client_secret if self._settings.oidc else None
        return None if given is None else self.secret("serve.oidc.client_secret", given)

    def secret(self, where: str, given: Given) -> Secret:
        """Read the secret at a key of the accounts file, ``where``: the value itself, or what its source provides."""
        try:
            return self._sources.read(where, given)
        except NotConfigured as error:
            raise ConfigError(error.message, hint=error.hint, detail=error.detail) from None
