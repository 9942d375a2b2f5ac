"""What an account holds at the start: services of all five types, deploys, jobs and the rest, always the same.

Everything is a function of the account's name and of counting numbers. The first service, cron job, deploy, job and
store of every account have the short ids that documentation uses, such as ``srv-cabc12345678``.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from zlib import crc32

from ..wire import Thing

BEGINNING = datetime(2026, 3, 2, 9, 0, 0, tzinfo=timezone.utc)
"""The time on the clock of every simulated Render when it starts."""
KNOWN = "cabc12345678"

TYPES = ("web_service", "static_site", "background_worker", "cron_job", "private_service")
_ROLES = {
    "web_service": "api",
    "static_site": "site",
    "background_worker": "worker",
    "cron_job": "nightly",
    "private_service": "internal",
}
_TOPICS = ("checkout", "billing", "search", "catalog", "orders", "shipping", "reports", "media", "sessions", "pricing")
_COMMANDS = {
    "node": ("npm ci && npm run build", "npm start"),
    "python": ("pip install -r requirements.txt", "gunicorn app:app"),
    "ruby": ("bundle install", "bundle exec puma"),
    "go": ("go build -o app .", "./app"),
    "rust": ("cargo build --release", "./target/release/app"),
    "elixir": ("mix deps.get && mix release", "_build/prod/rel/app/bin/app start"),
}
_REGIONS = ("oregon", "oregon", "frankfurt", "oregon", "ohio", "virginia", "singapore")
_SCHEDULES = ("0 3 * * *", "*/15 * * * *", "30 6 * * 1-5", "0 0 1 * *")
_MESSAGES = (
    "Cache the price list",
    "Retry payments that time out",
    "Upgrade the framework (#148)",
    "Fix a race in the session store",
    "Translate the emails",
    "Log the request id",
    "Speed up the search index",
    "Round totals half to even",
)
_JOB_COMMANDS = ("rake db:migrate", "python manage.py clearsessions", "npm run reindex", "echo 'hello world'")
_JOB_STATUSES = ("succeeded", "succeeded", "failed", "running", "succeeded", "canceled", "pending")
_BUILD_LOG = ("==> Cloning the repository", "==> Running the build command", "==> Build successful", "==> Deploying")
_SAID = {
    ("request", "info"): "GET /health 200 in 3ms",
    ("request", "error"): "POST /orders 502 in 30001ms",
    ("app", "info"): "worker 3 took a job",
    ("app", "error"): "connection refused by upstream",
}
_FAILURES = ("build_failed", "update_failed", "pre_deploy_failed")


@dataclass(frozen=True)
class Profile:
    """Whose account it is, and how much is in it.

    Args:
        account: Its name in accounts.toml.
        email: The user's.
        name: The user's.
        workspace: The name of the one workspace.
        kind: ``user`` or ``team``.
        services: How many services there are.
        suffix: What the names of the services end with.
        topics: What the names of the services start with, five services each.
        plans: The plans that services are on, in turn.
    """

    account: str
    email: str
    name: str
    workspace: str
    kind: str
    services: int
    suffix: str = ""
    topics: tuple[str, ...] = _TOPICS
    plans: tuple[str, ...] = ("starter", "starter", "standard", "starter", "pro")


_PROFILES = {
    "default": Profile("default", "ann@example.com", "Ann Example", "Ann's workspace", "user", 112),
    "production": Profile("production", "ops@acme.example", "Acme Operations", "Acme", "team", 134, "-prod"),
    "staging": Profile(
        account="staging",
        email="qa@acme.example",
        name="Acme Quality",
        workspace="Acme Staging",
        kind="team",
        services=43,
        suffix="-staging",
        topics=(*_TOPICS[:8], "prototype"),
        plans=("starter",),
    ),
}


def profile_of(account: str) -> Profile:
    """Return the profile of an account; a name that is not known gets one of its own."""
    size = 24 + crc32(account.encode()) % 60
    unknown = Profile(account, f"{account}@example.com", account.title(), f"{account} workspace", "team", size)
    return _PROFILES.get(account, unknown)


def identifier(prefix: str, *parts: object) -> str:
    """Return an id as Render makes them, 20 letters and digits after the prefix, always the same for the same parts."""
    digest = sha256("/".join(map(str, (prefix, *parts))).encode()).digest()
    return f"{prefix}-{b32encode(digest).decode().lower()[:20]}"


def stamp(moment: datetime) -> str:
    """Return a time as Render writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def ago(**distance: float) -> str:
    """Return the time that lies so far before the beginning, as Render writes it."""
    return stamp(BEGINNING - timedelta(**distance))


