"""From a path to what it means, and what is suggested where it means nothing."""

from __future__ import annotations

import json
import timeit
from pathlib import Path
from typing import Any

import pytest
from support.library import ACCOUNTS, library

from kosmolua import ConfigError, NotConfigured, PluginError, Runtime, UnknownPath
from kosmolua.accounts.accounts import Accounts
from kosmolua.accounts.toml import stanza
from kosmolua.catalog.catalog import Catalog
from kosmolua.catalog.plugins import PluginFolder, Plugins
from kosmolua.secret import Redactor


def catalog_of(*accounts: str, places: list[PluginFolder] | None = None, **more: Any) -> Catalog:
    """Return a catalog of the library with these accounts."""
    section = {"library": {name: {} for name in accounts} | more} if accounts else {}
    found = Accounts(section, Path("accounts.toml"), environ={}, redactor=Redactor())
    return Catalog([Plugins([library()], places=places or [], entry_points=dict)], found)


@pytest.mark.parametrize(
    ("path", "account"),
    [
        ("library.lend", "work"),
        ("library.default.lend", "work"),
        ("library.home.lend", "home"),
        ("library.lib_lend", "work"),
        ("library.home.lib_lend", "home"),
        ("integrations.library.lend", "work"),
        ("app.integrations.library.home.lib_lend", "home"),
    ],
)
def test_a_path_means_an_integration_an_account_and_a_function(path: str, account: str) -> None:
    """By short or full name, with or without an account, as Lua or the command line writes it."""
    target = catalog_of("work", "home", default="work").resolve(path)
    assert target.integration.name == "library"
    assert target.account == account
    assert target.function.name == "lend"
    assert target.path == "library.lend"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("library.lent", "app.integrations.library has no 'lent' (did you mean 'lend'?)"),
        ("library.work.lent", "app.integrations.library.work has no 'lent' (did you mean 'lend'?)"),
        ("library.wrok.lend", "app.integrations.library has no 'wrok' (did you mean 'work'?)"),
        ("library.zzz", "app.integrations.library has no 'zzz'"),
        (
            "library.work",
            "app.integrations.library.work is an account, not a function "
            "(add the name of a function, as in work.list_books)",
        ),
        ("librray.lend", "app.integrations has no 'librray' (did you mean 'library'?)"),
        ("library", "'library' names no function (write INTEGRATION.FUNCTION or INTEGRATION.ACCOUNT.FUNCTION)"),
        ("library.work.lend.x", "'library.work.lend.x' names no function"),
        ("", "'' names no function"),
        ("library..lend", "app.integrations.library has no ''"),
        ("library.__init__", "app.integrations.library has no '__init__'"),
    ],
)
def test_a_path_that_means_nothing(path: str, message: str) -> None:
    """The refusal names the branch that has no such name, and what was meant."""
    for find in (catalog_of("work").resolve, catalog_of("work").find):
        with pytest.raises(UnknownPath) as refused:
            find(path)
        assert refused.value.message.startswith(message)
        assert refused.value.code == "unknown_path"


def test_a_huge_path_is_cut() -> None:
    """A message stays short whatever a script writes."""
    for path in ("x" * 10_000, "library." + "y" * 10_000, "a." * 5000):
        with pytest.raises(UnknownPath) as refused:
            catalog_of("work").resolve(path)
        assert len(refused.value.message) < 400


def test_no_account() -> None:
    """The function is found, and the call refused with the stanza to add."""
    catalog = catalog_of()
    assert catalog.find("library.lend").name == "lend"
    with pytest.raises(NotConfigured) as refused:
        catalog.resolve("library.lend")
    assert refused.value.message == (
        "library has no account; add one to the accounts file, see 'kosmolua accounts example'. Nothing was sent."
    )
    assert refused.value.hint == stanza(library())


@pytest.mark.slow
def test_ten_thousand_accounts_are_described_as_soon_as_ten() -> None:
    """A run asks for an integration and for the account that it names, so neither may go through all accounts."""

    def seconds(accounts: int) -> float:
        catalog = catalog_of(*(f"a{number}" for number in range(accounts)), default="a7")
        assert catalog.describe("integrations.library.a9") == {"account": True}
        assert "default" in json.dumps(catalog.describe("integrations.library.*"))

        def ask() -> None:
            catalog.describe("integrations.library")
            catalog.describe("integrations.library.a9")

        return min(timeit.repeat(ask, number=5, repeat=20))

    assert seconds(10_000) < 20 * seconds(10)


