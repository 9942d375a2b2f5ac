"""One run: a child, a clock, and the pump of frames between the child and whoever answers it.

The pump, and with it every call, has a thread of its own, as the clock has. The thread that called the run calls back,
and a moment after the end it leaves behind what is under way: whatever a call is stuck in, the limit on the wall holds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

from kosmolua import concurrency, protocol
from kosmolua.clock import Clock
from kosmolua.limits import Limits
from kosmolua.processes.child import Child
from kosmolua.runs.caller import Caller
from kosmolua.runs.ending import Ending
from kosmolua.runs.pump import Desk, Pump
from kosmolua.runs.spool import Spool
from kosmolua.runs.verdict import Verdict

GRACE = 0.5
"""Seconds that calls under way have to end, once the run has; one that is stuck in its integration gets no more."""
GLANCE = 0.02
"""Seconds between two looks at whether these calls have ended."""
PATIENCE = 5.0
"""Seconds beyond that in which a child has to end, before all that could keep it alive is ended with it."""
LONGEST_WAIT = 0.1 if sys.platform == "win32" else 3600.0
"""Seconds to wait at a stretch. On Windows Ctrl-C is not noticed before the wait is over."""


class Supervision:
    """One run in a child: sends the job, has it answered, and ends the child when a limit is spent.

    Args:
        child: A fresh worker.
        limits: The limits of the run.
        clock: When the run has to be over.
        caller: The thread that the run is called from.
        desk: Returns what answers the script; asked when it first wants something.
        output: Is given what the script prints, piece by piece, in the caller's thread.
        isolated: Whether to run nothing where a layer around the child is missing.
    """

    def __init__(
        self,
        child: Child,
        limits: Limits,
        clock: Clock,
        caller: Caller,
        desk: Callable[[], Desk],
        output: Callable[[bytes], None],
        *,
        isolated: bool = False,
    ) -> None:
        self._child = child
        self._limits = limits
        self._clock = clock
        self._caller = caller
        self._isolated = isolated
        self._verdict = Verdict(child, clock, caller)
        self._spool = Spool(caller, output)
        self._pump = Pump(child, limits, desk, self._spool, self._verdict, isolated=isolated)
        self._ending: Ending | None = None
        self._grace: Clock | None = None
        self._is_given_up = False

    def run(self, source: bytes, name: str, arguments: Sequence[str]) -> Ending:
        """Run a script to its end, in the thread that the run is called from.

        Args:
            source: Its text.
            name: Its name in messages.
            arguments: What it finds in ``arg`` and ``...``.
        """
        if len(source) > self._limits.max_source:
            self._verdict.stop(self._limits.exceeded("source"))
        job = _job(source, name, arguments, self._limits, isolated=self._isolated)
        try:
            concurrency.start_thread(partial(self._work, job), "run")
            with self._clock.ringing(lambda: self._verdict.stop(self._limits.exceeded("wall"))):
                self._attend_to_the_end()
        finally:
            self._child.kill()
            self._caller.leave()
            self._pump.dismiss()
        if self._verdict.crash:
            raise self._verdict.crash
        ending = self._ending or Ending(error=self._verdict.refusal)
        if self._pump.isolation is not None:
            ending.usage["isolation"] = self._pump.isolation
        return ending

    def interrupt(self) -> None:
        """End the run, from any thread."""
        self._verdict.interrupt()

    def _work(self, job: bytes) -> None:
        self._ending = self._pump.work(job)
        self._clock.run_out()
        self._caller.wake()

    @property
    def _is_over(self) -> bool:
        return self._is_given_up or (self._ending is not None and not self._pump.is_busy)

    def _attend_to_the_end(self) -> None:
        """Do what the threads of the run want until it is over; what is raised meanwhile, as by Ctrl-C, ends it."""
        while True:
            try:
                while not self._is_over:
                    self._attend()
                self._spool.empty()
                return
            except BaseException as error:  # noqa: BLE001 - it is raised when the run is over
                self._verdict.fail(error)

    def _attend(self) -> None:
        if self._ending or self._verdict.is_passed:
            self._wait_for_calls()
        else:
            self._caller.attend(LONGEST_WAIT)

    def _wait_for_calls(self) -> None:
        """Give calls that are under way a moment to end. The pump, where it is in none, ends as its child does."""
        self._grace = self._grace or Clock(GRACE)
        if self._caller.attend(GLANCE) or self._grace.left:
            return
        self._is_given_up = self._pump.abandon()
        if not self._is_given_up and self._grace.ends + PATIENCE < monotonic():
            self._child.insist()


def _job(source: bytes, name: str, arguments: Sequence[str], limits: Limits, *, isolated: bool) -> bytes:
    chunk = name if name.startswith("=") else f"@{name}"
    return protocol.frame(
        "job",
        source=protocol.to_text(source),
        name=protocol.to_text(chunk.encode("utf-8", "surrogateescape")),
        args=[protocol.to_text(argument.encode("utf-8", "surrogateescape")) for argument in arguments],
        limits=limits.as_dict(),
        isolated=isolated,
    )
