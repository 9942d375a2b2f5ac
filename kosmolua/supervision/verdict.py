"""Why a run ends before its script does: the first reason counts."""

from __future__ import annotations

from collections.abc import Callable

from kosmolua.errors import Interrupted, KosmoError


class Verdict:
    """What has ended a run, if anything; any thread may pass it.

    Args:
        halt: Ends the script. Called for each reason, in the thread that gives it.

    ``refusal`` is the error that the outcome tells of; ``crash`` is what went wrong in the host, which is raised to
    whoever called the run.
    """

    def __init__(self, halt: Callable[[], None]) -> None:
        self._halt = halt
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
