"""The rate limiter: what answers say about how fast a service may be asked, and who waits."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.processes import eventually

from kosmolua.errors import CallError
from kosmolua.http.messages import Request, Response
from kosmolua.http.rate_limit import MAX_KNOWN, RateLimit, is_throttled, resets_in, retry_after
from kosmolua.http.shared_limit import SharedLimit

BASE = "https://api.example.com/v1"
NOON = 1_790_000_000.0
DATE = "Mon, 21 Sep 2026 14:13:20 GMT"
A_MINUTE_LATER = "Mon, 21 Sep 2026 14:14:20 GMT"


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "1"}, 1),
        (429, {"retry-after": "3494"}, 3494),
        (503, {"Retry-After": "0.5"}, 0.5),
        (429, {"Retry-After": A_MINUTE_LATER}, 60),
        (429, {"Retry-After": A_MINUTE_LATER, "Date": A_MINUTE_LATER}, 0),
        (429, {"Retry-After": DATE, "Date": A_MINUTE_LATER}, 0),
        (429, {"Retry-After": "-5"}, 0),
        (429, {"Retry-After": "soon"}, None),
        (429, {"Retry-After": "1, 1"}, 1),
        (429, {"Retry-After": " 2 "}, 2),
        (429, {"Retry-After": "1_0"}, None),
        (429, {"Retry-After": "1e1"}, None),
        (429, {"Retry-After": "9" * 400}, None),
        (429, {"Retry-After": "nan"}, None),
        (429, {"Retry-After": "Mon, 99 Foo 2026"}, None),
        (429, {"Ratelimit-Reset": "45"}, 45),
        (429, {"Ratelimit-Reset": "45", "Retry-After": "7"}, 7),
        (429, {"X-RateLimit-Reset": str(NOON + 30)}, 30),
        (403, {"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": str(NOON + 30)}, None),
        (200, {"Ratelimit-Reset": "45"}, None),
        (429, {}, None),
    ],
)
def test_retry_after(status: int, headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, a date by the service's own clock, and where both lack, the reset of the rate limit."""
    assert retry_after(Response(status, headers), clock=lambda: NOON) == seconds


def test_retry_after_of_a_used_up_window() -> None:
    """A 403 that says so means the reset, as GitHub does; one that says something else does not."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOON + 30)}
    assert retry_after(Response(403, headers, b"API rate limit exceeded"), clock=lambda: NOON) == 30
    assert retry_after(Response(403, headers, b"Must have admin rights"), clock=lambda: NOON) is None


@pytest.mark.parametrize(("reset", "seconds"), [("0", 0), ("3494", 3494), (str(NOON + 45), 45), (str(NOON - 5), 0)])
def test_reset_is_seconds_left_or_a_point_in_time(reset: str, seconds: float) -> None:
    """Render sends seconds left, though its page says epoch; above 1e9 it can only be the epoch."""
    assert resets_in(Response(200, {"ratelimit-reset": reset}), clock=lambda: NOON) == seconds


def test_throttled() -> None:
    """429 is; 403 is only where the service says that nothing is left, or when to come back."""
    assert is_throttled(Response(429))
    assert is_throttled(Response(403, {"Retry-After": "60"}))
    assert not is_throttled(Response(403))
    assert not is_throttled(Response(503, {"Retry-After": "60"}))


@dataclass
class Clock:
    """Time that stands still until it is moved."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def ending(when: float) -> Callable[[], float]:
    """Return what says when waiting makes no sense any more."""
    return lambda: when


