"""Services where accounts log in by OAuth 2: their metadata, the registration of this program, and requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

from kosmolua.errors import NetworkError, NotConfigured
from kosmolua.http.auth import OAuth2

REQUEST_TIMEOUT = 30.0


@dataclass(frozen=True)
class Service:
    """An OAuth 2 service, and this program's identity there.

    Args:
        login: The addresses, and the scopes to ask for.
        client_id: The id of this program; empty if it is not registered yet.
        client_secret: The secret that belongs to it, if any.
        register: The address for registering (RFC 7591), if any.
        resource: The resource that the tokens are for (RFC 8707), if any.
        issuer: The name that a redirect must repeat if it names an issuer (RFC 9207).
    """

    login: OAuth2
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    register: str = ""
    resource: str = ""
    issuer: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the service, with its secret, for JSON."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Service:
        """Restore a service."""
        login = values["login"]
        return cls(**{**values, "login": OAuth2(**{**login, "scopes": tuple(login["scopes"])})})


class OAuthError(NotConfigured):
    """A service refused a request; ``code`` is the protocol's, such as ``access_denied``."""

    def __init__(self, service: str, code: str, description: str) -> None:
        super().__init__(f"{service} refused: {description or code}"[:500])
        self.code = code


def discover(url: str) -> Service:
    """Find the service that issues tokens for an address (RFC 9728 and 8414).

    Raises:
        NetworkError: The address or the service cannot be reached.
        NotConfigured: The metadata is missing or contradictory, or the service does not support safe logins.
    """
    resource = _protected_resource(url)
    issuers = resource.get("authorization_servers") or [origin_of(url)]
    issuer = str(issuers[0]).rstrip("/")
    metadata = _first_document(_metadata_urls(issuer))
    if not metadata or not metadata.get("token_endpoint"):
        raise NotConfigured(
            f"{origin_of(url)} does not say how to log in", hint="set token in its section of the accounts file"
        )
    if str(metadata.get("issuer", issuer)).rstrip("/") != issuer:
        raise NotConfigured(f"The metadata at {issuer} belongs to {metadata['issuer']}, so no login is sent there")
    if "S256" not in metadata.get("code_challenge_methods_supported", ["S256"]):
        raise NotConfigured(f"{issuer} does not support PKCE with S256, which protects a login")
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


def where_to_revoke(service: Service) -> str:
    """Return where tokens are revoked (RFC 8414), or an empty string.

    Raises:
        NetworkError: The service cannot be reached.
    """
    metadata = _first_document(_metadata_urls(origin_of(service.login.token))) or {}
    is_same = metadata.get("token_endpoint") == service.login.token
    return str(metadata.get("revocation_endpoint") or "") if is_same else ""


def register(service: Service, address: str) -> Service:
    """Register this program (RFC 7591), redirected to at ``address``; return the service with its ``client_id``.

    Raises:
        NetworkError: The service cannot be reached.
        NotConfigured: The service does not let programs register, or refuses this one.
    """
    if not service.register:
        raise NotConfigured(
            "The service does not let programs register themselves",
            hint="register KosmoLua with the service yourself, and set client_id in its section of the accounts file",
        )
    given = post(
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
        raise NotConfigured(f"{origin_of(service.register)} was asked to register KosmoLua, but returned no client_id")
    return replace(service, client_id=str(given["client_id"]), client_secret=str(given.get("client_secret") or ""))


def post(url: str, values: Mapping[str, Any], *, in_json: bool = False) -> dict[str, Any]:
    """Send values as a form, or ``in_json``, and return the JSON object of the response.

    Raises:
        NetworkError: The service cannot be reached, or redirects to another address.
        NotConfigured: The address is neither protected by TLS nor on this machine.
        OAuthError: The service responds with an error, or with something that is not a JSON object.
    """
    import requests

    check_address(url)
    body: dict[str, Any] = {"json": values} if in_json else {"data": values}
    with reaching(url):
        answer = requests.post(
            url, **body, headers={"Accept": "application/json"}, timeout=REQUEST_TIMEOUT, allow_redirects=False
        )
    if answer.is_redirect:
        raise _redirected(url)
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict) or answer.status_code >= 400:
        said = document if isinstance(document, dict) else {}
        refused = str(said.get("error_description") or "") or f"status {answer.status_code}"
        raise OAuthError(origin_of(url), str(said.get("error", "")), refused)
    return document


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turn an exception of requests into a NetworkError without secrets."""
    import requests

    try:
        yield
    except requests.TooManyRedirects:
        raise _redirected(url) from None
    except requests.RequestException as error:
        raise NetworkError(f"{origin_of(url)} cannot be reached: {type(error).__name__}") from None


def _redirected(url: str) -> NetworkError:
    what = f"{origin_of(url)} redirects to another address, and nothing of a login is sent there"
    return NetworkError(what, retryable=False, hint="the service's address for logins may have changed")


def check_address(url: str) -> None:
    """Check that credentials are safe at an address.

    Raises:
        NotConfigured: It is neither protected by TLS nor on this machine.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise NotConfigured(f"{parts.scheme}://{host} is not protected by TLS, so no login is sent there")


def origin_of(url: str) -> str:
    """Return scheme, host and port, without a user name: ``https://example.com:8443``."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _protected_resource(url: str) -> dict[str, Any]:
    """Return the metadata in which an address names its service (RFC 9728), or an empty dict."""
    import re

    import requests

    check_address(url)
    with reaching(url):
        answer = requests.get(url, timeout=REQUEST_TIMEOUT, allow_redirects=False, stream=True)
        challenge = answer.headers.get("WWW-Authenticate", "")
        answer.close()
    named = re.search(r'resource_metadata="?([^",\s]+)', challenge)
    path = urlsplit(url).path.rstrip("/")
    known = urljoin(url, "/.well-known/oauth-protected-resource")
    documents = [*([named[1]] if named else ()), *([f"{known}{path}"] if path else ()), known]
    found = _first_document(documents) or {}
    resource = str(found.get("resource", ""))
    if resource and not (origin_of(resource) == origin_of(url) and url.startswith(resource.rstrip("/"))):
        raise NotConfigured(
            f"The metadata at {origin_of(url)} describes another address, {resource}, so no token is requested"
        )
    return found


def _metadata_urls(issuer: str) -> list[str]:
    path = urlsplit(issuer).path.rstrip("/")
    root = origin_of(issuer)
    return [
        f"{root}/.well-known/oauth-authorization-server{path}",
        f"{root}/.well-known/openid-configuration{path}",
        *([f"{issuer}/.well-known/openid-configuration"] if path else ()),
    ]


def _first_document(urls: list[str]) -> dict[str, Any] | None:
    import requests

    for url in urls:
        check_address(url)
        with reaching(url):
            answer = requests.get(url, timeout=REQUEST_TIMEOUT, allow_redirects=False)
        try:
            document = answer.json() if answer.status_code == 200 else None
        except ValueError:
            continue
        if isinstance(document, dict):
            return document
    return None
