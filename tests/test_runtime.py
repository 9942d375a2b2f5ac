"""The runtime, as a program in Python uses it."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import pickle
import pydoc
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import pytest
from conftest import Write
from support.library import ACCOUNTS, KEY, library, service
from support.rawserver import serving, silence

import kosmolua
from kosmolua import (
    CallError,
    ConfigError,
    Interrupted,
    LimitExceeded,
    Limits,
    NotConfigured,
    Outcome,
    Runtime,
    UnknownPath,
)
from kosmolua.broker.backends import Canned
from kosmolua.broker.options import RuntimeOptions, taking
from kosmolua.catalog.plugins import Plugins
from kosmolua.limits import ADJUSTABLE
from kosmolua.runs import RunOptions


def open_library(**options: Any) -> Runtime:
    plugins = Plugins([library()], places=(), entry_points=dict)
    return Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: service), environ={}, **options)


def test_the_public_names() -> None:
    """What the package offers can be fetched by name, and nothing else."""
    for name in kosmolua.__all__:
        assert getattr(kosmolua, name)
    with pytest.raises(AttributeError, match="has no attribute 'Runtme'"):
        kosmolua.Runtme  # noqa: B018


def test_an_outcome(simulated: Runtime) -> None:
    """What a script returned, printed, called and used."""
    outcome = simulated.run("print('hi') local r = app.integrations.render2.list_owners() return #r.owners, 'x'")
    assert isinstance(outcome, Outcome)
    assert outcome.ok is True
    assert outcome.error is None
    assert outcome.output == "hi\n"
    assert outcome.result[1] == "x"
    (call,) = outcome.calls
    assert list(call) == ["path", "account", "effect", "status", "duration_ms", "error"]
    assert call["path"] == "render2.list_owners"
    assert call["account"] == "default"
    assert call["status"] == "ok"
    assert {"wall_ms", "cpu_ms", "memory_bytes", "calls", "output_bytes"} <= outcome.usage.keys()
    assert outcome.usage["calls"] == 1
    assert outcome.usage["output_bytes"] == 3
    assert list(outcome.to_json()) == [
        "ok",
        "status",
        "result",
        "output",
        "error",
        "warnings",
        "facts",
        "calls",
        "usage",
    ]
    assert json.loads(json.dumps(outcome.to_json()))["ok"] is True


def test_a_script_that_fails_is_an_outcome(simulated: Runtime) -> None:
    """Running never raises for what a script does."""
    outcome = simulated.run("print('before') error('boo')", name="job.lua")
    assert outcome.ok is False
    assert outcome.result == []
    assert outcome.output == "before\n"
    fields = outcome.to_json()["error"]
    assert isinstance(fields, dict)
    assert fields["code"] == "script_error"
    assert fields["message"] == "job.lua:1: boo"
    assert fields["line"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("", []),
        ("return", []),
        ("return nil", [None]),
        ("return 1, nil, 'x'", [1, None, "x"]),
        ("return {}, json.array({})", [{}, []]),
        ("return {1, 2}, {a = {b = json.null}}", [[1, 2], {"a": {"b": None}}]),
        ("return 2^53, 1/3, math.maxinteger", [2**53, 1 / 3, 2**63 - 1]),
        ("return ...", ["a", "ü"]),
        ("return arg[0], #arg, arg[2]", ["job.lua", 2, "ü"]),
    ],
)
def test_values_come_back(simulated: Runtime, source: str, result: list[Any]) -> None:
    """Lua's values are JSON's, and the script's arguments are what was given."""
    assert simulated.run(source, name="job.lua", args=["a", "ü"]).result == result


def test_output_that_is_no_text(simulated: Runtime) -> None:
    """Pieces are bytes as they were printed; the outcome has text."""
    pieces: list[bytes] = []
    outcome = simulated.run(r"print('\xff')", on_output=pieces.append)
    assert b"".join(pieces) == b"\xff\n"
    assert outcome.output == "\ufffd\n"


