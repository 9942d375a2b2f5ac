"""Permissions: whether a call is allowed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest
from support.library import library

from kosmolua import Denied
from kosmolua.accounts.accounts import Accounts
from kosmolua.accounts.toml import PERMISSIONS
from kosmolua.broker.permissions import Approval, Permissions
from kosmolua.catalog.catalog import Target
from kosmolua.clock import Clock
from kosmolua.secret import Redactor

LIBRARY = library()
READ, WRITE = "list_books", "lend"


class Judge:
    """Decides on calls of an account whose reads and writes have one permission."""

    def __init__(self, permission: str | None = None, *, yes: bool = False, **options: Any) -> None:
        permissions = {"permissions": {"read": permission, "write": permission}} if permission else {}
        tables = {"library": {"work": permissions}}
        self.accounts = Accounts(tables, Path("/home/ann/accounts.toml"), environ={}, redactor=Redactor())
        host = SimpleNamespace(accounts=self.accounts, yes=yes, read_only=False)
        self.permissions = Permissions(host, Clock(60), **{"read_only": False, "approve": None, **options})


def decide(judge: Judge, name: str) -> str | None:
    """Return why a call may not be made, or None."""
    function, permissions = LIBRARY.functions[name], judge.permissions
    target = Target(LIBRARY, "work", function, judge.accounts.permission(LIBRARY, "work", function.effect))
    try:
        permissions.refuse_if_denied(target)
        permissions.ask_if_needed(target, {"book": "b-1"})
    except Denied as refused:
        return refused.message
    return None


ANSWERS: dict[str, Callable[[Approval], bool] | None] = {"yes": lambda _: True, "no": lambda _: False, "nobody": None}


@pytest.mark.parametrize(
    ("permission", "target", "read_only", "yes", "answer"),
    [*itertools.product(PERMISSIONS, (READ, WRITE), (False, True), (False, True), ANSWERS)],
    ids=str,
)
def test_the_whole_table(permission: str, target: str, read_only: bool, yes: bool, answer: str) -> None:
    """Denied is denied; read-only denies writes whatever else is said; asking needs --yes or a person who says yes."""
    allowed = permission == "allow" or (permission == "ask" and (yes or answer == "yes"))
    expected = allowed and not (read_only and target is WRITE)
    judge = Judge(permission, read_only=read_only, yes=yes, approve=ANSWERS[answer])
    assert (decide(judge, target) is None) == expected


@pytest.mark.parametrize("answer", ["yes", 1, [False], None])
def test_only_true_is_a_yes(answer: object) -> None:
    """Whatever else a function returns allows nothing."""
    assert decide(Judge("ask", approve=lambda _: answer), WRITE) is not None


def test_an_answer_that_nobody_waits_for_is_refused() -> None:
    """A coroutine would be a yes to everything."""

    async def approve(_: Approval) -> bool:
        return False

    with pytest.raises(TypeError, match="cannot be a coroutine function"):
        Judge("ask", approve=approve)


def test_what_holds_where_nothing_is_said() -> None:
    """Reads are allowed and writes have to be asked about."""
    assert decide(Judge(), READ) is None
    assert decide(Judge(), WRITE) is not None


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (
            Judge("deny"),
            "library.lend writes with the account work, and its permissions deny that "
            "(see permissions under [library.work] in the accounts file). Nothing was sent.",
        ),
        (
            Judge("allow", read_only=True),
            "library.lend writes, and this run is read-only (writes need a run without --read-only). Nothing was sent.",
        ),
        (
            Judge("ask"),
            "library.lend writes with the account work, which somebody must approve, and nobody can be asked here "
            '(pass --yes, or set permissions = { write = "allow" } under [library.work] in the accounts file). '
            "Nothing was sent.",
        ),
        (
            Judge("ask", approve=lambda _: False),
            "library.lend writes with the account work, and it was not approved. Nothing was sent.",
        ),
    ],
)
def test_a_refusal_says_what_would_allow_it(judge: Judge, message: str) -> None:
    """The sentence names the function, the account, and the option or the line of the file."""
    assert decide(judge, WRITE) == message


def test_the_person_is_told_what_is_asked() -> None:
    """Function, account, effect and arguments; nothing is asked where nothing has to be."""
    asked: list[Approval] = []
    judge = Judge("ask", approve=lambda approval: asked.append(approval) or True)
    decide(judge, WRITE)
    assert asked == [Approval("library.lend", "work", "write", {"book": "b-1"})]
    decide(Judge("allow", approve=asked.append), WRITE)
    decide(Judge("ask", yes=True, approve=asked.append), WRITE)
    assert len(asked) == 1


def test_one_question_at_a_time() -> None:
    """Branches of parallel that ask at once are asked one after the other."""
    open_questions: list[int] = []
    together = Barrier(5)

    def approve(_: Approval) -> bool:
        open_questions.append(1)
        sleep(0.02)
        assert open_questions == [1]
        open_questions.pop()
        return True

    judge, refusals = Judge("ask", approve=approve), []

    def ask() -> None:
        together.wait()
        refusals.append(decide(judge, WRITE))

    threads = [Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refusals == [None] * 5
