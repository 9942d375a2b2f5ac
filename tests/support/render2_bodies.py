"""Bodies that create or change a service, right and wrong, each with the status that it deserves.

The simulator and Render's own document have to agree on them.
"""

from __future__ import annotations

from typing import Any

NATIVE = {"buildCommand": "npm ci", "startCommand": "npm start"}
DETAILS = {"runtime": "node", "envSpecificDetails": NATIVE}
CREATIONS: list[tuple[dict[str, Any], int]] = [
    ({"serviceDetails": DETAILS}, 201),
    ({"serviceDetails": {"runtime": "docker"}}, 201),
    ({"serviceDetails": {"runtime": "docker", "envSpecificDetails": {"dockerCommand": "x"}}}, 201),
    ({"type": "static_site"}, 201),
    ({"type": "cron_job", "serviceDetails": DETAILS | {"schedule": "* * * * *"}}, 201),
    ({"repo": None, "image": {"imagePath": "x", "ownerId": "o"}, "serviceDetails": {"runtime": "image"}}, 201),
    ({}, 400),
    ({"build_command": "npm ci", "serviceDetails": DETAILS}, 400),
    ({"region": "oregon", "serviceDetails": DETAILS}, 400),
    ({"ownerId": None, "serviceDetails": DETAILS}, 400),
    ({"repo": None, "serviceDetails": DETAILS}, 400),
    ({"type": "cron_job", "serviceDetails": DETAILS}, 400),
    ({"type": "background_worker", "serviceDetails": DETAILS | {"plan": "free"}}, 400),
    ({"type": "lambda"}, 400),
    ({"serviceDetails": {"runtime": "node"}}, 201),
    ({"serviceDetails": {"runtime": "node", "envSpecificDetails": {"startCommand": "x"}}}, 400),
    ({"serviceDetails": {"envSpecificDetails": NATIVE}}, 400),
    ({"serviceDetails": DETAILS | {"region": "mars"}}, 400),
    ({"serviceDetails": DETAILS | {"build_command": "x"}}, 400),
    ({"serviceDetails": DETAILS | {"disk": {"name": "d", "mountPath": "/d"}}}, 201),
    ({"serviceDetails": DETAILS | {"disk": {"mountPath": "/d"}}}, 400),
    ({"serviceDetails": DETAILS | {"disk": {"name": "d", "mountPath": "/d", "sizeGB": 0}}}, 400),
    ({"serviceDetails": DETAILS | {"autoscaling": {"enabled": True, "min": 1, "max": 2}}}, 400),
    ({"serviceDetails": DETAILS | {"previews": {"generation": "automatic"}}}, 201),
    ({"serviceDetails": DETAILS | {"previews": {"generation": "always"}}}, 400),
    ({"serviceDetails": DETAILS | {"pullRequestPreviewsEnabled": True}}, 400),
    ({"serviceDetails": DETAILS | {"maintenanceMode": {"enabled": True, "uri": ""}}}, 201),
    ({"serviceDetails": DETAILS | {"maintenanceMode": {"enabled": True}}}, 400),
    ({"serviceDetails": DETAILS | {"maxShutdownDelaySeconds": 300}}, 201),
    ({"serviceDetails": DETAILS | {"maxShutdownDelaySeconds": 301}}, 400),
    ({"serviceDetails": DETAILS | {"ipAllowList": [{"cidrBlock": "10.0.0.0/8", "description": ""}]}}, 201),
    ({"serviceDetails": DETAILS | {"ipAllowList": [{"cidrBlock": "10.0.0.0/8"}]}}, 400),
    ({"serviceDetails": DETAILS | {"headers": []}}, 400),
    ({"type": "private_service", "serviceDetails": DETAILS | {"ipAllowList": []}}, 400),
    ({"type": "cron_job", "serviceDetails": DETAILS | {"schedule": "* * * * *", "disk": {}}}, 400),
    ({"type": "static_site", "serviceDetails": {"headers": [{"path": "/*", "name": "A", "value": "b"}]}}, 201),
    ({"type": "static_site", "serviceDetails": {"headers": [{"name": "A", "value": "b"}]}}, 400),
    (
        {
            "type": "static_site",
            "serviceDetails": {"routes": [{"type": "rewrite", "source": "/a", "destination": "/b"}]},
        },
        201,
    ),
    (
        {"type": "static_site", "serviceDetails": {"routes": [{"type": "alias", "source": "/a", "destination": "/b"}]}},
        400,
    ),
    ({"serviceDetails": DETAILS, "buildFilter": {"paths": ["a/**"], "ignoredPaths": []}}, 201),
    ({"serviceDetails": DETAILS, "buildFilter": {"paths": "a/**", "ignoredPaths": []}}, 400),
    ({"serviceDetails": DETAILS, "envVars": {"A": "x"}}, 400),
    ({"serviceDetails": DETAILS, "envVars": [{"key": "A", "value": 1}]}, 400),
]

