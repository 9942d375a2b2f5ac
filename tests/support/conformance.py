"""Requests of functions from OpenAPI documents, compared with what :mod:`support.reference` says."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl

from kosmolua.errors import BadArguments, KosmoError
from kosmolua.http.messages import Request, Response
from kosmolua.openapi.accounts import fields_of
from kosmolua.openapi.document import read
from kosmolua.openapi.integration import of_home
from kosmolua.openapi.operations import is_json
from kosmolua.openapi.security import access_of
from kosmolua.openapi.simulator import Simulator
from kosmolua.openapi.store import Home
from kosmolua.schema.arguments import REQUIRED, Binder
from kosmolua.schema.types import Choice
from kosmolua.secret import Secret
from support.documents import made_up_arguments
from support.reference import FILE_BYTES, FORM, MULTIPART, Expected, Reference, word

JSON = "application/json"
OPERATIONS = 200
"""The most operations of a document that are called."""
BASE = "https://api.test/base"


@dataclass
class Findings:
    """What became of the calls of a document: how many were the same, and a sentence for each other one."""

    name: str
    operations: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)
    whole: float = 0.0
    server: float = 0.0

    @property
    def seconds(self) -> float:
        """The processor time of the document and its calls, without that of the server and the reference."""
        return self.whole - self.server

    @contextmanager
    def own(self) -> Iterator[None]:
        started = time.process_time()
        try:
            yield
        finally:
            self.whole += time.process_time() - started

    def note(self, kind: str, key: str, sentence: str) -> None:
        self.counts[kind] += 1
        self.sentences.append(f"{self.name}: {kind}: {key}: {sentence}")


def compare(path: Path, most: int = OPERATIONS) -> Findings:
    """Call up to so many operations of a document, and compare each request with the reference."""
    found = Findings(path.stem)
    with found.own():
        integration = of_home(Home(path, None, None), "api", str(path))
        more: Any = integration.functions.more
    root = _raw(path)
    calls = [*Reference(root).calls()]
    found.operations = len(calls)
    found.counts["lost"] = sum(_named(more, key) is None for key, _ in calls)
    sent: list[Request] = []
    simulator = Simulator(more, "default")

    def send(request: Request) -> Response:
        sent.append(request)
        started = time.process_time()
        try:
            return simulator(request)
        finally:
            found.server += time.process_time() - started

    settings: dict[str, Any] = {"base_url": BASE}
    for each in fields_of(access_of(more.store.meta("access"))):
        if each.name != "base_url" and (each.default is REQUIRED or each.secret):
            value = each.type.values[0] if isinstance(each.type, Choice) else "made-up-1"
            settings[each.name] = Secret(str(value)) if each.secret else value
    opened = integration.account(**settings).open(send)
    for key, expected in Random(1).sample(calls, min(most, len(calls))):
        name = _named(more, key)
        if name and more.store.named(key) is None and more.named(key):
            found.counts["another one as well"] += 1
            continue
        with found.own():
            function = more.function(name) if name else None
        if function is None:
            continue
        given = _arguments(expected, more.call(name))
        with found.own():
            bind, is_own = Binder(function.parameters, "").bind, False
        try:
            with found.own():
                bound = bind(name, [given])
        except BadArguments:  # the reference has no value for each schema
            call = more.call(name)
            text = {call.body.name: "x"} if call.body and call.body.whole and not is_json(call.body.media[0]) else {}
            try:
                bound, is_own = bind(name, [made_up_arguments(function, more) | text]), True
            except BadArguments as error:
                found.note("refused", key, error.message[:200])
                continue
        sent.clear()
        try:
            with found.own():
                function.handler(opened, **bound)
        except KosmoError as error:
            if not sent:
                found.note("refused", key, error.message[:200])
                continue
            if getattr(error, "status", None) != 404:  # the simulator knows what it has
                found.note("failed", key, error.message[:200])
                continue
        except Exception as error:  # noqa: BLE001  what must not happen is a finding, and the others are called too
            found.note("raised", key, repr(error)[:200])
            continue
        if is_own:
            found.counts["called otherwise"] += 1
            continue
        differences = [*_differences(expected, sent[0], more.call(name))]
        if differences:
            found.note("differs", key, "; ".join(differences)[:400])
        else:
            found.counts["same"] += 1
    return found


def _named(more: Any, key: str) -> Any:
    """Return the function for a key; what follows ``#`` belongs to it only where it tells operations apart."""
    return more.named(key) or more.store.named(key.partition("#")[0])


