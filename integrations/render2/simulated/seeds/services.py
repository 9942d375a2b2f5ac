"""The initial services of an account, and the details that the simulator, like Render, adds to services."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from ...wire import Thing
from .accounts import KNOWN, Profile, ago, environment, identifier, owner

TYPES = ("web_service", "static_site", "background_worker", "cron_job", "private_service")
EVERYWHERE = {"cidrBlock": "0.0.0.0/0", "description": "everywhere"}

_ROLES = {
    "web_service": "api",
    "static_site": "site",
    "background_worker": "worker",
    "cron_job": "nightly",
    "private_service": "internal",
}
SHORT_TYPES = {
    "web_service": "web",
    "static_site": "static",
    "background_worker": "worker",
    "cron_job": "cron",
    "private_service": "pserv",
}
"""The types as Render abbreviates them in the addresses of its dashboard, and in links of environment groups."""
_COMMANDS = {
    "node": ("npm ci && npm run build", "npm start"),
    "python": ("pip install -r requirements.txt", "gunicorn app:app"),
    "ruby": ("bundle install", "bundle exec puma"),
    "go": ("go build -o app .", "./app"),
    "rust": ("cargo build --release", "./target/release/app"),
    "elixir": ("mix deps.get && mix release", "_build/prod/rel/app/bin/app start"),
}
_DOCKER = {"dockerCommand": "", "dockerContext": ".", "dockerfilePath": "./Dockerfile"}
_IMAGE = {"dockerCommand": "", "dockerContext": "", "dockerfilePath": ""}
_REGIONS = ("oregon", "oregon", "frankfurt", "oregon", "ohio", "virginia", "singapore")
_SCHEDULES = ("0 3 * * *", "*/15 * * * *", "30 6 * * 1-5", "0 0 1 * *")
_TRIGGERS = {5: "off", 8: "checksPass"}
_SCALING = {
    "enabled": True,
    "min": 1,
    "max": 3,
    "criteria": {"cpu": {"enabled": True, "percentage": 60}, "memory": {"enabled": False, "percentage": 70}},
}


def services(profile: Profile) -> Iterator[Thing]:
    """Yield the services of an account, the newest first."""
    workspace = owner(profile)["id"]
    for number in range(profile.services):
        yield _service(profile, number, workspace)


def places(profile: Profile) -> dict[str, int]:
    """Return the position of each initial service of an account, by the service's id."""
    return {_id(profile, number, TYPES[number % len(TYPES)]): number for number in range(profile.services)}


def _service(profile: Profile, number: int, workspace: str) -> Thing:
    kind = TYPES[number % len(TYPES)]
    name = _name(profile, number, kind)
    service_id = _id(profile, number, kind)
    image = _runs_image(number, kind)
    service: Thing = {"imagePath": f"docker.io/acme/{name}:latest"}
    if not image:
        service = {"repo": f"https://github.com/acme/{name}", "branch": "main"}
    if number % 18 == 4:
        service["registryCredential"] = {"id": identifier("rgc", profile.account), "name": "acme"}
    if number % 8 == 7 and not image:
        service["buildFilter"] = {"paths": ["src/**"], "ignoredPaths": ["docs/**"]}
    if number % 4 == 1:
        service["environmentId"] = environment(profile, number % 3)
    suspended = number % 11 == 6
    trigger = _TRIGGERS.get(number % 13, "commit")
    slug = f"{name}-{identifier('', name)[1:5]}" if number % 6 == 5 else name
    runtime = "image" if image else _runtime(number)
    return service | {
        "id": service_id,
        "name": name,
        "type": kind,
        "ownerId": workspace,
        "slug": slug,
        "suspended": "suspended" if suspended else "not_suspended",
        "suspenders": ["user"] if suspended else [],
        "autoDeploy": "no" if trigger == "off" else "yes",
        "autoDeployTrigger": trigger,
        "rootDir": "",
        "notifyOnFail": "default",
        "dashboardUrl": dashboard_url(kind, service_id),
        "createdAt": ago(days=30 + number),
        "updatedAt": ago(hours=1 + number * 37 % 400),
        "serviceDetails": _seeded_details(profile, number, kind, service_id, slug, runtime),
    }


