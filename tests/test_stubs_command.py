"""``kosmolua stubs``: definitions for editors, from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Program, Write
from test_screens import PLUGIN


@pytest.mark.slow
def test_definitions_are_written_where_they_are_wanted(kosmolua: Program, write: Write, tmp_path: Path) -> None:
    """Each file that was written is a line; plugins that are named on the command line are among them."""
    plugin = write("library.py", PLUGIN)
    done = kosmolua("stubs", tmp_path / "scripts", "--plugin", plugin)
    written = {Path(line).relative_to(tmp_path).as_posix() for line in done.stdout.splitlines()}
    assert {"scripts/.luarc.json", "scripts/kosmolua/globals.lua"} < written
    assert "list_books" in (tmp_path / "scripts/kosmolua/integrations/library.lua").read_text()


@pytest.mark.slow
def test_the_usual_folder_is_the_current_one(kosmolua: Program, home: Path) -> None:
    """For programs, the files are a list. Of an integration with many functions each section has a file, since editors
    warn about large ones, and each function is declared once, beside the others of its section."""
    written = json.loads(kosmolua("stubs", "--json").stdout)
    assert ".luarc.json" in written
    assert all((home / file).is_file() for file in written)
    folder = home / "kosmolua" / "integrations"
    issues = (folder / "github" / "issues.lua").read_text()
    assert "function account.issues_list_for_org(" in issues
    assert "---@class app.integrations.github.account\nlocal account = {}" in issues
    files = [folder / "github.lua", *(folder / "github").iterdir()]
    declared = [
        name for file in files for name in re.findall(r"^function account\.(\w+)", file.read_text(), re.MULTILINE)
    ]
    assert len(declared) == len({*declared}) > 1000
    assert max(file.stat().st_size for file in files) < 500_000


def test_a_folder_that_cannot_be_made_is_a_sentence(kosmolua: Program, write: Write) -> None:
    """The status is that of a configuration that the user has to mend."""
    in_the_way = write("file", "")
    done = kosmolua("stubs", in_the_way / "below")
    assert done.returncode == 3
    assert "cannot be written: Not a directory" in done.stderr
