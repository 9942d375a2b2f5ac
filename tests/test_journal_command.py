"""``kosmolua journal``: what is shown of a journal, and that its lines are whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Program
from support.processes import eventually


def record(path: str, account: str | None, effect: str | None, status: str, **more: Any) -> dict[str, Any]:
    """Return a record as the journal has it."""
    return {
        "time": "2026-01-31T12:00:00.123+00:00",
        "run": more.pop("run", "first"),
        "path": path,
        "account": account,
        "effect": effect,
        "status": status,
        "duration_ms": more.pop("ms", 10.0),
        "error": more.pop("error", None),
        "arguments": {},
        "attempts": more.pop("attempts", [200]),
        "request_id": None,
    }


RECORDS = [
    record("render2.list_services", "production", "read", "ok", ms=12.3, attempts=[200, 200]),
    record("render2.list_services", "production", "read", "failed", ms=250.0, attempts=[503, 0], error="network"),
    record("render2.suspend_service", "staging", "write", "refused", ms=0.1, attempts=[], error="denied"),
    record("github.get_user", "production", "read", "ok", ms=7.0, run="second"),
    record("render2.lst", None, None, "refused", attempts=[], error="unknown_path", run="second"),
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with one of everything."""
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in RECORDS))
    return path


def rows(text: str) -> list[list[str]]:
    """Return the cells of tab-separated lines, without the first one, which names the columns."""
    return [line.split("\t") for line in text.splitlines()[1:]]


def test_each_call_is_a_line(kosmolua: Program, journal: Path) -> None:
    """Time, run, path, account, effect, status, milliseconds, and the error's code."""
    shown = rows(kosmolua("journal", journal).stdout)
    assert shown[1] == [
        "2026-01-31 12:00:00", "first", "render2.list_services", "production", "read", "failed", "250", "network",
    ]  # fmt: skip
    assert shown[4][1:] == ["second", "render2.lst", "", "", "refused", "10", "unknown_path"]
    assert len(shown) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("filters", "chosen"),
    [
        (["--account", "production"], [0, 1, 3]),
        (["--account", "render2.production"], [0, 1]),
        (["--effect", "write"], [2]),
        (["--status", "ok"], [0, 3]),
        (["--path", "render2.list_services"], [0, 1]),
        (["--path", "render2"], [0, 1, 2, 4]),
        (["--path", "list_services"], [0, 1]),
        (["--path", "render2.staging.suspend_service"], [2]),
        (["--path", "app.integrations.render2.staging"], [2]),
        (["--run", "second"], [3, 4]),
        (["--run", "se"], [3, 4]),
        (["--last", "2"], [3, 4]),
        (["--effect", "read", "--status", "ok", "--last", "1"], [3]),
        (["--account", "nobody"], []),
    ],
)
def test_calls_are_chosen(kosmolua: Program, journal: Path, filters: list[str], chosen: list[int]) -> None:
    """Filters are joined by and; --json gives the records as they are in the file."""
    shown = json.loads(kosmolua("journal", journal, *filters, "--json").stdout)
    assert shown == [RECORDS[index] for index in chosen]


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (["--path", "list_servces"], "no call has the path 'list_servces' (did you mean 'render2.list_services'?)"),
        (["--account", "prodction"], "no call has the account 'prodction' (did you mean 'production' or "),
        (["--run", "third"], "no call has the run 'third'"),
        (["--path", "github", "--effect", "write"], "no call fits all of these options"),
    ],
)
def test_it_is_said_why_no_call_is_chosen(kosmolua: Program, journal: Path, filters: list[str], said: str) -> None:
    """A word that is misspelt is told from a journal without such calls."""
    done = kosmolua("journal", journal, *filters)
    assert done.stdout == ""
    assert done.returncode == 0
    assert said in done.stderr


