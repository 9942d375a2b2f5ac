"""Stubs: the definitions that editors read are complete, well formed and refer to nothing that is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
from lupa import lua54
from support.catalogs import Account, MemoryCatalog, books, library_catalog

from kosmolua.authoring.stubs import SETTINGS, write_stubs
from kosmolua.errors import ConfigError
from kosmolua.plugin import Integration, between, matching
from kosmolua.sandbox.vm import read_prelude
from kosmolua.schema import luacats
from kosmolua.schema.function import Function
from kosmolua.schema.types import STRING

BUILTIN = {"any", "boolean", "false", "fun", "integer", "nil", "number", "string", "table", "userdata"}
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|[A-Za-z_][\w.]*|\[\]|[()<>|,:?]|(?P<end>\s)|.',
)


class LuaType:
    """A reader of one LuaCATS type at the beginning of a text: which names it uses, and what follows it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.names: list[str] = []
        self._union()
        self.rest = text[self._at :].strip()

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        return found[0] if found else ""

    def _take(self, *expected: str) -> str:
        token = self._peek()
        assert not expected or token in expected, f"{expected} expected at {self._at} of {self._text!r}"
        self._at += len(token)
        return token

    def _space(self) -> None:
        while self._peek() == " ":
            self._at += 1

    def _union(self) -> None:
        self._postfixed()
        while self._peek() == "|":
            self._take()
            self._postfixed()

    def _postfixed(self) -> None:
        token = self._take()
        if token == "(":
            self._union()
            self._take(")")
        elif token == "fun":
            self._function()
        else:
            assert token[0] == '"' or re.fullmatch(r"[A-Za-z_][\w.]*", token), f"a type expected in {self._text!r}"
            if token[0] != '"':
                self.names.append(token)
            if self._peek() == "<":
                self._list("<", ">")
        while self._peek() in ("[]", "?"):
            self._take()

    def _list(self, opening: str, closing: str) -> None:
        self._take(opening)
        while self._peek() != closing:
            self._union()
            self._space()
            if self._peek() == ",":
                self._take()
                self._space()
        self._take(closing)

    def _function(self) -> None:
        self._take("(")
        while self._peek() != ")":
            name = self._take()
            assert re.fullmatch(r"[A-Za-z_]\w*", name), f"a parameter expected in {self._text!r}"
            if self._peek() == "?":
                self._take()
            self._take(":")
            self._space()
            self._union()
            if self._peek() == ",":
                self._take()
                self._space()
        self._take(")")
        if self._peek() == ":":
            self._take()
            self._space()
            self._union()


def annotations(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if found := re.match(r"---@(\w+) ?(.*)", line):
            yield found[1], found[2]
        elif found := re.match(r"---\| (.*)", line):
            yield "choice", found[1]


def declared_and_used(texts: list[str]) -> tuple[list[str], set[str]]:
    """Return the types that texts declare, in order, and those that they use; a malformed annotation fails.

    A class that another text reopens is declared once, as language servers have it.
    """
    declared: list[str] = []
    used: set[str] = set()
    for text in texts:
        generics: set[str] = set()
        elsewhere = set(declared)
        for tag, rest in annotations(text):
            if tag == "class":
                name, _, parents = rest.partition(":")
                declared += {name.strip()} - elsewhere
                used |= {parent.strip() for parent in parents.split(",") if parent.strip()}
            elif tag == "alias":
                assert re.fullmatch(r"[\w.]+", rest)
                declared.append(rest)
            elif tag == "generic":
                generics = {name.strip() for name in rest.split(",")}
            elif tag in ("field", "param"):
                found = re.match(r"(?:[A-Za-z_]\w*\??|\.{3}|\[\"[^\"]+\"\]\??) (.*)", rest)
                assert found, f"malformed: {tag} {rest}"
                used |= set(LuaType(found[1]).names) - generics
            elif tag in ("return", "overload", "choice", "type"):
                used |= set(LuaType(rest).names) - generics
            else:
                assert tag == "meta", f"unknown annotation {tag}"
    return declared, used


def members(text: str) -> Iterator[str]:
    """Yield each field and function that a text gives to a class, after the name of the class."""
    for line in text.splitlines():
        if found := re.match(r"---@class ([\w.]+)", line):
            owner = found[1]
        elif found := re.match(r"---@field (\S+)|(?:function )?account\.(\w+)", line):
            yield f"{owner}.{found[1] or found[2]}"


def texts_of(paths: list[Path]) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in paths if path.suffix == ".lua"]


