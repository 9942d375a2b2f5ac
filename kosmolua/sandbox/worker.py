"""A worker: runs one script, or several one after another, and talks to the host over standard input and output.

It first closes all other descriptors.
"""

from __future__ import annotations

import os
import struct
import sys
import time

from kosmolua import protocol
from kosmolua.sandbox import confinement
from kosmolua.sandbox.confinement import Confinement
from kosmolua.sandbox.vm import BROKEN, COMMON, VM, OutOfMemory, Prelude

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from kosmolua.sandbox.confinement import Step
    from kosmolua.sandbox.vm import Verbs

PRINT_SIZE = 64 * 1024
MAX_FRAME = 2**40
SETTINGS = struct.Struct("<qqqB")
ASKS_TIME, IS_RECORDED, IS_PLANNED = 1, 2, 4
"""The flags in the settings of a run, which ``lua/boot.lua`` unpacks."""
REHEARSALS = 12
"""How often Python has to run a function before it specializes the function's bytecode."""
SEED_SIZE = 16
"""The number of bytes of the seed of random numbers."""
_LIBRARIES = ("app", "regex", "base64", "hash", "url", "load", "_G", "_ENV")
"""The names of which a script has one if it can come to a function of ``codecs`` or ``regex``."""
REHEARSAL = REHEARSALS * protocol.frame(
    "job",
    source="return 1",
    name="=rehearsal",
    args=[],
    limits={"cpu": 0, "memory": 2**30, "max_result": 100, "max_arguments": 100, "max_depth": 10, "max_output": 0},
)
"""The frames of jobs that do nothing, for :meth:`Worker.rehearse`."""
TRIM_AFTER = 0.002
"""Seconds of processor time. A script that took less time cannot have used much memory, so freed memory is kept."""


