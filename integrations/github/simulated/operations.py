"""How a simulated GitHub answers each of its operations; the paths are those of https://docs.github.com/en/rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..paging import MOST_FOUND
from ..wire import Thing, inner
from .world import World, person


class Refusal(Exception):
    """An error that GitHub answers with.

    Args:
        status: The HTTP status.
        message: What the body says.
        errors: The list of the body's ``errors``, as a 422 has it.
    """

    def __init__(self, status: int, message: str, *errors: Thing) -> None:
        super().__init__(message)
        self.status = status
        self.body: Thing = {"message": message, "status": str(status)} | ({"errors": errors} if errors else {})


@dataclass(frozen=True)
class Call:
    """A request that fits a known path.

    Args:
        path: Without what the base URL has of it.
        segments: What stood in the path's places.
        query: Its parameters.
        body: The decoded body, or None.
        signed_in: Whether it came with a token.
    """

    path: str
    segments: dict[str, str]
    query: dict[str, str]
    body: object
    signed_in: bool


@dataclass(frozen=True)
class Listed:
    """A list to be answered with in pages.

    Args:
        items: All of them.
        path: Where the links to other pages lead.
        most: How far the pages of a search go; other lists have no end and no envelope.
    """

    items: list[Thing]
    path: str
    most: float = math.inf


Operation: TypeAlias = "Callable[[World, Call], Thing | Listed]"


def viewer(world: World, call: Call) -> Thing:
    """Answer with the user of the token."""
    _demand_token(call)
    return person(world.login)


def user(world: World, call: Call) -> Thing:
    """Answer with a user or an organisation."""
    return _found(world.user(call.segments["login"]))


def own_repos(world: World, call: Call) -> Listed:
    """Answer with the repositories of the token's user."""
    _demand_token(call)
    return _repos(world, call, world.login)


def repos_of_user(world: World, call: Call) -> Listed:
    """Answer with the public repositories of a user, or of an organisation by the same path, whoever asks."""
    return _repos(world, replace(call, signed_in=False), user(world, call)["login"])


def repos_of_organisation(world: World, call: Call) -> Listed:
    """Answer with the repositories of an organisation; a user is none."""
    owner = user(world, call)
    return _repos(world, call, _found(owner if owner["type"] == "Organization" else None)["login"])


def search(world: World, call: Call) -> Listed:
    """Answer with public repositories that match words and a few qualifiers."""
    words = call.query.get("q", "").lower().split()
    if not words:
        raise Refusal(422, "Validation Failed", {"resource": "Search", "field": "q", "code": "missing"})
    found = [repo for repo in world.repos.values() if _matches(repo, words) and not repo["private"]]
    keys = {"stars": "stargazers_count", "forks": "forks_count", "updated": "updated_at"}
    key = keys.get(call.query.get("sort", ""))
    if key:
        found.sort(key=lambda repo: repo[key], reverse=call.query.get("order", "desc") == "desc")
    return Listed(found, call.path, MOST_FOUND)


def repo(world: World, call: Call) -> Thing:
    """Answer with a repository; a private one is not there for who has no token."""
    name = f"{call.segments['owner']}/{call.segments['repo']}"
    return _found(world.visible(name, signed_in=call.signed_in))


def issues(world: World, call: Call) -> Listed:
    """Answer with the issues of a repository that the query wants."""
    home = _with_issues(world, call)
    wanted = [issue for issue in world.issues_of(home) if _is_wanted(issue, call.query)]
    key = {"updated": "updated_at", "comments": "comments"}.get(call.query.get("sort", ""), "created_at")
    wanted.sort(key=lambda issue: issue[key], reverse=call.query.get("direction", "desc") == "desc")
    return Listed(wanted, f"/repositories/{home['id']}/issues")


def issue(world: World, call: Call) -> Thing:
    """Answer with one issue."""
    known = world.issues_of(_with_issues(world, call))
    return _found(next((each for each in known if str(each["number"]) == call.segments["number"]), None))


def open_issue(world: World, call: Call) -> Thing:
    """Open an issue and answer with it."""
    _demand_token(call)
    home = _with_issues(world, call)
    if home["archived"]:
        raise Refusal(403, "Repository was archived so is read-only.")
    if not isinstance(call.body, dict) or not isinstance(call.body.get("title"), str):
        raise Refusal(422, "Validation Failed", {"resource": "Issue", "field": "title", "code": "missing_field"})
    return world.add_issue(home, call.body)


