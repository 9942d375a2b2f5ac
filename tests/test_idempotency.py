"""Writes that are under way when a run is killed: sent again with the same key, read back, or decided by a person."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from threading import Event, Lock
from typing import Any

import pytest
from conftest import Program, Write
from support.loopback import Loopback

from kosmolua import Runtime
from kosmolua.calls.records import key_of
from kosmolua.plugin import Request, Response, Secret

PLUGIN = '''
"""A till."""
from dataclasses import dataclass
from kosmolua.plugin import Api, ApiError, Integration, Send

@dataclass(frozen=True)
class Account:
    """The till's address."""
    base_url: str
    def open(self, send: Send) -> Api:
        return Api(send, self.base_url)

integration = Integration("till", Account, about="A till.")

@integration.writes(idempotency="Idempotency-Key")
def keyed(api: Api, /, *, sale: int) -> dict:
    """Sell, by key."""
    return api.post("/sales/{sale}", sale=sale)

def find(api: Api, /, *, sale: int) -> dict | None:
    """Find a sale."""
    try:
        return api.get("/sales/{sale}", sale=sale)
    except ApiError as error:
        if error.status == 404:
            return None
        raise

@integration.writes(was_done=find)
def readable(api: Api, /, *, sale: int) -> dict:
    """Sell, and find the sale later."""
    return api.post("/sales/{sale}", sale=sale)

@integration.writes
def plain(api: Api, /, *, sale: int) -> dict:
    """Sell."""
    return api.post("/sales/{sale}", sale=sale)

@integration.writes(idempotency="Idempotency-Key")
def twice(api: Api, /, *, sale: int) -> dict:
    """Sell two things."""
    api.post("/sales/{sale}", sale=sale)
    return api.post("/sales/{sale}", sale=sale + 100)
