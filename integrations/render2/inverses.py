"""Inverses of writes: what is read before a write, and the calls that take it back or a sentence about what is lost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .bodies import settings_of, unwired
from .wire import Thing

_Step = tuple[str, Thing]
_Undo = Callable[[Mapping[str, Any], Any, Any], Sequence[_Step] | str]

DEPLOYED = "a deploy cannot be taken back; rollback_deploy deploys an earlier one again"
STARTED = "what was started cannot be taken back"
STOPPED = "what was cancelled does not go on; it can only be started again"
NO_CHANGE = "it changes no setting that could be put back"
DATA_LOST = "the data is gone"


def reading(name: str, *keys: str, **more: Any) -> Callable[[Mapping[str, Any]], _Step]:
    """Return a ``before`` that calls the read ``name`` with these of a write's arguments, and with ``more``."""
    return lambda args: (name, _of(args, keys) | more)


def content(of: str, *keys: str, told: str, text: str) -> tuple[Callable[[Mapping[str, Any]], _Step], _Undo]:
    """Return ``before`` and ``undo`` for what is set or deleted by its name: its text is put back, or it is deleted.

    Args:
        of: What it is in the names of functions, as in ``get_env_var``.
        keys: The parameters that say which one is meant.
        told: The key under which the result of the read has it.
        text: The key of its text there, and the parameter for it.
    """

    def undo(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
        where = _of(args, keys)
        return [(f"delete_{of}", where) if before is None else (f"set_{of}", where | {text: before[told][text]})]

    return reading(f"get_{of}", *keys, secret=True), undo


def restored(name: str, key: str, values_of: Callable[[Any], Mapping[str, Any]]) -> _Undo:
    """Return an ``undo`` for an update: put back the old values of the settings that it was given.

    Args:
        name: The function that updates.
        key: The parameter that says what is updated.
        values_of: Returns the old values by parameter, from the answer to the read before the write.
    """

    def undo(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step] | str:
        had, given = values_of(before), [each for each in args if each != key and args[each] is not None]
        lost = [each for each in given if had.get(each) is None]
        if lost:
            return f"the earlier {' and '.join(lost)} cannot be set again"
        return [(name, {key: args[key]} | {each: had[each] for each in given})]

    return undo


def replaced(kind: str, value_of: Callable[[Sequence[Thing]], Any]) -> _Undo:
    """Return an ``undo`` that puts back all contents of a kind that a service had; ``value_of`` is their parameter."""
    return lambda args, before, _: [
        (f"replace_all_{kind}", {"service_id": args["service_id"], kind: value_of(before[kind])})
    ]


def added(kind: str, keys: Sequence[str]) -> _Undo:
    """Return an ``undo`` that adds the rule of a site that was deleted again, under another id."""
    return lambda args, before, _: [
        (f"add_{kind}", {"service_id": args["service_id"]} | _of(rule, keys))
        for rule in before[f"{kind}s"]
        if rule["id"] == args[f"{kind}_id"]
    ]


def resumed(kind: str) -> _Undo:
    """Return an ``undo`` that resumes what was suspended, unless it was suspended before."""
    return lambda args, before, _: (
        [] if _is_suspended(before[kind]) else [(f"resume_{kind}", _of(args, [f"{kind}_id"]))]
    )


def suspended(kind: str) -> _Undo:
    """Return an ``undo`` that suspends what was resumed, if it was suspended before."""
    return lambda args, before, _: (
        [(f"suspend_{kind}", _of(args, [f"{kind}_id"]))] if _is_suspended(before[kind]) else []
    )


def _is_suspended(thing: Mapping[str, Any]) -> bool:
    return bool(thing.get("suspended", thing["status"]) == "suspended")


def dropped(drop: str, *path: str, **keys: str) -> _Undo:
    """Return an ``undo`` that deletes what was created.

    Args:
        drop: The function that deletes.
        path: The parameter for the id of what was created, then where the result has the id.
        keys: The other parameters of ``drop``, each with the parameter of the write that has the value.
    """

    def undo(args: Mapping[str, Any], _: Any, result: Any) -> Sequence[_Step]:
        for name in path[1:]:
            result = result[name]
        return [(drop, {name: args[own] for name, own in keys.items()} | {path[0]: result})]

    return undo


SERVICE = reading("get_service", "service_id")
SERVICE_BACK = restored("update_service", "service_id", lambda before: settings_of(before["service"]))


def autoscaling_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    """Put the earlier autoscaling back, or delete it if there was none."""
    had = before["service"]["serviceDetails"].get("autoscaling")
    where = {"service_id": args["service_id"]}
    return [("set_autoscaling", where | had)] if had else [("delete_autoscaling", where)]


def scale_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step] | str:
    """Set the earlier number of instances again."""
    if (count := before["service"]["serviceDetails"].get("numInstances")) is None:
        return "this service has no number of instances"
    return [("scale_service", {"service_id": args["service_id"], "num_instances": count})]


