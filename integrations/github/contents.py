"""Files of a repository: reading, writing and deleting them (https://docs.github.com/en/rest/repos/contents)."""

from base64 import b64decode, b64encode
from typing import Annotated, Literal, TypedDict

from kosmolua.plugin import BadArguments, decode, non_empty

from . import inverses
from .account import integration
from .hub import Hub
from .parameters import RepoName, parts_of
from .wire import Thing, shaper, text, thing_of

_PATH = "/repos/{owner}/{repo}/contents/{path}"
_RAW = {"Accept": "application/vnd.github.raw+json"}
_MAX_LISTED = 20

FilePath = Annotated[str, "The file's path in the repository, such as docs/index.md.", non_empty()]
Branch = Annotated[str | None, "The branch to commit to; the default branch if none is given."]
Message = Annotated[str, "The commit message.", non_empty()]


class File(TypedDict):
    """A file. Its content is text, or base64 if the file is not UTF-8; encoding says which."""

    path: str
    sha: Annotated[str, "The file's sha, which is needed to replace or delete it."]
    size: Annotated[int, "The size in bytes."]
    encoding: Annotated[Literal["utf-8", "base64"], "The encoding of the content."]
    content: str
    url: Annotated[str, "The URL of its page."]


class Written(TypedDict):
    """A file that was written or deleted, and the commit of that change."""

    path: str
    sha: Annotated[str, "The sha of the file; empty if it was deleted."]
    commit: Annotated[str, "The sha of the commit."]
    url: Annotated[str, "The URL of the commit's page."]


@integration.reads
def get_file(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    path: FilePath,
    ref: Annotated[str | None, "The branch, tag or commit to read; the default branch if none is given."] = None,
) -> File:
    """Get a file of a repository, including its content."""
    segments, query = _segments(repo, path), {"ref": ref}
    found = decode(hub.api.fetch("GET", _PATH, segments, query=query, slashes=("path",)))
    if isinstance(found, list):
        names = [text(thing_of(each), "name") for each in found]
        held = ", ".join(names[:_MAX_LISTED]) + (" and more" if len(names) > _MAX_LISTED else "")
        hint = f"give the path of a file; the folder contains {held}"
        raise BadArguments(f"{path} is a folder", param="path", hint=hint)
    file = thing_of(found)
    content = b64decode(text(file, "content"))
    if text(file, "encoding") == "none":  # too large for GitHub to put into JSON
        content = hub.api.fetch("GET", _PATH, segments, query=query, headers=_RAW, slashes=("path",)).body
    return _shaped(file, content)


@integration.writes(before=inverses.file, undo=inverses.file_back)
def put_file(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    path: FilePath,
    content: Annotated[str, "The new content: text, or base64 if encoding says so."],
    message: Message,
    sha: Annotated[str | None, "The sha of the file to replace, from get_file; leave it out for a new file."] = None,
    branch: Branch = None,
    encoding: Annotated[Literal["utf-8", "base64"], "How content is encoded: as plain text, or as base64."] = "utf-8",
) -> Written:
    """Create or replace a file in a new commit. An existing file is replaced only if its sha is given."""
    encoded = content if encoding == "base64" else b64encode(content.encode()).decode()
    return _written(hub, "PUT", repo, path, {"message": message, "content": encoded, "sha": sha, "branch": branch})


@integration.destroys(before=inverses.file, undo=inverses.file_back)
def delete_file(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    path: FilePath,
    message: Message,
    sha: Annotated[str, "The file's sha, from get_file.", non_empty()],
    branch: Branch = None,
) -> Written:
    """Delete a file in a new commit."""
    return _written(hub, "DELETE", repo, path, {"message": message, "sha": sha, "branch": branch})


def _segments(repo: str, path: str) -> dict[str, str | int]:
    return {**parts_of(repo), "path": path}


def _written(hub: Hub, method: str, repo: str, path: str, given: Thing) -> Written:
    body = {name: value for name, value in given.items() if value is not None}
    reply = thing_of(decode(hub.api.fetch(method, _PATH, _segments(repo, path), json=body, slashes=("path",))))
    return _change({**reply, "path": path})


def _shaped(file: Thing, content: bytes) -> File:
    try:
        encoding, written = "utf-8", content.decode()
    except UnicodeDecodeError:
        encoding, written = "base64", b64encode(content).decode()
    return _file({**file, "encoding": encoding, "content": written})


_file = shaper(File, url="html_url")
_change = shaper(Written, sha="content.sha", commit="commit.sha", url="commit.html_url")
