"""Outlines of integrations: names, effects and summaries of their functions, read from the source without running it.

With outlines, hundreds of integrations can be listed and searched in a fraction of a second, and a plugin that hangs or
fails affects only the scripts that use it. If the source of a plugin does not have the usual form, the plugin is loaded
instead.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from kosmolua.docs import signatures
from kosmolua.schema.effects import EFFECTS
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.luacats import description, prose


class Integrations(Protocol):
    """The installed integrations. Only :meth:`integration` and :meth:`listed` run the code of plugins."""

    def names(self) -> Sequence[str]: ...

    def integration(self, name: str) -> Integration:
        """Return an integration, loading its plugin or starting its MCP server if necessary.

        Raises:
            PluginError: The integration cannot be loaded.
            UnknownPath: No integration has this name.
        """

    def listed(self, name: str) -> Integration:
        """Return an integration for a list or a search, loading its plugin if necessary.

        Raises:
            PluginError: The integration cannot be loaded, or it is an MCP server that would have to be started.
        """

    def accounts(self, name: str) -> Sequence[str]: ...

    def invents_accounts(self, name: str) -> bool:
        """Return True if the accounts are only simulated."""

    def prose(self, name: str) -> str | None:
        """Return the text of the file NAME.md, or None if there is no such file."""

    def sources(self, name: str) -> Sequence[str]:
        """Return the texts of a plugin's Python files; empty if they cannot be read."""


MAX_CONSTRUCTION_LINES = 20
"""The most lines that ``integration = Integration(...)`` may take."""

_EXTENSION = "\nintegration.extend("
"""Text in the source of a plugin that also has functions from an OpenAPI document. The source does not show these."""
_CONSTRUCTION = "\nintegration = Integration("
_PARAMETER = re.compile(r"\n    (\w+):")
_SAID: dict[str, type] = {"name": str, "about": str, "prefix": str, "words": dict}
_REGISTERED = re.compile(rf"\w+\.({'|'.join(EFFECTS)})s(?:\(.*?\))?\ndef (\w+)\(", re.DOTALL)


class Sketch(NamedTuple):
    """What lists and searches need to know about a function.

    Args:
        full_name: The name with the integration's prefix.
        effect: ``read``, ``write`` or ``destroy``.
        summary: The first sentence of the docstring.
        words: More text for searches: the rest of the docstring, and the descriptions of parameters.
        parameters: The names of the parameters, separated by spaces.
        section: The section of an OpenAPI document; empty if the function is written in Python.
    """

    full_name: str
    effect: str
    summary: str
    words: str
    parameters: str
    section: str = ""


@dataclass(frozen=True)
class Outline:
    """What lists and searches need to know about an integration.

    Args:
        about: One sentence about the integration.
        functions: The sketches, by short name.
        words: Synonyms for searches, each with the word that the integration uses instead.
        prefix: The prefix of full names.
    """

    about: str
    functions: Mapping[str, Sketch]
    words: Mapping[str, str]
    prefix: str

    def find(self, name: str) -> str | None:
        """Return the short name for a short or full name, or None if there is no such function."""
        if name in self.functions:
            return name
        return next((short for short, sketch in self.functions.items() if sketch.full_name == name), None)

    @property
    def counts(self) -> str:
        """How many functions there are, and how many of each effect: ``7 functions: 6 read, 1 write``."""
        effects = [sketch.effect for sketch in self.functions.values()]
        noun = "function" if len(effects) == 1 else "functions"
        parts = [f"{effects.count(effect)} {effect}" for effect in EFFECTS if effect in effects]
        return f"{len(self.functions)} {noun}" + (f": {', '.join(parts)}" if parts else "")


