"""All of Render: the document of facts that render2 is shipped with, and every operation of it through render2."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.documents import SHARED, Reply, Sent, serving, shared
from support.render2_account import account, answer, extended
from test_render2_spec import CALLS

from kosmolua import CallError, Runtime
from kosmolua.openapi.samples import Samples
from kosmolua.openapi.store import DocumentStore, Home
from kosmolua.plugin import Request, Response

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "openapi_facts.py"
UPDATE = ("update_service", {"service_id": "srv-cabc12345678", "name": "new"})
SERVICE = {"id": "srv-1", "type": "web_service", "ownerId": "tea-1", "serviceDetails": {"runtime": "node"}}


def operations() -> dict[str, str]:
    """Return the pattern of each operation's line, by method and path."""
    document = json.loads(shared("../render/openapi.json").read_text(encoding="utf-8"))
    return {
        f"{method.upper()} {path}": re.sub(r"\\\{[^/]*?\\\}", "[^/?]+", re.escape(f"{method.upper()} /v1{path}"))
        + r"(\?.*)?"
        for path, item in document["paths"].items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    }


def operation_of(line: str, known: dict[str, str]) -> str:
    """Return the operation that a request is, the one with the fewest slots of those that fit."""
    return min((key for key, pattern in known.items() if re.fullmatch(pattern, line)), key=lambda key: key.count("{"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "source"), [("render2", "render/openapi.json"), ("github", "openapi/github.json")])
def test_what_is_shipped_are_the_facts_of_the_document(name: str, source: str) -> None:
    """Methods, paths, names, types, enums and what is required are the service's, and nothing else is there."""
    if not (SHARED / source).is_file():
        pytest.skip(f"the shared document {source} is not here")
    made = subprocess.run([sys.executable, SCRIPT, SHARED / source], capture_output=True, check=True).stdout
    shipped = (ROOT / "integrations" / name / "openapi.json").read_bytes()
    assert shipped == made
    assert not re.search(rb'"(description|summary|externalDocs|example)":"', shipped)


@pytest.mark.slow
def test_registered_functions_come_first_and_nothing_is_there_twice() -> None:
    """Every operation that a registered function sends is that function's alone."""
    more = extended.functions.more
    assert more is not None
    names = [*extended.functions]
    assert names[: len(extended.functions.own)] == [*extended.functions.own]
    assert len({*names}) == len(names)
    known = operations()
    read = {row.key for row in more.read.store.rows() if row.name not in extended.functions.own}
    twice = {}
    for name, arguments in [*CALLS, UPDATE]:
        last: list[Request] = []

        def send(request: Request, last: list[Request] = last) -> Response:
            last.append(request)
            return answer(200, SERVICE)

        with suppress(Exception):  # a made-up answer may not be enough, but the request is made before
            account(send)(name, **arguments)
        key = operation_of(f"{last[-1].method} {last[-1].url.partition('.com')[2]}", known)
        if key in read:
            twice[key] = name
    assert twice == {}, "say covered_by in integrations/render2/openapi.toml"


@pytest.mark.slow
def test_all_of_render_can_be_sent() -> None:
    """Each of the 196 operations goes out through app.integrations.render2, over a real connection."""
    known = operations()
    store = DocumentStore(Home(shared("../render/openapi.json")))
    replies = Samples(store.schema, "default")
    results = {row.key: store.detail(row.name)[1]["result"] for row in store.rows()}  # type: ignore[index]

    def reply(sent: Sent) -> Reply:
        result = results[operation_of(sent.line, known)]
        if "schema" not in result:
            return Reply(status=204, kind="")
        if sent.line.startswith("GET /v1/services/srv") and sent.target.count("/") == 3:
            return Reply(SERVICE)
        return Reply(replies.of(result["schema"], sent.line))

    with serving(reply) as service:
        accounts = {
            "render2": {"default": {"api_key": "rnd_made_up", "base_url": f"{service.url}/v1", "owner_id": "tea-1"}}
        }
        with Runtime(accounts, yes=True, allow=["*"], environ={}) as runtime:
            functions = runtime.catalog.integration("render2").functions
            for name, arguments in [*CALLS, UPDATE, *_calls_of(functions.more, functions.own)]:
                with suppress(CallError):  # a made-up reply need not be one that render2 takes
                    runtime.call(f"render2.{name}", arguments)
        sent = {operation_of(line, known) for line in service.lines}
    assert sent == {*known}
    assert len(sent) == 196


def _calls_of(more: Any, own: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return a call of each function of the document, with made-up values for what it requires."""
    samples = Samples(more.read.store.schema, "arguments")
    calls = []
    for name in more.names():
        detail = more.read.store.detail(name)[1]
        fields = [each for each in detail["fields"] if each.get("required") and each["name"] != "owner_id"]
        given = {each["name"]: samples.of(each.get("schema", {}), each["name"]) for each in fields}
        body = detail["body"]
        if body and body.get("whole"):
            given[body["name"]] = samples.of(body.get("schema", {}), "body")
        calls.append((name, given))
    return calls


def test_the_rest_of_render_takes_the_accounts_workspace() -> None:
    """``owner_id`` may be left out where the document requires it: the account's own is sent."""
    with serving(lambda sent: Reply([])) as service:
        accounts = {"render2": {"default": {"api_key": "rnd_made_up", "base_url": service.url, "owner_id": "tea-1"}}}
        with Runtime(accounts, environ={}) as runtime:
            functions = runtime.catalog.integration("render2").functions
            name = next(
                row.name
                for row in functions.more.read.store.rows()  # type: ignore[union-attr]
                if row.key == "GET /owners/{ownerId}/members"
            )
            runtime.call(f"render2.{name}")
            assert service.last.line == "GET /owners/tea-1/members"
            assert service.last.headers["authorization"] == "Bearer rnd_made_up"
