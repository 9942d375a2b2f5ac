"""OAuth 2: logging in by browser, by device code or as a client, and renewing and revoking tokens.

Authlib makes the requests of the protocol and reads their answers. The MCP SDK has a client too, but it is
asynchronous, has no device codes, and does not coordinate renewals with other processes.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kosmolua.errors import NetworkError, NotConfigured
from kosmolua.http.oauth_services import (
    REQUEST_TIMEOUT,
    Refused,
    Service,
    check_address,
    origin_of,
    post,
    reaching,
    register,
    where_to_revoke,
)

LOGIN_TIMEOUT = 300.0
"""Seconds within which a person must log in."""
EARLY = 30.0
"""How many seconds before its end a token is renewed."""
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL = 5
"""Seconds between two polls for the login of a device, if the service sets none (RFC 8628)."""
_PAGE = "<!doctype html><meta charset=utf-8><title>KosmoLua</title><p>{}</p>"


@dataclass(frozen=True)
class Tokens:
    """The tokens of a login.

    Args:
        access: The token that is sent with each request.
        refresh: The token that renews it, or empty.
        expires: When the access token ends, in seconds since 1970; None if the service does not say.
        scope: Its scopes, in the service's words.
    """

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    expires: float | None = None
    scope: str = ""

    @property
    def is_over(self) -> bool:
        """True if the access token has ended, or will end within moments."""
        return self.expires is not None and self.expires - EARLY < time.time()


def log_in_by_browser(service: Service, open_page: Callable[[str], object]) -> tuple[Service, Tokens]:
    """Let a person log in on the service's page. Return the service and the tokens.

    The service contains the client that was registered, if that was necessary.

    The service sends the browser back to a port of this machine, with a code. The code is useless without the verifier
    (PKCE, RFC 7636), and an answer without the right state is ignored.

    Args:
        service: The service to log in at.
        open_page: Opens a URL in a browser.

    Raises:
        NetworkError: The service cannot be reached, or nobody logged in in time.
        NotConfigured: The service or the person refused.
    """
    from secrets import token_urlsafe

    with _callbacks() as (address, answers):
        if not service.client_id:
            service = register(service, address)
        verifier = token_urlsafe(48)
        with _client(service, redirect_uri=address) as client:
            extra = {"resource": service.resource} if service.resource else {}
            url, state = client.create_authorization_url(
                service.login.authorize, code_verifier=verifier, **extra, **service.login.parameters
            )
            open_page(url)
            answer = _answer_with(state, answers, service)
            return service, _tokens(service, client, code=answer, code_verifier=verifier, **extra)


def log_in_by_device(service: Service, show: Callable[[str, str], object]) -> tuple[Service, Tokens]:
    """Let a person type a code on another device (RFC 8628). Return the service and the tokens.

    Args:
        service: The service to log in at.
        show: Shows the page and the code to the person.

    Raises:
        NetworkError: The service cannot be reached, or nobody logged in in time.
        NotConfigured: The service or the person refused.
    """
    if not service.client_id:
        service = register(service, "http://127.0.0.1/callback")
    given = post(service.login.device, {"client_id": service.client_id, "scope": " ".join(service.login.scopes)})
    show(str(given.get("verification_uri_complete") or given.get("verification_uri")), str(given.get("user_code")))
    ends = time.monotonic() + min(float(given.get("expires_in", LOGIN_TIMEOUT)), LOGIN_TIMEOUT)
    interval = float(given.get("interval", DEFAULT_INTERVAL))
    with _client(service) as client:
        while time.monotonic() < ends:
            time.sleep(interval)
            try:
                extra = {"resource": service.resource} if service.resource else {}
                device_code = given["device_code"]
                tokens = _tokens(service, client, grant_type=DEVICE_GRANT, device_code=device_code, **extra)
                return service, tokens
            except Refused as refusal:
                if refusal.code == "slow_down":
                    interval += DEFAULT_INTERVAL
                elif refusal.code != "authorization_pending":
                    raise
    raise NetworkError("Nobody typed the code in time")


def log_in_as_client(service: Service) -> tuple[Service, Tokens]:
    """Log the client itself in by its id and secret. Return the service without other logins, and the tokens."""
    service = replace(service, login=replace(service.login, authorize="", device=""))
    with _client(service) as client:
        return service, _tokens(service, client, grant_type="client_credentials")


def renew(service: Service, tokens: Tokens) -> Tokens:
    """Return fresh tokens in place of those that have expired.

    Raises:
        NetworkError: The service cannot be reached.
        NotConfigured: There is nothing to renew them with, or the service refuses.
    """
    if not tokens.refresh and service.client_secret and not service.login.authorize:
        return log_in_as_client(service)[1]
    if not tokens.refresh:
        raise NotConfigured("The login has expired, and the service gave no refresh token")
    extra = {"resource": service.resource} if service.resource else {}
    service = replace(service, login=replace(service.login, token=service.login.refresh or service.login.token))
    with _client(service) as client:
        fresh = _tokens(service, client, grant_type="refresh_token", refresh_token=tokens.refresh, **extra)
    return fresh if fresh.refresh else replace(fresh, refresh=tokens.refresh)


def revoke(service: Service, tokens: Tokens) -> bool:
    """Revoke tokens (RFC 7009). Return False if the service does not support this.

    Raises:
        NetworkError: The service cannot be reached, or it refuses.
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


