"""What a script asks of the documentation: ``lua_list_docs``, ``lua_search_docs`` and ``lua_read_doc``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kosmolua.docs.library import Library
from kosmolua.errors import BadDocArguments


class Verb(NamedTuple):
    """One of the functions.

    Args:
        name: As Lua calls it.
        subject: What its first argument is.
        options: What the table after it may hold.
        example: A call that is right.
    """

    name: str
    subject: str
    options: tuple[str, ...]
    example: str


VERBS = {
    "list": Verb("lua_list_docs", "namespace", (), 'lua_list_docs("render2")'),
    "search": Verb("lua_search_docs", "query", ("limit",), 'lua_search_docs("failed deploys", { limit = 5 })'),
    "read": Verb("lua_read_doc", "page", ("detail", "budget"), 'lua_read_doc("render2", { detail = "brief" })'),
}

NAMES = {verb: told.name for verb, told in VERBS.items()}


def answer(library: Library, verb: str, given: Sequence[Any]) -> str:
    """Answer one of the three functions from what Lua passed: its subject and a table of options, or one table.

    Raises:
        BadDocArguments: The arguments are of another shape.
        DocNotFound: There is no such page.
    """
    if verb not in VERBS:
        raise BadDocArguments(f"The documentation cannot {verb[:80]!r}")
    subject, options = _read(VERBS[verb], given)
    if verb == "list":
        return library.list(subject)
    return library.search(subject, **options) if verb == "search" else library.read(subject, **options)


def _read(verb: Verb, given: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    """Return the subject and the options that were passed."""
    subject, options, *surplus = [None if each in ([], {}) else each for each in [*given, None, None]]
    if isinstance(subject, Mapping) and options is None:
        options = {name: value for name, value in subject.items() if name != verb.subject}
        subject = subject.get(verb.subject)
    fits = isinstance(subject, (str, type(None))) and isinstance(options, (Mapping, type(None)))
    if not fits or any(each is not None for each in surplus):
        raise BadDocArguments(f"{verb.name} takes a string, then a table of options", hint=f"such as {verb.example}")
    checked = _known(verb, options or {})
    if subject is None and verb.name != NAMES["list"]:
        raise BadDocArguments(f"{verb.name} needs a {verb.subject}, as a string", hint=f"such as {verb.example}")
    return subject, checked


def _known(verb: Verb, options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in verb.options:
            takes = ", ".join([verb.subject, *verb.options])
            raise BadDocArguments(f"{verb.name} has no option {name!r}", param=name, hint=f"it takes {takes}")
    return dict(options)
