"""Permission rules: whether a function is allowed, is denied or needs approval.

A rule for an exact name takes precedence over patterns, and those over an effect. Of several patterns that match, the
strictest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from kosmolua.schema.effects import EFFECTS, Effect, changes, milder

if TYPE_CHECKING:
    from kosmolua.schema.function import Function

Permission: TypeAlias = Literal["allow", "ask", "deny"]

PERMISSIONS: tuple[Permission, ...] = ("allow", "ask", "deny")
"""The permissions, from the most lenient to the strictest."""
DEFAULT_PERMISSIONS: dict[Effect, Permission] = {each: "ask" if changes(each) else "allow" for each in EFFECTS}


class Rule(NamedTuple):
    """One permission; ``key`` is an effect, a function or a pattern, ``section`` sets it, None for a built-in rule."""

    permission: Permission
    key: str
    section: str | None = None

    def __str__(self) -> str:
        return f"{self.key} of [{self.section}] permissions" if self.section else "default permissions"


def is_pattern(name: str) -> bool:
    """Return True for wildcards, as in ``*_env_var``."""
    return any(sign in name for sign in "*?[")


def fits(pattern: str, function: Function) -> bool:
    """Return True if a pattern matches a function's short or full name."""
    return fnmatchcase(function.name, pattern) or fnmatchcase(function.full_name, pattern)


class Ceiling:
    """The upper limit on a tenant's permissions, whatever the accounts allow. Without a rule here, those alone apply.

    Args:
        section: The section that contains the permissions, such as ``tenants.acme``.
        permissions: Their keys are an effect, a function such as ``render2.delete_service``, or a pattern such as
            ``github.*``.
    """

    def __init__(self, section: str, permissions: Mapping[str, Permission]) -> None:
        self._rules = {key: Rule(value, key, section) for key, value in permissions.items()}
        self._patterns = [rule for key, rule in self._rules.items() if is_pattern(key)]

    def of_function(self, integration: str, function: Function) -> Rule | None:
        """Return the rule for a function, or None."""
        names = [f"{integration}.{name}" for name in (function.name, function.full_name)]
        named = [self._rules[name] for name in names if name in self._rules]
        fitting = [rule for rule in self._patterns if any(fnmatchcase(name, rule.key) for name in names)]
        found = named or fitting
        return max(found, key=_strictness) if found else self.of_effect(function.effect)

    def of_effect(self, effect: Effect) -> Rule | None:
        """Return the rule for an effect, or None; that for ``write`` is for ``destroy`` too if it has none."""
        return next((self._rules[key] for key in (effect, *milder(effect)) if key in self._rules), None)


class Rules:
    """The rules of one account: its own, and its integration's for keys that it lacks. A stricter ceiling wins.

    ``tables`` are the names and ``permissions`` of two sections: the integration's, then the account's.
    """

    def __init__(
        self,
        tables: Iterable[tuple[str, Mapping[str, Permission]]],
        integration: str = "",
        ceiling: Ceiling | None = None,
    ) -> None:
        self._integration = integration
        self._ceiling = ceiling
        self._rules = {key: Rule(value, key, section) for section, table in tables for key, value in table.items()}
        self._patterns = [rule for key, rule in self._rules.items() if is_pattern(key)]

    def of_function(self, function: Function) -> Rule:
        named = [self._rules[name] for name in (function.name, function.full_name) if name in self._rules]
        found = named or [rule for rule in self._patterns if fits(rule.key, function)]
        own = max(found, key=_strictness) if found else self._own_of_effect(function.effect)
        return _stricter(own, self._ceiling.of_function(self._integration, function) if self._ceiling else None)

    def of_effect(self, effect: Effect) -> Rule:
        """Return the rule for an effect, for functions that no name and no pattern matches.

        Without a rule for ``destroy``, ``write = "deny"`` applies to it, but ``"allow"`` and ``"ask"`` do not.
        """
        return _stricter(self._own_of_effect(effect), self._ceiling.of_effect(effect) if self._ceiling else None)

    def _own_of_effect(self, effect: Effect) -> Rule:
        if rule := self._rules.get(effect):
            return rule
        denied = (rule for key in milder(effect) if (rule := self._rules.get(key)) and rule.permission == "deny")
        return next(denied, Rule(DEFAULT_PERMISSIONS[effect], effect))

    @property
    def permissions(self) -> dict[str, Permission]:
        """The permissions for functions and patterns."""
        return {key: rule.permission for key, rule in self._rules.items() if key not in DEFAULT_PERMISSIONS}


def _stricter(own: Rule, other: Rule | None) -> Rule:
    return own if other is None or _strictness(own) >= _strictness(other) else other


def _strictness(rule: Rule) -> int:
    return PERMISSIONS.index(rule.permission)
