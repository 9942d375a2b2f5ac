"""Faults, derived from the exceptions of the HTTP library."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, IncompleteRead

from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL, RequestException
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)
from urllib3.exceptions import InvalidHeader as BadAnswerHeader

from kosmolua.errors import NetworkError
from kosmolua.http.connections import AnswerTooLong, NotPublic, Unconnected
from kosmolua.http.errors import LOOK_FIRST
from kosmolua.http.messages import Request


@dataclass(frozen=True)
class Fault:
    """Why no complete response was received.

    Args:
        text: What happened, as a clause that quotes neither the service nor a library.
        hint: What a person can do about it, or None.
        sent: Whether the service might have received the request.
        passing: Whether another attempt could succeed.
    """

    text: str
    hint: str | None = None
    sent: bool = True
    passing: bool = True

    def error(self, request: Request) -> NetworkError:
        unsure = self.sent and not request.safe
        return NetworkError(
            f"{request.line} {'failed' if self.sent else 'was not sent'}: {self.text}",
            retryable=self.passing and not unsure,
            hint=self.hint or (LOOK_FIRST if unsure else None),
        )


def fault_of(error: BaseException) -> Fault:
    """Return the first fault in ``_FAULTS`` for an exception or its causes."""
    causes = list(_causes(error))
    for kind, fault in _FAULTS:
        if any(isinstance(cause, kind) for cause in causes):
            return fault
    return Fault("it, or its answer, is not valid HTTP", passing=False)


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    for cause in (getattr(error, "reason", None), *error.args, error.__cause__):
        if isinstance(cause, BaseException):
            yield from _causes(cause)


_unsent = partial(Fault, sent=False)
_hopeless = partial(Fault, sent=False, passing=False)

OUT_OF_TIME = _unsent("there was no time left")
_BROKEN = Fault("the connection broke before the answer was complete")
NOT_PUBLIC = _hopeless("a redirect leads to an address that is not public")
_GARBLED = Fault("its answer is not valid HTTP", passing=False)
_FAULTS: tuple[tuple[type[BaseException], Fault], ...] = (
    (NotPublic, NOT_PUBLIC),
    (AnswerTooLong, Fault("its answer does not end", "ask for less at a time", passing=False)),
    (DecodeError, Fault("its answer's compression is broken", passing=False)),
    (BadAnswerHeader, _GARBLED),
    (InvalidHeader, _hopeless("a header cannot hold its value", "remove spaces and line ends from the credential")),
    (
        UnicodeError,
        _hopeless("its address or a header contains characters that cannot be sent", "check the credential"),
    ),
    (InvalidSchema, _hopeless("its address, or the proxy's, has a scheme that is not supported")),
    (InvalidURL, _hopeless("its address, or the proxy's, is not valid")),
    (ssl.SSLCertVerificationError, _hopeless("the server's certificate is not trusted", "see REQUESTS_CA_BUNDLE")),
    (ProxyError, _unsent("no connection was made through the proxy", "see HTTPS_PROXY and HTTP_PROXY")),
    (NameResolutionError, _unsent("its host name cannot be resolved")),
    (ConnectionRefusedError, _unsent("the connection was refused")),
    (NewConnectionError, _unsent("no connection could be made")),
    (ConnectTimeoutError, _unsent("no connection was made in time")),
    (Unconnected, _unsent("no TLS connection could be made", "see REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE")),
    (ReadTimeoutError, Fault("no complete answer came in time")),
    (ConnectionError, _BROKEN),
    (IncompleteRead, _BROKEN),
    (HTTPException, _GARBLED),
    (ProtocolError, _BROKEN),
    (ssl.SSLError, Fault("the TLS connection broke")),
    (RequestException, Fault("the connection broke")),
    (OSError, _hopeless("the bundle of CAs cannot be read", "see REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE")),
)
"""The fault for each exception, the most specific first. The exceptions' texts are not used, since they quote URLs."""