def test_a_source_in_bytes(simulated: Runtime) -> None:
    """A file's content can be run as it is, whatever its bytes are."""
    assert simulated.run(b"return #'\xff\xfe'").result == [2]


def test_a_call_without_lua(simulated: Runtime) -> None:
    """By name or in order, with the value or an exception."""
    by_name = simulated.call("render2.get_service", {"service_id": "srv-cabc12345678"})
    assert by_name == simulated.call("render2.get_service", ["srv-cabc12345678"])
    assert simulated.call("render2.get_current_user")["email"]
    for path, error in (("render2.lst", UnknownPath), ("x.y", UnknownPath), ("render2.get_service", CallError)):
        with pytest.raises(error):
            simulated.call(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "arguments", "hint"),
    [
        ("library.list_books", {}, r"\(raise it with timeout\)$"),
        ("library.lend", {"book": "b-1"}, r"\(raise it with timeout; the request may have succeeded: .*\)$"),
    ],
)
def test_a_call_without_lua_ends_in_time(path: str, arguments: dict[str, str], hint: str) -> None:
    """A service that does not answer is a limit, which names what raises it, and no failure of the network."""
    with serving(silence) as server:
        accounts = {"library": {"work": {"api_key": KEY, "base_url": server.url, "permissions": {"write": "allow"}}}}
        plugins = Plugins([library()], places=(), entry_points=dict)
        runtime = Runtime(accounts, plugins=plugins, limits=Limits(timeout=2), environ={})
        with (
            runtime,
            pytest.raises(LimitExceeded, match=r"The call was stopped: it ran longer than 2 s " + hint),
        ):
            runtime.call(path, arguments)


def test_limits_in_their_order(write: Write) -> None:
    """What a run says goes before the runtime, the runtime before the file, the file before the defaults."""
    path = write("accounts.toml", "[kosmolua.limits]\nmax_calls = 7\ncpu = 2\n")
    with Runtime(path, environ={}) as runtime:
        assert runtime.limits.max_calls == 7
        assert runtime.limits.cpu == 2
        assert runtime.limits.timeout == 120
        outcome = runtime.run("print('abc')", max_output=2)
        assert isinstance(outcome.error, LimitExceeded)
        assert outcome.error.limit == "output"
        assert outcome.error.value == 2
        assert outcome.output == "ab"
        assert runtime.run("print('abc')").ok
        with pytest.raises(ConfigError, match="the limit timeout must be more than 0"):
            runtime.run("return 1", timeout=0)
    with Runtime(path, limits=Limits(max_calls=9), environ={}) as runtime:
        assert runtime.limits.max_calls == 9
        assert runtime.limits.cpu == 30


def test_no_option_is_misspelt_in_silence(simulated: Runtime) -> None:
    """An option that does not exist would be a limit that does not hold."""
    with pytest.raises(TypeError, match="a run has no option 'timout'"):
        simulated.run("return 1", timout=1)  # type: ignore[call-arg]
    assert {*ADJUSTABLE} <= RunOptions.__annotations__.keys()


@pytest.mark.slow
def test_patterns_of_a_runtime_and_of_a_run() -> None:
    """Those of a run are added to the runtime's; one that fits nothing is an error before anything runs."""
    script = "return pcall(app.integrations.render2.delete_service, 'srv-cabc12345678')"
    with Runtime({}, simulate=True, environ={}) as runtime:
        assert runtime.run(script).result[0] is False
        assert runtime.run(script, allow=["render2.delete_service"], read_only=True).result[0] is False
        assert runtime.run(script, allow=["render2.delete_*"]).result[0] is True
        with pytest.raises(ConfigError, match=r'deny=\["render2\.delet_service"\] matches no function'):
            runtime.run(script, deny=["render2.delet_service"])
    with Runtime({}, simulate=True, allow="render2.delete_service", environ={}) as runtime:
        assert runtime.run(script, deny=["render2.staging.*"]).result[0] is True
        assert runtime.run(script, deny=["render2.*"]).result[0] is False
    with pytest.raises(ConfigError, match=r'allow=\["render2\.delet_service"\] matches no function'):
        Runtime({}, simulate=True, allow=["render2.delet_service"], environ={})


