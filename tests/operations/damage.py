"""Recordings that are cut at random bytes, or have a flipped bit: no write is repeated without a question."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from kosmolua import KosmoError, Runtime
from operations.scenarios import PLUGIN, Bench, Row

EACH = 20
"""How many cuts, and how many flips, a round makes."""


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Record a run, and resume copies of its recording that are damaged, which the service has not seen."""
    with Bench(folder) as bench, Runtime(str(folder / "accounts.toml"), plugins=[PLUGIN]) as runtime:
        outcome = runtime.run((folder / "script.lua").read_text(), record=bench.recording)
        whole = bench.recording.read_bytes()
        yield Row("recorded", f"{bench.shelf.lent.total()} writes", outcome.ok and bench.is_exact)
        for number in range(rounds):
            ends, wrong = Counter[str](), 0
            for _ in range(EACH):
                kept = whole[: random.randrange(len(whole))]
                end, sent = resumed(bench, runtime, kept)
                ends[end] += 1
                wrong += bool(sent & asked_in(kept))
            yield Row(f"cut {EACH} times ({number + 1})", f"{dict(ends)}, {wrong} with a write twice", not wrong)
            refused = 0
            for _ in range(EACH):
                place, bit = random.randrange(len(whole)), 1 << random.randrange(8)
                flipped = whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
                end, sent = resumed(bench, runtime, flipped)
                refused += end != "done" and not sent
            yield Row(f"flipped a bit {EACH} times ({number + 1})", f"{refused} refused", refused == EACH)


def resumed(bench: Bench, runtime: Runtime, content: bytes) -> tuple[str, set[str]]:
    """Resume a recording with this content; return how that ended, and what was sent."""
    bench.shelf.lent.clear()
    bench.recording.write_bytes(content)
    try:
        end = runtime.resume(bench.recording).status
    except KosmoError as error:
        end = error.code
    return end, set(bench.shelf.lent)


def asked_in(content: bytes) -> set[str]:
    """Return the books of the writes that are in whole lines of a recording."""
    lines = map(json.loads, content.split(b"\n")[:-1])
    return {str(line["arguments"]["book"]) for line in lines if line["event"] == "intent"}
