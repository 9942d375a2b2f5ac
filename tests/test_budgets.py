"""Budgets: how much scripts may do in an hour or a day, over all runs and processes of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Loopback
from support.yard import Yard, yard

from kosmolua import ConfigError, Outcome, Runtime
from kosmolua.accounts.sections import Sections
from kosmolua.catalog.plugins import Plugins
from kosmolua.stores.folder_store import Folder

pytestmark = pytest.mark.slow

ADD = 'app.integrations.yard.add_item({ name = "a" })'
LIST = "app.integrations.yard.list_items()"
DELETE = 'app.integrations.yard.delete_item({ id = "i-1" })'
Make = Callable[..., tuple[Runtime, Yard]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a function that makes a runtime with budgets, over a service, and returns both."""
    opened: list[Any] = []

    def make(budgets: dict[str, Any], of_account: dict[str, Any] | None = None, **options: Any) -> tuple[Runtime, Yard]:
        service = Yard()
        opened.append(loopback := Loopback(service).__enter__())
        account: dict[str, Any] = {"url": loopback.url, "permissions": {"write": "allow"}}
        account |= {"budgets": of_account} if of_account else {}
        accounts = {"yard": {"work": account}, "kosmolua": {"budgets": budgets}}
        plugins = Plugins([yard()], places=(), entry_points=dict)
        given = {"store": Folder(tmp_path / "runs"), "allow": ["*"], **options}
        opened.append(runtime := Runtime(accounts, plugins=plugins, environ={}, journal=False, **given))
        return runtime, service

    yield make
    for each in reversed(opened):
        each.__exit__(None, None, None)


def per_day(most: float) -> dict[str, object]:
    return {"max": most, "per": "day"}


def refusal(outcome: Outcome) -> str:
    assert outcome.error is not None
    assert outcome.error.code == "limit_exceeded"
    return outcome.error.message


@pytest.mark.parametrize(
    ("budgets", "of_account", "script", "sent", "named"),
    [
        ({"writes": per_day(2)}, {}, f"{ADD} {ADD} {LIST} {ADD}", 2, 'writes = { max = 2, per = "day" } of [kosmolua.'),
        ({"writes": per_day(1)}, {}, f"{DELETE} {ADD}", 1, "writes = { max = 1"),
        ({"destroys": per_day(1)}, {}, f"{ADD} {DELETE} {DELETE}", 2, "destroys = { max = 1"),
        ({"calls": per_day(3)}, {}, f"{LIST} {LIST} {ADD} {ADD}", 1, "calls = { max = 3"),
        ({"yard.add_*": {"writes": per_day(1)}}, {}, f"{DELETE} {ADD} {ADD}", 2, "of yard.add_* in [kosmolua.budgets]"),
        ({}, {"writes": per_day(1)}, f"{ADD} {ADD}", 1, "of [yard.work] is used up"),
        ({"writes": per_day(5)}, {"writes": per_day(1)}, f"{ADD} {ADD}", 1, "of [yard.work] is used up"),
        ({"minutes": per_day(1e-9)}, {}, f"{LIST} {ADD}", 0, "minutes = { max = 1e-09"),
        ({"yard.*": {"minutes": per_day(1e-5)}}, {}, f"while true do {LIST} end", 0, "minutes = { max = 1e-05"),
    ],
    ids=str,
)
def test_a_budget_that_is_used_up_ends_the_script(
    make: Make, budgets: dict[str, Any], of_account: dict[str, Any], script: str, sent: int, named: str
) -> None:
    """What is beyond it is not sent; no script can catch that, and the error names the budget."""
    runtime, service = make(budgets, of_account)
    said = refusal(runtime.run(f"return pcall(function() {script} end)"))
    assert named in said
    assert "Nothing was sent." in said
    assert len(service.log) == sent


def test_a_budget_holds_over_runs(make: Make) -> None:
    """A further run, of another runtime with the same store too, has what is left."""
    runtime, _ = make({"writes": per_day(2)})
    other, service = make({"writes": per_day(2)})
    assert runtime.run(ADD).ok
    assert other.run(ADD).ok
    assert "is used up" in refusal(other.run(ADD))
    assert len(service.log) == 1


def test_a_budget_begins_anew(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next hour has all of it."""
    now = 1_700_000_000.0
    monkeypatch.setattr("kosmolua.stores.budgets.time.time", lambda: now)
    runtime, _ = make({"writes": {"max": 1, "per": "hour"}})
    assert runtime.run(ADD).ok
    refusal(runtime.run(ADD))
    now += 3_600
    assert runtime.run(ADD).ok


def test_a_call_that_one_budget_refuses_takes_from_no_other(make: Make) -> None:
    """Otherwise attempts alone would use up the wider budget."""
    runtime, _ = make({"writes": per_day(3), "yard.add_*": {"writes": per_day(1)}})
    assert runtime.run(ADD).ok
    for _ in range(3):
        refusal(runtime.run(ADD))
    assert runtime.run(f"{DELETE} app.integrations.yard.delete_item({{ id = 'i-2' }})").ok


@pytest.mark.parametrize("options", [{"simulate": True}, {"approve": lambda _: False, "allow": []}])
def test_what_is_not_sent_costs_nothing(make: Make, options: dict[str, Any]) -> None:
    """Neither a simulated call nor one that a person denies takes from a budget."""
    runtime, _ = make({"destroys": per_day(1)}, **options)
    runtime.run(f"pcall(function() {DELETE} end)")
    live, service = make({"destroys": per_day(1)})
    assert live.run(DELETE).ok
    assert len(service.log) == 1


@pytest.mark.parametrize(
    ("budgets", "problem"),
    [
        ({"writes": 10}, 'writes must be a table, such as { max = 10, per = "day" }, not 10'),
        ({"writes": {"max": 10}}, "writes must have the key per"),
        ({"writes": {"max": 0, "per": "day"}}, "writes.max must be an integer of at least 1, not 0"),
        ({"writes": {"max": 1, "per": "week"}}, "writes.per must be one of 'hour', 'day'"),
        ({"write": per_day(1)}, "unknown key 'write' in [kosmolua.budgets] (did you mean 'writes'?)"),
        ({"yard.*": {"wrties": per_day(1)}}, "has the unknown key 'wrties' (did you mean 'writes'?)"),
    ],
    ids=str,
)
def test_a_wrong_budget_is_refused(budgets: dict[str, Any], problem: str) -> None:
    """A typo must not widen what scripts may spend."""
    with pytest.raises(ConfigError) as told:
        Sections({"kosmolua": {"budgets": budgets}}, Path("/home/ann/accounts.toml"))
    assert problem in told.value.message


def test_a_pattern_that_matches_nothing_is_refused(make: Make) -> None:
    """Nothing is sent before that is known."""
    with pytest.raises(ConfigError, match=r"\[kosmolua.budgets\] yrad.\* matches no function"):
        make({"yrad.*": {"writes": per_day(1)}})
