"""Permissions: whether a call is allowed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Barrier, Event, Thread
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest
from support.identifiers import stable
from support.library import library

from kosmolua import ConfigError, Denied
from kosmolua.accounts.accounts import Accounts
from kosmolua.accounts.permissions import PERMISSIONS, Ceiling, Rules
from kosmolua.broker.options import RunContext
from kosmolua.broker.patterns import Patterns
from kosmolua.broker.permissions import Permissions
from kosmolua.calls.approvals import Approval, Approver, Consent, grouped
from kosmolua.catalog.catalog import Catalog, Target
from kosmolua.catalog.plugins import Plugins
from kosmolua.clock import Clock
from kosmolua.limits import Limits
from kosmolua.schema.effects import EFFECTS
from kosmolua.secret import Redactor

LIBRARY = library()
READ, WRITE, DESTROY = "list_books", "lend", "burn_book"


@LIBRARY.destroys
def burn_book(api: Any, /, *, book: str) -> None:
    """Burn a book."""


class Judge:
    """Decides on calls of an account whose functions have one permission, or these permissions."""

    def __init__(
        self,
        permission: str | dict[str, Any] | None = None,
        *,
        shared: dict[str, Any] | None = None,
        yes: bool = False,
        never_writes: bool = False,
        **options: Any,
    ) -> None:
        own = dict.fromkeys(EFFECTS, permission) if isinstance(permission, str) else permission
        tables = {"library": {"permissions": shared or {}, "work": {"permissions": own or {}}}}
        self.accounts = Accounts(tables, Path("/home/ann/accounts.toml"), environ={}, redactor=Redactor())
        catalog = Catalog([Plugins([LIBRARY], places=(), entry_points=dict)], self.accounts)
        host = SimpleNamespace(
            is_served=False,
            accounts=self.accounts,
            yes=yes,
            read_only=never_writes,
            allow=[],
            deny=[],
            allow_flow=[],
            people_for=lambda effect: 1,
        )
        for option in ("allow", "deny"):
            if option in options:
                options[option] = [Patterns(f"--{option}", options[option], catalog)]
        self.permissions = Permissions(host, RunContext(Clock(60), Limits(), **options))


def decide(judge: Judge, name: str, **arguments: object) -> str | None:
    """Return why a call may not be made, or None."""
    function, permissions, arguments = LIBRARY.functions[name], judge.permissions, arguments or {"book": "b-1"}
    target = Target(LIBRARY, "work", function, judge.accounts.rules(LIBRARY, "work").of_function(function))
    try:
        target = target.of_call(arguments, Redactor())
        permissions.refuse_if_denied(target)
        permissions.allow(target, arguments)
    except Denied as refused:
        return refused.message
    return None


ANSWERS: dict[str, Callable[[Approval], bool] | None] = {"yes": lambda _: True, "no": lambda _: False, "nobody": None}


@pytest.mark.parametrize(
    ("permission", "target", "read_only", "yes", "answer"),
    [*itertools.product(PERMISSIONS, (READ, WRITE, DESTROY), (False, True), (False, True), ANSWERS)],
    ids=str,
)
def test_the_whole_table(permission: str, target: str, read_only: bool, yes: bool, answer: str) -> None:
    """Denied is denied; read-only denies all but reads; asking needs a yes, or --yes where nothing is destroyed."""
    is_covered = answer == "yes" or (yes and target != DESTROY)
    allowed = permission == "allow" or (permission == "ask" and is_covered)
    expected = allowed and not (read_only and target != READ)
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
    """Reads are allowed; writes and what destroys have to be asked about."""
    assert decide(Judge(), READ) is None
    assert decide(Judge(), WRITE) is not None
    assert decide(Judge(), DESTROY) is not None


@pytest.mark.parametrize(
    ("write", "destroy", "allowed"),
    [
        ("allow", None, False),
        ("ask", None, False),
        ("deny", None, False),
        ("deny", "allow", True),
        ("allow", "allow", True),
        ("allow", "deny", False),
    ],
)
def test_a_write_permission_does_not_cover_what_destroys(write: str, destroy: str | None, allowed: bool) -> None:
    """Only ``destroy`` itself allows it; a denied ``write`` denies it too, so that nobody can be asked."""
    judge = Judge({"write": write} | ({"destroy": destroy} if destroy else {}))
    assert (decide(judge, DESTROY) is None) == allowed
    if write == "deny" and not destroy:
        assert decide(Judge({"write": write}, approve=lambda _: True), DESTROY) is not None


LEVELS: list[tuple[dict[str, str], dict[str, str], str]] = [
    # the integration's permissions, the account's, and what holds for lend
    ({}, {"write": "deny", "l*": "ask", "lend": "allow"}, "allow"),
    ({}, {"write": "deny", "l*": "allow"}, "allow"),
    ({}, {"write": "allow", "l*": "deny"}, "deny"),
    ({}, {"write": "allow", "lend": "deny"}, "deny"),
    ({}, {"l*": "allow", "*d": "deny"}, "deny"),
    ({}, {"l*": "allow", "*d": "ask"}, "ask"),
    ({}, {"l*": "ask", "*d": "deny", "*": "allow"}, "deny"),
    ({}, {"l*": "deny", "lend": "allow"}, "allow"),
    ({}, {"lib_lend": "deny"}, "deny"),
    ({}, {"lib_lend": "deny", "lend": "allow"}, "deny"),
    ({}, {"lib_*": "allow"}, "allow"),
    ({}, {"list_*": "deny"}, "ask"),
    ({}, {"[l]end": "allow"}, "allow"),
    ({}, {"len?": "allow"}, "allow"),
    ({"lend": "allow"}, {}, "allow"),
    ({"lend": "allow"}, {"lend": "deny"}, "deny"),
    ({"lend": "deny"}, {"lend": "allow"}, "allow"),
    ({"lend": "deny"}, {"write": "allow"}, "deny"),
    ({"lend": "allow"}, {"write": "deny"}, "allow"),
    ({"lend": "deny"}, {"l*": "allow"}, "deny"),
    ({"l*": "deny"}, {"lend": "allow"}, "allow"),
    ({"l*": "deny"}, {"l*": "allow"}, "allow"),
    ({"l*": "deny"}, {"*d": "allow"}, "deny"),
    ({"write": "deny"}, {"write": "allow"}, "allow"),
    ({"write": "deny"}, {"read": "allow"}, "deny"),
]


@pytest.mark.parametrize(("shared", "own", "expected"), LEVELS, ids=str)
def test_the_closest_key_decides(shared: dict[str, str], own: dict[str, str], expected: str) -> None:
    """A name goes before a pattern, a pattern before an effect, the strictest of several patterns before the rest; an
    account's key replaces the same key of its integration."""
    outcomes = [
        decide(Judge(own, shared=shared), WRITE) is None,
        decide(Judge(own, shared=shared, approve=lambda _: True), WRITE) is None,
    ]
    assert outcomes == {"allow": [True, True], "ask": [False, True], "deny": [False, False]}[expected]


