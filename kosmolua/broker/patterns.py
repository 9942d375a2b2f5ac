"""Patterns of functions, as users pass them with ``--allow`` and ``--deny``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kosmolua.accounts.permissions import is_pattern
from kosmolua.errors import ConfigError, PluginError
from kosmolua.schema.names import parts_of
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Catalog, Target

ALL = "*"


class Patterns:
    """The patterns that were passed with one option, such as ``--allow``.

    Args:
        option: The option's name, for messages.
        patterns: The patterns, such as ``render2.delete_service``, ``render2.*_env_var`` or ``render2.staging.*``.
        catalog: Lists the functions and accounts that the patterns can match.

    Raises:
        ConfigError: A pattern matches no function. It probably has a typo, and with ``--deny`` would deny nothing.
    """

    def __init__(self, option: str, patterns: Sequence[str], catalog: Catalog) -> None:
        self._option = option
        self._patterns = {pattern: ".".join(parts_of(pattern)) for pattern in patterns}
        for pattern, path in self._patterns.items():
            if path != ALL and not any(fnmatchcase(name, path) for name in _names(path, catalog)):
                known = [f"{owner.name}.{name}" for owner in catalog.loadable() for name in owner.functions]
                hint = did_you_mean(path, known) or "write it as in render2.delete_service or 'render2.*_env_var'"
                raise ConfigError(f"{option} {pattern} matches no function", hint=hint)

    @property
    def written(self) -> list[str]:
        """The patterns as the user wrote them."""
        return [*self._patterns]

    def fitting(self, target: Target) -> str | None:
        """Return the option with the first pattern that matches a call of ``target``, such as ``--allow render2.*``.

        Return None if no pattern matches.
        """
        owner, account, function = target.integration.name, target.account, target.function
        names = [f"{owner}.{name}" for name in (function.name, function.full_name)]
        names += [f"{owner}.{account}.{name}" for name in (function.name, function.full_name)]
        for pattern, path in self._patterns.items():
            if any(fnmatchcase(name, path) for name in names):
                return f"{self._option} {pattern}"
        return None


def _names(path: str, catalog: Catalog) -> Iterator[str]:
    """Yield the names that the pattern ``path`` is compared with.

    These are ``INTEGRATION.FUNCTION`` for each function and then, if the pattern can name an account,
    ``INTEGRATION.ACCOUNT.FUNCTION``. Integrations that cannot be loaded are left out.
    """
    owners = [name for name in catalog.names() if _may_be_in(path, name)]
    with_accounts = path.count(".") > 1 or is_pattern(path)
    for in_account in (False, True)[: 1 + with_accounts]:
        for owner in owners:
            try:
                integration = catalog.integration(owner)
                accounts = catalog.accounts(owner) if in_account else []
            except PluginError:
                continue
            functions = [*integration.spellings()]
            yield from (f"{owner}.{account}.{name}" for account in accounts for name in functions)
            yield from () if in_account else (f"{owner}.{name}" for name in functions)


def _may_be_in(path: str, owner: str) -> bool:
    """Return True if the pattern ``path`` could match functions of an integration with the name ``owner``."""
    first = path[: len(owner) + 1]
    return is_pattern(first) or first == f"{owner}." or (is_pattern(path) and f"{owner}.".startswith(first))
