"""Stores in a database: recordings and questions of many tenants, for any number of processes and hosts.

Every statement names the tenant. A line is appended by statements that fail for all but the holder of the recording's
lease, so that a host which lost it, and comes back, can write nothing any more.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.expression import ColumnElement

from kosmolua.broker.database import LEASE, LINES, QUESTIONS, RECORDINGS, Database, Now, is_held
from kosmolua.broker.recording import Event, Recording, read
from kosmolua.broker.sheets import in_use
from kosmolua.broker.store import (
    APPROVAL_DAYS,
    DAY,
    DEFAULT_RUNS,
    RUN_ID,
    Decision,
    Summary,
    Waiting,
    checked_tenant,
    missing,
    paused_calls,
    waits,
)
from kosmolua.errors import ConfigError, KosmoError

PATIENCE = 20.0
"""Seconds for which a run waits for a database that is gone, before it ends."""
ASK_PATIENCE = 5.0
"""Seconds for which a question is tried to be put; somebody at the script's client may be asked all the same."""
PRUNED = "pruned"
"""Holds the lease of a recording that is being removed."""


class DatabaseStores:
    """The stores of all tenants in one database, whose tables are made on first use.

    Args:
        address: Such as ``postgresql://user:password@host/name`` or ``sqlite:///path``.

    Raises:
        ConfigError: It is not the address of a database that can be used here.
    """

    def __init__(self, address: str) -> None:
        self._database = Database(address)

    def of(self, tenant: str) -> DatabaseStore:
        """Return the store of a tenant."""
        return DatabaseStore(self._database, checked_tenant(tenant))

    def close(self) -> None:
        """Close all connections."""
        self._database.close()


class DatabaseStore:
    """The recordings and questions of one tenant in a database.

    Args:
        database: The database.
        tenant: The tenant.
    """

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant
        self._tidied: float | None = None

    def place(self, run: str) -> Row:
        """Return where the recording of a run is, or will be."""
        if not RUN_ID.fullmatch(run):
            raise missing(run)
        return Row(self._database, self._tenant, run)

    def read(self, run: str) -> Recording:
        """Return the recording of a run."""
        return read(self.place(run))

    def runs(
        self, *, status: str | None = None, before: str | None = None, beginning: str = "", limit: int = DEFAULT_RUNS
    ) -> list[Summary]:
        """Return recorded runs, the latest first."""
        of = RECORDINGS.c
        found = sql.case((sql.and_(of.status == "running", ~is_held()), "interrupted"), else_=of.status)
        names = (of.time, of.ended, of.script, of.sha256, of.mode, of.client, of.written, of.pause)
        query = sql.select(of.run, found.label("status"), *names).where(of.tenant == self._tenant)
        query = query.where(of.run.startswith(beginning, autoescape=True), of.time != "")
        query = query.where(found == status) if status else query
        query = query.where(of.time < before) if before else query
        query = query.order_by(of.time.desc(), of.run.desc()).limit(limit)
        return [_summary(row._asdict()) for row in self._database.do(lambda at: at.execute(query).all())]

    def prune(self, keep: float) -> int:
        """Remove old recordings: they are claimed like those that are written, and then removed."""
        of = RECORDINGS.c
        waits = sql.and_(of.pause.is_not(None), of.written > Now() - APPROVAL_DAYS * DAY)
        old = sql.and_(of.tenant == self._tenant, of.written < Now() - keep, ~is_held(), ~waits)

        def remove(at: sql.Connection) -> int:
            at.execute(sql.update(RECORDINGS).where(old).values(holder=PRUNED, held_until=Now() + LEASE))
            claimed = sql.and_(of.tenant == self._tenant, of.holder == PRUNED)
            runs = sql.select(of.run).where(claimed)
            at.execute(sql.delete(LINES).where(LINES.c.tenant == self._tenant, LINES.c.run.in_(runs)))
            return at.execute(sql.delete(RECORDINGS).where(claimed)).rowcount

        return self._database.do(remove)

    def tidy(self, keep: float) -> None:
        """Remove old recordings and questions, at most once a day in this process."""
        if self._tidied is None or time.monotonic() - self._tidied > DAY:
            self._tidied = time.monotonic()
            with suppress(ConfigError):  # the next day will do
                self.prune(keep)
                of = QUESTIONS.c
                old = sql.delete(QUESTIONS).where(of.tenant == self._tenant, of.until < Now() - DAY)
                self._database.do(lambda at: at.execute(old))

    def waiting(self) -> list[Waiting]:
        """Return the calls that wait for a person."""
        of = RECORDINGS.c
        ended = sql.select(of.run, of.script, of.pause)
        ended = ended.where(of.tenant == self._tenant, of.pause.is_not(None), ~is_held())
        rows = self._database.do(lambda at: at.execute(ended).all())
        paused = [(run, script, json.loads(end)) for run, script, end in rows]
        calls = [call for run, script, end in paused if waits(end) for call in paused_calls(run, script, end)]
        return sorted([*calls, *self._asked()], key=lambda each: (each.since, each.id))

    def ask(self, question: Waiting) -> None:
        """Put a question of a run that goes on."""
        given: dict[str, object] = {
            "id": question.id,
            "run": question.run,
            "script": question.script,
            "call": json.dumps(question.call),
        }
        given |= {"tenant": self._tenant, "since": question.since, "until": question.until}
        with suppress(IntegrityError):  # the connection was lost after it was put
            self._database.do(lambda at: at.execute(sql.insert(QUESTIONS).values(given)), ASK_PATIENCE)

    def decide(self, question: str, decision: Decision) -> bool:
        """Answer a question; the first answer counts."""
        of = QUESTIONS.c
        given = {"is_approved": decision.is_approved, "decided_by": decision.by, "decided": decision.time}
        waits = (of.tenant == self._tenant, of.id == question, of.is_approved.is_(None), of.until > time.time())
        update = sql.update(QUESTIONS).where(*waits).values(given)
        return self._database.do(lambda at: at.execute(update)).rowcount == 1

    def decision(self, question: str) -> Decision | None:
        """Return the answer to a question."""
        of = QUESTIONS.c
        query = sql.select(of.is_approved, of.decided_by, of.decided)
        query = query.where(of.tenant == self._tenant, of.id == question, of.is_approved.is_not(None))
        row = self._database.do(lambda at: at.execute(query).first())
        return Decision(*row) if row else None

    def withdraw(self, question: str) -> None:
        """Remove a question and its answer."""
        of = QUESTIONS.c
        gone = sql.delete(QUESTIONS).where(of.tenant == self._tenant, of.id == question)
        with suppress(ConfigError):  # nobody is asked any more once its time is over
            self._database.do(lambda at: at.execute(gone))

    def _asked(self) -> list[Waiting]:
        of = QUESTIONS.c
        query = sql.select(of.id, of.run, of.script, of.call, of.since, of.until)
        query = query.where(of.tenant == self._tenant, of.is_approved.is_(None), of.until > time.time())
        rows = self._database.do(lambda at: at.execute(query).all())
        return [
            Waiting(name, run, script, json.loads(call), since, until) for name, run, script, call, since, until in rows
        ]


