"""What carries requests over the network: the only file that knows requests.

Importing it costs 90 ms, so whoever needs a transport imports it then.
"""

from __future__ import annotations

import logging
import math
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from http.client import HTTPException, IncompleteRead
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)
from urllib3.exceptions import InvalidHeader as BadAnswerHeader

from kosmolua import __version__
from kosmolua.clock import Until
from kosmolua.errors import NetworkError
from kosmolua.http.connections import POOLS, Unconnected
from kosmolua.http.errors import LOOK_FIRST
from kosmolua.http.messages import SAFE_METHODS, Attempt, Observe, Request, Response, location, origin
from kosmolua.http.rate_limit import Pace, retry_after, throttled
from kosmolua.limits import MIB

DEFAULT_SECONDS = 120.0
"""How long one call may take where nobody says until when."""
CONNECT_SECONDS = 10.0
FAULT_RETRIES = 3
"""How often a broken connection, or a 500, 502, 503 or 504 for a read, is tried again."""
THROTTLE_RETRIES = 10
"""How often a request is sent again that came too often."""
MOST_REDIRECTS = 5
PIECE = 64 * 1024
SERVER_TROUBLE = (500, 502, 503, 504)
REDIRECTS = (301, 302, 303, 307, 308)

_QUERY = re.compile(r"\?.*")


def jittered(retry: int) -> float:
    """Return the seconds to wait before a retry, counted from 0: half of one, doubling to 20, less up to half."""
    return random.uniform(0.5, 1.0) * min(math.ldexp(0.5, retry), 20.0)


def _without_queries(record: logging.LogRecord) -> bool:
    """Cut the queries out of what urllib3 logs of a request, since a service may want its credential there."""
    record.args = tuple(_QUERY.sub("?...", arg) if isinstance(arg, str) else arg for arg in record.args or ())
    return True


for _module in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_module).addFilter(_without_queries)