def _tokens(service: Service, client: Any, **parameters: Any) -> Tokens:
    """Return the tokens that the service gives for these parameters."""
    from authlib.common.errors import AuthlibBaseError

    check_address(service.login.token)
    with reaching(service.login.token):
        try:
            grant = parameters.get("grant_type")
            if grant == "refresh_token":
                del parameters["grant_type"]
                given = client.refresh_token(service.login.token, timeout=REQUEST_TIMEOUT, **parameters)
            else:
                given = client.fetch_token(service.login.token, timeout=REQUEST_TIMEOUT, **parameters)
        except AuthlibBaseError as error:
            raise Refused(origin_of(service.login.token), str(error.error), str(error.description or "")) from None
    if not isinstance(given.get("access_token"), str):
        raise Refused(origin_of(service.login.token), "invalid_response", "its answer has no token")
    expires = given.get("expires_in")
    return Tokens(
        given["access_token"],
        str(given.get("refresh_token") or ""),
        time.time() + float(expires) if expires is not None else None,
        str(given.get("scope") or ""),
    )


@contextmanager
def _client(service: Service, redirect_uri: str | None = None) -> Iterator[Any]:
    """Yield Authlib's client, which authenticates by the client's secret if there is one."""
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
        token_endpoint_auth_method="client_secret_basic" if service.client_secret else "none",
    ) as client:
        yield client


@contextmanager
def _callbacks() -> Iterator[tuple[str, Queue[dict[str, str]]]]:
    """Listen on a port of this machine. Yield its address, and a queue of the parameters that browsers bring."""
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
            """Log nothing, since the path contains the code."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/callback", answers
    finally:
        server.shutdown()
        server.server_close()


def _answer_with(state: str, answers: Queue[dict[str, str]], service: Service) -> str:
    """Return the code of the first answer with the right state. Other answers are ignored."""
    ends = time.monotonic() + LOGIN_TIMEOUT
    while (left := ends - time.monotonic()) > 0:
        try:
            answer = answers.get(timeout=left)
        except Empty:
            break
        if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
            continue
        issuer = answer.get("iss")
        if issuer and service.issuer and issuer.rstrip("/") != service.issuer:
            raise NotConfigured("The answer to the login came from another service")
        if "code" in answer:
            return answer["code"]
        where = origin_of(service.login.authorize)
        raise Refused(where, answer.get("error", "no code"), answer.get("error_description", ""))
    raise NetworkError("Nobody logged in in time")