def _raw(path: Path) -> dict[str, Any]:
    """Return a document as it is written; YAML and Swagger 2.0 as they are read, since that is tested elsewhere."""
    data = path.read_bytes()
    root = json.loads(data) if data.lstrip()[:1] == b"{" else None
    return root if root and "openapi" in root else read(data, str(path))


def _arguments(expected: Expected, call: Any) -> dict[str, Any]:
    """Return the arguments by the names of the function's parameters."""
    whole = expected.arguments.get(("body", ""))
    given = {call.body.name: whole} if call.body and call.body.whole and whole is not None else {}
    places = {(each.place, each.wire): each.name for each in call.fields}
    for (place, wire), value in expected.arguments.items():
        if (place, wire) in places:
            given[places[place, wire]] = value
    for each in call.fields:
        if each.fills and ("body", each.fills) in expected.arguments:
            expected.body[each.fills] = expected.arguments["path", each.wire]
    return given


def _differences(expected: Expected, request: Request, call: Any) -> Iterator[str]:
    """Yield what a request has otherwise than the reference."""
    if request.method != expected.method:
        yield f"method {request.method}"
    path, _, query = request.target.partition("?")
    if path.removeprefix("/base") != expected.path:
        yield f"path {path}, not {expected.path}"
    own = {name for name, value in request.query if isinstance(value, Secret)}
    got = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in own]
    taken = {each.wire for each in call.fields if each.place == "query"}
    spread = {
        key
        for (place, wire), value in expected.arguments.items()
        if place == "query" and wire in taken and isinstance(value, dict)
        for key in value
    }
    heads = {each.partition("[")[0] for each in taken} | spread
    wanted = expected.fixed + [pair for pair in expected.query if pair[0].partition("[")[0] in heads]
    if sorted(got) != sorted(wanted):
        yield f"query {sorted(got)}, not {sorted(wanted)}"
    fields = {name.lower(): value for name, value in request.fields.items()}
    for name in {each.wire.lower() for each in call.fields if each.place == "header"} & expected.headers.keys():
        if fields.get(name) != expected.headers[name]:
            yield f"header {name} {fields.get(name)!r}, not {expected.headers[name]!r}"
    yield from _in_body(expected, request, fields.get("content-type", ""))


def _in_body(expected: Expected, request: Request, media: str) -> Iterator[str]:
    if expected.body is None:
        return
    if expected.media.startswith(FORM):
        got = parse_qsl(request.content.decode(), keep_blank_values=True)
        if sorted(got) != sorted(expected.body):
            yield f"form {sorted(got)}, not {sorted(expected.body)}"
    elif expected.media.startswith(MULTIPART):
        message = message_from_bytes(f"Content-Type: {media}\r\n\r\n".encode() + request.content)
        parts: dict[str, list[bytes]] = {}
        for part in message.get_payload() if message.is_multipart() else []:
            name = str(part.get_param("name", header="content-disposition"))  # type: ignore[union-attr]
            parts.setdefault(name, []).append(part.get_payload(decode=True))  # type: ignore[union-attr, arg-type]
        wanted = {name: [*map(_part, value if _is_many(value) else [value])] for name, value in expected.body.items()}
        if parts != wanted:
            yield f"parts {parts}, not {wanted}"
    else:
        wanted = expected.media.partition(";")[0]
        if media.partition(";")[0] != wanted and not (media.startswith("application/x-amz-json-") and wanted == JSON):
            yield f"media type {media}, not {expected.media}"
        if not request.content or json.loads(request.content) != expected.body:
            yield f"body {request.content[:300]!r}, not {word(expected.body)[:300]}"


def _is_many(value: Any) -> bool:
    return isinstance(value, list) and not all(
        isinstance(each, (dict, list)) and "base64" not in each for each in value
    )


def _part(value: Any) -> bytes:
    return FILE_BYTES if isinstance(value, dict) and "base64" in value else word(value).encode()
