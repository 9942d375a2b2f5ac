"""render2 against Render's own OpenAPI document, judged by a validator that is not ours: Prism, from npm.

Prism serves the strict copy of the document that ``make_strict_spec.py`` derives; what the script says about the body
of a creation holds for that of a change as well, so the test derives that too.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.processes import eventually
from support.render2_account import KEY, account, answer, body_of, integration, line_of
from support.render2_bodies import CHANGE_BODIES, CREATIONS, creation
from support.render2_calls import BUILD, CALLS, OWNER, SERVICE
from support.render2_settings import FULL, every_change
from support.servers import reserved_port

from kosmolua.plugin import Request, Response, Secret

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "render"
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("web_service", "node", {"name": "new", "plan": "pro", **BUILD, "health_check_path": "/up", "auto_deploy": False}),
    ("web_service", "docker", {"start_command": "./serve", "branch": "main", "root_dir": "web"}),
    ("web_service", "image", {"image": "docker.io/library/nginx:1.27", "registry_credential_id": "rgc-cabc12345678"}),
    ("private_service", "python", {"pre_deploy_command": "alembic upgrade head"}),
    ("background_worker", "ruby", {"start_command": "bundle exec sidekiq", "plan": "standard"}),
    ("cron_job", "node", {"schedule": "*/5 * * * *", "start_command": "npm run tidy"}),
    ("static_site", "", {"build_command": "npm run build", "publish_path": "dist"}),
    *((kind, "node", arguments) for kind in FULL if kind != "static_site" for arguments in every_change(kind)),
    *(("static_site", "", arguments) for arguments in every_change("static_site")),
]


@pytest.fixture(scope="session")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one Prism for the whole session, ended by its process id."""
    if not (SHARED / "openapi.json").exists():
        pytest.skip("Render's OpenAPI document is not at ../shared/render")
    spec = tmp_path_factory.mktemp("prism") / "strict.json"
    make = [sys.executable, SHARED / "make_strict_spec.py", SHARED / "openapi.json", spec]
    subprocess.run(make, check=True)
    _add_what_is_recorded(spec)
    _be_strict_about_changes(spec)
    with reserved_port() as port:
        command = [*_prism_command(), "mock", str(spec), "-h", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def _prism_command() -> list[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    local = ROOT / "node_modules" / ".bin" / "prism"
    for found in (os.environ.get("PRISM"), shutil.which("prism"), str(local) if local.exists() else None):
        if found:
            return [node, str(Path(found).resolve())]
    pytest.skip("Prism is not installed: npm install @stoplight/prism-cli, or point PRISM at its command")


def _add_what_is_recorded(spec: Path) -> None:
    """Add the trigger of automatic deploys, which Render takes and its document knows for workflows only."""
    document = json.loads(spec.read_text())
    schemas = document["components"]["schemas"]
    for schema in (*schemas["servicePOST"]["oneOf"], schemas["servicePATCH"]):
        schema["properties"]["autoDeployTrigger"] = {"$ref": "#/components/schemas/autoDeployTrigger"}
    spec.write_text(json.dumps(document))


def _be_strict_about_changes(spec: Path) -> None:
    """Choose the details of a PATCH by what they hold: the document's oneOf fails when several types would fit."""
    document = json.loads(spec.read_text())
    schemas = document["components"]["schemas"]
    details = schemas["servicePATCH"]["properties"]["serviceDetails"]
    details["anyOf"] = details.pop("oneOf")
    schemas["envSpecificDetailsPATCH"]["anyOf"] = schemas["envSpecificDetailsPATCH"].pop("oneOf")
    for one in (*details["anyOf"], *schemas["envSpecificDetailsPATCH"]["anyOf"], {"$ref": "#/servicePATCH"}):
        schemas[one["$ref"].rpartition("/")[2]]["additionalProperties"] = False
    spec.write_text(json.dumps(document))


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    def is_there() -> bool:
        assert process.poll() is None, f"Prism ended with {process.returncode} before it served anything"
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", port)) == 0

    assert eventually(is_there, 180), "Prism did not start within three minutes"


class Judged:
    """A ``send`` that passes requests on to Prism, and keeps what it has to say against them.

    What it says against its own answers is left out: Render's document has examples that do not fit it.
    """

    def __init__(self, prism: str) -> None:
        self.faults: list[str] = []
        self.lines: list[str] = []
        self._prism = prism

    def __call__(self, request: Request) -> Response:
        headers = {name: _plain(value) for name, value in request.headers.items()}
        reply = requests.request(
            request.method,
            request.url.replace("https://api.render.com/v1", self._prism),
            params=[(name, _plain(value)) for name, value in request.query],
            headers=headers,
            data=request.body,
            timeout=30,
        )
        self.lines.append(line_of(request))
        violations = json.loads(reply.headers.get("sl-violations", "[]"))
        about_request = [fault for fault in violations if fault["location"][0] == "request"]
        if reply.status_code >= 400 or about_request:
            said = about_request or reply.text
            self.faults.append(f"{line_of(request)} {body_of(request)}: {reply.status_code} {said}")
        return Response(reply.status_code, dict(reply.headers), reply.content)


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), CALLS, ids=[f"{number}-{row[0]}" for number, row in enumerate(CALLS)])
def test_prism_accepts_the_request_of_every_function(prism: str, name: str, arguments: dict[str, Any]) -> None:
    """What a function sends fits Render's own document, and what the document answers fits the function."""
    send = Judged(prism)

    result = account(send)(name, **arguments)

    assert send.faults == []
    assert send.lines
    assert isinstance(result, dict)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "runtime", "arguments"), CHANGES, ids=[f"{number}-{row[0]}-{row[1]}" for number, row in enumerate(CHANGES)]
)
def test_prism_accepts_a_change_of_each_type_of_service(
    prism: str, kind: str, runtime: str, arguments: dict[str, Any]
) -> None:
    """A PATCH is nested as the type and runtime of the service that was read first demand."""
    judged = Judged(prism)
    service = {"id": SERVICE, "type": kind, "ownerId": OWNER, "serviceDetails": {"runtime": runtime}}

    def send(request: Request) -> Response:
        return answer(200, service) if request.method == "GET" else judged(request)

    account(send)("update_service", service_id=SERVICE, **arguments)

    assert judged.faults == []
    assert judged.lines == [f"PATCH /services/{SERVICE}"]


