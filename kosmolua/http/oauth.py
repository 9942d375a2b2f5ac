"""OAuth 2: logging in by browser, by device code or as a client, and renewing and revoking what that gave.

Authlib makes the requests of the protocol and reads their answers. The SDK of MCP has a client too, but it is
asynchronous, knows no device code, and renews a token without regard to other processes.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from ipaddress import ip_address
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from kosmolua.errors import NetworkError, NotConfigured
from kosmolua.http.auth import OAuth2

LOGIN_TIMEOUT = 300.0
"""Seconds that a person has to log in."""
REQUEST_TIMEOUT = 30.0
EARLY = 30.0
"""Seconds before its end at which a token is renewed."""
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL = 5
"""Seconds between two questions whether a device was let in, if the service names none (RFC 8628)."""
_PAGE = "<!doctype html><meta charset=utf-8><title>KosmoLua</title><p>{}</p>"


@dataclass(frozen=True)
class Service:
    """A service as a client sees it: its endpoints, and who the client is.

    Args:
        login: The endpoints.
        client_id: The client.
        client_secret: Its password, or nothing.
        register: Where a client registers itself (RFC 7591), if it has no name yet.
        resource: What the tokens are for (RFC 8707), or nothing.
        issuer: The name of the service, which its answers must have (RFC 9207), or nothing.
    """

    login: OAuth2
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    register: str = ""
    resource: str = ""
    issuer: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, with its secret."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Service:
        """Return what :meth:`as_json` returned."""
        login = values["login"]
        return cls(**{**values, "login": OAuth2(**{**login, "scopes": tuple(login["scopes"])})})


@dataclass(frozen=True)
class Tokens:
    """What a login gave.

    Args:
        access: Sent with each request.
        refresh: Renews it, or nothing.
        expires: When it ends, in seconds since 1970, or None if the service does not say.
        scope: What it may do, in the service's words.
    """

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    expires: float | None = None
    scope: str = ""

    @property
    def is_over(self) -> bool:
        """True if it has ended, or will in a moment."""
        return self.expires is not None and self.expires - EARLY < time.time()


def discover(url: str) -> Service:
    """Return the service that guards an address, as that says itself (RFC 9728 and 8414).

    Raises:
        NetworkError: It cannot be reached.
        NotConfigured: It does not say how to log in.
    """
    resource = _protected_resource(url)
    issuers = resource.get("authorization_servers") or [_origin(url)]
    issuer = str(issuers[0]).rstrip("/")
    metadata = _first_document(_metadata_urls(issuer))
    if not metadata or not metadata.get("token_endpoint"):
        raise NotConfigured(f"{_origin(url)} does not say how to log in", hint="set token in its section")
    if str(metadata.get("issuer", issuer)).rstrip("/") != issuer:
        raise NotConfigured(f"{issuer} calls itself {metadata['issuer']}: it is not the service that was meant")
    if "S256" not in metadata.get("code_challenge_methods_supported", ["S256"]):
        raise NotConfigured(f"{issuer} does not protect a login by PKCE with S256")
    login = OAuth2(
        token=metadata["token_endpoint"],
        authorize=metadata.get("authorization_endpoint", ""),
        device=metadata.get("device_authorization_endpoint", ""),
        revoke=metadata.get("revocation_endpoint", ""),
        scopes=tuple(resource.get("scopes_supported") or ()),
    )
    return Service(
        login,
        register=metadata.get("registration_endpoint", ""),
        resource=str(resource.get("resource", "")),
        issuer=issuer,
    )


def log_in_by_browser(service: Service, open_page: Callable[[str], object]) -> tuple[Service, Tokens]:
    """Let a person log in on the service's page, and return the tokens, with the client if it had to register.

    The service sends the person back to a port of this machine. The code that comes with that is of no use without
    the verifier (PKCE, RFC 7636), and an answer without the right state is ignored.

    Args:
        service: Where.
        open_page: Opens a URL in a browser.

    Raises:
        NetworkError: The service cannot be reached, or nobody logged in in time.
        NotConfigured: The service or the person refused.
    """
    from secrets import token_urlsafe

    with _callbacks() as (address, answers):
        if not service.client_id:
            service = _registered(service, address)
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
    """Let a person type a code on another device, and return the tokens (RFC 8628).

    Args:
        service: Where.
        show: Shows a person the page and the code.

    Raises:
        NetworkError: The service cannot be reached, or nobody logged in in time.
        NotConfigured: The service or the person refused.
    """
    if not service.client_id:
        service = _registered(service, "http://127.0.0.1/callback")
    given = _posted(service.login.device, {"client_id": service.client_id, "scope": " ".join(service.login.scopes)})
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
            except _Refused as refusal:
                if refusal.code == "slow_down":
                    interval += DEFAULT_INTERVAL
                elif refusal.code != "authorization_pending":
                    raise
    raise NetworkError("Nobody typed the code in time")


def log_in_as_client(service: Service) -> tuple[Service, Tokens]:
    """Return the tokens of the client itself, which has an id and a secret, and the service without other logins."""
    service = replace(service, login=replace(service.login, authorize="", device=""))
    with _client(service) as client:
        return service, _tokens(service, client, grant_type="client_credentials")


def renew(service: Service, tokens: Tokens) -> Tokens:
    """Return fresh tokens for those that are over.

    Raises:
        NetworkError: The service cannot be reached.
        NotConfigured: There is nothing to renew them with, or the service refuses.
    """
    if not tokens.refresh and service.client_secret and not service.login.authorize:
        return log_in_as_client(service)[1]
    if not tokens.refresh:
        raise NotConfigured("The login is over, and the service gave nothing to renew it with")
    extra = {"resource": service.resource} if service.resource else {}
    service = replace(service, login=replace(service.login, token=service.login.refresh or service.login.token))
    with _client(service) as client:
        fresh = _tokens(service, client, grant_type="refresh_token", refresh_token=tokens.refresh, **extra)
    return fresh if fresh.refresh else replace(fresh, refresh=tokens.refresh)


def revoke(service: Service, tokens: Tokens) -> bool:
    """Revoke tokens (RFC 7009), and return False if the service has no way for that.

    Raises:
        NetworkError: The service cannot be reached, or refuses.
    """
    address = service.login.revoke or _where_to_revoke(service)
    if not address:
        return False
    for token, kind in ((tokens.refresh, "refresh_token"), (tokens.access, "access_token")):
        if token:
            with _client(service) as client, _words_for(address):
                _check_address(address)
                answer = client.revoke_token(address, token=token, token_type_hint=kind, timeout=REQUEST_TIMEOUT)
                if answer.status_code >= 400:
                    raise NetworkError(f"{_origin(address)} did not revoke the {kind}")
    return True


def _where_to_revoke(service: Service) -> str:
    """Return where the service that gave tokens says that they are revoked (RFC 8414), or nothing."""
    metadata = _first_document(_metadata_urls(_origin(service.login.token))) or {}
    is_same = metadata.get("token_endpoint") == service.login.token
    return str(metadata.get("revocation_endpoint") or "") if is_same else ""


class _Refused(NotConfigured):
    """The service refused a request of the protocol, with a code of its own."""

    def __init__(self, service: str, code: str, description: str) -> None:
        super().__init__(f"{service} refused: {description or code}"[:500])
        self.code = code


def _tokens(service: Service, client: Any, **parameters: Any) -> Tokens:
    """Return the tokens that the service gives for what is known."""
    from authlib.common.errors import AuthlibBaseError

    _check_address(service.login.token)
    with _words_for(service.login.token):
        try:
            grant = parameters.get("grant_type")
            if grant == "refresh_token":
                del parameters["grant_type"]
                given = client.refresh_token(service.login.token, timeout=REQUEST_TIMEOUT, **parameters)
            else:
                given = client.fetch_token(service.login.token, timeout=REQUEST_TIMEOUT, **parameters)
        except AuthlibBaseError as error:
            raise _Refused(_origin(service.login.token), str(error.error), str(error.description or "")) from None
    if not isinstance(given.get("access_token"), str):
        raise _Refused(_origin(service.login.token), "invalid_response", "its answer holds no token")
    expires = given.get("expires_in")
    return Tokens(
        given["access_token"],
        str(given.get("refresh_token") or ""),
        time.time() + float(expires) if expires is not None else None,
        str(given.get("scope") or ""),
    )


@contextmanager
def _client(service: Service, redirect_uri: str | None = None) -> Iterator[Any]:
    """Yield Authlib's client, which signs in by a secret if there is one."""
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


