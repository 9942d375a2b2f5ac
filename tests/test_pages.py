"""The page for people: who is let in, to what, and what it never shows or lets through."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html import unescape
from pathlib import Path
from unittest.mock import ANY

import pytest
import requests
from conftest import Program, Write
from support.page import (
    ACCOUNTS,
    BROKEN,
    CLEAN_UP,
    DELETE,
    REPORT,
    RESTART,
    SCALE,
    Pages,
    Person,
    first_call,
    served,
    token_of,
)
from support.processes import eventually

from kosmolua.cli.tenants import Kept, TenantFleet
from kosmolua.errors import CallTimeout, CheckFailed, ConfigError, Paused, UnderWay
from kosmolua.limits import LIMITS
from kosmolua.recordings.timeline import Bar, CallSummary
from kosmolua.runs import RunOptions
from kosmolua.serve import settings
from kosmolua.serve.approvals import Approvals
from kosmolua.serve.pages import insights, workspace
from kosmolua.serve.pages.calls import Axis, without_waits
from kosmolua.serve.pages.examples import EXAMPLES
from kosmolua.serve.pages.history import Details, History, RunEntry
from kosmolua.serve.pages.insights import insights_of, percentile
from kosmolua.serve.pages.rendering import environment
from kosmolua.stores.store import Decision, Summary, WaitingCall
from kosmolua.stores.tasks import SLEEP, WAITING, ServerTask

pytestmark = pytest.mark.slow

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\u202e"
SECTIONS = ("approvals", "runs", "fleets", "docs", "playground", "accounts", "insights", "catalogue")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with served(tmp_path_factory.mktemp("pages"), "acme", "globex") as pages:
        yield pages


@pytest.fixture
def person(pages: Pages) -> Person:
    return Person(pages.url, "acme")


@pytest.fixture(scope="module")
def paused(pages: Pages) -> str:
    return pages.record("acme", RESTART, "restart.lua")


def settled(person: Person, run: str, status: str) -> str:
    """Wait until a run has a status, since a page waits for it only for a moment, and return its page."""
    shown: list[str] = []

    def has_status() -> bool:
        shown[:] = [person.open(f"/runs/{run}").text]
        return f'class="status {status}"' in shown[0]

    assert eventually(has_status), shown
    return shown[0]


def without_tokens(text: str) -> str:
    """Return a page without the tokens of its forms, which always differ."""
    return re.sub(r'(name="token_of_form" value=")[0-9a-f]+', r"\1", text)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_is_for_those_who_are_signed_in(pages: Pages, section: str) -> None:
    """Without a session a page leads to the sign-in, and from there back."""
    stranger = Person(pages.url)
    answer = stranger.open(f"/{section}?q=x")

    assert answer.url == f"{pages.url}/login?next=%2F{section}%3Fq%3Dx"
    assert stranger.sign_in(token_of("acme"), f"/{section}?q=x").url == f"{pages.url}/{section}?q=x"


@pytest.mark.parametrize("token", ["", " ", "wrong", token_of("acme")[:-1], token_of("acme").upper(), "\u2028"])
def test_a_wrong_token_is_refused(pages: Pages, token: str) -> None:
    """A token that is no tenant's begins no session."""
    stranger = Person(pages.url)
    answer = stranger.sign_in(token)

    assert answer.status_code == 401
    assert "No tenant has this token" in answer.text
    assert stranger.open("/runs").url.startswith(f"{pages.url}/login")


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"])
def test_the_sign_in_leads_nowhere_else(pages: Pages, following: str) -> None:
    """An address of another site does not become where a person goes after the sign-in."""
    assert Person(pages.url).sign_in(token_of("acme"), following).url == f"{pages.url}/approvals"


