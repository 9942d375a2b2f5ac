"""Recipes: the answer to a search for a task, which has the functions for it and a short script that uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kosmolua.docs.signatures import typed
from kosmolua.docs.vocabulary import singular, words_in
from kosmolua.errors import KosmoError
from kosmolua.runtime import Runtime
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import KEYWORDS, integration_in, lua_path, parts_of
from kosmolua.schema.types import Choice, List, Record, Scalar, Type, Union
from kosmolua.truncation import TELLING

MIN_WORDS = 3
"""How many words a query has at least to be a task. A shorter one is a search for pages."""
MAX_RECIPE = 1_500
"""The most characters of an answer."""
MAX_FUNCTIONS, MAX_HITS, MAX_SUMMARY, MAX_SIGNATURE, MAX_SHOWN = 3, 30, 90, 170, 3
MAX_FOUND = 8
"""How many of the hits are functions for the task itself."""
MAX_OTHERS = 3
"""How many other integrations are named, each with the function that fits best."""
EXAMPLES = "examples"
"""The page of scripts for everyday tasks, which fits many tasks a little."""


def recipe(runtime: Runtime, query: str) -> str:
    """Return functions for a task and a script that passes the check; empty if no function fits it best."""
    if len(words_in(query)) < MIN_WORDS:
        return ""
    try:
        hits = runtime.docs.find(query, limit=MAX_HITS, for_scripts=True)
        found = [_Found(hit.page, *function) for hit in hits if (function := _function(runtime, hit.page))]
    except KosmoError:
        return ""
    if not found or found[0].page != next(hit.page for hit in hits if hit.page != EXAMPLES):
        return ""
    first = found[0]
    source = _source_of(first)
    others = [
        each for each in found[1:MAX_FOUND] if each != source and (each.integration is first.integration or not source)
    ]
    used = [first, *([source] if source else []), *others][:MAX_FUNCTIONS]
    accounts = runtime.catalog.accounts(first.integration.name)
    account = accounts[:1] if not runtime.catalog.default_account(first.integration) else []
    script = "\n".join(_script(first, source, account))
    if any(finding.severity == "error" for finding in runtime.checker().check(script).findings):
        return ""
    elsewhere = _elsewhere(found, first)
    rest = [hit.page for hit in hits[:MAX_FOUND] if hit.page not in {each.page for each in [*used, *elsewhere]}]
    for count in range(len(used), 0, -1):
        lines = [f"The functions nearest to the task, and a script to begin with. Read {first.page} first.", ""]
        lines += [f"- `{each.page}` ({each.function.effect}): {each.summary}" for each in used[:count]]
        lines += ["", "```lua", script, "```", ""]
        if elsewhere:
            lines.append(f"If another service is meant: {', '.join(f'`{each.page}`' for each in elsewhere)}")
        lines.append(f"Other pages: {', '.join(rest[:MAX_FUNCTIONS])}")
        if len(text := "\n".join(lines)) <= MAX_RECIPE:
            return text
    return ""


def _elsewhere(found: Sequence[_Found], first: _Found) -> list[_Found]:
    """Return the best function of each other integration."""
    best: dict[str, _Found] = {}
    for each in found:
        best.setdefault(each.page.rpartition(".")[0], each)
    return [each for each in best.values() if each.integration is not first.integration][:MAX_OTHERS]


class _Found(NamedTuple):
    """A function that fits a task."""

    page: str
    integration: Integration
    function: Function

    @property
    def summary(self) -> str:
        return f"{_cut(self.function.summary, MAX_SUMMARY)} `{_cut(typed(self.function), MAX_SIGNATURE)}`"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _function(runtime: Runtime, page: str) -> tuple[Integration, Function] | None:
    name, names = integration_in(parts_of(page), runtime.catalog.names())
    if not names:
        return None
    integration = runtime.catalog.listed(name)
    function = integration.functions.get(names[0])
    return (integration, function) if function else None


def _source_of(found: _Found) -> _Found | None:
    """Return the function that lists what the first id among a function's needed parameters names, or None."""
    for parameter in _needed(found.function):
        noun = parameter.name.removesuffix("_id")
        for name, function in found.integration.functions.items() if noun != parameter.name else ():
            is_list = function.effect == "read" and not _needed(function) and _items(function.returns)
            if is_list and singular(name.partition("_")[2]) == noun:
                page = f"{found.page.rpartition('.')[0]}.{name}"
                return _Found(page, found.integration, function)
    return None


