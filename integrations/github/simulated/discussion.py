"""Changes to issues and pull requests of the simulated GitHub: comments, labels, closing and reopening."""

from __future__ import annotations

from ..wire import Thing
from .call import Answer, Call, Listed, Refusal, body_of, demand_token, found, routes
from .operations import issue, refuse_archived, with_issues
from .world import World, label, person, stamp


@routes.on("PATCH", "/repos/{owner}/{repo}/issues/{number}")
def change_issue(world: World, call: Call) -> Thing:
    """Change the state, title or body of an issue or a pull request, and answer with the changed object."""
    changed, body = _writable(world, call), body_of(call, "Issue")
    state = body.get("state", changed["state"])
    if state != changed["state"]:
        closed = state == "closed"
        reason = body.get("state_reason") or ("completed" if closed else "reopened")
        changed |= {"state": state, "state_reason": reason, "closed_at": stamp(0) if closed else None}
    changed |= {name: body[name] for name in ("title", "body") if name in body}
    changed["updated_at"] = stamp(0)
    return changed


@routes.on("GET", "/repos/{owner}/{repo}/issues/{number}/comments")
def comments(world: World, call: Call) -> Listed:
    known = world.comments_of(with_issues(world, call), issue(world, call))
    return Listed([each for each in known if each["updated_at"] >= call.query.get("since", "")], call.path)


@routes.on("POST", "/repos/{owner}/{repo}/issues/{number}/comments")
def comment(world: World, call: Call) -> Thing:
    commented = _writable(world, call)
    home, body = with_issues(world, call), body_of(call, "IssueComment", "body")
    known = world.comments_of(home, commented)
    made = {
        "id": max((each["id"] for each in known), default=commented["id"] * 100) + 1,
        "user": person(world.login),
        "body": body["body"],
        "html_url": f"{commented['html_url']}#issuecomment-{len(known) + 1}",
        "created_at": stamp(0),
        "updated_at": stamp(0),
    }
    known.append(made)
    commented["comments"] = len(known)
    return made


@routes.on("POST", "/repos/{owner}/{repo}/issues/{number}/labels")
def add_labels(world: World, call: Call) -> Answer:
    changed, body = _writable(world, call), body_of(call, "Label")
    names = [each["name"] for each in changed["labels"]]
    changed["labels"] += [label(name) for name in dict.fromkeys(body.get("labels", [])) if name not in names]
    return Answer(200, changed["labels"])


@routes.on("DELETE", "/repos/{owner}/{repo}/issues/{number}/labels/{label}")
def remove_label(world: World, call: Call) -> Answer:
    changed = _writable(world, call)
    left = [each for each in changed["labels"] if each["name"] != call.segments["label"]]
    if len(left) == len(changed["labels"]):
        raise Refusal(404, "Label does not exist")
    changed["labels"] = left
    return Answer(200, left)


def _writable(world: World, call: Call) -> Thing:
    demand_token(call)
    refuse_archived(with_issues(world, call))
    return found(issue(world, call))
