"""Several processes of a server of many: equal replicas at one address, and together they are one server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
import requests
from support.agents import DISCOVERY, HANDSHAKE, Person, execute, text_of, with_constants
from support.page import Person as Visitor
from support.processes import eventually, is_running, linux_only
from support.rounds import rounds
from support.servers import wait_for
from support.serving import ACME, GLOBEX, TWO_TENANTS, Serving, agent, bearing, is_ready, serving

from kosmolua.serve.grants import FRESHNESS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no processes that share an address"),
]
KIND = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Connection": "close"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
PLUGIN = str(Path(__file__).parent / "plugins" / "notebook.py")
OVERLAP = """
local notebook = app.integrations.notebook
notebook.add({ line = "begin" })
notebook.wait({ seconds = 0.2 })
notebook.add({ line = "end" })
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("serve")
    with serving(folder, TWO_TENANTS, "--simulate", "--processes", "3") as server:
        wait_for(lambda: is_ready(server), 120)
        yield server
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


def children(process: int) -> list[int]:
    """Return the processes that a process has started, which have its command line."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(each) for each in found]


def post(server: Serving, token: str, method: str, session: str = "", **params: Any) -> requests.Response:
    """Send a message of the older protocol over a connection of its own."""
    headers = {**bearing(token), **KIND, **({"mcp-session-id": session} if session else {})}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return requests.post(server.url, json=message, headers=headers, timeout=60)


@pytest.mark.parametrize("token", [ACME, GLOBEX])
def test_each_request_of_a_session_reaches_its_process(server: Serving, token: str) -> None:
    """However many connections a client makes, directly or by a proxy, every request is answered in its session."""
    session = post(server, token, "initialize", **HELLO).headers["mcp-session-id"]

    assert {post(server, token, "tools/list", session).status_code for _ in range(20)} == {200}
    other = GLOBEX if token == ACME else ACME
    assert {post(server, other, "tools/list", session).status_code for _ in range(6)} == {404}
    kept = requests.Session()
    kept.headers.update({**bearing(token), **KIND, "Connection": "keep-alive", "X-Forwarded-For": "192.0.2.1"})
    for _ in range(3):
        one, two = (
            kept.post(
                server.url,
                json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
                headers={**bearing(each), "mcp-session-id": session},
                timeout=60,
            ).status_code
            for each in (token, other)
        )
        assert one == 200, "two tenants over one connection of a proxy"
        assert two == 404, "two tenants over one connection of a proxy"


@pytest.mark.parametrize("era", [HANDSHAKE, DISCOVERY])
def test_an_answer_of_a_person_reaches_the_script_that_asks(server: Serving, era: str) -> None:
    """Whichever process gets the client's next request, the script that waits goes on, and its client is answered."""
    code = 'return app.integrations.render2.restart_service({ service_id = "srv-web000000000000000000" })'
    person = Person("accept", approve="yes")

    async def talk() -> None:
        for _ in range(4):
            async with agent(server.url, ACME, era, elicitation_callback=person) as client:
                answer = text_of(await execute(client, code))
                assert "no longer runs" not in answer
                assert "unknown" not in answer

    anyio.run(talk)
    assert len(person.asked) == 4


def test_a_made_up_id_leads_nowhere(server: Serving) -> None:
    """Ids of processes that there are not, and claims to come from another process, are as any other wrong id."""
    for session in ("77-abc", "9999-abc", "1-../x", "1-"):
        assert post(server, ACME, "tools/list", session).status_code == 404
    headers = {**bearing("wrong"), **KIND, "mcp-session-id": "1-a", "X-Kosmolua-From": "guessed 192.0.2.1:1"}
    assert requests.post(server.url, json={}, headers=headers, timeout=60).status_code == 401


def test_scripts_of_many_clients_run(server: Serving) -> None:
    """Both tenants are served at once, in both eras of the protocol, and the metrics count what all processes did."""

    async def talk() -> None:
        async def work(token: str, era: str) -> None:
            async with agent(server.url, token, era) as client:
                for _ in range(3):
                    assert "Result:\n1" in text_of(await execute(client, "return 1"))

        async with anyio.create_task_group() as group:
            for token in (ACME, GLOBEX):
                for era in (HANDSHAKE, DISCOVERY):
                    group.start_soon(work, token, era)

    def done() -> float:
        text = requests.get(server.base + "/metrics", headers={"Connection": "close"}, timeout=60).text
        return sum(float(each) for each in re.findall(r'kosmolua_runs_total{status="done"} (.*)', text))

    before = done()
    anyio.run(talk)
    assert [done() - before for _ in range(6)] == [12.0] * 6


