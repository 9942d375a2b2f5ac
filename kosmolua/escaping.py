"""Escaping: shows characters as codes if they control a terminal, are invisible, or change the direction of text."""

from __future__ import annotations

import json
import re

STEERING = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
UNUSUAL = r"[^\x20-\x7e\n\t]"
UNSEEN = r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
"""Letters and marks that Python calls printable although they are invisible."""
MANY_BLANKS = " {21,}"


def harmless(text: str) -> str:
    """Return a text with codes such as ``\\x1b`` in place of control characters; line ends and tabs stay."""
    return re.sub(STEERING, _as_code, text).encode("utf-8", "backslashreplace").decode()


def visible(text: str) -> str:
    """Return a text with a JSON escape in place of each invisible character; line ends and tabs stay."""
    return re.sub(UNUSUAL, _as_seen, text)


def exposed(text: str) -> str:
    """Return a text as :func:`visible` does, with a count in place of each run of more than 20 blanks."""
    return re.sub(MANY_BLANKS, lambda found: f"<{len(found[0]):,} blanks>", visible(text))


def in_line(text: str) -> str:
    """Return a name that somebody gave, in quotes unless it is made of words, so that it says nothing around it."""
    return text if re.fullmatch(r"[\w .,:/@#+-]*", text) else json.dumps(text, ensure_ascii=False)


def shortened(text: str, head: int, tail: int) -> str:
    """Return the first ``head`` and last ``tail`` characters of a text, with the number left out between them."""
    left_out = len(text) - head - tail
    return f"{text[:head]} ... ({left_out:,} more characters) ... {text[-tail:]}"


def _as_code(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _as_seen(found: re.Match[str]) -> str:
    character = found[0]
    is_seen = character.isprintable() and not re.match(UNSEEN, character)
    return character if is_seen else json.dumps(character)[1:-1]