def render2_catalog() -> Any:
    from kosmolua.accounts.accounts import Accounts
    from kosmolua.catalog.catalog import Catalog
    from kosmolua.catalog.plugins import PluginFolder, Plugins, bundled_folder
    from kosmolua.secret import Redactor

    plugins = Plugins(places=[PluginFolder("bundled", bundled_folder())], entry_points=dict)
    return Catalog([plugins], Accounts({}, Path("a.toml"), environ={}, redactor=Redactor(), simulate=True))


class FolderCatalog(TypedDict):
    name: str
    level: Annotated[int, "How deep it is.", between(1, 9)]
    marks: list[Annotated[str, matching("[a-z]+", "abc")]]
    folders: list[FolderCatalog]


def awkward() -> Integration:
    """Return an integration whose parameters are words of Lua, and that has a type that contains itself."""
    integration = Integration("awkward", Account, about="Words of Lua.", prefix="")

    @integration.reads
    def words(api: Any, /, *, local: str, nil: Literal["a", "b"] = "a", repeat: dict | None = None) -> list[str]:
        """Take words."""
        return []

    @integration.reads
    def folder(api: Any, /) -> FolderCatalog:
        """Get a folder with those inside it."""
        return {"name": "", "level": 1, "marks": [], "folders": []}

    @integration.writes
    def anything(api: Any, /, *, table: dict[str, list[int | None]], last: int) -> Any:
        """Do anything.

        On several lines.
        """
        return None

    return integration


SOURCES = {
    "books": library_catalog,
    "awkward": lambda: MemoryCatalog({"awkward": awkward()}),
    "bundled": render2_catalog,
}


@pytest.fixture(scope="module", params=SOURCES)
def texts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The stubs of a catalog."""
    return texts_of(write_stubs(SOURCES[request.param](), tmp_path_factory.mktemp("stubs")))


@pytest.mark.slow
def test_every_type_that_is_named_is_declared(texts: list[str]) -> None:
    """Each annotation parses, no name or member is declared twice, each that is used is declared or Lua's own."""
    declared, used = declared_and_used(texts)
    had = [member for text in texts for member in members(text)]

    assert sorted(declared) == sorted(set(declared))
    assert sorted(had) == sorted(set(had))
    assert used - set(declared) <= BUILTIN


@pytest.mark.slow
def test_stubs_are_lua(texts: list[str]) -> None:
    """Each file compiles."""
    lua = lua54.LuaRuntime()
    for text in texts:
        lua.compile(text)


def definition(tmp_path: Path, name: str, catalog: MemoryCatalog) -> str:
    write_stubs(catalog, tmp_path)
    return (tmp_path / "kosmolua" / "integrations" / f"{name}.lua").read_text(encoding="utf-8")


def test_an_integration_has_a_field_for_each_account(tmp_path: Path) -> None:
    """The default one always, named ones as the accounts file has them, odd names in brackets."""
    catalog = library_catalog()
    catalog.known_accounts["books"] = ["downtown", "up-town", "default"]

    text = definition(tmp_path, "books", catalog)

    assert text.rstrip().endswith(
        "---Books of a library.\n"
        "---@class app.integrations.books: app.integrations.books.account\n"
        "---@field default app.integrations.books.account\n"
        "---@field downtown app.integrations.books.account\n"
        '---@field ["up-town"] app.integrations.books.account'
    )


