"""Sessions: an account with the credential of a login instead of its own, named ``ACCOUNT/USER``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kosmolua.errors import BadArguments
from kosmolua.expressions import regex
from kosmolua.protocol import Json
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.function import Function, NewSession
from kosmolua.schema.names import BEGIN
from kosmolua.schema.types import SECRET
from kosmolua.secret import Secret, SecretText

_USERS = ("username", "user_name", "user", "login", "email", "name")
_NEVER_IN_A_NAME = regex(r"[^A-Za-z0-9_-]+")
MAX_NAME = 40


@dataclass(frozen=True)
class SessionRule:
    """How an integration's functions log in and out.

    Args:
        field: The account's field for the token of a login.
        place: Where the result of a login has the token, such as ``data.token``.
        logins: The functions that log in.
        logouts: The functions that end a session.
        user: The argument of a login that names the session; empty: the usual ones, such as ``username``.
        alternatives: The account's fields for credentials, in groups of which a request needs one.
    """

    field: str
    place: str
    logins: Collection[str] = ()
    logouts: Collection[str] = ()
    user: str = ""
    alternatives: Sequence[Collection[str]] = ()

    @property
    def fields(self) -> list[str]:
        """The fields for credentials, the login's first."""
        return list(dict.fromkeys([self.field, *(name for each in self.alternatives for name in each)]))

    def user_in(self, arguments: Mapping[str, object]) -> str:
        """Return the name for the session of a login with these arguments; empty if they have none."""
        inner = (each for each in arguments.values() if isinstance(each, Mapping))
        for given in (arguments, *inner):
            for name in (self.user,) if self.user else _USERS:
                text = given.get(name)
                if isinstance(text, str) and not isinstance(text, SecretText):
                    return _NEVER_IN_A_NAME.sub("-", text.partition("@")[0])[:MAX_NAME].strip("-")
        return ""

    def settings(self, own: Mapping[str, Any], given: Mapping[str, Secret]) -> dict[str, Any]:
        """Return an account's settings with a session's credentials, and without those that it replaces."""
        beside = next((each for each in self.alternatives if given.keys() <= set(each)), given.keys())
        replaced = set(self.fields) - set(beside)
        return {name: value for name, value in own.items() if name not in replaced} | dict(given)


@dataclass(frozen=True)
class SessionFunction(Function):
    """The function that begins a session; its arguments are the result of a login, or credentials by field."""

    rule: SessionRule = SessionRule("", "")

    @cached_property
    def bind(self) -> Any:
        """Return the credentials among the arguments, by field."""
        return self._credentials

    def _credentials(self, path: str, given: Sequence[Json]) -> dict[str, object]:
        passed: Any = given[0] if len(given) == 1 else None
        if isinstance(passed, SecretText):
            return {self.rule.field: passed}
        inner = passed
        for key in self.rule.place.split("."):
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        if isinstance(inner, SecretText):
            return {self.rule.field: inner}
        table: Mapping[str, Any] = passed if isinstance(passed, Mapping) else {}
        found: dict[str, object] = {name: table[name] for name in self.rule.fields if name in table}
        if plain := next((name for name, each in found.items() if not isinstance(each, SecretText)), ""):
            what = f"{path}: {plain} must be a secret out of a result of this integration, not a text of the script"
            raise BadArguments(what, param=plain)
        if not found:
            hint = f"pass the result of {' or '.join(self.rule.logins) or 'a login'}, or"
            hint = f"{hint} {{ {self.rule.field} = SECRET }}"
            raise BadArguments(f"{path} finds no credential in its arguments", hint=hint)
        return found


def session_function(rule: SessionRule, origin: str) -> SessionFunction:
    """Return the function that begins sessions of an integration."""
    login = f"the result of {' or '.join(f'``{name}``' for name in rule.logins)}, or " if rule.logins else ""
    out = f", until {' or '.join(f'``{name}``' for name in rule.logouts)}" if rule.logouts else ""
    doc = f"""Begin a session: the account with the credential of a login instead of its own{out}.

Pass {login}credentials that a result of this integration has, by name. Functions are called on what it returns:
``local ann = app.integrations.NAME.session(login)``, then ``ann.FUNCTION(...)``. Several sessions can be open at once.

Raises:
    CallError: ``session_expired`` by calls with the session, if it is over or its credential is refused.
"""
    parameters = tuple(Parameter(name, SECRET, "A credential out of a result.", None) for name in rule.fields)
    return SessionFunction(BEGIN, BEGIN, "read", _begin, parameters, doc, None, origin, rule=rule)


def _begin(_: object, /, **credentials: SecretText) -> NewSession:
    return NewSession(credentials)
