"""The catalog: finds the integration, the account and the function for a script's path, such as ``notes.work.list``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from kosmolua.accounts.accounts import Accounts
from kosmolua.accounts.permissions import Rule, strictest
from kosmolua.accounts.toml import stanza
from kosmolua.catalog.plugins import Plugin
from kosmolua.errors import CallError, ConfigError, NotConfigured, PluginError, UnknownPath
from kosmolua.protocol import Json
from kosmolua.schema.effects import EFFECTS, gravest
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import (
    APP,
    BEGIN,
    FLAT,
    ROOT,
    holder_of,
    lua_path,
    parts_of,
    qualified,
    root_and_name,
    section_of,
)
from kosmolua.suggestions import as_hint, did_you_mean, list_of, listed

if TYPE_CHECKING:
    from kosmolua.secret import Redactor

MAX_DESCRIBED = 100
"""The most accounts, and functions, in an integration's description. Others are described when a script names them."""
ALL = "*"
MAX_TARGETS = 512


class Provider(Protocol):
    """Finds and loads the integrations under one root."""

    @property
    def root(self) -> str:
        """The name of the root."""

    def names(self) -> list[str]:
        """Return the names of all integrations under the root, sorted, without loading one."""

    def load(self, name: str) -> Plugin:
        """Return an integration, loading it if necessary.

        Raises:
            PluginError: It cannot be loaded.
            UnknownPath: There is none of this name.
        """

    def listed(self, name: str) -> Plugin:
        """Return an integration for a list or a search, without starting a server.

        Raises:
            PluginError: It cannot be loaded, or its functions are unknown until its server is started.
        """

    def prose(self, name: str) -> str | None:
        """Return the hand-written part of the documentation page, or None."""

    def sources(self, name: str) -> list[str]:
        """Return the text of each Python file, without running it."""


@dataclass(frozen=True)
class Target:
    """The target of a call. ``account`` is a name, never ``default``; ``rule`` decides whether scripts can call it.

    ``acted`` are further functions that the call amounts to.
    """

    integration: Integration
    account: str
    function: Function
    rule: Rule
    acted: Sequence[Function] = ()

    @cached_property
    def path(self) -> str:
        """The path without the account, such as ``render2.list_services``."""
        return f"{self.integration.name}.{self.function.name}"

    @cached_property
    def allowed_by(self) -> str:
        """The rule as text, which the journal records."""
        return str(self.rule)

    @property
    def holder(self) -> str:
        """The account in the accounts file: of a session, the one that it is of."""
        return holder_of(self.account)

    @property
    def section(self) -> str:
        return section_of(self.integration.name, self.account)

    def of_call(self, arguments: Mapping[str, object], redactor: Redactor) -> Target:
        """Return this target with the rule that decides about a call with these arguments."""
        rule = self.rule.of_call(arguments)
        return replace(self, rule=rule._replace(why=redactor.text(rule.why)))


