"""The test suite of Lua 5.4.8 itself, where it is at hand, but for what a sandbox has not.

``LUA_SUITE`` names its folder: ``third-party/lua54/testes`` in lupa's source distribution, or ``lua-5.4.8-tests``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kosmolua import Runtime
from kosmolua.check.checker import Checker

SUITE = Path(os.environ.get("LUA_SUITE", ""))
LEFT_OUT: dict[str, dict[tuple[int, int], str]] = {
    "bitwise": {
        (6, 6): "require, of a file that teaches the string metatable to coerce; that one is locked",
        (26, 27): "bitwise operators on strings, which need it",
        (72, 94): "bitwise operators on strings, which need it",
    },
    "calls": {
        (314, 314): "debug.getinfo",
        (331, 352): "string.dump and chunks in bytecode",
        (363, 372): "string.dump, debug.setupvalue",
        (391, 411): "string.dump, debug.setupvalue",
        (428, 434): "string.dump, debug.upvaluejoin",
        (450, 494): "string.dump: the header of bytecode",
        (497, 497): "returns a function, which is no value that could leave the sandbox",
    },
    "closure": {(240, 278): "debug.upvalueid, debug.upvaluejoin"},
    "constructs": {(306, 306): "debug.getinfo"},
    "coroutine": {
        (230, 230): "debug.getinfo",
        (238, 238): "what debug.getinfo found",
        (339, 356): "debug.sethook",
        (360, 361): "debug.getinfo",
        (965, 971): "debug.setupvalue",
    },
    "events": {(196, 196): "io.stdin", (451, 479): "debug.setmetatable of numbers, booleans and nil"},
    "goto": {(187, 218): "debug.upvalueid"},
    "math": {},
    "nextvar": {(293, 303): "package.loaded", (364, 364): "io.stdin as a key", (367, 371): "counts that key"},
    "pm": {},
    "sort": {},
    "strings": {(171, 172): "io.stdin", (421, 450): "os.setlocale"},
    "tpack": {},
    "utf8": {},
    "vararg": {},
}
"""By file, the first and last lines that are left out, and what in them the sandbox has not."""
LIBRARIES = re.compile(r"""(local (debug|utf8) =) ?require ?['"]\2['"]""")
"""Libraries that the files require, though they are there."""
RENAMED = {"package.preload.bit32 =": "local preload_bit32 =", "require'bit32'": "preload_bit32()"}
"""A library that a file writes itself and then requires."""


def source_of(name: str) -> bytes:
    """Return a file of the suite without the lines that are left out; the others keep their numbers."""
    lines = (SUITE / f"{name}.lua").read_text(encoding="latin-1").split("\n")
    for first, last in LEFT_OUT[name]:
        lines[first - 1 : last] = [""] * (last - first + 1)
    source = LIBRARIES.sub(r"\1 \2", "\n".join(lines))
    for before, after in RENAMED.items():
        source = source.replace(before, after)
    return source.encode("latin-1")


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime({}, environ={}) as runtime:
        yield runtime


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_file_of_the_suite(runtime: Runtime, name: str) -> None:
    """The sandbox is Lua 5.4: what its authors assert of the language and of the libraries that are there, holds."""
    if not (SUITE / "strings.lua").exists():
        pytest.skip("LUA_SUITE does not name the folder of the suite of Lua 5.4.8")
    outcome = runtime.run(source_of(name), name=f"{name}.lua")
    assert outcome.ok, outcome.error


@pytest.mark.parametrize("name", LEFT_OUT)
def test_no_file_of_the_suite_is_refused(runtime: Runtime, name: str) -> None:
    """What Lua's authors write is what a check must leave alone."""
    if not (SUITE / "strings.lua").exists():
        pytest.skip("LUA_SUITE does not name the folder of the suite of Lua 5.4.8")
    assert Checker(runtime.catalog).check(source_of(name)).errors == []
