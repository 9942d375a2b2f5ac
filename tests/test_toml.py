"""What to paste into accounts.toml: it is TOML, it is read without a change, and its values fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import pytest
import tomli

from kosmolua import Limits
from kosmolua.accounts.accounts import Accounts, read
from kosmolua.accounts.toml import example_file, stanza
from kosmolua.catalog.plugins import PluginFolder, Plugins, bundled_folder
from kosmolua.plugin import Integration, Secret, Send, between, matching, one_of
from kosmolua.secret import Redactor

KEY = "rnd_SECRET_of_the_stanza_test"
ODD = 'say "hi"\n\\ \x7f ü'


@dataclass(frozen=True)
class Account:
    """A key."""

    api_key: Annotated[Secret, "From the settings."]
    owner_id: Annotated[str | None, "The workspace."] = None
    pages: Annotated[int, "How many."] = 5
    strict: bool = False

    def open(self, send: Send) -> Send:
        return send


lib = Integration("lib", Account, about="Books.", prefix="book")


class Shelf(TypedDict):
    """Where a book stands."""

    room: str
    side: Literal["left", "right"]
    note: str | None


@dataclass(frozen=True)
class EveryAccount:
    """Each kind of field, required."""

    client_id: str
    base_url: str
    redirect_uri: str
    security: str
    region: Literal["eu", "us"]
    size: Annotated[str, one_of("small", "large")]
    team: Annotated[str, matching(r"tea-\w+", "tea-1")]
    port: Annotated[int, between(1024, 65535), "Where it\nlistens."]
    count: int
    rate: float
    strict: bool
    either: int | str
    tags: list[str]
    headers: dict[str, str]
    shelf: Shelf
    größe: int

    def open(self, send: Send) -> Send:
        return send


every = Integration("my_every", EveryAccount, about="Every\nkind.")


@dataclass(frozen=True)
class DefaultsAccount:
    """Each kind of field, optional."""

    quote: str = ODD
    empty: str = ""
    port: int | None = None
    region: Literal["eu", "us"] | None = None
    rate: float = 0.123456789
    whole: float = 5.0
    pair: list[str] = ("a", ODD)  # type: ignore[assignment]

    def open(self, send: Send) -> Send:
        return send


defaults = Integration("defaults", DefaultsAccount, about="Defaults.")

Make = Callable[..., Accounts]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes accounts of the text of a file."""

    def make(text: str) -> Accounts:
        path = tmp_path / "accounts.toml"
        path.write_text(text, encoding="utf-8")
        return read(path, usual=path, environ={"BOOK_API_KEY": KEY}, redactor=Redactor())

    return make


def uncommented(text: str) -> dict[str, Any]:
    """Return what a file says when its optional keys are live too."""
    lines = (line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    return tomli.loads("\n".join(lines))


def test_the_stanza_to_paste(make: Make) -> None:
    """Required keys are live, optional ones are comments with their default, and it is read without a change."""
    text = stanza(lib, "work")
    assert text == (
        "[lib.work]\n"
        'api_key = { env = "BOOK_API_KEY" }  # From the settings.\n'
        '# owner_id = "..."  # The workspace.\n'
        "# pages = 5  # How many.\n"
        "# strict = false"
    )
    assert make(text).settings(lib, "work")["api_key"].reveal() == KEY


def test_what_must_be_filled_in_has_a_value_that_fits(make: Make) -> None:
    """By the field's type, its choices and its bounds, so that the file is read before it is mended."""
    assert make(stanza(every, "work")).settings(every, "work") == {
        "client_id": "...",
        "base_url": "https://my-every.example",
        "redirect_uri": "https://my-every.example",
        "security": "...",
        "region": "eu",
        "size": "small",
        "team": "tea-1",
        "port": 1024,
        "count": 1,
        "rate": 1.0,
        "strict": False,
        "either": 1,
        "tags": [],
        "headers": {},
        "shelf": {"room": "...", "side": "left", "note": None},
        "größe": 1,
    }


def test_defaults_are_spelt_as_toml() -> None:
    """Whatever a string holds, and to the last digit."""
    assert uncommented(stanza(defaults))["defaults"]["default"] == {
        "quote": ODD,
        "empty": "",
        "port": 1,
        "region": "eu",
        "rate": 0.123456789,
        "whole": 5,
        "pair": ["a", ODD],
    }


def test_an_account_with_any_name(make: Make) -> None:
    """The head of the stanza is quoted where TOML wants it."""
    assert make(stanza(lib, 'work of "ann"')).names(lib) == ['work of "ann"']


def test_the_example_file_is_read(make: Make) -> None:
    """The whole example has every integration and every limit, whose comment marks can be taken away."""
    text = example_file([lib, every, defaults])
    assert make(text).names(lib) == ["default"]
    limits = text[text.index("# [kosmolua.limits]") :].replace("# ", "")
    assert "timeout = 120\n" in limits
    assert make(limits).sections.limits(Limits(timeout=1, memory=1, max_calls=1)) == Limits()


def test_the_example_in_the_repository_is_up_to_date() -> None:
    """accounts.example.toml is what ``kosmolua accounts example`` prints for the bundled integrations."""
    bundled = Plugins(places=[PluginFolder("bundled", bundled_folder())], entry_points=dict)
    example = Path(__file__).parent.parent / "accounts.example.toml"
    generated = example_file(bundled.load(name).integration for name in bundled.names())
    assert example.read_text(encoding="utf-8") == generated, "run: kosmolua accounts example > accounts.example.toml"
