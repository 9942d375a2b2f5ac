"""Flow: the mode ``ask`` against ``off``, in loops that read texts by others and write, simulated and over loopback.

Counted is the time of this process's processors, which other work on the machine does not change; that of the script's
own process would be the same in both.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ratio import Ratio, compare

from kosmolua import Runtime

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.loopback import Loopback

from kosmolua.plugin import Request, Response

TURNS = 60
SIMULATED = """
    local github = app.integrations.github
    print("from")
    for turn = 1, TURNS do
        local issue = github.list_issues({ repo = "acme/rocket", limit = 20 }).issues[1 + turn % 10]
        github.create_comment({ repo = "acme/rocket", number = issue.number, body = "Seen: " .. issue.title .. turn })
    end
    print("to")
"""
IDS = """
    local render2 = app.integrations.render2
    print("from")
    for turn = 1, TURNS do
        local service = render2.list_services({ limit = 20 }).services[1 + turn % 10]
        render2.set_env_var({ service_id = service.id, key = "TURN", value = "the turn " .. turn })
    end
    print("to")
"""
LOOPBACK = """
    local desk = app.integrations.desk
    print("from")
    for turn = 1, TURNS do
        local ticket = desk.list_tickets()[1 + turn % 10]
        desk.answer({ ticket_id = ticket.id, to = "team@corp.example", text = "Seen: " .. ticket.body .. turn })
    end
    print("to")
"""
PLUGIN = '''
"""A desk with tickets."""
from dataclasses import dataclass
from kosmolua.plugin import Api, Integration, Secret, Send

@dataclass(frozen=True)
class Account:
    """A key and where it is good."""
    api_key: Secret
    base_url: str
    def open(self, send: Send) -> Api:
        return Api(send, self.base_url, bearer=self.api_key)

integration = Integration("desk", Account, about="For benchmarks.")

@integration.reads(origin="public")
def list_tickets(api: Api, /) -> list:
    """List the tickets."""
    return api.get("/tickets")

@integration.writes(to=["ticket_id", "to"])
def answer(api: Api, /, *, ticket_id: str, to: str, text: str) -> dict:
    """Answer a ticket."""
    return api.post("/answers", json={"to": to, "text": text})
'''
TICKETS = [
    {"id": f"tic-{number}", "by": f"customer {number}", "body": f"It fails every {number} days, please help us."}
    for number in range(20)
]


def answer(request: Request) -> Response:
    """Answer a read with the tickets, and a write with what it sent."""
    body: Any = TICKETS if request.method == "GET" else {"id": "ans-1", "done": True}
    return Response(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def seconds(runtime: Runtime, script: str) -> float:
    """Run a script and return the seconds of processor time between the two marks that it prints."""
    marks: list[float] = []
    source = script.replace("TURNS", str(TURNS))
    outcome = runtime.run(source, on_output=lambda _: marks.append(time.process_time()), timeout=60, max_calls=5000)
    assert outcome.ok, outcome.error
    return marks[1] - marks[0]


@contextmanager
def runtimes(accounts: Any, **options: Any) -> Iterator[tuple[Runtime, Runtime]]:
    """Two runtimes that allow all: one that asks about flows, and one that looks at none."""
    every: dict[str, Any] = {"allow": ["*"], "yes": True, **options}
    with Runtime(accounts, flow="ask", **every) as ask, Runtime(accounts, flow="off", **every) as off:
        yield ask, off


def ratios() -> Iterator[Ratio]:
    """Yield the ratios of the calls of such loops."""

    def compared(work: str, script: str, ask: Runtime, off: Runtime) -> Ratio:
        ours, theirs = (lambda: seconds(ask, script)), (lambda: seconds(off, script))
        return compare(f"{2 * TURNS} calls, mode `ask`: {work}", "mode `off`", ours, theirs, goal=1.05, rounds=31)

    with runtimes({}, simulate=True) as (ask, off):
        yield compared("comments on simulated issues", SIMULATED, ask, off)
        yield compared("variables of simulated services", IDS, ask, off)
    with Loopback(answer) as server, tempfile.TemporaryDirectory() as folder:
        plugin, accounts = (
            Path(folder) / "desk.py",
            {"desk": {"default": {"api_key": "key-for-benchmarks", "base_url": server.url}}},
        )
        plugin.write_text(PLUGIN)
        with runtimes(accounts, plugins=[plugin]) as (ask, off):
            yield compared("tickets over loopback", LOOPBACK, ask, off)
