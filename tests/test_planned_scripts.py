"""Plans of forty scripts against a service over HTTP: what is planned is what arrives, or nothing does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.loopback import Loopback
from support.yard import Yard, log_of, yard

from kosmolua import Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import Stale
from kosmolua.recordings.placeholders import filled
from kosmolua.recordings.plans import Plan

INPUT = [{"id": "i-1", "note": "given"}, {"id": "i-2", "note": "too"}]
CHANGES: dict[str, Any] = {"name": "another name", "size": 999, "state": "broken", "note": "changed"}
CALLED = {"add_item": "POST", "set_item": "PUT", "start_item": "POST", "delete_item": "DELETE"}


class Script(NamedTuple):
    """A script, and the fields of items on which its writes depend."""

    name: str
    uses: frozenset[str]
    source: str


def scripts() -> list[Script]:
    """Return the scripts in ``lua/planned_scripts.txt``."""
    text = (Path(__file__).parent / "lua" / "planned_scripts.txt").read_text()
    found = re.findall(r"^--- (.*), uses (.*)\n((?:(?!--- ).*\n)*)", text, re.MULTILINE)
    heading = "local yard = app.integrations.yard\n"
    return [Script(name, frozenset(uses.split()) - {"nothing"}, heading + source) for name, uses, source in found]


SCRIPTS = scripts()


@pytest.fixture(scope="module")
def service() -> Yard:
    """The service."""
    return Yard()


@pytest.fixture(scope="module")
def runtime(service: Yard) -> Iterator[Runtime]:
    """A runtime with the service's integration only, which has nobody to ask."""
    with Loopback(service) as server:
        plugins = Plugins([yard()], places=(), entry_points=dict)
        with Runtime({"yard": {"default": {"url": server.url}}}, plugins=plugins, environ={}) as runtime:
            yield runtime


def expected(plan: Plan, service: Yard) -> list[str]:
    """Return what the log of the service has after the plan was applied."""
    ids = {item["name"]: item for item in service.items.values()}
    results = {f"{call.path}#{call.number}": {"item": ids.get(call.arguments.get("name"))} for call in plan.writes}
    log = []
    for call in plan.writes:
        given = filled({key: each for key, each in call.arguments.items() if each is not None}, results)
        function = call.path.rpartition(".")[2]
        given |= {"size": given.get("size", 1)} if function == "add_item" else {}
        log.append((CALLED[function], given.pop("id", ""), given or None))
    return log_of(log)


def test_there_are_forty_scripts() -> None:
    """Half of them with random numbers, clocks, input, branches, waits or pages."""
    assert len(SCRIPTS) == 40


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_what_is_planned_is_what_arrives(runtime: Runtime, service: Yard, script: Script) -> None:
    """Planning sends no write; applying sends those of the plan, each once."""
    service.reset()
    plan = runtime.plan(script.source, input=INPUT)
    assert not plan.refused
    assert not plan.is_open
    assert service.log == []
    outcome = runtime.apply(plan)
    assert outcome.error is None
    assert outcome.warnings == []
    assert log_of(service.log) == expected(plan, service)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_plan_is_stale_only_if_a_write_depends_on_what_changed(
    runtime: Runtime, service: Yard, script: Script
) -> None:
    """Each field of what it read in turn: stale before the first write if a write depends on it, and not otherwise."""
    for field, value in CHANGES.items():
        service.reset()
        plan = runtime.plan(script.source, input=INPUT)
        service.items["i-2"][field] = value
        outcome = runtime.apply(plan)
        if field in script.uses:
            assert isinstance(outcome.error, Stale), field
            assert service.log == [], field
        else:
            assert outcome.error is None, field
            assert log_of(service.log) == expected(plan, service), field
