"""JSON values cut to a number of characters: by their structure, with a note about each part that is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

MIN_SHARE = 80
"""The shortest length to which a long member of a list or map is cut, in characters. With less room, it is left out."""
TELLING = (
    *("id", "name", "title", "status", "state", "type", "email", "number", "created_at", "createdAt", "url"),
    *("login", "key", "slug"),
)
"""The fields that tell one object from another, the most telling first."""
_RANKS = {name: rank for rank, name in enumerate(TELLING)}
MAX_NOTES = 6
MAX_PLACE = 60


def truncate(value: Any, room: int, place: str = "") -> tuple[Any, list[str]]:
    """Cut a JSON value to ``room`` characters of compact JSON, and return it with a note about each part left out.

    A list of short members is cut after the last that fits. Otherwise the length is shared, and short members stay
    whole; of a map, the fields that tell one object from another come first. A long string is cut in the middle.
    ``place`` is the value's name in the notes, empty for a map without a prefix.
    """
    cutter = _Cutter()
    kept = cutter.fit(value, room, place)
    notes = cutter.notes
    if len(notes) > MAX_NOTES:
        notes = [*notes[: MAX_NOTES - 1], f"{len(notes) - MAX_NOTES + 1:,} more places"]
    return kept, notes


def decodable(value: Any) -> Any:
    """Return a copy without lone surrogates, NaN and infinity, which some JSON decoders reject."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {decodable(name): decodable(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [decodable(member) for member in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def weigh(value: Any, most: int) -> int:
    """Return the length as compact JSON, or any number above ``most`` if it exceeds that."""
    if isinstance(value, dict):
        return _weigh_all(chain.from_iterable(value.items()), 2 * len(value), most)
    if isinstance(value, list):
        return _weigh_all(value, len(value), most)
    if isinstance(value, str):
        return len(value) if len(value) > most else len(encode_basestring(value))
    return len(str(value))


def _weigh_all(parts: Iterable[Any], count: int, most: int) -> int:
    total = 1 + max(count, 1)
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
            portions = _portions(range(len(weights)), [1] * len(weights), weights, room - 2)
            kept = [self.fit(items[index], share, f"{place}[{index + 1}]") for index, share in portions]
        self._note(place, len(kept), len(items), "items")
        return kept

    def _map(self, members: dict[str, Any], room: int, place: str) -> dict[str, Any]:
        keys = list(members)
        weights = [weigh(member, room) for member in members.values()]
        order = sorted(range(len(keys)), key=lambda index: _RANKS.get(keys[index], len(_RANKS)))
        portions = _portions(order, [weigh(key, room) + 2 for key in keys], weights, room - 2)
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
            shown = shown if len(shown) <= MAX_PLACE else "..." + shown[-MAX_PLACE:]
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


def _portions(order: Sequence[int], overheads: list[int], weights: list[int], room: int) -> list[tuple[int, int]]:
    """Share a room among members: short ones get all, long ones equal parts; the last of the order may get none."""
    chosen, left = [], room
    for index in order:
        overhead, weight = overheads[index], weights[index]
        if overhead + min(weight, MIN_SHARE) <= left:
            left -= overhead + min(weight, MIN_SHARE)
            room -= overhead
            chosen.append(index)
    portions = {}
    for waiting, index in zip(range(len(chosen), 0, -1), sorted(chosen, key=weights.__getitem__), strict=True):
        portions[index] = min(weights[index], room // waiting)
        room -= portions[index]
    return sorted(portions.items())
