"""Descriptions from documents, cleaned, and marked as quotations, since nobody has checked them."""

from __future__ import annotations

import re
from html import unescape

MAX_PROSE = 600
"""The maximum length of a description, in characters."""
MAX_SUMMARY = 120
"""The maximum length of a summary, in characters."""
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)|<img\b[^>]*>", re.IGNORECASE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_MARKS = re.compile(r"^\s*(#{1,6}\s|[-*+]\s|>\s?|```\w*|\|)|[*_]{2,}|```", re.MULTILINE)
_MARKUP = re.compile(r"[<>\[&*#`|]|__|^\s*[-+]\s", re.MULTILINE)
"""Matches in each text that the patterns above, or entities, can be in."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


def cleaned(text: str, most: int = MAX_PROSE) -> str:
    """Return Markdown or HTML as one line of plain text, cut after a word to ``most`` characters."""
    text = text[: most * 20]
    if _MARKUP.search(text):
        text = _LINK.sub(r"\1", _IMAGE.sub(" ", _HIDDEN.sub(" ", text)))
        text = unescape(_TAG.sub(" ", _MARKS.sub(" ", text))).replace("``", "`")
    line = " ".join(text.split())
    if not line.isprintable():  # which is rare, and each character takes time
        line = " ".join("".join(char if char.isprintable() else " " for char in line).split())
    if len(line) <= most:
        return line
    return f"{line[:most].rpartition(' ')[0] or line[:most]}..."


def summary_of(summary: str, about: str) -> str:
    """Return the summary, or else the first sentence of the description."""
    line = cleaned(summary, MAX_SUMMARY) or cleaned(_SENTENCE.split(cleaned(about), maxsplit=1)[0], MAX_SUMMARY)
    return line if not line or line[-1] in ".!?。！？" else f"{line}."


def quoted(text: str) -> str:
    """Return a description as a Markdown quotation that names its source."""
    line = cleaned(text)
    return f"> The service's documentation says: {line}" if line else ""
