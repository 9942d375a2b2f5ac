"""Stores of recordings, questions and grants in a folder, which several processes and hosts can share."""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from glob import escape, glob
from hashlib import sha256
from heapq import nlargest
from operator import attrgetter
from typing import Any

from kosmolua.errors import ConfigError, Unavailable
from kosmolua.folders import replace_file
from kosmolua.locks import lock_file
from kosmolua.recordings.recording import FORMAT, Event, Recording, read
from kosmolua.recordings.sheets import CHANGES, File
from kosmolua.stores.folder_counts import count_in
from kosmolua.stores.folder_index import FolderIndex, KnownRun, Stamp
from kosmolua.stores.folder_slots import FolderSlot
from kosmolua.stores.folder_tasks import FolderTasks
from kosmolua.stores.store import (
    APPROVAL_DAYS,
    DAY,
    DEFAULT_RUNS,
    ENDED_DAYS,
    KEY_SIZE,
    MARK,
    ORDERS,
    RUN_ID,
    TENANT,
    Decision,
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
    output_in,
    paused_calls,
    told_by,
    waiting_in,
    waits,
    words_of,
)

SUFFIX = ".jsonl"
BLOCK = 64 * 1024
"""How many bytes to read at a time from the end of a file."""
KEY = ".key"
PROBE_SIZE = 4096
"""Bytes of a write that is only tried. A full disk refuses them."""
LATER = "nothing is lost: try again when it can be written"
PLAN_TIMEOUT = 5.0
"""Seconds to wait for another process that changes a plan."""
KEY_TRIES, KEY_PAUSE = 50, 0.02
"""How many times to look for a key that another process is about to write, and the seconds between two looks."""


