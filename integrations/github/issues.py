"""Issues: listing, reading and opening them (https://docs.github.com/en/rest/issues/issues)."""

from typing import Annotated, Literal, TypedDict

from kosmolua.plugin import non_empty

from .account import integration
from .hub import Hub
from .paging import All, Limit, Number, Page
from .parameters import IssueNumber, Login, RepoName, Time, parts_of
from .wire import Thing, shaper, thing_of

_PATH = "/repos/{owner}/{repo}/issues"


class Issue(TypedDict):
    """An issue. Text fields are never nil: a missing value is ``""``."""

    number: int
    title: str
    body: str
    state: Annotated[Literal["open", "closed"], "Whether it is open or closed."]
    state_reason: Annotated[str, "Why it has its state, such as completed, not_planned or reopened."]
    author: Annotated[str, "The login of the user who opened it; empty if the user was deleted."]
    assignees: Annotated[list[str], "The logins of the assigned users."]
    labels: Annotated[list[str], "The names of its labels."]
    milestone: Annotated[str, "The title of its milestone."]
    comments: int
    is_pull_request: bool
    url: Annotated[str, "The URL of its page."]
    created_at: str
    updated_at: str
    closed_at: str


class IssuePage(TypedDict):
    issues: list[Issue]
    next_page: int | None


@integration.reads
def list_issues(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    state: Annotated[Literal["open", "closed", "all"], "Return only issues in this state."] = "open",
    labels: Annotated[list[str] | None, "Return only issues with all of these labels."] = None,
    assignee: Annotated[
        str | None, 'Return only issues assigned to this login; "none" for unassigned issues, "*" for assigned issues.'
    ] = None,
    author: Annotated[Login | None, "Return only issues that this user opened."] = None,
    since: Annotated[Time | None, "Return only issues that changed since this time."] = None,
    pull_requests: Annotated[bool, "Whether to include pull requests, which GitHub counts as issues."] = False,
    sort: Annotated[Literal["created", "updated", "comments"], "What to sort by."] = "created",
    direction: Annotated[Literal["asc", "desc"], "The order: ascending or descending."] = "desc",
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> IssuePage:
    """List the issues of a repository, by default the newest first.

    Unless ``pull_requests`` is true, GitHub's pages are fetched until this page is full. A later page takes a request
    for each hundred items before it; ``all = true`` fetches each of GitHub's pages once.
    """
    filters = {
        "state": state,
        "labels": labels,
        "assignee": assignee,
        "creator": author,
        "since": since,
        "sort": sort,
        "direction": direction,
    }
    part = Page(limit, page, all)
    if pull_requests:
        found, after = part.listed(hub.api, _PATH, filters, **parts_of(repo))
    else:
        found, after = part.chosen(hub.api, _PATH, filters, _is_own, **parts_of(repo))
    return {"issues": list(map(shaped, found)), "next_page": after}


def _is_own(issue: Thing) -> bool:
    return "pull_request" not in issue


@integration.reads
def get_issue(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    number: IssueNumber,
) -> Issue:
    """Get one issue, or the fields that a pull request shares with issues."""
    return shaped(thing_of(hub.api.get(_PATH + "/{number}", **parts_of(repo), number=number)))


@integration.writes(undo="GitHub deletes no issues; close_issue closes it")
def create_issue(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    title: Annotated[str, "The title, on one line.", non_empty()],
    body: Annotated[str | None, "The description, in Markdown."] = None,
    labels: Annotated[
        list[str] | None,
        "The names of the issue's labels; GitHub ignores them if the token is not allowed to set labels.",
    ] = None,
    assignees: Annotated[
        list[str] | None,
        "The logins of the users to assign; GitHub ignores them if the token is not allowed to assign users.",
    ] = None,
) -> Issue:
    """Open an issue. GitHub notifies those who watch the repository."""
    given = {"title": title, "body": body, "labels": labels, "assignees": assignees}
    issue = {key: value for key, value in given.items() if value is not None}
    return shaped(thing_of(hub.api.post(_PATH, json=issue, **parts_of(repo))))


_issue = shaper(
    Issue,
    author="user.login",
    assignees="assignees.login",
    labels="labels.name",
    milestone="milestone.title",
    url="html_url",
)


def shaped(issue: Thing) -> Issue:
    """Convert an issue from GitHub's JSON to the flat form that scripts get."""
    return _issue({**issue, "is_pull_request": "pull_request" in issue})
