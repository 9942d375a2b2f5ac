"""kosmolua policy: permissions suggested by recorded runs, and those of a file tested against them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from support.page import CLEAN_UP, REPORT, RESTART

from kosmolua import Runtime
from kosmolua.recordings.policies import calls_in, suggested
from kosmolua.recordings.recording import Recording, read
from kosmolua.schema.settings import parsed

Record = Callable[[str], Recording]
HEAD = "local r = app.integrations.render2.staging local s = r.list_services({ limit = 3 }).services "


@pytest.fixture
def record(simulated: Runtime, tmp_path: Path) -> Record:
    """Return a function that runs a script over simulators and returns its recording."""
    count = 0

    def record(source: str) -> Recording:
        nonlocal count
        count += 1
        path = tmp_path / f"run-{count}.jsonl"
        simulated.run(source, record=str(path))
        return read(path)

    return record


def policy_of(*recordings: Recording) -> dict[str, dict[str, Any]]:
    def bind(_: object, given: Any) -> Any:
        return given[0] if given else {}

    return suggested(call for each in recordings for call in calls_in(each, bind))


def test_the_arguments_seen_are_allowed(record: Record) -> None:
    """One value is exact, several are a list, a parameter that only some calls have is free, and the rest is denied."""
    first = record(HEAD + "r.set_env_var({ service_id = s[1].id, key = 'A', value = 'one' })")
    second = record("app.integrations.render2.staging.get_current_user()" + HEAD.replace("3", "5"))
    policy = policy_of(first, second)["render2.staging"]
    assert policy["list_services"] == {"allow": {"limit": [3, 5]}, "else": "ask"}
    assert policy["set_env_var"]["allow"]["key"] == "A"
    assert policy["get_current_user"] == "allow"
    assert (policy["read"], policy["write"], policy["destroy"]) == ("deny", "deny", "deny")


@pytest.mark.parametrize(
    ("others", "expected"),
    [(None, "allow"), ({"query": {"a": 1}}, {"allow": {"id": "s", "extra": [{"query": {"a": 1}}]}, "else": "ask"})],
    ids=str,
)
def test_what_extra_adds_is_a_part_of_the_condition(others: object, expected: object) -> None:
    """Since a condition that does not name it lets no call through that has it."""
    about = {"path": "shop.pay", "account": "work"}
    given = [{"id": "s", "extra": {"query": {"a": 1}}}, {"id": "s", "extra": others}]
    assert suggested({**about, "arguments": each} for each in given)["shop.work"]["pay"] == expected


@pytest.mark.slow
def test_many_numbers_become_bounds(record: Record) -> None:
    """And many texts are not held to anything."""
    loop = "for n = 1, 30 do pcall(r.get_service, { service_id = 'srv-' .. n }) r.list_services({ limit = n }) end"
    policy = policy_of(record(HEAD + loop))["render2.staging"]
    assert policy["list_services"]["allow"] == {"limit": {"min": 1, "max": 30}}
    assert policy["get_service"] == "allow"


@pytest.mark.slow
def test_what_was_refused_is_not_allowed(tmp_path: Path) -> None:
    """A call that nobody approved is none that is to run; one that waits is."""
    with Runtime({}, simulate=True, environ={}, approve=lambda _: False) as runtime:
        runtime.run(RESTART, record=str(tmp_path / "denied.jsonl"))
    with Runtime({}, simulate=True, environ={}) as runtime:
        assert runtime.run(RESTART, record=str(tmp_path / "paused.jsonl")).status == "paused"
    assert "restart_service" not in policy_of(read(tmp_path / "denied.jsonl"))["render2.default"]
    assert "restart_service" in policy_of(read(tmp_path / "paused.jsonl"))["render2.default"]


SCRIPTS = [
    RESTART,
    CLEAN_UP,
    REPORT,
    *(HEAD + f"r.scale_service({{ service_id = s[1].id, num_instances = {n} }})" for n in range(1, 6)),
    *(HEAD + f"r.set_env_var({{ service_id = s[1].id, key = 'K{n}', value = 'value {n}' }})" for n in range(6)),
    *(HEAD + f"return #r.list_deploys({{ service_id = s[{n}].id, limit = {n} }}).deploys" for n in range(1, 4)),
    HEAD + "r.delete_service({ service_id = s[3].id })",
    'app.integrations.github.create_comment({ repo = "lovelace/engine", number = 1, body = "Seen" })',
    'return app.integrations.github.list_issues({ repo = "lovelace/engine", limit = 2 })',
]


@pytest.mark.slow
def test_twenty_runs_need_no_question(record: Record) -> None:
    """With the permissions that they suggest, they run again without a question, and other functions are denied."""
    assert len(SCRIPTS) == 20
    accounts: dict[str, Any] = {}
    for section, permissions in policy_of(*map(record, SCRIPTS)).items():
        integration, _, account = section.partition(".")
        accounts.setdefault(integration, {})[account] = {"permissions": permissions}
    with Runtime(accounts, simulate=True, environ={}, flow="off") as runtime:
        for script in SCRIPTS:
            calls = runtime.run(script).calls
            assert calls
            assert [call for call in calls if call["status"] == "refused"] == []
        others = [
            runtime.catalog.resolve(f"{integration}.{account}.{name}").rule.permission
            for integration, table in accounts.items()
            for account, own in table.items()
            for name in runtime.catalog.integration(integration).functions
            if name not in own["permissions"]
        ]
    assert len(others) > 50
    assert others.count("deny") >= 0.95 * len(others)


def test_the_command_prints_a_section_that_passes_its_own_test(record: Record, kosmolua: Program, write: Write) -> None:
    """What is suggested allows the run that it comes from; a narrower file says what it would ask about and deny."""
    path = record(HEAD + "r.scale_service({ service_id = s[1].id, num_instances = 2 })").path
    policy = kosmolua("policy", "suggest", path).stdout
    assert "[render2.staging.permissions]" in policy
    assert parsed(policy, "policy.toml")["render2"]["staging"]["permissions"]["read"] == "deny"
    done = kosmolua("policy", "test", write("policy.toml", policy), path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 allowed")

    narrow = "[render2.staging.permissions]\nread = 'deny'\nscale_service = { allow = { num_instances = 1 } }"
    done = kosmolua("policy", "test", write("narrow.toml", narrow), path, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert [each["verdict"] for each in told["calls"]] == ["denied", "asked"]
    assert told["calls"][1]["why"] == "num_instances must be one of 1, not 2"


def test_of_runs_without_calls_nothing_is_suggested(record: Record, kosmolua: Program) -> None:
    """The command says so, and prints nothing that could be taken for permissions."""
    done = kosmolua("policy", "suggest", record("return 1").path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "these runs made no calls that were allowed, so there is nothing to suggest" in done.stderr
