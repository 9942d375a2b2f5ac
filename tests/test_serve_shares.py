"""The shares of tenants in the time of the server's interpreter."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from kosmolua.clock import Clock
from kosmolua.serve import shares
from kosmolua.serve.shares import ACTIVE, BURST, Share, Shares, share_time

STEP = 0.0005
SECOND = 1.0


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while steps take it, or while it waits.

    It notes who has taken it, and how many steps of others disturbed each short request.
    """

    now = 1000.0

    def __init__(self) -> None:
        super().__init__()
        self.shares = Shares(self.time)
        self.taken: list[str] = []
        self.disturbed: list[int] = []
        share_time(self)

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]

    def take(self, tenant: str, seconds: float = STEP) -> None:
        self.now += seconds
        self.taken.append(tenant)

    def used(self, tenant: str, seconds: float = STEP) -> float:
        return Counter(self.taken)[tenant] * seconds


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    clock = Loop()
    monkeypatch.setattr(shares, "thread_time", clock.time)
    yield clock
    for task in asyncio.all_tasks(clock):
        task.cancel()
    clock.run_until_complete(asyncio.sleep(0))
    clock.close()


async def flood(loop: Loop, tenant: str, seconds: float = STEP) -> None:
    """Be a request of a tenant with endless work for the server's thread, in steps of so many seconds."""
    await loop.shares.of(tenant).begin()
    while True:
        loop.take(tenant, seconds)
        await asyncio.sleep(0)


async def visit(loop: Loop, tenant: str, steps: int = 10) -> None:
    """Be a short request of a tenant."""
    await loop.shares.of(tenant).begin()
    before = len(loop.taken)
    for _ in range(steps):
        await asyncio.sleep(0)
        loop.take(tenant)
    loop.disturbed.append(len(loop.taken) - before - steps)


async def visit_for_a_second(loop: Loop, tenant: str) -> None:
    ends = loop.now + SECOND
    while loop.now < ends:
        await asyncio.create_task(visit(loop, tenant))
        await asyncio.sleep(0.02)


def flooded(loop: Loop, work: Callable[[], Awaitable[None]], *tenants: str, seconds: float = STEP) -> None:
    """Run a coroutine while 16 requests of each of these tenants want all of the time."""

    async def both() -> None:
        loop.shares.of("quiet").use()
        noise = [asyncio.create_task(flood(loop, each, seconds)) for each in tenants for _ in range(16)]
        await work()
        for task in noise:
            task.cancel()

    loop.run_until_complete(both())


def test_a_tenant_has_half_of_the_time_while_another_has_requests(loop: Loop) -> None:
    """However many requests it sends at once; the other's are hardly disturbed."""
    flooded(loop, lambda: visit_for_a_second(loop, "quiet"), "noisy")
    assert loop.used("noisy") < SECOND * 0.6
    assert loop.used("noisy") > SECOND * 0.4
    assert max(loop.disturbed) <= 20


@pytest.mark.slow
def test_a_tenant_that_is_alone_has_all_of_the_time(loop: Loop) -> None:
    """Others count only while they use the interpreter."""
    flooded(loop, lambda: asyncio.sleep(ACTIVE + SECOND), "noisy")
    assert loop.used("noisy") > SECOND * 0.9 + ACTIVE * 0.4


def test_several_that_want_all_leave_a_part_to_the_others(loop: Loop) -> None:
    """And have equal shares of the rest."""
    flooded(loop, lambda: visit_for_a_second(loop, "quiet"), "one", "two", "three")
    used = [loop.used(each) for each in ("one", "two", "three")]
    assert sum(used) < SECOND * 0.8
    assert max(used) < 1.5 * min(used)


def test_a_long_step_costs_more_than_many_short_ones(loop: Loop) -> None:
    """Since nobody can have a turn in between."""
    flooded(loop, lambda: visit_for_a_second(loop, "quiet"), "noisy", seconds=10 * BURST)
    assert loop.used("noisy", 10 * BURST) < SECOND * 0.25


def test_tasks_that_a_request_starts_have_its_share(loop: Loop) -> None:
    """As those of the MCP library, which answers each request in tasks of its own."""

    async def start() -> None:
        await loop.shares.of("noisy").begin()
        await asyncio.gather(*(asyncio.create_task(steps()) for _ in range(16)))

    async def steps() -> None:
        while True:
            loop.take("noisy")
            await asyncio.sleep(0)

    async def both() -> None:
        noise = asyncio.create_task(start())
        await visit_for_a_second(loop, "quiet")
        noise.cancel()

    loop.run_until_complete(both())
    assert loop.used("noisy") < SECOND * 0.6


def test_a_request_that_waits_for_its_turn_can_be_cancelled(loop: Loop) -> None:
    """Those behind it go on."""
    ended: list[str] = []

    async def want(name: str) -> None:
        try:
            await flood(loop, "noisy", BURST)
        finally:
            ended.append(name)

    async def both() -> None:
        first, second = asyncio.create_task(want("first")), asyncio.create_task(want("second"))
        await visit(loop, "quiet")
        first.cancel()
        await asyncio.sleep(0)
        before = loop.used("noisy")
        await visit_for_a_second(loop, "quiet")
        assert ended == ["first"]
        assert loop.used("noisy") > before
        second.cancel()

    loop.run_until_complete(both())


def test_an_error_passes_through(loop: Loop) -> None:
    """To the one that waits for the task, with what the task has returned or raised."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def both() -> tuple[int, list[object]]:
        return await asyncio.create_task(answer()), await asyncio.gather(fail(), return_exceptions=True)

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    number, [error] = loop.run_until_complete(both())
    assert number == 42
    assert isinstance(error, KeyError)


def test_the_threads_of_runs_wait_for_their_turn_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each has used since it last said so counts; not those of a tenant that is alone, or that uses little."""
    now, used = 100.0, 0.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    monkeypatch.setattr(shares, "sleep", sleep)
    monkeypatch.setattr(shares, "thread_time", lambda: used)
    both = Shares(lambda: now)
    own, other = both.of("acme"), both.of("globex")

    def pauses(share: Share, clock: Clock | None = None) -> float:
        nonlocal used
        slept.clear()
        for _ in range(9):
            used += BURST / 2
            share.pace(clock or Clock(60))
        return sum(slept)

    assert not pauses(own)
    other.use()
    assert pauses(own) > 9 * BURST / 2
    other.use(BURST / 4)
    assert other.debt() <= 0
    over = Clock(60)
    over.run_out()
    other.use()
    assert not pauses(own, over)
    now += ACTIVE
    assert not pauses(own)


@pytest.mark.filterwarnings("error")
def test_a_task_that_is_cancelled_before_it_begins_leaves_no_warning(loop: Loop) -> None:
    """Its coroutine is closed with it, as in any other event loop, and it is called what the coroutine is called."""

    async def idle() -> None:
        await asyncio.sleep(1)

    async def main() -> str:
        task = asyncio.create_task(idle())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return repr(task)

    assert "idle()" in loop.run_until_complete(main())
