"""Spelling out: characters that steer a terminal, cannot be seen or turn text around are shown by their codes."""

from __future__ import annotations

import json
import re

STEERING = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
UNUSUAL = r"[^\x20-\x7e\n\t]"
UNSEEN = r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
"""Letters and marks that Python calls printable, and that show nothing."""
MANY_BLANKS = " {21,}"


def harmless(text: str) -> str:
    """Return text with codes such as ``\\x1b`` for what a terminal would obey; line ends and tabs stay."""
    return re.sub(STEERING, _as_code, text).encode("utf-8", "backslashreplace").decode()


def visible(text: str) -> str:
    """Return text in which every character is seen: the others as JSON spells them; line ends and tabs stay."""
    return re.sub(UNUSUAL, _as_seen, text)


def exposed(text: str) -> str:
    """Return text of one line in which nothing hides: :func:`visible`, and long runs of blanks as their number."""
    return re.sub(MANY_BLANKS, lambda found: f"<{len(found[0]):,} blanks>", visible(text))


def shortened(text: str, head: int, tail: int) -> str:
    """Return both ends of a text, and how much was left out between them."""
    left_out = len(text) - head - tail
    return f"{text[:head]} ... ({left_out:,} more characters) ... {text[-tail:]}"


def _as_code(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _as_seen(found: re.Match[str]) -> str:
    character = found[0]
    is_seen = character.isprintable() and not re.match(UNSEEN, character)
    return character if is_seen else json.dumps(character)[1:-1]
