"""The calls of a run as its page draws them: equal calls in a row together, and stretches without work left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from kosmolua.errors import KosmoError, Paused
from kosmolua.recordings.recording import Recording, events_of, revived
from kosmolua.recordings.timeline import Bar
from kosmolua.serve.pages.rendering import duration

WAITS = "waits"
"""The status of a call that waits for a person."""
MIN_GROUP = 4
"""How many equal calls in a row become one row."""
IDLE_SHARE, MIN_IDLE = 0.2, 20.0
"""A stretch without a call is left out if it is longer than this share of the work, and than so many milliseconds."""
MAX_FOLDS, FOLD_WIDTH = 6, 4.0
"""The most stretches that are left out, and the width of the mark for each, in percent."""
MIN_WIDTH = 0.6
"""The width of the shortest bar, in percent."""


@dataclass(frozen=True)
class CallRow:
    """Equal calls in a row: of one function and account, with equal flows and end; ``first`` is the first's place."""

    first: int
    bars: Sequence[Bar]

    @property
    def bar(self) -> Bar:
        """The first call."""
        return self.bars[0]

    @property
    def ended(self) -> str:
        """How the calls ended."""
        return ended(self.bar)

    @property
    def is_group(self) -> bool:
        """True if the row stands for several calls."""
        return len(self.bars) > 1

    @property
    def places(self) -> str:
        """The places of the calls among all calls of the run, such as ``3`` or ``3–9``."""
        return f"{self.first}–{self.first + len(self.bars) - 1}" if self.is_group else f"{self.first}"

    @property
    def remarks(self) -> list[str]:
        """What stands beside the status: the error and the retries of a call, and what a person took; a median."""
        if self.ended == WAITS:
            return ["for a person"]
        if self.is_group:
            return [f"p50 {duration(median(bar.duration for bar in self.bars) / 1000)}"]
        took = f"a person took {duration(self.bar.waited / 1000)}" if self.bar.waited else ""
        return [each for each in (self.bar.remarks, took) if each]

    @property
    def longest(self) -> float:
        """The longest of their durations, in milliseconds."""
        return max(bar.duration for bar in self.bars)


def rows_of(bars: Iterable[Bar]) -> list[CallRow]:
    """Return the rows for calls, which are in the order in which they began."""

    def kind(placed: tuple[int, Bar]) -> tuple[str, ...]:
        return placed[1].path, placed[1].account, ended(placed[1]), *placed[1].flows

    rows: list[CallRow] = []
    for _, placed in groupby(enumerate(bars, start=1), kind):
        equal = list(placed)
        if len(equal) < MIN_GROUP:
            rows += [CallRow(place, [bar]) for place, bar in equal]
        else:
            rows.append(CallRow(equal[0][0], [bar for _, bar in equal]))
    return rows


def ended(bar: Bar) -> str:
    """Return the status of a call, or :data:`WAITS` if it waits for a person."""
    return WAITS if bar.error == Paused.code else bar.status


def without_waits(bars: Sequence[Bar]) -> list[Bar]:
    """Return the bars as if no time had passed while people were asked; what they took is in ``waited``."""
    for bar in bars:
        bar.waited = bar.duration if bar.error == Paused.code else bar.waited
    waits = sorted((bar.begins, bar.begins + bar.waited) for bar in bars if bar.waited)

    def worked(moment: float) -> float:
        gone, reached = 0.0, 0.0
        for begins, ends in waits:
            gone += max(0.0, min(ends, moment) - max(begins, reached))
            reached = max(reached, ends)
        return moment - gone

    for bar in bars:
        bar.begins, bar.duration = worked(bar.begins + bar.waited), max(0.0, bar.duration - bar.waited)
    return sorted(bars, key=lambda bar: (bar.begins, bar.number))


class Axis:
    """The time axis of a waterfall, on which long stretches without a call are narrow."""

    def __init__(self, bars: Iterable[Bar]) -> None:
        busy: list[list[float]] = []
        for begins, ends in sorted((bar.begins, bar.begins + bar.duration) for bar in bars):
            if busy and begins <= busy[-1][1]:
                busy[-1][1] = max(busy[-1][1], ends)
            else:
                busy.append([begins, ends])
        work = sum(ends - begins for begins, ends in busy)
        gaps = [(earlier[1], later[0]) for earlier, later in pairwise(busy)]
        long = [gap for gap in gaps if gap[1] - gap[0] > max(MIN_IDLE, IDLE_SHARE * work)]
        long.sort(key=lambda gap: gap[0] - gap[1])
        self._folds = sorted(long[:MAX_FOLDS])
        self._end = busy[-1][1] if busy else 0.0
        self.idle = sum(ends - begins for begins, ends in self._folds)
        """How many milliseconds without a call the axis leaves out."""
        self.length = self._end - self.idle
        """How many milliseconds the axis shows."""

    def at(self, moment: float) -> float:
        """Return the place of a moment, in percent of the width."""
        room = 100 - FOLD_WIDTH * len(self._folds)
        left_out = passed = 0.0
        for begins, ends in self._folds:
            if moment > begins:
                left_out += min(moment, ends) - begins
                passed += (min(moment, ends) - begins) / (ends - begins)
        return (moment - left_out) / (self.length or 1.0) * room + passed * FOLD_WIDTH

    @property
    def folds(self) -> list[tuple[float, float]]:
        """Where the mark of what is left out begins, and how wide it is, in percent."""
        return [(self.at(begins), FOLD_WIDTH) for begins, _ in self._folds]

    def marks(self, bars: Iterable[Bar]) -> Iterator[tuple[float, float]]:
        """Yield where each bar begins and how wide it is, in percent; those that touch each other are one."""
        begun = None
        for bar in bars:
            begins = min(self.at(bar.begins), 100 - MIN_WIDTH)
            ends = max(self.at(bar.begins + bar.duration), begins + MIN_WIDTH)
            if begun is None:
                begun, reached = begins, ends
            elif begins <= reached:
                reached = max(reached, ends)
            else:
                yield begun, reached - begun
                begun, reached = begins, ends
        if begun is not None:
            yield begun, reached - begun


@dataclass(frozen=True)
class Reply:
    """What a call returned, as it was recorded, and the error if it failed."""

    is_recorded: bool = False
    value: Any = None
    error: KosmoError | None = None


def reply_of(recording: Recording, number: int) -> Reply:
    """Return the recorded reply to the call with this number, in which secrets are masked."""
    pages: dict[str, Any] = {}
    found = Reply()
    for _, event in events_of(recording, "page", "answer", "decision"):
        if event["event"] == "page":
            pages[event["digest"]] = event["value"]
        elif event["event"] == "decision":
            if event["decision"] == "done" and event["number"] == number:
                found = Reply(is_recorded=True, value=event.get("value"))
        elif (event.get("call") or {}).get("number") == number:
            error = revived(event["error"]) if event.get("error") else None
            value = event["value"] if "value" in event else pages.get(event.get("page", ""))
            found = Reply(is_recorded=True, value=value, error=error)
    return found