class Folders(Stores):
    """The stores of all tenants in one folder; ``inside`` is the store's folder in that of a tenant, or empty."""

    def __init__(self, folder: str | os.PathLike[str], inside: str = "") -> None:
        self._path = os.fspath(folder)
        self._inside = inside
        self._ended = os.path.join(self._path, ".ended-sessions")

    def of(self, tenant: str) -> Folder:
        return Folder(os.path.join(self._path, checked_tenant(tenant), self._inside).rstrip(os.sep))

    def key(self) -> bytes:
        path = os.path.join(self._path, KEY)
        with _written(f"The key file {path}", self._path):
            _make(self._path)
            _create_key(path)
        return _key_in(path)

    def end_session(self, session: str) -> None:
        """Record, as an empty file, that a session of the website has ended. See :meth:`Stores.end_session`."""
        with _written("The sessions that have ended", self._ended):
            _make(self._ended)
            for file in os.scandir(self._ended):
                with suppress(FileNotFoundError):  # another process removed it
                    if time.time() - file.stat().st_mtime > ENDED_DAYS * DAY:
                        os.remove(file)
            with open(os.path.join(self._ended, session), "wb"):
                pass

    def ended_sessions(self) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._ended))
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            what = f"The sessions that have ended in {self._ended} cannot be read: {error.strerror}"
            raise ConfigError(what) from None

    def due_tenants(self) -> list[str]:
        try:
            names = [name for name in os.listdir(self._path) if TENANT.fullmatch(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"The tasks cannot be read: {error.strerror}", detail=self._path) from None
        return [name for name in names if self.of(name).tasks.is_due()]

    def probe(self) -> None:
        """Try a write: create a small file, and remove it."""
        with _written("Recordings", self._path):
            _make(self._path)
            descriptor, name = tempfile.mkstemp(prefix=".probe-", dir=self._path)
            try:
                os.write(descriptor, bytes(PROBE_SIZE))
            finally:
                os.close(descriptor)
                os.remove(name)

    def drop(self) -> None:
        """Do nothing: a wait for a file cannot be ended."""

    def close(self) -> None:
        """Do nothing: no file stays open."""


class Folder(Store):
    """A store in a folder: a file for each recording, and small files for questions, their answers, and grants.

    The folder is created when something is first stored.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = os.fspath(folder)
        self._questions = os.path.join(self.path, "questions")
        self._grants = os.path.join(self.path, "grants")
        self._marks = os.path.join(self.path, "marks")
        self._votes = os.path.join(self.path, "votes")
        self._plans = os.path.join(self.path, "plans")
        self.tasks = FolderTasks(os.path.join(self.path, "tasks"))
        self._plan_lock = os.path.join(self._plans, ".lock")
        self._seen: dict[str, tuple[Stamp, Event, Event]] = {}
        self._index = FolderIndex(self.path)
        self._changes = os.path.join(self.path, CHANGES)
        self._known: Stamp | None = None
        self._looks = Looks()

    def place(self, run: str) -> File:
        """Return the file of a run's recording, which need not exist. Create the store's folder if it is missing."""
        if not os.path.exists(self._changes):
            with _written("Recordings", self.path):
                _make(self.path)
            with suppress(OSError), open(self._changes, "ab"):  # without it, each look takes longer
                pass
        return self._file(run)

    def read(self, run: str) -> Recording:
        file = self._file(run)
        if not os.path.exists(file.name):
            raise missing(run)
        return read(file)

    def find_runs(self, fitting: RunFilter, start: int = 0, limit: int = DEFAULT_RUNS) -> tuple[list[Summary], int]:
        known = self._listed(self._names(fitting.beginning) if fitting.beginning else fitting.runs)
        fits_all = fitting == RunFilter(order=fitting.order)
        found = [run for run, text in known if fits_all or fitting.fits(run, text)]
        newest = attrgetter("time", "run")
        if fitting.order == "time":
            return nlargest(start + limit, found, key=newest)[start:], len(found)
        found.sort(key=newest, reverse=True)
        found.sort(key=attrgetter(fitting.order), reverse=ORDERS[fitting.order])
        return found[start : start + limit], len(found)

    def fleets(self) -> list[FleetSummary]:
        return fleets_of((run.fleet, run.status, 1, run.time) for run, _ in self._listed() if run.fleet)

    def prune(self, keep: float) -> int:
        old = [run for written, _, run in self._by_age() if time.time() - written / 1e9 > keep]
        if removed := sum(map(self._remove, old)):
            self._index.remove()
        for file in self._plan_files():
            with suppress(OSError):
                if time.time() - os.stat(file).st_mtime > keep:
                    os.remove(file)
        return removed

    def make_room(self, most: int) -> bool:
        return self._looks.find_room(lambda: self._has_room(most))

    def _has_room(self, most: int) -> bool:
        found = self._by_age()
        used = sum(size for _, size, _ in found)
        for _, size, run in found:
            if used < most:
                break
            used -= size * self._remove(run)
        return used < most

    def tidy(self, keep: float) -> None:
        """See :meth:`Store.tidy`. The modification time of an empty file shows when this was last done."""
        marker = os.path.join(self.path, ".tidied")
        with suppress(OSError):
            if 0 <= time.time() - os.stat(marker).st_mtime < DAY:
                return
        with suppress(OSError, Unavailable):
            with open(marker, "wb"):
                os.utime(marker)
            self.prune(keep)
            for file in list(os.scandir(self._questions)):  # left by processes that died
                if time.time() - file.stat().st_mtime > DAY:
                    os.remove(file)

    def waiting(self) -> list[WaitingCall]:
        paused: list[WaitingCall] = []
        for run, stamp in self._stamps().items():
            known = self._index.get(run)
            if known and known.stamp == stamp:
                continue
            _, head, end = self._ends(run, stamp)
            if waits(end) and not self._file(run).is_in_use():
                paused += paused_calls(run, head["script"]["name"], end)
        return sorted([*paused, *self._asked()], key=lambda each: (each.since, each.id))

    def ask(self, question: WaitingCall) -> None:
        """Store, in a new file, the question whether a person approves a call. The run of the call is still running."""
        with _written("The requests for approval", self._questions):
            _make(self._questions)
            path = self._question(question.id)
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                json.dump(question._asdict(), file)
            os.replace(f"{path}.new", path)

    def decide(self, question: str, decision: Decision) -> bool:
        if not any(each.id == question for each in self._asked()):
            return False
        with _written("The requests for approval", self._questions):
            try:
                with open(self._question(question, ".answer"), "x", encoding="utf-8") as file:
                    json.dump(asdict(decision), file)
            except FileExistsError:
                return False
        return True

    def decision(self, question: str) -> Decision | None:
        try:
            with open(self._question(question, ".answer"), encoding="utf-8") as file:
                return Decision(**json.load(file))
        except (FileNotFoundError, ValueError):  # the file does not exist, or is not complete yet
            return None

    def answered(self, run: str) -> list[tuple[WaitingCall, Decision]]:
        asked = [each for each in self._questions_in_files() if each.run == run]
        return [(each, decision) for each in asked if (decision := self.decision(each.id))]

    def withdraw(self, question: str) -> None:
        for suffix in ("", ".answer"):
            with suppress(FileNotFoundError):
                os.remove(self._question(question, suffix))

    def vote(self, ballot: str, vote: Vote) -> bool:
        path = self._vote(ballot, vote)
        with _written("The votes", self._votes):
            _make(self._votes)
            _make(os.path.dirname(path))
            is_new = not os.path.exists(path)
            replace_file(path, json.dumps(vote).encode())
        return is_new

    def unvote(self, ballot: str, vote: Vote) -> None:
        with _written("The votes", self._votes), suppress(FileNotFoundError):
            os.remove(self._vote(ballot, vote))

    def votes(self, ballot: str) -> list[Vote]:
        found: list[Vote] = []
        for path in glob(os.path.join(escape(self._votes), ballot, "*")):
            with suppress(OSError, ValueError, TypeError), open(path, encoding="utf-8") as file:
                if "." not in os.path.basename(path) and os.path.getmtime(path) > time.time() - APPROVAL_DAYS * DAY:
                    found.append(Vote(*json.load(file)))
        return found

    def grants(self) -> list[Grant]:
        try:
            names = [name for name in os.listdir(self._grants) if "." not in name]
        except FileNotFoundError:
            return []
        except OSError as error:
            what = f"The grants cannot be read: {error.strerror}"
            raise Unavailable(what, hint=LATER, detail=self._grants) from None
        found = [grant for name in names if (grant := self._granted(name))]
        return sorted(found, key=lambda each: (each.since, each.path, each.account))

    def grant(self, given: Grant) -> None:
        """Store a grant in a file of its own. It replaces an earlier grant for the same function and account."""
        with _written("The grants", self._grants):
            _make(self._grants)
            replace_file(self._grant(given.path, given.account), json.dumps(given._asdict()).encode())

    def revoke(self, path: str, account: str) -> None:
        with _written("The grants", self._grants), suppress(FileNotFoundError):
            os.remove(self._grant(path, account))

    def key(self, *, create: bool) -> bytes | None:
        path = os.path.join(self.path, KEY)
        if create:
            try:
                os.makedirs(self.path, mode=0o700, exist_ok=True)
                _create_key(path)
            except OSError:
                return None
        return _key_in(path) if os.path.exists(path) else None

    def plan(self, id: str) -> bytes | None:
        try:
            with open(self._plan(id), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"The plan {id} cannot be read: {error.strerror}", detail=self._plans) from None

    def plans(self) -> list[bytes]:
        found: list[bytes] = []
        for path in self._plan_files():
            with suppress(OSError), open(path, "rb") as file:  # another process removed it
                found.append(file.read())
        return found

    def put_plan(self, id: str, new: bytes, old: bytes | None) -> bool:
        """Store a plan in a file, while a lock keeps other processes from changing one."""
        with _written("Plans", self._plans):
            _make(self._plans)
            with open(self._plan_lock, "ab") as lock:
                if not lock_file(lock.fileno(), PLAN_TIMEOUT) or self.plan(id) != old:
                    return False
                replace_file(self._plan(id), new)
        return True

    def remove_plan(self, id: str) -> None:
        with _written("Plans", self._plans), suppress(FileNotFoundError), open(self._plan_lock, "ab") as lock:
            lock_file(lock.fileno(), PLAN_TIMEOUT)  # another process may be replacing it
            os.remove(self._plan(id))

    def slot(self, kind: str, count: int) -> FolderSlot:
        return FolderSlot(os.path.join(self.path, "slots", kind), count)

    def mark(self, name: str, seconds: float) -> None:
        """Set a mark: an empty file, whose modification time is when the mark ends. See :meth:`Store.mark`."""
        with _written("The marks", self._marks):
            _make(self._marks)
            until = time.time() + seconds
            with open(os.path.join(self._marks, _mark(name)), "wb") as file:
                os.utime(file.name, (until, until))

    def unmark(self, name: str) -> None:
        with _written("The marks", self._marks), suppress(FileNotFoundError):
            os.remove(os.path.join(self._marks, _mark(name)))

    def marks(self) -> dict[str, float]:
        found: dict[str, float] = {}
        with _written("The marks", self._marks), suppress(FileNotFoundError):
            for file in os.scandir(self._marks):
                with suppress(FileNotFoundError):  # another process removed it
                    until = file.stat().st_mtime
                    if until > time.time():
                        found[file.name] = until
                    elif until < time.time() - DAY:
                        os.remove(file)
        return found

    def count(self, kind: str, window: int, more: int, most: int | None = None) -> int | None:
        return count_in(os.path.join(self.path, "counts", kind), window, more, most)

    def _plan(self, id: str) -> str:
        return os.path.join(self._plans, f"{id}.json")

    def _plan_files(self) -> list[str]:
        return glob(os.path.join(escape(self._plans), "p-*.json"))

    def _vote(self, ballot: str, vote: Vote) -> str:
        return os.path.join(self._votes, ballot, sha256("\n".join(vote).encode()).hexdigest())

    def _grant(self, path: str, account: str) -> str:
        return os.path.join(self._grants, sha256(f"{path}\n{account}".encode()).hexdigest())

    def _granted(self, name: str) -> Grant | None:
        """Return the grant in the file with this name, or None if the grant was revoked meanwhile."""
        path = os.path.join(self._grants, name)
        try:
            with open(path, encoding="utf-8") as file:
                return Grant(**json.load(file))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"The grant in {path} cannot be read: {error}") from None

    def _file(self, run: str) -> File:
        if not RUN_ID.fullmatch(run):
            raise missing(run)
        return File(os.path.join(self.path, run + SUFFIX))

    def _question(self, name: str, suffix: str = "") -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name):
            raise ConfigError(f"{name[:40]!r} is not the id of a request for approval")
        return os.path.join(self._questions, name + suffix)

    def _names(self, beginning: str = "") -> list[str]:
        if RUN_ID.fullmatch(beginning):
            return [beginning] if os.path.exists(self._file(beginning).name) else []
        try:
            files = os.listdir(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._unreadable(error) from None
        names = (file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX) and file.startswith(beginning))
        return [name for name in names if RUN_ID.fullmatch(name)]

    def _asked(self) -> list[WaitingCall]:
        open_ones = (each for each in self._questions_in_files() if each.until > time.time())
        return [each for each in open_ones if not os.path.exists(self._question(each.id, ".answer"))]

    def _questions_in_files(self) -> Iterator[WaitingCall]:
        try:
            names = sorted(name for name in os.listdir(self._questions) if "." not in name)
        except FileNotFoundError:
            return
        for name in names:
            with suppress(FileNotFoundError), open(self._question(name), encoding="utf-8") as file:
                yield WaitingCall(**json.load(file))

    def _listed(self, runs: Iterable[str] | None = None) -> list[tuple[Summary, str]]:
        """Return the summary of each run, by default of all, and the text to search in."""
        stamps = self._stamps() if runs is None else {run: _stamp_of(self._file(run).name) for run in runs}
        found = [self._indexed(run, stamp) for run, stamp in stamps.items()]
        self._index.save()
        return found

    def _indexed(self, run: str, stamp: Stamp | None) -> tuple[Summary, str]:
        known = self._index.get(run)
        if known and known.stamp == stamp:
            return known.summary, known.text
        stamp, head, end = self._ends(run, stamp)
        found = self._summary(run, stamp, head, end)
        text = words_of(head) if head and found.status != "damaged" else run
        made = " ".join(row[0] for row in found.made or ())
        text = f"{text}\n{found.title}\n{found.error}\n{made}\n{output_in(end)}".lower()
        if end.get("event") == "end" and not found.waiting:
            self._index.put(run, KnownRun(stamp, found, text))
            self._seen.pop(run, None)
        return found, text

    def _summary(self, run: str, stamp: Stamp, head: Event, end: Event) -> Summary:
        if head.get("event") != "run" or head.get("format") != FORMAT:
            return Summary(run, "damaged", "")
        told = told_by(head)
        if end.get("event") == "end":
            told |= told_by(end)
        else:
            told["status"] = "running" if self._file(run).is_in_use() else "interrupted"
        return Summary(run, **told, waiting=waiting_in(end), written=stamp[0] / 1e9)

    def _by_age(self) -> list[tuple[int, int, str]]:
        """Return when each recording was last written, its size, and the id of its run, the oldest first."""
        stamps = ((_stamp_of(self._file(run).name), run) for run in self._names())
        return sorted((*stamp, run) for stamp, run in stamps if stamp)

    def _remove(self, run: str) -> bool:
        """Remove a recording, and return True; False if it is being written, or waits for a person or its time."""
        end = self._ends(run)[-1]
        return not waits(end) and end.get("status") != "waiting" and self._file(run).remove()

    def _stamps(self) -> dict[str, Stamp]:
        """Return the time and the size of each recording, by the id of its run.

        Recordings that had ended are looked at again only if one of those has gone on since the last look.
        """
        found: dict[str, Stamp] = {}
        changes = _stamp_of(self._changes)
        is_same = changes is not None and changes == self._known
        try:
            with os.scandir(self.path) as files:
                for file in files:
                    run, suffix = file.name[:-6], file.name[-6:]
                    if is_same and suffix == SUFFIX and (known := self._index.get(run)):
                        found[run] = known.stamp
                    elif suffix == SUFFIX and RUN_ID.fullmatch(run):
                        status = file.stat()
                        found[run] = status.st_mtime_ns, status.st_size
        except (FileNotFoundError, NotADirectoryError):  # the folder, or a file that was removed: the list is made anew
            return {run: stamp for run in self._names() if (stamp := _stamp_of(self._file(run).name))}
        except OSError as error:
            raise self._unreadable(error) from None
        self._known = changes
        for gone in [run for run in list(self._seen) if run not in found]:
            self._seen.pop(gone, None)
        self._index.keep(found)
        return found

    def _unreadable(self, error: OSError) -> Unavailable:
        return Unavailable(f"The recordings cannot be read: {error.strerror}", detail=self.path)

    def _ends(self, run: str, known: Stamp | None = None) -> tuple[Stamp, Event, Event]:
        """Return the stamp of a run's recording, its first and its last event. An event that cannot be read is empty.

        ``known`` is the stamp, if it was just looked up.
        """
        seen = self._seen.get(run)
        if seen and seen[0] == known:
            return seen
        path = self._file(run).name
        try:
            found = os.stat(path)
            stamp = (found.st_mtime_ns, found.st_size)
            if not seen or seen[0] != stamp:
                with open(path, "rb") as file:
                    seen = stamp, _event(file.readline()), _event(_last_line(file, found.st_size))
                self._seen[run] = seen
        except OSError:
            return (0, 0), {}, {}
        return seen


def _stamp_of(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _event(line: bytes) -> Event:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and line.endswith(b"\n") else {}


def _last_line(file: Any, size: int) -> bytes:
    """Return the last complete line of a file of ``size`` bytes, reading only as much of its end as needed."""
    tail, start = b"", size
    while start and b"\n" not in tail[: tail.rfind(b"\n")]:
        start = max(0, start - max(BLOCK, len(tail)))
        file.seek(start)
        tail = file.read(size - start)
    return bytes(tail[: tail.rfind(b"\n")].rpartition(b"\n")[2] + b"\n")


def _mark(name: str) -> str:
    if not MARK.fullmatch(name):
        raise ConfigError(f"{name[:40]!r} is not the name of a mark")
    return name


def _create_key(path: str) -> None:
    """Create a key file, which only its owner can read, unless the file exists."""
    with suppress(FileExistsError), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_SIZE))


def _key_in(path: str) -> bytes:
    """Return the key in a file, which another process may still be writing."""
    for _ in range(KEY_TRIES):
        if len(key := _bytes_of(path)) == KEY_SIZE:
            return key
        time.sleep(KEY_PAUSE)
    hint = "remove the file; a new key is then created"
    raise ConfigError(f"The key file {path} does not contain a key", hint=hint)


def _bytes_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigError(f"The key file {path} cannot be read: {error.strerror}") from None


@contextmanager
def _written(what: str, folder: str) -> Iterator[None]:
    """Turn an OSError in the ``with`` block into a ConfigError, which says which files cannot be written."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{what} cannot be written: {error.strerror}", hint=LATER, detail=folder) from None


def _make(folder: str) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)
