"""Opaque secrets: scripts pass them to functions and never see them.

A script has handles that stand for secrets. If the script passes a handle to a function, the request to the host has
``***`` in place of the handle. It also lists the place of this ``***`` in the arguments, with the handle's name. The
host replaces the ``***`` with the text of the secret before it calls the function. In the same way, a secret in a
result becomes a handle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from math import inf
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from kosmolua.accounts.sources import Sources, check_secret, source_of
from kosmolua.calls.credentials import is_credential
from kosmolua.calls.places import MAX_PLACES, Place, handle_at, reach, spelled
from kosmolua.errors import BadArguments, ConfigError, NotConfigured
from kosmolua.expressions import regex
from kosmolua.protocol import Answer
from kosmolua.schema.json_schema import is_credential_key
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.types import ANY, List, Map, Record, Scalar, Type, Union, is_secret, is_text
from kosmolua.secret import MASK, Redactor, Secret, SecretText
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.accounts.accounts import Accounts

Given = str | Secret | Mapping[str, Any]
"""A secret as a program passes it: a :class:`Secret`, or its source, such as ``env:NAME`` or ``{"env": "NAME"}``."""


_CREDENTIAL = regex(r"(?=.*\d)\S{12,}")
"""Matches what can be a credential where a service may say something about one instead."""


class NamedSecrets:
    """The secrets that a script can use by name. Any number of threads may use this object.

    Those in ``given`` are fetched at once; the accounts file can name more. With ``simulate``, all have made-up values.

    Raises:
        ConfigError: A source is not valid.
        NotConfigured: A source in ``given`` provides no secret.
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
        """Return the secret with this name, fetched on first use and before the time ``until``, as
        :func:`time.monotonic`.

        Raises:
            NotConfigured: There is no secret with this name, or its source does not provide it.
        """
        with self._lock:
            if name not in self._fetched or self._accounts.is_over(f"kosmolua.secrets.{name}"):
                known = [*self._fetched, *self._accounts.sections.secrets]
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
    """The handles that stand for secrets in one run. Any number of threads may use this object.

    ``named`` returns the secrets that the user has named, on first use. With ``hides_variables``, values of environment
    variables that look like credentials are secrets.
    """

    def __init__(self, named: Callable[[], NamedSecrets], redactor: Redactor, *, hides_variables: bool = False) -> None:
        self._hides_variables = hides_variables
        self._named = named
        self._redactor = redactor
        self._prefix = os.urandom(4).hex()
        self._lock = RLock()
        self._obtained: dict[str, Secret] = {}
        self._origins: dict[str, tuple[str, str, str]] = {}

    def fill(self, path: str, given: Sequence[Any], places: Sequence[Any], until: float = inf) -> Sequence[Any]:
        """Return a copy of the arguments with the text of a secret in place of each ``***`` that stands for one.

        ``places`` has the place of each such ``***`` with the handle's name; ``until`` is a time of
        :func:`time.monotonic`.

        Raises:
            BadArguments: A place does not exist in the arguments, or there are too many handles.
            NotConfigured: A secret does not exist, or its source does not provide it.
        """
        if not places:
            return given
        filled = deepcopy(list(given))
        for entry in places[: MAX_PLACES + 1]:
            try:
                holder, key, name = handle_at(filled, entry)
            except LookupError:
                what = f"{path}: the request lists a secret at a place where its arguments have none"
                raise BadArguments(what) from None
            holder[key] = SecretText(self._secret(name, until).reveal(), *self._origins.get(name, (name,)))
        if len(places) > MAX_PLACES:
            what = f"{path}: the arguments contain more than {MAX_PLACES:,} secrets"
            raise BadArguments(what, hint="pass fewer secrets in one call")
        return filled

    def hide(
        self, kind: Type | None, value: Any, origin: str, account: str = "", user: str = ""
    ) -> tuple[Any, list[tuple[Place, str]]]:
        """Return a copy of a result with its secrets masked, and the place and name of a new handle for each secret.

        ``kind`` is the declared type of the result. ``origin`` is the call that returned it, for people who approve
        what the script does with its secrets, and ``account`` its account, as in ``shop.work``. ``user`` is who logged
        in by the call, if it was a login.
        """
        found = list(_secrets_in(kind, value, (), {}, hides_variables=self._hides_variables)) if kind else []
        if not found:
            return value, []
        hidden, places = [_copied(value)], []
        for place, secret in found:
            if not is_credential_key(secret.reveal()):  # else every such key would be masked
                self._redactor.learn(secret)
            with self._lock:
                name = f"{self._prefix}.{len(self._obtained) + 1}"
                self._obtained[name], self._origins[name] = secret, (f"{origin}{spelled(place)}", account, user)
            holder, key = reach(hidden, (1, *place))
            holder[key] = MASK
            places.append((place, name))
        return hidden[0], places

    def handed_out(self, value: Any, answer: str) -> Any:
        """Return the value of an answer for a Python program, with each :class:`Secret` in place of its handle.

        Scripts get only handles, which stand for secrets. Python programs run outside the sandbox, and get the secrets.
        An :class:`Answer` says where the secrets belong in the value.
        """
        shown = [value]
        for place, name in answer.secrets if isinstance(answer, Answer) else ():
            holder, key = reach(shown, (1, *place))
            holder[key] = self._obtained[name]
        return shown[0]

    def shown_in(self, answer: str) -> Any:
        """Return the value of an answer with each secret as a plan and a question show it."""
        shown = [json.loads(answer)]
        for place, name in answer.secrets if isinstance(answer, Answer) else ():
            holder, key = reach(shown, (1, *place))
            holder[key] = SecretText("", *self._origins[name]).shown
        return shown[0]

    def _secret(self, name: str, until: float) -> Secret:
        obtained = self._obtained.get(name)
        if obtained is None and "." in name:
            raise NotConfigured(
                "This secret was in the result of an earlier call, and recordings do not keep secrets",
                hint="repeat the call that returns the secret",
            )
        return obtained or self._named().get(name, until)


