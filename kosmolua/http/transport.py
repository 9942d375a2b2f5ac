"""The transport: sends requests over the network, and retries those that can safely be sent again.

Importing this module takes 90 ms, so import it only when a service is really called.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from kosmolua import __version__
from kosmolua.clock import Until
from kosmolua.errors import BadArguments
from kosmolua.expressions import regex
from kosmolua.http.connections import ACCEPTED, MAX_PIECE, Adapter
from kosmolua.http.faults import NOT_PUBLIC, OUT_OF_TIME, Fault, fault_of
from kosmolua.http.headers import fault_in, merged, taken_along
from kosmolua.http.messages import SAFE_METHODS, Attempt, Observe, Request, Response, can_redirect, location, origin
from kosmolua.http.rate_limit import RateLimit, is_throttled, retry_after
from kosmolua.limits import MIB
from kosmolua.memory import SMALL, Reservation

DEFAULT_TIMEOUT = 120.0
"""Seconds that one call can take if the caller sets no deadline."""
CONNECT_TIMEOUT = 10.0
"""Seconds that making a connection can take."""
MAX_FAULT_RETRIES = 3
"""The most retries after a broken connection, or, for a read, after 500, 502, 503 or 504."""
MAX_THROTTLE_RETRIES = 10
"""The most retries after responses that say that a rate limit was reached."""
MAX_REDIRECTS = 5
CODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""The codings of answers: those that requests accept, under all their names. One answer has one at most."""
RETRIED_STATUSES = (500, 502, 503, 504)
WITHOUT_BODY = ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE")
"""Methods whose body has no meaning (RFC 9110, 9.3). A service may take it for the next request of the connection."""
REDIRECTS = (301, 302, 303, 307, 308)

_QUERY = regex(r"\?.*")


def jittered(retry: int) -> float:
    """Return the seconds to wait before a retry: about 0.5 before retry 0, then double, at most 20.

    A random part is subtracted, so that programs that fail together do not retry together.
    """
    return random.uniform(0.5, 1.0) * min(math.ldexp(0.5, retry), 20.0)


def _without_queries(record: logging.LogRecord) -> bool:
    """Filter queries, which can contain a credential, from URLs in urllib3's log records."""
    record.args = tuple(_QUERY.sub("?...", arg) if isinstance(arg, str) else arg for arg in record.args or ())
    return True


for _module in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_module).addFilter(_without_queries)


