"""The files of deploy/: what can be checked of them without the systems that they are for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import promql_parser
import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.agents import execute
from support.serving import ACME, TWO_TENANTS, agent, bearing, serving

from kosmolua.serve.app import ALIVE, READY

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
SECRETS = {"ACME_TOKEN": "the-token-of-acme", "METRICS_TOKEN": "the-token-for-metrics"}
TOKEN = SECRETS["METRICS_TOKEN"]


def documents() -> list[dict[str, Any]]:
    """Return the objects of the Kubernetes example."""
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def pod() -> dict[str, Any]:
    """Return what the Kubernetes example says of a pod."""
    (found,) = (each["spec"]["template"]["spec"] for each in documents() if each["kind"] == "StatefulSet")
    return found


def program(name: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/usr/bin")
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def checked(*command: str, **variables: str) -> str:
    """Run a program that checks a file, and return what it says; it is an error if it finds anything."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, cwd=DEPLOY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def command_lines() -> dict[str, list[str]]:
    """Return the options of ``kosmolua serve`` that each file gives."""
    unit = re.findall(r"^ExecStart=\S+ serve (.*)$", (DEPLOY / "kosmolua.service").read_text(), re.MULTILINE)[0]
    image = re.findall(r"^CMD \[(.*)\]$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[0]
    found = {"unit": unit.split(), "image": re.findall(r'"([^"]+)"', image), "pod": pod()["containers"][0]["args"]}
    return {name: [word for word in words if word.startswith("--")] for name, words in found.items()}


@pytest.mark.slow
def test_command_lines_are_of_this_program() -> None:
    """Each option is one that the command has."""
    help = subprocess.run([sys.executable, "-m", "kosmolua", "serve", "--help"], capture_output=True, text=True).stdout

    for name, options in command_lines().items():
        assert {"--listen", "--accounts", "--drain"} <= {*options}, name
        assert all(option in help for option in options), name


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """systemd finds nothing wrong with it, given a program and a user that are there."""
    text = (DEPLOY / "kosmolua.service").read_text()
    text = text.replace("/opt/kosmolua/bin/kosmolua", shutil.which("true") or "/bin/true")
    unit = tmp_path / "kosmolua.service"
    unit.write_text(re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)

    assert done.returncode == 0
    assert done.stderr == ""


def test_the_pod_is_probed_and_confined() -> None:
    """Probes ask at addresses that the server has, and the pod gets longer to stop than its drain takes."""
    (container,) = pod()["containers"]

    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {"startupProbe": READY, "readinessProbe": READY, "livenessProbe": ALIVE}
    drain = container["args"][container["args"].index("--drain") + 1]
    pause = container["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert int(drain.removesuffix("s")) + int(pause) < pod()["terminationGracePeriodSeconds"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod()["securityContext"]["runAsNonRoot"]


def test_replicas_share_a_store_and_are_not_all_away() -> None:
    """Several have the store that the accounts file names, each keeps its journals, and one at a time is disrupted."""
    kinds = {each["kind"]: each["spec"] for each in documents()}
    (container,) = pod()["containers"]

    assert kinds["StatefulSet"]["replicas"] > 1
    assert kinds["PodDisruptionBudget"]["maxUnavailable"] == 1
    assert kinds["PodDisruptionBudget"]["selector"] == kinds["StatefulSet"]["selector"]
    assert kinds["Service"]["sessionAffinity"] == "ClientIP"
    named = re.findall(r'env = "(\w+)"', (DEPLOY / "accounts.toml").read_text())
    assert {each["name"] for each in container["env"]} == {*named}
    kept = {claim["metadata"]["name"] for claim in kinds["StatefulSet"]["volumeClaimTemplates"]}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == kept | {volume["name"] for volume in pod()["volumes"]}


def test_the_kubernetes_example_fits_its_schemas() -> None:
    """Each object is what the API of Kubernetes takes."""
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for document in documents():
        validate.validate(document, "1.31", strict=True)


def test_the_kubernetes_example_is_the_chart() -> None:
    """Helm renders exactly these objects, and finds nothing wrong with the chart."""
    helm = program("helm")
    checked(helm, "lint", "--strict", "helm/kosmolua")
    rendered = checked(helm, "template", "kosmolua", "helm/kosmolua")
    assert list(yaml.safe_load_all(rendered)) == documents()


@pytest.mark.slow
def test_the_accounts_file_is_right(tmp_path: Path) -> None:
    """The server itself finds nothing wrong with it, given what it names."""
    file = tmp_path / "accounts.toml"
    file.touch(mode=0o600)
    file.write_bytes((DEPLOY / "accounts.toml").read_bytes())
    store = f"sqlite:///{tmp_path}/store.db"
    command = (sys.executable, "-m", "kosmolua", "serve", "--check", "--accounts", str(file))
    said = checked(*command, **SECRETS, KOSMOLUA_STORE=store, XDG_STATE_HOME=str(tmp_path))
    assert "acme" in said


@pytest.mark.slow
def test_compose_takes_its_file() -> None:
    """With the variables of the accounts file, and it refuses to start without one of them."""
    command = (program("docker-compose"), "--file", "compose.yaml", "config", "--format", "json")
    found = json.loads(checked(*command, SITE="agents.example", POSTGRES_PASSWORD="secret", **SECRETS))
    servers = [found["services"][name] for name in ("server-1", "server-2")]
    for server in servers:
        assert server["environment"].keys() == {*SECRETS, "KOSMOLUA_STORE"}
    assert len({mount.get("source") for server in servers for mount in server["volumes"]}) == 4, "own states"
    lacking = subprocess.run(command, capture_output=True, text=True, cwd=DEPLOY)
    assert lacking.returncode != 0


def test_the_proxy_takes_its_file(tmp_path: Path) -> None:
    """Caddy finds nothing wrong with it."""
    variables = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    checked(program("caddy"), "validate", "--adapter", "caddyfile", "--config", "Caddyfile", **variables)


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """Yield the expressions of the alerts and of the dashboard, each with the name of what has it."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def selectors(expression: Any) -> Iterator[Any]:
    """Yield the selectors of time series in an expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    parts = [getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    for part in [*parts, *getattr(expression, "args", [])]:
        if part is not None:
            yield from selectors(part)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The time series of a server that has run scripts, and those of Prometheus itself, each with its labels."""

    async def work() -> None:
        async with agent(server.url, ACME) as client:
            await execute(client, "return app.integrations.render2.get_current_user()")
            await execute(client, "error('no')")

    with serving(
        tmp_path_factory.mktemp("serve"), f'{TWO_TENANTS}[serve]\nmetrics_token = "{TOKEN}"', "--simulate"
    ) as server:
        anyio.run(work)
        text = requests.get(server.base + "/metrics", headers=bearing(TOKEN), timeout=60).text
    found: dict[str, set[str]] = {"up": set()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "query"), list(queries()))
def test_queries_are_of_series_that_a_server_has(name: str, query: str, series: dict[str, set[str]]) -> None:
    """Prometheus can parse each, and each series and label in it is one that a server has."""
    found = list(selectors(promql_parser.parse(query)))
    assert found, name
    for each in found:
        assert each.name in series
        assert {matcher.name for matcher in each.matchers.matchers} <= series[each.name] | {"instance", "job"}


@pytest.mark.slow
def test_prometheus_takes_its_files(tmp_path: Path) -> None:
    """promtool finds nothing wrong with the configuration and with the alerts."""
    promtool = program("promtool")
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    (tmp_path / "prometheus" / "metrics-token").write_text("the-token-for-metrics")
    said = checked(promtool, "check", "config", str(tmp_path / "prometheus" / "prometheus.yaml"))
    assert f"{len(rules())} rules found" in said


def test_each_alert_has_a_runbook() -> None:
    """The page on operation has a section for each, in their order."""
    page = (ROOT / "docs" / "operations.md").read_text()
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_the_image_has_no_fault() -> None:
    """hadolint finds nothing, what runs in it is not root, and what the example for Kubernetes speaks of is there."""
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER \d+$", text, re.MULTILINE)
    assert ".[serve,postgres]" in text
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:/usr/bin")
    if not hadolint:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
