"""What services and networks do wrong, each over a real socket: the error, the repetitions, and the time it takes."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
import traceback
import tracemalloc
import zlib
from contextlib import closing
from dataclasses import dataclass
from functools import cache

import pytest
from support.processes import in_time
from support.rawserver import (
    Step,
    announce_100_mb,
    answer,
    endless,
    endless_lines,
    hang_up,
    interim,
    reset_after_request,
    reset_before_request,
    serving,
    silence,
    speak,
    trickle,
)

from kosmolua.errors import ApiError, CallError, NetworkError
from kosmolua.http.client import Api
from kosmolua.http.messages import Request, Response
from kosmolua.http.transport import Transport
from kosmolua.limits import MIB
from kosmolua.secret import Secret

KEY = "rnd_SECRET+0123456789"
SOON = 30.0
"""Seconds within which each fault is reported, on a slow machine too; to wait for the wrong thing takes longer."""


@cache
def bomb() -> bytes:
    """Return 100 MB of zeros in about 100 kB of gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(MIB)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)  # the same for each MiB
    check = 0
    for _ in range(100):
        check = zlib.crc32(zeros, check)
    return gzip.compress(b"")[:10] + 100 * block + packer.flush() + struct.pack("<II", check, 100 * MIB)


@dataclass(frozen=True)
class Row:
    """A fault, what a read and a write make of it, and how often each is sent.

    ``get`` and ``post`` are an error code, or the value, and the number of times that the server got the request.
    """

    name: str
    steps: tuple[Step, ...]
    get: tuple[object, int]
    post: tuple[object, int]
    says: str = ""
    status: int | None = None
    retry_after: float | None = None
    deadline: float = 2 * SOON
    pause: float = 0.0


def refused(status: int, body: object = b"", *, says: str, **headers: str) -> Row:
    """An answer that no repetition can change."""
    once = ("api_error", 1)
    return Row(str(status), (answer(status, body, **headers),), once, once, says, status)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = answer(200, {"ok": True})
