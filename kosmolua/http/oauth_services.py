"""Services where accounts log in by OAuth 2: their metadata, the registration of this program, and requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

from kosmolua.errors import NetworkError, NotConfigured
from kosmolua.http.auth import OAuth2

REQUEST_TIMEOUT = 30.0
_SECRET_METHODS = ("client_secret_basic", "client_secret_post")
_ASKED = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
_ASKING = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
_PARAMETER = re.compile(r'([a-zA-Z_]+)=(?:"([^"]*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Credentials:
    """What a program logs in with instead of a person, besides ``client_secret``; read anew, and never kept.

    Args:
        private_key: The key, as PEM, that signs for the client (RFC 7523); or empty.
        algorithm: The key's algorithm.
        assertion: A token in which another service vouches for this program (RFC 7523); or empty.
        provider: The ``token_endpoint`` of an identity provider, which exchanges its ``id_token``, issued for its
            ``client_id``, for such an assertion (RFC 8693); or empty.
    """

    private_key: str = field(default="", repr=False)
    algorithm: str = "ES256"
    assertion: str = field(default="", repr=False)
    provider: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.private_key or self.assertion or self.provider)


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
        names_itself: Whether each redirect names the issuer.
        methods: How clients may authenticate, if the service says so, such as ``client_secret_post``.
        takes_urls: Whether the URL of a document about the client is accepted as its ``client_id``.
        binds_tokens: Whether tokens have to be bound to a key (DPoP, RFC 9449).
        credentials: What a program logs in with.
    """

    login: OAuth2
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    register: str = ""
    resource: str = ""
    issuer: str = ""
    names_itself: bool = False
    methods: tuple[str, ...] = ()
    takes_urls: bool = False
    binds_tokens: bool = False
    credentials: Credentials = Credentials()

    @property
    def method(self) -> str:
        """How this program authenticates when it requests a token."""
        if not self.client_secret:
            return "none"
        return next((each for each in _SECRET_METHODS if each in self.methods), _SECRET_METHODS[0])

    def as_json(self) -> dict[str, Any]:
        """Return the service for JSON, with its secret, but without its credentials."""
        return {name: value for name, value in asdict(self).items() if name != "credentials"}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Service:
        """Restore a service."""
        login = values["login"]
        tuples = {
            "login": OAuth2(**{**login, "scopes": tuple(login["scopes"])}),
            "methods": tuple(values.get("methods", ())),
        }
        return cls(**{**values, **tuples})


class OAuthError(NotConfigured):
    """A service refused a request; ``code`` is the protocol's, such as ``access_denied``."""

    def __init__(self, service: str, code: str, description: str) -> None:
        super().__init__(f"{service} refused: {description or code}"[:500])
        self.code = code


def discover(url: str) -> Service:
    """Find the service that issues tokens for an address (RFC 9728 and 8414).

    An address that asks for a token, but has no metadata, is its own service, with the paths of MCP's first version.

    Raises:
        NetworkError: The address or the service cannot be reached.
        NotConfigured: The metadata is contradictory, or the service does not support safe logins.
    """
    challenge = _challenge(url)
    resource = _protected_resource(url, challenge.get("resource_metadata"))
    issuer = str((resource.get("authorization_servers") or [origin_of(url)])[0])
    metadata = _first_document(_metadata_urls(issuer.rstrip("/")))
    if not metadata and not resource and challenge:
        paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "registration_endpoint": "register"}
        metadata = {name: f"{origin_of(url)}/{path}" for name, path in paths.items()}
    if not metadata or not metadata.get("token_endpoint"):
        raise NotConfigured(
            f"{origin_of(url)} does not say how to log in", hint="set token in its section of the accounts file"
        )
    named = str(metadata.get("issuer", issuer))
    if named.rstrip("/") != issuer.rstrip("/"):
        raise NotConfigured(f"The metadata at {issuer} belongs to {named}, so no login is sent there")
    if "S256" not in metadata.get("code_challenge_methods_supported", ["S256"]):
        raise NotConfigured(f"{issuer} does not support PKCE with S256, which protects a login")
    scopes = challenge.get("scope", "").split() or resource.get("scopes_supported") or []
    if scopes and "offline_access" in metadata.get("scopes_supported", ()):
        scopes = list(dict.fromkeys([*scopes, "offline_access"]))
    login = OAuth2(
        token=metadata["token_endpoint"],
        authorize=metadata.get("authorization_endpoint", ""),
        device=metadata.get("device_authorization_endpoint", ""),
        revoke=metadata.get("revocation_endpoint", ""),
        scopes=tuple(scopes),
    )
    return Service(
        login,
        register=metadata.get("registration_endpoint", ""),
        resource=str(resource.get("resource", "")),
        issuer=named,
        names_itself=metadata.get("authorization_response_iss_parameter_supported") is True,
        methods=tuple(metadata.get("token_endpoint_auth_methods_supported", ())),
        takes_urls=metadata.get("client_id_metadata_document_supported") is True,
        binds_tokens=challenge.get("scheme") == "dpop" or resource.get("dpop_bound_access_tokens_required") is True,
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
    usable = [each for each in ("none", *_SECRET_METHODS) if each in (service.methods or ("none",))]
    given = post(
        service.register,
        {
            "client_name": "KosmoLua",
            "application_type": "native",
            "redirect_uris": [address],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": usable[0] if usable else "none",
        },
        in_json=True,
    )
    if not given.get("client_id"):
        raise NotConfigured(f"{origin_of(service.register)} was asked to register KosmoLua, but returned no client_id")
    method = given.get("token_endpoint_auth_method")
    return replace(
        service,
        client_id=str(given["client_id"]),
        client_secret="" if method == "none" else str(given.get("client_secret") or ""),
        methods=(str(method),) if method else service.methods,
    )


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


def challenge_of(header: str) -> dict[str, str]:
    """Return the parameters of a ``WWW-Authenticate`` header, such as ``scope``, and its ``scheme`` in lower case."""
    named = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(header)}
    return {"scheme": header.split()[0].lower(), **named} if header.strip() else {}


def _challenge(url: str) -> dict[str, str]:
    """Return what an MCP server asks for that is asked for its tools without a token; nothing if it wants none."""
    import requests

    check_address(url)
    with reaching(url):
        answer = requests.post(
            url, json=_ASKED, headers=_ASKING, timeout=REQUEST_TIMEOUT, allow_redirects=False, stream=True
        )
        answer.close()
    return challenge_of(answer.headers.get("WWW-Authenticate", "Bearer")) if answer.status_code == 401 else {}


def _protected_resource(url: str, named: str | None) -> dict[str, Any]:
    """Return the metadata in which an address names its service (RFC 9728), or an empty dict."""
    path = urlsplit(url).path.rstrip("/")
    known = urljoin(url, "/.well-known/oauth-protected-resource")
    documents = [*([named] if named else ()), *([f"{known}{path}"] if path else ()), known]
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
