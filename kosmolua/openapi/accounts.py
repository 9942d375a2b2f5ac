"""Accounts of integrations made from OpenAPI documents: their fields, and the client that sends their requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urljoin

from kosmolua.errors import ApiError, NotConfigured
from kosmolua.expressions import regex
from kosmolua.http.auth import Auth, Basic, Bearer, CookieKey, HeaderKey, OAuth2, QueryKey, Several
from kosmolua.http.aws import AwsSignature
from kosmolua.http.client import Api
from kosmolua.http.errors import body_of, message_of
from kosmolua.http.messages import Request, Response, Send
from kosmolua.openapi.paging import at
from kosmolua.openapi.security import Access, Credential
from kosmolua.protocol import Json
from kosmolua.schema.arguments import REQUIRED
from kosmolua.schema.integration import AccountField
from kosmolua.schema.types import STRING, Choice, List, Type
from kosmolua.secret import Secret
from kosmolua.suggestions import listed

_REGION = regex(r"(?:[.-]([a-z]+(?:-[a-z]+)+-\d))?\.amazonaws\.com\b")
RENEW_BEFORE = 30.0
"""A new token is fetched this many seconds before the old one expires."""
_ABOUT = {
    "bearer": "The token that requests carry.",
    "basic": "The user's name for basic authentication.",
    "header": "The key that requests carry.",
    "query": "The key that requests carry.",
    "cookie": "The key that requests carry.",
    "client": "The id of a client that fetches a token.",
    "signature": "The access key that signs requests.",
    "password": "The user's password for basic authentication.",
    "client_secret": "The secret of this client.",
    "secret_access_key": "The secret of the access key.",
}
"""What fields are for, by their name, or else by the kind of their credential."""


def fields_of(access: Access) -> list[AccountField]:
    """Return an account's fields: credentials, then other settings, then ``base_url``."""
    found: dict[str, AccountField] = {}
    for each in _fields(access):
        found.setdefault(each.name, each)
    return list(found.values())


def _fields(access: Access) -> Iterator[AccountField]:
    optional = len(access.alternatives) > 1 or bool(access.session)
    for credentials in access.alternatives:
        for each in credentials:
            login = OAuth2(**each.login) if each.login else None
            for name in each.fields:
                secret = name not in ("username", "client_id", "access_key_id")
                default: object = None if optional else REQUIRED
                own = login if each.kind == "bearer" else None
                about = _ABOUT.get(name) or _ABOUT.get(each.kind, "")
                yield AccountField(name, about, secret, STRING, default, login=own)
            if login:
                yield AccountField("client_id", "The client id for logins.", secret=False, type=STRING, default=None)
                yield AccountField("client_secret", "The client secret.", secret=True, type=STRING, default=None)
                about = f"The scopes to ask for{f', such as {listed(each.scopes, 3)}' if each.scopes else ''}."
                yield AccountField("scopes", about, secret=False, type=List(STRING), default=None)
            if login and each.kind == "client":
                about = "The token of a login; without it, each process fetches one."
                yield AccountField("token", about, secret=True, type=STRING, default=None, login=login)
            if each.kind == "signature":
                about = "The session token of a temporary access key."
                yield AccountField("session_token", about, secret=True, type=STRING, default=None)
    for variable in access.variables:
        kind: Type = Choice(tuple(variable.choices)) if variable.choices else STRING
        default = variable.default or REQUIRED
        yield AccountField(variable.field, "A part of the service's address.", variable.secret, kind, default)
    for setting in access.settings:
        needed = setting.required and setting.default is None
        default = REQUIRED if needed else setting.default
        yield AccountField(setting.field, f"Sent as {setting.header}.", setting.secret, STRING, default)
    if any(each.kind == "signature" for credentials in access.alternatives for each in credentials):
        region = _region(access)
        yield AccountField("region", "The region of AWS.", secret=False, type=STRING, default=region or REQUIRED)
    usual = access.base_url if access.base_url and not access.variables else None
    about = "The base URL of the API."
    yield AccountField("base_url", about, secret=False, type=STRING, default=usual if access.base_url else REQUIRED)


