"""Sessions: a script logs in to a service, works with the token that it never sees, and logs out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from support.documents import Reply, Sent, Service

from kosmolua import ConfigError, Runtime
from kosmolua.stores.folder_store import Folder

pytestmark = pytest.mark.slow

TOKENS = {name: f"tok-{name[:3]}-4f1d9c27ab" for name in ("ann", "bob@example.com")}
CALLS = 27
WORK = '[shop]\npermissions = { write = "allow" }\n[shop.work]\n'
LOGIN = 'app.integrations.shop.log_in({ username = "ann", password = "pass-of-ann" })'


def document(url: str, **more: Any) -> dict[str, Any]:
    """Return a document of thirty operations: log_in, log_out, whoami, and others that all need the login's token."""
    text = {"schema": {"type": "object", "properties": {"by": {"type": "string"}, "api_key": {"type": "string"}}}}
    good = {"200": {"description": "ok", "content": {"application/json": text}}}
    paths: dict[str, Any] = {"/logout": {"post": {"operationId": "logOut", "responses": good}}}
    paths |= {"/me": {"get": {"operationId": "whoami", "responses": good}}}
    for number in range(CALLS):
        paths[f"/items{number}"] = {"get": {"operationId": f"items{number}", "responses": good}}
    form = {"type": "object", "properties": {"username": {"type": "string"}, "password": {"type": "string"}}}
    kind = "application/x-www-form-urlencoded"
    body = {"content": {kind: {"schema": {**form, "required": ["username", "password"]}}}}
    untyped = {"200": {"description": "ok", "content": {"application/json": {"schema": {}}}}}
    paths["/token"] = {"post": {"operationId": "logIn", "security": [], "requestBody": body, "responses": untyped}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": url}],
        "components": {"securitySchemes": {"login": {"type": "oauth2", "flows": {"password": {"tokenUrl": "token"}}}}},
        "security": [{"login": []}],
        "paths": paths,
        **more,
    }


class Shop:
    """A service whose functions need the token of a login."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.service = Service(self.answer)

    def answer(self, sent: Sent) -> Reply:
        """Log in, log out, or say whose token a request has."""
        if sent.target == "/token":
            name = parse_qs(sent.body.decode())["username"][0]
            self.tokens[TOKENS[name]] = name
            return Reply({"access_token": TOKENS[name], "token_type": "bearer", "user": {"name": name}})
        token = sent.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return Reply({"detail": "not logged in"}, status=401)
        name = self.tokens.pop(token) if sent.target == "/logout" else self.tokens[token]
        return Reply({"by": name, "api_key": f"key-of-{name}-8812"})


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop that answers on loopback."""
    made = Shop()
    yield made
    made.service.close()


def runtime_of(folder: Path, given: dict[str, Any], accounts: str = WORK, **options: Any) -> Runtime:
    """Return a runtime with a document as its integration ``shop``."""
    file = folder / "shop.openapi.json"
    file.write_text(json.dumps(given))
    (folder / "accounts.toml").write_text(accounts)
    return Runtime(plugins=[file], accounts=folder / "accounts.toml", **options)


def test_a_script_logs_in_works_and_logs_out(shop: Shop, tmp_path: Path) -> None:
    """Each session is the account with its own login, and a call after the logout raises session_expired."""
    script = """
    local shop = app.integrations.shop
    local ann = shop.session(shop.log_in({ username = "ann", password = "pass-of-ann" }))
    local bob = shop.work.session(shop.log_in({ username = "bob@example.com", password = "pass-of-bob" }))
    local by = { ann.items1().by, bob.items2().by, ann.items3().by, tostring(ann) }
    ann.log_out()
    local ok, err = pcall(ann.items4)
    return by, { ok, err.code, bob.whoami().by }
    """
    with runtime_of(tmp_path, document(shop.service.url)) as runtime:
        outcome = runtime.run(script)
    assert outcome.result == [
        ["ann", "bob@example.com", "ann", "app.integrations.shop.work/ann"],
        [False, "session_expired", "bob@example.com"],
    ], outcome.error
    assert [call["account"] for call in outcome.calls if call["path"] == "shop.items2"] == ["work/bob"]


