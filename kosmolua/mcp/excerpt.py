"""Excerpts: a JSON value made to fit a number of characters, still valid, with a note of everything left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

SMALLEST_SHARE = 80
"""Characters: a member of a list or map that would get less is left out instead of cut."""
MOST_NOTES = 6
LONGEST_PLACE = 60


def excerpt(value: Any, room: int, place: str = "") -> tuple[Any, list[str]]:
    """Return as much of a value as fits, and what was left out, a few words for each place.

    A list of small members keeps its first ones whole; a map, and a list of large members, shares the room among
    them, so that the small ones stay whole; a long string keeps its beginning and its end.

    Args:
        value: What JSON can carry.
        room: Characters of it as compact JSON.
        place: The value's name in the notes; nothing for a map whose keys are names enough.
    """
    cutter = _Cutter()
    kept = cutter.fit(value, room, place)
    notes = cutter.notes
    if len(notes) > MOST_NOTES:
        notes = [*notes[: MOST_NOTES - 1], f"{len(notes) - MOST_NOTES + 1:,} more places"]
    return kept, notes


def decodable(value: Any) -> Any:
    """Return a value without what breaks a decoder of JSON: lone surrogates, NaN and infinity."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return json.loads(text, parse_constant=lambda _: None)


def weigh(value: Any, most: int) -> int:
    """Return the characters of a value as compact JSON; beyond ``most`` any larger number will do."""
    if isinstance(value, dict):
        return _weigh_all([part for pair in value.items() for part in pair], most)
    if isinstance(value, list):
        return _weigh_all(value, most)
    if isinstance(value, str) and len(value) > most:
        return len(value)
    return len(json.dumps(value, ensure_ascii=False))


def _weigh_all(parts: Sequence[Any], most: int) -> int:
    total = 1 + max(len(parts), 1)
    for part in parts:
        if total > most:
            break
        total += weigh(part, most - total)
    return total


class _Cutter:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(self, value: Any, room: int, place: str) -> Any:
        if weigh(value, room) <= room:
            return value
        if isinstance(value, dict):
            return self._map(value, room, place)
        if isinstance(value, list):
            return self._list(value, room, place)
        return self._text(value, room, place) if isinstance(value, str) else value

    def _list(self, items: list[Any], room: int, place: str) -> list[Any]:
        kept = _leading(items, room)
        if weigh(kept, room) < room / 2:
            weights = [weigh(item, room) for item in items[: room // 2]]
            portions = _portions([1] * len(weights), weights, room - 2)
            kept = [self.fit(items[index], share, f"{place}[{index + 1}]") for index, share in portions]
        self._note(place, len(kept), len(items), "items")
        return kept

    def _map(self, members: dict[str, Any], room: int, place: str) -> dict[str, Any]:
        keys = list(members)
        weights = [weigh(member, room) for member in members.values()]
        portions = _portions([weigh(key, room) + 2 for key in keys], weights, room - 2)
        self._note(place, len(portions), len(keys), "keys")
        return {
            keys[index]: self.fit(members[keys[index]], share, f"{place}.{keys[index]}") for index, share in portions
        }

    def _text(self, text: str, room: int, place: str) -> str:
        keep = min(len(text), room)
        while keep > 0 and weigh(_ends(text, keep), room) > room:
            keep = keep * 9 // 10
        self._note(place, keep, len(text), "characters")
        return _ends(text, keep)

    def _note(self, place: str, kept: int, total: int, what: str) -> None:
        if kept < total:
            shown = place.removeprefix(".")
            shown = shown if len(shown) <= LONGEST_PLACE else "..." + shown[-LONGEST_PLACE:]
            self.notes.append(f"{shown}: {total - kept:,} of {total:,} {what}")


def _leading(items: list[Any], room: int) -> list[Any]:
    used = 1
    for index, item in enumerate(items):
        used += weigh(item, room - used) + 1
        if used > room:
            return items[:index]
    return items


def _ends(text: str, keep: int) -> str:
    tail = keep // 3
    mark = f"\n[... {len(text) - keep:,} characters left out ...]\n"
    return text[: keep - tail] + mark + text[len(text) - tail :]


def _portions(prices: list[int], weights: list[int], room: int) -> list[tuple[int, int]]:
    """Divide the room among as many members as get enough of it: for each of them its index and its characters.

    Light members get all they need, heavy ones equal parts of the rest.

    Args:
        prices: What each member costs besides itself.
    """
    chosen, left = [], room
    for index, (price, weight) in enumerate(zip(prices, weights, strict=True)):
        if price + min(weight, SMALLEST_SHARE) <= left:
            left -= price + min(weight, SMALLEST_SHARE)
            room -= price
            chosen.append(index)
    portions = {}
    for waiting, index in zip(range(len(chosen), 0, -1), sorted(chosen, key=weights.__getitem__), strict=True):
        portions[index] = min(weights[index], room // waiting)
        room -= portions[index]
    return sorted(portions.items())
