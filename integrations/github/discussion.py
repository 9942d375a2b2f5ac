"""Issues and pull requests: their comments and labels, closing and reopening.

See https://docs.github.com/en/rest/issues/comments and https://docs.github.com/en/rest/issues/labels.
"""

from typing import Annotated, Literal, TypedDict

from kosmolua.plugin import non_empty

from . import inverses
from .account import integration
from .hub import Hub
from .issues import Issue, shaped
from .paging import All, Limit, Number, Page
from .parameters import IssueNumber, RepoName, Time, parts_of
from .wire import Thing, shaper, text, thing_of, things_of

_ISSUE = "/repos/{owner}/{repo}/issues/{number}"


class Comment(TypedDict):
    """A comment on an issue or a pull request."""

    id: int
    author: str
    body: str
    url: Annotated[str, "The URL of its page."]
    created_at: str
    updated_at: str


class CommentPage(TypedDict):
    comments: list[Comment]
    next_page: int | None


class Labels(TypedDict):
    """All labels of an issue or a pull request after labels were added or removed."""

    labels: list[str]


@integration.reads
def list_comments(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    number: IssueNumber,
    since: Annotated[Time | None, "Return only comments that changed since this time."] = None,
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> CommentPage:
    """List the comments on an issue or a pull request, the oldest first. Comments on lines of code are left out."""
    part = Page(limit, page, all)
    found, after = part.listed(hub.api, _ISSUE + "/comments", {"since": since}, **parts_of(repo), number=number)
    return {"comments": [_comment(each) for each in found], "next_page": after}


@integration.writes(undo=inverses.comment_deleted)
def create_comment(
    hub: Hub, /, *, repo: RepoName, number: IssueNumber, body: Annotated[str, "The text, in Markdown.", non_empty()]
) -> Comment:
    """Comment on an issue or a pull request. GitHub notifies its subscribers."""
    reply = hub.api.post(_ISSUE + "/comments", json={"body": body}, **parts_of(repo), number=number)
    return _comment(thing_of(reply))


def _closed(hub: Hub, /, *, repo: RepoName, number: IssueNumber, reason: str = "completed") -> Issue | None:
    """Return the issue if it is closed for this reason."""
    issue = _found(hub, repo, number)
    is_done = issue["state"] == "closed" and (issue["is_pull_request"] or issue["state_reason"] == reason)
    return issue if is_done else None


@integration.writes(was_done=_closed, before=inverses.issue, undo=inverses.state_back)
def close_issue(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    number: IssueNumber,
    reason: Annotated[
        Literal["completed", "not_planned"], "Why the issue is closed; not used for pull requests."
    ] = "completed",
) -> Issue:
    """Close an issue, or close a pull request without merging it."""
    return _changed(hub, repo, number, {"state": "closed", "state_reason": reason})


def _open(hub: Hub, /, *, repo: RepoName, number: IssueNumber) -> Issue | None:
    """Return the issue if it is open."""
    issue = _found(hub, repo, number)
    return issue if issue["state"] == "open" else None


@integration.writes(was_done=_open, before=inverses.issue, undo=inverses.state_back)
def reopen_issue(hub: Hub, /, *, repo: RepoName, number: IssueNumber) -> Issue:
    """Open a closed issue or pull request again."""
    return _changed(hub, repo, number, {"state": "open"})


def _labelled(hub: Hub, /, *, repo: RepoName, number: IssueNumber, labels: list[str]) -> Labels | None:
    """Return the labels if all of these are among them. GitHub does not distinguish upper and lower case."""
    found = _found(hub, repo, number)["labels"]
    is_done = {each.lower() for each in labels} <= {each.lower() for each in found}
    return {"labels": found} if is_done else None


@integration.writes(was_done=_labelled, before=inverses.issue, undo=inverses.labels_removed)
def add_labels(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    number: IssueNumber,
    labels: Annotated[list[str], "The names of the labels; labels that do not exist yet are created.", non_empty()],
) -> Labels:
    """Add labels to an issue or a pull request. Its other labels stay."""
    reply = hub.api.post(_ISSUE + "/labels", json={"labels": labels}, **parts_of(repo), number=number)
    return {"labels": [text(each, "name") for each in things_of(reply)]}


def _unlabelled(hub: Hub, /, *, repo: RepoName, number: IssueNumber, label: str) -> Labels | None:
    """Return the labels if this one is not among them."""
    found = _found(hub, repo, number)["labels"]
    return {"labels": found} if label.lower() not in (each.lower() for each in found) else None


@integration.destroys(was_done=_unlabelled, before=inverses.issue, undo=inverses.label_back)
def remove_label(
    hub: Hub, /, *, repo: RepoName, number: IssueNumber, label: Annotated[str, "The label's name.", non_empty()]
) -> Labels:
    """Remove a label from an issue or a pull request."""
    reply = hub.api.delete(_ISSUE + "/labels/{label}", **parts_of(repo), number=number, label=label)
    return {"labels": [text(each, "name") for each in things_of(reply)]}


def _found(hub: Hub, repo: str, issue: int) -> Issue:
    return shaped(thing_of(hub.api.get(_ISSUE, **parts_of(repo), number=issue)))


def _changed(hub: Hub, repo: str, issue: int, changes: Thing) -> Issue:
    return shaped(thing_of(hub.api.patch(_ISSUE, json=changes, **parts_of(repo), number=issue)))


_comment = shaper(Comment, author="user.login", url="html_url")