def _region(access: Access) -> str:
    """Return the region of a service of AWS if an account has none; empty if its address does not say it."""
    usual = next((each.default for each in access.variables if each.field == "region"), "")
    found = _REGION.search(access.base_url)
    return usual or ((found[1] or "us-east-1") if found else "")


@dataclass(frozen=True)
class Refusal:
    """How a service reports errors with status 200: the ``value`` at ``place``; the message is at another place."""

    place: str
    value: Json
    message: str = ""


class DocumentAccount:
    """An account of an integration made from a document; ``tokens`` are fetched with client ids and secrets."""

    def __init__(self, access: Access, refusal: Refusal | None, tokens: ClientTokens, **settings: Any) -> None:
        self.access = access
        self.refusal = refusal
        self.tokens = tokens
        self.settings = settings

    def open(self, send: Send) -> DocumentClient:
        """Return the client that sends the account's requests.

        Raises:
            NotConfigured: The account lacks a required credential, or signed requests need a package.
        """
        return DocumentClient(self, send)


class DocumentClient:
    """Sends the requests of one account, with its credentials."""

    def __init__(self, account: DocumentAccount, send: Send) -> None:
        self._access = account.access
        self._refusal = account.refusal
        self._settings = account.settings
        self._send = send
        self._lacks: NotConfigured | None = None
        credentials: list[Credential] = []
        try:
            credentials = _chosen(self._access, self._settings)
        except NotConfigured as error:
            if not self._access.session:
                raise
            self._lacks = error
        self._signer = Several([self._auth_of(each, account.tokens) for each in credentials])
        self._apis: dict[str, Api] = {}

    def api(self, server: str, *, is_open: bool = False) -> Api:
        """Return the client for an operation's own base URL, or the service's; one that the account sets wins.

        Raises:
            NotConfigured: Credentials must not be sent there, since the user has not named its origin; or the account
                has none, and the operation is not open.
        """
        if self._lacks and not is_open:
            logins = " or ".join(self._access.session.get("logins", ()))
            hint = f"call it on session(...) of the result of {logins}, or {self._lacks.hint}"
            raise NotConfigured(self._lacks.what, hint=hint)
        own = self._settings.get("base_url")
        is_usual = not server or own not in (None, self._access.base_url)
        url = self._access.address(self._settings) if is_usual else server
        if url not in self._apis:
            if not is_usual:
                self._access.check_origin(url)
            secrets = {each.wire: self._settings[each.field] for each in self._access.variables if each.secret}
            self._apis[url] = Api(
                self._send, url, auth=self._signer, headers=dict(self._headers()), url_secrets=secrets
            )
        return self._apis[url]

    def checked(self, response: Response) -> Response:
        """Return a response, unless its body reports an error.

        Raises:
            ApiError: The body reports an error although the status is 200.
        """
        if self._refusal is None or not response.body:
            return response
        try:
            body = response.json()
        except (ValueError, RecursionError):
            return response
        if not isinstance(body, dict) or at(body, self._refusal.place) != self._refusal.value:
            return response
        said = at(body, self._refusal.message) if self._refusal.message else None
        words = said if isinstance(said, str) else message_of(response)
        raise ApiError(f"{response.asked} was refused: {words}", status=response.status, body=body_of(response))

    def _auth_of(self, credential: Credential, tokens: ClientTokens) -> Auth:
        """Return what adds a credential to each request."""
        settings = self._settings
        if credential.kind == "signature":
            key_id, secret = (settings[name] for name in credential.fields)
            region = settings.get("region") or _region(self._access)
            return AwsSignature(credential.name, region, key_id, secret, settings.get("session_token"))
        values = [settings[name] for name in credential.fields]
        if credential.kind == "client" and settings.get("token"):
            return Bearer(settings["token"])
        if credential.kind == "client":
            url = urljoin(self._access.address(settings), credential.login["token"])
            scope = " ".join(settings.get("scopes") or ())
            return _ClientAuth(tokens.of(url, values[0], values[1], scope), self._send)
        if credential.kind == "bearer":
            return Bearer(values[-1], credential.prefix or "Bearer")
        if credential.kind == "basic":
            return Basic(*values) if len(values) > 1 else HeaderKey("Authorization", _as_user(values[0]))
        if credential.kind == "header":
            key = values[0].prefixed(credential.prefix) if credential.prefix else values[0]
            return HeaderKey(credential.name, key)
        return (CookieKey if credential.kind == "cookie" else QueryKey)(credential.name, values[0])

    def _headers(self) -> Iterator[tuple[str, str | Secret]]:
        for each in self._access.settings:
            value = self._settings.get(each.field, each.default)
            if value is not None:
                yield each.header, value


