"""The transport: what goes over the wire, what is kept, and how many calls share it."""

from __future__ import annotations

import math
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import responses
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.processes import in_time
from support.rawserver import (
    Service,
    Step,
    answer,
    hang_up,
    interim,
    over_tls,
    read_request,
    reset_after_request,
    reset_before_request,
    serving,
    silence,
    trickle,
    tunnel,
)
from urllib3 import Timeout

from kosmolua.errors import ApiError, BadArguments, CallError, NetworkError
from kosmolua.http import connections
from kosmolua.http.client import Api
from kosmolua.http.messages import Attempt, Request, Response, can_redirect, is_public
from kosmolua.http.rate_limit import RateLimit
from kosmolua.http.transport import Transport, jittered
from kosmolua.secret import Secret

KEY = Secret("rnd_SECRET")
OK = answer(200, {"ok": True})
SOON = 30.0
"""Seconds within which a call ends that may take less than one, on a slow machine too."""


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def ending(when: float) -> Callable[[], float]:
    """Return what says when a call has to be over."""
    return lambda: when


def quick(**options: object) -> Transport:
    """Return a transport that hardly waits before it tries again."""
    return Transport(backoff=lambda retry: 0.01, **options)


def fields(request: bytes) -> dict[str, str]:
    """Return the header fields of a request as the server got it."""
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}


def test_a_request_on_the_wire() -> None:
    """Path, query, headers and body arrive as they were meant; only here is the key in the clear."""
    with serving(OK) as service:
        api = Api(Transport().send, service.url, bearer=KEY)
        query = {"cursor": "a-b_c==", "type": ["web service", "cron_job"], "until": "10:00+02:00"}
        assert api.post("/services/{id}/x", query=query, json={"name": "Zoë"}, id="a/ä") == {"ok": True}
    head, _, body = service.heard[0].partition(b"\r\n\r\n")
    path, _, rest = head.removeprefix(b"POST ").partition(b"?")
    assert path == b"/v1/services/a%2F%C3%A4/x"
    assert rest.startswith(b"cursor=a-b_c%3D%3D&type=web%20service%2Ccron_job&until=10%3A00%2B02%3A00 HTTP/1.1\r\n")
    assert body == b'{"name":"Zo\\u00eb"}'
    sent = fields(service.heard[0])
    assert sent["authorization"] == "Bearer rnd_SECRET"
    assert sent["content-type"] == "application/json"
    assert sent["accept"] == "application/json"
    assert sent["user-agent"].startswith("kosmolua/")


def test_a_form_on_the_wire() -> None:
    """A form is encoded as HTML forms are, secrets in it revealed only then."""
    with serving(OK) as service:
        form = (("grant_type", "refresh_token"), ("refresh_token", Secret("a&b c")))
        Transport().send(Request("POST", service.url, form=form))
    assert service.heard[0].endswith(b"\r\n\r\ngrant_type=refresh_token&refresh_token=a%26b%20c")
    assert fields(service.heard[0])["content-type"] == "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def everything_ok() -> Iterator[Service]:
    with serving(OK) as service:
        yield service


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="?#\\")),
    query=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="#")),
    value=st.text(st.characters(exclude_categories=["Cs"])),
)
@example(path="//evil.example/a%2fb%zz/../c;d=(e)'[f]", query="a=%c3%a4&b=[ö]", value="~ +&=/?%")
def test_what_is_signed_is_what_is_sent(everything_ok: Service, path: str, query: str, value: str) -> None:
    """Target and content are, byte for byte, what the server gets, however odd the address is."""
    address = f"{everything_ok.url}/{path}" + (f"?{query}" if query else "")
    pairs = (("a b", value), ("key", Secret(value)))
    request = Request("POST", address, pairs, form=(("text", value), ("key", Secret(value))))
    quick().send(request)
    head, _, body = everything_ok.heard[-1].partition(b"\r\n\r\n")
    assert head.splitlines()[0] == f"POST {request.target} HTTP/1.1".encode()
    assert body == request.content


def test_a_write_without_a_body() -> None:
    """A POST without a body says so by its length, as servers demand."""
    with serving(answer(202)) as service:
        Transport().send(Request("POST", service.url))
    assert fields(service.heard[0])["content-length"] == "0"