class Outlines:
    """Reads outlines, each once."""

    def __init__(self, catalog: Integrations) -> None:
        self._catalog = catalog
        self._read: dict[str, Outline] = {}
        self._signatures: dict[tuple[str, str], str] = {}

    def of(self, name: str) -> Outline:
        """Return the outline of an integration.

        Raises:
            PluginError: The source does not show all functions, and the plugin cannot be loaded.
        """
        if name not in self._read:
            sources = self._catalog.sources(name)
            is_whole = not any(_EXTENSION in source for source in sources)
            self._read[name] = (is_whole and read(name, sources)) or outline_of(self._catalog.listed(name))
        return self._read[name]

    def has_sections(self, name: str) -> bool:
        """Return True if an integration has functions from an OpenAPI document."""
        return any(sketch.section for sketch in self.of(name).functions.values())

    def signature(self, name: str, function: str) -> str:
        """Return a function's signature as :func:`kosmolua.docs.signatures.named` does; empty if there is no such
        function.

        Raises:
            PluginError: The signature cannot be read from the source, and the plugin cannot be loaded.
        """
        if (name, function) not in self._signatures:
            sources = self._catalog.sources(name)
            shown = signatures.in_source(sources, function) if read(name, sources) else ""
            if not shown:
                loaded = self._catalog.listed(name).functions
                shown = signatures.named(loaded[function]) if function in loaded else ""
            self._signatures[name, function] = shown
        return self._signatures[name, function]


def outline_of(integration: Integration) -> Outline:
    functions = {name: _sketch(function) for name, function in integration.functions.own.items()}
    more = integration.functions.more.sketches() if integration.functions.more else {}
    return Outline(
        integration.about,
        functions | {key: each for key, each in more.items() if key not in functions},
        integration.words,
        integration.prefix,
    )


def _sketch(function: Function) -> Sketch:
    rest = function.doc[len(function.summary) :].strip()
    words = " ".join([rest, *(description(parameter) for parameter in function.parameters)])
    names = " ".join(parameter.name for parameter in function.parameters)
    return Sketch(function.full_name, function.effect, prose(function.summary), prose(words), names)


def read(name: str, sources: Sequence[str]) -> Outline | None:
    """Return the outline of an integration from the texts of its Python files, or None if they do not show all
    functions.
    """
    construction = _construction(sources)
    if construction is None or construction.get("name") != name:
        return None
    prefix = construction.get("prefix", name)
    functions = dict(_functions(sources, prefix and f"{prefix}_"))
    registrations = sum(source.count(f".{effect}s") for source in sources for effect in EFFECTS)
    if len(functions) != registrations:
        return None
    return Outline(construction.get("about", ""), functions, construction.get("words", {}), prefix)


def _construction(sources: Sequence[str]) -> dict[str, Any] | None:
    """Return the arguments of the call ``Integration(...)`` in a plugin's source."""
    places = [source.partition(_CONSTRUCTION)[2] for source in sources if _CONSTRUCTION in source]
    if len(places) != 1:
        return None
    lines = places[0].split("\n", MAX_CONSTRUCTION_LINES)[:MAX_CONSTRUCTION_LINES]
    calls = (_parsed("Integration(" + "\n".join(lines[:count])) for count in range(1, len(lines) + 1))
    return next(filter(None, calls), None)


def _parsed(call: str) -> dict[str, Any] | None:
    try:
        tree = ast.parse(call, mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(tree, ast.Call):
        return None
    given = [*((keyword.arg, keyword.value) for keyword in tree.keywords), *(("name", node) for node in tree.args[:1])]
    try:
        said = {key: ast.literal_eval(node) for key, node in given if key in _SAID}
    except ValueError:
        return None
    return said if all(isinstance(value, _SAID[key]) for key, value in said.items()) else None


def _functions(sources: Sequence[str], prefix: str) -> Iterator[tuple[str, Sketch]]:
    for source in sources:
        for piece in source.split("\n@")[1:]:
            registered = _REGISTERED.match(piece)
            signature, _, rest = piece.partition('"""')
            if registered and signature.rstrip().endswith(":"):
                effect, name = registered.groups()
                yield name, _sketched(prefix + name, effect, signature, rest.partition('"""')[0])


def _sketched(full_name: str, effect: str, signature: str, doc: str) -> Sketch:
    summary, _, rest = doc.strip().partition("\n")
    parameters = signature.partition("*")[2]
    words = " ".join([rest, *parameters.split('"')[1::2]])
    return Sketch(full_name, effect, prose(summary), prose(words), " ".join(_PARAMETER.findall(parameters)))
