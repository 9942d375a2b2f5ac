"""OAuth 2: logs in by browser, by device code or as a client, and renews and revokes tokens.

Authlib makes the requests of the protocol and reads the responses. The MCP SDK has an OAuth client too, but it is
asynchronous, has no device codes, and does not coordinate renewals with other processes.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kosmolua.errors import NetworkError, NotConfigured
from kosmolua.http import proofs
from kosmolua.http.oauth_services import (
    REQUEST_TIMEOUT,
    OAuthError,
    Service,
    check_address,
    origin_of,
    post,
    reaching,
    register,
    where_to_revoke,
)

LOGIN_TIMEOUT = 300.0
"""How many seconds a person has to log in."""
EARLY = 30.0
"""How many seconds before it expires a token is renewed."""
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_OF_EXCHANGE = ("client_id", "client_secret", "audience", "resource")
LAST, UNSAID = 10.0, 60.0
"""Seconds before its end in which an exchanged token is not used any more, and that one is used of unknown end."""
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION_KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_KIND = "urn:ietf:params:oauth:token-type:"
DEFAULT_INTERVAL = 5
"""Seconds between two polls for the login of a device, if the service sets none (RFC 8628)."""
_PAGE = "<!doctype html><meta charset=utf-8><title>KosmoLua</title><p>{}</p>"


@dataclass(frozen=True)
class Tokens:
    """The tokens of a login.

    Args:
        access: The access token, which is sent with each request.
        refresh: The refresh token, which gets a new one; empty if there is none.
        expires: When the access token expires, in seconds since 1970, or None.
        scope: Its scopes, as the service writes them.
        key: The key that the tokens are bound to (DPoP), as PEM; empty if they are not.
    """

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    expires: float | None = None
    scope: str = ""
    key: str = field(default="", repr=False)

    @property
    def is_over(self) -> bool:
        """Whether the access token expires within half a minute."""
        return self.expires is not None and self.expires - EARLY < time.time()


def log_in_by_browser(service: Service, open_page: Callable[[str], object]) -> tuple[Service, Tokens]:
    """Let a person log in on the page that ``open_page`` opens, and return the service, with a ``client_id``, and the
    tokens.

    The service redirects the browser to a port of this machine with a code, which is exchanged for the tokens. The code
    is useless without a secret verifier (PKCE, RFC 7636), and redirects without the right ``state`` are ignored.
    Without a ``client_id``, this program is registered first.

    Raises:
        NetworkError: The service cannot be reached, or the login took too long.
        NotConfigured: The service or the person refused the login.
    """
    from secrets import token_urlsafe

    with _callbacks() as (address, answers):
        if not service.client_id:
            service = register(service, address)
        verifier = token_urlsafe(48)
        with _client(service, redirect_uri=address) as client:
            extra = _resource(service)
            url, state = client.create_authorization_url(
                service.login.authorize, code_verifier=verifier, **extra, **service.login.parameters
            )
            open_page(url)
            answer = _answer_with(state, answers, service)
            return service, _tokens(service, client, code=answer, code_verifier=verifier, **extra)


def log_in_by_device(service: Service, show: Callable[[str, str], object]) -> tuple[Service, Tokens]:
    """Let a person type a code on another device (RFC 8628); ``show`` gets the page's URL and the code.

    Else as :func:`log_in_by_browser`.
    """
    if not service.client_id:
        service = register(service, "http://127.0.0.1/callback")
    given = post(service.login.device, {"client_id": service.client_id, "scope": " ".join(service.login.scopes)})
    show(str(given.get("verification_uri_complete") or given.get("verification_uri")), str(given.get("user_code")))
    ends = time.monotonic() + min(_seconds(given, "expires_in", LOGIN_TIMEOUT), LOGIN_TIMEOUT)
    interval = _seconds(given, "interval", DEFAULT_INTERVAL)
    with _client(service) as client:
        while time.monotonic() < ends:
            time.sleep(interval)
            try:
                asked = {"grant_type": DEVICE_GRANT, "device_code": given["device_code"], **_resource(service)}
                return service, _tokens(service, client, **asked)
            except OAuthError as refusal:
                if refusal.code == "slow_down":
                    interval += DEFAULT_INTERVAL
                elif refusal.code != "authorization_pending":
                    raise
    raise NetworkError("Nobody typed the code in time", hint="log in again")


def log_in_as_client(service: Service) -> tuple[Service, Tokens]:
    """Log in with ``client_secret`` or ``credentials``; return the service without its login pages, and the tokens.

    Raises:
        NetworkError: The service cannot be reached.
        NotConfigured: The service refused the login, or the private key cannot be used.
    """
    service = replace(service, login=replace(service.login, authorize="", device=""))
    own = service.credentials
    assertion = _vouched(service) if own.provider else own.assertion
    grant = {"grant_type": BEARER_GRANT, "assertion": assertion} if assertion else {"grant_type": "client_credentials"}
    if own.private_key:
        audience = service.issuer or service.login.token
        grant["client_assertion_type"] = ASSERTION_KIND
        grant["client_assertion"] = proofs.signed_assertion(service.client_id, audience, own.private_key, own.algorithm)
    if service.login.scopes:
        grant["scope"] = " ".join(service.login.scopes)
    with _client(service) as client:
        return service, _tokens(service, client, **grant, **_resource(service))


def _vouched(service: Service) -> str:
    """Let the identity provider vouch for its user at the service (RFC 8693, enterprise-managed authorization)."""
    provider = service.credentials.provider
    missing = [name for name in ("token_endpoint", "client_id", "id_token") if not provider.get(name)]
    if missing:
        raise NotConfigured(f"idp has no {missing[0]}", hint="idp has token_endpoint, client_id and id_token")
    asked = {
        "grant_type": EXCHANGE_GRANT,
        "requested_token_type": f"{TOKEN_KIND}id-jag",
        "subject_token_type": f"{TOKEN_KIND}id_token",
        "subject_token": provider["id_token"],
        "client_id": provider["client_id"],
        "audience": service.issuer,
        **_resource(service),
    }
    return str(_with_token(provider["token_endpoint"], post(provider["token_endpoint"], asked))["access_token"])


def _with_token(url: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an answer of a service for tokens; raise an OAuthError if it has none."""
    if not isinstance(given.get("access_token"), str):
        raise OAuthError(origin_of(url), "invalid_response", "its answer has no access_token")
    return given


