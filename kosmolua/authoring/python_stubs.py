"""Python stubs of the user's integrations: ``runtime.render2.list_services(limit=5)`` is completed and type-checked.

The stubs stand in for the module :mod:`kosmolua.functions` alone. A type checker that finds the folder of the stubs on
its path takes everything else from the installed package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from keyword import iskeyword
from pathlib import Path

import kosmolua
from kosmolua.authoring.stubs import write_file
from kosmolua.docs.outline import Integrations
from kosmolua.errors import PluginError
from kosmolua.protocol import Json
from kosmolua.schema import luacats
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import SERVERS, root_and_name
from kosmolua.schema.types import Choice, List, Map, Record, Scalar, Type, Union

FOLDER = "typings"
"""Where pyright looks for stubs. For mypy, its setting ``mypy_path`` has to name the folder."""

_SCALARS = {"any": "Json", "integer": "int", "number": "float", "string": "str", "boolean": "bool", "secret": "Secret"}
_USED = frozenset({"bool", "dict", "float", "int", "list", "str"})
"""Names in annotations, which would mean functions of the same class. Such functions are left out."""
_IMPORTS = """from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from typing_extensions import NotRequired

from kosmolua.plugin import Secret
from kosmolua.protocol import Json"""


def write_python_stubs(catalog: Integrations, folder: Path) -> list[Path]:
    """Write the stubs below a folder, and return their paths; raise ConfigError if a file cannot be written."""
    return [write_file(folder / "kosmolua" / name, text) for name, text in _files(catalog)]


def _files(catalog: Integrations) -> Iterator[tuple[str, str]]:
    homes = ((home, name) for name, home in kosmolua._HOMES.items())
    exported = [f"from kosmolua.{home} import {name} as {name}" for home, name in sorted(homes)]
    yield "__init__.pyi", "\n".join([*exported, "", "__version__: str"])
    yield "integrations/__init__.pyi", ""
    names = [name for name in catalog.names() if _is_name(root_and_name(name)[1])]
    loaded = []
    for name in names:
        try:
            integration = catalog.listed(name)
        except PluginError:
            continue
        loaded.append(name)
        yield f"integrations/{_module(name)}.pyi", integration_stub(integration, catalog.accounts(name))
    yield "functions.pyi", _functions(loaded)


def _functions(names: Sequence[str]) -> str:
    lines = [f"from kosmolua.integrations import {_module(name)} as _{_module(name)}" for name in sorted(names)]
    attributes: list[tuple[str, str]] = []
    servers: list[tuple[str, str]] = []
    for name in names:
        root, attribute = root_and_name(name)
        (servers if root == SERVERS else attributes).append((attribute, f"_{_module(name)}.Integration"))
    if servers:
        lines += ["", "class _Servers:", *_fields(servers)]
        attributes.append((SERVERS, "_Servers"))
    return "\n".join([*lines, "", "class IntegrationAttributes:", *_fields(attributes)])


def integration_stub(integration: Integration, accounts: Sequence[str]) -> str:
    """Return the stub of an integration: its records, its functions, and its accounts as attributes."""
    functions = [each for each in integration.functions.values() if _is_name(each.name) and each.name not in _USED]
    kinds = [each.type for function in functions for each in function.parameters]
    kinds += [function.returns for function in functions if function.returns]
    records = [_record(record) for record in luacats.records_by_depth(kinds) if record.fields]
    members = [line for function in functions for line in _method(function)] or ["    ..."]
    named = [account for account in dict.fromkeys(["default", *accounts]) if _is_name(account)]
    account = "\n".join(["class Account:", *members])
    whole = "\n".join(["class Integration(Account):", *_fields((name, "Account") for name in named)])
    return "\n\n".join([_IMPORTS, *records, account, whole])


def _fields(attributes: Iterable[tuple[str, str]]) -> list[str]:
    return [f"    {name}: {kind}" for name, kind in attributes] or ["    ..."]


def _record(record: Record) -> str:
    fields = {
        key: kind if key in record.required else f"NotRequired[{kind}]"
        for key, kind in ((key, _spelled(kind)) for key, kind in record.fields.items())
    }
    name = _class(record)
    if all(map(_is_name, fields)):
        return "\n".join([f"class {name}(TypedDict):", *_fields(fields.items())])
    inside = ", ".join(f"{json.dumps(key)}: {kind}" for key, kind in fields.items())
    return f'{name} = TypedDict("{name}", {{{inside}}})'


def _method(function: Function) -> Iterator[str]:
    named = [each for each in function.parameters if _is_name(each.name)]
    ordered = sorted(named, key=lambda each: each.may_be_absent)
    others = [] if len(named) == len(function.parameters) else ["arguments: Mapping[str, object] = ...", "/"]
    listed = ["self", *others, *(["*"] if named else []), *map(_parameter, ordered)]
    result = _spelled(function.returns) if function.returns else "Json"
    yield f"    def {function.name}({', '.join(listed)}) -> {result}:"
    yield f"        {json.dumps(function.summary, ensure_ascii=False)}"


def _parameter(parameter: Parameter) -> str:
    kind = _spelled(parameter.type, is_argument=True)
    if not parameter.may_be_absent:
        return f"{parameter.name}: {kind}"
    return f"{parameter.name}: {kind}{'' if kind.endswith(' | None') else ' | None'} = ..."


def _spelled(kind: Type, *, is_argument: bool = False) -> str:
    plain = _plain(kind, is_argument=is_argument)
    return f"{plain} | None" if kind.nullable and plain != "Json" else plain


def _plain(kind: Type, *, is_argument: bool) -> str:
    if isinstance(kind, Scalar):
        return "str | Secret" if is_argument and kind.kind == "string" else _SCALARS[kind.kind]
    if isinstance(kind, Choice):
        return f"Literal[{', '.join(map(repr, kind.values))}]" if all(map(_is_literal, kind.values)) else "Json"
    if isinstance(kind, List):
        return f"{'Sequence' if is_argument else 'list'}[{_spelled(kind.item, is_argument=is_argument)}]"
    if isinstance(kind, Map):
        return f"{'Mapping' if is_argument else 'dict'}[str, {_spelled(kind.value, is_argument=is_argument)}]"
    if isinstance(kind, Union):
        members = (_spelled(member, is_argument=is_argument) for member in kind.members)
        return " | ".join(dict.fromkeys(members)) or "Json"
    assert isinstance(kind, Record)
    if not kind.fields:
        return f"{'Mapping' if is_argument else 'dict'}[str, Json]"
    return f"{_class(kind)} | Mapping[str, Json]" if is_argument and kind.extra else _class(kind)


def _class(record: Record) -> str:
    """Return the name of a record's class, which no function has: a function is not written in capitals."""
    name = re.sub(r"\W", "_", record.name)
    return name if name[:1].isupper() else f"{name[:1].upper()}{name[1:]}_"


def _module(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _is_name(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name) and not name.startswith("__")


def _is_literal(value: Json) -> bool:
    return value is None or isinstance(value, (str, bool, int))
