"""Stores in a database: recordings, questions and grants of many tenants, for any number of processes and hosts.

Every SQL statement is limited to one tenant, except those for the key that all servers with this database share.
"""

from __future__ import annotations

import hmac
import secrets
import time
from contextlib import suppress
from hashlib import sha256
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from kosmolua.errors import ConfigError
from kosmolua.recordings.recording import Recording, read
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
    ORDERS,
    RUN_ID,
    Decision,
    FleetName,
    FleetSummary,
    Grant,
    Looks,
    RunFilter,
    Store,
    Stores,
    Summary,
    Vote,
    WaitingCall,
    checked_tenant,
    fleets_of,
    missing,
    paused_calls,
    waiting_in,
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
    rows_with,
)

ASK_PATIENCE = 5.0
"""Seconds to keep trying to store a question. After that, only a person at the script's client can be asked."""
KEY, RECORDINGS_KEY = "pages", "recordings"
"""The names of the key that signs the website's cookies, and of the key that signs the recordings of all tenants."""
KEY_PATIENCE = 5.0
"""How many seconds to wait for a database that starts at the same time as the server."""
PRUNED = "pruned"
"""The name that holds the lease of a recording while it is removed."""
_STATUS = sql.case(
    (sql.and_(RECORDINGS.c.status == "running", ~is_held()), "interrupted"), else_=RECORDINGS.c.status
).label("status")
_STORED = [each for each in Summary._fields if each not in ("status", "waiting")]
_SUMMARY = [RECORDINGS.c.pause, _STATUS, *(RECORDINGS.c[name] for name in _STORED)]
_QUESTION = [QUESTIONS.c[each] for each in WaitingCall._fields if each != "is_live"]
_DECISION = [QUESTIONS.c[name] for name in ("is_approved", "decided_by", "decided")]


class DatabaseStores(Stores):
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
        ended = sql.insert(ENDED_SESSIONS).values(session=session, until=Now() + ENDED_DAYS * DAY)
        self._database.add(ended, sql.delete(ENDED_SESSIONS).where(ENDED_SESSIONS.c.until < Now()))

    def ended_sessions(self) -> frozenset[str]:
        return frozenset(session for (session,) in self._database.rows(sql.select(ENDED_SESSIONS.c.session)))

    def due_tenants(self) -> list[str]:
        return due_tenants(self._database)

    def probe(self) -> None:
        self._database.probe()

    def drop(self) -> None:
        self._database.drop()

    def close(self) -> None:
        """Give back the slots that are not needed, and close all connections."""
        self._slots.close()
        self._database.close()


