"""Authentication: a class for each way to send an account's credential with a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol
from urllib.parse import urljoin

from kosmolua.http.headers import merged, plain
from kosmolua.http.messages import Request
from kosmolua.secret import Secret


class Auth(Protocol):
    """Adds an account's credential to each request."""

    def sign(self, request: Request) -> Request:
        """Return a copy with the credential, which replaces what is in its place. Called right before sending, in any
        thread.
        """


class Bearer(NamedTuple):
    """Sends a token as ``Authorization: Bearer ...`` (RFC 6750), or with a ``scheme`` other than ``Bearer``."""

    token: Secret
    scheme: str = "Bearer"

    def sign(self, request: Request) -> Request:
        return with_header(request, "Authorization", self.token.prefixed(self.scheme))


class Basic(NamedTuple):
    """Sends a user name and a password as ``Authorization: Basic ...`` (RFC 7617)."""

    user: str
    password: Secret

    def sign(self, request: Request) -> Request:
        return with_header(request, "Authorization", self.password.as_password_of(self.user))


class HeaderKey(NamedTuple):
    """Sends a key in a header that the service defines, such as ``X-API-Key``."""

    name: str
    key: Secret

    def sign(self, request: Request) -> Request:
        return with_header(request, self.name, self.key)


class CookieKey(NamedTuple):
    """Sends a key in a cookie (RFC 6265)."""

    name: str
    key: Secret

    def sign(self, request: Request) -> Request:
        """Return a copy with the cookie; those of other names are kept."""
        given = [(name, value) for name, value in request.headers.items() if plain(name) == "cookie"]
        held = [self.key, *(root for _, value in given if isinstance(value, Secret) for root in value.roots)]
        texts = [value.reveal() if isinstance(value, Secret) else value for _, value in given]
        pairs = [pair.strip() for text in texts for pair in text.split(";")]
        others = [pair for pair in pairs if pair and pair.partition("=")[0].strip() != self.name]
        header = Secret("; ".join([*others, f"{self.name}={self.key.reveal()}"]), holding=held)
        return with_header(request, "Cookie", header)


class QueryKey(NamedTuple):
    """Sends a key in the query of the URL, such as ``?api_key=...``."""

    name: str
    key: Secret

    def sign(self, request: Request) -> Request:
        """Return a copy with the key in place of parameters of its name."""
        others = tuple(pair for pair in request.query if _field(pair[0]) != _field(self.name))
        return replace(request, query=((self.name, self.key), *others))


class Several(NamedTuple):
    """Sends several credentials in each request."""

    auths: Sequence[Auth]

    def sign(self, request: Request) -> Request:
        for auth in self.auths:
            request = auth.sign(request)
        return request


@dataclass(frozen=True)
class OAuth2:
    """Says how an account logs in with OAuth 2; annotates the field for the token.

    As in ``token: Annotated[Secret | None, OAuth2(authorize="https://...", token="https://...")] = None``. If an
    account has no ``client_id`` and ``client_secret``, the ``client_id`` below is used. If the integration defines the
    base URL of an account's service, an address can also be a path, such as ``/oauth/token``.

    Args:
        token: The address where codes and refresh tokens are exchanged for tokens.
        authorize: The page where a person logs in. Without it, there is no login by browser.
        device: The address where a device asks for its code (RFC 8628). Without it, there is no login by device code.
        revoke: The address where a token is revoked (RFC 7009). By default, it is read from the service's metadata (RFC
            8414).
        refresh: The address where refresh tokens are exchanged, if it differs from ``token``.
        scopes: The scopes to ask for, which decide what the token permits.
        client_id: The program's public id at the service, for accounts that have no ``client_id`` of their own.
        parameters: Additional query parameters for the address of the login page.
    """

    token: str = ""
    authorize: str = ""
    device: str = ""
    revoke: str = ""
    refresh: str = ""
    scopes: tuple[str, ...] = ()
    client_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_person(self) -> bool:
        """Whether a person has to log in: ``client_id`` and ``client_secret`` are not enough."""
        return bool(self.authorize or self.device or not self.token)

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses that are set, by name."""
        found = {name: getattr(self, name) for name in ("token", "authorize", "device", "revoke", "refresh")}
        return {name: url for name, url in found.items() if url}

    def at(self, base_url: str) -> OAuth2:
        """Return a copy with absolute addresses, resolved against ``base_url``."""
        return replace(self, **{name: urljoin(base_url, url) for name, url in self.addresses.items()})  # type: ignore[arg-type]


def _field(name: str) -> str:
    """Return the field that a query's name stands for: services of PHP read ``a[]`` and ``b.c`` so."""
    return re.sub(r"[. ]", "_", name.partition("[")[0].lstrip())


def with_header(request: Request, name: str, value: Secret) -> Request:
    """Return a copy with a header, in place of any of this name, compared without case and with ``-`` for ``_``."""
    return replace(request, headers=merged(request.headers, {name: value}))
