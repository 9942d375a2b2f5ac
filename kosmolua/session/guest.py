"""The process that a session lives in, as the host holds it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, TypeAlias

from kosmolua.errors import WorkerLost
from kosmolua.processes import launch
from kosmolua.processes.children import Pipes
from kosmolua.wire import KILL, ORDER

if TYPE_CHECKING:
    Start: TypeAlias = Callable[[str, int, int, int], launch.Started]

CAN_FORK = hasattr(os, "fork")


class Guest(Pipes):
    """The process that a session lives in; its later ones are forks of the first, in the group that it leads.

    Args:
        start: Starts a process of the sandbox.
        forks: Whether the process can fork; else the end of a chunk that is stopped is the end of it.

    Raises:
        WorkerLost: It cannot be started.
    """

    def __init__(self, start: Start = launch.start, *, forks: bool = CAN_FORK) -> None:
        self._forks = forks
        self._control: int | None = None
        self._controlling = RLock()
        try:
            box = launch.Letterbox()
            self._process = box.hand_over(partial(self._started, start))
        except OSError as error:
            raise WorkerLost.unstartable(error) from None
        super().__init__(box.incoming, box.outgoing)

    def stop(self, number: int) -> None:
        """Have a chunk ended, if it still runs; where the OS cannot fork, the guest ends with it."""
        if not self._forks:
            self._process.kill()
            return
        with self._controlling, suppress(OSError):
            if self._control is not None:
                os.write(self._control, ORDER.pack(KILL, number))

    def kill(self) -> None:
        """End all processes of the session at once.

        The first is not waited for until then, so that nobody else can have got the number of its group.
        """
        if not self._forks:
            self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, launch.SIGKILL)

    def close(self) -> None:
        """End all processes of the session and give up the pipes."""
        self.kill()
        self._process.wait()
        self.close_pipes()
        with self._controlling:
            if self._control is not None:
                os.close(self._control)
            self._control = None

    def _started(self, start: Start, incoming: int, outgoing: int) -> launch.Started:
        control, self._control = launch.pipe()
        try:
            return start("session", incoming, outgoing, control)
        except OSError:
            os.close(self._control)
            raise
        finally:
            os.close(control)
