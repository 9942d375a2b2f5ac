"""Quotas of a tenant: runs a minute, calls a day, calls that wait, disk; and what one cannot take from others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from support.agents import execute
from support.serving import ACME, GLOBEX, agent, serving

from kosmolua import ConfigError, Runtime
from kosmolua.broker.tenancy import Tenancy
from kosmolua.lua.syntax import parse
from kosmolua.mcp.clients import client_of
from kosmolua.serve.quotas import Quotas
from kosmolua.serve.settings import TenantSettings, read
from kosmolua.stores.folder_store import Folder


class Time:
    """A clock that the test moves."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def quotas(tmp_path: Path) -> Callable[..., Quotas]:
    """Return a function that makes the quotas of a tenant in a process of its own; all have one store."""

    def quotas(time: Time, **settings: Any) -> Quotas:
        given = TenantSettings("acme", **settings)
        return Quotas(lambda: given, lambda: Folder(tmp_path), time)

    return quotas


def test_runs_a_minute(quotas: Callable[..., Quotas]) -> None:
    """Whoever starts too many, in whichever process, is told when to come back, and can start then."""
    time = Time()
    one, two = quotas(time, runs_per_minute=2), quotas(time, runs_per_minute=2)
    assert one.admit() is None
    time.now += 5
    assert two.admit() is None
    for refused in (one.admit(), two.admit()):
        assert refused is not None
        assert refused.fields()["retry_after"] == 15, "the minute ends then"
    time.now += 15
    assert one.admit() is None


def test_calls_a_day(quotas: Callable[..., Quotas]) -> None:
    """They are counted as they end, and a new day begins at midnight (UTC). A refused call counts as none."""
    time = Time()
    one, two = quotas(time, calls_per_day=3), quotas(time, calls_per_day=3)
    assert one.admit() is None
    for status in ("ok", "refused", "error"):
        one.called(record(status))
    assert one.calls_left == 1
    one.add_calls()
    assert two.admit() is None
    assert two.calls_left == 1
    two.called(record("ok"))
    refused = two.admit()
    assert refused is not None
    assert refused.fields()["retry_after"] == 86_400 - 1_000_000 % 86_400
    time.now += 86_400
    assert one.admit() is None
    assert one.calls_left == 3


def test_a_long_run_is_counted_while_it_is_active(quotas: Callable[..., Quotas]) -> None:
    """So another process learns of its calls before it ends."""
    time = Time()
    one, two = quotas(time, calls_per_day=150), quotas(time, calls_per_day=150)
    for _ in range(149):
        one.called(record("ok"))
    assert two.admit() is None
    assert two.calls_left == 50


def test_waiting_calls() -> None:
    """The store is asked only when it matters, and what was decided since lets runs begin again."""
    time = Time()
    found = [9]
    store: Any = SimpleNamespace(waiting=lambda: [None] * found[0])
    settings = TenantSettings("acme", max_waiting=10)
    tenant = Quotas(lambda: settings, lambda: store, time)
    assert tenant.uses_store
    assert tenant.admit() is None
    assert not tenant.uses_store
    tenant.paused(1)
    refused = tenant.admit()
    assert refused is not None
    assert "wait for a person" in refused.message
    assert not tenant.uses_store
    time.now += 6
    assert tenant.uses_store
    found[0] = 3
    assert tenant.admit() is None


def record(status: str) -> Any:
    return SimpleNamespace(status=status)


@pytest.mark.slow
def test_a_server_refuses_one_tenant_and_serves_another(tmp_path: Path) -> None:
    """The answer has the code, whether to try again, and when."""
    text = f"""\
[serve]
approval_wait = "1s"

[tenants.acme]
token = "{ACME}"
runs_per_minute = 2
calls_per_day = 3

[tenants.globex]
token = "{GLOBEX}"
max_waiting = 1
"""
    calls = "for i = 1, 3 do app.integrations.render2.get_current_user() end return 'three'"
    write = "app.integrations.render2.suspend_service('srv-cabc12345678')"

    async def main() -> None:
        async with agent(server.url, ACME) as acme, agent(server.url, GLOBEX) as globex:
            assert await told(acme, calls) == ["three"]
            assert (await told(acme, "return 1"))["code"] == "rate_limited"
            assert (await told(globex, write))["code"] == "paused"
            refused = await told(globex, "return 1")
            assert refused["code"] == "rate_limited"
            assert refused["retryable"] is True
            assert refused["retry_after"] == 30

    async def told(client: Any, code: str) -> Any:
        found = (await execute(client, code)).structured_content
        return found.get("error") or found["result"]

    with serving(tmp_path, text, "--simulate") as server:
        asyncio.run(main())


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Runtime]]:
    """Return a function that makes a tenant's runtime whose recordings can use so many bytes."""
    monkeypatch.setattr("kosmolua.stores.store.pause_after", lambda seconds: 0.0)
    monkeypatch.setattr("kosmolua.recordings.recording.ROOM_STEP", 5_000)
    with ExitStack() as stack:

        def stored(most: int) -> Runtime:
            tenancy = Tenancy("acme", str(tmp_path), {}, max_disk=most)
            return stack.enter_context(Runtime(simulate=True, environ={}, store=Folder(tmp_path), tenancy=tenancy))

        yield stored


