"""The operation of the simulator for each method and path of https://docs.github.com/en/rest."""

from __future__ import annotations

from . import actions, contents, discussion, operations, pulls
from .call import Operation

_REPO = "/repos/{owner}/{repo}"
_ISSUE = _REPO + "/issues/{number}"
_PULL = _REPO + "/pulls/{number}"
_RUN = _REPO + "/actions/runs/{run_id}"
_FILE = _REPO + "/contents/{path}"
OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/user"): operations.viewer,
    ("GET", "/user/repos"): operations.own_repos,
    ("GET", "/users/{login}"): operations.user,
    ("GET", "/users/{login}/repos"): operations.repos_of_user,
    ("GET", "/orgs/{login}/repos"): operations.repos_of_organisation,
    ("GET", "/search/repositories"): operations.search,
    ("GET", "/repos/{owner}/{repo}"): operations.repo,
    ("GET", "/repos/{owner}/{repo}/issues"): operations.issues,
    ("POST", "/repos/{owner}/{repo}/issues"): operations.open_issue,
    ("GET", "/repos/{owner}/{repo}/issues/{number}"): operations.issue,
    ("GET", "/repos/{owner}/{repo}/commits"): operations.commits,
    ("GET", "/repos/{owner}/{repo}/releases"): operations.releases,
    ("GET", "/repositories/{id}/{list}"): operations.by_id,
    ("PATCH", _ISSUE): discussion.change_issue,
    ("GET", _ISSUE + "/comments"): discussion.comments,
    ("POST", _ISSUE + "/comments"): discussion.comment,
    ("POST", _ISSUE + "/labels"): discussion.add_labels,
    ("DELETE", _ISSUE + "/labels/{label}"): discussion.remove_label,
    ("GET", _REPO + "/pulls"): pulls.pulls,
    ("POST", _REPO + "/pulls"): pulls.open_pull,
    ("GET", _PULL): pulls.pull,
    ("PUT", _PULL + "/merge"): pulls.merge,
    ("GET", _PULL + "/files"): pulls.files,
    ("GET", _PULL + "/reviews"): pulls.reviews,
    ("GET", _REPO + "/actions/runs"): actions.runs,
    ("GET", _RUN): actions.run,
    ("POST", _RUN + "/rerun"): actions.rerun,
    ("POST", _RUN + "/rerun-failed-jobs"): actions.rerun,
    ("POST", _RUN + "/cancel"): actions.cancel,
    ("GET", _FILE): contents.file,
    ("PUT", _FILE): contents.write,
    ("DELETE", _FILE): contents.delete,
}
