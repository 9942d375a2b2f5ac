"""How an MCP server runs scripts for its clients: the interface, and its implementation with one runtime."""

from __future__ import annotations

from typing import Protocol

from kosmolua.broker.store import missing
from kosmolua.concurrency import Passage
from kosmolua.limits import Limits
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runtime import Runtime


class Runner(Protocol):
    """Runs scripts for the clients of an MCP server."""

    @property
    def way_to_approve(self) -> str:
        """A phrase that says how a person approves calls of a paused run, such as ``with kosmolua resume``."""

    @property
    def limits(self) -> Limits:
        """The limits of each script. A client can only request lower ones."""

    def room(self) -> Passage | None:
        """Return what reserves memory for the outcome of one run, or None if nothing does.

        Whoever calls this closes it when the outcome is not needed any more.
        """

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script and return its outcome. If the task is cancelled, the script ends."""

    async def resume(self, run: str, options: RunOptions) -> Outcome:
        """Continue a recorded run and return its outcome. If the task is cancelled, the script ends.

        Args:
            run: The id of the run.
            options: The options of the run; ``client`` names the client that continues it.

        Raises:
            ConfigError: There is no run with this id, or it belongs to another client.
        """


class PlainRunner:
    """Runs scripts with one runtime, and records each run if the accounts file turns this on for MCP.

    Args:
        runtime: Runs the scripts.
    """

    way_to_approve = "with kosmolua resume"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def limits(self) -> Limits:
        """The limits of each script: those of the runtime."""
        return self._runtime.limits

    def room(self) -> Passage | None:
        """Return None: the only limits of the memory are those of each run."""
        return None

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script and return its outcome. If the task is cancelled, the script ends."""
        if self._runtime.recordings.mcp and not options.get("planning"):
            options["record"] = True
        return await self._runtime.run_async(source, **options)

    async def resume(self, run: str, options: RunOptions) -> Outcome:
        """Continue a recorded run and return its outcome. If the task is cancelled, the script ends.

        Args:
            run: The id of the run.
            options: The options of the run; ``client`` names the client that continues it.

        Raises:
            ConfigError: There is no run with this id, or it belongs to another client.
        """
        recording = self._runtime.store.read(run)
        if recording.header["client"] != options.get("client"):
            raise missing(run)
        return await self._runtime.resume_async(recording, **options)
