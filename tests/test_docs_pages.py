"""Pages in four degrees of detail, and budgets."""

from __future__ import annotations

import pytest

from kosmolua.docs.pages import DETAILS, MIN_BUDGET, Page


class Poem(Page):
    """A page whose forms have the lengths that a test wants."""

    def __init__(self, full: int, types: int, signatures: int, lines: int) -> None:
        self._lengths = {"full": full, "types": types, "signatures": signatures}
        self._lines = lines

    @property
    def name(self) -> str:
        return "integrations.poem"

    @property
    def smaller(self) -> str:
        return "integrations.poem.FUNCTION"

    def full(self) -> str:
        return "f" * self._lengths["full"]

    def types(self) -> str:
        return "t" * self._lengths["types"]

    def signatures(self) -> str:
        return "s" * self._lengths["signatures"]

    def brief(self) -> str:
        return "\n".join(f"line {number}" for number in range(self._lines))


POEM = Poem(9000, 6000, 3000, 100)


@pytest.mark.parametrize("detail", DETAILS)
def test_without_a_budget_the_detail_is_what_was_asked(detail: str) -> None:
    """Nothing is left out where nothing limits the page."""
    assert POEM.write(detail) == getattr(POEM, detail)()


@pytest.mark.parametrize(
    ("budget", "letter"), [(9000, "f"), (8999, "t"), (6300, "t"), (6100, "s"), (3200, "s"), (3100, "l")]
)
def test_a_budget_gets_the_richest_detail_that_fits(budget: int, letter: str) -> None:
    """Full first, then types, then signatures, then the brief form, the note on what is missing included."""
    text = POEM.write("full", budget)

    assert text[0] == letter
    assert len(text) <= budget


def test_a_budget_never_gives_more_than_was_asked() -> None:
    """Signatures that do not fit become the brief form, even where types would have fitted."""
    assert Poem(10, 10, 9000, 10).write("signatures", 500).startswith("line 0")


def test_what_is_left_out_is_said_with_how_to_get_it() -> None:
    """The last line names what is missing, the pages of the parts, and the budget that the whole needs."""
    note = POEM.write("full", 7000).splitlines()[-1]

    assert "prose and examples are left out" in note.lower()
    assert "read integrations.poem.FUNCTION for one part" in note
    assert "read integrations.poem with detail full and a budget of 9000" in note


@pytest.mark.parametrize("budget", [MIN_BUDGET, 500, 900])
def test_the_brief_form_is_cut_at_a_line_where_even_it_is_too_long(budget: int) -> None:
    """Whole lines are kept, and the number of those left out is right."""
    text = Poem(99_999, 99_999, 99_999, 5000).write("full", budget)
    *kept, note = [line for line in text.splitlines() if line]

    assert len(text) <= budget
    assert kept == [f"line {number}" for number in range(len(kept))]
    assert f"({5000 - len(kept):,} of 5,000 lines are left out" in note
