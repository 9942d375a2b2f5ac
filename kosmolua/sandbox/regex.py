"""Regular expressions for Lua, by Python's ``re``. They run in the child and die with it."""

from __future__ import annotations

import json
import re
import warnings
from functools import lru_cache
from itertools import pairwise
from math import inf

from kosmolua.protocol import to_text

FLAGS = {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "a": re.A}
MAX_PATTERN = 16 * 1024
"""Characters of a pattern."""
MAX_CACHED_PATTERN = 1024
"""Characters of a pattern that is kept compiled: a compiled one takes up to 80 times as much, and 64 are kept."""
MATCHES_AT_ONCE = 1000
"""How many matches are held as Python's objects, which take ten times as much memory as their JSON."""
ENCODED_MATCH = 40
"""Bytes of a match's JSON without its texts."""
_PART = r"\\.|\[\^?\]?(?:\\.|[^\]\\])*|(\(\?)(?=<[A-Za-z_])"
"""What is escaped, a class but for its end, or how a named group begins, which alone is captured."""
_PARTS = {False: re.compile(_PART, re.S), True: re.compile(rf"#[^\n]*|{_PART}", re.S)}
"""The parts of a pattern, by whether it is verbose: only there a comment is a part."""
_IS_VERBOSE = re.compile(r"\(\?[aims]*x")
_IS_WIDE = re.compile(rb"[\xF0-\xFF]")
warnings.simplefilter("ignore")  # a locked process cannot import what warnings need, and nothing reads them


def scan(subject: bytes, pattern: bytes, flags: bytes, most: int, room: float = inf) -> bytes:
    """Return as JSON what a pattern finds: the matches, each with the text before it, and the text after the last.

    Args:
        subject: The text to search; bytes that are not UTF-8 are matched as characters of their own.
        pattern: In the syntax of ``re``; ``(?<name>...)`` is allowed as well as ``(?P<name>...)``.
        flags: Any of ``i``, ``m``, ``s``, ``x`` and ``a``.
        most: How many matches at most; 0 for all.
        room: Bytes that the text, or the answer, may take.

    Raises:
        MemoryError: They would take more.
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
    """Return how many bytes a text takes as Python's string at most: one emoji makes every character four bytes."""
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
    """Return where the names of groups begin that lack Python's ``P``."""
    parts = _PARTS[bool(flags & re.X or _IS_VERBOSE.match(pattern))]
    return [found.end() for found in parts.finditer(pattern) if found[1]]


def _problem(error: re.error, names: list[int]) -> str:
    """Return the error in a pattern with its position, not counting the ``P`` inserted before each name."""
    if error.pos is None:
        return error.msg
    added = sum(start + number < error.pos for number, start in enumerate(names))
    return f"{error.msg} at position {error.pos - added}"


def _encode(value: object) -> bytes:
    return _dumps(value).encode("utf-8", "surrogateescape")


_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
