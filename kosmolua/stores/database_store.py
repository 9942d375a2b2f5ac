"""Stores in a database: recordings, questions and grants of many tenants, for any number of processes and hosts.

A question is a call that waits for a person's approval; a grant approves all later calls of a function with an account.
Every SQL statement is limited to one tenant, except those for the key that all servers with this database share.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from kosmolua.errors import ConfigError
from kosmolua.recordings.recording import Event, Recording, read
from kosmolua.stores.database import LEASE, Database
from kosmolua.stores.database_recording import Row
from kosmolua.stores.database_slots import DatabaseSlot, DatabaseSlots
from kosmolua.stores.database_tasks import DatabaseTasks, due_tenants
from kosmolua.stores.store import (
    APPROVAL_DAYS,
    DAY,
    DEFAULT_RUNS,
    ENDED_DAYS,
    KEY_SIZE,
    RUN_ID,
    Decision,
    FleetName,
    FleetSummary,
    Grant,
    RunFilter,
    Summary,
    Vote,
    WaitingCall,
    checked_tenant,
    fleets_of,
    missing,
    pause_after,
    paused_calls,
    waits,
)
from kosmolua.stores.tables import (
    COUNTS,
    ENDED_SESSIONS,
    GRANTS,
    KEYS,
    LINES,
    MARKS,
    PLANS,
    QUESTIONS,
    RECORDINGS,
    VOTES,
    Now,
    Words,
    is_held,
)

ASK_PATIENCE = 5.0
"""Seconds to keep trying to store a question. After that, only a person at the script's client can be asked."""
KEY, RECORDINGS_KEY = "pages", "recordings"
"""The names of the key that signs the website's cookies, and of the key that signs the recordings of all tenants."""
KEY_PATIENCE = 5.0
"""How many seconds to wait for a database that starts at the same time as the server."""
PRUNED = "pruned"
"""The name that holds the lease of a recording while it is removed."""


class DatabaseStores:
    """The stores of all tenants in one :class:`Database`, which has this address and raises these errors."""

    def __init__(self, address: str) -> None:
        self._database = Database(address)
        self._slots = DatabaseSlots(self._database)

    def of(self, tenant: str) -> DatabaseStore:
        return DatabaseStore(self._database, self._slots, checked_tenant(tenant))

    def key(self) -> bytes:
        _create_key(self._database, KEY)
        key = _key_in(self._database, KEY)
        assert key
        return key

    def end_session(self, session: str) -> None:
        def end(at: sql.Connection) -> None:
            at.execute(sql.delete(ENDED_SESSIONS).where(ENDED_SESSIONS.c.until < Now()))
            at.execute(sql.insert(ENDED_SESSIONS).values(session=session, until=Now() + ENDED_DAYS * DAY))

        with suppress(IntegrityError):  # it has ended before, perhaps at another server
            self._database.do(end)

    def ended_sessions(self) -> frozenset[str]:
        query = sql.select(ENDED_SESSIONS.c.session)
        return frozenset(self._database.do(lambda at: at.execute(query).scalars().all()))

    def due_tenants(self) -> list[str]:
        return due_tenants(self._database)

    def probe(self) -> None:
        self._database.probe()

    def drop(self) -> None:
        """Let whatever waits for the database fail at once."""
        self._database.drop()

    def close(self) -> None:
        """Give back the slots that are not needed, and close all connections."""
        self._slots.close()
        self._database.close()


