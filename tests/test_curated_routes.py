"""Routes of the curated integrations: each function sends what the service's own document has.

Held against the document are the method, the path, the names in the query and the fields of the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from support.github_account import account as github_account
from support.github_account import integration as github
from support.render2_account import account as render2_account
from support.render2_account import integration as render2
from support.render2_calls import CALLS

from kosmolua.errors import CallError
from kosmolua.plugin import Request, Response

SHARED = Path(__file__).parent.parent.parent / "shared"
REPO, ISSUE, RUN = {"repo": "a/b"}, {"repo": "a/b", "number": 1}, {"repo": "a/b", "run_id": 1}
TIME = "2026-03-01T00:00:00Z"
GITHUB: list[tuple[str, dict[str, Any]]] = [
    ("get_repo", REPO),
    ("list_repos", {"owner": "a"}),
    ("list_repos", {"sort": "pushed", "direction": "desc"}),
    ("search_repos", {"query": "x", "sort": "stars"}),
    ("list_issues", REPO | {"labels": ["a"], "assignee": "b", "author": "c", "since": TIME}),
    ("get_issue", ISSUE),
    ("create_issue", REPO | {"title": "t", "body": "b", "labels": ["a"], "assignees": ["c"]}),
    ("list_comments", ISSUE | {"since": TIME}),
    ("create_comment", ISSUE | {"body": "b"}),
    ("close_issue", ISSUE),
    ("reopen_issue", ISSUE),
    ("add_labels", ISSUE | {"labels": ["a"]}),
    ("remove_label", ISSUE | {"label": "a"}),
    ("list_pull_requests", REPO | {"base": "main", "head": "a:b"}),
    ("get_pull_request", ISSUE),
    ("create_pull_request", REPO | {"title": "t", "head": "h", "base": "b", "body": "b", "draft": True}),
    ("merge_pull_request", ISSUE | {"method": "squash", "title": "t", "message": "m", "sha": "s"}),
    ("list_pull_request_files", ISSUE),
    ("list_reviews", ISSUE),
    ("list_workflow_runs", REPO | {"branch": "b", "event": "push", "status": "success", "actor": "a", "sha": "s"}),
    ("get_workflow_run", RUN),
    ("rerun_workflow_run", RUN),
    ("rerun_workflow_run", RUN | {"only": "failed"}),
    ("cancel_workflow_run", RUN),
    ("get_file", REPO | {"path": "a/b.md", "ref": "main"}),
    ("put_file", REPO | {"path": "a/b.md", "content": "c", "message": "m", "sha": "s", "branch": "b"}),
    ("delete_file", REPO | {"path": "a/b.md", "message": "m", "sha": "s", "branch": "b"}),
    ("list_commits", REPO | {"branch": "b", "path": "p", "author": "a", "since": TIME, "before": TIME}),
    ("list_releases", REPO),
]
UPDATE = ("update_service", {"service_id": "srv-1", "name": "new", "auto_deploy_trigger": "off"})
NEWER_THAN_THE_DOCUMENT = {"autoDeployTrigger"}
"""What Render takes, by its own recordings, and its document does not have."""


class Document:
    """A ``send`` that looks each request up in an OpenAPI document, and answers with next to nothing.

    Args:
        path: The document.
        base: What the addresses of requests begin with.
    """

    def __init__(self, path: Path, base: str) -> None:
        if not path.exists():
            pytest.skip(f"{path.name} is not at ../shared/{path.parent.name}")
        self._document = json.loads(path.read_text(encoding="utf-8"))
        self._base = base
        self.faults: list[str] = []
        self.seen = 0

    def __call__(self, request: Request) -> Response:
        """Note what the document has against a request, and answer it."""
        self.seen += 1
        line = f"{request.method} {request.route}"
        found = self._operation(request)
        if found is None:
            self.faults.append(f"{line} is not in the document")
            return Response(404, {}, b"{}")
        operation, item = found
        names = {each["name"] for each in self._parameters(operation, item) if each["in"] == "query"}
        self.faults += [f"{line} has no query {name}" for name, _ in request.query if name not in names]
        self.faults += [f"{line}: {fault}" for fault in self._body(operation, request)]
        return self._answer(operation)

    def _operation(self, request: Request) -> tuple[dict[str, Any], dict[str, Any]] | None:
        path = unquote(request.url.removeprefix(self._base))
        shape = re.sub(r"\{\w+\}", "{}", request.route)
        for template, item in self._document["paths"].items():
            plain = re.sub(r"\{\w+\}", "{}", template)
            if request.method.lower() in item and shape == plain:
                assert re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(template)), path)
                return item[request.method.lower()], item
        return None

    def _parameters(self, operation: dict[str, Any], item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for each in [*operation.get("parameters", []), *item.get("parameters", [])]:
            yield self._resolved(each)

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            place: Any = self._document
            for part in value["$ref"].removeprefix("#/").split("/"):
                key = unquote(part).replace("~1", "/").replace("~0", "~")
                place = place[int(key)] if isinstance(place, list) else place[key]
            value = place
        return value

    def _body(self, operation: dict[str, Any], request: Request) -> Iterator[str]:
        content = json.loads(request.body) if isinstance(request.body, bytes) and request.body else None
        described = self._resolved(operation.get("requestBody", {})).get("content", {})
        schema = described.get("application/json", {}).get("schema", {})
        if content is not None and not described:
            yield "it takes no body"
        rows = content if isinstance(content, list) else [content] if isinstance(content, dict) else []
        known, required = self._fields(schema)
        for row in rows:
            yield from (f"unknown field {name}" for name in row.keys() - known - NEWER_THAN_THE_DOCUMENT if known)
            yield from (f"missing field {name}" for name in required - row.keys())

    def _fields(self, schema: Mapping[str, Any]) -> tuple[set[str], set[str]]:
        """Return the fields that an object may have in any of its forms, and those that it must have in all."""
        schema = self._resolved(dict(schema))
        if "items" in schema:
            return self._fields(schema["items"])
        known, required = set(schema.get("properties", {})), set(schema.get("required", []))
        for each in schema.get("allOf", []):
            more, needed = self._fields(each)
            known, required = known | more, required | needed
        forms = [self._fields(each) for each in schema.get("oneOf", schema.get("anyOf", []))]
        if forms:
            known = known.union(*(form[0] for form in forms))
            required |= set.intersection(*(form[1] for form in forms))
        return known, required

    def _answer(self, operation: dict[str, Any]) -> Response:
        status = min(int(code) for code in operation["responses"] if code.startswith("2"))
        answer = self._resolved(operation["responses"][str(status)]).get("content", {})
        schema = self._resolved(answer.get("application/json", {}).get("schema", {}))
        body = b"" if not answer else b"[]" if schema.get("type") == "array" else b'{"id": "x", "login": "x"}'
        return Response(status, {}, body)


def judged(send: Document, call: Callable[..., Any], name: str, arguments: dict[str, Any]) -> list[str]:
    """Make a call and return what the document has against it; what a function makes of the answer is no matter."""
    with suppress(CallError):
        call(name, **arguments)
    assert send.seen
    return send.faults


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), GITHUB, ids=[f"{n}-{row[0]}" for n, row in enumerate(GITHUB)])
def test_a_function_of_github_sends_what_its_document_has(name: str, arguments: dict[str, Any]) -> None:
    """The path, the query and the body are known to GitHub's document."""
    send = Document(SHARED / "openapi" / "github.json", "https://api.github.com")
    assert judged(send, github_account(send), name, arguments) == []


@pytest.mark.parametrize(
    ("name", "arguments"), [*CALLS, UPDATE], ids=[f"{n}-{row[0]}" for n, row in enumerate([*CALLS, UPDATE])]
)
def test_a_function_of_render2_sends_what_its_document_has(name: str, arguments: dict[str, Any]) -> None:
    """The path, the query and the body are known to Render's document."""
    send = Document(SHARED / "render" / "openapi.json", "https://api.render.com/v1")
    assert judged(send, render2_account(send), name, arguments) == []


def test_every_curated_function_is_held_against_its_document() -> None:
    """A function that is added must be added to a table too."""
    assert {name for name, _ in GITHUB} == set(github.functions)
    assert {name for name, _ in [*CALLS, UPDATE]} == set(render2.functions)
