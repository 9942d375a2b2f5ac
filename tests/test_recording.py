"""Recordings: runs that are repeated exactly, from a file that keeps all that the script learned."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Program, Write
from hypothesis import HealthCheck, given, settings
from support.library import ACCOUNTS, KEY, library, service
from support.random_scripts import SCRIPTS, jittery
from support.rounds import rounds

from kosmolua import ConfigError, KosmoError, Outcome, Runtime
from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli.waterfall import page
from kosmolua.plugin import Request, Response
from kosmolua.recordings.recording import Writer, read
from kosmolua.recordings.sheets import FileSheet
from kosmolua.secret import Redactor
from kosmolua.testing import Playground, answer

HOME_KEY = "key_FOR_the_home_library"
HOME = {"HOME_KEY": HOME_KEY}
TALE = """
local books = app.integrations.library
print(#books.list_books({ limit = 3 }).seen, os.time(), math.random())
local ok, err = pcall(books.lend, { book = "b-404" })
print(ok, err.code, err.status)
return books.lend({ book = "b-1" }), arg[1]
"""
SERVICES = "print(#app.integrations.render2.list_services({ limit = 3 }).services)"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime with only the library, whose accounts may write."""
    with Runtime(ACCOUNTS, plugins=only_library(), backend=Canned(lambda _: answering), environ={}) as runtime:
        yield runtime


@pytest.fixture
def live() -> Iterator[Runtime]:
    """A runtime whose calls take a random time, and whose clock is the real one."""
    plugins = Plugins([jittery()], places=(), entry_points=dict)
    with Runtime({"jittery": {"default": {}}}, plugins=plugins, yes=True, environ={}) as runtime:
        yield runtime


@pytest.fixture
def bare() -> Iterator[Runtime]:
    """A runtime that has neither accounts nor integrations."""
    with Runtime({}, plugins=Plugins((), places=(), entry_points=dict), environ={}) as runtime:
        yield runtime


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a recording goes."""
    return tmp_path / "run.jsonl"


def only_library() -> Plugins:
    """Return the integrations, of which the library is the only one."""
    return Plugins([library()], places=(), entry_points=dict)


def answering(request: Request) -> Response:
    """Answer as the library does, with books."""
    return answer(200, {"seen": [1, 2, 3]}) if request.method == "GET" else service(request)


def same(first: Outcome, second: Outcome) -> None:
    """Assert that two outcomes tell a script's user the same."""
    assert second.output == first.output
    assert second.result == first.result
    assert second.calls == first.calls
    assert (second.error and second.error.report()) == (first.error and first.error.report())
    assert second.status == first.status


@pytest.mark.slow
def test_random_scripts_are_repeated_exactly(live: Runtime, bare: Runtime, tmp_path: Path) -> None:
    """Scripts whose calls end in another order each time, print, return, call and raise the same again."""
    count = 0

    @settings(max_examples=rounds(40, 200), deadline=None, database=None, suppress_health_check=[*HealthCheck])
    @given(SCRIPTS)
    def check(source: str) -> None:
        nonlocal count
        count += 1
        file = tmp_path / f"{count}.jsonl"
        first = live.run(source, record=file)
        same(first, bare.replay(file))
        file.unlink()

    check()
    assert count >= 40


def test_a_run_is_repeated_without_network_accounts_or_integrations(
    runtime: Runtime, bare: Runtime, file: Path
) -> None:
    """Output, result, calls and errors come from the file alone."""
    first = runtime.run(TALE, args=["x"], record=file)
    assert first.ok, first.error
    assert first.recording == str(file)
    assert [call["status"] for call in first.calls] == ["ok", "failed", "ok"]

    same(first, bare.replay(file))


def test_an_error_that_ends_a_script_ends_its_replay(runtime: Runtime, bare: Runtime, file: Path) -> None:
    """With its code, its fields, its line and its traceback."""
    first = runtime.run('local books = app.integrations.library\nbooks.lend({ book = "b-404" })', record=file)
    assert first.status == "failed"
    assert first.error
    assert first.error.code == "api_error"

    same(first, bare.replay(file))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("print('x') while true do end", {"cpu": 0.2}),
        ("print('x') sleep(60)", {"timeout": 2}),
        ("while true do app.integrations.jittery.look({ at = 1 }) end", {"max_calls": 5}),
        ("parallel.all({ function() sleep(60) end, function() sleep(50) end })", {"timeout": 2}),
        ("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", {"memory": 8 * 1024**2}),
    ],
    ids=["cpu", "sleep", "calls", "branches", "memory"],
)
def test_a_limit_that_ended_a_run_ends_its_replay(
    live: Runtime, bare: Runtime, file: Path, source: str, options: dict[str, Any]
) -> None:
    """At the same place, with the recorded limits, and without waiting for it."""
    first = live.run(source, record=file, **options)
    assert first.status == "limit"

    same(first, bare.replay(file))


