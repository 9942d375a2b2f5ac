"""Signatures of hooks: how each service proves that it is the one that calls, and what it calls a delivery.

Each function returns the ids under which the delivery runs once, or raises a :class:`Forged`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from hashlib import sha256

Headers = Mapping[str, str]
TOLERANCE = 300.0
"""Seconds that the time in a signature can be away from now, so that a delivery that somebody has seen soon is old."""


class Forged(Exception):
    """A delivery that does not prove where it comes from; its text says why, for the service's log of deliveries."""


def verify(kind: str, secret: str, headers: Headers, body: bytes, now: float) -> tuple[str, ...]:
    """Verify a delivery, and return its ids; none if each delivery is one of its own.

    ``kind`` is the value of ``signature`` in the section of the hook; the names of headers are in lower case.

    Raises:
        Forged: The signature is missing, wrong or too old.
    """
    return KINDS[kind](secret.encode(), headers, body, now)


def _github(secret: bytes, headers: Headers, body: bytes, now: float) -> tuple[str, ...]:
    """The id of a delivery is not signed, so the signature is an id too."""
    given = _header(headers, "x-hub-signature-256").removeprefix("sha256=")
    _compare(given, hmac.digest(secret, body, "sha256").hex())
    delivery = headers.get("x-github-delivery", "")
    return (f"signature/{given}", *([f"delivery/{delivery}"] if delivery else []))


def _slack(secret: bytes, headers: Headers, body: bytes, now: float) -> tuple[str, ...]:
    given, at = _header(headers, "x-slack-signature"), _header(headers, "x-slack-request-timestamp")
    _refuse_old(at, now)
    _compare(given, "v0=" + hmac.digest(secret, b"v0:%s:%s" % (at.encode(), body), "sha256").hex())
    return (_id_in(body, "event_id") or f"signature/{given}",)


def _stripe(secret: bytes, headers: Headers, body: bytes, now: float) -> tuple[str, ...]:
    parts = [part.strip().partition("=") for part in _header(headers, "stripe-signature").split(",")]
    at = next((value for name, _, value in parts if name == "t"), "")
    _refuse_old(at, now)
    expected = hmac.digest(secret, b"%s.%s" % (at.encode(), body), "sha256").hex()
    _compare_any([value for name, _, value in parts if name == "v1"], expected)
    return (_id_in(body, "id") or f"signature/{expected}",)


def _standard(secret: bytes, headers: Headers, body: bytes, now: float) -> tuple[str, ...]:
    """See https://www.standardwebhooks.com."""
    id, at = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
    _refuse_old(at, now)
    try:
        key = base64.b64decode(secret.removeprefix(b"whsec_"), validate=True)
    except binascii.Error:
        raise Forged("the secret of this hook is not in base64, as that of Standard Webhooks is") from None
    expected = standard_signature(key, id, at, body)
    given = [each.partition(",") for each in _header(headers, "webhook-signature").split(" ")]
    _compare_any([value for version, _, value in given if version == "v1"], expected)
    return (f"delivery/{id}",)


def _bearer(secret: bytes, headers: Headers, body: bytes, now: float) -> tuple[str, ...]:
    scheme, _, token = _header(headers, "authorization").partition(" ")
    if scheme.lower() != "bearer":
        raise Forged("the header Authorization is not a bearer token")
    _compare(token.strip(), secret.decode())
    key = headers.get("idempotency-key", "")
    return (f"key/{key}",) if key else ()


KINDS: Mapping[str, Callable[[bytes, Headers, bytes, float], tuple[str, ...]]] = {
    "github": _github,
    "slack": _slack,
    "stripe": _stripe,
    "standard": _standard,
    "bearer": _bearer,
}
"""The values of ``signature`` in the section of a hook."""


def standard_signature(key: bytes, id: str, at: str, body: bytes) -> str:
    """Return the signature of Standard Webhooks for a message with this id, sent so many seconds after 1970."""
    return base64.b64encode(hmac.digest(key, f"{id}.{at}.".encode() + body, "sha256")).decode()


def id_of(text: str) -> str:
    """Return an id of a delivery as a short text, whatever characters the service has in it."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _header(headers: Headers, name: str) -> str:
    found = headers.get(name, "")
    if not found:
        raise Forged(f"the header {name} is missing")
    return found


def _refuse_old(at: str, now: float) -> None:
    try:
        seconds = float(int(at))
    except (ValueError, OverflowError):
        raise Forged("the signature has no time") from None
    if abs(now - seconds) > TOLERANCE:
        raise Forged("the signature is too old, or the clock of one side is wrong")


def _compare(given: str, expected: str) -> None:
    _compare_any([given], expected)


def _compare_any(given: list[str], expected: str) -> None:
    found = [hmac.compare_digest(each.encode("utf-8", "replace"), expected.encode()) for each in given]
    if not any(found):
        raise Forged("the signature is wrong: the secrets differ, or something has changed the body")


def _id_in(body: bytes, name: str) -> str:
    """Return an id that the body, whose signature is right, has in JSON; empty if it has none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    id = found.get(name) if isinstance(found, dict) else None
    return f"delivery/{id}" if isinstance(id, str) and id else ""
