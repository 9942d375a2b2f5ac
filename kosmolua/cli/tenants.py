"""Opens the recordings of a tenant of ``kosmolua serve`` for commands, and a runtime with which to resume them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial, wraps
from hashlib import sha256
from threading import Event as ThreadEvent
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kosmolua.calls.records import CallEnded, Event
from kosmolua.cli import console
from kosmolua.cli.approval import TerminalApprover
from kosmolua.cli.options import Options
from kosmolua.cli.scripts import where_it_is
from kosmolua.cli.streams import standard
from kosmolua.concurrency import start_thread
from kosmolua.errors import ConfigError, UsageError
from kosmolua.folders import accounts_file
from kosmolua.recordings.recording import Recording
from kosmolua.runs import Outcome
from kosmolua.runtime import Runtime
from kosmolua.secret import Secret
from kosmolua.stores.opening import default_store, open_stores
from kosmolua.stores.store import Store, Stores, checked_tenant
from kosmolua.stores.tasks import new_run
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.calls.approvals import Approve
    from kosmolua.serve.audit import Auditor
    from kosmolua.serve.runs import Running
    from kosmolua.serve.settings import Settings, TenantSettings
    from kosmolua.serve.tenant_runtime import Common
    from kosmolua.serve.work.settings import WorkSettings

STORE, TENANT = "KOSMOLUA_STORE", "KOSMOLUA_TENANT"
"""The environment variables that set ``--store`` and ``--tenant``."""
CLIENT = "kosmolua resume"
"""Who the audit says went on with a tenant's run on the command line, beside the person."""
FLEET = "kosmolua fleet"
"""The name of the client of runs in a fleet."""


@dataclass(frozen=True)
class Kept:
    """Says whose recordings a command uses, and where they are kept: the tenant's, or the user's if there is none.

    ``where`` is the folder or database of the server; None for the one that the accounts file names.
    """

    tenant: str | None = None
    where: str | None = None

    @contextmanager
    def opened(self, accounts: str | None) -> Iterator[Store]:
        """Open, for the ``with`` block, the store with the recordings of the tenant or, without a tenant, of the user.

        Raises:
            ConfigError: The store cannot be used, the accounts file cannot be read, or the tenant's name is invalid.
            UsageError: The accounts file has no tenant of this name.
        """
        if self.tenant is None:
            yield default_store()
            return
        name = checked_tenant(self.tenant)
        stores = open_stores(self.where) if self.where else self._stores(accounts)
        try:
            yield stores.of(name)
        finally:
            stores.close()

    def runtime(
        self, options: Options, store: Store, *, simulate: bool = False, approve: Approve | None = None
    ) -> Runtime:
        """Return a runtime with the accounts, plugins, permissions and limits of the tenant, and those of the options.

        Raises:
            ConfigError: A file cannot be read, or has an invalid key or value.
            UsageError: There is no such tenant.
        """
        server, tenant = self._section(options.accounts)
        from kosmolua.serve.tenant_runtime import open_runtime

        standard.set_apart()
        given: dict[str, Any] = {"yes": options.yes, "allow": options.allow, "approve": approve}
        given["journal"] = options.journal or True
        return open_runtime(tenant, common_options(options), server, store, simulate=simulate, **given)

    def again(self, tenant: str, accounts: str | None) -> list[str]:
        """Return the options with which another command finds the recordings of a tenant."""
        given = {"--tenant": tenant, "--store": self.where, "--accounts": accounts}
        return [word for option, value in given.items() if value for word in (option, value)]

    def where_it_is(self, outcome: Outcome) -> str:
        """Return a sentence for the user with the commands that resume and replay a recorded run."""
        return where_it_is(str(outcome.recording), can_go_on=not outcome.ok, tenant=self.tenant)

    def or_the_only(self, accounts: str | None) -> Kept:
        """Return this, or, if no tenant is named, the same for the only tenant of the accounts file if it has tenants.

        Raises:
            UsageError: There are several tenants.
        """
        if self.tenant:
            return self
        path, settings = _settings(accounts)
        tenants = settings.tenants
        if len(tenants) > 1:
            raise UsageError(f"{path} has the tenants {', '.join(tenants)}", hint="name one with --tenant")
        return replace(self, tenant=next(iter(tenants), None))

    def work(self, accounts: str | None) -> WorkSettings:
        """Return the schedules and hooks of the tenant or, without a tenant, of the user.

        Raises:
            ConfigError: The accounts file cannot be read, or has a mistake.
        """
        server, tenant = self._section(accounts) if self.tenant else (_settings(accounts)[1], None)
        from kosmolua.schema.settings import SettingsFile, parse
        from kosmolua.serve.work.settings import WorkSettings, read_work

        path = (tenant and tenant.accounts) or server.path
        if path is None:
            return WorkSettings()
        return read_work(SettingsFile(path), parse(path), lambda where, given: Secret(""))

    def _section(self, accounts: str | None) -> tuple[Settings, TenantSettings]:
        assert self.tenant
        path, settings = _settings(accounts)
        if self.tenant not in settings.tenants:
            known = ", ".join(settings.tenants) or "none"
            hint = did_you_mean(self.tenant, settings.tenants) or f"its tenants: {known}"
            raise UsageError(f"{path} has no tenant {self.tenant[:80]!r}", hint=hint)
        return settings, settings.tenants[self.tenant]

    def _stores(self, accounts: str | None) -> Stores:
        settings, _ = self._section(accounts)
        from kosmolua.serve.secrets import ServerSecrets

        return ServerSecrets(settings, os.environ, console.warn).stores()


