"""The data that the website shows for one tenant, and the actions that people can take on the website."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from time import monotonic
from typing import Any

from kosmolua.errors import Busy, KosmoError, Unavailable
from kosmolua.recordings.plans import Plan
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runtime import Runtime
from kosmolua.schema.effects import is_final
from kosmolua.serve.pages.history import MAX_RUNS, History, RunEntry
from kosmolua.serve.tenant import NOBODY, Tenant, Voter
from kosmolua.serve.work import overview
from kosmolua.stores.store import RunFilter, Slot, Store, WaitingCall

MAX_STARTED = 8
"""The most runs of a tenant that were started on the website, in any replica, and are active at once."""
FRESH = 0.9
"""Seconds for which pages share one look at what has changed."""
READING_ON = 0.9
"""Seconds for which recordings are read after a view is shown: until the page asks again."""
GRACE = 1.0
"""Seconds that a request waits for the run that it starts, so that the next page can show how a short run ended."""
MAX_REPLAY = 3.0
"""Seconds that the replay of a run may take that did not come to its end, such as one that still runs."""
MAX_TRIAL_SECONDS = 30.0
"""The time limit of a simulated run in the playground, in seconds."""
MAX_SUBJECTS = 3
"""How many names a group of calls tells before it is unfolded."""
CLIENT = "the page"
"""The name of the client in runs that a person starts on the website."""
SCRIPT = "playground.lua"
PLANS, SCHEDULES, INSIGHTS = SUBJECTS = ("plans", "schedules", "insights")
"""Of what pages are told that are not about some runs."""

FOLLOW_INTERVAL, FOLLOWING = 2.0, 120.0
"""Seconds between two looks whether a server has taken a decision, and how long to look. A lease ends before that."""


@dataclass(frozen=True)
class WaitingGroup:
    """Calls of one function with one account that wait for a person, each with its run, if that is recorded.

    ``id`` is what no other group has, whichever calls it consists of. Simulators answer the calls if ``is_trial``.
    ``people`` is how many have to approve each.
    """

    id: str
    items: tuple[tuple[WaitingCall, RunEntry | None], ...]
    is_trial: bool
    people: int

    @property
    def call(self) -> Mapping[str, Any]:
        """The first call, which says what the others have in common."""
        return self.items[0][0].call

    @property
    def destroys(self) -> bool:
        """True if the calls destroy something."""
        return is_final(self.call["effect"])

    @property
    def is_alike(self) -> bool:
        """True if there are several calls, and the same is to be known about all, as whether they can be undone."""
        names = ("undoable", "lost", "why", "flows")
        told = [str([call.call.get(name) for name in names]) for call, _ in self.items]
        return len(told) > 1 == len({*told})

    @property
    def subjects(self) -> str:
        """What the calls are about: names behind ids, or else titles of runs, each with how many calls."""
        named = Counter(
            ", ".join((call.call.get("names") or {}).values()) or (run.title if run else call.script)
            for call, run in self.items
        )
        shown = [f"{name} ×{number}" if number > 1 else name for name, number in named.items()]
        more = f" and {len(shown) - MAX_SUBJECTS} more" if len(shown) > MAX_SUBJECTS else ""
        return ", ".join(shown[:MAX_SUBJECTS]) + more

    @property
    def clients(self) -> str:
        """Who made the calls: the clients and people of their runs."""
        return ", ".join(dict.fromkeys(run.by for _, run in self.items if run and run.by))

    @property
    def runs(self) -> int:
        """The number of runs."""
        return len({call.run or call.id for call, _ in self.items})


class Workspace:
    """The data that the website shows for one tenant, and the actions that people of the tenant can take.

    Any thread may use this object, except the thread of the event loop, which would be blocked.
    """

    def __init__(self, tenant: Tenant, loop: asyncio.AbstractEventLoop) -> None:
        self.tenant = tenant
        self.matrices: dict[str, tuple[tuple[Any, ...], list[Any]]] = {}
        """What the catalogue has worked out of an integration, and what that depends on, by the integration's name."""
        self.history = History(lambda: self.store)
        self._loop = loop
        self._lock = Lock()
        self._under_way: dict[str, Future[Outcome]] = {}
        self._answered: set[str] = set()
        self._states: dict[RunFilter | str, tuple[float, tuple[int, str]]] = {}

    @property
    def runtime(self) -> Runtime:
        """The tenant's runtime. It makes real calls, unless the whole server simulates them."""
        return self.tenant.runtime

    @property
    def store(self) -> Store:
        """The tenant's store."""
        return self.runtime.store

    def known(self, runs: Sequence[RunEntry], seconds: float) -> list[RunEntry]:
        """Read the details of runs for so many seconds, and return the runs whose details are known then.

        The others are read on in the background for a moment, so that the next view knows more of them.
        """
        known = self.history.known(runs, seconds)
        if len(known) < len(runs):
            asyncio.run_coroutine_threadsafe(asyncio.to_thread(self.history.known, runs, READING_ON), self._loop)
        return known

    def named(self, calls: Iterable[WaitingCall]) -> dict[str, RunEntry]:
        """Return the runs of calls that wait, by their ids."""
        runs = {call.run for call in calls if call.run}
        found = self.history.find(RunFilter(runs=frozenset(runs)), 0, len(runs))[0] if runs else []
        return {run.id: run for run in found}

    def waiting(self) -> list[WaitingCall]:
        """Return the calls that wait for a person's approval, beginning with the oldest."""
        return [call for call in self.store.waiting() if call.run not in self._answered]

    def urgent(self) -> int:
        """Return how many calls wait for a person; what a trial asks, nothing depends on."""
        calls = self.waiting()
        named = {} if self.runtime.is_simulated else self.named(calls)
        return sum(not self.is_trial(named.get(call.run or "")) for call in calls)

    def state(self, about: RunFilter | str) -> tuple[int, str]:
        """Return how many calls wait, and a text that changes with what a page shows.

        ``about`` are the runs that the page shows, or one of :data:`SUBJECTS`.
        """
        with self._lock:
            known = self._states.get(about)
            if known and monotonic() - known[0] < FRESH:
                return known[1]
        state = self.urgent(), sha256(repr(self._shown(about)).encode()).hexdigest()[:16]
        with self._lock:
            self._states = {name: each for name, each in self._states.items() if monotonic() - each[0] < FRESH}
            self._states[about] = monotonic(), state
        return state

    def _shown(self, about: RunFilter | str) -> object:
        if about == PLANS:
            return sorted(sha256(plan).hexdigest() for plan in self.store.plans())  # plans can be large
        if about == SCHEDULES:
            entries = overview.entries(self.tenant.name, self.tenant.work, self.store)
            return [(each, overview.history(self.store, each.kind, each.name)) for each in entries]
        shown = about if isinstance(about, RunFilter) else RunFilter()
        found, total = self.history.find(shown, 0, MAX_RUNS if shown.fleet or about == INSIGHTS else 50)
        return [total, [each.id for each in self.waiting()], [each.version for each in found]]

    def grouped(self, calls: Sequence[WaitingCall]) -> list[WaitingGroup]:
        """Return calls that wait by mode, function, account and effect, in the order of each group's first call."""
        named, groups = self.named(calls), dict[tuple[bool, str], list[tuple[WaitingCall, "RunEntry | None"]]]()
        for each in calls:
            run = named.get(each.run or "")
            subject = json.dumps([each.call[name] for name in ("path", "account", "effect")])
            groups.setdefault((self.is_trial(run), subject), []).append((each, run))
        return [
            WaitingGroup(
                sha256(repr(key).encode()).hexdigest()[:12],
                tuple(items),
                key[0],
                self.tenant.people_for(items[0][0].call["effect"]),
            )
            for key, items in groups.items()
        ]

    def is_trial(self, run: RunEntry | None) -> bool:
        """Return True if simulators answer the calls of a run, on a server that does not simulate all calls."""
        return run is not None and run.mode == "simulated" and not self.runtime.is_simulated

    def resume_all(
        self, runs: Mapping[str, list[int]], person: str, voter: Voter = NOBODY, *, is_approved: bool
    ) -> None:
        """Resume paused runs in the background, all with the same decision about the calls with these numbers.

        Raises:
            KosmoError: There is one run, and it cannot be resumed.
        """
        name = "approve" if is_approved else "deny"
        if len(runs) == 1:
            [(run, numbers)] = runs.items()
            self.resume(run, person, voter, **{name: numbers})
            return
        self._answered |= runs.keys()
        room = asyncio.Semaphore(MAX_STARTED)

        async def resume(run: str, numbers: list[int]) -> None:
            options: RunOptions = {"client": CLIENT, "person": person}
            with suppress(KosmoError):  # its page says what is wrong
                try:
                    async with room:
                        await self.tenant.resume(run, options, voter=voter, **{name: numbers})
                finally:
                    self._answered.discard(run)  # it is listed again, if it still waits

        wait([asyncio.run_coroutine_threadsafe(resume(*each), self._loop) for each in runs.items()], GRACE)

    def resume(self, run: str, person: str, voter: Voter = NOBODY, **decided: Any) -> None:
        """Resume a recorded run in the background, with a person's decisions: see :meth:`kosmolua.Runtime.resume`.

        Raises:
            KosmoError: The run cannot be resumed, or too many runs that were started on the website are active.
        """
        options: RunOptions = {"client": CLIENT, "person": person}
        self._start(run, lambda: self.tenant.resume(run, options, voter=voter, **decided))

    def follow(self, run: str) -> None:
        """Resume a run about whose call a person has just decided, in case its server has died.

        A server that lives takes the decision within a second. One that is dead holds the recording until its lease
        ends; then the run is resumed here, and the decision is not asked for again.
        """
        asyncio.run_coroutine_threadsafe(self._follow(run), self._loop)

    async def _follow(self, run: str) -> None:
        store, ends = self.store, self._loop.time() + FOLLOWING
        with suppress(KosmoError):  # the run can still be resumed on its page
            while self._loop.time() < ends:
                await asyncio.sleep(FOLLOW_INTERVAL)
                if not await asyncio.to_thread(store.answered, run):
                    return
                if not await asyncio.to_thread(store.place(run).is_in_use):
                    await asyncio.to_thread(self.resume, run, "")
                    return

    def run(self, source: str, person: str, *, simulate: bool = False) -> str:
        """Start a script with the tenant's accounts in the background, and record the run. Return the id of the run.

        With ``simulate``, simulators answer the calls, and the run has at most ``MAX_TRIAL_SECONDS``.

        Raises:
            KosmoError: The check refused the script, the run cannot be recorded, or too many runs that were started on
                the website are active.
        """
        run = secrets.token_hex(6)
        options = self._options(person, run)
        if simulate:
            options["timeout"] = MAX_TRIAL_SECONDS
        self._start(run, lambda: self.tenant.run(source, options, simulate=simulate))
        return run

    def plan(self, source: str, person: str, *, simulate: bool = False) -> Outcome:
        """Make a plan of a script, wait for its end, and return the outcome, with the plan if there is one."""
        planned = self.tenant.plan(source, self._options(person, secrets.token_hex(6)), simulate=simulate)
        return asyncio.run_coroutine_threadsafe(planned, self._loop).result()

    def _options(self, person: str, run: str) -> RunOptions:
        return {"client": CLIENT, "run": run, "name": SCRIPT, "check": True, "person": person}

    def undo(self, run: RunEntry, person: str, accept: Callable[[str], bool]) -> Plan:
        """Make a plan of the calls that undo what a run wrote, and return it; see :meth:`Tenant.undo`."""
        options: RunOptions = {"client": CLIENT, "person": person, "title": f"Undo: {run.title}"}
        planned = self.tenant.undo(self.store.read(run.id), options, accept)
        return asyncio.run_coroutine_threadsafe(planned, self._loop).result()

    def apply(self, plan: Plan, person: str, without: Sequence[int]) -> Outcome:
        """Apply a plan to which a person has agreed, wait for its end, and return the outcome."""
        options: RunOptions = {"client": CLIENT, "person": person}
        applied = self.tenant.apply(plan, options, without=without, agreed=True)
        return asyncio.run_coroutine_threadsafe(applied, self._loop).result()

    def replay(self, run: RunEntry) -> Outcome:
        """Replay a recorded run, and return the outcome of the replay. Nothing is sent to any service.

        The replay of a run that did not come to its end may not come to one either, and then ends at ``MAX_REPLAY``.

        Raises:
            ConfigError: The recording cannot be read.
        """
        options: RunOptions = {"client": CLIENT}
        if not run.ends_again:
            options["timeout"] = MAX_REPLAY
        return self.runtime.replay(self.store.read(run.id), **options)

    def _start(self, run: str, begin: Callable[[], Coroutine[Any, Any, Outcome]]) -> None:
        """Start a run on the event loop, and wait at most ``GRACE`` seconds until it has ended."""
        self.tenant.settle()
        slot = self.store.slot("started", MAX_STARTED)
        with self._lock:
            why = f"The run {run} is already running" if run in self._under_way else None
            if not slot.is_held():
                why = f"{MAX_STARTED} runs that were started on this website are still active"
            if why:
                slot.release()
                raise Busy(why, hint="try again later")
            started = self._under_way[run] = asyncio.run_coroutine_threadsafe(begin(), self._loop)
        started.add_done_callback(lambda _: self._forget(run, slot))
        if wait([started], GRACE).done:
            outcome = started.result()
            if outcome.error and (outcome.recording is None or isinstance(outcome.error, (Busy, Unavailable))):
                raise outcome.error

    def _forget(self, run: str, slot: Slot) -> None:
        with self._lock:
            self._under_way.pop(run, None)
        self._loop.run_in_executor(None, slot.release)  # this is the thread of the loop, which must not wait
