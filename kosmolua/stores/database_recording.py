"""Recordings in a database: a row for each recording, and a row for each of its lines.

A line is appended only if the run still holds the recording's lease. A host that has lost the lease can therefore write
nothing more.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from kosmolua.errors import ConfigError, KosmoError, Unavailable
from kosmolua.recordings.sheets import in_use
from kosmolua.stores.database import LEASE, Database
from kosmolua.stores.store import missing, output_in, told_by, waits, words_of, writes_in
from kosmolua.stores.tables import LINES, RECORDINGS, Now, is_held, rows_with

PATIENCE = 20.0
"""Seconds that a run waits for an unreachable database before it ends."""
MAX_ROWS = 32
"""How many lines are read at once in the search for secrets."""
MAX_PENDING, MAX_DELAY = 64, 0.5
"""Collected lines are written when there are ``MAX_PENDING`` of them, or when a line is appended more than
``MAX_DELAY`` seconds after the first of them."""


_NEW_LINES = sql.insert(LINES)
_OF_RUN = (
    RECORDINGS.c.tenant == sql.bindparam("of_tenant"),
    RECORDINGS.c.run == sql.bindparam("of_run"),
    RECORDINGS.c.holder == sql.bindparam("held_by"),
)
_ROWS = {
    (is_new, is_last): (sql.insert(RECORDINGS) if is_new else sql.update(RECORDINGS).where(*_OF_RUN)).values(
        written=Now(), held_until=sql.null() if is_last else Now() + LEASE
    )
    for is_new in (True, False)
    for is_last in (True, False)
}
"""The statements that write the row of a recording: a new row or not, with its last lines or not."""


class _Line(NamedTuple):
    """A line that is not in the database yet: its number, its text, its event, and when it was appended."""

    number: int
    line: bytes
    event: Mapping[str, Any]
    time: float


class Row:
    """A recording in a database. Implements :class:`kosmolua.recordings.sheets.Place`. The recording need not exist."""

    def __init__(self, database: Database, tenant: str, run: str) -> None:
        self.name = run
        self._database = database
        self._key = {"tenant": tenant, "run": run}

    def read(self) -> bytes:
        query = sql.select(LINES.c.line).where(rows_with(LINES, self._key)).order_by(LINES.c.number)
        self._database.settle()
        lines = self._database.rows(query)
        if not lines:
            raise missing(self.name)
        return b"".join(line for (line,) in lines)

    def begin(self) -> RowSheet:
        """Return the object that creates the recording with its first line, and writes its further lines."""
        return RowSheet(self._database, self._key, os.urandom(16).hex(), 0)

    def go_on(self, size: int, count: int, *, is_cut: bool) -> RowSheet:
        """Return the object that appends lines to the existing recording, which had ``count`` lines when it was read.

        Raises:
            ConfigError: Another run is writing the recording, or the recording has changed since it was read.
        """
        holder = os.urandom(16).hex()
        take = sql.update(RECORDINGS).where(rows_with(RECORDINGS, self._key), ~is_held())
        take = take.values(holder=holder, held_until=Now() + LEASE)
        self._database.settle()
        if not self._database.change(take):
            raise in_use(self.name)
        sheet = RowSheet(self._database, self._key, holder, count)
        query = sql.select(sql.func.count()).where(rows_with(LINES, self._key))
        if self._database.rows(query)[0][0] != count:
            sheet.close()
            raise ConfigError(f"The recording {self.name} has changed since it was read", hint="try again")
        return sheet

    def is_in_use(self) -> bool:
        self._database.settle()
        return bool(
            self._database.rows(sql.select(RECORDINGS.c.run).where(rows_with(RECORDINGS, self._key), is_held()))
        )


class RowSheet:
    """Writes the lines of a recording in a database, for the run that holds the recording's lease under a random name.

    Lines that can be obtained again, such as answers to reads, are collected. They are written when many have been
    collected, or together with the next line that cannot be obtained again. A crash therefore never loses the line of a
    call that writes, nor any line before it. The row of a new recording is written with the first lines, and the last
    lines give up the lease, since a transaction costs more than a line: a short run that writes nothing has only one.
    """

    def __init__(self, database: Database, key: Mapping[str, str], holder: str, count: int) -> None:
        self._database = database
        self._key = key
        self._holder = holder
        self._mine = {"of_tenant": key["tenant"], "of_run": key["run"], "held_by": holder}
        self._count = count
        self._pending: list[_Line] = []
        # The first lock guards the lines that are not written yet, the second the current transaction.
        self._lock = Lock()
        self._writing = Lock()
        database.leases.add(holder)

    @property
    def age(self) -> float:
        """The seconds since the first line that is not written yet."""
        with self._lock:
            return time.monotonic() - self._pending[0].time if self._pending else 0.0

    def append(self, line: bytes, event: Mapping[str, Any]) -> None:
        """Append the line of an event. If the database cannot be reached, keep trying for :data:`PATIENCE` seconds.

        Raises:
            KosmoError: The line cannot be written.
        """
        with self._lock:
            self._count += 1
            if self._count == 1:
                self._database.begun.add(self)
            self._pending.append(_Line(self._count, line, event, time.monotonic()))
            first = self._pending[0]
            is_due = len(self._pending) >= MAX_PENDING or time.monotonic() - first.time > MAX_DELAY
        if event["event"] != "end" and (is_due or _is_urgent(event)):  # the end is written by close()
            try:
                self.sync()
            except KosmoError:
                if self._takes_back(line):
                    raise

    def _takes_back(self, line: bytes) -> bool:
        """Forget the last line, and return True; False if another thread has written it meanwhile."""
        with self._lock:
            is_pending = bool(self._pending) and self._pending[-1].line is line
            if is_pending:
                self._pending.pop()
                self._count -= 1
        return is_pending

    def sync(self) -> None:
        """Write all collected lines to the database."""
        self._database.begun.discard(self)
        with self._writing:
            with self._lock:
                lines = list(self._pending)
            if lines:
                self._write(lines)
            with self._lock:
                del self._pending[: len(lines)]

    def _write(self, lines: Sequence[_Line], *, is_last: bool = False) -> None:
        new = [{**self._key, "number": each.number, "line": each.line} for each in lines]
        is_new = bool(lines) and lines[0].number == 1
        changes: dict[str, object] = {"holder": None if is_last else self._holder}
        for each in lines:
            changes |= _changes_of(each.event)
        row, lost = _ROWS[is_new, is_last], f"The recording {self._key['run']} can no longer be written"
        values = {"status": "running", **self._key, **changes} if is_new else {**self._mine, **changes}

        def append(at: sql.Connection) -> bool:
            if not at.execute(row, values).rowcount:
                return False
            if new:
                at.execute(_NEW_LINES, new)
            return True

        try:
            is_done = self._database.write(append, 0.0 if is_new else PATIENCE)
        except IntegrityError:
            is_done = False
        except ConfigError as error:
            if is_new:
                error.is_unrecorded = True
                raise
            why = f"{lost}: {error.what[:1].lower()}{error.what[1:]}"
            raise Unavailable(why, hint="resume the run once the database works again", detail=error.detail) from None
        if not is_done and lines and self._line(lines[-1].number) != lines[-1].line:  # else it was appended already
            if not is_new:
                raise KosmoError(f"{lost}: another run has taken it over", hint="wait until that run ends")
            exists = ConfigError(f"The recording {self._key['run']} already exists")
            exists.is_unrecorded = True
            raise exists

    def lines(self) -> Iterator[bytes]:
        """Write the collected lines to the database, and yield all lines of the recording."""
        self.sync()
        last = 0
        mine = sql.select(LINES.c.number, LINES.c.line).where(rows_with(LINES, self._key)).order_by(LINES.c.number)
        while rows := self._database.rows(mine.where(LINES.c.number > last).limit(MAX_ROWS), PATIENCE):
            yield from (row.line for row in rows)
            last = rows[-1].number

    def replace(self, lines: Sequence[bytes]) -> None:
        """Replace all lines, and update those columns of the recording's row that repeat values from the lines."""
        events = [json.loads(line) for line in (lines[0], lines[-1])]
        row = sql.update(RECORDINGS).where(rows_with(RECORDINGS, self._key)).values(written=Now())
        for event in events:
            row = row.values(**_changes_of(event))

        def replace(at: sql.Connection) -> None:
            at.execute(sql.delete(LINES).where(rows_with(LINES, self._key)))
            at.execute(
                sql.insert(LINES),
                [{**self._key, "number": number, "line": line} for number, line in enumerate(lines, start=1)],
            )
            at.execute(row)

        self._database.do(replace, PATIENCE)

    def close(self) -> None:
        """Write the collected lines, and give up the lease. If the database cannot be reached, the lease expires.

        Raises:
            KosmoError: A line cannot be written.
        """
        self._database.begun.discard(self)
        with self._writing, self._lock:
            lines, self._pending = self._pending, []
        try:
            if self._count:  # else there is no row of it
                self._write(lines, is_last=True)
        except KosmoError:
            if lines:
                raise
        finally:
            self._database.leases.drop(self._holder)

    def _line(self, number: int) -> bytes | None:
        query = sql.select(LINES.c.line).where(rows_with(LINES, self._key), LINES.c.number == number)
        return next((line for (line,) in self._database.rows(query, PATIENCE)), None)


def _is_urgent(event: Mapping[str, Any]) -> bool:
    """Return True if the line of an event must be written at once.

    A line can wait if its event can be obtained again, such as the answer to a read. It can also wait if
    :meth:`RowSheet.sync` is always called before the event matters, as it is before a write is sent.
    """
    if event["event"] == "answer":
        return bool(event.get("call") and event["call"].get("effect") not in ("read", None))
    return event["event"] not in ("run", "given", "intent", "page", "account")


def _changes_of(event: Mapping[str, Any]) -> dict[str, object]:
    """Return the new values of the columns that an event changes in the recording's row, by the columns' names."""
    told = told_by(event)
    if event["event"] == "run":
        told["words"] = words_of(event)
    if event["event"] in ("resumed", "end"):
        told["pause"] = {name: event[name] for name in ("event", "time", "error")} if waits(event) else None
    if event["event"] == "end":
        told |= {"printed": output_in(event), "writes": writes_in(told.get("made"))}
    return told
