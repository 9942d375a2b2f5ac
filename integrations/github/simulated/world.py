"""The state of the simulator: public data, which is the same for all accounts, and the data of one account."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import timedelta
from hashlib import sha1
from typing import Any

from kosmolua.testing import BEGINNING, SimulatedAccount

from ..wire import Thing, inner

_LANGUAGES = ("Python", "Lua", "Rust", None)
_LABELS = ("bug", "help wanted", "docs")
_PEOPLE = ("octocat", "lovelace", "hopper")
_PARTS = ("issues", "comments", "pulls", "runs", "files")
"""The kinds of data that requests can change. Each is stored by repository, and comments by repository and issue."""

_OF_A_SERVICE = re.compile(r"acme/[a-z]+-(?:api|site|worker|nightly|internal)(?:-[a-z0-9]+)*")
"""The names of the repositories that the services of the simulated Render run. Lists leave them out."""


def stamp(hours: float) -> str:
    """Return the time that lies ``hours`` before the start of the simulation, in GitHub's format."""
    return (BEGINNING - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


class World(SimulatedAccount):
    """All data that one account can access. Every world starts with the same data, and keeps the changes to it."""

    def __init__(self, account: str, state: Mapping[str, Any] | None = None) -> None:
        super().__init__("GitHub", account, {part: {} for part in _PARTS}, state)
        self.login = "lovelace" if account == "default" else f"lovelace-{account}"
        self.repos = {repo["full_name"]: repo for repo in self._founded()}

    def visible(self, full_name: str, *, signed_in: bool) -> Thing | None:
        """Return the repository with this name, ignoring case, or None if the request cannot read such a repository."""
        wanted = full_name.lower()
        if _OF_A_SERVICE.fullmatch(wanted):
            return _repo("acme", wanted.partition("/")[2], 2, "Runs on Render", "Python", stars=0)
        repo = next((each for name, each in self.repos.items() if name.lower() == wanted), None)
        return repo if repo and (signed_in or not repo["private"]) else None

    def owned(self, owner: str, *, signed_in: bool) -> list[Thing]:
        """Return the repositories of an owner, sorted by name. Private ones are included only if ``signed_in``."""
        own = [repo for repo in self.repos.values() if repo["owner"]["login"].lower() == owner.lower()]
        return sorted((repo for repo in own if signed_in or not repo["private"]), key=lambda repo: repo["full_name"])

    def user(self, login: str) -> Thing | None:
        """Return a user or an organisation by login, ignoring case, or None if there is none."""
        known = {name.lower(): name for name in (*_PEOPLE, self.login, "acme")}
        name = known.get(login.lower())
        return person(name) if name else None

    def issues_of(self, repo: Thing) -> list[Thing]:
        """Return the issues of a repository, the newest first."""
        count = 130 if repo["name"] == "rocket" else 4
        return self.kept("issues", repo["full_name"], lambda: [_issue(repo, each) for each in range(count, 0, -1)])

    def add_issue(self, repo: Thing, wanted: Thing) -> Thing:
        """Open the issue that the body of a request describes, and return the issue."""
        issues = self.issues_of(repo)
        issue = _issue(repo, len(issues) + 1) | {
            "title": wanted["title"],
            "body": wanted.get("body"),
            "state": "open",
            "state_reason": None,
            "user": person(self.login),
            "labels": [label(name) for name in wanted.get("labels") or ()],
            "assignees": [person(login) for login in wanted.get("assignees") or ()],
            "milestone": None,
            "comments": 0,
            "closed_at": None,
            "created_at": stamp(0),
            "updated_at": stamp(0),
        }
        issue.pop("pull_request", None)
        issues.insert(0, issue)
        return issue

    def comments_of(self, repo: Thing, issue: Thing) -> list[Thing]:
        """Return the comments on an issue, the oldest first."""
        key = f"{repo['full_name']}#{issue['number']}"
        return self.kept("comments", key, lambda: [_comment(issue, number) for number in range(issue["comments"])])

    def pulls_of(self, repo: Thing) -> list[Thing]:
        """Return the pull requests, the newest first: each is an issue, with fields of its own."""
        own = self.kept("pulls", repo["full_name"], dict[str, Thing])
        found = []
        for issue in self.issues_of(repo):
            if "pull_request" in issue:
                branch = own.setdefault(str(issue["number"]), _branches(repo, issue, f"change-{issue['number']}"))
                found.append(issue | branch | {"html_url": issue["pull_request"]["html_url"]})
        return found

    def add_pull(self, repo: Thing, wanted: Thing) -> Thing:
        """Open the pull request that the body of a request describes, and return the pull request."""
        issue = self.add_issue(repo, wanted)
        issue["pull_request"] = {"html_url": f"{repo['html_url']}/pull/{issue['number']}"}
        own = self.kept("pulls", repo["full_name"], dict[str, Thing])
        branch = str(wanted["head"]).rpartition(":")[2]
        own[str(issue["number"])] = _branches(repo, issue, branch) | {"draft": bool(wanted.get("draft"))}
        return self.pulls_of(repo)[0]

    def merge(self, repo: Thing, number: int) -> None:
        """Mark a pull request as merged, and close it."""
        issue = next(each for each in self.issues_of(repo) if each["number"] == number)
        issue |= {"state": "closed", "closed_at": stamp(0), "updated_at": stamp(0)}
        self.parts["pulls"][repo["full_name"]][str(number)] |= {"merged_at": stamp(0), "merged": True}

    def runs_of(self, repo: Thing) -> list[Thing]:
        """Return the workflow runs of a repository, the newest first. An empty repository has none."""
        count = {"rocket": 45, "empty": 0}.get(repo["name"], 3)
        return self.kept("runs", repo["full_name"], lambda: [_run(repo, each) for each in range(count, 0, -1)])

    def files_of(self, repo: Thing) -> dict[str, str]:
        """Return the files of a repository: their contents in base64, by path."""
        return self.kept("files", repo["full_name"], lambda: _files(repo))

    def commits_of(self, repo: Thing) -> list[Thing]:
        """Return the commits of a repository, the newest first. An empty repository has none."""
        count = {"rocket": 120, "empty": 0}.get(repo["name"], 3)
        return [_commit(repo, number) for number in range(count, 0, -1)]

    def releases_of(self, repo: Thing, *, signed_in: bool) -> list[Thing]:
        """Return the releases of a repository, the newest first. Only a token of its owner shows drafts."""
        if repo["name"] == "rocket":
            return [_release(repo, tag) for tag in ("v2.0.0-rc.1", "v1.1.0", "v1.0.0")]
        own = signed_in and repo["owner"]["login"] == self.login
        return [_release(repo, "v0.1.0") | {"draft": True, "published_at": None}] if own else []

    def _founded(self) -> Iterator[Thing]:
        yield _repo("acme", "rocket", 0, description="Goes up", language="Lua", stars=1200)
        yield _repo("acme", "empty", 1, description=None, language=None, stars=0) | {"has_issues": False}
        for number in range(2, 45):
            language = _LANGUAGES[number % 4]
            yield _repo("acme", f"tool-{number:02}", number, f"Tool number {number}", language, stars=number)
        yield _repo("octocat", "hello-world", 50, "My first repository", "Ruby", stars=3000)
        yield _repo(self.login, "dotfiles", 60, f"Settings of {self.login}", "Shell", stars=2)
        yield _repo(self.login, "secret-plans", 61, None, None, stars=0) | {"private": True}


def person(login: str) -> Thing:
    """Return a user or an organisation in the short form that other objects contain."""
    return {
        "login": login,
        "id": _number(login),
        "type": "Organization" if login == "acme" else "User",
        "html_url": f"https://github.com/{login}",
    }


def _repo(owner: str, name: str, age: int, description: str | None, language: str | None, *, stars: int) -> Thing:
    full_name = f"{owner}/{name}"
    return {
        "id": _number(full_name),
        "name": name,
        "full_name": full_name,
        "private": False,
        "owner": person(owner),
        "html_url": f"https://github.com/{full_name}",
        "description": description,
        "homepage": None,
        "fork": False,
        "archived": age == 44,
        "language": language,
        "license": {"key": "mit", "name": "MIT License", "spdx_id": "MIT"} if language else None,
        "topics": ["space"] if name == "rocket" else [],
        "default_branch": "main",
        "has_issues": True,
        "stargazers_count": stars,
        "forks_count": stars // 10,
        "open_issues_count": 3,
        "created_at": stamp(20_000 + age),
        "updated_at": stamp(100 + age),
        "pushed_at": stamp(50 + age),
    }


def _issue(repo: Thing, number: int) -> Thing:
    full_name = repo["full_name"]
    closed = number % 3 == 0
    issue = {
        "id": _number(f"{full_name}#{number}"),
        "number": number,
        "title": f"Issue number {number}",
        "body": None if number % 4 == 0 else f"It happens every {number} days.",
        "state": "closed" if closed else "open",
        "state_reason": "completed" if closed else None,
        "user": None if number == 7 else person(_PEOPLE[number % 3]),
        "assignees": [person("hopper")] if number % 5 == 0 else [],
        "labels": [label(_LABELS[number % 3])] if number % 2 else [],
        "milestone": {"number": 1, "title": "1.0"} if number % 5 == 0 else None,
        "comments": number % 6,
        "html_url": f"https://github.com/{full_name}/issues/{number}",
        "created_at": stamp(2000 - number * 12),
        "updated_at": stamp(1990 - number * 12),
        "closed_at": stamp(1985 - number * 12) if closed else None,
    }
    return issue | (
        {"pull_request": {"html_url": f"https://github.com/{full_name}/pull/{number}"}} if number % 10 == 0 else {}
    )


def label(name: str) -> Thing:
    """Return the label with this name, as issues contain it."""
    return {"id": _number(name), "name": name, "color": "d73a4a"}


def _commit(repo: Thing, number: int) -> Thing:
    sha = sha1(f"{repo['full_name']}@{number}".encode()).hexdigest()
    login = _PEOPLE[number % 3]
    by = {"name": login.capitalize(), "email": f"{login}@example.com", "date": stamp(1500 - number * 12)}
    return {
        "sha": sha,
        "commit": {"author": by, "committer": by, "message": f"Change number {number}\n\nIt was about time."},
        "author": None if number % 6 == 0 else person(login),
        "html_url": f"https://github.com/{repo['full_name']}/commit/{sha}",
    }


def _release(repo: Thing, tag: str) -> Thing:
    base = f"https://github.com/{repo['full_name']}/releases"
    asset = {
        "name": f"{repo['name']}-{tag}.tar.gz",
        "size": 123_456,
        "download_count": 42,
        "browser_download_url": f"{base}/download/{tag}/{repo['name']}-{tag}.tar.gz",
    }
    return {
        "id": _number(f"{repo['full_name']}:{tag}"),
        "tag_name": tag,
        "name": None if tag == "v1.1.0" else tag,
        "body": None if tag == "v1.1.0" else f"What is new in {tag}",
        "author": person("hopper"),
        "draft": False,
        "prerelease": "rc" in tag,
        "html_url": f"{base}/tag/{tag}",
        "assets": [] if tag == "v1.0.0" else [asset],
        "created_at": stamp(400),
        "published_at": stamp(399),
    }


def _comment(issue: Thing, number: int) -> Thing:
    return {
        "id": issue["id"] * 100 + number,
        "user": None if number == 4 else person(_PEOPLE[number % 3]),
        "body": f"Comment number {number + 1}",
        "html_url": f"{issue['html_url']}#issuecomment-{number + 1}",
        "created_at": stamp(300 - number),
        "updated_at": stamp(300 - number),
    }


def _branches(repo: Thing, issue: Thing, branch: str) -> Thing:
    """Return the fields that only a pull request has; ``branch`` is the one to merge."""
    merged = issue["state"] == "closed"
    login = inner(issue, "user", "login") or "ghost"
    return {
        "draft": False,
        "merged": merged,
        "merged_at": issue["closed_at"] if merged else None,
        "mergeable": None if merged else True,
        "requested_reviewers": [person("hopper")] if issue["number"] % 20 else [],
        "head": {
            "ref": branch,
            "label": f"{login}:{branch}",
            "sha": blob_sha(f"{repo['full_name']}@{branch}".encode()),
            "repo": {"full_name": repo["full_name"]},
        },
        "base": {"ref": repo["default_branch"], "repo": {"full_name": repo["full_name"]}},
        "commits": 2,
        "changed_files": 3,
        "additions": 51,
        "deletions": 2,
    }


def _run(repo: Thing, number: int) -> Thing:
    run_id = _number(f"{repo['full_name']}/runs/{number}")
    ended = {0: "failure", 3: "cancelled"}.get(number % 5, "success")
    under_way = number % 15 == 0
    return {
        "id": run_id,
        "name": "CI" if number % 2 else "Nightly",
        "display_title": f"Change number {number}",
        "run_number": number,
        "run_attempt": 1,
        "event": "push" if number % 2 else "schedule",
        "status": "in_progress" if under_way else "completed",
        "conclusion": None if under_way else ended,
        "head_branch": "main" if number % 3 else "next",
        "head_sha": blob_sha(f"{repo['full_name']}@{number}".encode()),
        "actor": person(_PEOPLE[number % 3]),
        "html_url": f"{repo['html_url']}/actions/runs/{run_id}",
        "created_at": stamp(500 - number),
        "updated_at": stamp(499 - number),
    }


def _files(repo: Thing) -> dict[str, str]:
    if repo["name"] == "empty":
        return {}
    texts = {
        "README.md": f"# {repo['name']}\n\n{repo['description'] or ''}\n".encode(),
        "docs/index.md": b"Welcome.\n",
        "docs/logo.png": b"\x89PNG\r\n\x1a\n",
        "src/main.lua": b"return 1\n",
    }
    return {path: b64encode(content).decode() for path, content in texts.items()}


def blob_sha(content: bytes) -> str:
    """Return the sha that git computes for a file with this content."""
    return sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _number(name: str) -> int:
    return int(sha1(name.encode()).hexdigest()[:7], 16)