def revealed(value: Any) -> Any:
    """Return a copy of the arguments that a Python program passed, with each :class:`Secret` replaced by its text."""
    if isinstance(value, Secret):
        return SecretText(value.reveal())
    if isinstance(value, Mapping):
        return {key: revealed(item) for key, item in value.items()}
    return [revealed(item) for item in value] if isinstance(value, (list, tuple)) else value


def with_secrets(kind: Type | None, value: Any, *, hides_variables: bool = False) -> Any:
    """Return a copy of a result with a :class:`Secret` in place of each text that is a secret by the declared type."""
    whole = [_copied(value)]
    for place, secret in _secrets_in(kind, value, (), {}, hides_variables=hides_variables) if kind else ():
        holder, key = reach(whole, (1, *place))
        holder[key] = secret
    return whole[0]


def credentials_in(body: Any) -> Iterator[Secret]:
    """Yield the credentials in the body of an error, by their keys; words about one, such as ``required``, are none."""
    for _, secret in _secrets_in(ANY, body, (), {}):
        if _CREDENTIAL.fullmatch(secret.reveal()):
            yield secret


def _secrets_in(
    kind: Type, value: Any, place: Place, seen: dict[tuple[int, Place], Type], *, hides_variables: bool = False
) -> Iterator[tuple[Place, Secret]]:
    """Yield place and secret for each :class:`Secret`, and each string that ``kind`` declares as one.

    A string whose type is ``string|secret`` is none, except for a variable that is to be hidden. A union that was
    ``seen`` at a place is not followed there again, since each of its members can hold it again.
    """
    within = partial(_secrets_in, seen=seen, hides_variables=hides_variables)
    if isinstance(value, Secret) or (isinstance(value, str) and is_secret(kind)):
        yield place, value if isinstance(value, Secret) else Secret(value)
    elif isinstance(kind, Union):
        if (id(kind), place) in seen:
            return
        seen[id(kind), place] = kind
        found: dict[Place, Secret] = {}
        for member in kind.members if not (isinstance(value, str) and any(map(is_text, kind.members))) else ():
            found |= dict(within(member, value, place))
        yield from found.items()
    elif isinstance(value, (list, tuple)) and (isinstance(kind, List) or _is_any(kind)):
        for number, item in enumerate(value, start=1):
            yield from within(kind.item if isinstance(kind, List) else kind, item, (*place, number))
    elif isinstance(value, Mapping) and (isinstance(kind, (Map, Record)) or _is_any(kind)):
        for key, item in value.items():
            inner = kind.fields.get(key) or kind.extra if isinstance(kind, Record) else kind
            inner = kind.value if isinstance(kind, Map) else inner
            is_variable = hides_variables and _is_hidden(inner, value.get("key"))
            if isinstance(item, str) and (is_variable or (_is_any(inner) and is_credential_key(key))):
                yield (*place, key), Secret(item)
            elif inner:
                yield from within(inner, item, (*place, key))


def _is_any(kind: Type | None) -> bool:
    return isinstance(kind, Scalar) and kind.kind == "any"


def _is_hidden(kind: Type | None, variable: object) -> bool:
    may_be = isinstance(kind, Union) and any(map(is_secret, kind.members))
    return may_be and isinstance(variable, str) and is_credential(variable)


def _copied(value: Any) -> Any:
    """Return a copy of a JSON value, which can contain secrets, with tuples as lists."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, (list, tuple)) else value
