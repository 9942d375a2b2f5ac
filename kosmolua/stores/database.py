"""A database for the stores of a server: its tables, its transactions, and its leases on recordings and slots.

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
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

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
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement, FunctionElement

from kosmolua.concurrency import start_thread
from kosmolua.errors import ConfigError, KosmoError, Unavailable

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
_SCHEMA_LOCK = 0x4B6F736D  # an advisory lock of PostgreSQL, held while the tables are created
_T = TypeVar("_T")

_tables = sql.MetaData()


class Words(sql.TypeDecorator[str]):
    """Text, in which what no database takes is replaced: NUL, and the lone surrogates of bytes that are not UTF-8."""

    impl = sql.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _: object) -> str | None:
        return value and value.encode("utf-8", "replace").decode().replace("\0", "?")


RECORDINGS = sql.Table(
    "kosmolua_recordings",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("run", sql.String(12), primary_key=True),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("time", sql.String(40), nullable=False, default=""),
    sql.Column("ended", sql.String(40)),
    sql.Column("script", Words, nullable=False, default=""),
    sql.Column("sha256", sql.String(64), nullable=False, default=""),
    sql.Column("mode", sql.String(16), nullable=False, default=""),
    sql.Column("client", Words),
    sql.Column("pause", sql.Text),  # the last event of a run that waits for approvals, as JSON
    sql.Column("written", sql.Double, nullable=False),
    sql.Column("holder", sql.String(32)),
    sql.Column("held_until", sql.Double),
    sql.Column("title", Words),
    sql.Column("software", Words),
    sql.Column("person", Words),
    sql.Column("error", Words),
    sql.Column("made", Words),  # what the run called, as JSON
    sql.Column("writes", sql.Integer),
    sql.Column("worked", sql.Double),
    sql.Column("waited", sql.Double),
    sql.Column("words", Words),  # what a search looks through, besides title, error and made
    sql.Column("fleet", Words),  # the fleet that the run belongs to, as JSON: its id, title and size
    sql.Index("kosmolua_recordings_by_time", "tenant", "time"),
)
LINES = sql.Table(
    "kosmolua_lines",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("run", sql.String(12), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("line", sql.LargeBinary, nullable=False),
)
QUESTIONS = sql.Table(
    "kosmolua_questions",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("id", sql.String(100), primary_key=True),
    sql.Column("run", sql.String(12)),
    sql.Column("script", Words, nullable=False),
    sql.Column("call", sql.Text, nullable=False),
    sql.Column("since", sql.Double, nullable=False),
    sql.Column("until", sql.Double, nullable=False),
    sql.Column("is_approved", sql.Boolean),
    sql.Column("decided_by", sql.Text),
    sql.Column("decided", sql.Double),
)

GRANTS = sql.Table(
    "kosmolua_grants",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("path", sql.String(255), primary_key=True),
    sql.Column("account", sql.String(255), primary_key=True),
    sql.Column("since", sql.String(40), nullable=False),
)
PLANS = sql.Table(
    "kosmolua_plans",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("id", sql.String(10), primary_key=True),
    sql.Column("plan", sql.LargeBinary, nullable=False),
    sql.Column("version", sql.String(64), nullable=False),  # the hash of the plan
    sql.Column("written", sql.Double, nullable=False),
)
KEYS = sql.Table(
    "kosmolua_keys",
    _tables,
    sql.Column("name", sql.String(63), primary_key=True),
    sql.Column("key", sql.LargeBinary, nullable=False),
)
ENDED_SESSIONS = sql.Table(
    "kosmolua_ended_sessions",
    _tables,
    sql.Column("session", sql.String(63), primary_key=True),
    sql.Column("until", sql.Double, nullable=False),
)
SLOTS = sql.Table(
    "kosmolua_slots",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("kind", sql.String(63), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("holder", sql.String(32), nullable=False),
    sql.Column("held_until", sql.Double, nullable=False),
)
COUNTS = sql.Table(
    "kosmolua_counts",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("kind", sql.String(63), primary_key=True),
    sql.Column("window", sql.BigInteger, nullable=False),
    sql.Column("count", sql.BigInteger, nullable=False),
)
MARKS = sql.Table(
    "kosmolua_marks",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("name", sql.String(63), primary_key=True),
    sql.Column("until", sql.Double, nullable=False),
)
TASKS = sql.Table(
    "kosmolua_tasks",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("id", sql.String(200), primary_key=True),
    sql.Column("source", sql.String(16), nullable=False),
    sql.Column("name", sql.String(63), nullable=False),
    sql.Column("run", sql.String(12), nullable=False),
    sql.Column("since", sql.Double, nullable=False),
    sql.Column("due", sql.Double),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("attempt", sql.Integer, nullable=False),
    sql.Column("given", Words, nullable=False),  # what the script gets, as JSON
    sql.Column("note", Words, nullable=False),
    sql.Column("holder", sql.String(32), nullable=False),
    sql.Index("kosmolua_tasks_by_due", "due"),
    sql.Index("kosmolua_tasks_by_name", "tenant", "source", "name", "since"),
)
VOTES = sql.Table(
    "kosmolua_votes",
    _tables,
    sql.Column("tenant", sql.String(63), primary_key=True),
    sql.Column("ballot", sql.String(40), primary_key=True),
    sql.Column("voter", sql.String(64), primary_key=True),  # the hash of person and sub
    sql.Column("person", Words, nullable=False),
    sql.Column("sub", Words, nullable=False),
    sql.Column("until", sql.Double, nullable=False),
)
SCHEMA = sql.Table(
    "kosmolua_schema",
    _tables,
    sql.Column("name", sql.String(16), primary_key=True),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("oldest", sql.Integer, nullable=False),  # the oldest version whose code can use these tables
    sql.Column("checked", sql.Double),  # when a server last tried a write
)
_THE_SCHEMA = "tables"


class Step(NamedTuple):
    """A change of the tables from one version to the next.

    Args:
        work: A function that makes the change in a transaction.
        is_additive: True if code of the version before can use the changed tables, as while replicas are replaced one
            by one.
    """

    work: Callable[[sql.Connection], None]
    is_additive: bool


TITLES = ("title", "software", "person", "error", "made", "writes", "worked", "waited", "words")
"""The columns by which people find and recognise runs."""


def _add(names: Sequence[str], at: sql.Connection) -> None:
    """Add those of these columns that the table of recordings lacks."""
    known = {column["name"] for column in sql.inspect(at).get_columns(RECORDINGS.name)}
    for name in names:
        if name not in known:
            kind = RECORDINGS.c[name].type.compile(at.dialect)
            at.exec_driver_sql(f"ALTER TABLE {RECORDINGS.name} ADD COLUMN {name} {kind}")


STEPS: tuple[Step, ...] = tuple(Step(partial(_add, names), is_additive=True) for names in (TITLES, ("fleet",)))
"""The changes of the tables, in order. The first leads from version 1 to version 2.

