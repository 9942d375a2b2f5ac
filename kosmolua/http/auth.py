"""Authentication: the ways in which a request carries an account's credential, each a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urljoin

from kosmolua.http.messages import Request
from kosmolua.secret import Secret


class Auth(Protocol):
    """Signs each request of a client."""

    def sign(self, request: Request) -> Request:
        """Return the request with the credential. Called right before each request is sent, in any thread."""


@dataclass(frozen=True)
class Bearer:
    """``Authorization: Bearer ...`` (RFC 6750), or another scheme of this form, such as ``Token``."""

    token: Secret
    scheme: str = "Bearer"

    def sign(self, request: Request) -> Request:
        """Return the request with the header, unless it has one of this name already."""
        return with_header(request, "Authorization", self.token.prefixed(self.scheme))


@dataclass(frozen=True)
class Basic:
    """``Authorization: Basic ...`` (RFC 7617)."""

    user: str
    password: Secret

    def sign(self, request: Request) -> Request:
        """Return the request with the header, unless it has one of this name already."""
        return with_header(request, "Authorization", self.password.as_password_of(self.user))


@dataclass(frozen=True)
class HeaderKey:
    """A key in a header of its own, such as ``X-API-Key``."""

    name: str
    key: Secret

    def sign(self, request: Request) -> Request:
        """Return the request with the header, unless it has one of this name already."""
        return with_header(request, self.name, self.key)


@dataclass(frozen=True)
class CookieKey:
    """A key in a cookie (RFC 6265), beside those that the request has."""

    name: str
    key: Secret

    def sign(self, request: Request) -> Request:
        """Return the request with the cookie."""
        others, cookie = request.headers.get("Cookie"), f"{self.name}={self.key.reveal()}"
        held = [self.key, *(others.roots if isinstance(others, Secret) else ())]
        others = others.reveal() if isinstance(others, Secret) else others
        header = Secret(f"{others}; {cookie}" if others else cookie, holding=held)
        return replace(request, headers={**request.headers, "Cookie": header})


@dataclass(frozen=True)
class QueryKey:
    """A key in the query, such as ``?api_key=...``."""

    name: str
    key: Secret

    def sign(self, request: Request) -> Request:
        """Return the request with the key in its query, in place of parameters of the same name."""
        others = tuple(pair for pair in request.query if pair[0] != self.name)
        return replace(request, query=((self.name, self.key), *others))


@dataclass(frozen=True)
class Several:
    """Several credentials in each request."""

    auths: Sequence[Auth]

    def sign(self, request: Request) -> Request:
        """Return the request with all of them."""
        for auth in self.auths:
            request = auth.sign(request)
        return request


@dataclass(frozen=True)
class OAuth2:
    """How an account logs in. It is part of the annotation of the field for the token.

    An example is ``token: Annotated[Secret | None, OAuth2(authorize="https://...", token="https://...")] = None``. The
    client is that of the account's own fields ``client_id`` and ``client_secret``, else the one given here.

    An address may begin with a slash if the integration knows the address of an account's service.

    Args:
        token: The address where codes and refresh tokens are exchanged for tokens.
        authorize: The page where a person logs in. Without it, there is no login by browser.
        device: The address where a device asks for its code (RFC 8628). Without it, there is no login by device code.
        revoke: The address where a token is revoked (RFC 7009); by default that in the service's metadata (RFC 8414).
        refresh: The address where refresh tokens are exchanged, if it differs from ``token``.
        scopes: The scopes of the token: what it may do.
        client_id: The public id of the program at the service, if the account has none.
        parameters: Further parameters of the login page.
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
        """True unless a login needs only a client's own id and secret."""
        return bool(self.authorize or self.device or not self.token)

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses that are set, by the names of the class's parameters."""
        found = {name: getattr(self, name) for name in ("token", "authorize", "device", "revoke", "refresh")}
        return {name: url for name, url in found.items() if url}

    def at(self, base_url: str) -> OAuth2:
        """Return the same login with absolute addresses, for a service at ``base_url``."""
        return replace(self, **{name: urljoin(base_url, url) for name, url in self.addresses.items()})  # type: ignore[arg-type]


def with_header(request: Request, name: str, value: Secret) -> Request:
    """Return a request with a header added, or unchanged if it has one of this name (in any case)."""
    if name.lower() in {each.lower() for each in request.headers}:
        return request
    return replace(request, headers={**request.headers, name: value})