def owner(profile: Profile) -> Thing:
    """Return the account's workspace."""
    return {
        "id": identifier("tea", profile.account),
        "name": profile.workspace,
        "email": profile.email,
        "type": profile.kind,
        "twoFactorAuthEnabled": profile.kind == "team",
    }


def user(profile: Profile) -> Thing:
    """Return the user behind the key."""
    return {"id": identifier("usr", profile.account), "email": profile.email, "name": profile.name}


def services(profile: Profile) -> Iterator[Thing]:
    """Yield the services of an account, the newest first."""
    for number in range(profile.services):
        yield _service(profile, number)


def _service(profile: Profile, number: int) -> Thing:
    kind = TYPES[number % len(TYPES)]
    name = _service_name(profile, number, kind)
    suspended = number % 11 == 6
    runs_image = number % 9 == 4 and kind not in ("static_site", "cron_job")
    source = (
        {"imagePath": f"docker.io/acme/{name}:latest"}
        if runs_image
        else {"repo": f"https://github.com/acme/{name}", "branch": "main"}
    )
    return {
        "id": _service_id(profile, number, kind),
        "name": name,
        "type": kind,
        "ownerId": owner(profile)["id"],
        "slug": name,
        "suspended": "suspended" if suspended else "not_suspended",
        "suspenders": ["user"] if suspended else [],
        "autoDeploy": "no" if runs_image else "yes",
        "rootDir": "",
        "notifyOnFail": "default",
        "dashboardUrl": f"https://dashboard.render.com/{name}",
        "createdAt": ago(days=30 + number),
        "updatedAt": ago(hours=1 + number * 37 % 400),
        "serviceDetails": _details(profile, number, kind, name, "image" if runs_image else _runtime(number)),
        **source,
    }