OK_VALUE = {"ok": True}
HTML = b"<!DOCTYPE html><html><head><title>502 Bad&nbsp;Gateway</title></head><body><h1>Oops</h1></body></html>"
FAULTS = [
    refused(400, {"message": "name is too long"}, says="name is too long"),
    refused(401, {"message": "Unauthorized"}, says="accounts check"),
    refused(402, {"message": "payment information is required"}, says="payment information"),
    refused(403, {"message": "forbidden"}, says="does not permit this"),
    refused(404, {"message": "not found: srv-1"}, says="not found: srv-1 [request abc]", Render_Request_Id="abc"),
    refused(409, {"id": "x", "message": "name is taken"}, says="name is taken"),
    refused(410, b"", says="no reason given"),
    Row("500", (answer(500, {"message": "oh"}),), ("api_error", 4), ("api_error", 1), says="500: oh", status=500),
    Row(
        "429 with Retry-After 1, then 200",
        (answer(429, {"message": "slow down"}, Retry_After="1"), OK),
        get=(OK_VALUE, 2),
        post=(OK_VALUE, 2),
        pause=1.0,
    ),
    Row(
        "429 with Retry-After 3494",
        (answer(429, {"message": "slow down"}, Retry_After="3494"),),
        get=("rate_limited", 1),
        post=("rate_limited", 1),
        says="slow down",
        status=429,
        retry_after=3494,
    ),
    Row(
        "429 with error and Reset only",
        (answer(429, {"error": "rate limit exceeded"}, Ratelimit_Remaining="0", Ratelimit_Reset="3494"),),
        get=("rate_limited", 1),
        post=("rate_limited", 1),
        says="rate limit exceeded",
        status=429,
        retry_after=3494,
    ),
    Row(
        "429 without any hint, then 200",
        (answer(429, {"error": "rate limit exceeded"}), OK),
        get=(OK_VALUE, 2),
        post=(OK_VALUE, 2),
    ),
    Row(
        "403 with nothing left, as GitHub says it",
        (answer(403, {"message": "API rate limit exceeded"}, X_RateLimit_Remaining="0", X_RateLimit_Reset="3000"),),
        get=("rate_limited", 1),
        post=("rate_limited", 1),
        says="API rate limit exceeded",
        status=403,
        retry_after=3000,
    ),
    Row(
        "403 for a lack of rights that used up the window",
        (answer(403, {"message": "Must have admin rights"}, X_RateLimit_Remaining="0", X_RateLimit_Reset="3000"),),
        get=("api_error", 1),
        post=("api_error", 1),
        says="Must have admin rights",
        status=403,
    ),
    Row("502 HTML", (answer(502, HTML),), ("api_error", 4), ("api_error", 1), says="502 Bad Gateway", status=502),
    Row("503 then 200", (answer(503, b"busy"), OK), (OK_VALUE, 2), ("api_error", 1), says="busy", status=503),
    Row(
        "503 with a Retry-After beyond the deadline",
        (answer(503, b"busy", Retry_After="600"),),
        get=("api_error", 1),
        post=("api_error", 1),
        status=503,
        retry_after=600,
    ),
    Row("504 then 200", (answer(504), OK), (OK_VALUE, 2), ("api_error", 1), status=504),
    Row("text instead of JSON", (answer(200, b"It works!"),), ("network", 1), ("network", 1), says="It works!"),
    Row("HTML instead of JSON", (answer(200, HTML),), ("network", 1), ("network", 1), says="502 Bad Gateway"),
    Row("JSON cut, but whole for HTTP", (answer(200, b'{"a": [1'),), ("network", 1), ("network", 1), says='{"a": [1'),
    Row(
        "JSON cut by a lost connection",
        (answer(200, b'{"a": [1', Content_Length="100"),),
        get=("network", 4),
        post=("network", 1),
        says="the connection broke",
    ),
    Row(
        "JSON cut once, then 200",
        (answer(200, b'{"a": [1', Content_Length="100"), OK),
        get=(OK_VALUE, 2),
        post=("network", 1),
    ),
    Row("1e999 in JSON", (answer(200, b'{"a": 1e999}'),), ("network", 1), ("network", 1), says="not JSON"),
    Row("NaN in JSON", (answer(200, b'{"a": NaN}'),), ("network", 1), ("network", 1), says="not JSON"),
    Row("reset before the request", (reset_before_request,), ("network", 4), ("network", 1), says="broke"),
    Row("reset after the request", (reset_after_request,), ("network", 4), ("network", 1), says="broke"),
    Row("closed without an answer", (hang_up,), ("network", 4), ("network", 1), says="broke"),
    Row("reset after the request, then 200", (reset_after_request, OK), (OK_VALUE, 2), ("network", 1)),
    Row(
        "no answer",
        (silence,),
        get=("network", 1),
        post=("network", 1),
        says="no complete answer",
        deadline=0.4,
    ),
    Row(
        "a trickle of header bytes",
        (trickle(b"HTTP/1.1 200 OK\r\nX-Slow: "),),
        get=("network", 1),
        post=("network", 1),
        says="no complete answer",
        deadline=0.4,
    ),
    Row(
        "a trickle of body bytes",
        (trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),),
        get=("network", 1),
        post=("network", 1),
        says="no complete answer",
        deadline=0.4,
    ),
    Row(
        "a trickle in a chunk's length",
        (trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),),
        get=("network", 1),
        post=("network", 1),
        says="no complete answer",
        deadline=0.4,
    ),
    *[
        Row(name, (step,), ("network", 1), ("network", 1), says="failed: its answer is not valid HTTP")
        for name, step in {
            "not HTTP": trickle(b"SSH-2.0-OpenSSH_9.6\r\n"),
            "two lengths": speak(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
            "a header line of 70 kB": speak(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
            "200 headers": speak(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n"),
            "101 that nobody asked for": speak(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        }.items()
    ],
    Row("102 before the answer", (interim(102, OK),), (OK_VALUE, 1), (OK_VALUE, 1)),
    Row("103 before the answer", (interim(103, OK),), (OK_VALUE, 1), (OK_VALUE, 1)),
    Row(
        "100 MB announced",
        (announce_100_mb,),
        get=("network", 1),
        post=("network", 1),
        says="larger than 1 MiB",
    ),
    Row(
        "100 MB without a length",
        (endless(b"HTTP/1.1 200 OK\r\n\r\n"),),
        get=("network", 1),
        post=("network", 1),
        says="larger than 1 MiB",
    ),
    Row(
        "100 MB of error",
        (endless(b"HTTP/1.1 400 No\r\n\r\n"),),
        get=("network", 1),
        post=("network", 1),
        says="larger than 1 MiB",
    ),
    *[
        Row(name, (step,), ("network", 1), ("network", 1), says="failed: its answer is not valid HTTP")
        for name, step in {
            "a chunk extension without end": endless(CHUNKED + b"2;x="),
            "a chunk size without end": endless_lines(CHUNKED, b"0"),
            "a trailer without end": endless(CHUNKED + b"2\r\n{}\r\n0\r\nX: "),
            "interim answers without end": endless_lines(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        }.items()
    ],
    *[
        Row(name, (step,), ("network", 1), ("network", 1), says="failed: its answer does not end")
        for name, step in {
            "trailers without end": endless_lines(CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: 1\r\n"),
            "chunks of nothing but extensions": endless_lines(CHUNKED, b"1;" + b"x" * 1000 + b"\r\n \r\n"),
        }.items()
    ],
    *[
        Row(
            f"compressed with {coding}",
            (step,),
            ("network", 1),
            ("network", 1),
            says="compressed in a way that was not",
        )
        for coding, step in {
            "gzip twice": answer(200, gzip.compress(bomb()), Content_Encoding="gzip, gzip"),
            "br": answer(200, b"{}", Content_Encoding="br"),
        }.items()
    ],
    Row(
        "gzip and deflate",
        (answer(200, gzip.compress(b"{}"), Content_Encoding="gzip"),),
        get=({}, 1),
        post=({}, 1),
    ),
    Row(
        "a gzip bomb",
        (answer(200, bomb(), Content_Encoding="gzip"),),
        get=("network", 1),
        post=("network", 1),
        says="larger than 1 MiB",
    ),
    Row(
        "gzip that is none",
        (answer(200, b"no gzip at all", Content_Encoding="gzip"),),
        get=("network", 1),
        post=("network", 1),
        says="compression is broken",
    ),
    Row(
        "302 to another host",
        (answer(302, b"", Location=f"http://localhost:9/?api_key={KEY}"),),
        get=("api_error", 1),
        post=("api_error", 1),
        says="redirects to http://localhost:9, which was not followed",
        status=302,
    ),
    Row(
        "302 within the origin",
        (answer(302, b"", Location="/v1/elsewhere"), OK),
        get=(OK_VALUE, 2),
        post=("api_error", 1),
        status=302,
    ),
    Row(
        "303 within the origin",
        (answer(303, b"", Location="/v1/elsewhere"), OK),
        get=(OK_VALUE, 2),
        post=(OK_VALUE, 2),
    ),
    Row(
        "303 to another host",
        (answer(303, b"", Location=f"http://localhost:9/?api_key={KEY}"),),
        get=("api_error", 1),
        post=("api_error", 1),
        says="redirects to http://localhost:9, which was not followed",
        status=303,
    ),
    Row(
        "303 to a server that breaks",
        (answer(303, b"", Location="/v1/elsewhere"), answer(501)),
        get=("api_error", 2),
        post=("network", 2),
        says="/v1/",
        status=501,
    ),
    Row("304", (answer(304),), ("api_error", 1), ("api_error", 1), says="has not changed", status=304),
    Row("redirects without end", (answer(307, b"", Location="/v1/x"),), ("network", 6), ("api_error", 1), status=307),
    Row("a redirect to nowhere", (answer(302),), ("api_error", 1), ("api_error", 1), status=302),
    Row("202 without a body", (answer(202),), (None, 1), (None, 1)),
    Row("204 without a body", (answer(204),), (None, 1), (None, 1)),
    Row(
        "unknown fields and nulls",
        (answer(200, [{"deploy": {"commit": None, "new": {"x": 1}}}, None]),),
        get=([{"deploy": {"commit": None, "new": {"x": 1}}}, None], 1),
        post=([{"deploy": {"commit": None, "new": {"x": 1}}}, None], 1),
    ),
    Row("absent fields", (answer(200, {}),), ({}, 1), ({}, 1)),
]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def open_api(transport: Transport, url: str, deadline: float) -> Api:
    """Return a client with a key in every place that services want one."""
    ends = time.monotonic() + deadline

    def send(request: Request) -> Response:
        return transport.send(request, until=lambda: ends)

    return Api(send, url, bearer=Secret(KEY), query={"api_key": Secret(KEY)}, headers={"X-Key": Secret(KEY)})


def call(api: Api, method: str) -> tuple[object, CallError | None]:
    """Return what came of a call: its value, or the error and its code."""
    try:
        return api.request(method, "/services/{service_id}", service_id="srv-1"), None
    except CallError as error:
        return error.code, error


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.name)
def test_fault(row: Row, method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each gives the right value or error, is repeated only where that is safe, ends in time, and shows no key."""
    expected, times = row.get if method == "GET" else row.post

    def is_met(deadline: float) -> bool:
        pauses: list[float] = []
        transport = Transport(max_bytes=MIB, backoff=lambda retry: 0.01, sleep=pauses.append)
        with serving(*row.steps) as service, closing(transport):
            started = time.monotonic()
            outcome, error = call(open_api(transport, service.url, deadline), method)
            assert time.monotonic() - started < SOON
        if service.taken == 0:
            return False
        assert outcome == expected, error
        assert service.taken == times
        assert sum(pauses) <= max(row.pause, 0.01 * (times - 1))
        if error:
            check_error(error, row, method)
        return True

    assert in_time(is_met, row.deadline)
    assert KEY not in caplog.text


def check_error(error: CallError, row: Row, method: str) -> None:
    said = "".join(traceback.format_exception(error)) + repr(error.fields()) + repr(error.__context__)
    for key in (KEY, KEY.replace("+", "%2B")):
        assert key not in said
    assert row.says in error.message
    assert error.retry_after == row.retry_after
    if isinstance(error, ApiError):
        assert error.status == row.status
    if method == "POST" and isinstance(error, NetworkError) and "failed" in error.message:
        assert not error.retryable, "a write that may have been done is not simply tried again"


@pytest.mark.parametrize(
    "body",
    [
        b"x" * 285 + KEY.encode(),
        b" " * 19_990 + KEY.encode(),
        b"<p>" + b"x" * 285 + KEY.replace("+", "%2B").encode(),
        b'{"message": "' + b"x" * 285 + KEY.encode() + b'"}',
    ],
)
def test_no_secret_is_cut(body: bytes) -> None:
    """Where a service's words are cut, they end in no beginning of a key, which nobody would know for one."""
    with serving(answer(400, body)) as service:
        _, error = call(open_api(Transport(), service.url, 60), "GET")
    assert error is not None
    assert KEY[:6] not in str(error.fields())
    assert "***" in error.message


@pytest.mark.parametrize("body", [b"<html>Created", b'{"id": 1e999}', b"\xff\xff"])
def test_a_write_that_was_answered_with_no_json(body: bytes) -> None:
    """What was done and cannot be read is told apart from what failed, and no error holds the answer whole."""
    with serving(answer(201, body, X_Request_Id="r-7")) as service:
        _, error = call(open_api(Transport(), service.url, 60), "POST")
    assert error is not None
    assert "/services/srv-1 was answered 201 with something that is not JSON" in error.message
    assert error.message.endswith("[request r-7] (the request may have succeeded: check before you retry)")
    assert error.__context__ is None


@pytest.mark.parametrize("name", ["q" * 60_000, "a\x1b[31mb", "a\x85b"])
def test_a_request_id_that_is_none(name: str) -> None:
    """A name for the request that would not fit into a message of one line is left out of it."""
    with serving(answer(404, {"message": "no"}, X_Request_Id=name)) as service:
        _, error = call(open_api(Transport(), service.url, 60), "GET")
    assert error is not None
    assert error.message.endswith("was answered 404: no")
    assert error.request_id is None


def test_urllib3_logs_no_query(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has its log written, down to each request and to headers that are none, finds no credential in it."""
    steps = (answer(302, b"", Location=f"/v1/x?api_key={KEY}"), speak(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n{}"))
    with caplog.at_level("DEBUG"), serving(*steps) as service:
        assert call(open_api(Transport(), service.url, 60), "GET") == ({}, None)
    assert "GET /v1/services/srv-1?..." in caplog.text
    assert "Failed to parse headers" in caplog.text
    for key in (KEY, KEY.replace("+", "%2B")):
        assert key not in caplog.text


def test_connection_refused() -> None:
    """Nothing listens: a write is tried again like a read, since nothing was sent, and the error says so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    waits: list[float] = []
    transport = Transport(backoff=float, sleep=waits.append)
    outcome, error = call(open_api(transport, url, 60), "POST")
    assert outcome == "network"
    assert error is not None
    assert "was not sent: the connection was refused" in error.message
    assert error.retryable
    assert waits == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "step",
    [
        answer(200, bomb(), Content_Encoding="gzip"),
        answer(200, gzip.compress(bomb()), Content_Encoding="gzip, gzip"),
        endless(CHUNKED + b"2;x="),
        endless(CHUNKED + b"2\r\n{}\r\n0\r\nX: "),
    ],
    ids=["gzip", "two layers", "chunk extension", "trailer"],
)
def test_a_bomb_takes_no_memory(step: Step) -> None:
    """A hostile answer is given up before it has unfolded, whatever version of urllib3 reads it."""
    with serving(step) as service:
        tracemalloc.start()
        outcome, _ = call(open_api(Transport(max_bytes=MIB), service.url, 60), "GET")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert outcome == "network"
    assert peak < 24 * MIB


PHASES = {
    "connecting": None,
    "TLS": trickle(b""),
    "the head": trickle(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "an interim answer": interim(103, trickle(b"HTTP/1.1 100 Continue\r\nX: ")),
    "the body": trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
    "a chunk": trickle(CHUNKED + b"100\r\n"),
    "a trailer": trickle(CHUNKED + b"2\r\n{}\r\n0\r\nX: "),
    "silence": silence,
    "a wait before a retry": answer(503, b"", Retry_After="600"),
}


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_ends_with_the_call(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly a service goes, a call ends when its time is over, with an error that names the request."""
    over = threading.Event()
    if phase == "connecting":
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args: over.wait() and [])

    def ends_in_time(seconds: float) -> bool:
        with serving(PHASES[phase] or silence) as service, closing(Transport(backoff=lambda retry: 0.01)) as transport:
            url = service.url.replace("http:", "https:") if phase == "TLS" else service.url
            started = time.monotonic()
            with pytest.raises(CallError) as caught:
                open_api(transport, url, seconds).get("/services")
            assert time.monotonic() - started < SOON
        assert "GET" in caught.value.message
        assert "/v1/services" in caught.value.message
        return caught.value.code == "network" or phase == "a wait before a retry"

    try:
        assert in_time(ends_in_time, 0.3)
    finally:
        over.set()


def test_other_host_never_hears_of_the_key() -> None:
    """A redirect to another port is another origin: a read goes there without the key, a write not at all."""
    with serving(OK) as other, serving(answer(302, b"", Location=other.url)) as service:
        read, _ = call(open_api(Transport(), service.url, 60), "GET")
        written, _ = call(open_api(Transport(), service.url, 60), "POST")
    assert (read, written) == (OK_VALUE, "api_error")
    assert len(other.heard) == 1
    assert KEY.encode() not in other.heard[0]


def test_no_redirect_tells_the_key() -> None:
    """A service that puts the key into the address sends it nowhere."""
    with serving(OK) as other, serving(answer(302, b"", Location=f"{other.url}?key={KEY}")) as service:
        outcome, _ = call(open_api(Transport(), service.url, 60), "GET")
    assert (outcome, other.connections) == ("api_error", 0)


def test_backoff_that_does_not_fit_fails_at_once() -> None:
    """No time is spent on a wait after which nothing could be sent any more."""
    slept: list[float] = []
    transport = Transport(backoff=lambda retry: 300.0, sleep=slept.append)
    with serving(answer(503)) as service:
        outcome, error = call(open_api(transport, service.url, 60), "GET")
    assert outcome == "api_error"
    assert slept == []
    assert service.taken == 1
    assert error is not None
    assert error.retryable


def test_rate_limit_is_remembered() -> None:
    """After a 429 that cannot be waited for, the same write is refused without being sent."""
    transport = Transport()
    with serving(answer(429, b"", Retry_After="3000")) as service:
        api = open_api(transport, service.url, 60)
        assert call(api, "POST")[0] == "rate_limited"
        outcome, error = call(api, "POST")
    assert outcome == "rate_limited"
    assert service.taken == 1
    assert error is not None
    assert "was not sent" in error.message
    assert error.retry_after == pytest.approx(3000, abs=2)