def test_totals_are_by_function_and_account(kosmolua: Program, journal: Path) -> None:
    """Calls by how they ended, milliseconds in all, and of the slowest; for programs, HTTP requests too."""
    shown = rows(kosmolua("journal", journal, "--totals", "--path", "render2").stdout)
    assert shown == [
        ["render2.list_services", "production", "2", "1", "1", "0", "0", "262.3", "250.0"],
        ["render2.lst", "", "1", "0", "0", "1", "0", "10.0", "10.0"],
        ["render2.suspend_service", "staging", "1", "0", "0", "1", "0", "0.1", "0.1"],
    ]
    (total,) = json.loads(kosmolua("journal", journal, "--totals", "--path", "github", "--json").stdout)
    assert total["path"] == "github.get_user"
    assert total["calls"] == total["ok"] == total["requests"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("rest", ['{"time": "2026', '{"time": "2026\n', "[]\n", '{"no": "path"}\n', "\x00\n", "\n"])
def test_a_line_that_is_not_whole_is_left_out(kosmolua: Program, journal: Path, rest: str) -> None:
    """A full disk may have cut the last one: the others are shown, with a word on it."""
    with journal.open("a") as file:
        file.write(rest)
    done = kosmolua("journal", journal)
    assert len(rows(done.stdout)) == 5
    assert done.stderr == "kosmolua: warning: left out, since it is not a complete record: line 6\n"
    assert done.returncode == 0


def test_a_journal_can_come_from_a_pipe(kosmolua: Program, journal: Path) -> None:
    """A dash is standard input."""
    assert len(rows(kosmolua("journal", "-", input=journal.read_text()).stdout)) == 5


def test_a_file_that_is_not_there_is_a_sentence(kosmolua: Program) -> None:
    """The status is that of a wrong command line."""
    done = kosmolua("journal", "nowhere.jsonl")
    assert "The journal nowhere.jsonl cannot be read: No such file or directory" in done.stderr
    assert done.returncode == 2


@pytest.mark.slow
def test_an_empty_journal_shows_nothing(kosmolua: Program, tmp_path: Path) -> None:
    """No call, no line."""
    (tmp_path / "empty").touch()
    assert kosmolua("journal", tmp_path / "empty").stdout == ""
    assert kosmolua("journal", tmp_path / "empty", "--totals", "--json").stdout == "[]\n"


@pytest.mark.slow
def test_what_a_run_journals_is_shown(kosmolua: Program, tmp_path: Path) -> None:
    """The two ends fit together."""
    path = tmp_path / "calls.jsonl"
    kosmolua("run", "--simulate", "--journal", path, "-e", "app.integrations.render2.staging.get_current_user()")
    (shown,) = rows(kosmolua("journal", path).stdout)
    assert shown[2:6] == ["render2.get_current_user", "staging", "read", "ok"]


@pytest.mark.slow
def test_lines_are_whole_after_kill_9(environment: dict[str, str], tmp_path: Path) -> None:
    """However the program ends, each line that is there is a record."""
    path = tmp_path / "calls.jsonl"
    script = "while true do app.integrations.render2.get_current_user() end"
    command = [sys.executable, "-m", "kosmolua", "run", "--simulate", "--max-calls", "100000", "--journal", str(path)]
    with subprocess.Popen([*command, "-e", script], env=environment) as process:
        assert eventually(lambda: path.exists() and path.stat().st_size > 20_000)
        process.send_signal(signal.SIGKILL)
    text = path.read_text()
    assert len(text) > 20_000
    assert text.endswith("\n")
    assert {json.loads(line)["path"] for line in text.splitlines()} == {"render2.get_current_user"}


@pytest.mark.slow
def test_the_default_journal_is_kept_and_shown(kosmolua: Program, home: Path) -> None:
    """The command line keeps it; journal and runs read it without being told where it is."""
    for words, said in (("journal",), "no call has been made yet"), (("runs",), "no run has made a call"):
        done = kosmolua(*words)
        assert done.returncode == 0
        assert done.stdout == ""
        assert said in done.stderr
        assert "run --record keeps them in a recording" in done.stderr
    assert kosmolua("runs", "--json").stdout == "[]\n"
    (home / "report.lua").write_text("pcall(app.integrations.render2.get_service, { service_id = 'srv-1' })")
    assert kosmolua("run", "report.lua").returncode == 0
    kosmolua("run", "report.lua", "--simulate")
    (run,) = json.loads(kosmolua("runs", "--json").stdout)
    assert run["script"] == "report.lua"
    assert run["mode"] == "live"
    assert run["calls"] == 1
    assert run["refused"] == 1
    assert run["writes"] == 0
    assert rows(kosmolua("runs").stdout)[0][2:5] == ["report.lua", "live", "1"]
    shown = kosmolua("journal", "-v", "--run", run["run"]).stdout
    assert f"  script: report.lua (sha256 {run['sha256'][:12]}), live" in shown


@pytest.mark.slow
def test_a_call_is_shown_with_all_that_is_known_of_it(kosmolua: Program, home: Path) -> None:
    """Arguments, the script, and who allowed it, with -v."""
    words = ("--simulate", "--journal", "calls.jsonl", "--allow", "render2.delete_service")
    kosmolua("run", *words, "-e", "app.integrations.render2.delete_service('srv-cabc12345678')")
    shown = kosmolua("journal", "calls.jsonl", "-v").stdout
    assert "render2.delete_service [default, destroy] ok" in shown
    assert '  service_id = "srv-cabc12345678"' in shown
    assert "(command line) (sha256 " in shown
    assert "simulated" in shown
    assert "  allowed by: --allow render2.delete_service" in shown
