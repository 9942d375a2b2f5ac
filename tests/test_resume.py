"""Resuming: recorded runs go on after any end, and no write is sent twice or forgotten."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from support.library import KEY, library
from support.loopback import Loopback
from support.processes import eventually
from support.recordings import aged, resumed_later, rewritten
from support.rounds import rounds
from support.shelf import Shelf

from kosmolua import ConfigError, Outcome, Paused, Runtime, UnderWay, __version__
from kosmolua.catalog.plugins import Plugins
from kosmolua.plugin import Api
from kosmolua.recordings.recording import read
from kosmolua.recordings.repair import repaired
from kosmolua.recordings.sheets import File, FileSheet
from kosmolua.recordings.timeline import bars_of
from kosmolua.stores.folder_store import Folder

pytestmark = pytest.mark.slow

WRITES = 20
LENDING = """
local books = app.integrations.library
for n = 1, 10 do print(n, books.lend({ book = "b-" .. n }).n) end
local rest = {}
for n = 11, 20 do rest[#rest + 1] = n end
parallel.map(rest, function(n) print(n, books.lend({ book = "b-" .. n }).n) end, { limit = 4 })
return #books.list_books().seen
"""


@pytest.fixture
def shelf() -> Shelf:
    """The service."""
    return Shelf()


@pytest.fixture
def server(shelf: Shelf) -> Iterator[Loopback]:
    """The service, behind a web server."""
    with Loopback(shelf) as server:
        yield server


@pytest.fixture
def open_runtime(server: Loopback) -> Iterator[Callable[..., Runtime]]:
    """Return a function that opens a runtime whose library is the service."""
    opened: list[Runtime] = []

    def open_runtime(**options: Any) -> Runtime:
        account = {"api_key": KEY, "base_url": server.url, "permissions": {"write": options.pop("write", "allow")}}
        plugins = Plugins([library()], places=(), entry_points=dict)
        opened.append(Runtime({"library": {"default": account}}, plugins=plugins, environ={}, **options))
        return opened[-1]

    yield open_runtime
    for runtime in opened:
        runtime.close()


@pytest.fixture
def runtime(open_runtime: Callable[..., Runtime]) -> Runtime:
    """A runtime that may write."""
    return open_runtime()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a recording goes."""
    return tmp_path / "run.jsonl"


def test_a_run_goes_on_after_a_limit(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """What was done is not done again, the output and the calls are those of the whole run, and it can be replayed."""
    first = runtime.run(LENDING, record=file, max_calls=7)
    assert first.status == "limit"
    assert shelf.lent.total() == 7

    outcome = runtime.resume(file, max_calls=100)
    assert outcome.ok, outcome.error
    assert outcome.result == [3]
    assert set(shelf.lent.values()) == {1}
    assert shelf.lent.total() == WRITES
    assert sorted(line.split("\t")[0] for line in outcome.output.splitlines()) == sorted(map(str, range(1, 21)))
    assert Counter(call["status"] for call in outcome.calls) == {"ok": 21, "refused": 1}

    again = runtime.replay(file)
    assert again.output == outcome.output
    assert again.result == outcome.result
    assert again.calls == outcome.calls


def test_a_finished_run_is_shown_again(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """With a sentence, and nothing is sent."""
    first = runtime.run(LENDING, record=file)
    outcome = runtime.resume(file)
    assert outcome.output == first.output
    assert outcome.result == first.result
    assert outcome.calls == first.calls
    assert outcome.warnings == [f"the run {outcome.run} is already finished; this is its outcome"]
    assert shelf.lent.total() == WRITES


def test_a_call_that_failed_for_good_is_made_again(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """The service refused it, so it was not done; what it refused before, and the script caught, stays as it was."""
    source = """
    local books = app.integrations.library
    print(pcall(books.lend, { book = "b-1" }))
    return books.lend({ book = "b-2" }).n
    """
    shelf.fails = 422
    assert runtime.run(source, record=file).status == "failed"
    shelf.fails = 0

    outcome = runtime.resume(file)
    assert outcome.result == [3]
    assert shelf.lent == {"b-2": 1}


def test_a_call_that_failed_is_made_again_before_what_cleaned_up(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """A script that raises the error of a call later, after other writes, goes on as well."""
    source = """
    local books = app.integrations.library
    local ok, problem = pcall(books.lend, { book = "b-1" })
    books.lend({ book = "cleanup" })
    if not ok then error(problem) end
    """
    shelf.before = lambda number: setattr(shelf, "fails", 422 if number == 1 else 0)
    assert runtime.run(source, record=file).status == "failed"
    outcome = runtime.resume(file)
    assert outcome.ok, outcome.error
    assert shelf.lent == {"b-1": 1, "cleanup": 1}


def test_a_write_that_may_have_been_done_is_not_made_again(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """A service that failed itself says nothing of it; a person does, by its number."""
    source = 'return app.integrations.library.lend({ book = "b-1" })'
    shelf.fails = 500
    runtime.run(source, record=file)
    shelf.fails = 0

    with pytest.raises(UnderWay, match=r"call 1, library\.lend with default was sent and has no answer") as refused:
        runtime.resume(file)
    assert refused.value.calls[0]["arguments"] == {"book": "b-1"}
    with pytest.raises(
        ConfigError, match=r"Call 2 is not a write that may have been done \(calls whose writes may have been done: 1\)"
    ):
        runtime.resume(file, again=[2])
    assert shelf.lent == {}

    assert runtime.resume(file, done={1: {"n": 7}}).result == [{"n": 7}]
    assert runtime.replay(file).result == [{"n": 7}]
    assert shelf.lent == {}


def test_a_mended_script_goes_on_where_it_agrees(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """What was done is answered from the recording, also if it is asked for elsewhere; later takes run the new one."""
    source = """
    local books = app.integrations.library
    books.lend({ book = "b-1" })
    books.lend({ book = "b-2" })
    error("a mistake")
    """
    assert runtime.run(source, record=file, name="first.lua").status == "failed"
    mended = """
    local books = app.integrations.library
    local all = parallel.map({ 2, 1, 3 }, function(n) return books.lend({ book = "b-" .. n }).n end)
    if #books.list_books().seen == 3 then error("another mistake") end
    return all
    """
    assert "another mistake" in str(runtime.resume(file, script=mended, name="second.lua").error)
    assert read(file).script["name"] == "second.lua"
    outcome = runtime.resume(file, script=mended.replace("== 3", "== 4"))
    assert outcome.result == [[2, 1, 3]]
    assert shelf.lent == {"b-1": 1, "b-2": 1, "b-3": 1}
    assert shelf.listed == 1


def test_a_write_that_was_done_is_not_done_in_other_words(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """A mended script that asks for it by the account's name is ended before anything is sent."""
    runtime.run('app.integrations.library.lend({ book = "b-1" }) error("no")', record=file)
    outcome = runtime.resume(file, script='app.integrations.library.default.lend({ book = "b-1" })')
    assert outcome.error
    assert outcome.error.code == "diverged"
    assert "library.lend was already done with these arguments, by call 1" in str(outcome.error)
    assert shelf.lent == {"b-1": 1}


def test_two_cannot_go_on_at_once(
    runtime: Runtime, open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path
) -> None:
    """The second is refused, and the first is not disturbed."""
    runtime.run(LENDING, record=file, max_calls=3)
    others: list[ConfigError] = []

    def refused(number: int) -> None:
        with pytest.raises(ConfigError, match="in use: another run is writing it") as error:
            other.resume(file, max_calls=100)
        others.append(error.value)

    other = open_runtime()
    shelf.before = lambda number: refused(number) if number == 5 else None
    assert runtime.resume(file, max_calls=100).ok
    assert len(others) == 1
    assert set(shelf.lent.values()) == {1}


def test_a_simulated_run_does_not_go_on_for_real(simulated: Runtime, runtime: Runtime, file: Path) -> None:
    """Nor the other way round."""
    simulated.run("sleep(1) error('no')", record=file)
    with pytest.raises(
        ConfigError, match=r"The run in the recording .* is simulated, .*live run \(pass simulate=True\)"
    ):
        runtime.resume(file)


def test_a_read_only_run_stays_so(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """Whatever is said when it goes on."""
    source = 'print(pcall(app.integrations.library.lend, { book = "b-1" })) error("no")'
    runtime.run(source, record=file, read_only=True)
    runtime.resume(file, script=source + " ", read_only=False)
    runtime.resume(file, script=source.replace("b-1", "b-2"))
    assert shelf.lent == {}


@pytest.mark.parametrize("place", ["run", "runtime"])
def test_what_a_run_may_not_call_stays_denied(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path, place: str
) -> None:
    """Also if the program that resumes it denies nothing, and allows everything."""
    source = 'print(pcall(app.integrations.library.lend, { book = "b-1" })) error("no")'
    denied = {"deny": ["library.lend"]}
    first = open_runtime(**denied) if place == "runtime" else open_runtime()
    first.run(source, record=file, **(denied if place == "run" else {}))
    outcome = open_runtime(allow=["*"]).resume(file, script=source.replace("b-1", "b-2"))
    assert "is denied by deny=" in outcome.output
    assert shelf.lent == {}


def test_an_interrupted_run_says_what_was_under_way(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path
) -> None:
    """And sends it again only if a person says so."""
    first = open_runtime()
    release = threading.Event()

    def interrupt(number: int) -> bool:
        if number == 2:
            threading.Thread(target=first.close).start()
            release.wait(60)
        return number == 2

    shelf.before = interrupt
    outcome = first.run(LENDING, record=file)
    release.set()
    shelf.before = lambda number: None
    assert outcome.status == "interrupted"
    assert [call["status"] for call in outcome.calls] == ["ok", "unknown"]

    runtime = open_runtime()
    with pytest.raises(UnderWay, match=r"call 2, library\.lend"):
        runtime.resume(file)
    assert runtime.resume(file, again=[2]).ok
    assert set(shelf.lent.values()) == {1}
    assert shelf.lent.total() == WRITES


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("moment", ["arrived", "done", "answered"])
@pytest.mark.parametrize("number", range(1, WRITES + 1, rounds(4, 1)))
def test_kill_9_at_any_moment(
    open_runtime: Callable[..., Runtime], server: Loopback, shelf: Shelf, file: Path, moment: str, number: int
) -> None:
    """After it each write arrives exactly once, or the run refuses to go on and names those under way."""
    running = start(open_runtime, file)

    def kill(at: int) -> bool:
        if at == number:
            os.kill(running.pid, signal.SIGKILL)
        return at == number

    def kill_later(at: int) -> None:
        pause = random.random() * 0.004
        threading.Thread(target=lambda: (time.sleep(pause), kill(at))).start()

    shelf.before = kill if moment == "arrived" else shelf.before
    shelf.after = {"done": kill, "answered": kill_later}.get(moment, shelf.after)
    running.start()
    running.join(60)
    server.settle()
    shelf.before = shelf.after = lambda number: None

    outcome = go_on(open_runtime(), file, shelf)
    assert outcome.ok, outcome.error
    assert outcome.result == [3]
    assert set(shelf.lent.values()) == {1}
    assert shelf.lent.total() == WRITES


def go_on(runtime: Runtime, file: Path, shelf: Shelf) -> Outcome:
    """Resume a run; what it says is under way is looked up at the service, as a person would."""
    try:
        return runtime.resume(file)
    except UnderWay as error:
        book: dict[Any, Any] = {call["number"]: call["arguments"]["book"] for call in error.calls}  # type: ignore[index]
        done = {number: {"n": 0} for number, name in book.items() if shelf.lent[name]}
        return runtime.resume(file, done=done, again=[number for number in book if number not in done])


def start(open_runtime: Callable[..., Runtime], file: Path) -> Any:
    """Return a process that will run the script."""
    context = multiprocessing.get_context("fork")
    return context.Process(target=lambda: open_runtime().run(LENDING, record=file))


def test_a_killed_sandbox_and_a_cut_line_are_no_end(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """The run goes on from the last whole line, and appends to it."""
    runtime.run(LENDING, record=file, max_calls=5)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:30])
    outcome = runtime.resume(file, max_calls=100)
    assert outcome.ok, outcome.error
    assert set(shelf.lent.values()) == {1}
    assert read(file).status == "done"


ASKING = """
local books = app.integrations.library
local lent = parallel.map({ 1, 2, 3 }, function(n)
  local ok, found = pcall(books.lend, { book = "b-" .. n })
  return ok and "lent" or found.code
end)
return lent, #books.list_books().seen
"""


def paused(runtime: Runtime, file: Path) -> list[dict[str, Any]]:
    """Run the script that asks, and return the calls that wait for an approval."""
    outcome = runtime.run(ASKING, record=file)
    assert outcome.status == "paused"
    assert isinstance(outcome.error, Paused)
    assert outcome.error.code == "paused"
    assert [call["error"] for call in outcome.calls] == ["paused"] * 3
    return outcome.error.calls


def test_a_run_pauses_where_nobody_can_be_asked(open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path) -> None:
    """All branches come to their calls first; what waits is told as a person would be asked."""
    calls = paused(open_runtime(write="ask"), file)
    assert shelf.lent == {}
    assert [call["number"] for call in calls] == [1, 2, 3]
    assert {call["arguments"]["book"] for call in calls} == {"b-1", "b-2", "b-3"}
    assert {(call["path"], call["account"], call["effect"], call["about"]) for call in calls} == {
        ("library.lend", "default", "write", "Lend a book.")
    }
    assert open_runtime().replay(file).status == "paused"


def test_without_a_recording_nothing_pauses(open_runtime: Callable[..., Runtime]) -> None:
    """The calls are denied, as ever."""
    assert open_runtime(write="ask").run(ASKING).result == [["denied"] * 3, 3]


def test_a_pause_is_approved_in_part(open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path) -> None:
    """By another process: what is approved is done once, what is denied is an error, and what is neither waits on."""
    calls = paused(open_runtime(write="ask"), file)
    number = {call["arguments"]["book"]: call["number"] for call in calls}

    later = open_runtime(write="ask")
    with pytest.raises(
        ConfigError, match=r"Call 9 does not wait for an approval \(calls that wait for an approval: 1, 2, 3\)"
    ):
        later.resume(file, approve=[9])
    outcome = later.resume(file, approve=[number["b-1"]], deny=[number["b-2"]])
    assert isinstance(outcome.error, Paused)
    assert [call["arguments"]["book"] for call in outcome.error.calls] == ["b-3"]
    assert shelf.lent == {"b-1": 1}

    outcome = open_runtime(write="ask").resume(file, approve=[number["b-3"]])
    assert outcome.result == [["lent", "denied", "lent"], 3]
    assert shelf.lent == {"b-1": 1, "b-3": 1}
    assert [call["status"] for call in outcome.calls].count("ok") == 3
    assert open_runtime().replay(file).result == outcome.result


def test_a_look_at_a_pause_keeps_its_numbers(open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path) -> None:
    """The numbers of the first pause name the same calls after a run was resumed without a decision."""
    number = {call["arguments"]["book"]: call["number"] for call in paused(open_runtime(write="ask"), file)}
    for _ in range(2):
        assert open_runtime(write="ask").resume(file).status == "paused"
    outcome = open_runtime(write="ask").resume(file, approve=[number["b-2"]], deny=[number["b-1"], number["b-3"]])
    assert outcome.result == [["denied", "lent", "denied"], 3]
    assert shelf.lent == {"b-2": 1}


@pytest.mark.parametrize("decided", [{"approve": [1], "deny": [1]}, {"approve": True, "deny": True}])
def test_a_call_is_not_both_approved_and_denied(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path, decided: dict[str, Any]
) -> None:
    """Nothing is sent, and the run waits on."""
    paused(open_runtime(write="ask"), file)
    with pytest.raises(ConfigError, match="Call 1 cannot be both approved and denied"):
        open_runtime(write="ask").resume(file, **decided)
    assert shelf.lent == {}


def test_a_copy_of_a_kept_recording_is_refused(
    open_runtime: Callable[..., Runtime], shelf: Shelf, tmp_path: Path
) -> None:
    """Before and after the run itself went on, so that no write is approved twice; nothing is sent."""
    store = Folder(str(tmp_path / "store"))
    first = open_runtime(write="ask", store=store).run(ASKING, record=True)
    assert isinstance(first.error, Paused)
    [run] = [each.run for each in store.runs()]
    copy = shutil.copy(store.place(run).name, tmp_path / "copy.jsonl")

    def refused() -> None:
        with pytest.raises(ConfigError, match=f"copy.jsonl is a copy of the run {run}") as caught:
            open_runtime(write="ask", store=store).resume(copy, approve=True)
        assert caught.value.hint == f"nothing was sent; to continue the run, resume {run}"

    refused()
    assert open_runtime(write="ask", store=store).resume(store.read(run), approve=True).ok
    assert set(shelf.lent.values()) == {1}
    refused()
    assert set(shelf.lent.values()) == {1}


def test_a_copy_that_is_ahead_of_the_kept_recording_goes_on(
    open_runtime: Callable[..., Runtime], shelf: Shelf, tmp_path: Path
) -> None:
    """As after the store was restored from a backup: it knows of every write."""
    store = Folder(str(tmp_path / "store"))
    open_runtime(write="ask", store=store).run(ASKING, record=True)
    [run] = [each.run for each in store.runs()]
    kept = Path(store.place(run).name)
    backup = kept.read_bytes()
    open_runtime(write="ask", store=store).resume(kept, approve=[1])
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(kept.read_bytes())
    kept.write_bytes(backup)
    assert open_runtime(write="ask", store=store).resume(copy, approve=True).ok
    assert set(shelf.lent.values()) == {1}


def test_one_copy_of_a_file_goes_on(open_runtime: Callable[..., Runtime], shelf: Shelf, tmp_path: Path) -> None:
    """The one that is resumed first: the others do not know of its writes, wherever they are. Of it, copies go on."""
    store = Folder(str(tmp_path / "store"))
    names = [tmp_path / f"{name}.jsonl" for name in ("first", "second", "third")]
    assert isinstance(open_runtime(write="ask", store=store).run(ASKING, record=names[0]).error, Paused)
    shutil.copy(names[0], names[1])
    before = names[1].read_bytes()
    assert isinstance(open_runtime(write="ask", store=store).resume(names[0], approve=[1]).error, Paused)
    assert set(shelf.lent.values()) == {1}
    with pytest.raises(ConfigError, match=r"Another copy of the recording .*second.jsonl has gone on") as caught:
        open_runtime(write="ask", store=store).resume(names[1], approve=True)
    assert "nothing was sent" in str(caught.value.hint)
    assert names[1].read_bytes() == before
    names[0].rename(names[2])
    assert open_runtime(write="ask", store=store).resume(names[2], approve=True).ok
    assert set(shelf.lent.values()) == {1}


def test_of_copies_resumed_at_the_same_time_one_goes_on(
    open_runtime: Callable[..., Runtime], shelf: Shelf, tmp_path: Path
) -> None:
    """The other is as it was, so that it is refused however often it is tried."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"

    class Slow(Folder):
        """A store at which another run goes on after the first look."""

        looks = 0

        def count(self, kind: str, window: int, more: int, most: int | None = None) -> int | None:
            found = super().count(kind, window, more, most)
            if kind.startswith("resumed-"):
                self.looks += 1
                if self.looks == 2:
                    assert open_runtime(store=Folder(self.path)).resume(first, max_calls=100).ok
            return found

    folder = str(tmp_path / "store")
    assert open_runtime(store=Folder(folder)).run(LENDING, record=first, max_calls=3).status == "limit"
    shutil.copy(first, second)
    before, store = second.read_bytes(), Slow(folder)
    for _ in range(3):
        with pytest.raises(ConfigError, match="has gone on: writes would be sent twice"):
            open_runtime(store=store).resume(second, max_calls=100)
        assert second.read_bytes() == before
    assert store.looks == 5, "the first try was refused at its third look, the others at their first"
    assert set(shelf.lent.values()) == {1}


def test_all_calls_but_one_are_approved(open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path) -> None:
    """A decision about all calls leaves out those that the other decision names."""
    calls = paused(open_runtime(write="ask"), file)
    number = {call["arguments"]["book"]: call["number"] for call in calls}
    outcome = open_runtime(write="ask").resume(file, approve=True, deny=[number["b-2"]])
    assert outcome.result == [["lent", "denied", "lent"], 3]
    assert shelf.lent == {"b-1": 1, "b-3": 1}


def test_a_person_may_be_asked_when_a_paused_run_goes_on(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path
) -> None:
    """What was decided by number is not asked about."""
    paused(open_runtime(write="ask"), file)
    asked: list[object] = []
    outcome = open_runtime(write="ask").resume(
        file, approve=lambda approval: asked.append(approval.arguments) or True, deny=[2]
    )
    assert outcome.ok
    assert len(asked) == 2
    assert shelf.lent.total() == 2


def test_a_picture_leaves_out_the_wait_for_an_approval(
    open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path
) -> None:
    """Its bars are the time of the run, whenever somebody approved; a call that waited is shown as it was made."""
    paused(open_runtime(write="ask"), file)
    assert [bar.status for bar in bars_of(read(file))] == ["refused"] * 3
    open_runtime(write="ask").resume(file, approve=True)
    bars = bars_of(read(resumed_later(read(file), file.with_name("later.jsonl"), days=3)))
    assert [(bar.status, bar.error) for bar in bars] == [("ok", "")] * 4
    assert bars[0].begins == 0
    assert max(bar.begins + bar.duration for bar in bars) < 60_000


def test_a_pause_expires(open_runtime: Callable[..., Runtime], shelf: Shelf, file: Path) -> None:
    """An approval of last week is for a world that has changed: the run is to be started anew."""
    paused(open_runtime(write="ask"), file)
    old = aged(read(file), file.with_name("old.jsonl"), days=8)
    with pytest.raises(Paused, match="more than 7 days ago"):
        open_runtime(write="ask").resume(old, approve=True)
    assert shelf.lent == {}


def test_a_recording_of_another_version_goes_on(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """What is recorded as done is not sent in other words, should that version have asked in others."""
    source = (
        'app.integrations.library.lend({ book = "b-1" }) app.integrations.library.lend({ book = "b-2" }) error("no")'
    )
    runtime.run(source, record=file)
    older = rewritten(read(file), file.with_name("older.jsonl"), kosmolua="0.0.1")
    assert "no" in str(runtime.resume(older).error)
    assert shelf.lent == {"b-1": 1, "b-2": 1}

    outcome = runtime.replay(older, "app.integrations.library.list_books()")
    assert outcome.error
    assert outcome.error.code == "diverged"
    assert outcome.warnings[-1] == f"the recording was made by kosmolua 0.0.1, and this is {__version__}"


def test_what_is_no_whole_recording_cannot_go_on(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """A damaged line wherever it stands, an empty file, a folder, another text: a sentence each; nothing is sent."""
    runtime.run('app.integrations.library.lend({ book = "b-1" }) error("no")', record=file)
    lines = file.read_bytes().splitlines(keepends=True)
    cases: dict[bytes, str] = {
        b"": "no complete line",
        lines[0][:30]: "no complete line",
        b"hello\n": "is not a recording",
    }
    for number, line in enumerate(lines):
        damaged = [*lines[:number], line.replace(b'":', b'";', 1), *lines[number + 1 :]]
        cases[b"".join(damaged)] = (
            f"damaged: line {number + 1} was changed" if number else "is not a recording|damaged: line 1"
        )
    bad = file.with_name("bad.jsonl")
    for data, told in cases.items():
        bad.write_bytes(data)
        for work in (runtime.resume, runtime.replay):
            with pytest.raises(ConfigError, match=told) as error:
                work(bad)
            assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        runtime.resume(file.parent)
    assert shelf.lent == {"b-1": 1}


def test_the_command_line_says_why_a_run_cannot_go_on(kosmolua: Program, write: Write, home: Path) -> None:
    """A plugin that is missing, a damaged recording: one sentence, status 3; a recording that nobody made: status 2."""
    plugin = write("home/slow.py", PLUGIN)
    kosmolua("run", "--plugin", str(plugin), "--record=run.jsonl", "-e", "print(1) error('no')")
    plugin.rename(home / "away.py")
    (home / "bad.jsonl").write_bytes((home / "run.jsonl").read_bytes().replace(b"slow.py", b"fast.py", 1))
    for words, told, status in (
        (("resume", "run.jsonl"), f"There is no plugin at {plugin} (name a .py file, or a folder", 3),
        (("resume", "bad.jsonl"), "The recording bad.jsonl is damaged: line 1 was changed", 3),
        (("replay", "nothing"), "There is no recording 'nothing', neither a file of this name nor a run", 2),
    ):
        done = kosmolua(*words)
        assert done.returncode == status
        assert done.stdout == ""
        assert done.stderr.startswith(f"kosmolua: {told}")
        assert done.stderr.count("\n") == 1
    assert kosmolua("replay", "run.jsonl").stdout == "1\n"
    refused = kosmolua("resume", "run.jsonl", "--again", "9" * 5000)
    assert refused.returncode == 2
    assert "is not the number of a call, such as 7" in refused.stderr


def test_the_command_line_pauses_and_goes_on(kosmolua: Program, write: Write, home: Path) -> None:
    """Status 75 and what waits; --approve and --deny with numbers or without; the recorded accounts and simulators."""
    script = write(
        "asks.lua",
        """
        local render = app.integrations.render2
        local page = render.list_services({ limit = 3, type = "web_service" })
        local function restart(service) return (pcall(render.restart_service, { service_id = service.id })) end
        print(table.unpack(parallel.map(page.services, restart)))
        """,
    )
    ended = kosmolua("run", script, "--simulate", "--record=r.jsonl")
    assert ended.returncode == 75
    assert re.search(r"paused: 3 x render2\.restart_service with default must be approved", ended.stderr)
    assert re.findall(r"^kosmolua: call (\d): write render2\.restart_service", ended.stderr, re.MULTILINE) == [*"234"]

    refused = kosmolua("resume", "r.jsonl", "--approve", "7")
    assert refused.returncode == 3
    ended = kosmolua("resume", "--approve", "2", "r.jsonl", "--deny", "3")
    assert ended.returncode == 75
    ended = kosmolua("resume", "r.jsonl", "--approve")
    assert ended.returncode == 0
    assert ended.stdout == "true\tfalse\ttrue\n"
    assert kosmolua("replay", "r.jsonl").stdout == ended.stdout
    again = kosmolua("resume", "r.jsonl")
    assert again.returncode == 0
    assert again.stdout == ended.stdout
    assert "is already finished" in again.stderr


def test_defaults_come_from_the_accounts_file_of_the_run(kosmolua: Program, write: Write, home: Path) -> None:
    """What that file denies stays denied, and the default file of whoever resumes is not asked."""
    write("home/.config/kosmolua/accounts.toml", "[kosmolua.options]\njson = true\n")
    write("home/others.toml", "[kosmolua.options]\nsimulate = true\nread_only = true\n")
    write("home/new.lua", "print(pcall(app.integrations.render2.restart_service, { service_id = 'srv-x' }))")
    ended = kosmolua("run", "-e", "error('no')", "--accounts", "others.toml", "--record=r.jsonl")
    assert ended.returncode == 1
    resumed = kosmolua("resume", "r.jsonl", "--script", "new.lua", "--yes")
    assert "this run is read-only" in resumed.stdout
    assert not resumed.stdout.startswith("{"), resumed.stdout
    write("home/others.toml", "[kosmolua.options]\nsimulate = true\n")
    kosmolua("run", "-e", "print(10)", "--accounts", "others.toml", "--plan-file", "p.json")
    assert kosmolua("apply", "p.json").stdout == "10\n"


def test_scripts_are_found_again(kosmolua: Program, write: Write, home: Path) -> None:
    """A run that goes on, and a plan that is applied, call scripts in the folder of the run."""
    write("home/mine/ten.lua", "return 10")
    write("home/elsewhere/note.txt", "")
    given = ("run", "-e", "print(app.scripts.ten())", "--simulate", "--scripts", "mine")
    kosmolua(*given, "--plan-file", home / "p.json")
    assert kosmolua("apply", home / "p.json", cwd=home / "elsewhere").stdout == "10\n"
    kosmolua("run", "-e", "error('no')", *given[3:], f"--record={home / 'r.jsonl'}")
    write("home/new.lua", given[2])
    resumed = kosmolua("resume", home / "r.jsonl", "--script", home / "new.lua", cwd=home / "elsewhere")
    assert resumed.stdout == "10\n", resumed.stderr


def test_limits_of_a_recorded_run_are_the_recorded_ones(kosmolua: Program, write: Write, home: Path) -> None:
    """Whatever the defaults say: only an option on the command line changes them."""
    write("home/accounts.toml", "[kosmolua.options]\nmax_output = '9'\n")
    given = ("--accounts", "accounts.toml")
    ended = kosmolua("run", "-e", "print('0123456789') error('no')", *given, "--max-output", "20", "--record=r.jsonl")
    assert ended.returncode == 1
    assert ended.stdout == "0123456789\n"
    for command in ("replay", "resume"):
        again = kosmolua(command, "r.jsonl", *given)
        assert again.returncode == 1, again.stderr
        assert again.stdout == "0123456789\n", again.stderr
        assert kosmolua(command, "r.jsonl", *given, "--max-output", "5").returncode == 124


def test_the_command_line_names_what_was_under_way(
    kosmolua: Program, write: Write, home: Path, environment: dict[str, str]
) -> None:
    """With its arguments, and goes on with --done N=JSON or --again N."""
    write("home/slow.py", PLUGIN)
    write("home/accounts.toml", '[slow.default]\npermissions = { write = "allow" }\n')
    write("home/put.lua", "print(app.integrations.slow.put({ at = 7 }))")
    command = [sys.executable, "-m", "kosmolua", "run", "put.lua", "--record=r.jsonl", "--plugin", "slow.py"]
    running = subprocess.Popen(
        [*command, "--accounts", "accounts.toml"],
        cwd=home,
        env=environment,
    )
    assert eventually(lambda: (home / "begun").exists())
    running.kill()
    running.wait()

    refused = kosmolua("resume", "r.jsonl")
    assert refused.returncode == 1
    assert "kosmolua: call 1: write slow.put [default] at = 7" in refused.stderr
    assert "--done 1 if it was done, or --again 1" in refused.stderr
    as_json = json.loads(kosmolua("resume", "r.jsonl", "--json").stdout)
    assert as_json["error"]["code"] == "under_way"
    assert as_json["error"]["calls"][0]["number"] == 1
    ended = kosmolua("resume", "r.jsonl", "--done", '1="put before"')
    assert ended.returncode == 0
    assert ended.stdout == "put before\n"


PLUGIN = '''"""Waits."""

import time
from dataclasses import dataclass
from pathlib import Path

from kosmolua.plugin import Integration


@dataclass(frozen=True)
class Account:
    """Needs nothing."""

    def open(self, send):
        return send


integration = Integration("slow", Account, about="Waits.")


@integration.writes
def put(opened, /, *, at: int) -> str:
    """Put something somewhere, which takes long."""
    Path("begun").touch()
    time.sleep(60)
    return "put"
'''


@pytest.mark.parametrize(
    ("accounts", "said"),
    [
        (
            {"default": {"base_url": "http://127.0.0.1:1"}},
            "library.default led to {url} and leads to http://127.0.0.1:1",
        ),
        ({"default": {"base_url": "{url}/v2"}}, "the settings of library.default have changed"),
        ({"other": {"base_url": "{url}"}}, "there is no account library.default any more"),
        (
            {"default": "other", "other": {"base_url": "{url}"}},
            "the default account of library was default and is other",
        ),
    ],
)
def test_a_run_does_not_go_on_with_other_accounts(
    open_runtime: Callable[..., Runtime],
    server: Loopback,
    shelf: Shelf,
    file: Path,
    accounts: dict[str, Any],
    said: str,
) -> None:
    """It says what differs and sends nothing, unless that is accepted; a new secret is no difference."""
    open_runtime().run(LENDING, record=file, max_calls=3)
    own = {"api_key": KEY, "permissions": {"write": "allow"}}
    tables = {
        name: given if isinstance(given, str) else {**own, "base_url": given["base_url"].replace("{url}", server.url)}
        for name, given in accounts.items()
    }
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime({"library": tables}, plugins=plugins, environ={}) as other:
        with pytest.raises(ConfigError) as refused:
            other.resume(file, max_calls=100)
        assert said.format(url=server.url) in str(refused.value)
        assert str(refused.value).endswith("Nothing was sent.")
        assert shelf.lent.total() == 3
        asked: list[str] = []
        with pytest.raises(ConfigError):
            other.resume(file, max_calls=100, accept_accounts=lambda sentence: bool(asked.append(sentence)))
        assert said.format(url=server.url) in asked[0]
        if said.startswith("the default account"):
            assert other.resume(file, max_calls=100, accept_accounts=True).ok
            assert shelf.lent.total() == WRITES


def test_a_new_secret_is_no_other_account(
    open_runtime: Callable[..., Runtime], server: Loopback, shelf: Shelf, file: Path
) -> None:
    """A key that was rotated meanwhile stops no run."""
    open_runtime().run(LENDING, record=file, max_calls=3)
    account = {"api_key": "rnd_another_key_of_it", "base_url": server.url, "permissions": {"write": "allow"}}
    with Runtime(
        {"library": {"default": account}}, plugins=Plugins([library()], places=(), entry_points=dict), environ={}
    ) as other:
        assert other.resume(file, max_calls=100).ok
    assert shelf.lent.total() == WRITES


def test_accounts_that_were_accepted_are_recorded(
    open_runtime: Callable[..., Runtime], server: Loopback, shelf: Shelf, file: Path
) -> None:
    """The run goes on with them later without a further question."""
    open_runtime().run(LENDING, record=file, max_calls=3)
    account = {"api_key": KEY, "base_url": f"{server.url}/", "permissions": {"write": "allow"}}
    with Runtime(
        {"library": {"default": account}}, plugins=Plugins([library()], places=(), entry_points=dict), environ={}
    ) as other:
        assert other.resume(file, max_calls=5, accept_accounts=True).status == "limit"
        assert other.resume(file, max_calls=100).ok


def test_writes_that_a_corrected_script_does_not_make_are_told(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """It makes them in another form, so they are sent again: this is not silent."""
    source = 'for n = 1, 3 do app.integrations.library.lend({ book = "b-" .. n }) end error("no")'
    runtime.run(source, record=file)
    mended = 'for n = 1, 3 do app.integrations.library.lend({ book = "b-" .. n, note = "x" }) end'
    outcome = runtime.resume(file, script=mended)
    assert outcome.ok
    said = "3 recorded writes were not made by this script, the first of them call 1, library.lend"
    assert outcome.warnings == [said]


def test_a_write_that_was_done_can_get_its_result_later(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """Without one the script gets nil, and may fail; that the run needs one is said, and it is not wedged."""
    shelf.fails = 500
    runtime.run('return app.integrations.library.lend({ book = "b-1" }).n', record=file)
    shelf.fails = 0
    failed = runtime.resume(file, done={1: None})
    assert failed.status == "failed"
    assert failed.warnings == [
        "the script got nil as the result of call 1, which was counted as done without a result; "
        "to give it one, resume the run with --done 1=JSON"
    ]
    assert runtime.resume(file, done={1: {"n": 7}}).result == [7]
    assert runtime.replay(file).result == [7]
    assert shelf.lent == {}


@pytest.mark.parametrize("flip", range(12))
def test_a_damaged_recording_goes_on_up_to_the_damage(runtime: Runtime, shelf: Shelf, file: Path, flip: int) -> None:
    """No write behind the damage is made again or forgotten: each is named, and a person says what became of it."""
    runtime.run(LENDING, record=file, max_calls=12)
    data = bytearray(file.read_bytes())
    chance = random.Random(flip)
    place = chance.randrange(data.index(b"\n") + 1, len(data) - 2)
    data[place] ^= 1 << chance.randrange(8)
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=r"is damaged|is not valid|in line"):
        runtime.resume(file)

    recording, said = repaired(File(file))
    assert said
    assert (file.parent / f"{file.name}.damaged").read_bytes() == data
    try:
        outcome = runtime.resume(recording, max_calls=100)
    except UnderWay as error:
        book: dict[Any, str] = {}
        for call in error.calls:
            arguments: Any = call["arguments"]
            book[call["number"]] = str(arguments.get("book"))
        done = {number: {"n": 0} for number, name in book.items() if shelf.lent[name]}
        again = [number for number in book if number not in done]
        if any(name == "None" for name in book.values()):
            pytest.skip("the line of a write cannot be read, so it takes an undamaged copy")
        outcome = runtime.resume(read(file), max_calls=100, done=done, again=again)
    assert outcome.ok, outcome.error
    assert set(shelf.lent.values()) == {1}
    assert shelf.lent.total() == WRITES


@pytest.mark.parametrize("place", ["before", "kind"])
def test_a_damaged_recording_that_was_resumed_goes_on(
    open_runtime: Callable[..., Runtime], shelf: Shelf, tmp_path: Path, file: Path, place: str
) -> None:
    """It is not taken for a copy that was resumed less often, although the damage is before the line that says so."""
    runtime = open_runtime(store=Folder(str(tmp_path / "store")))
    assert runtime.run(LENDING, record=file, max_calls=3).status == "limit"
    assert runtime.resume(file, max_calls=5).status == "limit"
    lines = file.read_bytes().splitlines(keepends=True)
    resumed = next(number for number, line in enumerate(lines) if line.startswith(b'{"event":"resumed"'))
    damaged = resumed - 1 if place == "before" else resumed
    lines[damaged] = lines[damaged].replace(b"event", b"evenT", 1)
    file.write_bytes(b"".join(lines))
    recording, _ = repaired(File(file))
    with pytest.raises(UnderWay) as caught:
        runtime.resume(recording)
    calls = [call["number"] for call in caught.value.calls]
    assert runtime.resume(file, max_calls=100, done={number: {"n": 0} for number in calls}).ok
    assert set(shelf.lent.values()) == {1}
    assert shelf.lent.total() == WRITES


def test_a_write_is_not_both_counted_as_done_and_sent_again(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """Nothing is sent."""
    runtime.run('app.integrations.library.lend({ book = "b-1" }) error("no")', record=file)
    place = next(
        number
        for number, line in enumerate(file.read_bytes().splitlines(keepends=True))
        if line.startswith(b'{"event":"intent"')
    )
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[: place + 1]))
    with pytest.raises(ConfigError, match="Call 1 cannot be both counted as done and sent again"):
        runtime.resume(file, done={1: None}, again=[1])
    assert shelf.lent.total() == 1


def test_a_write_that_cannot_be_read_is_not_counted_as_done(runtime: Runtime, shelf: Shelf, file: Path) -> None:
    """The script would send it again, so only the person who knows that it was not done can go on."""
    runtime.run('app.integrations.library.lend({ book = "b-1" }) error("no")', record=file)
    lines = file.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if line.startswith(b'{"event":"intent"'))
    lines[place] = lines[place].replace(b'"arguments"', b'"arguments')
    file.write_bytes(b"".join(lines[: place + 1]))
    recording, _ = repaired(File(file))
    with pytest.raises(UnderWay, match=r"call 1, library\.lend with \(unreadable\)"):
        runtime.resume(recording)
    with pytest.raises(ConfigError, match="Call 1 cannot be counted as done: its line cannot be read"):
        runtime.resume(recording, done={1: None})
    assert shelf.lent == {"b-1": 1}


def test_a_write_whose_secret_is_not_known_yet_is_not_made_again(server: Loopback, shelf: Shelf, file: Path) -> None:
    """A killed run's recording has *** for a secret that its script holds, known only once its account is open."""
    account = {"api_key": {"env": "KEY"}, "base_url": server.url, "permissions": {"write": "allow"}}
    source = f'for n = 1, 2 do app.integrations.library.lend({{ book = "b-" .. n, note = "{KEY}" }}) end'
    killed = file.with_name("killed.jsonl")

    def copy(at: int) -> None:
        if at == 2:
            shutil.copy(file, killed)

    def opened() -> Runtime:
        plugins = Plugins([library()], places=(), entry_points=dict)
        return Runtime({"library": {"default": account}}, plugins=plugins, environ={"KEY": KEY})

    shelf.before = copy
    with opened() as runtime:
        assert runtime.run(source, record=file).ok
    with opened() as runtime:
        outcome = runtime.resume(killed, again=[2])
    assert outcome.error
    assert "there, call 1, library.lend" in outcome.error.message
    assert shelf.lent == {"b-1": 1, "b-2": 1}


def test_a_write_in_doubt_whose_secret_is_not_known_yet_is_not_made_again(
    server: Loopback, shelf: Shelf, file: Path
) -> None:
    """The recorded read opens no account, so the write looks like a new one, which nobody has looked for."""
    account = {"api_key": {"env": "KEY"}, "base_url": server.url, "permissions": {"write": "allow"}}
    source = f"""
    app.integrations.library.list_books()
    app.integrations.library.take({{ book = "b-1", note = "{KEY}" }})
    """
    killed = file.with_name("killed.jsonl")

    def opened() -> Runtime:
        books = library()

        def find(api: Api, /, *, book: str, note: str) -> Any:
            return {"n": 1} if shelf.lent[book] else None

        @books.writes(was_done=find)
        def take(api: Api, /, *, book: str, note: str) -> Any:
            """Take a book."""
            return api.post("/books/{book}", book=book, json={"note": note})

        plugins = Plugins([books], places=(), entry_points=dict)
        return Runtime({"library": {"default": account}}, plugins=plugins, environ={"KEY": KEY})

    shelf.after = lambda at: None if killed.exists() else bool(shutil.copy(file, killed))
    with opened() as runtime:
        assert runtime.run(source, record=file).ok
    with opened() as runtime:
        outcome = runtime.resume(killed)
    assert outcome.error
    assert "there, library.take" in outcome.error.message
    assert shelf.lent == {"b-1": 1}


def test_no_write_is_sent_after_an_answer_that_could_not_be_recorded(
    runtime: Runtime, shelf: Shelf, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script has the answer already, and might get another one when the run goes on."""
    append, stopped = FileSheet.append, threading.Event()

    def fill_up(self: FileSheet, line: bytes, event: Mapping[str, Any]) -> None:
        if event["event"] == "answer" and "list_books" in str(event["ask"]) and not stopped.is_set():
            stopped.set()
            raise ConfigError("The disk is full")
        append(self, line, event)

    monkeypatch.setattr(FileSheet, "append", fill_up)
    source = 'local books = app.integrations.library print(1) books.list_books() books.lend({ book = "b-1" })'
    outcome = runtime.run(
        source, record=file, on_output=lambda piece: time.sleep(0.3)
    )  # meanwhile nothing ends the run
    assert outcome.error
    assert outcome.error.message == "The disk is full"
    assert shelf.lent == {}
    assert runtime.resume(file).ok
    assert shelf.lent == {"b-1": 1}


def test_writes_that_differ_only_in_a_secret_are_different_writes(runtime: Runtime, file: Path) -> None:
    """Each has a key of its own, although the recording has *** for both."""
    source = f"""
    local books = app.integrations.library
    books.list_books()
    for _, each in ipairs({{ "{KEY}", "{KEY.lower()}" }}) do books.lend({{ book = each }}) end
    """
    assert runtime.run(source, record=file).ok
    intents = [event for event in read(file).events if event["event"] == "intent"]
    assert [event["arguments"]["book"] for event in intents] == ["***", "***"]
    assert intents[0]["key"] != intents[1]["key"]
