"""The protocol under fuzz: whatever a child writes, the host answers, or ends the run, within its bounds.

``KOSMOLUA_FUZZ=100000`` runs so many mutated frames; ``KOSMOLUA_SEED`` repeats a run that failed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from kosmolua import protocol
from kosmolua.broker.options import RunContext
from kosmolua.clock import Clock
from kosmolua.errors import BadArguments, CallError, Exited, KosmoError, LimitExceeded, ScriptError, WorkerLost
from kosmolua.limits import MIB, Limits
from kosmolua.protocol import BadFrame
from kosmolua.runs.job import Job
from kosmolua.runs.supervisor import FRAME_OVERHEAD, MAX_SLEEP, Supervisor

FRAMES = int(os.environ.get("KOSMOLUA_FUZZ", "3000"))
FRAMES_OF_A_RUN = 8
SEED = int(os.environ.get("KOSMOLUA_SEED", random.randrange(2**32)))
LIMITS = Limits(timeout=120, max_output=100_000, max_result=200_000, max_arguments=20_000)
TIMEOUT = 60.0
"""Seconds that one fake run may take on a slow machine; one that hangs takes its whole time."""
KINDS: list[dict[str, Any]] = [
    {"kind": "ready", "isolation": ["seccomp", "landlock"], "missing": []},
    {"kind": "describe", "id": 1, "path": "integrations.box"},
    {"kind": "call", "id": 2, "path": "integrations.box.take", "args": [{"limit": 5, "name": "é\n"}]},
    {"kind": "call", "id": 3, "path": "integrations.box.take", "fault": {"where": "a.b", "problem": "is a function"}},
    {
        "kind": "call",
        "id": 8,
        "path": "integrations.box.take",
        "args": [{"key": "***"}],
        "secrets": [[[1, "key"], "token"]],
    },
    {"kind": "call", "id": 4, "branch": True, "path": "integrations.box.take", "args": []},
    {"kind": "doc", "id": 5, "verb": "search", "args": ["deploys", {"limit": 3}]},
    {"kind": "sleep", "id": 6, "seconds": 0.001},
    {"kind": "time", "id": 7, "clock": "wall", "own": 1.5},
    {"kind": "print", "text": "hello \udcff\ttext\n"},
    {"kind": "end", "result": [None, 1.5, {"a": [True]}], "usage": {"cpu_ms": 1.5, "memory_bytes": 10}},
    {"kind": "end", "error": {"message": "no", "call": 2, "line": 3, "traceback": "stack"}, "usage": {}},
    {"kind": "end", "exit": 3, "result": [], "usage": {}},
    {"kind": "limit", "limit": "memory", "usage": {"cpu_ms": 2}},
]
TOKENS = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b"\\ud800",
    b"\xff",
]
TOKENS += [
    b"\0",
    b"9" * 400,
    b'"kind":"end"',
    b'"kind":"print"',
    b'"id":',
    b'"path":',
    b'"usage":{}',
    b'"id":1.0',
    b"[" * 3000,
]
ODD: list[Any] = [
    None,
    True,
    -1,
    2**70,
    10**400,
    1.5,
    "",
    "x" * 3000,
    [],
    [[]],
    {},
    {"kind": "end"},
    "\udcff\ud800",
    ["x"] * 500,
]


def flip(line: bytearray, chance: random.Random) -> None:
    """Change a byte."""
    line[chance.randrange(len(line))] = chance.randrange(256)


def cut(line: bytearray, chance: random.Random) -> None:
    """Leave some bytes out."""
    start = chance.randrange(len(line))
    del line[start : start + chance.randrange(1, 20)]


def insert(line: bytearray, chance: random.Random) -> None:
    """Put a token somewhere."""
    place = chance.randrange(len(line) + 1)
    line[place:place] = chance.choice(TOKENS)


def repeat(line: bytearray, chance: random.Random) -> None:
    """Say some bytes again, many times."""
    start = chance.randrange(len(line))
    piece = line[start : start + chance.randrange(1, 30)]
    line[start:start] = piece * chance.randrange(1, 200)


BYTE_WISE: list[Callable[[bytearray, random.Random], None]] = [flip, cut, insert, repeat]


def change_shape(frame: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return a frame with a field gone, another one's, or of another type."""
    changed = {**chance.choice(KINDS), **frame} if chance.random() < 0.3 else dict(frame)
    name = chance.choice([*changed, "id", "path", "args", "usage", "error", "seconds"])
    if chance.random() < 0.3:
        changed.pop(name, None)
    else:
        changed[name] = chance.choice(ODD)
    return changed


def mutated(chance: random.Random) -> bytes:
    """Return a line that a child gone mad might write."""
    frame = chance.choice(KINDS)
    for _ in range(chance.randrange(3)):
        frame = change_shape(frame, chance)
    line = bytearray(json.dumps(frame).encode())
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        if line:
            chance.choice(BYTE_WISE)(line, chance)
    return bytes(line)


def runs(seed: int) -> Iterator[list[bytes]]:
    """Yield the lines of one fake run after another."""
    chance = random.Random(seed)
    for _ in range(0, FRAMES, FRAMES_OF_A_RUN):
        yield [mutated(chance) for _ in range(FRAMES_OF_A_RUN)]