class Row:
    """A recording in a database: a row, and a row for each line.

    Args:
        database: The database.
        tenant: Whose it is.
        run: The id of the run.
    """

    def __init__(self, database: Database, tenant: str, run: str) -> None:
        self.name = run
        self._database = database
        self._key = {"tenant": tenant, "run": run}

    def read(self) -> bytes:
        """Return all lines."""
        query = sql.select(LINES.c.line).where(*_are(LINES, self._key)).order_by(LINES.c.number)
        lines = self._database.do(lambda at: at.execute(query).scalars().all())
        if not lines:
            raise missing(self.name)
        return b"".join(lines)

    def begin(self) -> RowSheet:
        """Return the sheet of a new recording."""
        holder = os.urandom(16).hex()
        given = {**self._key, "status": "running", "holder": holder}
        new = sql.insert(RECORDINGS).values(**given, written=Now(), held_until=Now() + LEASE)
        try:
            self._database.do(lambda at: at.execute(new))
        except IntegrityError:
            raise ConfigError(f"The recording {self.name} already exists") from None
        return RowSheet(self._database, self._key, holder, 0)

    def go_on(self, size: int, count: int, *, is_cut: bool) -> RowSheet:
        """Return the sheet of a recording that was read before; lines of a database are whole."""
        holder = os.urandom(16).hex()
        take = sql.update(RECORDINGS).where(*_are(RECORDINGS, self._key), ~is_held())
        take = take.values(holder=holder, held_until=Now() + LEASE)
        if not self._database.do(lambda at: at.execute(take)).rowcount:
            raise in_use(self.name)
        sheet = RowSheet(self._database, self._key, holder, count)
        query = sql.select(sql.func.count()).where(*_are(LINES, self._key))
        if self._database.do(lambda at: at.execute(query).scalar_one()) != count:
            sheet.close()
            raise ConfigError(f"The recording {self.name} has changed since it was read", hint="try again")
        return sheet

    def is_in_use(self) -> bool:
        """Return True if a run writes it just now."""
        query = sql.select(RECORDINGS.c.run).where(*_are(RECORDINGS, self._key), is_held())
        return self._database.do(lambda at: at.execute(query).first()) is not None