def test_the_recording_is_the_owners_and_is_never_overwritten(runtime: Runtime, file: Path) -> None:
    """Nobody else can read it, and a file that is there is left alone."""
    runtime.run("return 1", record=file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 or os.name == "nt"
    kept = file.read_bytes()

    with pytest.raises(ConfigError, match="already exists"):
        runtime.run("return 2", record=file)
    assert file.read_bytes() == kept


def test_pairs_goes_in_the_order_of_keys(runtime: Runtime, file: Path) -> None:
    """Numbers, strings, then booleans; fields may be cleared meanwhile, and a `__pairs` is asked as ever."""
    source = """
    local seen = {}
    local function list(t) for k, v in pairs(t) do seen[#seen + 1] = tostring(k) .. "=" .. tostring(v) end end
    list({ b = 1, a = 2, "x", "y", [10] = 3, [2.5] = 4, [true] = 5, [false] = 6, [-1] = 7 })
    local t = { a = 1, b = 2, c = 3 }
    for k in pairs(t) do t[k] = nil t.b = nil seen[#seen + 1] = k end
    local function once(_, k) return not k and 9 or nil, 8 end
    list(setmetatable({}, { __pairs = function() return once, nil, nil end }))
    return table.concat(seen, " "), select("#", pcall(pairs)), (select(2, pcall(pairs)))
    """
    result = runtime.run(source, record=file).result
    assert result[0] == "-1=7 1=x 2=y 2.5=4 10=3 a=2 b=1 false=6 true=5 a c 9=8"
    assert result[1:] == [2, "bad argument #1 to 'pairs' (value expected)"]


def test_a_changed_script_is_answered_by_what_it_asks(runtime: Runtime, bare: Runtime, file: Path) -> None:
    """Its questions may come in another order and in other branches, and clocks may be looked at more often."""
    runtime.run(TALE, record=file)
    changed = """
    local books = app.integrations.library
    local lent = parallel.all({ function() return books.lend({ book = "b-1" }) end })
    local first = os.time()
    sleep(5)
    return lent[1], os.time() >= first + 5, #books.list_books({ limit = 3 }).seen
    """
    outcome = bare.replay(file, changed)
    assert outcome.result == [{"ok": True}, True, 3]
    assert outcome.warnings == ["1 call of the recording was not made, the first of them call 2, library.lend"]


def test_a_script_that_leaves_the_recording_is_told_where(runtime: Runtime, bare: Runtime, file: Path) -> None:
    """The line, what it asks for, and what the recording has instead; no `pcall` hides it."""
    runtime.run(TALE, record=file)
    outcome = bare.replay(file, '\n\npcall(app.integrations.library.list_books, { limit = 4 })\nprint("on")')
    assert outcome.status == "failed"
    assert outcome.error
    assert outcome.error.code == "diverged"
    assert str(outcome.error) == (
        'The script leaves the recording in line 3, where it asks for library.list_books({"limit": 4}): '
        'that was not recorded (the recording continues with library.list_books({"limit": 3}) there)'
    )
    assert outcome.output == ""


def test_damage_is_told_with_its_line(runtime: Runtime, bare: Runtime, file: Path) -> None:
    """A changed line, a missing one, another format, or no recording at all: a sentence each."""
    runtime.run(TALE, record=file)
    lines = file.read_bytes().splitlines(keepends=True)
    for damaged, told in (
        ([*lines[:2], lines[2].replace(b"library", b"librarz"), *lines[3:]], "damaged: line 3"),
        ([*lines[:2], *lines[3:]], "damaged: line 3"),
        ([lines[0].replace(b"run", b"fun", 1)], "is not a recording"),
        ([], "no complete line"),
    ):
        file.write_bytes(b"".join(damaged))
        with pytest.raises(ConfigError, match=told):
            bare.replay(file)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        bare.replay(file.with_name("missing.jsonl"))


def test_a_recording_of_another_format_is_told(bare: Runtime, file: Path) -> None:
    """With the version that made it, and what this one reads."""
    writer = Writer(file, Redactor())
    writer.write({"event": "run", "format": 99, "kosmolua": "9.9"})
    writer.close()
    with pytest.raises(ConfigError, match=r"a different format: it was made by kosmolua 9\.9 .*reads only format 1"):
        bare.replay(file)


def test_half_a_line_at_the_end_does_not_count(runtime: Runtime, bare: Runtime, file: Path) -> None:
    """As a power cut leaves it: what is whole is repeated, and where it ends the replay says so."""
    runtime.run("print(1) app.integrations.library.list_books() print(2)", record=file)
    whole = file.read_bytes()
    answer = whole.index(b'"ask":["call"')
    file.write_bytes(whole[: answer + 20])

    outcome = bare.replay(file)
    assert outcome.status == "interrupted"
    assert outcome.output == "1\n"
    assert "The recording ends here" in str(outcome.error)


def test_no_credential_stands_in_a_recording(runtime: Runtime, file: Path) -> None:
    """Neither one that a script, an argument or a reply holds, nor one that was resolved after the script was kept."""
    source = f"""
    local books = app.integrations.library
    print("{KEY}", books.returns({{ what = "echo" }}), pcall(books.fails, {{ how = "value" }}))
    books.lend({{ book = "b-1", note = "{KEY} and {HOME_KEY}" }})
    books.home.list_books()
    return books.list_books()
    """
    with Runtime(ACCOUNTS, plugins=only_library(), backend=Canned(lambda _: answering), environ=HOME) as at_home:
        outcome = at_home.run(source, record=file)
    assert outcome.ok, outcome.error
    for spelled in (KEY, HOME_KEY):
        assert spelled.encode() not in file.read_bytes()
    assert b"***" in file.read_bytes()
    assert read(file).status == "done"


def test_a_playground_repeats_a_recording(runtime: Runtime, file: Path) -> None:
    """It returns the script's value, or that of another script, and raises what fails."""
    runtime.run("return app.integrations.library.list_books({ limit = 3 }).seen", record=file)
    play = Playground.from_recording(file)
    assert play.run() == [1, 2, 3]
    assert play.run("return 1, #app.integrations.library.list_books({ limit = 3 }).seen") == (1, 3)
    assert len(play.outcome.calls) == 1
    with pytest.raises(KosmoError, match="leaves the recording"):
        play.run("app.integrations.library.list_books()")
    with pytest.raises(ConfigError, match="cannot be read"):
        Playground.from_recording(file.with_name("missing.jsonl"))


@pytest.mark.slow
def test_pytest_has_a_fixture_for_recordings(runtime: Runtime, tmp_path: Path) -> None:
    """It opens a recording beside the test."""
    runtime.run("return 12", record=tmp_path / "report.jsonl")
    (tmp_path / "test_report.py").write_text(
        "def test_report(kosmolua_recording):\n    assert kosmolua_recording('report.jsonl').run() == 12\n"
    )
    options = ["-q", "-p", "kosmolua.pytest_plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_command_line_records_and_replays(kosmolua: Program, write: Write, home: Path) -> None:
    """With the same output and exit status, from a named file, or by the beginning of the run's id."""
    script = write(
        "report.lua", "print(os.time(), arg[1]) app.integrations.render2.get_service({ service_id = 'srv-none' })"
    )
    recorded = kosmolua("run", "--record", "--simulate", script, "x")
    assert recorded.returncode == 1
    run = re.findall(r"kosmolua replay (\w+) repeats it", recorded.stderr)[0]

    replayed = kosmolua("replay", run[:6], "--json")
    found = json.loads(replayed.stdout)
    assert found["output"] == recorded.stdout
    assert found["status"] == "failed"
    assert replayed.returncode == 1
    assert found["error"]["message"] in recorded.stderr

    kosmolua("run", "--record=named.jsonl", "-e", "print(1)", check=True)
    assert kosmolua("replay", "named.jsonl").stdout == "1\n"
    assert kosmolua("replay", "nothing").returncode == 2


@pytest.fixture
def kept(kosmolua: Program, home: Path) -> Path:
    """A folder with recordings: of a run that ended, of one that failed, and of one that was killed before its end."""
    kosmolua("run", "--simulate", "--record=done.jsonl", "-e", SERVICES, check=True)
    kosmolua("run", "--simulate", "--record=failed.jsonl", "-e", "error('no')")
    lines = (home / "done.jsonl").read_bytes().splitlines(keepends=True)
    (home / "killed.jsonl").write_bytes(b"".join(lines[:-1]))
    return home


def test_a_folder_of_recordings_is_replayed(kosmolua: Program, kept: Path) -> None:
    """There is a line for each, and nothing is wrong if each ends as it did. Only files are read, no pipes."""
    os.mkfifo(kept / "pipe.jsonl")
    done = kosmolua("replay", "--all", ".")
    assert done.stdout == "same      done.jsonl\nsame      failed.jsonl\nsame      killed.jsonl\n"
    assert done.stderr == "kosmolua: 3 same\n"
    assert done.returncode == 0


def test_what_a_new_script_would_leave_is_told(kosmolua: Program, kept: Path, write: Write) -> None:
    """Also a run that would end otherwise."""
    script = write("new.lua", f"{SERVICES} error('new')")
    done = kosmolua("replay", "--all", kept, "--script", script, "--json")
    told = {each["name"]: (each["result"], each["message"]) for each in json.loads(done.stdout)}
    assert told["done.jsonl"] == ("diverged", "the run is failed (new.lua:1: new), and was done")
    assert told["failed.jsonl"][0] == "diverged"
    assert told["failed.jsonl"][1].startswith("The script leaves the recording in line 1")
    assert done.returncode == 1


def test_a_damaged_one_of_many_is_told(kosmolua: Program, kept: Path) -> None:
    """And the others are replayed."""
    (kept / "empty.jsonl").touch()
    done = kosmolua("replay", "--all", ".")
    assert "damaged   empty.jsonl: empty.jsonl is not a recording" in done.stdout
    assert done.stderr == "kosmolua: 3 same, 1 damaged\n"
    assert done.returncode == 1


def test_all_recordings_of_the_store_are_replayed(kosmolua: Program) -> None:
    """If no folder is named."""
    kosmolua("run", "--simulate", "--record", "-e", SERVICES, check=True)
    assert kosmolua("replay", "--all").stdout.startswith("same      ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--all", "nowhere"], "nowhere is no folder"),
        (["--all", "."], "has no recording"),
        ([], "Missing argument 'FILE'"),
    ],
)
def test_what_names_no_recordings_is_refused(kosmolua: Program, words: list[str], said: str) -> None:
    """With what to do."""
    done = kosmolua("replay", *words)
    assert said in done.stderr
    assert done.returncode == 2


