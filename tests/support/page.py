"""The page for people over simulators: two tenants on a loopback port, and runs to look at."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from kosmolua.mcp.http import configured
from kosmolua.runs.run import Outcome, RunOptions
from kosmolua.serve import settings
from kosmolua.serve.app import ServerState, application
from kosmolua.serve.log import Log
from kosmolua.serve.metrics import Metrics
from kosmolua.serve.tenant_runtime import Common
from kosmolua.serve.tenants import Tenants
from support.processes import eventually

ACCOUNTS = """\
[render2]
default = "production"

[render2.production]
api_key = "rnd_a1b2c3d4e5f6a7b8c9d0"
permissions = { delete_postgres = "deny" }

[render2.staging]
api_key = "rnd_b1b2c3d4e5f6a7b8c9d0"
permissions = { write = "allow" }
"""
RESTART = """\
local render = app.integrations.render2
local service = render.list_services({ limit = 1 }).services[1]
render.restart_service({ service_id = service.id })
print("restarted", service.name)
return service.name
"""
SCALE = """\
app.integrations.render2.staging.scale_service({ service_id = "srv-cabc12345678", num_instances = 3 })
"""
CLEAN_UP = """\
-- Deletes what nobody uses any more, and restarts the rest.
local render = app.integrations.render2
local services = render.list_services({ limit = 3 }).services
local outcomes = parallel.map(services, function(service)
  return pcall(render.restart_service, { service_id = service.id })
end)
print(#outcomes .. " restarted")
"""
DELETE = """\
local render = app.integrations.render2
local service = render.list_services({ limit = 1 }).services[1]
parallel.all({
  function() return pcall(render.delete_service, { service_id = service.id }) end,
  function() return pcall(render.set_env_var, { service_id = service.id, key = "MODE", value = "off" }) end,
})
print("cleaned")
"""
REPORT = """\
local render = app.integrations.render2
local page = render.list_services({ limit = 6 })
local newest = parallel.map(page.services, function(service)
  return render.list_deploys({ service_id = service.id, limit = 1 }).deploys[1]
end)
for i, service in ipairs(page.services) do
  print(service.name, newest[i].status, newest[i].commit.message)
end
sleep(0.05)
render.get_current_user()
return { services = #page.services }
"""
BROKEN = """\
local render = app.integrations.render2
local services = render.list_services({ limit = 2 }).services
-- The next line asks for a service that is not there.
local service = render.get_service({ service_id = "srv-gone" })
print(service.name)
"""


@dataclass
class Pages:
    """A page that is served.

    Args:
        url: Its address.
        tenants: Who is served.
        loop: The event loop that owns them.
    """

    url: str
    tenants: Tenants
    loop: asyncio.AbstractEventLoop

    def record(self, tenant: str, source: str, name: str = "script.lua", client: str = "an agent 1.0") -> str:
        """Run a script of a tenant, recorded, and return the run's id."""
        run = os.urandom(6).hex()
        found = self.tenants.get(tenant)
        assert found
        self.start(tenant, source, name, client, run).result(60)
        return run

    def record_all(self, tenant: str, sources: Mapping[str, str], client: str = "an agent 1.0") -> list[str]:
        """Run scripts of a tenant at the same time, recorded, and return the ids of the runs, in the same order."""
        runs = [os.urandom(6).hex() for _ in sources]
        begun = [
            self.start(tenant, *each, client, run)
            for run, each in zip(runs, ((source, name) for name, source in sources.items()), strict=True)
        ]
        for each in begun:
            each.result(60)
        return runs

    def record_fleet(self, tenant: str) -> str:
        """Run some of a tenant's scripts as those of a fleet that has more runs, and return the fleet's id."""
        fleet = {"id": os.urandom(6).hex(), "title": "Looks after services", "size": 40}
        begun = [
            self.start(tenant, source, title=f"Looks after services: {number}", fleet=fleet)
            for number, source in enumerate(["return 1"] * 3 + [BROKEN, RESTART])
        ]
        for each in begun:
            each.result(60)
        return str(fleet["id"])

    def start(
        self,
        tenant: str,
        source: str,
        name: str = "script.lua",
        client: str = "an agent 1.0",
        run: str | None = None,
        **more: Any,
    ) -> Future[Outcome]:
        """Start a script of a tenant, recorded, and return what waits for its outcome; ``more`` are further options."""
        found = self.tenants.get(tenant)
        assert found
        options: RunOptions = {"name": name, "client": client, "run": run or os.urandom(6).hex(), **more}  # type: ignore[typeddict-item]
        return asyncio.run_coroutine_threadsafe(found.run(source, options), self.loop)


def token_of(tenant: str) -> str:
    """Return the token of a tenant."""
    return f"token-of-{tenant}-0123456789"


@contextmanager
def served(
    folder: Path,
    *names: str,
    accounts: str = ACCOUNTS,
    approval_wait: float = 0.1,
    store: str | None = None,
    tenant: str = "",
    **options: Any,
) -> Iterator[Pages]:
    """Serve the page of some tenants over simulators until the ``with`` block ends.

    Args:
        folder: Where their accounts file and their recordings are.
        names: The tenants.
        accounts: Their accounts.
        approval_wait: Seconds that a call waits for an approval before its run is paused.
        store: Where recordings are; by default in the folder.
        tenant: What the section of each tenant has besides.
        options: As :class:`kosmolua.serve.tenants.Common` takes them.
    """
    stanzas = [f'[tenants.{name}]\ntoken = "{token_of(name)}"\n{tenant}\n' for name in names]
    path = folder / "accounts.toml"
    path.touch(mode=0o600)
    own = f"[serve]\napproval_wait = {approval_wait}\n" + (f'store = "{store}"\n' if store else "")
    path.write_text("\n".join([accounts, own, *stanzas]), encoding="utf-8")
    common = Common(**{"simulate": True, "environ": {}, **options})
    loops: list[asyncio.AbstractEventLoop] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        tenants = Tenants(settings.read(path), common)

        async def serve(server: uvicorn.Server) -> None:
            loops.append(asyncio.get_running_loop())
            await server.serve()

        state = ServerState(
            tenants, Metrics(lambda: tenants, tenants.held.memory), Log(None, lambda line: None), ("page.example",)
        )
        server = uvicorn.Server(configured(application(state), port=0))
        thread = threading.Thread(target=lambda: asyncio.run(serve(server)), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield Pages(f"http://127.0.0.1:{port}", tenants, loops[0])
        finally:
            server.should_exit = True
            thread.join(60)


class Person:
    """A browser without JavaScript.

    Args:
        base: The address of the page.
        tenant: Signs in as this tenant, if it is given.
    """

    def __init__(self, base: str, tenant: str = "") -> None:
        self.browser = requests.Session()
        self.base = base
        if tenant:
            assert self.sign_in(token_of(tenant)).url.endswith("/approvals")

    def open(self, path: str) -> requests.Response:
        """Return a page."""
        return self.browser.get(self.base + path, timeout=60)

    def send(self, path: str, /, *, on: str = "/approvals", **form: object) -> requests.Response:
        """Send a form of a page."""
        found = re.search(r'name="token_of_form" value="([^"]+)"', self.open(on).text)
        token = {"token_of_form": found[1]} if found else {}
        return self.browser.post(self.base + path, data={**token, **form}, timeout=60)

    def sign_in(self, token: str, following: str = "") -> requests.Response:
        """Sign in by the form."""
        return self.send("/login", on="/login", token=token, next=following)


def first_call(person: Person) -> str:
    """Return the name of the first call that waits, once there is one."""
    found: list[str] = []

    def waits() -> bool:
        found.extend(re.findall(r'name="call" value="([^"]+)"', person.open("/approvals").text))
        return bool(found)

    assert eventually(waits), "no call waits"
    return found[0]