def test_functions_are_declared_with_arguments_result_and_alias(tmp_path: Path) -> None:
    """The argument table is a class, choices are an alias, plain values in order an overload."""
    text = definition(tmp_path, "books", library_catalog())

    assert '---@alias app.integrations.books.list_books.sort\n---| "title"\n---| "year"' in text
    assert "---@param args? app.integrations.books.list_books.args\n---@return app.integrations.books.BookPage" in text
    assert "---@param args app.integrations.books.lend_book.args" in text
    assert "---@field reader? string" in text
    assert "---@overload fun(book_id: string, reader?: string, card?: string): table<string, any>" in text
    assert "account.lib_lend_book = account.lend_book" in text
    assert "function account.opening_hours() end" in text


def test_calls_with_extra_and_for_a_whole_reply_are_declared(tmp_path: Path) -> None:
    """Functions of Python beside a document take ``extra``; a call with ``reply = "full"`` has another result."""
    kind = "app.integrations.books.shelf.args"
    curated = Function("shelf", "shelf", "read", print, (), "Return it.", None, "", extra=lambda path, given: given)
    written = "\n".join([*luacats.argument_types([curated], "app.integrations.books")])
    assert f"---@class {kind}\n---@field extra? table<string, any>" in written
    stub = luacats.function_stub(curated, "app.integrations.books", "account")
    assert f"---@param args? {kind}" in stub
    assert "function account.shelf(args) end" in stub

    document = replace(curated, extra=None, reply="reply", returns=STRING)
    written = "\n".join([*luacats.argument_types([document], "app.integrations.books")])
    assert f'---@class {kind}.full: {kind}\n---@field reply "full"' in written
    stub = luacats.function_stub(document, "app.integrations.books", "account")
    fields = "---@field status integer\n---@field headers table<string, string>\n---@field body string"
    assert f"---@class {kind}.full.reply\n{fields}" in written
    assert f"---@overload fun(args: {kind}.full): {kind}.full.reply" in stub


def test_names_that_are_words_of_lua_are_quoted(tmp_path: Path) -> None:
    """A parameter called local does not break the file."""
    text = definition(tmp_path, "awkward", MemoryCatalog({"awkward": awkward()}))

    assert '---@field ["local"] string' in text
    assert "fun(local_: string, nil_?: app.integrations.awkward.words.nil)" in text


def test_a_type_that_contains_itself_is_declared_once_with_its_bounds(tmp_path: Path) -> None:
    """It refers to itself by name; bounds stand behind what the key's sentence says, those of items too."""
    text = definition(tmp_path, "awkward", MemoryCatalog({"awkward": awkward()}))

    assert text.count("---@class app.integrations.awkward.FolderCatalog\n") == 1
    assert "---@field level integer How deep it is (in 1..9).\n" in text
    assert "---@field marks string[] Each like 'abc'.\n" in text
    assert "---@field folders app.integrations.awkward.FolderCatalog[]" in text


def test_a_required_argument_behind_a_table_forbids_plain_values(tmp_path: Path) -> None:
    """An overload stands only where the function can be called that way."""
    text = definition(tmp_path, "awkward", MemoryCatalog({"awkward": awkward()}))

    assert "@overload" not in text.partition("---Do anything.")[2]


def test_a_broken_integration_is_a_class_that_says_why(tmp_path: Path) -> None:
    """The others are written all the same."""
    text = definition(tmp_path, "broken", library_catalog())

    reason = "Cannot be loaded: the file is not valid Python: invalid syntax"
    assert text == f"---@meta\n\n---{reason}\n---@class app.integrations.broken\n"


def test_the_files_written_are_returned(tmp_path: Path) -> None:
    """The settings, the globals, the list and a file an integration."""
    paths = write_stubs(MemoryCatalog({"books": books()}), tmp_path / "new" / "folder")

    assert sorted(str(path.relative_to(tmp_path / "new" / "folder")) for path in paths) == [
        ".luarc.json",
        "kosmolua/globals.lua",
        "kosmolua/integrations.lua",
        "kosmolua/integrations/books.lua",
    ]
    assert all(path.is_file() for path in paths)


