"""A server that is restarted while thousands of calls wait for a person, in many paused runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import requests
from support.serving import ACME, Serving, bearing, serving

from kosmolua import Runtime
from kosmolua.stores.opening import open_stores
from operations.scenarios import Row

CALLS = 4_000
CALLS_OF_RUN = 8  # which wait at the same time
SOON = 30.0
"""Seconds within which the server is ready again, and answers."""
ACCOUNTS = """\
[tenants.acme]
token = "{token}"
max_waiting = 100000

[serve]
store = "{store}"
"""
SCRIPT = f"""
local wanted = {{}}
for i = 1, {CALLS_OF_RUN} do wanted[i] = "V" .. i end
return #parallel.map(wanted, function(key)
  return app.integrations.render2.set_env_var("srv-cabc12345678", key, "x")
end)
"""


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Leave paused runs in a store, start a server, list them, approve one, restart, and look again."""
    for number in range(rounds):
        own = folder / str(number)
        own.mkdir()
        leave_waiting(str(own / "store"))
        text = ACCOUNTS.format(token=ACME, store=own / "store")
        for case in ("started", "restarted"):
            began = time.monotonic()
            with serving(own, text, "--simulate") as server:
                asked(server, "GET", "status")
                ready = time.monotonic() - began
                began = time.monotonic()
                waiting = asked(server, "GET", "approvals")["approvals"]
                listed = time.monotonic() - began
                chosen = random.choice(waiting)
                mine = [each["call"]["number"] for each in waiting if each["run"] == chosen["run"]]
                outcome = asked(server, "POST", f"runs/{chosen['run']}/resume", {"approve": mine})
            seen = f"after {ready:.1f} s, {len(waiting):,} calls in {listed:.1f} s, one run {outcome['status']}"
            is_right = (len(waiting), outcome["result"]) == (
                CALLS - CALLS_OF_RUN * (case == "restarted"),
                [CALLS_OF_RUN],
            )
            yield Row(case, seen, is_right and max(ready, listed) < SOON)


def leave_waiting(store: str) -> None:
    """Pause runs in a store until :data:`CALLS` calls wait."""
    stores = open_stores(store)
    with Runtime(simulate=True, environ={}, store=stores.of("acme")) as runtime:
        for _ in range(CALLS // CALLS_OF_RUN):
            assert runtime.run(SCRIPT, record=True).status == "paused"
    stores.close()


def asked(server: Serving, method: str, path: str, body: object = None) -> dict[str, object]:
    """Return the answer of the server's API."""
    answer = requests.request(method, f"{server.base}/api/{path}", json=body, headers=bearing(ACME), timeout=120)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found
