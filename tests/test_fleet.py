"""Fleets: a script over many inputs, in threads, processes and on dask, killed and resumed."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Lock, Timer
from typing import Any

import pytest
from conftest import Program, Write
from support.loopback import Loopback
from support.rounds import rounds

from kosmolua import Runtime, WorkerLost
from kosmolua.broker.tenancy import Tenancy
from kosmolua.cli.rows import read_rows
from kosmolua.errors import UsageError
from kosmolua.fleet.fleet import Fleet
from kosmolua.fleet.tasks import FleetScript, tasks_of
from kosmolua.limits import Limits
from kosmolua.lua.header import read_header
from kosmolua.plugin import Request, Response, Secret
from kosmolua.stores.folder_store import Folder

SHELF = Path(__file__).parent / "plugins" / "shelf.py"
CANARY = "sk-canary-5f2b8c"
READ = "--- Reads.\n---@param book integer Which\n---@return string\n\nreturn app.integrations.shelf.get(params).title"
WRITE = "local shelf = app.integrations.shelf\nshelf.get({ book = input })\nreturn shelf.put({ book = input }).done"


class Shelf:
    """The service: it counts what is put back."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.put: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.seconds = seconds

    def send(self, request: Request) -> Response:
        """Answer a request."""
        time.sleep(self.seconds)
        book = request.url.rpartition("/")[2]
        self.keys.add(str(request.headers["Authorization"]))
        if request.method == "GET":
            return Response(200, {}, json.dumps({"title": f"Book {book}"}).encode())
        self.put[book] += 1
        return Response(200, {}, b'{"done": true}')


@pytest.fixture
def shelf() -> Iterator[tuple[Shelf, str]]:
    """The service and its address."""
    service = Shelf()
    with Loopback(service.send) as loopback:
        yield service, loopback.url


@pytest.fixture
def accounts(write: Write, shelf: tuple[Shelf, str]) -> Path:
    """An accounts file with two accounts, whose keys are in the environment."""
    account = f'api_key = {{ env = "SHELF_KEY" }}\nbase_url = "{shelf[1]}"\npermissions = {{ write = "allow" }}\n'
    text = f'[shelf]\ndefault = "one"\n[shelf.one]\n{account}[shelf.two]\n{account.replace("_KEY", "_KEY_2")}'
    return write("accounts.toml", text)


