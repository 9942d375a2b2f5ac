"""Calls that two people have to approve: every order of answers has one outcome."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from support.library import library
from support.page import ACCOUNTS, RESTART, Person, first_call, served, token_of
from support.processes import eventually
from support.rounds import rounds

from kosmolua import Denied, Runtime
from kosmolua.accounts.permissions import Rule
from kosmolua.broker.options import RunContext
from kosmolua.broker.permissions import Permissions
from kosmolua.calls.approvals import UNANSWERED, Approval, Reply
from kosmolua.catalog.catalog import Target
from kosmolua.clock import Clock
from kosmolua.errors import Paused
from kosmolua.limits import Limits
from kosmolua.recordings.answers import calls_of
from kosmolua.serve.approvals import Approvals
from kosmolua.serve.links import QuestionLink, question_links
from kosmolua.stores.folder_store import Folder
from kosmolua.stores.store import Decision, Vote, WaitingCall, ballot, people_in

LIBRARY = library()
TARGET = Target(LIBRARY, "work", LIBRARY.functions["lend"], Rule("ask", "write", "library.work"))
PEOPLE = [("ann", "sub-1"), ("Ann B.", "sub-1"), ("bob", "sub-2"), ("", "")]
"""The same person by two names, another one, and all who have only the tenant's token."""
RUN = "0123456789ab"


class Case:
    """One call of one run, which is asked about, pauses and is resumed, as a list of actions says."""

    def __init__(self, folder: Path, actions: list[tuple[str, Any]]) -> None:
        self.store = Folder(folder)
        self.approvals = Approvals(lambda: self.store, lambda effect: True)
        self.actions = actions
        self.asked: list[WaitingCall] = []
        self.yes: list[Vote] = []
        self.denied = False
        self.sent = 0

    name, counts_people = "somebody", True

    def __call__(self, approval: Approval) -> Reply:
        """Ask, and let people answer, until somebody's answer is taken or nobody answers any more."""
        question = WaitingCall(f"q-{len(self.asked)}", RUN, "a.lua", approval._asdict(), 0.0, 4e9)
        self.store.ask(question)
        self.asked.append(question)
        try:
            while self.actions and self.actions[0][0] != "drain":
                self.act(*self.actions.pop(0), question)
                if decision := self.store.decision(question.id):
                    return decision.is_approved
            return UNANSWERED
        finally:
            self.store.withdraw(question.id)

    def act(self, action: str, given: Any, question: WaitingCall) -> None:
        if action == "forged":
            unknown = WaitingCall("q-forged", RUN, "a.lua", question.call, 0.0, 4e9)
            assert not self.approvals.answer(unknown, Decision(True, "mallory"), "mallory", "sub-9")
        elif action == "late":
            if len(self.asked) > 1:
                assert not self.approvals.answer(self.asked[0], Decision(True, "late"), "late", "sub-8")
        elif action == "no":
            self.denied |= self.approvals.answer(question, Decision(False, given[0]), *given)
        elif action == "together":
            with ThreadPoolExecutor(2) as pool:
                taken = [*pool.map(lambda each: self.approvals.answer(question, Decision(True), *each), given)]
            assert taken.count(True) == 1
            self.yes += [Vote(*each) for each in given]
        elif action == "yes" and self.approvals.answer(question, Decision(True, given[0]), *given):
            self.yes.append(Vote(*given))

    def run(self) -> None:
        """Run the script's one call, and resume it as often as the actions say."""
        approved: bool | None = None
        while True:
            host = SimpleNamespace(
                yes=False,
                read_only=False,
                allow=[],
                deny=[],
                allow_flow=[],
                store=self.store,
                people_for=lambda effect: 2,
            )
            decided = approved
            context = RunContext(
                Clock(60), Limits(), approve=self, decided=lambda approval, decided=decided: decided, id=RUN
            )
            try:
                Permissions(host, context).allow(TARGET, {"book": "b-1"}, number=1)
            except Denied:
                return
            except Paused as paused:
                (call,) = paused.calls
            else:
                self.sent += 1
                return
            while self.actions and self.actions[0][0] != "resume":
                self.actions.pop(0)
            if not self.actions:
                return
            _, (person, approved) = self.actions.pop(0)
            if approved:
                self.approvals.vote(RUN, call, *person)
                self.yes.append(Vote(*person))
            self.denied |= approved is False


def schedule(random: Random) -> list[tuple[str, Any]]:
    """Return actions in a random order: answers, late, twice, forged, at once, before and after pauses."""
    actions: list[tuple[str, Any]] = []
    for _ in range(random.randint(1, 8)):
        person = random.choice(PEOPLE)
        actions.append(
            random.choice(
                [
                    ("yes", person),
                    ("yes", person),
                    ("yes", person),
                    ("no", person),
                    ("forged", None),
                    ("late", None),
                    ("together", (random.choice(PEOPLE), person)),
                    ("drain", None),
                    ("resume", (person, random.choice([True, True, None, False]))),
                ]
            )
        )
    return actions


