"""The evaluation that ``tests/benchmarks/evaluation.py`` prints: what it must not fall below."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kosmolua import Runtime

MOST_CHARACTERS = {"tool": 1_350, "page": 20_000}
"""Of one tool, and of one page as an agent gets it."""


@pytest.fixture(scope="module")
def evaluation() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
    return importlib.import_module("evaluation")


@pytest.mark.slow
def test_tasks_can_be_done_and_mistakes_are_answered(evaluation: ModuleType) -> None:
    """Every right script runs; every wrong one is answered before it changes anything, in a short text."""
    for each in evaluation.judgements():
        assert each.runs, each.task.name
        assert each.answered == len(each.task.wrong), each.task.name
        assert each.sent == 0, each.task.name
        assert each.characters < 5_000, each.task.name


def test_what_an_agent_reads_is_short(evaluation: ModuleType) -> None:
    """Tools and pages."""
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        for what, size in evaluation.footprint(runtime).items():
            assert size <= MOST_CHARACTERS[what.partition(" ")[0]], what


@pytest.mark.slow
def test_five_hundred_tools_cost_nothing_until_asked_for(evaluation: ModuleType) -> None:
    """A list of pages has a line for them, a search and a page are short, and the server is not started."""
    sizes = evaluation.many_tools()
    assert sizes["as the protocol lists them"] > 150_000
    assert sizes["the list of pages"] < 150
    assert sizes["a search"] < 4_000
    assert sizes["the page of a tool"] < 1_500
    assert sizes["the page of the server"] <= 20_000


@pytest.mark.slow
def test_searches_find_the_function(evaluation: ModuleType) -> None:
    """Three of four are first, and nine of ten among the first three."""
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        places = list(evaluation.places(runtime).values())
    assert sum(place == 1 for place in places) >= 0.75 * len(places), places
    assert sum(place is not None and place <= 3 for place in places) >= 0.9 * len(places), places
