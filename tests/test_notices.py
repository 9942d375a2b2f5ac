"""Notices of a server: whom it tells of questions and of runs that end badly, and the links in them."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Loopback
from support.page import RESTART, Pages, Person, served, token_of
from support.processes import eventually

from kosmolua import ConfigError, Outcome
from kosmolua.accounts.accounts import Accounts
from kosmolua.errors import Denied, Paused, Unavailable
from kosmolua.plugin import Request, Response
from kosmolua.secret import Redactor
from kosmolua.serve import notices
from kosmolua.serve.links import QuestionLink, question_links
from kosmolua.serve.log import request_fields
from kosmolua.serve.notices import Notices, Outbox, signature
from kosmolua.serve.runs import Running
from kosmolua.stores.folder_store import Folders
from kosmolua.stores.folder_tasks import FolderTasks
from kosmolua.stores.store import WaitingCall

KEY = "whsec_" + base64.b64encode(b"a secret of 24 characters").decode()
CALL = {
    "number": 2,
    "path": "render2.restart_service",
    "account": "work",
    "effect": "write",
    "arguments": {"id": "s-1"},
}
RUN = Running("acme", "0123456789ab", "agent", "restart.lua", None, "Restarts things")


def accounts_with(url: str, **channel: Any) -> Accounts:
    table = {"kind": "webhook", "url": url, "secret": KEY, **channel}
    return Accounts({"notify": {"ops": table}}, Path("/a.toml"), environ={}, redactor=Redactor())


class Told:
    """Notices to channels, the requests that they led to, and what was logged and counted."""

    def __init__(self, folder: Path, url: str, *, other: str = "", **channel: Any) -> None:
        self.accounts = {"acme": accounts_with(url, **channel), **({"globex": accounts_with(other)} if other else {})}
        store = Folders(folder)
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.counted: list[tuple[str, str, str]] = []
        self.notices = Notices(
            lambda tenant: Outbox(self.accounts[tenant], store.of(tenant).tasks) if tenant in self.accounts else None,
            store.due_tenants,
            lambda tenant, page, person: f"https://agents.example/{tenant}/{page}/{person}",
            lambda kind, **fields: self.logged.append((kind, fields)),
            lambda *counted: self.counted.append(counted),
        )

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.logged]


def ok(request: Request) -> Response:
    return Response(204, {}, b"")


@pytest.fixture
def service() -> Iterator[Loopback]:
    with Loopback(ok) as loopback:
        yield loopback


Tell = Callable[..., Told]


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Tell]:
    """A function that begins to send notices to a URL, all with one store; the channel of globex may have another."""
    begun: list[Told] = []

    def tell(url: str, **given: Any) -> Told:
        begun.append(Told(tmp_path, url, **given))
        begun[-1].notices.start()
        return begun[-1]

    yield tell
    for each in begun:
        each.notices.close()


def question() -> WaitingCall:
    return WaitingCall("q-1", RUN.id, RUN.script, CALL, 0.0, 1.0)


def test_a_webhook_is_signed_as_standard_webhooks_says(service: Loopback, tell: Tell) -> None:
    """The signature is over the id, the time and the body; the body has the call and a link for one person."""
    told = tell(service.url, person="ann@corp.example")
    told.notices.asked(RUN, [question()])
    assert eventually(lambda: told.kinds() == ["notice sent"])
    (request,) = service.requests
    body, headers = request.content or b"", {name.lower(): value for name, value in request.headers.items()}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(b"a secret of 24 characters", signed, "sha256")
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    sent = json.loads(body)
    assert sent["type"] == "approval"
    assert sent["data"]["calls"][0]["path"] == "render2.restart_service"
    assert sent["data"]["calls"][0]["link"] == "https://agents.example/acme/0123456789ab-2/ann@corp.example"
    assert told.counted == [("acme", "ops", "sent")]


def test_the_published_example_verifies() -> None:
    """The example of the specification of Standard Webhooks has this signature."""
    given = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


PAUSED = Outcome([], "", Paused("restart writes", calls=[CALL]), [])
FAILED = Outcome([], "", Denied("render2.restart_service was not approved"), [])


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["approval"], ["approval"]),
        (["paused"], ["paused"]),
        (["failed"], ["failed"]),
        (None, ["approval", "failed", "paused"]),
    ],
    ids=str,
)
def test_a_channel_gets_the_events_that_it_names(
    service: Loopback, tell: Tell, events: list[str] | None, expected: list[str]
) -> None:
    """Without a list it gets all; a run that is done is told to nobody."""
    told = tell(service.url, **({"events": events} if events else {}))
    told.notices.asked(RUN, [question()])
    told.notices.ended(RUN, FAILED)
    told.notices.ended(RUN, PAUSED)
    told.notices.ended(RUN, Outcome([], "", None, []))
    assert eventually(lambda: len(told.logged) == len(expected))
    told.notices.close()
    assert sorted(json.loads(each.content or b"")["type"] for each in service.requests) == expected


def test_a_notice_that_fails_is_tried_again(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same id, at growing distances; each try is logged and counted, without the URL."""
    monkeypatch.setattr(notices, "DELAYS", (0.0, 0.0))
    answers = [Response(500, {}, b""), Response(200, {}, b"")]
    with Loopback(lambda request: answers.pop(0)) as service:
        told = tell(f"{service.url}/secret-path")
        told.notices.ended(RUN, FAILED)
        assert eventually(lambda: told.kinds() == ["notice not sent", "notice sent"])
    ids = [each.headers[name] for each in service.requests for name in each.headers if name.lower() == "webhook-id"]
    assert len(ids) == 2
    assert len({*ids}) == 1
    assert told.logged[0][1]["error"] == "it was answered with 500"
    assert [outcome for _, _, outcome in told.counted] == ["retried", "sent"]


