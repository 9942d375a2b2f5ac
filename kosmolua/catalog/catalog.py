"""The catalog: from a path to the integration, the account and the function that it means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kosmolua.accounts.accounts import Accounts
from kosmolua.accounts.toml import stanza
from kosmolua.catalog.plugins import Plugin, Plugins
from kosmolua.errors import NotConfigured, PluginError, UnknownPath
from kosmolua.protocol import Json
from kosmolua.schema.function import Effect, Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import ROOT, parts_of
from kosmolua.suggestions import did_you_mean, list_of

MAX_ACCOUNTS = 100
"""How many accounts a description names; a script asks for the others one by one."""


@dataclass(frozen=True)
class Target:
    """What a call means.

    Args:
        integration: The integration.
        account: The name of the account; what ``default`` stands for is resolved already.
        function: The function.
    """

    integration: Integration
    account: str
    function: Function

    @property
    def path(self) -> str:
        """The function's own path, without the account: ``render2.list_services``."""
        return f"{self.integration.name}.{self.function.name}"


class Catalog:
    """Knows every integration, with its accounts.

    Args:
        plugins: Where integrations come from.
        accounts: The accounts of the user.
    """

    def __init__(self, plugins: Plugins, accounts: Accounts) -> None:
        self._plugins = plugins
        self._accounts = accounts

    def names(self) -> list[str]:
        """Return the names of all integrations, sorted, without loading any."""
        return self._plugins.names()

    def plugin(self, name: str) -> Plugin:
        """Return an integration with its origin; raises as :meth:`integration` does."""
        return self._plugins.load(name)

    def integration(self, name: str) -> Integration:
        """Return an integration.

        Raises:
            PluginError: It cannot be loaded.
            UnknownPath: There is none of this name.
        """
        return self._plugins.load(name).integration

    def loadable(self, skip: Callable[[str, PluginError], None] = lambda name, error: None) -> Iterator[Integration]:
        """Yield every integration that can be loaded.

        Args:
            skip: Told of each other one, by its name and what is wrong with it.
        """
        for name in self.names():
            try:
                yield self.integration(name)
            except PluginError as error:
                skip(name, error)

    def prose(self, name: str) -> str | None:
        """Return the hand-written half of an integration's page, or None."""
        return self._plugins.prose(name)

    def sources(self, name: str) -> list[str]:
        """Return the text of each Python file of an integration, without running it, as far as they can be had."""
        return self._plugins.sources(name)

    def accounts(self, name: str) -> list[str]:
        """Return the names of an integration's accounts, as far as they are configured."""
        return self._accounts.names(self.integration(name))

    @property
    def accounts_path(self) -> Path:
        """The accounts file, or where it would be."""
        return self._accounts.path

    def permissions(self, name: str) -> list[dict[str, object]]:
        """Return for each account of an integration what it may do."""
        integration = self.integration(name)
        self._accounts.check(integration)
        effects: tuple[Effect, ...] = ("read", "write")
        return [
            {
                "integration": name,
                "account": account,
                **{effect: self._accounts.permission(integration, account, effect) for effect in effects},
            }
            for account in self._accounts.names(integration)
        ]

    def matching(self, patterns: Sequence[str]) -> list[tuple[str, str]]:
        """Return the accounts that ``INTEGRATION`` or ``INTEGRATION.ACCOUNT`` name, with their integrations.

        Without a pattern these are all accounts of the integrations that can be loaded.

        Raises:
            UnknownPath: A pattern names nothing.
        """
        if not patterns:
            return [(each.name, account) for each in self.loadable() for account in self.accounts(each.name)]
        found = []
        for pattern in patterns:
            name, _, account = pattern.partition(".")
            accounts = self.accounts(name)
            if account and account not in accounts:
                raise UnknownPath(f"{name} has no account '{account}'", hint=did_you_mean(account, accounts))
            found += [(name, each) for each in accounts if account in ("", each)]
        return found

    def describe(self, path: str) -> Json:
        """Return what the guest needs to build the branch of ``app`` at a path.

        Returns:
            ``names`` for the empty path and for a root; ``functions``, ``aliases`` and ``accounts`` for an integration,
            with ``more`` if it has more accounts; ``account`` for one of them; all ``accounts`` for ``*``.

        Raises:
            UnknownPath: Nothing is there; the message suggests what was meant.
        """
        root, _, rest = path.partition(".")
        if not path:
            return {"names": [ROOT]}
        if root != ROOT:
            hint = f"it is app.{ROOT}.{root}" if root in self.names() else did_you_mean(root, [ROOT])
            raise UnknownPath(f"app has no '{root[:80]}'", hint=hint)
        if not rest:
            return {"names": self.names()}
        name, _, rest = rest.partition(".")
        integration = self.integration(name)
        names = self._accounts.names(integration)
        usable = [*names, "default"] if self._accounts.default(integration) and "default" not in names else names
        if rest == "*":
            return {"accounts": sorted(usable)}
        if rest and rest in (*names, "default"):
            return {"account": True}
        if rest:
            self._refuse(integration, names, rest)
        more: dict[str, Json] = {"more": True} if len(usable) > MAX_ACCOUNTS else {}
        return {
            "functions": sorted(integration.functions),
            "aliases": integration.aliases,
            "accounts": sorted(usable)[:MAX_ACCOUNTS],
            **more,
        }

    def find(self, path: str) -> Function:
        """Return the function that a path names, whatever accounts there are.

        Raises:
            UnknownPath: No integration, account or function has this name.
        """
        return self._find(path)[1]

    def resolve(self, path: str) -> Target:
        """Return what a path means: ``NAME.FUNCTION`` or ``NAME.ACCOUNT.FUNCTION``, also with ``app.integrations.``.

        Raises:
            UnknownPath: No integration, account or function has this name.
            NotConfigured: The integration has no account, or several and none is the default.
        """
        integration, function, account = self._find(path)
        return Target(integration, self._account(integration, self._accounts.names(integration), account), function)

    def _find(self, path: str) -> tuple[Integration, Function, str]:
        parts = parts_of(path)
        if len(parts) not in (2, 3):
            raise UnknownPath(
                f"{path[:200]!r} names no function", hint="write INTEGRATION.FUNCTION or INTEGRATION.ACCOUNT.FUNCTION"
            )
        integration = self.integration(parts[0])
        names = self._accounts.names(integration)
        function = integration.function(parts[-1])
        if function is None or (len(parts) == 3 and parts[1] not in (*names, "default")):
            self._refuse(integration, names, ".".join(parts[1:]))
        return integration, function, parts[1] if len(parts) == 3 else "default"

    def _account(self, integration: Integration, names: list[str], account: str) -> str:
        chosen = self._accounts.default(integration) if account == "default" else account
        if chosen is None and names:
            raise NotConfigured(
                f"{integration.name} has several accounts and no default: {', '.join(names)}",
                hint=f'name one, as in app.integrations.{integration.name}.{names[0]}, or set default = "{names[0]}"',
            )
        if chosen is None:
            raise NotConfigured(
                f"{integration.name} has no account; add one to the accounts file, see 'kosmolua accounts example'",
                hint=stanza(integration),
                detail=str(self._accounts.path),
            )
        return chosen

    def _refuse(self, integration: Integration, accounts: list[str], rest: str) -> NoReturn:
        first, _, second = rest.partition(".")
        where, known = f"app.integrations.{integration.name}", [*integration.functions, *integration.aliases]
        if second and first in (*accounts, "default"):
            raise UnknownPath(f"{where}.{first} has no '{second[:80]}'", hint=did_you_mean(second, known))
        if first in (*accounts, "default"):
            function = next(iter(integration.functions), "FUNCTION")
            raise UnknownPath(f"{where}.{first} is an account", hint=f"name a function of it, as in {first}.{function}")
        hint = did_you_mean(first, [*known, *accounts, "default"]) or list_of(
            "neither a function nor one of the accounts", accounts
        )
        raise UnknownPath(f"{where} has no '{first[:80]}'", hint=hint)
