"""What it costs to wait for a deploy: a script that sleeps, over a Render on the loopback interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from support.loopback import Loopback, by_bearer
from support.render2_account import Simulator

from kosmolua.plugin import SIMULATION_START

KEY = "rnd_waits_for_a_deploy"
SECONDS = float(os.environ.get("KOSMOLUA_DEPLOY_SECONDS", "4"))
"""How long a deploy takes here; the looks at it are as many whatever that is."""
SIMULATED_SECONDS = 55.0
"""How long it takes by the simulator's clock."""
MAX_CPU = 0.3
"""Seconds of processor time, of the script's process and of the host together, whose first call was made before."""
HOST = """
import json, resource, sys, time
from kosmolua import Runtime
accounts, script, pause = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
began = time.process_time()
with Runtime(accounts, yes=True, environ={}) as runtime:
    assert runtime.run("return app.integrations.render2.list_services({ limit = 1 }).services[1].id").ok
    before = time.process_time()
    outcome = runtime.run(script, args=[pause], timeout=120)
    host = time.process_time() - before
found = {"first": before - began, "host": host, "error": str(outcome.error), "result": outcome.result}
print(json.dumps(found | outcome.usage))
"""
MAX_REQUESTS = 12
WAIT = """
local render, pause = app.integrations.render2, tonumber((...))
local service = render.list_services({ type = "web_service", limit = 1 }).services[1]
local deploy = render.trigger_deploy({ service_id = service.id }).deploy
while deploy.status:find("in_progress$") or deploy.status == "queued" do
  sleep(pause)
  deploy = render.get_deploy({ service_id = service.id, deploy_id = deploy.id }).deploy
end
return deploy.status
"""


@pytest.mark.slow
def test_waiting_for_a_deploy_takes_next_to_nothing(environment: dict[str, str]) -> None:
    """Hardly any processor time, a request for each look, and as long as the deploy takes."""
    began = time.monotonic()
    hurry = SIMULATED_SECONDS / SECONDS
    simulator = Simulator("default", clock=lambda: SIMULATION_START + (time.monotonic() - began) * hurry)
    with Loopback(by_bearer({KEY: simulator})) as loopback:
        accounts = {"render2": {"work": {"api_key": KEY, "base_url": f"{loopback.url}/v1"}}}
        command = [sys.executable, "-c", HOST, json.dumps(accounts), WAIT, str(SECONDS / 8)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=True)
        requests = len(loopback.requests) - 1  # the first one has what is imported once in a process
    found = json.loads(done.stdout)
    own, host = found["cpu_ms"] / 1000, found["host"]
    print(f"{SECONDS:g} s: {own * 1000:.0f} ms in the sandbox, {host * 1000:.0f} in the host, {requests} requests")
    assert found["result"] == ["live"], found["error"]
    assert found["wall_ms"] >= SECONDS * 1000 * 0.9
    assert own + host < MAX_CPU
    assert requests <= MAX_REQUESTS