def test_a_sign_out_ends_the_session_in_all_processes(server: Serving) -> None:
    """A second later the cookie is worth nothing, whichever process is asked."""
    person = Visitor(server.base)
    person.sign_in(ACME)
    cookies = person.browser.cookies.copy()

    def statuses() -> set[int]:
        url, alone = server.base + "/accounts", {"Connection": "close"}
        return {
            requests.get(url, cookies=cookies, headers=alone, allow_redirects=False, timeout=60).status_code
            for _ in range(20)
        }

    assert statuses() == {200}
    assert person.send("/logout").status_code == 200
    time.sleep(FRESHNESS)
    assert statuses() == {303}


@pytest.mark.parametrize("kind", ["sqlite", "default"][: rounds(1, 2)])
def test_the_workers_of_a_tenant_are_those_of_all_processes(tmp_path: Path, kind: str) -> None:
    """Scripts of a tenant with one worker run one after another, also after one of the processes was killed."""
    text = f"""\
[tenants.acme]
token = "{ACME}"
workers = 1

[notebook.default]
key = "a-key-of-the-notebook"
file = "{tmp_path / "notebook"}"
permissions = {{ write = "allow" }}
"""
    if kind == "sqlite":
        text += f'[serve]\nstore = "sqlite:///{tmp_path}/store.db"\n'

    def run(server: Serving, code: str = OVERLAP) -> str:
        session = post(server, ACME, "initialize", **HELLO).headers["mcp-session-id"]
        called = {"name": "execute_lua", "arguments": {"code": code}}
        return post(server, ACME, "tools/call", session, **called).text

    def run_four(server: Serving) -> list[str]:
        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(lambda _: run(server), range(4)))

    notebook = tmp_path / "notebook"
    lease = with_constants("kosmolua.stores.database", SLOT_LEASE=6.0, RENEWAL=1)
    with serving(tmp_path, text, "--processes", "3", "--plugin", PLUGIN, before=lease) as server:
        wait_for(lambda: is_ready(server), 120)
        run_four(server)
        assert notebook.read_text().split() == ["begin", "end"] * 4
        notebook.write_text("")
        with ThreadPoolExecutor(1) as thread:
            lost = thread.submit(run, server, OVERLAP.replace("0.2", "60"))
            wait_for(lambda: "begin" in notebook.read_text(), 60)
            for process in children(server.process.pid):
                os.kill(process, signal.SIGKILL)
            assert lost.exception(60) is not None
        wait_for(lambda: len(children(server.process.pid)) == 3, 60)
        notebook.write_text("")
        run_four(server)
        assert notebook.read_text().split() == ["begin", "end"] * 4


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    """The others serve on, soon there are as many as before, and sessions of the dead one are not found."""
    with serving(tmp_path, TWO_TENANTS, "--simulate", "--processes", "2") as server:
        wait_for(lambda: is_ready(server), 120)
        wait_for(lambda: len(children(server.process.pid)) == 2, 60)
        sessions = [post(server, ACME, "initialize", **HELLO).headers["mcp-session-id"] for _ in range(12)]
        victim = children(server.process.pid)[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in children(server.process.pid), 60)
        wait_for(lambda: len(children(server.process.pid)) == 2, 60)
        wait_for(lambda: post(server, ACME, "tools/list", sessions[0]).status_code != 503, 60)

        async def talk() -> None:
            for token in (ACME, GLOBEX):
                async with agent(server.url, token) as client:
                    assert "Result:\n1" in text_of(await execute(client, "return 1"))

        anyio.run(talk)
        assert {post(server, ACME, "tools/list", session).status_code for session in sessions} <= {200, 404}
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


@linux_only
def test_another_child_that_ends_is_not_one_of_the_processes() -> None:
    """As a container's first process gets orphans, and a busy machine ends late what the server had started before."""
    source = """
import os, time
from kosmolua.serve.processes import run_processes
other = os.fork() or os._exit(0)
os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT)
run_processes(1, lambda _: os.write(1, b"begun\\n") and time.sleep(60), lambda process: print(process == other))
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"begun\n"
        parent.terminate()
        assert parent.stdout.read() == b"False\n"
    assert parent.returncode == 0


@linux_only
def test_no_process_outlives_the_one_that_started_it() -> None:
    """If that is killed, the others stop as well: nothing goes on at the address without it."""
    source = """
import os, time
from kosmolua.serve.processes import run_processes
run_processes(2, lambda _: os.write(1, b"%d\\n" % os.getpid()) and time.sleep(60), print)
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout
            processes = [int(parent.stdout.readline()) for _ in range(2)]
        finally:
            parent.kill()
    assert eventually(lambda: not any(map(is_running, processes)))