@pytest.fixture
def runtime(accounts: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A runtime of that service."""
    monkeypatch.setenv("SHELF_KEY", CANARY)
    monkeypatch.setenv("SHELF_KEY_2", f"{CANARY}-2")
    with Runtime(accounts, plugins=[SHELF]) as opened:
        yield opened


@contextmanager
def processes() -> Iterator[ProcessPoolExecutor]:
    """Two fresh processes."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


@contextmanager
def dask() -> Iterator[Any]:
    """A cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="needs kosmolua[dask]")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


@pytest.mark.slow
def test_every_input_has_an_outcome(runtime: Runtime) -> None:
    """In threads by default; a row is input, and params for a script with a header."""
    outcomes = {outcome.key: outcome for outcome in runtime.map(READ, ({"book": book} for book in range(30)))}
    assert {key: outcome.result for key, outcome in outcomes.items()} == {key: [f"Book {key}"] for key in range(30)}
    named = runtime.map("return input", {"a": 1, "b": 2}, ordered=True)
    assert [(outcome.key, outcome.result) for outcome in named] == [("a", [1]), ("b", [2])]


@pytest.mark.slow
def test_order_is_kept_on_request(runtime: Runtime) -> None:
    """Though the first input takes longest."""
    outcomes = runtime.map("sleep(input) return input", [0.4, 0.2, 0.0], ordered=True)
    assert [outcome.result[0] for outcome in outcomes] == [0.4, 0.2, 0]


def test_inputs_are_taken_as_they_are_needed(runtime: Runtime) -> None:
    """An endless source of inputs does no harm, and leaving the loop ends the fleet."""
    taken: list[int] = []

    def inputs() -> Iterator[int]:
        for number in range(10**9):
            taken.append(number)
            yield number

    for outcome in runtime.map("return input", inputs(), limit=4):
        if outcome.key == 10:
            break
    assert len(taken) < 40


def test_each_account_is_the_default_one(runtime: Runtime, shelf: tuple[Shelf, str]) -> None:
    """Every input runs once with each, and a call without an account uses it."""
    outcomes = list(runtime.map(READ, [{"book": 1}, {"book": 2}], accounts=["one", "two"]))
    assert sorted((outcome.key, outcome.account) for outcome in outcomes) == [
        (0, "one"),
        (0, "two"),
        (1, "one"),
        (1, "two"),
    ]
    assert all(outcome.calls[0]["account"] == outcome.account for outcome in outcomes)
    assert shelf[0].keys == {f"Bearer {CANARY}", f"Bearer {CANARY}-2"}


def test_wrong_parameters_are_a_failure_of_their_own_input(runtime: Runtime) -> None:
    """With the refusal that a run has."""
    good, bad = runtime.map(READ, [{"book": 1}, {"bok": 1}], ordered=True)
    alone = runtime.run(READ, params={"bok": 1}, name="script.lua")
    assert good.ok
    assert bad.error and alone.error
    assert bad.error.code == alone.error.code
    assert bad.error.message == alone.error.message


def test_a_pickled_runtime_holds_no_credential(runtime: Runtime, accounts: Path) -> None:
    """Options travel, also after a credential was resolved; what could hold one does not."""
    runtime.run(READ, params={"book": 1})
    assert CANARY.encode() not in pickle.dumps(runtime)
    for given in ({"accounts": {"shelf": {"api_key": CANARY}}}, {"environ": {"SHELF_KEY": CANARY}}):
        with (
            Runtime(**{"plugins": [SHELF], **given}) as other,
            pytest.raises(TypeError, match=r"so (it stays|they stay) in this process"),
        ):
            pickle.dumps(other)


def test_a_runtime_with_no_servers_travels() -> None:
    """The command line passes an empty table of MCP servers where none is named."""
    with Runtime(servers={}, simulate=True) as here:
        assert pickle.loads(pickle.dumps(here)).run("return 1").result == [1]


def test_one_runtime_is_opened_for_each_process_and_options(runtime: Runtime, accounts: Path) -> None:
    """What is unpickled twice is one; other options make another."""
    first, second = pickle.loads(pickle.dumps(runtime)), pickle.loads(pickle.dumps(runtime))
    assert first is second
    assert first.run(READ, params={"book": 1}).ok
    with Runtime(accounts, plugins=[SHELF], read_only=True) as other:
        assert pickle.loads(pickle.dumps(other)) is not first


def test_a_pickled_runtime_keeps_the_sources_of_its_secrets(
    accounts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process reads the secrets itself, also from a file that was named from another folder."""
    monkeypatch.setenv("SHELF_TOKEN", CANARY)
    (tmp_path / "token").write_text(CANARY)
    (tmp_path / "token").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    given = {"here": "env:SHELF_TOKEN", "there": {"file": "token"}, "told": "file:token"}
    with Runtime(accounts, plugins=[SHELF], secrets=given) as runtime:
        packed = pickle.dumps(runtime)
    assert CANARY.encode() not in packed
    monkeypatch.chdir("/")
    with pickle.loads(packed) as other:
        outcome = other.run("return tostring(secrets.here), tostring(secrets.there), tostring(secrets.told)")
    assert outcome.result == ["***"] * 3


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"secrets": {"token": Secret(CANARY)}}, "the secret token is passed as its text, so it stays in this process"),
        ({"store": Folder("/nowhere")}, "a store could hold a connection, so it stays in this process"),
        ({"tenancy": Tenancy("acme", "/nowhere", {})}, "a tenant's runtime belongs to its server"),
    ],
)
def test_a_runtime_that_would_lose_an_option_cannot_be_pickled(
    accounts: Path, options: dict[str, Any], problem: str
) -> None:
    """Rather than run with other secrets, in another place or with more rights, it says what stays."""
    with Runtime(accounts, plugins=[SHELF], **options) as runtime, pytest.raises(TypeError, match=problem):
        pickle.dumps(runtime)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [processes, dask])