def test_cookies_are_for_this_page_alone(pages: Pages) -> None:
    """No script reads a session, no other site sends it, and off loopback it needs TLS."""
    plain = requests.get(pages.url + "/login", timeout=60).headers["set-cookie"]
    public = requests.get(pages.url + "/login", headers={"Host": "page.example"}, timeout=60).headers["set-cookie"]

    assert plain.startswith("kosmolua=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {*plain.split("; ")}
    assert public.startswith("__Host-kosmolua=")
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/"} <= {*public.split("; ")}


def test_the_sign_out_ends_the_session(person: Person) -> None:
    """A cookie that somebody copied is of no use after the sign-out."""
    copied = dict(person.browser.cookies)
    person.send("/logout")
    person.browser.cookies.update(copied)

    assert "/login" in person.open("/runs").url


def test_a_forged_session_is_none(pages: Pages, person: Person) -> None:
    """A cookie that was changed, or signed by somebody else, begins no session."""
    cookie = person.browser.cookies["kosmolua"]
    for forged in (cookie[:-2], "x" + cookie, cookie.replace(".", "..", 1), ""):
        answer = requests.get(pages.url + "/runs", cookies={"kosmolua": forged}, timeout=60)
        assert "/login" in answer.url


@pytest.mark.parametrize("path", ["/approvals", "/runs/{run}/resume", "/playground", "/accounts/revoke"])
def test_a_form_of_another_site_is_refused(pages: Pages, person: Person, paused: str, path: str) -> None:
    """A form without the session's mark, with another session's, or that another site sent, does nothing."""
    address = pages.url + path.format(run=paused)
    other = re.search(r'token_of_form" value="([^"]+)"', Person(pages.url, "acme").open("/approvals").text)
    own = re.search(r'token_of_form" value="([^"]+)"', person.open("/approvals").text)
    assert other
    assert own
    form = {"decision": "approve", "call": f"{paused}-2"}

    assert person.browser.post(address, data=form, timeout=60).status_code == 403
    assert person.browser.post(address, data={**form, "token_of_form": other[1]}, timeout=60).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        sent = person.browser.post(address, data={**form, "token_of_form": own[1]}, headers=headers, timeout=60)
        assert sent.status_code == 403
    assert "paused" in person.open(f"/runs/{paused}").text


def test_every_answer_forbids_what_it_does_not_need(pages: Pages, person: Person) -> None:
    """No answer lets a browser run what stands in a page, load from elsewhere, or show it in a frame."""
    for path in (
        "/login",
        "/static/page.css",
        *(f"/{section}" for section in SECTIONS),
        "/nowhere",
        "/static/none.css",
    ):
        headers = person.open(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "path",
    [
        "/runs/{run}",
        "/runs/{run}/output",
        "/playground?run={run}",
        "POST /runs/{run}/resume",
        "POST /approvals",
    ],
)
def test_a_run_of_another_tenant_is_not_there(pages: Pages, paused: str, path: str) -> None:
    """The id of another tenant's run leads to the same answer as one that nobody has."""
    stranger = Person(pages.url, "globex")
    method, _, where = path.rpartition(" ")

    def asked(run: str) -> tuple[int, str]:
        address = where.format(run=run)
        form = {"decision": "approve", "call": f"{run}-2", "number": "2", "choice-2": "done"}
        answer = stranger.send(address, **form) if method else stranger.open(address)
        return answer.status_code, without_tokens(answer.text)

    assert asked(paused) == asked("0" * 12)
    assert asked(paused)[0] == (409 if where == "/approvals" else 404)
    assert 'class="status paused"' in Person(pages.url, "acme").open(f"/runs/{paused}").text


@pytest.mark.parametrize("run", ["..%2F..%2Faccounts", "a" * 100, "a.b", "-", "%00"])
def test_an_id_is_no_path(person: Person, run: str) -> None:
    """What is no id of a run leads nowhere."""
    assert person.open(f"/runs/{run}").status_code == 404


def test_lists_have_the_tenants_own_alone(pages: Pages, person: Person, paused: str) -> None:
    """Runs, approvals, insights and grants of another tenant are in none of its lists."""
    stranger = Person(pages.url, "globex")

    assert paused in person.open("/approvals").text
    assert paused[:8] in person.open("/runs").text
    for section in SECTIONS:
        text = stranger.open(f"/{section}").text
        assert paused[:8] not in text
        assert "restart.lua" not in text
        assert "acme" not in text


def test_hostile_texts_stay_text(pages: Pages, person: Person) -> None:
    """What a script prints, raises, returns, and is called, is shown and never obeyed; invisible characters show."""
    source = f"print({HOSTILE!r}) local t = {{ [{HOSTILE!r}] = {HOSTILE!r} }} error(t[{HOSTILE!r}])"
    run = pages.record("acme", source.replace("'", '"'), f"{HOSTILE}.lua", client=HOSTILE)
    for path in (f"/runs/{run}", "/runs", f"/runs/{run}/output", f"/playground?run={run}", "/insights"):
        text = person.open(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text or "<textarea" in text
    assert "&lt;img src=x onerror=alert(2)&gt;" in person.open(f"/runs/{run}").text


def test_approving_lets_the_run_end(pages: Pages, person: Person) -> None:
    """What a person approves is done, and the run goes on to its end."""
    run = pages.record("acme", RESTART)
    page = person.send("/approvals", decision="approve", call=f"{run}-2", back="run")

    assert page.url == f"{pages.url}/runs/{run}"
    settled(person, run, "done")
    assert "restarted" in person.open(f"/runs/{run}/output").text


def test_an_approval_shows_what_is_replaced(pages: Pages, person: Person) -> None:
    """The list has the old value before the new one, and says whether the call can be undone, and else what is lost."""
    render, service = "app.integrations.render2", "srv-cabc12345678"
    pages.record("acme", f'{render}.scale_service({{ service_id = "{service}", num_instances = 3 }})')
    pages.record("acme", f'{render}.delete_service("{service}")')
    shown = re.sub(r"\s+", " ", person.open("/approvals").text)
    assert "<del><code>1</code></del> → <code>3</code>" in shown
    assert "This can be undone." in shown
    assert "This cannot be undone: the service is gone, with its deploys, variables and disk." in shown


def test_an_approval_says_where_a_destination_comes_from(pages: Pages, person: Person) -> None:
    """After logs, in which anybody writes, a service that the script puts together is asked about with the reason."""
    render = "app.integrations.render2"
    logs = f'{render}.list_logs({{ resource_id = "srv-cabc12345678", limit = 5 }})'
    pages.record("acme", f'{logs} {render}.restart_service({{ service_id = "srv-cabc" .. "99999999" }})')
    shown = re.sub(r"\s+", " ", person.open("/approvals").text)
    assert "service_id = srv-cabc99999999" in shown
    assert "(call 1, public)" in shown


def test_long_arguments_are_cut_in_the_list_and_whole_on_a_page(tmp_path: Path) -> None:
    """The list has the beginning of an argument and its length, and leads to a page with all of it."""
    arguments = '{ service_id = "srv-1", key = "A", value = ("0123456789"):rep(9000) }'
    with served(tmp_path, "acme") as pages:
        run = pages.record("acme", f"app.integrations.render2.set_env_var({arguments})")
        person = Person(pages.url, "acme")
        shown = person.open("/approvals").text
        whole = person.open(f"/approvals/{run}-1").text

        assert "90,002 characters" in shown
        assert len(shown) < 20_000
        assert "0123456789" * 9000 in whole
        assert Person(pages.url, "acme").open(f"/approvals/{run}-2").status_code == 404


def test_the_list_of_waiting_calls_has_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page has a bounded number of calls, and all that wait are on one of the pages."""
    monkeypatch.setattr("kosmolua.serve.pages.approvals.PAGE", 50)
    source = """
    local calls = {}
    for i = 1, 64 do
      calls[i] = function() app.integrations.render2.restart_service({ service_id = "srv-" .. i }) end
    end
    parallel.all(calls, { limit = 64 })
    """
    with served(tmp_path, "acme") as pages:
        pages.record("acme", source)
        person = Person(pages.url, "acme")
        paths = ("/approvals", "/approvals?from=200", "/approvals?from=900")
        shown = [without_tokens(person.open(path).text) for path in paths]

        assert [text.count('name="call"') for text in shown[:2]] == [50, 14]
        assert shown[1] == shown[2]
        assert "1 to 50 of 64 calls" in shown[0]
        told = person.open("/approvals?decided=deny&count=1").text
        assert "Denied 1 call." in told
        assert 'href="?from=50" rel="next"' in told


def test_denying_is_an_error_of_the_call(pages: Pages, person: Person) -> None:
    """What a person denies is not sent, and the script learns it; the insights know how long the answer took."""
    run = pages.record("acme", RESTART)
    began = datetime.now(timezone.utc)
    person.send("/approvals", decision="deny", call=f"{run}-2", back="run")

    assert "was not approved" in settled(person, run, "failed")
    tenant = pages.tenants.get("acme")
    assert tenant
    found = History(lambda: tenant.runtime.store).run(run)
    assert found
    [(answered, waited)] = found.read().answers
    assert began < answered
    assert waited > 0
    assert insights_of([found], answered, 1).waits == [waited]


def test_a_part_is_approved_and_a_part_denied(pages: Pages, person: Person) -> None:
    """Each call has its own answer; what got none waits on."""
    run = pages.record("acme", DELETE)
    person.send("/approvals", decision="deny", call=f"{run}-2", back="run")

    assert eventually(lambda: settled(person, run, "paused").count('name="call"') == 1)
    assert "set_env_var" in settled(person, run, "paused")


def test_what_is_always_allowed_is_asked_no_more(pages: Pages) -> None:
    """A function that was allowed for good needs no approval until a person revokes that; what destroys always does."""
    other = Person(pages.url, "globex")
    first, second = pages.record("globex", RESTART), pages.record("globex", DELETE)
    other.send("/approvals", decision="approve", call=f"{first}-2", always="yes")
    other.send("/approvals", decision="approve", call=f"{second}-2", always="yes")
    accounts = other.open("/accounts").text
    assert "the simulator</td>" in accounts
    assert "the environment" not in accounts

    assert "render2.restart_service" in accounts
    assert "render2.delete_service" not in accounts
    assert 'class="status done"' in other.open(f"/runs/{pages.record('globex', RESTART)}").text
    other.send("/accounts/revoke", path="render2.restart_service", account="production")
    assert "render2.restart_service" not in other.open("/accounts").text
    assert 'class="status paused"' in other.open(f"/runs/{pages.record('globex', RESTART)}").text


def test_the_inbox_has_a_form_for_each_function_and_account(tmp_path: Path) -> None:
    """Calls of several runs are answered at once, the page stays, and says what was decided."""
    with served(tmp_path, "acme") as pages:
        person = Person(pages.url, "acme")
        runs = [pages.record("acme", RESTART) for _ in range(4)]
        pages.record("acme", RESTART.replace("render2\n", "render2.staging\n"))
        shown = person.open("/approvals").text
        assert shown.count('class="approval"') == 1
        assert "Approve <span data-ticked>4</span>" in shown
        assert "(4) Inbox" in shown
        assert shown.count('class="item"') == 4
        page = person.send("/approvals", decision="approve", call=[f"{run}-2" for run in runs[:3]])
        assert page.url.startswith(f"{pages.url}/approvals?decided=approve&count=3")
        assert "Approved 3 calls." in page.text
        assert eventually(lambda: person.open("/runs?status=done").text.count('id="run-') == 4)
        assert f'value="{runs[3]}-2"' in person.open("/approvals").text


def test_a_run_is_undone_by_a_plan(tmp_path: Path) -> None:
    """Its button sends nothing; the plan is titled, and its run says who applied it. A second time is asked about."""
    with served(tmp_path, "acme") as pages:
        person = Person(pages.url, "acme")
        run = pages.record("acme", SCALE, "scale_up.lua")
        assert f'action="/runs/{run}/undo"' in person.open(f"/runs/{run}").text
        plan = person.send(f"/runs/{run}/undo")
        path = plan.url.removeprefix(pages.url)
        assert path.startswith("/plans/p-")
        other = person.send(f"/runs/{run}/undo").url.removeprefix(pages.url)
        assert "<h1>Undo: scale_up.lua</h1>" in plan.text
        assert "<del><code>3</code></del> → <code>1</code>" in plan.text
        listed = person.open("/plans").text
        assert "Undo: scale_up.lua</a>" in listed
        assert '<td class="client">the page</td>' in listed
        undone = person.send(path, decision="apply")
        assert "<h1>Undo: scale_up.lua</h1>" in undone.text
        assert "<dt>Client</dt><dd>the page" in undone.text
        assert f'href="{undone.url.removeprefix(pages.url)}">See the run</a>' in person.open(path).text
        stale = person.send(other, decision="apply").text
        assert "has changed. Nothing was sent. Make a new plan.</p>" in stale
        assert 'note">call 1, render2.scale_service with staging, would replace other values' in stale
        again = person.send(f"/runs/{run}/undo")
        assert again.status_code == 409
        assert "was undone already" in again.text
        assert "Plan it all the same" in again.text
        assert person.send(f"/runs/{run}/undo", accept="yes").url.startswith(f"{pages.url}/plans/p-")


def test_a_run_that_cannot_be_undone_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart puts nothing back, and a run that wrote nothing has no such button."""
    with served(tmp_path, "acme") as pages:
        person = Person(pages.url, "acme")
        run = pages.record("acme", RESTART.replace("render2\n", "render2.staging\n"))
        answer = person.send(f"/runs/{run}/undo")
        assert answer.status_code == 409
        assert "cannot be undone: it changes no setting that could be put back" in answer.text
        idle = pages.record("acme", "return 1")
        assert "/undo" not in person.open(f"/runs/{idle}").text
        assert "The run has written nothing." in person.send(f"/runs/{idle}/undo").text
        assert "No plans yet" in person.open("/plans").text

        def refuse(*_: object) -> None:
            raise ConfigError("The run used other accounts")

        monkeypatch.setattr(workspace.Workspace, "undo", refuse)
        assert f'href="/runs/{run}">Back</a>' in person.send(f"/runs/{run}/undo").text


def test_what_destroys_is_approved_by_its_number_and_never_with_others(tmp_path: Path) -> None:
    """One needs its own button, several their count too; what is refused is not sent."""
    with served(tmp_path, "acme") as pages:
        person = Person(pages.url, "acme")
        runs = [pages.record("acme", DELETE) for _ in range(2)]
        destroys = [f"{run}-2" for run in runs]
        assert 'name="count"' in person.open("/approvals").text
        mixed = person.send("/approvals", decision="approve", call=[f"{runs[0]}-2", f"{runs[0]}-3"], count="1")
        assert mixed.status_code == 409
        for count in ("", "1", "3"):
            assert person.send("/approvals", decision="approve", call=destroys, count=count).status_code == 409
        assert person.send("/approvals", decision="approve", call=destroys, count=" 2 ").status_code == 200
        assert eventually(lambda: person.open("/approvals").text.count("delete_service") == 0)


def test_always_allow_answers_what_waits_for_the_same(tmp_path: Path) -> None:
    """Other calls of the function with the account are approved too, wherever they wait; other accounts wait on."""
    with served(tmp_path, "acme", accounts=ACCOUNTS.replace('write = "allow"', 'write = "ask"')) as pages:
        person = Person(pages.url, "acme")
        runs = [pages.record("acme", RESTART) for _ in range(3)]
        other = pages.record("acme", RESTART.replace("render2\n", "render2.staging\n"))
        page = person.send("/approvals", decision="approve", call=f"{runs[0]}-2", always="yes")
        assert "Approved 3 calls." in page.text
        assert eventually(lambda: person.open("/runs?status=done").text.count('id="run-') == 3)
        assert f'value="{other}-2"' in person.open("/approvals").text


def test_one_question_has_a_page_of_its_own(pages: Pages, person: Person) -> None:
    """A link leads there, also through the sign-in; long texts are shown as Markdown, without links or HTML."""
    source = """
    app.integrations.render2.set_env_var({ service_id = "srv-cabc12345678", key = "NOTE",
      value = "# Steps\\n\\n1. *one* [two](https://evil.example) <b>three</b>" })
    """
    run = pages.record("acme", source, "question.lua")
    stranger = Person(pages.url)
    assert stranger.open(f"/a/{run}-1").url == f"{pages.url}/login?next=%2Fa%2F{run}-1"
    shown = person.open(f"/a/{run}-1").text
    assert "<p>Steps</p>" in shown
    assert "<em>one</em>" in shown
    assert "[two](https://evil.example) &lt;b&gt;three&lt;/b&gt;" in shown
    assert person.send("/approvals", decision="deny", call=f"{run}-1").status_code == 200
    assert eventually(lambda: person.open(f"/a/{run}-1").status_code == 404)


def test_pages_are_told_when_something_changes(tmp_path: Path) -> None:
    """One stream says how many calls wait; it is for those who are signed in, and is silent while nothing happens."""
    with served(tmp_path, "acme") as pages:
        person = Person(pages.url, "acme")
        assert requests.get(pages.url + "/events", allow_redirects=False, timeout=60).status_code == 303
        with person.browser.get(pages.url + "/events", stream=True, timeout=60) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = (line for line in answer.iter_lines(decode_unicode=True) if line.startswith("data:"))
            first = json.loads(next(lines)[5:])
            pages.record("acme", RESTART)
            second = json.loads(next(lines)[5:])
            while not second["waiting"]:
                second = json.loads(next(lines)[5:])
        assert first["waiting"] == 0
        assert second["waiting"] == 1
        assert first["state"] != second["state"]


def test_a_decision_about_nothing_that_waits_is_refused(pages: Pages, person: Person) -> None:
    """Numbers of calls that do not wait are not approved, and a form that came twice does nothing."""
    run = pages.record("acme", RESTART)
    assert person.send("/approvals", decision="approve", call=f"{run}-77").status_code == 409
    person.send("/approvals", decision="approve", call=f"{run}-2")
    assert person.send("/approvals", decision="approve", call=f"{run}-2").status_code == 409


def test_a_run_is_shown_with_its_calls_and_its_line(pages: Pages, person: Person) -> None:
    """The page of a run has its calls with their arguments, the error, and the script with the line that failed."""
    run = pages.record("acme", BROKEN, "look_up.lua")
    text = person.open(f"/runs/{run}").text

    assert len(re.findall(r'<rect class="bar', text)) == 2
    assert "srv-gone" in text
    assert re.search(r'class="wrong" id="wrong"><code>.*get_service', text)


def test_a_failed_run_says_first_what_failed_and_what_was_done(pages: Pages, person: Person) -> None:
    """What became of each write, five lines of the script around the line, and the arguments of the call."""
    staging = RESTART.replace("render2\n", "render2.staging\n").replace("return service.name", "")
    run = pages.record(
        "acme", staging + BROKEN.replace("local ", "").replace("render.get", "\nrender.get") + "print(1)\n"
    )
    text = person.open(f"/runs/{run}").text
    first = text[: text.index("waterfall")]
    assert re.search(r"<dt>Done</dt><dd>1 × <code>render2\.<wbr>restart_<wbr>service", first)
    assert len(re.findall(r'<li value="\d+"', first)) == 5
    assert re.search(r'class="wrong"><code>.*get_service', first)
    assert "srv-gone" in first
    run = pages.record("acme", BROKEN)
    assert "The script had changed nothing." in person.open(f"/runs/{run}").text


def test_a_call_is_shown_with_its_answer_and_its_request(pages: Pages, person: Person) -> None:
    """Its page has arguments, answer, method, URL and status; a file has the whole answer."""
    run = pages.record("acme", BROKEN, "look_up.lua")
    assert f'data-inside="/runs/{run}/calls/1"' in person.open(f"/runs/{run}").text

    text = person.open(f"/runs/{run}/calls/1").text
    assert "limit" in text
    assert "checkout-api-prod" in text
    assert "<code>GET https://api.render.com/v1/services</code>" in text
    assert re.search(r"<dt>status</dt><dd><code>200", text)
    assert person.open(f"/runs/{run}/calls/1/answer.json").json()["services"]
    failed = person.open(f"/runs/{run}/calls/2").text
    assert "404" in failed
    assert "not found" in failed
    assert person.open(f"/runs/{run}/calls/9").status_code == 404


def test_a_limit_is_told_for_people_of_the_site(tmp_path: Path) -> None:
    """It says which limit of the tenant to raise, and a call beyond the limit is one of its integration."""
    with served(tmp_path, "acme", tenant="limits = { max_calls = 2 }") as pages:
        run = pages.record("acme", "for i = 1, 4 do app.integrations.render2.get_current_user({}) end")
        person = Person(pages.url, "acme")
        text = person.open(f"/runs/{run}").text
        assert "raise max_calls in the limits of the tenant" in text
        assert "integrations.<wbr>render2" not in text
        assert "--max-calls" not in text + person.open("/runs").text
        assert eventually(lambda: '<th scope="row">render2</th>' in person.open("/insights").text)
        assert "integrations.render2" not in person.open("/insights").text


def test_equal_calls_are_one_row(pages: Pages, person: Person) -> None:
    """The row says how many there are, and how long they took; it unfolds to each of them."""
    many = CLEAN_UP.replace("limit = 3", "limit = 9").replace("restart_service", "get_service")
    text = person.open(f"/runs/{pages.record('acme', many)}").text
    rows = re.findall(r'<summary class="cells">', text)
    assert len(rows) == 2
    assert "×9" in text
    assert re.search(r">p50 [^<]+</span>(?s:.*)>max</span> ", text)
    assert text.count("data-inside") == 10


def test_numbers_of_calls_do_not_jump(pages: Pages, person: Person) -> None:
    """A call that was made again after its approval has the place that it has among the calls."""
    run = pages.record("acme", RESTART, "restart_again.lua")
    call = re.search(rf'name="call" value="({run}[^"]+)"', person.open(f"/runs/{run}").text)
    assert call
    person.send("/approvals", call=call[1], decision="approve")
    assert eventually(lambda: ">done<" in person.open(f"/runs/{run}").text)
    text = person.open(f"/runs/{run}").text
    assert re.findall(r'<span class="place">(\d+)</span>', text) == ["1", "2"]


def test_a_failed_run_is_told_to_an_agent(pages: Pages, person: Person) -> None:
    """The text has what failed, the line, the arguments, what was done, what is unknown, and the command."""
    staging = RESTART.replace("render2\n", "render2.staging\n").replace("return service.name", "")
    run = pages.record("acme", staging + BROKEN.replace("local ", ""), "two_steps.lua")
    text = unescape(person.open(f"/runs/{run}").text)
    told = text[text.index("# Run ") : text.index("</pre>", text.index("# Run "))]
    assert "`api_error` at line 9: " in told
    assert '`{ service_id = "srv-gone" }`' in told
    assert ">    9 service = render.get_service" in told
    assert "- Done: 1 × `render2.restart_service`" in told
    assert "## What is unknown\n\nNothing." in told
    assert f"kosmolua resume {run} --tenant acme --script fixed.lua" in told


def test_a_failed_run_goes_on_with_another_script(pages: Pages, person: Person) -> None:
    """What was answered is not asked again, and the same run ends well."""
    run = pages.record("acme", BROKEN, "fix_me.lua")
    assert 'name="source"' in person.open(f"/runs/{run}").text
    person.send(
        f"/runs/{run}/resume", source=BROKEN.replace('"srv-gone"', "services[1].id") + "print(services[1].name)"
    )

    assert eventually(lambda: ">done<" in person.open(f"/runs/{run}").text)
    text = person.open(f"/runs/{run}").text
    assert "<dt>Resumed</dt><dd>once" in text
    assert "checkout-api-prod" in person.open(f"/runs/{run}/output").text


def test_a_script_that_would_fail_again_is_not_resumed_as_it_is(pages: Pages, person: Person) -> None:
    """Its page says so, and offers to correct it."""
    text = person.open(f"/runs/{pages.record('acme', 'local nothing = nil; print(nothing.name)')}").text
    assert "it would fail there again" in text
    assert ">Resume<" not in text
    assert "Fix and continue" in text


def test_idle_time_is_narrow_on_the_axis() -> None:
    """A long stretch without a call is a mark, and what comes after it stays in order."""
    bars = [
        Bar({"number": number, "effect": "read", "duration_ms": 10}, (), begins)
        for number, begins in ((1, 0), (2, 20), (3, 60_000))
    ]
    axis = Axis(bars)
    assert axis.length == 40
    assert (len(axis.folds), axis.idle) == (1, 59_970)
    places = [axis.at(bar.begins) for bar in bars]
    assert places == sorted(places)
    assert axis.at(60_010) == pytest.approx(100)
    assert places[1] > 30


def test_a_long_output_is_cut_and_whole_in_a_file(pages: Pages, person: Person) -> None:
    """The page has its beginning, and says so."""
    run = pages.record("acme", 'print(("0123456789"):rep(30000))')
    shown = person.open(f"/runs/{run}/output").text
    assert "the first 200,000 of 300,001 characters" in shown
    assert len(shown) < 250_000
    run_with_result = pages.record("acme", 'return { text = ("0123456789"):rep(30000) }')
    assert "the first 200,000 of" in person.open(f"/runs/{run_with_result}/output").text
    assert person.open(f"/runs/{run_with_result}/result.json").json() == [{"text": "0123456789" * 30_000}]
    file = person.open(f"/runs/{run}/output.txt")
    assert len(file.text) == 300_001
    assert file.headers["content-disposition"].startswith("attachment")


def test_a_running_script_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page has a button for that, the time so far, and what was printed; one that has ended is not stopped."""
    monkeypatch.setattr(workspace, "MAX_REPLAY", 0.5)
    with served(tmp_path, "acme") as pages:
        person = Person(pages.url, "acme")
        outcome = pages.start("acme", "print('so far') while true do end", run="0123456789ab")
        assert eventually(lambda: "/stop" in person.open("/runs/0123456789ab").text)
        assert eventually(lambda: "so far" in person.open("/runs/0123456789ab/output").text)
        assert re.search(r"<dt>Runs for</dt><dd><time [^>]+data-since>\d+ s<", person.open("/runs/0123456789ab").text)
        person.send("/runs/0123456789ab/stop")
        assert outcome.result(60).status == "interrupted"
        assert person.send("/runs/0123456789ab/stop").status_code == 409
        assert "data-load" not in person.open("/runs/0123456789ab").text, "a replay would not end either"


def test_a_running_script_is_stopped_from_the_command_line(tmp_path: Path, kosmolua: Program) -> None:
    """The beginning of its id is enough; what has ended, and a run of no tenant, is not stopped."""
    with served(tmp_path, "acme", store=str(tmp_path / "store")) as pages:
        outcome = pages.start("acme", "while true do end", run="0123456789ab")
        at = ("--tenant", "acme", "--accounts", str(tmp_path / "accounts.toml"))
        assert eventually(lambda: (tmp_path / "store" / "acme" / "0123456789ab.jsonl").exists())
        done = kosmolua("runs", "stop", "0123", *at)
        assert done.stdout == "stopping 0123456789ab\n", done.stderr
        assert outcome.result(60).status == "interrupted"
        again = kosmolua("runs", "stop", "0123456789ab", *at)
    assert "has ended already: it is interrupted" in again.stderr
    assert "--tenant NAME" in kosmolua("runs", "stop", "0123").stderr


def test_waits_for_people_are_not_drawn_as_work() -> None:
    """The axis stands still while a person is asked, and the call has its own time alone."""

    def bar(number: int, begins: float, duration: float, waited: float = 0) -> Bar:
        made = Bar({"number": number, "effect": "write", "duration_ms": duration}, (), begins)
        made.waited = waited
        return made

    shown = without_waits([bar(1, 0, 5), bar(2, 10, 30_002, 30_000), bar(3, 30_020, 4)])
    assert [(each.begins, each.duration) for each in shown] == [(0, 5), (10, 2), (20, 4)]


def test_a_page_that_has_not_changed_is_not_sent_again(pages: Pages, person: Person) -> None:
    """Pages, parts and files have an ETag, and another session's is not known; a page of the docs can be kept."""
    run = pages.record("acme", "return 'unchanged'", "unchanged.lua")
    part = {"X-Part": "live"}
    for path, headers in ((f"/runs/{run}", part), ("/docs/overview", {}), ("/static/page.css", {})):
        tag = {"If-None-Match": person.browser.get(person.base + path, headers=headers, timeout=60).headers["etag"]}
        again = person.browser.get(person.base + path, headers=headers | tag, timeout=60)
        assert (again.status_code, again.content) == (304, b"")
        assert "content-security-policy" in again.headers
        other = Person(pages.url, "acme").browser.get(person.base + path, headers=headers | tag, timeout=60)
        assert other.status_code == (304 if "static" in path else 200)
    assert person.open("/docs/overview").headers["cache-control"] == "private, no-cache"
    assert person.open(f"/runs/{run}").headers["cache-control"] == "no-store"


def test_the_page_of_a_large_integration_lists_its_functions(person: Person) -> None:
    """It is short, each function has a page of its own, and a name in capitals is no link."""
    text = person.open("/docs/integrations.render2").text
    assert len(text) < 120_000
    assert 'href="/docs/integrations.render2.list_services"' in text
    assert "Each function has a page of its own." in text
    assert "Parameters" in person.open("/docs/integrations.render2.list_services").text
    assert "/docs/integrations.github.SECTION" not in person.open("/docs/integrations.github").text


def test_pages_are_compressed_and_their_tokens_differ(person: Person) -> None:
    """The largest page is small on its way, and the size of a page tells nothing about the token of its forms."""
    answer = person.browser.get(person.base + "/docs/integrations.render2", stream=True, timeout=60)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.raw.read()) < 60_000
    assert person.open("/static/page.css").headers["content-encoding"] == "gzip"
    tokens = [re.findall(r'token_of_form" value="([^"]+)"', person.open("/runs").text) for _ in range(2)]
    assert tokens[0] != tokens[1]
    assert person.browser.post(person.base + "/logout", data={"token_of_form": tokens[0][0]}, timeout=60).ok


def test_runs_are_filtered(pages: Pages, person: Person) -> None:
    """Words, a status and a mode narrow the list."""
    run = pages.record("acme", REPORT, "the_report.lua", client="a rare client 7")[:8]

    for fitting in ("?q=the_report", "?q=rare+LIST_DEPLOYS", "?q=rare&status=done", "?q=rare&mode=simulated"):
        assert run in person.open(f"/runs{fitting}").text
    for other in ("?q=nobody", "?q=rare&status=failed", "?q=rare&mode=live"):
        assert run not in person.open(f"/runs{other}").text


def test_equal_scripts_are_one_row_with_their_outcomes(pages: Pages, person: Person) -> None:
    """The row counts them, and has a square for each of the latest, the last at the right."""
    source = 'print("the sameness of squares")'
    runs = [pages.record("acme", source, "same.lua") for _ in range(3)]
    text = person.open("/runs?group=script&q=sameness").text
    assert text.count("<tr id=") == 1
    squares = re.findall(r'class="square (\w+)" href="/runs/(\w+)"', text)
    assert squares == [("done", run) for run in runs]
    assert "1 to 1 of 1 scripts" in text


def test_a_page_of_runs_that_is_gone_leads_to_the_last_one(pages: Pages, person: Person) -> None:
    """What the list shows and what it says of itself agree, also if it has become shorter."""
    for _ in range(2):
        pages.record("acme", 'print("a vanished page")', "gone.lua")
    for group, said in (("script", "1 to 1 of 1 scripts"), ("", "1 to 2 of 2 runs")):
        assert said in person.open(f"/runs?group={group}&q=vanished&from=50").text


def test_two_runs_are_compared_on_the_site(pages: Pages, person: Person) -> None:
    """The page has the differences of calls, ends and scripts; equal lines are left out."""
    longer = CLEAN_UP.replace("restart_service", "get_service").replace("limit = 3", "limit = 20")
    longer = longer.replace("\nend)", "\nend, { limit = 1 })")  # in one order
    first = pages.record("acme", longer)
    second = pages.record("acme", longer.replace("limit = 20", "limit = 19"))
    assert f'name="run" value="{first}"' in person.open("/runs").text

    text = unescape(person.open(f"/runs/compare?run={second}&run={first}").text)
    assert re.search(r'class="removed">.*limit = 20.*\n<li class="added">.*limit = 19', text)
    assert re.search(r'class="removed">.*list_services.*limit = 20', text)
    assert re.search(r'class="skipped">.*equal lines', text)
    same = person.open(f"/runs/compare?run={first}&run={pages.record('acme', longer)}").text
    assert "Both made the same calls" in same
    assert "Both ran the same script." in same
    assert person.open(f"/runs/compare?run={first}").status_code == 409


@pytest.mark.slow
def test_a_fleet_is_a_grid_of_its_runs(tmp_path: Path, kosmolua: Program, write: Write) -> None:
    """Each run of a tenant's fleet is a square that leads to it, and what waits or failed is named below."""
    with served(tmp_path, "acme") as pages:
        person = Person(pages.url, "acme")
        about = "-- Restarts what has to be.\nif input.id == 'c' then error('no') end\n"
        script = write("restart.lua", about + RESTART)
        inputs = write("inputs.jsonl", '{"id": "a"}\n{"id": "b"}\n{"id": "c"}\n')
        given = ["--accounts", tmp_path / "accounts.toml", "--inputs", inputs, "--key", "id", "--simulate"]
        assert "No fleets yet" in person.open("/fleets").text
        state = {"XDG_STATE_HOME": str(tmp_path / "state")}
        ended = kosmolua("fleet", script, *given, "--tenant", "acme", variables=state)
        assert ended.returncode == 1
        assert "people of the tenant allow these calls on its website" in ended.stderr
        listed = person.open("/fleets").text
        [fleet] = re.findall(r'href="/fleets/([0-9a-f]{12})">Restarts what has to be<', listed)
        assert "3: 1 failed, 2 paused" in listed
        text = person.open(f"/fleets/{fleet}").text
        squares = re.findall(r'class="square (\w+)" id="square-(\w+)" href="/runs/\2" title="([^"]+)"', text)
        assert sorted(title for _, _, title in squares) == [
            "Restarts what has to be: a: paused",
            "Restarts what has to be: b: paused",
            "Restarts what has to be: c: failed",
        ]
        assert person.open(f"/runs?fleet={fleet}").text.count('<tr id="run-') == 3
        assert "Restarts what has to be: a" in person.open("/approvals").text
        tenant = pages.tenants.get("acme")
        assert tenant
        name = {"id": "0123456789ab", "title": "Never ends", "size": 1}
        with TenantFleet.opened(Kept("acme"), str(tmp_path / "accounts.toml"), tenant.runtime) as going_on:
            options = {"name": "x.lua", "fleet": name}
            with ThreadPoolExecutor(1) as thread:
                ending = thread.submit(going_on.run, b"print(1) while true do end", **options)
                assert eventually(lambda: "1: 1 running" in person.open("/fleets").text)
                [run] = re.findall(r'href="/runs/(\w+)"', person.open("/fleets/0123456789ab").text)
                person.send(f"/runs/{run}/stop")
                error = ending.result(60).error
                assert error
                assert error.code == "interrupted"
        refused = kosmolua("fleet", script, *given, "--tenant", "acme", "--recordings", tmp_path / "kept")
        assert "--recordings" in refused.stderr
        assert refused.returncode == 2


@pytest.mark.slow
def test_a_script_that_the_check_refuses_is_in_the_list(pages: Pages, person: Person) -> None:
    """Its page says what is wrong at which line; continued as it is, it is refused again."""
    tenant = pages.tenants.get("acme")
    assert tenant
    script = "-- Asks for what there is not.\nlocal render = app.integrations.render2\nrender.list_servces({})"
    options: RunOptions = {"name": "script.lua", "client": "an agent", "check": True, "run": "0123456789cd"}
    outcome = asyncio.run_coroutine_threadsafe(tenant.run(script, options), pages.loop).result(60)
    assert outcome.error
    assert outcome.error.code == "check"
    assert "Asks for what there is not" in person.open("/runs?q=list_servces").text
    text = person.open("/runs/0123456789cd").text
    assert "Failed at line 3" in text
    assert ">Replay<" not in text
    assert person.send("/runs/0123456789cd/resume", source=script).status_code == 409
    person.send("/runs/0123456789cd/resume", source=script.replace("servces", "services"))
    assert eventually(lambda: 'class="status done"' in person.open("/runs/0123456789cd").text)


def test_the_catalogue_has_a_card_for_each_integration(pages: Pages, person: Person) -> None:
    """It says what it is for, how many functions of each effect it has, its accounts, and its latest run."""
    run = pages.record("acme", REPORT, "latest_use.lua")
    text = person.open("/catalogue").text
    card = text[text.index(">render2</a></h2>") :]
    card = card[: card.index("</li>")]
    assert re.search(r"<strong>\d+</strong> <span class=\"effect destroy\">", card)
    assert "production, staging" in re.sub(r"\s+", " ", card)
    assert f'href="/runs/{run}">latest_use.lua' in card
    assert 'href="/docs/integrations.render2">Docs' in card


def test_a_matrix_says_who_may_do_what_and_which_line_decides(person: Person) -> None:
    """Functions about which the same rules decide are one row; a rule for one function has a row of its own."""
    text = person.open("/catalogue/render2").text
    rows = [re.sub(r"<[^>]+>|\s+", " ", row) for row in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)]
    assert any("delete_postgres" in row and "deny" in row and "accounts.toml:6" in row for row in rows)
    assert any("write" in row and "accounts.toml:10" in row and "default permissions" in row for row in rows)
    assert person.open("/catalogue/nothing").status_code == 404


