"""What is checked, and what is known about its globals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kosmolua.check.fields import CatalogView
from kosmolua.lua import idioms
from kosmolua.lua.environment import GLOBALS, LIBRARIES
from kosmolua.lua.held import Held
from kosmolua.lua.scopes import Scopes
from kosmolua.lua.syntax import Node
from kosmolua.lua.values import UNKNOWN, Branch, Builtin, Closure, Result, Secrets, StdLib, Undefined, Value
from kosmolua.schema.names import lua_path
from kosmolua.schema.types import Type
from kosmolua.suggestions import did_you_mean


class CheckInput(NamedTuple):
    """A script or a chunk of a session.

    Args:
        catalog: The integrations and accounts.
        root: The syntax tree.
        params: The type of the parameters that the script's header declares, or None.
        known: None for a script; for a chunk of a session, what is known about globals after the previous chunk.
        secrets: The secrets that the script can use, or None if these are not known.
    """

    catalog: CatalogView
    root: Node
    params: Type | None = None
    known: Mapping[str, Value] | None = None
    secrets: Secrets | None = None

    @property
    def is_chunk_of_session(self) -> bool:
        return self.known is not None


class Globals:
    """The globals of a script: its own, those of earlier chunks of a session (``earlier``), and those that all have."""

    def __init__(self, given: CheckInput, scopes: Scopes, held: Held) -> None:
        self.earlier = {name: value for name, value in (given.known or {}).items() if name not in GLOBALS}
        self._functions: dict[str, Closure] = {}
        self._input = given
        self._scopes = scopes
        self._held = held

    def value(self, node: Node) -> Value:
        """Return what is known about the value of a global."""
        name = node.text
        if name in self._scopes.defined:
            return self._functions.get(name) or self._held.get(name, UNKNOWN)
        if name in self.earlier:
            return self.earlier[name]
        if name == "app":
            return Branch(0)
        if name == "params" and self._input.params:
            return Result(self._input.params, "params")
        if self._scopes.is_dynamic:
            return UNKNOWN
        if name == "secrets" and self._input.secrets:
            return self._input.secrets
        if name in LIBRARIES:
            return StdLib(name)
        return Builtin(name) if name in GLOBALS else Undefined(name, self._meant_by(node) or "")

    def declare(self, name: str, function: Closure) -> None:
        """Record a function of the script that is declared once, and that nothing else can replace."""
        if self._scopes.defined[name] == 1 and not self._scopes.may_share_globals:
            self._functions[name] = function

    def is_integration(self, name: str) -> bool:
        """Return True if a name is that of an integration, and of no local variable of the script."""
        return name not in self._scopes.locals and name in self._input.catalog.names()

    def _meant_by(self, name: Node) -> str | None:
        """Return a hint for a name that nothing defines, such as a similar known name, or None if there is none."""
        word, declared = name.text, self._scopes.locals
        if word in declared:
            line = declared[word].line
            if any(each.start < name.start < each.end for each in declared[word].outer({"variable_declaration"})):
                return f"write local function {word}(...), so that it can call itself"
            place = "further down" if line >= name.line else "in another block"
            return f"it is declared local {place}, in line {line}: declare it earlier, outside both blocks"
        above = {other for other, place in declared.items() if place.line <= name.line}
        if self.is_integration(word):
            return f"it is {lua_path(word)}"
        known = {*self._scopes.defined, *self.earlier, *GLOBALS, *above}
        return idioms.GLOBALS.get(word) or did_you_mean(word, known)