def test_read_only_for_one_run(simulated: Runtime) -> None:
    """A run can be narrowed, whatever the runtime allows."""
    script = "return pcall(app.integrations.render2.restart_service, 'srv-cabc12345678')"
    assert simulated.run(script).result[0] is True
    assert simulated.run(script, read_only=True).result[0] is False
    with Runtime({}, simulate=True, yes=True, read_only=True, environ={}) as runtime:
        assert runtime.run(script, read_only=False).result[0] is False


def test_accounts_as_a_file_or_as_values(write: Write) -> None:
    """Accounts may be given as a file's name or as its content."""
    path = write("accounts.toml", '[render2.work]\napi_key = "rnd_1234567"\n')
    for accounts in (path, str(path), {"render2": {"work": {"api_key": "rnd_1234567"}}}):
        with Runtime(accounts, environ={}) as runtime:
            assert runtime.catalog.accounts("render2") == ["work"]
    with Runtime(environ={"KOSMOLUA_ACCOUNTS": str(path)}) as runtime:
        assert runtime.catalog.accounts("render2") == ["work"]
    with Runtime({}, environ={}) as runtime, pytest.raises(NotConfigured):
        runtime.call("render2.list_owners")


def test_an_accounts_file_of_somebody_else(write: Write) -> None:
    """A section that no integration has may be a typo: it is a warning with the file, and scripts run."""
    path, warnings = write("accounts.toml", "[rendr2.work]\napi_key = 'x'\n"), list[str]()
    with Runtime(path, environ={}, warn=warnings.append) as runtime:
        assert runtime.run("return 1").result == [1]
    assert warnings == [f"{path}: [rendr2] names no integration (did you mean 'render2'?)"]


def test_a_warning_reaches_whoever_wants_it(write: Write) -> None:
    """What is unwise but works is a sentence."""
    key, warnings = write("key", KEY), []
    key.chmod(0o644)
    accounts = {"library": {"work": {"api_key": {"file": str(key)}}}}
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime(accounts, plugins=plugins, backend=Canned(lambda _: service), warn=warnings.append) as runtime:
        runtime.call("library.list_books")
    assert [warning.startswith("The secret file") for warning in warnings] == [True]


@pytest.mark.slow
def test_simulated_state_lives_as_long_as_the_runtime(simulated: Runtime) -> None:
    """What one run creates the next one finds, in its own account only."""
    create = "app.integrations.render2.create_service({type='web_service', name='new', repo='https://x.y/z'})"
    found = "return #app.integrations.render2.%s.list_services({ name = 'new' }).services"
    assert simulated.run(create).ok
    assert simulated.run(found % "default").result == [1]
    assert simulated.run(found % "staging").result == [0]
    with Runtime({}, simulate=True, environ={}) as other:
        assert other.run(found % "default").result == [0]


@pytest.mark.slow
def test_many_threads_use_one_runtime(tmp_path: Path) -> None:
    """Runs and calls of many threads are independent, and each has its own lines in the journal."""
    script = "local n = ... x = n return x, app.integrations.library.list_books({ limit = tonumber(n) }).ok"
    with open_library(journal=tmp_path / "journal") as runtime, ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda n: runtime.run(script, args=[str(n)]), range(1, 41)))
        values = list(pool.map(lambda n: runtime.call("library.list_books", {"limit": n}), range(1, 41)))
    assert [outcome.result for outcome in outcomes] == [[str(n), True] for n in range(1, 41)]
    assert values == [{"ok": True}] * 40
    lines = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    assert len(lines) == 80
    assert len({line["run"] for line in lines}) == 80


