"""Inverses of writes: what is read before a write, and the calls that take it back or a sentence about what is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kosmolua.plugin import Declared

from .parameters import parts_of

_Step = tuple[str, dict[str, Any]]
_REASONS = ("completed", "not_planned")


def issue(args: Mapping[str, Any]) -> _Step:
    """Read the issue that a write changes."""
    return "get_issue", {"repo": args["repo"], "number": args["number"]}


def state_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    """Open the issue again, or close it for the same reason as before."""
    where = issue(args)[1]
    if before["state"] == "open":
        return [("reopen_issue", where)]
    reason = {"reason": before["state_reason"]} if before["state_reason"] in _REASONS else {}
    return [("close_issue", where | reason)]


def labels_removed(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    """Remove the labels that the issue did not have."""
    had = {label.lower() for label in before["labels"]}
    new = [label for label in args["labels"] if label.lower() not in had]
    return [("remove_label", issue(args)[1] | {"label": label}) for label in new]


def label_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    """Add the label again, in the spelling that it had."""
    had = [label for label in before["labels"] if label.lower() == args["label"].lower()]
    return [("add_labels", issue(args)[1] | {"labels": had})] if had else []


def comment_deleted(args: Mapping[str, Any], _: Any, result: Any) -> Sequence[_Step]:
    """Delete the comment; its subscribers have been notified."""
    return [("issues_delete_comment", parts_of(str(args["repo"])) | {"comment_id": result["id"]})]


def file(args: Mapping[str, Any]) -> _Step:
    """Read the file that a write replaces or deletes."""
    return "get_file", {"repo": args["repo"], "path": args["path"], "ref": args.get("branch")}


def file_back(args: Mapping[str, Any], before: Any, result: Any) -> Sequence[_Step]:
    """Commit the earlier content again, or delete a file that is new. The history keeps both commits."""
    where = {name: args[name] for name in ("repo", "path", "branch") if args.get(name) is not None}
    where |= {"message": "Undo: " + args["message"].removeprefix("Undo: ")}
    where |= {"sha": result["sha"]} if result["sha"] else {}
    if before is None:
        return [("delete_file", where)]
    return [("put_file", where | {"content": before["content"], "encoding": before["encoding"]})]


# Operations of the document


def _documented_issue(args: Mapping[str, Any]) -> _Step:
    return "get_issue", {"repo": f"{args['owner']}/{args['repo']}", "number": args["issue_number"]}


def _assignees_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    """Assign the issue to those who had it, and to nobody else."""
    where = {name: args[name] for name in ("owner", "repo", "issue_number")}
    changed = {login.lower() for login in args.get("assignees") or ()}
    had = [login for login in before["assignees"] if login.lower() in changed]
    new = [login for login in args.get("assignees") or () if login.lower() not in {each.lower() for each in had}]
    return [
        *([("issues_remove_assignees", where | {"assignees": new})] if new else []),
        *([("issues_add_assignees", where | {"assignees": had})] if had else []),
    ]


def _ref(args: Mapping[str, Any]) -> _Step:
    return "git_get_ref", _where(args)


def _ref_dropped(args: Mapping[str, Any], _: Any, __: Any) -> Sequence[_Step]:
    return [("git_delete_ref", _where(args))]


def _ref_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    where = _where(args)
    return [("git_create_ref", where | {"ref": f"refs/{where['ref']}", "sha": before["object"]["sha"]})]


def _ref_moved_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    return [("git_update_ref", _where(args) | {"sha": before["object"]["sha"], "force": True})]


def _where(args: Mapping[str, Any]) -> dict[str, Any]:
    return {"owner": args["owner"], "repo": args["repo"], "ref": str(args["ref"]).removeprefix("refs/")}


def _label_dropped(args: Mapping[str, Any], _: Any, __: Any) -> Sequence[_Step]:
    return [("issues_delete_label", {name: args[name] for name in ("owner", "repo", "name")})]


OF_DOCUMENT: dict[str, Declared] = {
    "issues_add_assignees": {"before": _documented_issue, "undo": _assignees_back},
    "issues_remove_assignees": {"before": _documented_issue, "undo": _assignees_back},
    "issues_create_label": {"undo": _label_dropped},
    "git_create_ref": {"undo": _ref_dropped},
    "git_delete_ref": {"before": _ref, "undo": _ref_back},
    "git_update_ref": {"before": _ref, "undo": _ref_moved_back},
}
