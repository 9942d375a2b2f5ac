"""The worker pool: gives each script a process, limits how many scripts run at once, and decides which one is next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
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
    from kosmolua.processes.spares import Spares
    from kosmolua.processes.zygote import ForkedChild
    from kosmolua.stores.store import Slot

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
    """How many runs can be active at once, are active, wait to be, and wait for a person's answer."""

    workers: int
    busy: int
    queued: int
    paused: int


class WorkerPool:
    """Gives each run a process, and limits how many are active at once.

    A run that waits for a person's answer needs no place. Clients take turns: each waiting client gets a place before
    any gets a second, and the last free places go only to clients that have none, so that no single one keeps others
    waiting.

    Args:
        workers: How many runs can be active at once. Further runs wait.
        reuse: How many runs one process serves if each run ends cleanly and the system can fork.
        yields: Whether a process that computes for long lets others go first, as in a server.

    Raises:
        ConfigError: ``workers`` or ``reuse`` is out of bounds.
    """

    def __init__(self, workers: int, reuse: int = 1, *, yields: bool = False) -> None:
        if workers < 1:
            raise ConfigError(f"the number of workers must be at least 1, not {workers}")
        if not 1 <= reuse <= MAX_REUSE:
            raise ConfigError(f"reuse, the number of runs of a process, must be from 1 to {MAX_REUSE:,}, not {reuse}")
        self._workers = workers
        self._closed = False
        self._reuse = reuse
        self._yields = yields
        self._spare: ColdChild | None = None
        self._lock = RLock()
        self._places = Places(workers)

    def share(self, enter: Callable[[], Slot], enter_queue: Callable[[], Slot], among: int = 1) -> None:
        """Let a run be active only while it also has a slot; call this before the first run.

        ``enter`` enters the line for a slot, ``enter_queue`` that for a place in the queue of all pools, each in a
        thread of its own. A run that has to wait and gets no such place is refused. Each of the ``among`` pools of a
        server has an equal part of the queue.
        """
        self._places.share(enter, enter_queue, among)

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
        """How many runs can have a process: active ones, and those that wait for a person."""
        return self._workers * (1 + MAX_PAUSED)

    def queue(self, client: str | None = None, on_come: Callable[[], None] | None = None) -> Turn:
        """Put a run into the queue, and return its turn without waiting.

        ``on_come`` is called, in any thread, when it gets a place or is cancelled.

        Raises:
            Busy: Too many runs are waiting already.
        """
        return self._places.queue(client, on_come)

    @contextmanager
    def take(self, client: str | None = None, turn: Turn | None = None, limits: Limits | None = None) -> Iterator[Turn]:
        """Wait for a place and a process, and yield the turn that holds them until the end of the block.

        ``turn`` comes from :meth:`queue`, or the run is queued now. The limits apply to the process before its job.

        Raises:
            Busy: Too many runs are waiting already.
            Interrupted: The pool is closed, or the turn was cancelled.
            WorkerLost: No process can be started.
        """
        turn = turn or self._places.queue(client)
        try:
            turn.over.wait()
            if not turn.holds:
                raise turn.refusal or Interrupted("The script was interrupted before it began")
            turn.child = self._start(limits or Limits())
            try:
                yield turn
            finally:
                if CAN_FORK:
                    self._spares.give_back(cast("ForkedChild", turn.child))
                else:
                    turn.child.close()
        finally:
            self._places.end(turn)

    def warm(self) -> None:
        """Start the zygote before a run needs it, if the system can fork."""
        with self._lock:
            if CAN_FORK and not self._closed:
                self._spares.warm()

    def close(self) -> None:
        """End the spares. Runs that wait for a place fail with Interrupted."""
        with self._lock:
            self._closed = True
            for warm in (vars(self).get("_spares"), self._spare):
                if warm:
                    warm.close()
            self._spare = None
        self._places.open()

    def start_anew(self) -> None:
        """Make the pool usable in a fork of the program."""
        if spares := vars(self).get("_spares"):
            spares.leave()
        forget(self)
        self._lock = RLock()
        self._places = Places(self._workers)

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

            return spares.take(Terms(limits.cpu, limits.memory, self._reuse, self._yields))
        except (OSError, RuntimeError) as error:  # such as "can't start new thread"
            raise WorkerLost.unstartable(error) from None

    @lazy
    def _spares(self) -> Spares:
        from kosmolua.processes.spares import Spares

        return Spares()