class Transport:
    """Carries the requests of one account; any number of threads may share it.

    Connections are kept and used again. TLS is always verified. Proxies and CA bundles come from the environment as
    with requests, credentials from nowhere but the request: neither ``.netrc`` nor a cookie is ever sent.

    What may be sent again is: a read after 429, 500, 502, 503, 504 or a broken connection; a write only after 429,
    which says that nothing was done, or when no connection came about.

    Args:
        size: How many connections are kept, for as many calls at once.
        largest: Bytes of a decompressed answer beyond which it is refused.
        pace: Heeds the service's rate limit.
        backoff: Given a retry's number from 0, it returns the seconds to wait where the service asks for none.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        *,
        size: int = 32,
        largest: int = 16 * MIB,
        pace: Pace | None = None,
        backoff: Callable[[int], float] = jittered,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._largest = largest
        self._pace = pace or Pace()
        self._backoff = backoff
        self._sleep = sleep
        self._is_closed = False
        self._environments: dict[str, Mapping[str, Any]] = {}
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _Adapter(pool_maxsize=size))

    def close(self) -> None:
        """Close the connections that are kept, and make no more."""
        self._is_closed = True
        self._session.close()

    def send(self, request: Request, *, until: Until | None = None, observe: Observe | None = None) -> Response:
        """Send a request, again where that is safe and may help, and return the answer, whatever its status.

        A redirect of a GET or HEAD is followed within the same origin; any other is the answer. An answer of 429 is
        returned as soon as the wait that it asks for would last beyond the end.

        Args:
            request: What to send.
            until: When the call has to be over; by default in :data:`DEFAULT_SECONDS`.
            observe: Told of each attempt when it is over, in the thread that called.

        Raises:
            NetworkError: No complete answer came.
            CallError: ``rate_limited``, and nothing was sent: the service wants to be left alone for longer.
        """
        ends = time.monotonic() + DEFAULT_SECONDS
        call = _Call(request, until or (lambda: ends), observe)
        for retry in count():
            outcome = self._attempt(call)
            wait = self._wait(request, outcome, retry)
            if wait is None or time.monotonic() + wait >= call.until():
                break
            self._sleep(wait)
        if isinstance(outcome, _Fault):
            raise outcome.error(request)
        return outcome

    def _wait(self, request: Request, outcome: Response | _Fault, retry: int) -> float | None:
        """Return the seconds to wait before the request is sent again, or None where it must not be."""
        if isinstance(outcome, _Fault):
            again = outcome.passing and (request.safe or not outcome.sent)
            return self._backoff(retry) if again and retry < FAULT_RETRIES else None
        trouble = request.safe and outcome.status in SERVER_TROUBLE
        if retry < (THROTTLE_RETRIES if throttled(outcome) else FAULT_RETRIES if trouble else 0):
            return max(retry_after(outcome) or 0.0, self._backoff(retry))
        return None

    def _attempt(self, call: _Call) -> Response | _Fault:
        request = call.request
        for _ in range(MOST_REDIRECTS + 1):
            outcome = self._exchange(request, call)
            target = _redirected(request, outcome)
            if target is None:
                return outcome
            request = replace(request, url=target, query=())
        return _Fault(f"it was redirected more than {MOST_REDIRECTS} times", passing=False)

    def _exchange(self, request: Request, call: _Call) -> Response | _Fault:
        with self._pace.turn(request, call.until) as learn:
            started = time.monotonic()
            outcome = self._perform(request, call.until() - started)
            if isinstance(outcome, Response):
                learn(outcome)
        if outcome is not _OUT_OF_TIME:
            call.report(outcome, started)
        return outcome

    def _perform(self, request: Request, seconds: float) -> Response | _Fault:
        if seconds <= 0 or self._is_closed:
            return _OUT_OF_TIME
        try:
            with closing(self._begin(request, seconds)) as reply:
                return self._read(reply)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return _fault_of(error)

    def _begin(self, request: Request, seconds: float) -> requests.Response:
        timeout = Timeout(connect=min(CONNECT_SECONDS, seconds), total=seconds)
        adapter: Any = self._session.get_adapter(request.url)
        reply: requests.Response = adapter.send(_prepare(request), timeout=timeout, **self._environment(request.url))
        return reply

    def _environment(self, url: str) -> Mapping[str, Any]:
        """Return the proxies and CA bundle for an origin; reading the environment each time would cost a third more."""
        place = origin(url)
        if place not in self._environments:
            settings = self._session.merge_environment_settings(url, {}, stream=True, verify=True, cert=None)
            self._environments[place] = settings
        return self._environments[place]

    def _read(self, reply: requests.Response) -> Response | _Fault:
        if (reply.raw.length_remaining or 0) > self._largest:
            return self._too_large()
        body = bytearray()
        for piece in reply.iter_content(PIECE):
            body += piece
            if len(body) > self._largest:
                return self._too_large()
        return Response(reply.status_code, dict(reply.headers), bytes(body))

    def _too_large(self) -> _Fault:
        size = f"{self._largest / MIB:.4g} MiB"
        return _Fault(f"its answer is larger than {size}", "ask for less at a time", passing=False)


class _Adapter(HTTPAdapter):
    """Hands out connections that keep the deadline. The pool of the latest origin need not be looked up again."""

    _latest: tuple[str, Any] = ("", None)

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *given: Any, **settings: Any) -> Any:
        place, latest = origin(str(request.url)), self._latest
        if latest[0] != place:
            self._latest = latest = place, super().get_connection_with_tls_context(request, *given, **settings)
        return latest[1]

    def close(self) -> None:
        self._latest = ("", None)
        super().close()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = POOLS
        return manager


@dataclass
class _Call:
    """One call of ``send``: what it carries, when it ends, and how far it is."""

    request: Request
    until: Until
    observe: Observe | None
    attempts: int = 0
    idle_since: float = 0.0

    def __post_init__(self) -> None:
        self.idle_since = time.monotonic()

    def report(self, outcome: Response | _Fault, started: float) -> None:
        """Tell the observer of an attempt that is over now."""
        now = time.monotonic()
        self.attempts += 1
        waited, self.idle_since = started - self.idle_since, now
        if self.observe is None:
            return
        answer = outcome if isinstance(outcome, Response) else Response(0)
        fault = outcome.text if isinstance(outcome, _Fault) else None
        self.observe(Attempt(self.attempts, now - started, waited, answer.status or None, answer.request_id, fault))


@dataclass(frozen=True)
class _Fault:
    """Why no complete answer came.

    Args:
        text: A clause of ours, without anything that the service or a library wrote.
        hint: What to do.
        sent: Whether the service may have got the request.
        passing: Whether another attempt may succeed.
    """

    text: str
    hint: str | None = None
    sent: bool = True
    passing: bool = True

    def error(self, request: Request) -> NetworkError:
        """Return the error for a request that met this fault."""
        unsure = self.sent and not request.safe
        return NetworkError(
            f"{request.line} {'failed' if self.sent else 'was not sent'}: {self.text}",
            retryable=self.passing and not unsure,
            hint=self.hint or (LOOK_FIRST if unsure else None),
        )


_unsent = partial(_Fault, sent=False)
_hopeless = partial(_Fault, sent=False, passing=False)

_OUT_OF_TIME = _unsent("the time for it was over")
_BROKEN = _Fault("the connection broke before the answer was complete")
_GARBLED = _Fault("its answer is not valid HTTP", passing=False)
_FAULTS: tuple[tuple[type[BaseException], _Fault], ...] = (
    (BadAnswerHeader, _GARBLED),
    (InvalidHeader, _hopeless("a header cannot hold its value", "look for spaces and line ends in the credential")),
    (UnicodeError, _hopeless("its address or a header holds what cannot be sent", "look at the credential")),
    (InvalidSchema, _hopeless("its address, or the proxy's, is of a kind that is not supported")),
    (InvalidURL, _hopeless("its address, or the proxy's, is not valid")),
    (ssl.SSLCertVerificationError, _hopeless("the server's certificate is not trusted", "see REQUESTS_CA_BUNDLE")),
    (ProxyError, _unsent("no connection came about through the proxy", "see HTTPS_PROXY and HTTP_PROXY")),
    (NameResolutionError, _unsent("its host name cannot be resolved")),
    (ConnectionRefusedError, _unsent("the connection was refused")),
    (NewConnectionError, _unsent("no connection could be made")),
    (ConnectTimeoutError, _unsent("no connection came about in time")),
    (Unconnected, _unsent("no TLS connection came about", "see REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE")),
    (ReadTimeoutError, _Fault("no complete answer came in time")),
    (DecodeError, _Fault("its answer's compression is broken", passing=False)),
    (ConnectionError, _BROKEN),
    (IncompleteRead, _BROKEN),
    (HTTPException, _GARBLED),
    (ProtocolError, _BROKEN),
    (ssl.SSLError, _Fault("the TLS connection broke")),
    (requests.RequestException, _Fault("the exchange broke off")),
    (OSError, _hopeless("the bundle of CAs cannot be read", "see REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE")),
)
"""What an exception means: the first that is in its chain. Their own texts are not used, since they quote addresses."""


def _fault_of(error: BaseException) -> _Fault:
    causes = list(_causes(error))
    for kind, fault in _FAULTS:
        if any(isinstance(cause, kind) for cause in causes):
            return fault
    return _Fault("it, or its answer, is not valid HTTP", passing=False)


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    wrapped = (getattr(error, "reason", None), *error.args, error.__cause__)
    for cause in wrapped:
        if isinstance(cause, BaseException):
            yield from _causes(cause)


def _redirected(request: Request, outcome: Response | _Fault) -> str | None:
    """Return the address to go on to, or None where there is none or the credential must not go there."""
    if isinstance(outcome, _Fault) or request.method not in SAFE_METHODS or outcome.status not in REDIRECTS:
        return None
    target = location(request, outcome)
    return target if target and origin(target) == origin(request.url) else None


def _prepare(request: Request) -> requests.PreparedRequest:
    headers = {"User-Agent": f"kosmolua/{__version__}", "Accept-Encoding": requests.utils.DEFAULT_ACCEPT_ENCODING}
    headers |= request.fields
    if request.form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    parts = urlsplit(request.url)
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = _host(parts.scheme, parts.netloc) + request.target
    prepared.prepare_headers(headers)
    prepared.prepare_body(request.content, None)
    return prepared


@lru_cache
def _host(scheme: str, netloc: str) -> str:
    """Return the beginning of an address as requests prepares it, with a host's name in ASCII."""
    prepared = requests.PreparedRequest()
    prepared.prepare_url(f"{scheme}://{netloc}", None)
    return str(prepared.url).removesuffix("/")
