"""`kosmolua servers`: MCP servers are listed, added, checked, removed and taken over from other clients."""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from conftest import Program, Write
from support import servers

from kosmolua.mcp_client import imports, tools

pytestmark = pytest.mark.slow
SCRIPT = str(servers.SCRIPT)
FILE = """\
# My accounts.
[render2.work]   # the one at work
api_key = { env = "RENDER_API_KEY" }

# Servers follow.
[mcp.old]
command = "old" # not used any more
"""


@pytest.fixture
def accounts(write: Write) -> Path:
    """An accounts file with comments."""
    return write("accounts.toml", FILE)


def test_a_server_is_added_checked_used_and_removed(kosmolua: Program, accounts: Path) -> None:
    """`add` shows the tools with their effects and keeps the file's comments; the rest follows from the section."""
    named = ("--accounts", str(accounts))
    words = ("servers", "add", "tools", "--yes", *named, "--env", "API_TOKEN=env:NOT_PRINTED", "--env", "LEVEL=debug")
    added = kosmolua(*words, "--", sys.executable, SCRIPT, "one", variables={"NOT_PRINTED": "tok_1234567890ab"})
    assert added.returncode == 0, added.stderr
    assert "greet\tread\tGreet somebody." in added.stdout
    assert "erase\tdestroy\tErase everything." in added.stdout
    assert "tok_1234567890ab" not in added.stdout + added.stderr
    text = accounts.read_text()
    assert text.startswith(FILE)
    assert 'env = {API_TOKEN = {env = "NOT_PRINTED"}, LEVEL = "debug"}' in text
    assert stat.S_IMODE(accounts.stat().st_mode) == 0o600

    listed = kosmolua("servers", "--json", *named)
    assert [(each["name"], each["tools"]) for each in json.loads(listed.stdout)][1] == ("tools", 18)
    called = kosmolua("call", "mcp.tools.greet", "name=Ann", *named, variables={"NOT_PRINTED": "tok_1234567890ab"})
    assert called.stdout.strip() == '"hello Ann"', called.stderr

    assert kosmolua("servers", "remove", "tools", *named).returncode == 0
    assert accounts.read_text().rstrip("\n") == FILE.rstrip("\n")
    assert kosmolua("servers", "remove", "tools", *named).returncode == 2


def test_a_mistake_in_a_section_is_a_row_of_the_list(kosmolua: Program, write: Write) -> None:
    """The other servers are listed, and the exit status is that of a wrong accounts file."""
    file = write("wrong.toml", '[mcp.bad]\ncomand = "ls"\n[mcp.good]\ncommand = "ls"\n')
    listed = kosmolua("servers", "--accounts", file)
    assert f"error: {file}:2: unknown key 'comand' in [mcp.bad] (did you mean 'command'?)" in listed.stdout
    assert "good\tls\t" in listed.stdout
    assert listed.stderr == ""
    assert listed.returncode == 3


def test_nothing_is_added_where_nobody_can_be_asked(kosmolua: Program, accounts: Path) -> None:
    """Without a terminal `add` needs --yes, and a server that does not start is not added."""
    named = ("--accounts", str(accounts))
    asked = kosmolua("servers", "add", "tools", *named, "--", sys.executable, SCRIPT)
    assert "pass --yes" in asked.stderr
    assert asked.returncode == 2
    broken = kosmolua("servers", "add", "broken", "--yes", *named, "--", "no-such-program")
    assert "the program no-such-program was not found" in broken.stderr
    assert broken.returncode == 1
    assert accounts.read_text() == FILE


@pytest.mark.parametrize("words", [("x", "--yes", "--", "no-such-program"), ("x", "--", sys.executable, SCRIPT)])
def test_a_new_file_stays_only_with_a_server_in_it(kosmolua: Program, home: Path, words: tuple[str, ...]) -> None:
    """Where the server does not start, or nobody can be asked, the file that --accounts names is removed again."""
    new = home / "new.toml"
    assert kosmolua("servers", "add", "--accounts", str(new), *words).returncode
    assert not new.exists()


