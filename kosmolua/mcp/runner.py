"""How an MCP server runs scripts for its clients: the interface, and its implementation with one runtime."""

from __future__ import annotations

from typing import Protocol

from kosmolua.concurrency import Passage
from kosmolua.limits import Limits
from kosmolua.runs import Outcome, RunOptions
from kosmolua.runtime import Runtime
from kosmolua.stores.store import missing


class Runner(Protocol):
    """Runs scripts for the clients of an MCP server."""

    @property
    def way_to_approve(self) -> str:
        """How a person approves calls of a paused run."""

    @property
    def limits(self) -> Limits:
        """The limits, which a client can only lower."""

    def room(self) -> Passage | None:
        """Return what reserves memory for one outcome, to be closed by the caller, or None."""

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script and return its outcome. If the task is cancelled, the script ends."""

    async def resume(self, run: str, options: RunOptions) -> Outcome:
        """Continue a recorded run for ``options.client``, as :meth:`run` does.

        Raises:
            ConfigError: There is no run with this id, or it belongs to another client.
        """


class PlainRunner:
    """Runs scripts with one runtime, recorded if the accounts file turns this on for MCP."""

    way_to_approve = "with kosmolua resume"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def limits(self) -> Limits:
        return self._runtime.limits

    def room(self) -> Passage | None:
        return None

    async def run(self, source: str, options: RunOptions) -> Outcome:
        if self._runtime.recordings.mcp and not options.get("planning"):
            options["record"] = True
        return await self._runtime.run_async(source, **options)

    async def resume(self, run: str, options: RunOptions) -> Outcome:
        recording = self._runtime.store.read(run)
        if recording.header["client"] != options.get("client"):
            raise missing(run)
        return await self._runtime.resume_async(recording, **options)
