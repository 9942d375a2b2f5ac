"""The history of a repository: its commits and its releases.

See https://docs.github.com/en/rest/commits/commits and https://docs.github.com/en/rest/releases/releases.
"""

from typing import Annotated, TypedDict

from .account import integration
from .hub import Hub
from .paging import All, Limit, Number, Page
from .parameters import RepoName, Time, parts_of
from .wire import Thing, shaper, text, things_of


class Commit(TypedDict):
    """A commit. Text fields are never nil: a missing value is ``""``."""

    sha: str
    title: Annotated[str, "The first line of its message."]
    message: str
    author: Annotated[str, "The author's login, or the name in the commit if GitHub does not know its email address."]
    date: Annotated[str, "The time when the commit was written, in ISO 8601."]
    url: Annotated[str, "The URL of its page."]


class CommitPage(TypedDict):
    commits: list[Commit]
    next_page: int | None


class Asset(TypedDict):
    """A file of a release."""

    name: str
    size: Annotated[int, "The size in bytes."]
    downloads: int
    url: Annotated[str, "The URL to download it from."]


class Release(TypedDict):
    """A release. Text fields are never nil: a missing value is ``""``."""

    tag: str
    name: str
    body: str
    author: str
    draft: bool
    prerelease: bool
    url: Annotated[str, "The URL of its page."]
    assets: list[Asset]
    created_at: str
    published_at: Annotated[str, "The time of publication, in ISO 8601; empty for a draft."]


class ReleasePage(TypedDict):
    releases: list[Release]
    next_page: int | None


@integration.reads
def list_commits(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    branch: Annotated[str | None, "The branch, tag or commit to start at; the default branch if none is given."] = None,
    path: Annotated[str | None, "Return only commits that touch this file or folder."] = None,
    author: Annotated[str | None, "Return only commits by this login or email address."] = None,
    since: Annotated[Time | None, "Return only commits after this time."] = None,
    before: Annotated[Time | None, "Return only commits before this time."] = None,
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> CommitPage:
    """List the commits of a repository, the newest first."""
    filters = {"sha": branch, "path": path, "author": author, "since": since, "until": before}
    found, after = Page(limit, page, all).listed(hub.api, "/repos/{owner}/{repo}/commits", filters, **parts_of(repo))
    return {"commits": [_shaped_commit(commit) for commit in found], "next_page": after}


@integration.reads
def list_releases(hub: Hub, /, *, repo: RepoName, limit: Limit = 30, page: Number = 1, all: All = False) -> ReleasePage:
    """List the releases of a repository, the newest first. Only users with push access see drafts."""
    found, after = Page(limit, page, all).listed(hub.api, "/repos/{owner}/{repo}/releases", {}, **parts_of(repo))
    return {"releases": [_shaped_release(release) for release in found], "next_page": after}


_commit = shaper(Commit, message="commit.message", date="commit.author.date", url="html_url")
_asset = shaper(Asset, downloads="download_count", url="browser_download_url")
_release = shaper(Release, tag="tag_name", author="author.login", url="html_url")


def _shaped_commit(commit: Thing) -> Commit:
    author = text(commit, "author", "login") or text(commit, "commit", "author", "name")
    return {**_commit(commit), "title": text(commit, "commit", "message").partition("\n")[0], "author": author}


def _shaped_release(release: Thing) -> Release:
    return {**_release(release), "assets": [_asset(asset) for asset in things_of(release.get("assets") or [])]}
