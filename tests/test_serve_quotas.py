"""Quotas of a tenant: runs a minute, calls a day, calls that wait; and what one tenant cannot take from others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request
from support.agents import execute
from support.serving import ACME, GLOBEX, agent, serving

from kosmolua.lua.syntax import parse
from kosmolua.mcp.clients import client_of
from kosmolua.serve.quotas import Quotas
from kosmolua.serve.settings import TenantSettings


class Time:
    """A clock that the test moves."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def quotas(time: Time, waiting: int = 0, **settings: Any) -> Quotas:
    given = TenantSettings("acme", **settings)
    return Quotas(lambda: given, lambda: waiting, time)


def test_runs_a_minute() -> None:
    """Whoever starts too many is told when to come back, and can start then."""
    time = Time()
    tenant = quotas(time, runs_per_minute=2)
    assert tenant.admit() is None
    time.now += 20
    assert tenant.admit() is None
    refused = tenant.admit()
    assert refused is not None
    assert refused.fields()["retry_after"] == 40
    time.now += 40
    assert tenant.admit() is None


def test_calls_a_day() -> None:
    """They are counted as they end, and a new day begins at midnight (UTC). A refused call counts as none."""
    time = Time()
    tenant = quotas(time, calls_per_day=2)
    for status in ("ok", "refused", "error"):
        tenant.called(record(status))
    assert tenant.calls_left == 0
    refused = tenant.admit()
    assert refused is not None
    assert refused.fields()["retry_after"] == 86_400 - 1_000_000 % 86_400
    time.now += 86_400
    assert tenant.calls_left == 2
    assert tenant.admit() is None


def test_waiting_calls() -> None:
    """The store is asked only when it matters, and what was decided since lets runs begin again."""
    time = Time()
    found = [9]
    settings = TenantSettings("acme", max_waiting=10)
    tenant = Quotas(lambda: settings, lambda: found[0], time)
    assert tenant.is_to_count()
    tenant.count()
    assert tenant.admit_waiting() is None
    tenant.paused(1)
    refused = tenant.admit_waiting()
    assert refused is not None
    assert "wait for a person" in refused.message
    assert not tenant.is_to_count()
    time.now += 6
    assert tenant.is_to_count()
    found[0] = 3
    tenant.count()
    assert tenant.admit_waiting() is None


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
            assert (refused["code"], refused["retryable"], refused["retry_after"]) == ("rate_limited", True, 30)

    async def told(client: Any, code: str) -> Any:
        found = (await execute(client, code)).structured_content
        return found["error"] or found["result"]

    with serving(tmp_path, text, "--simulate") as server:
        asyncio.run(main())


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