A new table needs no step, since missing tables are created.
"""


class Now(FunctionElement[float]):
    """An SQL expression for the time by the database's clock, in seconds since 1970. The hosts' clocks can differ."""

    type = sql.Double()
    inherit_cache = True


@compiles(Now, "postgresql")
def _now_in_postgres(element: Now, compiler: Any, **_: Any) -> str:
    return "extract(epoch from statement_timestamp())"  # which is stable, so that an index serves a comparison with it


@compiles(Now, "sqlite")
def _now_in_sqlite(element: Now, compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


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
            if dialect not in _SETTINGS:
                hint = "use PostgreSQL or SQLite"
                raise ConfigError(f"Recordings cannot be kept in a database of the kind {dialect}", hint=hint)
            self._engine = sql.create_engine(url, connect_args=_SETTINGS[dialect], **_POOLS[dialect])
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
        self.do(lambda at: at.execute(sql.update(SCHEMA).values(checked=Now())))

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
            said = float(self.do(lambda at: at.execute(sql.select(Now())).scalar_one()))
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

    def find(self, work: Callable[[sql.Connection], _T]) -> _T:
        """Call :meth:`do` for a function that reads recordings, which finds those that this process has begun."""
        self.settle()
        return self.do(work)

    def settle(self, age: float = 0.0) -> None:
        """Write the new recordings that were begun ``age`` seconds ago, so that whoever reads finds them."""
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
                _make_others_wait(connection)
                _migrate(connection)
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


def _make_others_wait(at: sql.Connection) -> None:
    """Make other processes wait that want to create the tables too, until the transaction ends."""
    if at.dialect.name == "postgresql":
        at.execute(sql.select(sql.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
    else:
        at.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(at: sql.Connection) -> None:
    """Create missing tables, and change those that older code made, step by step."""
    newest = 1 + len(STEPS)
    is_new = not sql.inspect(at).has_table(RECORDINGS.name)
    _tables.create_all(at)
    row = at.execute(sql.select(SCHEMA.c.version, SCHEMA.c.oldest)).first()
    version, oldest = row or ((newest, newest) if is_new else (1, 1))
    if oldest > newest:
        raise ConfigError(
            f"The tables of the database have version {version}, and this release knows versions up to {newest}",
            hint="a newer release of Kosmolua has changed them: update this server",
        )
    for number, step in enumerate(STEPS[version - 1 :], start=version + 1):
        step.work(at)
        oldest = oldest if step.is_additive else number
    values = {"version": max(version, newest), "oldest": oldest}
    if row is None:
        at.execute(sql.insert(SCHEMA).values(name=_THE_SCHEMA, **values))
    elif version < newest:
        at.execute(sql.update(SCHEMA).values(values))


_SETTINGS: dict[str, dict[str, Any]] = {
    "postgresql": {
        "connect_timeout": CONNECT_TIMEOUT,
        "tcp_user_timeout": 10_000,
        "options": "-c statement_timeout=10000 -c lock_timeout=10000",
    },
    "sqlite": {"timeout": SQLITE_PATIENCE},
}
"""The connection arguments for each kind of database. They set timeouts, so that no wait is endless."""
_POOLS: dict[str, dict[str, Any]] = {
    "postgresql": {"pool_size": 15, "max_overflow": 0, "pool_use_lifo": True},
    "sqlite": {},
}
"""How many connections there are at most, which stay open, and the last used one first: to connect costs a process."""


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


def is_held() -> ColumnElement[bool]:
    """Return an SQL condition, which is true for the recordings that a run is writing now."""
    return sql.func.coalesce(RECORDINGS.c.held_until, 0.0) > Now()
