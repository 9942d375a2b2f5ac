"""The tables of the stores in a database, and the changes that lead to them from those of earlier versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement, FunctionElement

from kosmolua.errors import ConfigError

_SCHEMA_LOCK = 0x4B6F736D  # an advisory lock of PostgreSQL, held while the tables are created
_tables = sql.MetaData()


class Words(sql.TypeDecorator[str]):
    """Text, in which what no database takes is replaced: NUL, and the lone surrogates of bytes that are not UTF-8."""

    impl = sql.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _: object) -> str | None:
        return value and value.encode("utf-8", "replace").decode().replace("\0", "?")


class Json(sql.TypeDecorator[Any]):
    """A value as JSON, which conditions compare as text."""

    impl = sql.Text
    cache_ok = True

    def process_bind_param(self, value: Any, _: object) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, _: object) -> Any:
        return value and json.loads(value)

    def coerce_compared_value(self, _: object, value: object) -> Words:
        return Words()


def _table(name: str, *parts: sql.schema.SchemaItem) -> sql.Table:
    """Return a table with rows of all tenants."""
    return sql.Table(f"kosmolua_{name}", _tables, sql.Column("tenant", sql.String(63), primary_key=True), *parts)


RECORDINGS = _table(
    "recordings",
    sql.Column("run", sql.String(12), primary_key=True),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("time", sql.String(40), nullable=False, default=""),
    sql.Column("ended", sql.String(40)),
    sql.Column("script", Words, nullable=False, default=""),
    sql.Column("sha256", sql.String(64), nullable=False, default=""),
    sql.Column("mode", sql.String(16), nullable=False, default=""),
    sql.Column("client", Words),
    sql.Column("pause", Json),  # the last event of a run that waits for approvals
    sql.Column("written", sql.Double, nullable=False),
    sql.Column("holder", sql.String(32)),
    sql.Column("held_until", sql.Double),
    sql.Column("title", Words),
    sql.Column("software", Words),
    sql.Column("person", Words),
    sql.Column("error", Words),
    sql.Column("made", Json),  # what the run called
    sql.Column("writes", sql.Integer),
    sql.Column("worked", sql.Double),
    sql.Column("waited", sql.Double),
    sql.Column("words", Words),  # what a search looks through, besides title, error and made
    sql.Column("printed", Words),  # the beginning of the output, which a search looks through too
    sql.Column("fleet", Json),  # the fleet that the run belongs to: its id, title and size
    sql.Index("kosmolua_recordings_by_time", "tenant", "time"),
)
LINES = _table(
    "lines",
    sql.Column("run", sql.String(12), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("line", sql.LargeBinary, nullable=False),
)
QUESTIONS = _table(
    "questions",
    sql.Column("id", sql.String(100), primary_key=True),
    sql.Column("run", sql.String(12)),
    sql.Column("script", Words, nullable=False),
    sql.Column("call", Json, nullable=False),
    sql.Column("since", sql.Double, nullable=False),
    sql.Column("until", sql.Double, nullable=False),
    sql.Column("is_approved", sql.Boolean),
    sql.Column("decided_by", sql.Text),
    sql.Column("decided", sql.Double),
)
GRANTS = _table(
    "grants",
    sql.Column("path", sql.String(255), primary_key=True),
    sql.Column("account", sql.String(255), primary_key=True),
    sql.Column("since", sql.String(40), nullable=False),
)
PLANS = _table(
    "plans",
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
SLOTS = _table(
    "slots",
    sql.Column("kind", sql.String(63), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("holder", sql.String(32), nullable=False),
    sql.Column("held_until", sql.Double, nullable=False),
)
COUNTS = _table(
    "counts",
    sql.Column("kind", sql.String(63), primary_key=True),
    sql.Column("window", sql.BigInteger, nullable=False),
    sql.Column("count", sql.BigInteger, nullable=False),
)
MARKS = _table(
    "marks",
    sql.Column("name", sql.String(63), primary_key=True),
    sql.Column("until", sql.Double, nullable=False),
)
TASKS = _table(
    "tasks",
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
VOTES = _table(
    "votes",
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


STEPS: tuple[Step, ...] = tuple(
    Step(partial(_add, names), is_additive=True) for names in (TITLES, ("fleet",), ("printed",))
)
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


def make_others_wait(at: sql.Connection) -> None:
    """Make other processes wait that want to create the tables too, until the transaction ends."""
    if at.dialect.name == "postgresql":
        at.execute(sql.select(sql.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
    else:
        at.exec_driver_sql("BEGIN IMMEDIATE")


def migrate(at: sql.Connection) -> None:
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


def rows_with(table: sql.Table, key: Mapping[str, object]) -> ColumnElement[bool]:
    """Return an SQL condition, which is true for the rows of a table with these values in their columns."""
    return sql.and_(*(table.c[name] == value for name, value in key.items()))


def is_held() -> ColumnElement[bool]:
    """Return an SQL condition, which is true for the recordings that a run is writing now."""
    return sql.func.coalesce(RECORDINGS.c.held_until, 0.0) > Now()
