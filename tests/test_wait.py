"""What it costs to wait for a deploy: a script that sleeps, over a Render on the loopback interface."""

from __future__ import annotations

import os
import time

import pytest
from support.loopback import Loopback, by_bearer
from support.render2_account import Simulator

from kosmolua import Runtime
from kosmolua.plugin import SIMULATION_START

KEY = "rnd_waits_for_a_deploy"
SECONDS = float(os.environ.get("KOSMOLUA_DEPLOY_SECONDS", "4"))
"""How long a deploy takes here; the looks at it are as many whatever that is."""
SIMULATED_SECONDS = 55.0
"""How long it takes by the simulator's clock."""
MAX_CPU = 0.3
"""Seconds of processor time of the script's process."""
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
def test_waiting_for_a_deploy_takes_next_to_nothing() -> None:
    """Hardly any processor time, a request for each look, and as long as the deploy takes."""
    began = time.monotonic()
    hurry = SIMULATED_SECONDS / SECONDS
    simulator = Simulator("default", clock=lambda: SIMULATION_START + (time.monotonic() - began) * hurry)
    with Loopback(by_bearer({KEY: simulator})) as loopback:
        accounts = {"render2": {"work": {"api_key": KEY, "base_url": f"{loopback.url}/v1"}}}
        with Runtime(accounts, yes=True, environ={}) as runtime:
            outcome = runtime.run(WAIT, args=[str(SECONDS / 8)], timeout=120)
        requests = len(loopback.requests)
    print(f"{SECONDS:g} s: {outcome.usage['cpu_ms']} ms of processor time, {requests} requests")
    assert outcome.result == ["live"], outcome.error
    assert outcome.usage["wall_ms"] >= SECONDS * 1000 * 0.9
    assert outcome.usage["cpu_ms"] < MAX_CPU * 1000
    assert requests <= MAX_REQUESTS