def test_other_processes_do_the_same(runtime: Runtime, cluster: Callable[[], Any], shelf: tuple[Shelf, str]) -> None:
    """Results, failures, and an error of the plugin's own type come back; credentials were resolved there."""
    torn = "if input % 10 == 0 then app.integrations.shelf.tear({ book = input }) end " + WRITE
    with cluster() as executor:
        outcomes = {outcome.key: outcome for outcome in runtime.map(torn, range(1, 41), executor=executor)}
    errors = [outcome.error for outcome in outcomes.values() if outcome.error]
    assert len(outcomes) == 40
    assert [type(error).__name__ for error in errors] == ["Torn"] * 4
    assert sorted(error.book for error in errors) == [10, 20, 30, 40]  # type: ignore[attr-defined]
    assert isinstance(errors[0], type(runtime.run("app.integrations.shelf.tear({ book = 1 })").error))
    assert set(shelf[0].put.values()) == {1}
    assert shelf[0].keys == {f"Bearer {CANARY}"}


@pytest.mark.slow
def test_what_a_lost_process_did_is_not_done_again(runtime: Runtime) -> None:
    """Its input is a failure, since nobody knows how far it came; an executor that is broken by it ends the fleet."""

    with processes() as executor:
        pid = executor.submit(os.getpid).result()
        outcomes = runtime.map("sleep(60) return input", [1, 2], executor=executor, limit=1, retries=3)
        killer = Timer(1.5, os.kill, (pid, signal.SIGKILL))
        killer.start()
        lost = next(outcomes)
        assert lost.key == 0
        assert (lost.error and lost.error.code) == "worker_lost"
        with pytest.raises(WorkerLost, match="no further run"):
            next(outcomes)


