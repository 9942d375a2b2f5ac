"""Reads and writes Markdown: sections, headings and tables. Fenced code blocks are never changed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

FENCES = ("```", "~~~")
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_MARK = re.compile(r"^#+ .*|^ *(?:-|\d+\.) |^[-:| ]+$|[`*|]")


@dataclass(frozen=True)
class MarkdownText:
    """A Markdown text, divided at its headings.

    Args:
        title: The first-level heading; empty if there is none.
        introduction: The text before the first second-level heading.
        sections: The text below each second-level heading, by heading, in their order.
    """

    title: str
    introduction: str
    sections: dict[str, str]


def read(text: str) -> MarkdownText:
    """Divide a Markdown text at its headings. Backticks around headings, and lines ``---``, are removed."""
    title, heading = "", ""
    parts: dict[str, list[str]] = {"": []}
    for line, is_text in _lines(text):
        if is_text and line.startswith("# ") and not title:
            title = line[2:].strip()
        elif is_text and line.startswith("## "):
            heading = line[3:].strip().strip("`")
            parts.setdefault(heading, [])
        else:
            parts[heading].append(line)
    introduction, *bodies = (_trimmed(lines) for lines in parts.values())
    return MarkdownText(title, introduction, dict(zip(list(parts)[1:], bodies, strict=True)))


def raised(text: str) -> str:
    """Return a Markdown text with each heading one level higher: ``## Errors`` becomes ``# Errors``."""
    return "\n".join(line[1:] if is_text and line.startswith("##") else line for line, is_text in _lines(text))


def plain(text: str) -> str:
    """Return the words of a Markdown text, for a search. Code blocks, headings, markup and URLs are left out."""
    lines = (_LINK.sub(r"\1", line) for line, is_text in _lines(text) if is_text)
    return "\n".join(_MARK.sub("", line) for line in lines)


def first_sentence(text: str) -> str:
    """Return the words of the first sentence of a Markdown text."""
    return re.split(r"(?<=[.:]) ", " ".join(plain(text).split()), maxsplit=1)[0]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with these column headings and rows. Pipes inside cells are escaped."""
    ruler = [["-" * max(3, len(column)) for column in columns]]
    return "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in [columns, *ruler, *rows])


def fenced(code: str, language: str = "") -> str:
    """Return code as a fenced code block in Markdown."""
    return f"```{language}\n{code}\n```"


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and False if the line belongs to a fenced code block."""
    fence = ""
    for line in text.splitlines():
        marker = line.lstrip()[:3]
        if marker in FENCES and fence in ("", marker):
            fence = "" if fence else marker
            yield line, False
        else:
            yield line, not fence


def _trimmed(lines: Sequence[str]) -> str:
    return "\n".join(lines).strip().removesuffix("\n---").strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


_HEADING = re.compile(r"([A-Z][a-z]+):")


def split(doc: str) -> tuple[str, dict[str, str]]:
    """Split a docstring in Google style into the text before the sections, and each section's text by its heading.

    ``doc`` has no indentation, as :func:`inspect.getdoc` returns it.
    """
    heading = ""
    parts: dict[str, list[str]] = {"": []}
    for line in doc.splitlines():
        found = _HEADING.fullmatch(line)
        if found:
            heading = found[1]
        elif line[:1].strip():
            heading = ""
        if not found:
            parts.setdefault(heading, []).append(line)
    text, *bodies = (inspect.cleandoc("\n" + "\n".join(lines)) for lines in parts.values())
    return text, dict(zip(list(parts)[1:], bodies, strict=True))
