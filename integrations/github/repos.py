"""Repositories: reading, listing and searching them (https://docs.github.com/en/rest/repos/repos)."""

from typing import Annotated, Literal, TypedDict

from .account import integration
from .hub import Hub
from .paging import All, Limit, Number, Page
from .parameters import Login, RepoName, parts_of
from .wire import shaper, thing_of


class Repo(TypedDict):
    """A repository. Text fields are never nil: a missing value is ``""``."""

    name: Annotated[str, "The full name, as owner/name."]
    owner: str
    description: str
    homepage: str
    url: Annotated[str, "The URL of its page."]
    language: str
    license: Annotated[str, "The SPDX id of its license, such as MIT."]
    topics: list[str]
    default_branch: str
    private: bool
    fork: bool
    archived: bool
    stars: int
    forks: int
    open_issues: Annotated[int, "The number of open issues and open pull requests."]
    created_at: str
    updated_at: str
    pushed_at: str


class RepoPage(TypedDict):
    repos: list[Repo]
    next_page: int | None


class FoundRepos(TypedDict):
    repos: list[Repo]
    total: int
    incomplete: Annotated[bool, "Whether GitHub stopped the search before it was complete."]
    next_page: int | None


@integration.reads
def get_repo(hub: Hub, /, *, repo: RepoName) -> Repo:
    """Get one repository. A former name of the repository works too."""
    return _shaped(thing_of(hub.api.get("/repos/{owner}/{repo}", **parts_of(repo))))


@integration.reads
def list_repos(
    hub: Hub,
    /,
    *,
    owner: Annotated[Login | None, "The login of a user or an organisation; the token's user if none is given."] = None,
    sort: Annotated[Literal["created", "updated", "pushed", "full_name"], "What to sort by."] = "full_name",
    direction: Annotated[
        Literal["asc", "desc"] | None,
        "The order: ascending (the default for full_name) or descending (the default for times).",
    ] = None,
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> RepoPage:
    """List the repositories of a user or an organisation. Without an owner, list those the token's user can access."""
    filters = {"sort": sort, "direction": direction}
    template, segments = _home_of(hub, owner)
    repos, after = Page(limit, page, all).listed(hub.api, template, filters, **segments)
    return {"repos": [_shaped(repo) for repo in repos], "next_page": after}


@integration.reads
def search_repos(
    hub: Hub,
    /,
    *,
    query: Annotated[str, 'The words and qualifiers to search for (e.g., "sandbox language:lua stars:>100 org:octo").'],
    sort: Annotated[
        Literal["stars", "forks", "updated"] | None, "What to sort by; the best matches come first if none is given."
    ] = None,
    order: Annotated[Literal["asc", "desc"], "The order: ascending or descending."] = "desc",
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> FoundRepos:
    """Search all repositories that the account can see.

    GitHub returns at most 1,000 matches, and allows fewer searches than other requests: 10 a minute, or 30 with a
    token.
    """
    filters = {"q": query, "sort": sort, "order": order}
    found = Page(limit, page, all).found(hub.api, "/search/repositories", filters)
    return {
        "repos": [_shaped(repo) for repo in found.items],
        "total": found.total,
        "incomplete": found.incomplete,
        "next_page": found.next_page,
    }


def _home_of(hub: Hub, owner: str | None) -> tuple[str, dict[str, str]]:
    """Return the template of the path that lists an owner's repositories, and the values to put into it."""
    if owner is None:
        return "/user/repos", {}
    if hub.is_organisation(owner):
        return "/orgs/{org}/repos", {"org": owner}
    return "/users/{username}/repos", {"username": owner}


_shaped = shaper(
    Repo,
    name="full_name",
    owner="owner.login",
    url="html_url",
    license="license.spdx_id",
    topics="topics.name",
    stars="stargazers_count",
    forks="forks_count",
    open_issues="open_issues_count",
)
