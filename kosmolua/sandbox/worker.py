"""A worker: the process in which one script runs.

It talks to the host over its standard input and output. First it closes everything else that it inherited.
"""

from __future__ import annotations

import json
import os
import sys
import time

from kosmolua import protocol
from kosmolua.sandbox import codecs, confinement, regex
from kosmolua.sandbox.confinement import Confinement
from kosmolua.sandbox.vm import BROKEN, PRELUDE, VM, OutOfMemory, Prelude, Verbs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

PRINT_SIZE = 64 * 1024
MAX_FRAME = 2**40
TRIM_AFTER = 0.002
"""Seconds of processor time. A script that took less cannot have used much memory, so none is given back."""


class Worker:
    """Answers the VM's verbs by writing and reading frames.

    Args:
        incoming: The descriptor that frames are read from.
        outgoing: The descriptor that frames are written to.
    """

    files: tuple[str, ...] = PRELUDE
    forking = False
    """Whether the process forks again after it has run a script."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = os.fdopen(incoming, "rb", closefd=False)
        self._outgoing = outgoing
        self._room = 0
        self._limits: dict[str, Any] = {}
        self._started = time.process_time()
        self._jobs = 1
        self._is_locked = self._is_used = False
        self._verbs: Verbs = {
            b"send": self._send,
            b"receive": self._receive,
            b"exchange": self._exchange,
            b"print": self._print,
            b"end": self._end,
            b"limit": self._limit,
            b"regex": self._scan,
            b"time": self._time,
            b"convert": self._convert,
            b"exit": self._exit,
        }
        self._prelude = Prelude(self.files)
        self._vm = VM(self._verbs, self._prelude)
        self._confinement = Confinement(forking=self.forking)
        self._confinement.settle()

    def compile(self) -> None:
        """Compile the prelude once, for a process that makes one VM after another."""
        self._prelude.compile()

    def lock(self, cpu: float, memory: int, jobs: int) -> None:
        """Confine this process to the limits of its jobs, before the first job is known.

        Args:
            cpu: Seconds of processor time for each job.
            memory: Bytes that Lua may hold during each job.
            jobs: How many jobs this process runs.
        """
        self._jobs = jobs
        self._confinement.lock(cpu, memory, jobs)
        self._is_locked = True
        self._report()

    def serve(self) -> NoReturn:
        """Wait for a job and run it. Then exit, or make a new VM if there are further jobs."""
        while True:
            self._work(self._next_frame())
            self._jobs -= 1
            if not self._jobs:
                os._exit(BROKEN)
            self._vm.close()
            if time.process_time() - self._started > TRIM_AFTER:
                confinement.give_back_memory()
            self._vm = VM(self._verbs, self._prelude)
            self._is_used = True
            self._report()

    def _report(self) -> None:
        self._write(protocol.frame("ready", isolation=self._confinement.in_force, missing=self._confinement.missing))

    def _work(self, job: dict[str, Any]) -> None:
        self._limits = job["limits"]
        self._room = self._limits["max_output"]
        if self._is_used:
            self._confinement.rearm(self._limits["cpu"])
        elif not self._is_locked:
            self._confinement.lock(self._limits["cpu"], self._limits["memory"])
            self._report()
        if job.get("isolated") and self._confinement.missing:
            os._exit(0)
        self._started = time.process_time()
        try:
            self._run(job, protocol.to_bytes(json.dumps(_settings_of(job), ensure_ascii=False)))
        except (OutOfMemory, MemoryError):
            self._limit(b"memory")

    def _run(self, job: dict[str, Any], settings: bytes) -> None:
        self._vm.run(
            protocol.to_bytes(job["source"]),
            protocol.to_bytes(job["name"]),
            settings,
            [protocol.to_bytes(argument) for argument in job["args"]],
            self._limits["memory"],
            bytes.fromhex(job["seed"]) if job.get("seed") else None,
        )

    def _next_frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self._receive())
        return frame

    def _send(self, line: bytes) -> None:
        self._write(line + b"\n")

    def _exchange(self, line: bytes) -> bytes:
        """Send a frame and return the next one."""
        self._write(line + b"\n")
        return self._receive()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._outgoing, rest) :]

    def _receive(self) -> bytes:
        line = protocol.read_line(self._incoming, MAX_FRAME)
        if line is None:
            os._exit(0)
        return line

    def _print(self, text: bytes) -> None:
        allowed = text[: self._room]
        for start in range(0, len(allowed), PRINT_SIZE):
            self._write(protocol.frame("print", text=protocol.to_text(allowed[start : start + PRINT_SIZE])))
        self._room -= len(allowed)
        if len(allowed) < len(text):
            self._limit(b"output")

    def _scan(self, subject: bytes, pattern: bytes, flags: bytes, most: int) -> bytes:
        return regex.scan(subject, pattern, flags, most, self._vm.room)

    def _convert(self, name: bytes, text: bytes, *more: bytes) -> bytes | None:
        return codecs.convert(name, text, *more, room=self._vm.room)

    def _exit(self, fields: bytes) -> None:
        """End the script and this process at once."""
        self._write_end(fields)
        os._exit(0)

    def _time(self) -> bytes:
        return repr(time.time()).encode()

    def _end(self, fields: bytes) -> None:
        """Send the outcome of a job. From here on, the job's limit of processor time does not end this process."""
        if self._jobs > 1:
            self._confinement.rearm(0)
        self._write_end(fields)
        if self._jobs == 1:
            os._exit(0)

    def _write_end(self, fields: bytes) -> None:
        usage = json.dumps(self._usage()).encode()
        self._write(protocol.END + fields + b',"usage":' + usage + b"}\n")

    def _limit(self, name: bytes) -> NoReturn:
        self._write(protocol.frame("limit", limit=name.decode(), usage=self._usage()))
        os._exit(0)

    def _usage(self) -> dict[str, float]:
        cpu = time.process_time() - self._started
        return {"cpu_ms": round(cpu * 1000, 1), "memory_bytes": self._vm.memory_used}


def _settings_of(job: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run that the prelude needs: see ``prepare`` in ``lua/boot.lua``."""
    return {
        "limits": job["limits"],
        "asks_time": job.get("asks_time", False),
        "is_recorded": bool(job.get("seed")),
        "is_planned": job.get("is_planned", False),
        "input": job.pop("input", None),
        "secrets": job.get("secrets", ()),
        "params": job.pop("params", {}),
    }


def main() -> NoReturn:
    """Serve as a worker on standard input and output."""
    try:
        confinement.drop_inherited()
        worker = Worker(0, 1)
        confinement.die_with_parent()
        worker.serve()
    except BaseException as error:  # noqa: BLE001 - a normal exit of Python would close Lua, which runs finalizers
        os.write(2, f"the sandbox failed: {type(error).__name__}: {error}\n".encode())
    os._exit(BROKEN)


if __name__ == "__main__":
    sys.exit(main())