class Rows:
    """The command line of a fleet over rows."""

    def __init__(self, write: Write, script: str, rows: int, accounts: Path, out: Path) -> None:
        inputs = write("inputs.jsonl", "".join(f"{number}\n" for number in range(1, rows + 1)))
        self.out = out
        self.words = ["fleet", str(write("job.lua", script)), "--inputs", str(inputs), "--accounts", str(accounts)]
        self.words += ["--plugin", str(SHELF), "--out", str(out)]

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines that were written."""
        return [json.loads(line) for line in self.out.read_text().splitlines()]


KEYS = {"SHELF_KEY": CANARY, "SHELF_KEY_2": CANARY}


@pytest.mark.slow
def test_the_command_writes_lines_and_a_summary(
    kosmolua: Program, write: Write, accounts: Path, tmp_path: Path
) -> None:
    """A line for each outcome, failures too; the exit status and the summary tell of them."""
    script = 'if input == 3 then error("three") end\n' + WRITE
    rows = Rows(write, script, 6, accounts, tmp_path / "out.jsonl")
    done = kosmolua(*rows.words, variables=KEYS)
    assert done.returncode == 1
    lines = {line["key"]: line for line in rows.lines()}
    assert sorted(lines) == [1, 2, 3, 4, 5, 6]
    names = {"key", "account", "ok", "status", "result", "output", "error", "calls", "usage", "run"}
    assert all(line.keys() == names for line in lines.values())
    assert "5 done, 1 failed" in done.stderr and "1 script_error: 3" in done.stderr
    assert CANARY not in rows.out.read_text() + done.stderr
    again = kosmolua(*rows.words, variables=KEYS)
    assert again.returncode == 2 and "--resume" in again.stderr
    resumed = kosmolua(*rows.words, "--resume", variables=KEYS)
    assert "0 done, 1 failed" in resumed.stderr
    assert len(rows.lines()) == 6


def test_a_column_that_the_header_does_not_declare_is_refused_at_once(write: Write) -> None:
    """Rather than by each run; a column without a cell is no column."""
    header = read_header("---@param name string\n---@param days? integer\n")
    assert read_rows(str(write("a.csv", "name,days,n\na,5,\n")), None, header) == [(1, {"name": "a", "days": 5})]
    with pytest.raises(UsageError, match=r"has the column 'n', which .* Nothing was sent") as refused:
        read_rows(str(write("b.csv", "name,n\na,1\n")), None, header)
    assert "declares name, days" in refused.value.hint


def test_a_script_that_would_fail_is_refused_under_its_name(kosmolua: Program, write: Write) -> None:
    """Once, before any input is run, as `kosmolua run` does."""
    job = write("job.lua", "return app.integrations.render2.list_servces()")
    done = kosmolua("fleet", str(job), "--inputs", "-", "--simulate", input="1\n")

    first, last = done.stderr.splitlines()
    assert first.endswith("job.lua:1:8: app.integrations.render2 has no 'list_servces' (did you mean 'list_services'?)")
    assert last.endswith("job.lua was not run. Nothing was sent. (--no-check runs it anyway)")


@pytest.mark.slow
def test_inputs_come_through_a_pipe(kosmolua: Program, write: Write) -> None:
    """``--inputs -`` reads JSON lines; a line that is none is wrong usage, and nothing is run."""
    job = write("job.lua", "return input.team")
    done = kosmolua("fleet", job, "--inputs", "-", "--key", "team", input='{"team": "a"}\n\n{"team": "b"}\n')
    lines = {line["key"]: line["result"] for line in map(json.loads, done.stdout.splitlines())}
    assert lines == {"a": ["a"], "b": ["b"]}, done.stderr
    assert done.returncode == 0, done.stderr
    for second in ("{", "[" * 100_000):
        wrong = kosmolua("fleet", job, "--inputs", "-", input=f'{{"team": "a"}}\n{second}\n')
        assert wrong.returncode == 2
        assert wrong.stdout == ""
        assert "Standard input is not jsonl: line 2: " in wrong.stderr
    twice = kosmolua("fleet", job, "--inputs", "-", "--key", "team", input='{"team": "a"}\n{"team": "a"}\n')
    assert twice.returncode == 2
    assert twice.stdout == ""
    assert 'kosmolua: Standard input has two inputs with the key "a"' in twice.stderr


TITLE = "\x1b]0;owned\x07"
"""An escape sequence that changes the title of a terminal."""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX terminal")
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_progress_is_shown_where_a_line_can_be_drawn_again(
    write: Write, environment: dict[str, str], tmp_path: Path, term: str
) -> None:
    """Without control characters that a key contains; and a terminal without escape codes gets none."""
    from support.terminal import Terminal

    inputs = write("inputs.csv", f"team\na{TITLE}b\n")
    words = ["fleet", str(write("job.lua", "sleep(0.3)")), "--inputs", str(inputs), "--key", "team"]
    command = [sys.executable, "-m", "kosmolua", *words]
    with Terminal([*command, "--out", str(tmp_path / "out")], {**environment, "TERM": term}) as terminal:
        assert terminal.wait() == 0
    assert TITLE.encode() not in terminal.raw
    if term == "dumb":
        assert b"\x1b" not in terminal.raw
    else:
        assert b"1/1" in terminal.raw and rb"(a\u001b]0;owned\u0007b)" in terminal.raw
    assert terminal.screen()[-1].startswith("kosmolua: 1 done, 0 failed")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX terminal")
@pytest.mark.parametrize("key", ["k" * 200, "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 100], ids=["long", "wide"])
def test_progress_takes_one_line_of_any_terminal(
    write: Write, environment: dict[str, str], tmp_path: Path, key: str
) -> None:
    """A long key is cut where the line ends, so that the next drawing erases all of the last one."""
    from support.terminal import Terminal

    inputs = write("inputs.csv", "team\n" + "".join(f"{number}{key}\n" for number in range(3)))
    words = ["fleet", str(write("job.lua", "sleep(0.3)")), "--inputs", str(inputs), "--key", "team", "--jobs", "1"]
    command = [sys.executable, "-m", "kosmolua", *words, "--out", str(tmp_path / "out")]
    for columns in (60, 160):
        with Terminal(command, environment, columns=columns) as terminal:
            assert terminal.wait() == 0
        (summary,) = terminal.screen()
        assert summary.startswith("kosmolua: 3 done, 0 failed")
        drawn = terminal.raw.decode().split("\x1b[K")[1].partition("\r")[0]
        assert columns - 2 <= len(drawn) + drawn.count(key[0]) * (key[0] > "\xff") < columns
        (tmp_path / "out").unlink()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX terminal")
def test_results_on_a_terminal_stand_on_lines_of_their_own(write: Write, environment: dict[str, str]) -> None:
    """The progress line is erased first."""
    from support.terminal import Terminal

    inputs = write("inputs.jsonl", "1\n2\n")
    words = ["fleet", str(write("job.lua", "sleep(0.3)")), "--inputs", str(inputs), "--jobs", "1"]
    with Terminal([sys.executable, "-m", "kosmolua", *words], environment, columns=1000) as terminal:
        assert terminal.wait() == 0
    assert b"1/2" in terminal.raw
    assert [json.loads(line)["key"] for line in terminal.screen()[:-1]] == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3][: rounds(1, 3)])
def test_a_killed_fleet_repeats_no_write(
    write: Write, accounts: Path, environment: dict[str, str], tmp_path: Path, seed: int, shelf: tuple[Shelf, str]
) -> None:
    """kill -9 at a random moment, again and again: each write happens once, or its input is named."""
    rows = Rows(write, WRITE, 30, accounts, tmp_path / "out.jsonl")
    service, moments = shelf[0], random.Random(seed)
    service.seconds = 0.03
    command = [sys.executable, "-m", "kosmolua", *rows.words, "--jobs", "4"]
    for attempt in range(4):
        words = [*command, "--resume"] if attempt else command
        fleet = subprocess.Popen(words, env={**environment, **KEYS}, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.6, 1.6))
        fleet.kill()
        fleet.wait()
    last = subprocess.run([*command, "--resume"], env={**environment, **KEYS}, capture_output=True, text=True)
    lines = {line["key"]: line for line in rows.lines()}
    assert sorted(lines) == list(range(1, 31))
    named = {key for key, line in lines.items() if not line["ok"]}
    assert all(lines[key]["error"]["code"] == "under_way" for key in named)
    assert all(str(key) in last.stderr for key in named)
    assert set(service.put.values()) == {1}
    assert {str(key) for key in lines.keys() - named} <= service.put.keys()
    if named:
        settled = [word for key in named for word in ("--done", str(key))]
        subprocess.run([*command, "--resume", *settled], env={**environment, **KEYS}, capture_output=True)
        assert all(line["ok"] or line["error"]["code"] == "script_error" for line in rows.lines())
    assert set(service.put.values()) == {1}


AGAIN = '''
"""An executor that does each task again: {when}."""
import pickle
from concurrent.futures import Executor, Future, ThreadPoolExecutor

class Again(Executor):
    def __init__(self):
        self.given = []
    def submit(self, work, /, *given):
        future = Future()
        if "{when}" == "at the same time":
            with ThreadPoolExecutor(2) as threads:
                future.set_result([each.result() for each in [threads.submit(work, *given) for _ in "12"]][0])
        else:
            future.set_result(work(*given))
            self.given.append((work, given))
        return future
    def repeat(self):
        for work, given in self.given:
            work(*given)
    def shutdown(self, **_):
        if "{when}" == "before the fleet ends":
            self.repeat()
        with open("{tasks}", "wb") as file:
            pickle.dump(self.given, file)
'''
"""A module for ``--executor``: what dask may do with tasks when it loses a worker."""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["at the same time", "before the fleet ends", "after the fleet has ended"])
def test_a_task_that_an_executor_repeats_writes_nothing_again(
    kosmolua: Program, write: Write, accounts: Path, tmp_path: Path, shelf: tuple[Shelf, str], when: str
) -> None:
    """As a cluster does with finished tasks, when the worker dies that had their results."""
    tasks = tmp_path / "tasks.pickle"
    write("again.py", AGAIN.replace("{when}", when).replace("{tasks}", str(tasks)))
    rows = Rows(write, WRITE, 5, accounts, tmp_path / "out.jsonl")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])
    done = kosmolua(*rows.words, "--executor", "again:Again", variables={**KEYS, "PYTHONPATH": path})
    assert "5 done, 0 failed" in done.stderr
    assert done.returncode == 0, done.stderr
    if when == "after the fleet has ended":
        late = "import pickle, sys\nfor work, given in pickle.load(open(sys.argv[1], 'rb')): work(*given)"
        subprocess.run([sys.executable, "-c", late, tasks], env={**os.environ, **KEYS}, check=True)
    assert shelf[0].put == {str(book): 1 for book in range(1, 6)}
    assert not Path(f"{rows.out}.runs").exists()


@pytest.mark.slow
def test_a_worker_that_does_not_see_the_recordings_sends_nothing(runtime: Runtime, tmp_path: Path) -> None:
    """It could not know what other workers have written."""
    folder = tmp_path / "runs"
    with processes() as executor:
        outcomes = runtime.map(WRITE, [1, 2], executor=executor, recordings=folder, limit=1)
        assert next(outcomes).ok
        folder.rename(tmp_path / "elsewhere")
        second = next(outcomes)
    assert second.error and second.error.message.startswith(f"The folder of the fleet's recordings {folder} is not th")
    assert "Nothing was sent" in second.error.message


class Deaf(Executor):
    """An executor that accepts tasks, and does none of them."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        """Accept a task."""
        return Future()


@pytest.mark.slow
def test_an_executor_that_does_nothing_ends_the_fleet(accounts: Path) -> None:
    """Each input that it has accepted is named first as one that is waited for, and then as a failure."""
    said: list[str] = []
    with Runtime(accounts, plugins=[SHELF], limits=Limits(timeout=0.2)) as other:
        tasks = tasks_of([("a", 1), ("b", 2)], [], None)
        fleet = Fleet(other, FleetScript(b"return 1"), Deaf(), 8, warn=said.append, margin=0.1)
        outcomes = fleet.run(tasks)
        lost = [next(outcomes), next(outcomes)]
        with pytest.raises(WorkerLost, match="taken for dead: no run has ended for"):
            next(outcomes)
    assert [(outcome.key, outcome.error and outcome.error.code) for outcome in lost] == [
        ("a", "worker_lost"),
        ("b", "worker_lost"),
    ]
    assert said == ["no run has ended for 0 s: waiting for a, b"]


@pytest.mark.slow
def test_two_fleets_do_not_write_one_file(
    write: Write, accounts: Path, environment: dict[str, str], kosmolua: Program, tmp_path: Path
) -> None:
    """The second says who writes it; when the first is killed, --resume goes on at once."""
    rows = Rows(write, "sleep(0.5)", 40, accounts, tmp_path / "out.jsonl")
    command = [sys.executable, "-m", "kosmolua", *rows.words, "--jobs", "1"]
    first = subprocess.Popen(command, env={**environment, **KEYS}, stderr=subprocess.DEVNULL)
    try:
        while not rows.out.exists() or not rows.out.read_text():
            time.sleep(0.05)
        second = kosmolua(*rows.words, "--resume", variables=KEYS)
        assert second.returncode == 1
        assert f"The file {rows.out} is in use: it is held by process {first.pid} on " in second.stderr
    finally:
        first.kill()
        first.wait()
    third = kosmolua(*rows.words, "--resume", "--jobs", "40", variables=KEYS)
    assert "0 failed" in third.stderr
    assert third.returncode == 0, third.stderr
    assert not Path(f"{rows.out}.lock").exists()


@pytest.mark.slow
def test_a_write_under_way_gets_the_result_that_a_person_gives(
    write: Write, accounts: Path, environment: dict[str, str], kosmolua: Program, tmp_path: Path
) -> None:
    """--done KEY=JSON; a key that no input has, and text that is not JSON, are wrong usage."""
    arrived, hold = Event(), Event()

    def send(_: Request) -> Response:
        arrived.set()
        hold.wait(60)
        return Response(200, {}, b"{}")

    with Loopback(send) as service:
        accounts.write_text(re.sub(r'base_url = ".*?"', f'base_url = "{service.url}"', accounts.read_text()))
        rows = Rows(write, "return app.integrations.shelf.put({ book = input }).place", 1, accounts, tmp_path / "out")
        fleet = subprocess.Popen([sys.executable, "-m", "kosmolua", *rows.words], env={**environment, **KEYS})
        assert arrived.wait(60)
        fleet.kill()
        fleet.wait()
        hold.set()
        for wrong, says in (("2", "no input has this key"), ("1={", "the text after --done 1= is not JSON")):
            refused = kosmolua(*rows.words, "--resume", "--done", wrong, variables=KEYS)
            assert says in refused.stderr
            assert refused.returncode == 2, refused.stderr
        done = kosmolua(*rows.words, "--resume", "--done", '1={"place": "attic"}', variables=KEYS)
    assert done.returncode == 0, done.stderr
    assert rows.lines()[-1]["result"] == ["attic"]


@pytest.mark.slow
def test_paused_runs_name_the_next_step(
    kosmolua: Program, write: Write, accounts: Path, tmp_path: Path, shelf: tuple[Shelf, str]
) -> None:
    """What they wait for, and the options that go on; --approve allows just those calls."""
    accounts.write_text(accounts.read_text().replace('write = "allow"', 'write = "ask"'))
    rows = Rows(write, WRITE, 3, accounts, tmp_path / "out.jsonl")
    paused = kosmolua(*rows.words, variables=KEYS)
    assert paused.returncode == 1
    assert "0 done, 0 failed, 3 paused in" in paused.stderr
    assert "paused runs wait for the approval of 3 x shelf.put with one" in paused.stderr
    assert "to go on: --resume --approve allows these calls, --resume --yes all calls" in paused.stderr
    done = kosmolua(*rows.words, "--resume", "--approve", variables=KEYS)
    assert "3 done, 0 failed" in done.stderr
    assert done.returncode == 0, done.stderr
    assert shelf[0].put == {"1": 1, "2": 1, "3": 1}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX terminal")
def test_failures_and_interrupts_end_a_fleet(
    kosmolua: Program, write: Write, accounts: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """--max-failures leaves the rest out; Ctrl-C ends tidily, with what is done written down, on a line of its own."""
    from support.terminal import Terminal

    rows = Rows(write, 'error("no")', 50, accounts, tmp_path / "out.jsonl")
    done = kosmolua(*rows.words, "--max-failures", "3", "--jobs", "2", variables=KEYS)
    assert done.returncode == 1 and "stopped after 3 failures" in done.stderr
    assert len(rows.lines()) == 3
    rows = Rows(write, "sleep(0.3)", 200, accounts, tmp_path / "slow.jsonl")
    command = [sys.executable, "-m", "kosmolua", *rows.words]
    with Terminal(command, {**environment, **KEYS}, columns=100) as terminal:
        terminal.until("/200")
        terminal.send("\x03")
        assert terminal.wait() == 130
    told, summary = terminal.screen()
    assert told == "kosmolua: interrupted: runs that had not begun are left out; --resume goes on"
    assert "not run" in summary
    assert 0 < len(rows.lines()) < 200


@pytest.mark.slow
def test_retries_repeat_only_what_has_written_nothing(runtime: Runtime, shelf: tuple[Shelf, str]) -> None:
    """A failure that may pass is done again; after a write it is not."""
    failing = Counter[str]()
    original = shelf[0].send

    def flaky(request: Request) -> Response:
        failing[request.url] += 1
        if request.method == "GET" and failing[request.url] <= 5:
            return Response(503, {}, b"{}")
        return original(request)

    with Loopback(flaky) as loopback:
        account = {"api_key": "k-12345678", "base_url": loopback.url, "permissions": {"write": "allow"}}
        with Runtime({"shelf": {"one": account}}, plugins=[SHELF]) as other:
            (first,) = other.map("return app.integrations.shelf.get({ book = 1 }).title", [1], retries=3)
            put = "app.integrations.shelf.put({ book = 2 }) return app.integrations.shelf.get({ book = 2 }).title"
            (second,) = other.map(put, [1], retries=3)
    assert first.result == ["Book 1"], first.error
    assert second.error and second.error.code == "api_error"
    assert shelf[0].put == {"2": 1}


@pytest.mark.slow
def test_a_rate_limit_holds_over_processes(runtime: Runtime, accounts: Path, shelf: tuple[Shelf, str]) -> None:
    """Four processes against a service that allows ten requests a second: no script sees a refusal."""
    windows, refused, lock = Counter[int](), Counter[str](), Lock()

    def limited(request: Request) -> Response:
        now = time.time()
        with lock:
            windows[int(now)] += 1
            if windows[int(now)] > 10:
                refused["times"] += 1
                return Response(429, {"Retry-After": str(1 + int(now) - now)}, b"{}")
        return shelf[0].send(request)

    with Loopback(limited) as loopback, ProcessPoolExecutor(4, mp_context=get_context("spawn")) as executor:
        accounts.write_text(accounts.read_text().replace(shelf[1], loopback.url))
        with Runtime(accounts, plugins=[SHELF]) as limited_runtime:
            script = "return app.integrations.shelf.get({ book = input }).title"
            outcomes = list(limited_runtime.map(script, range(60), executor=executor))
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert len(outcomes) == 60
    print(f"{refused['times']} of {sum(windows.values())} requests were refused and sent again")