def test_the_settings_know_the_version_and_the_folder(tmp_path: Path) -> None:
    """An editor finds the definitions, and Lua 5.4 without io."""
    write_stubs(MemoryCatalog({}), tmp_path)

    settings = json.loads((tmp_path / ".luarc.json").read_text())
    assert settings["runtime.version"] == "Lua 5.4"
    assert settings["runtime.builtin"]["io"] == "disable"
    assert settings["workspace.library"] == ["kosmolua"]


def test_settings_that_were_there_are_kept(tmp_path: Path) -> None:
    """Only our own keys are set."""
    (tmp_path / ".luarc.json").write_text('{"diagnostics.disable": ["lowercase-global"], "runtime.version": "LuaJIT"}')

    write_stubs(MemoryCatalog({}), tmp_path)

    settings = json.loads((tmp_path / ".luarc.json").read_text())
    assert settings["diagnostics.disable"] == ["lowercase-global"]
    assert settings["runtime.version"] == "Lua 5.4"


@pytest.mark.parametrize("text", ["// a comment\n{}", "[]"])
def test_settings_that_are_not_plain_json_are_left_alone(tmp_path: Path, text: str) -> None:
    """Nothing is written over what cannot be merged; the definitions are there, and the user is told what to add."""
    (tmp_path / ".luarc.json").write_text(text)

    with pytest.raises(ConfigError, match=r"\.luarc\.json is unchanged") as refused:
        write_stubs(library_catalog(), tmp_path)

    assert json.loads(refused.value.hint or "") == SETTINGS
    assert (tmp_path / ".luarc.json").read_text() == text
    assert (tmp_path / "kosmolua" / "integrations.lua").is_file()


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A folder in their place is no fault of standard output."""
    (tmp_path / ".luarc.json").mkdir()
    with pytest.raises(ConfigError, match=r"\.luarc\.json cannot be read: Is a directory$"):
        write_stubs(library_catalog(), tmp_path)


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """A file in the way is reported, not raised as it is."""
    (tmp_path / "kosmolua").write_text("a file")

    with pytest.raises(ConfigError, match=r"globals\.lua cannot be written: File exists"):
        write_stubs(library_catalog(), tmp_path)


def test_the_globals_are_those_that_scripts_have(tmp_path: Path) -> None:
    """Every name that the definitions give is there in a script, and every function of our libraries is defined."""
    from kosmolua import Runtime

    write_stubs(MemoryCatalog({}), tmp_path)
    text = (tmp_path / "kosmolua" / "globals.lua").read_text(encoding="utf-8")
    defined = set(re.findall(r"^function ([\w.]+)\(", text, re.MULTILINE))

    with Runtime(simulate=True, environ={}) as runtime:
        outcome = runtime.run("""
            local found = {}
            for _, name in ipairs({ "json", "regex", "parallel", "time", "base64", "hash", "url", "csv" }) do
              for key, value in pairs(_G[name]) do
                if type(value) == "function" then found[#found + 1] = name .. "." .. key end
              end
            end
            for key, value in pairs(_G) do
              local is_own = key:find("^lua_") or (" dump write sleep wait_until exit "):find(" " .. key .. " ")
              if type(value) == "function" and is_own then found[#found + 1] = key end
            end
            return found
        """)

    assert outcome.error is None
    assert set(outcome.result[0]) == defined


DEFINED = re.compile(r"^function (?:env\.)?([\w.]+)\(([^)]*)\)", re.MULTILINE)


def test_the_globals_have_the_parameters_of_the_sandbox(tmp_path: Path) -> None:
    """A function that the sandbox's own Lua defines by its name has the same parameters, with the same names, here."""
    write_stubs(MemoryCatalog({}), tmp_path)
    declared = dict(DEFINED.findall((tmp_path / "kosmolua" / "globals.lua").read_text(encoding="utf-8")))
    defined: dict[str, str] = {}
    for name in ("json", "regex", "parallel", "clocks", "time", "codecs", "csv", "env"):
        defined |= DEFINED.findall(read_prelude(name).decode())
    both = declared.keys() & defined.keys()
    assert {"json.decode", "regex.gsub", "parallel.map", "base64.encode", "csv.parse"} <= both
    assert {name: declared[name] for name in both} == {name: defined[name] for name in both}
