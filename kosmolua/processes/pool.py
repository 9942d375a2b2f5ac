"""The worker pool: gives each script a process, limits how many scripts run at once, and decides which one is next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from queue import SimpleQueue
from threading import Event, RLock
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple, cast

from kosmolua.concurrency import forget, lazy, start_thread
from kosmolua.errors import Busy, ConfigError, Interrupted, WorkerLost
from kosmolua.limits import Limits
from kosmolua.processes.child import CAN_FORK, Child, ColdChild

if TYPE_CHECKING:
    from kosmolua.broker.store import Slot
    from kosmolua.processes.spares import Spares
    from kosmolua.processes.zygote import ForkedChild

MAX_REUSE = 1_000_000
"""The largest number of runs that one process can be set to serve."""
MAX_QUEUE = 16
"""How many runs of all clients together can wait, per worker of the pool."""
MAX_QUEUE_OF_CLIENT = 12
"""How many runs of one client can wait, per worker of the pool."""
MAX_PAUSED = 4
"""How many runs can be paused, per worker of the pool. Further runs stay active while they wait for a person."""
RESERVE = 8
"""One worker in this many is kept free for clients that have no running script."""


SLOT_PAUSE = 0.02
"""Seconds between two looks whether a slot that is shared with other processes is free."""
SLOT_PATIENCE = 5.0
"""Seconds to wait for a store of slots that cannot be reached."""


class Load(NamedTuple):
    """How busy a pool is.

    Args:
        workers: How many runs can be active at once.
        busy: How many runs are active.
        queued: How many runs are waiting to become active.
        paused: How many runs are not active because they are waiting for a person's answer.
    """

    workers: int
    busy: int
    queued: int
    paused: int


class WorkerPool:
    """Gives each run a process, and limits how many runs are active at once.

    The pool has as many places as workers. Each active run occupies a place, while a run that waits for a person's
    answer needs none. Clients take turns: when places become free, each waiting client gets one before any client gets
    a second. The last free places go only to clients that have no place, so that no single client can keep the others
    waiting.

    If the system can fork, a zygote forks the processes, some of them before they are needed. Otherwise, the pool keeps
    one spare process ready.

    Args:
        workers: How many runs can be active at once. Further runs wait.
        reuse: How many runs one process serves if each run ends cleanly and the system can fork.

    Raises:
        ConfigError: ``workers`` or ``reuse`` is out of bounds.
    """

    def __init__(self, workers: int, reuse: int = 1) -> None:
        if workers < 1:
            raise ConfigError(f"the number of workers must be at least 1, not {workers}")
        if not 1 <= reuse <= MAX_REUSE:
            raise ConfigError(f"reuse, the number of runs of a process, must be from 1 to {MAX_REUSE:,}, not {reuse}")
        self._workers = workers
        self._closed = False
        self._reuse = reuse
        self._spare: ColdChild | None = None
        self._lock = RLock()
        self._places = _Places(workers)

    def share(self, enter: Callable[[], Slot], among: int = 1) -> None:
        """Share the places with the pools of other processes: a run is active only while it also has a shared slot.

        Call this before the first run.

        Args:
            enter: A function that enters the line for a slot. It is called in a thread of its own.
            among: How many such pools there are in this server. Each has an equal part of the queue.
        """
        self._places.share(enter, among)

    @property
    def workers(self) -> int:
        """How many runs can be active at once."""
        return self._workers

    @property
    def load(self) -> Load:
        """How busy the pool is now."""
        return self._places.load

    @property
    def max_runs(self) -> int:
        """The largest number of runs that can have a process: active runs, and runs that wait for a person."""
        return self._workers * (1 + MAX_PAUSED)

    def queue(self, client: str | None = None, on_come: Callable[[], None] | None = None) -> Turn:
        """Put a run into the queue for a place among the active runs, and return without waiting.

        Args:
            client: The client that the run belongs to. None stands for the program itself. It can use all places, and
                its queue has no limit.
            on_come: A function to call, in any thread, when the run gets a place or its turn is cancelled.

        Returns:
            The run's turn. Use it to wait for the place.

        Raises:
            Busy: Too many runs are waiting already.
        """
        turn = Turn(self._places, client, on_come)
        self._places.queue(turn)
        return turn

    @contextmanager
    def take(self, client: str | None = None, turn: Turn | None = None, limits: Limits | None = None) -> Iterator[Turn]:
        """Wait until a run can become active, get a process for it, and yield its turn, which holds the process.

        When the block ends, the pool takes the process and the place back.

        Args:
            client: The client that the run belongs to. None stands for the program itself.
            turn: The turn of the run if :meth:`queue` was called for it. Otherwise, the run is queued now.
            limits: The limits of the run; by default ``Limits()``. They apply to the process even before it gets its
                job.

        Raises:
            Busy: Too many runs are waiting already.
            Interrupted: The pool is closed, or the turn was cancelled.
            WorkerLost: No process can be started.
        """
        turn = turn or self.queue(client)
        try:
            if not turn.wait():
                raise Interrupted("The script was interrupted before it began")
            turn.child = self._start(limits or Limits())
            try:
                yield turn
            finally:
                if CAN_FORK:
                    self._spares.give_back(cast("ForkedChild", turn.child))
                else:
                    turn.child.close()
        finally:
            turn.end()

    def warm(self) -> None:
        """Start the process that forks workers before a run needs it. Do nothing if the system cannot fork."""
        with self._lock:
            if CAN_FORK and not self._closed:
                self._spares.warm()

    def close(self) -> None:
        """End the processes that are kept ready. Runs that are still waiting for a place fail with Interrupted."""
        with self._lock:
            self._closed = True
            for warm in (vars(self).get("_spares"), self._spare):
                if warm:
                    warm.close()
            self._spare = None
        self._places.open()

    def start_anew(self) -> None:
        """Make the pool usable in a fork of the program. The pool's processes and runs stay with the parent."""
        if spares := vars(self).get("_spares"):
            spares.leave()
        forget(self)
        self._lock = RLock()
        self._places = _Places(self._workers)

    def _start(self, limits: Limits) -> Child:
        try:
            with self._lock:
                if self._closed:
                    raise Interrupted("The runtime was closed before the script began")
                if not CAN_FORK:
                    ready, self._spare = self._spare or ColdChild(), ColdChild()
                    return ready
                spares = self._spares
            from kosmolua.processes.zygote import Terms

            return spares.take(Terms(limits.cpu, limits.memory, self._reuse))
        except (OSError, RuntimeError) as error:  # such as "can't start new thread"
            raise WorkerLost.unstartable(error) from None

    @lazy
    def _spares(self) -> Spares:
        from kosmolua.processes.spares import Spares

        return Spares()