CHANGE_BODIES: list[tuple[str, dict[str, Any], int]] = [
    ("web_service", {}, 200),
    ("web_service", {"autoDeployTrigger": "off", "rootDir": "web", "branch": "next"}, 200),
    ("web_service", {"buildFilter": {"paths": ["a/**"], "ignoredPaths": []}}, 200),
    ("web_service", {"buildFilter": {"paths": ["a/**"]}}, 400),
    ("web_service", {"buildFilter": []}, 400),
    ("web_service", {"image": {"imagePath": "nginx", "ownerId": "o"}, "serviceDetails": {"runtime": "image"}}, 200),
    ("web_service", {"image": {"imagePath": "nginx"}}, 400),
    ("web_service", {"serviceDetails": {"cache": {"profile": "origin-controlled"}}}, 200),
    ("web_service", {"serviceDetails": {"cache": {"profile": "always"}}}, 400),
    ("web_service", {"serviceDetails": {"maintenanceMode": {"enabled": True, "uri": ""}}}, 200),
    ("web_service", {"serviceDetails": {"maintenanceMode": True}}, 400),
    ("web_service", {"serviceDetails": {"maxShutdownDelaySeconds": 0}}, 400),
    ("web_service", {"serviceDetails": {"envSpecificDetails": {"startCommand": "serve"}}}, 200),
    ("web_service", {"serviceDetails": {"envSpecificDetails": {"dockerCommand": "serve", "dockerContext": "."}}}, 200),
    ("web_service", {"serviceDetails": {"envSpecificDetails": {"start_command": "serve"}}}, 400),
    ("web_service", {"serviceDetails": {"runtime": "nodejs"}}, 400),
    ("web_service", {"serviceDetails": {"disk": {"name": "d", "mountPath": "/d"}}}, 400),
    ("web_service", {"serviceDetails": {"numInstances": 2}}, 400),
    ("web_service", {"serviceDetails": {"region": "ohio"}}, 400),
    ("web_service", {"envVars": []}, 400),
    ("private_service", {"serviceDetails": {"previews": {"generation": "manual"}, "preDeployCommand": "make"}}, 200),
    ("background_worker", {"serviceDetails": {"pullRequestPreviewsEnabled": "yes", "plan": "pro"}}, 200),
    ("background_worker", {"serviceDetails": {"pullRequestPreviewsEnabled": "maybe"}}, 400),
    ("cron_job", {"serviceDetails": {"schedule": "* * * * *"}}, 200),
    ("cron_job", {"serviceDetails": {"schedule": 5}}, 400),
    ("static_site", {"serviceDetails": {"ipAllowList": [], "renderSubdomainPolicy": "disabled"}}, 200),
    ("static_site", {"serviceDetails": {"headers": []}}, 400),
]
"""Bodies that change a service of a type, right and wrong, each with the status that it deserves."""


def creation(changes: dict[str, Any], owner_id: str) -> dict[str, Any]:
    """Return the body of a creation; a change to None takes the field away."""
    body = {"type": "web_service", "name": "new", "repo": "https://github.com/a/b", "ownerId": owner_id} | changes
    return {name: value for name, value in body.items() if value is not None}
