"""Scripts that are right, in many styles: none is refused; and those that are wrong, each of which is answered."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kosmolua import Runtime
from kosmolua.check.checker import Checker


def scripts_in(name: str) -> dict[str, str]:
    """Return the scripts of a file in ``tests/lua``, each by the line that begins with ``==`` above it."""
    parts = re.split(r"^== (.*)\n", (Path(__file__).parent / "lua" / name).read_text("utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


SCRIPTS = scripts_in("right_scripts.txt")
WRONG = scripts_in("wrong_scripts.txt")
MISTAKES = scripts_in("mistakes.txt")
RIGHT_KINDS = scripts_in("right_kinds.txt")
WRONG_KINDS = scripts_in("wrong_kinds.txt")
UNANSWERED = {"printing a table address", "env vars as map"}
"""Scripts that Lua runs, and of which only their author knows that they are wrong."""
MAX_WARNED = 0.01
"""Share of the right scripts that may be warned about."""


def simulation() -> Runtime:
    """Return a simulation that allows everything, in which nothing has been changed."""
    return Runtime(os.devnull, simulate=True, yes=True, allow=["render2.*"], environ={})


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A simulation to check scripts with."""
    with simulation() as runtime:
        yield runtime


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_right_script_is_not_refused(runtime: Runtime, name: str) -> None:
    """Whatever its style."""
    assert Checker(runtime.catalog).check(SCRIPTS[name]).errors == []


@pytest.mark.slow
def test_the_scripts_are_right() -> None:
    """Each runs to its end, the check included."""
    with simulation() as runtime:
        outcomes = {name: runtime.run(source, check=True) for name, source in SCRIPTS.items()}
    assert {name: each.error for name, each in outcomes.items() if not each.ok} == {}


@pytest.mark.slow
def test_few_right_scripts_are_warned_about(runtime: Runtime) -> None:
    """Those are that hold code which would fail or do something else if it were reached."""
    checker = Checker(runtime.catalog)
    warned = {name for name, source in SCRIPTS.items() if checker.check(source).findings}
    wrong = {name for name in SCRIPTS if name.startswith("mistake: ")}

    assert len(SCRIPTS) > 450
    assert wrong <= warned
    assert len(warned - wrong) <= MAX_WARNED * len(SCRIPTS), warned - wrong


@pytest.fixture(scope="module")
def checker(runtime: Runtime) -> Checker:
    """The check over the installed integrations."""
    return Checker(runtime.catalog)


@pytest.mark.parametrize("name", WRONG_KINDS)
def test_a_kind_of_mistake_is_told_before_the_run(checker: Checker, name: str) -> None:
    """By an error if the script changes something, else by a warning at least; the title has words of it."""
    title, _, words = name.partition(" :: ")
    report = checker.check(WRONG_KINDS[name])
    found = report.errors if title.endswith("in a writing script") else report.findings
    assert words in "; ".join(map(str, found)), report.findings


def test_unusual_scripts_that_are_right_are_left_alone(checker: Checker) -> None:
    """Even where they are near to a mistake: none is refused, and at most one is warned about."""
    reports = {name: checker.check(source) for name, source in RIGHT_KINDS.items()}
    assert {name: report.errors for name, report in reports.items() if report.errors} == {}
    assert len({name: report.findings for name, report in reports.items() if report.findings}) <= 1


@pytest.mark.slow
def test_the_unusual_scripts_are_right() -> None:
    """Each does what it says in a simulation, or fails by what the simulated service has."""
    with simulation() as runtime:
        outcomes = {name: runtime.run(source, check=True) for name, source in RIGHT_KINDS.items()}
    failed = {name: each.error for name, each in outcomes.items() if each.error and each.error.code != "api_error"}
    assert failed == {}


@pytest.mark.slow
def test_wrong_scripts_are_answered_before_they_change_anything() -> None:
    """By a refusal, a warning or an error; what has begun to change something has been warned about."""
    silent, unwarned = set(), set()
    left = list(WRONG.items())
    while left:
        with simulation() as runtime:
            has_changed = False
            while left and not has_changed:  # each script finds services as they were
                name, source = left.pop()
                outcome = runtime.run(source, check=True)
                has_changed = any(call["effect"] != "read" for call in outcome.calls)
                if not outcome.error and not outcome.warnings:
                    silent.add(name)
                if has_changed and not outcome.warnings:
                    unwarned.add(name)

    assert len(WRONG) > 130
    assert silent == UNANSWERED
    assert unwarned <= {"env vars as map"}


@pytest.mark.slow
def test_mistakes_of_models_are_answered_and_change_nothing() -> None:
    """They were written before any of them was tried; a third would change something."""
    with Runtime(os.devnull, simulate=True, yes=True, environ={}) as runtime:
        outcomes = {name: runtime.run(source, check=True, timeout=60) for name, source in MISTAKES.items()}

    assert len(MISTAKES) >= 80
    assert {name for name, outcome in outcomes.items() if not outcome.error and not outcome.warnings} == set()
    sent = {
        name: [call for call in each.calls if call["effect"] != "read" and call["status"] == "ok"]
        for name, each in outcomes.items()
    }
    assert {name: calls for name, calls in sent.items() if calls} == {}