def test_no_credential_stands_in_a_plan_or_on_a_page(file: Path, tmp_path: Path) -> None:
    """Neither one that the script holds, nor one that it passes or gets."""
    source = f"""
    local books = app.integrations.library
    books.home.list_books()
    local found = books.returns({{ what = "echo" }})
    books.lend({{ book = "b-1", note = "{KEY} and {HOME_KEY}" .. found["you sent"][1] }})
    """
    with Runtime(ACCOUNTS, plugins=only_library(), backend=Canned(lambda _: answering), environ=HOME) as at_home:
        assert at_home.run(source, record=file).ok
        plan = at_home.plan(source)
        plan.save(tmp_path / "plan.json")
    assert plan.refused
    assert plan.calls[0].arguments["note"] == "*** and ***Bearer ***"
    for text in ((tmp_path / "plan.json").read_text(encoding="utf-8"), page(read(file))):
        assert KEY not in text
        assert HOME_KEY not in text
        assert "***" in text


@pytest.mark.slow
def test_a_page_is_recorded_once(simulated: Runtime, tmp_path: Path) -> None:
    """However often it is read: thirty lookups add little, and a replay gets the same pages without accounts."""
    source = """
    local sum, pages = 0, { "integrations.render2", "integrations.render2.list_services", "errors" }
    for n = 1, COUNT do sum = sum + #lua_read_doc(pages[n % 3 + 1]) end
    return sum
    """
    once = simulated.run(source.replace("COUNT", "3"), record=tmp_path / "once.jsonl")
    many = simulated.run(source.replace("COUNT", "33"), record=tmp_path / "many.jsonl")
    assert once.ok is True
    assert many.ok is True
    assert once.result[0] > 3000
    assert (tmp_path / "many.jsonl").stat().st_size < (tmp_path / "once.jsonl").stat().st_size + 30 * 300
    with Runtime({}) as elsewhere:
        assert elsewhere.replay(tmp_path / "many.jsonl").result == many.result