class Transport:
    """Sends the requests of one account over the network. Thread-safe.

    Connections are kept and reused. TLS is always verified. CA bundles, and the proxy unless ``proxy`` is set, come
    from the environment variables that the requests library reads. Credentials come only from the request: ``.netrc``
    and cookies are not used.

    A request that only reads is retried after 429, 500, 502, 503, 504 or a broken connection. A write is retried only
    after 429, which means that nothing was done, or if no connection was made.

    Args:
        size: How many connections are kept open. This should be the number of simultaneous calls.
        max_bytes: The most bytes of a decompressed response. A larger response is an error.
        rate_limit: Delays requests according to the service's rate limits; by default a new object.
        proxy: The URL of a proxy for all requests.
        backoff: The function that returns how many seconds to wait before a retry if the service does not say. It gets
            the number of the retry, counted from 0.
        sleep: The function that waits for a number of seconds.
    """

    def __init__(
        self,
        *,
        size: int = 32,
        max_bytes: int = 16 * MIB,
        rate_limit: RateLimit | None = None,
        proxy: str | None = None,
        backoff: Callable[[int], float] = jittered,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._max_bytes = max_bytes
        self._rate_limit = rate_limit or RateLimit()
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._backoff = backoff
        self._sleep = sleep
        self._is_closed = False
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, Adapter(size=size, max_bytes=max_bytes))
        self._elsewhere = Adapter(size=1, max_bytes=max_bytes, is_redirected=True)
        self._environment = lru_cache(self._read_environment)  # reading environment variables is slow

    def close(self) -> None:
        """Close the kept connections for good."""
        self._is_closed = True
        self._session.close()
        self._elsewhere.close()

    def send(self, request: Request, *, until: Until | None = None, observe: Observe | None = None) -> Response:
        """Send a request, with retries if they are safe and can help, and return the response, whatever its status.

        A redirect of a GET or HEAD is followed. At another origin, which must be public and use https (or be on this
        machine, like the service), it has no credential and only the headers ``Range``, ``Accept*`` and ``If-*``; the
        response then has the request that was sent there. A 429 is returned if the service asks to wait beyond the
        deadline, by default in :data:`DEFAULT_TIMEOUT`, which applies to everything: connecting, TLS, headers, body and
        waits. ``observe`` is called, in this thread, after each attempt.

        Raises:
            NetworkError: No complete response was received.
            BadArguments: A header of the request belongs to the transport.
            CallError: A rate limit lasts beyond the deadline, so nothing was sent. The code is ``rate_limited``.
        """
        if until is None or request.timeout is not None:
            until = _limited(request, until)
        call = _Sending(request, until, observe)
        for retry in count():
            outcome = self._exchange(request, call)
            if isinstance(outcome, Response) and outcome.is_success:
                return outcome
            if isinstance(outcome, Response) and outcome.status in REDIRECTS and request.method in SAFE_METHODS:
                outcome = self._follow(outcome, call)
            wait = self._wait(request, outcome, retry)
            if wait is None or time.monotonic() + wait >= call.until():
                break
            self._sleep(wait)
        if isinstance(outcome, Fault):
            raise outcome.error(request)
        return outcome

    def _wait(self, request: Request, outcome: Response | Fault, retry: int) -> float | None:
        """Return the seconds before a request is sent again, or None if it is not to be."""
        if isinstance(outcome, Fault):
            again = outcome.passing and (request.safe or not outcome.sent)
            return self._backoff(retry) if again and retry < MAX_FAULT_RETRIES else None
        if is_throttled(outcome):
            retries = MAX_THROTTLE_RETRIES
        else:
            retries = MAX_FAULT_RETRIES if request.safe and outcome.status in RETRIED_STATUSES else 0
        return max(retry_after(outcome) or 0.0, self._backoff(retry)) if retry < retries else None

    def _follow(self, outcome: Response, call: _Sending) -> Response | Fault:
        """Follow redirects; no credential leaves the service's own origin, nor comes back to it."""
        request = call.request
        for number in count():
            target = location(request, outcome)
            stays = origin(target) == origin(request.url)
            if not target or not (stays or can_redirect(call.request, target)):
                return outcome
            if number == MAX_REDIRECTS:
                break
            if stays:
                request = replace(request, url=target, query=())
            else:
                request = Request(request.method, target, headers=taken_along(request.headers))
            followed = self._exchange(request, call)
            if followed is NOT_PUBLIC:
                return outcome
            if elsewhere := call.elsewhere(request):
                followed = _redirected(followed, request, elsewhere)
            if isinstance(followed, Fault) or followed.status not in REDIRECTS:
                return followed
            outcome = followed
        return Fault(f"it was redirected more than {MAX_REDIRECTS} times", passing=False)

    def _exchange(self, request: Request, call: _Sending) -> Response | Fault:
        """Wait for the rate limits, send a request, and tell ``observe``."""
        with ExitStack() as turn:
            learn = turn.enter_context(self._rate_limit.turn(request, call.until))

            def end_turn(head: Response) -> None:
                learn(head)
                turn.close()

            started = time.monotonic()
            redirect = "" if request is call.request else call.elsewhere(request)
            outcome = self._perform(request, call.until() - started, end_turn, redirect)
            if isinstance(outcome, Response):
                learn(outcome)
        if outcome is OUT_OF_TIME:
            return outcome
        call.attempts += 1
        waited, call.idle_since = started - call.idle_since, time.monotonic()
        if call.observe:
            answer = outcome if isinstance(outcome, Response) else Response(0)
            fault = outcome.text if isinstance(outcome, Fault) else None
            status, seconds = answer.status or None, call.idle_since - started
            call.observe(Attempt(call.attempts, seconds, waited, status, answer.request_id, fault, redirect))
        return outcome

    def _perform(
        self, request: Request, seconds: float, end_turn: Callable[[Response], None], redirect: str = ""
    ) -> Response | Fault:
        if seconds <= 0 or self._is_closed:
            return OUT_OF_TIME
        timeout = Timeout(connect=min(CONNECT_TIMEOUT, seconds), total=seconds)
        try:
            adapter: Any = self._elsewhere if redirect else self._session.get_adapter(request.url)
            settings = self._environment(origin(request.url))
            with closing(adapter.send(_prepare(request), timeout=timeout, stream=True, **settings)) as reply:
                head = Response(reply.status_code, dict(reply.headers))
                return self._read(reply, head, end_turn)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return fault_of(error)

    def _read_environment(self, place: str) -> Mapping[str, Any]:
        """Return the proxies, CA bundle and client certificate for an origin."""
        merge = self._session.merge_environment_settings
        settings = merge(place, dict(self._proxies), stream=True, verify=True, cert=None)
        return {name: settings[name] for name in ("proxies", "verify", "cert")}

    def _read(self, reply: requests.Response, head: Response, end_turn: Callable[[Response], None]) -> Response | Fault:
        too_large = Fault(
            f"its answer is larger than {self._max_bytes / MIB:.4g} MiB", "ask for less at a time", passing=False
        )
        coding = reply.headers.get("Content-Encoding", "").strip().lower()
        if coding not in CODINGS:
            return Fault("its answer is compressed in a way that was not asked for", passing=False)
        if coding:
            reply.raw.headers["Content-Encoding"] = coding  # urllib3 does not know a name with a space behind it
        if (reply.raw.length_remaining or 0) > self._max_bytes:
            return too_large
        memory: Reservation | None = None
        expected = reply.raw.length_remaining or 0
        if expected > SMALL:
            memory = Reservation(partial(end_turn, head))
            memory.grow(expected)
        body = bytearray()
        for piece in reply.raw.stream(MAX_PIECE, decode_content=True):
            body += piece
            if len(body) > self._max_bytes:
                return too_large
            if len(body) > SMALL:
                memory = memory or Reservation(partial(end_turn, head))
                memory.grow(len(body))
        if memory:
            memory.settle(body)
        return replace(head, body=bytes(body))


