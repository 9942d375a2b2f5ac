"""Render's documented rate limits, over real sockets: a script that asks for much is slowed down, never refused."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from support.loopback import Loopback
from support.render2_account import KEY
from support.render2_limits import LimitedRender

from kosmolua import Runtime
from kosmolua.plugin import Request, Response

HURRY = 30
"""Render's minute passes in two seconds here."""
CALLS = 500

LOOP = 'for i = 1, {calls} do render.get_service({{ service_id = "srv-cabc12345678" }}) end return {calls}'
PARALLEL = """
local list = {{}}
for i = 1, {calls} do list[i] = "srv-cabc12345678" end
return #parallel.map(list, function(id) return render.get_service({{ service_id = id }}).service end, {{ limit = 16 }})
"""


class HurriedRender:
    """Render with its limits on, whose minutes are short, and the statuses that it answered."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self._render = LimitedRender(lambda: time.monotonic() * HURRY)

    def __call__(self, request: Request) -> Response:
        response = self._render(request)
        self.statuses.append(response.status)
        timed = {"Ratelimit-Reset", "Retry-After"} & response.headers.keys()
        waits = {name: str(math.ceil(int(response.headers[name]) / HURRY)) for name in timed}
        return Response(response.status, {**response.headers, **waits}, response.body)


@pytest.mark.slow
@pytest.mark.parametrize("work", [LOOP, PARALLEL], ids=["loop", "parallel"])
def test_500_calls_meet_no_429(tmp_path: Path, work: str) -> None:
    """500 reads against 400 a minute: all are answered, across a window's end, and no 429 reaches the script."""
    render = HurriedRender()
    accounts = tmp_path / "accounts.toml"
    with Loopback(render) as server:
        accounts.write_text(f'[render2.default]\napi_key = "{KEY}"\nbase_url = "{server.url}/v1"\n')
        with Runtime(accounts, environ={}) as runtime:
            source = "local render = app.integrations.render2\n" + work.format(calls=CALLS)
            outcome = runtime.run(source, timeout=300)
    assert outcome.error is None
    assert outcome.result == [CALLS]
    assert render.statuses.count(200) == CALLS
    assert {call["status"] for call in outcome.calls} == {"ok"}
