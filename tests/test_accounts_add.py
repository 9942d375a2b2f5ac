"""`kosmolua accounts add`: the fields of a new account are asked for, tried and written."""

from __future__ import annotations

import stat
import sys
import time
from pathlib import Path

import pexpect
import pytest
from conftest import Program, Write
from support.oauth_server import OAuthServer

PLUGIN = '''
"""A service with a key."""
from dataclasses import dataclass
from typing import Annotated
from kosmolua.plugin import Api, Integration, Secret, Send

@dataclass(frozen=True)
class Account:
    """Needs a key."""
    api_key: Annotated[Secret, "From the settings."]
    rows: Annotated[int, "How many."] = 10
    def open(self, send: Send) -> Api:
        return Api(send, "BASE", bearer=self.api_key)

integration = Integration("notes", Account, about="Notes.")

@integration.identifies
def identify(api: Api, /) -> str:
    """Say who it is."""
    return api.get("/api")["who"]
'''
FILE = '# Mine.\n[render2.work] # at work\napi_key = { env = "RENDER_API_KEY" }\n'


@pytest.mark.slow
@pytest.mark.parametrize(("place", "source"), [("file", 'file = "'), ("env", 'env = "NOTES_API_KEY"')])
def test_an_account_is_asked_for_tried_and_written(
    environment: dict[str, str], home: Path, write: Write, place: str, source: str
) -> None:
    """A key is not echoed, a wrong value is asked for again; the file keeps its comments, or is made."""
    key = "key_0123456789abcdef"
    before = FILE if place == "file" else ""
    accounts = write("accounts.toml", FILE) if before else home / "new.toml"
    with OAuthServer() as server:
        server.tokens[key] = time.time() + 600
        plugin = write("notes.py", PLUGIN.replace("BASE", server.url))
        words = [
            "-m",
            "kosmolua",
            "accounts",
            "add",
            "notes.work",
            "--accounts",
            str(accounts),
            "--plugin",
            str(plugin),
        ]
        terminal = pexpect.spawn(sys.executable, words, cwd=str(home), env=environment, encoding="utf-8", timeout=60)
        shown = ""
        answers = [
            ("api_key", "tiny"),
            ("fewer than 8", ""),
            ("api_key", key),
            ("rows", "many"),
            ("must be an integer", ""),
            ("rows", "25"),
            ("goes", place),
        ]
        for question, given in answers:
            terminal.expect(question)
            shown += terminal.before
            if given:
                terminal.expect(": ")
                terminal.sendline(given)
        if place == "env":
            terminal.expect("name of the variable")
            terminal.sendline("")
        terminal.expect("added \\[notes.work\\]")
        shown += terminal.before
        terminal.expect(pexpect.EOF)
    assert "the account belongs to ann" in shown
    assert key not in shown
    text = accounts.read_text()
    assert text.startswith(before)
    assert f"[notes.work]\napi_key = {{{source}" in text
    assert "rows = 25" in text
    if place == "file":
        file = home / ".config/kosmolua/secrets/notes.work.api_key"
        assert file.read_text() == f"{key}\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.slow
def test_nobody_to_ask_and_an_account_that_is_there_are_told(kosmolua: Program, write: Write) -> None:
    """Without a terminal it says what prints the stanza; an account is not replaced."""
    accounts = write("accounts.toml", FILE)
    asked = kosmolua("accounts", "add", "render2.other", "--accounts", str(accounts))
    assert "'kosmolua accounts example render2'" in asked.stderr
    assert asked.returncode == 2, asked.stderr
    there = kosmolua("accounts", "add", "render2.work", "--accounts", str(accounts))
    assert "already has a section [render2.work]" in there.stderr
    assert there.returncode == 2
    assert accounts.read_text() == FILE


@pytest.mark.slow
def test_a_new_file_that_nothing_is_written_into_does_not_stay(kosmolua: Program, home: Path) -> None:
    """A command that fails after it has made the file of --accounts removes it."""
    new = home / "new.toml"
    asked = kosmolua("accounts", "add", "render2.other", "--accounts", str(new))
    assert "needs a terminal" in asked.stderr
    assert not new.exists()
