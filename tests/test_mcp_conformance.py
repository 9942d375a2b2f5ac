"""Client and server pass the official conformance suite of MCP, at each version of the protocol that a scenario has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import webbrowser
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest
import requests
from support import conformance_client
from support.agents import ENVIRON, SERVER
from support.loopback import Loopback
from support.rawserver import forward_to, serving
from support.rounds import rounds
from support.tasks_server import tasks_server

from kosmolua.plugin import Request, Response

pytestmark = pytest.mark.slow

PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
OLD, NEW = "2025-11-25", "2026-07-28"


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Node compiles the suite once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODE_COMPILE_CACHE", str(tmp_path_factory.getbasetemp() / "node"))
        yield


@cache
def suite() -> list[str]:
    """Return the command of the suite: ``$CONFORMANCE``, or the one in ``PATH``, with a Node beside it if there is."""
    program = os.environ.get("CONFORMANCE") or shutil.which("conformance")
    beside = Path(program or "").parent / "node"
    node = str(beside) if beside.exists() else shutil.which("node")
    if not program or not node:
        pytest.skip(f"Node and the suite are not both here: npm install {PACKAGE} node@24, and set CONFORMANCE")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().removeprefix("v").partition(".")[0]) < 22:
        pytest.skip(f"the suite needs Node 22 or later, and this is {version.strip()}: npm install node@24")
    return [node, program]


@pytest.mark.parametrize("version", ["", NEW, OLD][: rounds(1, 3)], ids=lambda version: version or "its own")
def test_the_client_passes(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No check of a scenario fails, and none warns: of each at a version it has, or of all that one version has."""
    monkeypatch.setattr(webbrowser, "open", lambda url: not Thread(target=requests.get, args=(url,)).start())
    said: list[str] = []
    turn = Lock()

    def act(request: Request) -> Response:
        scenario = request.fields["Scenario"]
        folder = tmp_path / scenario
        context: dict[str, Any] = json.loads(request.body or b"{}")
        with turn, pytest.MonkeyPatch.context() as patch:
            folder.mkdir(parents=True)
            for name in ("STATE", "CACHE", "CONFIG"):
                patch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
            acts = conformance_client.act(request.fields["Target"], scenario, context, folder)
            said.extend(f"{scenario}: {each}" for each in acts)
        return Response(200)

    command = tmp_path / "client.sh"
    post = 'exec curl -s -d "$MCP_CONFORMANCE_CONTEXT" -H "Target: $1" -H "Scenario: $MCP_CONFORMANCE_SCENARIO"'
    with Loopback(act) as client:
        command.write_text(f"{post} {client.url}/\n")
        asked = ["client", "--command", f"sh {command}", "--suite", "all", "--timeout", "240000"]
        versions = ["--spec-version", version] if version else []
        done = subprocess.run([*suite(), *asked, *versions], capture_output=True, text=True, timeout=600)
    found = re.findall(r"^. (\S+): (\d+) passed, (\d+) failed", done.stdout, re.MULTILINE)
    told = "\n".join([*said, done.stdout[-9000:]])
    idle = {name for name, passed, _ in found if passed == "0"}
    assert {name for name in idle if not name.startswith("sep-2640-client-")} == set(), told  # it reads no skills
    assert re.search(r"^Total: \d+ passed, 0 failed, 0 warnings", done.stdout, re.MULTILINE), told
    assert done.returncode == 0
    if not version:
        listed = subprocess.run([*suite(), "list"], capture_output=True, text=True, check=True).stdout
        clients = listed.partition("Client scenarios")[2].partition("Authorization server scenarios")[0]
        assert {name for name, *_ in found} == set(re.findall(r"- (\S+) \[", clients))


# As a server