def _service_name(profile: Profile, number: int, kind: str) -> str:
    lap, topic = divmod(number // len(TYPES), len(profile.topics))
    return f"{profile.topics[topic]}-{_ROLES[kind]}{f'-{lap + 1}' if lap else ''}{profile.suffix}"


def _service_id(profile: Profile, number: int, kind: str) -> str:
    prefix = "crn" if kind == "cron_job" else "srv"
    first = number == 0 or number == TYPES.index("cron_job")
    return f"{prefix}-{KNOWN}" if first else identifier(prefix, profile.account, number)


def _runtime(number: int) -> str:
    return [*_COMMANDS, "docker"][number // len(TYPES) % (len(_COMMANDS) + 1)]


def _details(profile: Profile, number: int, kind: str, name: str, runtime: str) -> Thing:
    settings = {
        "region": _REGIONS[number % len(_REGIONS)],
        "plan": profile.plans[number % len(profile.plans)],
        "schedule": _SCHEDULES[number // len(TYPES) % len(_SCHEDULES)],
        "numInstances": 1 + number % 3,
        "buildCommand": "npm run build",
        "publishPath": "dist",
    }
    made = details(kind, name, runtime, settings)
    return made | ({"lastSuccessfulRunAt": ago(hours=number % 24)} if kind == "cron_job" else {})


def details(kind: str, name: str, runtime: str, settings: Thing) -> Thing:
    """Return the ``serviceDetails`` of a service: what Render answers for its type, from what was asked for.

    Args:
        kind: The service's type.
        name: The service's name, which its address is made of.
        runtime: The service's runtime; a static site has none.
        settings: What a request's own ``serviceDetails`` would say.
    """
    if kind == "static_site":
        return {
            "buildCommand": settings.get("buildCommand", ""),
            "publishPath": settings.get("publishPath", "public"),
            "url": f"https://{name}.onrender.com",
            "buildPlan": "starter",
        }
    shared = {
        "runtime": runtime,
        "env": runtime,
        "plan": settings.get("plan", "starter"),
        "region": settings.get("region", "oregon"),
        "buildPlan": "starter",
        "envSpecificDetails": settings.get("envSpecificDetails") or _how_to_run(runtime),
    }
    if kind == "cron_job":
        return shared | {"schedule": settings["schedule"]}
    return shared | {"numInstances": settings.get("numInstances", 1)} | _address(kind, name, settings)


def _how_to_run(runtime: str) -> Thing:
    if runtime in _COMMANDS:
        build, start = _COMMANDS[runtime]
        return {"buildCommand": build, "startCommand": start}
    return {"dockerCommand": "", "dockerContext": ".", "dockerfilePath": "./Dockerfile"}


def _address(kind: str, name: str, settings: Thing) -> Thing:
    if kind == "background_worker":
        return {}
    ports = {"openPorts": [{"port": 10000, "protocol": "TCP"}]}
    if kind == "private_service":
        return ports | {"url": f"{name}:10000"}
    path = settings.get("healthCheckPath", "")
    return ports | {"url": f"https://{name}.onrender.com", "healthCheckPath": path}


def deploys(service: Thing, number: int) -> list[Thing]:
    """Return the deploys that a service starts with, the newest first.

    Args:
        service: The service.
        number: Its place in the account's list. Every seventh starts with a failed deploy, the fourth of the others
            with one that is under way.
    """
    count = 45 if number == 0 else 2 + crc32(service["id"].encode()) % 6
    return [_deploy(service, number, age) for age in range(count)]


def _deploy(service: Thing, number: int, age: int) -> Thing:
    start = BEGINNING - timedelta(hours=1 + number % 5 + age * 26)
    status = _status(number, age)
    first = number == 0 and age == 0
    return {
        "id": f"dep-{KNOWN}" if first else identifier("dep", service["ownerId"], service["id"], age),
        "status": status,
        "trigger": ("new_commit", "api", "manual")[age % 3],
        "createdAt": stamp(start),
        "startedAt": stamp(start + timedelta(seconds=2)),
        "updatedAt": stamp(start + timedelta(seconds=95)),
        "finishedAt": None if status == "build_in_progress" else stamp(start + timedelta(seconds=95)),
        **source_of(service, number + age, stamp(start)),
    }


def _status(number: int, age: int) -> str:
    if number % 7 == 3:
        return _FAILURES[number // 7 % len(_FAILURES)] if age == 0 else "live" if age == 1 else "deactivated"
    if number == 5 and age < 2:
        return ("build_in_progress", "live")[age]
    if age == 0:
        return "live"
    return "build_failed" if age % 6 == 4 else "canceled" if age % 9 == 7 else "deactivated"


def source_of(service: Thing, number: int, moment: str) -> Thing:
    """Return what a deploy ships: a commit, or for an image a null commit and the image, as the real API has it."""
    digest = sha256(f"{service['id']}/{number}".encode()).hexdigest()
    if "imagePath" in service:
        return {"commit": None, "image": {"ref": service["imagePath"], "sha": f"sha256:{digest}"}}
    message = _MESSAGES[number % len(_MESSAGES)]
    return {"commit": {"id": digest[:40], "message": message, "createdAt": moment}}


def jobs(service: Thing, number: int) -> list[Thing]:
    """Return the jobs that a service starts with, the newest first; most have none."""
    count = 23 if number == 0 else number % 4 if number % 3 == 0 and service["type"] != "static_site" else 0
    return [_job(service, number, age) for age in range(count)]


def _job(service: Thing, number: int, age: int) -> Thing:
    start = BEGINNING - timedelta(hours=2 + age * 7)
    status = _JOB_STATUSES[(number + age) % len(_JOB_STATUSES)]
    job = {
        "id": f"job-{KNOWN}" if number == age == 0 else identifier("job", service["ownerId"], service["id"], age),
        "serviceId": service["id"],
        "startCommand": _JOB_COMMANDS[(number + age) % len(_JOB_COMMANDS)],
        "planId": "plan-srv-004",
        "status": status,
        "createdAt": stamp(start),
    }
    if status != "pending":
        job["startedAt"] = stamp(start + timedelta(seconds=3))
    if status in ("succeeded", "failed", "canceled"):
        job["finishedAt"] = stamp(start + timedelta(seconds=63))
    return job


def variables(service: Thing) -> dict[str, str]:
    """Return the environment variables that a service starts with."""
    secret = sha256(service["id"].encode()).hexdigest()
    found = {"NODE_ENV": "production", "LOG_LEVEL": "info", "DATABASE_URL": f"postgres://app:{secret[:24]}@db/app"}
    watched = secret[-1] in "0123456789ab"
    return found | ({"SENTRY_DSN": f"https://{secret[24:40]}@sentry.example/7"} if watched else {})


def domains(service: Thing, number: int) -> list[Thing]:
    """Return the custom domains that a service starts with: two for the first, none for the others."""
    return [domain(service, name) for name in ("www.example.com", "example.com")] if number == 0 else []


def domain(service: Thing, name: str, status: str = "verified") -> Thing:
    """Return a custom domain of a service."""
    apex = name.count(".") == 1
    return {
        "id": identifier("cdm", service["id"], name),
        "name": name,
        "domainType": "apex" if apex else "subdomain",
        "publicSuffix": name.rpartition(".")[2],
        "redirectForName": f"www.{name}" if apex else "",
        "verificationStatus": status,
        "createdAt": ago(days=20),
        "server": {"id": service["id"], "name": service["name"]},
    }


def events(service: Thing, shipped: Sequence[Thing]) -> list[Thing]:
    """Return what happened to a service, the newest first: the start and the end of each deploy."""
    found = []
    for deploy in shipped:
        if deploy["finishedAt"]:
            ended = {"deployId": deploy["id"], "deployStatus": _outcome(deploy["status"])}
            found.append(_event(service, "deploy_ended", deploy["finishedAt"], ended))
        found.append(_event(service, "deploy_started", deploy["createdAt"], {"deployId": deploy["id"]}))
    return found


def _outcome(status: str) -> str:
    return "failed" if status.endswith("failed") else "canceled" if status == "canceled" else "succeeded"


def _event(service: Thing, kind: str, moment: str, told: Thing) -> Thing:
    return {
        "id": identifier("evt", told["deployId"], kind),
        "timestamp": moment,
        "serviceId": service["id"],
        "type": kind,
        "details": told,
    }


def logs(resource: str) -> list[Thing]:
    """Return the log entries of a resource, the oldest first: one a minute during the hour before the beginning."""
    return [_entry(resource, number) for number in range(60)]


def _entry(resource: str, number: int) -> Thing:
    level = "error" if number % 10 == 9 else "info"
    kind = "build" if number < len(_BUILD_LOG) else "request" if number % 3 == 0 else "app"
    said = _BUILD_LOG[number] if kind == "build" else _SAID[kind, level]
    labels = {"resource": resource, "instance": f"{resource}-x7k2p", "level": level, "type": kind}
    return {
        "id": identifier("log", resource, number),
        "timestamp": ago(minutes=60 - number),
        "message": said,
        "labels": [{"name": name, "value": value} for name, value in labels.items()],
    }


def databases(profile: Profile) -> list[Thing]:
    """Return the Postgres databases of an account."""
    return [_database(profile, number) for number in range(3)]


def _database(profile: Profile, number: int) -> Thing:
    name = f"{('main', 'warehouse', 'sandbox')[number]}-db{profile.suffix}"
    suspended = number == 2
    return _store(profile, "dpg", number, name) | {
        "status": "suspended" if suspended else "available",
        "suspended": "suspended" if suspended else "not_suspended",
        "suspenders": ["user"] if suspended else [],
        "plan": ("pro_4gb", "basic_1gb", "free")[number],
        "version": ("17", "16", "16")[number],
        "databaseName": name.replace("-", "_"),
        "databaseUser": "app",
        "diskSizeGB": (50, 15, 1)[number],
        "diskAutoscalingEnabled": number == 0,
        "highAvailabilityEnabled": number == 0,
        "readReplicas": [],
        "role": "primary",
    }


def caches(profile: Profile) -> list[Thing]:
    """Return the Key Value instances of an account."""
    names = [f"{name}{profile.suffix}" for name in ("cache", "queue")]
    common = {"status": "available", "plan": "starter", "version": "8.1.0"}
    policies = ("allkeys-lru", "noeviction")
    return [
        _store(profile, "red", number, name) | common | {"options": {"maxmemoryPolicy": policies[number]}}
        for number, name in enumerate(names)
    ]


def _store(profile: Profile, prefix: str, number: int, name: str) -> Thing:
    return {
        "id": f"{prefix}-{KNOWN}" if number == 0 else identifier(prefix, profile.account, number),
        "name": name,
        "owner": owner(profile),
        "region": _REGIONS[number],
        "ipAllowList": [{"cidrBlock": "0.0.0.0/0", "description": "everywhere"}],
        "dashboardUrl": f"https://dashboard.render.com/d/{name}",
        "createdAt": ago(days=200 + number),
        "updatedAt": ago(days=3 + number),
    }