def exchanged(settings: Mapping[str, Any], subject: str) -> tuple[str, float]:
    """Exchange a person's token for one that acts on their behalf (RFC 8693); return it, and its seconds.

    ``settings`` are those of ``on_behalf`` in an account's section.

    Raises:
        NetworkError: The service for tokens cannot be reached.
        NotConfigured: It refuses.
    """
    asked = {
        "grant_type": EXCHANGE_GRANT,
        "requested_token_type": f"{TOKEN_KIND}access_token",
        "subject_token_type": f"{TOKEN_KIND}access_token",
        "subject_token": subject,
        **{name: settings[name] for name in _OF_EXCHANGE if settings.get(name)},
    }
    if settings.get("scopes"):
        asked["scope"] = " ".join(settings["scopes"])
    given = _with_token(settings["token_url"], post(settings["token_url"], asked))
    return given["access_token"], max(_seconds(given, "expires_in", UNSAID + LAST) - LAST, 0)


def _seconds(answer: Mapping[str, Any], name: str, usual: float) -> float:
    """Return a number of seconds in a service's answer, or the usual one if this is none."""
    try:
        seconds = float(answer.get(name, usual))
    except (TypeError, ValueError):
        return usual
    return seconds if 0 <= seconds < inf else usual


def _resource(service: Service) -> dict[str, str]:
    return {"resource": service.resource} if service.resource else {}


def renew(service: Service, tokens: Tokens) -> Tokens:
    """Return new tokens, by the refresh token or, for a login without a person, by the ``client_secret``.

    Raises:
        NetworkError: The service cannot be reached.
        NotConfigured: There is no refresh token, or the service refuses to renew.
    """
    if not tokens.refresh and service.client_secret and not service.login.needs_person:
        return log_in_as_client(service)[1]
    if not tokens.refresh:
        raise NotConfigured("The login has expired, and the service gave no refresh token")
    service = replace(service, login=replace(service.login, token=service.login.refresh or service.login.token))
    asked = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, **_resource(service)}
    with _client(service) as client:
        fresh = _tokens(service, client, key=tokens.key, **asked)
    return fresh if fresh.refresh else replace(fresh, refresh=tokens.refresh)


