"""Settings of a service: which type each one fits, and where it goes in the nested body that Render takes.

See https://api-docs.render.com/reference/create-service: ``serviceDetails`` depends on the type of the service, and
``envSpecificDetails`` inside it on the runtime.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from .parameters import VARIABLE_KEY

ServiceType = Literal["web_service", "background_worker", "cron_job", "private_service", "static_site"]
Runtime = Literal["node", "python", "ruby", "go", "rust", "elixir", "docker", "image"]


class Generated(TypedDict):
    """A value that Render is to invent: 256 random bits in base64."""

    generate: bool


VariableValue = str | int | float | bool | Generated
Variables = Annotated[
    dict[str, VariableValue] | None,
    "Environment variables as key-value pairs; { generate = true } as a value lets Render invent it.",
]

_RUNNING = ("web_service", "private_service", "background_worker", "cron_job")
_SCALED = ("web_service", "private_service", "background_worker")
_FITS = {
    "runtime": _RUNNING,
    "region": _RUNNING,
    "plan": _RUNNING,
    "image": _RUNNING,
    "start_command": _RUNNING,
    "schedule": ("cron_job",),
    "publish_path": ("static_site",),
    "health_check_path": ("web_service",),
    "num_instances": _SCALED,
    "pre_deploy_command": _SCALED,
}
_TOP = {
    "name": "name",
    "repo": "repo",
    "branch": "branch",
    "root_dir": "rootDir",
    "environment_id": "environmentId",
}
_DETAILS = {
    "runtime": "runtime",
    "plan": "plan",
    "region": "region",
    "schedule": "schedule",
    "publish_path": "publishPath",
    "health_check_path": "healthCheckPath",
    "num_instances": "numInstances",
    "pre_deploy_command": "preDeployCommand",
}
_TOOLS = {
    tool: runtime
    for runtime, tools in {
        "node": "node npm npx yarn pnpm bun bunx corepack",
        "python": "python python3 pip pip3 pipenv poetry uv uvx gunicorn uvicorn hypercorn flask celery",
        "ruby": "ruby bundle bundler rails rake gem puma",
        "go": "go",
        "rust": "cargo rustc",
        "elixir": "mix elixir iex",
    }.items()
    for tool in tools.split()
}
_SEPARATOR = re.compile(r"&&|\|\||[;|\n]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


class Misfit(NamedTuple):
    """Why a combination of settings cannot work: the parameter at fault, what is wrong, and what to do."""

    param: str
    message: str
    hint: str


def misfit(settings: Mapping[str, Any], kind: str, runtime: str | None) -> Misfit | None:
    """Return what is wrong with settings for a type of service and a runtime, or None.

    Args:
        settings: Values by parameter name; None stands for not given.
        kind: The service's type.
        runtime: The service's runtime where it is known; a static site has none.
    """
    given = {name for name, value in settings.items() if value is not None}
    for name, kinds in _FITS.items():
        if name in given and kind not in kinds:
            return Misfit(name, f"{name} does not fit a {kind}", f"it is for {_listed(kinds)}")
    if {"repo", "image"} <= given:
        return Misfit("image", "repo and image exclude each other", "give the repository or the image, not both")
    if runtime == "docker" and "build_command" in given:
        return Misfit(
            "build_command", "docker has no build_command", "the Dockerfile says how to build; leave build_command out"
        )
    return _image_misfit(given, runtime) or variable_misfit(settings.get("env_vars") or {})


def variable_misfit(variables: Mapping[str, Any]) -> Misfit | None:
    """Return what is wrong with environment variables: a name, or a value that is neither given nor generated."""
    for key, value in variables.items():
        if not re.fullmatch(VARIABLE_KEY, key):
            return Misfit("env_vars", f"env_vars has the name {key[:80]!r}", "use letters, digits, dots, _ and -")
        if value == {"generate": False}:
            return Misfit("env_vars", f"env_vars.{key} is neither given nor generated", "give it, or generate = true")
    return None


def _image_misfit(given: set[str], runtime: str | None) -> Misfit | None:
    if "image" in given and runtime != "image":
        return Misfit("image", f"the runtime {runtime} runs no image", "only the runtime image does")
    if "registry_credential_id" in given and "image" not in given:
        return Misfit("registry_credential_id", "registry_credential_id needs an image", "give image too")
    if runtime != "image":
        return None
    for name in ("build_command", "start_command", "branch", "root_dir"):
        if name in given:
            return Misfit(name, f"{name} does not fit a service that runs an image", f"leave {name} out")
    return None


def runtime_of(build_command: str | None, start_command: str | None) -> str | None:
    """Return the runtime that commands speak of: ``npm`` is node's, no command at all means a Dockerfile.

    Returns:
        The runtime, or None when no command names a tool that belongs to one.
    """
    commands = [command for command in (build_command, start_command) if command]
    if not commands:
        return "docker"
    programs = (_program(part) for command in commands for part in _SEPARATOR.split(command))
    return next((_TOOLS[program] for program in programs if program in _TOOLS), None)


def _program(command: str) -> str:
    words = [word for word in command.split() if word not in ("exec", "env") and not _ASSIGNMENT.match(word)]
    return words[0].rpartition("/")[2] if words else ""


def body_of(settings: Mapping[str, Any], kind: str, runtime: str | None, owner_id: str) -> dict[str, Any]:
    """Return settings in the nested shape of Render's request bodies, with nothing but what is given.

    Args:
        settings: Values by parameter name; None stands for not given.
        kind: The service's type.
        runtime: The service's runtime, or None for a static site.
        owner_id: The workspace that an image belongs to.
    """
    body: dict[str, Any] = _renamed(settings, _TOP)
    if settings.get("auto_deploy") is not None:
        body["autoDeploy"] = "yes" if settings["auto_deploy"] else "no"
    if settings.get("image") is not None:
        image = {"imagePath": settings["image"], "ownerId": owner_id}
        body["image"] = image | _renamed(settings, {"registry_credential_id": "registryCredentialId"})
    if settings.get("env_vars") is not None:
        body["envVars"] = variables_of(settings["env_vars"])
    if settings.get("secret_files") is not None:
        body["secretFiles"] = [
            {"name": name, "content": text} for name, text in sorted(settings["secret_files"].items())
        ]
    if details := _details(settings, kind, runtime):
        body["serviceDetails"] = details
    return body


def _details(settings: Mapping[str, Any], kind: str, runtime: str | None) -> dict[str, Any]:
    details = _renamed(settings, _DETAILS)
    commands = _renamed(settings, {"build_command": "buildCommand", "start_command": "startCommand"})
    if kind == "static_site":
        return details | commands
    if runtime == "docker":
        commands = _renamed(settings, {"start_command": "dockerCommand"})
    return details | ({"envSpecificDetails": commands} if commands else {})


def variables_of(variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return environment variables as Render's bodies list them, in the order of their names."""
    return [{"key": key} | value_of(value) for key, value in sorted(variables.items())]


def value_of(value: Any) -> dict[str, Any]:
    """Return the value of one environment variable as a body has it: always a string, or a wish to generate one."""
    if isinstance(value, dict):
        return {"generateValue": value["generate"]}
    if isinstance(value, bool):
        return {"value": "true" if value else "false"}
    return {"value": str(value)}


def _renamed(settings: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {wire: settings[name] for name, wire in names.items() if settings.get(name) is not None}


def _listed(kinds: tuple[str, ...]) -> str:
    return kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} and {kinds[-1]}"
