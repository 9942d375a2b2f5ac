"""Bodies that create and change services: what a script says in Lua, and exactly what Render then gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.loopback import Loopback
from support.render2_account import HEADERS, Simulator, answer, ask, owner_of
from support.render2_lua import CHANGES, CREATIONS, OWNER, SHOP, STATE

from kosmolua import Runtime
from kosmolua.plugin import Request, Response


class Render:
    """A Render that has one service, in the state that a test gives it, and keeps what it is sent."""

    def __init__(self) -> None:
        self.service: dict[str, Any] = {}
        self.bodies: list[Any] = []

    def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return answer(200, {"id": "srv-1", "ownerId": OWNER} | self.service)
        self.bodies.append(json.loads(request.body or b"null"))
        return answer(200, {"id": "srv-1", "service": {"id": "srv-1"}, "deployId": "dep-1"})


@pytest.fixture(scope="module")
def render() -> Render:
    return Render()


@pytest.fixture(scope="module")
def runtime(render: Render) -> Iterator[Runtime]:
    """Runs scripts whose account may write, and is served on a loopback port."""
    with Loopback(render) as loopback:
        account = {
            "api_key": HEADERS["Authorization"].removeprefix("Bearer "),
            "base_url": f"{loopback.url}/v1",
            "owner_id": OWNER,
            "permissions": {"write": "allow"},
        }
        with Runtime({"render2": {"default": account}}) as runtime:
            yield runtime


def sent(runtime: Runtime, render: Render, script: str) -> Any:
    """Return the one body that a script sends."""
    render.bodies.clear()
    outcome = runtime.run(script)
    assert outcome.error is None, outcome.error
    (body,) = render.bodies
    return body


@pytest.mark.parametrize(("settings", "body"), CREATIONS)
def test_what_lua_says_of_a_new_service_is_what_render_gets(
    runtime: Runtime, render: Render, settings: str, body: dict[str, Any]
) -> None:
    """Nothing is added that was not said but the workspace, the branch, the plan and the runtime."""
    assert sent(runtime, render, f"app.integrations.render2.create_service({settings})") == {"ownerId": OWNER} | body


@pytest.mark.parametrize("name", ["node", "python", "ruby", "go", "rust", "elixir"])
def test_each_runtime_that_builds_takes_both_commands(runtime: Runtime, render: Render, name: str) -> None:
    """Render wants both, so the one that is not given is sent empty."""
    body = sent(
        runtime,
        render,
        f"""app.integrations.render2.create_service({{
            type = "background_worker", name = "w", repo = "{SHOP}", runtime = "{name}", start_command = "./w",
        }})""",
    )

    assert body["serviceDetails"] == {
        "runtime": name,
        "plan": "starter",
        "envSpecificDetails": {"buildCommand": "", "startCommand": "./w"},
    }


@pytest.mark.parametrize(("state", "settings", "body"), CHANGES)
def test_what_lua_says_of_a_change_is_what_render_gets(
    runtime: Runtime, render: Render, state: str, settings: str, body: dict[str, Any]
) -> None:
    """Nothing is added at all, and an empty text is sent as one: it takes a setting away."""
    render.service = STATE[state]
    script = f"""
        local settings = {settings}
        settings.service_id = "srv-1"
        app.integrations.render2.update_service(settings)"""

    assert sent(runtime, render, script) == body


@pytest.mark.parametrize("body", [body for _, body in CREATIONS])
def test_the_simulator_takes_such_bodies_too(body: dict[str, Any]) -> None:
    """A script that creates them can be tried with --simulate."""
    send = Simulator("default")

    assert ask(send, "POST", "/services", body={"ownerId": owner_of(send)} | body).status == 201


def test_a_filter_and_a_folder_are_taken_away() -> None:
    """An empty filter and an empty folder leave a service without, as Render's replies show it."""
    send = Simulator("default")
    settings = {"buildFilter": {"paths": ["a/**"], "ignoredPaths": []}, "rootDir": "a"}
    site = {"type": "static_site", "name": "s", "repo": SHOP, "ownerId": owner_of(send)} | settings
    path = f"/services/{ask(send, 'POST', '/services', body=site).json()['service']['id']}"

    kept = ask(send, "PATCH", path, body={"name": "t"}).json()
    left = ask(send, "PATCH", path, body={"buildFilter": {"paths": [], "ignoredPaths": []}, "rootDir": ""}).json()

    assert {name: kept[name] for name in settings} == settings
    assert left.get("buildFilter") is None
    assert left["rootDir"] == ""
