"""Other processes that check and search for a server: turns, deaths, limits, and what they know."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.processes import eventually, is_running

from kosmolua import Runtime, WorkerLost
from kosmolua.errors import KosmoError
from kosmolua.processes.readers import IDLE, Readers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the processes are started as on POSIX"),
]
LONG = f"""\
print(app.integrations.render2.list_servces())
local later = [[{"x" * 3000}]]
"""


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    readers = Readers()
    yield readers
    readers.close()


class Here:
    """Calls the functions in this process, as another would: from what was pickled. Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def __call__(self, client: str | None, work: Callable[..., Any], *given: Any) -> Any:
        self.sent.append(pickle.dumps((client, work, given)))
        _, work, given = pickle.loads(self.sent[-1])
        return pickle.loads(pickle.dumps(work(*given)))


def test_a_long_script_is_checked_in_another_process(readers: Readers) -> None:
    """With the same words, and the run is refused as ever."""
    with Runtime(simulate=True) as own, Runtime(simulate=True, apart=readers.call) as other:
        wanted, seen = own.run(LONG, check=True), other.run(LONG, check=True)
    assert seen.status == "failed"
    assert "list_services" in str(seen.error)
    assert str(seen.error) == str(wanted.error)


def test_documentation_is_searched_and_read_there(readers: Readers) -> None:
    """The texts are the same, errors too."""
    with Runtime(simulate=True) as own, Runtime(simulate=True, apart=readers.call) as other:
        assert other.docs.search("restart a service") == own.docs.search("restart a service")
        assert other.docs.find("restart a service") == own.docs.find("restart a service")
        assert other.docs.read("integrations.render2.list_services") == own.docs.read("render2.list_services")
        assert other.docs.list("integrations") == own.docs.list("integrations")
        found = other.run('return lua_read_doc("render2.list_servces")')
        assert found.error
        assert str(found.error) == str(own.run('return lua_read_doc("render2.list_servces")').error)


def test_documents_are_compiled_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before this process needs them, which finds them in the cache; no process starts if there is nothing to do."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled: list[Path] = []

    def call(*given: Any, **options: Any) -> None:
        assert not [*tmp_path.rglob("*.sqlite")]
        own.call(*given, **options)
        compiled.extend(tmp_path.rglob("*.sqlite"))

    own = Readers(1)
    with Runtime(simulate=True, environ={}, apart=call) as runtime:
        runtime.load_integrations()
        assert compiled
        assert compiled == [*tmp_path.rglob("*.sqlite")]
    with Runtime(simulate=True, environ={}, apart=call) as runtime:
        runtime.load_integrations()
    own.close()


def test_small_scripts_are_checked_here() -> None:
    """That is faster than to ask another process."""
    here = Here()
    with Runtime(simulate=True, apart=here) as runtime:
        assert not runtime.run("app.integrations.render2.list_servces()", check=True).ok
    assert here.sent == []


def test_no_secret_is_sent(tmp_path: Path) -> None:
    """Neither those of the environment nor those of a run, but the check knows which there are."""
    here = Here()
    environ = {"RENDER_API_KEY": "rnd_a-secret-of-the-environment"}
    with Runtime(environ=environ, secrets={"bank": "env:RENDER_API_KEY"}, apart=here) as runtime:
        report = runtime.checker().check(f"{LONG} print(secrets.bank, secrets.bnk)")
    assert here.sent
    assert not any(b"a-secret" in each for each in here.sent)
    assert [each.line for each in report.errors] == [1, 3]
    assert "bank" in report.errors[1].advice
    assert dict(report.unconfigured) == {}, "the account of the variable is there"