def test_whoever_listens_may_fail(simulated: Runtime) -> None:
    """An exception of a listener reaches the caller, and the next run works."""

    def listen(_: bytes) -> None:
        raise RuntimeError("not listening")

    with pytest.raises(RuntimeError, match="not listening"):
        simulated.run("print('x') while true do end", on_output=listen)
    assert simulated.run("return 1").result == [1]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["run", "call"])
def test_what_is_under_way_when_a_runtime_closes_is_in_its_journal(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits until other threads have noted what became of their calls."""
    monkeypatch.setattr("kosmolua.runtime.CLOSE_TIMEOUT", 60.0)
    journal, begun = tmp_path / "journal", Event()
    plugin = Path(__file__).parent / "plugins" / "slow.py"
    runtime = Runtime(os.devnull, plugins=[plugin], journal=journal, environ={})

    def use() -> None:
        file, options = str(tmp_path / "free"), {"watch": lambda record: begun.set()}
        if way == "call":
            runtime.call_watched("slow.wait", [{"file": file}], **options)
        else:
            runtime.run("app.integrations.slow.wait({ file = arg[1] })", args=[file], **options)

    user = Thread(target=use)
    user.start()
    assert begun.wait(60)
    Timer(0.3, (tmp_path / "free").touch).start()
    runtime.close()
    user.join()
    assert len(journal.read_text().splitlines()) == 1


def test_a_closed_runtime_does_nothing_more(tmp_path: Path) -> None:
    """What is asked of it later is refused, so that no call is made that no journal has."""
    runtime = open_library(journal=tmp_path / "journal")
    runtime.close()
    for ask in (lambda: runtime.run("return 1"), lambda: runtime.call("library.list_books")):
        with pytest.raises(RuntimeError, match="closed"):
            ask()


def test_closing_ends_what_runs(simulated: Runtime) -> None:
    """Scripts under way, and those that wait for a worker, end as if they were interrupted."""
    with Runtime(workers=1, environ={}) as runtime, ThreadPoolExecutor(3) as pool:
        begun = Event()
        running = [
            pool.submit(runtime.run, "print(1) while true do end", on_output=lambda _: begun.set()) for _ in "abc"
        ]
        assert begun.wait(60)
        runtime.close()
        for each in running:
            assert isinstance(each.result(60).error, Interrupted)


def test_closing_cancels_no_task() -> None:
    """A task that nobody cancelled gets an outcome."""

    async def work() -> list[Outcome]:
        runtime = Runtime(workers=1, environ={})
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        source = "print(1) while true do end"
        tell = lambda _: loop.call_soon_threadsafe(begun.set)  # noqa: E731
        tasks = [asyncio.create_task(runtime.run_async(source, on_output=tell)) for _ in "abc"]
        await asyncio.wait_for(begun.wait(), 60)
        runtime.close()
        return await asyncio.wait_for(asyncio.gather(*tasks), 60)

    assert all(isinstance(outcome.error, Interrupted) for outcome in asyncio.run(work()))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": None}, "the name of a script must be a string, not None"),
        ({"args": [1]}, "the arguments of a script must be a list of strings"),
        ({"args": "abc"}, "the arguments of a script must be a list of strings"),
        ({"nonsense": 1}, "a run has no option 'nonsense'"),
    ],
)
def test_options_of_another_type_are_refused(simulated: Runtime, options: dict[str, Any], problem: str) -> None:
    """What an embedder got wrong is said where it was said."""
    with pytest.raises(TypeError, match=problem):
        simulated.run("return 1", **options)


@pytest.mark.slow
def test_errors_can_be_pickled(simulated: Runtime) -> None:
    """An outcome can be sent to another process."""
    outcome = simulated.run("while true do end", cpu=0.1)
    assert outcome.error
    copied = pickle.loads(pickle.dumps(outcome.error))
    assert type(copied) is type(outcome.error)
    assert copied.report() == outcome.error.report()
    assert copied.args == outcome.error.args


@pytest.mark.slow
def test_the_documentation(simulated: Runtime) -> None:
    """The same pages as everywhere else."""
    assert "render2" in simulated.docs.list()
    assert (
        simulated.docs.read("integrations.render2.list_services")
        == simulated.run("return lua_read_doc('integrations.render2.list_services')").result[0]
    )
    assert "list_services" in simulated.docs.search("list services")


def test_a_closed_runtime_has_closed_its_file(tmp_path: Path) -> None:
    """Closing twice is no harm."""
    runtime = open_library(journal=tmp_path / "journal")
    runtime.call("library.list_books")
    runtime.close()
    runtime.close()
    assert (tmp_path / "journal").read_text().count("\n") == 1


def test_help_shows_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults, reprs and docstrings of the public names hold no variable of the user."""
    monkeypatch.setenv("FAKE_SECRET_KEY", "hunter2secret")
    shown = pydoc.render_doc(Runtime) + inspect.getsource(Runtime) + repr(inspect.signature(Runtime))
    with Runtime(os.devnull, simulate=True) as runtime:
        shown += repr(runtime)
    assert "hunter2secret" not in shown
    assert not any(isinstance(each.default, Mapping) for each in inspect.signature(Runtime).parameters.values())


@pytest.mark.parametrize("module", ["kosmolua.runs.telemetry", "kosmolua.broker.host", "kosmolua.cli.defaults"])
def test_help_of_a_module_shows_nothing_of_the_environment(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No function has the environment as a default, which help() would print."""
    monkeypatch.setenv("FAKE_SECRET_KEY", "hunter2secret")
    assert "hunter2secret" not in pydoc.render_doc(import_module(module))


def test_help_explains_each_option() -> None:
    """The signature has the names, types and defaults of all options, and the text below it explains each."""
    shown = pydoc.render_doc(Runtime, renderer=pydoc.plaintext)
    for name, each in inspect.signature(Runtime).parameters.items():
        assert re.search(rf"^ \|  +{name}: [A-Z]", shown, re.MULTILINE), name
        assert each.annotation is not inspect.Parameter.empty, name
        assert each.default is not inspect.Parameter.empty, name


def test_an_option_is_declared_once() -> None:
    """A line in the class of the options is enough for the constructor, its help, and other processes."""

    class More(RuntimeOptions):
        """The options, and one more.

        Args:
            pages: How many pages to read.
        """

        pages: int = 3

    class Reader:
        @taking(More)
        def __init__(self, options: More) -> None:
            self.options = options

    assert inspect.signature(Reader).parameters["pages"].default == 3
    assert "How many pages to read." in pydoc.render_doc(Reader)
    assert Reader(pages=5, simulate=True).options.pages == 5
    assert More.unpacked(Reader(pages=5).options.packed())["pages"] == 5
    with pytest.raises(TypeError, match="pagse"):
        Reader(pagse=5)


def test_options_cannot_be_changed() -> None:
    """What a runtime was opened with stays true."""
    options = RuntimeOptions(simulate=True)
    with pytest.raises(AttributeError, match="simulate"):
        options.simulate = False  # type: ignore[misc]


def test_a_path_runs_the_file(simulated: Runtime, tmp_path: Path) -> None:
    """Under the file's name. A text that is a path is told to be one."""
    file = tmp_path / "audit.lua"
    file.write_text("print('ran') error('over')")
    outcome = simulated.run(file)
    assert outcome.output == "ran\n"
    assert "audit.lua:1: over" in str(outcome.error)
    with pytest.raises(ConfigError, match=r"The script .*nothing\.lua cannot be read: No such file or directory"):
        simulated.run(tmp_path / "nothing.lua")
    assert "to run a file, pass its path as a pathlib.Path" in str(simulated.run("audit.lua").error)


def test_a_text_is_no_list_of_arguments(simulated: Runtime) -> None:
    """Its letters would be arguments."""
    with pytest.raises(
        TypeError, match=r"the arguments of a call are a mapping or a list, not 'srv-1': write \['srv-1'\]"
    ):
        simulated.call("render2.get_service", "srv-1")
