"""Shell completion: what click is told to offer, and a real bash that completes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from conftest import Program, Write
from support.terminal import Terminal
from test_screens import ACCOUNTS, PLUGIN

COMMANDS = {
    "run",
    "check",
    "call",
    "repl",
    "lsp",
    "mcp",
    "serve",
    "docs",
    "journal",
    "runs",
    "integrations",
    "accounts",
    "stubs",
}
COMMANDS |= {
    "audit",
    "flow",
    "completion",
    "doctor",
    "install",
    "uninstall",
    "apply",
    "plans",
    "policy",
    "undo",
    "fleet",
    "replay",
    "resume",
    "schedules",
    "scripts",
    "server",
    "servers",
}


@pytest.fixture
def offered(kosmolua: Program, write: Write):
    """Return a function that gives what is offered for the last word of a line, with a word on each."""
    plugin, accounts = write("library.py", PLUGIN), write("accounts.toml", ACCOUNTS)

    def offered(line: str) -> dict[str, str]:
        words = line.replace("HERE", f"--plugin {plugin} --accounts {accounts}").split(" ")
        variables = {
            "_KOSMOLUA_COMPLETE": "zsh_complete",
            "COMP_WORDS": " ".join(["kosmolua", *words]),
            "COMP_CWORD": str(len(words)),
        }
        done = kosmolua(variables=variables)
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        return dict(zip(lines[1::3], lines[2::3], strict=True))

    return offered


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", COMMANDS),
        ("jou", {"journal"}),
        ("docs HERE over", {"overview"}),
        ("docs HERE integrations.lib", {"integrations.library"}),
        ("docs HERE integrations.library.li", {"integrations.library.list_books"}),
        ("call HERE libr", {"library.list_books", "library.lend"}),
        ("call HERE library.l", {"library.list_books", "library.lend"}),
        ("call HERE library.work.li", {"library.work.list_books"}),
        ("call HERE library.nobody.li", set()),
        ("call HERE library.list_books ", {"limit=", "sort="}),
        ("call HERE library.list_books limit=5 ", {"sort="}),
        ("call HERE nothing.at_all l", set()),
        ("call HERE library.list_books sort=", {"sort=title", "sort=year"}),
        ("call HERE library.list_books sort=y", {"sort=year"}),
        ("call HERE library.list_books limit=", set()),
        ("call HERE integrations.libr", {"integrations.library.list_books", "integrations.library.lend"}),
        ("call HERE app.integrations.library.work.li", {"app.integrations.library.work.list_books"}),
        ("docs HERE library.li", {"library.list_books"}),
        ("accounts check HERE libr", {"library"}),
        ("accounts check HERE library.", {"library.home", "library.work"}),
        ("accounts example HERE libr", {"library"}),
        ("journal x --status ", {"ok", "failed", "refused", "unknown"}),
        ("run --re", {"--read-only", "--record", "--record-file", "--require-isolation"}),
    ],
)  # fmt: skip
def test_what_is_offered(offered, line: str, found: set[str]) -> None:
    """Commands, pages, functions, accounts, arguments and options, each where it can stand."""
    assert set(offered(line)) == found


@pytest.mark.slow
def test_offers_come_with_a_word(offered) -> None:
    """Where a shell shows descriptions, it has some."""
    assert offered("jou") == {"journal": "Show the calls in a journal."}
    assert offered("call HERE library.list_books l") == {"limit=": "How many to return a page."}


@pytest.mark.slow
@pytest.mark.parametrize("line", ["run /et", "run --accounts /et", "call x --plugin /et"])
def test_files_are_left_to_the_shell(kosmolua: Program, line: str) -> None:
    """The shell itself knows how to complete a path."""
    words = {"COMP_WORDS": f"kosmolua {line}", "COMP_CWORD": str(len(line.split()))}
    done = kosmolua(variables={"_KOSMOLUA_COMPLETE": "bash_complete", **words})
    assert done.stdout == "file,/et\n"


def test_what_is_broken_offers_nothing(kosmolua: Program, write: Write) -> None:
    """A wrong accounts file is no reason for a message in the middle of a line that is typed."""
    accounts = write("accounts.toml", "this is no TOML")
    words = {"COMP_WORDS": f"kosmolua call --accounts {accounts} re", "COMP_CWORD": "4"}
    done = kosmolua(variables={"_KOSMOLUA_COMPLETE": "bash_complete", **words})
    assert done.stdout.strip() == ""
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(kosmolua: Program, shell: str) -> None:
    """``kosmolua completion SHELL`` prints what a user's start-up file evaluates, also without the shell itself."""
    done = kosmolua("completion", shell, variables={"PATH": "/nowhere"})
    assert f"_KOSMOLUA_COMPLETE={shell}_complete" in done.stdout
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_shell_without_completion(kosmolua: Program) -> None:
    """The refusal names those that have one."""
    done = kosmolua("completion", "csh")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in done.stderr


@pytest.mark.slow
def test_a_real_bash_completes(environment: dict[str, str], write: Write, tmp_path: Path) -> None:
    """After the line that the documentation gives, Tab completes a command, a page and the values of an argument."""
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("there is no bash")
    program = write("bin/kosmolua", f'#!/bin/sh\nexec "{sys.executable}" -m kosmolua "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{environment['PATH']}"
    given = {**environment, "PATH": path, "PS1": "$ ", "INPUTRC": "/dev/null"}
    with Terminal([bash, "--norc", "--noprofile", "-i"], given, columns=100) as terminal:
        terminal.send('eval "$(kosmolua completion bash)"; echo read\r')
        terminal.until(lambda: "read" in terminal.screen())
        terminal.send("kosmolua jo\t")
        terminal.until(lambda: terminal.screen()[-1].endswith("$ kosmolua journal"))
        terminal.send("\x15kosmolua docs integrations.render2.get_curr\t")
        terminal.until("kosmolua docs integrations.render2.get_current_user")
        terminal.send("\x15kosmolua call --simulate render2.list_services suspended=t\t")
        terminal.until("render2.list_services suspended=true")
        terminal.send("type=\t\t")
        screen = terminal.until("cron_job")
        assert not any("limit=" in line for line in screen)
        terminal.send("web\t")
        terminal.until("suspended=true type=web_service")