ASKS = "return app.integrations.render2.restart_service({ service_id = 'srv-cabc12345678' })"
CALLS = "for _ = 1, 6 do app.integrations.render2.list_services() for _ = 1, 3e7 do end end return 'done'"
SCRIPTS = {
    "test_simple_text": "return 'This is a simple text response for testing.'",
    "test_error_handling": "error('This tool intentionally returns an error for testing')",
    "test_tool_with_progress": CALLS,
    "test_reconnection": "return 'here'",
    "test_elicitation": ASKS,
    "test_input_required_result_elicitation": ASKS,
    "test_input_required_result_request_state": ASKS,
    "test_input_required_result_tampered_state": ASKS,
}
"""The tools of the suite that a script of the user can be, by name; the server asks a person before it restarts."""
UNSUITABLE = """
A tool of the suite that answers with something else than text; scripts answer with text, data and links:
    tools-call-image tools-call-audio tools-call-embedded-resource tools-call-mixed-content
A tool of the suite with $anchor, allOf and if in its schema; the header of a script has no words for these:
    json-schema-2020-12-tool-found
Resources test://...; the server has pages, results and its skill, at URIs of its own:
    resources-read-text resources-read-binary resources-templates-read
Prompts of the suite; the server has one of its own:
    prompts-get-simple prompts-get-with-args prompts-get-embedded-resource prompts-get-with-image
"""
"""The checks of both versions that cannot pass, after the reason; the next ones are of one version."""
UNSUITABLE_OLD = """
A tool of the suite that asks the client's model; the server never does:
    tools-call-sampling
A tool of the suite whose form has defaults or enumerations; the server's has one decision:
    elicitation-sep1034-general elicitation-sep1330-general
The capability logging, which is not declared: progress says what a script does, and its answer the rest:
    logging-set-level tools-call-with-logging
The capability resources.subscribe, which is not declared, and a resource test://watched-resource:
    resources-subscribe resources-unsubscribe
Streams that can be resumed, which are recommended; a script whose client disconnects is stopped:
    server-sse-priming-event server-sse-retry-field
"""
UNSUITABLE_NEW = """
A tool with an argument that is also a header; no argument of the server's tools is one:
    sep-2243-server-no-xmcp-tool sep-2243-server-decode-base64 sep-2243-server-validate-param-match
    sep-2243-server-reject-invalid-param-chars sep-2243-server-reject-param-mismatch
A question called user_name, which is also answered without having been asked; the server's is called approval:
    sep-2322-elicitation-incomplete sep-2322-ignore-unexpected-params
A tool of the suite that asks the client's model or for its roots; the server never does:
    sep-2322-sampling-incomplete sep-2322-list-roots-incomplete sep-2322-multiple-inputs-incomplete
    sep-2322-respect-client-capabilities
    sep-2575-server-rejects-undeclared-capability sep-2575-missing-capability-http-400
A tool of the suite with two questions, one after the other:
    sep-2322-multi-round-r1
A prompt of the suite that asks a question; the server's asks none:
    sep-2322-non-tool-incomplete
Tools of the suite that change the lists of tools and of prompts; the server tells of tools when a script is saved:
    sep-2575-server-sends-tools-list-changed-on-subscription
    sep-2575-server-sends-prompts-list-changed-on-subscription
A tool of the suite that has half a second to answer, which a busy machine may not have:
    sep-2575-http-server-no-independent-requests-on-stream sep-2575-server-no-log-without-loglevel
"""
SKILLS = ["sep-2640-skills-directory", "sep-2640-skills-enumeration", "sep-2640-skills-manifest"]
TASKS = [
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-status-notifications",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
]
"""The scenarios of the extension for tasks; the suite skips the one about notifications, which are optional."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server whose clients need no token, with the scripts as tools."""
    suite()
    folder = tmp_path_factory.mktemp("server")
    path = folder / "socket"
    for name, code in SCRIPTS.items():
        (folder / f"{name}.lua").write_text(code)
    command = [*SERVER, "--scripts", str(folder), "--http", f"unix:{path}"]
    environ = {**ENVIRON, "XDG_STATE_HOME": str(folder / "state")}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert b"serving on" in process.stderr.readline()
        with serving(forward_to(path)) as front:
            yield front.url.replace("/v1", "/mcp")
        process.kill()


def failures(url: str, folder: Path, *asked: str) -> dict[str, str]:
    """Run scenarios against a server; return the checks that failed or warned, with what was wrong."""
    command = [*suite(), "server", "--url", url, "--output-dir", str(folder), *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    checks = [each for file in folder.glob("*/checks.json") for each in json.loads(file.read_text())]
    assert checks, done.stdout + done.stderr
    return {each["id"]: each.get("errorMessage", "") for each in checks if each["status"] in ("FAILURE", "WARNING")}


@pytest.mark.parametrize(("version", "own"), [(OLD, UNSUITABLE_OLD), (NEW, UNSUITABLE_NEW)], ids=[OLD, NEW])
def test_the_server_passes(version: str, own: str, server: str, tmp_path: Path) -> None:
    """All checks pass but those that need what only a server made for the suite has; and none of these passes."""
    failed = failures(server, tmp_path, "--suite", "all", "--spec-version", version)
    unsuitable = {check for line in (UNSUITABLE + own).splitlines() if line[:1] == " " for check in line.split()}
    assert {check: why for check, why in failed.items() if check not in unsuitable} == {}
    assert unsuitable - failed.keys() == set()


@pytest.mark.parametrize("scenario", SKILLS)
def test_the_servers_skill_passes(scenario: str, server: str, tmp_path: Path) -> None:
    """No check of the extension for skills fails, and none warns."""
    assert failures(server, tmp_path, "--scenario", scenario) == {}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with the tools for tasks."""
    suite()
    with tasks_server(tmp_path_factory.mktemp("tasks")) as url:
        yield url


@pytest.mark.parametrize("scenario", TASKS)
def test_the_servers_tasks_pass(scenario: str, tasks: str, tmp_path: Path) -> None:
    """No check of the extension for tasks fails, and none warns."""
    assert failures(tasks, tmp_path, "--scenario", scenario) == {}


def test_every_extension_of_the_suites_servers_is_known() -> None:
    """The suite has skills and tasks."""
    listed = subprocess.run([*suite(), "list"], capture_output=True, text=True, check=True).stdout
    servers = listed.partition("Server scenarios")[2].partition("Client scenarios")[0]
    extensions = re.findall(r"- (\S+) \[extension\]", servers)
    assert extensions == [*SKILLS, *TASKS]
