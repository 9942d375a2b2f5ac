"""``kosmolua accounts``: the list, the check, and the stanza."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Write
from test_screens import PLUGIN

KEY = "rnd_SECRET_of_the_accounts_test"


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    """An accounts file with two accounts, one of which nobody answers."""
    path = tmp_path / "accounts.toml"
    path.write_text(
        '[render2]\ndefault = "production"\npermissions = { write = "deny" }\n\n'
        f'[render2.production]\napi_key = "{KEY}"\nbase_url = "http://127.0.0.1:9/v1"\n\n'
        '[render2.staging]\napi_key = { env = "NOT_SET_ANYWHERE" }\npermissions = { write = "allow" }\n'
    )
    return path


@pytest.mark.slow
def test_accounts_are_listed_with_what_they_may_do(kosmolua: Callable[..., Any], accounts: Path) -> None:
    """The list names each account and its permissions, and never a secret."""
    done = kosmolua("accounts", "--accounts", accounts, "--json")
    rows = {(row["integration"], row["account"]): (row["read"], row["write"]) for row in json.loads(done.stdout)}
    assert rows["render2", "production"] == ("allow", "deny")
    assert rows["render2", "staging"] == ("allow", "allow")
    assert KEY not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("order", [("check", "--simulate"), ("--simulate", "check")])
def test_check_says_who_an_account_is(kosmolua: Callable[..., Any], order: tuple[str, str]) -> None:
    """The check makes one call with each account; options may stand before or after the word."""
    done = kosmolua("accounts", *order, "render2.production")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "render2.production\tops@acme.example (usr-lda3keyncsd6wpwxy3a5)\n"


@pytest.mark.slow
def test_check_makes_no_error_of_an_integration_that_cannot_tell(kosmolua: Callable[..., Any], write: Write) -> None:
    """Not every service has something to ask; that is a note."""
    plugin = write("library.py", PLUGIN)
    done = kosmolua("accounts", "check", "library", "--simulate", "--plugin", plugin)
    assert done.stdout.splitlines()[0] == "library.default\tnot known: the integration does not support this"
    assert done.returncode == 0
    assert done.stderr == ""
    listed = json.loads(kosmolua("accounts", "check", "library", "--simulate", "--plugin", plugin, "--json").stdout)
    assert listed[0] == {"integration": "library", "account": "default", "identity": None, "error": None, "login": None}


@pytest.mark.slow
def test_check_leaves_out_what_nobody_set_up(kosmolua: Callable[..., Any], write: Write) -> None:
    """GitHub would answer without a login too, but no account of it is configured."""
    done = kosmolua("accounts", "check", "--accounts", write("accounts.toml", ""))
    assert done.returncode == 0
    assert "github" not in done.stdout + done.stderr
    assert "no account is configured or logged in; 'kosmolua accounts add --help' shows" in done.stderr


@pytest.mark.slow
def test_the_list_says_where_the_accounts_are(kosmolua: Callable[..., Any], accounts: Path) -> None:
    """For programs each entry has the file; there is none where nobody wrote one."""
    listed = json.loads(kosmolua("accounts", "--accounts", accounts, "--json").stdout)
    assert {entry["file"] for entry in listed} == {str(accounts)}
    listed = json.loads(kosmolua("accounts", "--simulate", "--json").stdout)
    assert {entry["file"] for entry in listed} == {None}


@pytest.mark.slow
def test_check_goes_on_after_an_account_that_does_not_work(kosmolua: Callable[..., Any], accounts: Path) -> None:
    """Every account is tried; what is wrong is one sentence each, and the exit status says that something was."""
    done = kosmolua("accounts", "check", "render2", "--accounts", accounts)
    production, staging = done.stdout.splitlines()
    assert done.returncode == 1
    assert "render2.production\terror: " in production
    assert "was not sent" in production
    assert f"an environment variable that is not set. Nothing was sent. [{accounts}:10: NOT_SET_ANYWHERE]" in staging
    assert KEY not in done.stdout + done.stderr


@pytest.mark.slow
def test_check_suggests_the_account_that_was_meant(kosmolua: Callable[..., Any]) -> None:
    """An account that does not exist is refused with a suggestion."""
    done = kosmolua("accounts", "check", "render2.prodction", "--simulate")
    assert done.returncode == 1
    assert "did you mean 'production'?" in done.stderr


@pytest.mark.slow
def test_the_stanza_of_an_integration_can_be_pasted(kosmolua: Callable[..., Any], tmp_path: Path) -> None:
    """What ``accounts example`` prints is an accounts file that works once its variable is set."""
    example = kosmolua("accounts", "example", "render2").stdout
    path = tmp_path / "accounts.toml"
    path.write_text(example)
    done = kosmolua("accounts", "--accounts", path)
    assert done.returncode == 0, done.stderr
    assert "render2\tdefault\tallow\task" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("api_key = 5", "api_key must be a string or one secret source, such as"),
        ('api_key = { command = "op read" }', "api_key.command must be a list of strings, such as"),
        ('api_key = "rnd_12345"\nbase_url = 5', "base_url must be a string, not 5"),
    ],
)
def test_a_value_of_the_wrong_type_is_found_before_anything_is_sent(
    kosmolua: Callable[..., Any], tmp_path: Path, line: str, problem: str
) -> None:
    """The list of accounts says it, and so does a simulation: with the file and the line."""
    path = tmp_path / "accounts.toml"
    path.write_text(f"[render2.p]\n{line}\n")
    expected = f"{path}:{1 + len(line.splitlines())}: [render2.p] {problem}"
    script = "pcall(app.integrations.render2.list_services)"
    for words in (("accounts",), ("run", "--simulate", "-e", script)):
        done = kosmolua(*words, "--accounts", path)
        assert expected in done.stderr
        assert done.returncode == 3, done.stderr


@pytest.mark.slow
def test_an_account_that_cannot_be_opened_is_named(kosmolua: Callable[..., Any], tmp_path: Path) -> None:
    """The user learns the account, the file and the line; the script learns the account."""
    path = tmp_path / "accounts.toml"
    path.write_text('\n[render2.p]\napi_key = "rnd_12345"\nbase_url = "api.render.com"\n')
    said = "The account render2.p cannot be used: base_url is not an address such as https://api.example.com/v1"
    done = kosmolua("call", "render2.list_services", "--accounts", path)
    assert said in done.stderr
    assert f"[{path}:2]" in done.stderr
    script = "print(select(2, pcall(app.integrations.render2.list_services)).message)"
    done = kosmolua("run", "-e", script, "--accounts", path)
    assert done.stdout.startswith(said)
    assert str(tmp_path) not in done.stdout


@pytest.mark.slow
def test_a_command_for_a_secret_is_bound_by_the_timeout(kosmolua: Callable[..., Any], tmp_path: Path) -> None:
    """A call has no longer for it than for all of its work."""
    path = tmp_path / "accounts.toml"
    command = json.dumps([sys.executable, "-c", "import time; time.sleep(600)"])
    path.write_text(f"[render2.p]\napi_key = {{ command = {command} }}\n")
    done = kosmolua("call", "render2.list_services", "--timeout", "1", "--accounts", path, timeout=120)
    assert done.returncode == 1
    assert "The command for the secret render2.p.api_key failed: it did not end within" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_no_endless_list(
    kosmolua: Callable[..., Any], environment: dict[str, str], write: Write
) -> None:
    """Of 1,000 accounts a terminal shows as many as can be looked at, and how many are left; a pipe gets all."""
    from support.terminal import Terminal

    text = "".join(f"[render2.a{number:04}]\napi_key = {{ env = 'X' }}\n" for number in range(1000))
    path = str(write("many.toml", text))
    listed = kosmolua("accounts", "--accounts", path)
    assert listed.stdout.count("render2\ta") == 1000
    command = [sys.executable, "-m", "kosmolua", "accounts", "--accounts", path]
    with Terminal(command, {**environment, "PAGER": "cat"}) as terminal:
        assert terminal.wait() == 0
    shown = "\n".join(terminal.everything())
    assert "a0190" in shown
    assert "a0200" not in shown
    assert "more; 'kosmolua accounts | less' and --json show all" in shown
