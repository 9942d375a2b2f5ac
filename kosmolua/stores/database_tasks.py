"""Tasks in a database: a row for each, of which many servers take those that are due."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from kosmolua.stores.database import TASKS, Database, Now
from kosmolua.stores.tasks import ALIAS, HOOK, RUNNING, RUNS, TASK_LEASE, ServerTask

_OF = TASKS.c
_COLUMNS = [column for column in _OF if column is not _OF.tenant]


def due_tenants(database: Database) -> list[str]:
    """Return the tenants that have tasks that are due."""
    query = sql.select(_OF.tenant).where(_OF.due <= Now()).distinct()
    return list(database.do(lambda at: at.execute(query).scalars().all()))


class DatabaseTasks:
    """The tasks of a tenant. See :class:`kosmolua.stores.tasks.TaskQueue`."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant
        self._own = _OF.tenant == tenant

    def now(self) -> float:
        return float(self._database.do(lambda at: at.execute(sql.select(Now())).scalar_one()))

    def add(self, task: ServerTask, also: Sequence[str] = ()) -> bool:
        row = {"tenant": self._tenant, **asdict(task)}
        rows = [row, *({**row, "id": each, "due": None, "given": "", "source": ALIAS} for each in also)]
        try:
            self._database.do(lambda at: at.execute(sql.insert(TASKS), rows))
        except IntegrityError:
            return False
        return True

    def find(self, id: str) -> ServerTask | None:
        found = self._select(sql.select(*_COLUMNS).where(self._own, _OF.id == id))
        return found[0] if found else None

    def take(self, limit: int, sources: Sequence[str] = RUNS, name: str = "") -> list[ServerTask]:
        holder = secrets.token_hex(16)
        due = sql.select(_OF.id).where(self._own, _OF.due <= Now(), _OF.source.in_(sources))
        due = (due.where(_OF.name == name) if name else due).order_by(_OF.due).limit(limit)
        take = sql.update(TASKS).where(self._own, _OF.id.in_(due.with_for_update(skip_locked=True)))
        take = take.values(holder=holder, due=Now() + TASK_LEASE).returning(*_COLUMNS)
        rows = self._database.do(lambda at: at.execute(take).all())
        return sorted((ServerTask(*row) for row in rows), key=lambda each: each.since)

    def renew(self, held: Sequence[ServerTask]) -> None:
        holders = {each.holder for each in held}
        ids = [each.id for each in held]
        renew = sql.update(TASKS).where(self._own, _OF.id.in_(ids), _OF.holder.in_(holders))
        self._database.write(lambda at: at.execute(renew.values(due=Now() + TASK_LEASE)))

    def begin(self, task: ServerTask) -> bool:
        held = sql.update(TASKS).where(self._own, _OF.id == task.id, _OF.holder == task.holder)
        begun = held.values(status=RUNNING, note=task.note, due=Now() + TASK_LEASE)
        return self._database.write(lambda at: at.execute(begun)).rowcount == 1

    def put(self, task: ServerTask) -> bool:
        held = sql.update(TASKS).where(self._own, _OF.id == task.id, _OF.holder == task.holder)
        put = held.values(**asdict(replace(task, holder="")))
        return self._database.write(lambda at: at.execute(put)).rowcount == 1

    def of(self, source: str, name: str, limit: int) -> list[ServerTask]:
        query = sql.select(*_COLUMNS).where(self._own, _OF.source == source, _OF.name == name)
        query = query.order_by(_OF.since.desc()).limit(limit)
        found = [*self._select(query.where(_OF.due.is_not(None))), *self._select(query.where(_OF.due.is_(None)))]
        return found[:limit]

    def open(self, source: str, name: str = "") -> list[ServerTask]:
        query = sql.select(*_COLUMNS).where(self._own, _OF.source == source, _OF.due.is_not(None))
        return self._select(query.where(_OF.name == name) if name else query)

    def prune(self, keep: float) -> None:
        old = sql.delete(TASKS).where(self._own, _OF.due.is_(None), _OF.since < Now() - keep)
        self._database.do(lambda at: at.execute(old))

    def trim(self, source: str, name: str, count: int) -> None:
        over = (self._own, _OF.name == name, _OF.due.is_(None))
        latest = sql.select(_OF.since).where(*over, _OF.source == source).order_by(_OF.since.desc())
        sources = (source, ALIAS) if source == HOOK else (source,)
        oldest = latest.limit(1).offset(count - 1).scalar_subquery()
        old = sql.delete(TASKS).where(*over, _OF.source.in_(sources), _OF.since < oldest)
        self._database.do(lambda at: at.execute(old))

    def _select(self, query: sql.Select[Any]) -> list[ServerTask]:
        return [ServerTask(*row) for row in self._database.do(lambda at: at.execute(query).all())]
