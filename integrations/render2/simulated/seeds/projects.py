"""The initial projects, environments and environment groups of an account."""

from __future__ import annotations

from ...wire import Thing
from .accounts import KNOWN, Profile, ago, environment, identifier, owner

_PROJECTS = (("shop", ("production", "staging")), ("tools", ("production",)))
_GROUPS = ("shared", "payments")


def projects(profile: Profile) -> list[Thing]:
    """Return the projects of an account."""
    found, first = [], 0
    for number, (name, environments) in enumerate(_PROJECTS):
        found.append(
            {
                "id": _id("prj", profile, number),
                "name": f"{name}{profile.suffix}",
                "owner": {field: owner(profile)[field] for field in ("id", "name", "email", "type")},
                "environmentIds": [environment(profile, first + place) for place in range(len(environments))],
                "createdAt": ago(days=300 - number),
                "updatedAt": ago(days=40 - number),
            }
        )
        first += len(environments)
    return found


def environments(profile: Profile) -> list[Thing]:
    """Return the environments of all projects, without the ids of what they contain."""
    names = [name for _, environments in _PROJECTS for name in environments]
    return [
        {
            "id": key,
            "name": names.pop(0),
            "projectId": project["id"],
            "protectedStatus": "unprotected" if number else "protected",
            "networkIsolationEnabled": False,
        }
        for project in projects(profile)
        for number, key in enumerate(project["environmentIds"])
    ]


def groups(profile: Profile) -> list[Thing]:
    """Return the environment groups of an account. The first group is linked to the first service."""
    return [
        {
            "id": _id("evg", profile, number),
            "name": f"{name}{profile.suffix}",
            "ownerId": owner(profile)["id"],
            "createdAt": ago(days=100 - number),
            "updatedAt": ago(days=10 - number),
            "envVars": {"LOG_FORMAT": "json", "REGION_NAME": name},
            "secretFiles": {} if number else {"ca.pem": "-----BEGIN CERTIFICATE-----\n"},
            "serviceIds": [] if number else [f"srv-{KNOWN}"],
            **({"environmentId": environment(profile, 0)} if number else {}),
        }
        for number, name in enumerate(_GROUPS)
    ]


def _id(prefix: str, profile: Profile, number: int) -> str:
    return f"{prefix}-{KNOWN}" if number == 0 else identifier(prefix, profile.account, number)
