"""Bodies that create a service, right and wrong, as changes to one body, each with the status that it deserves.

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


def creation(changes: dict[str, Any], owner_id: str) -> dict[str, Any]:
    """Return the body of a creation; a change to None takes the field away."""
    body = {"type": "web_service", "name": "new", "repo": "https://github.com/a/b", "ownerId": owner_id} | changes
    return {name: value for name, value in body.items() if value is not None}