class RowSheet:
    """The lines of a recording in a database, for the run that holds its lease.

    Args:
        database: The database.
        key: The tenant and the run.
        holder: What names this run in the row.
        count: How many lines there are.
    """

    def __init__(self, database: Database, key: Mapping[str, str], holder: str, count: int) -> None:
        self._database = database
        self._key = key
        self._holder = holder
        self._count = count
        database.leases.add(holder)

    def append(self, line: bytes, event: Mapping[str, Any]) -> None:
        """Append a line. If the database is gone, wait for it, so that nothing is lost."""
        number = self._count + 1
        new = sql.insert(LINES).values(**self._key, number=number, line=line)
        held = sql.update(RECORDINGS).where(*_are(RECORDINGS, self._key), RECORDINGS.c.holder == self._holder)
        held = held.values(**_changes_of(event), written=Now(), held_until=Now() + LEASE)

        def append(at: sql.Connection) -> bool:
            if not at.execute(held).rowcount:
                return False
            at.execute(new)
            return True

        try:
            if not self._database.do(append, PATIENCE):
                raise self._unwritable("another run has taken it over")
        except IntegrityError:
            if self._line(number) != line:  # else the connection was lost after it was appended
                raise self._unwritable("another run has taken it over") from None
        except ConfigError as error:
            raise self._unwritable(error.what) from None
        self._count = number

    def sync(self) -> None:
        """Do nothing: a line is where a power cut leaves it once it is appended."""

    def read(self) -> bytes:
        """Return all lines."""
        query = sql.select(LINES.c.line).where(*_are(LINES, self._key)).order_by(LINES.c.number)
        return b"".join(self._database.do(lambda at: at.execute(query).scalars().all(), PATIENCE))

    def replace(self, lines: Sequence[bytes]) -> None:
        """Replace all lines, and what the row has of them."""
        events = [json.loads(line) for line in (lines[0], lines[-1])]
        row = sql.update(RECORDINGS).where(*_are(RECORDINGS, self._key)).values(written=Now())
        for event in events:
            row = row.values(**_changes_of(event))

        def replace(at: sql.Connection) -> None:
            at.execute(sql.delete(LINES).where(*_are(LINES, self._key)))
            at.execute(
                sql.insert(LINES),
                [{**self._key, "number": number, "line": line} for number, line in enumerate(lines, start=1)],
            )
            at.execute(row)

        self._database.do(replace, PATIENCE)

    def close(self) -> None:
        """Give up the lease; if the database is gone, it ends by itself."""
        self._database.leases.drop(self._holder)
        mine = (*_are(RECORDINGS, self._key), RECORDINGS.c.holder == self._holder)
        with suppress(ConfigError):
            free = sql.update(RECORDINGS).where(*mine).values(holder=None, held_until=None)
            self._database.do(lambda at: at.execute(free))

    def _line(self, number: int) -> bytes | None:
        query = sql.select(LINES.c.line).where(*_are(LINES, self._key), LINES.c.number == number)
        return self._database.do(lambda at: at.execute(query).scalar(), PATIENCE)

    def _unwritable(self, why: str) -> KosmoError:
        hint = "resume the run once it can be written"
        return KosmoError(f"The recording {self._key['run']} can no longer be written: {why}", hint=hint)


def _are(table: sql.Table, key: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """Return the conditions for the rows of a tenant's run."""
    return [table.c[name] == value for name, value in key.items()]


def _changes_of(event: Mapping[str, Any]) -> dict[str, object]:
    """Return what an event changes in the row of its recording."""
    if event["event"] == "run":
        script = event["script"]
        named = {name: event[name] for name in ("time", "mode", "client")}
        return {**named, "script": script["name"], "sha256": script["sha256"]}
    if event["event"] == "resumed":
        return {"status": "running", "ended": None, "pause": None}
    if event["event"] == "end":
        pause = json.dumps({name: event[name] for name in ("event", "time", "error")}) if waits(event) else None
        return {"status": event["status"], "ended": event["time"], "pause": pause}
    return {}


def _summary(row: dict[str, Any]) -> Summary:
    pause: Event = json.loads(row.pop("pause") or "{}")
    row["script"] = row["script"].removeprefix("=")
    return Summary(**row, waiting=len(pause["error"]["fields"]["calls"]) if waits(pause) else 0)