@dataclass
class Desk:
    """A rate limit with a clock of its own, and answers to feed it."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.limit = RateLimit(clock=self.clock)

    def ask(self, request: Request, until: float = 110.0, **headers: str) -> None:
        """Pass a request, whose answer has these headers; it would raise if it had to wait beyond the end."""
        with self.limit.turn(request, ending(until)) as learn:
            learn(Response(200, {name.replace("_", "-"): text for name, text in headers.items()}))

    def refusal(self, request: Request, until: float = 110.0) -> CallError:
        """Return the error of a request whose turn comes too late."""
        with pytest.raises(CallError) as caught:
            self.ask(request, until)
        return caught.value


def get(path: str, route: str = "") -> Request:
    return Request("GET", BASE + path, route=route or path)


def post(path: str) -> Request:
    return Request("POST", BASE + path, route=path)


SPENT = {"Ratelimit_Limit": "400", "Ratelimit_Remaining": "0", "Ratelimit_Reset": "50"}


def test_without_headers_nobody_waits() -> None:
    """A service that says nothing is asked as fast as the script wants."""
    desk = Desk()
    for _ in range(1000):
        desk.ask(get("/services"))


def test_nothing_left_and_no_time_to_wait() -> None:
    """The refusal says that nothing was sent, what was asked for and when to come back."""
    desk = Desk()
    desk.ask(get("/services"), **SPENT)
    error = desk.refusal(get("/services"))
    assert error.code == "rate_limited"
    assert error.retry_after == 50
    assert error.retryable is True
    assert "GET https://api.example.com/v1/services was not sent" in error.message
    assert "50 s" in error.message


def test_after_the_reset_it_goes_on() -> None:
    """When the window is over, the next request goes and learns how many the new one has."""
    desk = Desk()
    desk.ask(get("/services"), **SPENT)
    desk.clock.now += 50
    desk.ask(get("/services"), until=300, **(SPENT | {"Ratelimit_Remaining": "2"}))
    desk.ask(get("/services"), until=300, **(SPENT | {"Ratelimit_Remaining": "1"}))
    desk.ask(get("/services"), until=300, **SPENT)
    assert desk.refusal(get("/services"), until=160).retry_after == 50


def test_requests_under_way_count_as_used() -> None:
    """With two left, a third waits even before the answers of the two are there."""
    desk = Desk()
    desk.ask(get("/services"), **(SPENT | {"Ratelimit_Remaining": "2"}))
    with desk.limit.turn(get("/services"), ending(110)), desk.limit.turn(get("/services"), ending(110)):
        assert desk.refusal(get("/services")).code == "rate_limited"


def test_answers_that_come_out_of_order() -> None:
    """An older answer, which knows of more that is left, does not count against a newer one."""
    desk = Desk()
    desk.ask(get("/services"), **(SPENT | {"Ratelimit_Remaining": "1", "Ratelimit_Reset": "50"}))
    desk.ask(get("/services"), **SPENT)
    with pytest.raises(CallError), desk.limit.turn(get("/services"), ending(110)) as learn:
        learn(Response(200, {"Ratelimit-Remaining": "9", "Ratelimit-Reset": "50"}))


def test_resets_are_rounded() -> None:
    """Of two answers about one window the later end counts, since services count whole seconds and may round down."""
    desk = Desk()
    desk.ask(get("/x"), Ratelimit_Remaining="1", Ratelimit_Reset="50")
    desk.ask(get("/x"), Ratelimit_Remaining="0", Ratelimit_Reset="49")
    assert desk.refusal(get("/x")).retry_after == 50


def test_reads_of_one_limit_share_it() -> None:
    """Render counts all reads together: what one route used up, a known other one knows too."""
    desk = Desk()
    desk.ask(get("/owners"), **(SPENT | {"Ratelimit_Remaining": "9"}))
    desk.ask(get("/services/1", "/services/{id}"), **SPENT)
    assert desk.refusal(get("/services/2", "/services/{id}")).code == "rate_limited"


@pytest.mark.slow
def test_who_waits_goes_when_the_limit_starts_anew() -> None:
    """A reset that comes in time is waited for, also by a route that shares the limit, and not longer."""
    limit = RateLimit()
    began = time.monotonic()
    for route, left in (("/owners", "9"), ("/services", "0")):
        with limit.turn(get(route), ending(time.monotonic() + 60)) as learn:
            learn(Response(200, {"Ratelimit-Limit": "400", "Ratelimit-Remaining": left, "Ratelimit-Reset": "0.2"}))
    with limit.turn(get("/owners"), ending(time.monotonic() + 60)):
        waited = time.monotonic() - began
    assert 0.2 <= waited < 30


def test_a_route_with_another_limit_is_free() -> None:
    """GitHub's search has a limit of its own: it is not held up by the others, nor holds them up."""
    desk = Desk()
    desk.ask(get("/search"), Ratelimit_Limit="10", Ratelimit_Remaining="0", Ratelimit_Reset="50")
    desk.ask(get("/repos"), Ratelimit_Limit="60", Ratelimit_Remaining="59", Ratelimit_Reset="3000")
    desk.refusal(get("/search"))
    desk.ask(get("/repos"))


