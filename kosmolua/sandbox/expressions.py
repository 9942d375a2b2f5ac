"""Regular expressions for Lua, by Python's ``re``. They run in the guest and die with it."""

from __future__ import annotations

import json
import re
import warnings

from kosmolua.wire import to_text

FLAGS = {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "a": re.A}
LONGEST_PATTERN = 16 * 1024
"""Characters of a pattern: ``re`` keeps hundreds of compiled ones, and all of them have to find room."""
_NAMED = re.compile(r"\(\?<(?=[A-Za-z_])")
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
    except (re.error, ValueError, OverflowError, RecursionError) as error:
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


def _compile(pattern: str, flags: str) -> re.Pattern[str]:
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"the pattern is longer than {LONGEST_PATTERN} characters")
    value = 0
    for flag in flags:
        if flag not in FLAGS:
            raise ValueError(f"there is no flag {flag!r}; the flags are i, m, s, x and a")
        value |= FLAGS[flag]
    return re.compile(_NAMED.sub("(?P<", pattern), value)


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
