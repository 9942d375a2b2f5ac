"""Completions of the text before the cursor, in the REPL and in editors: names, arguments, values, pages, commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kosmolua.catalog.catalog import Catalog
from kosmolua.catalog.offers import offered_functions, offered_pages
from kosmolua.errors import KosmoError
from kosmolua.lua.syntax import OpenBrackets, place_of
from kosmolua.runs.session import Names
from kosmolua.schema import luacats
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function
from kosmolua.schema.names import APP, KEYWORDS, ROOT, qualified, root_and_name

_COMMAND = re.compile(r":(\w*)$")
_ARGUMENT_OF_COMMAND = re.compile(r":(\w+)\s+(.*)$", re.DOTALL)
_DOTTED = re.compile(r"(?:([A-Za-z_][\w.]*)[.:])?(\w*)$")
_CALLEE = re.compile(r"([A-Za-z_][\w.]*)\s*\(?\s*$")
_INDEXES = re.compile(r"([A-Za-z_][\w.]*)\s*\[\s*$")
_READS_PAGE = re.compile(r"\blua_(?:read_doc|list_docs)\s*\(?\s*$")
_ASSIGNS = re.compile(r"\s*(\w+)\s*=\s*(.*)$", re.DOTALL)


def is_command(chunk: str) -> bool:
    """Return True if a text typed at the prompt is a command such as ``:help``, and not Lua."""
    return chunk.startswith(":") and not chunk.startswith("::")


def signature(function: Function) -> str:
    """Return a line about a function: its parameters with their types, its summary and its effect."""
    parameters = [
        f"{each.name}{'' if each.required else '?'}: {luacats.label(each.type)}" for each in function.parameters
    ]
    return f"{function.name}{{ {', '.join(parameters)} }}  {function.summary}  ({function.effect})"


class Candidate(NamedTuple):
    """A completion for the text before the cursor. ``start`` is -3 if it replaces the last three characters."""

    text: str
    start: int
    about: str = ""


class Candidates:
    """Finds completions for the text before the cursor.

    ``names`` returns the names in the table that a Lua expression means, kept until :meth:`forget`. ``files`` returns
    paths that may complete a text.
    """

    def __init__(
        self,
        catalog: Catalog,
        names: Callable[[str], Names],
        commands: dict[str, str],
        files: Callable[[str], Iterable[str]],
    ) -> None:
        self._catalog = catalog
        self._ask = names
        self._commands = commands
        self._files = files
        self._known: dict[str, Names] = {}

    def forget(self) -> None:
        """Forget which names are in the session's tables. Call this after each chunk, since chunks can change them."""
        self._known.clear()

    def of(self, text: str) -> list[Candidate]:
        """Return the completions for the end of a text, in the order in which they are shown."""
        try:
            return list(self._of(text))
        except KosmoError:
            return []  # an integration that cannot be loaded has no completions

    def function_at(self, text: str) -> Function | None:
        """Return the function for which arguments are being typed at the end of a text, or None if there is none."""
        try:
            return self._function_at(text, place_of(text))
        except KosmoError:
            return None

    def _of(self, text: str) -> Iterator[Candidate]:
        if is_command(text):
            return self._in_command(text)
        place = place_of(text)
        if place.quote is not None:
            return self._in_string(text, place)
        function = self._function_at(text, place)
        if function and place.opens_table(text) and "=" not in text[place.comma :]:
            return self._argument_names(function, text, place)
        choices = _values(_parameter(function, text[place.comma :])) if function else []
        word = _DOTTED.search(text)
        if choices and word and not word[1]:
            return _matching(dict.fromkeys(choices, ""), word[2])
        return self._names(text)

    # Lua

    def _names(self, text: str) -> Iterator[Candidate]:
        found = _DOTTED.search(text)
        base, word = (found[1] or "", found[2]) if found else ("", "")
        if not base and not word and text.strip():
            return iter(())
        return _matching(self._inside(base), word)

    def _inside(self, base: str) -> dict[str, str]:
        if not base:
            return {**self._types(""), **dict.fromkeys(KEYWORDS, "keyword"), APP: "table"}
        path = self._path(base)
        return self._types(base) if path is None else self._under_app(path.split(".")[1:])

    def _types(self, base: str) -> dict[str, str]:
        return self._names_in(base).types

    def _names_in(self, base: str) -> Names:
        if base not in self._known:
            self._known[base] = self._ask(base)
        return self._known[base]

    def _path(self, base: str) -> str | None:
        """Return the path of the table under ``app`` that an expression means, or None."""
        if base == APP or base.startswith(f"{APP}."):
            return base
        return self._names_in(base).path

    def _under_app(self, parts: list[str]) -> dict[str, str]:
        roots = {root_and_name(name)[0] for name in self._catalog.names()} | {ROOT}
        if not parts:
            return dict.fromkeys(roots, "what is installed")
        if parts[0] not in roots or len(parts) > 3:
            return {}
        if len(parts) == 1:
            names = map(root_and_name, self._catalog.names())
            return {name: "integration" for root, name in names if root == parts[0]}
        integration = qualified(parts[0], parts[1])
        functions = offered_functions(self._catalog, integration)
        if len(parts) == 3:
            return functions
        return functions | dict.fromkeys(["default", *self._catalog.accounts(integration)], "account")

    # Arguments

    def _function_at(self, text: str, place: OpenBrackets) -> Function | None:
        if place.bracket is None or text[place.bracket] not in "{(":
            return None
        callee = _CALLEE.search(text[: place.bracket])
        base, _, name = callee[1].rpartition(".") if callee else ("", "", "")
        path = self._path(base) if base else None
        return self._catalog.find(f"{path}.{name}") if path and path.count(".") in (2, 3) else None

    def _argument_names(self, function: Function, text: str, place: OpenBrackets) -> Iterator[Candidate]:
        given = set(re.findall(r"(\w+)\s*=", text[place.bracket :]))
        wanted = {f"{each.name} = ": _about(each) for each in function.parameters if each.name not in given}
        return _matching(wanted, text[place.comma :].lstrip())

    def _in_string(self, text: str, place: OpenBrackets) -> Iterator[Candidate]:
        assert place.quote is not None
        before, word = text[: place.quote], text[place.quote + 1 :]
        if _READS_PAGE.search(before):
            return _matching(offered_pages(self._catalog, word), word)
        if indexed := _INDEXES.search(before):
            return _matching(self._inside(indexed[1]), word)
        function = self._function_at(text, place)
        parameter = _parameter(function, before[place.comma :]) if function else None
        return _matching(dict.fromkeys(map(str, luacats.choices_in(parameter.type)), "") if parameter else {}, word)

    # Commands and pages

    def _in_command(self, text: str) -> Iterator[Candidate]:
        if _COMMAND.match(text):
            return _matching(self._commands, text)
        found = _ARGUMENT_OF_COMMAND.match(text)
        command, word = (found[1], found[2]) if found else ("", "")
        if command == "doc":
            return _matching(offered_pages(self._catalog, word), word)
        return _matching(dict.fromkeys(self._files(word) if command == "load" else (), ""), word)


def _matching(wanted: dict[str, str], word: str) -> Iterator[Candidate]:
    hidden = not word.startswith("_")
    for text in sorted(wanted):
        if text.startswith(word) and text.strip() != word and not (hidden and text.startswith("_")):
            yield Candidate(text, -len(word), wanted[text])


def _parameter(function: Function, text: str) -> Parameter | None:
    found = _ASSIGNS.match(text)
    return next((each for each in function.parameters if found and each.name == found[1]), None)


def _values(parameter: Parameter | None) -> list[str]:
    if parameter is None:
        return []
    choices = [luacats.literal(choice) for choice in luacats.choices_in(parameter.type)]
    return choices or (["true", "false"] if luacats.label(parameter.type) == "boolean" else [])


def _about(parameter: Parameter) -> str:
    required = "" if parameter.required else "?"
    return f"{luacats.label(parameter.type)}{required}  {luacats.description(parameter)}".rstrip()
