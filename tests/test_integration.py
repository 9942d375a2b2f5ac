"""Integrations: their functions, the fields of their accounts, and which are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from support.books import Account, find, lend

from kosmolua import PluginError
from kosmolua.plugin import Integration
from kosmolua.schema.integration import AccountField
from kosmolua.schema.luacats import label


def fresh(name: str = "lib") -> Integration:
    return Integration(name, Account, about="Books.", prefix="book")


def test_functions_have_two_names() -> None:
    """The short name and the full one, with the prefix, mean the same function."""
    integration = fresh()
    assert integration.reads(lend) is lend
    integration.writes(find)
    assert integration.function("lend") is integration.function("book_lend") is integration.functions["lend"]
    assert integration.aliases == {"book_lend": "lend", "book_find": "find"}
    assert [function.effect for function in integration.functions.values()] == ["read", "write"]
    assert integration.function("book_") is integration.function("") is None


def test_the_name_is_the_prefix_where_none_is_given() -> None:
    """An empty prefix gives no full names, no prefix gives those with the name."""
    plain, bare = Integration("lib", Account, about=""), Integration("lib", Account, about="", prefix="")
    for integration in (plain, bare):
        integration.reads(lend)
    assert plain.aliases == {"lib_lend": "lend"}
    assert bare.aliases == {}
    assert bare.variable(bare.account_fields[0]) == "LIB_API_KEY"


def test_account_fields_are_read() -> None:
    """Each field of the account class is a key, with its sentence, its default, and whether it is a secret."""
    key, url, spare = fresh().account_fields
    assert key.name == "api_key"
    assert key.about == "From the settings."
    assert key.secret is True
    assert key.required is True
    assert url.secret is False
    assert url.default == "https://example.com"
    assert label(url.type) == "string"
    assert spare.secret is True
    assert spare.required is False
    assert isinstance(key, AccountField)
    assert fresh().variable(key) == "BOOK_API_KEY"


def test_what_is_made_for_each_account_is_a_default() -> None:
    """A list can have no other default; what the class fills itself is no key."""

    @dataclass(frozen=True)
    class Shop(Account):
        tags: list[str] = field(default_factory=lambda: ["new"])
        cache: dict[str, str] = field(init=False, default_factory=dict)

    *_, tags = Integration("lib", Shop, about="").account_fields
    assert tags.name == "tags"
    assert tags.required is False
    assert tags.default == ["new"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "Lib", "1lib", "my-lib", "lib.a", "läb", "lib\n", "_lib"])
def test_a_name_that_lua_cannot_write_is_refused(name: str) -> None:
    """The name has to be a plain Lua name in lower case; the refusal has the line of the declaration."""
    with pytest.raises(PluginError, match=r"an integration cannot be called .* \(use a-z, 0-9 and _") as refused:
        fresh(name)
    assert refused.value.origin.startswith(f"{__file__}:")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("app", "paths such as app.integrations.NAME begin with it"),
        ("integrations", "paths such as app.integrations.NAME begin with it"),
        ("end", "it is a word of Lua itself"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str, reason: str) -> None:
    """Scripts could not reach it, or not as they reach others."""
    with pytest.raises(PluginError) as refused:
        fresh(name)
    assert refused.value.message == f"an integration cannot be called {name!r} ({reason})"


def test_two_functions_of_one_name_are_refused() -> None:
    """Neither a second function, nor one that is named like the full name of another."""
    integration = fresh()
    integration.reads(lend)

    def book_lend(api: Any, /) -> dict:
        """Do."""
        return {}

    for handler in (lend, book_lend):
        with pytest.raises(PluginError, match=f"lib has two functions named {handler.__name__}") as refused:
            integration.writes(handler)
        assert refused.value.origin == f"{handler.__code__.co_filename}:{handler.__code__.co_firstlineno}"


class Plain:
    """Not a dataclass."""

    def open(self, send: Any) -> Any:
        return send


@dataclass
class Closed:
    """Has no open."""

    key: str


@dataclass
class Bare:
    """Has a field without a type."""

    key = "x"

    def open(self, send: Any) -> Any:
        return send


@dataclass
class Odd:
    """Has a field that TOML has no value for."""

    key: complex

    def open(self, send: Any) -> Any:
        return send


@pytest.mark.parametrize(
    ("account", "message"),
    [
        (Plain, "the account class Plain is not a dataclass (decorate it with @dataclass)"),
        (Closed, r"the account class Closed has no method open(self, send)"),
        (Bare, "the account field key of Bare has no type annotation"),
        (Odd, "account field key of Odd: values of type complex cannot be passed between Lua and Python"),
    ],
)
def test_an_account_class_that_says_too_little_is_refused(account: Any, message: str) -> None:
    """An account that could not be made from a file is refused with the line of the declaration."""
    with pytest.raises(PluginError) as refused:
        Integration("lib", account, about="")
    assert refused.value.message == message
    assert refused.value.origin.startswith(f"{__file__}:")
