"""The function that changes the settings of a service."""

from typing import Annotated, Any

from kosmolua.plugin import BadArguments, CallError, Url, non_empty

from . import inverses
from .account import integration
from .bodies import body_of
from .misfits import Misfit, misfit
from .parameters import ServiceId
from .render import Render
from .runtimes import Runtime, runtime_of
from .services import OneService, shaped
from .settings import (
    AutoDeploy,
    AutoDeployTrigger,
    Branch,
    BuildCommand,
    BuildFilters,
    Cache,
    Credential,
    DockerContext,
    DockerfilePath,
    HealthCheckPath,
    Image,
    IpAllowList,
    MaintenanceModeOf,
    MaxShutdownDelay,
    Plan,
    PreDeployCommand,
    PreviewsOf,
    PublishPath,
    PullRequestPreviews,
    RenderSubdomainPolicy,
    RootDir,
    Schedule,
    StartCommand,
)
from .wire import Thing, inner, thing_of


@integration.writes(before=inverses.SERVICE, undo=inverses.SERVICE_BACK)
def update_service(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    name: Annotated[str | None, "The new name.", non_empty()] = None,
    repo: Annotated[
        str | None, "The URL of the Git repository; if the service runs an image, give runtime too.", Url()
    ] = None,
    branch: Branch = None,
    plan: Annotated[Plan | None, "The new plan."] = None,
    runtime: Annotated[Runtime | None, "The new runtime; if image is given, the runtime becomes image."] = None,
    build_command: BuildCommand = None,
    start_command: StartCommand = None,
    image: Image = None,
    registry_credential_id: Credential = None,
    dockerfile_path: DockerfilePath = None,
    docker_context: DockerContext = None,
    schedule: Schedule = None,
    publish_path: PublishPath = None,
    root_dir: RootDir = None,
    build_filter: BuildFilters = None,
    auto_deploy: AutoDeploy = None,
    auto_deploy_trigger: AutoDeployTrigger = None,
    health_check_path: HealthCheckPath = None,
    pre_deploy_command: PreDeployCommand = None,
    max_shutdown_delay: MaxShutdownDelay = None,
    maintenance_mode: MaintenanceModeOf = None,
    previews: PreviewsOf = None,
    pull_request_previews: PullRequestPreviews = None,
    ip_allow_list: IpAllowList = None,
    render_subdomain_policy: RenderSubdomainPolicy = None,
    cache: Annotated[
        Cache | None, 'What Render caches for a web service: { profile = "no-cache" } or "origin-controlled".'
    ] = None,
) -> OneService:
    """Change settings of a service; settings that are not given stay as they are.

    Most changes take effect with the next deploy. The service is read first, since the form of the request depends on
    its type and runtime. Use ``scale_service`` for the number of instances, ``set_env_var`` for environment variables.
    """
    settings = {
        "name": name,
        "repo": repo,
        "branch": branch,
        "plan": plan,
        "runtime": runtime,
        "build_command": build_command,
        "start_command": start_command,
        "image": image,
        "registry_credential_id": registry_credential_id,
        "dockerfile_path": dockerfile_path,
        "docker_context": docker_context,
        "schedule": schedule,
        "publish_path": publish_path,
        "root_dir": root_dir,
        "build_filter": build_filter,
        "auto_deploy": auto_deploy,
        "auto_deploy_trigger": auto_deploy_trigger,
        "health_check_path": health_check_path,
        "pre_deploy_command": pre_deploy_command,
        "max_shutdown_delay": max_shutdown_delay,
        "maintenance_mode": maintenance_mode,
        "previews": previews,
        "pull_request_previews": pull_request_previews,
        "ip_allow_list": ip_allow_list,
        "render_subdomain_policy": render_subdomain_policy,
        "cache": cache,
    }
    if all(value is None for value in settings.values()):
        raise BadArguments(
            "update_service was given nothing to change", hint=f"give at least one of {', '.join(settings)}"
        )
    return {"service": shaped(_changed(render, service_id, settings))}


def _changed(render: Render, service_id: str, settings: Thing) -> Thing:
    service = thing_of(render.api.get("/services/{service_id}", service_id=service_id))
    details = inner(service, "serviceDetails")
    kind = str(service.get("type"))
    current = details.get("runtime") or details.get("env")
    runtime = _runtime_after(settings, current)
    if runtime != current:
        settings["runtime"] = runtime
    plan = settings["plan"] or details.get("plan")
    wrong = _source_misfit(settings, current, runtime) or misfit(settings, kind, runtime, plan)
    if wrong:
        raise CallError("bad_arguments", f"{wrong.message}; nothing was changed", param=wrong.param, hint=wrong.hint)
    if runtime == "image" and settings["registry_credential_id"]:
        settings["image"] = settings["image"] or service.get("imagePath")
    body = body_of(settings, kind, runtime, str(service.get("ownerId")))
    return thing_of(render.api.patch("/services/{service_id}", json=body, service_id=service_id))


def _runtime_after(settings: Thing, current: Any) -> str | None:
    """Return the given runtime, else the one that a new image or repository needs, else the current one."""
    if settings["runtime"]:
        return str(settings["runtime"])
    if current and settings["image"] and not settings["repo"]:
        return "image"
    commands = settings["build_command"], settings["start_command"]
    if current == "image" and settings["repo"] and any(commands):
        return runtime_of(*commands) or "image"
    return str(current) if current else None


def _source_misfit(settings: Thing, current: Any, runtime: str | None) -> Misfit | None:
    """Return what is wrong with switching between a repository and an image, or None."""
    if current is None:
        return None
    if runtime == "image" and settings["repo"]:
        return Misfit(
            "runtime",
            "repo cannot be combined with the runtime 'image'",
            "give the runtime to build with: runtime = 'docker', 'node', 'python', 'ruby', 'go', 'rust' or 'elixir'",
        )
    if runtime == "image" and current != "image" and not settings["image"]:
        return Misfit("image", "the runtime 'image' requires the parameter image", "give image too")
    if current == "image" and runtime != "image" and not settings["repo"]:
        wrong = f"the runtime '{runtime}' requires the parameter repo, since the service has no repository"
        return Misfit("repo", wrong, "give repo too")
    return None