def test_netrc_and_address_never_replace_the_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither .netrc nor a user in the address puts another credential in the place of the account's, or adds one."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(OK) as service:
        Transport().send(Request("GET", service.url, headers={"Authorization": KEY}))
        Transport().send(Request("GET", service.url))
        Transport().send(Request("GET", service.url.replace("//", "//user:pass@")))
    assert [fields(request).get("authorization") for request in service.heard] == ["rnd_SECRET", None, None]


def test_cookies_are_not_kept() -> None:
    """What a service sets on one call does not colour the next."""
    with serving(answer(200, {}, Set_Cookie="session=1; Path=/")) as service:
        transport = Transport()
        transport.send(Request("GET", service.url))
        transport.send(Request("GET", service.url))
    assert "cookie" not in fields(service.heard[1])


def test_connections_are_kept() -> None:
    """Calls one after the other use one connection, also after an error status."""
    with serving(OK, answer(404, {"message": "no"}), OK) as service:
        transport = Transport()
        for _ in range(5):
            transport.send(Request("GET", service.url))
    assert service.taken == 5
    assert service.connections == 1


@pytest.mark.parametrize("name", ["Content-Length", "content_length", "Transfer-Encoding", "HOST", "Connection", "X A"])
def test_a_header_of_the_transport_is_refused_before_sending(name: str) -> None:
    """Whoever made the request: only the transport says where it ends, and to which host it goes."""
    with serving(OK) as service:
        with pytest.raises(BadArguments, match="Nothing was sent"):
            Transport().send(Request("GET", service.url, headers={name: "5"}))
        assert not service.heard


def test_a_request_says_its_length_once() -> None:
    """A GET without a body says none, and any body has the length that it really has."""
    with serving(OK, OK, OK) as service:
        for method, body in (("GET", None), ("POST", b"four"), ("DELETE", b"12345")):
            Transport().send(Request(method, service.url, body=body))
    lengths = [fields(request).get("content-length") for request in service.heard]
    assert lengths == [None, "4", "5"]
    assert not any(b"transfer-encoding" in request.lower() for request in service.heard)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_connection_ends_after_a_body_that_has_no_meaning(method: str) -> None:
    """A service may ignore such a body, and would then read it as the next request, even if it does not say so."""
    with serving(answer(200), OK) as service:
        transport = Transport()
        transport.send(Request(method, service.url, body=b"x"))
        transport.send(Request("GET", service.url))
        transport.send(Request("GET", service.url))
    assert fields(service.heard[0])["connection"] == "close"
    assert service.taken == 3
    assert service.connections == 2


@pytest.mark.slow
def test_many_threads_share_a_transport() -> None:
    """Each thread gets the answer to its own request, and connections are no more than threads."""

    def echo(connection: socket.socket, heard: list[bytes]) -> bool:
        path = read_request(connection, heard).split(b" ")[1]
        time.sleep(0.005)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
        return True

    with serving(echo) as service, ThreadPoolExecutor(16) as pool:
        transport = Transport(size=16)
        bodies = list(pool.map(lambda n: transport.send(Request("GET", f"{service.url}/{n}")).body, range(200)))
    assert bodies == [b"/v1/%d" % n for n in range(200)]
    assert service.connections <= 16


def test_a_connection_that_the_server_closed_meanwhile() -> None:
    """A kept connection that is gone is replaced, for a read without the script noticing."""

    def once(connection: socket.socket, heard: list[bytes]) -> bool:
        OK(connection, heard)
        return False

    with serving(once) as service:
        transport = quick()
        statuses = [transport.send(Request("GET", service.url)).status for _ in range(3)]
    assert statuses == [200, 200, 200]


@pytest.mark.slow
def test_an_interim_answer_leaves_the_next_call_its_own() -> None:
    """What follows an interim answer belongs to the same request, and not to the next on that connection."""
    with serving(interim(103, answer(200, 1)), interim(102, interim(103, answer(200, 2)))) as service:
        transport = Transport()
        answers = [transport.send(Request("GET", service.url)).json() for _ in range(2)]
    assert answers == [1, 2]
    assert service.connections == 1


