"""The shares of the tenants in the time of the server's Python interpreter, which only one thread at a time can use."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from math import exp
from threading import Lock, local
from time import monotonic, sleep, thread_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kosmolua.clock import Clock

BURST = 0.01
"""Seconds that a tenant can use at once. What is longer costs more than it takes: whoever comes meanwhile waits."""
SLICE = 0.001
"""Seconds after which what a thread has used is counted."""
LONGEST_SLEEP = 0.1
"""Seconds after which a thread that waits looks whether its run is over."""
ACTIVE = 1.0
"""Seconds for which a tenant counts as one that uses the interpreter, after it has."""
RECENT = 0.2
"""Seconds that tell who uses much: more than half of an equal part of them."""
MAX_DEBT = 10.0
"""Seconds that a tenant waits at most for what it has used."""


class Shares:
    """The shares of all tenants. ``clock`` returns the time in seconds. Any thread may use them.

    ``only`` is the share of the tenant that uses the interpreter alone: nothing has to be counted for it.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.only: Share | None = None
        self._of: dict[str, Share] = {}
        self._active: dict[Share, float] = {}
        self._lock = Lock()
        self.clock = clock

    def of(self, tenant: str) -> Share:
        """Return the share of a tenant."""
        return self._of.setdefault(tenant, Share(self))

    def note(self, share: Share) -> None:
        """Note that a tenant uses the interpreter."""
        with self._lock:
            self._active.pop(share, None)
            self._active[share] = self.clock()
            self.only = share if self.only is share else None

    def rivals(self, share: Share) -> list[Share]:
        """Return the shares of the other tenants that use the interpreter."""
        with self._lock:
            while self._active and self.clock() - next(iter(self._active.values())) >= ACTIVE:
                del self._active[next(iter(self._active))]
            rivals = [each for each in self._active if each is not share]
            self.only = None if rivals else share
            return rivals


class Share:
    """The share of one tenant: half of the time while others use the interpreter, or less if several use much."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._recent, self._noted = 0.0, 0.0
        self._paid = 0.0
        """When what was used will be paid for."""
        self._counted = local()
        self._unpaid = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_alone(self) -> bool:
        """True if no other tenant has used the interpreter since this one was found to be alone."""
        return self._shares.only is self

    def use(self, seconds: float = 0.0) -> None:
        """Note that the tenant has used the interpreter for so long."""
        self._shares.note(self)
        now, rivals = self._shares.clock(), self._shares.rivals(self)
        self._recent, self._noted = self._recently(now) + seconds, now
        much = RECENT / 2 / (2 + len(rivals))
        parts = 2 + sum(each._recently(now) > much for each in rivals)
        cost = parts * seconds * (1 + seconds / BURST) if rivals else 0.0
        self._paid = min(max(self._paid, now) + cost, now + MAX_DEBT)

    def step(self, seconds: float) -> None:
        """Note what a step of a task took; what is short is counted with the steps that follow."""
        self._unpaid += seconds
        if self._unpaid >= SLICE / 4:
            seconds, self._unpaid = self._unpaid, 0.0
            self.use(seconds)

    def _recently(self, now: float) -> float:
        """Return how many seconds the tenant has used in the last :data:`RECENT` seconds, roughly."""
        return self._recent * exp((self._noted - now) / RECENT)

    def debt(self) -> float:
        """Return after how many seconds the tenant can go on; it need not wait if this is not positive."""
        debt = self._paid - BURST - self._shares.clock()
        return debt if debt <= 0 or self._shares.rivals(self) else 0.0

    def pace(self, clock: Clock) -> None:
        """Count what a thread of the tenant's own has used since the last call, and keep it waiting for its turn."""
        now = thread_time()
        if now - (since := getattr(self._counted, "until", 0.0)) < SLICE:
            return
        self._counted.until = now
        self.use(now - since)
        while (debt := min(self.debt(), clock.left)) > 0:
            sleep(min(debt, LONGEST_SLEEP))

    async def begin(self) -> None:
        """Have the current task, and those that it starts, use this share from now on."""
        if steps := _steps.get():
            steps.share = self
            if not self.is_alone:
                self._shares.note(self)
                await asyncio.sleep(0)  # the next step waits for its turn

    def turn(self) -> asyncio.Future[None] | None:
        """Return what the next step of a task has to wait for, the first come first; None if it can go on."""
        debt = self.debt()
        if debt <= 0 and not self._waiting:
            return None
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_later(debt, self._admit)
        return turn

    def _admit(self) -> None:
        """Let the next step go on, one at a time, so that others have theirs in between."""
        debt = self.debt()
        while self._waiting and debt <= 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break
        if self._waiting:
            asyncio.get_running_loop().call_later(max(debt, 0), self._admit)


class _Steps(Coroutine[Any, Any, Any]):
    """A coroutine that counts what each of its steps takes; all but the first wait for their turn."""

    def __init__(self, work: Coroutine[Any, Any, Any], share: Share | None) -> None:
        self._work = work
        self._unpaid = 0.0
        self._may_go_on = True
        self.share = share

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)  # what tells asyncio and AnyIO its name and where it is

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work.__await__()

    def send(self, value: Any) -> Any:
        share = self.share
        is_alone = share is not None and share.is_alone
        if not (self._may_go_on or is_alone) and share and (turn := share.turn()):
            self._may_go_on = True
            return next(iter(turn))
        self._may_go_on = False
        if is_alone:
            _steps.set(self)
            return self._work.send(value)
        return self._timed(self._work.send, value)

    def throw(self, *error: Any) -> Any:
        self._may_go_on = False
        return self._timed(self._work.throw, *error)

    def close(self) -> None:
        self._work.close()

    def _timed(self, step: Callable[..., Any], *given: Any) -> Any:
        _steps.set(self)
        began = thread_time()
        try:
            return step(*given)
        finally:
            self._unpaid += thread_time() - began
            if self.share:
                self.share.step(self._unpaid)
                self._unpaid = 0.0


_steps: ContextVar[_Steps | None] = ContextVar("steps", default=None)
"""The current task of an event loop that shares its time."""


def share_time(loop: asyncio.AbstractEventLoop) -> None:
    """Share the time of an event loop's thread. A task that another starts has the share of that one."""

    def start(loop: asyncio.AbstractEventLoop, work: Any, **given: Any) -> asyncio.Task[Any]:
        starter = _steps.get()
        return asyncio.Task(_Steps(work, starter.share if starter else None), loop=loop, **given)

    loop.set_task_factory(start)
