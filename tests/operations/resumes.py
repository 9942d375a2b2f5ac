"""Two resumes of one run at the same time: one goes on, the other is refused, and each write is made once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from operations.scenarios import WRITES, Bench, Row, answer_of


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Kill a run, and resume it twice at once."""
    for number in range(rounds):
        with Bench(folder / str(number)) as bench:
            moment = random.randint(1, WRITES // 2)
            bench.start_and_kill(moment, "after", "run")
            options = [f"--done={moment}={{}}"]
            bench.shelf.before = lambda _: time.sleep(0.05)
            both = [bench.start("resume", *options) for _ in range(2)]
            answers = [answer_of(each) for each in both]
            won = sum(answer["ok"] for answer in answers)
            said = "; ".join(answer["error"]["message"].partition("(")[0] for answer in answers if not answer["ok"])
            yield Row(f"killed at write {moment}", f"{won} of 2 went on: {said}", bench.is_exact and won >= 1)
