"""The workspace of a tenant: what the page shows and does for one tenant, and for no other."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Any

from kosmolua.broker.recording import Recording
from kosmolua.broker.store import Waiting
from kosmolua.concurrency import lazy
from kosmolua.errors import Busy
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runtime import Runtime
from kosmolua.serve.pages.history import History, Run
from kosmolua.serve.tenants import Tenant

MAX_STARTED = 8
"""Runs that a tenant's people have under way from the page at once."""
GRACE = 1.0
"""Seconds that a request waits for a run that it started: many have ended by then, and the next page shows it."""
MAX_TRIAL_SECONDS = 30.0
"""Seconds for a run in the playground whose calls are simulated."""
CLIENT = "the page"
"""Whose runs are those that a person starts here, as the runtime shares its workers."""
SCRIPT = "playground.lua"


@dataclass(frozen=True)
class Asking:
    """A run that waits for a person.

    Args:
        run: Its id, or nothing if it is not recorded.
        script: The name of its script.
        calls: What it waits for.
    """

    run: str
    script: str
    calls: tuple[Waiting, ...]

    @property
    def is_live(self) -> bool:
        """True if the run goes on at once; a paused one is resumed."""
        return any(call.is_live for call in self.calls)


class Workspace:
    """What a person sees of a tenant. Any thread may use it, but not that of the event loop.

    Args:
        tenant: The tenant.
        loop: The event loop that owns it.
    """

    def __init__(self, tenant: Tenant, loop: asyncio.AbstractEventLoop) -> None:
        self.tenant = tenant
        self._history = History()
        self._loop = loop
        self._lock = Lock()
        self._under_way: dict[str, Future[Outcome]] = {}

    @property
    def name(self) -> str:
        """The tenant's name."""
        return self.tenant.name

    @property
    def runtime(self) -> Runtime:
        """The tenant's runtime."""
        return self.tenant.runtime

    @lazy
    def simulated(self) -> Runtime:
        """Answers the playground's calls from simulators."""
        return self.tenant.simulated()

    def runs(self) -> list[Run]:
        """Return the tenant's runs, the latest first."""
        return self._history.runs(self.runtime.store)

    def find(self, run: str) -> Run | None:
        """Return a run by its id, or None."""
        return self._history.run(run, self.runtime.store)

    def recording(self, run: str) -> Recording:
        """Return the recording of a run.

        Raises:
            ConfigError: There is none, or it is damaged.
        """
        return self.runtime.store.read(run)

    def waiting(self) -> list[Waiting]:
        """Return the calls that wait for a person, the one that waits longest first."""
        return self.runtime.store.waiting()

    def asking(self) -> list[Asking]:
        """Return the runs that wait for a person, the one that waits longest first."""
        calls = self.waiting()
        order = list(dict.fromkeys(map(_run_of, calls)))
        grouped = groupby(sorted(calls, key=lambda call: order.index(_run_of(call))), key=_run_of)
        groups = [tuple(group) for _, group in grouped]
        return [Asking(group[0].run or "", group[0].script, group) for group in groups]

    def resume(self, run: str, **decided: Any) -> None:
        """Let a recorded run go on in the background.

        Args:
            run: The run's id.
            decided: ``approve``, ``deny``, ``done`` and ``again``, as :meth:`kosmolua.Runtime.resume` takes them.

        Raises:
            KosmoError: It cannot go on, or too many runs of this page are under way.
        """
        self._start(run, self.tenant.resume(run, {"client": CLIENT}, **decided))

    def run(self, source: str) -> str:
        """Run a script with the tenant's accounts in the background, recorded, and return the run's id.

        Raises:
            KosmoError: It cannot be recorded, or too many runs of this page are under way.
        """
        run = secrets.token_hex(6)
        options: RunOptions = {"client": CLIENT, "run": run, "name": SCRIPT, "check": True}
        self._start(run, self.tenant.run(source, options))
        return run

    def try_out(self, source: str) -> Outcome:
        """Run a script whose calls are simulated, and return its outcome. What would be asked about is allowed."""
        return self.simulated.run(source, name=SCRIPT, timeout=MAX_TRIAL_SECONDS, allow=["*"], client=CLIENT)

    def replay(self, run: str) -> Outcome:
        """Repeat a recorded run from its recording alone.

        Raises:
            ConfigError: The recording cannot be read.
        """
        return self.runtime.replay(self.recording(run), client=CLIENT)

    def close(self) -> None:
        """Close what was opened here; the tenant's runtime stays open."""
        if simulated := vars(self).get("simulated"):
            simulated.close()

    def _start(self, run: str, work: Coroutine[Any, Any, Outcome]) -> None:
        """Start a run on the event loop, and wait a moment for an end that comes soon."""
        with self._lock:
            why = f"The run {run} goes on already" if run in self._under_way else None
            if len(self._under_way) >= MAX_STARTED:
                why = f"{MAX_STARTED} runs of this page are under way"
            if why:
                work.close()
                raise Busy(why, hint="wait for the end")
            started = self._under_way[run] = asyncio.run_coroutine_threadsafe(work, self._loop)
        started.add_done_callback(lambda _: self._forget(run))
        if wait([started], GRACE).done:
            outcome = started.result()
            if isinstance(outcome.error, Busy):
                raise outcome.error

    def _forget(self, run: str) -> None:
        with self._lock:
            self._under_way.pop(run, None)


def _run_of(call: Waiting) -> str:
    return call.run or call.id
