"""Permission rules: which permission an accounts file gives for a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from kosmolua.schema.function import Effect, Function

Permission: TypeAlias = Literal["allow", "ask", "deny"]

PERMISSIONS: tuple[Permission, ...] = ("allow", "ask", "deny")
"""The permissions, the strictest last."""
DEFAULT_PERMISSIONS: dict[Effect, Permission] = {"read": "allow", "write": "ask", "destroy": "ask"}


class Rule(NamedTuple):
    """The rule that decides about a function.

    Args:
        permission: The permission that the rule gives.
        key: The key of the rule in ``permissions``: an effect, a function, or a pattern.
        section: The section of the accounts file that contains the rule, or None if the rule is built in.
    """

    permission: Permission
    key: str
    section: str | None = None

    def __str__(self) -> str:
        return f"{self.key} of [{self.section}] permissions" if self.section else "default permissions"


def is_pattern(name: str) -> bool:
    """Return True if a name has wildcards, as in ``*_env_var``."""
    return any(sign in name for sign in "*?[")


def fits(pattern: str, function: Function) -> bool:
    """Return True if a pattern fits a function's short or full name."""
    return fnmatchcase(function.name, pattern) or fnmatchcase(function.full_name, pattern)


class Ceiling:
    """What a tenant is allowed to do at most, whatever its accounts allow.

    If no rule of the ceiling fits a function, only the accounts decide about it.

    A rule for an exact name precedes one for a pattern, and that precedes one for an effect. If several patterns fit,
    the strictest rule applies.

    Args:
        section: The section of the accounts file that contains the permissions, such as ``tenants.acme``.
        permissions: Permissions by effect, by function, such as ``render2.delete_service``, or by pattern, such as
            ``github.*``.
    """

    def __init__(self, section: str, permissions: Mapping[str, Permission]) -> None:
        self._rules = {key: Rule(value, key, section) for key, value in permissions.items()}
        self._patterns = [rule for key, rule in self._rules.items() if is_pattern(key)]

    def of_function(self, integration: str, function: Function) -> Rule | None:
        """Return the rule that decides about a function of an integration, or None if no rule does."""
        names = [f"{integration}.{name}" for name in (function.name, function.full_name)]
        named = [self._rules[name] for name in names if name in self._rules]
        fitting = [rule for rule in self._patterns if any(fnmatchcase(name, rule.key) for name in names)]
        found = named or fitting
        return max(found, key=_strictness) if found else self.of_effect(function.effect)

    def of_effect(self, effect: Effect) -> Rule | None:
        """Return the rule about an effect, or None if there is none.

        If there is no rule about ``destroy``, the rule about ``write`` applies to it too.
        """
        keys = ("destroy", "write") if effect == "destroy" else (effect,)
        return next((self._rules[key] for key in keys if key in self._rules), None)


class Rules:
    """The rules of one account: its own, and those of its integration for keys that the account does not have.

    A rule for an exact name precedes one for a pattern, and that precedes one for an effect. If several patterns fit,
    the strictest rule applies. If these rules and a ceiling differ, the stricter rule applies.

    Args:
        tables: The name of each section with its ``permissions``: first the integration's, then the account's.
        integration: The integration's name.
        ceiling: What the tenant that owns the account is allowed to do at most; None without tenants.
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
        """Return the rule that decides about a function."""
        named = [self._rules[name] for name in (function.name, function.full_name) if name in self._rules]
        found = named or [rule for rule in self._patterns if fits(rule.key, function)]
        own = max(found, key=_strictness) if found else self._own_of_effect(function.effect)
        return _stricter(own, self._ceiling.of_function(self._integration, function) if self._ceiling else None)

    def of_effect(self, effect: Effect) -> Rule:
        """Return the rule about an effect, which decides about a function if no name and no pattern fits it.

        If there is no rule about ``destroy``, ``write = "deny"`` denies it too; other permissions of ``write`` do not
        apply to it.
        """
        return _stricter(self._own_of_effect(effect), self._ceiling.of_effect(effect) if self._ceiling else None)

    def _own_of_effect(self, effect: Effect) -> Rule:
        if rule := self._rules.get(effect):
            return rule
        write = self._rules.get("write")
        if effect == "destroy" and write and write.permission == "deny":
            return write
        return Rule(DEFAULT_PERMISSIONS[effect], effect)

    @property
    def permissions(self) -> dict[str, Permission]:
        """The permissions for functions and patterns, by key. Those for effects are left out."""
        return {key: rule.permission for key, rule in self._rules.items() if key not in DEFAULT_PERMISSIONS}


def _stricter(own: Rule, other: Rule | None) -> Rule:
    return own if other is None or _strictness(own) >= _strictness(other) else other


def _strictness(rule: Rule) -> int:
    return PERMISSIONS.index(rule.permission)