RUNS: list[tuple[str, dict[str, Any], bool]] = [
    # what the file says of burn_book, the options of the run, and whether it may be called
    ("ask", {"allow": ["library.burn_book"]}, True),
    ("ask", {"allow": ["library.lib_burn_book"]}, True),
    ("ask", {"allow": ["library.work.burn_book"]}, True),
    ("ask", {"allow": ["library.*"]}, True),
    ("ask", {"allow": ["*.burn_book"]}, True),
    ("ask", {"allow": ["app.integrations.library.burn_book"]}, True),
    ("ask", {"allow": ["*"]}, True),
    ("ask", {"allow": ["library.lend"]}, False),
    ("ask", {"yes": True}, False),
    ("deny", {"allow": ["library.burn_book"]}, False),
    ("deny", {"allow": ["library.burn_book"], "approve": lambda _: True}, False),
    ("allow", {"deny": ["library.burn_book"]}, False),
    ("allow", {"deny": ["library.work.*"]}, False),
    ("ask", {"deny": ["library.burn_book"], "approve": lambda _: True}, False),
    ("ask", {"deny": ["*"], "allow": ["library.burn_book"]}, False),
    ("allow", {"deny": ["library.lend"]}, True),
    ("ask", {"allow": ["library.burn_book"], "read_only": True}, False),
    ("allow", {"read_only": True}, False),
]


@pytest.mark.parametrize(("permission", "options", "allowed"), RUNS, ids=stable)
def test_patterns_of_a_run(permission: str, options: dict[str, Any], allowed: bool) -> None:
    """--deny goes before all, --read-only before --allow; --allow lifts an ``ask`` of the file, not its ``deny``."""
    assert (decide(Judge({"burn_book": permission}, **options), DESTROY) is None) == allowed