def test_insights_say_how_long_calls_and_people_took() -> None:
    """Medians and 95th percentiles by function, failures by code, and calls of each hour of a day."""
    now = datetime(2026, 5, 4, 12, 30, tzinfo=timezone.utc)

    def call(minute: int, milliseconds: float, **more: object) -> CallSummary:
        fields = {"path": "render2.list_services", "account": "staging", "effect": "read", "status": "ok"}
        started = now - timedelta(minutes=minute)
        return CallSummary({**fields, "started": started.isoformat(), "duration_ms": milliseconds, **more})

    asked = (now - timedelta(seconds=5)).isoformat()
    calls = [call(minute, milliseconds) for minute, milliseconds in enumerate([10.0] * 18 + [20.0, 900.0])]
    calls.append(call(1, 4002, path="render2.restart_service", asked=asked, answered=now.isoformat(), status="failed"))
    calls[-1].error = "api_error"
    calls.append(call(1, 0, path="render2.delete_service", status="refused", error="paused"))  # waits
    run = RunEntry(Summary("0123456789ab", "failed", now.isoformat()), lambda _: Details(1.0, tuple(calls)))
    found = insights_of([run], now, 1)
    assert [(each.name, each.calls) for each in found.functions] == [
        ("render2.list_services", 20),
        ("render2.restart_service", 1),
    ]
    times = [percentile(found.functions[0].seconds, percent) for percent in (50, 95, 100)]
    assert times == [0.01, 0.02, 0.9]
    assert percentile([1.0, 9.0], 50) == 1.0
    assert percentile((), 50) is None
    assert found.codes == [("api_error", 1, "0123456789ab")]
    assert found.waits == [5.0]
    assert len(found.days) == 24
    assert (found.days[-1].name, found.days[-1].calls) == ("12:00", 21)


