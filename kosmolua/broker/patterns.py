"""Patterns of functions, as users pass them with ``--allow`` and ``--deny``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kosmolua.accounts.permissions import is_pattern
from kosmolua.errors import ConfigError, PluginError
from kosmolua.schema.names import FLAT, SCRIPTS, SERVERS, parts_of, root_and_name
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Catalog, Target
    from kosmolua.schema.integration import Integration

ALL = "*"
MAX_PATTERN = 500
"""The most characters of a pattern: the time to compare it grows faster than its length."""


class Patterns:
    """The patterns that were passed with one option, such as ``--allow``.

    No MCP server is started. If it is not known yet what a server offers, a pattern such as ``mcp.files.read_*`` is
    compared with its tools when a script calls the first of them. Only an option that denies can name scripts
    (``takes_scripts``): what needs approval are the calls in them.

    Raises:
        ConfigError: A pattern matches no function. It probably has a typo, and with ``--deny`` would deny nothing.
        PluginError: It would match functions of an integration that cannot be loaded.
    """

    def __init__(self, option: str, patterns: Sequence[str], catalog: Catalog, *, takes_scripts: bool = False) -> None:
        if too_long := next((pattern for pattern in patterns if len(pattern) > MAX_PATTERN), ""):
            what = f"{option} {too_long[:40]}... has more than {MAX_PATTERN} characters"
            raise ConfigError(what, hint="pass shorter patterns; the option can be repeated")
        self._option = option
        self._patterns = {pattern: ".".join(parts_of(pattern)) for pattern in patterns}
        self._unknown: set[str] = set()
        for pattern, path in self._patterns.items():
            known = re.sub(r"/[^.]*\.", ".", path)  # of a session, the account that it is of
            if path == ALL or any(fnmatchcase(name, known) for name in _names(known, catalog)):
                if path.partition(".")[0] in FLAT and not takes_scripts:
                    what = f"{option} {pattern} allows nothing: what needs approval are the calls in a script"
                    hint = "allow the functions that the script calls; 'kosmolua check' lists them"
                    raise ConfigError(what, hint=hint)
            elif path.startswith(f"{SERVERS}.") and any(
                _may_be_in(path, name) and _is_unknown_server(name, catalog) for name in catalog.names()
            ):
                self._unknown.add(pattern)
            else:
                for owner in catalog.names():
                    if path.startswith(f"{owner}.") and root_and_name(owner)[0] != SERVERS:
                        catalog.listed(owner)  # one that cannot be loaded says why
                names = [name for owner in catalog.names() for name in _functions(owner, catalog)]
                hint = did_you_mean(path, names) or "write it as in render2.delete_service or 'render2.*_env_var'"
                raise ConfigError(f"{option} {pattern} matches no function", hint=hint)

    @property
    def written(self) -> list[str]:
        """The patterns as the user wrote them."""
        return [*self._patterns]

    def fitting(self, target: Target) -> str | None:
        """Return the option with the first pattern that matches a call of ``target``, such as ``--allow render2.*``.

        Return None if no pattern matches.

        Raises:
            ConfigError: A pattern matches no tool of the MCP server, whose tools were not known earlier.
        """
        owner, function = target.integration.name, target.function
        if self._unknown and target.integration.root == SERVERS:
            self._compare_with_tools(target.integration)
        accounts = {"", f"{target.account}.", f"{target.holder}."}
        names = [f"{owner}.{each}{name}" for each in accounts for name in (function.name, function.full_name)]
        for pattern, path in self._patterns.items():
            if any(fnmatchcase(name, path) for name in names):
                return f"{self._option} {pattern}"
        return None

    def fitting_script(self, name: str) -> str | None:
        """Return the option with the first pattern that matches the user's script ``name``, or None."""
        paths = self._patterns.items()
        matches = (pattern for pattern, path in paths if fnmatchcase(f"{SCRIPTS}.{name}", path))
        return next((f"{self._option} {pattern}" for pattern in matches), None)

    def _compare_with_tools(self, server: Integration) -> None:
        tools = [f"{server.name}.{infix}{name}" for infix in ("", "default.") for name in server.spellings()]
        for pattern in [*self._unknown]:
            path = self._patterns[pattern]
            if any(fnmatchcase(tool, path) for tool in tools):
                self._unknown.discard(pattern)
            elif path.startswith(f"{server.name}."):
                what = f"{self._option} {pattern} matches no tool of {server.name}"
                raise ConfigError(what, hint=did_you_mean(path, tools))


def _names(path: str, catalog: Catalog) -> Iterator[str]:
    """Yield the names that the pattern ``path`` is compared with.

    These are ``INTEGRATION.FUNCTION`` for each function and then, if the pattern can name an account,
    ``INTEGRATION.ACCOUNT.FUNCTION``. Integrations that cannot be loaded, and servers whose tools are not known, are
    left out.
    """
    owners = [name for name in catalog.names() if _may_be_in(path, name)]
    with_accounts = path.count(".") > 1 or is_pattern(path)
    for in_account in (False, True)[: 1 + with_accounts]:
        for owner in owners:
            if integration := _listed(owner, catalog):
                accounts = catalog.accounts(owner) if in_account else []
                functions = [*integration.spellings()]
                yield from (f"{owner}.{account}.{name}" for account in accounts for name in functions)
                yield from () if in_account else (f"{owner}.{name}" for name in functions)


def _functions(owner: str, catalog: Catalog) -> list[str]:
    integration = _listed(owner, catalog)
    return [f"{owner}.{name}" for name in integration.functions] if integration else []


def _listed(owner: str, catalog: Catalog) -> Integration | None:
    """Return an integration without starting a server, or None if it cannot be loaded or its tools are not known."""
    try:
        return catalog.listed(owner)
    except PluginError:
        return None
    except ConfigError:
        if root_and_name(owner)[0] == SERVERS:
            return None  # a mistake in the server's section is reported when a script uses the server
        raise


def _is_unknown_server(owner: str, catalog: Catalog) -> bool:
    return root_and_name(owner)[0] == SERVERS and not _listed(owner, catalog)


def _may_be_in(path: str, owner: str) -> bool:
    """Return True if the pattern ``path`` could match functions of an integration with the name ``owner``."""
    return any(fnmatchcase(f"{owner}.", path[:end]) for end in range(1, len(path) + 1))
