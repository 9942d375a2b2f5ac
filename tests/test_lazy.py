"""Dataclasses and regular expressions that are made when they are first used."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, replace
from functools import cached_property
from threading import Barrier

import pytest

from kosmolua.lazy import dataclass, regex


@dataclass(frozen=True)
class Point:
    """A frozen class with a default, a list of its own, and a value that is kept."""

    x: int
    tags: list[str] = field(default_factory=list)
    y: int = 2

    @cached_property
    def total(self) -> int:
        """The sum of both numbers."""
        return self.x + self.y


@dataclass(frozen=True)
class Place(Point):
    """A class that inherits fields."""

    name: str = "here"


class Named(Place):
    """A class that is no dataclass itself, so that it can have other attributes."""


def test_objects_are_those_of_a_dataclass() -> None:
    """They are equal by their fields, print as such, and are replaced as such."""
    place = Place(1, name="there")
    assert place == Place(1, [], 2, "there") != Place(1)
    assert repr(place) == "Place(x=1, tags=[], y=2, name='there')"
    assert replace(place, x=5).total == 7
    assert [each.name for each in dataclasses.fields(Point)] == ["x", "tags", "y"]
    assert Place.__match_args__ == ("x", "tags", "y", "name")


def test_a_frozen_one_refuses_changes() -> None:
    """Also of a class that inherits, which can have attributes beside the fields."""
    named = Named(1)
    named.more = 3  # type: ignore[attr-defined]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        named.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'other'"):
        del Place(1).other  # type: ignore[attr-defined]


def test_fields_can_be_asked_for_before_there_is_an_object() -> None:
    """A module that looks through classes finds a dataclass."""

    @dataclass
    class Fresh:
        number: int

    @dataclass
    class Shown:
        number: int = 3

    assert dataclasses.is_dataclass(Fresh)
    assert str(inspect.signature(Shown)) == "(number: 'int' = 3) -> None"
    assert Fresh(3) == Fresh(3)


def test_an_object_from_another_process_is_equal_to_one_of_here() -> None:
    """Unpickling makes it without the constructor."""
    code = "import pickle, sys; from kosmolua.calls.records import Origin; sys.stdout.buffer.write(%s)"
    known = subprocess.run(
        [sys.executable, "-c", code % "pickle.dumps([Origin(), Origin()])"], capture_output=True, check=True
    ).stdout
    again = f"import pickle; first, second = pickle.loads({known!r}); print(first == second, repr(first)[:7])"
    done = subprocess.run([sys.executable, "-c", again], capture_output=True, check=True, text=True)
    assert done.stdout == "True Origin(\n"
    assert pickle.loads(known)[0] == pickle.loads(known)[1]


def test_threads_that_make_the_first_objects_at_once_all_get_theirs() -> None:
    """The class is never without its constructor."""
    for _ in range(30):

        @dataclass(frozen=True)
        class Shared:
            number: int
            more: list[int] = field(default_factory=list)

        barrier = Barrier(8)

        def make(number: int, shared: type = Shared, barrier: Barrier = barrier) -> object:
            barrier.wait()
            return shared(number)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(make, range(8))) == [Shared(number) for number in range(8)]


def test_an_expression_is_one_of_re() -> None:
    """Its methods and its flags are those of the compiled pattern."""
    words = regex(r"[a-z]+")
    assert words.findall("one two") == ["one", "two"]
    assert words.pattern == "[a-z]+"
    assert regex(rb"(?i)A").fullmatch(b"a")
