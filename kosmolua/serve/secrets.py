"""The stores and secrets of the server itself, which ``[serve]`` in the accounts file names.

The stores keep the recordings, questions to people and grants of all tenants. The secrets are, for example, the key
that signs the website's cookies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from kosmolua.accounts.sources import Sources
from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.folders import expanded
from kosmolua.secret import MIN_SECRET, Secret
from kosmolua.serve.settings import Given, Settings
from kosmolua.stores.opening import default_stores, open_stores
from kosmolua.stores.store import Stores


class ServerCredentials(NamedTuple):
    """The secrets of the server itself; None for those that the settings do not have.

    ``metrics`` is the token that requests for ``/metrics`` need, ``operator`` that of those who operate the server,
    ``audit`` binds the lines of the audit, and ``client_secret`` is that of this server at the OpenID Connect provider.
    """

    metrics: Secret | None
    operator: Secret | None
    audit: Secret | None
    client_secret: Secret | None

    @property
    def audit_key(self) -> bytes:
        """The key that binds the lines of the audit; empty if there is none."""
        return sha256(self.audit.reveal().encode()).digest() if self.audit else b""


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
        where = self.secret("serve.store", self._settings.store, least=1).reveal()  # a folder is no secret
        return open_stores(where if "://" in where else str(self._folder / expanded(where)))

    def cookie_key(self, stores: Stores) -> bytes:
        """Return the key that signs the website's cookies, from the settings, or else from the stores."""
        if self._settings.cookie_key is not None:
            return sha256(self.secret("serve.cookie_key", self._settings.cookie_key).reveal().encode()).digest()
        return stores.key()

    def credentials(self) -> ServerCredentials:
        """Return the secrets that the settings have besides tenants' tokens."""
        given = self.given.items()
        return ServerCredentials(*(None if each is None else self.secret(f"serve.{key}", each) for key, each in given))

    @property
    def given(self) -> dict[str, Given | None]:
        """The secrets in :class:`ServerCredentials` as they are in the settings, by their keys in ``[serve]``."""
        settings = self._settings
        client_secret = settings.oidc.client_secret if settings.oidc else None
        return {
            "metrics_token": settings.metrics_token,
            "operator_token": settings.operator_token,
            "audit_key": settings.audit_key,
            "oidc.client_secret": client_secret,
        }

    def secret(self, where: str, given: Given, *, least: int = MIN_SECRET) -> Secret:
        """Read the secret at a key of the accounts file, ``where``: the value itself, or what its source provides."""
        try:
            return self._sources.read(where, given, least=least)
        except NotConfigured as error:
            raise ConfigError(error.what, hint=error.hint, detail=error.detail) from None
