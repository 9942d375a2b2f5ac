"""The options with which a person decides about calls of a recorded run, such as ``--done 7`` and ``--again 8,9``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import click

from kosmolua.cli import console

ALL = "all"
NUMBERS = re.compile(r"[0-9]{1,9}(,[0-9]{1,9})*")
"""Matches the numbers of calls as an option's value."""


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """The click type of an option that names calls by their numbers, such as ``7,9``, or says ``all``."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a list of the numbers, or True for ``all``."""
        if value == ALL:
            return True
        if not isinstance(value, str) or not NUMBERS.fullmatch(value):
            self.fail(f"{value!r} is not the number of a call, such as 7, or a list of them, such as 7,9.", param, ctx)
        return [int(each) for each in value.split(",")]


def numbers_in(_: click.Context, __: click.Parameter, given: Iterable[Any]) -> list[int] | bool:
    """Return the numbers of calls in all occurrences of an option, or True if one occurrence means all calls."""
    occurrences = list(given)
    return True if True in occurrences else [number for each in occurrences for number in each]


def numbers_option(*names: str, **given: Any) -> Callable[[Any], Any]:
    """Return a decorator for an option that names calls by their numbers: a list of them, or True for all calls."""
    return click.option(*names, multiple=True, type=Numbers(), callback=numbers_in, **given)


class Done(click.ParamType):  # type: ignore[type-arg]
    """The click type of ``--done``: numbers of calls, optionally with the result that the script gets for them.

    ``7,9`` names two calls, and ``7={"id": "a"}`` gives the result of call 7 as JSON.
    """

    name = "N[=JSON]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a dict from the number of each call to its result, which is None without ``=JSON``."""
        numbers, equals, text = str(value).partition("=")
        if not NUMBERS.fullmatch(numbers):
            self.fail(f"{value!r} does not begin with the number of a call.", param, ctx)
        try:
            given = json.loads(text) if equals else None
        except ValueError:
            self.fail(f"the text after {numbers}= is not JSON.", param, ctx)
        return {int(each): given for each in numbers.split(",")}


def accepted(option: bool, question: str = "Go on with the accounts as they are now?") -> bool | Callable[[str], bool]:
    """Return whether a change is accepted: True with the option, else a function that asks at the terminal."""

    def ask(said: str) -> bool:
        console.complain(said)
        return console.agrees(question)

    return option or (ask if console.can_ask() else False)


done_option = click.option(
    "--done",
    multiple=True,
    type=Done(),
    callback=lambda context, parameter, given: {number: value for each in given for number, value in each.items()},
    help="Count a write without an answer as done, with JSON as its result.",
)
accounts_option = click.option(
    "--accept-accounts", is_flag=True, help="Go on although an account that the run used has changed."
)
