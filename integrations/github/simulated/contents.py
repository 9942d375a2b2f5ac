"""Files of a simulated repository, on its default branch: reading, writing and deleting them."""

from __future__ import annotations

from base64 import b64decode, b64encode

from ..wire import Thing
from .call import Answer, Call, Refusal, body_of, demand_token, routes
from .operations import refuse_archived, repo
from .world import World, blob_sha


@routes.on("GET", "/repos/{owner}/{repo}/contents/{*path}")
def file(world: World, call: Call) -> Thing | Answer:
    """Answer with a file, or with the names and paths of what is in a folder."""
    home, path = repo(world, call), call.segments["path"].strip("/")
    _refuse_other_branches(home, call.query.get("ref"))
    files = world.files_of(home)
    if path in files:
        return _file(home, path, files[path])
    inside = sorted({each[len(path) + 1 :].partition("/")[0] for each in files if each.startswith(f"{path}/")})
    if not inside:
        raise Refusal(404, "Not Found")
    return Answer(200, [{"name": name, "path": f"{path}/{name}"} for name in inside])


@routes.on("PUT", "/repos/{owner}/{repo}/contents/{*path}")
def write(world: World, call: Call) -> Answer:
    """Create a file, or replace a file if the body contains the file's sha."""
    home, files, body = _writable(world, call, "message", "content")
    path, there = call.segments["path"], call.segments["path"] in files
    _demand_sha(files, path, body)
    files[path] = b64encode(b64decode(body["content"])).decode()
    commit = _commit(home, body["message"])
    return Answer(200 if there else 201, {"content": _file(home, path, files[path]), "commit": commit})


@routes.on("DELETE", "/repos/{owner}/{repo}/contents/{*path}")
def delete(world: World, call: Call) -> Thing:
    """Delete a file if the body contains the file's sha."""
    home, files, body = _writable(world, call, "message", "sha")
    path = call.segments["path"]
    if path not in files:
        raise Refusal(404, "Not Found")
    _demand_sha(files, path, body)
    del files[path]
    return {"content": None, "commit": _commit(home, body["message"])}


def _writable(world: World, call: Call, *required: str) -> tuple[Thing, dict[str, str], Thing]:
    demand_token(call)
    home, body = repo(world, call), body_of(call, "Content", *required)
    refuse_archived(home)
    _refuse_other_branches(home, body.get("branch"))
    return home, world.files_of(home), body


def _refuse_other_branches(home: Thing, branch: str | None) -> None:
    if branch not in (None, home["default_branch"]):
        raise Refusal(404, f"No commit found for the ref {branch}")


def _demand_sha(files: dict[str, str], path: str, body: Thing) -> None:
    """Refuse to change an existing file unless the body has the file's current sha. The messages are GitHub's."""
    if path not in files:
        return
    if body.get("sha") is None:
        raise Refusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if body["sha"] != blob_sha(b64decode(files[path])):
        raise Refusal(409, f"{path} does not match {body['sha']}")  # GitHub's words: the file has another sha


def _file(home: Thing, path: str, encoded: str) -> Thing:
    content = b64decode(encoded)
    return {
        "type": "file",
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": blob_sha(content),
        "size": len(content),
        "encoding": "base64",
        "content": encoded,
        "html_url": f"{home['html_url']}/blob/{home['default_branch']}/{path}",
    }


def _commit(home: Thing, message: str) -> Thing:
    sha = blob_sha(f"{home['full_name']}: {message}".encode())
    return {"sha": sha, "message": message, "html_url": f"{home['html_url']}/commit/{sha}"}
