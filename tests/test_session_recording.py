"""Recorded sessions: chunks are kept as they run, and repeated in a session of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
from conftest import Program, Write
from support.library import KEY, library

from kosmolua import ConfigError, Runtime
from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli.waterfall import bars_of, page
from kosmolua.plugin import Request, Response
from kosmolua.recordings.recording import read
from kosmolua.runs.session import ChunkResult, Session
from kosmolua.stores.folder_store import Folder
from kosmolua.testing import Playground, answer

CHUNKS = [
    "local r = math.random(1000000)",
    "r, os.time() > 0, os.clock() >= 0, time.now() > 1",
    "page = app.integrations.library.list_books()",
    "for key, value in pairs({ zebra = 1, ant = 2, [3] = 'three' }) do print(key, value) end",
    "parallel.map({ 1, 2, 3 }, function(n) return app.integrations.library.lend({ book = 'b-' .. n }).n end)",
    "error({ code = 'drift', message = 'not as planned' })",
    "nothing.there",
    "#page.seen, math.random(1000000), _",
]


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime with only the library, whose answers differ each time."""
    count = iter(range(1, 1000))

    def answering(request: Request) -> Response:
        return answer(200, {"seen": [1, 2, 3]} if request.method == "GET" else {"n": next(count)})

    plugins, accounts = Plugins([library()], places=(), entry_points=dict), {"library": {"default": {"api_key": KEY}}}
    store = Folder(tmp_path / "mine")
    given = {"plugins": plugins, "backend": Canned(lambda _: answering), "yes": True, "environ": {}, "store": store}
    with Runtime(accounts, **given) as runtime:  # type: ignore[arg-type]
        yield runtime


@pytest.fixture
def session(runtime: Runtime) -> Iterator[Session]:
    """A session."""
    with Session(runtime.run, input={"n": 12}) as session:
        yield session


@pytest.fixture
def bare() -> Iterator[Runtime]:
    """A runtime that has neither accounts nor integrations."""
    with Runtime({}, plugins=Plugins([], places=(), entry_points=dict), environ={}) as runtime:
        yield runtime


def shown(answers: list[ChunkResult]) -> str:
    """Return what the answers show on standard output: what was printed, then the values."""
    return "".join(each.outcome.output + (f"{each.text}\n" if each.text is not None else "") for each in answers)


@pytest.mark.slow
def test_a_session_is_repeated_exactly(runtime: Runtime, session: Session, bare: Runtime) -> None:
    """Values, output, calls and errors come from the file alone, with random numbers, clocks and branches."""
    path = runtime.record_session(session)
    answers = [session.evaluate(chunk) for chunk in [*CHUNKS, "input.n"]]
    calls = [call for each in answers for call in each.outcome.calls]
    session.close()

    for _ in range(2):
        repeated = bare.replay(path)
        assert repeated.output == shown(answers)
        assert "12\n" in repeated.output
        assert repeated.calls == calls
        assert len(calls) == 4
        assert "attempt to index a nil value (global 'nothing')" in str(repeated.error)
        assert repeated.warnings == ["chunk 6 failed: not as planned"]
    assert read(path).status == "done"


@pytest.mark.slow
def test_the_order_of_pairs_is_again_luas_own_afterwards(runtime: Runtime, session: Session) -> None:
    """So are random numbers; and a `pairs` that a chunk has set stays as it is."""
    session.evaluate("before, seed = pairs, math.randomseed")
    runtime.record_session(session)
    assert session.evaluate("pairs ~= before, math.randomseed ~= seed").text == "true\ttrue"
    session.end_recording()
    assert session.evaluate("pairs == before, math.randomseed == seed").text == "true\ttrue"
    session.evaluate("function mine() end pairs = mine")
    runtime.record_session(session)
    assert session.evaluate("pairs == mine").text == "true"


@pytest.mark.slow
def test_what_was_there_before_is_not_in_it(runtime: Runtime, session: Session, bare: Runtime) -> None:
    """A session that is recorded from the middle is repeated up to where it leaves the recording."""
    session.evaluate("id = 'b-7' function nth() return parallel.all({ function() return 1 end }) end")
    session.evaluate("nth()")
    path = runtime.record_session(session)
    session.evaluate("1 + 1")
    session.evaluate("parallel.map({ 1 }, function() return app.integrations.library.list_books() end)")
    session.evaluate("app.integrations.library.lend({ book = id }).n")
    session.evaluate("'never reached'")
    session.close()

    repeated = bare.replay(path)
    assert repeated.error
    assert repeated.error.code == "diverged"
    assert "library.lend" in repeated.error.message
    assert repeated.output.startswith("2\n")
    assert "never" not in repeated.output
    assert len(repeated.calls) == 1


