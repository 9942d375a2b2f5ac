"""Worker pool: gives each script a process, bounds how many run at once, and decides which client is next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Event, RLock
from typing import TYPE_CHECKING, NamedTuple, cast

from kosmolua.concurrency import forget, lazy
from kosmolua.errors import Busy, ConfigError, Interrupted, WorkerLost
from kosmolua.limits import Limits
from kosmolua.processes.child import CAN_FORK, Child, ColdChild

if TYPE_CHECKING:
    from kosmolua.processes.spares import Spares
    from kosmolua.processes.zygote import ForkedChild

MAX_REUSE = 1_000_000
"""The largest number of runs that one process may serve."""
MAX_QUEUE = 16
"""The number of runs that may wait per worker, of all clients together."""
MAX_QUEUE_OF_CLIENT = 12
"""The number of runs that one client may have waiting, per worker."""
MAX_PAUSED = 4
"""The number of runs, per worker, that may be paused. Further runs keep their place while a person is asked."""
RESERVE = 8
"""One worker in ``RESERVE`` is kept for clients that have no running script."""


class Load(NamedTuple):
    """How busy a pool is.

    Args:
        workers: How many runs can be active at once.
        busy: How many runs are active.
        queued: How many runs wait for a place.
        paused: How many runs have given their place back while a person is asked.
    """

    workers: int
    busy: int
    queued: int
    paused: int


class WorkerPool:
    """Gives each run a process, and bounds how many runs are active at once.

    A place is the right to run. A run that waits for a person's answer needs no place. Clients take turns: when a place
    is free, the next run of each waiting client comes before the second run of any client. The last free places go only
    to clients that hold no place, so that no single client can keep another one waiting.

    Where the system can fork, a zygote forks the processes, some of them before they are needed. Elsewhere the pool
    keeps one spare process ready.

    Args:
        workers: How many runs may be active at once; further runs wait.
        reuse: How many runs one process serves, if each run ends cleanly and the system can fork.

    Raises:
        ConfigError: A number is out of bounds.
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

    @property
    def workers(self) -> int:
        """How many runs may be active at once."""
        return self._workers

    @property
    def load(self) -> Load:
        """How busy the pool is now."""
        return self._places.load

    @property
    def max_runs(self) -> int:
        """The largest number of runs that have a process: the active ones, and those that wait for a person."""
        return self._workers * (1 + MAX_PAUSED)

    def queue(self, client: str | None = None, on_come: Callable[[], None] | None = None) -> Turn:
        """Join the queue for a place, without waiting.

        Args:
            client: The client that the run belongs to. None stands for the program itself, which may use all places and
                whose queue has no limit.
            on_come: Called, in any thread, when the run has its place or no longer waits.

        Returns:
            The run's turn, which is in the queue.

        Raises:
            Busy: Too many runs wait already.
        """
        turn = Turn(self._places, client, on_come)
        self._places.queue(turn)
        return turn

    @contextmanager
    def take(self, client: str | None = None, turn: Turn | None = None, limits: Limits | None = None) -> Iterator[Turn]:
        """Wait for a place, start a process, yield the turn that holds both, and give both back afterwards.

        Args:
            client: The client that the run belongs to, as for :meth:`queue`.
            turn: A turn that was queued earlier, to use instead of a new one.
            limits: The limits of the run, by default ``Limits()``. The process is confined to them before it gets its
                job.

        Raises:
            Busy: Too many runs wait already.
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
        """If the system can fork, start the zygote in advance, so that it is ready for the first run."""
        with self._lock:
            if CAN_FORK and not self._closed:
                self._spares.warm()

    def close(self) -> None:
        """End the processes that are kept ready. Runs that wait for a place end as well."""
        with self._lock:
            self._closed = True
            for warm in (vars(self).get("_spares"), self._spare):
                if warm:
                    warm.close()
            self._spare = None
        self._places.open()

    def start_anew(self) -> None:
        """Start over in a forked copy of the program: leave the processes to the parent, and forget its runs."""
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
    """A run's position in the queue, and later its place and its process.

    ``holds`` is True while the run has a place. ``child`` is its process, and exists once :meth:`WorkerPool.take`
    yields the turn.

    Args:
        places: The pool's places.
        client: The client that the run belongs to, or None for the program itself.
        on_come: Called when the run has its place or no longer waits.
    """

    def __init__(self, places: _Places, client: str | None, on_come: Callable[[], None] | None = None) -> None:
        self.client = client
        self.holds = False
        self.child: Child
        self._places = places
        self._on_come = on_come
        self._over = Event()

    def wait(self) -> bool:
        """Wait for a place. Return True if the run got one, or False if the turn was cancelled."""
        self._over.wait()
        return self.holds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Give the place back while a person is asked, and wait for a place afterwards.

        The process keeps running. If too many runs have given their place back already, this run keeps its own.
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
        """Stop waiting for a place, since the run is to end."""
        self._places.cancel(self)

    def end(self) -> None:
        """Give the place back, or leave the queue if the run has none."""
        self._places.end(self)

    def come(self, *, holds: bool) -> None:
        """Record that the run no longer waits, and wake the thread that waits for it.

        Args:
            holds: Whether the run has a place now.
        """
        self.holds = holds
        self._over.set()
        if self._on_come:
            self._on_come()


class _Places:
    """A bounded number of places, given to clients in turn.

    ``_queues`` has an entry for a client only while one of its runs waits. The client whose turn is next comes first.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free: float = count
        self._reserve = 0 if count == 1 else max(1, count // RESERVE)
        self._held: Counter[str | None] = Counter()
        self._queues: dict[str | None, deque[Turn]] = {}
        self._paused: set[Turn] = set()
        self._cancelled: set[Turn] = set()
        self._lock = RLock()

    def queue(self, turn: Turn) -> None:
        with self._lock:
            if turn.client is not None:
                self._refuse_if_full(turn.client)
            self._queues.setdefault(turn.client, deque()).append(turn)
            self._give()

    @property
    def load(self) -> Load:
        with self._lock:
            queued = sum(map(len, self._queues.values()))
            return Load(self._count, sum(self._held.values()), queued, len(self._paused))

    def pause(self, turn: Turn) -> bool:
        """Take a run's place back until it resumes. Return False if too many runs are paused, or it has no place."""
        with self._lock:
            if not turn.holds or len(self._paused) >= MAX_PAUSED * self._count:
                return False
            self._paused.add(turn)
            self._take_back(turn)
            self._give()
            return True

    def resume(self, turn: Turn) -> None:
        """Queue a paused run again, ahead of the runs of its client that have not begun."""
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
            elif turn in self._paused:
                self._cancelled.add(turn)

    def end(self, turn: Turn) -> None:
        with self._lock:
            self._paused.discard(turn)
            self._cancelled.discard(turn)
            if turn.holds:
                self._take_back(turn)
            else:
                self._remove(turn)
            self._give()

    def open(self) -> None:
        """Give every run a place from now on."""
        with self._lock:
            self._free = inf
            self._give()

    def _give(self) -> None:
        while turn := self._next():
            self._free -= 1
            self._held[turn.client] += 1
            turn.come(holds=True)

    def _next(self) -> Turn | None:
        """Take the next run out of its queue and move its client to the back. Return None if all have to wait."""
        for client, waiting in self._queues.items():
            kept_free = self._reserve if client is not None and self._held[client] else 0
            if self._free > kept_free:
                turn = waiting.popleft()
                del self._queues[client]
                if waiting:
                    self._queues[client] = waiting
                return turn
        return None

    def _take_back(self, turn: Turn) -> None:
        turn.holds = False
        self._free += 1
        self._held[turn.client] -= 1
        if not self._held[turn.client]:
            del self._held[turn.client]

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
        if own >= MAX_QUEUE_OF_CLIENT * self._count or everybody >= MAX_QUEUE * self._count:
            raise Busy(
                f"The server is busy: {own:,} scripts of this client and {everybody - own:,} of others wait",
                hint="nothing was run; try again when some have ended",
            )