def test_every_function_is_judged() -> None:
    """A function that is added to render2 must be added to this file's table too."""
    assert {name for name, _ in CALLS} | {"update_service"} == set(integration.functions)


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "status"), CREATIONS)
def test_prism_and_the_simulator_agree_on_creations(prism: str, changes: dict[str, Any], status: int) -> None:
    """What the simulator lets pass fits the document, and what it refuses the document refuses too.

    Only that a service needs a repository or an image is not in the document: its own words leave both optional.
    """
    body = creation(changes, OWNER)
    reply = requests.post(f"{prism}/services", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)

    assert reply.status_code == (status if "repo" in body or "image" in body else 201)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "body", "status"), CHANGE_BODIES)
def test_prism_and_the_simulator_agree_on_changes(prism: str, kind: str, body: dict[str, Any], status: int) -> None:
    """So they do on what changes a service; the document does not know of which type it is."""
    headers = {"Authorization": f"Bearer {KEY}"}
    reply = requests.patch(f"{prism}/services/{SERVICE}", json=body, headers=headers, timeout=60)

    assert reply.status_code == status


@pytest.mark.slow
def test_prism_wants_the_statuses_of_deploys_repeated(prism: str) -> None:
    """The document joins most lists by commas, but not this one: joined, it is refused."""
    url, headers = f"{prism}/services/{SERVICE}/deploys", {"Authorization": f"Bearer {KEY}"}

    joined = requests.get(url, params={"status": "live,build_failed"}, headers=headers, timeout=60)
    repeated = requests.get(url, params={"status": ["live", "build_failed"]}, headers=headers, timeout=60)

    assert joined.status_code == 422
    assert repeated.status_code == 200