VARIABLE, VARIABLE_BACK = content("env_var", "service_id", "key", told="env_var", text="value")
VARIABLES = reading("list_env_vars", "service_id", all=True, secret=True)
VARIABLES_BACK = replaced("env_vars", lambda had: {each["key"]: each["value"] for each in had})
FILE, FILE_BACK = content("secret_file", "service_id", "name", told="secret_file", text="content")
FILES = reading("list_secret_files", "service_id", all=True, secret=True)
FILES_BACK = replaced("secret_files", lambda had: {each["name"]: each["content"] for each in had})
GROUP = reading("get_env_group", "env_group_id", secret=True)
GROUP_BACK = restored("update_env_group", "env_group_id", lambda before: before["env_group"])
GROUP_LOST = "the group is gone, with its variables and secret files; a new one would have another id"
GROUP_VARIABLE, GROUP_VARIABLE_BACK = content("env_group_var", "env_group_id", "key", told="env_var", text="value")
GROUP_FILE, GROUP_FILE_BACK = content("env_group_file", "env_group_id", "name", told="secret_file", text="content")


def link_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    """Link the service to the group again, or unlink it, as it was."""
    was_linked = any(each["id"] == args["service_id"] for each in before["env_group"]["serviceLinks"])
    return [("link_env_group" if was_linked else "unlink_env_group", _of(args, ("env_group_id", "service_id")))]


DOMAIN = reading("get_custom_domain", "service_id", "domain")


def domains_dropped(args: Mapping[str, Any], _: Any, result: Any) -> Sequence[_Step]:
    """Remove the domains that were added."""
    names = [each["name"] for each in result["custom_domains"]]
    return [("delete_custom_domain", {"service_id": args["service_id"], "domain": name}) for name in names]


def domain_back(args: Mapping[str, Any], before: Any, _: Any) -> Sequence[_Step]:
    """Add the domain again; Render verifies it again."""
    return [("create_custom_domain", {"service_id": args["service_id"], "name": before["custom_domain"]["name"]})]


HEADERS = reading("list_headers", "service_id", all=True)
ROUTES = reading("list_routes", "service_id", all=True)
_HEADER = ("path", "name", "value")
_ROUTE = ("type", "source", "destination")
HEADER_BACK = added("header", _HEADER)
ROUTE_BACK = added("route", (*_ROUTE, "priority"))
HEADERS_BACK = replaced("headers", lambda had: [_of(each, _HEADER) for each in had])
ROUTES_BACK = replaced(
    "routes", lambda had: [_of(each, _ROUTE) for each in sorted(had, key=lambda each: int(each["priority"]))]
)


DISK = reading("get_disk", "disk_id")
POSTGRES = reading("get_postgres", "postgres_id")
KEY_VALUE = reading("get_key_value", "key_value_id")


def disk_settings(before: Any) -> Thing:
    """Return the settings of a disk by parameter."""
    return {"name": before["disk"]["name"], "mount_path": before["disk"]["mountPath"]}


def postgres_settings(before: Any) -> Thing:
    """Return the settings of a database by parameter; a disk cannot shrink, and a Datadog key is not shown."""
    had = before["postgres"]
    return {
        "name": had["name"],
        "plan": had["plan"],
        "disk_autoscaling": had.get("diskAutoscalingEnabled"),
        "high_availability": had.get("highAvailabilityEnabled"),
        "parameter_overrides": had.get("parameterOverrides"),
        "ip_allow_list": unwired(had.get("ipAllowList")),
    }


def key_value_settings(before: Any) -> Thing:
    """Return the settings of a Key Value instance by parameter."""
    had = before["key_value"]
    return {
        "name": had["name"],
        "plan": had["plan"],
        "maxmemory_policy": had.get("options", {}).get("maxmemoryPolicy"),
        "ip_allow_list": unwired(had.get("ipAllowList")),
    }


def _of(given: Mapping[str, Any], keys: Sequence[str]) -> Thing:
    return {key: given[key] for key in keys}