class Turn:
    """A run's turn in a worker pool: the run waits for a place, and then has a place and a process.

    ``holds`` is True while the run has a place, which makes it one of the active runs. ``child`` is the run's process.
    It exists once :meth:`WorkerPool.take` yields the turn.

    Args:
        places: The pool's places.
        client: The client that the run belongs to, or None for the program itself.
        on_come: A function to call when the run gets a place or its turn is cancelled, or None.
    """

    def __init__(self, places: _Places, client: str | None, on_come: Callable[[], None] | None = None) -> None:
        self.client = client
        self.holds = False
        self.child: Child
        self.slot: Slot | None = None
        """The slot of the run, if the pool shares its places with other processes."""
        self._places = places
        self._on_come = on_come
        self._over = Event()

    def wait(self) -> bool:
        """Wait for a place. Return True if the run got one, or False if the turn was cancelled."""
        self._over.wait()
        return self.holds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Pause the run during the block, in which a person is asked. Other runs can have its place meanwhile.

        The process keeps running. When the block ends, the run waits for a place again. If too many runs are paused
        already, this run keeps its place.
        """
        self._over.clear()
        is_paused = self._places.pause(self)
        try:
            yield
        finally:
            if is_paused:
                self._places.resume(self)
                self._over.wait()

    def cancel(self) -> None:
        """Take the run out of the queue, so that :meth:`wait` returns False. A run that has a place keeps it."""
        self._places.cancel(self)

    def end(self) -> None:
        """Give the run's place to the next run, or take the run out of the queue if it has no place."""
        self._places.end(self)

    def come(self, *, holds: bool) -> None:
        """Record that the run no longer waits, and wake the thread that is in :meth:`wait`.

        Args:
            holds: True if the run has got a place, False if its turn was cancelled.
        """
        self.holds = holds
        self._over.set()
        if self._on_come:
            self._on_come()