def test_attempts_are_observed() -> None:
    """Whoever watches learns of each attempt: its number, status, fault, request id, and the wait before it."""
    seen: list[Attempt] = []
    began = time.monotonic()
    with serving(answer(503, b"", Render_Request_Id="r-1"), answer(200, b"{", Content_Length="9"), OK) as service:
        Transport(backoff=lambda retry: 0.05).send(Request("GET", service.url), observe=seen.append)
    assert [(attempt.number, attempt.status, attempt.request_id) for attempt in seen] == [
        (1, 503, "r-1"),
        (2, None, None),
        (3, 200, None),
    ]
    assert seen[1].fault == "the connection broke before the answer was complete"
    assert all(attempt.waited >= 0.05 for attempt in seen[1:])
    assert all(attempt.seconds > 0 for attempt in seen)
    assert sum(attempt.waited + attempt.seconds for attempt in seen) <= time.monotonic() - began


def test_redirects_within_the_origin_are_observed_and_carry_the_key() -> None:
    """A read follows a redirect to the same scheme, host and port, with the location's own query."""
    seen: list[Attempt] = []
    with serving(answer(301, b"", Location="other?page=2#top"), OK) as service:
        request = Request("GET", service.url + "/x", (("page", "1"),), {"Authorization": KEY})
        assert Transport().send(request, observe=seen.append).status == 200
    assert service.heard[1].startswith(b"GET /v1/other?page=2 HTTP/1.1")
    assert fields(service.heard[1])["authorization"] == "rnd_SECRET"
    assert [attempt.status for attempt in seen] == [301, 200]


def test_a_redirect_to_another_origin_has_nothing_of_the_account() -> None:
    """Only what says which form of the content is wanted goes along, and who looks on sees where it went."""
    seen: list[Attempt] = []
    sent = {
        "Authorization": KEY,
        "Cookie": "a=b",
        "X-Team": "t",
        "Accept": "a/b",
        "Range": "bytes=0-9",
        "If-Match": "x",
    }
    with serving(OK) as other, serving(answer(302, b"", Location=f"{other.url}/file?sig=a%2Fb")) as service:
        request = Request("GET", service.url, (("q", KEY),), sent)
        assert Transport().send(request, observe=seen.append).status == 200
        place = other.url.removesuffix("/v1")
    assert other.heard[0].startswith(b"GET /v1/file?sig=a%2Fb HTTP/1.1")
    assert fields(other.heard[0]).keys() & {name.lower() for name in sent} == {"accept", "range", "if-match"}
    assert [attempt.redirect for attempt in seen] == ["", place]


def test_a_redirect_does_not_bring_the_key_back() -> None:
    """What another origin redirects to the service again is asked for as by a stranger."""
    home: list[str] = []

    def first(connection: socket.socket, heard: list[bytes]) -> bool:
        return answer(302, b"", Location=home[1])(connection, heard)

    def second(connection: socket.socket, heard: list[bytes]) -> bool:
        return answer(302, b"", Location=home[0])(connection, heard)

    with serving(first, OK) as service, serving(second) as other:
        home += [service.url, other.url]
        assert Transport().send(Request("GET", service.url, (), {"Authorization": KEY})).status == 200
    assert b"rnd_SECRET" in service.heard[0]
    assert b"rnd_SECRET" not in service.heard[1]


