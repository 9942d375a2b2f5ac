"""What is seen: on wide and narrow terminals, without colours, on dumb ones, in pipes that close, on full disks.

The screens are the files below ``tests/screens``. ``KOSMOLUA_REDRAW=1 pytest tests/test_screens.py`` draws them anew.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, Program
from support.terminal import Terminal

from kosmolua.cli.options import OPTIONS

SCREENS = Path(__file__).parent / "screens"
WIDTHS = (40, 80)
MESSAGES = ("error", "usage", "trace")
"""The screens whose lines the terminal may break."""
MEASURED = "trace"
"""The screen that tells milliseconds, of which a narrow terminal may break the line anywhere."""
Open = Callable[..., AbstractContextManager[Terminal]]

needs_terminal = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")

PLUGIN = '''"""A library."""

from dataclasses import dataclass
from typing import Annotated, Literal

from kosmolua.plugin import Integration, between


@dataclass(frozen=True)
class Account:
    """Needs nothing."""

    def open(self, send):
        return send


integration = Integration("library", Account, about="Books to lend.", prefix="lib")


@integration.reads
def list_books(
    api,
    /,
    *,
    limit: Annotated[int, "How many to return a page.", between(1, 100)] = 20,
    sort: Annotated[Literal["title", "year"], "What to sort by."] = "title",
) -> dict:
    """List the books on the shelves."""
    return {}


@integration.writes
def lend(api, /, *, book: Annotated[str, "Which one."]) -> dict:
    """Lend a book to a reader."""
    return {}
'''
ACCOUNTS = '[library.home]\n[library.work]\npermissions = { read = "deny", write = "allow" }\n'
TIMES = {"time": "2026-01-31T12:00:00.123+00:00", "run": "0123456789ab", "attempts": [200], "duration_ms": 12.3}
JOURNAL = [
    {**TIMES, "path": "library.list_books", "account": "home", "effect": "read", "status": "ok"},
    {**TIMES, "path": "library.lend", "account": "work", "effect": "write", "status": "failed", "error": "api_error"},
]
PLACES = ["--plugin", "library.py", "--accounts", "accounts.toml"]
COMMANDS = {
    "help": ["--help"],
    "help-run": ["run", "--help"],
    "help-journal": ["journal", "--help"],
    "accounts": ["accounts", *PLACES],
    "page": ["docs", "library.list_books", *PLACES],
    "journal": ["journal", "calls.jsonl"],
    "totals": ["journal", "calls.jsonl", "--totals"],
    "error": ["run", "failing.lua"],
    "usage": ["rum"],
    "trace": ["run", "calling.lua", "--trace", "--yes", *PLACES],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a plugin, its accounts, a journal, and two scripts."""
    (tmp_path / "library.py").write_text(PLUGIN)
    (tmp_path / "accounts.toml").write_text(ACCOUNTS)
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in JOURNAL))
    (tmp_path / "failing.lua").write_text("local function fail()\n  error('out of luck')\nend\nfail()\n")
    (tmp_path / "calling.lua").write_text("app.integrations.library.home.lend('lua')\nprint('done')\n")
    return tmp_path


@pytest.fixture
def open_terminal(environment: dict[str, str], folder: Path) -> Open:
    """Return a function that runs a command of the program in a terminal, in that folder."""

    @contextmanager
    def run(*arguments: str, columns: int = 80, **variables: str):
        program = [sys.executable, "-m", "kosmolua", *arguments]
        command = ["sh", "-c", f'cd "{folder}"; exec "$0" "$@"', *program]
        with Terminal(command, {**environment, "PAGER": "cat", **variables}, columns=columns) as terminal:
            yield terminal

    return run


def seen(terminal: Terminal) -> str:
    """Return what is on the screen in the end, with times that are the same at every run."""
    terminal.wait()
    text = "\n".join(terminal.everything()) + "\n"
    text = re.sub(r"(?s)^sandbox: .*?(?=^calls:)", "sandbox: ...\n", text, flags=re.MULTILINE)
    return re.sub(r"\b\d+ ms\b", "N ms", text)