def commits(world: World, call: Call) -> Listed:
    """Answer with the commits of a repository that the query wants; an empty repository has none, not even a list."""
    home = repo(world, call)
    known = world.commits_of(home)
    if not known:
        raise Refusal(409, "Git Repository is empty.")
    if call.query.get("sha", "main") not in ("main", *(commit["sha"] for commit in known)):
        raise Refusal(404, "Not Found")
    wanted = [commit for commit in known if _is_in_time(commit, call.query) and _is_by(commit, call.query)]
    return Listed(wanted, f"/repositories/{home['id']}/commits")


def releases(world: World, call: Call) -> Listed:
    """Answer with the releases of a repository."""
    home = repo(world, call)
    return Listed(world.releases_of(home, signed_in=call.signed_in), f"/repositories/{home['id']}/releases")


def by_id(world: World, call: Call) -> Listed:
    """Answer where the links of pages lead: a repository has an address by its number too."""
    home = _found(next((each for each in world.repos.values() if str(each["id"]) == call.segments["id"]), None))
    owner, _, name = home["full_name"].partition("/")
    lists = {"issues": issues, "commits": commits, "releases": releases}
    answer = lists.get(call.segments["list"])
    if answer is None:
        raise Refusal(404, "Not Found")
    return answer(world, replace(call, segments={"owner": owner, "repo": name}))


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/user"): viewer,
    ("GET", "/user/repos"): own_repos,
    ("GET", "/users/{login}"): user,
    ("GET", "/users/{login}/repos"): repos_of_user,
    ("GET", "/orgs/{login}/repos"): repos_of_organisation,
    ("GET", "/search/repositories"): search,
    ("GET", "/repos/{owner}/{repo}"): repo,
    ("GET", "/repos/{owner}/{repo}/issues"): issues,
    ("POST", "/repos/{owner}/{repo}/issues"): open_issue,
    ("GET", "/repos/{owner}/{repo}/issues/{number}"): issue,
    ("GET", "/repos/{owner}/{repo}/commits"): commits,
    ("GET", "/repos/{owner}/{repo}/releases"): releases,
    ("GET", "/repositories/{id}/{list}"): by_id,
}


def _demand_token(call: Call) -> None:
    if not call.signed_in:
        raise Refusal(401, "Requires authentication")


def _found(thing: Thing | None) -> Thing:
    if thing is None:
        raise Refusal(404, "Not Found")
    return thing


def _repos(world: World, call: Call, owner: str) -> Listed:
    keys = {"created": "created_at", "updated": "updated_at", "pushed": "pushed_at"}
    key = keys.get(call.query.get("sort", ""), "full_name")
    usual = "asc" if key == "full_name" else "desc"
    own = world.owned(owner, signed_in=call.signed_in)
    own.sort(key=lambda repo: str(repo[key]), reverse=call.query.get("direction", usual) == "desc")
    return Listed(own, call.path)


def _matches(repo: Thing, words: list[str]) -> bool:
    said = f"{repo['full_name']} {repo['description'] or ''}".lower()
    owner = repo["owner"]["login"]
    known = {"language": str(repo["language"]).lower(), "user": owner, "org": owner}
    pairs = [word.partition(":") for word in words]
    return all(known.get(name, value) == value if colon else name in said for name, colon, value in pairs)


def _with_issues(world: World, call: Call) -> Thing:
    home = repo(world, call)
    if not home["has_issues"]:
        raise Refusal(410, "Issues has been disabled in this repository.")
    return home


def _is_wanted(issue: Thing, query: dict[str, str]) -> bool:
    labels = set(filter(None, query.get("labels", "").split(",")))
    return (
        query.get("state", "open") in ("all", issue["state"])
        and labels <= {label["name"] for label in issue["labels"]}
        and query.get("creator") in (None, inner(issue, "user", "login"))
        and issue["updated_at"] >= query.get("since", "")
        and _is_assigned(issue, query.get("assignee"))
    )


def _is_assigned(issue: Thing, assignee: str | None) -> bool:
    logins = [user["login"] for user in issue["assignees"]]
    return {None: True, "none": not logins, "*": bool(logins)}.get(assignee, assignee in logins)


def _is_in_time(commit: Thing, query: dict[str, str]) -> bool:
    return query.get("since", "") <= str(commit["commit"]["author"]["date"]) <= query.get("until", "9999")


def _is_by(commit: Thing, query: dict[str, str]) -> bool:
    names = (None, commit["commit"]["author"]["email"], inner(commit, "author", "login"))
    return query.get("author") in names