def test_processes_get_no_environment_that_could_be_secret(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    """They get only the variables that lead to the user's folders and programs."""
    assert readers.call(None, os.getenv, "PATH") == os.environ["PATH"]
    monkeypatch.setenv("A_TOKEN", "secret")
    fresh = Readers(1)
    assert fresh.call(None, os.getenv, "A_TOKEN") is None
    fresh.close()


@pytest.mark.parametrize("accounts", [{"mcp": {"own": {"command": "true"}}}, {"render2": {"one": {"api_key": "k"}}}])
def test_what_only_this_process_knows_is_checked_here(accounts: dict[str, Any]) -> None:
    """MCP servers, and accounts that were passed as a table."""
    here = Here()
    with Runtime(accounts, simulate=True, environ={}, apart=here) as runtime:
        assert runtime.checker().check(LONG).errors
        assert "list_services" in runtime.docs.search("list services")
    assert here.sent == []


def test_a_check_whose_process_ends_is_told(readers: Readers) -> None:
    """The script runs, with a warning; and the next call gets a new process."""

    def dies(client: str | None, work: Callable[..., Any], *given: Any) -> Any:
        return readers.call(client, os._exit, 1)

    with Runtime(simulate=True, apart=dies) as runtime:
        outcome = runtime.run(f"return 7 -- {'x' * 3000}", check=True)
    assert outcome.result == [7]
    assert "was not checked" in outcome.warnings[0]
    assert readers.call(None, abs, -1) == 1


def test_what_goes_wrong_in_a_function_is_told(readers: Readers) -> None:
    """Whatever it is, its caller gets a sentence and can go on."""
    with pytest.raises(WorkerLost, match="ZeroDivisionError"):
        readers.call(None, divmod, 1, 0)


def test_a_check_that_breaks_costs_no_worker() -> None:
    """The only one still runs the next script."""

    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await runtime.run_async(LONG, check=True)
        assert (await asyncio.wait_for(runtime.run_async("return 1"), 60)).result == [1]

    with Runtime(simulate=True, workers=1, apart=breaks) as runtime:
        asyncio.run(main())


def test_a_call_that_takes_too_long_is_ended() -> None:
    """With a sentence, and the process is gone."""
    readers = Readers(1, seconds=60)
    process = readers.call(None, os.getpid)
    with pytest.raises(WorkerLost, match=r"longer than 0\.2 s"):
        readers.call(None, time.sleep, 60, seconds=0.2)
    assert eventually(lambda: not Path(f"/proc/{process}").exists())
    readers.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds what a process holds")
def test_the_memory_of_a_call_is_bounded(readers: Readers) -> None:
    """A call that needs more ends with its process, not with this one."""
    with pytest.raises(WorkerLost, match="memory"):
        readers.call(None, bytearray, 10**9)


def test_no_client_has_all_processes() -> None:
    """While one has asked for more than there are, another is served."""
    readers = Readers(2, seconds=60)
    failed: list[KosmoError] = []

    def hog() -> None:
        try:
            readers.call("noisy", time.sleep, 60)
        except KosmoError as error:
            failed.append(error)

    hogs = [threading.Thread(target=hog) for _ in range(2)]
    for each in hogs:
        each.start()
    assert readers.call("quiet", abs, -1) == 1
    readers.close()
    for each in hogs:
        each.join()
    assert len(failed) == 2


def test_a_process_that_ended_meanwhile_is_replaced(readers: Readers) -> None:
    """Nobody notices: it had nothing to do."""
    process = readers.call(None, os.getpid)
    os.kill(process, signal.SIGKILL)
    assert eventually(lambda: not is_running(process))
    assert readers.call(None, os.getpid) != process


def test_a_process_that_is_about_to_end_gets_no_call(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could miss it: a client that asks once a minute is served like others."""
    process = readers.call(None, os.getpid)
    monkeypatch.setattr("kosmolua.processes.readers.monotonic", lambda: time.monotonic() + IDLE - 1)
    assert readers.call(None, os.getpid) != process


def test_a_file_that_changes_counts_once_the_server_reads_it(tmp_path: Path) -> None:
    """A check in another process knows the accounts that this one knows."""
    accounts = tmp_path / "accounts.toml"
    script = "local account = app.integrations.render2.work\naccount.list_services({})\n" + "-- x\n" * 1000
    accounts.write_text('[render2.work]\napi_key = "rnd_0123456789"\n', encoding="utf-8")
    with Runtime(str(accounts), environ={}, apart=Here()) as runtime:
        assert not runtime.checker().check(script).errors
    with Runtime(str(accounts), environ={}, apart=Here()) as runtime:
        runtime.checker()
        accounts.write_text('[render2.play]\napi_key = "rnd_0123456789"\n', encoding="utf-8")
        assert not runtime.checker().check(script).errors


def test_a_file_that_is_wrong_now_stops_no_check_and_no_search(tmp_path: Path) -> None:
    """The server still has what it was, until it reads the file again."""
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[render2.work]\napi_key = "rnd_0123456789"\n', encoding="utf-8")
    with Runtime(str(accounts), simulate=True, environ={}, apart=Here()) as runtime:
        assert runtime.run("return app.integrations.render2.work ~= nil").ok
        accounts.write_text("[render2.work", encoding="utf-8")
        assert runtime.checker().check(LONG).errors
        assert "list_services" in runtime.docs.search("list services")
        assert "list_services" in runtime.docs.read("integrations.render2")