class Catalog:
    """All integrations under ``app``, with their accounts, from one provider for each root."""

    def __init__(self, providers: Sequence[Provider], accounts: Accounts) -> None:
        self._providers = {provider.root: provider for provider in providers}
        self._accounts = accounts
        self._preferred: str | None = None
        self._targets: dict[str, Target] = {}
        self._descriptions: dict[str, Json] = {}

    def preferring(self, account: str | None) -> Catalog:
        """Return a catalog in which this account is the default of each integration that has it; the same for None."""
        if account is None:
            return self
        other = copy(self)
        other._preferred, other._targets, other._descriptions = account, {}, {}
        return other

    def check_account(self, account: str) -> None:
        """Raise a ConfigError unless an integration has an account of this name."""
        found = {name for each in self.loadable() for name in self._accounts.names(each)}
        if account not in found:
            hint = did_you_mean(account, found) or list_of("there are", sorted(found))
            raise ConfigError(f"No integration has an account {account!r}", hint=hint)

    def roots(self) -> list[str]:
        return sorted(self._providers)

    def names(self) -> list[str]:
        return sorted(qualified(root, name) for root, provider in self._providers.items() for name in provider.names())

    def plugin(self, name: str) -> Plugin:
        """Return an integration and where it was found; else as :meth:`listed`."""
        root, short = root_and_name(name)
        return self._provider(root).listed(short)

    def integration(self, name: str) -> Integration:
        """Return an integration, loading it or starting its server if necessary.

        Raises:
            PluginError: It cannot be loaded.
            UnknownPath: There is none of this name.
        """
        return self._load(*root_and_name(name)).integration

    def listed(self, name: str) -> Integration:
        """Return an integration for a list or a search, without starting a server.

        Raises:
            PluginError: It cannot be loaded, or its functions are unknown until its server is started.
            UnknownPath: There is none of this name.
        """
        return self.plugin(name).integration

    def loadable(self, skip: Callable[[str, PluginError], None] = lambda name, error: None) -> Iterator[Integration]:
        """Yield every integration that loads without starting a server; ``skip`` gets name and error of the others."""
        for name in self.names():
            try:
                yield self.listed(name)
            except PluginError as error:
                skip(name, error)

    def prose(self, name: str) -> str | None:
        root, short = root_and_name(name)
        return self._provider(root).prose(short)

    def sources(self, name: str) -> list[str]:
        root, short = root_and_name(name)
        return self._provider(root).sources(short)

    def accounts(self, name: str) -> list[str]:
        """Return the names of an integration's accounts; raises what :meth:`listed` raises."""
        return [] if name in FLAT else self._accounts.names(self.listed(name))

    def invents_accounts(self, name: str) -> bool:
        """Return True if an integration's accounts are only simulated, and in no file."""
        return name not in FLAT and self._accounts.are_invented(self.listed(name))

    def default_account(self, integration: Integration) -> str | None:
        """Return the account for calls that name none, or None if each call has to name one."""
        if integration.is_flat:
            return "default"  # the calls that scripts make have their own accounts
        if self._preferred and self._accounts.has(integration, self._preferred):
            return self._preferred
        return self._accounts.default(integration)

    @property
    def accounts_path(self) -> Path:
        """The path of the accounts file, which need not exist."""
        return self._accounts.path

    def permissions(self, name: str) -> list[dict[str, object]]:
        """Return a dict for each account of an integration.

        Its keys are ``integration`` and ``account``, the names; ``read``, ``write`` and ``destroy``, each ``allow``,
        ``ask`` or ``deny``; and ``functions``, a dict from the name of a function, or a pattern, to its permission.

        Raises:
            ConfigError: The integration's section of the accounts file has a mistake.
            PluginError: The integration cannot be loaded.
            UnknownPath: No integration has this name.
        """
        if name in FLAT:
            return []
        integration = self.integration(name)
        self._accounts.check(integration)
        return [
            {
                "integration": name,
                "account": account,
                **{effect: self._accounts.permission(integration, account, effect) for effect in EFFECTS},
                "functions": self._accounts.rules(integration, account).permissions,
            }
            for account in self._accounts.names(integration)
        ]

    def matching(self, patterns: Sequence[str]) -> list[tuple[str, str]]:
        """Return the integration and the name of each account that matches a pattern.

        Patterns are names of integrations, or ``INTEGRATION.ACCOUNT``. Without any, all accounts that can be loaded
        match.

        Raises:
            PluginError: A named integration cannot be loaded.
            UnknownPath: A pattern names an integration or an account that does not exist.
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
        """Describe what is at a path under ``app``, from which the sandbox builds that part; empty is ``app`` itself.

        Returns:
            For ``app`` and a root: ``names``; for ``app.scripts``, ``scripts`` is true. For an integration:
            ``functions`` and ``accounts`` (the first :data:`MAX_DESCRIBED`); ``others`` and ``more`` are true if there
            are more functions or accounts, ``session`` names the function that begins sessions. For an account:
            ``account`` is true. For a script: ``script`` is true. For a function: ``function``, its short name. For
            ``INTEGRATION.*``: all ``functions`` and ``accounts``.

        Raises:
            PluginError: The integration cannot be loaded.
            UnknownPath: There is nothing at the path; the message suggests similar names.
        """
        if not path:
            return {"names": sorted(self._providers)}
        if path in self._descriptions:
            return self._descriptions[path]
        root, _, rest = path.partition(".")
        if root not in self._providers:
            hint = f"it is {lua_path(root)}" if root in self.names() else did_you_mean(root, self._providers)
            raise UnknownPath(f"{APP} has no '{root[:80]}'", hint=hint)
        if root in FLAT:
            return self._describe_flat(root, rest)
        if not rest:
            return {"names": self._providers[root].names()}
        name, _, rest = rest.partition(".")
        integration = self._providers[root].load(name).integration
        if not rest:
            accounts, own = self._usable(integration), sorted(integration.functions.own)
            described: dict[str, Json] = {"functions": own[:MAX_DESCRIBED], "accounts": accounts[:MAX_DESCRIBED]}
            described |= {"others": True} if integration.functions.more or len(own) > MAX_DESCRIBED else {}
            described |= {"session": BEGIN} if integration.session else {}
            described |= {"more": True} if len(accounts) > MAX_DESCRIBED else {}
            if root == ROOT and accounts:  # else a later lookup may find other tools, or an account in the environment
                self._descriptions[path] = described
            return described
        if rest == ALL:
            return {"accounts": self._usable(integration), "functions": sorted(integration.functions)}
        account, _, name = rest.partition(".")
        is_account = self._accounts.has(integration, account)
        if is_account and not name:
            return {"account": True}
        short = integration.short(name or account)
        if short is None or (name and not (is_account or account == "default")):
            self._refuse(integration, rest)
        return {"function": short}

    def _describe_flat(self, root: str, name: str) -> Json:
        if not name and not self._providers[root].names():
            return {"names": [], "scripts": True}
        scripts = self._load(root, root).integration
        if not name:
            return {"names": sorted(scripts.functions), "scripts": True}
        if name not in scripts.functions:
            _refuse_script(scripts, name)
        return {"script": True}

    def find(self, path: str) -> Function:
        """Return the function that a path names, even if no account is configured.

        Raises:
            UnknownPath: No integration, account or function has this name.
        """
        return self._find(path)[1]

    def resolve(self, path: str) -> Target:
        """Find the target of a call.

        ``path`` is ``INTEGRATION.FUNCTION``, for the default account, or ``INTEGRATION.ACCOUNT.FUNCTION``; both with or
        without ``app.integrations.`` before it.

        Raises:
            UnknownPath: No integration, account or function has this name.
            NotConfigured: The path names no account, and the integration has no account or no default account.
            PluginError: The integration cannot be loaded.
        """
        known = self._targets.get(path)
        if known and (known.integration.root == ROOT or self._is_current(known.integration)):
            return known
        integration, function, account = self._find(".".join(parts_of(path)) or path)
        chosen = self.default_account(integration) if account == "default" else account
        if chosen is None:
            raise self._no_default(integration)
        rule = self._accounts.rules(integration, chosen).of_function(function)
        target = Target(integration, chosen, function, rule)
        if len(self._targets) >= MAX_TARGETS:
            self._targets.clear()
        self._targets[path] = target
        return target

    def acting(self, target: Target, names: Sequence[str]) -> Target:
        """Return a target with the gravest effect, and the strictest rule, of functions that a call amounts to."""
        functions = [target.integration.functions[name] for name in names]
        function = replace(target.function, effect=gravest(each.effect for each in functions))
        rules = self._accounts.rules(target.integration, target.account)
        rule = strictest([rules.of_function(each) for each in (function, *functions)])
        return replace(target, function=function, rule=rule, acted=functions)

    def _is_current(self, integration: Integration) -> bool:
        """Return False if an MCP server's tools have changed, so that a new object has replaced this one."""
        return self._load(*root_and_name(integration.name)).integration is integration

    def _provider(self, root: str) -> Provider:
        if root not in self._providers:
            raise UnknownPath(f"{APP} has no '{root[:80]}'", hint=did_you_mean(root, self._providers))
        return self._providers[root]

    def _load(self, root: str, name: str) -> Plugin:
        """Load an integration; if only the accounts file knows it, the error says how to load the plugin."""
        try:
            return self._provider(root).load(name)
        except UnknownPath as error:
            if qualified(root, name) in self._accounts.sections.names():
                error.advise("the accounts file has a section of this name: if it is a plugin, pass --plugin")
            raise

    def _find(self, path: str) -> tuple[Integration, Function, str]:
        parts = parts_of(path)
        root = parts[0] if parts[0] in self._providers else ROOT
        if root != ROOT and root not in FLAT:
            del parts[0]
        if len(parts) not in (2, 3):
            self._refuse_name_of_service(root, parts)
            raise UnknownPath(
                f"{path[:200]!r} names no function", hint="write INTEGRATION.FUNCTION or INTEGRATION.ACCOUNT.FUNCTION"
            )
        integration = self._load(root, parts[0]).integration
        account = parts[1] if len(parts) == 3 else "default"
        function = integration.function(parts[-1])
        is_account = self._accounts.has(integration, account) or account == "default"
        if function is None or not is_account:
            self._refuse(integration, ".".join(parts[1:]))
        return integration, function, account

    def _usable(self, integration: Integration) -> list[str]:
        """Return the account names for scripts, sorted, with ``default`` if there is one."""
        names = self._accounts.names(integration)
        if self.default_account(integration) is None or self._accounts.has(integration, "default"):
            return names
        place = bisect_left(names, "default")
        return [*names[:place], "default", *names[place:]]

    def _no_default(self, integration: Integration) -> NotConfigured:
        if names := self._accounts.names(integration):
            return NotConfigured(
                f"{integration.name} has several accounts and no default: {listed(names)}",
                hint=f'name one, as in {lua_path(integration.name, names[0])}, or set default = "{names[0]}"',
            )
        return NotConfigured(
            f"{integration.name} has no account; add one to the accounts file, see 'kosmolua accounts example'",
            hint=stanza(integration),
            detail=str(self._accounts.path),
        )

    def _refuse_name_of_service(self, root: str, parts: Sequence[str]) -> None:
        """Raise an error that names the function if a path has ``GET /issues`` or an operationId instead."""
        name, _, rest = ".".join(parts).replace(" ", ".", 1).partition(".")
        if rest and name in self._providers[root].names():
            integration = self._load(root, name).integration
            if integration.functions.more and integration.functions.more.named(rest):
                self._refuse(integration, rest)

    def _refuse(self, integration: Integration, rest: str) -> NoReturn:
        """Raise the error for a path where nothing is, with a hint about what was meant."""
        from kosmolua.docs.meant import functions_meant

        if integration.is_flat:
            _refuse_script(integration, rest)
        accounts = self._accounts.names(integration)
        first, _, second = rest.partition(".")
        where = lua_path(integration.name)
        more = integration.functions.more
        if more and (named := more.named(rest)):
            raise UnknownPath(f"{where} has no '{rest[:80]}'", hint=as_hint([named]))
        if second and first in (*accounts, "default"):
            named = more.named(second) if more else None
            hint = as_hint([named]) if named else _function_meant(integration, second)
            raise UnknownPath(f"{where}.{first} has no '{second[:80]}'", hint=hint)
        if first in (*accounts, "default"):
            function = next(iter(integration.functions), "FUNCTION")
            hint = f"add the name of a function, as in {first}.{function}"
            raise UnknownPath(f"{where}.{first} is an account, not a function", hint=hint)
        hint = did_you_mean(first, [*accounts, "default"])
        if hint is None and (second or "_" not in first):  # the name may be meant as that of an account
            meant = [] if second else functions_meant(integration, first)
            is_plain = not second and not integration.functions.more and accounts in ([], ["default"])
            functions = list_of("it has", [*integration.functions]) if is_plain else None
            hint = as_hint(meant) or functions or list_of("neither a function nor one of the accounts", accounts)
        hint = hint or _function_meant(integration, first)
        raise UnknownPath(f"{where} has no '{first[:80]}'", hint=hint)


def _refuse_script(scripts: Integration, name: str) -> NoReturn:
    if mistake := scripts.broken.get(name):
        raise CallError(mistake.code, mistake.what, hint=mistake.hint)
    hint = did_you_mean(name, scripts.functions) or list_of("there are", sorted(scripts.functions))
    raise UnknownPath(f"{lua_path(scripts.name)} has no '{name[:80]}'", hint=hint)


def _function_meant(integration: Integration, name: str) -> str:
    """Return a hint for an unknown name: the functions that were probably meant, or the call that lists all."""
    from kosmolua.docs.meant import functions_meant

    if meant := functions_meant(integration, name):
        return as_hint(meant) or ""
    count = len(integration.functions)
    return f"{integration.name} has no function for that: lua_list_docs('{integration.name}') lists its {count}"
