"""The sections ``[schedules.NAME]`` and ``[hooks.NAME]`` of an accounts file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache, partial
from math import floor
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from kosmolua import protocol
from kosmolua.accounts.sections import HOOKS, SCHEDULES
from kosmolua.accounts.sources import check_secret
from kosmolua.catalog.scripts import Scripts
from kosmolua.errors import CallError, ConfigError, KosmoError
from kosmolua.folders import expanded
from kosmolua.limits import DURATION
from kosmolua.lua.header import read_header
from kosmolua.protocol import NotJson
from kosmolua.schema.formats import Schedule
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.settings import SettingsFile, Table, choice, measure, table_of, text
from kosmolua.secret import Secret
from kosmolua.serve.settings import checks_of, named_tables
from kosmolua.serve.work.signatures import KINDS

if TYPE_CHECKING:
    from kosmolua.runtime import Runtime

SKIP, WAIT, ONCE = "skip", "wait", "once"
FRESH = 10.0
"""Seconds after which the secret of a hook is read from its source again."""
MAX_RETRIES = 20
MAX_NAME = 40
_FIXED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True)
class ScheduleSettings:
    """A script that runs again and again.

    Args:
        name: The name of the schedule.
        script: The file of the script, or the name of a saved one.
        cron: When it runs, as a cron expression; empty if it has ``every``.
        every: After how many seconds it runs again, counted from 1970 on; 0 if it has ``cron``.
        timezone: The time zone of the cron expression.
        params: What the script finds in ``params``.
        overlap: Whether a tick is skipped or waits while the run of an earlier one is under way.
        missed: Whether ticks that no server was there for are skipped, or made up for by one run.
        retries: How many times a run is tried again that failed by an error that may pass.
    """

    name: str
    script: Annotated[str, text]
    cron: Annotated[str, _cron] = ""
    every: Annotated[float, _every] = 0.0
    timezone: Annotated[ZoneInfo, _zone] = field(default_factory=lambda: ZoneInfo("UTC"))
    params: Annotated[Mapping[str, Any], _params] = field(default_factory=dict)
    overlap: Annotated[str, choice((SKIP, WAIT))] = SKIP
    missed: Annotated[str, choice((SKIP, ONCE))] = SKIP
    retries: Annotated[int, _retries] = 0

    def next_after(self, moment: float) -> float:
        """Return the first tick after a moment; both are in seconds since 1970.

        Where the clock is put forward, a tick that falls into the gap comes at its end. Where it is put back, one that
        would come twice comes once, except for those of expressions such as ``*/5 * * * *``.
        """
        if self.every:
            return (floor(moment / self.every) + 1) * self.every
        local = datetime.fromtimestamp(moment, timezone.utc).astimezone(self.timezone)
        return next(CronSim(_FIXED.get(self.cron, self.cron), local)).timestamp()

    @property
    def rule(self) -> str:
        """When it runs, for people."""
        zone = f" ({self.timezone.key})" if self.timezone.key != "UTC" else ""
        return f"{self.cron}{zone}" if self.cron else f"every {self.every:g} s"


@dataclass(frozen=True)
class HookSettings:
    """A script that runs when a service calls.

    Args:
        name: The name of the hook, which is a part of its address.
        script: The file of the script, or the name of a saved one.
        signature: How the service proves that it calls.
        secret: What the service shares with this server: a text, or a table with its source.
        retries: See :class:`ScheduleSettings`.
    """

    name: str
    script: Annotated[str, text]
    signature: Annotated[str, choice(KINDS)]
    secret: Annotated[Any, check_secret]
    retries: Annotated[int, _retries] = 0


class HookSecret:
    """The secret of a hook, which can change at its source while the server runs.

    Raises:
        ConfigError: The source does not provide it.
    """

    def __init__(self, read: Callable[[], Secret]) -> None:
        self._read = read
        self._reading = Lock()
        self._known: Secret | ConfigError = read()
        self._until = monotonic() + FRESH

    def now(self) -> Secret:
        """Return the secret, as its source had it within the last :data:`FRESH` seconds.

        Raises:
            ConfigError: The source does not provide it any more.
        """
        if monotonic() > self._until and self._reading.acquire(blocking=False):  # while one reads, none else waits
            try:
                self._known = self._read()
            except ConfigError as error:
                self._known = error
            finally:
                self._until = monotonic() + FRESH
                self._reading.release()
        if isinstance(self._known, ConfigError):
            raise self._known
        return self._known


@dataclass(frozen=True)
class WorkSettings:
    """The schedules and hooks of a tenant, by name, with the secrets of the hooks.

    ``folder`` is that of the accounts file, which the files of scripts are relative to.
    """

    schedules: Mapping[str, ScheduleSettings] = field(default_factory=dict)
    hooks: Mapping[str, HookSettings] = field(default_factory=dict)
    secrets: Mapping[str, HookSecret] = field(default_factory=dict)
    folder: Path = Path()

    def source_of(self, script: str, scripts: Scripts) -> tuple[str, bytes]:
        """Return the name and the text of a script that a schedule or hook names.

        Raises:
            ConfigError: It cannot be read.
        """
        try:
            if not is_file(script):
                found = scripts.script(re.sub(r"\W", "_", script))
                return found.file, found.source
            path = self.folder / expanded(script)
            return path.name, path.read_bytes()
        except CallError as error:
            raise ConfigError(error.what, hint=error.hint) from None
        except OSError as error:
            raise ConfigError(f"The script {self.folder / script} cannot be read: {error.strerror}") from None

    def refuse_mistakes(self, file: SettingsFile, runtime: Runtime) -> None:
        """Refuse a script that is not there or needs a person, and parameters that do not fit its header.

        Raises:
            ConfigError: With the place in the accounts file.
        """
        source_of = cache(lambda script: self.source_of(script, runtime.scripts))
        for kind, named in ((SCHEDULES, self.schedules), (HOOKS, self.hooks)):
            for each in named.values():
                try:
                    name, source = source_of(each.script)
                    if isinstance(each, ScheduleSettings):
                        read_header(source, name).bind(name, dict(each.params))
                    if personal := personal_accounts(runtime, source):
                        what = f"{name} uses {personal[0]}, which acts on behalf of the person who is logged in"
                        hint = "use an account without on_behalf: nobody is logged in when this runs"
                        raise ConfigError(what, hint=hint)
                except KosmoError as error:
                    raise file.wrong(f"[{kind}.{each.name}] {error.what}", kind, each.name, hint=error.hint) from None


def read_work(file: SettingsFile, tables: Table, read_secret: Callable[[str, Any], Secret]) -> WorkSettings:
    """Return the schedules and hooks in the tables of an accounts file; ``read_secret`` reads the secret of a hook.

    Raises:
        ConfigError: A name, a key or a value is not valid, or a secret is missing at its source.
    """
    schedules = {
        name: _schedule(file, name, table) for name, table in named_tables(file, tables, SCHEDULES, MAX_NAME).items()
    }
    hooks = {name: _hook(file, name, table) for name, table in named_tables(file, tables, HOOKS, MAX_NAME).items()}
    secrets = {
        name: HookSecret(partial(read_secret, f"{HOOKS}.{name}.secret", each.secret)) for name, each in hooks.items()
    }
    return WorkSettings(schedules, hooks, secrets, file.path.parent)


def personal_accounts(runtime: Runtime, source: str | bytes) -> list[str]:
    """Return the accounts of a script that act on behalf of the person who is logged in, such as ``notes.work``."""
    acting = runtime.accounts.acting
    bill = runtime.checker().check(source).bill if acting else ()
    used = {(charge.path.partition(".")[0], charge.account) for charge in bill}
    return sorted(f"{integration}.{account}" for integration, account in used & acting)


def _schedule(file: SettingsFile, name: str, table: Table) -> ScheduleSettings:
    given = file.read(table, checks_of(ScheduleSettings), SCHEDULES, name)
    where, keys = f"[{SCHEDULES}.{name}]", (SCHEDULES, name)
    if "script" not in given:
        raise file.wrong(
            f"{where} names no script", *keys, hint='add script = "report.lua", or the name of a saved one'
        )
    if ("cron" in given) == ("every" in given):
        said = "has both cron and every" if "cron" in given else "says neither cron nor every"
        raise file.wrong(f"{where} {said}", *keys, hint='write one, such as cron = "0 3 * * *" or every = "10m"')
    if "timezone" in given and "every" in given:
        raise file.wrong(f"{where} timezone is only for cron", *keys, "timezone", hint="remove the key")
    return ScheduleSettings(name, **given)


def _hook(file: SettingsFile, name: str, table: Table) -> HookSettings:
    given = file.read(table, checks_of(HookSettings), HOOKS, name)
    for key in ("script", "signature", "secret"):
        if key not in given:
            hint = f"add {key} = {_EXAMPLES[key]}"
            raise file.wrong(f"[{HOOKS}.{name}] has no {key}", HOOKS, name, hint=hint)
    return HookSettings(name, **given)


_EXAMPLES = {
    "script": '"report.lua", or the name of a saved script',
    "signature": " or ".join(f'"{each}"' for each in KINDS),
    "secret": '{ env = "HOOK_SECRET" }',
}


def is_file(script: str) -> bool:
    """Return True if a script is named by its file, and not by the name under which it was saved."""
    return script.endswith(".lua") or os.sep in script


def _cron(value: object) -> str:
    if not Schedule().holds(text(value)):
        raise Mismatch(f'must be a cron expression whose time comes, such as "0 3 * * *", not {value!r}')
    return str(value)


def _every(value: object) -> float:
    seconds = float(measure(DURATION, 'a duration such as "10m"')(value))
    if seconds < 1:
        raise Mismatch("must be at least a second")
    return seconds


def _zone(value: object) -> ZoneInfo:
    try:
        return ZoneInfo(text(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Mismatch(f'must be a time zone such as "Europe/Berlin", not {value!r}') from None


def _params(value: object) -> Table:
    table: Table = table_of("a table, such as { days = 7 }")(value)
    try:
        protocol.encode(table)
    except NotJson as error:
        raise Mismatch(f"must have values that JSON can represent: {error}") from None
    return table


def _retries(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RETRIES:
        raise Mismatch(f"must be a whole number from 0 to {MAX_RETRIES}")
    return value
