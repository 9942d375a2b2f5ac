"""A database for the stores of a server: its transactions, and its leases on recordings and slots.

The database is PostgreSQL, or SQLite if there is only one host. It is used through SQLAlchemy Core.

A recording is locked by a lease. The recording's row has a random name for the run that holds the lease, and the time
when the lease ends. The run renews the lease while it writes the recording. If the run's host dies, the lease ends
within a minute.
"""

from __future__ import annotations

import math
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from threading import Event, Lock
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sql
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidatePoolError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)

from kosmolua.concurrency import start_thread
from kosmolua.errors import ConfigError, KosmoError, Unavailable
from kosmolua.stores.tables import RECORDINGS, SCHEMA, SLOTS, Now, make_others_wait, migrate

LEASE = 60.0
"""Seconds that a recording stays locked after the host of its run has died."""
SLOT_LEASE = 20.0
"""Seconds that a slot stays taken after its process has died."""
RENEWAL = 5.0
"""Seconds between two renewals of a lease."""
CHORES_PAUSE, BEGIN_DELAY = 0.25, 0.25
"""Seconds between two looks at what has to be written, and seconds after which a new recording has to be."""
RETRY_PAUSE = 0.25
CLOCK_FRESH, CLOCK_DOUBT = 10.0, 0.1
"""Seconds after which the database's clock is asked again, and seconds in which it has to answer for that."""
MAX_IDLE = 1.0
"""Seconds after which an unused connection is tried before it is used again."""
_USED = "kosmolua-used"
_LASTING = (DataError, NotSupportedError, ProgrammingError)
"""Errors that would occur again if the statement were repeated, such as a missing permission for a table."""
CONNECT_TIMEOUT = 2
SQLITE_PATIENCE = 2.0
"""Seconds to wait for the lock of a SQLite file."""
_T = TypeVar("_T")


class Unwritten(Protocol):
    """A new recording that is not written yet, and for how many seconds it has not been."""

    @property
    def age(self) -> float: ...
    def sync(self) -> None: ...