class DatabaseStore(Store):
    """The recordings, plans, questions and grants of one tenant in a database."""

    def __init__(self, database: Database, slots: DatabaseSlots, tenant: str) -> None:
        self._database = database
        self._slots = slots
        self._tenant = tenant
        self._key = {"tenant": tenant}
        self.tasks = DatabaseTasks(database, tenant)
        self._tidied: float | None = None
        self._looks = Looks()

    def place(self, run: str) -> Row:
        if not RUN_ID.fullmatch(run):
            raise missing(run)
        return Row(self._database, self._tenant, run)

    def read(self, run: str) -> Recording:
        return read(self.place(run))

    def find_runs(self, fitting: RunFilter, start: int = 0, limit: int = DEFAULT_RUNS) -> tuple[list[Summary], int]:
        of, found = RECORDINGS.c, _STATUS
        equal = {found: fitting.status, of.mode: fitting.mode, of.person: fitting.person}
        wanted = [of.tenant == self._tenant, of.time != "", *(column == text for column, text in equal.items() if text)]
        wanted += [sql.or_(of.software == fitting.client, of.client == fitting.client)] if fitting.client else []
        wanted += [of.time >= fitting.since] if fitting.since else []
        wanted += [of.time < fitting.until] if fitting.until else []
        wanted += [of.writes > 0] if fitting.writes else []
        wanted += [of.fleet.startswith(f'["{fitting.fleet}",', autoescape=True)] if fitting.fleet else []
        wanted += [] if fitting.runs is None else [of.run.in_(fitting.runs)]
        if RUN_ID.fullmatch(fitting.beginning):  # which is found without a look at all the others
            wanted.append(of.run == fitting.beginning)
        elif fitting.beginning:
            wanted.append(of.run.startswith(fitting.beginning, autoescape=True))
        wanted += [of.made.contains(f'"{fitting.integration}.', autoescape=True)] if fitting.integration else []
        lowered = (sql.func.lower(column, type_=Words) for column in (of.run, of.title, of.error, of.made))
        texts = (of.words, of.printed, *lowered)
        for word in fitting.words.lower().split():
            wanted.append(sql.or_(*(column.contains(word, autoescape=True) for column in texts)))
        sorted_by = found if fitting.order == "status" else of[fitting.order]
        order = sorted_by.desc().nulls_last() if ORDERS[fitting.order] else sorted_by.nulls_first()
        query = sql.select(*_SUMMARY).where(*wanted).order_by(order, of.time.desc(), of.run.desc())
        count = sql.select(sql.func.count()).select_from(RECORDINGS).where(*wanted)

        def find(at: sql.Connection) -> tuple[list[Summary], int]:
            runs = [_summary(row._asdict()) for row in at.execute(query.offset(start).limit(limit))]
            has_all = len(runs) < limit and (runs or not start)
            return runs, start + len(runs) if has_all else at.execute(count).scalar_one()

        self._database.settle()
        return self._database.do(find)

    def fleets(self) -> list[FleetSummary]:
        of, found = RECORDINGS.c, _STATUS
        query = sql.select(of.fleet, found, sql.func.count(), sql.func.min(of.time))
        query = query.where(of.tenant == self._tenant, of.fleet.is_not(None)).group_by(of.fleet, found)
        self._database.settle()
        rows = self._database.rows(query)
        return fleets_of((FleetName(*fleet), status, count, time) for fleet, status, count, time in rows)

    def prune(self, keep: float) -> int:
        """See :meth:`Store.prune`. Each recording is locked by a lease first, so that no run can write it meanwhile."""
        self._database.change(sql.delete(PLANS).where(self._of(PLANS), PLANS.c.written < Now() - keep))
        return self._remove(RECORDINGS.c.written < Now() - keep)

    def make_room(self, most: int) -> bool:
        return self._looks.find_room(lambda: self._has_room(most))

    def _has_room(self, most: int) -> bool:
        of = LINES.c
        size = sql.func.sum(sql.func.length(of.line))
        query = sql.select(of.run, size, RECORDINGS.c.written).where(of.tenant == self._tenant)
        query = query.join(RECORDINGS, sql.and_(RECORDINGS.c.tenant == of.tenant, RECORDINGS.c.run == of.run))
        query = query.group_by(of.run, RECORDINGS.c.written).order_by(RECORDINGS.c.written)
        found = self._database.rows(query)
        used = sum(int(row[1]) for row in found)
        for run, size_of_run, _ in found:
            if used < most:
                break
            if self._remove(RECORDINGS.c.run == run):
                used -= int(size_of_run)
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
                self._database.change(sql.delete(QUESTIONS).where(self._of(QUESTIONS), QUESTIONS.c.until < Now() - DAY))

    def waiting(self) -> list[WaitingCall]:
        of = RECORDINGS.c
        ended = sql.select(of.run, of.script, of.pause)
        ended = ended.where(of.tenant == self._tenant, of.pause.is_not(None), ~is_held())
        rows = self._database.rows(ended)
        calls = [call for run, script, end in rows if waits(end) for call in paused_calls(run, script, end)]
        asked = sql.select(*_QUESTION).where(self._of(QUESTIONS, is_approved=None), QUESTIONS.c.until > time.time())
        calls += [WaitingCall(*row) for row in self._database.rows(asked)]
        return sorted(calls, key=lambda each: (each.since, each.id))

    def ask(self, question: WaitingCall) -> None:
        given = {column.name: getattr(question, column.name) for column in _QUESTION}
        self._database.add(sql.insert(QUESTIONS).values(**self._key, **given), patience=ASK_PATIENCE)

    def decide(self, question: str, decision: Decision) -> bool:
        given = {"is_approved": decision.is_approved, "decided_by": decision.by, "decided": decision.time}
        waits = self._of(QUESTIONS, id=question, is_approved=None), QUESTIONS.c.until > time.time()
        return self._database.change(sql.update(QUESTIONS).where(*waits).values(given)) == 1

    def decision(self, question: str) -> Decision | None:
        query = sql.select(*_DECISION).where(self._of(QUESTIONS, id=question), QUESTIONS.c.is_approved.is_not(None))
        return next((Decision(*row) for row in self._database.rows(query)), None)

    def answered(self, run: str) -> list[tuple[WaitingCall, Decision]]:
        query = sql.select(*_QUESTION, *_DECISION)
        query = query.where(self._of(QUESTIONS, run=run), QUESTIONS.c.is_approved.is_not(None))
        split = len(_QUESTION)
        return [(WaitingCall(*row[:split]), Decision(*row[split:])) for row in self._database.rows(query)]

    def withdraw(self, question: str) -> None:
        with suppress(ConfigError):  # nobody is asked about it after its time is over
            self._database.change(sql.delete(QUESTIONS).where(self._of(QUESTIONS, id=question)))

    def vote(self, ballot: str, vote: Vote) -> bool:
        new = sql.insert(VOTES).values(**self._key, ballot=ballot, voter=_voter(vote), **vote._asdict())
        new = new.values(until=Now() + APPROVAL_DAYS * DAY)
        return self._database.add(new, sql.delete(VOTES).where(self._of(VOTES), VOTES.c.until < Now()))

    def unvote(self, ballot: str, vote: Vote) -> None:
        self._database.change(sql.delete(VOTES).where(self._of(VOTES, ballot=ballot, voter=_voter(vote))))

    def votes(self, ballot: str) -> list[Vote]:
        query = sql.select(VOTES.c.person, VOTES.c.sub).where(self._of(VOTES, ballot=ballot), VOTES.c.until > Now())
        return [Vote(*row) for row in self._database.rows(query)]

    def grants(self) -> list[Grant]:
        of = GRANTS.c
        query = sql.select(of.path, of.account, of.since).where(self._of(GRANTS))
        return [Grant(*row) for row in self._database.rows(query.order_by(of.since, of.path, of.account))]

    def grant(self, given: Grant) -> None:
        new = sql.insert(GRANTS).values(**self._key, **given._asdict())
        self._database.add(new, sql.delete(GRANTS).where(self._of(GRANTS, path=given.path, account=given.account)))

    def revoke(self, path: str, account: str) -> None:
        self._database.change(sql.delete(GRANTS).where(self._of(GRANTS, path=path, account=account)))

    def key(self, *, create: bool) -> bytes | None:
        if create:
            _create_key(self._database, RECORDINGS_KEY)
        key = _key_in(self._database, RECORDINGS_KEY)
        return key and hmac.digest(key, self._tenant.encode(), "sha256")

    def plan(self, id: str) -> bytes | None:
        rows = self._database.rows(sql.select(PLANS.c.plan).where(self._of(PLANS, id=id)))
        return next((bytes(plan) for (plan,) in rows), None)

    def plans(self) -> list[bytes]:
        return [bytes(plan) for (plan,) in self._database.rows(sql.select(PLANS.c.plan).where(self._of(PLANS)))]

    def put_plan(self, id: str, new: bytes, old: bytes | None) -> bool:
        given = {"plan": new, "version": sha256(new).hexdigest(), "written": Now()}
        if old is None:
            return self._database.add(sql.insert(PLANS).values(**self._key, id=id, **given))
        same = self._of(PLANS, id=id, version=sha256(old).hexdigest())
        return self._database.change(sql.update(PLANS).where(same).values(given)) == 1

    def remove_plan(self, id: str) -> None:
        self._database.change(sql.delete(PLANS).where(self._of(PLANS, id=id)))

    def slot(self, kind: str, count: int) -> DatabaseSlot:
        return self._slots.take(self._tenant, kind, count)

    def mark(self, name: str, seconds: float) -> None:
        new = sql.insert(MARKS).values(**self._key, name=name, until=Now() + seconds)
        old = sql.or_(MARKS.c.until < Now(), MARKS.c.name == name)
        self._database.add(new, sql.delete(MARKS).where(self._of(MARKS), old))

    def unmark(self, name: str) -> None:
        self._database.change(sql.delete(MARKS).where(self._of(MARKS, name=name)))

    def marks(self) -> dict[str, float]:
        query = sql.select(MARKS.c.name, MARKS.c.until).where(self._of(MARKS), MARKS.c.until > Now())
        return {row.name: row.until for row in self._database.rows(query)}

    def count(self, kind: str, window: int, more: int, most: int | None = None) -> int | None:
        return _count_in(self._database, self._tenant, kind, window, more, most)

    def _of(self, table: sql.Table, **equal: object) -> sql.ColumnElement[bool]:
        """Return the condition for the tenant's rows of a table that have these values in their columns."""
        return rows_with(table, {**self._key, **equal})


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
        database.add(sql.insert(KEYS).values(name=name, key=secrets.token_bytes(KEY_SIZE)))


def _key_in(database: Database, name: str) -> bytes | None:
    rows = database.rows(sql.select(KEYS.c.key).where(KEYS.c.name == name), KEY_PATIENCE)
    return next((bytes(key) for (key,) in rows), None)


def _voter(vote: Vote) -> str:
    return sha256("\n".join(vote).encode()).hexdigest()


def _summary(row: dict[str, Any]) -> Summary:
    told = {name: value for name, value in row.items() if value is not None}
    told["waiting"] = waiting_in(told.pop("pause", {}))
    told["script"] = told["script"].removeprefix("=")
    return Summary(**told | ({"fleet": FleetName(*told["fleet"])} if "fleet" in told else {}))
