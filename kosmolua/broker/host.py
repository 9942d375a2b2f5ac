"""The host: the parts that all runs of a runtime share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kosmolua.concurrency import Helpers, countdown, forget, lazy
from kosmolua.errors import Busy, ConfigError, KosmoError, LimitExceeded, WorkerLost
from kosmolua.folders import JOURNAL, accounts_file, recordings_folder, scripts_folder, state_folder
from kosmolua.limits import Limits, spell_size

# Only a call needs most of these modules. They are imported on first use, so that a script without calls starts sooner.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kosmolua.accounts.accounts import Accounts
    from kosmolua.broker.apart import Apart
    from kosmolua.broker.backends import Backend
    from kosmolua.broker.journal import Journal
    from kosmolua.broker.options import RuntimeOptions
    from kosmolua.broker.patterns import Patterns
    from kosmolua.broker.secrets import NamedSecrets
    from kosmolua.calls.records import Mode
    from kosmolua.catalog.catalog import Catalog, Provider
    from kosmolua.catalog.kept import KeptReports
    from kosmolua.catalog.plugins import Plugins
    from kosmolua.catalog.scripts import Scripts
    from kosmolua.check.checker import Checker
    from kosmolua.check.report import Report
    from kosmolua.docs import Library
    from kosmolua.flow.labels import LabelRules
    from kosmolua.mcp_client.servers import Servers
    from kosmolua.recordings.kept_plans import KeptPlans
    from kosmolua.recordings.sealing import Sealer
    from kosmolua.recordings.signing import Signer
    from kosmolua.secret import Redactor
    from kosmolua.stores.budgets import Budgets
    from kosmolua.stores.store import Store

MAX_REPORTS = 64
"""How many reports on scripts are kept, for scripts that are run again."""


class Host:
    """The parts that answer scripts' requests, such as catalog, accounts and journal; each is built on first use."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self._reports: dict[tuple[bytes, str | None, tuple[str, ...]], Report] = {}
        self._environ = os.environ if options.environ is None else options.environ
        self.command_line = options.command_line
        with self.telling():
            self._accounts_source, self._accounts_path = _source_of(options.accounts, self._environ)
            self._simulate = bool(options.simulate)
            self.mode: Mode = "simulated" if options.simulate and not options.backend else "live"
            self._simulator_state = None if isinstance(options.simulate, bool) else options.simulate
            self._journal_path = None if isinstance(options.journal, bool) else options.journal
            self._tenancy = options.tenancy
            self.read_only = options.read_only
            self.require_isolation = options.require_isolation
            self.yes = options.yes
            self.approve = options.approve
            self.limits = options.limits or self._limits_in_file()  # scripts are read within it
            if options.plugins or self._accounts_source is not None:
                self._check_sections()
            if self._tenancy:
                self.patterns(f"[{self._tenancy.section}] permissions:", self._tenancy.functions)
            if name := options.toolkit:
                self.patterns(f"[toolkits.{name}] functions:", self.accounts.sections.toolkit(name), takes_scripts=True)
            self.budgets  # noqa: B018 - a pattern that matches no function is an error here
            self.allow = self.patterns("--allow", options.allow)
            self.deny = self.patterns("--deny", options.deny, takes_scripts=True)
            self.allow_flow = self.patterns("--allow-flow", options.allow_flow)
            if options.secrets:
                self.secrets  # noqa: B018 - fetches the secrets, so that a missing one is an error here
            if self._simulator_state is not None:
                self.backend  # noqa: B018 - reads the file, so that an unreadable file is an error here
            if self._journal_path is not None or (
                self._accounts_source is not None and self.accounts.sections.journal_required
            ):
                self.journal  # noqa: B018 - opens the file, so that a failure to open it is an error here

    @property
    def is_served(self) -> bool:
        """Whether a server runs the scripts, whose readers pass no options."""
        return self._tenancy is not None

    def tell(self, error: KosmoError) -> None:
        """Let an error name parameters of Python, unless a command line reads it."""
        if not self.command_line:
            error.name_parameters()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """:meth:`tell` the errors that the block raises."""
        try:
            yield
        except KosmoError as error:
            self.tell(error)
            raise

    def _limits_in_file(self) -> Limits:
        return Limits() if self._accounts_source is None else self.accounts.sections.limits(Limits())

    @lazy
    def plugins(self) -> Plugins:
        """The integrations that are bundled, installed, in the user's folder, or passed to the runtime."""
        from kosmolua.catalog.plugins import Plugins

        given = self._options.plugins
        return given if isinstance(given, Plugins) else Plugins(given)

    @lazy
    def accounts(self) -> Accounts:
        """The accounts of every integration."""
        from kosmolua.accounts import accounts

        return accounts.read(
            self._accounts_source,
            usual=self._accounts_path,
            environ=self._environ,
            redactor=self.redactor,
            simulate=self._simulate,
            warn=self._options.warn,
            servers={name: dict(server) for name, server in (self._options.servers or {}).items()},
            ceiling=self._tenancy.ceiling if self._tenancy else None,
        )

    @lazy
    def flow_mode(self) -> str:
        """What happens to calls whose destination a text by somebody else decided: what the stricter file says."""
        from kosmolua.schema.labels import FLOW_MODES

        own = self.accounts.sections.flow.get("mode", self._options.flow)
        least = self._tenancy.flow if self._tenancy else None
        return max(str(own), least or FLOW_MODES[0], key=FLOW_MODES.index)

    def people_for(self, effect: str) -> int:
        """Return how many people must approve a call with this effect that is asked about."""
        return int(self.accounts.sections.approvals.get(effect, 1))

    @lazy
    def budgets(self) -> Budgets | None:
        """How much scripts may do in an hour or a day; None if the accounts file does not say, or nothing is sent."""
        if self.mode == "simulated" or self._accounts_source is None or not self.accounts.sections.has_budgets:
            return None
        from kosmolua.stores.budgets import Budgets

        return Budgets(
            self.accounts, lambda each: self.patterns("[kosmolua.budgets]", each)[0].fitting, lambda: self.store
        )

    @lazy
    def labels(self) -> LabelRules:
        """The labels of all functions."""
        from kosmolua.flow.labels import LabelRules

        flow = self.accounts.sections.flow
        can_trust = self._tenancy is None or self._tenancy.can_trust
        return LabelRules(flow.get("trusted", ()), flow.get("origins"), can_trust=can_trust)

    @lazy
    def servers(self) -> Servers:
        """The MCP servers that the accounts file names, and those that were passed to the runtime."""
        from kosmolua.calls.records import current_confirm
        from kosmolua.mcp_client.servers import Servers

        return Servers(
            self.accounts,
            self._environ,
            offline=self._simulate,
            trace=self._trace_line if self._options.trace else None,
            changed=lambda: vars(self).pop("docs", None),
            confirm=current_confirm,
            timeout=self._seconds_for_a_call,
            warn=self._options.warn,
        )

    def _seconds_for_a_call(self) -> float:
        limit = countdown.get()
        return limit.seconds if limit else min(self.limits.call_timeout, self.limits.timeout)

    @lazy
    def secret_names(self) -> Sequence[str]:
        """The names of the secrets that scripts may use."""
        in_file = () if self._accounts_source is None else self.accounts.sections.secrets
        return sorted({*(self._options.secrets or ()), *in_file})

    @lazy
    def secrets(self) -> NamedSecrets:
        """The secrets that scripts may use."""
        from kosmolua.broker.secrets import NamedSecrets

        return NamedSecrets(
            self._options.secrets or {},
            self.accounts,
            self.redactor,
            environ=self._environ,
            simulate=self._simulate,
            warn=self._options.warn,
        )

    @lazy
    def catalog(self) -> Catalog:
        """The catalog, which finds the integration, account and function that a path under ``app`` names."""
        from kosmolua.catalog.catalog import Catalog

        providers: list[Provider] = [self.plugins, self.servers, self.scripts]
        if name := self._options.toolkit:
            from kosmolua.catalog.toolkits import ToolkitProvider

            patterns = self.accounts.sections.toolkit(name)
            providers = [ToolkitProvider(each, patterns) for each in providers]
        return Catalog(providers, self.accounts)

    def checker(
        self, account: str | None = None, secrets: Sequence[str] | None = None, *, is_complete: bool = True
    ) -> Checker:
        """Return a checker, which checks scripts against the integrations, accounts and secrets.

        By default it knows the names of all secrets of the host. If it is not complete, the run can get more, and
        without an accounts file the checker then ignores the names of secrets.
        """
        from kosmolua.check.checker import Checker
        from kosmolua.lua.values import Secrets

        names = tuple(self.secret_names if secrets is None else secrets)
        is_known = is_complete or self._accounts_source is not None
        way = Secrets(()).way if self.command_line else 'secrets={{"{name}": SOURCE}} gives one'
        known = Secrets(names, is_complete, way) if is_known else None
        if self._apart:
            from kosmolua.broker.apart import ApartChecker

            return ApartChecker(self.catalog, known, account, self._apart)
        return Checker(self.catalog.preferring(account), known)

    def report(self, source: bytes, account: str | None, secrets: Sequence[str]) -> Report:
        """Check a script that is about to run, unless it was checked lately.

        A script that may use servers or other scripts, whose functions can change, is checked each time, and so is one
        for which something has to be set up. Of a report that an earlier process kept, there is what a run needs.
        """
        from kosmolua.schema.names import ROOT

        key = source, account, tuple(secrets)
        report = self._reports.get(key)
        if report is None:
            changing = (root.encode() for root in self.catalog.roots() if root != ROOT)
            can_keep = not any(root in source for root in changing)
            kept = self._kept_reports(account, secrets) if can_keep else None
            report = kept.find(source) if kept else None
            if report is None:
                report = self.checker(account, secrets).check(source)
                if kept:
                    kept.keep(source, report)
            if not report.unconfigured and can_keep:
                for oldest in [*self._reports][: len(self._reports) - MAX_REPORTS + 1]:
                    self._reports.pop(oldest, None)
                self._reports[key] = report
        return report

    def _kept_reports(self, account: str | None, secrets: Sequence[str]) -> KeptReports | None:
        if not self.command_line or self._apart or self._options.toolkit:
            return None
        from kosmolua.catalog.kept import KeptReports

        key = account, tuple(secrets), self._simulate, self.accounts.digest
        return KeptReports(self.catalog.preferring(account), self.plugins.files, key)

    @lazy
    def scripts(self) -> Scripts:
        """The user's own scripts."""
        from kosmolua.catalog.scripts import Scripts

        return Scripts(self._scripts_folder, lambda: self.catalog, lambda: self.limits.max_source)

    @property
    def _scripts_folder(self) -> str | os.PathLike[str]:
        own = os.path.join(self._tenancy.folder, "scripts") if self._tenancy else scripts_folder()
        return self._options.scripts or own

    @lazy
    def docs(self) -> Library:
        """The documentation that scripts can list, search and read."""
        if self._apart:
            from kosmolua.broker.apart import ApartLibrary

            return ApartLibrary(self.catalog, self._apart)
        from kosmolua.docs import Library

        return Library(self.catalog)

    def load_integrations(self) -> None:
        """Load all integrations, and compile documents that have changed, in another process if there is one."""
        found = [more for each in self.catalog.loadable() if (more := each.functions.more)]
        if self._apart and not all(more.is_compiled for more in found):
            with suppress(WorkerLost, Busy):
                self._apart.load()
        for more in found:
            with suppress(ConfigError):  # the first call raises the same error
                more.names()

    @lazy
    def _apart(self) -> Apart | None:
        """Lets other processes check and search; None if only this one can, which knows MCP servers and objects."""
        if not self._options.apart or self.servers.names():
            return None
        from kosmolua.broker.apart import Apart

        try:
            packed = self._options.but(
                accounts=self._accounts_source,
                simulate=self._simulate,
                scripts=self._scripts_folder,
                **dict.fromkeys(("backend", "environ", "journal", "secrets", "store", "tenancy")),
                **dict.fromkeys(("allow", "deny"), ()),
            ).packed()
        except TypeError:  # accounts or integrations were passed as objects
            return None
        client = self._tenancy.name if self._tenancy else None
        return Apart(self._options.apart, client, packed, self._environ, self.accounts.digest, Host)

    @lazy
    def redactor(self) -> Redactor:
        """The redactor, which masks all secrets that have been obtained."""
        from kosmolua.secret import Redactor

        return Redactor()

    @property
    def knows_secrets(self) -> bool:
        """Whether there is a secret to mask, as for each call that a run makes."""
        redactor: Redactor | None = vars(self).get("redactor")
        return redactor is not None and redactor.learned > 0

    def shown(self, text: str) -> str:
        """Return a text without the secrets that are known."""
        return self.redactor.text(text) if self.knows_secrets else text

    @lazy
    def journal(self) -> Journal:
        """The journal, which gets a line for each call."""
        from kosmolua.broker.journal import Journal, default_journal

        in_file = None if self._accounts_source is None else self.accounts.sections
        required = in_file is not None and in_file.journal_required and not self._simulate
        is_default = self._options.journal is True and not self._simulate
        if is_default and (in_file is None or in_file.keeps_journal):
            path = os.path.join(self._state_folder, JOURNAL)
            return default_journal(path, self.redactor, self._options.warn, required=required)
        return Journal(self._journal_path, self.redactor, self._options.warn, required=required)

    @lazy
    def backend(self) -> Backend:
        """The backend, which answers requests: services, simulators, or the one that was passed to the runtime."""
        if self._options.backend:
            return self._options.backend
        if self._simulate:
            from kosmolua.broker.backends import Simulated

            return Simulated(self._simulator_state, self._options.failures or {})
        from kosmolua.broker.backends import Live

        limits = os.path.join(self._state_folder, "limits") if self._options.share_limits else None
        return Live(lambda *of: self.accounts.option(*of), limits)

    @property
    def _state_folder(self) -> str:
        return self._tenancy.folder if self._tenancy else state_folder()

    @property
    def recordings_folder(self) -> str:
        """The folder that keeps a run's recording if the user names no file for it. The folder need not exist."""
        return os.path.join(self._tenancy.folder, "recordings") if self._tenancy else recordings_folder()

    @lazy
    def store(self) -> Store:
        """The store that keeps a run's recording if the user names no file for it."""
        from kosmolua.stores.folder_store import Folder

        return self._options.store or Folder(self.recordings_folder)

    @property
    def plans(self) -> KeptPlans:
        """The plans in the store."""
        from kosmolua.recordings.kept_plans import KeptPlans

        return KeptPlans(self.store)

    @lazy
    def signer(self) -> Signer:
        """Signs recordings and plans with the key of the store."""
        from kosmolua.recordings.signing import Signer

        return Signer(self.store)

    @lazy
    def sealer(self) -> Sealer:
        """Seals the secrets that writes replace with the key of the store."""
        from kosmolua.recordings.sealing import Sealer

        return Sealer(self.store)

    @lazy
    def helpers(self) -> Helpers:
        """The threads that read the frames of scripts, and in which the calls of Python programs run."""
        return Helpers()

    def tidy(self) -> None:
        """Remove old recordings from the store, at most once a day."""
        self.store.tidy(self.accounts.sections.recordings.keep)

    def make_room(self) -> None:
        """Remove the oldest recordings from the store if they use more than accounts file and tenant allow.

        Raises:
            LimitExceeded: They use more, and none of them can be removed.
        """
        most, where = self.accounts.sections.recordings.max_size, "max_size in [kosmolua.recordings]"
        if self._tenancy and self._tenancy.max_disk is not None and self._tenancy.max_disk < most:
            most, where = self._tenancy.max_disk, f"max_disk in [{self._tenancy.section}]"
        if not self.store.make_room(most):
            raise LimitExceeded(
                f"The recordings use more than {spell_size(most)}, and those that are left are being written or wait "
                "for an approval",
                limit="recordings",
                value=most,
                hint=f"decide about the paused runs, or raise {where}",
            )

    def patterns(self, option: str, given: str | Sequence[str], *, takes_scripts: bool = False) -> list[Patterns]:
        """Return the patterns of functions that were passed with an option; an empty list if there were none.

        Raises:
            ConfigError: A pattern matches no function.
        """
        if not given:
            return []
        from kosmolua.broker.patterns import Patterns

        patterns = [given] if isinstance(given, str) else given
        return [Patterns(option, patterns, self.catalog, takes_scripts=takes_scripts)]

    def places(self) -> dict[str, object]:
        """Return where accounts, integrations, scripts and simulators are, as fields for the header of a recording."""
        named = self._accounts_source if isinstance(self._accounts_source, str) else None
        given, scripts = self._options.plugins, self._options.scripts
        plugins = given if isinstance(given, (list, tuple)) else [given]
        return {
            "accounts": named and os.path.abspath(named),
            "plugins": [os.path.abspath(each) for each in plugins if isinstance(each, (str, os.PathLike))],
            "scripts": scripts and os.path.abspath(scripts),
            "simulate": self._simulate,
            "simulate_state": self._simulator_state and os.path.abspath(self._simulator_state),
            "simulate_fail": dict(self._options.failures or {}),
        }

    def close(self) -> None:
        """Close the connections and the journal."""
        built = vars(self)
        for part in (built.get("servers"), built.get("backend"), built.get("journal"), built.get("helpers")):
            if part:
                part.close()

    def start_anew(self) -> None:
        """Drop the connections and locks of the parent process. This is called in the new process after a fork."""
        if servers := vars(self).get("servers"):
            servers.start_anew()
        live = () if self._options.backend or self._simulate else ("backend",)
        forget(self, "helpers", *live)

    def _trace_line(self, server: str, line: str) -> None:
        """Pass a line that an MCP server printed or logged to the runtime's ``trace``, with secrets masked."""
        if self._options.trace:
            self._options.trace(f"{server}: {self.redactor.text(line)}")

    def _check_sections(self) -> None:
        """Warn about each section whose integration is not installed: scripts need not call it."""
        plugins = self.plugins  # raises an error if a given file is missing, even without sections
        for name in self.accounts.sections.names():
            try:
                plugins.require(name, f"{self.accounts.path}: [{name}]")
            except ConfigError as error:
                self._options.warn(error.message)


def _source_of(
    accounts: str | os.PathLike[str] | Mapping[str, Any] | None, environ: Mapping[str, str]
) -> tuple[str | Mapping[str, Any] | None, str]:
    """Return the accounts file's path or content (None if there is no file), and a name for the file in messages."""
    if isinstance(accounts, Mapping):
        return accounts, "the accounts passed to the runtime"
    path, exists = accounts_file(accounts, environ)
    return (path if exists else None), path
