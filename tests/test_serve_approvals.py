"""Approvals of a server of many: calls that wait for a person, and runs that pause since nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
from support.agents import DISCOVERY, HANDSHAKE, Person, execute, text_of
from support.servers import wait_for
from support.serving import ACME, GLOBEX, agent, serving

from kosmolua import Runtime
from kosmolua.broker.approvals import UNANSWERED, Approval, Reply
from kosmolua.errors import Paused
from kosmolua.serve.approvals import Approvals, Approver

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


def asked(approvals: Approvals, seconds: float = 10.0, client: Any = None) -> tuple[Approver, Callable[[], Reply]]:
    """Ask about a call in another thread; return what asks, and what waits for the reply."""
    approver = Approver(approvals, "run", lambda: seconds, client)
    replies: list[Reply] = []
    thread = Thread(target=lambda: replies.append(approver(APPROVAL)))
    thread.start()

    def reply() -> Reply:
        thread.join(10)
        return replies[0]

    return approver, reply


@pytest.mark.parametrize("approved", [True, False])
def test_a_person_decides(approved: bool) -> None:
    """The call gets the reply, the journal the person, and a second decision comes too late."""
    approvals = Approvals()
    approver, reply = asked(approvals)
    wait_for(approvals.waiting)
    (waiting,) = approvals.waiting()

    assert approvals.decide(waiting.id, "Ada", approved=approved)
    assert reply() is approved
    assert approver.name == ("Ada" if approved else "a person")
    assert not approvals.decide(waiting.id, "Bob", approved=True)
    assert approvals.waiting() == []


def test_nobody_decides() -> None:
    """After a while, or when its client is gone, a call waits no longer: nobody has answered."""
    approvals = Approvals()

    assert asked(approvals, 0.05)[1]() is UNANSWERED

    _, reply = asked(approvals)
    wait_for(approvals.waiting)
    assert approvals.release("run")
    assert reply() is UNANSWERED
    assert not approvals.release("run")


def test_of_several_calls_some_are_decided() -> None:
    """What was decided counts, though the rest was not."""
    approvals = Approvals()
    replies: list[list[Reply]] = []
    approver = Approver(approvals, "run", lambda: 0.5)
    thread = Thread(target=lambda: replies.append(approver.approve_many([APPROVAL] * 3)))
    thread.start()
    wait_for(lambda: len(approvals.waiting()) == 3)
    first, second, _ = approvals.waiting()
    approvals.decide(first.id, approved=True)
    approvals.decide(second.id, approved=False)
    thread.join(10)

    assert replies == [[True, False, UNANSWERED]]


def test_the_first_reply_counts() -> None:
    """The client's person is asked too; where the page answers, the client's question is withdrawn."""
    withdrawn: list[bool] = []

    class Client:
        name = "the person at the client"

        def __call__(self, approval: Approval) -> bool:
            wait_for(lambda: withdrawn)
            return False

        def withdraw(self) -> None:
            withdrawn.append(True)

    approvals = Approvals()
    _, reply = asked(approvals, client=Client())
    wait_for(approvals.waiting)
    approvals.decide(approvals.waiting()[0].id, approved=True)

    assert reply() is True
    assert withdrawn

    def yes(approval: Approval) -> bool:
        return True

    _, reply = asked(Approvals(), client=yes)
    assert reply() is True


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


def test_branches_that_nobody_answers_are_paused_together(tmp_path: Path) -> None:
    """Calls of branches wait at the same time, and the pause lists them all."""
    approvals = Approvals()
    approver = Approver(approvals, "run", lambda: 0.5)

    with Runtime(simulate=True, environ={}) as runtime:
        outcome = runtime.run(TWO, approve=approver, record=tmp_path / "run.jsonl")

    assert isinstance(outcome.error, Paused)
    assert len(outcome.error.calls) == 2
    assert outcome.usage["wall_ms"] < 3_000


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
            assert "on the page" in text_of(paused)
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