@pytest.mark.parametrize(("answer", "is_added"), [("y", True), ("n", False)])
def test_a_person_is_asked_after_the_tools_are_shown(
    environment: dict[str, str], home: Path, accounts: Path, answer: str, is_added: bool
) -> None:
    """On a terminal the table of tools comes first, then the question, and only yes writes the section."""
    words = ["-m", "kosmolua", "servers", "add", "tools", "--accounts", str(accounts), "--", sys.executable, SCRIPT]
    terminal = pexpect.spawn(sys.executable, words, cwd=str(home), env=environment, encoding="utf-8", timeout=60)
    terminal.expect("Erase everything")
    terminal.expect(r"\[y/N\]: ")
    terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    assert ("[mcp.tools]" in accounts.read_text()) is is_added


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "My-Server", "--url", "http://x"), "A server cannot be called 'My-Server'"),
        (("add", "x"), "Name either --url URL or, after --, the command"),
        (("add", "x", "--url", "http://x", "--", "y"), "Name either --url URL or, after --, the command"),
        (("add", "x", "--", "y", "--token", "ghp_0123456789abcdef0123"), "looks like a credential"),
        (("add", "x", "--", "y", "postgres://ann:0123456789abcdef@db/notes"), "looks like a credential"),
        (("add", "x", "--", "y", "--db=postgres://ann:0123456789abcdef@db/notes"), "looks like a credential"),
        (
            ("add", "x", "--env", "A", "--", "y"),
            "'A' has no value (write NAME=env:VARIABLE for a secret, or NAME=TEXT)",
        ),
    ],
)
def test_a_wrong_command_line_is_refused(kosmolua: Program, words: tuple[str, ...], message: str) -> None:
    """It is told what is wrong, and nothing is started."""
    done = kosmolua("servers", *words)
    assert message in done.stderr
    assert done.returncode == 2, done.stderr
    assert "0123456789abcdef" not in done.stderr


def test_an_option_names_a_server_for_one_run(kosmolua: Program) -> None:
    """`--server` takes a command, and a URL; it is written nowhere."""
    command = shlex.join([sys.executable, SCRIPT])
    done = kosmolua("run", "-e", "print(app.mcp.tools.greet('Ann'))", "--server", f"tools={command}")
    assert done.stdout == "hello Ann\n", done.stderr
    assert done.returncode == 0, done.stderr
    with servers.over_http() as url:
        done = kosmolua("run", "-e", "print(app.mcp.tools.greet('Bob'))", "--server", f"tools={url}")
        assert done.stdout == "hello Bob\n", done.stderr
        assert done.returncode == 0, done.stderr
    done = kosmolua("run", "-e", "print(1)", "--server", "Tools")
    assert "must look like notes=https://" in done.stderr
    assert done.returncode == 2


def test_the_servers_of_other_clients_are_taken_over(kosmolua: Program, accounts: Path, write: Write) -> None:
    """Their commands are shown before they are written, none is started, and what cannot be used is told."""
    claude = {
        "mcpServers": {
            "brave-search": {"command": "npx", "args": ["-y", "brave"], "env": {"BRAVE_API_KEY": "${BRAVE_API_KEY}"}},
            "old": {"command": "another"},
            "events": {"type": "sse", "url": "https://example.com/sse"},
            "remote": {"type": "http", "url": "https://example.com/mcp", "headers": {"X-Level": "1"}},
        }
    }
    named = ("--accounts", str(accounts))
    file = write("claude.json", json.dumps(claude))
    assert kosmolua("servers", "import", "claude", str(file), *named).returncode == 2
    done = kosmolua("servers", "import", "claude", str(file), "--yes", *named)
    assert done.returncode == 0, done.stderr
    assert "brave_search\tnpx -y brave\tBRAVE_API_KEY" in done.stdout
    assert "old is left out: there is a server of this name" in done.stderr
    text = accounts.read_text()
    assert '[mcp.events]\nurl = "https://example.com/sse"\ntransport = "sse"' in text
    assert 'env = {BRAVE_API_KEY = {env = "BRAVE_API_KEY"}}' in text
    assert '[mcp.remote]\nurl = "https://example.com/mcp"\nheaders = {X-Level = "1"}' in text

    vscode = (
        '{ // servers\n "servers": { "git": {"command": "git-mcp",}, "x": {"command": "y", "args": ["${input:z}"]} } }'
    )
    done = kosmolua("servers", "import", "vscode", str(write("mcp.json", vscode)), "--yes", *named)
    assert "x is left out: it asks the user for input:z" in done.stderr
    assert '[mcp.git]\ncommand = "git-mcp"' in accounts.read_text()


