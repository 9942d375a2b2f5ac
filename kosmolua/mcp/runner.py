"""Running the scripts of clients: what a server does with a script beside answering its client."""

from __future__ import annotations

import os
import re
from typing import Protocol

from kosmolua.broker.recording import read
from kosmolua.errors import ConfigError
from kosmolua.limits import Limits
from kosmolua.runs.run import Outcome, RunOptions
from kosmolua.runtime import Runtime


class Runner(Protocol):
    """Runs scripts for clients."""

    @property
    def limits(self) -> Limits:
        """The limits of a script, which a client can only lower."""

    async def run(self, source: str, options: RunOptions) -> Outcome:
        """Run a script. Cancelling the task ends it."""

    async def resume(self, run: str, options: RunOptions) -> Outcome:
        """Go on with a recorded run.

        Raises:
            ConfigError: There is no such run, or it is not the client's.
        """


class PlainRunner:
    """Runs scripts with one runtime, and keeps a recording of each if the accounts file says so.

    Args:
        runtime: Runs them.
    """

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
        """Go on with a recorded run of the client that the options name.

        Raises:
            ConfigError: There is none, or it is another client's.
        """
        path = recording_of(self._runtime, run)
        if read(path).header["client"] != options.get("client"):
            raise _no_such_run(run)
        return await self._runtime.resume_async(path, **options)


def recording_of(runtime: Runtime, run: str) -> str:
    """Return the recording of a run, by its id.

    Raises:
        ConfigError: There is none.
    """
    path = os.path.join(runtime.recordings_folder, f"{run}.jsonl")
    if re.fullmatch("[0-9a-f]{12}", run) and os.path.exists(path):
        return path
    raise _no_such_run(run)


def _no_such_run(run: str) -> ConfigError:
    hint = "the answer to a script that pauses has the run's id"
    return ConfigError(f"There is no recorded run {run[:40]!r}", hint=hint)