def test_a_notice_that_never_succeeds_is_given_up(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers; a run is not harmed, and the log says that the notice is lost."""
    monkeypatch.setattr(notices, "DELAYS", (0.0,))
    told = tell("http://127.0.0.1:9/secret-path")
    told.notices.ended(RUN, FAILED)
    assert eventually(lambda: told.kinds() == ["notice not sent", "notice lost"])
    assert "secret-path" not in str(told.logged)


def test_a_notice_outlives_its_server(tell: Tell, service: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one sends what this one could not; each try has the same id."""
    monkeypatch.setattr(notices, "DELAYS", (0.5,) * 9)
    first = tell("http://127.0.0.1:9/")
    first.notices.ended(RUN, FAILED)
    assert eventually(lambda: first.kinds()[:1] == ["notice not sent"])
    first.notices.close()
    second = tell(service.url)
    assert eventually(lambda: second.kinds() == ["notice sent"])
    assert second.counted == [("acme", "ops", "sent")]


def test_a_slow_channel_delays_no_other_tenant(tell: Tell, service: Loopback) -> None:
    """However many notices wait for it."""
    released = threading.Event()

    def slow(request: Request) -> Response:
        released.wait(60)
        return Response(204, {}, b"")

    with Loopback(slow) as other:
        told = tell(service.url, other=other.url)
        for _ in range(3):
            told.notices.ended(replace(RUN, tenant="globex"), FAILED)
        assert eventually(lambda: len(other.requests) == 1)
        told.notices.ended(RUN, FAILED)
        assert eventually(lambda: told.counted == [("acme", "ops", "sent")])
        released.set()
        assert eventually(lambda: told.counted.count(("globex", "ops", "sent")) == 3)


def test_a_notice_waits_for_the_store(tell: Tell, service: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is away; what cannot be kept when the server stops is logged as lost."""

    def fail(*_: object) -> bool:
        raise Unavailable("The database cannot be reached")

    told = tell(service.url)
    with monkeypatch.context() as away:
        away.setattr(FolderTasks, "add", fail)
        told.notices.ended(RUN, FAILED)
        lost = tell(service.url)
        lost.notices.ended(RUN, FAILED)
        lost.notices.close()
        assert lost.logged[0][1]["error"] == "the store is away"
        assert told.logged == []
    assert eventually(lambda: told.kinds() == ["notice sent"])


def test_an_old_notice_is_not_sent(tell: Tell, service: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """As nobody needs it any more."""
    monkeypatch.setattr(notices, "MAX_AGE", -1.0)
    told = tell(service.url)
    told.notices.ended(RUN, FAILED)
    assert eventually(lambda: told.kinds() == ["notice lost"])
    assert service.requests == []


def test_an_address_that_is_none_is_not_logged(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is a secret, however wrong."""
    monkeypatch.setattr(notices, "DELAYS", ())
    told = tell("hooks.example/secret-path")
    told.notices.ended(RUN, FAILED)
    assert eventually(lambda: told.kinds() == ["notice lost"])
    assert "secret-path" not in str(told.logged)
    assert told.logged[0][1]["error"] == "ValueError"


@pytest.mark.slow
def test_apprise_sends_to_what_it_knows(service: Loopback, tell: Tell) -> None:
    """``json://`` is one of its services; the text has the question and its link."""
    pytest.importorskip("apprise", reason="needs the extra notify")
    told = tell(service.url.replace("http://", "json://"), kind="apprise")
    told.notices.asked(RUN, [question()])
    assert eventually(lambda: told.kinds() == ["notice sent"])
    sent = json.loads(service.requests[0].content or b"")
    assert sent["title"] == "Restarts things asks"
    assert 'write render2.restart_service [work] id = "s-1"' in sent["message"]
    assert "https://agents.example/acme/0123456789ab-2/" in sent["message"]


@pytest.mark.parametrize(
    ("channel", "problem"),
    [
        ({"kind": "webhook", "url": "https://x.example"}, "[notify.ops] must have the key secret"),
        ({"events": ["failed"]}, "[notify.ops] must have the key url"),
        ({"url": "slack://a", "events": ["fail"]}, "events must be one of 'approval', 'failed', 'paused'"),
        ({"url": "slack://a", "kind": "sms"}, "kind must be one of 'apprise', 'webhook'"),
        ({"url": "slack://a", "evnts": []}, "unknown key 'evnts' in [notify.ops] (did you mean 'events'?)"),
    ],
    ids=str,
)
def test_a_wrong_channel_is_refused(channel: dict[str, Any], problem: str) -> None:
    """The error has the place in the file."""
    with pytest.raises(ConfigError) as told:
        Accounts({"notify": {"ops": channel}}, Path("/a.toml"), environ={}, redactor=Redactor())
    assert problem in told.value.message


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with served(tmp_path_factory.mktemp("links"), "acme", "globex") as pages:
        yield pages


def link_to(pages: Pages, run: str, person: str = "", tenant: str = "acme") -> str:
    return f"/a/{question_links(pages.tenants.key).sign(QuestionLink(tenant, f'{run}-2', person))}"


def status_of(pages: Pages, run: str) -> str:
    tenant = pages.tenants.get("acme")
    assert tenant
    return tenant.runtime.store.runs(beginning=run)[0].status


@pytest.mark.parametrize(("decision", "status"), [("approve", "done"), ("deny", "failed")])
def test_a_link_for_one_person_is_the_proof(pages: Pages, decision: str, status: str) -> None:
    """Without a session it shows the one question; to open it decides nothing; its form decides, once."""
    run, stranger = pages.record("acme", RESTART), Person(pages.url)
    link = link_to(pages, run, "ann@corp.example")
    for _ in range(2):
        page = stranger.open(link)
        assert page.status_code == 200
        assert "You answer as ann@corp.example" in page.text
        assert 'href="/runs"' not in page.text
    assert status_of(pages, run) == "paused"
    answered = stranger.send(link, on=link, decision=decision)
    assert answered.status_code == 200
    assert eventually(lambda: status_of(pages, run) == status)
    assert stranger.send(link, on=link, decision="approve").status_code == 410
    assert stranger.open(link).status_code == 410
    assert "/login" in stranger.open("/runs").url


@pytest.mark.parametrize("root", ["", "/kosmolua"])
def test_the_log_of_requests_has_no_link(root: str) -> None:
    """As whoever reads it could answer in place of the person to whom the link was sent."""
    link = question_links(b"a key").sign(QuestionLink("acme", "0123456789ab-2", "ann@corp.example"))
    scope = {"type": "http", "method": "GET", "path": f"{root}/a/{link}", "headers": []}
    assert request_fields(scope, 200, 1, 0.1)["path"] == f"{root}/a/..."


def test_a_link_for_nobody_alone_needs_a_session(pages: Pages) -> None:
    """It leads to the sign-in, and from there back."""
    run = pages.record("acme", RESTART)
    link, person = link_to(pages, run), Person(pages.url)
    assert "/login?next=%2Fa%2F" in person.open(link).url
    assert person.sign_in(token_of("acme"), link).url == pages.url + link
    assert person.send(link, on=link, decision="deny").status_code == 200
    assert eventually(lambda: status_of(pages, run) == "failed")


def test_a_session_of_another_tenant_is_refused(pages: Pages) -> None:
    """Even where the link would be a proof."""
    run, other = pages.record("acme", RESTART), Person(pages.url, "globex")
    for link in (link_to(pages, run), link_to(pages, run, "ann@corp.example")):
        assert other.open(link).status_code == 403
        assert other.send(link, on="/approvals", decision="approve").status_code == 403
    assert status_of(pages, run) == "paused"


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_of_another_site_does_not_decide(pages: Pages, headers: dict[str, str]) -> None:
    """Nor does a link that is forged, or of another server."""
    run, stranger = pages.record("acme", RESTART), Person(pages.url)
    link = link_to(pages, run, "ann@corp.example")
    sent = stranger.browser.post(pages.url + link, data={"decision": "approve"}, headers=headers, timeout=60)
    assert sent.status_code == 403
    forged = question_links(b"another key").sign(QuestionLink("acme", f"{run}-2", "ann@corp.example"))
    assert "/login" in stranger.open(f"/a/{forged}").url
    assert stranger.browser.post(f"{pages.url}/a/{forged}", data={"decision": "approve"}, timeout=60).status_code == 401
    assert status_of(pages, run) == "paused"


def test_a_server_tells_of_its_questions_and_pauses(pages: Pages, service: Loopback, tell: Tell) -> None:
    """A call that waits is told of at once, and the pause that follows too."""
    told = tell(service.url)
    pages.tenants.observe(told.notices)
    run = pages.record("acme", RESTART)
    assert eventually(lambda: len(told.logged) == 2), told.logged
    sent = [json.loads(each.content or b"") for each in service.requests]
    assert [each["type"] for each in sent] == ["approval", "paused"]
    assert {each["data"]["calls"][0]["link"] for each in sent} == {f"https://agents.example/acme/{run}-2/"}