def _settings(accounts: str | None) -> tuple[str, Settings]:
    console.need("serve", "Tenants and schedules need", "mcp", "jwt")
    from kosmolua.serve.settings import read

    path, exists = accounts_file(accounts, os.environ)
    return path, read(path if exists else None)


def audit_key(accounts: str | None) -> bytes:
    """Return the key that binds the lines of the audit; empty if the accounts file names none.

    Raises:
        ConfigError: The accounts file cannot be read, or the key is missing at its source.
    """
    from kosmolua.serve.secrets import ServerSecrets

    return ServerSecrets(_settings(accounts)[1], os.environ, console.warn).credentials().audit_key


def tenant_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command: it gets the options ``--tenant`` and ``--store``, as its argument ``kept``."""

    @wraps(command)
    def gather(*args: Any, tenant: str | None, store: str | None, **given: Any) -> Any:
        typed = click.get_current_context().get_parameter_source("store") is ParameterSource.COMMANDLINE
        if typed and tenant is None:
            raise UsageError("--store applies only to the recordings of a tenant", hint="name the tenant with --tenant")
        return command(*args, kept=Kept(tenant or None, store or None), **given)

    return _TENANT(_STORE(gather))


_TENANT = click.option(
    "--tenant", metavar="NAME", envvar=TENANT, help="Use the runs of this tenant of kosmolua serve, not your own."
)
_STORE = click.option(
    "--store",
    metavar="WHERE",
    envvar=STORE,
    help="The folder or database with the tenant's runs [the one in the accounts file].",
)


@contextmanager
def audited(
    recording: Recording, kept: Kept, accounts: str | None, runtime: Runtime, callbacks: dict[str, Any]
) -> Iterator[Callable[[Outcome], Outcome]]:
    """Write the line of a tenant's run into the audit of this host, when the ``with`` block calls the yielded function.

    ``callbacks`` are those of the run; ``watch`` is replaced.

    Raises:
        ConfigError: The audit cannot be opened, without which a tenant's run does not go on.
    """
    from kosmolua.serve.runs import Running

    script, title = recording.script, recording.header.get("title") or ""
    person = TerminalApprover().name
    running = Running(
        kept.tenant or "", recording.header["run"], CLIENT, script["name"], script["sha256"], title, CLIENT, person
    )
    with _open_auditor(accounts, runtime) as auditor:
        yield _noted(auditor, running, callbacks)


class TenantFleet:
    """Runs the script of a fleet as a tenant does: its runs are in the tenant's store, and in the audit of this host.

    It does what fleets need of a :class:`kosmolua.runtime.Runtime`, in this process alone. A call that needs approval
    pauses its run, and a person of the tenant is asked on the website.
    """

    def __init__(self, runtime: Runtime, tenant: str, auditor: Auditor) -> None:
        from kosmolua.serve.grants import Grants

        self.catalog, self.limits, self.resume = runtime.catalog, runtime.limits, runtime.resume
        self._runtime = runtime
        self._tenant = tenant
        self._auditor = auditor
        self._person = TerminalApprover().name
        self._allowed = Grants(lambda: runtime.store).patterns(runtime.catalog)
        self._active: set[str] = set()

    @classmethod
    @contextmanager
    def opened(cls, kept: Kept, accounts: str | None, runtime: Runtime) -> Iterator[TenantFleet]:
        """Open the audit for the ``with`` block, in which runs end that people stop on the website.

        Raises:
            ConfigError: The audit cannot be opened, without which no run of a tenant begins.
        """
        ended = ThreadEvent()
        with _open_auditor(accounts, runtime) as auditor:
            fleet = cls(runtime, kept.tenant or "", auditor)
            start_thread(partial(fleet._obey, ended), "orders")
            try:
                yield fleet
            finally:
                ended.set()

    def run(self, source: bytes, **options: Any) -> Outcome:
        """Run the script once, recorded, and write a line into the audit."""
        from kosmolua.serve.runs import Running

        given = {**options, "run": new_run(), "record": True, "person": self._person, "allow": self._allowed}
        given["software"] = given["client"] = FLEET
        digest, name = sha256(source).hexdigest(), options["name"].removeprefix("=")
        running = Running(
            self._tenant, given["run"], FLEET, name, digest, options.get("title") or "", FLEET, self._person
        )
        end = _noted(self._auditor, running, given)
        self._active.add(running.id)
        try:
            return end(self._runtime.run(source, **given))
        finally:
            self._active.discard(running.id)

    def _obey(self, ended: ThreadEvent) -> None:
        from kosmolua.serve.grants import FRESHNESS
        from kosmolua.serve.orders import Orders

        orders = Orders(lambda: self._runtime.store)
        while not ended.wait(FRESHNESS):
            with suppress(ConfigError):  # it is tried again
                for run in orders.take(list(self._active)):
                    self._runtime.interrupt(run)


@contextmanager
def _open_auditor(accounts: str | None, runtime: Runtime) -> Iterator[Auditor]:
    from kosmolua.serve.audit import Auditor, open_audit

    audit = open_audit(console.warn, audit_key(accounts))
    try:
        yield Auditor(audit, "simulated" if runtime.is_simulated else "live")
    finally:
        audit.close()


def _noted(auditor: Auditor, running: Running, callbacks: dict[str, Any]) -> Callable[[Outcome], Outcome]:
    """Let ``watch`` of a run's callbacks note its calls, and return the function that writes the run's line."""
    watch = callbacks.get("watch") or (lambda event: None)

    def note(event: Event) -> None:
        if isinstance(event, CallEnded):
            auditor.called(running, event.record)
        watch(event)

    def end(outcome: Outcome) -> Outcome:
        auditor.ended(running, outcome)
        return outcome

    callbacks["watch"] = note
    return end


def common_options(options: Options) -> Common:
    """Return the settings that apply to all tenants of a server, taken from the options of the command line."""
    from kosmolua.serve.tenant_runtime import Common

    return Common(
        simulate=options.simulate,
        failures=dict(each.split("=", 1) for each in options.simulate_fail),
        plugins=options.plugin,
        read_only=options.read_only,
        deny=options.deny,
        limits=options.limits,
        require_isolation=options.require_isolation,
        check=not options.no_check,
        warn=console.warn,
    )
