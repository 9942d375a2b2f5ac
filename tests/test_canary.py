"""Canaries: no secret stands in anything that is kept of a run, in whatever spelling."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict
from urllib.parse import quote, quote_plus

import pytest

from kosmolua import Runtime, UnderWay
from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli.waterfall import bars_of, page
from kosmolua.plugin import Api, Integration, Request, Response, Secret, Send
from kosmolua.recordings.recording import read
from kosmolua.runs.session import Session
from kosmolua.stores.opening import open_stores
from kosmolua.testing import answer

CANARIES = {
    "account": "acc/key+of the?account==&1",
    "spare": "second/key+of the?other~account",
    "option": "opt/secret+given by?option%2",
    "result": "res/secret+of a?result<3>",
}
SCRIPT = """
local vault = app.integrations.vault
print(vault.echo({{ text = secrets.token }}))
local door = vault.open_door({{ to = "front" }})
print(door, secrets.token, vault.echo({{ text = door.key }}).spellings[1])
vault.spare.echo({{ text = "x" }})
print(pcall(vault.refuses, {{ value = {{ key = door.key, [{literal}] = 1 }} }}))
vault.put({{ value = {{ secrets.token, door.key, {literal} }} }})
vault.put({{ value = vault.echo({{ text = door.key }}) }})
vault.refuses({{ value = door.key, note = "Basic {basic}" }})
"""


class Door(TypedDict):
    """A door, with its key."""

    key: Secret


@dataclass(frozen=True)
class Account:
    """Whoever has a key to the vault."""

    api_key: Annotated[Secret, "The key."]

    def open(self, send: Send) -> Api:
        return Api(send, "https://vault.example", bearer=self.api_key)


def vault() -> Integration:
    """Return an integration that gives secrets, and whose service repeats what it was sent."""
    integration = Integration("vault", Account, about="A vault.")

    @integration.reads
    def echo(api: Api, /, *, text: str) -> Any:
        """Repeat what was sent."""
        return api.get("/echo", query={"text": text})

    @integration.reads
    def open_door(api: Api, /, *, to: str) -> Door:
        """Open a door."""
        return {"key": CANARIES["result"]}  # type: ignore[typeddict-item]

    @integration.writes
    def put(api: Api, /, *, value: Any) -> Any:
        """Put something into it."""
        return api.post("/things", json=value)

    @integration.writes
    def refuses(api: Api, /, *, value: Any, note: str = "") -> Any:
        """Refuse what was sent, with it in the reason."""
        return api.post("/refused", json=value, query={"note": note})

    return integration


def spellings(text: str) -> list[str]:
    """Return the ways in which something may stand in a file, beside itself."""
    raw = text.encode()
    found = [text]
    for before in range(3):  # what is the same whatever goes before and after
        inside = slice(-(-before * 4 // 3), (before + len(raw)) * 4 // 3)
        found += [how(bytes(before) + raw).decode()[inside] for how in (b64encode, urlsafe_b64encode)]
    found += [quote(text), quote(text, safe=""), quote_plus(text), quote(quote(text, safe=""), safe=""), raw.hex()]
    return [*found, json.dumps(text)[1:-1]]


def service(request: Request) -> Response:
    """Answer with all that came, and with every spelling of the secrets in it."""
    headers = {name: value.reveal() if isinstance(value, Secret) else value for name, value in request.headers.items()}
    sent = {"headers": headers, "url": request.url, "query": [[name, str(value)] for name, value in request.query]}
    sent["body"] = (request.content or b"").decode()
    here = [canary for canary in CANARIES.values() if canary in str(sent)]
    known = [spelled for canary in here for spelled in spellings(canary)]
    known += [
        b64encode(before + canary.encode() + b"after").decode() for canary in here for before in (b"", b"x", b"xx")
    ]
    return answer(400 if request.url.endswith("/refused") else 200, {**sent, "spellings": known, "message": str(sent)})


@pytest.fixture
def backend() -> Canned:
    """The service."""
    return Canned(lambda account: service)


@pytest.fixture
def open_runtime(backend: Canned) -> Iterator[Any]:
    """Return a function that opens a runtime with the vault, and with a secret that scripts may use."""
    opened: list[Runtime] = []

    def open_runtime(write: str = "allow", **options: Any) -> Runtime:
        named = {"default": "work", "permissions": {"write": write}}
        accounts: dict[str, Any] = {"work": {"api_key": CANARIES["account"]}, "spare": {"api_key": {"env": "SPARE"}}}
        given: dict[str, Any] = {"plugins": Plugins([vault()], places=(), entry_points=dict), "backend": backend}
        given |= {"environ": {"SPARE": CANARIES["spare"]}, "secrets": {"token": Secret(CANARIES["option"])}}
        opened.append(Runtime({"vault": {**accounts, **named}}, **given, **options))
        return opened[-1]

    yield open_runtime
    for runtime in opened:
        runtime.close()


@pytest.fixture
def script() -> str:
    """A script that passes secrets on, gets them back, and holds some itself."""
    literal = json.dumps(f"mine: {CANARIES['account']} and {CANARIES['spare']}")
    return SCRIPT.format(literal=literal, basic=b64encode(f"ann:{CANARIES['account']}".encode()).decode())


def assert_clean(kept: str | bytes) -> None:
    """Assert that nothing of a secret stands in a text, and that it was masked."""
    text = kept.decode("utf-8", "replace") if isinstance(kept, bytes) else kept
    for name, canary in CANARIES.items():
        for spelled in spellings(canary):
            assert spelled.lower() not in text.lower(), (name, spelled)
    assert "***" in text


@pytest.mark.slow
def test_no_secret_stands_in_a_recording_or_on_its_page(
    open_runtime: Any, backend: Canned, script: str, tmp_path: Path
) -> None:
    """Neither of an account, an option or a result, while the service got them all."""
    file = tmp_path / "run.jsonl"
    outcome = open_runtime().run(script, record=file, input={"k": CANARIES["account"]}, args=[CANARIES["option"]])
    assert outcome.error
    assert outcome.error.code == "api_error"
    assert all(canary in str(backend.requests) for canary in CANARIES.values())

    assert_clean(file.read_bytes())
    assert_clean(page(read(file)))
    assert_clean(str([vars(bar) for bar in bars_of(read(file))]))
    assert_clean(str(outcome.to_json()))


@pytest.mark.slow
def test_no_secret_stands_in_a_pause_and_what_was_decided(open_runtime: Any, script: str, tmp_path: Path) -> None:
    """Neither in what waits for an approval, nor in what a person says that a call has returned."""
    stores = open_stores(f"sqlite:///{tmp_path}/runs.db")
    store = stores.of("acme")
    runtime = open_runtime("ask", store=store)
    paused = runtime.run(script, record=True)
    assert paused.status == "paused", paused.error
    assert_clean(str(store.waiting()))
    assert_clean(str(paused.error.report()))

    approved = open_runtime("ask", store=store)
    outcome = approved.resume(store.read(paused.run), approve=True)
    while outcome.status == "paused":
        assert_clean(str(store.waiting()))
        outcome = approved.resume(store.read(paused.run), approve=True)
    assert outcome.error
    stores.close()
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        tables = ("recordings", "lines", "questions")
        rows = [row for table in tables for row in connection.execute(f"select * from kosmolua_{table}")]
    assert len(rows) > 12
    for row in rows:
        for cell in row:
            assert_clean(f"***{cell.decode() if isinstance(cell, bytes) else cell}")
    assert_clean((tmp_path / "runs.db").read_bytes())


@pytest.mark.slow
def test_no_secret_stands_in_what_a_person_decided(open_runtime: Any, backend: Canned, tmp_path: Path) -> None:
    """A write that is taken for done, with a secret as its result."""
    file = tmp_path / "run.jsonl"
    runtime = open_runtime()
    source = "print(app.integrations.vault.put({ value = secrets.token }))"
    runtime.run(source, record=file)
    lines = [line for line in file.read_bytes().splitlines(keepends=True) if not line.startswith(b'{"event":"end"')]
    intent = next(number for number, line in enumerate(lines) if line.startswith(b'{"event":"intent"'))
    file.write_bytes(b"".join(lines[: intent + 1]))
    with pytest.raises(UnderWay) as told:
        runtime.resume(file)
    assert_clean(str(told.value.report()))
    number = told.value.calls[0]["number"]
    outcome = runtime.resume(file, done={number: {"key": CANARIES["account"], "and": CANARIES["option"]}})
    assert outcome.ok, outcome.error
    assert_clean(file.read_bytes())
    assert_clean(outcome.output)


@pytest.mark.slow
def test_no_secret_stands_in_a_plan(open_runtime: Any, script: str, tmp_path: Path) -> None:
    """Neither in its file, nor in what is shown of it, before and after it is applied, or if it is refused."""
    runtime = open_runtime()
    refused = runtime.plan(script.replace("local door", "door"))
    refused.save(tmp_path / "refused.json")
    assert refused.refused
    assert_clean((tmp_path / "refused.json").read_bytes())
    assert_clean(str([refused.to_json(), refused.outcome.to_json()]))

    plan = runtime.plan(SCRIPT.format(literal='"mine"', basic="mine").replace("local door", "door"))
    plan.save(tmp_path / "plan.json")
    assert len(plan.calls) == 4
    assert_clean((tmp_path / "plan.json").read_bytes())
    assert_clean(str(plan.to_json()))
    assert_clean(str(plan.outcome.to_json()))
    outcome = runtime.apply(plan, record=tmp_path / "applied.jsonl")
    plan.save(tmp_path / "plan.json")
    assert_clean((tmp_path / "plan.json").read_bytes())
    assert_clean((tmp_path / "applied.jsonl").read_bytes())
    assert_clean(str([*outcome.warnings, outcome.to_json()]))


@pytest.mark.slow
def test_no_secret_stands_in_a_recorded_session(open_runtime: Any, tmp_path: Path) -> None:
    """Also one that a chunk holds and that becomes known only later."""
    runtime = open_runtime()
    with Session(runtime.run) as session:
        path = runtime.record_session(session, tmp_path / "session.jsonl")
        session.evaluate(f"mine = {json.dumps(CANARIES['spare'])}")
        session.evaluate("door = app.integrations.vault.open_door({ to = 'front' })")
        session.evaluate("door.key, door")
        last = session.evaluate("app.integrations.vault.spare.echo({ text = 'x' })")
        assert last.outcome.ok, last.outcome.error
    assert_clean(Path(path).read_bytes())
    assert_clean(page(read(path)))
