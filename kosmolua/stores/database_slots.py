"""Slots in a database: a numbered row for each slot and each process that waits for one, with a lease."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from zlib import crc32

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from kosmolua.errors import ConfigError, Unavailable
from kosmolua.stores.database import SLOT_LEASE, SLOTS, Database, Now

NUMBER_TRIES, NUMBER_PAUSE = 100, 0.01
"""How many times to choose a number that another process chose at the same time, and the seconds between two tries."""
TIDY_EVERY = 16
"""Of so many numbers in a line, one has the rows of dead processes removed."""


class DatabaseSlot:
    """A place in the line for ``count`` slots of a tenant in a database. See :class:`kosmolua.stores.store.Slot`.

    Raises:
        ConfigError: The database cannot be used.
    """

    def __init__(self, database: Database, tenant: str, kind: str, count: int) -> None:
        self._database = database
        self._line = sql.and_(SLOTS.c.tenant == tenant, SLOTS.c.kind == kind)
        self._count = count
        self._holder = secrets.token_hex(16)
        self._number, self._is_held = self._join(tenant, kind)
        database.leases.add(self._holder)

    def is_held(self) -> bool:
        """Return True if this is one of the first in the line, and so has a slot."""
        if not self._is_held:
            self._is_held = self._database.do(lambda at: self._is_first(at, self._number))
        return self._is_held

    def _is_first(self, at: sql.Connection, number: int) -> bool:
        ahead = sql.select(sql.func.count()).where(self._line, SLOTS.c.number < number, SLOTS.c.held_until > Now())
        return int(at.execute(ahead).scalar_one()) < self._count

    def release(self) -> None:
        """Leave the line."""
        self._database.leases.drop(self._holder)
        gone = sql.delete(SLOTS).where(SLOTS.c.holder == self._holder)
        with suppress(ConfigError):  # the lease ends by itself
            self._database.write(lambda at: at.execute(gone))

    def _join(self, tenant: str, kind: str) -> tuple[int, bool]:
        """Store a row with the next number. Return the number, and whether it has a slot already.

        Rows of processes that died long ago let the numbers grow, and are removed now and then.
        """
        of = SLOTS.c
        following = sql.func.coalesce(sql.func.max(of.number), 0) + 1
        given = [sql.literal(each) for each in (tenant, kind, self._holder)]
        row = sql.select(*given, following, Now() + SLOT_LEASE).where(self._line)
        others = SLOTS.alias()
        ahead = sql.select(sql.func.count()).where(others.c.tenant == tenant, others.c.kind == kind)
        ahead = ahead.where(others.c.holder != self._holder, others.c.held_until > Now())
        enter = sql.insert(SLOTS).from_select(["tenant", "kind", "holder", "number", "held_until"], row)
        enter = enter.returning(of.number, ahead.scalar_subquery())

        def join(at: sql.Connection) -> tuple[int, bool]:
            if at.dialect.name == "postgresql":  # otherwise one that joins would not see another that has not committed
                at.execute(sql.select(sql.func.pg_advisory_xact_lock(crc32(f"{tenant}/{kind}".encode()))))
            number, before = at.execute(enter).one()
            if number % TIDY_EVERY == 0:
                at.execute(sql.delete(SLOTS).where(self._line, of.held_until < Now() - 10 * SLOT_LEASE))
            return int(number), bool(before < self._count)

        for _ in range(NUMBER_TRIES):
            with suppress(IntegrityError):  # another process has taken this number meanwhile
                return self._database.do(join)
            time.sleep(NUMBER_PAUSE * (1 + secrets.randbelow(5)))
        busy = "The database is too busy for another script"
        raise Unavailable(busy, hint="nothing was run; try again in a moment", detail=self._database.name)
