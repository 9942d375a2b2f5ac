"""The reference servers of MCP, which are made with the TypeScript SDK and speak the older protocol."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kosmolua import Runtime
from kosmolua.calls.approvals import Approval

pytestmark = pytest.mark.slow
PACKAGES = ("server-everything", "server-filesystem")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the servers: that of MCP_REFERENCE_SERVERS, else one that npm fills."""
    if named := os.environ.get("MCP_REFERENCE_SERVERS"):
        return Path(named) / "node_modules/@modelcontextprotocol"
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("node and npm are not both here")
    folder = tmp_path_factory.mktemp("servers")
    names = [f"@modelcontextprotocol/{name}" for name in PACKAGES]
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *names]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=300)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm cannot install the servers: is there a network?")
    return folder / "node_modules/@modelcontextprotocol"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the server of files."""
    folder = tmp_path_factory.mktemp("files").resolve()
    (folder / "a.txt").write_text("hello file\n")
    return folder


@pytest.fixture(scope="module")
def asked() -> list[Approval]:
    return []


@pytest.fixture(scope="module")
def runtime(packages: Path, files: Path, asked: list[Approval], tmp_path_factory: Any) -> Iterator[Runtime]:
    def section(name: str, *arguments: str) -> dict[str, Any]:
        return {"command": "node", "args": [str(packages / name / "dist/index.js"), *arguments]}

    def approve(approval: Approval) -> bool:
        asked.append(approval)
        return True

    sections = {"everything": section(PACKAGES[0]), "files": section(PACKAGES[1], str(files))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with Runtime({"mcp": sections}, approve=approve) as runtime:
            yield runtime


def returned(runtime: Runtime, source: str) -> list[Any]:
    outcome = runtime.run(f"local all, files = app.mcp.everything, app.mcp.files\n{source}")
    assert outcome.error is None, outcome.error
    return outcome.result


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("all.echo('hi')", "Echo: hi"),
        ("all['get-sum']({ a = 1, b = 2 })", "The sum of 1 and 2 is 3."),
        ("all.get_structured_content({ location = 'New York' }).conditions", "Cloudy"),
        ("all.get_tiny_image()[2].content_type", "image/png"),
        (
            "all.get_resource_reference({ resourceType = 'Text', resourceId = 1 })[2].uri",
            "demo://resource/dynamic/text/1",
        ),
        ("#all.get_resource_links({ count = 2 })", 3),
        ("#all.list_resource_templates() > 0", True),
        ("type(all.read_resource(all.list_resources()[1].uri))", "string"),
        ("all.get_prompt('simple-prompt').messages[1].role", "user"),
        (
            "all.trigger_long_running_operation({ duration = 0.2, steps = 2 })",
            "Long running operation completed. Duration: 0.2 seconds, Steps: 2.",
        ),
    ],
)
def test_everything_arrives(runtime: Runtime, call: str, expected: object) -> None:
    """Texts, structure, images, resources, prompts and progress."""
    assert returned(runtime, f"return {call}") == [expected]


def test_files_are_read_and_written_as_permitted(runtime: Runtime, files: Path, asked: list[Approval]) -> None:
    """Reads are allowed, what overwrites is asked about, and what the server refuses raises."""
    asked.clear()
    path = str(files / "a.txt")
    assert returned(runtime, f"return files.read_text_file({{ path = {path!r} }}).content") == ["hello file\n"]
    assert asked == []
    returned(runtime, f"files.write_file({{ path = {str(files / 'b.txt')!r}, content = 'new' }})")
    assert (files / "b.txt").read_text() == "new"
    assert [(each.path, each.effect) for each in asked] == [("mcp.files.write_file", "destroy")]
    outcome = runtime.run("app.mcp.files.read_text_file('/etc/passwd')")
    assert outcome.error is not None
    assert outcome.error.code == "api_error"
    assert "Access denied" in outcome.error.message


def test_a_question_of_the_server_goes_to_the_person(runtime: Runtime, asked: list[Approval]) -> None:
    """A form that asks for more than yes or no is declined."""
    asked.clear()
    (told,) = returned(runtime, "return all.trigger_elicitation_request()")
    assert "declined" in str(told)
    assert [each.path for each in asked] == ["mcp.everything.trigger_elicitation_request"]


def test_the_environment_is_not_passed_on(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server says itself what it got."""
    (found,) = returned(runtime, "return all.get_env()")
    assert found.keys() <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR"}


def test_what_a_server_says_of_itself_is_a_quotation(runtime: Runtime) -> None:
    """Its instructions are read by a model and checked by nobody: no line of them is one of the page."""
    returned(runtime, "return all.echo('hi')")
    page = runtime.docs.read("mcp.everything")
    assert "The server says of itself:" in page
    headings = [line for line in page.splitlines() if line.startswith("# ")]
    assert len(headings) == 1
    assert "Server Instructions" not in headings[0]
