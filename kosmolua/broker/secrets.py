"""Opaque secrets: what scripts pass to functions and never see.

A script has handles. One that is passed to a function crosses as ``***``, beside which the frame says where in the
arguments a handle stands, and its name; the text takes its place when the arguments are bound. A secret in a result
crosses the other way round.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from math import inf
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from kosmolua.accounts.sources import Sources, check_secret, source_of
from kosmolua.broker.places import MAX_PLACES, Place, handle_at, reach
from kosmolua.errors import BadArguments, ConfigError, NotConfigured
from kosmolua.protocol import Answer
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.types import List, Map, Record, Type, Union, is_secret
from kosmolua.secret import MASK, Redactor, Secret, SecretText
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.accounts.accounts import Accounts

Given = str | Secret | Mapping[str, Any]
"""How a program gives a secret: itself, or where it is found, such as ``env:NAME`` or ``{"env": "NAME"}``."""


class NamedSecrets:
    """The secrets that a user gave by name. Any number of threads may use them.

    Args:
        given: Those of the command line or of the program, which are fetched at once.
        accounts: The accounts, whose file may have more of them.
        redactor: Learns each.
        environ: The environment that they may come from.
        simulate: True if made-up values stand for all of them.
        warn: Called with a sentence about what is unwise but works.

    Raises:
        ConfigError: A source does not name where a secret is found.
        NotConfigured: A source of ``given`` gives none.
    """

    def __init__(
        self,
        given: Mapping[str, Given],
        accounts: Accounts,
        redactor: Redactor,
        *,
        environ: Mapping[str, str],
        simulate: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._accounts = accounts
        self._redactor = redactor
        self._simulate = simulate
        self._sources = Sources(Path.cwd(), environ, warn)
        self._fetched: dict[str, Secret] = {}
        self._lock = RLock()
        for name, source in given.items():
            self._fetched[name] = self._learned(name, lambda name=name, source=source: self._fetch(name, source))  # type: ignore[misc]

    def get(self, name: str, until: float = inf) -> Secret:
        """Return a secret.

        Raises:
            NotConfigured: There is none of this name, or its source does not give it.
        """
        with self._lock:
            if name not in self._fetched:
                known = [*self._fetched, *self._accounts.secret_names]
                if name not in known:
                    raise NotConfigured(f"There is no secret called {name[:80]!r}", hint=did_you_mean(name, known))
                self._fetched[name] = self._learned(name, lambda: self._accounts.secret(name, until))
            return self._fetched[name]

    def _learned(self, name: str, fetch: Callable[[], Secret]) -> Secret:
        secret = Secret(f"simulated secret {name}") if self._simulate else fetch()
        self._redactor.learn(secret)
        return secret

    def _fetch(self, name: str, given: Given) -> Secret:
        if isinstance(given, Secret):
            return given
        try:
            source = source_of(given) if isinstance(given, str) else dict(given)
            check_secret(source)
        except ValueError as error:
            raise ConfigError(f"The secret {name}: {error}") from None
        except Mismatch as mismatch:
            raise ConfigError(f"The secret {name}{mismatch.where} {mismatch.problem}") from None
        return self._sources.read(name, source)


class Handles:
    """The handles of one run. Any number of threads may use them.

    Args:
        named: Returns the secrets that the user gave; called on first use.
        redactor: Learns the secrets of results.
    """

    def __init__(self, named: Callable[[], NamedSecrets], redactor: Redactor) -> None:
        self._named = named
        self._redactor = redactor
        self._prefix = os.urandom(4).hex()
        self._lock = RLock()
        self._obtained: dict[str, Secret] = {}

    def fill(self, path: str, given: Sequence[Any], places: Sequence[Any], until: float = inf) -> Sequence[Any]:
        """Return arguments with the texts of secrets in their places.

        Args:
            path: The function, for messages.
            given: What the caller passed. It is not changed.
            places: Where a handle stands, and its name, of each.
            until: When a secret must be there, by :func:`time.monotonic`.

        Raises:
            BadArguments: A place is not in the arguments.
            NotConfigured: A secret is not known, or its source does not give it.
        """
        if not places:
            return given
        filled = deepcopy(list(given))
        for entry in places[: MAX_PLACES + 1]:
            try:
                holder, key, name = handle_at(filled, entry)
            except LookupError:
                raise BadArguments(f"{path}: a secret is marked where there is no argument") from None
            holder[key] = SecretText(self._secret(name, until).reveal())
        if len(places) > MAX_PLACES:
            raise BadArguments(f"{path}: more than {MAX_PLACES:,} secrets stand in its arguments")
        return filled

    def hide(self, kind: Type | None, value: Any) -> tuple[Any, list[tuple[Place, str]]]:
        """Return a result without its secrets, and where the handle of each stands.

        Args:
            kind: The type that the function declares.
            value: What it returned.
        """
        found = list(_secrets_in(kind, value, ())) if kind else []
        if not found:
            return value, []
        hidden, places = [_maskable(value)], []
        for place, secret in found:
            self._redactor.learn(secret)
            with self._lock:
                name = f"{self._prefix}.{len(self._obtained) + 1}"
                self._obtained[name] = secret
            holder, key = reach(hidden, (1, *place))
            holder[key] = MASK
            places.append((place, name))
        return hidden[0], places

    def handed_out(self, value: Any, answer: str) -> Any:
        """Return the value of an answer with a :class:`Secret` where a script would have a handle."""
        shown = [value]
        for place, name in answer.secrets if isinstance(answer, Answer) else ():
            holder, key = reach(shown, (1, *place))
            holder[key] = self._obtained[name]
        return shown[0]

    def _secret(self, name: str, until: float) -> Secret:
        obtained = self._obtained.get(name)
        if obtained is None and "." in name:
            raise NotConfigured(
                "This secret was in the result of an earlier call that was not made now, and is not kept",
                hint="make the call that returns it again",
            )
        return obtained or self._named().get(name, until)


def revealed(value: Any) -> Any:
    """Return arguments of a Python program with the text of each :class:`Secret` in its place."""
    if isinstance(value, Secret):
        return SecretText(value.reveal())
    if isinstance(value, Mapping):
        return {key: revealed(item) for key, item in value.items()}
    return [revealed(item) for item in value] if isinstance(value, (list, tuple)) else value


def _secrets_in(kind: Type, value: Any, place: Place) -> Iterator[tuple[Place, Secret]]:
    """Yield the secrets of a value: where its type says so, and where one is."""
    if isinstance(value, Secret) or (isinstance(value, str) and is_secret(kind)):
        yield place, value if isinstance(value, Secret) else Secret(value)
    elif isinstance(kind, Union):
        found: dict[Place, Secret] = {}
        for member in kind.members:
            found |= dict(_secrets_in(member, value, place))
        yield from found.items()
    elif isinstance(value, (list, tuple)) and isinstance(kind, List):
        for number, item in enumerate(value, start=1):
            yield from _secrets_in(kind.item, item, (*place, number))
    elif isinstance(value, Mapping) and isinstance(kind, (Map, Record)):
        for key, item in value.items():
            inner = kind.value if isinstance(kind, Map) else kind.fields.get(key, kind.extra)
            if inner:
                yield from _secrets_in(inner, item, (*place, key))


def _maskable(value: Any) -> Any:
    """Return a copy of a value with lists for tuples, and without secrets, which cannot be copied."""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Mapping):
        return {key: _maskable(item) for key, item in value.items()}
    return [_maskable(item) for item in value] if isinstance(value, (list, tuple)) else value
