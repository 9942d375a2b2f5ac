"""The client passes the official conformance suite of MCP, at each version of the protocol that a scenario has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import webbrowser
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from support import conformance_client
from support.loopback import Loopback

from kosmolua.plugin import Request, Response

pytestmark = pytest.mark.slow

PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
OLD, NEW = "2025-11-25", "2026-07-28"
BOTH = """
    tools_call json-schema-2020-12-preservation auth/metadata-default auth/metadata-var1 auth/metadata-var2
    auth/metadata-var3 auth/basic-cimd auth/scope-from-www-authenticate auth/scope-from-scopes-supported
    auth/scope-omitted-when-undefined auth/scope-step-up auth/scope-retry-limit auth/token-endpoint-auth-basic
    auth/token-endpoint-auth-post auth/token-endpoint-auth-none auth/pre-registration
"""
"""The scenarios that both versions have; the next ones are of one version, the last of no version at all."""
ONLY_OLD = "initialize elicitation-sep1034-client-defaults sse-retry"
ONLY_NEW = """
    request-metadata auth/resource-mismatch auth/offline-access-scope auth/offline-access-not-supported
    auth/authorization-server-migration auth/iss-supported auth/iss-not-advertised auth/iss-supported-missing
    auth/iss-wrong-issuer auth/iss-unexpected auth/iss-normalized auth/metadata-issuer-mismatch
    sep-2322-client-request-state http-standard-headers http-custom-headers http-invalid-tool-headers
    json-schema-ref-no-deref
"""
FIRST = "auth/2025-03-26-oauth-metadata-backcompat auth/2025-03-26-oauth-endpoint-fallback"
EXTENSIONS = """
    auth/client-credentials-jwt auth/client-credentials-basic auth/enterprise-managed-authorization auth/dpop
    auth/dpop-nonce auth/wif-jwt-bearer sep-2640-client-no-prefetch sep-2640-client-verify-digest
    sep-2640-client-verify-size sep-2640-client-verify-frontmatter
"""
SCENARIOS = [
    *((name, version) for name in BOTH.split() for version in (OLD, NEW)),
    *((name, OLD) for name in ONLY_OLD.split()),
    *((name, NEW) for name in ONLY_NEW.split()),
    *((name, "2025-03-26") for name in FIRST.split()),
    *((name, "") for name in EXTENSIONS.split()),
]


@cache
def suite() -> list[str]:
    """Return the command of the suite: ``$CONFORMANCE``, or the one in ``PATH``, with a Node beside it if there is."""
    program = os.environ.get("CONFORMANCE") or shutil.which("conformance")
    beside = Path(program or "").with_name("node")
    node = str(beside) if beside.exists() else shutil.which("node")
    if not program or not node:
        pytest.skip(f"Node and the suite are not both here: npm install {PACKAGE} node@24, and set CONFORMANCE")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip().removeprefix("v").partition(".")[0]) < 22:
        pytest.skip(f"the suite needs Node 22 or later, and this is {version.strip()}: npm install node@24")
    return [node, program]


@pytest.mark.parametrize(("scenario", "version"), SCENARIOS)
def test_the_client_passes(scenario: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No check of a scenario fails, and none warns."""
    for name in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setattr(webbrowser, "open", lambda url: not Thread(target=requests.get, args=(url,)).start())
    said: list[str] = []

    def act(request: Request) -> Response:
        context: dict[str, Any] = json.loads(request.body or b"{}")
        said.extend(conformance_client.act(request.fields["Target"], scenario, context, tmp_path))
        return Response(200)

    command = tmp_path / "client.sh"
    with Loopback(act) as client:
        command.write_text(f'exec curl -s -d "$MCP_CONFORMANCE_CONTEXT" -H "Target: $1" {client.url}/\n')
        asked = ["client", "--command", f"sh {command}", "--scenario", scenario, "--timeout", "60000"]
        versions = ["--spec-version", version] if version else []
        done = subprocess.run([*suite(), *asked, *versions], capture_output=True, text=True, timeout=90)
    passed = re.search(r"Passed: (\d+)/\1, 0 failed, 0 warnings", done.stdout + done.stderr)
    assert passed, "\n".join([*said, done.stdout[-3000:], done.stderr[-3000:]])
    assert done.returncode == 0


def test_every_scenario_of_the_suite_is_run() -> None:
    """A newer suite may have more of them."""
    listed = subprocess.run([*suite(), "list"], capture_output=True, text=True, check=True).stdout
    clients = listed.partition("Client scenarios")[2].partition("Authorization server scenarios")[0]
    assert set(re.findall(r"- (\S+) \[", clients)) == {name for name, _ in SCENARIOS}
