"""Outlines: what a plugin offers, read from its source without running it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.catalogs import FolderCatalog, MemoryCatalog, books, load, write_plugin

from kosmolua.docs import outline, signatures
from kosmolua.docs.outline import Outline, Outlines
from kosmolua.errors import PluginError

BUNDLED = Path(__file__).parent.parent / "integrations"

SOURCE = '''
integration = Integration(
    "shop",
    Account,
    about="Sells "
    "things.",
    prefix="s",
    words={"purchase": "buy"},
)


@integration.reads
def list_things(
    api,
    /,
    *,
    colour: Annotated[str, "Which ``hue``."] = "red",
):
    """List things.

    Those that are sold out too.
    """


@integration.writes
def buy(api, /):
    """Buy one."""
'''


def test_names_effects_and_sentences_are_read_from_the_source() -> None:
    """Everything that a list or a search shows, the full names with their prefix included."""
    found = outline.read("shop", [SOURCE])

    assert found is not None
    assert found.about == "Sells things."
    assert found.counts == "2 functions: 1 read, 1 write"
    assert found.words == {"purchase": "buy"}
    assert {name: (sketch.full_name, sketch.effect, sketch.summary) for name, sketch in found.functions.items()} == {
        "list_things": ("s_list_things", "read", "List things."),
        "buy": ("s_buy", "write", "Buy one."),
    }
    words = found.functions["list_things"].words
    assert "sold out" in words
    assert "Which `hue`." in words
    assert found.functions["list_things"].parameters == "colour"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"shop"', '"other"'),
        ('about="Sells "\n    "things."', "about=ABOUT"),
        ("integration = Integration(", "integration = make("),
        ("@integration.writes\n", "@integration.writes\n@cached\n"),
        ('"""Buy one."""', '"Buy one."'),
        ("def buy(", "def list_things("),
        ("\n@integration.writes\ndef buy", "\nfor name in NAMES:\n    integration.writes(make(name))\n\ndef buy"),
        ("    prefix=", "    prefix=PREFIX or "),
        ('words={"purchase"', "words={PURCHASE"),
    ],
)
def test_a_source_that_does_not_say_everything_has_no_outline(old: str, new: str) -> None:
    """Where reading could be wrong, nothing is guessed: the plugin is loaded instead."""
    assert old in SOURCE
    assert outline.read("shop", [SOURCE.replace(old, new)]) is None


def test_functions_may_be_spread_over_files() -> None:
    """A package's functions are read from all of its files."""
    head, _, tail = SOURCE.partition("@integration.writes")

    found = outline.read("shop", [head, "from .a import integration\n\n\n@integration.writes" + tail])

    assert found is not None
    assert list(found.functions) == ["list_things", "buy"]


def test_an_integration_without_sources_is_loaded() -> None:
    """An entry point whose source is out of reach is outlined by its signatures."""
    catalog = MemoryCatalog({"books": books()})

    found = Outlines(catalog).of("books")

    assert catalog.loaded == ["books"]
    assert found.counts == "3 functions: 2 read, 1 write"
    assert found.functions["lend_book"].full_name == "lib_lend_book"


def test_a_source_is_read_once_and_not_run(tmp_path: Path) -> None:
    """Asking twice reads once, and loads nothing."""
    write_plugin(tmp_path, "made")
    catalog = FolderCatalog(tmp_path)
    outlines = Outlines(catalog)

    assert outlines.of("made") is outlines.of("made")
    assert catalog.loaded == []


def test_what_cannot_be_loaded_says_why() -> None:
    """A plugin whose source does not help and that cannot be loaded raises its own error."""
    with pytest.raises(PluginError, match="no luck"):
        Outlines(MemoryCatalog({"a": PluginError("no luck", origin="a.py")})).of("a")


@pytest.mark.parametrize(
    "folder", sorted(path for path in BUNDLED.glob("*") if path.is_dir()), ids=lambda path: path.name
)
def test_signatures_are_read_from_the_source_as_they_load(folder: Path) -> None:
    """Parameters, whether each may be left out, and the keys of results, also of inherited ones."""
    from kosmolua.catalog.plugins import PluginFolder, Plugins

    plugins = Plugins(places=[PluginFolder("bundled", BUNDLED)], entry_points=dict)
    sources = plugins.sources(folder.name)

    for function in plugins.load(folder.name).integration.functions.own.values():
        assert signatures.in_source(sources, function.name) == signatures.named(function)


def test_functions_are_found_by_either_name() -> None:
    """The short name and the full name lead to the same function."""
    found = outline.outline_of(books())

    assert found.find("lend_book") == found.find("lib_lend_book") == "lend_book"
    assert found.find("lend") is None


def test_the_made_up_plugin_reads_as_it_loads(tmp_path: Path) -> None:
    """What is read from a source is what its signatures say."""
    file = write_plugin(tmp_path, "made")

    assert shape(outline.read("made", [file.read_text()])) == shape(outline.outline_of(load(file)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder", sorted(path for path in BUNDLED.glob("*") if path.is_dir()), ids=lambda path: path.name
)
def test_bundled_integrations_read_as_they_load(folder: Path) -> None:
    """The list and the search show what is there: names, effects, sentences and counts agree with the signatures."""
    from kosmolua.catalog.plugins import PluginFolder, Plugins

    plugins = Plugins(places=[PluginFolder("bundled", BUNDLED)], entry_points=dict)

    read = outline.read(folder.name, plugins.sources(folder.name))

    assert read is not None
    loaded = outline.outline_of(plugins.load(folder.name).integration)
    own = {name: sketch for name, sketch in loaded.functions.items() if not sketch.section}
    assert shape(read) == shape(replace(loaded, functions=own))


def shape(found: Outline | None) -> object:
    assert found is not None
    return found.about, sorted((name, *sketch[:3]) for name, sketch in found.functions.items())
