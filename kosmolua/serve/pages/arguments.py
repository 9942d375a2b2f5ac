"""The arguments of calls as pages show them: what each replaces, the name behind an id, and how much of it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kosmolua.escaping import exposed
from kosmolua.schema.luacats import literal

MAX_LINE, MAX_FOLDED, HEAD = 600, 4000, 200
"""How many characters of an argument a page shows at once, how many unfolded, and how many of one that is folded."""


class ShownArgument(NamedTuple):
    """An argument of a call: its ``text`` in Lua, the name behind an id, and what it replaces, if that is known.

    ``kind`` is ``line``, ``folded``, ``cut`` if it is too long for the page, or ``prose`` for a text of several lines.
    """

    name: str
    value: Any
    text: str
    known_as: str
    before: str | None
    kind: str

    @property
    def head(self) -> str:
        """The beginning of the text."""
        return self.text[:HEAD]

    @property
    def shown(self) -> str:
        """What is shown of the text once it is unfolded."""
        return self.text[:MAX_FOLDED] if self.kind == "cut" else self.text

    @property
    def left_out(self) -> int:
        """How many characters are not shown even then."""
        return len(self.text) - len(self.shown)


def shown_arguments(
    given: Mapping[str, Any], names: Mapping[str, str], before: Mapping[str, Any], *, is_cut: bool
) -> Iterator[ShownArgument]:
    """Yield the arguments of a call; with ``is_cut``, there is another page for what is too long for this one."""
    for name, value in given.items():
        text = exposed(literal(value))
        kind = "folded" if len(text) > MAX_LINE else "line"
        if isinstance(value, str) and "\n" in value:
            kind = "prose"
        if is_cut and len(text) > MAX_FOLDED:
            kind = "cut"
        replaced = exposed(literal(before[name])) if name in before and before[name] != value else None
        replaced = cut(replaced, MAX_LINE) if replaced else replaced
        yield ShownArgument(exposed(name), value, text, exposed(names.get(name) or ""), replaced, kind)


def given(arguments: Mapping[str, Any]) -> str:
    """Return arguments on one line, such as ``id = 3, name = "x"``."""
    return ", ".join(f"{name} = {literal(value)}" for name, value in arguments.items())


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, which says that it goes on if it does."""
    return text if len(text) <= most else f"{text[: most - 2]} …"
