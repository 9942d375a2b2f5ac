"""Titles of runs, by which people recognise them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kosmolua.expressions import regex

MAX_TITLE, MAX_DEEDS, MAX_FUNCTIONS = 120, 4, 200
UNNAMED = frozenset({"script.lua", "(command line)", "stdin", "playground.lua", "api.lua"})
"""Names of scripts that tell nothing."""
_COMMENT = regex(r"\s*---?(?!\[=*\[)\s*(?!@)(.*\w.*)")
_SENTENCE = regex(r"(.*?[.!?:])(?=\s|$)")


def title_of(source: bytes, name: str, given: str | None = None) -> str:
    """Return the title of a run of a script; empty if only what the run does can tell one run from another.

    It is ``given``, else the first sentence of the script's first comment, else the name of its file.
    """
    name = name.removeprefix("=")
    title = (given or "").strip() or _commented(source.decode("utf-8", "replace"))
    return shortened(title or ("" if name in UNNAMED else name))


def deeds_of(calls: Iterable[Mapping[str, Any]]) -> str:
    """Return what calls did, such as ``reads render2.list_services, restarts services``; empty without calls."""
    made = [call for call in calls if call.get("effect") and call.get("path")]
    ordered = sorted(made, key=lambda call: call["effect"] == "read")
    deeds = list(dict.fromkeys(_deed(str(call["path"]), str(call["effect"])) for call in ordered))
    more = f" and {len(deeds) - MAX_DEEDS} more" if len(deeds) > MAX_DEEDS else ""
    shown = deeds[:MAX_DEEDS]
    reads = ", ".join(deed for kind, deed in shown if kind == "read")
    writes = [deed for kind, deed in shown if kind != "read"]
    return shortened(", ".join([*([f"reads {reads}"] if reads else []), *writes]) + more)


def made_of(calls: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """Return a row for each function: its path and effect, and how many calls of it were sent and refused."""
    rows: dict[tuple[str, str], list[Any]] = {}
    for call in calls:
        about = str(call.get("path")), str(call.get("effect") or "")
        row = rows.setdefault(about, [*about, 0, 0])
        row[3 if call.get("status") == "refused" else 2] += 1
    return list(rows.values())[:MAX_FUNCTIONS]


def client_of(software: str | None, client: str | None) -> str:
    """Return the name of a client for people; empty if it has only one by which the server tells clients apart."""
    kind, _, rest = (client or "").partition(" ")
    if kind == "address":
        client = rest.partition(" ")[2].partition(" ")[2]
    return software or ("" if kind in ("session", "cookie") else client or "")


def made_by(software: str | None, client: str | None, person: str | None) -> str:
    """Return the client and the person that began a run or made a plan, as far as they are known, for people."""
    return ", ".join(filter(None, (client_of(software, client), person)))


def shortened(title: str) -> str:
    """Return a title on one line, of at most :data:`MAX_TITLE` characters.

    A word is cut only if it is the only one: a part of a secret would not be masked.
    """
    line = " ".join(title.split())
    return line if len(line) <= MAX_TITLE else f"{line[:MAX_TITLE].rpartition(' ')[0] or line[: MAX_TITLE - 1]}…"


def _commented(text: str) -> str:
    """Return the first sentence of the first comment, which can go on over several lines."""
    said: list[str] = []
    for line in text.splitlines():
        if comment := _COMMENT.fullmatch(line):
            said.append(comment[1])
        elif said:
            break
    paragraph = " ".join(said)
    sentence = _SENTENCE.match(paragraph)
    return (sentence[1] if sentence else said[0] if said else "").rstrip(".:").strip()


def _deed(path: str, effect: str) -> tuple[str, str]:
    if effect == "read":
        return "read", path
    verb, _, thing = path.rpartition(".")[2].partition("_")
    return effect, f"{_ending(verb)} {_ending(thing).replace('_', ' ')}" if thing else path


def _ending(word: str) -> str:
    """Return the third person of a verb, or the plural of a noun."""
    if word.endswith(("s", "x", "ch", "sh")):
        return word if word.endswith("s") and not word.endswith("ss") else f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else f"{word}s"
