"""Did you mean."""

from __future__ import annotations

import time

import pytest

from kosmolua.suggestions import as_hint, closest, did_you_mean, list_of, listed, parameters_meant

NAMES = ["list_services", "get_service", "create_service", "list_deploys", "limit"]


@pytest.mark.parametrize(
    ("word", "first"),
    [
        ("list_service", "list_services"),
        ("LIST_SERVICES", "list_services"),
        ("listServices", "list_services"),
        ("deploys", "list_deploys"),
        ("limt", "limit"),
    ],
)
def test_the_likeliest_comes_first(word: str, first: str) -> None:
    """A typo, another case and a part of a name find the name."""
    assert closest(word, NAMES)[0] == first


def test_the_order_of_names_does_not_matter() -> None:
    """A set has another order in each process."""
    names = ["getmetatable", "setmetatable"]
    assert closest("meta", names) == closest("meta", reversed(names)) == names


def test_nothing_close_gives_no_hint() -> None:
    """A word that resembles nothing gets no suggestion, rather than a wild one."""
    assert did_you_mean("zebra", NAMES) is None
    assert did_you_mean("x", []) is None


def test_at_most_three_are_named() -> None:
    """A hint is one line."""
    assert did_you_mean("service", NAMES + [f"service_{number}" for number in range(50)]).count("'") == 6


def test_a_huge_word_costs_nothing() -> None:
    """A name as long as a script can make it is answered at once."""
    assert closest("x" * 1_000_000, NAMES) == []


@pytest.mark.parametrize(
    ("word", "names", "hint"),
    [
        ("per_page", ["repo", "page", "limit"], "did you mean 'limit'?"),
        ("pageSize", ["repo", "page", "limit"], "did you mean 'limit'?"),
        ("per_page", ["repo", "page"], None),
        ("q", ["query", "sort"], "did you mean 'query'?"),
        ("from", ["start_time", "end_time"], "did you mean 'start_time'?"),
        ("start", ["start_command"], None),
        ("limt", ["limit", "page"], "did you mean 'limit'?"),
    ],
)
def test_a_parameter_is_found_by_what_others_call_it(word: str, names: list[str], hint: str | None) -> None:
    """A word of other services means a parameter of the same sense, and never one that it only looks like."""
    assert as_hint(parameters_meant(word, names)) == hint


def test_few_names_are_listed_and_many_are_not() -> None:
    """A hint is one line; where there is nothing to list there is none."""
    assert list_of("it has", ["a", "b"]) == "it has a, b"
    assert list_of("it has", []) is None
    assert list_of("it has", [f"name_{number}" for number in range(13)]) is None


def test_of_very_many_names_the_closest_is_found_soon() -> None:
    """An API may have 11,000 functions, and a script may ask for a wrong one again and again."""
    names = [
        f"{verb}_{noun}_{number}" for verb in ("list", "get") for noun in ("users", "teams") for number in range(3000)
    ]
    started = time.thread_time()
    assert closest("list_user_1234", names)[0] == "list_users_1234"
    assert time.thread_time() - started < 5


def test_very_long_names_are_not_compared() -> None:
    """Comparing takes time that grows with the square of the length."""
    assert closest("list", ["list" + "x" * 10_000_000, "lists"]) == ["lists", "list" + "x" * 10_000_000]
    assert closest("y" * 121, ["y" * 120]) == []


def test_very_many_names_are_listed() -> None:
    """The first ones tell what kind of names there are."""
    assert listed([], 40) == ""
    assert listed("abc", 40) == "a, b, c"
    assert listed(range(42), 3) == "0, 1, 2 and 39 more"