def _needed(function: Function) -> list[Parameter]:
    return [each for each in function.parameters if each.required]


def _items(kind: Type | None) -> tuple[str, Record] | None:
    """Return the key of the one list of a result, empty if it is the list itself, and the type of its items."""
    if isinstance(kind, List) and isinstance(kind.item, Record):
        return "", kind.item
    if isinstance(kind, Record):
        lists = [(key, each.item) for key, each in kind.fields.items() if isinstance(each, List)]
        return next(((key, item) for key, item in lists if isinstance(item, Record)), None)
    return None


def _script(found: _Found, source: _Found | None, account: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a script that calls a function, for an item of ``source`` if there is one.

    ``account`` has the account to name, if it is needed.
    """
    yield f"local api = {lua_path(found.integration.name, *account)}"
    listing = _items(source.function.returns) if source else None
    if source is None or listing is None:
        yield from _calling(found.function, {}, "")
        return
    noun = singular(source.function.name.partition("_")[2])
    item = "each" if noun in KEYWORDS else noun
    yield f"local list = api.{source.function.name}({_paged(source.function)})"
    yield f"for _, {item} in ipairs(list{'.' * bool(listing[0])}{listing[0]}) do"
    mark = next((key for key in ("name", "title", "id") if key in listing[1].fields), "id")
    yield f'  if {item}.{mark} == "..." then -- the one that is meant'
    yield from _calling(found.function, {f"{noun}_id": f"{item}.id"}, "    ")
    yield "  end"
    yield "end"


def _calling(function: Function, known: dict[str, str], indent: str) -> Iterator[str]:
    """Yield the lines that call a function and print what it returns."""
    arguments = [f"{each.name} = {known.get(each.name) or _placeholder(each.type)}" for each in _needed(function)]
    arguments += ["limit = 20"] if _takes_limit(function) else []
    given = f"{{ {', '.join(arguments)} }}" if arguments else ""
    yield f"{indent}local result = api.{function.name}({given})"
    if listing := _items(function.returns):
        key, item = listing
        yield f"{indent}for _, each in ipairs(result{'.' * bool(key)}{key}) do"
        yield f"{indent}  print({_fields('each', item)})"
        yield f"{indent}end"
    elif isinstance(function.returns, Record):
        yield f"{indent}print({_fields('result', function.returns)})"
    else:
        yield f"{indent}return result"


def _paged(function: Function) -> str:
    if any(each.name == "all" for each in function.parameters):
        return "{ all = true }"
    return "{ limit = 100 }" if _takes_limit(function) else ""


def _takes_limit(function: Function) -> bool:
    return any(each.name == "limit" and not each.required for each in function.parameters)


def _fields(name: str, kind: Record) -> str:
    """Return a few fields of a record as the arguments of ``print``."""
    plain = [key for key, each in kind.fields.items() if isinstance(each, (Scalar, Choice))]
    first = [key for key in TELLING if key in plain]
    chosen = [*first, *(key for key in plain if key not in first)][:MAX_SHOWN]
    return ", ".join(f"{name}.{key}" for key in chosen if key.isidentifier()) or f"json.encode({name})"


def _placeholder(kind: Type) -> str:
    """Return a literal that a parameter takes."""
    members: Sequence[Type] = kind.members if isinstance(kind, Union) else (kind,)
    for each in members:
        if isinstance(each, Choice) and each.values:
            value = each.values[0]
            return f'"{value}"' if isinstance(value, str) else str(value).lower()
        if isinstance(each, Scalar):
            example = next((bound.example for bound in each.bounds if bound.example is not None), None)
            if example is not None:
                return json.dumps(example)
            return {"integer": "1", "number": "1", "boolean": "true"}.get(each.kind, '"..."')
        if isinstance(each, List):
            return f"{{ {_placeholder(each.item)} }}"
    return "{}"