class Turn:
    """A run's turn: it waits, then ``holds`` a place, and has its process as ``child``."""

    def __init__(self, places: Places, client: str | None, on_come: Callable[[], None] | None = None) -> None:
        self.client = client
        self.holds = False
        self.child: Child
        self.slot: Slot | None = None
        """The slot of the run, if the pool shares its places with other processes."""
        self.place_in_queue: Slot | None = None
        """The place of the waiting run in the queue that the pool shares with other processes."""
        self.refusal: Busy | None = None
        """Why the turn was cancelled, if that queue was full."""
        self._places = places
        self.on_come = on_come
        self.over = Event()
        """Set when the turn has come, and then it ``holds`` a place, or was cancelled."""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Give the place to others during the block, in which a person is asked, and wait for one at its end.

        The process keeps running. If too many runs are paused already, this one keeps its place.
        """
        self.over.clear()
        is_paused = self._places.pause(self)
        try:
            yield
        finally:
            if is_paused:
                self._places.resume(self)
                self.over.wait()

    def cancel(self) -> None:
        """Leave the queue, so that the turn never comes. A run that has a place keeps it."""
        self._places.cancel(self)

    def end(self) -> None:
        """Give the place to the next run, or leave the queue."""
        self._places.end(self)

    def come(self, *, holds: bool) -> None:
        """Wake the thread that waits, with a place or cancelled."""
        self.holds = holds
        _wake([self])


class Places:
    """Gives places to runs, so that clients take turns: ``_queues`` has the client that is next first.

    A run that gets a place is woken when the lock is free again, as the system works for that.
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
        self._enter_queue: Callable[[], Slot] | None = None
        self._desk: SimpleQueue[Callable[[], None]] | None = None
        self._line: SimpleQueue[Turn] | None = None
        self._in_line: set[Turn] = set()
        self._lock = RLock()

    def share(self, enter: Callable[[], Slot], enter_queue: Callable[[], Slot], among: int) -> None:
        self._among = among
        self._enter = enter
        self._enter_queue = enter_queue

    def queue(self, client: str | None, on_come: Callable[[], None] | None = None) -> Turn:
        turn = Turn(self, client, on_come)
        with self._lock:
            if turn.client is not None:
                self._refuse_if_full(turn.client)
            self._queues.setdefault(turn.client, deque()).append(turn)
            come = self._give()
            if self._enter_queue and turn.client is not None and self._is_waiting(turn):
                self._put_on_desk(partial(self._admit, turn, self._enter_queue))
        _wake(come)
        return turn

    @property
    def load(self) -> Load:
        with self._lock:
            in_line = len(self._in_line)
            queued = sum(map(len, self._queues.values())) + in_line
            return Load(self._count, sum(self._held.values()) - in_line, queued, len(self._paused))

    def pause(self, turn: Turn) -> bool:
        """Take a place away until :meth:`resume`; False if there is none, or too many runs are paused."""
        with self._lock:
            if not turn.holds or len(self._paused) >= MAX_PAUSED * self._count:
                return False
            self._paused.add(turn)
            slot = self._take_back(turn)
            come = self._give()
        _wake(come)
        if slot:
            slot.release()
        return True

    def resume(self, turn: Turn) -> None:
        """Queue a paused run again, ahead of its client's that have not begun."""
        with self._lock:
            self._paused.discard(turn)
            if turn in self._cancelled:
                turn.come(holds=False)
                return
            self._queues.setdefault(turn.client, deque()).appendleft(turn)
            come = self._give()
        _wake(come)

    def cancel(self, turn: Turn) -> None:
        come: list[Turn] = []
        with self._lock:
            if self._remove(turn):
                turn.come(holds=False)
            elif turn in self._in_line:
                self._take_back(turn)
                come = self._give()
                turn.come(holds=False)
            elif turn in self._paused:
                self._cancelled.add(turn)
        _wake(come)

    def end(self, turn: Turn) -> None:
        with self._lock:
            self._paused.discard(turn)
            self._cancelled.discard(turn)
            slot = None
            if turn.holds or turn in self._in_line:
                slot = self._take_back(turn)
            else:
                self._remove(turn)
            come = self._give()
        _wake(come)
        if slot:
            slot.release(again=True)

    def open(self) -> None:
        """Give all runs, now and later, a place."""
        with self._lock:
            self._free = inf
            come = self._give()
        _wake(come)

    def _give(self) -> list[Turn]:
        """Give the free places to runs, and return those to wake."""
        come = []
        while turn := self._next():
            if turn.place_in_queue:
                self._leave_queue(turn)
            self._free -= 1
            self._held[turn.client] += 1
            if self._enter:
                self._in_line.add(turn)
                self._opened_line(self._enter).put(turn)
            else:
                turn.holds = True
                come.append(turn)
        return come

    def _is_waiting(self, turn: Turn) -> bool:
        return turn in self._queues.get(turn.client, ())

    def _admit(self, turn: Turn, enter_queue: Callable[[], Slot]) -> None:
        """Get a place in the shared queue for a run that still waits, or refuse the run if that queue is full.

        If the store of the places cannot be reached, the run goes on waiting: it will have to say so.
        """
        with self._lock:
            if not self._is_waiting(turn):
                return
        try:
            place = enter_queue()
            is_full = not place.is_held()
        except ConfigError:
            return
        left: Slot | None = place
        with self._lock:
            if self._is_waiting(turn):
                if is_full:
                    self._remove(turn)
                    hint = "nothing was run; try again when some of them have ended"
                    turn.refusal = Busy("Too many scripts are waiting at all servers together", hint=hint)
                    turn.come(holds=False)
                else:
                    turn.place_in_queue, left = place, None
        if left:
            left.release()

    def _leave_queue(self, turn: Turn) -> None:
        place, turn.place_in_queue = turn.place_in_queue, None
        if place:
            self._put_on_desk(place.release)

    def _put_on_desk(self, work: Callable[[], None]) -> None:
        """Have something done that uses the store of the shared queue, in the thread for this."""
        if self._desk is None:
            self._desk = SimpleQueue()
            start_thread(partial(_do_all, self._desk), "queue")
        self._desk.put(work)

    def _opened_line(self, enter: Callable[[], Slot]) -> SimpleQueue[Turn]:
        if self._line is None:
            self._line = SimpleQueue()
            start_thread(partial(self._stand_in_line, self._line, enter), "slots")
        return self._line

    def _stand_in_line(self, line: SimpleQueue[Turn], enter: Callable[[], Slot]) -> None:
        """Get a slot for each turn with a place, one after another, so that the pools of several processes take turns
        too.
        """
        while True:
            turn = line.get()
            slot = self._await_slot(turn, enter)
            with self._lock:
                if turn in self._in_line:
                    self._in_line.discard(turn)
                    turn.slot, slot = slot, None
                    turn.come(holds=True)
            if slot:
                slot.release()

    def _await_slot(self, turn: Turn, enter: Callable[[], Slot]) -> Slot | None:
        """Wait until a turn has a slot or leaves the line. If the store is out of reach for some seconds, the run says
        so.
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
        """Take the next run from its client's queue, which is then behind the others; None if all have to wait."""
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
        """Take a place away, and return its slot to release, or None."""
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
        self._leave_queue(turn)
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


def _wake(turns: Iterable[Turn]) -> None:
    """Wake the threads that wait for turns; each finds out whether its run holds a place."""
    for turn in turns:
        turn.over.set()
        if turn.on_come:
            turn.on_come()


def _do_all(desk: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        desk.get()()
