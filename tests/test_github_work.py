"""Everyday work on GitHub: pull requests, comments, labels, workflow runs and files, over the simulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.github_account import Simulator, account

from kosmolua import Runtime
from kosmolua.errors import ApiError, BadArguments
from kosmolua.plugin import Request, Response

Call = Callable[..., Any]


@pytest.fixture
def call() -> Call:
    """A function that calls those of a fresh simulated account with a token."""
    return account(Simulator("default"))


def status_of(call: Call, name: str, /, **arguments: Any) -> int | None:
    """Return the status that a call is refused with."""
    with pytest.raises(ApiError) as refused:
        call(name, **arguments)
    return refused.value.status


# Pull requests


def test_a_pull_request_is_opened_and_merged(call: Call) -> None:
    """It is an issue too; once it is merged it is closed, and is not merged again."""
    pull = call("create_pull_request", title="T", head="octocat:next", base="main", body="B")
    here = {"number": pull["number"]}

    assert pull["state"] == "open"
    assert pull["head"] == "next"
    assert pull["base"] == "main"
    assert pull["body"] == "B"
    assert call("get_issue", **here)["is_pull_request"]
    assert call("list_pull_requests", limit=1)["pull_requests"][0]["title"] == "T"
    assert status_of(call, "merge_pull_request", **here, sha="other") == 409
    merged = call("merge_pull_request", **here, method="squash", sha=pull["head_sha"])
    assert merged["merged"]
    after = call("get_pull_request", **here)
    assert after["state"] == "closed"
    assert after["merged"] is True
    assert after["merged_at"]
    assert call("get_issue", **here)["state"] == "closed"
    assert status_of(call, "merge_pull_request", **here) == 405


def test_a_draft_is_not_merged(call: Call) -> None:
    """GitHub says 405."""
    draft = call("create_pull_request", title="T", head="next", base="main", draft=True)
    assert draft["draft"]
    assert status_of(call, "merge_pull_request", number=draft["number"]) == 405


def test_a_list_tells_less_than_the_pull_request_itself(call: Call) -> None:
    """Numbers are 0 there, and whether it can be merged is not known."""
    listed = call("list_pull_requests", limit=1)["pull_requests"][0]
    whole = call("get_pull_request", number=listed["number"])

    assert listed["mergeable"] is None
    assert listed["changed_files"] == 0
    assert whole["mergeable"] is True
    assert whole["changed_files"] == 3
    assert len(call("list_pull_request_files", number=listed["number"], all=True)["files"]) == 3
    assert [each["state"] for each in call("list_reviews", number=20)["reviews"]] == ["CHANGES_REQUESTED", "APPROVED"]


def test_pull_requests_are_chosen(call: Call) -> None:
    """By state and by branches."""
    every = call("list_pull_requests", state="all", all=True)["pull_requests"]
    assert {pull["state"] for pull in every} == {"open", "closed"}
    head = f"{every[0]['author']}:{every[0]['head']}"
    assert [each["number"] for each in call("list_pull_requests", state="all", head=head)["pull_requests"]] == [
        every[0]["number"]
    ]
    assert call("list_pull_requests", base="other")["pull_requests"] == []


# Issues


def test_an_issue_is_discussed_labelled_and_closed(call: Call) -> None:
    """Comments, labels and states are there to be read."""
    here = {"number": 11}
    before = call("list_comments", **here, all=True)["comments"]
    comment = call("create_comment", **here, body="Fixed")
    assert call("list_comments", **here, all=True)["comments"] == [*before, comment]
    assert call("get_issue", **here)["comments"] == len(before) + 1

    labels = call("add_labels", **here, labels=["urgent", "urgent"])["labels"]
    assert labels == call("get_issue", **here)["labels"]
    assert labels.count("urgent") == 1
    assert "urgent" not in call("remove_label", **here, label="urgent")["labels"]
    assert status_of(call, "remove_label", **here, label="urgent") == 404

    closed = call("close_issue", **here, reason="not_planned")
    assert closed["state"] == "closed"
    assert closed["state_reason"] == "not_planned"
    assert closed["closed_at"]
    assert call("reopen_issue", **here)["state"] == "open"
    assert call("get_issue", **here)["closed_at"] == ""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("create_comment", {"number": 1, "body": "x"}),
        ("close_issue", {"number": 1}),
        ("add_labels", {"number": 1, "labels": ["x"]}),
        ("create_pull_request", {"title": "T", "head": "a", "base": "main"}),
        ("put_file", {"path": "a", "content": "", "message": "m"}),
    ],
)
def test_a_change_needs_a_token(name: str, arguments: dict[str, Any]) -> None:
    """To GitHub, whoever has none is nobody."""
    assert status_of(account(Simulator("default"), token=None), name, **arguments) == 401


# Workflow runs


def test_a_run_is_started_again_and_cancelled(call: Call) -> None:
    """It is queued with a further attempt, and then completed as cancelled."""
    failed = call("list_workflow_runs", status="failure", limit=1)["runs"][0]
    here = {"run_id": failed["id"]}

    assert call("rerun_workflow_run", **here, only="failed") == {"run_id": failed["id"], "accepted": True}
    again = call("get_workflow_run", **here)
    assert again["status"] == "queued"
    assert again["conclusion"] == ""
    assert again["attempt"] == 2
    call("cancel_workflow_run", **here)
    assert call("get_workflow_run", **here)["conclusion"] == "cancelled"
    assert status_of(call, "cancel_workflow_run", **here) == 409


def test_runs_are_chosen_and_come_in_pages(call: Call) -> None:
    """The list is inside an object there, and the pages are named as everywhere."""
    every = call("list_workflow_runs", all=True)["runs"]
    first = call("list_workflow_runs", limit=30)
    second = call("list_workflow_runs", limit=30, page=first["next_page"])

    assert [*first["runs"], *second["runs"]] == every
    assert second["next_page"] is None
    for name in ("branch", "event", "status", "sha"):
        chosen = call("list_workflow_runs", **{name: every[0][name]}, all=True)["runs"]
        assert every[0] in chosen
        assert {run[name] for run in chosen} == {every[0][name]}


# Files


def test_a_file_is_written_replaced_and_deleted(call: Call) -> None:
    """What is there is replaced only by who knows its sha."""
    path = {"path": "docs/new page.md"}
    written = call("put_file", **path, content="Hallo, Wörld\n", message="Add")
    file = call("get_file", **path)
    assert file["content"] == "Hallo, Wörld\n"
    assert file["encoding"] == "utf-8"
    assert file["sha"] == written["sha"]

    assert status_of(call, "put_file", **path, content="x", message="m") == 422
    assert status_of(call, "put_file", **path, content="x", message="m", sha="0" * 40) == 409
    call("put_file", **path, content="AP8=", encoding="base64", message="m", sha=file["sha"])
    file = call("get_file", **path)
    assert file["content"] == "AP8="
    assert file["encoding"] == "base64"
    assert file["size"] == 2
    call("delete_file", **path, message="Drop", sha=file["sha"])
    assert status_of(call, "get_file", **path) == 404


def test_a_folder_is_no_file(call: Call) -> None:
    """The refusal says what it holds."""
    with pytest.raises(BadArguments, match=r"docs is a folder.*index.md, logo.png"):
        call("get_file", path="docs")


def test_a_path_keeps_its_slashes_and_nothing_leaves_the_repository(call: Call) -> None:
    """Slashes part folders; a path that leads upwards is refused before anything is sent."""
    sent: list[Request] = []

    def send(request: Request) -> Response:
        sent.append(request)
        return Response(200, {}, b'{"path": "a b/c", "encoding": "base64", "content": ""}')

    live = account(send)
    live("get_file", path="a b/c")
    assert sent.pop().url.endswith("/repos/acme/rocket/contents/a%20b/c")
    for path in ("../../user", "a/../../b", "a//b"):
        with pytest.raises(BadArguments):
            live("get_file", path=path)
    assert sent == []


def test_a_file_that_is_too_large_for_json_is_fetched_as_it_is() -> None:
    """GitHub gives no content then, and all of it to who asks for nothing else."""

    def send(request: Request) -> Response:
        if "raw" in str(request.headers["Accept"]):
            return Response(200, {}, b"much")
        return Response(200, {}, b'{"path": "big", "sha": "s", "size": 4, "encoding": "none", "content": ""}')

    file = account(send)("get_file", path="big")
    assert file["content"] == "much"
    assert file["sha"] == "s"


# What is kept


@pytest.mark.slow
def test_a_file_keeps_what_was_changed(tmp_path: Path) -> None:
    """The simulator of the next runtime knows the issue, its comment, the file and the run."""
    script = """
    local g = app.integrations.github
    g.create_comment({ repo = "acme/rocket", number = 1, body = "kept" })
    g.put_file({ repo = "acme/rocket", path = "kept", content = "1", message = "m" })
    return g.create_pull_request({ repo = "acme/rocket", title = "kept", head = "x", base = "main" }).number
    """
    file = tmp_path / "state.json"
    with Runtime({}, simulate=file, yes=True, environ={}) as runtime:
        (number,) = runtime.run(script).result
    with Runtime({}, simulate=file, environ={}) as runtime:
        again = """
        local g, repo = app.integrations.github, "acme/rocket"
        local comments = g.list_comments({ repo = repo, number = 1, all = true }).comments
        return comments[#comments].body, g.get_file({ repo = repo, path = "kept" }).content,
          g.get_pull_request({ repo = repo, number = math.tointeger(arg[1]) }).title
        """
        assert runtime.run(again, args=[str(number)]).result == ["kept", "1", "kept"]


def test_a_state_of_something_else_is_refused() -> None:
    """A file of another account, or none of ours, is not taken for this account's."""
    for state in ({}, {"account": "other"}, Simulator("other").dump()):
        with pytest.raises(ValueError, match="not the state of a simulated GitHub account default"):
            Simulator("default", state=state)
