"""Permission rules: whether a function is allowed, is denied or needs approval.

A rule for an exact name takes precedence over patterns, and those over an effect. Of several patterns that match, the
strictest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias, cast

from kosmolua.schema.effects import EFFECTS, Effect, changes, milder

if TYPE_CHECKING:
    from kosmolua.accounts.conditions import Condition

Permission: TypeAlias = Literal["allow", "ask", "deny"]

Given: TypeAlias = Permission | Mapping[str, object]
"""A permission as an accounts file gives it: a word, or ``{ allow = { PARAMETER = ... }, else = "ask" }``."""

PERMISSIONS: tuple[Permission, ...] = ("allow", "ask", "deny")
"""The permissions, from the most lenient to the strictest."""
DEFAULT_PERMISSIONS: dict[Effect, Permission] = {each: "ask" if changes(each) else "allow" for each in EFFECTS}


class Subject(Protocol):
    """What rules need to know about a function: its short name, that with its integration, and its effect."""

    @property
    def name(self) -> str: ...
    @property
    def full_name(self) -> str: ...
    @property
    def effect(self) -> Effect: ...


class Rule(NamedTuple):
    """One permission.

    Args:
        permission: What it says; with a condition, what it says of arguments that do not meet it.
        key: The effect, function or pattern that it is for.
        section: The section that sets it; None for a built-in rule.
        condition: With which arguments it allows calls instead.
        among: All rules for a function, if the arguments of a call decide which of them is the strictest.
        why: The clause that says which argument did not meet the condition.
    """

    permission: Permission
    key: str
    section: str | None = None
    condition: Condition | None = None
    among: tuple[Rule, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        return f"{self.key} of [{self.section}] permissions" if self.section else "default permissions"

    @property
    def words(self) -> str:
        """The permission, with its condition."""
        return f"allow if {self.condition}, else {self.permission}" if self.condition else self.permission

    def of_call(self, arguments: Mapping[str, object]) -> Rule:
        """Return the strictest of the rules for a call with these arguments."""
        return max((each._of_call(arguments) for each in self.among), key=_strictness) if self.among else self

    def _of_call(self, arguments: Mapping[str, object]) -> Rule:
        if self.condition is None:
            return self
        why = self.condition.unmet(arguments)
        return self._replace(why=why) if why else self._replace(permission="allow")


def rule_of(given: Given, key: str, section: str) -> Rule:
    """Return the rule that a permission in an accounts file makes.

    Raises:
        Mismatch: The permission is no word that is one, or has a condition that is not valid.
    """
    if isinstance(given, str) and given in PERMISSIONS:
        return Rule(given, key, section)
    from kosmolua.schema.mismatch import Mismatch, must_be

    if not isinstance(given, Mapping):
        raise must_be('"allow", "ask" or "deny"', given)
    from kosmolua.accounts.conditions import OTHERWISE, Condition

    otherwise = given.get("else", "ask")
    if "allow" not in given or given.keys() - {"allow", "else"} or otherwise not in OTHERWISE:
        raise Mismatch('must be a permission or as in { allow = { limit = { max = 3 } }, else = "ask" or "deny" }')
    if key in EFFECTS:
        raise Mismatch("takes no condition, since that is for a function or a pattern of functions")
    try:
        return Rule(cast("Permission", otherwise), key, section, Condition(given["allow"]))
    except Mismatch as mismatch:
        raise mismatch.inside(".allow") from None


def is_pattern(name: str) -> bool:
    """Return True for wildcards, as in ``*_env_var``."""
    return any(sign in name for sign in "*?[")


def fits(pattern: str, function: Subject) -> bool:
    """Return True if a pattern matches a function's short or full name."""
    return fnmatchcase(function.name, pattern) or fnmatchcase(function.full_name, pattern)


class Ceiling:
    """The upper limit on a tenant's permissions, whatever the accounts allow. Without a rule here, those alone apply.

    Args:
        section: The section that contains the permissions, such as ``tenants.acme``.
        permissions: Their keys are an effect, a function such as ``render2.delete_service``, or a pattern such as
            ``github.*``.
    """

    def __init__(self, section: str, permissions: Mapping[str, Given]) -> None:
        self._rules = {key: rule_of(value, key, section) for key, value in permissions.items()}
        self._patterns = [rule for key, rule in self._rules.items() if is_pattern(key)]

    def of_function(self, integration: str, function: Subject) -> list[Rule]:
        """Return the rules for a function, of which the strictest counts."""
        names = [f"{integration}.{name}" for name in (function.name, function.full_name)]
        named = [self._rules[name] for name in names if name in self._rules]
        fitting = [rule for rule in self._patterns if any(fnmatchcase(name, rule.key) for name in names)]
        return named or fitting or [rule for rule in [self.of_effect(function.effect)] if rule]

    def of_effect(self, effect: Effect) -> Rule | None:
        """Return the rule for an effect, or None; that for ``write`` is for ``destroy`` too if it has none."""
        return next((self._rules[key] for key in (effect, *milder(effect)) if key in self._rules), None)


def strictest(rules: Sequence[Rule]) -> Rule:
    """Return the strictest of some rules; :meth:`Rule.of_call` says which it is for a call."""
    found: list[Rule] = [one for rule in rules for one in rule.among or (rule,)]
    chosen = max(found, key=_strictness)
    return chosen._replace(among=tuple(found)) if any(rule.condition for rule in found) else chosen


class Rules:
    """The rules of one account: its own, and its integration's for keys that it lacks. A stricter ceiling wins.

    ``tables`` are the names and ``permissions`` of two sections: the integration's, then the account's.
    """

    def __init__(
        self,
        tables: Iterable[tuple[str, Mapping[str, Given]]],
        integration: str = "",
        ceiling: Ceiling | None = None,
    ) -> None:
        self._integration = integration
        self._ceiling = ceiling
        self._rules = {key: rule_of(value, key, section) for section, table in tables for key, value in table.items()}
        self._patterns = [rule for key, rule in self._rules.items() if is_pattern(key)]

    def of_function(self, function: Subject) -> Rule:
        """Return the strictest rule for a function; :meth:`Rule.of_call` says what it is for a call."""
        named = [self._rules[name] for name in (function.name, function.full_name) if name in self._rules]
        found = named or [rule for rule in self._patterns if fits(rule.key, function)]
        found = found or [self._own_of_effect(function.effect)]
        found += self._ceiling.of_function(self._integration, function) if self._ceiling else []
        return strictest(found)

    def of_effect(self, effect: Effect) -> Rule:
        """Return the rule for an effect, for functions that no name and no pattern matches.

        Without a rule for ``destroy``, ``write = "deny"`` applies to it, but ``"allow"`` and ``"ask"`` do not.
        """
        own, other = self._own_of_effect(effect), self._ceiling.of_effect(effect) if self._ceiling else None
        return own if other is None else max(own, other, key=_strictness)

    def _own_of_effect(self, effect: Effect) -> Rule:
        if rule := self._rules.get(effect):
            return rule
        denied = (rule for key in milder(effect) if (rule := self._rules.get(key)) and rule.permission == "deny")
        return next(denied, Rule(DEFAULT_PERMISSIONS[effect], effect))

    @property
    def permissions(self) -> dict[str, str]:
        """The permissions for functions and patterns, with their conditions in words."""
        return {key: rule.words for key, rule in self._rules.items() if key not in DEFAULT_PERMISSIONS}


def _strictness(rule: Rule) -> int:
    return PERMISSIONS.index(rule.permission)
