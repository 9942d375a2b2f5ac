"""The server of many: who is let in, to what, and what it says when its file is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import anyio
import pytest
import requests
from starlette.datastructures import Headers
from support.agents import ENVIRON, execute, text_of
from support.serving import ACME, GLOBEX, TWO_TENANTS, Serving, agent, bearing, serving

from kosmolua import ConfigError
from kosmolua.mcp.hosts import is_own_host
from kosmolua.serve import settings
from kosmolua.serve.held import Held
from kosmolua.serve.settings import Settings, TenantSettings
from kosmolua.serve.tenant_runtime import Common, TenantRuntime
from kosmolua.serve.tenants import Tenants
from kosmolua.stores.opening import open_stores


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("serve"), TWO_TENANTS, "--simulate") as server:
        yield server


def refused(folder: Path, text: str, *options: str) -> tuple[int, str]:
    """Return the exit status and the complaint of a server that does not start."""
    (folder / "accounts.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "kosmolua", "serve", "--accounts", str(folder / "accounts.toml"), *options]
    ended = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stderr


@pytest.mark.slow
def test_probes_are_open(server: Serving) -> None:
    """A probe needs no token."""
    for path in ("/healthz", "/readyz"):
        assert requests.get(server.base + path, timeout=60).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("token", [ACME, GLOBEX])
def test_a_tenant_runs_scripts(server: Serving, token: str) -> None:
    """Each token leads to a tenant, whose scripts are recorded in a folder of its own."""

    async def talk() -> str:
        async with agent(server.url, token) as client:
            return text_of(await execute(client, "return 1 + 1"))

    said = anyio.run(talk)
    tenant = "acme" if token == ACME else "globex"
    run = said.split()[3].rstrip(".")

    assert "Result:\n2" in said
    assert (server.state / "tenants" / tenant / "recordings" / f"{run}.jsonl").exists()


WRONG = [{}, bearing(""), bearing(" "), bearing(ACME + "x"), bearing(ACME[:-1]), {"Authorization": ACME}]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_wrong_token_is_refused(server: Serving, number: int) -> None:
    """Without a tenant's token the protocol is closed."""
    host, _, port = server.base.removeprefix("http://").partition(":")
    own = (f"127.0.0.{10 + number}", 0)  # an address that has sent wrong tokens waits longer for the next answer
    client = HTTPConnection(host, int(port), timeout=60, source_address=own)
    with closing(client):
        client.request("POST", "/mcp", "{}", WRONG[number])
        answer = client.getresponse()

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.slow
def test_to_simulate_it_takes_no_tenants_that_nobody_named(tmp_path: Path) -> None:
    """The tenants in the user's config folder are real: they are served only if their file is named."""
    folder = tmp_path / "config" / "kosmolua"
    folder.mkdir(parents=True)
    (folder / "accounts.toml").write_text(TWO_TENANTS, encoding="utf-8")
    (folder / "accounts.toml").chmod(0o600)
    with serving(tmp_path, "", "--simulate", XDG_CONFIG_HOME=str(tmp_path / "config")) as server:
        said = server.log.read_text()
    assert "serving simulated on " in said
    assert "every call is simulated" in said
    [site] = re.findall(r"people: (http://127\.0\.0\.1:\d+)/\n", said)
    assert f"agents: {site}/mcp\n" in said
    assert f"kosmolua install CLIENT --tenant {site}/mcp\n" in said


