"""Running the scripts of clients, with or without recordings."""

from __future__ import annotations

from typing import Protocol

from kosmolua.broker.store import missing
from kosmolua.limits import Limits
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runtime import Runtime


class Runner(Protocol):
    """Runs scripts for clients."""

    @property
    def way_to_approve(self) -> str:
        """A phrase that says how a person approves calls of a paused run, such as ``with kosmolua resume``."""

    @property
    def limits(self) -> Limits:
        """The limits of a script, which a client can only lower."""

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script. Cancelling the task ends it."""

    async def resume(self, run: str, options: RunOptions) -> Outcome:
        """Continue a recorded run.

        Raises:
            ConfigError: There is no such run, or it belongs to another client.
        """


class PlainRunner:
    """Runs scripts with one runtime, and keeps a recording of each if the accounts file says so.

    Args:
        runtime: Runs the scripts.
    """

    way_to_approve = "with kosmolua resume"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def limits(self) -> Limits:
        """The limits of the runtime."""
        return self._runtime.limits

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script. Cancelling the task ends it."""
        if self._runtime.recordings.mcp and not options.get("planning"):
            options["record"] = True
        return await self._runtime.run_async(source, **options)

    async def resume(self, run: str, options: RunOptions) -> Outcome:
        """Continue a recorded run of the client that is named in the options.

        Raises:
            ConfigError: There is no such run, or it belongs to another client.
        """
        recording = self._runtime.store.read(run)
        if recording.header["client"] != options.get("client"):
            raise missing(run)
        return await self._runtime.resume_async(recording, **options)