class Database:
    """A database that keeps the stores of all tenants. Its tables are created on first use.

    The address is such as ``postgresql://user:password@host/name`` or ``sqlite:///path``.

    Raises:
        ConfigError: The address is not valid, or a package that this kind of database needs is missing.
    """

    def __init__(self, address: str) -> None:
        try:
            url = sql.make_url(address)
            if url.drivername in ("postgresql", "postgres"):
                url = url.set(drivername="postgresql+psycopg")
            dialect = url.get_backend_name()
            if dialect not in _ENGINES:
                hint = "use PostgreSQL or SQLite"
                raise ConfigError(f"Recordings cannot be kept in a database of the kind {dialect}", hint=hint)
            self._engine = sql.create_engine(url, **_ENGINES[dialect])
        except ImportError as error:
            hint = "pip install 'kosmolua[postgres]'"
            raise ConfigError(f"Recordings in a database need the package {error.name}", hint=hint) from None
        except (SQLAlchemyError, ValueError):
            hint = "write it as in postgresql://user:password@host/name or sqlite:///path"
            raise ConfigError("The address of the database is not valid", hint=hint) from None
        self.name = url.render_as_string(hide_password=True)
        self._clock = -math.inf, 0.0
        self._is_made = False
        self._making = Lock()
        self._writes: list[_Write[Any]] = []
        self._writing_lock, self._turn = Lock(), Lock()
        if dialect == "sqlite":
            sql.event.listen(self._engine, "connect", _write_ahead)
        sql.event.listen(self._engine, "checkin", _note_use)
        sql.event.listen(self._engine, "checkout", self._try_if_idle)
        self._connections: set[Any] = set()
        sql.event.listen(self._engine, "connect", lambda connection, _: self._connections.add(connection))
        sql.event.listen(self._engine, "close", lambda connection, _: self._connections.discard(connection))
        self.begun: set[Unwritten] = set()
        """New recordings that are not written yet."""
        self.leases = _Leases(self)
        self.leases.chores.append(partial(self.settle, BEGIN_DELAY))

    def close(self) -> None:
        """Close all connections."""
        self.leases.close()
        self._engine.dispose()

    def probe(self) -> None:
        """Try a write; raise ConfigError if it failed."""
        self.change(sql.update(SCHEMA).values(checked=Now()))

    def drop(self) -> None:
        """Cut all connections, so that whatever waits for the database fails at once. Others are opened when needed.

        A database that stands still keeps its connections, so nothing else would end the wait.
        """
        for connection in list(self._connections):
            closed = self._engine.dialect.loaded_dbapi.Error
            with suppress(AttributeError, OSError, closed):  # SQLite has no socket, but a timeout of its own
                wire = socket.socket(fileno=os.dup(connection.fileno()))
                with wire:
                    wire.shutdown(socket.SHUT_RDWR)

    def now(self) -> float:
        """Return the time by the database's clock, as it goes on since it was asked within :data:`CLOCK_FRESH` seconds.

        Raises:
            ConfigError: The database cannot be reached, or refuses a statement.
        """
        began = time.monotonic()
        asked, ahead = self._clock
        if began - asked > CLOCK_FRESH:
            said = float(self.rows(sql.select(Now()))[0][0])
            ended = time.monotonic()
            ahead = said - ended
            self._clock = began if ended - began < CLOCK_DOUBT else -math.inf, ahead
        return ahead + time.monotonic()

    def do(self, work: Callable[[sql.Connection], _T], patience: float = 0.0) -> _T:
        """Call a function in a transaction and return its result. If the connection is lost, repeat the transaction.

        A connection that the database has closed since its last use is replaced even without patience. ``work`` can be
        called several times. If the database cannot be reached, it is tried for ``patience`` seconds.

        Raises:
            ConfigError: The database cannot be reached, or refuses a statement.
        """
        began = time.monotonic()
        is_first = True
        while True:
            is_ending = False
            try:
                self._make_tables()
                with self._engine.begin() as connection:
                    result = work(connection)
                    is_ending = True
                return result
            except IntegrityError:
                raise
            except DBAPIError as error:
                passed = time.monotonic() - began
                is_stale = is_first and error.connection_invalidated and not is_ending and passed < RETRY_PAUSE
                if not is_stale and (isinstance(error, _LASTING) or passed >= patience):
                    raise self._unreachable(error) from None
            if not is_stale:
                time.sleep(RETRY_PAUSE)
            is_first = False

    def rows(self, query: sql.Select[Any], patience: float = 0.0) -> Sequence[Any]:
        """Return the rows that a query finds, like :meth:`do`."""
        return self.do(lambda at: at.execute(query).all(), patience)

    def change(self, statement: sql.Update | sql.Delete) -> int:
        """Execute a statement, like :meth:`do`, and return how many rows it has changed or removed."""
        return self.do(lambda at: at.execute(statement)).rowcount

    def add(self, new: sql.Insert, *before: sql.Delete, patience: float = 0.0) -> bool:
        """Insert a row, after some deletions, like :meth:`do`; if there is a row with its key, return False instead."""
        try:
            self.do(lambda at: [at.execute(each) for each in (*before, new)], patience)
        except IntegrityError:
            return False
        return True

    def settle(self, age: float = 0.0) -> None:
        """Write the new recordings that were begun ``age`` seconds ago, so that whoever reads recordings finds them."""
        for each in [*self.begun]:
            if each.age >= age:
                with suppress(KosmoError):  # whoever writes the recording will be told
                    each.sync()

    def write(self, work: Callable[[sql.Connection], _T], patience: float = 0.0) -> _T:
        """Call :meth:`do` in one transaction with what other threads write meanwhile, since most of the cost is that.

        The function must wait for no lock of another transaction. It raises and returns what :meth:`do` does.
        """
        mine: _Write[_T] = _Write(work)
        with self._writing_lock:
            self._writes.append(mine)
        with self._turn:
            if not mine.was_tried:
                with self._writing_lock:
                    group, self._writes = self._writes, []
                _try_together(group, self.do)
        return mine.results[0] if mine.results else self.do(work, patience)

    def _try_if_idle(self, connection: Any, record: Any, _: object) -> None:
        """Before a connection is used that was idle for long, see whether the database still has it."""
        if time.monotonic() - record.info.get(_USED, math.inf) < MAX_IDLE:
            return
        try:
            self._engine.dialect.do_ping(connection)
        except self._engine.dialect.loaded_dbapi.Error:
            raise InvalidatePoolError from None

    def _make_tables(self) -> None:
        with self._making:
            if self._is_made:
                return
            with self._engine.begin() as connection:
                make_others_wait(connection)
                migrate(connection)
            self._is_made = True

    def _unreachable(self, error: DBAPIError) -> ConfigError:
        reason = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        detail = f"{self.name}: {reason[0]}"
        if isinstance(error, _LASTING):
            hint = "check that the database is Kosmolua's own, and that its user may read and write the tables"
            return ConfigError("The database cannot be used", hint=hint, detail=detail)
        hint = "nothing is lost: try again when it can be reached"
        return Unavailable("The database cannot be reached", hint=hint, detail=detail)


