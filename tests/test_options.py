"""The shared options: declared once, and read alike by click and by the quick reader of a plain command line."""

from __future__ import annotations

from typing import Any

import click
import pytest

from kosmolua.cli.options import OPTIONS, Option, Options, read_plainly
from kosmolua.cli.parsing import running_options

TEXTS = {"FILE": "some.file", "PATH": "some/path", "S": "90s", "SIZE": "64K", "N": "7", "PATTERN": "render2.*"}


@click.command("reader")
@running_options
def reader(options: Options) -> Options:
    """Return the shared options that click has read."""
    return options


def words_for(option: Option[Any]) -> list[str]:
    """Return a command line with an option, twice if it can be repeated."""
    words = [option.names[0], *([TEXTS[option.metavar]] if option.metavar else [])]
    return words * 2 if option.is_repeatable else words


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.attribute)
def test_click_and_the_quick_reader_agree(option: Option[Any]) -> None:
    """Whether a command line is plain or not, an option means the same."""
    plain = read_plainly(["script.lua", *words_for(option)])
    assert plain
    script, options = plain
    assert (script.file, script.arguments) == ("script.lua", ())
    assert list(vars(options)) == [option.attribute]
    by_click = reader.main(words_for(option), standalone_mode=False)
    assert vars(by_click)[option.attribute] == vars(options)[option.attribute]


@pytest.mark.parametrize(
    "words",
    [
        ["script.lua", "--timeout"],
        ["script.lua", "--timeout=5"],
        ["script.lua", "--timeout", "soon"],
        ["script.lua", "--timeout", "--json"],
        ["script.lua", "--time", "5"],
        ["script.lua", "--", "-x"],
        ["-e", "return 1", "-e", "return 2"],
        ["-x", "script.lua"],
        [],
    ],
    ids=" ".join,
)
def test_what_is_not_plain_is_left_to_click(words: list[str]) -> None:
    """The quick reader refuses nothing itself: click has the words for that."""
    assert read_plainly(words) is None


def test_an_option_given_later_goes_before_one_given_earlier() -> None:
    """``kosmolua accounts --accounts a check --accounts b`` reads b, and has the other options of both places."""
    earlier, later = Options(accounts="a", simulate=True), Options(accounts="b", simulate=False)
    merged = later.over(earlier)
    assert (merged.accounts, merged.simulate, merged.plugin) == ("b", True, ())
