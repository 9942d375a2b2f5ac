"""The runs of a server's tenants on the command line: where they are found, and that a tenant's permissions hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Program
from support.page import ACCOUNTS, RESTART

from kosmolua import Runtime
from kosmolua.stores.opening import open_stores
from kosmolua.stores.store import Vote, ballot

TENANT = "acme"
Recorded = Callable[..., str]


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    """Return a function that records a run of a tenant in a store, which pauses, and returns its id."""
    accounts = tmp_path / "recording.toml"
    accounts.touch(mode=0o600)
    accounts.write_text(ACCOUNTS)

    def recorded(where: str, source: str = RESTART, tenant: str = TENANT) -> str:
        stores = open_stores(where)
        with Runtime(accounts, simulate=True, store=stores.of(tenant), environ={}) as runtime:
            outcome = runtime.run(source, record=True, name="restart.lua", client="an agent 1.0")
        stores.close()
        assert outcome.run
        return outcome.run

    return recorded


@pytest.fixture
def accounts(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the accounts file of a server."""

    def accounts(store: str | None = None, permissions: str = "") -> Path:
        own = f'[serve]\nstore = "{store}"\n' if store else ""
        path = tmp_path / "accounts.toml"
        path.touch(mode=0o600)
        tenant = f'[tenants.{TENANT}]\ntoken = {{ env = "NOT_SET_HERE" }}\npermissions = {{ {permissions} }}\n'
        path.write_text(f"{ACCOUNTS}\n{own}\n{tenant}")
        return path

    return accounts


@pytest.mark.slow
def test_a_tenants_run_is_listed_shown_approved_and_repeated(
    kosmolua: Program, tmp_path: Path, recorded: Recorded, accounts: Callable[..., Path]
) -> None:
    """In the database that the accounts file names, by the beginning of its id."""
    where = f"sqlite:///{tmp_path}/runs.db"
    run = recorded(where)
    of = ("--tenant", TENANT, "--accounts", accounts(where))
    [listed] = json.loads(kosmolua("runs", "list", *of, "--json").stdout)
    assert listed["run"] == run
    assert listed["status"] == "paused"
    assert listed["waiting"] == 1
    assert listed["script"] == "restart.lua"
    assert listed["client"] == "an agent 1.0"
    assert run in kosmolua("runs", *of).stdout
    shown = json.loads(kosmolua("runs", "show", run[:6], *of, "--json").stdout)
    assert [call["path"] for call in shown["calls"]] == ["render2.list_services", "render2.restart_service"]

    done = kosmolua("resume", run[:6], *of, "--approve")
    assert done.stdout.split()[0] == "restarted", done.stderr
    assert done.returncode == 0, done.stderr
    assert f"kosmolua replay {run} --tenant {TENANT} repeats it" in done.stderr
    assert kosmolua("replay", run, *of).stdout == done.stdout
    [audit] = tmp_path.rglob("audit.jsonl")
    line = json.loads(audit.read_text())
    assert (line["tenant"], line["run"], line["client"], line["status"]) == (TENANT, run, "kosmolua resume", "done")
    assert line["person"].endswith("at the terminal")
    assert [(each["path"], each["count"]) for each in line["did"]] == [("render2.restart_service", 1)]
    assert kosmolua("audit", "verify").stdout.startswith("1 lines, all as written")
    journal = tmp_path.rglob(f"tenants/{TENANT}/journal.jsonl")
    assert not [*journal], "simulated calls are in no journal"

    assert kosmolua("runs", "prune", *of).stdout == "removed 0 recordings\n"
    assert json.loads(kosmolua("runs", "prune", "--keep", "0s", *of, "--json").stdout) == {"removed": 1}
    assert kosmolua("runs", *of, "--json").stdout == "[]\n"


