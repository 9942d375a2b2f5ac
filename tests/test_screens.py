"""What is seen: on wide and narrow terminals, without colours, on dumb ones, in pipes that close, on full disks.

The screens are the files below ``tests/screens``. ``REDRAW=1 pytest tests/test_screens.py`` draws them anew.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import Program
from support.screen import ESCAPE, Run, on_screen, plain
from support.terminal import Terminal

from kosmolua import Runtime
from kosmolua.cli.options import OPTIONS
from kosmolua.cli.terminal import measured
from kosmolua.docs.pages import GuidePage

__all__ = ["on_screen"]
SCREENS = Path(__file__).parent / "screens"
SIZES = [(40, 24), (80, 24), (200, 50)]
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
WRONG = """local render = app.integrations.render2
local page = render.list_services({ limt = 3, type = "web_service", region = "frankfurt", suspended = false })
print(#page, prnt)
render.delete_service({ service_id = page.services[1].id })
"""
RESTARTING = """local render = app.integrations.render2
local page = render.list_services({ limit = 2 })
for _, service in ipairs(page.services) do
  render.restart_service({ service_id = service.id })
end
render.delete_service({ service_id = page.services[1].id })
"""
TOGETHER = """local render = app.integrations.render2
parallel.map(render.list_services({ limit = 3 }).services, function(service)
  return render.restart_service({ service_id = service.id })
end)
"""
ACCOUNTS = '[library.home]\n[library.work]\npermissions = { read = "deny", write = "allow" }\n'
TIMES = {"time": "2026-01-31T12:00:00.123+00:00", "run": "0123456789ab", "attempts": [200], "duration_ms": 12.3}
JOURNAL = [
    {**TIMES, "path": "library.list_books", "account": "home", "effect": "read", "status": "ok"},
    {**TIMES, "path": "library.lend", "account": "work", "effect": "write", "status": "failed", "error": "api_error"},
]
RUNS = [
    {**TIMES, "path": "library.lend", "status": "ok", "script": "lend_all.lua", "mode": "live", "effect": "write"},
    {**TIMES, "run": "1123456789ab", "path": "library.lend", "status": "ok", "script": "x.lua", "mode": "simulated"},
]
PLACES = ["--plugin", "library.py", "--accounts", "accounts.toml"]
VIEWS = {
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
    "check": ["check", "wrong.lua", "--simulate"],
    "refused": ["run", "wrong.lua", "--simulate"],
    "runs": ["runs", "runs.jsonl"],
    "show": ["runs", "show", "run.jsonl"],
    "replays": ["replay", "--all", "."],
    "plan": ["run", "--plan", "restarting.lua", "--simulate"],
    "question": ["run", "restarting.lua", "--simulate"],
    "questions": ["run", "together.lua", "--simulate"],
    "doctor": ["doctor", *PLACES],
    "table": ["call", "render2.list_services", "limit=3", "--simulate", "--output", "table"],
}
MEASURED = ("trace", "doctor", "show")
"""The views whose lines a narrow terminal may break elsewhere, since they have durations or places in them."""
ANSWERS = "?n"
"""What the person types: first a question mark, for what the answers mean."""


@pytest.fixture
def folder(tmp_path: Path, environment: dict[str, str]) -> Path:
    """A folder with a plugin, its accounts, a journal, a recording and some scripts."""
    folder = tmp_path / "folder"
    folder.mkdir()
    files = {
        "library.py": PLUGIN,
        "accounts.toml": ACCOUNTS,
        "calls.jsonl": "".join(json.dumps(entry) + "\n" for entry in JOURNAL),
        "runs.jsonl": "".join(json.dumps(entry) + "\n" for entry in RUNS),
        "failing.lua": "local function fail()\n  error('out of luck')\nend\nfail()\n",
        "calling.lua": "app.integrations.library.home.lend('lua')\nprint('done')\n",
        "wrong.lua": WRONG,
        "restarting.lua": RESTARTING,
        "together.lua": TOGETHER,
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def view(on_screen: Run, folder: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that shows a view on a terminal, with times that are the same at every run."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    def show(name: str, columns: int = 80, lines: int = 24, **variables: str) -> str:
        if name == "show":
            (folder / "run.jsonl").unlink(missing_ok=True)
            with Runtime(os.devnull, simulate=True, yes=True, allow=["*"], environ={}) as runtime:
                runtime.run(RESTARTING, name="restarting.lua", record=folder / "run.jsonl")
        return on_screen(*VIEWS[name], columns=columns, lines=lines, answers=ANSWERS, **variables)

    yield show
    monkeypatch.delenv("TZ")
    time.tzset()


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


def settled(text: str) -> str:
    """Return what is seen, with a word in place of what differs from run to run and from machine to machine."""
    text = re.sub(r"(?s)^((?:\x1b\[1m)?sandbox: ).*?(?=^(?:\x1b\[1m)?calls:)", r"\1...\n", text, flags=re.MULTILINE)
    text = re.sub(
        r"(?ms)^\S* ?(program|state folder|extras|container|sandbox|accounts file)\b.*?(?=^\S)", r"\1 ...\n", text
    )
    text = re.sub(r" *\b(?:[\d,]+ min )?[\d.,]+ m?s\b", " N ms", text)
    text = re.sub(r"run [0-9a-f]{12} of (.*?),\s[\d: -]+(\s+\([\d:]+\s+UTC\))?,", r"run ID of \1, TIME,", text)
    text = re.sub(r"/\S*/folder\b", "/folder", text)
    text = re.sub(r"[\d,]+ bytes", "N bytes", text)
    text = re.sub(r"\bp-[0-9a-f]{8}\b", "p-ID", text)
    text = re.sub(r"(?: |\x1b\[\d*m)*█(?:█|\x1b\[\d*m| )*", " █ ", text)
    return re.sub(r"\r\x1b\[2K(\x1b\[2m[^\x1b]*\x1b\[0m)?|\x18\x1b\\(\x1b\[0m)?", "", text)


DRAWN_BY = {"page": ("rich", "15."), "usage": ("click", "8.5.")}
"""The views that a library words or draws, with the version whose picture was kept: others draw them otherwise."""


def compare(name: str, text: str) -> None:
    """Compare what is seen with the screen of a name."""
    path = SCREENS / f"{name}.txt"
    if os.environ.get("REDRAW"):
        path.write_text(text, encoding="utf-8")
    library, drawn_with = DRAWN_BY.get(name.partition("-")[0], ("", ""))
    if not library or version(library).startswith(drawn_with):
        assert text == path.read_text(encoding="utf-8")


@needs_terminal
@pytest.mark.parametrize("name", VIEWS)
def test_screens(view: Run, name: str) -> None:
    """Each view on a narrow, a usual and a wide terminal looks as it is to look. No line is broken inside a word.

    A line is wider than the terminal only if a word fills most of it, or if it is an example to copy.
    """
    for columns, lines in SIZES:
        shown = view(name, columns, lines)
        if columns > 40 or name not in MEASURED:
            compare(f"{name}-{columns}", plain(settled(shown)))
        wide = [line.strip() for line in re.split("[\r\n]", plain(shown)) if measured(line) > columns]
        broken = [line for line in wide if max(map(len, line.split())) < columns // 2]
        assert [line for line in broken if not line.startswith(("kosmolua ", "generate-"))] == []


@needs_terminal
@pytest.mark.parametrize("name", VIEWS)
def test_colours(view: Run, name: str) -> None:
    """The colours are those of the terminal, one of them darker on a light one, and NO_COLOR takes them all away."""
    dark = settled(view(name))
    compare(f"{name}-colours", ESCAPE.sub(lambda found: f"<{found[0][2:-1]}>", dark))
    if name != "page":  # drawn by rich
        assert settled(view(name, COLORFGBG="0;15")) == dark.replace("\x1b[94m", "\x1b[34m")
        assert settled(view(name, NO_COLOR="1")) == plain(dark)


@needs_terminal
@pytest.mark.parametrize("name", ["journal", "runs"])
def test_times_are_local(view: Run, name: str) -> None:
    """A person sees the time of a clock on the wall, or the day."""
    assert ("01-31 21:00:00" if name == "journal" else "2026-01-31") in plain(view(name))


@needs_terminal
def test_the_doctor_fits_on_a_screen(view: Run) -> None:
    """The findings and the next command, on 80 columns and 24 lines."""
    assert len(plain(view("doctor")).splitlines()) <= 24


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
    assert any("bundled  671 reads, 639 writes, 192 destroys; accounts: default" in line for line in lines)


@pytest.mark.slow
@needs_terminal
@pytest.mark.parametrize("name", ["accounts", "page", "journal", "error", "trace"])
def test_a_dumb_terminal_gets_what_a_pipe_gets(open_terminal: Open, folder: Path, kosmolua: Program, name: str) -> None:
    """TERM=dumb: no sequence at all, and the plain text of tables and pages."""
    piped = kosmolua(*VIEWS[name], cwd=folder)
    with open_terminal(*VIEWS[name], columns=200, TERM="dumb") as terminal:
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


@pytest.mark.slow
def test_standard_input_is_left_alone(environment: dict[str, str]) -> None:
    """What the shell's next command is to read is still there after a run, unless the script is a dash."""
    loop = f'echo one | (read line; {sys.executable} -m kosmolua run -e "print(1)"; cat)'
    command = f'printf "a\\nb\\n" | ({sys.executable} -m kosmolua run -e "print(1)"; cat)'
    for line in (loop, command):
        done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=60)
        assert done.stderr == ""
    assert done.stdout == "1\na\nb\n"


def test_the_table_of_options_in_the_guide_is_what_the_program_says() -> None:
    """Each shared option with its metavar and its help, in the program's order."""
    rows = re.findall(r"^\| (`--.*?) \| (.*?) \|$", GuidePage("cli").full(), re.MULTILINE)
    names = [[name + (f" {option.metavar}" if option.metavar else "") for name in option.names] for option in OPTIONS]
    told = [
        (", ".join(f"`{name}`" for name in each).replace("|", r"\|"), option.help)
        for each, option in zip(names, OPTIONS, strict=True)
    ]
    assert rows == told
