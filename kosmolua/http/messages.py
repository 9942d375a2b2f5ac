"""Requests to a web service and its responses, as plain values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from kosmolua.expressions import regex
from kosmolua.http.multipart import Multipart
from kosmolua.protocol import Json, decode
from kosmolua.secret import Redactor, Secret

SAFE_METHODS = ("GET", "HEAD")
"""Methods that change nothing, so that their requests can safely be sent twice (RFC 9110, 9.2.1)."""
REQUEST_ID_HEADERS = ("Render-Request-Id", "X-GitHub-Request-Id", "X-Request-Id", "Request-Id", "X-Correlation-Id")
"""The headers in which services return the id of a request, the most useful first."""
MAX_REQUEST_ID = 200
"""The most characters in a request's id. A longer id is ignored."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_PERCENT = regex("%([0-9A-Fa-f]{2})?")

Headers: TypeAlias = "Mapping[str, str | Secret]"
Pairs: TypeAlias = "tuple[tuple[str, str | Secret], ...]"
"""Names and values in order, not yet encoded."""


@dataclass(frozen=True)
class Request:
    """A request, ready to be sent. Only :attr:`target`, :attr:`fields` and :attr:`content` reveal its secrets.

    Args:
        method: The HTTP method, in capitals.
        url: The absolute, percent-encoded URL, without a query.
        query: Names and values in order, not yet encoded.
        headers: Names and values, including the credential.
        body: The encoded body, or None.
        form: Names and values to send as the body, URL-encoded like an HTML form.
        route: The template of the path; empty if it is not known.
        declared_safe: Whether it changes nothing, although its method could, such as a query by POST.
        url_secrets: Credentials in the path, by name: ``name`` replaces ``{name}``.
        timeout: Seconds, including retries and waits; the limit of the script's call applies as well.
        multipart: A form with files to send as the body. The headers name its boundary.
        mutates: Whether it certainly changes something. Functions with the effect ``read`` cannot send it.

    Raises:
        TypeError: A value in the headers, the query or the form is neither a string nor a Secret.
        ValueError: The timeout is not more than 0.
    """

    method: str
    url: str
    query: Pairs = ()
    headers: Headers = field(default_factory=dict)
    body: bytes | Secret | None = None
    form: Pairs = ()
    route: str = ""
    declared_safe: bool = False
    url_secrets: Mapping[str, Secret] = field(default_factory=dict)
    timeout: float | None = None
    multipart: Multipart | None = None
    mutates: bool = False

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout must be more than 0 s, not {self.timeout}")
        for place, pairs in (("header", self.headers.items()), ("query", self.query), ("form", self.form)):
            for name, value in pairs:
                if not isinstance(value, (str, Secret)):
                    raise TypeError(f"{name} in the {place} must be a string or a Secret, not {kind(value)}")

    @property
    def target(self) -> str:
        """Path and query as they are sent, with secrets, for code that signs requests."""
        parts = urlsplit(self.url)
        path = parts.path
        for name, secret in self.url_secrets.items():
            path = path.replace(f"{{{name}}}", quote(secret.reveal(), safe=":"))
        path = "/" + _escaped(path).lstrip("/")
        query = "&".join(filter(None, (_escaped(parts.query), _encoded(self.query))))
        return f"{path}?{query}" if query else path

    @property
    def fields(self) -> dict[str, str]:
        """The headers as they are sent, with secrets."""
        return {name: value.reveal() if isinstance(value, Secret) else value for name, value in self.headers.items()}

    @property
    def content(self) -> bytes:
        """The body as it is sent, with secrets."""
        if self.form:
            return _encoded(self.form).encode()
        if self.multipart:
            return self.multipart.encode()
        return self.body.reveal().encode() if isinstance(self.body, Secret) else self.body or b""

    @property
    def secrets(self) -> Iterator[Secret]:
        """All secrets in headers, query, path and body."""
        pairs = (*self.headers.items(), *self.query, *self.form, *self.url_secrets.items(), ("", self.body))
        held = self.multipart.secrets if self.multipart else ()
        return chain((value for _, value in pairs if isinstance(value, Secret)), held)

    @property
    def redactor(self) -> Redactor:
        """What masks its secrets in a text."""
        redactor = Redactor()
        for secret in self.secrets:
            redactor.learn(secret)
        return redactor

    @property
    def safe(self) -> bool:
        """Whether it changes nothing."""
        return self.declared_safe or self.method in SAFE_METHODS

    @property
    def line(self) -> str:
        """Method and URL for messages, without possible credentials."""
        parts = urlsplit(self.url)
        return f"{self.method} {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True)