@pytest.mark.slow
def test_a_session_that_begins_anew_is_repeated_so(runtime: Runtime, session: Session, bare: Runtime) -> None:
    """After a reset there is no state, and after a limit that of the chunk before."""
    path = runtime.record_session(session)
    answers = [session.evaluate("x = 1")]
    session.reset()
    answers += [session.evaluate("x"), session.evaluate("y = 2")]
    answers.append(session.evaluate("y = 3 while true do end", cpu=0.2))
    answers.append(session.evaluate("y, #app.integrations.library.list_books().seen"))
    session.close()

    assert answers[3].state == "restored"
    repeated = bare.replay(path, cpu=0.2)
    assert repeated.output == shown(answers) == "nil\n2\t3\n"


@pytest.mark.slow
def test_a_script_runs_against_a_recorded_session(runtime: Runtime, session: Session) -> None:
    """What was tried line by line answers the script that came of it, also in a test."""
    path = runtime.record_session(session)
    session.evaluate("first = app.integrations.library.lend({ book = 'b-1' }).n")
    session.evaluate("app.integrations.library.list_books()")
    session.close()

    play = Playground.from_recording(path)
    source = "local books = app.integrations.library return #books.list_books().seen, books.lend({ book = 'b-1' }).n"
    assert play.run(source) == (3, 1)
    assert play.run() is None


@pytest.mark.slow
def test_a_recorded_session_is_shown_and_does_not_go_on(runtime: Runtime, session: Session, tmp_path: Path) -> None:
    """Its calls are numbered through, and its page has all chunks."""
    path = runtime.record_session(session, tmp_path / "session.jsonl")
    for chunk in CHUNKS:
        session.evaluate(chunk)
    session.close()

    recording = read(tmp_path / "session.jsonl")
    assert path == str(tmp_path / "session.jsonl")
    assert sorted(bar.number for bar in bars_of(recording)) == [1, 2, 3, 4]
    shown = unescape(page(recording))
    assert all(chunk in shown for chunk in CHUNKS[1:])
    with pytest.raises(ConfigError, match=r"contains a session, which cannot be resumed \(to repeat the session, run"):
        runtime.resume(recording)
    with pytest.raises(ConfigError, match="already exists"):
        runtime.record_session(session, tmp_path / "session.jsonl")


def test_a_call_that_nobody_can_be_asked_about_is_denied(tmp_path: Path, open_asking: Callable[[], Runtime]) -> None:
    """A session does not pause, since it cannot go on."""
    runtime = open_asking()
    with Session(runtime.run) as session:
        runtime.record_session(session, tmp_path / "session.jsonl")
        error = session.evaluate("app.integrations.library.lend({ book = 'b-1' })").outcome.error
    assert error
    assert error.code == "denied"


@pytest.fixture
def open_asking() -> Iterator[Callable[[], Runtime]]:
    """Return a function that opens a runtime whose writes somebody must approve."""
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime({"library": {"default": {"api_key": KEY}}}, plugins=plugins, environ={}) as runtime:
        yield lambda: runtime


@pytest.mark.slow
def test_the_repl_records(kosmolua: Program, home: Path, write: Write) -> None:
    """`:record` begins and ends it and says where it is; so does leaving; and it is replayed like a run."""
    typed = "x = 5\n:record\nmath.random(10^9)\nx\n#app.integrations.render2.list_services({ limit = 2 }).services\n"
    done = kosmolua("repl", "--simulate", input=typed + ":record\n1\n:record named.jsonl\n2\n:record other.jsonl\n3\n")
    first = re.findall(r"recorded: kosmolua replay (\w+) repeats it", done.stderr)[0]
    assert re.search(r"recording to .*/recordings/\w+\.jsonl; :record ends it\n", done.stderr)
    assert "the recording lacks what was set before: x (:reset first records everything)" in done.stderr
    assert (
        "This session is already being recorded, in named.jsonl (:record without a file ends that recording)"
        in done.stderr
    )
    assert "recorded: kosmolua replay named.jsonl repeats it" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[1:] == ["5", "2", "1", "2", "3"]

    assert kosmolua("replay", first).stdout.splitlines() == [lines[0], "nil", "2"]
    assert kosmolua("replay", "named.jsonl").stdout == "2\n3\n"
    assert "render2.list_services" in kosmolua("runs", "show", first).stdout
    refused = kosmolua("resume", first)
    assert "contains a session" in refused.stderr
    assert refused.returncode == 3

    again = kosmolua("repl", "--json", input=":record again.jsonl\nreturn 7\n")
    answers = [json.loads(line) for line in again.stdout.splitlines()]
    assert [each.get("recording") for each in answers] == ["again.jsonl"] * 3
    assert answers[1]["result"] == [7]
    assert json.loads(kosmolua("replay", "again.jsonl", "--json").stdout)["result"] == [7]


def test_a_command_without_its_file_is_a_wrong_use(kosmolua: Program) -> None:
    """Of resume as of the others."""
    done = kosmolua("resume")
    assert "Missing argument 'FILE'" in done.stderr
    assert done.returncode == 2
