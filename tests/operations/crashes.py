"""kill -9 of runs, and of their resumes, at random moments: each write is made once, and a doubt is asked about."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from operations.scenarios import WRITES, Bench, Row


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Kill a run, half of the time its resume too, and go on until it is done."""
    for number in range(rounds):
        with Bench(folder / str(number)) as bench:
            moment, how = random.randint(1, WRITES), random.choice(("before", "after"))
            bench.start_and_kill(moment, how, "run")
            asked = kills = 0
            for _ in range(5):
                options, answer = bench.doubts()
                if answer["ok"]:
                    break
                asked += len(options) // 2
                if random.random() < 0.5:
                    kills += 1
                    bench.start_and_kill(random.randint(1, WRITES), how, "resume", *options)
                else:
                    bench.start("resume", *options).communicate()
            replay = [sys.executable, "-m", "kosmolua", "replay", str(bench.recording)]
            is_equal = subprocess.run(replay, capture_output=True).returncode == 0
            lent = bench.shelf.lent
            yield Row(
                f"killed {how} write {moment}, {kills} resumes too",
                f"{len(lent)} writes, {lent.total() - len(lent)} twice, asked about {asked}"
                + ("" if is_equal else ", replay differs"),
                answer["ok"] and bench.is_exact and is_equal,
            )