def compare(name: str, text: str) -> None:
    """Compare what is seen with the screen of a name."""
    path = SCREENS / f"{name}.txt"
    if os.environ.get("KOSMOLUA_REDRAW"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.slow
@needs_terminal
@pytest.mark.parametrize(
    ("name", "columns"), [each for each in itertools.product(COMMANDS, WIDTHS) if each != (MEASURED, 40)]
)
def test_screens(open_terminal: Open, name: str, columns: int) -> None:
    """Help, tables, pages, errors and traces fit a wide and a narrow terminal, and look as they are to look."""
    with open_terminal(*COMMANDS[name], columns=columns) as terminal:
        compare(f"{name}-{columns}", seen(terminal))
        assert name in MESSAGES or widest(terminal) <= columns


def widest(terminal: Terminal) -> int:
    """Return the length of the longest line that the program wrote itself, but for examples, which are to be copied."""
    plain = re.sub(rb"\x1b\[[\d;]*m", b"", terminal.raw).decode()
    return max(len(line) for line in plain.split("\r\n") if not line.startswith(("  kosmolua ", "  generate-")))


@pytest.mark.slow
@needs_terminal
@needs_terminal
def test_a_page_is_no_wider_than_can_be_read(open_terminal: Open) -> None:
    """On a wide terminal too."""
    with open_terminal("docs", "sandbox", columns=200) as terminal:
        assert terminal.wait() == 0
        assert 80 < max(map(len, terminal.everything())) <= 100


@pytest.mark.slow
@needs_terminal
def test_a_server_without_a_client_says_what_it_is(open_terminal: Open) -> None:
    """A person who started it sees that nothing hangs, and how to leave."""
    with open_terminal("mcp", "--simulate", columns=100) as terminal:
        terminal.until("kosmolua: serving on standard input, for a client that starts this program; Ctrl-C ends it")
        terminal.send("\x03")
        assert terminal.wait() in (-signal.SIGINT, 130)


@pytest.mark.slow
@needs_terminal
def test_the_list_of_integrations_fits(open_terminal: Open) -> None:
    """What comes with the program needs no path."""
    with open_terminal("integrations", columns=80) as terminal:
        assert terminal.wait() == 0
        lines = terminal.everything()
    assert any("bundled  638 reads, 398 writes, 187 destroys; accounts: default" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_no_color_changes_nothing_but_colours(open_terminal: Open, name: str) -> None:
    """With NO_COLOR the same is seen, and no colour is chosen."""
    with open_terminal(*COMMANDS[name], NO_COLOR="1") as terminal:
        compare(f"{name}-80", seen(terminal))
        assert not re.search(rb"\x1b\[[\d;]*\b(3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[\d;]*m", terminal.raw)


@pytest.mark.slow
@needs_terminal
@pytest.mark.parametrize("name", ["accounts", "page", "journal", "error", "trace"])
def test_a_dumb_terminal_gets_what_a_pipe_gets(open_terminal: Open, folder: Path, kosmolua: Program, name: str) -> None:
    """TERM=dumb: no sequence at all, and the plain text of tables and pages."""
    piped = kosmolua(*COMMANDS[name], cwd=folder)
    with open_terminal(*COMMANDS[name], columns=200, TERM="dumb") as terminal:
        terminal.wait()
        assert b"\x1b" not in terminal.raw
        got = sorted(re.sub(r"\d+ ms", "N ms", terminal.raw.decode()).replace("\r\n", "\n").splitlines())
    expected = sorted(re.sub(r"\d+ ms", "N ms", piped.stdout + piped.stderr).splitlines())
    assert [line for line in got if "KiB" not in line] == [line for line in expected if "KiB" not in line]


@pytest.mark.slow
@needs_terminal
def test_a_long_page_goes_through_the_pager(open_terminal: Open, folder: Path) -> None:
    """The user's pager is given what does not fit on the screen; a page that fits is just there."""
    pager = folder / "pager"
    pager.write_text(f'#!/bin/sh\ncat > "{folder}/paged"\n')
    pager.chmod(0o755)
    with open_terminal("docs", "library.lend", *PLACES, PAGER=str(pager)) as terminal:
        terminal.wait()
        assert any("Lend a book" in line for line in terminal.screen())
    with open_terminal("docs", "plugins", PAGER=str(pager)) as terminal:
        terminal.wait()
        assert terminal.screen() == []
    assert "hello" in (folder / "paged").read_text().lower()


# Streams that end, and streams that do not


LONG = "for i = 1, 100000 do print('line', i) end"


def test_a_reader_that_has_enough_is_no_error(environment: dict[str, str]) -> None:
    """`kosmolua run long.lua | head -1` ends quietly, and soon."""
    command = f'{sys.executable} -m kosmolua run -e "{LONG}" | head -1'
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "line\t1\n"
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("command", [["accounts", *PLACES], ["docs"], ["journal", "calls.jsonl"], ["--help"]])
def test_other_commands_end_as_quietly(environment: dict[str, str], folder: Path, command: list[str]) -> None:
    """A closed pipe is no reason for a traceback."""
    read, write = os.pipe()
    os.close(read)
    program = [sys.executable, "-m", "kosmolua", *command]
    done = subprocess.run(program, env=environment, cwd=folder, stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert done.stderr == b""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["run", "-e", LONG], ["accounts", *PLACES], ["docs"], ["run", "-e", "", "--json"]])
def test_a_full_disk_is_a_sentence(environment: dict[str, str], folder: Path, command: list[str]) -> None:
    """Status 1, and what cannot be written."""
    program = [sys.executable, "-m", "kosmolua", *command]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(program, env=environment, cwd=folder, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.stderr == b"kosmolua: standard output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_standard_input_is_left_alone(environment: dict[str, str]) -> None:
    """What the shell's next command is to read is still there after a run, unless the script is a dash."""
    loop = f'echo one | (read line; {sys.executable} -m kosmolua run -e "print(1)"; cat)'
    command = f'printf "a\\nb\\n" | ({sys.executable} -m kosmolua run -e "print(1)"; cat)'
    for line in (loop, command):
        done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=60)
        assert done.stderr == ""
    assert done.stdout == "1\na\nb\n"


def test_the_table_of_options_in_the_readme_is_what_the_program_says() -> None:
    """Each shared option with its metavar and its help, in the program's order."""
    rows = re.findall(r"^\| (`--.*?) \| (.*?) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    names = [[name + (f" {option.metavar}" if option.metavar else "") for name in option.names] for option in OPTIONS]
    told = [
        (", ".join(f"`{name}`" for name in each).replace("|", r"\|"), option.help)
        for each, option in zip(names, OPTIONS, strict=True)
    ]
    assert rows == told