@pytest.mark.parametrize(
    "target",
    [
        "https://127.0.0.1:PORT/x",
        "https://localhost:PORT/x",
        "https://[::ffff:127.0.0.1]:PORT/x",
        "http://example.com/x",
        "https://ann@example.com/x",
        "ftp://example.com/x",
    ],
)
def test_a_redirect_to_an_address_that_is_not_public(target: str) -> None:
    """Nothing is sent there, whatever the name; the redirect itself is the response."""
    with serving(OK) as other:
        target = target.replace("PORT", str(other.listener.getsockname()[1]))
        with serving(answer(302, b"", Location=target)) as service:
            reply = Transport().send(Request("GET", service.url, (), {"Authorization": KEY}))
            assert reply.status == 302
        assert other.heard == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("140.82.121.3", True),
        ("2606:50c0:8000::153", True),
        ("64:ff9b::8c52:7903", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("224.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fd00:ec2::254", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    """Those that every machine reaches; an IPv6 address that stands for another is that one."""
    assert is_public(address) is public


def test_a_redirect_from_the_internet_does_not_lead_here() -> None:
    """Only a service on this machine can refer to this machine."""
    request = Request("GET", "https://api.example.com/x", (), {"Authorization": KEY})
    assert not can_redirect(request, "http://127.0.0.1:8080/x")
    assert can_redirect(request, "https://files.example.net/x?sig=1")


def test_a_redirect_through_a_proxy_needs_a_name_of_the_internet() -> None:
    """The proxy resolves names; an address that is not public is not asked for."""
    with serving(answer(200, b"")) as proxy:
        adapter = connections.Adapter(size=1, max_bytes=100, is_redirected=True)
        for host in ("10.0.0.1", "intranet", "169.254.169.254"):
            prepared = requests.Request("GET", f"https://{host}/x").prepare()
            with pytest.raises(connections.NotPublic):
                adapter.send(prepared, timeout=Timeout(10), proxies={"https": proxy.url})
        adapter.close()
    assert proxy.heard == []


def test_a_post_that_is_declared_safe_is_sent_again() -> None:
    """After a gateway's trouble and after a broken connection, with the same body, as a GET would be."""
    with serving(answer(503), hang_up, OK) as service:
        sent = Api(quick().send, service.url).post("/graphql", json={"query": "{ me { id } }"}, safe=True)
    assert sent == {"ok": True}
    assert len(service.heard) == 3
    assert all(request.endswith(b'{"query":"{ me { id } }"}') for request in service.heard)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_write_is_redirected(status: int) -> None:
    """The transport sends a write to no other address, of whatever kind the redirect is."""
    with serving(answer(status, b"", Location="/v1/other"), OK) as service:
        assert Transport().send(Request("POST", service.url, body=b"{}")).status == status
    assert service.taken == 1


def test_without_time_nothing_is_sent() -> None:
    """A call that begins after the run's end fails without a request."""
    seen: list[Attempt] = []
    with serving(OK) as service, pytest.raises(NetworkError, match="was not sent: there was no time left"):
        Transport().send(Request("POST", service.url), until=ending(time.monotonic() - 1), observe=seen.append)
    assert service.taken == 0
    assert seen == []


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with time left, a server that says nothing counts as dead after a while; a read is tried again."""

    def be_patient(_: int) -> float:
        monkeypatch.setattr(connections, "SILENCE_TIMEOUT", 60)
        return 0.0

    monkeypatch.setattr(connections, "SILENCE_TIMEOUT", 0.1)
    transport = Transport(backoff=be_patient)
    with serving(silence, OK) as service:
        assert transport.send(Request("GET", service.url), until=ending(time.monotonic() + 120)).status == 200
    assert service.taken == 2


@pytest.mark.slow
def test_a_wait_ends_with_the_run_also_in_the_second_attempt() -> None:
    """The deadline is for the call as a whole, not for each attempt."""

    def ends_in_the_second(seconds: float) -> bool:
        began = time.monotonic()
        steps = (answer(503), trickle(b"HTTP/1.1 200 OK\r\n"))
        with serving(*steps) as service, pytest.raises((NetworkError, ApiError)) as caught:
            quick().send(Request("GET", service.url), until=ending(began + seconds))
        assert time.monotonic() - began < SOON
        if service.taken < 2:
            return False
        assert "no complete answer came in time" in str(caught.value)
        assert service.taken == 2
        assert caught.value.__context__ is None
        return True

    assert in_time(ends_in_the_second, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize(("own", "of_the_call"), [(0.2, 60.0), (60.0, 0.2)])
def test_a_timeout_of_one_request(own: float, of_the_call: float) -> None:
    """It ends a request whose call has time left, and never gives it more than the call has."""
    began = time.monotonic()
    with serving(silence) as service, pytest.raises(NetworkError, match="no complete answer came in time"):
        quick().send(Request("GET", service.url, timeout=own), until=ending(began + of_the_call))
    assert time.monotonic() - began < SOON


def test_a_timeout_is_for_all_repetitions() -> None:
    """A wait that would go beyond it is not begun: the last answer is what came."""
    began = time.monotonic()
    with serving(answer(503)) as service:
        transport = Transport(backoff=lambda retry: 20.0)
        assert transport.send(Request("GET", service.url, timeout=5.0), until=ending(began + 120)).status == 503
    assert service.taken == 1


@pytest.mark.slow
def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver knows no timeout; the call ends in time all the same, and says that nothing was sent."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: over.wait() and [])
    with pytest.raises(NetworkError, match="was not sent: no connection was made in time"):
        quick().send(Request("POST", "http://service.invalid/x"), until=ending(time.monotonic() + 0.3))
    over.set()


@pytest.mark.slow
def test_a_slow_answer_that_comes_in_time() -> None:
    """Slowness alone is no fault."""

    def slowly(connection: socket.socket, heard: list[bytes]) -> bool:
        read_request(connection, heard)
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]":
            time.sleep(0.005)
            connection.sendall(bytes([byte]))
        return True

    with serving(slowly) as service:
        assert Transport().send(Request("GET", service.url)).json() == []


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"Authorization": Secret("rnd_SECRET\r\nX-Evil: 1")}, "a header cannot hold its value"),
        ({"Authorization": Secret("rnd_SECRET\u2028")}, "cannot be sent"),
        ({"X-Key": Secret(" rnd_SECRET\n")}, "a header cannot hold its value"),
    ],
)
def test_a_credential_that_no_header_can_hold(headers: dict[str, Secret], says: str) -> None:
    """A key pasted with a line end is named as the cause, not shown, and not sent."""
    with serving(OK) as service, pytest.raises(NetworkError, match=says) as caught:
        quick().send(Request("GET", service.url, headers=headers))
    assert "rnd_SECRET" not in str(caught.value.fields())
    assert caught.value.__context__ is None
    assert not caught.value.retryable
    assert not service.heard


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://no-such-host.invalid/x", "its host name cannot be resolved"),
        ("http://127.0.0.1:99999/x", "not valid"),
        ("ftp://127.0.0.1/x", "not supported"),
    ],
)
def test_addresses_that_lead_nowhere(url: str, says: str) -> None:
    """Each wrong address is a sentence of its own, and nothing was sent."""
    with pytest.raises(NetworkError, match=f"was not sent: .*{says}"):
        quick().send(Request("GET", url))


def test_a_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is heeded, and NO_PROXY too."""
    with serving(OK) as proxy, serving(OK) as service:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert Transport().send(Request("GET", "http://service.invalid/x")).status == 200
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert Transport().send(Request("GET", service.url)).status == 200
    assert proxy.heard[0].startswith(b"GET http://service.invalid/x HTTP/1.1")
    assert len(service.heard) == 1


def test_a_proxy_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes before the one of the environment."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(OK) as proxy:
        assert Transport(proxy=proxy.url).send(Request("GET", "http://service.invalid/x")).status == 200
    assert proxy.heard[0].startswith(b"GET http://service.invalid/x HTTP/1.1")


@pytest.mark.slow
def test_a_slow_proxy_ends_at_the_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a proxy says is timed like what a service says."""
    began = time.monotonic()
    with serving(trickle(b"HTTP/1.1 200 OK\r\nX: ")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises(NetworkError, match="in time"):
            Transport().send(Request("POST", "http://service.invalid/x"), until=ending(began + 0.3))
    assert time.monotonic() - began < SOON


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is named as the cause; its password is not shown."""
    monkeypatch.setenv("http_proxy", "http://user:hunter22@127.0.0.1:9")
    with pytest.raises(NetworkError, match="was not sent: no connection was made through the proxy") as caught:
        quick().send(Request("GET", "http://service.invalid/x"))
    assert "hunter22" not in str(caught.value.fields())


def test_a_proxy_that_wants_another_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the proxy makes no way to the service, nothing was sent, and the error says where the proxy is named."""
    with serving(answer(407)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(NetworkError, match=r"was not sent: .* through the proxy \(see HTTPS_PROXY"):
            quick().send(Request("POST", "https://service.invalid/x"))
    assert all(request.startswith(b"CONNECT ") for request in proxy.heard)


@pytest.mark.parametrize("breaks", [hang_up, reset_after_request])
@pytest.mark.parametrize("kept", [False, True])
def test_a_proxy_that_breaks_after_a_write(breaks: Step, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the proxy was given may have been done, so it is sent once; it is not the proxy that cannot be reached."""
    with serving(*[OK] * kept, breaks, OK) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        check_sent_once("http://service.invalid/x", proxy, kept)


@pytest.mark.parametrize("breaks", [hang_up, reset_after_request])
@pytest.mark.parametrize("kept", [False, True])
def test_a_service_that_breaks_behind_a_proxy(
    breaks: Step, kept: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same through a tunnel, which is what stands between most companies and an https service."""
    steps = [over_tls(certificate, *[OK] * kept, breaks), over_tls(certificate, OK)]
    with serving(tunnel) as proxy, serving(*steps) as service:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
        check_sent_once(service.url.replace("http:", "https:"), service, kept)


def check_sent_once(url: str, service: Service, kept: bool) -> None:
    transport = quick()
    if kept:
        assert transport.send(Request("GET", url)).status == 200
    with pytest.raises(NetworkError, match=r"failed: the connection broke .*may have succeeded") as caught:
        transport.send(Request("POST", url))
    assert not caught.value.retryable
    assert [request.split()[0] for request in service.heard] == [b"GET"] * kept + [b"POST"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with a key and a certificate for 127.0.0.1 that nobody has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    pem = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    places = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(pem), "-out", f"{pem}.crt"]
    subprocess.run([*command.split(), *places], check=True, capture_output=True)
    pem.write_text(pem.read_text() + Path(f"{pem}.crt").read_text())
    return pem


@pytest.mark.parametrize("way", ["direct", "through a proxy"])
def test_a_redirect_to_a_public_address_uses_tls(way: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is followed with a verified certificate, and the key stays at home."""
    checked: list[str] = []

    def is_public(address: str) -> bool:
        checked.append(address)
        return True

    monkeypatch.setattr(connections, "is_public", is_public)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
    with serving(tunnel) as proxy, serving(over_tls(certificate, OK)) as files:
        if way != "direct":
            monkeypatch.setenv("https_proxy", proxy.url)
        with serving(answer(302, b"", Location=files.url.replace("http:", "https:"))) as service:
            assert Transport().send(Request("GET", service.url, (), {"Authorization": KEY})).status == 200
        assert proxy.connections == (way != "direct")
    assert checked == ["127.0.0.1"]
    assert "authorization" not in fields(files.heard[0])


def test_tls_is_verified(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody vouches for ends the call; REQUESTS_CA_BUNDLE can vouch; nothing can turn it off."""
    monkeypatch.setenv("CURL_CA_BUNDLE", "")
    with serving(over_tls(certificate, OK)) as service:
        url = service.url.replace("http:", "https:")
        with pytest.raises(NetworkError, match="was not sent: the server's certificate is not trusted") as caught:
            quick().send(Request("GET", url))
        assert not caught.value.retryable
        assert service.heard == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
        assert Transport().send(Request("GET", url)).status == 200
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
        with pytest.raises(NetworkError, match="the bundle of CAs cannot be read"):
            quick().send(Request("GET", url))


def test_a_bundle_that_holds_no_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found only when a connection is made; nothing was sent, and the error says where the bundle is named."""
    (tmp_path / "junk.pem").write_text("junk")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "junk.pem"))
    with serving(silence) as service, pytest.raises(NetworkError, match=r"was not sent: no TLS .*REQUESTS_CA_BUNDLE"):
        quick().send(Request("POST", service.url.replace("http:", "https:")))


@pytest.mark.slow
def test_a_server_that_breaks_off_the_handshake() -> None:
    """No byte of the write was on its way, so it may be sent again."""
    with serving(reset_before_request) as service, pytest.raises(NetworkError, match="was not sent") as caught:
        quick().send(Request("POST", service.url.replace("http:", "https:")))
    assert service.connections == 4
    assert caught.value.retryable


@pytest.mark.slow
def test_a_tls_server_that_never_shakes_hands() -> None:
    """The handshake is part of what must come in time."""
    began = time.monotonic()
    with serving(silence) as service, pytest.raises(NetworkError):
        quick().send(Request("POST", service.url.replace("http:", "https:")), until=ending(began + 0.3))
    assert time.monotonic() - began < SOON


def limited(most: int, window: float, *, spell: str) -> tuple[list[int], object]:
    """Return the statuses given so far, and a step that allows so many requests a window, as Render counts them."""
    statuses: list[int] = []
    state = {"ends": -math.inf, "used": 0.0}
    lock = threading.Lock()

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        read_request(connection, heard)
        with lock:
            now = time.monotonic()
            if now >= state["ends"]:
                state.update(ends=now + window, used=0)
            state["used"] += 1
            status = 200 if state["used"] <= most else 429
            statuses.append(status)
            left, reset = max(most - int(state["used"]), 0), state["ends"] - now
        head = f"Ratelimit-Limit: {most}\r\nRatelimit-Remaining: {left}\r\nRatelimit-Reset: {reset:{spell}}\r\n"
        retry = f"Retry-After: {math.ceil(reset)}\r\n" if status == 429 else ""
        connection.sendall(f"HTTP/1.1 {status} X\r\n{head}{retry}Content-Length: 2\r\n\r\n[]".encode())
        return True

    return statuses, step


@pytest.mark.slow
def test_a_loop_over_500_does_not_run_into_the_rate_limit() -> None:
    """500 calls by 16 threads against a service that allows 200 at a time: all succeed, none was refused."""
    statuses, step = limited(200, 0.7, spell=".3f")
    with serving(step) as service, ThreadPoolExecutor(16) as pool:
        api = Api(Transport().send, service.url)
        done = list(pool.map(lambda n: api.get("/services/{id}/deploys", id=n), range(500)))
    assert done == [[]] * 500
    assert statuses == [200] * 500


@pytest.mark.slow
def test_a_service_that_rounds_its_reset_down() -> None:
    """Where the reset comes later than the service says, a few are refused and sent again; no script sees it."""
    statuses, step = limited(60, 0.9, spell=".0f")
    with serving(step) as service, ThreadPoolExecutor(16) as pool:
        api = Api(Transport().send, service.url)
        done = list(pool.map(lambda n: api.get("/services/{id}/deploys", id=n), range(130)))
    assert done == [[]] * 130
    assert statuses.count(429) <= 4


def test_responses_library_works() -> None:
    """A test of an integration can use the responses library: the transport goes through requests' adapter."""
    with responses.RequestsMock() as service:
        service.get(
            "https://api.example.com/v1/x", json=[1], match=[responses.matchers.query_param_matcher({"a": "1"})]
        )
        assert Api(Transport().send, "https://api.example.com/v1").get("/x", query={"a": 1}) == [1]


def test_a_closed_transport_lets_go_of_its_connections() -> None:
    """After close, the server sees that its connection is gone."""
    gone = threading.Event()

    def watch(connection: socket.socket, heard: list[bytes]) -> bool:
        OK(connection, heard)
        if connection.recv(1) == b"":
            gone.set()
        return False

    with serving(watch) as service:
        transport = Transport()
        transport.send(Request("GET", service.url))
        transport.close()
        assert gone.wait(60)


def test_nothing_is_sent_again_once_the_run_is_over() -> None:
    """The end may come while a request waits to be sent again, which is what a service asked for."""
    ends = [time.monotonic() + 100]

    def sleep(seconds: float) -> None:
        ends[0] = time.monotonic()

    with serving(answer(429, Retry_After="7"), OK) as service:
        with pytest.raises(CallError, match="was not sent"):
            Transport(sleep=sleep).send(Request("POST", service.url), until=lambda: ends[0])
        assert len(service.heard) == 1


def test_nothing_is_sent_once_a_transport_is_closed() -> None:
    """Whoever still waits to send would open connections that nobody closes."""
    with serving(answer(429), OK) as service:
        transport = Transport(backoff=lambda retry: 0, sleep=lambda seconds: transport.close())
        with pytest.raises(NetworkError, match="was not sent"):
            transport.send(Request("POST", service.url))
        assert len(service.heard) == 1


def test_backoff_doubles_and_is_jittered() -> None:
    """Waits grow from about half a second to 20, and differ, so that many clients do not come at once."""
    waits = [jittered(retry) for retry in (0, 1, 2, 3, 50)]
    for wait, longest in zip(waits, (0.5, 1, 2, 4, 20), strict=True):
        assert longest / 2 <= wait <= longest
    assert len({jittered(0) for _ in range(10)}) > 1


def test_a_rate_limit_can_be_shared_by_tests_and_transports() -> None:
    """The rate limiter is a value that is given, so its clock is too."""
    limit = RateLimit(clock=lambda: 0.0)
    with limit.turn(Request("GET", "http://127.0.0.1:9/x"), ending(10)) as learn:
        learn(Response(429, {"Retry-After": "99"}))
    with pytest.raises(CallError, match="was not sent") as caught:
        Transport(rate_limit=limit).send(Request("GET", "http://127.0.0.1:9/x"), until=ending(50))
    assert not isinstance(caught.value, ApiError)