@dataclass
class _Sending:
    """The state of one call: request, deadline, attempts."""

    request: Request
    until: Until
    observe: Observe | None
    attempts: int = 0
    idle_since: float = field(default_factory=time.monotonic)

    def elsewhere(self, request: Request) -> str:
        """Return the origin to which a redirect of the call has led, or an empty string if it is the service's own."""
        found = origin(request.url)
        return "" if found == origin(self.request.url) else found


def _redirected(outcome: Response | Fault, request: Request, elsewhere: str) -> Response | Fault:
    """Return an outcome of a request to another origin, which says so."""
    if isinstance(outcome, Response):
        return replace(outcome, request=request)
    return replace(outcome, text=f"it was redirected to {elsewhere}, and {outcome.text}", sent=True)


def _limited(request: Request, until: Until | None) -> Until:
    """Return the earlier deadline: the call's or the request's own."""
    now = time.monotonic()
    latest = now + DEFAULT_TIMEOUT
    call_ends = until or (lambda: latest)
    if request.timeout is None:
        return call_ends
    ends = now + request.timeout
    return lambda: min(ends, call_ends())


def _prepare(request: Request) -> requests.PreparedRequest:
    """Return a request for the requests library, with its ``Content-Length``."""
    fields, content = request.fields, request.content
    for name in fields:
        if fault := fault_in(name):
            raise BadArguments(f"{request.line}: the header {name[:80]!r} {fault}")
    headers = merged({"User-Agent": f"kosmolua/{__version__}", "Accept-Encoding": ACCEPTED}, fields)
    if request.form:
        headers = merged(headers, {"Content-Type": "application/x-www-form-urlencoded"})
    if content and request.method in WITHOUT_BODY:
        headers["Connection"] = "close"
    parts = urlsplit(request.url)
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = _host(parts.scheme, parts.netloc) + request.target
    prepared.prepare_headers(headers)
    prepared.prepare_body(content, None)
    return prepared


@lru_cache
def _host(scheme: str, netloc: str) -> str:
    """Return scheme, host and port as the requests library writes them, in ASCII."""
    prepared = requests.PreparedRequest()
    prepared.prepare_url(f"{scheme}://{netloc}", None)
    return str(prepared.url).removesuffix("/")