class _Write(Generic[_T]):
    """A write of one thread, which another thread may do for it in a transaction with others."""

    def __init__(self, work: Callable[[sql.Connection], _T]) -> None:
        self.work = work
        self.was_tried = False
        self.results: list[_T] = []


def _try_together(
    group: Sequence[_Write[Any]], do: Callable[[Callable[[sql.Connection], list[Any]]], list[Any]]
) -> None:
    """Do some writes in one transaction; none if one of them fails, which its thread then finds out by itself."""
    results: list[Any] = []
    with suppress(ConfigError, IntegrityError):
        results = do(lambda at: [each.work(at) for each in group])
    for each, result in zip_longest(group, results):
        each.was_tried = True
        each.results = [result] if results else []


_ENGINES: dict[str, dict[str, Any]] = {
    "postgresql": {
        "connect_args": {
            "connect_timeout": CONNECT_TIMEOUT,
            "tcp_user_timeout": 10_000,
            "options": "-c statement_timeout=10000 -c lock_timeout=10000",
        },
        "pool_size": 15,
        "max_overflow": 0,
        "pool_use_lifo": True,
    },
    "sqlite": {"connect_args": {"timeout": SQLITE_PATIENCE}},
}
"""How to connect to each kind of database: with timeouts, so that no wait is endless, and with so many connections at
most, which stay open, and the last used one first: to connect costs a process."""


def _note_use(_: object, record: Any) -> None:
    record.info[_USED] = time.monotonic()


def _write_ahead(connection: sqlite3.Connection, _: object) -> None:
    """Set up a new SQLite connection: readers continue during a write, and every commit reaches the disk.

    SQLite does not wait for a lock when it changes the mode of a new file, so that is tried again.
    """
    ends = time.monotonic() + SQLITE_PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=FULL")


class _Leases:
    """Renews the leases that this process holds, in a thread that runs as long as the process holds any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.chores: list[Callable[[], None]] = []
        """What the thread does besides, again and again."""
        self._held: set[str] = set()
        self._lock = Lock()
        self._ends: Event | None = None

    def add(self, holder: str) -> None:
        """Start renewing the lease that is held under the random name ``holder``."""
        with self._lock:
            self._held.add(holder)
            if self._ends is None:
                self._ends = Event()
                start_thread(partial(self._renew, self._ends), "leases")

    def drop(self, holder: str) -> None:
        with self._lock:
            self._held.discard(holder)
            if not self._held and self._ends:
                self._ends.set()
                self._ends = None

    def close(self) -> None:
        for holder in list(self._held):
            self.drop(holder)

    def _renew(self, ends: Event) -> None:
        renewed_at = time.monotonic()
        while not ends.wait(CHORES_PAUSE):
            for chore in self.chores:
                chore()
            if time.monotonic() - renewed_at < RENEWAL:
                continue
            held, renewed_at = list(self._held), time.monotonic()
            for table, lease in ((RECORDINGS, LEASE), (SLOTS, SLOT_LEASE)):
                renewed = sql.update(table).where(table.c.holder.in_(held)).values(held_until=Now() + lease)
                with suppress(ConfigError):  # it is tried again; appending a line renews its lease too
                    self._database.write(lambda at, renewed=renewed: at.execute(renewed), RENEWAL)  # type: ignore[misc]
