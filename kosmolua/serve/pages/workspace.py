"""The workspace of a tenant: what the page shows and does for one tenant, and for no other."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any

from kosmolua.concurrency import lazy
from kosmolua.errors import Busy
from kosmolua.runs.run import Outcome
from kosmolua.runtime import Runtime
from kosmolua.serve.pages.grants import Grants
from kosmolua.serve.pages.history import SUFFIX, History

MAX_STARTED = 8
"""Runs that a tenant's people have under way from the page at once."""
GRACE = 1.0
"""Seconds that a request waits for a run that it started: many have ended by then, and the next page shows it."""
MAX_TRIAL_SECONDS = 30.0
"""Seconds for a run in the playground whose calls are simulated."""
CLIENT = "the page"
"""Whose runs are those that a person starts here, as the runtime shares its workers."""


class Workspace:
    """What a person sees of a tenant. Any thread may use it.

    Args:
        name: The tenant.
        runtime: Runs its scripts; a call that must be approved pauses a recorded run.
        folder: Where its recordings are, and what was allowed for good.
        simulated: Opens a runtime with the same accounts whose calls are simulated, for the playground.
    """

    def __init__(
        self, name: str, runtime: Runtime, folder: str | os.PathLike[str], simulated: Callable[[], Runtime]
    ) -> None:
        self.name = name
        self.runtime = runtime
        self.history = History(folder)
        self.grants = Grants(os.path.join(folder, "grants.json"))
        self.folder = os.fspath(folder)
        self._open_simulated = simulated
        self._lock = Lock()
        self._under_way: dict[str, Future[Outcome]] = {}

    @lazy
    def simulated(self) -> Runtime:
        """Answers the playground's calls from simulators."""
        return self._open_simulated()

    def resume(
        self,
        name: str,
        *,
        approve: Sequence[int] = (),
        deny: Sequence[int] = (),
        done: Mapping[int, Any] | None = None,
        again: Sequence[int] = (),
    ) -> None:
        """Let a recorded run go on in the background, as :meth:`kosmolua.Runtime.resume` does.

        Args:
            name: The run's id.
            approve: The numbers of calls that may be made.
            deny: The numbers of calls that may not.
            done: Writes that were under way and count as done.
            again: The numbers of those that are to be sent again.

        Raises:
            KosmoError: It cannot go on, or too many runs of this page are under way.
        """
        path = self.history.path(name)
        assert path
        decided: Any = {"approve": approve, "deny": deny, "done": done, "again": again}
        allowed = self.grants.patterns(self.runtime.catalog)
        self._start(name, lambda: self.runtime.resume(path, **decided, allow=allowed, client=CLIENT))

    def run(self, source: str) -> str:
        """Run a script with the tenant's accounts in the background, recorded, and return the run's id.

        Raises:
            KosmoError: It cannot be recorded, or too many runs of this page are under way.
        """
        name = secrets.token_hex(6)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        path = os.path.join(self.folder, name + SUFFIX)
        allowed = self.grants.patterns(self.runtime.catalog)
        options: Any = {"name": "playground.lua", "record": path, "check": True, "allow": allowed, "client": CLIENT}
        self._start(name, lambda: self.runtime.run(source, **options))
        return name

    def try_out(self, source: str) -> Outcome:
        """Run a script whose calls are simulated, and return its outcome. What would be asked about is allowed."""
        return self.simulated.run(source, name="playground.lua", timeout=MAX_TRIAL_SECONDS, client=CLIENT)

    def replay(self, name: str) -> Outcome:
        """Repeat a recorded run from its recording alone.

        Raises:
            ConfigError: The recording cannot be read.
        """
        path = self.history.path(name)
        assert path
        return self.runtime.replay(path, client=CLIENT)

    def close(self) -> None:
        """End what was started here; the runtime of the tenant stays open."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if simulated := vars(self).get("simulated"):
            simulated.close()

    @lazy
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(MAX_STARTED, thread_name_prefix="kosmolua-page")

    def _start(self, name: str, work: Callable[[], Outcome]) -> None:
        with self._lock:
            if name in self._under_way:
                raise Busy(f"The run {name} goes on already", hint="wait for its end")
            if len(self._under_way) >= MAX_STARTED:
                raise Busy(f"{MAX_STARTED} runs of this page are under way", hint="wait for one to end")
            started = self._under_way[name] = self._threads.submit(work)
        started.add_done_callback(lambda _: self._forget(name))
        if wait([started], GRACE).done:
            started.result()

    def _forget(self, name: str) -> None:
        with self._lock:
            self._under_way.pop(name, None)
