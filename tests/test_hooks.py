"""Hooks: services call, prove that it is them, and a script runs once for each delivery."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from starlette.requests import Request
from support.page import Pages, Person, served, token_of
from support.servers import wait_for

from kosmolua.errors import ConfigError
from kosmolua.secret import Secret
from kosmolua.serve.work.hooks import routes
from kosmolua.serve.work.settings import FRESH, HookSecret, HookSettings, WorkSettings
from kosmolua.serve.work.signatures import Forged, verify

GITHUB = "It's a Secret to Everybody"
SLACK = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STRIPE = "whsec_test_secret"
STRIPE_BODY = b'{\n  "id": "evt_test_webhook",\n  "object": "event"\n}'


def stripe_header(at: int) -> str:
    """Return the header as the tests of Stripe's libraries make it."""
    signed = hmac.new(STRIPE.encode(), b"%d." % at + STRIPE_BODY, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"


EXAMPLES: dict[str, tuple[str, Mapping[str, str], bytes, float, tuple[str, ...]]] = {
    "github": (
        GITHUB,
        {
            "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        },
        b"Hello, World!",
        0.0,
        (
            "signature/757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            "delivery/72d3162e-cc78-11e3-81ab-4c9367dc0958",
        ),
    ),
    "slack": (
        SLACK,
        {
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            "x-slack-request-timestamp": "1531420618",
        },
        SLACK_BODY,
        1531420618.0,
        ("signature/v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",),
    ),
    "standard": (
        STANDARD,
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= "
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        1614265330.0,
        ("delivery/msg_p5jXN8AQM9LWM0D4loKWxJek",),
    ),
    "stripe": (
        STRIPE,
        {"stripe-signature": stripe_header(1492774577)},
        STRIPE_BODY,
        1492774577.0,
        ("delivery/evt_test_webhook",),
    ),
    "bearer": (
        "a-token-of-a-service",
        {"authorization": "Bearer a-token-of-a-service", "idempotency-key": "k-1"},
        b"{}",
        0.0,
        ("key/k-1",),
    ),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_published_example_verifies(kind: str) -> None:
    """With the id under which the delivery runs once."""
    secret, headers, body, now, ids = EXAMPLES[kind]
    assert verify(kind, secret, headers, body, now) == ids


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_wrong_one_does_not(kind: str) -> None:
    """Another secret, another body where it is signed, and a header that is missing or broken."""
    secret, headers, body, now, _ = EXAMPLES[kind]
    with pytest.raises(Forged):
        verify(kind, base64.b64encode(b"another").decode(), headers, body, now)
    if kind != "bearer":
        with pytest.raises(Forged):
            verify(kind, secret, headers, body + b" ", now)
    for name in headers:
        if name in ("x-github-delivery", "idempotency-key"):
            continue
        for broken in ("", "x", "v1,\u00e9", headers[name].replace("v1=", "v1=0")[:-1] + "!"):
            with pytest.raises(Forged):
                verify(kind, secret, {**headers, name: broken}, body, now)


@pytest.mark.parametrize("kind", ["slack", "standard", "stripe"])
@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_one_does_not(kind: str, seconds: float) -> None:
    """Whose time is more than five minutes away; a minute of skew is nothing."""
    secret, headers, body, now, ids = EXAMPLES[kind]
    with pytest.raises(Forged, match="too old"):
        verify(kind, secret, headers, body, now + seconds)
    assert verify(kind, secret, headers, body, now + seconds / 5) == ids


@pytest.mark.parametrize("at", ["9" * 400, "9" * 5000, "nan", "-1", ""])
def test_one_without_a_sensible_time_does_not(at: str) -> None:
    """However long the number is."""
    secret, headers, body, now, _ = EXAMPLES["slack"]
    with pytest.raises(Forged):
        verify("slack", secret, {**headers, "x-slack-request-timestamp": at}, body, now)


def test_a_hook_of_several_tenants_names_none_of_them() -> None:
    """As anybody can ask."""
    work = WorkSettings(hooks={"push": HookSettings("push", "hook", "github", GITHUB)})
    tenants: Any = [SimpleNamespace(name=each, work=work) for each in ("acme", "globex")]
    receive: Any = routes(tenants)[0]
    asked = Request({"type": "http", "path_params": {"name": "push"}, "headers": []})
    answer = asyncio.run(receive.endpoint(asked))
    assert answer.status_code == 404
    assert b"call /hooks/TENANT/push" in answer.body
    assert b"acme" not in answer.body


def test_a_delivery_that_breaks_off_is_no_fault() -> None:
    """As of a service that has waited too long: nothing runs, and the server goes on."""

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    class Served(list[Any]):
        settings = SimpleNamespace(max_request=1000)

    work = WorkSettings(hooks={"push": HookSettings("push", "hook", "github", GITHUB)})
    tenants: Any = Served([SimpleNamespace(name="acme", work=work)])
    route: Any = routes(tenants)[0]
    asked = Request({"type": "http", "path_params": {"name": "push"}, "headers": []}, receive)
    assert asyncio.run(route.endpoint(asked)).status_code == 400


def test_a_rotated_secret_needs_no_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read from its source again, but not for each delivery; while there is none, none is accepted."""
    there, now = ["one"], [0.0]
    monkeypatch.setattr("kosmolua.serve.work.settings.monotonic", lambda: now[0])

    def read() -> Secret:
        if not there:
            raise ConfigError("The file with the secret cannot be read")
        return Secret(there[0])

    secret = HookSecret(read)
    there[0] = "two"
    assert secret.now().reveal() == "one"
    now[0] = FRESH + 1
    assert secret.now().reveal() == "two"
    there.clear()
    now[0] *= 3
    for _ in range(2):
        with pytest.raises(ConfigError):
            secret.now()
    there.append("three")
    now[0] *= 2
    assert secret.now().reveal() == "three"


SECTIONS = f"""
[schedules.nightly]
script = "report"
cron = "0 3 * * *"
timezone = "Europe/Berlin"

[hooks.push]
script = "hook"
signature = "github"
secret = "{GITHUB}"

[hooks.chat]
script = "hook"
signature = "slack"
secret = "{SLACK}"

[hooks.deploy]
script = "hook"
signature = "bearer"
secret = "the-secret-of-the-deploy-hook"
"""


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """A server with hooks, whose script prints what it gets."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "hook.lua").write_text("print(json.encode(input)) return input.body")
    (tmp_path / "scripts" / "report.lua").write_text('print("reported")')
    with served(tmp_path, "acme", accounts=SECTIONS, tenant='scripts = "scripts"\n') as pages:
        yield pages


def deliver(pages: Pages, hook: str, body: bytes, **headers: str) -> requests.Response:
    """Call a hook."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(f"{pages.url}/hooks/{hook}", data=body, headers=named, timeout=60)


def printed(pages: Pages, run: str) -> Any:
    """Wait until a run is over, and return what it printed, as a JSON value."""
    tenant = pages.tenants.get("acme")
    assert tenant
    store = tenant.runtime.store
    wait_for(lambda: any(each.status == "done" for each in store.runs(beginning=run)), 60)
    return json.loads(tenant.runtime.replay(store.read(run)).output)


def signed(body: bytes, secret: str = GITHUB) -> str:
    """Return GitHub's signature of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.slow
def test_a_delivery_runs_the_script_once(pages: Pages) -> None:
    """With its headers but those that hold a credential, and its body; when it is repeated, nothing runs."""
    body = b'{"action": "opened", "labels": []}'
    headers = {
        "X-Hub-Signature-256": signed(body),
        "X-GitHub-Delivery": "d-1",
        "X-GitHub-Event": "issues",
        "Authorization": "Bearer something",
        "Cookie": "a=b",
        "Cf-Access-Jwt-Assertion": "eyJ.of.the.proxy",
        "X-Amzn-Oidc-Data": "eyJ.of.the.proxy",
    }
    answer = deliver(pages, "push", body, **headers)
    assert answer.status_code == 202, answer.text
    run = answer.json()["run"]
    given = printed(pages, run)
    assert given["body"] == {"action": "opened", "labels": []}
    assert given["headers"]["x-github-event"] == "issues"
    hidden = {"authorization", "cookie", "x-hub-signature-256", "cf-access-jwt-assertion", "x-amzn-oidc-data"}
    assert not hidden & given["headers"].keys()
    for again in (headers, {**headers, "X-GitHub-Delivery": "d-2"}):
        repeated = deliver(pages, "acme/push", body, **again)
        assert (repeated.status_code, repeated.json()) == (202, {"run": run, "repeated": True})
    other = b'{"action": "closed"}'
    forged = {**headers, "X-Hub-Signature-256": signed(other)}
    assert deliver(pages, "push", other, **forged).json()["repeated"] is True, "the id was there"


@pytest.mark.slow
def test_a_delivery_that_is_not_signed_runs_nothing(pages: Pages) -> None:
    """Nor does one of a hook that is not there, or one that is too large; the answer says why."""
    answer = deliver(pages, "push", b"{}", **{"X-Hub-Signature-256": signed(b"{}", "another")})
    assert answer.status_code == 401
    assert "the signature is wrong" in answer.text
    assert "Nothing was run." in answer.text
    assert GITHUB not in answer.text
    assert deliver(pages, "nothing", b"{}").status_code == 404
    assert deliver(pages, "globex/push", b"{}").status_code == 404
    large = b"x" * (4 * 1024 * 1024 + 1)
    assert deliver(pages, "push", large, **{"X-Hub-Signature-256": signed(large)}).status_code == 413


@pytest.mark.slow
def test_a_text_that_is_no_json_arrives_as_text(pages: Pages) -> None:
    """And each delivery without an id runs."""
    token = {"Authorization": "Bearer the-secret-of-the-deploy-hook"}
    runs = [deliver(pages, "deploy", b"done: \xff", **token).json()["run"] for _ in range(2)]
    assert [printed(pages, run)["body"] for run in runs] == ["done: \ufffd"] * 2


@pytest.mark.slow
def test_slack_is_told_that_the_address_is_right(pages: Pages) -> None:
    """With the text that it sends when the address is set up."""
    at = str(int(time.time()))
    body = b'{"type": "url_verification", "challenge": "c-1"}'
    signature = "v0=" + hmac.new(SLACK.encode(), b"v0:%s:%s" % (at.encode(), body), hashlib.sha256).hexdigest()
    headers = {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": at}
    assert deliver(pages, "chat", body, **headers).json() == {"challenge": "c-1"}


@pytest.mark.slow
def test_people_see_and_run_schedules(pages: Pages) -> None:
    """When each runs next, how the last run ended; they can run one now, pause it or a hook, and let it run again."""
    person = Person(pages.url, "acme")
    listed = person.open("/schedules").text
    assert "0 3 * * * (Europe/Berlin)" in listed
    assert "POST /hooks/acme/push (github)" in listed
    page = "/schedules/schedule/nightly"
    assert "No runs yet" in person.open(page).text
    assert "by hand" in person.send(page, on=page, decision="run").text
    wait_for(lambda: "done" in person.open(page).text, 60)
    assert "and is paused" in person.send(page, on=page, decision="pause").text
    assert "and is paused" not in person.send(page, on=page, decision="end").text
    hook = "/schedules/hook/push"
    assert "and is paused" in person.send(hook, on=hook, decision="pause").text
    assert "and is paused" not in person.send(hook, on=hook, decision="end").text
    assert person.open("/schedules/schedule/nothing").status_code == 404
    assert 'kosmolua_tasks_total{source="schedule",status="done"} 1.0' in person.open("/metrics").text


@pytest.mark.slow
def test_programs_see_run_and_pause_schedules(pages: Pages) -> None:
    """By the HTTP API, with the token of the tenant; a name that is not there is refused."""

    def ask(method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {token_of('acme')}"}
        return requests.request(method, f"{pages.url}/api{path}", json=body, headers=headers, timeout=60)

    listed = ask("GET", "/schedules").json()
    assert [each["name"] for each in listed["schedules"]] == ["nightly"]
    assert [each["name"] for each in listed["hooks"]] == ["chat", "deploy", "push"]
    run = ask("POST", "/schedules/nightly/run").json()["run"]
    tenant = pages.tenants.get("acme")
    assert tenant
    wait_for(lambda: any(each.status == "done" for each in tenant.runtime.store.runs(beginning=run)), 60)
    for path, kind in (("/schedules/nightly/pause", "schedules"), ("/hooks/chat/pause", "hooks")):
        for paused in (True, False):
            assert ask("POST", path, {} if paused else {"paused": False}).json()["paused"] is paused
            assert ask("GET", "/schedules").json()[kind][0]["paused"] is paused
    for path in ("/schedules/push/pause", "/schedules/nothing/run", "/hooks/nightly/pause"):
        assert ask("POST", path).status_code == 404