def _chosen(access: Access, settings: Mapping[str, Any]) -> list[Credential]:
    """Return the credentials to send: the first alternative that the account has; none if it has no part of any."""

    def held(credentials: list[Credential]) -> int:
        return sum(settings.get(name) is not None for each in credentials for name in each.fields)

    for credentials in filter(None, access.alternatives):
        if all(settings.get(name) for each in credentials for name in each.fields):
            return credentials
    nearest = max(access.alternatives, key=held, default=[])
    if not nearest or ([] in access.alternatives and not held(nearest)):
        return []
    missing = [name for each in nearest for name in each.fields if not settings.get(name)]
    hint = f"add {', '.join(missing)} to the accounts file"
    raise NotConfigured(f"the account has no {' and no '.join(missing)}", hint=hint)


def _as_user(key: Secret) -> Secret:
    """Return the ``Authorization`` header with a key as the user name and no password."""
    from base64 import b64encode

    encoded = Secret(b64encode(f"{key.reveal()}:".encode()).decode())
    return Secret(f"Basic {encoded.reveal()}", holding=[key, encoded])


class ClientTokens:
    """Access tokens fetched with client ids and secrets (RFC 6749, 4.4), kept until they expire."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tokens: dict[tuple[str, str, str, str], _Token] = {}

    def of(self, url: str, client: str, secret: Secret, scope: str) -> _Token:
        """Return the token for a client id and secret, fetched on first use; scopes are separated by spaces."""
        with self._lock:
            return self._tokens.setdefault((url, client, secret.reveal(), scope), _Token(url, client, secret, scope))


class _Token:
    """An access token, fetched on first use, and again before it expires."""

    def __init__(self, url: str, client: str, secret: Secret, scope: str) -> None:
        self._url = url
        self._headers = {"Authorization": secret.as_password_of(client)}
        self._form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        self._lock = Lock()
        self._token: Secret | None = None
        self._ends = 0.0

    def get(self, send: Send) -> Secret:
        with self._lock:
            if self._token is None or time.monotonic() >= self._ends:
                answer = Api(send, self._url, headers=self._headers).post("", form=self._form, safe=True)
                given = answer if isinstance(answer, dict) else {}
                if not isinstance(given.get("access_token"), str):
                    hint = "check client_id, client_secret and scopes in the accounts file"
                    raise NotConfigured("the service returned no access_token for the client_id", hint=hint)
                seconds = given.get("expires_in")
                lasts = float(seconds) if isinstance(seconds, (int, float)) else 300.0
                self._token, self._ends = Secret(given["access_token"]), time.monotonic() + lasts - RENEW_BEFORE
            return self._token


@dataclass(frozen=True)
class _ClientAuth:
    """Adds an access token to each request."""

    token: _Token
    send: Send

    def sign(self, request: Request) -> Request:
        return Bearer(self.token.get(self.send)).sign(request)


def refusal_of(told: Mapping[str, Any]) -> Refusal | None:
    """Return what the overlay's table ``errors`` says, such as ``failed = "ok == false"`` and ``message = "error"``."""
    import json

    if "failed" not in told:
        return None
    place, _, value = str(told["failed"]).partition("==")
    try:
        wanted: Json = json.loads(value)
    except ValueError:
        wanted = value.strip()
    return Refusal(place.strip(), wanted, str(told.get("message", "")))
