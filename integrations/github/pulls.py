"""Pull requests: listing, reading, opening and merging them (https://docs.github.com/en/rest/pulls/pulls)."""

from typing import Annotated, Literal, TypeAlias, TypedDict

from kosmolua.plugin import non_empty

from .account import integration
from .hub import Hub
from .paging import All, Limit, Number, Page
from .parameters import IssueNumber, RepoName, parts_of
from .wire import Thing, shaper, text, thing_of

_PATH = "/repos/{owner}/{repo}/pulls"
_ONE = _PATH + "/{number}"


class PullRequest(TypedDict):
    """A pull request. Text fields are never nil. In a list, the numbers that only get_pull_request returns are 0."""

    number: int
    title: str
    body: str
    state: Annotated[Literal["open", "closed"], "Whether it is open or closed; a merged one is closed."]
    draft: bool
    merged: bool
    mergeable: Annotated[bool | None, "Whether it can be merged; nil in a list, and until GitHub has computed it."]
    author: Annotated[str, "The login of the user who opened it."]
    assignees: Annotated[list[str], "The logins of the assigned users."]
    reviewers: Annotated[list[str], "The logins of the requested reviewers."]
    labels: Annotated[list[str], "The names of its labels."]
    head: Annotated[str, "The branch with the changes."]
    head_repo: Annotated[str, "The repository of the branch with the changes, as owner/name; empty if it was deleted."]
    head_sha: str
    base: Annotated[str, "The branch to merge the changes into."]
    commits: int
    changed_files: int
    additions: int
    deletions: int
    url: Annotated[str, "The URL of its web page."]
    created_at: str
    updated_at: str
    closed_at: str
    merged_at: str


class PullRequestPage(TypedDict):
    pull_requests: list[PullRequest]
    next_page: int | None


class Merged(TypedDict):
    merged: bool
    sha: Annotated[str, "The sha of the new commit on the base branch."]
    message: str


FileStatus: TypeAlias = Literal["added", "modified", "removed", "renamed", "copied", "changed", "unchanged"]


class ChangedFile(TypedDict):
    """A file that a pull request changes."""

    path: str
    status: Annotated[FileStatus, "What happened to it."]
    additions: int
    deletions: int
    previous_path: Annotated[str, "Its path before a rename."]
    patch: Annotated[str, "Its changes as a diff; empty for binary and very large files."]


class ChangedFilePage(TypedDict):
    files: list[ChangedFile]
    next_page: int | None


class Review(TypedDict):
    """A review of a pull request."""

    id: int
    author: str
    state: Annotated[str, "The verdict, such as APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED."]
    body: str
    url: str
    submitted_at: str


class ReviewPage(TypedDict):
    reviews: list[Review]
    next_page: int | None


@integration.reads
def list_pull_requests(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    state: Annotated[Literal["open", "closed", "all"], "Return only pull requests in this state."] = "open",
    base: Annotated[str | None, "Return only pull requests to merge into this branch."] = None,
    head: Annotated[str | None, "Return only pull requests from this branch, written as owner:branch."] = None,
    sort: Annotated[Literal["created", "updated", "popularity", "long-running"], "What to sort by."] = "created",
    direction: Annotated[Literal["asc", "desc"], "The order: ascending or descending."] = "desc",
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> PullRequestPage:
    """List the pull requests of a repository, by default the newest first."""
    filters = {"state": state, "base": base, "head": head, "sort": sort, "direction": direction}
    found, after = Page(limit, page, all).listed(hub.api, _PATH, filters, **parts_of(repo))
    return {"pull_requests": [_shaped(each) for each in found], "next_page": after}


@integration.reads
def get_pull_request(hub: Hub, /, *, repo: RepoName, number: IssueNumber) -> PullRequest:
    """Get one pull request, including how much it changes and whether it can be merged."""
    return _shaped(thing_of(hub.api.get(_ONE, **parts_of(repo), number=number)))


@integration.writes(undo="GitHub deletes no pull requests; close_issue closes it")
def create_pull_request(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    title: Annotated[str, "The title, on one line.", non_empty()],
    head: Annotated[str, "The branch with the changes; for a fork's branch, owner:branch.", non_empty()],
    base: Annotated[str, "The branch to merge the changes into.", non_empty()],
    body: Annotated[str | None, "The description, in Markdown."] = None,
    draft: Annotated[bool, "Whether the pull request is a draft, which cannot be merged yet."] = False,
) -> PullRequest:
    """Open a pull request. GitHub notifies those who watch the repository."""
    wanted: Thing = {"title": title, "head": head, "base": base, "draft": draft}
    wanted |= {} if body is None else {"body": body}
    return _shaped(thing_of(hub.api.post(_PATH, json=wanted, **parts_of(repo))))


def _merged(hub: Hub, /, *, repo: RepoName, number: IssueNumber, **_: object) -> Merged | None:
    """Return the result of the merge if it was done."""
    pull = thing_of(hub.api.get(_ONE, **parts_of(repo), number=number))
    done: Merged = {
        "merged": True,
        "sha": text(pull, "merge_commit_sha"),
        "message": "Pull Request successfully merged",
    }
    return done if pull.get("merged") else None


@integration.writes(was_done=_merged, undo="a merge stays; only a new commit takes its changes back")
def merge_pull_request(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    number: IssueNumber,
    method: Annotated[Literal["merge", "squash", "rebase"], "How to combine the commits."] = "merge",
    title: Annotated[str | None, "The first line of the commit message; GitHub writes it if none is given."] = None,
    message: Annotated[str | None, "The rest of the commit message."] = None,
    sha: Annotated[str | None, "Merge only if the newest commit of the head branch still has this sha."] = None,
) -> Merged:
    """Merge a pull request. The call fails with status 409 if ``sha`` is outdated, or 405 if merging is impossible."""
    given = {"merge_method": method, "commit_title": title, "commit_message": message, "sha": sha}
    body = {key: value for key, value in given.items() if value is not None}
    reply = thing_of(hub.api.put(_ONE + "/merge", json=body, **parts_of(repo), number=number))
    return {"merged": bool(reply.get("merged")), "sha": text(reply, "sha"), "message": text(reply, "message")}


@integration.reads
def list_pull_request_files(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    number: IssueNumber,
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> ChangedFilePage:
    """List the files that a pull request changes, including the changed lines."""
    found, after = Page(limit, page, all).listed(hub.api, _ONE + "/files", {}, **parts_of(repo), number=number)
    return {"files": [_file(each) for each in found], "next_page": after}


@integration.reads
def list_reviews(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    number: IssueNumber,
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> ReviewPage:
    """List the reviews of a pull request, the oldest first."""
    found, after = Page(limit, page, all).listed(hub.api, _ONE + "/reviews", {}, **parts_of(repo), number=number)
    return {"reviews": [_review(each) for each in found], "next_page": after}


_pull = shaper(
    PullRequest,
    author="user.login",
    assignees="assignees.login",
    reviewers="requested_reviewers.login",
    labels="labels.name",
    head="head.ref",
    head_repo="head.repo.full_name",
    head_sha="head.sha",
    base="base.ref",
    url="html_url",
)
_file = shaper(ChangedFile, path="filename", previous_path="previous_filename")
_review = shaper(Review, author="user.login", url="html_url")


def _shaped(pull: Thing) -> PullRequest:
    """Return a pull request for scripts. In a list, only the time says whether it is merged."""
    return _pull({**pull, "merged": pull.get("merged") or pull.get("merged_at")})