PUBLIC_KEY = {
    "kid": "1",
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
"""The key in the appendix of RFC 7515."""


def checked(folder: Path, text: str, *options: str, **variables: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Return the status of ``serve --check``, and the state and the words for each subject of its table."""
    (folder / "accounts.toml").write_text(text, encoding="utf-8")
    (folder / "accounts.toml").chmod(0o600)
    command = [sys.executable, "-m", "kosmolua", *options, "--accounts", str(folder / "accounts.toml")]
    environ = {**ENVIRON, "XDG_STATE_HOME": str(folder / "state"), **variables}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    rows = [line.split("\t") for line in ended.stdout.splitlines()]
    return ended.returncode, {row[0]: (row[1], row[2]) for row in rows if len(row) > 2}


@pytest.mark.slow
def test_a_check_names_all_that_is_wrong(tmp_path: Path) -> None:
    """Each wrong part of the settings is a sentence, the rest is checked too, and nothing listens."""
    tenants = """
    [render2.default]
    api_key = { env = "RENDER_KEY_OF_THE_TEST" }
    [tenants.acme]
    token = { env = "ACME_TOKEN_OF_THE_TEST" }
    [tenants.globex]
    token = "the-token-of-globex"
    accounts = "missing.toml"
    [tenants.initech]
    token = "the-token-of-globex-1"
    [tenants.umbrella]
    jwt = { issuer = "https://login.example", audience = "kosmolua", jwks = "keys.json" }
    accounts = "umbrella.toml"
    """
    (tmp_path / "keys.json").write_text('{"keys": "none"}')
    (tmp_path / "umbrella.toml").write_text("[kosmolua]\njournal_required = true\n")
    (tmp_path / "umbrella.toml").chmod(0o600)
    store = f'[serve]\nstore = "sqlite:///{tmp_path}/none/store.db"\n'
    status, found = checked(tmp_path, store + tenants, "serve", "--check")

    assert status == 3
    wrong = {subject for subject, (state, _) in found.items() if state == "error"}
    of_tenants = {"tenant acme", "tenant globex", "tenant initech, render2.default", "tenant umbrella, jwks"}
    assert wrong == {"store", "cookie key", *of_tenants}
    assert "https://login.example" in found["tenant umbrella, jwks"][1]
    assert found["tenant umbrella, journal"] == ("ok", "is required: a write that it cannot record is refused")
    assert "ACME_TOKEN_OF_THE_TEST" in found["tenant acme"][1]
    assert "missing.toml" in found["tenant globex"][1]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [PUBLIC_KEY]}))
    given = {"ACME_TOKEN_OF_THE_TEST": "the-token-of-acme-1", "RENDER_KEY_OF_THE_TEST": "rnd_a1b2c3d4e5f6a7b8c9d0"}
    status, found = checked(tmp_path, tenants.replace('accounts = "missing.toml"', ""), "serve", "--check", **given)
    assert {state for state, _ in found.values()} == {"ok"}
    assert status == 0
    assert found["tenant acme"] == ("ok", "tokens: 1; workers: 8")


@pytest.mark.slow
def test_doctor_checks_a_server_too(tmp_path: Path) -> None:
    """If the accounts file has tenants, their mistakes are among the findings."""
    status, found = checked(tmp_path, '[tenants.acme]\ntoken = { env = "NOWHERE_OF_THE_TEST" }', "doctor")

    assert status == 3
    assert found["server: tenant acme"][0] == "error"
    assert found["server: store"] == ("ok", "can be reached")


def test_a_tenants_file_cannot_ask_for_what_the_server_lacks(tmp_path: Path) -> None:
    """A section that looks like one of a server, in the accounts file of a tenant, would be ignored in silence."""
    for name, section in (("wrong", "webhooks.nightly"), ("right", "shop.default")):
        file = tmp_path / f"{name}.toml"
        file.write_text(f"[{section}]\nscript = 'x'\n")
        file.chmod(0o600)
    wrong, right = (TenantSettings(name, accounts=str(tmp_path / f"{name}.toml")) for name in ("wrong", "right"))
    stores = open_stores(str(tmp_path / "store"))
    with pytest.raises(ConfigError, match=r"wrong\.toml:1: unknown section \[webhooks\]"):
        TenantRuntime(wrong, Common(), Settings(None, {}), stores, Held.within(None))
    TenantRuntime(right, Common(), Settings(None, {"right": right}), stores, Held.within(None)).close()


@pytest.mark.slow
def test_without_a_tenant_it_refuses(tmp_path: Path) -> None:
    """It says what to add to the accounts file; only simulators on loopback need no tenant."""
    for options in ((), ("--simulate", "--listen", "0.0.0.0:0")):
        status, said = refused(tmp_path, "", *options)

        assert status == 3
        assert "[tenants.NAME]" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[tenants.acme]\ntokn = "x"', "accounts.toml:2: unknown key 'tokn' in [tenants.acme] (did you mean 'token'?)"),
        ("[tenants.acme]\nworkers = 2", "[tenants.acme] has neither token nor jwt"),
        ('[tenants.acme]\ntoken = ["a", "b", "c"]', "one secret, or a list of two"),
        ('[tenants.acme]\ntoken = "short"', "fewer than 8 characters"),
        ('[tenants.acme]\ntoken = { env = "NOWHERE" }', "an environment variable that is not set"),
        ('[tenants.acme]\ntoken = "long-enough"\npermissions = { wirte = "deny" }', "(did you mean 'write'?)"),
        ('[tenants.acme]\ntoken = "long-enough"\npermissions = { "render2.x" = "deny" }', "matches no function"),
        ('[tenants.a]\ntoken = "long-enough"\n[tenants.b]\ntoken = "long-enough"', "a and b have the same token"),
        ('[tenant.acme]\ntoken = "x"', "accounts.toml:1: unknown section [tenant] (did you mean 'tenants'?)"),
        ("[serv]\nhosts = []", "unknown section [serv] (did you mean 'serve'?)"),
        ('[schedule.nightly]\ncron = "0 3 * * *"', "unknown section [schedule] (did you mean 'schedules'?)"),
        ('[webhooks.push]\nscript = "x"', "unknown section [webhooks] (hooks are in [hooks.NAME]"),
        ('[serve]\nhost = "x"', "unknown key 'host' in [serve] (did you mean 'hosts'?)"),
        ('[serve]\nhosts = "https://agents.example"', "accounts.toml:2: [serve] hosts must have names such as"),
        ('[serve]\nhosts = ["a.example", "b.example:8080"]', 'without scheme and port, not "b.example:8080"'),
        ("[serve]\napproval_wait = -1", "approval_wait must be a duration"),
        ("[serve]\nmax_request = 1.5", 'accounts.toml:2: [serve] max_request must be a size such as "4MiB", not 1.5'),
    ],
    ids=lambda text: text[:40],
)
def test_a_mistake_in_the_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    """A key that is unknown or does not fit is refused: a typo must not let anybody in."""
    file = tmp_path / "accounts.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Tenants(settings.read(str(file)), Common(environ={}))
    assert said in f"{caught.value} ({caught.value.hint})"


def test_names_of_hosts_are_compared_without_case(tmp_path: Path) -> None:
    """As those in the header Host are."""
    file = tmp_path / "accounts.toml"
    file.write_text('[serve]\nhosts = "Agents.Example"', encoding="utf-8")
    headers = Headers({"host": "AGENTS.example:8080"})
    assert is_own_host(headers, settings.read(str(file)).hosts)


@pytest.mark.slow
def test_a_mistake_in_the_file_keeps_the_server_from_starting(tmp_path: Path) -> None:
    """The complaint names the place in the file."""
    status, complaint = refused(tmp_path, '[tenants.acme]\ntokn = "x"')

    assert status == 3
    assert "accounts.toml:2: unknown key 'tokn' in [tenants.acme]" in complaint
