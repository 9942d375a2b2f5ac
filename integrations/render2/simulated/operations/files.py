"""Operations of the simulator on the secret files of a service."""

from __future__ import annotations

from ...wire import Thing
from ..bodies import FILES
from ..call import Call, Reply, among, cursor_of, demanded, paged, service_of
from ..demands import TEXT, record
from ..world import World

_ALL = record({"secretFiles": FILES})
CONTENT = record({}, {"content": TEXT})
"""The body that sets one file. Without ``content`` the file is empty."""


def list_secret_files(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/secret-files``."""
    return paged(_rows(world, call), "secretFile", call, "name")


def replace_all_secret_files(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PUT /services/{service_id}/secret-files``."""
    files = world.files_of(service_of(world, call))
    wanted = demanded(_ALL, {"secretFiles": call.body})["secretFiles"]
    files.clear()
    files.update({each["name"]: each["content"] for each in wanted})
    return Reply(200, [{"secretFile": each, "cursor": cursor_of(each["name"])} for each in _rows(world, call)])


def get_secret_file(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/secret-files/{name}``."""
    return Reply(200, among({each["name"]: each for each in _rows(world, call)}, call.segments["name"]))


def set_secret_file(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PUT /services/{service_id}/secret-files/{name}``."""
    content = demanded(CONTENT, call.body).get("content") or ""
    world.files_of(service_of(world, call))[call.segments["name"]] = content
    return Reply(201, {"name": call.segments["name"], "content": content})


def delete_secret_file(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /services/{service_id}/secret-files/{name}``."""
    get_secret_file(world, call)
    del world.files_of(service_of(world, call))[call.segments["name"]]
    return Reply(204)


def _rows(world: World, call: Call) -> list[Thing]:
    files = world.files_of(service_of(world, call))
    return [{"name": name, "content": content} for name, content in sorted(files.items())]