class DatabaseStore:
    """The recordings, plans, questions and grants of one tenant in a database."""

    def __init__(self, database: Database, slots: DatabaseSlots, tenant: str) -> None:
        self._database = database
        self._slots = slots
        self._tenant = tenant
        self.tasks = DatabaseTasks(database, tenant)
        self._tidied: float | None = None
        self._looks_at = 0.0

    def place(self, run: str) -> Row:
        if not RUN_ID.fullmatch(run):
            raise missing(run)
        return Row(self._database, self._tenant, run)

    def read(self, run: str) -> Recording:
        return read(self.place(run))

    def find_runs(self, fitting: RunFilter, start: int = 0, limit: int = DEFAULT_RUNS) -> tuple[list[Summary], int]:
        of, found = RECORDINGS.c, _status()
        equal = {found: fitting.status, of.mode: fitting.mode, of.person: fitting.person}
        wanted = [of.tenant == self._tenant, of.time != "", *(column == text for column, text in equal.items() if text)]
        wanted += [sql.or_(of.software == fitting.client, of.client == fitting.client)] if fitting.client else []
        wanted += [of.time >= fitting.since] if fitting.since else []
        wanted += [of.time < fitting.until] if fitting.until else []
        wanted += [of.writes > 0] if fitting.writes else []
        wanted += [of.fleet.startswith(f'["{fitting.fleet}",', autoescape=True)] if fitting.fleet else []
        wanted += [] if fitting.runs is None else [of.run.in_(fitting.runs)]
        wanted += [of.made.contains(f'"{fitting.integration}.', autoescape=True)] if fitting.integration else []
        lowered = (sql.func.lower(column, type_=Words) for column in (of.run, of.title, of.error, of.made))
        texts = (of.words, of.printed, *lowered)
        for word in fitting.words.lower().split():
            wanted.append(sql.or_(*(column.contains(word, autoescape=True) for column in texts)))
        order = {"title": of.title, "status": found, "worked": of.worked.desc()}.get(fitting.order, of.time.desc())
        query = sql.select(*_columns()).where(*wanted).order_by(order, of.time.desc(), of.run.desc())
        count = sql.select(sql.func.count()).select_from(RECORDINGS).where(*wanted)

        def find(at: sql.Connection) -> tuple[list[Summary], int]:
            rows = at.execute(query.offset(start).limit(limit)).all()
            return [_summary(row._asdict()) for row in rows], at.execute(count).scalar_one()

        return self._database.find(find)

    def fleets(self) -> list[FleetSummary]:
        of, found = RECORDINGS.c, _status()
        query = sql.select(of.fleet, found, sql.func.count(), sql.func.min(of.time))
        query = query.where(of.tenant == self._tenant, of.fleet.is_not(None)).group_by(of.fleet, found)
        rows = self._database.find(lambda at: at.execute(query).all())
        return fleets_of((FleetName(*json.loads(fleet)), status, count, time) for fleet, status, count, time in rows)

    def runs(
        self, *, status: str | None = None, before: str | None = None, beginning: str = "", limit: int = DEFAULT_RUNS
    ) -> list[Summary]:
        of, found = RECORDINGS.c, _status()
        query = sql.select(*_columns()).where(of.tenant == self._tenant)
        is_whole = RUN_ID.fullmatch(beginning)  # which is found without a look at all the others
        query = query.where(of.run == beginning if is_whole else of.run.startswith(beginning, autoescape=True))
        query = query.where(of.time != "")
        query = query.where(found == status) if status else query
        query = query.where(of.time < before) if before else query
        query = query.order_by(of.time.desc(), of.run.desc()).limit(limit)
        return [_summary(row._asdict()) for row in self._database.find(lambda at: at.execute(query).all())]

    def prune(self, keep: float) -> int:
        """See :meth:`Store.prune`. Each recording is locked by a lease first, so that no run can write it meanwhile."""
        old = sql.delete(PLANS).where(PLANS.c.tenant == self._tenant, PLANS.c.written < Now() - keep)
        self._database.do(lambda at: at.execute(old))
        return self._remove(RECORDINGS.c.written < Now() - keep)

    def make_room(self, most: int) -> bool:
        if (began := time.monotonic()) < self._looks_at:
            return True
        of = LINES.c
        size = sql.func.sum(sql.func.length(of.line))
        query = sql.select(of.run, size, RECORDINGS.c.written).where(of.tenant == self._tenant)
        query = query.join(RECORDINGS, sql.and_(RECORDINGS.c.tenant == of.tenant, RECORDINGS.c.run == of.run))
        query = query.group_by(of.run, RECORDINGS.c.written).order_by(RECORDINGS.c.written)
        found = self._database.do(lambda at: at.execute(query).all())
        used = sum(int(row[1]) for row in found)
        for run, size_of_run, _ in found:
            if used < most:
                break
            if self._remove(RECORDINGS.c.run == run):
                used -= int(size_of_run)
        if used < most:
            self._looks_at = time.monotonic() + pause_after(time.monotonic() - began)
        return used < most

    def _remove(self, chosen: sql.ColumnElement[bool]) -> int:
        """Remove those of the chosen recordings that are not being written and do not wait; return their number."""
        of = RECORDINGS.c
        waits = sql.and_(of.pause.is_not(None), of.written > Now() - APPROVAL_DAYS * DAY)
        waits = sql.or_(waits, of.status == "waiting")
        old = sql.and_(of.tenant == self._tenant, chosen, ~is_held(), ~waits)

        def remove(at: sql.Connection) -> int:
            at.execute(sql.update(RECORDINGS).where(old).values(holder=PRUNED, held_until=Now() + LEASE))
            claimed = sql.and_(of.tenant == self._tenant, of.holder == PRUNED)
            runs = sql.select(of.run).where(claimed)
            at.execute(sql.delete(LINES).where(LINES.c.tenant == self._tenant, LINES.c.run.in_(runs)))
            return at.execute(sql.delete(RECORDINGS).where(claimed)).rowcount

        return self._database.do(remove)

    def tidy(self, keep: float) -> None:
        if self._tidied is None or time.monotonic() - self._tidied > DAY:
            self._tidied = time.monotonic()
            with suppress(ConfigError):  # it is tried again the next day
                self.prune(keep)
                of = QUESTIONS.c
                old = sql.delete(QUESTIONS).where(of.tenant == self._tenant, of.until < Now() - DAY)
                self._database.do(lambda at: at.execute(old))

    def waiting(self) -> list[WaitingCall]:
        """Return the calls that wait for a person."""
        of = RECORDINGS.c
        ended = sql.select(of.run, of.script, of.pause)
        ended = ended.where(of.tenant == self._tenant, of.pause.is_not(None), ~is_held())
        rows = self._database.do(lambda at: at.execute(ended).all())
        paused = [(run, script, json.loads(end)) for run, script, end in rows]
        calls = [call for run, script, end in paused if waits(end) for call in paused_calls(run, script, end)]
        return sorted([*calls, *self._asked()], key=lambda each: (each.since, each.id))

    def ask(self, question: WaitingCall) -> None:
        given: dict[str, object] = {
            "id": question.id,
            "run": question.run,
            "script": question.script,
            "call": json.dumps(question.call),
        }
        given |= {"tenant": self._tenant, "since": question.since, "until": question.until}
        with suppress(IntegrityError):  # the connection was lost after the question was stored
            self._database.do(lambda at: at.execute(sql.insert(QUESTIONS).values(given)), ASK_PATIENCE)

    def decide(self, question: str, decision: Decision) -> bool:
        of = QUESTIONS.c
        given = {"is_approved": decision.is_approved, "decided_by": decision.by, "decided": decision.time}
        waits = (of.tenant == self._tenant, of.id == question, of.is_approved.is_(None), of.until > time.time())
        update = sql.update(QUESTIONS).where(*waits).values(given)
        return self._database.do(lambda at: at.execute(update)).rowcount == 1

    def decision(self, question: str) -> Decision | None:
        of = QUESTIONS.c
        query = sql.select(of.is_approved, of.decided_by, of.decided)
        query = query.where(of.tenant == self._tenant, of.id == question, of.is_approved.is_not(None))
        row = self._database.do(lambda at: at.execute(query).first())
        return Decision(*row) if row else None

    def answered(self, run: str) -> list[tuple[WaitingCall, Decision]]:
        of = QUESTIONS.c
        query = sql.select(of.id, of.script, of.call, of.since, of.until, of.is_approved, of.decided_by, of.decided)
        query = query.where(of.tenant == self._tenant, of.run == run, of.is_approved.is_not(None))
        rows = self._database.do(lambda at: at.execute(query).all())
        return [
            (WaitingCall(row.id, run, row.script, json.loads(row.call), row.since, row.until), Decision(*row[5:]))
            for row in rows
        ]

    def withdraw(self, question: str) -> None:
        of = QUESTIONS.c
        gone = sql.delete(QUESTIONS).where(of.tenant == self._tenant, of.id == question)
        with suppress(ConfigError):  # nobody is asked about it after its time is over
            self._database.do(lambda at: at.execute(gone))

    def vote(self, ballot: str, vote: Vote) -> bool:
        voter = sha256("\n".join(vote).encode()).hexdigest()
        new = sql.insert(VOTES).values(tenant=self._tenant, ballot=ballot, voter=voter, **vote._asdict())
        old = sql.delete(VOTES).where(VOTES.c.tenant == self._tenant, VOTES.c.until < Now())

        def keep(at: sql.Connection) -> None:
            at.execute(old)
            at.execute(new.values(until=Now() + APPROVAL_DAYS * DAY))

        try:
            self._database.do(keep)
        except IntegrityError:
            return False
        return True

    def unvote(self, ballot: str, vote: Vote) -> None:
        of, voter = VOTES.c, sha256("\n".join(vote).encode()).hexdigest()
        gone = sql.delete(VOTES).where(of.tenant == self._tenant, of.ballot == ballot, of.voter == voter)
        self._database.do(lambda at: at.execute(gone))

    def votes(self, ballot: str) -> list[Vote]:
        of = VOTES.c
        query = sql.select(of.person, of.sub).where(of.tenant == self._tenant, of.ballot == ballot, of.until > Now())
        return [Vote(*row) for row in self._database.do(lambda at: at.execute(query).all())]

    def grants(self) -> list[Grant]:
        of = GRANTS.c
        query = sql.select(of.path, of.account, of.since).where(of.tenant == self._tenant)
        rows = self._database.do(lambda at: at.execute(query.order_by(of.since, of.path, of.account)).all())
        return [Grant(*row) for row in rows]

    def grant(self, given: Grant) -> None:
        new = sql.insert(GRANTS).values(**asdict(given), tenant=self._tenant)

        def keep(at: sql.Connection) -> None:
            at.execute(self._without(given.path, given.account))
            at.execute(new)

        with suppress(IntegrityError):  # another person allowed the same at the same time
            self._database.do(keep)

    def revoke(self, path: str, account: str) -> None:
        self._database.do(lambda at: at.execute(self._without(path, account)))

    def key(self, *, create: bool) -> bytes | None:
        """Return the key that signs this tenant's recordings, or None. See :meth:`Store.key`."""
        if create:
            _create_key(self._database, RECORDINGS_KEY)
        key = _key_in(self._database, RECORDINGS_KEY)
        return key and hmac.digest(key, self._tenant.encode(), "sha256")

    def plan(self, id: str) -> bytes | None:
        query = sql.select(PLANS.c.plan).where(PLANS.c.tenant == self._tenant, PLANS.c.id == id)
        found = self._database.do(lambda at: at.execute(query).scalar())
        return None if found is None else bytes(found)

    def plans(self) -> list[bytes]:
        query = sql.select(PLANS.c.plan).where(PLANS.c.tenant == self._tenant)
        return [bytes(plan) for plan in self._database.do(lambda at: at.execute(query).scalars().all())]

    def put_plan(self, id: str, new: bytes, old: bytes | None) -> bool:
        given = {"plan": new, "version": sha256(new).hexdigest(), "written": Now()}
        if old is None:
            insert = sql.insert(PLANS).values(tenant=self._tenant, id=id, **given)
            try:
                self._database.do(lambda at: at.execute(insert))
            except IntegrityError:
                return False
            return True
        of = PLANS.c
        update = sql.update(PLANS).where(of.tenant == self._tenant, of.id == id)
        update = update.where(of.version == sha256(old).hexdigest()).values(given)
        return self._database.do(lambda at: at.execute(update)).rowcount == 1

    def remove_plan(self, id: str) -> None:
        gone = sql.delete(PLANS).where(PLANS.c.tenant == self._tenant, PLANS.c.id == id)
        self._database.do(lambda at: at.execute(gone))

    def slot(self, kind: str, count: int) -> DatabaseSlot:
        return self._slots.take(self._tenant, kind, count)

    def mark(self, name: str, seconds: float) -> None:
        new = sql.insert(MARKS).values(tenant=self._tenant, name=name, until=Now() + seconds)

        def keep(at: sql.Connection) -> None:
            at.execute(sql.delete(MARKS).where(MARKS.c.tenant == self._tenant, MARKS.c.until < Now()))
            at.execute(self._mark(name))
            at.execute(new)

        with suppress(IntegrityError):  # another process set it at the same time
            self._database.do(keep)

    def unmark(self, name: str) -> None:
        self._database.do(lambda at: at.execute(self._mark(name)))

    def marks(self) -> dict[str, float]:
        query = sql.select(MARKS.c.name, MARKS.c.until).where(MARKS.c.tenant == self._tenant, MARKS.c.until > Now())
        return {row.name: row.until for row in self._database.do(lambda at: at.execute(query).all())}

    def count(self, kind: str, window: int, more: int, most: int | None = None) -> int | None:
        return _count_in(self._database, self._tenant, kind, window, more, most)

    def _mark(self, name: str) -> sql.Delete:
        return sql.delete(MARKS).where(MARKS.c.tenant == self._tenant, MARKS.c.name == name)

    def _without(self, path: str, account: str) -> sql.Delete:
        of = GRANTS.c
        return sql.delete(GRANTS).where(of.tenant == self._tenant, of.path == path, of.account == account)

    def _asked(self) -> list[WaitingCall]:
        of = QUESTIONS.c
        query = sql.select(of.id, of.run, of.script, of.call, of.since, of.until)
        query = query.where(of.tenant == self._tenant, of.is_approved.is_(None), of.until > time.time())
        rows = self._database.do(lambda at: at.execute(query).all())
        return [
            WaitingCall(name, run, script, json.loads(call), since, until)
            for name, run, script, call, since, until in rows
        ]


