"""Several server processes at one address: equal replicas that share a store, like servers on several hosts."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from types import FrameType

from kosmolua.mcp_client.keeper import signal_if_parent_ends
from kosmolua.runs.telemetry import flush_spans

RESTART_DELAY = 1.0
"""Seconds until a process that has died is replaced."""


def run_processes(count: int, work: Callable[[int], None], ended: Callable[[int], None]) -> None:
    """Start processes, and return once a signal to stop has arrived and all have ended.

    A process that ends before such a signal is replaced. SIGTERM, SIGINT and SIGHUP are forwarded to all processes. On
    Linux, the processes also get SIGTERM if their parent process is killed. ``work`` gets the number of its process, of
    which the first is 0. ``ended`` is called in the parent process with the id of each process that has ended.
    """
    numbers: dict[int, int] = {}
    stopping: list[int] = []

    def forward(received: int, _: FrameType | None) -> None:
        if received != signal.SIGHUP:
            stopping.append(received)
        for process in list(numbers):
            os.kill(process, received)

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, forward)
    for number in range(count):
        numbers[_start(work, number)] = number
    while numbers:
        process, _ = os.wait()
        if process not in numbers:
            continue  # it checked scripts, or is an orphan that a container's first process gets
        number = numbers.pop(process)
        ended(process)
        if not stopping:
            time.sleep(RESTART_DELAY)
            if not stopping:
                numbers[_start(work, number)] = number


def _start(work: Callable[[int], None], number: int) -> int:
    process = os.fork()
    if process:
        return process
    try:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_DFL)
        signal_if_parent_ends(signal.SIGTERM)
        work(number)
        status = 0
    except BaseException:  # noqa: BLE001 - this process ends here after any error
        traceback.print_exc()
        status = 1
    flush_spans()
    os._exit(status)