@pytest.mark.slow
def test_a_yes_at_the_terminal_is_one_of_two(
    kosmolua: Program, tmp_path: Path, recorded: Recorded, accounts: Callable[..., Path]
) -> None:
    """Said twice it is still one; with that of another person the call is made."""
    where = str(tmp_path / "store")
    run, file = recorded(where), accounts(where)
    file.write_text(f"{file.read_text()}\n[kosmolua.approvals]\nwrite = 2\n")
    of = ("--tenant", TENANT, "--accounts", file, "--approve")
    for _ in range(2):
        assert kosmolua("resume", run, *of).returncode == 75
    store = open_stores(where).of(TENANT)
    (call,) = store.read(run).paused_calls
    assert "at the terminal, and 2 people must" in call["why"]
    assert store.vote(ballot(run, call), Vote("ann@corp.example", "1"))
    done = kosmolua("resume", run, *of)
    assert done.stdout.split()[0] == "restarted", done.stderr


@pytest.mark.slow
def test_what_is_typed_goes_before_the_variable_and_that_before_the_file(
    kosmolua: Program, tmp_path: Path, recorded: Recorded, accounts: Callable[..., Path], home: Path
) -> None:
    """Without any of them a tenant's runs are in its folder, and without a tenant they are the user's own."""
    typed, variable, file = (str(tmp_path / name) for name in ("typed", "variable", "file"))
    state = home / ".local" / "state" / "kosmolua" / "tenants"
    runs = {where: recorded(where, "return 1") for where in (typed, variable, file)}
    kept = recorded(str(state), "return 1", TENANT)
    (state / TENANT / "recordings").mkdir()
    (state / TENANT / f"{kept}.jsonl").rename(state / TENANT / "recordings" / f"{kept}.jsonl")

    def listed(*words: object, store: str | None = file, **variables: str) -> list[str]:
        done = kosmolua("runs", "list", "--json", "--accounts", accounts(store), *words, variables=variables)
        assert done.returncode == 0, done.stderr
        return [each["run"] for each in json.loads(done.stdout)]

    of = ("--tenant", TENANT)
    assert listed(*of, "--store", typed, KOSMOLUA_STORE=variable) == [runs[typed]]
    assert listed(*of, KOSMOLUA_STORE=variable) == [runs[variable]]
    assert listed(*of) == listed(KOSMOLUA_TENANT=TENANT) == [runs[file]]
    assert listed(*of, store=None) == [kept]
    own = kosmolua("runs", variables={"KOSMOLUA_STORE": variable})
    assert "journal" in own.stderr, "the user has made no calls"
    assert (own.returncode, own.stdout) == (0, ""), "the user has made no calls"


@pytest.mark.slow
def test_a_tenants_permissions_hold(
    kosmolua: Program, tmp_path: Path, recorded: Recorded, accounts: Callable[..., Path]
) -> None:
    """What the accounts file denies the tenant is denied, whoever approves it; what it must ask about is asked."""
    where = str(tmp_path / "runs")
    denied, allowed = recorded(where), recorded(where)
    of = ("--tenant", TENANT, "--accounts")
    done = kosmolua("resume", denied, *of, accounts(where, '"render2.restart_*" = "deny"'), "--approve")
    assert done.returncode == 1
    assert "tenants.acme" in done.stderr
    asking = accounts(where, 'write = "ask"')
    assert kosmolua("resume", allowed, *of, asking).returncode != 0
    [call] = open_stores(where).of(TENANT).waiting()
    assert call.run == allowed
    assert kosmolua("resume", allowed, *of, asking, "--yes").returncode == 0


@pytest.mark.slow
def test_what_is_wrong_is_told(kosmolua: Program, tmp_path: Path, accounts: Callable[..., Path]) -> None:
    """In a sentence, before anything is done."""
    path = accounts(str(tmp_path / "runs"))
    for words, told in (
        (("--tenant", "acmee"), "has no tenant 'acmee' (did you mean 'acme'?)"),
        (("--store", "runs"), "--store applies only to the recordings of a tenant (name the tenant with --tenant)"),
        (("--tenant", "../acme"), "cannot be the name of a tenant"),
        (("--tenant", TENANT, "--store", "mysql://x/y"), "cannot be kept in a database of the kind mysql"),
        (("--tenant", TENANT, "journal.jsonl"), "Name a journal or a --tenant, but not both"),
    ):
        done = kosmolua("runs", "list", *words, "--accounts", path)
        assert done.returncode in (2, 3)
        assert told in done.stderr
    missing = kosmolua("replay", "0123", "--tenant", TENANT, "--accounts", path)
    assert "There is no recording '0123'" in missing.stderr
    assert missing.returncode == 2
