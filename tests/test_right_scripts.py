"""Scripts that are right, in many styles: none is refused, and hardly one is warned about."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kosmolua import Runtime
from kosmolua.lua.check import Checker

_PARTS = re.split(r"^== (.*)\n", (Path(__file__).parent / "lua" / "right_scripts.txt").read_text("utf-8"), flags=re.M)
SCRIPTS = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))
MAX_WARNED = 0.06
"""Share of the scripts that may be warned about: some hold code on purpose that would fail if it were reached."""


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A simulation that allows everything."""
    with Runtime(os.devnull, simulate=True, yes=True, allow=["render2.*"], environ={}) as runtime:
        yield runtime


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_right_script_is_not_refused(runtime: Runtime, name: str) -> None:
    """Whatever its style."""
    assert Checker(runtime.catalog).check(SCRIPTS[name]).errors == []


@pytest.mark.slow
def test_the_scripts_are_right(runtime: Runtime) -> None:
    """Each runs to its end, the check included."""
    assert {name: outcome.error for name in SCRIPTS if not (outcome := runtime.run(SCRIPTS[name], check=True)).ok} == {}


def test_few_right_scripts_are_warned_about(runtime: Runtime) -> None:
    """A warning that is wrong costs a reader time, and hides those that are right."""
    checker = Checker(runtime.catalog)
    warned = [name for name, source in SCRIPTS.items() if checker.check(source).findings]

    assert len(SCRIPTS) > 150
    assert len(warned) <= MAX_WARNED * len(SCRIPTS), warned
