"""``kosmolua doctor``: show what is set up, which problems there are, and which command to run next."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from kosmolua import __version__, container
from kosmolua.accounts.accounts import NOT_LOGGED_IN
from kosmolua.accounts.sections import SERVE, TENANTS
from kosmolua.accounts.sources import SOURCES
from kosmolua.cli import console, terminal
from kosmolua.cli.console import status_of
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, listing_options
from kosmolua.cli.program import BUILT_IN
from kosmolua.cli.scripts import open_to_list
from kosmolua.cli.tenants import common_options
from kosmolua.clients.installation import Installation
from kosmolua.clients.known import CLIENTS
from kosmolua.entry_points import COMMANDS, SECRETS, STORES, function_of, installed, the_one
from kosmolua.errors import KosmoError, PluginError
from kosmolua.escaping import visible
from kosmolua.folders import accounts_file, state_folder
from kosmolua.limits import MIB
from kosmolua.runs.telemetry import asks_for_spans
from kosmolua.runtime import Runtime
from kosmolua.schema.names import FLAT, SERVERS, lua_path, root_and_name
from kosmolua.schema.settings import parse
from kosmolua.stores.opening import DATABASES

EXTRAS = {
    "repl": ("prompt_toolkit", "pygments"),
    "mcp": ("mcp",),
    "serve": (
        "mcp",
        "authlib",
        "prometheus_client",
        "jwt",
        "cryptography",
        "jinja2",
        "itsdangerous",
        "markdown_it",
        "pygments",
    ),
    "postgres": ("sqlalchemy", "psycopg"),
    "otel": ("opentelemetry.trace",),
    "undo": ("cryptography.fernet",),
    "keyring": ("keyring",),
    "notify": ("apprise",),
    "vault": ("hvac",),
    "aws": ("boto3",),
    "graphql": ("graphql",),
    "lsp": ("pygls",),
    "oauth": ("authlib", "jwt"),
    "openapi": ("yaml",),
    "dask": ("distributed",),
}
"""The optional parts of the package, and the modules that each needs."""
EXTRA = "extra "
MIN_MEMORY, MIN_THREADS = 256 * MIB, 64
"""What a server needs for a few scripts at once: bytes, and processes and threads together."""
EXPORTER = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
FIRST_RUN = "kosmolua run --simulate -e 'print({path})'"


class Diagnosis(NamedTuple):
    """The result of one check of the installation.

    Args:
        subject: What was checked, such as ``sandbox``.
        state: ``ok``; ``note`` if something optional is missing; or ``error``.
        words: The result, in one sentence.
        command: What to do: usually a command that corrects the problem or is a next step; or empty.
        status: The exit status of ``kosmolua doctor`` if this is the worst result; 0 unless this is an error.
    """

    subject: str
    state: str
    words: str
    command: str = ""
    status: int = 0

    @classmethod
    def of(cls, subject: str, error: KosmoError, command: str) -> Diagnosis:
        """Return the finding for a check that ended with an error, with the command that corrects it."""
        return cls(subject, "error", str(error), command, status_of(error))


@click.command("doctor", cls=Command, epilog=examples("kosmolua doctor", "kosmolua doctor --accounts accounts.toml"))
@listing_options
def command(options: Options) -> int:
    """Show what is set up, which problems there are, and which command to run next. Nothing is sent to any service.

    The exit status is 0 if nothing is wrong. If something optional is missing, a note says so, which is not an error.
    """
    findings = list(_examine(options))
    following = _next(findings)
    if options.json:
        checks = [{name: value for name, value in each._asdict().items() if name != "status"} for each in findings]
        console.as_json({"checks": checks, "next": following})
    else:
        _show(findings)
        console.say(f"Next: {following}")
    return max(each.status for each in findings)


def _show(findings: Sequence[Diagnosis]) -> None:
    """Write the findings: to a terminal with the extras together, so that they fit on a screen."""
    if not terminal.on_terminal():
        rows = [[each.subject, each.state, each.words, each.command] for each in findings]
        console.table("Doctor", ["what", "state", "found", "to do"], rows)
        return
    size = max(len(each.subject) for each in findings if not each.subject.startswith(EXTRA))
    room, indent = terminal.width(), " " * (size + 4)
    for each in _together(findings):
        mark = terminal.styled(terminal.mark(each.state), each.state)
        to_do = f" ({each.command})" if each.command and each.state != "ok" else ""
        line = f"{mark} {each.subject:<{size}}".replace(" ", terminal.JOINT)
        console.shown(terminal.broken(f"{line}  {visible(each.words + to_do)}", room, indent))


def _together(findings: Sequence[Diagnosis]) -> Iterator[Diagnosis]:
    """Yield the findings, with one for all extras that are installed, and one for all that are missing."""
    extras = [each for each in findings if each.subject.startswith(EXTRA)]
    for each in findings:
        if each not in extras:
            yield each
        elif each is extras[0]:
            for state in ("ok", "note"):
                names = [extra.subject.removeprefix(EXTRA) for extra in extras if extra.state == state]
                words = f"{', '.join(names)}" if state == "ok" else f"without {', '.join(names)}"
                command = "" if state == "ok" else f"pip install 'kosmolua[{','.join(names)}]'"
                if names:
                    yield Diagnosis("extras", state, words, command)


def _examine(options: Options) -> Iterator[Diagnosis]:
    yield Diagnosis("program", "ok", f"kosmolua {__version__}, Python {platform.python_version()}, {platform.system()}")
    yield from _folders()
    yield from (_extra(extra, modules) for extra, modules in EXTRAS.items())
    if asks_for_spans(os.environ):
        yield _collector()
    yield from _packages()
    yield _container()
    yield _sandbox()
    yield from _clients()
    try:
        runtime = open_to_list(options)
    except KosmoError as error:
        yield Diagnosis.of("accounts file", error, "correct the file")
        return
    with runtime:
        yield _accounts_file(runtime)
        yield _journal(runtime)
        for name in runtime.catalog.names():
            if name in FLAT:
                continue  # it has no account
            yield _integration(runtime, name)
    yield from _server(options)


def _clients() -> Iterator[Diagnosis]:
    installation = Installation(os.environ)
    for name in installation.present():
        subject, command = f"client {name}", f"kosmolua install {name}"
        try:
            entry = installation.entry(CLIENTS[name])
        except KosmoError as error:
            yield Diagnosis.of(subject, error, "correct the file")
            continue
        words = [str(each) for each in (entry or {}).values() if isinstance(each, str)]
        program = next((each for each in words if os.path.isabs(each)), "")
        if entry is None:
            yield Diagnosis(subject, "note", "without KosmoLua", command)
        elif program and not os.path.exists(program):
            yield Diagnosis(subject, "note", f"starts {program}, which is not there", command)
        else:
            yield Diagnosis(subject, "ok", "has KosmoLua")


def _folders() -> Iterator[Diagnosis]:
    folder = state_folder()
    existing = folder
    while not os.path.exists(existing) and existing != os.path.dirname(existing):
        existing = os.path.dirname(existing)
    if os.access(existing, os.W_OK | os.X_OK):
        yield Diagnosis("state folder", "ok", folder)
    else:
        yield Diagnosis("state folder", "note", f"{folder} cannot be written, so no history is kept", f"see {existing}")


def _extra(extra: str, modules: Sequence[str]) -> Diagnosis:
    missing = _missing(modules)
    if not missing:
        return Diagnosis(f"{EXTRA}{extra}", "ok", "installed")
    words = "not installed" if len(missing) == len(modules) else f"not complete: without {', '.join(missing)}"
    return Diagnosis(f"{EXTRA}{extra}", "note", words, f"pip install 'kosmolua[{extra}]'")


def _packages() -> Iterator[Diagnosis]:
    """Check the entry points of other packages. Those of integrations and providers are checked as integrations."""
    groups: dict[str, tuple[str, Collection[str]]] = {
        COMMANDS: ("command", BUILT_IN),
        SECRETS: ("source", SOURCES),
        STORES: ("store", DATABASES),
    }
    for group, (kind, own) in groups.items():
        for name, points in installed(group).items():
            subject, package = f"{kind} {name}", points[0].package
            if all(each.value.startswith("kosmolua.") for each in points):
                continue  # one of our own, with an extra
            if name in own:
                words = f"that of the package {package} is never used, since this name is built in"
                yield Diagnosis(subject, "note", words)
                continue
            try:
                function_of(the_one(points))
            except PluginError as error:
                yield Diagnosis.of(subject, error, str(error.hint))
            else:
                yield Diagnosis(subject, "ok", f"from the package {package}")


def _collector() -> Diagnosis:
    """Check whether the packages that send spans to the OpenTelemetry collector in the environment are installed."""
    if missing := _missing(EXPORTER):
        words = f"the environment names a collector, but {', '.join(missing)} is missing, which sends spans to it"
        command = "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        return Diagnosis("spans", "note", words, command)
    return Diagnosis("spans", "ok", "sent to the collector that the environment names")


def _missing(modules: Sequence[str]) -> list[str]:
    return [module for module in modules if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that would contain it is missing
        return False


def _container() -> Diagnosis:
    """Check whether the container, or else the machine, has room for scripts."""
    memory, processors, processes = container.memory(), container.processors(), container.processes()
    threads = f"{processes:,} threads" if processes else "any number of threads"
    words = f"{memory // MIB:,} MiB of memory, {processors or os.cpu_count() or 1:g} processors, {threads}"
    if memory < MIN_MEMORY or (processes or MIN_THREADS) < MIN_THREADS:
        return Diagnosis("container", "note", f"small for a server: {words}", "kosmolua docs serving")
    return Diagnosis("container", "ok", words)


def _sandbox() -> Diagnosis:
    """Check whether the sandbox runs a script with all isolation layers, or else with those that the system has."""
    try:
        with Runtime({}, require_isolation=True, command_line=True) as strict, Runtime({}) as plain:
            outcome = strict.run("return 1")
            missing = outcome.error
            if missing:
                outcome = plain.run("return 1")
    except KosmoError as error:
        return Diagnosis.of("sandbox", error, "kosmolua docs sandbox")
    if outcome.error:
        return Diagnosis.of("sandbox", outcome.error, "kosmolua docs sandbox")
    if missing:
        return Diagnosis("sandbox", "note", str(missing), "kosmolua docs sandbox")
    return Diagnosis("sandbox", "ok", f"scripts run; isolation: {', '.join(outcome.usage.isolation or ())}")


def _accounts_file(runtime: Runtime) -> Diagnosis:
    path = runtime.catalog.accounts_path
    if path.exists():
        return Diagnosis("accounts file", "ok", str(path))
    return Diagnosis("accounts file", "note", f"{path} does not exist", "kosmolua accounts example")


def _journal(runtime: Runtime) -> Diagnosis:
    accounts = runtime.accounts
    if accounts.sections.journal_required:
        return Diagnosis("journal", "ok", "required: a write that it cannot record is refused (journal_required)")
    if accounts.sections.keeps_journal:
        return Diagnosis("journal", "ok", "kept; writes go on if it cannot be written (journal_required = false)")
    return Diagnosis("journal", "note", "off: only --journal FILE keeps one", "kosmolua docs journal")


def _integration(runtime: Runtime, name: str) -> Diagnosis:
    subject = f"integration {name}"
    try:
        accounts = runtime.catalog.accounts(name)
        runtime.catalog.permissions(name)
    except KosmoError as error:
        root, bare = root_and_name(name)
        return Diagnosis.of(subject, error, f"kosmolua {'servers' if root == SERVERS else 'integrations'} check {bare}")
    integration = runtime.catalog.listed(name)
    out = [each for each in accounts if runtime.accounts.login_state(integration, each) == NOT_LOGGED_IN]
    if accounts and len(out) == len(accounts):
        return Diagnosis(subject, "note", f"not logged in: {', '.join(out)}", f"kosmolua accounts login {name}")
    if accounts:
        following = f"kosmolua accounts check {name}" if integration.identify else f"kosmolua docs {name}"
        return Diagnosis(subject, "ok", f"accounts: {', '.join(accounts)}", following)
    return Diagnosis(subject, "note", "no account", f"kosmolua accounts example {name}")


def _server(options: Options) -> Iterator[Diagnosis]:
    """Check the settings of ``kosmolua serve``, if the accounts file has some and the server's packages are there."""
    path, exists = accounts_file(options.accounts, os.environ)
    if not exists or not {SERVE, TENANTS} & parse(Path(path)).keys() or _missing(EXTRAS["serve"]):
        return
    from kosmolua.serve.checking import examine

    for each in examine(path, common_options(options)):
        subject = f"server: {each.subject}"
        if each.error:
            yield Diagnosis.of(subject, each.error, "kosmolua serve --check")
        else:
            yield Diagnosis(subject, "ok", each.words)


def _next(findings: list[Diagnosis]) -> str:
    """Return the command that the user should run next: the remedy for the first error, or a first step."""
    wrong = next((each for each in findings if each.state == "error"), None)
    if wrong:
        return wrong.command or f"see {wrong.subject} above"
    integrations = [each for each in findings if each.subject.startswith("integration ")]
    usable = next((each for each in integrations if each.state == "ok"), None)
    if usable:
        return usable.command
    name = integrations[0].subject.rpartition(" ")[2] if integrations else ""
    return FIRST_RUN.format(path=lua_path(name)) if name else "kosmolua integrations new NAME"
