"""Operations of the simulator on the environment variables of a service."""

from __future__ import annotations

from ...wire import Thing
from ..bodies import VARIABLES
from ..call import Call, Reply, among, cursor_of, demanded, paged, service_of
from ..demands import FLAG, TEXT, either, record
from ..world import World

_ALL = record({"envVars": VARIABLES})
_VALUE = either(record({"value": TEXT}), record({"generateValue": FLAG}))


def list_env_vars(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/env-vars``."""
    return paged(_rows(world, call), "envVar", call, "key")


def replace_all_env_vars(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PUT /services/{service_id}/env-vars``, where a body of null means no variables."""
    service = service_of(world, call)
    wanted = demanded(_ALL, {"envVars": [] if call.body is None else call.body})["envVars"]
    world.variables_of(service).clear()
    world.set_variables(service, wanted)
    return Reply(200, [{"envVar": each, "cursor": cursor_of(each["key"])} for each in _rows(world, call)])


def get_env_var(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/env-vars/{key}``."""
    return Reply(200, among({each["key"]: each for each in _rows(world, call)}, call.segments["key"]))


def set_env_var(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``PUT /services/{service_id}/env-vars/{key}``."""
    body = demanded(_VALUE, call.body)
    world.set_variables(service_of(world, call), [body | {"key": call.segments["key"]}])
    return get_env_var(world, call)


def delete_env_var(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``DELETE /services/{service_id}/env-vars/{key}``."""
    get_env_var(world, call)
    del world.variables_of(service_of(world, call))[call.segments["key"]]
    return Reply(204)


def _rows(world: World, call: Call) -> list[Thing]:
    variables = world.variables_of(service_of(world, call))
    return [{"key": key, "value": value} for key, value in sorted(variables.items())]