def dashboard_url(kind: str, service_id: str) -> str:
    """Return the URL of a service in Render's dashboard."""
    return f"https://dashboard.render.com/{SHORT_TYPES[kind]}/{service_id}"


def _name(profile: Profile, number: int, kind: str) -> str:
    lap, topic = divmod(number // len(TYPES), len(profile.topics))
    return f"{profile.topics[topic]}-{_ROLES[kind]}{f'-{lap + 1}' if lap else ''}{profile.suffix}"


def _id(profile: Profile, number: int, kind: str) -> str:
    prefix = "crn" if kind == "cron_job" else "srv"
    first = number == 0 or number == TYPES.index("cron_job")
    return f"{prefix}-{KNOWN}" if first else identifier(prefix, profile.account, number)


def _runs_image(number: int, kind: str) -> bool:
    """Return True if the initial service at this position runs an image, as most cron jobs do."""
    return number // len(TYPES) % 3 > 0 if kind == "cron_job" else number % 9 == 4 and kind != "static_site"


def _runtime(number: int) -> str:
    return [*_COMMANDS, "docker"][number // len(TYPES) % (len(_COMMANDS) + 1)]


def _seeded_details(profile: Profile, number: int, kind: str, service_id: str, slug: str, runtime: str) -> Thing:
    settings: Thing = {
        "region": _REGIONS[number % len(_REGIONS)],
        "plan": profile.plans[number % len(profile.plans)],
        "schedule": _SCHEDULES[number // len(TYPES) % len(_SCHEDULES)],
        "numInstances": 1 + number % 3,
        "buildCommand": "npm run build",
        "publishPath": "dist",
        "previews": {"generation": "automatic" if number % 10 == 1 else "off"},
    }
    if number % 15 == 9:
        settings |= {"disk": {"name": "data", "mountPath": "/var/data", "sizeGB": 10}, "numInstances": 1}
    if number % 20 == 15:
        settings["autoscaling"] = _SCALING
    if number % 10 == 2:
        settings["preDeployCommand"] = "npm run migrate"
    made = details(kind, service_id, slug, runtime, settings)
    if kind == "cron_job" and number % 10 != 8:
        made["lastSuccessfulRunAt"] = ago(hours=number % 24)
    if number == 20:
        made["parentServer"] = {"id": f"srv-{KNOWN}", "name": _name(profile, 0, TYPES[0])}
    return made


def details(kind: str, service_id: str, slug: str, runtime: str, settings: Thing) -> Thing:
    """Return the complete ``serviceDetails`` of a service, with defaults for settings that are not given.

    The slug is the first part of its host name; the runtime is empty for a static site.
    """
    if kind == "static_site":
        return {
            "buildCommand": settings.get("buildCommand", ""),
            "publishPath": settings.get("publishPath", "public"),
            "url": f"https://{slug}.onrender.com",
            "buildPlan": "starter",
            **previews(settings),
            **_access(settings),
        }
    region = settings.get("region", "oregon")
    shared: Thing = {
        "runtime": runtime,
        "env": runtime,
        "plan": settings.get("plan", "starter"),
        "region": region,
        "buildPlan": "starter",
        "envSpecificDetails": specifics(runtime, settings),
    }
    if kind == "cron_job":
        return shared | {"schedule": settings["schedule"]}
    shared |= {
        "numInstances": settings.get("numInstances", 1),
        "maxShutdownDelaySeconds": settings.get("maxShutdownDelaySeconds", 30),
        "sshAddress": f"{service_id}@ssh.{region}.render.com",
        **previews(settings),
    }
    if "autoscaling" in settings:
        shared["autoscaling"] = settings["autoscaling"]
    if "disk" in settings:
        shared["disk"] = {"id": identifier("dsk", service_id), "sizeGB": 1} | settings["disk"]
    return shared | _address(kind, slug, settings)


def specifics(runtime: str, settings: Thing, kept: Thing | None = None) -> Thing:
    """Return the ``envSpecificDetails`` of a service: each field as given, else as kept, else the default."""
    given = dict(settings.get("envSpecificDetails") or {})
    credential = given.pop("registryCredentialId", None)
    given.pop("registryCredential", None)
    if runtime in _COMMANDS:
        usual = dict(zip(("buildCommand", "startCommand"), _COMMANDS[runtime], strict=True))
    else:
        usual = _IMAGE if runtime == "image" else _DOCKER
    found: Thing = usual | (kept or {}) | given
    if credential:
        found["registryCredential"] = {"id": credential, "name": "registry"}
    if "preDeployCommand" in settings:
        found["preDeployCommand"] = settings["preDeployCommand"]
    return found


def previews(settings: Thing) -> Thing:
    """Return both fields for previews of pull requests; if they differ in the settings, ``previews`` wins."""
    asked = "automatic" if settings.get("pullRequestPreviewsEnabled") == "yes" else "off"
    generation = (settings.get("previews") or {}).get("generation", asked)
    enabled = "yes" if generation == "automatic" else "no"
    return {"previews": {"generation": generation}, "pullRequestPreviewsEnabled": enabled}


def _access(settings: Thing) -> Thing:
    return {
        "ipAllowList": settings.get("ipAllowList", [EVERYWHERE]),
        "renderSubdomainPolicy": settings.get("renderSubdomainPolicy", "enabled"),
    }


def _address(kind: str, slug: str, settings: Thing) -> Thing:
    if kind == "background_worker":
        return {}
    ports = {"openPorts": [{"port": 10000, "protocol": "TCP"}]}
    if kind == "private_service":
        return ports | {"url": f"{slug}:10000"}
    return ports | {
        "url": f"https://{slug}.onrender.com",
        "healthCheckPath": settings.get("healthCheckPath", ""),
        "maintenanceMode": settings.get("maintenanceMode", {"enabled": False, "uri": ""}),
        "cache": {"profile": "no-cache"},
        **_access(settings),
    }


def variables(profile: Profile, service: Thing) -> dict[str, str]:
    """Return the initial environment variables of a service, which differ from account to account."""
    secret = sha256(f"{profile.account}/{service['id']}".encode()).hexdigest()
    found = {"NODE_ENV": "production", "LOG_LEVEL": "info", "DATABASE_URL": f"postgres://app:{secret[:24]}@db/app"}
    watched = secret[-1] in "0123456789ab"
    return (
        found
        | dict(profile.variables)
        | ({"SENTRY_DSN": f"https://{secret[24:40]}@sentry.example/7"} if watched else {})
    )


def files(service: Thing) -> dict[str, str]:
    """Return the initial secret files of a service: one if the service is built from a repository, else none."""
    return {".env.local": f"SERVICE_NAME={service['name']}\n"} if "repo" in service else {}


def rules(service: Thing) -> dict[str, list[Thing]]:
    """Return the initial response headers and redirects of a static site."""
    header, route = (identifier(prefix, service["id"]) for prefix in ("hdr", "rdr"))
    return {
        "headers": [{"id": header, "path": "/*", "name": "X-Frame-Options", "value": "DENY"}],
        "routes": [{"id": route, "type": "redirect", "source": "/home", "destination": "/"}],
    }


def domains(service: Thing, number: int) -> list[Thing]:
    """Return the initial custom domains of a service: two for the first service, none for the others."""
    return [domain(service, name) for name in ("www.example.com", "example.com")] if number == 0 else []


def domain(service: Thing, name: str, status: str = "verified", moment: str | None = None) -> Thing:
    """Return a custom domain of a service in the form that Render's API uses, by default an old one."""
    apex = name.count(".") == 1
    return {
        "id": identifier("cdm", service["id"], name),
        "name": name,
        "domainType": "apex" if apex else "subdomain",
        "publicSuffix": name.rpartition(".")[2],
        "redirectForName": f"www.{name}" if apex else "",
        "verificationStatus": status,
        "createdAt": moment or ago(days=20),
    }
