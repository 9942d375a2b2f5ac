"""Opens a tenant: makes its tokens and its runtime from the section ``[tenants.NAME]`` of the accounts file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kosmolua.accounts.sections import HOOKS, SCHEDULES
from kosmolua.broker.tenancy import Tenancy
from kosmolua.catalog.plugins import Plugins
from kosmolua.concurrency import lazy
from kosmolua.errors import ConfigError
from kosmolua.folders import tenant_folder
from kosmolua.processes.pool import MAX_QUEUE
from kosmolua.processes.readers import Readers
from kosmolua.runtime import Runtime
from kosmolua.schema.settings import SettingsFile, parse
from kosmolua.serve.held import Held
from kosmolua.serve.secrets import ServerSecrets
from kosmolua.serve.settings import Settings, TenantSettings, refuse_unknown
from kosmolua.serve.tokens import SignedTokens, TenantTokens
from kosmolua.serve.work.settings import WorkSettings, read_work
from kosmolua.stores.store import Store, Stores

WORKERS, TRIAL_WORKERS = "workers", "trial-workers"
"""The kinds of the slots for a tenant's scripts that run, in all replicas of the server, and for those that only the
playground simulates."""


@dataclass(frozen=True)
class Common:
    """The options from the command line that apply to all tenants.

    Args:
        simulate: Whether simulators answer the calls.
        failures: For each simulated function that should fail, the name of its failure.
        plugins: The files or folders of integrations that all tenants have, in addition to the installed ones.
        read_only: Whether every write is denied.
        deny: Patterns of functions whose calls are denied.
        limits: The limits of scripts, by name. The section of a tenant can set different values.
        processes: How many processes the server has.
        id_prefix: What the ids begin with that this process gives to MCP clients, and that no other process knows.
        require_isolation: Whether scripts are refused if the system lacks an isolation layer of the sandbox.
        check: Whether scripts that are certain to fail are refused.
        environ: The environment variables from which secrets can be read.
        warn: A function that is called with a sentence about each setting that works but is unwise.
    """

    simulate: bool = False
    failures: Mapping[str, str] = field(default_factory=dict)
    plugins: Sequence[str] = ()
    read_only: bool = False
    deny: Sequence[str] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    processes: int = 1
    id_prefix: str = ""
    require_isolation: bool = False
    check: bool = True
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    warn: Callable[[str], None] = lambda sentence: None


class TenantRuntime:
    """What is made from a tenant's settings: the tenant's tokens, and a runtime with the tenant's accounts.

    ``held`` bounds the bytes that the runs of all tenants hold; ``readers`` check scripts and search documentation.

    Raises:
        ConfigError: A file cannot be read or has an invalid value, or a token is missing or too short.
    """

    def __init__(
        self,
        settings: TenantSettings,
        common: Common,
        server: Settings,
        stores: Stores,
        held: Held,
        readers: Readers | None = None,
    ) -> None:
        self.settings = settings
        self.server = server
        self.held = held
        self._readers = readers
        self.stores = stores
        self.store = stores.of(settings.name)
        self._common = common
        self.tokens = self._read_tokens()
        base = server.path.parent if server.path else Path()
        self.signed = SignedTokens(settings.jwt, base, self._warn) if settings.jwt else None
        if settings.accounts:
            integrations = Plugins([*common.plugins, *settings.plugins])
            refuse_unknown(SettingsFile(settings.accounts), parse(settings.accounts), integrations.names)
        self.runtime = self._open_runtime(simulate=common.simulate)
        try:
            self.work = self._read_work()
        except BaseException:
            self.close()
            raise

    @lazy
    def simulated(self) -> Runtime:
        """The runtime of the playground, in which simulators answer the calls. It is created on first use."""
        return self._open_runtime(simulate=True)

    @property
    def is_running(self) -> bool:
        """True while a script is running in the tenant's runtime or in the runtime of the playground."""
        return any(each.is_running for each in self._runtimes())

    def close(self) -> None:
        """Close the runtimes. This ends their scripts."""
        for each in self._runtimes():
            each.close()

    def _runtimes(self) -> list[Runtime]:
        simulated = vars(self).get("simulated")
        return [self.runtime, simulated] if simulated else [self.runtime]

    def _open_runtime(self, *, simulate: bool) -> Runtime:
        apart = self._readers.call if self._readers else None
        runtime = open_runtime(
            self.settings, self._common, self.server, self.store, held=self.held, simulate=simulate, apart=apart
        )
        if self._common.processes > 1 or self.server.store is not None:
            kind = WORKERS if simulate == self._common.simulate else TRIAL_WORKERS
            workers = self.server.workers_of(self.settings)
            runtime.share_workers(
                lambda: self.store.slot(kind, workers),
                lambda: self.store.slot(f"{kind}-queue", MAX_QUEUE * workers),
                self._common.processes,
            )
        return runtime

    def _read_work(self) -> WorkSettings:
        """Return the schedules and hooks in the accounts file that the tenant uses."""
        path = self.settings.accounts or self.server.path
        if path is None:
            return WorkSettings()
        file, own = SettingsFile(path), ServerSecrets(self.server, self._common.environ, self._warn)
        work = read_work(file, parse(path), own.secret)
        sharing = [] if self.settings.accounts else [n for n, t in self.server.tenants.items() if t.accounts is None]
        if len(sharing) > 1 and (work.schedules or work.hooks):
            kind = SCHEDULES if work.schedules else HOOKS
            what = f"[{kind}] would be those of several tenants: {', '.join(sharing)}"
            raise file.wrong(what, kind, hint="give each tenant an accounts file, and put the section into one of them")
        work.refuse_mistakes(file, self.runtime)
        return work

    def _read_tokens(self) -> TenantTokens:
        where = f"tenants.{self.settings.name}.token"
        own = ServerSecrets(self.server, self._common.environ, self._warn)
        return TenantTokens(own.secret(where, given) for given in self.settings.token)

    def _warn(self, sentence: str) -> None:
        self._common.warn(f"{self.settings.name}: {sentence}")


