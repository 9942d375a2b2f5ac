"""Tasks in a folder: a file for each, and an empty one, its marker, whose name says its time, source and name.

The markers are in the folder ``due``, by the time when a task is due, or in ``over``, by its own time. A lock keeps
other processes from changing a task meanwhile. A look for what is due, or is old, opens no other file.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from hashlib import sha256
from time import time
from typing import Any

from kosmolua.errors import Unavailable
from kosmolua.folders import replace_file
from kosmolua.locks import lock_file
from kosmolua.stores.tasks import ALIAS, HOOK, RUNNING, RUNS, TASK_LEASE, ServerTask

LOCK_TIMEOUT = 5.0
"""How many seconds to wait while other processes change tasks."""

BATCH = 100
"""How many tasks are removed while other processes wait."""


class FolderTasks:
    """The tasks in a folder. See :class:`kosmolua.stores.tasks.TaskQueue`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._due = os.path.join(folder, "due")
        self._over = os.path.join(folder, "over")

    def now(self) -> float:
        return time()

    def add(self, task: ServerTask, also: Sequence[str] = ()) -> bool:
        with self._alone():
            if any(os.path.exists(self._file(id)) for id in (task.id, *also)):
                return False
            self._write(task, None)  # first, so that a process that dies loses no task
            for id in also:
                self._write(replace(task, id=id, due=None, given="", source=ALIAS), None)
        return True

    def add_all(self, tasks: Sequence[ServerTask]) -> list[ServerTask]:
        return [each for each in tasks if not self.add(each)]

    def find(self, id: str) -> ServerTask | None:
        return self._read(self._file(id))

    def is_due(self) -> bool:
        """Return True if a task is due."""
        return min(self._names(self._due), default="~") <= _moment(self.now())

    def take(self, limit: int, sources: Sequence[str] = RUNS, name: str = "") -> list[ServerTask]:
        taken: list[ServerTask] = []
        if not self.is_due():
            return taken
        holder = secrets.token_hex(16)
        with self._alone():
            now = self.now()
            for marker in sorted(each for each in self._marked(sources, *filter(None, [name])) if each <= _moment(now)):
                task = self._of(marker)
                if task is None or task.due is None or _moment(task.due) > _moment(now):  # of a process that died
                    os.remove(os.path.join(self._due, marker))
                    if task and task.due:
                        self._mark(task)
                elif len(taken) < limit:
                    taken.append(replace(task, holder=holder, due=now + TASK_LEASE))
                    self._write(taken[-1], task)
        return taken

    def renew(self, held: Sequence[ServerTask]) -> None:
        with self._alone():
            for each in held:
                task = self.find(each.id)
                if task and task.holder == each.holder:
                    self._write(replace(task, due=self.now() + TASK_LEASE), task)

    def begin(self, *tasks: ServerTask) -> list[ServerTask]:
        with self._alone():
            return [
                task
                for task in tasks
                if self._change(task, {"status": RUNNING, "note": task.note, "due": self.now() + TASK_LEASE})
            ]

    def put(self, *tasks: ServerTask) -> list[ServerTask]:
        with self._alone():
            return [task for task in tasks if self._change(task, {**asdict(task), "holder": ""})]

    def _change(self, task: ServerTask, values: dict[str, Any]) -> bool:
        """Change a task if it is still held as it says, and return whether it is."""
        former = self.find(task.id)
        if is_held := former is not None and former.holder == task.holder:
            self._write(replace(former, **values), former)
        return is_held

    def of(self, source: str, name: str, limit: int) -> list[ServerTask]:
        latest = sorted(self._names(self._over_of(source, name)), reverse=True)[:limit]
        over = [task for task in map(self._of, latest) if task and task.due is None]
        still = sorted(self.open(source, name), key=lambda each: -each.since)
        return [*still, *over][:limit]

    def open(self, source: str, *names: str) -> list[ServerTask]:
        return [task for task in map(self._of, self._marked((source,), *names)) if task and task.due]

    def prune(self, keep: float) -> None:
        before = _moment(self.now() - keep)
        for each in self._names(self._over):
            self._remove(os.path.join(self._over, each), before)

    def trim(self, source: str, name: str, count: int) -> None:
        kept = sorted(self._names(self._over_of(source, name)))[-count:]
        for each in (source, ALIAS) if source == HOOK else (source,):
            self._remove(self._over_of(each, name), kept[0].partition("-")[0] if kept else "")

    def _remove(self, folder: str, before: str) -> None:
        """Remove the tasks that are over whose markers in a folder come before a text."""
        old = sorted(each for each in self._names(folder) if each < before)
        for start in range(0, len(old), BATCH):
            with self._alone():
                for marker in old[start : start + BATCH]:
                    task = self._of(marker)
                    if task and task.due is None:
                        os.remove(self._file(task.id))
                    with suppress(FileNotFoundError):
                        os.remove(os.path.join(folder, marker))

    def _file(self, id: str) -> str:
        return os.path.join(self._folder, f"{_digest(id)}.json")

    def _of(self, marker: str) -> ServerTask | None:
        """Return the task of a marker; None if a process that died has left the marker alone."""
        return self._read(os.path.join(self._folder, f"{marker.split('-')[1]}.json"))

    def _marked(self, sources: Sequence[str], *names: str) -> list[str]:
        """Return the markers of the tasks of some sources, or of some names, that are not over."""
        marked = [(each, each.split("-", 2)[-1].partition("-")) for each in self._names(self._due)]
        return [each for each, (source, _, own) in marked if source in sources and (not names or own in names)]

    def _names(self, folder: str) -> list[str]:
        try:
            return os.listdir(folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"The tasks cannot be read: {error.strerror}", detail=folder) from None

    def _read(self, path: str) -> ServerTask | None:
        try:
            with open(path, encoding="utf-8") as file:
                return ServerTask(**json.load(file))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise Unavailable(f"A task cannot be read: {error}", detail=path) from None

    def _write(self, task: ServerTask, former: ServerTask | None) -> None:
        """Write a task, and its marker. A process that dies between both leaves one marker too many at most."""
        self._mark(task)
        replace_file(self._file(task.id), json.dumps(asdict(task)).encode())
        if former and self._marker(former) != self._marker(task):
            with suppress(FileNotFoundError):
                os.remove(self._marker(former))

    def _mark(self, task: ServerTask) -> None:
        marker = self._marker(task)
        os.makedirs(os.path.dirname(marker), mode=0o700, exist_ok=True)
        with open(marker, "wb"):
            pass

    def _marker(self, task: ServerTask) -> str:
        about = f"{_digest(task.id)}-{task.source}-{task.name}"
        if task.due is None:
            return os.path.join(self._over_of(task.source, task.name), f"{_moment(task.since)}-{about}")
        return os.path.join(self._due, f"{_moment(task.due)}-{about}")

    def _over_of(self, source: str, name: str) -> str:
        return os.path.join(self._over, f"{source}-{name}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            os.makedirs(self._due, mode=0o700, exist_ok=True)
            with open(os.path.join(self._folder, ".lock"), "ab") as lock:
                if not lock_file(lock.fileno(), LOCK_TIMEOUT):
                    raise Unavailable("The tasks are in use by other processes for too long", hint="try again")
                yield
        except OSError as error:
            raise Unavailable(f"The tasks cannot be written: {error.strerror}", detail=self._folder) from None


def _moment(seconds: float) -> str:
    """Return how the names of markers begin, in the order of time."""
    return f"{int(seconds * 1000):014d}"


def _digest(id: str) -> str:
    return sha256(id.encode()).hexdigest()[:32]