class _Places:
    """Decides which runs are active: gives a limited number of places to runs, so that their clients take turns.

    ``_queues`` contains the waiting runs of each client that has any. The client whose turn is next comes first.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free: float = count
        self._reserve = 0 if count == 1 else max(1, count // RESERVE)
        self._held: Counter[str | None] = Counter()
        self._queues: dict[str | None, deque[Turn]] = {}
        self._paused: set[Turn] = set()
        self._cancelled: set[Turn] = set()
        self._among = 1
        self._enter: Callable[[], Slot] | None = None
        self._line: SimpleQueue[Turn] | None = None
        self._in_line: set[Turn] = set()
        self._lock = RLock()

    def share(self, enter: Callable[[], Slot], among: int) -> None:
        self._among = among
        self._enter = enter

    def queue(self, turn: Turn) -> None:
        with self._lock:
            if turn.client is not None:
                self._refuse_if_full(turn.client)
            self._queues.setdefault(turn.client, deque()).append(turn)
            self._give()

    @property
    def load(self) -> Load:
        with self._lock:
            in_line = len(self._in_line)
            queued = sum(map(len, self._queues.values())) + in_line
            return Load(self._count, sum(self._held.values()) - in_line, queued, len(self._paused))

    def pause(self, turn: Turn) -> bool:
        """Take a run's place away until :meth:`resume`.

        Return True, or False if the run has no place or keeps its place because too many runs are paused already.
        """
        with self._lock:
            if not turn.holds or len(self._paused) >= MAX_PAUSED * self._count:
                return False
            self._paused.add(turn)
            slot = self._take_back(turn)
            self._give()
        _release(slot)
        return True

    def resume(self, turn: Turn) -> None:
        """Queue a paused run for a place again, ahead of runs of the same client that have not begun."""
        with self._lock:
            self._paused.discard(turn)
            if turn in self._cancelled:
                turn.come(holds=False)
                return
            self._queues.setdefault(turn.client, deque()).appendleft(turn)
            self._give()

    def cancel(self, turn: Turn) -> None:
        with self._lock:
            if self._remove(turn):
                turn.come(holds=False)
            elif turn in self._in_line:
                self._take_back(turn)
                self._give()
                turn.come(holds=False)
            elif turn in self._paused:
                self._cancelled.add(turn)

    def end(self, turn: Turn) -> None:
        with self._lock:
            self._paused.discard(turn)
            self._cancelled.discard(turn)
            slot = None
            if turn.holds or turn in self._in_line:
                slot = self._take_back(turn)
            else:
                self._remove(turn)
            self._give()
        _release(slot)

    def open(self) -> None:
        """Give all waiting and future runs a place, without a limit."""
        with self._lock:
            self._free = inf
            self._give()

    def _give(self) -> None:
        while turn := self._next():
            self._free -= 1
            self._held[turn.client] += 1
            if self._enter:
                self._in_line.add(turn)
                self._opened_line(self._enter).put(turn)
            else:
                turn.come(holds=True)

    def _opened_line(self, enter: Callable[[], Slot]) -> SimpleQueue[Turn]:
        if self._line is None:
            self._line = SimpleQueue()
            start_thread(partial(self._stand_in_line, self._line, enter), "slots")
        return self._line

    def _stand_in_line(self, line: SimpleQueue[Turn], enter: Callable[[], Slot]) -> None:
        """Get a slot for each turn that has a place, in the thread for this. The turns come one after another.

        So the pools of several processes take turns too: each has at most one place in the line beyond its slots.
        """
        while True:
            turn = line.get()
            slot = self._await_slot(turn, enter)
            with self._lock:
                if turn in self._in_line:
                    self._in_line.discard(turn)
                    turn.slot, slot = slot, None
                    turn.come(holds=True)
            _release(slot)

    def _await_slot(self, turn: Turn, enter: Callable[[], Slot]) -> Slot | None:
        """Wait until a turn has a slot or leaves the line. Return its place in the line, if it has one.

        If the store of the slots cannot be reached for some seconds, return too: the run has to say so.
        """
        slot, reached = None, monotonic()
        while self._is_in_line(turn) and monotonic() - reached < SLOT_PATIENCE:
            with suppress(ConfigError):
                slot = slot or enter()
                if slot.is_held():
                    break
                reached = monotonic()
            sleep(SLOT_PAUSE)
        return slot

    def _is_in_line(self, turn: Turn) -> bool:
        with self._lock:
            return turn in self._in_line and self._free != inf

    def _next(self) -> Turn | None:
        """Remove the next run from the queue of its client, and return it. Return None if every run has to wait.

        The client's next turn comes after those of the other waiting clients.
        """
        for client, waiting in self._queues.items():
            kept_free = self._reserve if client is not None and self._held[client] else 0
            if self._free > kept_free:
                turn = waiting.popleft()
                del self._queues[client]
                if waiting:
                    self._queues[client] = waiting
                return turn
        return None

    def _take_back(self, turn: Turn) -> Slot | None:
        """Take a run's place away. Return its slot, which has to be released, or None if it has none."""
        turn.holds = False
        self._in_line.discard(turn)
        self._free += 1
        self._held[turn.client] -= 1
        if not self._held[turn.client]:
            del self._held[turn.client]
        slot, turn.slot = turn.slot, None
        return slot

    def _remove(self, turn: Turn) -> bool:
        waiting = self._queues.get(turn.client, ())
        if turn not in waiting:
            return False
        self._queues[turn.client].remove(turn)
        if not self._queues[turn.client]:
            del self._queues[turn.client]
        return True

    def _refuse_if_full(self, client: str) -> None:
        own = len(self._queues.get(client, ()))
        everybody = sum(len(waiting) for name, waiting in self._queues.items() if name is not None)
        count = max(1, self._count // self._among)
        if own >= MAX_QUEUE_OF_CLIENT * count or everybody >= MAX_QUEUE * count:
            raise Busy(
                f"The server is busy: {own:,} scripts of this client and {everybody - own:,} of others are waiting",
                hint="nothing was run; try again when some of them have ended",
            )


def _release(slot: Slot | None) -> None:
    if slot:
        slot.release()
