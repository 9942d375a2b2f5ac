"""``kosmolua doctor``: what it finds, its exit status, and the command that it says to run next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import Program, Write

ACCOUNTS = '[render2.production]\napi_key = "rnd_SECRET_of_the_doctor"\n'


def examined(kosmolua: Program, *words: object, status: int = 0) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the findings by what was looked at, and the next command."""
    done = kosmolua("doctor", "--json", *words)
    assert (done.returncode, done.stderr) == (status, "")
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
    assert following == "kosmolua accounts check github"


def test_what_is_set_up_is_listed(kosmolua: Program, write: Write) -> None:
    """The accounts of each integration, and how to try them."""
    found, _ = examined(kosmolua, "--accounts", write("accounts.toml", ACCOUNTS))
    assert found["accounts file"]["state"] == "ok"
    assert found["integration render2"]["words"] == "accounts: production"
    assert found["integration render2"]["command"] == "kosmolua accounts check render2"


def test_a_wrong_accounts_file_is_an_error(kosmolua: Program, write: Write) -> None:
    """Status 3, the line, and all that does not depend on the file is still examined."""
    found, following = examined(kosmolua, "--accounts", write("accounts.toml", "[render2\n"), status=3)
    assert found["accounts file"]["state"] == "error"
    assert "this is not TOML" in found["accounts file"]["words"]
    assert found["program"]["words"].startswith("kosmolua ")
    assert following == "correct the file"


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
    assert lines[-1] == "Next: kosmolua accounts check github"
