"""Pull requests of the simulated GitHub. A pull request is an issue with branches."""

from __future__ import annotations

from ..wire import Thing
from .call import Call, Listed, Refusal, body_of, demand_token, found, routes
from .operations import refuse_archived, repo
from .world import World, blob_sha, person, stamp

_MORE = ("mergeable", "commits", "changed_files", "additions", "deletions")
"""The fields that pull requests in a list lack."""
_FILES = (("src/main.lua", "modified", 10, 2), ("README.md", "modified", 1, 0), ("src/new.lua", "added", 40, 0))


@routes.on("GET", "/repos/{owner}/{repo}/pulls")
def pulls(world: World, call: Call) -> Listed:
    home, query = repo(world, call), call.query
    wanted = [
        {name: value for name, value in each.items() if name not in _MORE}
        for each in world.pulls_of(home)
        if query.get("state", "open") in ("all", each["state"])
        and query.get("base") in (None, each["base"]["ref"])
        and query.get("head") in (None, each["head"]["label"])
    ]
    key = "updated_at" if query.get("sort") == "updated" else "created_at"
    wanted.sort(key=lambda each: str(each[key]), reverse=query.get("direction", "desc") == "desc")
    return Listed(wanted, call.path)


@routes.on("GET", "/repos/{owner}/{repo}/pulls/{number}")
def pull(world: World, call: Call) -> Thing:
    known = world.pulls_of(repo(world, call))
    return found(next((each for each in known if str(each["number"]) == call.segments["number"]), None))


@routes.on("POST", "/repos/{owner}/{repo}/pulls")
def open_pull(world: World, call: Call) -> Thing:
    demand_token(call)
    home, body = repo(world, call), body_of(call, "PullRequest", "title", "head", "base")
    refuse_archived(home)
    if body["base"] != home["default_branch"]:
        raise Refusal(422, "Validation Failed", {"resource": "PullRequest", "field": "base", "code": "invalid"})
    return world.add_pull(home, body)


@routes.on("PUT", "/repos/{owner}/{repo}/pulls/{number}/merge")
def merge(world: World, call: Call) -> Thing:
    """Merge a pull request and answer with the sha of the merge. Refuse with 405 or 409 if it cannot be merged."""
    demand_token(call)
    merged, body = pull(world, call), body_of(call, "PullRequest")
    if merged["state"] != "open" or merged["draft"]:
        raise Refusal(405, "Pull Request is not mergeable")
    if body.get("sha") not in (None, merged["head"]["sha"]):
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    sha = blob_sha(f"merge of {merged['html_url']}".encode())
    world.merge(repo(world, call), merged["number"])
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}


@routes.on("GET", "/repos/{owner}/{repo}/pulls/{number}/files")
def files(world: World, call: Call) -> Listed:
    number = pull(world, call)["number"]
    found = [
        {
            "sha": blob_sha(f"{path}@{number}".encode()),
            "filename": path,
            "status": status,
            "additions": additions,
            "deletions": deletions,
            "changes": additions + deletions,
            "patch": f"@@ -1,{deletions} +1,{additions} @@",
        }
        for path, status, additions, deletions in _FILES
    ]
    return Listed(found, call.path)


@routes.on("GET", "/repos/{owner}/{repo}/pulls/{number}/reviews")
def reviews(world: World, call: Call) -> Listed:
    """Answer with the reviews of a pull request: one that requests changes and one that approves, or none."""
    reviewed = pull(world, call)
    states = ("CHANGES_REQUESTED", "APPROVED") if reviewed["number"] % 20 == 0 else ()
    found = [
        {
            "id": reviewed["id"] + place,
            "user": person("hopper"),
            "state": state,
            "body": "" if state == "APPROVED" else "Please add a test.",
            "html_url": f"{reviewed['html_url']}#pullrequestreview-{reviewed['id'] + place}",
            "submitted_at": stamp(200 - place),
        }
        for place, state in enumerate(states)
    ]
    return Listed(found, call.path)
