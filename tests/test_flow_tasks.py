"""Flow in honest work: what an agent's person asked for is done without a question, in sessions of several scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kosmolua import Runtime
from kosmolua.calls.approvals import Approval
from kosmolua.flow.memory import SessionMemory

START = """local g, r, API = app.integrations.github, app.integrations.render2, "srv-cabc12345678"
local ROCKET = "acme/rocket" """
TASKS: dict[str, list[str]] = {
    "services on another branch": [
        "return r.list_services({ limit = 3 })",
        """local found = {}
        for _, s in ipairs(r.list_services({ all = true }).services) do
          if s.branch and s.branch ~= "main" then found[#found + 1] = s.name .. " " .. s.ownerId end end
        return found""",
    ],
    "suspend what has had no success": [
        """local found = {}
        for _, s in ipairs(r.list_services({ limit = 8, type = "web_service" }).services) do
          local deploys = r.list_deploys({ service_id = s.id, limit = 3, status = "live" }).deploys
          if #deploys == 0 and s.suspended == "not_suspended" then found[#found + 1] = s.id end end
        return found""",
        """for _, s in ipairs(r.list_services({ limit = 8, type = "web_service" }).services) do
          local deploys = r.list_deploys({ service_id = s.id, limit = 3, status = "live" }).deploys
          if #deploys == 0 and s.suspended == "not_suspended" then r.suspend_service({ service_id = s.id }) end end""",
    ],
    "copy variables": [
        """local s = r.list_services({ limit = 2, type = "web_service" }).services
        local have = {}
        for _, v in ipairs(r.list_env_vars({ service_id = s[2].id, all = true }).env_vars) do have[v.key] = true end
        for _, v in ipairs(r.list_env_vars({ service_id = s[1].id, all = true }).env_vars) do
          if not have[v.key] and not v.key:find("SECRET", 1, true) then
            r.set_env_var({ service_id = s[2].id, key = v.key, value = v.value }) end end""",
    ],
    "a shared database": [
        """local by = {}
        for _, s in ipairs(r.list_services({ limit = 5, type = "web_service" }).services) do
          for _, v in ipairs(r.list_env_vars({ service_id = s.id, all = true }).env_vars) do
            if v.key == "DATABASE_URL" then by[v.value] = (by[v.value] or 0) + 1 end end end
        return by""",
    ],
    "roll back and wait": [
        "return r.list_deploys({ service_id = API, limit = 5 })",
        """local deploys, old = r.list_deploys({ service_id = API, limit = 20 }).deploys, nil
        for _, d in ipairs(deploys) do if d.status == "deactivated" then old = d break end end
        local new = r.rollback_deploy({ service_id = API, deploy_id = old.id }).deploy
        for _ = 1, 20 do
          new = r.get_deploy({ service_id = API, deploy_id = new.id }).deploy
          if new.status == "live" then break end sleep(30) end
        return new.status""",
    ],
    "durations as a table": [
        """local lines = { "type,n" }
        for _, s in ipairs(r.list_services({ limit = 5 }).services) do
          lines[#lines + 1] = s.type .. "," .. #r.list_deploys({ service_id = s.id, limit = 20 }).deploys end
        return table.concat(lines, "\\n")""",
    ],
    "a cron job and a web service": [
        "return r.list_services({ limit = 5 })",
        """local job = r.create_service({ type = "cron_job", name = "nightly-report", schedule = "0 3 * * *",
          repo = "https://github.com/acme/rocket", runtime = "python", build_command = "pip install .",
          start_command = "python -m report" })
        local web = r.create_service({ type = "web_service", name = "report-viewer", plan = "starter",
          repo = "https://github.com/acme/rocket", branch = "main", runtime = "python", build_command = "pip install .",
          start_command = "python -m viewer", disk = { name = "data", mount_path = "/data", size_gb = 10 } })
        r.set_env_var({ service_id = web.service.id, key = "JOB", value = job.service.id })""",
    ],
    "logs grouped": [
        """local counts = {}
        for _, line in ipairs(r.list_logs({ resource_id = API, level = "error", limit = 50 }).logs) do
          counts[line.message] = (counts[line.message] or 0) + 1 end
        return counts""",
    ],
    "a domain": [
        "return r.list_custom_domains({ service_id = API })",
        'return r.create_custom_domain({ service_id = API, name = "shop.acme-rockets.example" })',
        'return r.verify_custom_domain({ service_id = API, domain = "shop.acme-rockets.example" })',
    ],
    "who changed what": [
        "return r.list_events({ service_id = API, limit = 20 })",
        "return r.list_owner_audit_logs({ owner_id = r.list_owners({}).owners[1].id, limit = 20 })",
    ],
    "old pull requests": [
        "return g.list_pull_requests({ repo = ROCKET, limit = 20 })",
        """for _, p in ipairs(g.list_pull_requests({ repo = ROCKET, limit = 20 }).pull_requests) do
          if #g.list_reviews({ repo = ROCKET, number = p.number }).reviews == 0 then
            g.create_comment({ repo = ROCKET, number = p.number, body = "Is anybody looking at this?" }) end end""",
    ],
    "workflows that failed": [
        """local failed = {}
        for _, run in ipairs(g.list_workflow_runs({ repo = ROCKET, branch = "main", limit = 30 }).runs) do
          if run.conclusion == "failure" then failed[run.event] = (failed[run.event] or 0) + 1 end end
        return failed""",
        """for _, run in ipairs(g.list_workflow_runs({ repo = ROCKET, branch = "main", limit = 30 }).runs) do
          if run.conclusion == "failure" then
            return g.rerun_workflow_run({ repo = ROCKET, run_id = run.id }) end end""",
    ],
    "deploys against commits": [
        """local last = g.list_commits({ repo = ROCKET, limit = 1 }).commits[1]
        local deploy = r.list_deploys({ service_id = API, limit = 1 }).deploys[1]
        return deploy.commit and deploy.commit.id == last.sha""",
        "return r.trigger_deploy({ service_id = API })",
    ],
    "webhook and notifications": [
        "return r.list_owners({})",
        """local owner = r.list_owners({}).owners[1].id
        local hook = r.create_webhook({ owner_id = owner, url = "https://hooks.acme-rockets.example/render",
          name = "Failures", enabled = true, event_filter = { "deploy_ended" } })
        r.patch_owner_notification_settings({ owner_id = owner, notifications_to_send = "failure" })
        return r.retrieve_webhook({ webhook_id = hook.id })""",
    ],
    "many lines as data": [
        "return r.list_logs({ resource_id = API, limit = 100 })",
        "return #r.list_logs({ resource_id = API, limit = 100, text = 'GET' }).logs",
    ],
    "a long wait": [
        """local deploy = r.trigger_deploy({ service_id = API }).deploy
        sleep(60)
        return r.list_deploys({ service_id = API, limit = 1 }).deploys[1].status""",
    ],
    "a secret unseen": [
        """local from = r.list_services({ limit = 1, type = "web_service" }).services[1]
        local first = r.list_env_vars({ service_id = from.id, limit = 1, secret = true }).env_vars[1]
        r.set_env_var({ service_id = API, key = first.key, value = first.value })""",
    ],
    "destroy": [
        "return r.list_services({ limit = 10 })",
        """local made = r.create_service({ type = "web_service", name = "to-be-removed", runtime = "node",
          repo = "https://github.com/acme/rocket", build_command = "npm ci", start_command = "npm start" })
        return made.service.id""",
        """for _, s in ipairs(r.list_services({ name = "to-be-removed" }).services) do
          r.delete_service({ service_id = s.id }) end""",
    ],
    "show, then apply": [
        "return r.get_service({ service_id = API })",
        "r.scale_service({ service_id = API, num_instances = 3 })",
        'r.set_env_var({ service_id = API, key = "WORKERS", value = "3" }) r.restart_service({ service_id = API })',
    ],
    "a script to keep": [
        """for _, i in ipairs(g.list_issues({ repo = arg[1] or ROCKET, limit = 10 }).issues) do
          if #i.labels == 0 then
            g.add_labels({ repo = arg[1] or ROCKET, number = i.number, labels = { "triage" } }) end end""",
    ],
}
"""What an agent was asked for, and the scripts that do it."""


@pytest.fixture(scope="module")
def simulated() -> Iterator[Runtime]:
    with Runtime({}, simulate=True, allow=["*"], yes=True, flow="ask", reuse=100) as runtime:
        yield runtime


def questions(runtime: Runtime, scripts: list[str]) -> list[str]:
    """Return what a person, who approves it, is asked about flows in a session."""
    seen = SessionMemory()
    asked: list[str] = []

    def approve(approval: Approval) -> bool:
        asked.extend(approval.flows)
        return True

    for script in scripts:
        outcome = runtime.run(START + script, seen=seen, approve=approve)
        assert outcome.error is None
    return asked


@pytest.mark.parametrize("scripts", TASKS.values(), ids=TASKS.keys())
def test_a_task_needs_no_question(simulated: Runtime, scripts: list[str]) -> None:
    """Its destinations are the person's, the account's own, or made by the service."""
    assert questions(simulated, scripts) == []