def _count_in(database: Database, tenant: str, kind: str, window: int, more: int, most: int | None) -> int | None:
    if most is not None and more > most:
        return None
    of, key = COUNTS.c, {"tenant": tenant, "kind": kind}

    def add(at: sql.Connection) -> int | None:
        insert = postgresql.insert if at.dialect.name == "postgresql" else sqlite.insert
        new = insert(COUNTS).values(**key, window=window, count=more)
        is_later = of.window < window
        changed = {
            "count": sql.case((is_later, more), else_=of.count + more),
            "window": sql.case((is_later, window), else_=of.window),
        }
        fits = None if most is None else sql.or_(is_later, of.count + more <= most)
        upsert = new.on_conflict_do_update(index_elements=["tenant", "kind"], set_=changed, where=fits)
        if not at.execute(upsert.execution_options(preserve_rowcount=True)).rowcount:
            return None
        kept = sql.select(of.count).where(of.tenant == tenant, of.kind == kind)
        return int(at.execute(kept).scalar_one())

    return database.do(add)


def _create_key(database: Database, name: str) -> None:
    if _key_in(database, name) is None:
        new = sql.insert(KEYS).values(name=name, key=secrets.token_bytes(KEY_SIZE))
        with suppress(IntegrityError):  # another server created it first
            database.do(lambda at: at.execute(new))


