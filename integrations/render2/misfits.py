"""Misfits: combinations of service settings that cannot work, found before a request is sent.

A combination is a misfit only if Render's requests have no field for a setting, such as the schedule of a web service,
or Render is known to refuse the combination. Render itself checks the names of plans and regions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .parameters import VARIABLE_KEY

_RUNNING = ("web_service", "private_service", "background_worker", "cron_job")
_SCALED = ("web_service", "private_service", "background_worker")
_PUBLIC = ("web_service", "static_site")
_PREVIEWED = (*_SCALED, "static_site")
_TYPES = {
    "runtime": _RUNNING,
    "region": _RUNNING,
    "plan": _RUNNING,
    "image": _RUNNING,
    "start_command": _RUNNING,
    "registry_credential_id": _RUNNING,
    "dockerfile_path": _RUNNING,
    "docker_context": _RUNNING,
    "schedule": ("cron_job",),
    "publish_path": ("static_site",),
    "headers": ("static_site",),
    "routes": ("static_site",),
    "health_check_path": ("web_service",),
    "maintenance_mode": ("web_service",),
    "cache": ("web_service",),
    "ip_allow_list": _PUBLIC,
    "render_subdomain_policy": _PUBLIC,
    "previews": _PREVIEWED,
    "pull_request_previews": _PREVIEWED,
    "num_instances": _SCALED,
    "pre_deploy_command": _SCALED,
    "disk": _SCALED,
    "autoscaling": _SCALED,
    "max_shutdown_delay": _SCALED,
}
_NATIVE = "native"
_RUNTIMES = {
    "build_command": (_NATIVE,),
    "branch": (_NATIVE, "docker"),
    "build_filter": (_NATIVE, "docker"),
    "dockerfile_path": ("docker",),
    "docker_context": ("docker",),
    "registry_credential_id": ("docker", "image"),
}
_SAID = {_NATIVE: "services that are built from commands", "docker": "docker", "image": "images"}


class Misfit(NamedTuple):
    """Why a combination of settings cannot work: the parameter that is wrong, what is wrong, and what to do."""

    param: str
    message: str
    hint: str


def misfit(settings: Mapping[str, Any], kind: str, runtime: str | None, plan: str | None) -> Misfit | None:
    """Return the first combination of a service's settings that cannot work (a misfit), or None if there is none.

    Type, runtime and plan are those that the service will have; a setting of None counts as not given.
    """
    given = {name for name, value in settings.items() if value is not None}
    return (
        _of_type(given, kind)
        or _of_source(given, runtime)
        or _of_runtime({name for name in given if settings[name] != ""}, runtime)
        or _of_scale(settings, plan)
        or variable_misfit(settings.get("env_vars") or {})
    )


def variable_misfit(variables: Mapping[str, Any]) -> Misfit | None:
    """Return what is wrong with environment variables, such as an invalid name, or None if nothing is wrong."""
    for key, value in variables.items():
        if not re.fullmatch(VARIABLE_KEY, key):
            return Misfit(
                "env_vars", f"env_vars has the invalid name {key[:80]!r}", "use letters, digits, dots, _ and -"
            )
        if value == {"generate": False}:
            return Misfit(
                "env_vars", f"env_vars.{key} has no value and generate = false", "give a value, or generate = true"
            )
    return None


def _of_type(given: set[str], kind: str) -> Misfit | None:
    for name, kinds in _TYPES.items():
        if name in given and kind not in kinds:
            return Misfit(
                name, f"{name} does not apply to a {kind}", f"{name} applies to {_listed(kinds)}; leave {name} out"
            )
    return None


def _of_source(given: set[str], runtime: str | None) -> Misfit | None:
    if {"repo", "image"} <= given:
        return Misfit("image", "repo and image cannot be given together", "give either the repository or the image")
    if "image" in given and runtime != "image":
        return Misfit(
            "image", f"the runtime '{runtime}' does not run an image", "leave out image, or use the runtime 'image'"
        )
    return None


def _of_runtime(given: set[str], runtime: str | None) -> Misfit | None:
    """Return what is wrong if the runtime does not support one of the given settings, or None if it supports all."""
    if runtime is None:
        return None
    group = runtime if runtime in ("docker", "image") else _NATIVE
    for name, groups in _RUNTIMES.items():
        if name in given and group not in groups:
            fitting = _listed(tuple(_SAID[each] for each in groups))
            return Misfit(
                name,
                f"{name} does not apply to the runtime '{runtime}'",
                f"{name} applies to {fitting}; leave {name} out",
            )
    return None


def _of_scale(settings: Mapping[str, Any], plan: str | None) -> Misfit | None:
    """Return what is wrong with the maintenance mode, which the free plan lacks, or the autoscaling, or None."""
    if plan == "free" and settings.get("maintenance_mode") is not None:
        return Misfit(
            "maintenance_mode",
            "maintenance_mode is not available on the plan free",
            "choose a paid plan",
        )
    scaling = settings.get("autoscaling")
    if scaling and scaling["min"] > scaling["max"]:
        return Misfit("autoscaling", "autoscaling.min is more than autoscaling.max", "swap the two")
    return None


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