def refuse_same_tokens(opened: Sequence[TenantRuntime]) -> None:
    """Raise a ConfigError if two tenants have the same token."""
    owners: dict[bytes, TenantRuntime] = {}
    for each in opened:
        for digest in each.tokens.digests:
            if (other := owners.setdefault(digest, each)) is not each:
                raise ConfigError(
                    f"The tenants {other.settings.name} and {each.settings.name} have the same token",
                    hint="give each tenant a different token",
                )


def open_runtime(
    settings: TenantSettings,
    common: Common,
    server: Settings,
    store: Store,
    *,
    held: Held | None = None,
    simulate: bool,
    **given: Any,
) -> Runtime:
    """Return a new runtime with the accounts and integrations of a tenant, whose recordings are in ``store``.

    Without ``held``, no other tenant has runs. ``given`` are further arguments of :class:`~kosmolua.runtime.Runtime`.

    Raises:
        ConfigError: A file cannot be read or has an invalid value.
    """
    bounds: dict[str, Any] = {"memory": held.memory, "calls": held.calls} if held else {}
    runtime = Runtime(
        settings.accounts or server.path,
        simulate=simulate,
        failures=common.failures if simulate else None,
        plugins=[*common.plugins, *settings.plugins],
        read_only=common.read_only,
        deny=common.deny,
        workers=server.workers_of(settings),
        require_isolation=common.require_isolation,
        warn=lambda sentence: common.warn(f"{settings.name}: {sentence}"),
        environ=common.environ,
        scripts=settings.scripts,
        share_limits=True,
        command_line=True,
        tenancy=Tenancy(
            settings.name,
            tenant_folder(settings.name),
            settings.permissions,
            max_disk=settings.max_disk,
            flow=settings.flow,
            can_trust=settings.flow is None or settings.accounts is None,
            **bounds,
        ),
        store=store,
        flow="ask",
        **{"journal": True, **given},
    )
    runtime.limits = runtime.limits.but(**common.limits).but(**settings.limits)
    return runtime