'''
SCRIPT = "local t = app.integrations.till\nfor sale = 1, 4 do print(t.{how}({{ sale = sale }}).sale) end"


class Till:
    """The service. It does not answer the sale that ``stuck`` names, which it has made or not made.

    Args:
        stuck: The sale that is not answered at first.
        is_made: Whether this sale is made nevertheless.
    """

    def __init__(self, stuck: int = 0, *, is_made: bool = True) -> None:
        self.sales: Counter[int] = Counter()
        self.keys: list[str] = []
        self.arrived = Event()
        self.is_readable = True
        self._stuck, self._is_made = stuck, is_made
        self._known: dict[str, int] = {}
        self._lock = Lock()

    def send(self, request: Request) -> Response:
        """Answer a request; a key that was seen before gets the first answer again."""
        sale = int(request.url.rpartition("/")[2])
        if request.method == "GET":
            status = 500 if not self.is_readable else 200 if self.sales[sale] else 404
            return Response(status, {}, json.dumps({"sale": sale}).encode())
        key = next((str(value) for name, value in request.headers.items() if name.lower() == "idempotency-key"), "")
        with self._lock:
            self.keys.append(key)
            is_stuck, self._stuck = sale == self._stuck, 0 if sale == self._stuck else self._stuck
            if (self._is_made or not is_stuck) and not (key and key in self._known):
                self.sales[sale] += 1
                self._known[key] = sale
        if is_stuck:
            self.arrived.set()
            Event().wait(30)
        return Response(200, {}, json.dumps({"sale": sale}).encode())


def account(till: Loopback) -> str:
    """Return the accounts file of a till."""
    return f'[till.one]\nbase_url = "{till.url}"\npermissions = {{ write = "allow" }}\n'


def killed(
    till: Till, url: Loopback, how: str, write: Write, environment: dict[str, str], recording: Path
) -> list[str | Path]:
    """Run the script, kill it while the till does not answer, and return the options to resume it with."""
    options: list[str | Path] = ["--accounts", write("accounts.toml", account(url)), "--plugin", write("t.py", PLUGIN)]
    script = write("sell.lua", SCRIPT.format(how=how))
    command = [sys.executable, "-m", "kosmolua", "run", script, "--record-file", recording, *options]
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert till.arrived.wait(60)
    run.kill()
    run.wait()
    return options


@pytest.mark.slow
@pytest.mark.parametrize("is_made", [True, False], ids=["made", "not made"])
@pytest.mark.parametrize("stuck", [1, 3])
@pytest.mark.parametrize("how", ["keyed", "readable", "plain"])
def test_a_crash_in_flight_needs_a_person_only_if_no_service_can_tell(
    kosmolua: Program, write: Write, environment: dict[str, str], tmp_path: Path, how: str, stuck: int, is_made: bool
) -> None:
    """kill -9 during a write: by key or by reading, the run goes on and each sale is made once."""
    till, recording = Till(stuck, is_made=is_made), tmp_path / "r.jsonl"
    with Loopback(till.send) as url:
        options = killed(till, url, how, write, environment, recording)
        resumed = kosmolua("resume", recording, *options)
        if how == "plain":
            assert resumed.returncode == 1
            assert "has no answer, so it may have been done" in resumed.stderr
            decision = f'--done={stuck}={{"sale": {stuck}}}' if is_made else f"--again={stuck}"
            resumed = kosmolua("resume", recording, decision, *options)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == "1\n2\n3\n4\n", resumed.stderr
    assert till.sales == {1: 1, 2: 1, 3: 1, 4: 1}


@pytest.mark.slow
def test_what_cannot_be_read_is_asked_again_at_each_resume(
    kosmolua: Program, write: Write, environment: dict[str, str], tmp_path: Path
) -> None:
    """A failed reading decides nothing, however often; when the service can be read, the run goes on."""
    till, recording = Till(2), tmp_path / "r.jsonl"
    with Loopback(till.send) as url:
        options = killed(till, url, "readable", write, environment, recording)
        till.is_readable = False
        for _ in range(2):
            failed = kosmolua("resume", recording, *options)
            assert failed.returncode == 1
            assert "may have been done, and it cannot be read whether it was" in failed.stderr
        till.is_readable = True
        resumed = kosmolua("resume", recording, *options)
    assert resumed.returncode == 0, resumed.stderr
    assert till.sales == {1: 1, 2: 1, 3: 1, 4: 1}


@pytest.mark.parametrize("is_recorded", [True, False])
def test_each_write_has_a_key_of_its_own(write: Write, tmp_path: Path, *, is_recorded: bool) -> None:
    """Equal calls, the requests of one call, and other runs have different keys, in the form of a UUID."""
    till = Till()
    sell = "for _ = 1, 2 do app.integrations.till.keyed({ sale = 1 }) end app.integrations.till.twice({ sale = 5 })"
    with (
        Loopback(till.send) as url,
        Runtime(write("accounts.toml", account(url)), plugins=[write("t.py", PLUGIN)]) as runtime,
    ):
        for name in ("a", "b"):
            assert runtime.run(sell, **({"record": tmp_path / name} if is_recorded else {})).ok
    assert len(set(till.keys)) == 8
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", key) for key in till.keys)


def test_the_key_of_a_write_stays_that_of_earlier_versions() -> None:
    """A run that an earlier version recorded sends a write again with the key that it had."""
    key = key_of("run-1", "", ["call", "shop.sell", [{"sale": 1}]], 0)
    assert key == "cce7f848-ce4a-7527-b5fb-39a62ce61538"


SERVICE = {"service_id": "srv-cabc12345678"}
ISSUE = {"repo": "ann/notes", "number": 7}
HEADER = {"path": "/*", "name": "X-Frame-Options", "value": "DENY"}
ROUTE = {"type": "redirect", "source": "/old", "destination": "/new"}
ROUTED = {**ROUTE, "id": "rdr-1", "priority": 3}
CURATED: list[tuple[str, dict[str, Any], tuple[int, Any], tuple[int, Any]]] = [
    ("render2.delete_service", {"service_id": "srv-cabc12345678"}, (404, {}), (200, {"id": "srv-cabc12345678"})),
    ("render2.delete_disk", {"disk_id": "dsk-cabc12345678"}, (404, {}), (200, {"id": "dsk-cabc12345678"})),
    ("render2.delete_key_value", {"key_value_id": "red-cabc12345678"}, (404, {}), (200, {"id": "red-cabc12345678"})),
    ("render2.delete_env_group", {"env_group_id": "evg-cabc12345678"}, (404, {}), (200, {"id": "evg-cabc12345678"})),
    (
        "github.merge_pull_request",
        {"repo": "ann/notes", "number": 7},
        (200, {"merged": True, "merge_commit_sha": "abc"}),
        (200, {"merged": False}),
    ),
    ("render2.delete_postgres", {"postgres_id": "dpg-cabc12345678-a"}, (404, {}), (200, {"id": "dpg-cabc12345678-a"})),
    ("render2.delete_env_var", {**SERVICE, "key": "MODE"}, (404, {}), (200, {"key": "MODE", "value": "off"})),
    ("render2.delete_secret_file", {**SERVICE, "name": "a.pem"}, (404, {}), (200, {"name": "a.pem"})),
    ("render2.suspend_service", SERVICE, (200, {"suspended": "suspended"}), (200, {"suspended": "not_suspended"})),
    (
        "render2.add_header",
        {**SERVICE, **HEADER},
        (200, [{"cursor": "c", "header": HEADER | {"id": "hdr-1"}}]),
        (200, []),
    ),
    ("render2.add_route", {**SERVICE, **ROUTE}, (200, [{"cursor": "c", "route": ROUTED}]), (200, [])),
    ("render2.add_route", {**SERVICE, **ROUTE, "priority": 3}, (200, [{"cursor": "c", "route": ROUTED}]), (200, [])),
    (
        "github.close_issue",
        {**ISSUE, "reason": "not_planned"},
        (200, {"state": "closed", "state_reason": "not_planned"}),
        (200, {"state": "closed", "state_reason": "completed"}),
    ),
    ("github.close_issue", ISSUE, (200, {"state": "closed", "pull_request": {}}), (200, {"state": "open"})),
    ("github.reopen_issue", ISSUE, (200, {"state": "open"}), (200, {"state": "closed"})),
    ("github.add_labels", {**ISSUE, "labels": ["Bug"]}, (200, {"labels": [{"name": "bug"}]}), (200, {"labels": []})),
    ("github.remove_label", {**ISSUE, "label": "Bug"}, (200, {"labels": []}), (200, {"labels": [{"name": "bug"}]})),
]
"""Writes of the curated integrations that can be read back: arguments, the answer if they were done, and if not."""


@pytest.mark.parametrize(("path", "arguments", "done", "not_done"), CURATED)
def test_curated_writes_are_read_back(
    path: str, arguments: dict[str, Any], done: tuple[int, Any], not_done: tuple[int, Any]
) -> None:
    """The function that reads returns the result of the write, or None."""
    name, _, function = path.partition(".")
    key = {"render2": {"api_key": Secret("rnd_x")}, "github": {"token": Secret("ghp_x")}}[name]
    with Runtime() as runtime:
        integration = runtime.catalog.integration(name)
        was_done = integration.functions[function].was_done
        for (status, body), is_done in ((done, True), (not_done, False)):
            reply = Response(status, {}, json.dumps(body).encode())
            opened = integration.account(**key).open(lambda _, reply=reply, **__: reply)
            assert was_done
            assert (was_done(opened, **arguments) is not None) == is_done


DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Till", "version": "1"},
    "servers": [{"url": "https://till.example"}],
    "paths": {
        "/sales/{sale}": {
            "post": {
                "operationId": "sell",
                "parameters": [
                    {"name": "sale", "in": "path", "required": True, "schema": {"type": "integer"}},
                    {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}},
                ],
                "responses": {"200": {"description": "The sale."}},
            },
            "put": {
                "operationId": "change",
                "parameters": [{"name": "sale", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {"200": {"description": "The sale."}},
            },
        }
    },
}


def sent_by_document(write: Write, call: str, overlay: str = "") -> Request:
    """Run a call of the document's integration, and return the request that the service got."""
    with Loopback(lambda _: Response(200, {}, b"{}")) as url:
        document = write("till.openapi.json", json.dumps(DOCUMENT))
        if overlay:
            write("till.openapi.toml", overlay)
        accounts = write("accounts.toml", account(url))
        with Runtime(accounts, plugins=[document]) as runtime:
            outcome = runtime.run(f"app.integrations.till.{call}")
            assert outcome.ok, outcome.error
        return url.requests[-1]


def test_a_documents_key_is_filled_by_itself(write: Write) -> None:
    """Though the document requires it of callers."""
    key = sent_by_document(write, "sell({ sale = 1 })").headers["Idempotency-Key"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(key))


def test_a_key_that_the_script_gives_wins(write: Write) -> None:
    """As an argument."""
    request = sent_by_document(write, 'sell({ sale = 1, idempotency_key = "mine" })')
    assert request.headers["Idempotency-Key"] == "mine"


def test_an_overlay_names_the_header(write: Write) -> None:
    """For an operation whose document says nothing of keys."""
    request = sent_by_document(write, "change({ sale = 1 })", '[functions.change]\nidempotency = "X-Once"\n')
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(request.headers["X-Once"]))