def test_a_refusal_needs_the_route_s_own_word() -> None:
    """A route that only shares a limit is still asked: the service may know better than the limiter."""
    desk = Desk()
    desk.ask(get("/a"), **(SPENT | {"Ratelimit_Remaining": "9"}))
    desk.ask(get("/b"), **SPENT)
    desk.refusal(get("/b"))
    desk.ask(get("/a"))


def test_writes_are_counted_by_address() -> None:
    """Render allows 10 deploys a minute for each service: one service's are no other's."""
    desk = Desk()
    desk.ask(post("/services/1/deploys"), **SPENT)
    desk.refusal(post("/services/1/deploys"))
    desk.ask(post("/services/2/deploys"))
    desk.ask(get("/services/1/deploys"))


def test_a_429_closes_the_route_for_as_long_as_it_says() -> None:
    """Others do not run into the limit that one has met; the answer of an older request does not open it."""
    desk = Desk()
    with desk.limit.turn(get("/x"), ending(110)) as learn:
        learn(Response(429, {"Retry-After": "30"}))
    assert desk.refusal(get("/x")).retry_after == 30
    desk.clock.now += 30
    desk.ask(get("/x"), until=300)
    desk.ask(get("/x"), until=300)


def test_a_429_without_a_time_closes_nothing() -> None:
    """How long to wait is then the backoff's affair."""
    desk = Desk()
    with desk.limit.turn(get("/x"), ending(110)) as learn:
        learn(Response(429))
    desk.ask(get("/x"))


def test_a_failed_request_gives_its_place_back() -> None:
    """Whatever ends a request, the next one is not held up by it."""
    desk = Desk()
    desk.ask(get("/x"), **(SPENT | {"Ratelimit_Remaining": "1"}))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), desk.limit.turn(get("/x"), ending(110)):
            raise ZeroDivisionError


@pytest.mark.slow
def test_idle_buckets_are_forgotten() -> None:
    """A long life with many addresses does not fill the memory, and what still counts is kept."""
    desk = Desk()
    desk.ask(post("/spent"), **SPENT)
    tracemalloc.start()
    for number in range(7 * MAX_KNOWN // 2):
        desk.ask(post(f"/{number}"))
    few = tracemalloc.get_traced_memory()[0]
    for number in range(20 * MAX_KNOWN):
        desk.ask(post(f"/more/{number}"))
    many = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert many < 3 * few
    desk.refusal(post("/spent"))


@pytest.mark.slow
def test_after_a_reset_one_goes_ahead() -> None:
    """Many wait for the reset; one goes first, and the others follow when its answer says how many may."""
    limit = RateLimit()
    gone: list[int] = []
    answered = threading.Event()
    with limit.turn(get("/x"), ending(time.monotonic() + 60)) as learn:
        learn(Response(200, {"Ratelimit-Remaining": "0", "Ratelimit-Reset": "0.05"}))

    def ask(number: int) -> None:
        with limit.turn(get("/x"), ending(time.monotonic() + 60)) as learn:
            gone.append(number)
            answered.wait(60)
            learn(Response(200))

    with ThreadPoolExecutor(8) as pool:
        pool.map(ask, range(8))
        assert eventually(lambda: gone)
        time.sleep(0.1)
        ahead = len(gone)
        answered.set()
    assert ahead == 1
    assert len(gone) == 8


def test_processes_of_a_machine_share_what_a_service_refuses(tmp_path: Path) -> None:
    """Once one is refused, another waits as long, though it has asked nothing yet; a damaged file limits nothing."""
    path, now = str(tmp_path / "limits" / "account.json"), [1000.0]
    first, second = (SharedLimit(path, clock=lambda: now[0]) for _ in range(2))
    assert second.left("https://a.example") == 0
    first.close("https://a.example", 5)
    first.close("https://a.example", 1)
    assert second.left("https://a.example") == 5
    assert second.left("https://b.example") == 0
    now[0] += 6
    assert second.left("https://a.example") == 0
    Path(path).write_bytes(b"{")
    assert second.left("https://a.example") == 0
