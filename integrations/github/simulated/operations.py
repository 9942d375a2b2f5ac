"""Operations of the simulated GitHub on users, repositories, issues, commits and releases."""

from __future__ import annotations

from ..paging import MOST_FOUND
from ..wire import Thing, inner
from .call import Call, Listed, Refusal, body_of, demand_token, found, routes
from .world import World, person


@routes.on("GET", "/user")
def viewer(world: World, call: Call) -> Thing:
    demand_token(call)
    return person(world.login)


@routes.on("GET", "/users/{login}")
def user(world: World, call: Call) -> Thing:
    return found(world.user(call.segments["login"]))


@routes.on("GET", "/user/repos")
def own_repos(world: World, call: Call) -> Listed:
    demand_token(call)
    return _repos(world, call, world.login)


@routes.on("GET", "/users/{login}/repos")
def repos_of_user(world: World, call: Call) -> Listed:
    """Answer with the public repositories of a user. The path also works for an organisation."""
    return _repos(world, call._replace(signed_in=False), user(world, call)["login"])


@routes.on("GET", "/orgs/{login}/repos")
def repos_of_organisation(world: World, call: Call) -> Listed:
    """Answer with the repositories of an organisation. Refuse with 404 if the name is that of a user."""
    owner = user(world, call)
    return _repos(world, call, found(owner if owner["type"] == "Organization" else None)["login"])


@routes.on("GET", "/search/repositories")
def search(world: World, call: Call) -> Listed:
    """Answer with the public repositories that match a search. Only a few kinds of qualifiers are supported."""
    words = call.query.get("q", "").lower().split()
    if not words:
        raise Refusal(422, "Validation Failed", {"resource": "Search", "field": "q", "code": "missing"})
    found_repos = [repo for repo in world.repos.values() if _matches(repo, words) and not repo["private"]]
    keys = {"stars": "stargazers_count", "forks": "forks_count", "updated": "updated_at"}
    key = keys.get(call.query.get("sort", ""))
    if key:
        found_repos.sort(key=lambda repo: repo[key], reverse=call.query.get("order", "desc") == "desc")
    return Listed(found_repos, call.path, MOST_FOUND, "items")


@routes.on("GET", "/repos/{owner}/{repo}")
def repo(world: World, call: Call) -> Thing:
    """Answer with a repository. Refuse with 404 if it does not exist, or if it is private and the call has no token."""
    name = f"{call.segments['owner']}/{call.segments['repo']}"
    return found(world.visible(name, signed_in=call.signed_in))


@routes.on("GET", "/repos/{owner}/{repo}/issues")
def issues(world: World, call: Call) -> Listed:
    home = with_issues(world, call)
    wanted = [issue for issue in world.issues_of(home) if _is_wanted(issue, call.query)]
    key = {"updated": "updated_at", "comments": "comments"}.get(call.query.get("sort", ""), "created_at")
    wanted.sort(key=lambda issue: issue[key], reverse=call.query.get("direction", "desc") == "desc")
    return Listed(wanted, f"/repositories/{home['id']}/issues")


@routes.on("GET", "/repos/{owner}/{repo}/issues/{number}")
def issue(world: World, call: Call) -> Thing:
    known = world.issues_of(with_issues(world, call))
    return found(next((each for each in known if str(each["number"]) == call.segments["number"]), None))


@routes.on("POST", "/repos/{owner}/{repo}/issues")
def open_issue(world: World, call: Call) -> Thing:
    demand_token(call)
    home = with_issues(world, call)
    refuse_archived(home)
    return world.add_issue(home, body_of(call, "Issue", "title"))


def refuse_archived(repo: Thing) -> None:
    """Refuse a change, with status 403, if the repository is archived."""
    if repo["archived"]:
        raise Refusal(403, "Repository was archived so is read-only.")


@routes.on("GET", "/repos/{owner}/{repo}/commits")
def commits(world: World, call: Call) -> Listed:
    """Answer with the commits of a repository that match the query. Refuse with 409 if the repository is empty."""
    home = repo(world, call)
    known = world.commits_of(home)
    if not known:
        raise Refusal(409, "Git Repository is empty.")
    if call.query.get("sha", "main") not in ("main", *(commit["sha"] for commit in known)):
        raise Refusal(404, "Not Found")
    wanted = [commit for commit in known if _is_in_time(commit, call.query) and _is_by(commit, call.query)]
    return Listed(wanted, f"/repositories/{home['id']}/commits")


@routes.on("GET", "/repos/{owner}/{repo}/releases")
def releases(world: World, call: Call) -> Listed:
    home = repo(world, call)
    return Listed(world.releases_of(home, signed_in=call.signed_in), f"/repositories/{home['id']}/releases")


@routes.on("GET", "/repositories/{id}/{list}")
def by_id(world: World, call: Call) -> Listed:
    """Answer with a list of the repository with an id: links to further pages have such paths."""
    home = found(next((each for each in world.repos.values() if str(each["id"]) == call.segments["id"]), None))
    owner, _, name = home["full_name"].partition("/")
    lists = {"issues": issues, "commits": commits, "releases": releases}
    answer = lists.get(call.segments["list"])
    if answer is None:
        raise Refusal(404, "Not Found")
    return answer(world, call._replace(segments={"owner": owner, "repo": name}))


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


def with_issues(world: World, call: Call) -> Thing:
    """Return the repository of a call, or refuse with 410 if its issues are disabled."""
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
