"""What a script asks of the documentation: ``lua_list_docs``, ``lua_search_docs`` and ``lua_read_doc``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kosmolua.docs.library import Library
from kosmolua.errors import BadArguments

NAMES = {"list": "lua_list_docs", "search": "lua_search_docs", "read": "lua_read_doc"}


def answer(library: Library, verb: str, given: Sequence[Any]) -> str:
    """Answer one of the three functions from what Lua passed.

    Raises:
        BadArguments: The arguments are of another shape.
        DocNotFound: There is no such page.
    """
    first = given[0] if given else None
    options = given[1] if len(given) > 1 and given[1] else {}
    name = NAMES.get(verb)
    if name is None or not isinstance(options, dict) or not isinstance(first, (str, type(None))):
        raise BadArguments(f"{name or verb} takes a string, then a table of options")
    if verb == "list":
        return library.list(first)
    if first is None:
        raise BadArguments(f"{name} needs a {'query' if verb == 'search' else 'page'}, as a string")
    if verb == "search":
        return library.search(first, **_options(name, options, {"limit": int}))
    return library.read(first, **_options(name, options, {"detail": str, "budget": int}))


def _options(name: str, options: Mapping[str, Any], known: Mapping[str, type]) -> dict[str, Any]:
    for key, value in options.items():
        if key not in known:
            raise BadArguments(f"{name} has no option {key!r}", param=key, hint=f"its options are {', '.join(known)}")
        if not isinstance(value, known[key]):
            raise BadArguments(f"{name}: {key} must be of type {known[key].__name__}", param=key)
    return dict(options)
