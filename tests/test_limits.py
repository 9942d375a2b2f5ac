"""The limits of a run: their values, and the sentence that each ends a script with."""

from __future__ import annotations

import pytest

from kosmolua import ConfigError, Limits
from kosmolua.cli.options import OPTIONS, Options
from kosmolua.limits import ADJUSTABLE, LIMITS, NAMES, REPORTED, parse_duration, parse_size, whole_number
from kosmolua.recordings.outlines import numbers_in


def test_defaults_are_those_of_the_contract() -> None:
    """Nothing said means 120 s, 30 s of processor, 96 MiB, 1,000 calls and 10 MiB of output."""
    limits = Limits()
    assert limits.timeout == 120
    assert limits.cpu == 30
    assert limits.memory == 96 * 1024**2
    assert limits.max_calls == 1000
    assert limits.max_output == 10 * 1024**2
    assert limits.max_depth == 100
    assert limits.max_result == 16 * 1024**2
    assert limits.max_arguments == 1024**2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e300])
def test_a_limit_that_limits_nothing_is_refused(name: str, value: float) -> None:
    """Zero, negative and endless limits are refused by name: the clocks of the OS take none of them."""
    with pytest.raises(ConfigError, match=f"the limit {name} must be more than 0 and at most"):
        Limits(**{name: value})


@pytest.mark.parametrize("value", ["5", True, None])
def test_a_limit_is_a_number(value: object) -> None:
    """Anything else is refused before a script meets it."""
    with pytest.raises(ConfigError, match="the limit cpu must be a number"):
        Limits(cpu=value)  # type: ignore[arg-type]


def test_what_is_counted_is_whole() -> None:
    """A number of bytes may be written as ``1e8``, but there is no half of a call."""
    assert repr(Limits(memory=1e8).memory) == "100000000"
    with pytest.raises(ConfigError, match="max_calls must be a whole number"):
        Limits(max_calls=1.5)


def test_an_unknown_limit_is_refused() -> None:
    """A limit that is misspelt must not be silently no limit."""
    with pytest.raises(TypeError, match="timout"):
        Limits(timout=1)


def test_but_changes_only_what_is_given() -> None:
    """None stands for what was not said."""
    limits = Limits(cpu=1).but(timeout=2, memory=None)
    assert limits.timeout == 2
    assert limits.cpu == 1
    assert limits.memory == Limits().memory
    assert limits == Limits(cpu=1, timeout=2)
    assert repr(limits).startswith("Limits(timeout=2, call_timeout=30.0, cpu=1, ")


@pytest.mark.parametrize("name", REPORTED)
def test_each_limit_says_its_value_and_what_raises_it(name: str) -> None:
    """The error names the limit, its value in the unit of people, and the option or key that raises it."""
    attribute = REPORTED[name][0]
    error = Limits().exceeded(name)
    assert error.limit == name
    assert error.value == getattr(Limits(), attribute)
    assert error.message.startswith("The script was stopped: ")
    assert attribute in error.message.replace("--", "").replace("-", "_")
    assert error.fields()["limit"] == name


@pytest.mark.parametrize(
    ("name", "value", "spelling"),
    [
        ("wall", {"timeout": 1.5}, "1.5 s"),
        ("memory", {"memory": 20 * 1024**2}, "20 MiB"),
        ("output", {"max_output": 65536}, "64 KiB"),
        ("output", {"max_output": 10}, "10 bytes"),
        ("output", {"max_output": 2000}, "2,000 bytes"),
        ("output", {"max_output": 1536}, "1.5 KiB"),
        ("memory", {"memory": 5 * 1024**3 // 2}, "2560 MiB"),
        ("calls", {"max_calls": 12345}, "12,345 calls"),
        ("depth", {"max_depth": 7}, "7 levels"),
    ],
)
def test_values_are_spelt_for_people(name: str, value: dict[str, float], spelling: str) -> None:
    """Seconds, sizes and counts are spelt with their unit."""
    assert spelling in Limits(**value).exceeded(name).message


@pytest.mark.parametrize(
    ("text", "size"),
    [("1048576", 1048576), ("64K", 65536), ("96MiB", 96 * 1024**2), ("1.5 kb", 1536), (" 2G ", 2 * 1024**3), ("7b", 7)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    """Units are powers of 1024, in any case, with or without B."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "B", "K", "3X", "1TB", "one", "nan", "inf", "1e999", "0x10", "1 2"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """Anything else is refused with examples."""
    with pytest.raises(ValueError, match="is not a size such as 64K, 96MiB or 1048576"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1.5 h", 5400), (" 1H", 3600), ("250ms", 0.25), ("1e3", 1000)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Without a unit they are seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5x", "1w", "1h30m", "soon", "nan", "inf", "1e999", "1_0", "1 2"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Anything else is refused with examples."""
    with pytest.raises(ValueError, match="is not a duration such as 90s, 10m or 1h"):
        parse_duration(text)


def test_a_call_has_a_limit_of_its_own() -> None:
    """30 s, as the contract says; it is a call that ends then, and not the script."""
    assert Limits().call_timeout == 30
    assert "call_timeout" not in {attribute for attribute, _, _ in REPORTED.values()}


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_the_option_of_a_limit_follows_from_it(name: str) -> None:
    """A limit is declared once: its option has its name, its unit and its default."""
    (option,) = (each for each in OPTIONS if each.attribute == name)
    default = option.help.rpartition("[")[2].removesuffix("].")
    assert option.names == (f"--{name.replace('_', '-')}",)
    assert option.read(default) == LIMITS[name].default
    assert Options(**{name: 1}).limits[name] == 1


def test_every_limit_says_what_it_bounds() -> None:
    """``help(Limits)`` shows a sentence for each."""
    assert all(str(limit.__doc__).endswith(".") for limit in LIMITS.values())


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1), ("9" * 19, None), ("9" * 5000, None)]
    + [(text, None) for text in ("", "-1", "+1", "1_0", " 1", "1.0", "٣", "²")],
)
def test_a_number_from_elsewhere(text: str, number: int | None) -> None:
    """Only digits of ASCII are one, and no more than 64 bits hold; what is none is not an error."""
    assert whole_number(text) == number


def test_numbers_of_calls_of_any_length() -> None:
    """Of thousands of digits, too, it is said that they are no number of a call."""
    assert numbers_in("3, 7") == (3, 7)
    assert numbers_in("9" * 5000) is None
