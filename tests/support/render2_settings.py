"""Settings of services that say everything that can be said, by type and runtime."""

from __future__ import annotations

from typing import Any

OWNER = "tea-1"
NEW = {"name": "x", "owner_id": OWNER}
REPO = NEW | {"repo": "https://github.com/a/b", "branch": "next"}
COMMANDS = {"build_command": "npm ci", "start_command": "npm start"}
DOCKER = {
    "runtime": "docker",
    "start_command": "./serve",
    "dockerfile_path": "api/Dockerfile",
    "docker_context": "api",
    "registry_credential_id": "rgc-1",
}
IMAGE = {"image": "docker.io/library/nginx:latest", "registry_credential_id": "rgc-1", "start_command": "nginx"}
ALWAYS = {
    "root_dir": "web",
    "auto_deploy": True,
    "auto_deploy_trigger": "checksPass",
    "build_filter": {"paths": ["src/**"], "ignored_paths": ["docs/**"]},
}
AT_FIRST = {
    "env_vars": {"A": "x", "B": {"generate": True}},
    "secret_files": {".env": "A=1"},
    "environment_id": "evm-1",
}
PREVIEWED = {"previews": {"generation": "automatic"}, "pull_request_previews": True}
PUBLIC = {
    "ip_allow_list": [{"cidr_block": "10.0.0.0/8", "description": "office"}],
    "render_subdomain_policy": "disabled",
}
SCALED = PREVIEWED | {"plan": "pro", "pre_deploy_command": "npm run migrate", "max_shutdown_delay": 60}
SCALED_AT_FIRST = {
    "region": "ohio",
    "num_instances": 2,
    "disk": {"name": "data", "mount_path": "/var/data", "size_gb": 10},
    "autoscaling": {
        "enabled": True,
        "min": 1,
        "max": 3,
        "criteria": {"cpu": {"enabled": True, "percentage": 60}, "memory": {"enabled": False, "percentage": 70}},
    },
}
WEB = PUBLIC | {"health_check_path": "/up", "maintenance_mode": {"enabled": True, "uri": "https://a.example"}}
CRON = {"plan": "pro", "schedule": "0 3 * * *"}
SITE = PREVIEWED | PUBLIC | {"build_command": "npm run build", "publish_path": "dist"}
SITE_AT_FIRST = {
    "headers": [{"path": "/*", "name": "X-Frame-Options", "value": "DENY"}],
    "routes": [{"type": "redirect", "source": "/a", "destination": "/b", "priority": 0}],
}
FULL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "web_service": (SCALED | WEB, SCALED_AT_FIRST),
    "private_service": (SCALED, SCALED_AT_FIRST),
    "background_worker": (SCALED, SCALED_AT_FIRST),
    "cron_job": (CRON, {"region": "ohio"}),
    "static_site": (SITE, SITE_AT_FIRST),
}
"""By type of service what can be said always, and what only when it is created."""


def without(settings: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return settings without some of them."""
    return {name: value for name, value in settings.items() if name not in names}


def everything(kind: str) -> list[dict[str, Any]]:
    """Return the arguments of creations of a type of service that say everything: built, by docker, and an image."""
    always, at_first = FULL[kind]
    common = {"type": kind, **ALWAYS, **AT_FIRST, **always, **at_first}
    if kind == "static_site":
        return [REPO | common]
    return [REPO | common | COMMANDS, REPO | common | DOCKER, NEW | without(common, "build_filter") | IMAGE]


def every_change(kind: str) -> list[dict[str, Any]]:
    """Return the arguments of changes of a type of service that say everything, in the same order."""
    always = {"name": "x", **ALWAYS, **FULL[kind][0]}
    built = always | {"repo": "https://github.com/a/b", "branch": "next"}
    if kind == "static_site":
        return [built]
    always |= {"cache": {"profile": "no-cache"}} if kind == "web_service" else {}
    return [built | always | COMMANDS, built | always | DOCKER, without(always, "build_filter") | IMAGE]