def test_nobody_sees_the_token(shop: Shop, tmp_path: Path) -> None:
    """It is in no output, recording, journal or argument, though the script tries to show it."""
    script = f"""
    local login = {LOGIN}
    local ann = app.integrations.shop.session(login)
    for i = 1, {CALLS - 1} do ann["items" .. i]() end
    print(login.access_token, json.encode(login.user), ann, ann.whoami().api_key)
    ann.log_out()
    return pcall(error, login.access_token)
    """
    seen: list[Any] = []
    with runtime_of(tmp_path, document(shop.service.url), journal=tmp_path / "journal.jsonl") as runtime:
        outcome = runtime.run(script, record=tmp_path / "run.jsonl", watch=seen.append)
        replayed = runtime.replay(tmp_path / "run.jsonl")
    assert outcome.ok, outcome.error
    assert len(shop.service.sent) == CALLS + 2
    kept = [file.read_text(errors="replace") for file in tmp_path.iterdir() if file.suffix == ".jsonl"]
    everything = "\n".join([outcome.output, repr(outcome), repr(seen), *kept])
    assert TOKENS["ann"] not in everything
    assert "key-of-ann-8812" not in everything
    assert "work/ann" in "".join(kept)
    assert replayed.output == outcome.output


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (Reply({"jwt": TOKENS["ann"], "name": "ann"}), "full.body.jwt"),
        (Reply({"name": "ann"}, headers={"X-Auth-Token": TOKENS["ann"]}), 'full.headers["x-auth-token"]'),
    ],
)
def test_a_whole_reply_shows_no_token(shop: Shop, tmp_path: Path, answer: Reply, place: str) -> None:
    """With ``reply = "full"`` a login's token is a secret too, be it in the body or in a header."""
    given = document(shop.service.url)
    schema = {"type": "object", "properties": {"jwt": {"type": "string"}, "name": {"type": "string"}}}
    content = {"application/json": {"schema": schema}}
    given["paths"]["/token"]["post"]["responses"] = {"200": {"description": "ok", "content": content}}
    shop.service.answer = lambda sent: answer
    script = f"local full = {LOGIN.replace(' })', ', reply = [[full]] })')} return tostring({place}), full.body.name"
    with runtime_of(tmp_path, given) as runtime:
        outcome = runtime.run(script, record=tmp_path / "run.jsonl")
    assert outcome.result == ["***", "ann"], outcome.error
    assert TOKENS["ann"] not in (tmp_path / "run.jsonl").read_text()


def test_a_result_with_secrets_is_never_another_media_type(shop: Shop, tmp_path: Path) -> None:
    """Secrets are found in JSON alone, so nothing is sent."""
    shop.service.answer = lambda sent: Reply(f"<token>{TOKENS['ann']}</token>")
    xml = ", extra = { headers = { Accept = [[application/xml]] } } })"
    with runtime_of(tmp_path, document(shop.service.url)) as runtime:
        outcome = runtime.run(f"return {LOGIN.replace(' })', xml)}")
    assert "extra cannot set 'Accept', since secrets in its result" in str(outcome.error)
    assert "Nothing was sent" in str(outcome.error)


def test_a_token_that_the_document_does_not_describe_is_a_secret(shop: Shop, tmp_path: Path) -> None:
    """A function without a described result has fields named as credentials are, and these are secrets."""
    given = document(shop.service.url)
    given["paths"]["/me"]["get"] |= {"responses": {"200": {"description": "ok"}}, "security": []}
    shop.service.answer = lambda sent: Reply({"by": "ann", "all": [{"access_token": TOKENS["ann"]}]})
    with runtime_of(tmp_path, given) as runtime:
        outcome = runtime.run("local me = app.integrations.shop.whoami() return me")
    assert outcome.result == [{"by": "ann", "all": [{"access_token": "***"}]}], outcome.error


