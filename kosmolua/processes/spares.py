"""Workers that are ready before a script needs one: forked ahead, or done with a script if they may do several.

How many are kept follows recent demand. None is forked ahead for a program that runs one script, and none is kept for
long once a runtime is idle: a thread that is there only while there are spares looks after that.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from functools import partial
from threading import Event, RLock

from kosmolua.concurrency import start_thread
from kosmolua.errors import Interrupted, WorkerLost
from kosmolua.processes.zygote import ForkedChild, Terms, Zygote

MAX_SPARES = 8
"""Workers at most that are ready; one that ran nothing takes about one MiB."""
MIN_SPARES = 2
"""Workers that are ready while scripts come one after another: one is taken while the next is forked."""
LOOK_INTERVAL = 1.0
"""Seconds between two looks at the demand, which counts for twice as long."""
IDLE_TIMEOUT = 5.0
"""Seconds without a script after which no worker is kept."""


class Spares:
    """The forked workers of one runtime that have no script. Any thread may use them."""

    def __init__(self) -> None:
        self._zygote: Zygote | None = None
        self._ready: list[ForkedChild] = []
        self._active = self._peak = self._earlier_peak = self._takes = self._idle_looks = 0
        self._is_closed = False
        self._watcher: Event | None = None
        self._lock = RLock()

    def take(self, terms: Terms) -> ForkedChild:
        """Return a worker for one script: one that is ready, or one that is about to be forked.

        Args:
            terms: What it has to be confined to.

        Raises:
            Interrupted: All is closed.
            WorkerLost: The zygote is gone, and so is the new one.
            OSError: No zygote can be started, or there are too many open files.
        """
        with self._lock:
            if self._is_closed:
                raise Interrupted("The runtime was closed before the script began")
            child = self._ready_one(terms) or self._fork(terms)
            self._active += 1
            self._takes += 1
            self._peak = max(self._peak, self._active)
            return child

    def give_back(self, child: ForkedChild) -> None:
        """End a worker whose script is over, unless it may do another, and have as many ready as demand asks for."""
        with self._lock:
            self._active -= 1
            if child.reuse() and self._is_watched():
                self._ready.append(child)
                self._refill(child.terms)
                return
            self._refill(child.terms, child)
        child.close()

    def close(self) -> None:
        """End all workers and the warm process."""
        with self._lock:
            self._is_closed = True
            if self._zygote:
                self._zygote.close()
            self._drop()

    def leave(self) -> None:
        """In a fork of the program, close the copies of the pipes: the processes are the parent's."""
        self._lock = RLock()
        if self._zygote:
            self._zygote.leave()
        for child in self._ready:
            child.leave()
        self._zygote, self._watcher, self._ready = None, None, []
        self._active = self._takes = 0

    def look(self) -> bool:
        """End what recent demand does not ask for, and return False if there is nothing left to look after."""
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
        """How many workers should be ready. A program that runs one script needs none."""
        return min(MAX_SPARES, max(MIN_SPARES, self._peak, self._earlier_peak)) if self._takes > 1 else 0

    def _ready_one(self, terms: Terms) -> ForkedChild | None:
        """Take out the worker that has been ready for longest, of those that have these terms and are still there."""
        for child in [each for each in self._ready if each.terms == terms]:
            self._ready.remove(child)
            if child.is_there:
                return child
            child.close()
        return None

    def _fork(self, terms: Terms) -> ForkedChild:
        if self._zygote:
            with suppress(WorkerLost):  # if it has died, a new one takes its place
                return self._zygote.fork(terms)
            self._zygote.close()
        self._zygote = zygote = Zygote()
        if self._is_closed:  # by a signal handler, meanwhile
            zygote.close()
            raise Interrupted("The runtime was closed before the script began")
        return zygote.fork(terms)

    def _refill(self, terms: Terms, spent: ForkedChild | None = None) -> None:
        """Order workers if there are too few, in place of one that ends.

        Those with other terms are ended: nobody may ask for them again.
        """
        matching = sum(each.terms == terms for each in self._ready)
        with suppress(OSError, WorkerLost):  # the next script finds none ready, and says what is wrong if it is worse
            if matching >= self._wanted or not self._zygote or not self._is_watched():
                return
            while len(self._ready) >= self._wanted:
                self._end(next(each for each in self._ready if each.terms != terms))
            self._ready.append(self._zygote.fork(terms, instead_of=spent))
            if len(self._ready) < self._wanted:
                self._ready.append(self._zygote.fork(terms))

    def _is_watched(self) -> bool:
        """Have a thread look after the workers; return False if all is closed, or the system allows no thread."""
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
    """Look at the workers again and again until none is kept, in a thread that keeps no runtime alive."""
    while not over.wait(LOOK_INTERVAL):
        there = spares()
        if there is None or not there.look():
            return
        del there
