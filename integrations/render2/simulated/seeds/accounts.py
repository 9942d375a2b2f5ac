"""The simulated accounts: their users, how much data they have, and the format of ids and times."""

from __future__ import annotations

from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from zlib import crc32

from kosmolua.testing import BEGINNING

from ...wire import Thing

KNOWN = "cabc12345678"

_TOPICS = ("checkout", "billing", "search", "catalog", "orders", "shipping", "reports", "media", "sessions", "pricing")


@dataclass(frozen=True)
class Profile:
    """The user of a simulated account, its only workspace, and what its services look like.

    Five services in a row share a topic, the first word of their names, which end with the suffix. They take the plans
    in turn, and have the variables in addition to those that every account has.
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
    variables: tuple[tuple[str, str], ...] = ()


_PROFILES = {
    "default": Profile("default", "ann@example.com", "Ann Example", "Ann's workspace", "user", 112),
    "production": Profile(
        account="production",
        email="ops@acme.example",
        name="Acme Operations",
        workspace="Acme",
        kind="team",
        services=134,
        suffix="-prod",
        variables=(("LOG_LEVEL", "warn"), ("METRICS_URL", "https://metrics.acme.example")),
    ),
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
        variables=(("NODE_ENV", "staging"), ("LOG_LEVEL", "debug"), ("FEATURE_FLAGS", "new-cart,dark-mode")),
    ),
}


def profile_of(account: str) -> Profile:
    """Return the profile of an account. For an unknown name, the profile is derived from the name."""
    size = 24 + crc32(account.encode()) % 60
    unknown = Profile(account, f"{account}@example.com", account.title(), f"{account} workspace", "team", size)
    return _PROFILES.get(account, unknown)


def identifier(prefix: str, *parts: object) -> str:
    """Return an id in Render's format: a prefix, a dash, and 20 letters and digits from a hash of the parts."""
    digest = sha256("/".join(map(str, (prefix, *parts))).encode()).digest()
    return f"{prefix}-{b32encode(digest).decode().lower()[:20]}"


def stamp(moment: datetime) -> str:
    """Return a time in Render's format."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def ago(**distance: float) -> str:
    """Return a time before the start of the simulation in Render's format. ``distance`` is passed to ``timedelta``."""
    return stamp(BEGINNING - timedelta(**distance))


def owner(profile: Profile) -> Thing:
    """Return the account's only workspace in the form in which ``GET /owners`` returns it."""
    return {
        "id": identifier("tea", profile.account),
        "name": profile.workspace,
        "email": profile.email,
        "type": profile.kind,
        "twoFactorAuthEnabled": profile.kind == "team",
    }


def user(profile: Profile) -> Thing:
    """Return the account's user in the form in which ``GET /users`` returns it."""
    return {"id": identifier("usr", profile.account), "email": profile.email, "name": profile.name}


def environment(profile: Profile, number: int) -> str:
    """Return the id of the account's project environment at position ``number``, counted from 0."""
    return f"evm-{KNOWN}" if number == 0 else identifier("evm", profile.account, number)