def test_an_error_shows_no_token(shop: Shop, tmp_path: Path) -> None:
    """A credential in the body of an error is masked, and what the body says about one is not."""
    body = {
        "data": {"access_token": TOKENS["ann"]},
        "password": "too_short_a_password",
        "detail": f"{TOKENS['ann']} is old",
    }
    shop.service.answer = lambda sent: Reply(body, status=409)
    with runtime_of(tmp_path, document(shop.service.url)) as runtime:
        outcome = runtime.run(f"local _, err = pcall(function() {LOGIN} end) return err.body, err.message")
    shown = {"data": {"access_token": "***"}, "password": "too_short_a_password", "detail": "*** is old"}
    assert outcome.result[0] == shown, outcome.error
    assert TOKENS["ann"] not in outcome.result[1]


ELSEWHERE = """
local shop = app.integrations.shop
local login = shop.work.log_in({ username = "ann", password = "pass-of-ann" })
local _, err = pcall(shop.home.session, login)
local _, plain = pcall(shop.work.session, { login = "a text of the script" })
local _, none = pcall(shop.work.session, { user = "ann" })
local _, named = pcall(shop.work.session, { login = secrets.mine })
return { err.code, err.param }, { plain.code, plain.param }, none.code, named.code
"""


def test_a_session_takes_only_what_its_own_account_returned(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login of another account, a text, a named secret, and a table without a credential are refused."""
    monkeypatch.setenv("MINE", "a-secret-of-the-user")
    accounts = f"{WORK}[shop.home]\n"
    schemes = {"login": {"type": "apiKey", "in": "header", "name": "Authorization"}}
    given = document(shop.service.url, components={"securitySchemes": schemes})
    (tmp_path / "shop.openapi.toml").write_text('[session]\nlogin = ["logIn"]\ntoken = "access_token"\n')
    with runtime_of(tmp_path, given, accounts, secrets={"mine": "env:MINE"}) as runtime:
        outcome = runtime.run(ELSEWHERE)
    refused = ["bad_arguments", "login"]
    assert outcome.result == [refused, refused, "bad_arguments", "bad_arguments"], outcome.error
    assert len(shop.service.sent) == 1


def test_a_refused_token_ends_the_session(shop: Shop, tmp_path: Path) -> None:
    """A 401 raises session_expired with its status, and so does the next call, without a request."""
    script = f"""
    local ann = app.integrations.shop.session({LOGIN})
    ann.items1()
    ann.items2()
    """
    with runtime_of(tmp_path, document(shop.service.url)) as runtime:
        shop.service.answer = lambda sent: Reply({}, 401) if sent.target == "/items2" else shop.answer(sent)
        caught = "local r = { pcall(ann.items2) }; local s = { pcall(ann.items1) }; return r[2].status, s[2].code"
        outcome = runtime.run(script.replace("ann.items2()", caught))
    assert outcome.result == [401, "session_expired"], outcome.error
    assert len(shop.service.sent) == 3


def test_without_a_login_nothing_is_sent(shop: Shop, tmp_path: Path) -> None:
    """An account without a credential can log in, and every other call is refused with the way to do so."""
    with runtime_of(tmp_path, document(shop.service.url)) as runtime:
        outcome = runtime.run("app.integrations.shop.items1()")
    assert "session(...) of the result of log_in" in str(outcome.error)
    assert not shop.service.sent


def test_permissions_hold_in_a_session(shop: Shop, tmp_path: Path) -> None:
    """What the account denies, its sessions deny."""
    accounts = f'{WORK}permissions = {{ items1 = "deny" }}\n'
    with runtime_of(tmp_path, document(shop.service.url), accounts) as runtime:
        outcome = runtime.run(f"local ann = app.integrations.shop.session({LOGIN}); ann.items2(); ann.items1()")
    assert outcome.error
    assert outcome.error.code == "denied"


def test_a_pattern_for_an_account_holds_in_a_session(shop: Shop, tmp_path: Path) -> None:
    """As --deny of its functions would else be passed by a login."""
    with runtime_of(tmp_path, document(shop.service.url), deny=["shop.work.items1"]) as runtime:
        outcome = runtime.run(f"local ann = app.integrations.shop.session({LOGIN}); ann.items2(); ann.items1()")
    assert outcome.error
    assert outcome.error.code == "denied"
    assert 'shop.items1 is denied by deny=["shop.work.items1"]' in outcome.error.message


def test_a_pattern_can_name_a_session(shop: Shop, tmp_path: Path) -> None:
    """As that which a person always allows does; it is for this session alone."""
    accounts = f'{WORK}permissions = {{ "items*" = "ask" }}\n'
    options: dict[str, Any] = {"allow": ["shop.work/ann.items1"]}
    with runtime_of(tmp_path, document(shop.service.url), accounts) as runtime:
        by_ann, by_bob = (
            runtime.run(f"return app.integrations.shop.session({login}).items1().by", **options)
            for login in (LOGIN, LOGIN.replace("ann", "bob@example.com"))
        )
        with pytest.raises(ConfigError, match="matches no function"):
            runtime.run("", allow=["shop.work/ann.item1"])
    assert by_ann.result == ["ann"], by_ann.error
    assert by_bob.error
    assert by_bob.error.code == "denied"


def test_the_budget_of_an_account_holds_in_a_session(shop: Shop, tmp_path: Path) -> None:
    """Over all its sessions, since anybody could log in once more."""
    accounts = f'{WORK}budgets = {{ calls = {{ max = 4, per = "day" }} }}\n'
    script = f"for n = 1, 3 do local ann = app.integrations.shop.session({LOGIN}); ann.whoami() end"
    store = Folder(tmp_path / "runs")
    with runtime_of(tmp_path, document(shop.service.url), accounts, store=store) as runtime:
        outcome = runtime.run(script)
    assert outcome.error
    assert outcome.error.code == "limit_exceeded"
    assert "of [shop.work] is used up" in outcome.error.message
    assert [each.target for each in shop.service.sent] == ["/token", "/me", "/token"]


def test_the_check_knows_sessions(shop: Shop, tmp_path: Path) -> None:
    """A function that a session lacks is found before the run, and its others are not."""
    script = f"local ann = app.integrations.shop.session({LOGIN})\nann.items1()\nann.itemz2()\n"
    with runtime_of(tmp_path, document(shop.service.url)) as runtime:
        findings = runtime.checker().check(script)
    (found,) = findings.errors
    assert (found.line, "itemz2" in found.message) == (3, True)


def test_a_simulated_service_has_sessions(tmp_path: Path) -> None:
    """Login, work and logout run without a network."""
    script = f"local ann = app.integrations.shop.session({LOGIN}); ann.items1(); ann.log_out(); return tostring(ann)"
    with runtime_of(tmp_path, document("https://shop.example"), simulate=True) as runtime:
        outcome = runtime.run(script)
    assert outcome.result == ["app.integrations.shop.work/ann"], outcome.error


def test_a_resumed_run_logs_in_again(shop: Shop, tmp_path: Path) -> None:
    """A recording keeps no token: the session of an earlier run is over, and the script can begin another."""
    script = f"""
    local function login() return app.integrations.shop.session({LOGIN}) end
    local ann = login()
    ann.items1()
    local ok, err = pcall(ann.log_out)
    return err.code, login().items3().by
    """
    accounts = WORK.replace("}", ', log_out = "ask" }')
    with runtime_of(tmp_path, document(shop.service.url), accounts) as runtime:
        outcome = runtime.run(script, record=tmp_path / "run.jsonl")
        assert outcome.status == "paused", outcome.error
        resumed = runtime.resume(tmp_path / "run.jsonl", approve=True)
    assert resumed.result == ["session_expired", "ann"], resumed.error


def test_a_password_flow_without_an_operation_has_log_in(tmp_path: Path) -> None:
    """The document's token address becomes the function log_in, whose token is a secret."""
    given = document("https://shop.example")
    del given["paths"]["/token"]
    with runtime_of(tmp_path, given, simulate=True) as runtime:
        outcome = runtime.run(f"local login = {LOGIN}; return login.access_token, app.integrations.shop.session(login)")
        page = runtime.docs.read("integrations.shop.log_in")
    assert outcome.ok, outcome.error
    assert "Sends `POST /token`" in page
    assert "access_token Secret" in page


def test_an_overlay_says_where_the_token_is(shop: Shop, tmp_path: Path) -> None:
    """[session] names functions, the place of the token and the user; a name that is no function is a mistake."""
    schemes = {"login": {"type": "apiKey", "in": "header", "name": "Authorization", "description": 'Prefix "Bearer"'}}
    given = document(shop.service.url, components={"securitySchemes": schemes})
    overlay = tmp_path / "shop.openapi.toml"
    overlay.write_text('[session]\nlogin = ["POST /token"]\ntoken = "data.jwt"\nuser = "username"\n')
    shop.service.answer = lambda sent: (
        Reply({"data": {"jwt": TOKENS["ann"]}})
        if sent.target == "/token"
        else Reply({"by": sent.headers["authorization"]})
    )
    shop.tokens[TOKENS["ann"]] = "ann"
    with runtime_of(tmp_path, given) as runtime:
        outcome = runtime.run(f"return app.integrations.shop.session({LOGIN}).items1().by")
    assert outcome.result == ["Bearer ***"], outcome.error
    overlay.write_text('[session]\nlogin = ["logInn"]\n')
    with runtime_of(tmp_path, given) as runtime:
        assert "names 'logInn', which is no function" in str(runtime.run("app.integrations.shop.items1()").error)


def test_a_token_goes_nowhere_else_unasked(shop: Shop, tmp_path: Path) -> None:
    """Another integration gets it only if a person agrees, though its writes are allowed, as with --yes."""
    body = {"type": "object", "properties": {"text": {"type": "string"}}}
    post = {
        "operationId": "send",
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "ok"}},
    }
    other = document(shop.service.url, paths={"/send": {"post": post}}, security=[], components={})
    (tmp_path / "mail.openapi.json").write_text(json.dumps(other))
    given = document(shop.service.url)
    (tmp_path / "shop.openapi.json").write_text(json.dumps(given))
    allowed = {"permissions": {"write": "allow"}, "work": {}}
    plugins = [tmp_path / "shop.openapi.json", tmp_path / "mail.openapi.json"]
    with Runtime(plugins=plugins, accounts={"shop": allowed, "mail": allowed}) as runtime:
        outcome = runtime.run(f"app.integrations.mail.send({{ text = {LOGIN}.access_token }})")
    assert outcome.error
    assert outcome.error.code == "denied"
    assert "shop.log_in" in str(outcome.error)
    assert [sent.target for sent in shop.service.sent] == ["/token"]


def test_a_write_in_a_session_shows_what_it_changes(shop: Shop, tmp_path: Path) -> None:
    """What a write replaces is read with the session's token, too."""
    given = document(shop.service.url)
    schema = {"type": "object", "properties": {"by": {"type": "string"}}}
    good = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    body = {"content": {"application/json": {"schema": schema}}}
    item = {"get": {"operationId": "getItem", "responses": good}}
    item["patch"] = {"operationId": "updateItem", "requestBody": body, "responses": good}
    given["paths"]["/item"] = item
    asked: list[Any] = []
    accounts = WORK.replace("}", ', update_item = "ask" }')
    script = f"return app.integrations.shop.session({LOGIN}).update_item({{ by = 'x' }}).by"
    with runtime_of(tmp_path, given, accounts, approve=lambda each: asked.append(each) or True) as runtime:
        outcome = runtime.run(script, record=tmp_path / "run.jsonl")
    assert outcome.result == ["ann"], outcome.error
    assert asked[0].account == "work/ann"
    assert "ann" in repr(asked[0].before)
