"""The runs of a server's tenants on the command line: where they are kept, and the runtime that goes on with one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kosmolua.broker.folder_store import Folder
from kosmolua.broker.store import Store, Stores, checked_tenant
from kosmolua.broker.stores import default_store, open_stores
from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.streams import standard
from kosmolua.errors import ConfigError, UsageError
from kosmolua.folders import accounts_file, tenant_folder
from kosmolua.runtime import Runtime
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.broker.approvals import Approve
    from kosmolua.serve.settings import Settings, TenantSettings

STORE, TENANT = "KOSMOLUA_STORE", "KOSMOLUA_TENANT"
"""The variables of the options."""


def granted(store: Store, runtime: Runtime) -> list[str]:
    """Return what a tenant's people have allowed for good, as the option ``allow`` of a run takes it."""
    from kosmolua.serve.grants import Grants

    return Grants(lambda: store).patterns(runtime.catalog)


@dataclass(frozen=True)
class Kept:
    """Whose recordings are meant, and where they are.

    Args:
        tenant: A tenant of ``kosmolua serve``; None for the user's own.
        where: The folder or the database that the server has them in; None for what the accounts file says.
    """

    tenant: str | None = None
    where: str | None = None

    @contextmanager
    def opened(self, accounts: str | None) -> Iterator[Store]:
        """Open the store in the ``with`` block.

        Args:
            accounts: The accounts file that was typed, or None.

        Raises:
            ConfigError: The store cannot be used, or the accounts file cannot be read.
            UsageError: There is no such tenant.
        """
        if self.tenant is None:
            yield default_store()
            return
        name = checked_tenant(self.tenant)
        stores = open_stores(self.where) if self.where else self._stores(accounts)
        if stores is None:
            yield Folder(os.path.join(tenant_folder(name), "recordings"))
            return
        try:
            yield stores.of(name)
        finally:
            stores.close()

    def runtime(
        self, options: Options, store: Store, *, simulate: bool = False, approve: Approve | None = None
    ) -> Runtime:
        """Return a runtime of the tenant: with its accounts, plugins, permissions and limits.

        Args:
            options: The shared options of the command line, which may allow less.
            store: The tenant's.
            simulate: Whether calls are simulated.
            approve: Asks a person about calls that were not decided.

        Raises:
            ConfigError: A file cannot be read, or says something that it may not.
            UsageError: There is no such tenant.
        """
        server, tenant = self._section(options.accounts)
        from kosmolua.serve.opened import Common, open_runtime

        standard.set_apart()
        common = Common(
            failures=dict(each.split("=", 1) for each in options.simulate_fail),
            plugins=options.plugin,
            read_only=options.read_only,
            deny=options.deny,
            limits=options.limits,
            require_isolation=options.require_isolation,
            warn=console.warn,
        )
        given: dict[str, Any] = {"yes": options.yes, "allow": options.allow, "approve": approve}
        given["journal"] = options.journal or True
        return open_runtime(tenant, common, server, store, simulate=simulate, **given)

    def _section(self, accounts: str | None) -> tuple[Settings, TenantSettings]:
        """Return what the accounts file says of the server and of the tenant."""
        assert self.tenant
        for library in ("mcp", "jwt"):
            if not find_spec(library):
                hint = "pip install 'kosmolua[serve]'"
                raise ConfigError(f"What is a tenant's needs the package {library}", hint=hint)
        from kosmolua.serve.settings import read

        path, exists = accounts_file(accounts, os.environ)
        settings = read(path if exists else None)
        if self.tenant not in settings.tenants:
            known = ", ".join(settings.tenants) or "none"
            hint = did_you_mean(self.tenant, settings.tenants) or f"its tenants: {known}"
            raise UsageError(f"{path} has no tenant {self.tenant[:80]!r}", hint=hint)
        return settings, settings.tenants[self.tenant]

    def _stores(self, accounts: str | None) -> Stores | None:
        settings, _ = self._section(accounts)
        from kosmolua.serve.own import Own

        return Own(settings, os.environ, console.warn).stores()


def tenant_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say whose recordings are meant, as one argument ``kept``."""

    def gather(*args: Any, tenant: str | None, store: str | None, **given: Any) -> Any:
        typed = click.get_current_context().get_parameter_source("store") is ParameterSource.COMMANDLINE
        if typed and tenant is None:
            raise UsageError("--store has the recordings of tenants", hint="name one by --tenant")
        return command(*args, kept=Kept(tenant or None, store or None), **given)

    gather.__name__, gather.__doc__ = command.__name__, command.__doc__
    gather.__dict__.update(command.__dict__)
    for option in (_STORE, _TENANT):
        gather = option(gather)
    return gather


_TENANT = click.option(
    "--tenant", metavar="NAME", envvar=TENANT, help="Runs of this tenant of kosmolua serve, in place of your own."
)
_STORE = click.option(
    "--store",
    metavar="WHERE",
    envvar=STORE,
    help="The folder or database that has the tenant's runs [that of the accounts file].",
)
