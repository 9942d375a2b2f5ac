"""A benchmark: our work against a peer's, in turn and in one run, as a ratio of medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Seconds = Callable[[], float]


@dataclass(frozen=True)
class Ratio:
    """What one benchmark found.

    Args:
        work: What we did.
        peer: What it is measured against.
        goal: The ratio, or what else is said, that it should not exceed.
        value: The ratio of the medians.
        ours: The median of our work, in milliseconds.
        theirs: The median of the peer's, in milliseconds.
        spread: The quartiles of the ratios of the single rounds.
    """

    work: str
    peer: str
    goal: float
    value: float
    ours: float
    theirs: float
    spread: tuple[float, float]

    def row(self) -> str:
        """Return the ratio as a row of a Markdown table."""
        verdict = "" if self.value <= self.goal else " **missed**"
        low, high = self.spread
        return (
            f"| {self.work} | {self.peer} | {self.value:.2f} ({low:.2f} to {high:.2f}) | {self.goal:g}{verdict} "
            f"| {self.ours:.2f} | {self.theirs:.2f} |"
        )


@dataclass(frozen=True)
class Skipped:
    """A benchmark that cannot be run here.

    Args:
        work: What we would have done.
        peer: What it is measured against.
        reason: Why not, as a sentence.
    """

    work: str
    peer: str
    reason: str

    def row(self) -> str:
        """Return the reason as a row of a Markdown table."""
        return f"| {self.work} | {self.peer} | skipped: {self.reason} | | | |"


HEADER = "| work | against | ratio (quartiles) | goal | ours, ms | peer, ms |\n|---|---|---|---|---|---|"


def timed(work: Callable[[], object]) -> Seconds:
    """Return a function that does the work once and returns the seconds it took."""

    def measure() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return measure


def compare(work: str, peer: str, ours: Seconds, theirs: Seconds, *, goal: float, rounds: int = 15) -> Ratio:
    """Measure both in turn, after one round that does not count.

    Args:
        work: What ours does, for the table.
        peer: What theirs does.
        ours: Returns the seconds of one round of our work.
        theirs: Returns the seconds of one round of the peer's.
        goal: What the ratio should not exceed.
        rounds: How many rounds count.
    """
    pairs = [(ours(), theirs()) for _ in range(rounds + 1)][1:]
    mine, others = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratios = sorted(a / b for a, b in pairs)
    low, _, high = statistics.quantiles(ratios, n=4)
    median, peers = statistics.median(mine), statistics.median(others)
    return Ratio(work, peer, goal, median / peers, median * 1000, peers * 1000, (low, high))
