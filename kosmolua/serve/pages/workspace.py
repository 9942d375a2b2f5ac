"""The workspace of a tenant: what the page shows and does for one tenant, and for no other."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from threading import Lock
from typing import Any

from kosmolua.concurrency import lazy
from kosmolua.errors import Busy
from kosmolua.runs.run import Outcome, RunOptions
from kosmolua.runtime import Runtime
from kosmolua.serve.pages.history import History
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


class Workspace:
    """What a person sees of a tenant. Any thread may use it, but not that of the event loop.

    Args:
        tenant: The tenant.
        loop: The event loop that owns it.
    """

    def __init__(self, tenant: Tenant, loop: asyncio.AbstractEventLoop) -> None:
        self.tenant = tenant
        self.history = History(tenant.recordings)
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

    def resume(self, name: str, **decided: Any) -> None:
        """Let a recorded run go on in the background.

        Args:
            name: The run's id.
            decided: ``approve``, ``deny``, ``done`` and ``again``, as :meth:`kosmolua.Runtime.resume` takes them.

        Raises:
            KosmoError: It cannot go on, or too many runs of this page are under way.
        """
        self._start(name, self.tenant.resume(name, {"client": CLIENT}, decided=decided))

    def run(self, source: str) -> str:
        """Run a script with the tenant's accounts in the background, recorded, and return the run's id.

        Raises:
            KosmoError: It cannot be recorded, or too many runs of this page are under way.
        """
        name = secrets.token_hex(6)
        options: RunOptions = {"client": CLIENT, "run": name, "name": SCRIPT, "check": True}
        self._start(name, self.tenant.run(source, options))
        return name

    def try_out(self, source: str) -> Outcome:
        """Run a script whose calls are simulated, and return its outcome. What would be asked about is allowed."""
        return self.simulated.run(source, name=SCRIPT, timeout=MAX_TRIAL_SECONDS, allow=["*"], client=CLIENT)

    def replay(self, name: str) -> Outcome:
        """Repeat a recorded run from its recording alone.

        Raises:
            ConfigError: The recording cannot be read.
        """
        path = self.history.path(name)
        assert path
        return self.runtime.replay(path, client=CLIENT)

    def close(self) -> None:
        """Close what was opened here; the tenant's runtime stays open."""
        if simulated := vars(self).get("simulated"):
            simulated.close()

    def _start(self, name: str, work: Coroutine[Any, Any, Outcome]) -> None:
        """Start a run on the event loop, and wait a moment for an end that comes soon."""
        with self._lock:
            why = f"The run {name} goes on already" if name in self._under_way else None
            if len(self._under_way) >= MAX_STARTED:
                why = f"{MAX_STARTED} runs of this page are under way"
            if why:
                work.close()
                raise Busy(why, hint="wait for the end")
            started = self._under_way[name] = asyncio.run_coroutine_threadsafe(work, self._loop)
        started.add_done_callback(lambda _: self._forget(name))
        if wait([started], GRACE).done:
            outcome = started.result()
            if isinstance(outcome.error, Busy):
                raise outcome.error

    def _forget(self, name: str) -> None:
        with self._lock:
            self._under_way.pop(name, None)