def test_insights_say_what_they_have_not_read_yet(
    pages: Pages, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view does not wait until recordings are read, which goes on, and a later one counts them too."""
    pages.record("acme", BROKEN)
    monkeypatch.setattr(insights, "READING", 0.0)
    text = person.open("/insights").text
    assert re.search(r"1 older run is still being read|\d+ older runs are still being read", text)
    assert 'http-equiv="refresh"' in text
    assert eventually(lambda: "still being read" not in person.open("/insights").text)


def test_a_form_that_is_sent_after_the_session_has_ended_loses_no_script(pages: Pages, person: Person) -> None:
    """The answer is the sign-in, which leads back, with the script; another website gets nothing of that."""
    sent = {"source": "print('a </textarea> of hours')"}
    address = f"{pages.url}/runs/0123456789ab/resume"
    answer = requests.post(address, data=sent, headers={"Referer": f"{pages.url}/runs/0123456789ab?x=1"}, timeout=20)
    assert answer.status_code == 401
    assert "nothing was done" in answer.text
    assert "print(&#39;a &lt;/textarea&gt; of hours&#39;)" in answer.text
    assert 'name="next" value="/runs/0123456789ab?x=1"' in answer.text
    answer = requests.post(address, data=sent, headers={"Sec-Fetch-Site": "cross-site"}, timeout=20)
    assert "of hours" not in answer.text


def test_what_to_do_about_an_error_names_no_option_that_people_of_the_site_could_not_pass(tmp_path: Path) -> None:
    """They raise limits of the tenant, answer on the site, and learn how the server was started."""
    advice = environment().filters["advice"]
    timeout = CallTimeout("render2.restart_service", 30, hint="look whether it was done")
    timeout.advise(LIMITS["call_timeout"].remedy)
    assert advice(timeout) == "look whether it was done; raise call_timeout in the limits of the tenant"
    assert "Inbox" in advice(Paused("paused", hint="run kosmolua resume with --approve"))
    assert "Was it done?" in advice(UnderWay("open", hint="pass --done 1"))
    with served(tmp_path, "acme", read_only=True) as pages:
        person = Person(pages.url, "acme")
        text = person.open(f"/runs/{pages.record('acme', SCALE)}").text
        assert "the server was started with --read-only" in text
        assert "leave out" not in text


def test_a_call_that_several_people_have_to_approve_says_so_at_first(tmp_path: Path) -> None:
    """Who approves it first knows that this is not enough."""
    with served(tmp_path, "acme", accounts=f"{ACCOUNTS}[kosmolua.approvals]\ndestroy = 2\n") as pages:
        pages.record("acme", DELETE)
        destroys, writes = (
            next(
                form
                for form in Person(pages.url, "acme").open("/approvals").text.split("<form")
                if f'"call {effect}"' in form
            )
            for effect in ("destroy", "write")
        )
        assert "2 people have to approve" in destroys
        assert "have to approve" not in writes


def test_a_run_that_has_called_nothing_yet_is_not_said_to_call_nothing(pages: Pages, person: Person) -> None:
    """While a script of the playground runs, nobody knows what it will call."""
    begun = pages.start("acme", "while true do end", name="playground.lua", run="aabbccddeeff")
    assert eventually(lambda: "a script that has called nothing yet" in person.open("/runs").text)
    person.send("/runs/aabbccddeeff/stop")
    begun.result(20)
    assert "a script that calls nothing" in person.open("/runs/aabbccddeeff").text


def test_what_the_check_says_of_a_secret_is_masked(tmp_path: Path) -> None:
    """A secret that the tenant uses, pasted into a script, is in no finding, no refusal and no warning."""
    secret = "simulated secret bank"
    given = ACCOUNTS + '[kosmolua.secrets]\nbank = { env = "BANK", for = ["render2.*"] }\n'
    use = 'app.integrations.render2.staging.set_env_var({ service_id = "srv-cabc12345678", key = "A", value = %s })'
    wrong = f'app.integrations.render2.get_service({{ ["{secret}"] = 1 }})'
    doubtful = f'if arg[1] then print(app.integrations.render2["{secret}"]) end'
    with served(tmp_path, "acme", accounts=given) as pages:
        person = Person(pages.url, "acme")
        assert pages.start("acme", use % "secrets.bank").result(30).ok
        refused, warned = (pages.start("acme", each, check=True).result(30) for each in (wrong, doubtful))
        assert isinstance(refused.error, CheckFailed)
        assert "no parameter '***'" in str(refused.to_json())
        assert "has no '***'" in str(warned.warnings)
        texts = [str(refused.to_json()), str(warned.warnings), person.open("/runs").text]
        for source in (wrong, doubtful):
            answer = person.send("/playground/check", source=source).text
            texts.append(re.sub("(?s)<textarea.*?</textarea>", "", answer))
            assert "***" in texts[-1]
        assert [text for text in texts if secret in text] == []


def test_secrets_are_on_no_page(pages: Pages, person: Person) -> None:
    """No page shows a credential of an account, or a token."""
    for section in (*SECTIONS, "docs/accounts"):
        text = person.open(f"/{section}").text
        assert "rnd_a1b2" not in text
        assert token_of("acme") not in text


def test_docs_are_pages_with_links(person: Person) -> None:
    """A page is HTML with coloured code, and words of code that name pages lead to them."""
    page = person.open("/docs/integrations.render2.list_services").text

    assert '<a href="/docs/integrations.render2.list_deploys"><code>list_deploys</code></a>' in page
    assert 'class="hl-kd"' in page
    assert "<table>" in page
    found = person.open("/docs?q=restart+a+service").text
    assert "integrations.render2.restart_service" in found
    assert "Its status becomes <code>available</code>" in person.open("/docs?q=create_postgres").text
    missing = person.open("/docs/render2.list_servces")
    assert missing.status_code == 404
    assert "integrations.render2.list_services" in missing.text


def test_the_playground_works_without_javascript(person: Person) -> None:
    """A script is checked, planned and run by the form alone, which leads to the page of the run or the plan."""
    form = {"source": "local x = app.integrations.render2.list_servces({})\r\nprint(1)", "simulate": "yes"}
    checked = person.send("/playground", deed="check", **form).text
    assert "list_services" in checked
    assert 'data-region="1 11 1 48"' in checked
    form["source"] = 'print("it <b>ran</b>") return app.integrations.render2.list_owners({}).owners[1].id'
    run = person.send("/playground", deed="run", **form).url.rpartition("/")[2]
    assert eventually(lambda: "it &lt;b&gt;ran&lt;/b&gt;" in person.open(f"/runs/{run}/output").text)
    planned = person.send("/playground", deed="plan", source=RESTART.replace("return service.name", ""))
    assert "/plans/p-" in planned.url
    assert "restart_service" in planned.text
    refused = person.send("/playground", deed="run", source="app.integrations.render2.list_servces({})")
    assert "list_services" in refused.text
    assert "Nothing was sent." in refused.text


def test_a_run_of_the_playground_is_recorded(pages: Pages, person: Person) -> None:
    """It is a run of the tenant, whose writes wait for an approval."""
    page = person.send("/playground", deed="run", source=RESTART)

    assert re.fullmatch(f"{pages.url}/runs/[0-9a-f]{{12}}", page.url)
    assert eventually(lambda: 'class="status paused"' in person.open(page.url.removeprefix(pages.url)).text)


def test_a_trial_is_apart_from_real_calls(tmp_path: Path) -> None:
    """On a server that makes real calls, a simulated script asks too, never for good, and goes on simulated.

    It costs no budget. The insights list those that there are.
    """
    accounts = f"""{ACCOUNTS}
budgets = {{ minutes = {{ max = 2, per = "day" }} }}
[kosmolua.budgets]
writes = {{ max = 4, per = "day" }}
"render2.scale_*" = {{ writes = {{ max = 2, per = "hour" }} }}
"""
    with served(tmp_path, "acme", accounts=accounts, simulate=False) as pages:
        person = Person(pages.url, "acme")
        run = person.send("/playground", deed="run", source=RESTART, simulate="yes").url.rpartition("/")[2]
        assert eventually(lambda: 'class="status paused"' in person.open(f"/runs/{run}").text)
        inbox = person.open("/approvals").text
        assert '<span class="tag">simulated</span>' in inbox
        assert "<title>Inbox" in inbox  # without a number, since nothing real waits
        assert 'name="always"' not in inbox
        person.send("/approvals", call=first_call(person), decision="approve", always="yes")
        assert eventually(lambda: ">done<" in person.open(f"/runs/{run}").text)
        assert "No functions yet" in person.open("/accounts").text
        assert "<dt>Mode</dt><dd>simulated" in person.open(f"/runs/{run}").text
        plan = person.send(
            "/playground", deed="plan", source=RESTART.replace("return service.name", ""), simulate="yes"
        )
        applied = person.send(plan.url.removeprefix(pages.url), decision="apply")
        assert "<dt>Mode</dt><dd>simulated" in applied.text
        runtime = pages.tenants.get("acme").runtime  # type: ignore[union-attr]
        of_all, of_pattern, of_account = runtime.budgets.all()  # type: ignore[union-attr]
        assert [each.used(runtime.store) for each in (of_all, of_pattern, of_account)] == [0, 0, 0]
        of_all.add(runtime.store, 3)
        of_account.add(runtime.store, 90_000)
        text = person.open("/insights").text
        rows = re.findall(
            r"<tr><th scope=\"row\">(.*?)</tr>", text.split(">Budgets<")[1].split("</table>")[0], re.DOTALL
        )
        told = [re.sub(r" in \d.*", "", " ".join(re.sub(r"<[^>]+>", " ", row).split())) for row in rows]
        assert told == [
            "writes per day [kosmolua.budgets] 3 of 4",
            "writes per hour render2.scale_* in [kosmolua.budgets] 0 of 2",
            "minutes per day [render2.staging] 1.5 of 2",
        ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_of_the_playground_runs(person: Person, name: str) -> None:
    """The check finds no mistake in it, and it ends as its title says."""
    source = unescape(person.open(f"/playground?example={name}").text)
    source = source[source.index("-- ") : source.index("</textarea>")]
    assert "No mistakes found" in person.send("/playground", deed="check", source=source).text
    place = person.send("/playground", deed="run", source=source).url.removeprefix(person.base)
    expected = {"failing": "failed", "report": "done", "accounts": "done"}.get(name, "paused")
    assert eventually(lambda: f'class="status {expected}"' in person.open(place).text)


def test_the_editor_asks_what_could_stand_at_the_cursor(person: Person) -> None:
    """The answer has names with what they are, and the signature of the function whose arguments are typed."""
    before = (
        'local r, face = app.integrations.render2, "\U0001f600"\nr = nil\nlocal render = app.integrations.render2\n'
    )
    source = before + "render.restart_service({ "
    answer = person.send("/playground/complete", source=source, at=len(source) + 1).json()
    assert answer["found"] == [["service_id = ", 0, ANY]]
    assert answer["signature"].startswith("restart_service{ service_id: string }")
    answer = person.send("/playground/complete", source="app.integrations.ren", at=20).json()
    assert answer["found"] == [["render2", 3, "integration"]]
    assert person.send("/playground/complete", source="json.", at="9" * 5000).json()["signature"] == ""


def test_a_call_of_a_running_script_is_approved(tmp_path: Path) -> None:
    """While a script still waits for a person, the page shows its call, and an answer lets it go on at once.

    The form names the call as it is also called when the run has paused.
    """
    with served(tmp_path, "acme", approval_wait=300) as pages:
        person = Person(pages.url, "acme")
        for decision, status in (("approve", "done"), ("deny", "failed")):
            run = os.urandom(6).hex()
            outcome = pages.start("acme", RESTART, run=run)
            call = first_call(person)
            assert call == f"{run}-2"
            assert "waiting since" in person.open("/approvals").text
            person.send("/approvals", decision=decision, call=call)
            assert outcome.result(60).status == status
            assert person.send("/approvals", decision=decision, call=call).status_code == 409


def test_who_answers_too_late_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If somebody else denies a call meanwhile, nobody is told that it was approved."""
    answer = Approvals.answer

    def late(approvals: Approvals, call: WaitingCall, decision: Decision, *voter: str) -> bool:
        assert answer(approvals, call, Decision(False, "another person"))
        return answer(approvals, call, decision, *voter)

    monkeypatch.setattr(Approvals, "answer", late)
    with served(tmp_path, "acme", approval_wait=300) as pages:
        outcome = pages.start("acme", RESTART)
        person = Person(pages.url, "acme")
        told = person.send("/approvals", decision="approve", call=first_call(person))
        assert told.status_code == 409
        assert "Somebody else has answered before." in told.text
        assert outcome.result(60).status == "failed"


def test_a_session_ends_with_its_token(tmp_path: Path) -> None:
    """Once a tenant has another token, sessions that the former one began are over."""
    with served(tmp_path, "acme") as pages:
        person = Person(pages.url, "acme")
        file = tmp_path / "accounts.toml"
        file.write_text(file.read_text(encoding="utf-8").replace(token_of("acme"), "another-token-of-acme"))
        reload = pages.tenants.reload(settings.read(file))
        asyncio.run_coroutine_threadsafe(reload, pages.loop).result(60)

        assert "/login" in person.open("/runs").url
        assert person.sign_in("another-token-of-acme").url.endswith("/approvals")


def test_the_playground_has_the_accounts_after_a_reload(tmp_path: Path) -> None:
    """It has what the accounts file says now, and the runtime from before is closed."""
    script = {"source": "print(#app.integrations.render2.extra.list_owners({}).owners)", "simulate": "yes"}
    with served(tmp_path, "acme") as pages:
        person, tenant = Person(pages.url, "acme"), pages.tenants.get("acme")
        assert tenant
        assert "nor one of the accounts" in person.send("/playground", deed="run", **script).text
        former = tenant.simulated
        file = tmp_path / "accounts.toml"
        file.write_text(file.read_text(encoding="utf-8") + '\n[render2.extra]\napi_key = "rnd_extra"\n')
        reload = pages.tenants.reload(settings.read(file))
        asyncio.run_coroutine_threadsafe(reload, pages.loop).result(60)

        assert "/runs/" in person.send("/playground", deed="run", **script).url
        assert tenant.simulated is not former
    with pytest.raises(RuntimeError, match="closed"):
        former.run("return 1")


def test_a_server_that_only_simulates_needs_no_token(tmp_path: Path) -> None:
    """Without tenants the page is open to the one at the machine."""
    with served(tmp_path) as pages:
        person = Person(pages.url)
        assert "needs no token" in person.open("/login").text
        assert person.sign_in("").url.endswith("/approvals")
        assert person.open("/insights").status_code == 200


def test_a_run_that_is_tried_again_says_when(pages: Pages, person: Person) -> None:
    """Its page has the time and the number of the try; one that sleeps has the time alone."""
    run, tenant = pages.record("acme", BROKEN), pages.tenants.get("acme")
    assert tenant
    tasks = tenant.runtime.store.tasks
    task = ServerTask(f"sleep/{run}", SLEEP, "", run, tasks.now(), tasks.now() + 250, WAITING, attempt=1)
    assert tasks.add(task)
    facts = re.sub(r"<[^>]+>|\s+", " ", person.open(f"/runs/{run}").text)
    assert re.search(r"Tried again +in 4 min *, try 2", facts)
    assert tasks.put(replace(task, status="failed", due=None))
    assert "Tried again" not in person.open(f"/runs/{run}").text


def test_a_write_in_doubt_is_asked_about(pages: Pages, person: Person) -> None:
    """A run that was cut while a write was under way goes on once a person says whether that was done."""
    run = pages.record("acme", RESTART.replace("integrations.render2", "integrations.render2.staging"))
    tenant = pages.tenants.get("acme")
    assert tenant
    file = Path(tenant.runtime.store.place(run).name)
    lines = file.read_bytes().splitlines(keepends=True)
    intent = next(place for place, line in enumerate(lines) if b'"event":"intent"' in line)
    file.write_bytes(b"".join(lines[: intent + 1]))

    page = person.open(f"/runs/{run}").text
    assert 'class="status interrupted"' in page
    asked = page.split("Was it done?")[1].split("</form>")[0]
    assert "<code>&#34;srv-cabc12345678&#34;</code>" in asked
    assert person.send(f"/runs/{run}/resume").status_code == 409
    assert person.send(f"/runs/{run}/resume", number="2", **{"choice-2": "done"}).url == f"{pages.url}/runs/{run}"
    settled(person, run, "done")


def test_a_damaged_recording_is_shown_as_such(pages: Pages, person: Person) -> None:
    """A recording that cannot be read does not hide the others, and its page says what is wrong."""
    run = pages.record("acme", "print(1)")
    tenant = pages.tenants.get("acme")
    assert tenant
    Path(tenant.runtime.store.place(run).name).write_bytes(b"garbage\n")

    assert run[:8] in person.open("/runs?status=damaged").text
    assert 'aria-label="Error"' in person.open(f"/runs/{run}").text
    assert person.open(f"/runs/{run}/output").status_code == 404
    for section in SECTIONS:
        assert person.open(f"/{section}").status_code == 200


def test_a_script_is_shown_with_its_invisible_characters(pages: Pages, person: Person) -> None:
    """As codes, on the page of its run and in the playground, so that a person decides about what will run."""
    run = pages.record("acme", "-- a\u202eb \x1b[2K c\nprint(1)", "turned.lua")
    for path in (f"/runs/{run}", f"/playground?run={run}"):
        text = person.open(path).text
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert r"a\u202eb \u001b[2K c" in text


def test_a_plan_is_shown_applied_in_part_and_denied(pages: Pages, person: Person) -> None:
    """The list leads to it; numbers that are none decide nothing; and once applied it is not offered again."""
    tenant = pages.tenants.get("acme")
    assert tenant
    made = [tenant.runtime.plan(RESTART, client="an agent") for _ in range(2)]
    for plan in made:
        tenant.runtime.plans.keep(plan)
    first, second = (f"/plans/{plan.id}" for plan in made)
    number = made[0].writes[0].number

    assert f'href="{first}"' in person.open("/plans").text
    assert 'href="/plans" aria-current="page"' in person.open(first).text
    assert "1 to change, 0 to destroy." in person.open(first).text
    assert person.send(first, on=first, decision="apply", without="some").status_code == 409
    assert f'name="without" value="{number}"' in person.open(first).text
    applied = person.send(first, on=first, decision="apply", without=str(number))
    assert applied.url.rpartition("/")[0].endswith("/runs")
    assert 'value="apply"' not in person.open(first).text
    assert person.send(second, on=second, decision="deny").status_code == 200
    assert person.open(second).status_code == 404


def test_a_plan_of_many_calls_is_shown_in_parts(pages: Pages, person: Person) -> None:
    """Each function begins with a few of its calls; others are a click away, and calls to leave out stay marked."""
    tenant = pages.tenants.get("acme")
    assert tenant
    plan = tenant.runtime.plan(DELETE)
    one, other = plan.writes
    plan.calls[:] = [replace(one, number=number, arguments={"a": f"{number:x}" * 1500}) for number in range(3, 5003)]
    plan.calls.append(other)
    tenant.runtime.plans.keep(plan)
    path = f"/plans/{plan.id}"

    shown = person.open(path)
    assert len(gzip.compress(shown.content, 5)) < 60_000
    assert "5,000 calls" in shown.text
    assert "1 to 25 of 5,000" in shown.text
    assert f'name="without" value="{other.number}"' in shown.text
    after = person.send(path, on=path, show="0.25", without=["3", "60"]).text
    assert "26 to 75 of 5,000" in after
    assert re.search(r'value="60" checked', after)
    assert '<input type="hidden" name="without" value="3">' in after
    assert "1 call not shown here will be left out" in after
    back = person.send(path, on=path, show="all", without="3, 60").text
    assert re.search(r'value="3" checked', back)
    assert '<input type="hidden" name="without" value="60">' in back
    assert f"{3:x}" * 1500 in person.open(f"{path}?call=3").text
    assert person.open(f"{path}?call=2").status_code == 404


def test_a_long_value_that_a_call_replaces_says_that_it_goes_on() -> None:
    """So a person sees that it is not the whole."""
    parts = environment().get_template("parts.html").module
    shown = parts.argument_list({"note": "new"}, {}, {"note": "x" * 700})  # type: ignore[attr-defined]
    assert "x …</code></del>" in shown