def test_a_replay_says_that_a_full_disk_ended_its_recording(kosmolua: Program, home: Path) -> None:
    """And not that the script leaves it; after that the run goes on."""
    resource = pytest.importorskip("resource")
    script = "for n = 1, 300 do print(n, #app.integrations.render2.list_services({ limit = n % 20 + 1 }).services) end"
    small = 20_000, 20_000
    options = ["--simulate", "--record-file", "run.jsonl", "-e", script]
    full = kosmolua(
        "run",
        *options,
        variables={"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, small),
    )
    assert full.stderr.count("can no longer be written") == 1
    assert (home / "run.jsonl").stat().st_size < 20_000

    replayed = kosmolua("replay", "run.jsonl")
    assert replayed.returncode == full.returncode
    assert replayed.stderr.startswith("kosmolua: The recording run.jsonl can no longer be written")
    assert kosmolua("resume", "--simulate", "run.jsonl").stdout.endswith("\n299\t20\n300\t1\n")


def test_a_recording_without_room_for_its_first_line(kosmolua: Program, home: Path) -> None:
    """Nothing stays of it, so that the same command works as soon as there is room."""
    resource = pytest.importorskip("resource")
    words = ("run", "--simulate", "--record-file", "run.jsonl", "-e", "print(1)")
    small = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (200, 200))
    full = kosmolua(*words, variables={"PYTHONDONTWRITEBYTECODE": "1"}, preexec_fn=small)
    assert full.returncode == 3
    assert "The recording run.jsonl cannot be written: File too large (free space on its disk)" in full.stderr
    assert not (home / "run.jsonl").exists()
    assert kosmolua(*words).stdout == "1\n"


def test_a_run_whose_last_answer_could_not_be_recorded_has_no_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the script, which got the answer, has ended by then: the run can go on, and says why."""
    append = FileSheet.append

    def slow(request: Request) -> Response:
        time.sleep(0.1)  # the script waits by now, so the thread of the call sends the answer
        return answering(request)

    def fill_up(self: FileSheet, line: bytes, event: Mapping[str, Any]) -> None:
        if event["event"] == "answer" and "list_books" in str(event["ask"]):
            time.sleep(0.2)  # the script has ended by now
            raise ConfigError("The disk is full")
        append(self, line, event)

    with Runtime(ACCOUNTS, plugins=only_library(), backend=Canned(lambda _: slow), environ={}) as runtime:
        with monkeypatch.context() as patched:
            patched.setattr(FileSheet, "append", fill_up)
            outcome = runtime.run("parallel.all({ app.integrations.library.list_books })", record=file)
        assert outcome.error or outcome.warnings == ["The disk is full"]
        assert read(file).status != "done"
        assert runtime.resume(file).ok