@pytest.mark.parametrize(
    ("option", "pattern", "message"),
    [
        ("deny", "library.burn_bok", "--deny library.burn_bok matches no function (did you mean 'library.burn_book'"),
        ("allow", "burn_book", "--allow burn_book matches no function"),
        ("allow", "library.home.burn_book", "--allow library.home.burn_book matches no function"),
        ("allow", "libary.*", "--allow libary.* matches no function"),
        ("allow", "a*" * 60_000, f"--allow {'a*' * 20}... has more than 500 characters (pass shorter patterns"),
        ("deny", "library.z*", "--deny library.z* matches no function"),
        ("deny", "", "--deny  matches no function"),
    ],
)
def test_a_pattern_that_fits_nothing_is_told(option: str, pattern: str, message: str) -> None:
    """A typo must not widen what a script may do."""
    with pytest.raises(ConfigError) as told:
        Judge(**{option: [pattern]})
    assert told.value.message.startswith(message)


@pytest.mark.parametrize(
    ("judge", "name", "allowed_by"),
    [
        (Judge(), READ, "default permissions"),
        (Judge({"write": "allow"}), WRITE, "write of [library.work] permissions"),
        (Judge(shared={"l*": "allow"}), WRITE, "l* of [library] permissions"),
        (Judge(allow=["library.b*"]), DESTROY, "--allow library.b*"),
        (Judge(yes=True), WRITE, "--yes"),
        (Judge(approve=lambda _: True), WRITE, "approved by a person"),
    ],
)
def test_it_is_known_who_allowed_a_call(judge: Judge, name: str, allowed_by: str) -> None:
    """The option, the line of the file, or the person, for the journal."""
    function = LIBRARY.functions[name]
    target = Target(LIBRARY, "work", function, judge.accounts.rules(LIBRARY, "work").of_function(function))
    assert judge.permissions.allow(target, {}) == allowed_by


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (
            Judge("deny"),
            "library.lend writes with the account work, and the account's permissions deny that "
            '(write = "deny" is set in permissions under [library.work] in the accounts file). Nothing was sent.',
        ),
        (
            Judge("allow", read_only=True),
            "library.lend writes, and this run is read-only (run the script without --read-only, or in another mode). "
            "Nothing was sent.",
        ),
        (
            Judge("allow", never_writes=True),
            "library.lend writes, and this run is read-only (leave out --read-only). Nothing was sent.",
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
    assert asked == [Approval("library.lend", "work", "write", {"book": "b-1"}, "Lend a book.")]
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


class Batches:
    """Approves lists of calls, and keeps them."""

    name = "ann"

    def __init__(self, answers: Callable[[Sequence[Approval]], Sequence[object]]) -> None:
        self.asked: list[Sequence[Approval]] = []
        self._answers = answers

    def __call__(self, approval: Approval) -> bool:
        return self.approve_many([approval])[0]

    def approve_many(self, approvals: Sequence[Approval]) -> Any:
        self.asked.append(approvals)
        return self._answers(approvals)


def decide_at_once(judge: Judge, count: int) -> list[str | None]:
    """Return why calls that are made at the same time may not be made."""
    together = Barrier(count)
    refusals: list[str | None] = [""] * count

    def call(number: int) -> None:
        together.wait()
        refusals[number] = decide(judge, WRITE)

    threads = [Thread(target=call, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refusals


@pytest.mark.slow
def test_calls_that_wait_together_are_one_question() -> None:
    """Who takes a list gets all that wait, and one answer each."""
    batches = Batches(lambda approvals: [True] * len(approvals))
    assert decide_at_once(Judge("ask", approve=batches), 27) == [None] * 27
    assert [len(batch) for batch in batches.asked] == [27]


@pytest.mark.slow
def test_what_comes_during_a_question_is_the_next_one() -> None:
    """While a question is open, further calls gather."""
    opened = Event()

    def slowly(approvals: Sequence[Approval]) -> list[bool]:
        if not opened.is_set():
            opened.set()
            sleep(0.3)
        return [True] * len(approvals)

    batches = Batches(slowly)
    judge = Judge("ask", approve=batches)
    first = Thread(target=decide, args=(judge, WRITE))
    first.start()
    opened.wait()
    assert decide_at_once(judge, 5) == [None] * 5
    first.join()
    assert [len(batch) for batch in batches.asked] == [1, 5]


@pytest.mark.slow
@pytest.mark.parametrize("answers", [[], [True], [1, "yes", None], [True] * 4])
def test_an_answer_that_does_not_match_its_calls_is_no(answers: list[object]) -> None:
    """Each call needs a True of its own."""
    judge = Judge("ask", approve=Batches(lambda approvals: answers))
    assert None not in decide_at_once(judge, 3)


@pytest.mark.slow
def test_an_approver_that_fails_lets_nothing_through() -> None:
    """The calls that waited with it are not allowed, and none waits for ever."""

    def fail(approvals: Sequence[Approval]) -> list[bool]:
        raise Denied("the approver is gone")

    assert set(decide_at_once(Judge("ask", approve=Batches(fail)), 4)) == {"the approver is gone. Nothing was sent."}


class Letters(Approver):
    """A channel that notes what it asks, and gets one answer after another."""

    def __init__(self, *answers: Consent) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[list[str]] = []

    def ask(self, approvals: Sequence[Approval]) -> Consent:
        self.asked.append([each.path for each in approvals])
        return self.answers.pop(0)


def test_a_channel_only_has_to_ask() -> None:
    """What was allowed or denied for good, and answers to one call after another, are remembered for it."""
    one, other = (Approval(f"shop.{name}", "default", "write", {}) for name in ("pay", "ship"))
    channel = Letters(Consent.EACH, Consent.ALWAYS, Consent.NO, Consent.NEVER)
    assert channel.approve_many([one, other]) == [True, False]
    assert channel(one)
    assert channel.asked == [["shop.pay", "shop.ship"], ["shop.pay"], ["shop.ship"]]
    assert not channel(other)
    assert channel.approve_many([one, other]) == [False, False]
    assert len(channel.asked) == 4


def test_a_yes_to_writes_is_none_to_what_the_same_function_destroys() -> None:
    """As one that takes a GraphQL document can do either; in a list, each has a heading of its own."""
    write, destroy = (Approval("shop.query", "default", effect, {}) for effect in ("write", "destroy"))
    channel = Letters(Consent.ALWAYS, Consent.NO)
    assert channel(write)
    assert not channel(destroy)
    assert grouped([write, destroy, write]) == [[write, write], [destroy]]


def when(otherwise: str = "ask", **parameters: object) -> dict[str, object]:
    return {"allow": parameters, "else": otherwise}


CONDITIONS: list[tuple[dict[str, object], str, dict[str, object], str]] = [
    # what the file says, the function, the arguments, and what holds
    ({"list_books": when(limit={"max": 3})}, READ, {"limit": 3}, "allow"),
    ({"list_books": when(limit={"max": 3})}, READ, {"limit": 4}, "ask"),
    ({"list_books": when("deny", limit={"max": 3})}, READ, {"limit": 4}, "deny"),
    ({"list_books": when(limit={"min": 2, "max": 3})}, READ, {"limit": 1}, "ask"),
    ({"list_books": when(limit={"max": 3})}, READ, {"other": 1}, "ask"),
    ({"list_books": when(limit=3)}, READ, {"limit": 3.0}, "allow"),
    ({"list_books": when(limit=1)}, READ, {"limit": True}, "ask"),
    ({"list_books": when(limit=[1, 2])}, READ, {"limit": 2}, "allow"),
    ({"list_books": when(limit=[1, 2])}, READ, {"limit": 3}, "ask"),
    ({"lend": when(book="b-1")}, WRITE, {"book": "b-1"}, "allow"),
    ({"lend": when(book="b-1")}, WRITE, {"book": "b-12"}, "ask"),
    ({"lend": when(book={"pattern": "b-[0-9]"})}, WRITE, {"book": "b-7"}, "allow"),
    ({"lend": when(book={"pattern": "b-[0-9]"})}, WRITE, {"book": "b-77"}, "ask"),
    ({"lend": when(book={"pattern": "b-[0-9]"})}, WRITE, {"book": "b-7\n"}, "ask"),
    ({"lend": when(book="b-1", note={"pattern": ".*"})}, WRITE, {"book": "b-1"}, "ask"),
    ({"l*": when(book="b-1"), "*d": "deny"}, WRITE, {"book": "b-1"}, "deny"),
    ({"l*": when(book="b-1"), "*d": "allow"}, WRITE, {"book": "b-2"}, "ask"),
    ({"burn_book": when(book="b-1")}, DESTROY, {"book": "b-1"}, "allow"),
    ({"burn_book": when(book="b-1")}, DESTROY, {"book": "b-1", "extra": {"body": {"book": "b-2"}}}, "ask"),
    ({"burn_book": when(book="b-1")}, DESTROY, {"book": "b-1", "extra_": {"body": {"book": "b-2"}}}, "ask"),
    ({"burn_book": when("deny", book="b-1")}, DESTROY, {"book": "b-1", "extra": {"query": {"book": "b-2"}}}, "deny"),
]


@pytest.mark.parametrize(("permissions", "name", "arguments", "expected"), CONDITIONS, ids=str)
def test_a_condition_is_about_the_arguments(
    permissions: dict[str, object], name: str, arguments: dict[str, object], expected: str
) -> None:
    """It allows a call whose arguments are all as it says; for any other, and one that lacks them, the rest holds."""
    outcomes = [decide(Judge(permissions, approve=answer), name, **arguments) is None for answer in (None, bool)]
    assert outcomes == {"allow": [True, True], "ask": [False, True], "deny": [False, False]}[expected]


def test_a_refusal_names_the_argument() -> None:
    """It says what the argument is and what it has to be; a question says it too."""
    said = decide(Judge({"lend": when("deny", book=["b-1", "b-2"])}), WRITE, book="b-3")
    assert "the account's permissions deny that: book must be one of 'b-1', 'b-2', not \"b-3\"" in str(said)
    asked: list[Approval] = []
    decide(Judge({"list_books": when(limit={"max": 3})}, approve=asked.append), READ, limit=9)
    assert [each.why for each in asked] == ["limit must be a number of at most 3, not 9"]


def test_a_condition_is_listed_in_words() -> None:
    """A list of permissions says what a function is allowed with, and what holds else."""
    rules = Judge({"lend": when("deny", book=["b-1", "b-2"], note={"pattern": "x+"})}).accounts.rules(LIBRARY, "work")
    assert rules.permissions == {
        "lend": 'allow if book is "b-1" or "b-2" and note is a string of length at most 256 that matches \'x+\', '
        "else deny"
    }


@pytest.mark.parametrize(
    ("permissions", "problem"),
    [
        ({"lend": {"allow": {"bok": "b-1"}}}, "lend has no parameter 'bok' (did you mean 'book'?)"),
        ({"lend": {"allow": {"book": 1}}}, "lend.book must be a string, not 1"),
        ({"lend": {"allow": {"book": {"max": 3}}}}, "lend.book is a string, and min and max are for numbers"),
        ({"list_books": {"allow": {"limit": {"pattern": "3"}}}}, "limit is an integer in 1..100, and pattern is for"),
        ({"list_books": {"allow": {"limit": [1, 101]}}}, "limit must be an integer in 1..100, not 101"),
        ({"list_books": {"allow": {"limit": {"max": "3"}}}}, 'limit.max must be a number, not "3" (a string)'),
        ({"list_books": {"allow": {"limit": {"most": 3}}}}, "limit takes min, max or both, or pattern, not most"),
        ({"list_books": {"allow": {"limit": []}}}, "limit must be a value, or a list of at least one"),
        ({"lend": {"allow": {"book": {"pattern": "("}}}}, 'pattern must be a regular expression, not "("'),
        ({"lend": {"allow": {}}}, "allow must be a table of parameters"),
        ({"lend": {"else": "ask"}}, "lend must be a permission or as in { allow ="),
        ({"lend": {"allow": {"book": "b"}, "else": "allow"}}, "lend must be a permission or as in { allow ="),
        ({"write": {"allow": {"book": "b"}}}, "write takes no condition, since that is for a function"),
        ({"l*": {"allow": {"bok": "b"}}}, "l* has no parameter 'bok'"),
    ],
    ids=str,
)
def test_a_wrong_condition_is_refused(permissions: dict[str, object], problem: str) -> None:
    """A parameter that no function has, or a value that it cannot have, is a mistake in the file, with its place."""
    with pytest.raises(ConfigError) as told:
        Judge(permissions).accounts.rules(LIBRARY, "work")
    assert told.value.message.startswith("/home/ann/accounts.toml: [library.work] permissions: ")
    assert problem in told.value.message


def test_the_ceiling_of_a_tenant_takes_conditions() -> None:
    """The stricter of both holds for each call."""
    rules = Rules(
        [("library", {"lend": "allow"})], "library", Ceiling("tenants.acme", {"library.lend": when(book="b-1")})
    )
    rule = rules.of_function(LIBRARY.functions[WRITE])
    assert rule.of_call({"book": "b-1"}).permission == "allow"
    assert rule.of_call({"book": "b-2"}).permission == "ask"
    assert rule.of_call({"book": "b-2"}).section == "tenants.acme"
