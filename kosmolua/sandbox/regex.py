"""Regular expressions for Lua, by Python's ``re``. They run in the guest and die with it."""

from __future__ import annotations

import json
import re
import warnings
from functools import lru_cache
from itertools import pairwise

from kosmolua.protocol import to_text

FLAGS = {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "a": re.A}
LONGEST_PATTERN = 16 * 1024
"""Characters of a pattern: ``re`` keeps hundreds of compiled ones, and all of them have to find room."""
_PART = r"\\.|\[\^?\]?(?:\\.|[^\]\\])*|(\(\?)(?=<[A-Za-z_])"
"""What is escaped, a class but for its end, or how a named group begins, which alone is captured."""
_COMMENT = r"#[^\n]*|"
_IS_VERBOSE = re.compile(r"\(\?[aims]*x")
warnings.simplefilter("ignore")  # a locked process cannot load what it takes to warn, and nobody would hear it


def scan(subject: bytes, pattern: bytes, flags: bytes, most: int) -> bytes:
    """Return as JSON what a pattern finds: the matches, each with the text before it, and the text after the last.

    Args:
        subject: The text to look in; bytes that are not UTF-8 are matched as characters of their own.
        pattern: In the syntax of ``re``; ``(?<name>...)`` is allowed as well as ``(?P<name>...)``.
        flags: Any of ``i``, ``m``, ``s``, ``x`` and ``a``.
        most: How many matches at most; 0 for all.
    """
    try:
        compiled = _compile(to_text(pattern), flags.decode("ascii", "replace"))
    except (ValueError, OverflowError, RecursionError) as error:
        return _encode({"problem": str(error)})
    except ImportError:
        return _encode({"problem": "\\N needs the names of characters, which the sandbox has not"})
    text, last, matches = to_text(subject), 0, []
    for number, found in enumerate(compiled.finditer(text), start=1):
        groups = [False if group is None else group for group in found.groups()]
        matches.append({"before": text[last : found.start()], "whole": found[0], "groups": groups})
        last = found.end()
        if number == most:
            break
    return _encode({"matches": matches, "after": text[last:], "names": list(compiled.groupindex.items())})


@lru_cache(maxsize=64)
def _compile(pattern: str, flags: str) -> re.Pattern[str]:
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"the pattern is longer than {LONGEST_PATTERN} characters")
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


def _names_in(pattern: str, flags: int) -> list[int]:
    """Return where the names of groups begin that lack the ``P`` of Python."""
    part = _COMMENT + _PART if flags & re.X or _IS_VERBOSE.match(pattern) else _PART
    return [found.end() for found in re.finditer(part, pattern, re.S) if found[1]]


def _problem(error: re.error, names: list[int]) -> str:
    """Return what is wrong with a pattern, and where, counted without the ``P`` that was put before each name."""
    if error.pos is None:
        return error.msg
    added = sum(start + number < error.pos for number, start in enumerate(names))
    return f"{error.msg} at position {error.pos - added}"


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
