"""Parameters that several functions share, such as the repository."""

from __future__ import annotations

from typing import Annotated, Any

from kosmolua.plugin import between, matching

_DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"

RepoName = Annotated[str, "The repository, as owner/name.", matching(r"[\w.-]+/[\w.-]+", "octocat/hello-world")]
IssueNumber = Annotated[int, "The number of the issue or pull request within its repository.", between(1, 2**31)]
Login = Annotated[str, matching(r"[\w.\[\]-]+", "octocat")]
Time = Annotated[str, matching(rf"{_DAY}(T[0-9:.]+(Z|[+-]\d\d:?\d\d))?", "2026-01-31T12:00:00Z")]


def parts_of(repo: str) -> dict[str, Any]:
    """Split ``owner/name`` into two segments of the API's paths, ``owner`` and ``repo``."""
    owner, _, name = repo.partition("/")
    return {"owner": owner, "repo": name}