def _registered(service: Service, address: str) -> Service:
    """Return the service with a client that registered itself (RFC 7591)."""
    if not service.register:
        raise NotConfigured("The service lets no client register itself", hint="set client_id in its section")
    given = _posted(
        service.register,
        {
            "client_name": "KosmoLua",
            "redirect_uris": [address],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        },
        in_json=True,
    )
    if not given.get("client_id"):
        raise NotConfigured(f"{_origin(service.register)} registered no client")
    return replace(service, client_id=str(given["client_id"]), client_secret=str(given.get("client_secret") or ""))


@contextmanager
def _callbacks() -> Iterator[tuple[str, Queue[dict[str, str]]]]:
    """Listen on a port of this machine, and yield its address and what browsers bring there."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    answers: Queue[dict[str, str]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path != "/callback":
                self.send_error(404)
                return
            answers.put({name: values[0] for name, values in parse_qs(parts.query).items()})
            page = _PAGE.format("You may close this page: KosmoLua goes on in its terminal.").encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing: the path holds the code."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/callback", answers
    finally:
        server.shutdown()
        server.server_close()


def _answer_with(state: str, answers: Queue[dict[str, str]], service: Service) -> str:
    """Return the code of the answer that has the right state; others are ignored."""
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
        where = _origin(service.login.authorize)
        raise _Refused(where, answer.get("error", "no code"), answer.get("error_description", ""))
    raise NetworkError("Nobody logged in in time")


def _protected_resource(url: str) -> dict[str, Any]:
    """Return what an address says of itself as a protected resource, or nothing."""
    import re

    import requests

    _check_address(url)
    with _words_for(url):
        answer = requests.get(url, timeout=REQUEST_TIMEOUT, allow_redirects=False, stream=True)
        challenge = answer.headers.get("WWW-Authenticate", "")
        answer.close()
    named = re.search(r'resource_metadata="?([^",\s]+)', challenge)
    path = urlsplit(url).path.rstrip("/")
    known = urljoin(url, "/.well-known/oauth-protected-resource")
    documents = [*([named[1]] if named else ()), *([f"{known}{path}"] if path else ()), known]
    found = _first_document(documents) or {}
    resource = str(found.get("resource", ""))
    if resource and not (_origin(resource) == _origin(url) and url.startswith(resource.rstrip("/"))):
        raise NotConfigured(f"{_origin(url)} calls itself {resource}: a token for that is not for it")
    return found


def _metadata_urls(issuer: str) -> list[str]:
    path = urlsplit(issuer).path.rstrip("/")
    root = _origin(issuer)
    return [
        f"{root}/.well-known/oauth-authorization-server{path}",
        f"{root}/.well-known/openid-configuration{path}",
        *([f"{issuer}/.well-known/openid-configuration"] if path else ()),
    ]


def _first_document(urls: list[str]) -> dict[str, Any] | None:
    import requests

    for url in urls:
        _check_address(url)
        with _words_for(url):
            answer = requests.get(url, timeout=REQUEST_TIMEOUT, allow_redirects=False)
        try:
            document = answer.json() if answer.status_code == 200 else None
        except ValueError:
            continue
        if isinstance(document, dict):
            return document
    return None


def _posted(url: str, values: Mapping[str, Any], *, in_json: bool = False) -> dict[str, Any]:
    """Send a form, or JSON, and return the object that comes back."""
    import requests

    _check_address(url)
    body: dict[str, Any] = {"json": values} if in_json else {"data": values}
    with _words_for(url):
        answer = requests.post(
            url, **body, headers={"Accept": "application/json"}, timeout=REQUEST_TIMEOUT, allow_redirects=False
        )
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict) or answer.status_code >= 400:
        said = document if isinstance(document, dict) else {}
        refused = str(said.get("error_description") or "") or f"status {answer.status_code}"
        raise _Refused(_origin(url), str(said.get("error", "")), refused)
    return document


@contextmanager
def _words_for(url: str) -> Iterator[None]:
    """Turn a failure to reach a service into a NetworkError, which shows no secret."""
    import requests

    try:
        yield
    except requests.RequestException as error:
        raise NetworkError(f"{_origin(url)} cannot be reached: {type(error).__name__}") from None


def _check_address(url: str) -> None:
    """Refuse an address to which no credential may go: one without TLS, unless it is this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise NotConfigured(f"{parts.scheme}://{host} is not protected by TLS, so no login goes there")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