def test_recordings_use_no_more_disk_than_allowed(stored: Callable[[int], Runtime]) -> None:
    """The oldest are removed; if one that waits leaves no room, the next run is refused, with the key to raise."""
    runtime = stored(10_000)
    assert all(runtime.run(f"return {n} -- {'x' * 5000}", record=True).ok for n in range(5))
    assert len(runtime.store.runs()) <= 3
    asking = "app.integrations.render2.suspend_service('srv-cabc12345678')"
    assert runtime.run(asking, record=True).status == "paused"
    refused = stored(100).run("return 1", record=True).error
    assert refused is not None
    assert refused.code == "limit_exceeded"
    assert "max_disk in [tenants.acme]" in str(refused)


def test_a_run_that_records_more_than_the_disk_allowed_is_ended(stored: Callable[[int], Runtime]) -> None:
    """So a tenant does not go beyond it by one long run, and what was recorded can be resumed."""
    runtime = stored(30_000)
    outcome = runtime.run("for _ = 1, 200 do app.integrations.render2.list_services({}) end", record=True)
    assert outcome.status == "limit"
    assert "more than 30,000" in str(outcome.error)
    assert 0 < len(outcome.calls) < 100


@pytest.mark.parametrize(("given", "told"), [('"2GiB"', None), ("-5", "must be"), ('"much"', "must be a size")])
def test_the_quota_of_disk_is_a_size(tmp_path: Path, given: str, told: str | None) -> None:
    """A mistake in the accounts file is told with its key."""
    file = tmp_path / "accounts.toml"
    file.touch(mode=0o600)
    file.write_text(f'[tenants.acme]\ntoken = "{ACME}"\nmax_disk = {given}\n')
    if told is None:
        assert read(str(file)).tenants["acme"].max_disk == 2 * 1024**3
    else:
        with pytest.raises(ConfigError, match=f"max_disk.* {told}"):
            read(str(file))


def test_brackets_beyond_what_lua_allows_are_not_parsed() -> None:
    """They take the parser long. Lua refuses them, so nothing is lost, and 200 of them are parsed."""
    assert parse("return " + "(" * 3000 + "1" + ")" * 3000) is None
    assert parse("return " + "(" * 200 + "1" + ")" * 200) is not None
    assert parse("f() " * 500) is not None


def test_clients_without_a_cookie_are_told_apart_by_their_tokens() -> None:
    """Two agents behind one proxy are two clients, as far as their tokens differ."""

    def name(token: str) -> str | None:
        headers = [(b"authorization", f"Bearer {token}".encode())]
        return client_of(Request({"type": "http", "client": ("10.0.0.1", 1), "headers": headers}), "agent 1")

    assert name("one") == name("one")
    assert name("one") != name("two")
    assert "one" not in str(name("one")).removeprefix("address 10.0.0.1 ")


@pytest.mark.parametrize(
    ("least", "own", "holds"), [("deny", "off", "deny"), ("note", "ask", "ask"), (None, "off", "off")]
)
def test_a_tenant_cannot_weaken_what_its_operator_says_about_flows(
    tmp_path: Path, least: str | None, own: str, holds: str
) -> None:
    """The stricter mode holds; the server's file has one for all tenants."""
    file = tmp_path / "accounts.toml"
    file.touch(mode=0o600)
    said = f'[kosmolua.flow]\nmode = "{least}"\n' if least else ""
    file.write_text(f'{said}[tenants.acme]\ntoken = "{ACME}"\n')
    flow = read(str(file)).tenants["acme"].flow
    assert flow == least
    accounts = {"kosmolua": {"flow": {"mode": own}}}
    tenancy = Tenancy("acme", str(tmp_path), {}, flow=flow)
    with Runtime(accounts, environ={}, store=Folder(tmp_path), tenancy=tenancy) as runtime:
        assert runtime._host.flow_mode == holds


@pytest.mark.parametrize("can_trust", [True, False], ids=["no mode", "a mode of the operator"])
def test_a_tenant_cannot_trust_what_its_operator_distrusts(tmp_path: Path, *, can_trust: bool) -> None:
    """Where the operator says a mode, the tenant's own file can only make labels stricter."""
    said = {"trusted": ["render2.list_logs"], "origins": {"render2.list_*": "own", "render2.get_service": "public"}}
    tenancy = Tenancy("acme", str(tmp_path), {}, flow="ask", can_trust=can_trust)
    accounts = {"kosmolua": {"flow": said}}
    with Runtime(accounts, simulate=True, environ={}, store=Folder(tmp_path), tenancy=tenancy) as runtime:
        host = runtime._host
        logs, page = (host.catalog.resolve(f"render2.{name}") for name in ("list_logs", "get_service"))
        assert (host.labels.of(logs).labels.origin == "own") is can_trust
        assert host.labels.of(page).labels.origin in ("public", {"*": "public"})
