"""Regular expressions for Lua scripts, by Python's ``re``."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from itertools import pairwise
from math import inf

from kosmolua.protocol import dumps, to_bytes, to_text

FLAGS = {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "a": re.A}
MAX_PATTERN = 16 * 1024
"""The largest number of characters of a pattern."""
MAX_CACHED_PATTERN = 1024
"""Only patterns of up to this many characters are kept compiled, which takes up to 80 times their size."""
MATCHES_AT_ONCE = 1000
"""How many matches are kept as Python objects at a time. The objects take ten times as much memory as their JSON."""
ENCODED_MATCH = 40
"""Bytes of the JSON of a match, not counting the texts in it."""
_PART = r"\\.|\[\^?\]?(?:\\.|[^\]\\])*|(\(\?)(?=<[A-Za-z_])"
"""Matches an escaped character, a character class without its end, or (captured) the beginning of a named group."""
_IS_WIDE = re.compile(rb"[\xF0-\xFF]")
warnings.simplefilter("ignore")  # nobody reads warnings, and a confined process cannot import the modules for them


def scan(subject: bytes, pattern: bytes, flags: bytes, most: int, room: float = inf) -> bytes:
    """Return the matches of a pattern as JSON, each with the text before it, and the text after the last.

    If the pattern or a flag is wrong, the JSON has only ``problem``.

    Args:
        subject: The text. Each byte that is not UTF-8 counts as one character.
        pattern: The pattern of ``re``, in which ``(?<name>...)`` is allowed too.
        flags: Any of ``i``, ``m``, ``s``, ``x`` and ``a``.
        most: The most matches, or 0 for all.
        room: The most bytes of the text as a Python string, and of the JSON.

    Raises:
        MemoryError: The text or the JSON would need more.
    """
    try:
        compiled = _compile(to_text(pattern), flags.decode("ascii", "replace"))
    except (ValueError, OverflowError, RecursionError) as error:
        return _encode({"problem": str(error)})
    except ImportError:
        return _encode({"problem": "\\N needs the names of characters, which the sandbox does not have"})
    if size_of_text(subject) > room:
        raise MemoryError
    return _answer(compiled, to_text(subject), most, room)


def size_of_text(raw: bytes) -> int:
    """Return the most bytes that UTF-8 can take as a Python string, whose characters all have one width, 1 to 4."""
    if raw.isascii():
        return len(raw)
    return len(raw) * (4 if _IS_WIDE.search(raw) else 2)


def _answer(compiled: re.Pattern[str], text: str, most: int, room: float) -> bytes:
    matches: list[dict[str, object]] = []
    pieces: list[bytes] = []
    last = size = 0
    for number, found in enumerate(compiled.finditer(text), start=1):
        size += ENCODED_MATCH + found.start() - last + sum(end - start for start, end in found.regs)
        if size > room:
            raise MemoryError
        groups = [False if group is None else group for group in found.groups()]
        matches.append({"before": text[last : found.start()], "whole": found[0], "groups": groups})
        last = found.end()
        if len(matches) == MATCHES_AT_ONCE:
            pieces.append(_encode(matches)[1:-1])
            matches = []
        if number == most:
            break
    if size + len(text) - last > room:
        raise MemoryError
    if matches:
        pieces.append(_encode(matches)[1:-1])
    rest = _encode({"after": text[last:], "names": list(compiled.groupindex.items())})
    return b'{"matches":[' + b",".join(pieces) + b"]," + rest[1:]


def _compile(pattern: str, flags: str) -> re.Pattern[str]:
    return (_compile_and_keep if len(pattern) <= MAX_CACHED_PATTERN else _compile_anew)(pattern, flags)


def _compile_anew(pattern: str, flags: str) -> re.Pattern[str]:
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"the pattern is longer than {MAX_PATTERN} characters")
    value = 0
    for flag in flags:
        if flag not in FLAGS:
            raise ValueError(f"there is no flag {flag!r}; the flags are i, m, s, x and a")
        value |= FLAGS[flag]
    names = _names_in(pattern, value)
    try:
        return re.compile("P".join(pattern[start:end] for start, end in pairwise([0, *names, None])), value)
    except re.error as error:
        raise ValueError(_problem(error, names)) from None
    finally:
        re.purge()  # its own cache would keep hundreds


_compile_and_keep = lru_cache(maxsize=64)(_compile_anew)


def _names_in(pattern: str, flags: int) -> list[int]:
    """Return the positions of the ``<`` of groups written ``(?<name>``."""
    if "(?<" not in pattern:
        return []
    is_verbose = flags & re.X or re.match(r"\(\?[aims]*x", pattern)
    return [found.end() for found in _parts(bool(is_verbose)).finditer(pattern) if found[1]]


@lru_cache(maxsize=2)
def _parts(is_verbose: bool) -> re.Pattern[str]:  # noqa: FBT001 - a key of the cache
    """Return what finds the next escape, character class or named group."""
    return re.compile(rf"#[^\n]*|{_PART}" if is_verbose else _PART, re.S)


def _problem(error: re.error, names: list[int]) -> str:
    """Return the message for an error, with the position in the pattern as the script wrote it."""
    if error.pos is None:
        return error.msg
    added = sum(start + number < error.pos for number, start in enumerate(names))
    return f"{error.msg} at position {error.pos - added}"


def _encode(value: object) -> bytes:
    return to_bytes(dumps(value))
