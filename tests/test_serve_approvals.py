"""Approvals of a server of many: calls that wait for a person, and runs that pause since nobody answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
from support.agents import DISCOVERY, HANDSHAKE, Person, execute, text_of
from support.processes import eventually, in_time
from support.servers import wait_for
from support.serving import ACME, GLOBEX, agent, serving

from kosmolua import Runtime
from kosmolua.calls.approvals import UNANSWERED, Approval, Reply
from kosmolua.errors import ConfigError, Paused
from kosmolua.serve.approvals import Approvals, WebApprover
from kosmolua.stores.folder_store import Folder
from kosmolua.stores.store import Decision

RESTART = "return app.integrations.render2.restart_service({ service_id = 'srv-cabc12345678' })"
TWO = """
return parallel.map({ "srv-cabc12345678", "srv-cabc12345679" }, function(id)
  return app.integrations.render2.restart_service({ service_id = id }).id or id
end)
"""
APPROVAL = Approval("render2.restart_service", "default", "write", {"service_id": "srv-1"})
TENANT = f"""\
[serve]
approval_wait = "1s"

[tenants.acme]
token = "{ACME}"

[tenants.globex]
token = "{GLOBEX}"
"""


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    """A store that has the questions."""
    return Folder(tmp_path / "store")


def asked(approvals: Approvals, *given: Approval, seconds: float = 300.0, client: Any = None) -> Callable[[], Any]:
    """Ask about calls in another thread; return what waits for the replies, and for who gave them."""
    approver = WebApprover(approvals, "0123456789ab", "script.lua", lambda: seconds, client)
    replies: list[list[Reply]] = []
    thread = Thread(target=lambda: replies.append(approver.approve_many(given or [APPROVAL])))
    thread.start()

    def answer() -> tuple[list[Reply], str]:
        thread.join(60)
        return replies[0], approver.name

    return answer


@pytest.mark.slow
@pytest.mark.parametrize("approved", [True, False])
def test_a_person_decides(store: Folder, approved: bool) -> None:
    """The call gets the reply, the journal the person, and a second decision comes too late."""
    answer = asked(Approvals(lambda: store))
    wait_for(store.waiting)
    (waiting,) = store.waiting()

    assert waiting.run == "0123456789ab"
    assert waiting.script == "script.lua"
    assert waiting.is_live is True
    assert waiting.call["path"] == "render2.restart_service"
    assert store.decide(waiting.id, Decision(approved, "Ada"))
    assert answer() == ([approved], "Ada" if approved else "a person")
    assert not store.decide(waiting.id, Decision(True, "Bob"))
    assert store.waiting() == []


def test_nobody_decides(store: Folder) -> None:
    """After a while, or when its client is gone, a call waits no longer: nobody has answered."""
    approvals = Approvals(lambda: store)

    assert asked(approvals, seconds=0.05)()[0] == [UNANSWERED]

    answer = asked(approvals)
    wait_for(store.waiting)
    assert len(approvals) == 1
    assert approvals.release("0123456789ab")
    assert answer()[0] == [UNANSWERED]
    assert not approvals.release("0123456789ab")
    assert store.waiting() == []


@pytest.mark.slow
def test_of_several_calls_some_are_decided(store: Folder) -> None:
    """What was decided counts, though the rest was not."""
    calls = [Approval("notebook.add", "default", "write", {"line": line}) for line in "abc"]

    def are_decided(seconds: float) -> bool:
        answer = asked(Approvals(lambda: store), *calls, seconds=seconds)
        if not eventually(lambda: len(store.waiting()) == 3, seconds):
            return False
        by_line = {each.call["arguments"]["line"]: each.id for each in store.waiting()}
        is_in_time = store.decide(by_line["a"], Decision(True)) and store.decide(by_line["b"], Decision(False))
        replies = answer()[0]
        return is_in_time and replies == [True, False, UNANSWERED]

    assert in_time(are_decided, 0.5)


def test_the_first_reply_counts(store: Folder) -> None:
    """The client's person is asked too; where the page answers, the client's question is withdrawn."""
    withdrawn: list[bool] = []

    class Client:
        name = "the person at the client"

        def __call__(self, approval: Approval) -> bool:
            wait_for(lambda: withdrawn)
            return False

        def withdraw(self) -> None:
            withdrawn.append(True)

    answer = asked(Approvals(lambda: store), client=Client())
    wait_for(store.waiting)
    store.decide(store.waiting()[0].id, Decision(True))

    assert answer()[0] == [True]
    assert withdrawn

    def yes(approval: Approval) -> bool:
        return True

    assert asked(Approvals(lambda: store), client=yes)()[0] == [True]


@pytest.mark.slow
def test_a_store_that_is_gone_for_a_while_loses_no_answer(store: Folder) -> None:
    """A question whose store cannot be reached waits on, and finds the answer once it can be."""

    class Flaky:
        fails = False

        def __getattr__(self, name: str) -> Any:
            if self.fails:
                raise ConfigError("The database cannot be reached")
            return getattr(store, name)

    flaky: Any = Flaky()
    answer = asked(Approvals(lambda: flaky))
    wait_for(store.waiting)
    flaky.fails = True
    store.decide(store.waiting()[0].id, Decision(True))
    time.sleep(0.6)
    flaky.fails = False

    assert answer()[0] == [True]


@pytest.mark.slow
def test_a_run_that_nobody_answers_is_paused(tmp_path: Path) -> None:
    """With a recording it is paused, and goes on once it is approved; without one the call is denied."""

    def unanswered(approval: Approval) -> Any:
        return UNANSWERED

    with Runtime(simulate=True, environ={}) as runtime:
        outcome = runtime.run(RESTART, approve=unanswered, record=tmp_path / "run.jsonl")
        assert outcome.status == "paused"
        assert isinstance(outcome.error, Paused)
        assert [call["path"] for call in outcome.error.calls] == ["render2.restart_service"]
        assert runtime.resume(tmp_path / "run.jsonl", approve=True).ok

        outcome = runtime.run(RESTART, approve=unanswered)
        assert outcome.error is not None
        assert outcome.error.code == "denied"


@pytest.mark.slow
def test_branches_that_nobody_answers_are_paused_together(tmp_path: Path) -> None:
    """Calls of branches wait at the same time, and the pause lists them all."""
    store = Folder(tmp_path / "store")

    def wait_together(seconds: float) -> bool:
        approver = WebApprover(Approvals(lambda: store), "0123456789ab", "script.lua", lambda: seconds)
        outcome = runtime.run(TWO, approve=approver, record=tmp_path / f"{seconds}.jsonl")
        assert isinstance(outcome.error, Paused)
        assert len(outcome.error.calls) == 2
        return float(outcome.usage["wall_ms"]) < 2000 * seconds

    with Runtime(simulate=True, environ={}) as runtime:
        assert in_time(wait_together, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("era", [HANDSHAKE, DISCOVERY])
def test_a_script_of_an_agent_is_paused(tmp_path: Path, era: str) -> None:
    """A client that can ask nobody gets the pause after the wait; one that can gets its person's answer at once.

    Another client of the tenant can have the run go on; another tenant's cannot.
    """

    async def talk() -> None:
        async with agent(server.url, ACME, era) as client:
            paused = await execute(client, RESTART)
            run = paused.structured_content["run"]  # type: ignore[index]
            assert "Error (paused)" in text_of(paused)
            assert f"{server.base}/a/{run}-1" in text_of(paused)
            assert "kosmolua resume" not in text_of(paused)
            assert "your client" not in text_of(paused)
        person = Person("accept", allow="this call")
        async with agent(server.url, GLOBEX, era, elicitation_callback=person) as client:
            refused = await client.call_tool("execute_lua", {"resume": run})
            assert "There is no recorded run" in text_of(refused)
        async with agent(server.url, ACME, era, elicitation_callback=person) as client:
            resumed = await client.call_tool("execute_lua", {"resume": run})
            assert not resumed.is_error, text_of(resumed)
        assert len(person.asked) == 1

    with serving(tmp_path, TENANT, "--simulate") as server:
        anyio.run(talk)