def test_several_accounts_and_no_default() -> None:
    """The bare path is refused with the accounts there are; a named one works."""
    catalog = catalog_of("work", "home")
    assert catalog.resolve("library.home.lend").account == "home"
    for path in ("library.lend", "library.default.lend"):
        with pytest.raises(NotConfigured, match="library has several accounts and no default: home, work") as refused:
            catalog.resolve(path)
        assert 'set default = "home"' in refused.value.message


def test_what_the_child_is_told() -> None:
    """A branch of app is described by names only: no account is opened and no secret fetched."""
    catalog = catalog_of("work", "home", default="work")
    assert catalog.describe("integrations") == {"names": ["library"]}
    assert catalog.describe("integrations.library") == {
        "functions": ["fails", "lend", "list_books", "returns"],
        "accounts": ["default", "home", "work"],
    }


@pytest.mark.slow
def test_of_many_functions_a_script_is_told_those_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run gets some of the names; it asks for another when the script names it, and for all when it lists them."""
    monkeypatch.setattr("kosmolua.catalog.catalog.MAX_DESCRIBED", 2)
    described: Any = catalog_of("work").describe("integrations.library")
    assert described["functions"] == ["fails", "lend"]
    with Runtime(ACCOUNTS, plugins=[library()]) as runtime:
        source = """
            local library, names, what = app.integrations.library, {}, { what = "nothing" }
            assert(library.returns(what) == nil and library.work.returns(what) == nil)
            assert(library.lib_returns(what) == nil)
            for name, f in pairs(library) do names[#names + 1] = type(f) == "function" and name or nil end
            table.sort(names)
            return table.concat(names, " "), tostring(select(2, pcall(function() return library.retuns end)))
        """
        names, refusal = runtime.run(source).result
    assert names == "fails lend list_books returns"
    assert "did you mean 'returns'?" in refusal


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("mcp", "app has no 'mcp'"),
        ("integration", "app has no 'integration' (did you mean 'integrations'?)"),
        ("integrations.libary", "app.integrations has no 'libary' (did you mean 'library'?)"),
        ("integrations.library.lent", "app.integrations.library has no 'lent' (did you mean 'lend'?)"),
        ("integrations.library.work.lent", "app.integrations.library.work has no 'lent' (did you mean"),
    ],
)
def test_what_the_child_is_not_told(path: str, message: str) -> None:
    """A name that does not exist is an error with suggestions."""
    with pytest.raises(UnknownPath) as refused:
        catalog_of("work").describe(path)
    assert refused.value.message.startswith(message)


def test_permissions_and_patterns() -> None:
    """Accounts are listed with what they may do, all or those that are named."""
    catalog = catalog_of("work", home={"permissions": {"write": "deny", "list_*": "ask"}})
    rest: dict[str, dict[str, object]] = {
        "home": {"destroy": "deny", "functions": {"list_*": "ask"}},
        "work": {"destroy": "ask", "functions": {}},
    }
    assert catalog.permissions("library") == [
        {"integration": "library", "account": "home", "read": "allow", "write": "deny"} | rest["home"],
        {"integration": "library", "account": "work", "read": "allow", "write": "ask"} | rest["work"],
    ]
    both = [("library", "home"), ("library", "work")]
    assert catalog.matching([]) == catalog.matching(["library"]) == both
    assert catalog.matching(["library.work"]) == [("library", "work")]
    with pytest.raises(UnknownPath, match=r"library has no account 'wrok' \(did you mean 'work'\?\)"):
        catalog.matching(["library.wrok"])
    with pytest.raises(UnknownPath, match=r"app\.integrations has no 'nothing'"):
        catalog.matching(["nothing"])


def test_a_broken_integration_hides_no_other(tmp_path: Path) -> None:
    """Listing goes on beside an integration that cannot be loaded; naming it says why."""
    (tmp_path / "broken.py").write_text("raise OSError('gone')\n")
    catalog = catalog_of("work", places=[PluginFolder("user", tmp_path)])
    assert catalog.names() == ["broken", "library"]
    assert catalog.matching([]) == [("library", "work")]
    with pytest.raises(PluginError, match="gone"):
        catalog.matching(["broken"])


def test_an_account_named_like_a_function() -> None:
    """It would hide the function, so it is an error of the file wherever the integration is used."""
    catalog = catalog_of("lend")
    for use in (catalog.resolve, catalog.find, lambda _: catalog.describe("integrations.library")):
        with pytest.raises(ConfigError, match="an account cannot be named like a function"):
            use("library.list_books")
