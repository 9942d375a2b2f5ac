"""Signatures: how a function is called in Lua and which keys its result has, on one line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from kosmolua.schema import luacats
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.effects import EFFECTS
from kosmolua.schema.function import Function
from kosmolua.schema.types import Choice, Record, Type

MAX_SPELLED_KEYS = 6
"""The most keys of a result that are shown with their types. If there are more, only the names are shown."""


def typed(function: Function) -> str:
    """Return a signature with types: ``list_books({ limit?: integer = 20 }) -> { books: Book[], cursor?: string }``."""
    arguments = ", ".join(map(_argument, function.parameters))
    return f"{function.name}({f'{{ {arguments} }}' if arguments else ''}) -> {_result(function.returns)}"


def _argument(parameter: Parameter) -> str:
    kind = parameter.type.lua if isinstance(parameter.type, Choice) else parameter.type.spell("", "string")
    default = "" if parameter.required or parameter.default is None else f" = {luacats.literal(parameter.default)}"
    return f"{parameter.name}{'?' if parameter.may_be_absent else ''}: {kind}{default}"


def _result(returns: Type | None) -> str:
    if returns is None:
        return "any"
    if not isinstance(returns, Record):
        return returns.spell()
    if len(returns.fields) > MAX_SPELLED_KEYS:
        return f"{returns.name} {{ {', '.join(_keys(returns))} }}"
    fields = [f"{key}: {returns.fields[key.rstrip('?')].spell()}" for key in _keys(returns)]
    return f"{{ {', '.join(fields)} }}"


def _keys(record: Record) -> list[str]:
    return [key if key in record.required else f"{key}?" for key in record.fields]


def named(function: Function) -> str:
    """Return a signature without types: ``list_books({ limit? }) -> { books, cursor? }``."""
    names = [f"{parameter.name}{'?' if parameter.may_be_absent else ''}" for parameter in function.parameters]
    keys = _keys(function.returns) if isinstance(function.returns, Record) else []
    return _joined(function.name, names, keys)


def _joined(name: str, parameters: Sequence[str], keys: Sequence[str]) -> str:
    arguments = f"{{ {', '.join(parameters)} }}" if parameters else ""
    return f"{name}({arguments})" + (f" -> {{ {', '.join(keys)} }}" if keys else "")


def in_source(sources: Sequence[str], name: str) -> str:
    """Read the signature of a short name from a plugin's source texts; empty if they do not define the function."""
    registered = re.compile(rf"^(?:@\w+\.(?:{'|'.join(EFFECTS)})s\b[^\n]*|\))\n(def {name}\()", re.MULTILINE)
    for source in sources:
        begin = registered.search(source)
        node = _parsed(source[begin.start(1) :].partition('"""')[0] + "...") if begin else None
        if isinstance(node, ast.FunctionDef):
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            parameters = [
                argument.arg + ("?" if default is not None or "unless(" in ast.unparse(argument) else "")
                for argument, default in pairs
            ]
            returns = node.returns.id if isinstance(node.returns, ast.Name) else ""
            return _joined(name, parameters, list(_keys_in_source(sources, returns)) if returns else [])
    return ""


def _keys_in_source(sources: Sequence[str], name: str) -> Iterator[str]:
    """Yield the keys of a TypedDict and of its base classes; a question mark follows one that can be absent."""
    declared = re.compile(rf"\nclass {name}\([^\n]*\n(?:(?:    [^\n]*)?\n)*")
    found = next(filter(None, (declared.search(source) for source in sources)), None)
    node = _parsed(found[0]) if found else None
    if not isinstance(node, ast.ClassDef):
        return
    for each in node.bases:
        if isinstance(each, ast.Name) and each.id != "TypedDict":
            yield from _keys_in_source(sources, each.id)
    partial = any(keyword.arg == "total" for keyword in node.keywords)
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            words = re.findall(r"\w+", _kind_in_source(field.annotation))
            absent = partial or "None" in words or "NotRequired" in words
            yield field.target.id + ("?" if absent else "")


def _kind_in_source(annotation: ast.expr) -> str:
    """Return the type in an annotation as source text: ``int`` for ``Annotated[int, "How many."]``."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Annotated":
        annotation = annotation.slice.elts[0] if isinstance(annotation.slice, ast.Tuple) else annotation.slice
    return ast.unparse(annotation)


def _parsed(text: str) -> ast.stmt | None:
    try:
        return ast.parse(text.strip() + "\n").body[0]
    except (SyntaxError, IndexError):
        return None