def _key_in(database: Database, name: str) -> bytes | None:
    query = sql.select(KEYS.c.key).where(KEYS.c.name == name)
    found = database.do(lambda at: at.execute(query).scalar(), KEY_PATIENCE)
    return None if found is None else bytes(found)


def _status() -> sql.ColumnElement[str]:
    of = RECORDINGS.c
    return sql.case((sql.and_(of.status == "running", ~is_held()), "interrupted"), else_=of.status)


def _columns() -> list[sql.ColumnElement[Any]]:
    of = RECORDINGS.c
    plain = (of.time, of.ended, of.script, of.sha256, of.mode, of.client, of.written, of.pause, of.made, of.fleet)
    told = [sql.func.coalesce(column, "").label(column.name) for column in (of.title, of.software, of.person, of.error)]
    numbers = [sql.func.coalesce(column, 0.0).label(column.name) for column in (of.worked, of.waited)]
    return [of.run, _status().label("status"), *plain, *told, *numbers]


def _summary(row: dict[str, Any]) -> Summary:
    row["made"] = json.loads(row["made"]) if row["made"] else None
    row["fleet"] = FleetName(*json.loads(row["fleet"])) if row["fleet"] else None
    pause: Event = json.loads(row.pop("pause") or "{}")
    row["script"] = row["script"].removeprefix("=")
    return Summary(**row, waiting=len(pause["error"]["fields"]["calls"]) if waits(pause) else 0)
