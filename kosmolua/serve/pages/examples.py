"""The examples of the playground: short scripts, each of which shows one thing that the product does."""

from __future__ import annotations

from typing import NamedTuple


class SampleScript(NamedTuple):
    """An example: its title, and the script, in which ``ACCOUNTS`` stands for a list of the tenant's accounts."""

    title: str
    source: str


EXAMPLES = {
    "report": SampleScript(
        "A report",
        """\
-- The newest deploy of six services, requested at the same time.
local render = app.integrations.render2

local services = render.list_services({ limit = 6 }).services
local newest = parallel.map(services, function(service)
  return render.list_deploys({ service_id = service.id, limit = 1 }).deploys[1]
end)

for i, service in ipairs(services) do
  print(service.name, newest[i].status, newest[i].commit.message)
end
""",
    ),
    "accounts": SampleScript(
        "Several accounts",
        """\
-- Counts the services of each account, with the name of the account in the path.
local render = app.integrations.render2

for _, account in ipairs(ACCOUNTS) do
  local services = render[account].list_services({ all = true }).services
  print(account, #services .. " services")
end
""",
    ),
    "restart": SampleScript(
        "A write that asks",
        """\
-- Restarts one service. The call waits until a person approves it.
local render = app.integrations.render2

local service = render.list_services({ limit = 1 }).services[1]
render.restart_service({ service_id = service.id })
print("restarted", service.name)
""",
    ),
    "variable": SampleScript(
        "Before and after",
        """\
-- Sets an environment variable. The question says what it was before, and that it can be undone.
local render = app.integrations.render2

local service = render.list_services({ limit = 1 }).services[1]
render.set_env_var({ service_id = service.id, key = "LOG_LEVEL", value = "debug" })
print("set on", service.name)
""",
    ),
    "plan": SampleScript(
        "A plan",
        """\
-- Press Plan: it lists what this would change, and sends none of it.
local render = app.integrations.render2

for _, service in ipairs(render.list_services({ limit = 3 }).services) do
  render.set_env_var({ service_id = service.id, key = "REGION_NOTE", value = "checked" })
  render.restart_service({ service_id = service.id })
end
""",
    ),
    "failing": SampleScript(
        "One that fails",
        """\
-- Asks for a service that is not there. The run says at which line, and with which values.
local render = app.integrations.render2

local services = render.list_services({ limit = 2 }).services
print(#services .. " services")
local gone = render.get_service({ service_id = "srv-gone" }).service
print(gone.name)
""",
    ),
}
"""The examples by their names in URLs, the first of which the editor shows at the beginning."""