def check(folder: Path, count: int, seed: int) -> int:
    sent = 0
    for number in range(count):
        random = Random(f"{seed} {number}")
        actions = schedule(random)
        case = Case(folder / str(number), [*actions])
        case.run()
        people = {vote.sub or vote.person for vote in case.yes}
        assert case.sent <= 1, actions
        assert not case.sent or (len(people) >= 2 and not case.denied), actions
        sent += case.sent
    return sent


@pytest.mark.slow
def test_no_order_of_answers_sends_without_two_people(tmp_path: Path) -> None:
    """Late, repeated, forged and concurrent answers, and pauses between them; some orders do send."""
    assert 0 < check(tmp_path, 60, seed=7) < 60


@pytest.mark.slow
def test_none_of_many_orders_does(tmp_path: Path) -> None:
    """The same, of more orders."""
    count = rounds(300, 1_000)
    assert count / 10 < check(tmp_path, count, seed=11) < count * 0.9


def test_one_person_is_one(tmp_path: Path) -> None:
    """By the token's sub or the name, however it is spelled; all who have the tenant's token are one."""
    assert people_in([Vote("ann", "1"), Vote("Ann B.", "1"), Vote("ann", "")]) == ["ann"]
    assert people_in([Vote("ann", "1"), Vote("bob", "2")]) == ["ann", "bob"]
    assert people_in([Vote("Ann@Corp.example", "1"), Vote(" ann@corp.example")]) == ["Ann@Corp.example"]
    assert people_in([Vote("ann", "auth0|1"), Vote("auth0|1")]) == ["ann"]
    case = Case(tmp_path, [("yes", ("", "")), ("yes", ("", "")), ("yes", ("", ""))])
    case.run()
    assert case.sent == 0


def test_the_question_says_who_has_approved(tmp_path: Path) -> None:
    """The second person sees the first one's name, and the call is allowed by both."""
    case = Case(tmp_path, [("yes", ("ann", "1")), ("yes", ("bob", "2"))])
    case.run()
    assert case.sent == 1
    assert [each.call["why"] for each in case.asked] == ["", "approved by ann, and 2 people must"]


def test_a_yes_is_for_one_call(tmp_path: Path) -> None:
    """Two people have to approve a second call with the same arguments anew."""
    case = Case(tmp_path, [("yes", ("ann", "1")), ("yes", ("bob", "2"))])
    case.run()
    case.actions = [("yes", ("ann", "1"))]
    case.run()
    assert case.sent == 1


def test_votes_are_about_the_arguments() -> None:
    """A call with other arguments begins anew; its number changes when its run is resumed."""
    call = {"number": 1, "path": "a.b", "account": "work", "arguments": {"id": "1"}}
    assert ballot(RUN, call) == ballot(RUN, {**call, "why": "x", "number": 2})
    assert ballot(RUN, call) != ballot(RUN, {**call, "arguments": {"id": "2"}})


def test_a_terminal_cannot_approve_for_two() -> None:
    """There is only one person, so the call is refused with a sentence."""
    accounts = {"kosmolua": {"approvals": {"destroy": 2}}}
    script = "app.integrations.render2.delete_service({ service_id = 'srv-cabc12345678' })"
    with Runtime(accounts, simulate=True, environ={}, approve=lambda _: True) as runtime:
        said = str(runtime.run(script).error)
    assert "which 2 people must approve" in said
    assert "no other can be asked here" in said
    assert "Nothing was sent." in said


@pytest.mark.slow
def test_two_people_approve_on_the_website(tmp_path: Path) -> None:
    """The first yes leaves the run paused, once more too, and says by whom; the second person's yes lets it go on."""
    accounts = f"{ACCOUNTS}\n[kosmolua.approvals]\nwrite = 2\n"
    with served(tmp_path, "acme", accounts=accounts) as pages:
        run, person = pages.record("acme", RESTART), Person(pages.url, "acme")
        tenant = pages.tenants.get("acme")
        assert tenant

        def status() -> str:
            return tenant.runtime.store.runs(beginning=run)[0].status

        def inbox() -> str:
            return person.open("/approvals").text

        for _ in range(2):
            waiting = first_call(person)
            person.send("/approvals", decision="approve", call=waiting, always="yes")
            assert eventually(lambda waiting=waiting: status() == "paused" and waiting not in inbox())
        assert "approved by a person with the tenant&#39;s token, and 2 people must" in inbox()
        number = first_call(person).rpartition("-")[2]
        headers = {"Authorization": f"Bearer {token_of('acme')}"}
        decided, address = {"approve": [int(number)]}, f"{pages.url}/api/runs/{run}/resume"
        api = requests.post(address, json=decided, headers=headers, timeout=60)
        assert api.status_code == 409
        assert "Several people" in api.text
        signed = question_links(pages.tenants.key).sign(QuestionLink("acme", f"{run}-{number}", "ann@corp.example"))
        link = f"/a/{signed}"
        stranger = Person(pages.url)
        stranger.send(link, on=link, decision="approve")
        assert eventually(lambda: status() == "done")
        calls = calls_of(tenant.runtime.store.read(run)).values()
        [call] = [each for each in calls if each["effect"] == "write" and each["status"] == "ok"]
        assert sorted(call["allowed_by"].removeprefix("approved by ").split(" and ")) == [
            "a person with the tenant's token",
            "ann@corp.example",
        ]