class Madman:
    """A child that writes these lines, and is gone then."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._stream = io.BytesIO(b"".join(line + b"\n" for line in lines))
        self.killed = False
        self.heard: list[dict[str, Any]] = []

    def send(self, line: bytes) -> None:
        """Check that the host writes proper frames, whatever it was asked."""
        assert line.count(b"\n") == 1
        self.heard.append(json.loads(line))

    def read(self, limit: int) -> bytes | None:
        """Return the next line as the host reads it."""
        return protocol.read_line(self._stream, limit)

    def kill(self) -> None:
        """Note it."""
        self.killed = True

    def status(self) -> int:
        """Say how it ended."""
        return -9

    def close(self) -> None:
        """Do nothing."""


class Careful:
    """A desk that checks the shape of all it is asked, and refuses a part."""

    def describe(self, path: str) -> str:
        """Answer."""
        assert isinstance(path, str)
        assert len(path) <= protocol.MAX_PATH
        return "{}"

    def call(self, path: str, given: Sequence[Any], fault: dict[str, str] | None, secrets: Sequence[Any] = ()) -> str:
        """Answer, or refuse."""
        assert isinstance(path, str)
        assert isinstance(given, list)
        if fault is not None:
            assert all(isinstance(fault[name], str) for name in ("where", "problem"))
            raise BadArguments(f"{path}: {fault['where']} {fault['problem']}", param=fault["where"])
        return json.dumps(given[:1])

    def doc(self, verb: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """Refuse."""
        assert isinstance(verb, str)
        assert isinstance(given, list)
        raise CallError("doc_not_found", f"no {verb}")

    def sleep(self, seconds: float, **_: object) -> float:
        """Let no time pass, and check that it is a time."""
        assert 0 <= seconds <= MAX_SLEEP
        return 0.0

    def time(self, clock: str, own: float) -> float:
        """Return what the child says, which is a number."""
        assert isinstance(clock, str)
        assert isinstance(own, (int, float))
        return own


@pytest.mark.slow
def test_each_line_is_a_frame_or_refused() -> None:
    """Reading a mutated line gives a frame of the right shape, or BadFrame; nothing else is raised."""
    for lines in runs(SEED):
        for line in lines:
            try:
                frame = protocol.decode_from_child(line)
            except BadFrame:
                continue
            for name, kind in protocol._FIELDS[frame["kind"]].items():
                assert isinstance(frame[name], kind), (SEED, line)


@pytest.mark.slow
def test_each_run_ends_in_a_known_way() -> None:
    """A run of mutated frames ends soon, with a result or an error of the host's own, and the child is ended."""
    for lines in runs(SEED + 1):
        child, printed = Madman(lines), []
        started = time.monotonic()
        ending = Supervisor(child, RunContext(Clock(LIMITS.timeout), LIMITS), Careful, printed.append).run(
            Job(b"return 1", "fuzz.lua")
        )
        assert time.monotonic() - started < TIMEOUT, (SEED, lines)
        assert child.killed
        known = (ScriptError, Exited, LimitExceeded, WorkerLost, CallError)
        assert ending.error is None or isinstance(ending.error, known), (SEED, lines)
        assert isinstance(ending.result, (list, tuple))
        assert not (ending.error and ending.result)
        assert len(b"".join(printed)) <= LIMITS.max_output
        json.dumps(
            [ending.result, dict(ending.usage), ending.error.fields() if isinstance(ending.error, KosmoError) else None]
        )


class Endless(io.RawIOBase):
    """Bytes without end, and never a line."""

    def __init__(self, piece: bytes) -> None:
        self._piece = piece
        self.given = 0

    def readable(self) -> bool:
        """Say so."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer."""
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self.given += size
        return size


@pytest.mark.parametrize("piece", [b"x" * 65536, b"[" * 65536, b'{"kind":"print","text":"' * 100, b"\0" * 65536])
def test_a_line_without_end_takes_no_more_than_its_limit(piece: bytes) -> None:
    """The host stops reading just after the limit, and holds little more than that."""
    stream, limit = Endless(piece), 4 * MIB
    tracemalloc.start()
    try:
        with pytest.raises(BadFrame, match="longer than"):
            protocol.read_line(io.BufferedReader(stream), limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.given < limit + MIB
    assert peak < 3 * limit


BOMBS = {
    "lists": b'{"kind":"call","id":1,"path":"a.b","args":[' + b"[]," * 3_000_000 + b"[]]}",
    "a long name": b'{"kind":"print","text":"","' + b"x" * 9_000_000 + b'":1}',
    "deep": b'{"kind":"doc","id":1,"verb":"read","args":' + b"[" * 3_000_000 + b"}",
    "a number": b'{"kind":"call","id":' + b"9" * 3_000_000 + b',"path":"a"}',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_only_a_result_may_be_large(bomb: bytes) -> None:
    """A frame that is small for a result, but would be large as values, is refused before it is read into any."""
    limits = Limits()
    assert limits.max_arguments + FRAME_OVERHEAD < len(bomb) < limits.max_result
    child = Madman([bomb])
    tracemalloc.start()
    try:
        context = RunContext(Clock(limits.timeout), limits)
        ending = Supervisor(child, context, Careful, lambda piece: None).run(Job(b"", "bomb.lua"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(ending.error, WorkerLost)
    assert peak < 3 * limits.max_result


@pytest.mark.slow
def test_a_frame_takes_time_in_proportion() -> None:
    """Digits, escapes and nesting within the limit are read in moments."""
    size = Limits().max_arguments
    for line in (
        b'{"kind":"print","text":"' + b"\\ud800" * (size // 6) + b'"}',
        b'{"kind":"limit","limit":"x","usage":{"cpu_ms":' + b"9" * 4000 + b"}}",
        b'{"kind":"limit","limit":"x","usage":{"cpu_ms":' + b"9" * size + b"}}",
        b'{"kind":"call","id":1,"path":"a","args":' + b'[{"a":' * (size // 6),
        b'{"kind":"call","id":1,"path":"a","args":[' + b'{"a":1},' * (size // 8) + b"1]}",
    ):
        started = time.thread_time()
        with contextlib.suppress(BadFrame):
            protocol.decode_from_child(line)
        assert time.thread_time() - started < 2
