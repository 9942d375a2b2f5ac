"""``kosmolua doctor``: what it finds, its exit status, and the command that it says to run next."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest
import tomli
from conftest import Program, Write
from support.agents import ENVIRON
from support.cgroups import memory_group
from support.processes import linux_only
from test_screens import PLUGIN

from kosmolua.cli.commands.doctor import EXTRAS

ACCOUNTS = '[render2.production]\napi_key = "rnd_SECRET_of_the_doctor"\n'


def examined(
    kosmolua: Program,
    *words: object,
    status: int = 0,
    variables: dict[str, str] | None = None,
) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the findings by what was looked at, and the next command."""
    done = kosmolua("doctor", "--json", *words, variables=variables)
    assert done.returncode == status
    assert done.stderr == ""
    assert "SECRET" not in done.stdout
    printed = json.loads(done.stdout)
    return {check["subject"]: check for check in printed["checks"]}, printed["next"]


def test_a_fresh_installation_is_told_what_is_missing(kosmolua: Program, config: Path) -> None:
    """No accounts file is a note with the command that begins one; nothing is wrong."""
    found, following = examined(kosmolua)
    assert found["accounts file"]["state"] == "note"
    assert str(config) in found["accounts file"]["words"]
    assert found["integration render2"]["command"] == "kosmolua accounts example render2"
    assert found["sandbox"]["state"] in ("ok", "note")
    room = r"(small for a server: )?[\d,]+ MiB of memory, [\d.]+ processors, .*threads"
    assert re.fullmatch(room, found["container"]["words"])
    assert found["journal"]["words"].startswith("kept")
    assert following == "kosmolua run --simulate -e 'print(app.integrations.github)'"


def test_a_home_that_is_no_folder_is_told(kosmolua: Program) -> None:
    """As of a service that is set up with HOME=/dev/null: no login can be there."""
    done = kosmolua("doctor", variables={"HOME": "/dev/null", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": ""})
    assert "/dev/null/.local/state/kosmolua cannot be written, so no history is kept" in done.stdout
    assert "program\tok" in done.stdout


def test_what_is_set_up_is_listed(kosmolua: Program, write: Write) -> None:
    """The accounts of each integration, and how to try them, or else its page."""
    plugin = write("library.py", PLUGIN)
    found, _ = examined(kosmolua, "--accounts", write("accounts.toml", ACCOUNTS), "--plugin", plugin)
    assert found["integration library"]["command"] == "kosmolua docs library"
    assert found["accounts file"]["state"] == "ok"
    assert found["integration render2"]["words"] == "accounts: production"
    assert found["integration render2"]["command"] == "kosmolua accounts check render2"


@pytest.mark.slow
def test_a_required_journal_is_told(kosmolua: Program, write: Write) -> None:
    """Whether writes are refused that the journal cannot record; and whether there is a journal at all."""
    for setting, words in (("journal_required = true", "required: "), ("journal = false", "off: ")):
        found, _ = examined(kosmolua, "--accounts", write("accounts.toml", f"[kosmolua]\n{setting}\n"))
        assert found["journal"]["words"].startswith(words)


@linux_only
@pytest.mark.slow
def test_a_small_container_is_told() -> None:
    """The limit of its control group counts, and not the memory of the machine."""
    command = [sys.executable, "-m", "kosmolua", "doctor"]
    with memory_group(200 * 1024**2) as group:
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRON, preexec_fn=group.join, check=False)
    assert "container\tnote\tsmall for a server: 200 MiB of memory" in done.stdout


def test_every_extra_is_looked_for() -> None:
    """Each extra for users is in the list, with a module of each package that it brings."""
    project = tomli.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    assert {*EXTRAS} == {*extras} - {"dev", "test", "bench"}
    for extra, modules in EXTRAS.items():
        looked_for = {module.partition(".")[0] for module in modules}
        for package in {re.split(r"[\[><=]", each)[0] for each in extras[extra]} - {"kosmolua"}:
            assert looked_for & {file.parts[0].removesuffix(".py") for file in files(package) or ()}, package


@pytest.mark.slow
def test_an_extra_is_there_or_not(kosmolua: Program, write: Write) -> None:
    """What is installed, what lacks a package, and what lacks all has the command that installs it."""
    hidden = "import sys\nfor name in ('jwt', 'sqlalchemy', 'psycopg'): sys.modules[name] = None\n"
    folder = Path(write("sitecustomize.py", hidden)).parent
    found, _ = examined(kosmolua, variables={"PYTHONPATH": str(folder)})
    assert found["extra mcp"]["state"] == "ok"
    assert found["extra mcp"]["words"] == "installed"
    assert found["extra serve"]["words"] == "not complete: without jwt"
    assert found["extra serve"]["command"] == "pip install 'kosmolua[serve]'"
    assert found["extra postgres"]["state"] == "note"
    assert found["extra postgres"]["words"] == "not installed"
    assert "spans" not in found


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["", "opentelemetry.sdk"])
def test_a_collector_that_is_named_needs_an_exporter(hidden: str, kosmolua: Program, write: Write) -> None:
    """What would send spans is looked for where the environment asks for them, and this command sends none."""
    folder = Path(write("sitecustomize.py", f"import sys\nif {hidden!r}: sys.modules[{hidden!r}] = None\n")).parent
    there = {"PYTHONPATH": str(folder), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    found, _ = examined(kosmolua, variables=there)
    assert found["spans"]["state"] == ("note" if hidden else "ok")
    assert ("opentelemetry.sdk is missing" in found["spans"]["words"]) is bool(hidden)


@pytest.mark.slow
def test_a_wrong_accounts_file_is_an_error(kosmolua: Program, write: Write) -> None:
    """Status 3, the line, and all that does not depend on the file is still examined."""
    found, following = examined(kosmolua, "--accounts", write("accounts.toml", "[render2\n"), status=3)
    assert found["accounts file"]["state"] == "error"
    assert "this is not TOML" in found["accounts file"]["words"]
    assert found["program"]["words"].startswith("kosmolua ")
    assert following == "correct the file"


@pytest.mark.slow
def test_a_broken_integration_is_an_error(kosmolua: Program, write: Write) -> None:
    """The others are examined all the same; the next command looks into it."""
    found, following = examined(kosmolua, "--plugin", write("broken.py", "x = 1\nx.y\n"), status=3)
    assert found["integration broken"]["state"] == "error"
    assert "render2" in str(found)
    assert following == "kosmolua integrations check broken"


def test_people_get_a_table_and_the_next_command(kosmolua: Program) -> None:
    """In a pipe the columns are separated by tabs."""
    lines = kosmolua("doctor").stdout.splitlines()
    assert lines[0].split("\t")[:2] == ["program", "ok"]
    assert lines[-1] == "Next: kosmolua run --simulate -e 'print(app.integrations.github)'"
