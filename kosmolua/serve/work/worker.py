"""The worker of a server: plans the ticks of schedules, and carries out the tasks of all tenants that are due."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from time import monotonic
from typing import Any, Protocol

from kosmolua.errors import NOT_NOW, ConfigError, Interrupted, KosmoError, Parked, Unavailable
from kosmolua.protocol import decode
from kosmolua.runs import Outcome, RunOptions
from kosmolua.serve.notices import MAX_AGE
from kosmolua.serve.tenant import Tenant
from kosmolua.serve.tenants import Tenants
from kosmolua.serve.work.settings import ONCE, WAIT, HookSettings, ScheduleSettings
from kosmolua.stores.store import DAY, Store, Summary
from kosmolua.stores.tasks import (
    HOOK,
    NOTICE,
    PLANNED,
    QUEUED,
    RUNNING,
    SCHEDULE,
    SLEEP,
    TASK_LEASE,
    TIMED,
    WAITING,
    ServerTask,
    TaskQueue,
    is_by_hand,
    new_run,
    pause_mark,
)

INTERVAL = 1.0
"""Seconds between two looks at what is due; there is another as soon as few of a full batch are left."""
BATCH, SLOW = 8, 0.03
"""How many tasks of a tenant a server takes at once, and how many it has at most while the store takes so many seconds
to say what is due, since then this server or the store has enough to do."""
YIELD = 0.02
"""Seconds between two looks whether deliveries are still being accepted, for which others wait to begin."""
PLAN_EVERY, TIDY_EVERY = 30.0, 600.0
"""Seconds between two looks whether each schedule has its next tick, and whether old tasks can be removed."""
LATE = 60.0
"""Seconds after which a tick counts as missed that no server has taken."""
PATIENCE = 60.0
"""Seconds for which the end of a task is stored again if the store is away."""
BACKOFF, MAX_BACKOFF = 15.0, 900.0
"""Seconds before a run that failed is tried again for the first time; they double from one try to the next."""
LOOK_AGAIN = 2.0
"""Seconds after which a task is taken again that cannot begin now."""
KEEP, KEPT_TICKS, KEPT_DELIVERIES = 30 * DAY, 200, 50_000
"""For how long tasks that are over are kept, and how many of a schedule or channel, and of a hook, at most."""
MAX_WAITING = 10
"""How many ticks of a schedule wait at most for an earlier run."""
_TO_GO_ON = "waiting", "interrupted"


class TaskNote(Protocol):
    """A function that is told what has become of a task, and how many seconds late a server took it."""

    def __call__(self, tenant: str, task: ServerTask, late: float) -> None: ...


class TaskWorker:
    """Carries out the tasks of all tenants. It runs in the event loop of the server."""

    def __init__(self, tenants: Tenants, note: TaskNote = lambda tenant, task, late: None) -> None:
        self._tenants = tenants
        self._note = note
        self._held: dict[asyncio.Task[None], tuple[Tenant, ServerTask]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._planned = self._tidied = self._renewed = float("-inf")
        self._settings: dict[str, object] = {}
        self._may_take_more = asyncio.Event()
        self._was_full = self._is_slow = self._is_turn_of_timed = False

    @property
    def is_busy(self) -> bool:
        """True while this server holds a task."""
        return bool(self._held)

    def start(self) -> None:
        """Begin to look for tasks."""
        self._looking = asyncio.create_task(self._look_forever())

    async def stop(self) -> None:
        """Look for no further tasks, and let those that are over be stored."""
        if self._looking:
            self._looking.cancel()
        if self._held:
            await asyncio.wait([*self._held], timeout=TASK_LEASE / 4)
        for each in self._held:
            each.cancel()

    async def _look_forever(self) -> None:
        while True:
            try:
                await self.look()
            except ConfigError:  # the store is away, as the probe says
                pass
            except Exception as error:  # noqa: BLE001 - what else fails once may not end all schedules
                told = {"message": "The server could not look for tasks", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._turn(), INTERVAL)

    async def _turn(self) -> None:
        """Wait until few of a full batch are left, and no delivery is being accepted."""
        await self._may_take_more.wait()
        self._may_take_more.clear()
        while any(each.accepting for each in self._tenants):
            await asyncio.sleep(YIELD)

    async def look(self) -> None:
        """Plan what is not planned, renew what is held, and begin what is due."""
        now = monotonic()
        if now - self._renewed > TASK_LEASE / 4:
            self._renewed = now
            for holder in {each for each, _ in self._held.values()}:
                own = [task for each, task in self._held.values() if each is holder]
                await _is_done(asyncio.to_thread(holder.runtime.store.tasks.renew, own))
        settings = {tenant.name: tenant.work for tenant in self._tenants}
        if now - self._planned > PLAN_EVERY or settings != self._settings:
            is_planned = [await _is_done(asyncio.to_thread(plan_all, tenant)) for tenant in self._tenants]
            if all(is_planned):
                self._planned, self._settings = now, dict(settings)
        if tidies := now - self._tidied > TIDY_EVERY:
            self._tidied = now
            for tenant in self._tenants:
                await _is_done(asyncio.to_thread(_tidy, tenant))
        self._is_turn_of_timed = not self._is_turn_of_timed
        self._was_full, began = False, monotonic()
        due = await asyncio.to_thread(self._tenants.stores.due_tenants)
        self._is_slow = monotonic() - began > SLOW
        for name in due:
            found = self._tenants.get(name)
            if found is None and tidies:
                await _is_done(asyncio.to_thread(_forget_notices, self._tenants.stores.of(name).tasks))
            if found and not found.is_draining and not await asyncio.to_thread(found.reads_drained):
                await _is_done(self._take(found))

    async def _take(self, tenant: Tenant) -> None:
        busy = Counter(each.name for each, _ in self._held.values())
        free = min(tenant.workers - busy[tenant.name], BATCH - (busy[tenant.name] if self._is_slow else 0))
        if free <= 0:
            self._was_full = True
            return
        taken = await asyncio.to_thread(_take, tenant.runtime.store.tasks, free, timed_first=self._is_turn_of_timed)
        if not taken:
            return
        self._was_full |= len(taken) == free
        begun, left = await asyncio.to_thread(admit, tenant, taken)
        lateness = {each.id: _late(each) for each in taken}
        for each in left:
            if each.due is None:
                self._note(tenant.name, each, lateness[each.id])
        for task in begun:
            carried_out = asyncio.create_task(self._carry_out(tenant, task))
            self._held[carried_out] = tenant, task
            carried_out.add_done_callback(self._forget)

    def _forget(self, begun: asyncio.Task[None]) -> None:
        """Let others begin at once in place of those that are over, if others were due."""
        self._held.pop(begun, None)
        if self._was_full and len(self._held) <= BATCH // 2:
            self._may_take_more.set()
        if not begun.cancelled() and (error := begun.exception()):
            raise error

    async def _carry_out(self, tenant: Tenant, task: ServerTask) -> None:
        store = tenant.runtime.store
        try:
            left = await Errand(tenant, task).outcome()
        except Unavailable:  # the store is away, and after the lease a server takes the task again
            return
        except KosmoError as error:
            left = _over(task, "failed", error.message)
        except Exception as error:
            failed = _over(task, "failed", f"The server failed: {error!r}")  # else it would be taken again without end
            await _keep_trying(lambda: store.tasks.put(failed))
            raise
        except asyncio.CancelledError:
            left = replace(task, status=RUNNING, due=0.0)
            await asyncio.shield(_keep_trying(lambda: store.tasks.put(left)))
            raise
        if left:
            await _keep_trying(lambda: store.tasks.put(left))
            if left.due is None:
                self._note(tenant.name, left, 0.0 if task.status == WAITING else _late(task))


class Errand:
    """A task of a tenant that this server has taken, and which can run now."""

    def __init__(self, tenant: Tenant, task: ServerTask) -> None:
        self._tenant = tenant
        self._task = task
        self._store: Store = tenant.runtime.store
        self._tasks: TaskQueue = self._store.tasks
        self._own = _settings_of(tenant, task)

    async def outcome(self) -> ServerTask | None:
        """Carry the task out, and return what has become of it; None if it sleeps, which is stored already.

        Raises:
            KosmoError: It cannot be carried out.
        """
        task = self._task
        if self._own is None and task.source != SLEEP:
            return _over(task, "skipped", f"there is no such {task.source} any more")
        if not _is_new(task) and (found := await asyncio.to_thread(self._found)):
            return await self._go_on(found)
        if task.source == SLEEP:
            return _over(task, "failed", "the recording of the run is not there any more")
        assert self._own
        script, scripts = self._own.script, self._tenant.runtime.scripts
        try:
            name, source = await asyncio.to_thread(self._tenant.work.source_of, script, scripts)
        except ConfigError as error:
            self._tenant.tell_of_failure(task.run, script, self._client, error)
            raise
        run = self._tenant.run(source.decode("utf-8", "surrogateescape"), self._options(name))
        return await self._told(run, is_new=True)

    async def _go_on(self, run: Summary) -> ServerTask | None:
        """Resume the run of a task that another server began, that slept, or that is tried again."""
        if run.status == "running":  # the lease of a server that has died, or a store that was away
            return replace(self._task, status=RUNNING, due=await self._in(LOOK_AGAIN))
        is_retried = run.status == "failed" and self._task.status == WAITING and self._task.attempt > 0
        if run.status not in _TO_GO_ON and not is_retried:
            return _over(self._task, run.status, run.error)
        if await asyncio.to_thread(lambda: self._tenant.orders.take([run.run])):
            if run.status == "waiting":
                recording = await asyncio.to_thread(self._store.read, run.run)
                await asyncio.to_thread(self._tenant.runtime.end_parked, recording)
            status = run.status if is_retried else "interrupted"
            return _over(self._task, status, "; ".join(filter(None, ["a person has stopped it", run.error])))
        options: RunOptions = {"client": self._client or run.client or "", "park": self._park}
        return await self._told(self._tenant.resume(run.run, options))

    async def _told(self, running: Coroutine[Any, Any, Outcome], *, is_new: bool = False) -> ServerTask | None:
        task, retried = self._task, self._tenant.retried
        may_try_again = self._own is not None and task.attempt < self._own.retries
        if may_try_again:
            retried.add(task.run)
        try:
            outcome = await running
        except ConfigError:
            if await self._is_elsewhere(is_new=is_new):
                return replace(task, status=RUNNING, due=await self._in(LOOK_AGAIN))
            raise
        finally:
            retried.discard(task.run)
        error = outcome.error
        if isinstance(error, Parked):
            return None
        if outcome.run is None and isinstance(error, NOT_NOW):
            pause = getattr(error, "retry_after", None) or LOOK_AGAIN
            return replace(task, status=QUEUED, note=error.message, due=await self._in(pause))
        if isinstance(error, Interrupted) and self._tenant.is_draining:
            return replace(task, status=RUNNING, note="", due=await self._in(0))
        if error and getattr(error, "retryable", False) and may_try_again:
            pause = max(min(BACKOFF * 2**task.attempt, MAX_BACKOFF), getattr(error, "retry_after", None) or 0.0)
            again = replace(task, attempt=task.attempt + 1, status=WAITING, note=error.message)
            return replace(again, due=await self._in(pause))
        return _over(task, outcome.status, error.message if error else task.note)

    async def _is_elsewhere(self, *, is_new: bool) -> bool:
        """Return True if the server that held the task before, and was thought dead, has begun or resumed the run."""
        found = await asyncio.to_thread(self._found)
        return found is not None and (is_new or found.status == "running")

    def _found(self) -> Summary | None:
        return next(iter(self._store.runs(beginning=self._task.run, limit=1)), None)

    async def _in(self, seconds: float) -> float:
        return seconds + await asyncio.to_thread(self._tasks.now)

    @property
    def _client(self) -> str:
        return f"{self._task.source} {self._task.name}" if self._own else ""

    def _options(self, name: str) -> RunOptions:
        task = self._task
        options: RunOptions = {"run": task.run, "name": name, "client": self._client, "check": True}
        options["park"] = self._park
        if isinstance(self._own, ScheduleSettings):
            options["params"] = self._own.params
        if task.given:
            options |= {"input": decode(task.given), "input_of": task.run}
        return options

    def _park(self, until: float) -> None:
        if self._tasks.put(replace(self._task, status=WAITING, due=until, note="")):
            return
        former = self._tasks.find(self._task.id)  # of a server that waits until this run rests, and then wakes it
        if former is None or former.due is None:
            raise ConfigError("Another server has ended the task of this run", hint="resume the run")


def _take(tasks: TaskQueue, limit: int, *, timed_first: bool) -> list[ServerTask]:
    """Take tasks that are due, the earliest first; of all, or first those with a time, lest others hold them up."""
    taken = tasks.take(limit, TIMED) if timed_first else []
    return [*taken, *(tasks.take(limit - len(taken)) if len(taken) < limit else ())]


def admit(tenant: Tenant, taken: Sequence[ServerTask]) -> tuple[list[ServerTask], list[ServerTask]]:
    """Begin those of the tasks that a server has taken which can run now, and plan the ticks after them.

    Return those, and what has become of the others.
    """
    store, new = tenant.runtime.store, [each for each in taken if _is_new(each)]
    ticks = {each.name for each in new if each.source == SCHEDULE}
    others = store.tasks.open(SCHEDULE, *ticks) if ticks else []
    marks = store.marks() if new else ()
    left: list[ServerTask] = []
    following: list[ServerTask] = []
    for task in new:
        own, earlier = _settings_of(tenant, task), [each for each in others if _comes_before(each, task)]
        if task.status == PLANNED and isinstance(own, ScheduleSettings):
            following += _ticks_after(task, own)
        left += filter(None, [_held_back(task, own, earlier, is_paused=pause_mark(task.source, task.name) in marks)])
    plan(store.tasks, following)
    store.tasks.put(*left)
    ids = {each.id for each in left}
    begun = store.tasks.begin(*(each for each in new if each.id not in ids))
    return [*begun, *(each for each in taken if not _is_new(each))], left


def _is_new(task: ServerTask) -> bool:
    return task.status in (PLANNED, QUEUED) and task.source != SLEEP


def _settings_of(tenant: Tenant, task: ServerTask) -> ScheduleSettings | HookSettings | None:
    work = tenant.work
    return work.schedules.get(task.name) if task.source == SCHEDULE else work.hooks.get(task.name)


def _taken_at(task: ServerTask) -> float:
    assert task.due
    return task.due - TASK_LEASE


def _late(task: ServerTask) -> float:
    return _taken_at(task) - task.since


def _ticks_after(task: ServerTask, own: ScheduleSettings) -> Iterator[ServerTask]:
    """Yield the tick after one that is taken, and what says of those between them that they are missed."""
    now = _taken_at(task)
    yield _tick(own.name, own.next_after(max(task.since, now)))
    if (left_out := own.next_after(task.since)) <= now:
        until = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="seconds")
        note = f"no server was free for this tick and those after it, up to {until}"
        yield _over(_tick(own.name, left_out), "missed", note)


def _held_back(
    task: ServerTask,
    own: ScheduleSettings | HookSettings | None,
    earlier: Sequence[ServerTask],
    *,
    is_paused: bool,
) -> ServerTask | None:
    """Return what becomes of a task that does not begin now; None if it does."""
    if own is None:
        return _over(task, "skipped", f"there is no such {task.source} any more")
    if is_by_hand(task):
        return None
    if is_paused and (task.status == PLANNED or isinstance(own, HookSettings)):
        return _over(task, "skipped", f"the {task.source} is paused")
    if isinstance(own, HookSettings):
        return None
    if task.status == PLANNED and _late(task) > LATE and own.missed != ONCE:
        return _over(task, "missed", "no server was free")
    if not earlier:
        return None
    if own.overlap != WAIT:
        return _over(task, "skipped", "an earlier run was under way")
    if task.status == PLANNED and sum(each.status == QUEUED for each in earlier) >= MAX_WAITING:
        return _over(task, "skipped", f"{MAX_WAITING} earlier ticks waited already")
    return replace(task, status=QUEUED, due=_taken_at(task) + INTERVAL, note="an earlier run is under way")


def plan(tasks: TaskQueue, ticks: Sequence[ServerTask]) -> None:
    """Add ticks that are not there, and those again which a server with other settings dropped before their time."""
    for tick in tasks.add_all(ticks):
        former = tasks.find(tick.id)
        if former and former.due is None and tick.due and tick.due > tasks.now():
            tasks.put(replace(tick, run=former.run))


def _tick(schedule: str, at: float) -> ServerTask:
    return ServerTask(f"{SCHEDULE}/{schedule}/{at:.0f}", SCHEDULE, schedule, new_run(), at, at)


def plan_all(tenant: Tenant) -> None:
    """Let each schedule of a tenant have its next tick, and drop those that the settings do not have any more."""
    tasks, schedules = tenant.runtime.store.tasks, tenant.work.schedules
    planned = [each for each in tasks.open(SCHEDULE) if each.status == PLANNED and not each.holder]
    if not schedules and not planned:
        return
    now, ready, dropped = tasks.now(), set(), []
    for task in planned:
        schedule = schedules.get(task.name)
        if schedule and (task.since <= now or schedule.next_after(task.since - 0.5) == task.since):
            ready.add(task.name)
        else:
            dropped.append(_over(task, "skipped", "the schedule was changed"))
    tasks.put(*dropped)
    plan(tasks, [_tick(name, each.next_after(now)) for name, each in schedules.items() if name not in ready])


def _comes_before(other: ServerTask, task: ServerTask) -> bool:
    return other.id != task.id and (other.since < task.since or other.status == WAITING)


def _over(task: ServerTask, status: str, note: str) -> ServerTask:
    return replace(task, status=status, note=note, due=None, given="")


def _tidy(tenant: Tenant) -> None:
    """Remove the old tasks of a tenant, and the notices for channels that the settings do not have any more."""
    tasks, channels = tenant.runtime.store.tasks, tenant.runtime.accounts.sections.notify
    for each in tasks.open(NOTICE):
        if each.name not in channels:
            tasks.put(_over(each, "lost", "there is no such channel any more"))
    tasks.prune(KEEP)
    for source, names, count in (
        (SCHEDULE, tenant.work.schedules, KEPT_TICKS),
        (NOTICE, channels, KEPT_TICKS),
        (HOOK, tenant.work.hooks, KEPT_DELIVERIES),
    ):
        for name in names:
            tasks.trim(source, name, count)


def _forget_notices(tasks: TaskQueue) -> None:
    """End the old notices of a tenant that this server does not have; another server with the store may have it."""
    old = [each for each in tasks.open(NOTICE) if tasks.now() - each.since > MAX_AGE]
    tasks.put(*(_over(each, "lost", "there is no such tenant any more") for each in old))
    tasks.prune(KEEP)


async def _is_done(work: Awaitable[object]) -> bool:
    """Return False if the store cannot be used for this tenant, which holds up no other."""
    try:
        await work
    except ConfigError:
        return False
    return True


async def _keep_trying(work: Callable[[], object]) -> None:
    """Call a function that uses the store until it is there."""
    ends = monotonic() + PATIENCE
    while True:
        try:
            await asyncio.to_thread(work)
            return
        except ConfigError:  # after the lease, another server sees by the recording how the run ended
            if monotonic() > ends:
                return
            await asyncio.sleep(INTERVAL)
