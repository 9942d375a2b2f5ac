"""Slots in a database: a numbered row for each slot and each process that waits for one, with a lease."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Lock
from zlib import crc32

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from kosmolua.errors import ConfigError, Unavailable
from kosmolua.stores.database import SLOT_LEASE, Database
from kosmolua.stores.tables import SLOTS, Now

NUMBER_TRIES, NUMBER_PAUSE = 100, 0.01
"""How many times to choose a number that another process chose at the same time, and the seconds between two tries."""
TIDY_EVERY = 16
"""Of so many numbers in a line, one has the rows of dead processes removed."""


KEPT, IDLE = 10.0, 1.0
"""Seconds for which a process uses a slot for one run after another before it enters the line again, and seconds after
which it gives back one that it does not use."""


class DatabaseSlots:
    """The slots of this process, which keeps for a moment those that it may need again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._spare: dict[tuple[str, str, int], list[DatabaseSlot]] = {}
        self._lock = Lock()
        database.leases.chores.append(self._look)

    def take(self, tenant: str, kind: str, count: int) -> DatabaseSlot:
        """Return a slot that was kept, or enter the line for one of ``count``; see :class:`DatabaseSlot`."""
        with self._lock:
            if kept := self._spare.get((tenant, kind, count)):
                return kept.pop()  # the last, so that those that are too many stay unused
        return DatabaseSlot(self._database, tenant, kind, count, self._keep)

    def close(self) -> None:
        """Give back the slots that are kept."""
        self._drop(-inf)

    def _keep(self, slot: DatabaseSlot) -> bool:
        with self._lock:
            if is_kept := slot.is_early and slot.age < KEPT:
                slot.kept = time.monotonic()
                self._spare.setdefault(slot.key, []).append(slot)
            return is_kept

    def _look(self) -> None:
        self._drop(IDLE)

    def _drop(self, idle: float) -> None:
        with self._lock:
            now = time.monotonic()
            old = [slot for kept in self._spare.values() for slot in kept if now - slot.kept > idle]
            self._spare = {key: [slot for slot in kept if slot not in old] for key, kept in self._spare.items()}
        for slot in old:
            slot.leave()


class DatabaseSlot:
    """A place in the line for ``count`` slots of a tenant in a database. See :class:`kosmolua.stores.store.Slot`.

    ``keep`` may keep the slot when it is released, and then returns True.

    Raises:
        ConfigError: The database cannot be used.
    """

    def __init__(
        self, database: Database, tenant: str, kind: str, count: int, keep: Callable[[DatabaseSlot], bool]
    ) -> None:
        self._database = database
        self.key = tenant, kind, count
        self._keep = keep
        self._entered = self.kept = time.monotonic()
        self._line = sql.and_(SLOTS.c.tenant == tenant, SLOTS.c.kind == kind)
        self._count = count
        self._holder = secrets.token_hex(16)
        self._number, before = self._join(tenant, kind)
        self._is_held = before < count
        self.is_early = before < count // 2
        """Whether few were in the line when this place was taken."""
        database.leases.add(self._holder)

    def is_held(self) -> bool:
        """Return True if this is one of the first in the line, and so has a slot."""
        if not self._is_held:
            self._is_held = self._database.do(lambda at: self._is_first(at, self._number))
        return self._is_held

    @property
    def age(self) -> float:
        """The seconds since this place was taken."""
        return time.monotonic() - self._entered

    def _is_first(self, at: sql.Connection, number: int) -> bool:
        ahead = sql.select(sql.func.count()).where(self._line, SLOTS.c.number < number, SLOTS.c.held_until > Now())
        return int(at.execute(ahead).scalar_one()) < self._count

    def release(self, *, again: bool = False) -> None:
        """Leave the line; if this process may need a slot again, not yet, unless many are in the line."""
        if not (again and self._keep(self)):
            self.leave()

    def leave(self) -> None:
        """Leave the line at once."""
        self._database.leases.drop(self._holder)
        gone = sql.delete(SLOTS).where(SLOTS.c.holder == self._holder)
        with suppress(ConfigError):  # the lease ends by itself
            self._database.write(lambda at: at.execute(gone))

    def _join(self, tenant: str, kind: str) -> tuple[int, int]:
        """Store a row with the next number. Return the number, and how many are ahead.

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

        def join(at: sql.Connection) -> tuple[int, int]:
            if at.dialect.name == "postgresql":  # otherwise one that joins would not see another that has not committed
                at.execute(sql.select(sql.func.pg_advisory_xact_lock(crc32(f"{tenant}/{kind}".encode()))))
            number, before = at.execute(enter).one()
            if number % TIDY_EVERY == 0:
                at.execute(sql.delete(SLOTS).where(self._line, of.held_until < Now() - 10 * SLOT_LEASE))
            return int(number), int(before)

        for _ in range(NUMBER_TRIES):
            with suppress(IntegrityError):  # another process has taken this number meanwhile
                return self._database.do(join)
            time.sleep(NUMBER_PAUSE * (1 + secrets.randbelow(5)))
        busy = "The database is too busy for another script"
        raise Unavailable(busy, hint="nothing was run; try again in a moment", detail=self._database.name)
