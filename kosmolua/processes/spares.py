"""Spare workers: forked in advance, or done with one script, and ready for another.

Recent demand determines their number; a program that runs only one script gets none. Soon after the last script, a
thread, which exists only while they do, ends them.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from functools import partial
from threading import Event, RLock

from kosmolua.concurrency import start_thread
from kosmolua.errors import Interrupted, WorkerLost
from kosmolua.processes.zygote import ForkedChild, Terms, ZygoteProcess

MAX_SPARES = 8
"""The largest number of spares. A spare that has not run anything takes about one MiB."""
MIN_SPARES = 2
"""The number of spares while scripts run one after another: one runs a script while the next is forked."""
LOOK_INTERVAL = 1.0
"""Seconds between two checks of the demand. The last two intervals count as recent."""
IDLE_TIMEOUT = 5.0
"""Seconds without a script after which all spares are ended."""


class Spares:
    """Keeps spares, and hands them out. Thread-safe; its lock is not held while the system works for a thread."""

    def __init__(self) -> None:
        self._zygote: ZygoteProcess | None = None
        self._ready: list[ForkedChild] = []
        self._active = self._peak = self._earlier_peak = self._takes = self._idle_looks = self._forking = 0
        self._is_closed = False
        self._watcher: Event | None = None
        self._lock = RLock()

    def take(self, terms: Terms) -> ForkedChild:
        """Return a worker with these terms: a spare, or one that the zygote is still forking.

        Raises:
            Interrupted: :meth:`close` was called.
            WorkerLost: The zygote has died, and so has its replacement.
            OSError: No zygote can be started, or too many files are open.
        """
        with self._lock:
            if self._is_closed:
                raise Interrupted("The runtime was closed before the script began")
        child = self._ready_one(terms) or self._fork(terms)
        with self._lock:
            self._active += 1
            self._takes += 1
            self._peak = max(self._peak, self._active)
        return child

    def warm(self) -> None:
        """Start the zygote, if none runs."""
        with self._lock, suppress(OSError):  # if starting fails again, the first script reports it
            if not self._is_closed and not self._zygote:
                self._zygote = ZygoteProcess()

    def give_back(self, child: ForkedChild) -> None:
        """Keep a worker as a spare if it can run another script, else end it; fork more if demand requires it."""
        with self._lock:
            self._active -= 1
            is_kept = child.reuse() and self._ensure_watched()
            if is_kept:
                self._ready.append(child)
        self._refill(child.terms, None if is_kept else child)
        if not is_kept:
            child.close()

    def close(self) -> None:
        """End all spares and the zygote, for good."""
        with self._lock:
            self._is_closed = True
            if self._zygote:
                self._zygote.close()
            self._drop()

    def leave(self) -> None:
        """Forget workers and zygote in a fork of the program."""
        self._lock = RLock()
        if self._zygote:
            self._zygote.leave()
        for child in self._ready:
            child.leave()
        self._zygote, self._watcher, self._ready = None, None, []
        self._active = self._takes = self._forking = 0

    def look(self) -> bool:
        """End the spares that recent demand does not require; return False if none is left to watch."""
        with self._lock:
            is_idle = not self._active and not self._peak
            self._earlier_peak, self._peak = self._peak, self._active
            self._idle_looks = self._idle_looks + 1 if is_idle else 0
            if self._idle_looks * LOOK_INTERVAL >= IDLE_TIMEOUT:
                self._drop()
            for child in self._ready[self._wanted :]:
                self._end(child)
            return self._watcher is not None

    @property
    def _wanted(self) -> int:
        """How many spares recent demand requires."""
        return min(MAX_SPARES, max(MIN_SPARES, self._peak, self._earlier_peak)) if self._takes > 1 else 0

    def _ready_one(self, terms: Terms) -> ForkedChild | None:
        """Take the oldest running spare with these terms, or None."""
        while True:
            with self._lock:
                child = next((each for each in self._ready if each.terms == terms), None)
                if child is None:
                    return None
                self._ready.remove(child)
            if child.is_there:
                return child
            child.close()

    def _fork(self, terms: Terms) -> ForkedChild:
        former = self._zygote
        if former:
            with suppress(WorkerLost):  # if the zygote has died, a new one replaces it
                return former.fork(terms)
            former.close()
        with self._lock:
            if self._is_closed:
                raise Interrupted("The runtime was closed before the script began")
            if self._zygote is None or self._zygote is former:
                self._zygote = ZygoteProcess()
            zygote = self._zygote
            if self._is_closed:  # a signal handler has closed it meanwhile
                zygote.close()
                raise Interrupted("The runtime was closed before the script began")
        return zygote.fork(terms)

    def _refill(self, terms: Terms, spent: ForkedChild | None) -> None:
        """Fork the spares that demand requires, at most two, the first of them instead of a worker that is done.

        Spares with other terms are ended to make room.
        """
        with self._lock:
            wanted, matching = self._wanted, self._forking + sum(each.terms == terms for each in self._ready)
            if matching >= wanted or not self._zygote or not self._ensure_watched():
                return
            others = [each for each in self._ready if each.terms != terms]
            while others and self._forking + len(self._ready) >= wanted:
                self._end(others.pop(0))
            missing = min(wanted - self._forking - len(self._ready), 2)
            self._forking += missing
        try:
            while missing:
                fresh = None
                with suppress(OSError, WorkerLost):  # the next script finds no spare; if that goes on, it reports why
                    if zygote := self._zygote:
                        fresh, spent = zygote.fork(terms, instead_of=spent), None
                with self._lock:
                    self._forking -= 1
                    missing -= 1
                    if fresh and self._ensure_watched():
                        self._ready.append(fresh)
                        continue
                if fresh:
                    fresh.close()
        finally:
            with self._lock:
                self._forking -= missing  # after an interrupt

    def _ensure_watched(self) -> bool:
        """Let the thread run that ends spares; False if closed, or if it cannot be started."""
        if self._is_closed:
            return False
        if self._watcher is None:
            watcher = Event()
            try:
                start_thread(partial(_look_after, weakref.ref(self), watcher), "spares")
            except WorkerLost:
                return False
            self._watcher = watcher
        return True

    def _drop(self) -> None:
        for child in list(self._ready):
            self._end(child)
        self._takes = self._idle_looks = 0
        if self._watcher:
            self._watcher.set()
        self._watcher = None

    def _end(self, child: ForkedChild) -> None:
        self._ready.remove(child)
        child.close()


def _look_after(spares: weakref.ref[Spares], over: Event) -> None:
    """Call :meth:`Spares.look` at intervals until nothing is left to look after."""
    while not over.wait(LOOK_INTERVAL):
        there = spares()
        if there is None or not there.look():
            return
        del there
