"""The header of a script: the comment at its beginning that describes it and declares its parameters.

    --- Lists recent deploys.
    ---@param days? integer How many days back (default: 7)
    ---@param status "live"|"failed" Which ones
    ---@return table[] deploys

The header is written in LuaCATS, the annotations of Lua's language server. A comment directly above a function belongs
to that function, and is not a header.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from kosmolua.errors import BadArguments, ScriptError
from kosmolua.expressions import regex
from kosmolua.schema.arguments import REQUIRED, Binder, Parameter
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.spelling import NoType, read_type
from kosmolua.schema.types import Record, Type

_COMMENT = regex(r"\s*--(?!\[=*\[)-?(.*)")
_FUNCTION = regex(r"\s*(?:local\s+)?function\b|\s*(?:local\s+)?[\w.:]+\s*=\s*function\b")
_TAG = regex(r"@(\w+)\s*(.*)")
_PARAMETER = regex(r"([A-Za-z_]\w*)(\??)\s+(.*)")
_DEFAULT = regex(r"\(default:\s*(\"[^\"]*\"|[^()]*)\)", re.IGNORECASE)


class Header(NamedTuple):
    """The header of a script: its description, its parameters and the type of its result.

    Args:
        doc: The description of the script, or an empty string. The first line is the summary.
        parameters: The parameters, in order.
        returns: The type of the returned value, or None if it is not declared.
        is_declared: True if the header has a ``@param`` or ``@return``. If False, any arguments can be passed.
    """

    doc: str = ""
    parameters: tuple[Parameter, ...] = ()
    returns: Type | None = None
    is_declared: bool = False

    @property
    def summary(self) -> str:
        """The first line of the description."""
        return self.doc.partition("\n")[0]

    @property
    def params(self) -> Record | None:
        """The type of the table ``params``; None if the header declares nothing, so that anything can be passed."""
        if not self.is_declared:
            return None
        fields = {each.name: each.type for each in self.parameters}
        given = frozenset(each.name for each in self.parameters if each.default is not None)
        return Record("params", fields, required=given)

    def bind(self, name: str, given: Mapping[str, Any] | Sequence[Any]) -> dict[str, object]:
        """Return the table ``params`` for a run: the converted arguments, and the defaults of the other parameters.

        Args:
            name: The name of the script for messages.
            given: The arguments by name. From Lua, this is a list instead: empty, with one table of named arguments, or
                with the arguments in the order of the parameters.

        Raises:
            BadArguments: An argument has an unknown name or a value that does not fit, or a required argument is
                missing.
        """
        passed = [dict(given)] if isinstance(given, Mapping) else given
        if not self.is_declared:
            return self._undeclared(name, passed)
        names = ", ".join(each.name + ("?" if each.may_be_absent else "") for each in self.parameters)
        usage = f"its parameters are {names}" if names else "it has no parameters"
        bound = Binder(self.parameters, usage).bind(name, passed)
        defaults = {each.name: each.default for each in self.parameters if each.default not in (REQUIRED, None)}
        return defaults | bound

    @staticmethod
    def _undeclared(name: str, passed: Sequence[Any]) -> dict[str, object]:
        """Return the arguments of a script that declares no parameters: at most one table of named arguments."""
        if len(passed) > 1 or not all(isinstance(each, Mapping) or each == [] for each in passed):
            raise BadArguments(f"{name} takes one table of named arguments, since its header declares no parameters")
        return dict(passed[0]) if passed and passed[0] else {}


NONE = Header()
"""The empty header, for a script that has none."""


def read_header(source: str | bytes, name: str = "script.lua") -> Header:
    """Return the header of a script. A script without one gets an empty header.

    Raises:
        ScriptError: An annotation is not valid, or a default does not fit its type.
    """
    text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
    words: list[str] = []
    parameters: list[Parameter] = []
    returns: Type | None = None
    is_declared = False
    for number, line in _comments(text.removeprefix("\ufeff")):
        tag = _TAG.match(line.strip())
        if tag is None:
            if not is_declared:
                words.append(line.strip())
        elif tag[1] == "param":
            parameters.append(_parameter(tag[2], parameters, name, number))
            is_declared = True
        elif tag[1] == "return":
            returns = returns or _returned(tag[2])
            is_declared = True
    return Header("\n".join(words).strip(), tuple(parameters), returns, is_declared)


def script_name(file: str) -> str:
    """Return the name of a script from the path of its file: the file's name without ``.lua``."""
    path = PurePath(file.removeprefix("="))
    return path.stem if path.suffix == ".lua" else path.name


def _comments(text: str) -> Sequence[tuple[int, str]]:
    """Return the lines of the comment at the beginning of a script, with their numbers.

    A comment directly above a function yields no lines, since it belongs to the function.
    """
    found: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        comment = _COMMENT.fullmatch(line.rstrip("\r"))
        if comment:
            found.append((number, comment[1]))
        elif found:
            return [] if _FUNCTION.match(line) else found
        elif line.strip() and not (number == 1 and line.startswith("#")):
            return []
    return found


def _parameter(text: str, before: Sequence[Parameter], script: str, line: int) -> Parameter:
    found = _PARAMETER.fullmatch(text.strip()) or _PARAMETER.fullmatch(f"{text.strip()} any")
    if found is None:
        raise _wrong(script, line, "write a parameter as ---@param NAME TYPE DESCRIPTION")
    name = found[1]
    if any(each.name == name for each in before):
        raise _wrong(script, line, f"the parameter {name} is declared twice")
    try:
        spelled = read_type(found[3], name)
    except (NoType, ValueError) as error:
        raise _wrong(script, line, f"the type of {name} cannot be read: {error}") from None
    about = spelled.rest.strip()
    default: object = None if found[2] or spelled.is_optional else REQUIRED
    if said := _DEFAULT.search(about):
        default = _default(spelled.type, said[1].strip(), name, script, line)
    return Parameter(name, spelled.type, about, default)


def _returned(text: str) -> Type | None:
    try:
        return read_type(text, "result").type
    except (NoType, ValueError):
        return None  # the text is only for human readers


def _default(kind: Type, text: str, name: str, script: str, line: int) -> object:
    """Return the default of a parameter, from the text after ``default:`` in its description."""
    if text == "nil":
        return None
    problem = ""
    for said in dict.fromkeys([text, text.partition(",")[0].strip()]):
        value = json.loads(said) if said.startswith('"') and said.endswith('"') else kind.read(said)
        try:
            return kind.accept(value)
        except Mismatch as mismatch:
            problem = problem or mismatch.problem
    # For instance: the default of days must be an integer, not "soon" (a string)
    raise _wrong(script, line, f"the default of {name} {problem}")


def _wrong(script: str, line: int, problem: str) -> ScriptError:
    error = ScriptError(f"{script}:{line}: {problem}")
    error.line = line
    return error
