"""Tasks in a database: a row for each, of which many servers take those that are due."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from kosmolua.stores.database import Database
from kosmolua.stores.tables import TASKS, Now
from kosmolua.stores.tasks import ALIAS, HOOK, RUNNING, RUNS, TASK_LEASE, ServerTask

_OF = TASKS.c
_COLUMNS = [column for column in _OF if column is not _OF.tenant]
_IN = _OF.tenant == sql.bindparam("in_tenant")
_HELD = sql.update(TASKS).where(_IN, _OF.id == sql.bindparam("of_id"), _OF.holder == sql.bindparam("held_by"))
_LEASED = Now() + sql.bindparam("lease", type_=sql.Double())
_BEGIN = _HELD.values(due=_LEASED)
_DUE = sql.select(_OF.id).where(_IN, _OF.due <= Now(), _OF.source.in_(sql.bindparam("sources", expanding=True)))


def _taking(due: sql.Select[tuple[str]]) -> sql.Executable:
    """Return the statement that takes the first of the tasks that are due.

    They are chosen in a common table expression, since PostgreSQL may repeat a subquery with SKIP LOCKED, and then take
    more than its limit.
    """
    first = due.order_by(_OF.due).limit(sql.bindparam("most")).with_for_update(skip_locked=True).cte("first")
    return sql.update(TASKS).where(_IN, _OF.id.in_(sql.select(first.c.id))).values(due=_LEASED).returning(*_COLUMNS)


_DUE_OF_ALL, _DUE_OF_ONE = _taking(_DUE), _taking(_DUE.where(_OF.name == sql.bindparam("of_name")))
_DUE_TENANTS = sql.select(_OF.tenant).where(_OF.due <= Now()).distinct()
_FIND = sql.select(*_COLUMNS).where(_IN, _OF.id == sql.bindparam("of_id"))
_NEW = {
    dialect.__name__.rpartition(".")[2]: dialect.insert(TASKS)
    .on_conflict_do_nothing()
    .execution_options(preserve_rowcount=True)
    for dialect in (postgresql, sqlite)
}
"""The statements that add a task unless there is one with its id, by the kind of database."""


def due_tenants(database: Database) -> list[str]:
    """Return the tenants that have tasks that are due."""
    return [tenant for (tenant,) in database.rows(_DUE_TENANTS)]


class DatabaseTasks:
    """The tasks of a tenant. See :class:`kosmolua.stores.tasks.TaskQueue`."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant
        self._own = _OF.tenant == tenant

    def now(self) -> float:
        return self._database.now()

    def add(self, task: ServerTask, also: Sequence[str] = ()) -> bool:
        row = {"tenant": self._tenant, **asdict(task)}
        rows = [row, *({**row, "id": each, "due": None, "given": "", "source": ALIAS} for each in also)]

        def add(at: sql.Connection) -> bool:
            added = [row["id"] for row in rows if at.execute(_NEW[at.dialect.name], row).rowcount]
            if 0 < len(added) < len(rows):
                at.execute(sql.delete(TASKS).where(self._own, _OF.id.in_(added)))
            return len(added) == len(rows)

        return self._database.write(add)

    def add_all(self, tasks: Sequence[ServerTask]) -> list[ServerTask]:
        def add(at: sql.Connection) -> list[ServerTask]:
            rows = ((each, {"tenant": self._tenant, **asdict(each)}) for each in tasks)
            return [each for each, row in rows if not at.execute(_NEW[at.dialect.name], row).rowcount]

        return self._database.write(add) if tasks else []

    def find(self, id: str) -> ServerTask | None:
        rows = self._database.do(lambda at: at.execute(_FIND, {"in_tenant": self._tenant, "of_id": id}).all())
        return next((ServerTask(*row) for row in rows), None)

    def take(self, limit: int, sources: Sequence[str] = RUNS, name: str = "") -> list[ServerTask]:
        given = {"in_tenant": self._tenant, "sources": list(sources), "most": limit, "lease": TASK_LEASE}
        given |= {"holder": secrets.token_hex(16)} | ({"of_name": name} if name else {})
        take = _DUE_OF_ONE if name else _DUE_OF_ALL
        rows = self._database.do(lambda at: at.execute(take, given).all())
        return sorted((ServerTask(*row) for row in rows), key=lambda each: each.since)

    def renew(self, held: Sequence[ServerTask]) -> None:
        holders = {each.holder for each in held}
        ids = [each.id for each in held]
        renew = sql.update(TASKS).where(self._own, _OF.id.in_(ids), _OF.holder.in_(holders))
        self._database.write(lambda at: at.execute(renew.values(due=Now() + TASK_LEASE)))

    def begin(self, *tasks: ServerTask) -> list[ServerTask]:
        changes = [(each, {"status": RUNNING, "note": each.note, "lease": TASK_LEASE}) for each in tasks]
        return self._change(_BEGIN, changes)

    def put(self, *tasks: ServerTask) -> list[ServerTask]:
        changes = [(each, {**asdict(each), "holder": ""}) for each in tasks]
        return self._change(_HELD, changes)

    def _change(self, how: sql.Update, changes: Sequence[tuple[ServerTask, dict[str, Any]]]) -> list[ServerTask]:
        """Change tasks that are still held as they say, in one transaction, and return those."""
        given = [
            (task, {"in_tenant": self._tenant, "of_id": task.id, "held_by": task.holder, **change})
            for task, change in changes
        ]
        if not given:
            return []
        return self._database.write(lambda at: [task for task, values in given if at.execute(how, values).rowcount])

    def of(self, source: str, name: str, limit: int) -> list[ServerTask]:
        query = sql.select(*_COLUMNS).where(self._own, _OF.source == source, _OF.name == name)
        query = query.order_by(_OF.since.desc()).limit(limit)
        found = [*self._select(query.where(_OF.due.is_not(None))), *self._select(query.where(_OF.due.is_(None)))]
        return found[:limit]

    def open(self, source: str, *names: str) -> list[ServerTask]:
        query = sql.select(*_COLUMNS).where(self._own, _OF.source == source, _OF.due.is_not(None))
        return self._select(query.where(_OF.name.in_(names)) if names else query)

    def prune(self, keep: float) -> None:
        old = sql.delete(TASKS).where(self._own, _OF.due.is_(None), _OF.since < Now() - keep)
        self._database.change(old)

    def trim(self, source: str, name: str, count: int) -> None:
        over = (self._own, _OF.name == name, _OF.due.is_(None))
        latest = sql.select(_OF.since).where(*over, _OF.source == source).order_by(_OF.since.desc())
        sources = (source, ALIAS) if source == HOOK else (source,)
        oldest = latest.limit(1).offset(count - 1).scalar_subquery()
        old = sql.delete(TASKS).where(*over, _OF.source.in_(sources), _OF.since < oldest)
        self._database.change(old)

    def _select(self, query: sql.Select[Any]) -> list[ServerTask]:
        return [ServerTask(*row) for row in self._database.rows(query)]
