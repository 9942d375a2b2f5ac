"""The initial deploys and jobs of services."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from zlib import crc32

from kosmolua.testing import BEGINNING

from ...wire import Thing
from .accounts import KNOWN, identifier, stamp

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
_FAILURES = ("build_failed", "update_failed", "pre_deploy_failed")


def deploys(service: Thing, number: int) -> list[Thing]:
    """Return the initial deploys of the service at a position of the account, the newest first.

    The newest deploy of every seventh service has failed, and that of the service at position 5 is unfinished.
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
    """Return what a deploy deploys: a commit, or an image and a ``commit`` of None, as in Render's API."""
    digest = sha256(f"{service['id']}/{number}".encode()).hexdigest()
    if "imagePath" in service:
        return {"commit": None, "image": {"ref": service["imagePath"], "sha": f"sha256:{digest}"}}
    message = _MESSAGES[number % len(_MESSAGES)]
    return {"commit": {"id": digest[:40], "message": message, "createdAt": moment}}


def jobs(service: Thing, number: int) -> list[Thing]:
    """Return the initial jobs of a service, the newest first. Most services have none."""
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