class Response:
    """A complete response: headers as the service wrote them, the decompressed body, and the request, which the client
    sets.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    request: Request | None = field(default=None, repr=False, compare=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is from 200 to 299."""
        return 200 <= self.status < 300

    @property
    def asked(self) -> str:
        """What was asked, for the beginning of a message: method and URL, if they are known."""
        return self.request.line if self.request else "A request"

    def header(self, name: str) -> str | None:
        """Return a header, whatever its case, or None."""
        return self._by_name.get(name.lower())

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {name.lower(): value for name, value in reversed(list(self.headers.items()))}

    @property
    def request_id(self) -> str | None:
        """The id that the service gave the request; None if absent, too long or not printable."""
        headers = self._by_name
        for name in REQUEST_ID_HEADERS:
            given = headers.get(name.lower())
            if given and len(given) <= MAX_REQUEST_ID and given.isprintable():
                return given
        return None

    def text(self) -> str:
        """Return the body as text, with U+FFFD for what is not UTF-8."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Json:
        """Return the decoded body, or None if it is empty.

        Raises:
            ValueError: It is not JSON, or contains NaN, infinity, or a number beyond the range of a float.
            RecursionError: It is nested too deeply.
        """
        text = self.body.decode(json.detect_encoding(self.body))
        return decode(text) if text.strip() else None


class Attempt(NamedTuple):
    """One attempt to send a request.

    Args:
        number: 1 for the first attempt of a request, and so on.
        seconds: From the first byte sent to the last byte received.
        waited: Seconds before the attempt, for a rate limit or after a failed one.
        status: The HTTP status, or None without a complete response.
        request_id: The id that the service gave the request, or None.
        fault: Why there was no complete response, or None.
        redirect: The origin to which a redirect led, if it is not the service's own.
    """

    number: int
    seconds: float
    waited: float = 0.0
    status: int | None = None
    request_id: str | None = None
    fault: str | None = None
    redirect: str = ""


Observe: TypeAlias = Callable[[Attempt], None]
"""A function to call with each attempt when the attempt has ended."""


LOOPBACK = regex(r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)", re.IGNORECASE)
"""The beginning of an address of this machine, which needs no TLS."""


def origin(url: str) -> str:
    """Return the normalized origin of an absolute URL (RFC 6454), else an empty string."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.netloc:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, " "))


def is_link_local(url: str) -> bool:
    """Return True for a link-local host, where clouds keep the credentials of a machine."""
    import socket
    from ipaddress import IPv4Address, IPv6Address, ip_address

    try:
        host = urlsplit(url).hostname or ""
        try:
            address = ip_address(host)
        except ValueError:
            address = IPv4Address(socket.inet_aton(host))  # other spellings, such as 0xa9fea9fe
    except (ValueError, OSError):
        return False
    address = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
    return address.is_link_local


def is_public(address: str) -> bool:
    """Return True for an IP address of the public internet, also if it stands for an IPv4 address (RFC 6052)."""
    from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

    found = ip_address(address)
    if isinstance(found, IPv6Address):
        translated = IPv4Address(int(found) & 0xFFFFFFFF) if found in IPv6Network("64:ff9b::/96") else None
        found = found.ipv4_mapped or found.sixtofour or translated or found
    return found.is_global and not found.is_multicast


def is_protected(url: str) -> bool:
    """Return True if a credential can be sent there: by https, or by http on this machine."""
    return (url.lower().startswith("https://") or bool(LOOPBACK.match(url))) and not is_link_local(url)


def location(request: Request, response: Response) -> str:
    """Return the address in ``Location``, absolute and without a fragment; empty if missing or invalid."""
    given = response.header("Location")
    try:
        return urldefrag(urljoin(request.url, given)).url if given else ""
    except ValueError:
        return ""


def can_redirect(request: Request, target: str) -> bool:
    """Return True if a read can be redirected to another origin: by https, or on one machine.

    A target that contains a credential of the request, or a user name, is none. Where the connection ends has to be
    checked as well.
    """
    is_here = LOOPBACK.match(request.url) and LOOPBACK.match(target)
    tells = request.redactor.text(unquote(target)) != unquote(target)
    return bool(is_here or target.startswith("https://")) and not tells and "@" not in urlsplit(target).netloc


def kind(value: object) -> str:
    """Return a value's type for a message, such as ``a Python set``."""
    return "None" if value is None else f"a Python {type(value).__name__}"


def _escaped(text: str) -> str:
    """Percent-encode the invalid characters of a part of a URL (RFC 3986, 2.1), none twice."""
    return _PERCENT.sub(lambda found: found[0].upper() if found[1] else "%25", quote(text, safe="/?:@!$&'()*+,;=%"))


def _encoded(pairs: Pairs) -> str:
    revealed = ((name, value.reveal() if isinstance(value, Secret) else value) for name, value in pairs)
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in revealed)


Send: TypeAlias = Callable[[Request], Response]
"""A function that sends a request and returns the response. It belongs to a transport, a simulator or a test."""
