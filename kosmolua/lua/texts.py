"""Texts that Lua reads: patterns, formats of values and of dates. What is wrong in one is a message and a hint."""

from __future__ import annotations

from typing import NamedTuple

from kosmolua.expressions import regex

_FOREIGN = regex(r"\\\\?[dwsbDWS]")
_ALTERNATIVES = regex(r"^[\"'](?:[^\[]*[^%\[])?\w\|\w")
_DASHED = regex(r"[A-Za-z0-9]-[A-Za-z0-9\"']")
_SPECIAL = regex(r"%(?![-.])|[\[\]()*+?]")
_TIMES = regex(r"(?:%\w|\]|\.|\))\{\d+(?:,\d*)?\}")
_CLASS = regex(r"%[adswxDSW](?=[+*?]|%[adswxDSW])|\[\^?%[adswxDSW](?!-)")
_VERB = regex(r"%[-+ #0-9.]*[a-zA-Z]")
_FILLED = regex(r"%[-+ #0-9.]*[dsfqgxi]")
_WITHOUT_PERCENT = regex(r"(?:YYYY|yyyy|MM|DD|dd|HH|hh|mm|ss)")
_MONTHS_AND_MINUTES = regex(r"%[Yy][-/.]?%M|(?<!%H)(?<!%H.)%M[-/.]%d|%d[-/.]%M|%[HI]:?%m")
_OFFSET = regex(r"%[MST] ?[-+](?!00:?00)\d\d:?\d\d$")
_DATE = '"%Y-%m-%d %H:%M:%S"'


class Wrong(NamedTuple):
    """What is wrong in a text, and what to write instead."""

    message: str
    hint: str


def wrong_in_pattern(quoted: str, *, is_plain: bool, is_mask: bool) -> Wrong | None:
    """Return what is wrong in a pattern of Lua, in its quotes; None if nothing is, or nothing is known to be.

    ``is_plain`` says that special characters stand for themselves, ``is_mask`` that each character may be meant.
    """
    if _FOREIGN.search(quoted):
        hint = "Lua's patterns have %d for \\d; regex.match takes regular expressions"
        return Wrong("a backslash has no special meaning in a Lua pattern", hint)
    if quoted[1:-1] == "." and not is_plain and not is_mask:
        return Wrong("in a Lua pattern, . is any character", '%. is a dot, as in text:gsub("%.", "-")')
    if _ALTERNATIVES.search(quoted):
        hint = "match each alternative separately, or use regex.match(text, pattern)"
        return Wrong("a Lua pattern has no alternatives: | matches itself", hint)
    if _TIMES.search(quoted):
        hint = "repeat the part, as in %d%d%d%d, or use regex.match(text, pattern)"
        return Wrong("a Lua pattern has no repetition counts: braces match themselves", hint)
    if _DASHED.search(quoted) and not is_special(quoted) and not is_plain:
        hint = f"{quoted.replace('-', '%-')[:60]}, or text:find(part, 1, true)"
        return Wrong("in a Lua pattern, - repeats the letter before it, and does not match itself", hint)
    return None


def wrong_in_expression(quoted: str) -> Wrong | None:
    """Return what is wrong in a regular expression, in its quotes; None if nothing is known to be."""
    found = _CLASS.search(quoted)
    hint = f"write \\\\{found[0][-1]} in quotes, or [[\\{found[0][-1]}]]" if found else ""
    return Wrong("a regular expression has no classes with %, which are Lua's", hint) if found else None


def wrong_in_date(form: str, *, is_now: bool) -> Wrong | None:
    """Return what is wrong in a format of ``os.date``; None if nothing is known to be. ``is_now`` is a time in UTC."""
    if "%" not in form and _WITHOUT_PERCENT.search(form):
        return Wrong("a format of a date needs % before each letter", _DATE)
    if _MONTHS_AND_MINUTES.search(form):
        return Wrong("%m is the month, and %M the minute", _DATE)
    if is_now and _OFFSET.search(form):
        return Wrong("times are in UTC, whatever zone the format names", "end it with Z, and add the hours to the time")
    return None


def is_special(pattern: str) -> bool:
    """Return True if a pattern has a character that does not stand for itself."""
    return bool(_SPECIAL.search(pattern))


def has_placeholder(text: str) -> bool:
    """Return True if a text has a placeholder that ``string.format`` would fill, such as ``%s``."""
    return bool(_FILLED.search(text))


def placeholders_in(text: str) -> list[str]:
    """Return the letters of the placeholders in a format, such as ``s`` for ``%5s``, in order."""
    return [verb[-1] for verb in _VERB.findall(text.replace("%%", ""))]