def revoke(service: Service, tokens: Tokens) -> bool:
    """Revoke the tokens of a login (RFC 7009). Return False if the service cannot.

    Raises:
        NetworkError: The service cannot be reached, or it refuses to revoke a token.
    """
    address = service.login.revoke or where_to_revoke(service)
    if not address:
        return False
    for token, kind in ((tokens.refresh, "refresh_token"), (tokens.access, "access_token")):
        if token:
            with _client(service) as client, reaching(address):
                check_address(address)
                answer = client.revoke_token(address, token=token, token_type_hint=kind, timeout=REQUEST_TIMEOUT)
                if answer.status_code >= 400:
                    raise NetworkError(f"{origin_of(address)} did not revoke the {kind}")
    return True


def _tokens(service: Service, client: Any, *, key: str = "", **parameters: Any) -> Tokens:
    """Send a token request, proving the possession of ``key``, or of a new one, where tokens are bound to one."""
    check_address(service.login.token)
    key = key or (proofs.new_key() if service.binds_tokens else "")
    nonces: list[str] = []
    client.hooks["response"].append(lambda answer, *_, **__: nonces.append(answer.headers.get("DPoP-Nonce", "")))
    try:
        given = _answer_to(service, client, key, "", parameters)
    except OAuthError as refusal:
        if refusal.code != "use_dpop_nonce" or not nonces[-1:]:
            raise
        given = _answer_to(service, client, key, nonces[-1], parameters)
    expires = _with_token(service.login.token, given).get("expires_in")
    return Tokens(
        given["access_token"],
        str(given.get("refresh_token") or ""),
        time.time() + float(expires) if expires is not None else None,
        str(given.get("scope") or " ".join(service.login.scopes)),
        key,
    )


def _answer_to(service: Service, client: Any, key: str, nonce: str, parameters: dict[str, Any]) -> Any:
    from authlib.common.errors import AuthlibBaseError

    url = service.login.token
    if key:
        client.headers["DPoP"] = proofs.proof_of_possession(key, "POST", url, nonce=nonce)
    with reaching(url):
        try:
            if parameters.get("grant_type") == "refresh_token":
                named = {name: value for name, value in parameters.items() if name != "grant_type"}
                return client.refresh_token(url, timeout=REQUEST_TIMEOUT, **named)
            return client.fetch_token(url, timeout=REQUEST_TIMEOUT, **parameters)
        except AuthlibBaseError as error:
            raise OAuthError(origin_of(url), str(error.error), str(error.description or "")) from None
        except (TypeError, ValueError):  # Authlib converts the times in an answer
            raise OAuthError(origin_of(url), "invalid_response", "its answer is no token as RFC 6749 has it") from None


@contextmanager
def _client(service: Service, redirect_uri: str | None = None) -> Iterator[Any]:
    """Yield Authlib's client, which follows no redirect: its requests contain codes and refresh tokens."""
    try:
        from authlib.integrations.requests_client import OAuth2Session
    except ImportError:
        raise NotConfigured("A login needs the package authlib", hint="pip install 'kosmolua[oauth]'") from None
    with OAuth2Session(
        service.client_id,
        service.client_secret or None,
        scope=" ".join(service.login.scopes) or None,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        token_endpoint_auth_method=service.method,
    ) as client:
        client.max_redirects = 0
        yield client


@contextmanager
def _callbacks() -> Iterator[tuple[str, Queue[dict[str, str]]]]:
    """Listen for redirects on a port of this machine; yield the address, and a queue of query parameters."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    answers: Queue[dict[str, str]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path != "/callback":
                self.send_error(404)
                return
            answers.put({name: values[0] for name, values in parse_qs(parts.query).items()})
            page = _PAGE.format("You may close this page: KosmoLua continues in its terminal.").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing: the path contains the code."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/callback", answers
    finally:
        server.shutdown()
        server.server_close()


def _answer_with(state: str, answers: Queue[dict[str, str]], service: Service) -> str:
    """Wait for the redirect with the right ``state``, and return its code."""
    ends = time.monotonic() + LOGIN_TIMEOUT
    while (left := ends - time.monotonic()) > 0:
        try:
            answer = answers.get(timeout=left)
        except Empty:
            break
        if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
            continue
        issuer = answer.get("iss", service.issuer if not service.names_itself else "")
        if service.issuer and issuer != service.issuer:
            raise NotConfigured(f"The login at {service.issuer} was answered by another service, so it was refused")
        if "code" in answer:
            return answer["code"]
        where = origin_of(service.login.authorize)
        raise OAuthError(where, answer.get("error", "no code"), answer.get("error_description", ""))
    raise NetworkError("Nobody logged in in time", hint="log in again")
