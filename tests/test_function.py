"""Functions: what a signature and a docstring say, and which handlers are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from conftest import ROOT
from support import books
from support.books import HOURS, LEND, Account, lend

from kosmolua import PluginError
from kosmolua.plugin import Integration, between
from kosmolua.schema.arguments import REQUIRED
from kosmolua.schema.effects import Effect, changes, is_final, milder
from kosmolua.schema.function import read_function

PACKAGE = ROOT / "kosmolua"


def test_a_function_says_what_its_signature_says() -> None:
    """Name, parameters, sentences, defaults, docstring and line come from the handler alone."""
    book, days, tags = LEND.parameters
    assert LEND.name == "lend"
    assert LEND.full_name == "lib_lend"
    assert LEND.effect == "read"
    assert book.name == "book"
    assert book.about == "Which book."
    assert book.required is True
    assert book.default == REQUIRED
    assert days.about == "For how long."
    assert days.default == 14
    assert days.required is False
    assert tags.type.lua == "string[]"
    assert tags.default is None
    assert LEND.summary == "Lend a book."
    assert LEND.doc.endswith("It has to be there.")
    assert LEND.signature == "lend({ book, days?, tags? })"
    assert HOURS.signature == "hours()"
    assert LEND.origin == f"{books.__file__}:{lend.__code__.co_firstlineno}"


def no_docstring(api: Any, /) -> None:
    return


def not_annotated(api: Any, /, *, limit=3) -> None:
    """Do."""


def not_carried(api: Any, /, *, data: bytes) -> None:
    """Do."""


def not_bound(api: Any, /, *, when: Annotated[str, between(1, 5)] = "x") -> None:
    """Do."""


def not_a_list(api: Any, /, *, pair: tuple[int, str]) -> None:
    """Do."""


def repeat(api: Any, /) -> None:
    """Do."""


def default(api: Any, /) -> None:
    """Do."""


def größe(api: Any, /) -> None:
    """Do."""


def not_returned(api: Any, /) -> set[str]:
    """Do."""
    return set()


def no_default(api: Any, /, *, limit: int | None) -> None:
    """Do."""


def no_slash(api: Any, *, limit: int = 1) -> None:
    """Do."""


def no_star(api: Any, /, limit: int = 1) -> None:
    """Do."""


def all_keywords(api: Any, /, **rest: Any) -> None:
    """Do."""


def nothing_at_all() -> None:
    """Do."""


def not_known(api: Any, /, *, thing: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do."""


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (no_docstring, "no_docstring has no docstring (say in one sentence what it does)"),
        (not_annotated, "parameter limit of not_annotated has no annotation"),
        (
            not_carried,
            "data of not_carried: values of type bytes cannot be passed between Lua and Python "
            "(write str, and pass the bytes as base64)",
        ),
        (not_bound, "when of not_bound: a string cannot be in 1..5 (only a number can)"),
        (
            not_a_list,
            "pair of not_a_list: a tuple of a fixed length cannot be passed between Lua and Python "
            "(write list[T] or a TypedDict)",
        ),
        (not_returned, "the result of not_returned: values of type set cannot be passed between Lua and Python"),
        (repeat, "a function cannot be called 'repeat' (it is a word of Lua itself)"),
        (default, "a function cannot be called 'default' (it stands for the default account)"),
        (größe, "a function cannot be called 'größe' (use A-Z, a-z, 0-9 and _, a letter first)"),
        (no_default, "parameter limit of no_default allows None but has no default (add = None)"),
        (no_slash, "no_slash must take the opened account before /, then the script's arguments after *"),
        (no_star, "no_star must take the opened account before /, then the script's arguments after *"),
        (all_keywords, "all_keywords must take the opened account before /, then the script's arguments after *"),
        (nothing_at_all, "nothing_at_all must take the opened account before /, then the script's arguments after *"),
        (not_known, "an annotation of not_known cannot be evaluated: name 'Missing' is not defined"),
    ],
)
def test_a_handler_that_says_too_little_is_refused(handler: Callable[..., Any], message: str) -> None:
    """A handler that Lua could not call, or nobody could read about, is refused with its file and line."""
    with pytest.raises(PluginError) as refused:
        read_function(handler, "read", "")
    assert refused.value.message.startswith(message)
    assert refused.value.origin == f"{__file__}:{handler.__code__.co_firstlineno}"


def test_an_async_function_is_refused_when_it_is_registered() -> None:
    """A coroutine function cannot answer a call; that is said at load."""
    integration = Integration("late", Account, about="Late.")

    async def wait(_: object, /) -> dict:
        """Wait."""
        return {}

    with pytest.raises(PluginError, match="wait is async"):
        integration.reads(wait)


def test_a_default_that_does_not_fit_is_refused_when_it_is_registered() -> None:
    """A default outside of its own parameter's type is a mistake of the plugin, said at load."""
    integration = Integration("wrong", Account, about="Wrong.")

    def page(_: object, /, *, limit: Annotated[int, between(1, 100)] = 0) -> dict:
        """Page."""
        return {}

    with pytest.raises(PluginError, match=r"the default of parameter limit of page must be an integer in 1\.\.100"):
        integration.reads(page)


def test_only_who_declares_an_effect_names_the_gravest_one() -> None:
    """All others ask for its traits, so that an effect between write and destroy needs no change of them."""
    naming = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if '"destroy"' in path.read_text(encoding="utf-8")
    }

    assert naming == {
        "schema/effects.py",
        "schema/integration.py",
        "authoring/lint_functions.py",  # by the name of a function
        "mcp_client/tools.py",  # by the hints of a server
        "openapi/compiling.py",  # by the HTTP method
        "openapi/effects.py",  # by the name of an operation
        "recordings/outlines.py",  # what a plan does, beside to create and to change
        "cli/terminal.py",  # its colour
    }


@pytest.mark.parametrize(
    ("effect", "is_change", "cannot_be_undone", "milder_ones"),
    [("read", False, False, ()), ("write", True, False, ()), ("destroy", True, True, ("write",))],
)
def test_an_effect_has_traits(
    effect: Effect, is_change: bool, cannot_be_undone: bool, milder_ones: tuple[str, ...]
) -> None:
    """Whether it changes something, whether that lasts, and which others change less."""
    assert changes(effect) is is_change
    assert is_final(effect) is cannot_be_undone
    assert milder(effect) == milder_ones


def test_no_effect_changes_nothing() -> None:
    """As in the journal's line of a call that named no function."""
    assert not changes(None)
