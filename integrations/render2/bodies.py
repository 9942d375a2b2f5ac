"""Request bodies: conversion of flat settings in snake case to the nested objects in camel case that Render expects.

See https://api-docs.render.com/reference/create-service. The fields of ``serviceDetails`` depend on the type of the
service. Those of ``envSpecificDetails``, inside ``serviceDetails``, depend on the runtime.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

DEFAULT_PERCENTAGE = 70
"""The percentage that is sent for a resource that autoscaling does not use, since Render requires a number."""

_SWITCH = {True: "yes", False: "no"}
_SPELLED = {"size_gb": "sizeGB", "disk_size_gb": "diskSizeGB", "max_shutdown_delay": "maxShutdownDelaySeconds"}
"""Names that Render spells in another way than in camel case."""
_CAPITAL = re.compile(r"[A-Z]+")
_UNDERSCORE = re.compile(r"_(\w)")


def fields(names: str, **others: str) -> dict[str, str]:
    """Return Render's names of settings, by ours: the same in camel case, or the given ones."""
    return {name: _camel(name) for name in names.split()} | others


def _camel(name: str) -> str:
    return _SPELLED.get(name) or _UNDERSCORE.sub(lambda match: match[1].upper(), name)


_TOP = fields("name repo branch root_dir environment_id auto_deploy_trigger")
_DETAILS = fields(
    "runtime plan region schedule publish_path health_check_path num_instances pre_deploy_command max_shutdown_delay "
    "render_subdomain_policy previews maintenance_mode ip_allow_list cache disk autoscaling headers routes"
)
_NATIVE = fields("build_command start_command")
_DOCKER = fields("dockerfile_path docker_context registry_credential_id", start_command="dockerCommand")
_IMAGE = {name: field for name, field in _DOCKER.items() if name != "registry_credential_id"}


def body_of(settings: Mapping[str, Any], kind: str, runtime: str | None, owner_id: str) -> dict[str, Any]:
    """Return the body of a request that creates or changes a service. Settings that are None are left out.

    An image belongs to the workspace ``owner_id``. The runtime of a static site is None.
    """
    body = renamed(settings, _TOP)
    if settings.get("auto_deploy") is not None:
        body["autoDeploy"] = _SWITCH[settings["auto_deploy"]]
    if settings.get("build_filter") is not None:
        body["buildFilter"] = {"paths": [], "ignoredPaths": []} | wire(settings["build_filter"])
    if settings.get("image") is not None:
        image = {"imagePath": settings["image"], "ownerId": owner_id}
        body["image"] = image | renamed(settings, {"registry_credential_id": "registryCredentialId"})
    if settings.get("env_vars") is not None:
        body["envVars"] = variables_of(settings["env_vars"])
    if settings.get("secret_files") is not None:
        files = sorted(settings["secret_files"].items())
        body["secretFiles"] = [{"name": name, "content": text} for name, text in files]
    if details := _details(settings, kind, runtime):
        body["serviceDetails"] = details
    return body


def settings_of(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a service by parameter name, as far as it has them: the opposite of :func:`body_of`."""
    details: Mapping[str, Any] = service.get("serviceDetails") or {}
    specific: Mapping[str, Any] = details.get("envSpecificDetails") or {}
    told = {name: service.get(field) for name, field in _TOP.items()}
    told |= {name: details.get(field) for name, field in _DETAILS.items()}
    told |= {name: specific.get(field) for name, field in {**_DOCKER, **_NATIVE}.items()}
    told["start_command"] = specific.get("startCommand", specific.get("dockerCommand"))
    told["build_command"] = specific.get("buildCommand", details.get("buildCommand"))
    told["registry_credential_id"] = (service.get("registryCredential") or {}).get("id")
    told["image"] = service.get("imagePath")
    switches = {"auto_deploy": service.get("autoDeploy")}
    switches["pull_request_previews"] = details.get("pullRequestPreviewsEnabled")
    told |= {name: None if value is None else value == "yes" for name, value in switches.items()}
    told["build_filter"] = service.get("buildFilter")
    return {name: unwired(value) for name, value in told.items()}


def unwired(value: Any) -> Any:
    """Return a copy of a value with the keys of its dictionaries in snake case."""
    if isinstance(value, list):
        return [unwired(item) for item in value]
    if isinstance(value, dict):
        return {_CAPITAL.sub(lambda match: f"_{match[0].lower()}", key): unwired(item) for key, item in value.items()}
    return value


def wire(value: Any) -> Any:
    """Return a copy of a value. In its dictionaries, keys are in camel case and entries that are None are left out."""
    if isinstance(value, list):
        return [wire(item) for item in value]
    if isinstance(value, dict):
        return {_camel(key): wire(item) for key, item in value.items() if item is not None}
    return value


def variables_of(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Convert environment variables by name to the list of objects in Render's request bodies, sorted by name."""
    return [{"key": key} | value_of(value) for key, value in sorted(variables.items())]


def value_of(value: Any) -> dict[str, Any]:
    """Convert the value of a variable, or ``{"generate": True}`` to let Render generate it, for a body."""
    if isinstance(value, dict):
        return {"generateValue": value["generate"]}
    if isinstance(value, bool):
        return {"value": "true" if value else "false"}
    return {"value": str(value)}


def autoscaling_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Convert autoscaling settings to a request body. Render requires entries for CPU and memory, even unused ones."""
    off = {"enabled": False, "percentage": DEFAULT_PERCENTAGE}
    wanted: dict[str, Any] = wire(settings)
    given = wanted["criteria"]
    criteria = {name: {"enabled": True} | given[name] if name in given else off for name in ("cpu", "memory")}
    return {"enabled": True} | wanted | {"criteria": criteria}


def ranges_of(ranges: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Convert the ranges of addresses that may connect to an ``ipAllowList``, in which all have a description."""
    return [{"description": ""} | wire(each) for each in ranges]


def renamed(settings: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that are not None and that Render knows, under the names that Render uses."""
    return {name: wire(settings[own]) for own, name in names.items() if settings.get(own) is not None}


def _details(settings: Mapping[str, Any], kind: str, runtime: str | None) -> dict[str, Any]:
    details = renamed(settings, _DETAILS)
    if "maintenanceMode" in details:
        details["maintenanceMode"] = {"uri": ""} | details["maintenanceMode"]
    if "ipAllowList" in details:
        details["ipAllowList"] = ranges_of(settings["ip_allow_list"])
    if "autoscaling" in details:
        details["autoscaling"] = autoscaling_of(settings["autoscaling"])
    if settings.get("pull_request_previews") is not None:
        details["pullRequestPreviewsEnabled"] = _SWITCH[settings["pull_request_previews"]]
    if kind == "static_site":
        return details | renamed(settings, {"build_command": "buildCommand"})
    specific = renamed(settings, {"docker": _DOCKER, "image": _IMAGE}.get(str(runtime), _NATIVE))
    return details | ({"envSpecificDetails": specific} if specific else {})
