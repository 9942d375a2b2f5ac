"""A credential that shows itself to nobody, and the redactor that keeps known ones out of every text.

A secret is revealed where a request is encoded for the wire, and nowhere else.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Hashable, Iterable, Iterator
from json import dumps
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
MIN_SECRET = 8
"""Characters that a secret of the user must have: masking a shorter one would help a script to guess it."""
SHORTEST_REDACTED = 6
"""Shorter secrets are not looked for in other texts: ``1234`` would blot out half of every reply."""
MOST_OF_ONE_OWNER = 16
"""How many secrets an account may obtain at run time, such as fresh tokens, before the oldest is forgotten."""
_KEY_PREFIX = re.compile(r"(rnd|gh[opsur]|github_pat|glpat|npm|pypi|sk|pk|rk|xox[a-z])[_-]|AKIA|eyJ|Bearer ")
_LONG_RUN = re.compile(r"[A-Za-z0-9]{16,}")
_PERCENT = re.compile("%[0-9A-F]{2}")


class Secret:
    """A credential: an API key, a token, a password.

    Printing, formatting or logging it gives ``***``.

    Args:
        value: The credential itself.
        holding: The secrets that it was made of, where it is not one of its own: it is they that are redacted.
    """

    __slots__ = ("_holding", "_value")

    def __init__(self, value: str, *, holding: Iterable[Secret] | None = None) -> None:
        self._value = value
        self._holding = None if holding is None else tuple(holding)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")

    def prefixed(self, scheme: str) -> Secret:
        """Return a secret that reads ``scheme value``, as an ``Authorization`` header has it."""
        return Secret(f"{scheme} {self._value}", holding=[self])

    def as_password_of(self, user: str) -> Secret:
        """Return the secret of HTTP basic authentication (RFC 7617) for this user name."""
        return Secret("Basic " + b64encode(f"{user}:{self._value}".encode()).decode(), holding=[self])

    @property
    def roots(self) -> tuple[Secret, ...]:
        """The secrets that it was made of, or itself where it was made of none."""
        return (self,) if self._holding is None else tuple(root for held in self._holding for root in held.roots)

    def reveal(self) -> str:
        """Return the credential itself. Only what encodes or signs a request should need this."""
        return self._value


class Redactor:
    """Knows the secrets in use and takes them out of any text or JSON value; many threads may share it."""

    def __init__(self) -> None:
        self._known: dict[Hashable, dict[str, set[str]]] = {}
        self._spellings: tuple[str, ...] = ()
        self._lock = Lock()

    def learn(self, secret: Secret, owner: Hashable = None) -> None:
        """Redact this secret from now on, or those that it was made of.

        They are also found where they are quoted for JSON, a URL or Python, in hex, and within base64.

        Args:
            secret: What must not be shown.
            owner: The account that came by it and will come by others: only the newest of each owner are kept in mind.
        """
        for root in secret.roots:
            value = root.reveal()
            if len(value) >= SHORTEST_REDACTED:
                self._keep(value, owner)

    def _keep(self, value: str, owner: Hashable) -> None:
        with self._lock:
            kept = self._known.setdefault(owner, {})
            known = kept.pop(value, set())
            kept[value] = known or _spellings_of(value)
            if owner is not None and len(kept) > MOST_OF_ONE_OWNER:
                del kept[next(iter(kept))]
            if not known:
                spellings = set().union(*(each for values in self._known.values() for each in values.values()))
                self._spellings = tuple(sorted(spellings, key=len, reverse=True))

    def text(self, text: str) -> str:
        """Return the text with each known secret as ``***``."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, MASK)
        return text

    def value(self, value: object) -> object:
        """Return a copy of a JSON value with each known secret in its strings and keys as ``***``, however deep."""
        whole = [value]
        unseen: list[Any] = [whole]
        while unseen:
            copy = unseen.pop()
            for place, item in enumerate(copy) if isinstance(copy, list) else copy.items():
                if isinstance(item, str):
                    copy[place] = self.text(item)
                elif isinstance(item, (dict, list, tuple)):
                    copy[place] = part = self._copy(item)
                    unseen.append(part)
                elif isinstance(item, Secret) or (isinstance(item, (int, float)) and self.knows(str(item))):
                    copy[place] = MASK
        return whole[0]

    def _copy(self, part: Any) -> dict[str, object] | list[object]:
        return {self.text(str(key)): item for key, item in part.items()} if isinstance(part, dict) else list(part)

    def knows(self, encoded: str) -> bool:
        """Say whether this JSON text holds a known secret, much faster than redacting it."""
        return any(spelling in encoded for spelling in self._spellings)


def _spellings_of(value: str) -> set[str]:
    """Return the ways in which a value may stand in a text, and in the JSON that holds that text."""
    encoded = value.encode()
    in_url = {quote(value), quote(value, safe=""), quote_plus(value), quote_plus(value, safe="/")}
    in_json = {dumps(value)[1:-1], dumps(value, ensure_ascii=False)[1:-1]}
    spellings = {value, repr(value)[1:-1], encoded.hex(), encoded.hex().upper(), *_within_base64(encoded)}
    spellings |= in_url | {_PERCENT.sub(lambda escape: escape[0].lower(), text) for text in in_url}
    spellings |= in_json | {text.replace("/", "\\/") for text in in_json}
    return spellings | {dumps(text, ensure_ascii=False)[1:-1] for text in spellings}


def _within_base64(value: bytes) -> Iterator[str]:
    """Yield the characters that stand for a value inside a longer text in base64, by where in the text it starts."""
    for before in range(3):
        encoded = b64encode(bytes(before) + value).decode()
        within = encoded[-(-before * 4 // 3) : (before + len(value)) * 4 // 3]
        yield from (within, within.replace("+", "-").replace("/", "_"))


def looks_like_key(text: str) -> bool:
    """Return True if a text that should be a name looks like a credential, so that no message should show it.

    It begins as the keys of well-known services do, or holds 16 letters and digits in a row, both among them.
    """
    return bool(_KEY_PREFIX.match(text)) or any(
        not run.isalpha() and not run.isdigit() for run in _LONG_RUN.findall(text)
    )
