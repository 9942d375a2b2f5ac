"""Counts in a database: a row for each count of a tenant."""

from __future__ import annotations

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from kosmolua.stores.database import COUNTS, Database


def count_in(database: Database, tenant: str, kind: str, window: int, more: int, most: int | None) -> int | None:
    """Add to a count of a tenant. See :meth:`kosmolua.stores.store.Store.count`.

    Raises:
        ConfigError: The database cannot be used.
    """
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
