"""The files of deploy/: what can be checked of them without the systems that they are for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kosmolua.memory import Memory
from kosmolua.serve.app import ALIVE, READY
from kosmolua.serve.metrics import Metrics

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


def documents() -> list[dict[str, Any]]:
    """Return the objects of the Kubernetes example."""
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def command_lines() -> dict[str, list[str]]:
    """Return the options of ``kosmolua serve`` that each file gives."""
    unit = re.findall(r"^ExecStart=\S+ serve (.*)$", (DEPLOY / "kosmolua.service").read_text(), re.MULTILINE)[0]
    image = re.findall(r"^CMD \[(.*)\]$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[0]
    (pod,) = (each["spec"]["template"]["spec"] for each in documents() if each["kind"] == "Deployment")
    found = {"unit": unit.split(), "image": re.findall(r'"([^"]+)"', image), "pod": pod["containers"][0]["args"]}
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

    assert (done.returncode, done.stderr) == (0, "")


def test_the_pod_is_probed_and_confined() -> None:
    """Probes ask at addresses that the server has, and the pod gets longer to stop than its drain takes."""
    (pod,) = (each["spec"]["template"]["spec"] for each in documents() if each["kind"] == "Deployment")
    (container,) = pod["containers"]

    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {"startupProbe": READY, "readinessProbe": READY, "livenessProbe": ALIVE}
    drain = container["args"][container["args"].index("--drain") + 1]
    assert int(drain.removesuffix("s")) < pod["terminationGracePeriodSeconds"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_kubernetes_example_fits_its_schemas() -> None:
    """Each object is what the API of Kubernetes takes."""
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for document in documents():
        validate.validate(document, "1.31", strict=True)


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


def expressions() -> list[str]:
    """Return the expressions of the alerts and of the dashboard."""
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
    panels = json.loads((DEPLOY / "dashboard.json").read_text())["panels"]
    return [each["expr"] for each in rules] + [target["expr"] for each in panels for target in each["targets"]]


def test_alerts_and_dashboard_ask_for_metrics_that_there_are() -> None:
    """Each name is one that the server exports."""
    memory = Memory()
    metrics = Metrics(list, memory)
    exported = set(re.findall(r"^# TYPE (\S+)", metrics.page(names_tenants=True).decode(), re.MULTILINE))
    for expression in expressions():
        names = set(re.findall(r"kosmolua_\w+", expression))
        assert names, expression
        assert {re.sub(r"_bucket$", "", name) for name in names} <= exported, expression


def test_each_alert_has_a_runbook() -> None:
    """A section of the page on operations."""
    titles = re.findall(r"^### (.+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    anchors = {title.lower().replace(" ", "-") for title in titles}
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
    assert {each["annotations"]["runbook"] for each in rules} == {f"docs/operations.md#{each}" for each in anchors}


def test_replicas_share_a_store_and_are_not_all_taken_away() -> None:
    """The disruption budget and the service select the pods, and leave fewer than all of them to go at once."""
    found = {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes-replicas.yaml").read_text())}
    deployment, budget = found["Deployment"]["spec"], found["PodDisruptionBudget"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert 0 < budget["minAvailable"] < deployment["replicas"]
    variables = {each["name"] for each in deployment["template"]["spec"]["containers"][0]["env"]}
    assert "KOSMOLUA_STORE" in variables


def test_compose_waits_for_the_database_and_drains() -> None:
    """The database is healthy first, and the server has longer to stop than its drain takes."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    server = services["kosmolua"]
    assert server["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert "healthcheck" in services["postgres"]
    drain = server["command"][server["command"].index("--drain") + 1]
    assert int(server["stop_grace_period"].rstrip("s")) > int(drain.rstrip("s"))
