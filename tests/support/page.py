"""The page for people over simulators: two tenants on a loopback port, and runs to look at."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from kosmolua import Runtime
from kosmolua.serve.pages.site import Site, Tenants
from kosmolua.serve.pages.workspace import Workspace

ACCOUNTS = {
    "render2": {
        "default": "production",
        "production": {"api_key": "rnd_a1b2c3d4e5f6a7b8c9d0", "permissions": {"delete_postgres": "deny"}},
        "staging": {"api_key": "rnd_b1b2c3d4e5f6a7b8c9d0", "permissions": {"write": "allow"}},
    }
}
RESTART = """\
local render = app.integrations.render2
local service = render.list_services({ limit = 1 }).services[1]
render.restart_service({ service_id = service.id })
print("restarted", service.name)
return service.name
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
        workspaces: Those of its tenants, whose token is ``token-of-NAME-0123456789``.
        tokens: The tokens that each tenant accepts.
    """

    url: str
    workspaces: Mapping[str, Workspace]
    tokens: dict[str, list[str]] = field(default_factory=dict)

    def record(self, tenant: str, source: str, name: str = "script.lua", client: str = "an agent 1.0") -> str:
        """Run a script of a tenant, recorded, and return the run's id."""
        workspace = self.workspaces[tenant]
        folder = Path(workspace.folder)
        folder.mkdir(parents=True, exist_ok=True)
        run = os.urandom(6).hex()
        workspace.runtime.run(source, name=name, record=folder / f"{run}.jsonl", client=client)
        return run


@contextmanager
def served(folder: Path, names: tuple[str, ...] = ("acme", "globex"), accounts: object = ACCOUNTS) -> Iterator[Pages]:
    """Serve the page of some tenants until the ``with`` block ends.

    Args:
        folder: Where their recordings are.
        names: The tenants.
        accounts: The accounts of each.
    """

    def opened(**options: bool | list[str]) -> Runtime:
        return Runtime(accounts, simulate=True, environ={}, journal=False, **options)

    runtimes = {name: opened() for name in names}
    workspaces = {
        name: Workspace(name, runtime, folder / name, lambda: opened(yes=True, allow=["*"]))
        for name, runtime in runtimes.items()
    }
    tokens = {name: [f"token-of-{name}-0123456789"] for name in names}
    site = Site(Tenants(workspaces, lambda name: tokens[name]), b"key of the tests")
    config = uvicorn.Config(Starlette(routes=site.routes()), port=0, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Pages(f"http://127.0.0.1:{port}", workspaces, tokens)
    finally:
        server.should_exit = True
        thread.join(5)
        for workspace in workspaces.values():
            workspace.close()
        for runtime in runtimes.values():
            runtime.close()
