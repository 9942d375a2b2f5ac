"""Characters that steer, hide or cannot be seen are shown by their codes."""

from __future__ import annotations

import json
import sys

import pytest

from kosmolua.escaping import exposed, harmless, shortened, visible

EVERYTHING = "".join(map(chr, range(sys.maxunicode + 1)))
ORDINARY = "größe 日本 [x] 🙂 é\n\ttext"


def test_what_is_ordinary_stays() -> None:
    """Letters of all scripts, line ends and tabs are what they were."""
    assert harmless(ORDINARY) == visible(ORDINARY) == ORDINARY


@pytest.mark.slow
def test_nothing_harmless_steers_a_terminal() -> None:
    """No control character and no mark of direction is left, and surrogates can be written."""
    left = harmless(EVERYTHING)
    assert not {*left} & {*"\x00\x07\x08\r\x1b\x7f\x9b\x9d\u061c\u200e\u202e\u2066"}
    assert left.encode()
    assert harmless("\x1b[2J\u202e") == r"\x1b[2J\u202e"


@pytest.mark.parametrize(
    "unseen", ["\u200b", "\u2060", "\ufeff", "\xad", "\xa0", "\u3000", "\u061c", "\u3164", "\u2800", "\ufe0f"]
)
def test_what_is_not_seen_is_spelled(unseen: str) -> None:
    """Marks without a width, blanks that are no space, and letters that are blank."""
    assert visible(f"a{unseen}b") == f"a\\u{ord(unseen):04x}b"


@pytest.mark.slow
def test_visible_json_is_the_same_json() -> None:
    """The codes are those of JSON, also beyond the first plane."""
    assert visible("\U000e0041") == r"\udb40\udc41"
    text = EVERYTHING.replace("\n", "").replace("\t", "")
    shown = visible(json.dumps(text, ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == json.loads(json.dumps(text))


def test_blanks_are_counted() -> None:
    """As many as could push something out of sight are a number; an indent stays."""
    assert exposed("a" + " " * 1300 + "b") == "a<1,300 blanks>b"
    assert exposed("a" + " " * 20 + "b") == "a" + " " * 20 + "b"


def test_both_ends_of_a_long_text_are_shown() -> None:
    """With how much is between them."""
    assert shortened("a" * 1200 + "bc", 2, 1) == "aa ... (1,199 more characters) ... c"