@pytest.mark.parametrize(
    ("server", "section"),
    [
        ({"command": "${X_BIN:-npx}", "args": ["${SET}"]}, {"command": "npx", "args": ["of the environment"]}),
        ({"command": "a", "args": ["${workspaceFolder}/b"]}, {"command": "a", "args": ["/home/ann/project/b"]}),
        ({"command": "a", "env": {"A": "${env:B}"}}, {"command": "a", "env": {"A": {"env": "B"}}}),
        ({"command": "a", "env": {"A": "${B:-c}"}}, {"command": "a", "env": {"A": "c"}}),
        ({"command": "a", "env": {"A": "${SET:-c}"}}, {"command": "a", "env": {"A": {"env": "SET"}}}),
        ({"command": "a", "args": ["${UNSET}"]}, "it needs the variable UNSET, which is not set"),
        ({"command": "a", "disabled": True}, "it is disabled there"),
        (
            {"command": "a", "args": ["postgres://ann:0123456789abcdef@db/notes"]},
            "one of its arguments looks like a credential, and every user of this machine can read it",
        ),
        (
            {"url": "https://a.example", "headers": {"Authorization": "Bearer ${B}", "X-Level": "1"}},
            {"url": "https://a.example", "token": {"env": "B"}, "headers": {"X-Level": "1"}},
        ),
        ({"command": "a", "envFile": "/no/such/.env"}, "the file of variables /no/such/.env cannot be read"),
    ],
)
def test_what_another_client_writes_is_understood(
    write: Write, server: dict[str, Any], section: dict[str, Any] | str
) -> None:
    """Variables are expanded as that client would, secrets stay references, and what cannot be is told."""
    file = write("claude.json", json.dumps({"mcpServers": {"x": server}}))
    environ = {"SET": "of the environment"}
    ((_, read),) = imports.read_client("claude", file, environ)
    if "workspaceFolder" in str(server):
        read = json.loads(json.dumps(read).replace(str(file.parent), "/home/ann/project"))
    assert read == section


def test_servers_of_projects_and_their_files_of_variables_are_taken_over(write: Write) -> None:
    """Each starts in its project's folder; the file of variables is named and not copied."""
    variables = write("notes.env", "# of the project\nexport TOKEN='abc'\nLEVEL=1\n")
    server = {"command": "a", "envFile": str(variables), "env": {"LEVEL": "2"}}
    document = {
        "projects": {"/home/ann/notes": {"mcpServers": {"notes": server}}, "/home/ann/none": {"mcpServers": {}}}
    }
    read = list(imports.read_client("claude", write("claude.json", json.dumps(document)), {}))
    section = {"command": "a", "cwd": "/home/ann/notes", "env_file": str(variables), "env": {"LEVEL": "2"}}
    assert read == [("notes", section)]


@pytest.mark.parametrize(
    ("name", "hints", "effect"),
    [
        ("list_tables", {}, "write"),
        ("deleteBranch", {}, "destroy"),
        ("run-query", None, "destroy"),
        ("drop_table", {"destructiveHint": False}, "write"),
        ("remove_note", {"readOnlyHint": True}, "read"),
        ("prune", {"destructiveHint": True}, "destroy"),
        ("truncated_list", {}, "write"),
    ],
)
def test_a_name_tells_what_destroys_where_no_hint_does(name: str, hints: dict[str, bool] | None, effect: str) -> None:
    """Hints are the server's word; without them the words of the name are what there is."""
    assert tools.effect_of({"name": name, "annotations": hints}) == effect
    assert tools.effect_of({"name": name, "annotations": hints}, {tools.lua_name(name): "read"}) == "read"


def test_only_tools_without_hints_are_proposed_as_reads() -> None:
    """What destroys by its name is none of them."""
    named = ["list_tables", "getUser", "create_note", "delete_list"]
    found = tools.seem_to_read(
        [{"name": name} for name in named] + [{"name": "read_x", "annotations": {"readOnlyHint": False}}]
    )
    assert found == ["list_tables", "getUser"]


def test_files_of_the_current_folder_start_nothing(kosmolua: Program, tmp_path: Path) -> None:
    """A cloned repository may hold files of every client, and an accounts file: none of them is read."""
    mark = tmp_path / "started"
    server = {"command": "sh", "args": ["-c", f"touch {mark}"]}
    for name in (".mcp.json", ".cursor/mcp.json", ".vscode/mcp.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"mcpServers": {"evil": server}, "servers": {"evil": server}}))
    (tmp_path / "accounts.toml").write_text(f'[mcp.evil]\ncommand = "sh"\nargs = ["-c", "touch {mark}"]\n')
    done = kosmolua("run", "-e", "return app.mcp.evil.x()", cwd=tmp_path)
    assert "app.mcp has no 'evil'" in done.stderr
    assert done.returncode == 1, done.stderr
    assert kosmolua("servers", cwd=tmp_path).stdout == ""
    assert not mark.exists()


def test_a_program_of_the_current_folder_is_not_taken_for_a_server(kosmolua: Program, tmp_path: Path) -> None:
    """A PATH that leads into the current folder does not make a server of what lies there."""
    planted = tmp_path / "files-server"
    planted.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    planted.chmod(0o755)
    search = f".:{os.environ['PATH']}"
    done = kosmolua(
        "run", "-e", "app.mcp.files.x()", "--server", "files=files-server", cwd=tmp_path, variables={"PATH": search}
    )
    assert "the program files-server was not found" in done.stderr
    assert not (tmp_path / "started").exists()
