"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

import re

import pytest

from kosmolua.expressions import regex


def test_an_expression_is_one_of_re() -> None:
    """Its methods and its flags are those of the compiled pattern."""
    words = regex(r"[a-z]+")
    assert words.findall("one two") == ["one", "two"]
    assert words.pattern == "[a-z]+"
    assert regex(rb"(?i)A").fullmatch(b"a")
    assert regex("a", re.IGNORECASE).fullmatch("A")


def test_a_wrong_expression_is_told_at_its_first_use() -> None:
    """With what is wrong, as ``re`` says it."""
    wrong = regex("(")
    with pytest.raises(re.error, match="missing"):
        wrong.match("")
