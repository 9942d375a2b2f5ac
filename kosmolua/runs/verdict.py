"""Why a run ends before its script does: the first reason counts."""

from __future__ import annotations

from kosmolua.clock import Clock
from kosmolua.errors import Interrupted, KosmoError
from kosmolua.processes.child import Child
from kosmolua.runs.caller import Caller


class Verdict:
    """What has ended a run, if anything; any thread may pass it.

    Args:
        child: The worker, which is ended.
        clock: The run's, which runs out, so that no further call begins.
        caller: The thread that called the run, which is woken up.

    ``refusal`` is the error that the outcome tells of; ``crash`` is what went wrong in the host, which is raised to
    whoever called the run.
    """

    def __init__(self, child: Child, clock: Clock, caller: Caller) -> None:
        self._child = child
        self._clock = clock
        self._caller = caller
        self.refusal: KosmoError | None = None
        self.crash: BaseException | None = None

    @property
    def is_passed(self) -> bool:
        """Whether the run is to end."""
        return bool(self.refusal or self.crash)

    def stop(self, error: KosmoError) -> None:
        """End the run with an error of its outcome."""
        self.refusal = self.refusal or error
        self._halt()

    def fail(self, error: BaseException) -> None:
        """End the run with what was raised in the host; the user's Ctrl-C is an error of the outcome."""
        if isinstance(error, KeyboardInterrupt):
            self.interrupt()
            return
        self.crash = self.crash or error
        self._halt()

    def interrupt(self) -> None:
        """End the run as the user's wish."""
        self.stop(Interrupted("The script was interrupted"))

    def _halt(self) -> None:
        self._child.kill()
        self._clock.run_out()
        self._caller.wake()