class Worker:
    """Runs scripts in a VM, and passes frames between it and the host; ``is_compiled`` pays off with several VMs or
    forks.

    ``parent`` is the process that has started this one for a single script. Then rights are given up when the script is
    known, since most scripts do without the modules that take a third of the start to import.
    """

    forking = False
    """True if the process still forks after it is confined, as a session does for each chunk."""

    def __init__(self, incoming: int, outgoing: int, *, is_compiled: bool = False, parent: int | None = None) -> None:
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
        self._arrivals: protocol.Arrivals | None = None
        self._ready = self._seed = b""
        self._terms: tuple[float, int, int] | None = None
        self._steps: list[Step] = []
        self._prelude = Prelude()
        if is_compiled:
            self._prelude.compile()
        self._vm = VM(self._verbs, self._prelude)
        self._confinement = Confinement(forking=self.forking)
        self._parent = parent
        if parent is None:
            self._settle()

    def _settle(self, source: str | None = None) -> None:
        """Import what a script can need, any if it is not known, and give up the rights to do so later."""
        if source is None or any(name in source for name in _LIBRARIES):
            from kosmolua.sandbox import codecs as codecs
            from kosmolua.sandbox import regex as regex
        self._confinement.settle()
        if self._parent:
            confinement.die_with_parent(self._parent)

    def warm(self) -> None:
        """Before forking, load the modules that most scripts need, and prepare the frame that reports readiness."""
        self._vm.preload(COMMON)
        self._arrivals = protocol.Arrivals(self._incoming.fileno())
        self._ready = self._ready_frame()

    def foresee(self, cpu: float, memory: int, jobs: int) -> list[Step]:
        """Before forking, return the steps for the fork to :meth:`lock`, with the arguments of
        :meth:`Confinement.lock`.
        """
        terms = cpu, memory, jobs
        if terms != self._terms:
            self._terms, self._steps = terms, self._confinement.steps(*terms)
        self._jobs = jobs
        self._is_locked = True
        self._seed = os.urandom(SEED_SIZE)
        return self._steps

    def rehearse(self) -> None:
        """Run empty scripts, so that Python specializes its bytecode before this process forks.

        The caller has written :data:`REHEARSAL` to the input, and discards the output.
        """
        fresh, self._vm = self._vm, VM(self._verbs, self._prelude)
        self._jobs, self._is_locked, self._seed = REHEARSALS + 1, True, b""
        for _ in range(REHEARSALS):
            self.lock([("rlimits", bool, ())])
            self._work(self._next_frame())
            self._renew()
        self._vm = fresh
        self._jobs, self._is_locked, self._is_used = 1, False, False

    def lock(self, steps: list[Step]) -> None:
        """Confine this fork by steps of :meth:`foresee`, and tell the host that it is ready."""
        self._confinement.take(steps)
        self._report()

    def serve(self) -> NoReturn:
        """Run each job in a new VM, and exit after the last."""
        while True:
            self._work(self._next_frame())
            self._jobs -= 1
            if not self._jobs:
                os._exit(BROKEN)
            self._renew()
            self._report()

    def _renew(self) -> None:
        self._vm.close()
        if time.process_time() - self._started > TRIM_AFTER:
            confinement.give_back_memory()
        self._vm = VM(self._verbs, self._prelude)
        self._is_used, self._seed = True, b""

    def _report(self) -> None:
        self._write(self._ready_frame() if self._confinement.is_refused or not self._ready else self._ready)

    def _ready_frame(self) -> bytes:
        return protocol.frame("ready", isolation=self._confinement.in_force, missing=self._confinement.missing)

    def _work(self, job: dict[str, Any]) -> None:
        self._limits = job["limits"]
        self._room = self._limits["max_output"]
        if self._is_used:
            self._confinement.rearm(self._limits["cpu"])
        elif not self._is_locked:
            if self._parent:
                self._settle(job["source"])
            self._confinement.lock(self._limits["cpu"], self._limits["memory"])
            self._report()
        if job.get("isolated") and self._confinement.missing:
            os._exit(0)
        self._started = time.process_time()
        try:
            self._run(job, _settings_of(job))
        except (OutOfMemory, MemoryError):
            self._limit(b"memory")

    def _run(self, job: dict[str, Any], settings: bytes) -> None:
        seed, arguments = job.get("seed"), job["args"]
        self._vm.run(
            protocol.to_bytes(job["source"]),
            protocol.to_bytes(job["name"]),
            settings,
            [*map(protocol.to_bytes, arguments)] if arguments else arguments,
            self._limits["memory"],
            bytes.fromhex(seed) if seed else self._seed or os.urandom(SEED_SIZE),
        )

    def _next_frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = protocol.scan_of_host(self._receive().decode(), 0)[0]
        return frame

    def _send(self, line: bytes) -> None:
        self._write(line + b"\n")

    def _exchange(self, line: bytes) -> bytes:
        """Send a frame, and return the next."""
        self._write(line + b"\n")
        if self._arrivals:
            self._arrivals.wait()
        return self._receive()

    def _write(self, data: bytes) -> None:
        written = os.write(self._outgoing, data)
        while written < len(data):
            written += os.write(self._outgoing, memoryview(data)[written:])

    def _receive(self) -> bytes:
        line = protocol.read_line(self._incoming, MAX_FRAME)
        if line is None:
            os._exit(0)
        return line

    def _print(self, text: bytes) -> None:
        allowed = text[: self._room]
        for start in range(0, len(allowed), PRINT_SIZE):
            quoted = protocol.quote(protocol.to_text(allowed[start : start + PRINT_SIZE]))
            self._write(b'{"kind":"print","text":%b}\n' % quoted.encode())
        self._room -= len(allowed)
        if len(allowed) < len(text):
            self._limit(b"output")

    def _scan(self, subject: bytes, pattern: bytes, flags: bytes, most: int) -> bytes:
        from kosmolua.sandbox import regex

        return regex.scan(subject, pattern, flags, most, self._vm.room)

    def _convert(self, name: bytes, text: bytes, *more: bytes) -> bytes | None:
        from kosmolua.sandbox import codecs

        return codecs.convert(name, text, *more, room=self._vm.room)

    def _exit(self, fields: bytes) -> None:
        """Send the outcome of a script that called ``exit``, and end."""
        self._write_end(fields)
        os._exit(0)

    def _time(self) -> bytes:
        return repr(time.time()).encode()

    def _end(self, fields: bytes) -> None:
        """Send the outcome of a script; exit after the last job, else lift the limit on processor time."""
        if self._jobs > 1:
            self._confinement.rearm(0)
        self._write_end(fields)
        if self._jobs == 1:
            os._exit(0)

    def _write_end(self, fields: bytes) -> None:
        tenths = int(self._cpu_ms * 10)
        usage = b',"usage":{"cpu_ms":%d.%d,"memory_bytes":%d}}\n' % (tenths // 10, tenths % 10, self._vm.memory_used)
        self._write(protocol.END + fields + usage)

    def _limit(self, name: bytes) -> NoReturn:
        usage = {"cpu_ms": round(self._cpu_ms, 1), "memory_bytes": self._vm.memory_used}
        self._write(protocol.frame("limit", limit=name.decode(), usage=usage))
        os._exit(0)

    @property
    def _cpu_ms(self) -> float:
        return (time.process_time() - self._started) * 1000


def _settings_of(job: dict[str, Any]) -> bytes:
    """Return a job's settings for ``lua/boot.lua``: packed numbers, then input, parameters, secrets' names in JSON."""
    limits = job["limits"]
    flags = ASKS_TIME if job.get("asks_time") else 0
    flags |= (IS_RECORDED if job.get("seed") else 0) | (IS_PLANNED if job.get("is_planned") else 0)
    packed = SETTINGS.pack(limits["max_result"], limits["max_arguments"], limits["max_depth"], flags)
    given = {"input": job.pop("input", None), "params": job.pop("params", {}), "secrets": job.get("secrets", ())}
    if given["input"] is None and not given["params"] and not given["secrets"]:
        return packed
    return packed + protocol.to_bytes(protocol.dumps(given))


def main() -> NoReturn:
    """Be a worker."""
    try:
        confinement.drop_inherited()
        Worker(0, 1, parent=os.getppid()).serve()
    except BaseException as error:  # noqa: BLE001 - a normal exit of Python would close Lua, which runs finalizers
        os.write(2, f"the sandbox failed: {type(error).__name__}: {error}\n".encode())
    os._exit(BROKEN)


if __name__ == "__main__":
    sys.exit(main())
