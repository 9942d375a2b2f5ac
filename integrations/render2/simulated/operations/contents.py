"""Operations of the simulator on the environment variables and secret files of services and environment groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...wire import Thing
from ..bodies import FILES, VARIABLES
from ..call import Call, Reply, among, demanded, paged, routes, rows, service_of
from ..demands import FLAG, TEXT, either, record
from ..world import World


class Kind(NamedTuple):
    """A kind of contents: the key of an item in a list, and the keys of its name and its text."""

    item: str
    name: str
    text: str

    def things(self, texts: Mapping[str, str]) -> dict[str, Thing]:
        """Return the items by name, sorted."""
        return {name: {self.name: name, self.text: text} for name, text in sorted(texts.items())}

    def one(self, texts: Mapping[str, str], call: Call) -> Reply:
        """Reply with the item that a call names, or refuse with 404."""
        return Reply(200, among(self.things(texts), call.segments[self.name]))

    def delete(self, texts: dict[str, str], call: Call) -> Reply:
        """Delete the item that a call names, or refuse with 404."""
        self.one(texts, call)
        del texts[call.segments[self.name]]
        return Reply(204)

    def page(self, texts: Mapping[str, str], call: Call) -> Reply:
        """Reply with the page that a call asks for."""
        return paged(self.things(texts).values(), self.item, call, name=self.name)

    def all(self, texts: Mapping[str, str]) -> Reply:
        """Reply with all items."""
        return Reply(200, rows([*self.things(texts).values()], self.item, self.name))


VARIABLE, FILE = Kind("envVar", "key", "value"), Kind("secretFile", "name", "content")
VALUE = either(record({"value": TEXT}), record({"generateValue": FLAG}))
"""The body that sets one variable."""
_CONTENT = record({}, {"content": TEXT})


def content_of(call: Call) -> str:
    """Return the content in a body that sets one file; without ``content`` the file is empty."""
    return demanded(_CONTENT, call.body).get("content") or ""


@routes.on("GET", "/services/{service_id}/env-vars")
def list_env_vars(world: World, call: Call) -> Reply:
    return VARIABLE.page(world.variables_of(service_of(world, call)), call)


@routes.on("PUT", "/services/{service_id}/env-vars")
def replace_all_env_vars(world: World, call: Call) -> Reply:
    """Replace all variables; a body of null means none."""
    service = service_of(world, call)
    wanted = demanded(VARIABLES, [] if call.body is None else call.body)
    world.variables_of(service).clear()
    world.set_variables(service, wanted)
    return VARIABLE.all(world.variables_of(service))


@routes.on("GET", "/services/{service_id}/env-vars/{key}")
def get_env_var(world: World, call: Call) -> Reply:
    return VARIABLE.one(world.variables_of(service_of(world, call)), call)


@routes.on("PUT", "/services/{service_id}/env-vars/{key}")
def set_env_var(world: World, call: Call) -> Reply:
    body = demanded(VALUE, call.body)
    world.set_variables(service_of(world, call), [body | {"key": call.segments["key"]}])
    return get_env_var(world, call)


@routes.on("DELETE", "/services/{service_id}/env-vars/{key}")
def delete_env_var(world: World, call: Call) -> Reply:
    return VARIABLE.delete(world.variables_of(service_of(world, call)), call)


@routes.on("GET", "/services/{service_id}/secret-files")
def list_secret_files(world: World, call: Call) -> Reply:
    return FILE.page(world.files_of(service_of(world, call)), call)


@routes.on("PUT", "/services/{service_id}/secret-files")
def replace_all_secret_files(world: World, call: Call) -> Reply:
    files = world.files_of(service_of(world, call))
    wanted = demanded(FILES, call.body)
    files.clear()
    files.update({each["name"]: each["content"] for each in wanted})
    return FILE.all(files)


@routes.on("GET", "/services/{service_id}/secret-files/{name}")
def get_secret_file(world: World, call: Call) -> Reply:
    return FILE.one(world.files_of(service_of(world, call)), call)


@routes.on("PUT", "/services/{service_id}/secret-files/{name}")
def set_secret_file(world: World, call: Call) -> Reply:
    name, content = call.segments["name"], content_of(call)
    world.files_of(service_of(world, call))[name] = content
    return Reply(201, {"name": name, "content": content})


@routes.on("DELETE", "/services/{service_id}/secret-files/{name}")
def delete_secret_file(world: World, call: Call) -> Reply:
    return FILE.delete(world.files_of(service_of(world, call)), call)
