"""Tasks in a folder: a file for each, and an empty file whose name says when a task that is not over is due.

A lock keeps other processes from changing a task meanwhile. The names are read in order, so that a look for what is
due opens no other file.
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

from kosmolua.errors import Unavailable
from kosmolua.folders import replace_file
from kosmolua.locks import lock_file
from kosmolua.stores.tasks import RUNNING, TASK_LEASE, ServerTask

LOCK_TIMEOUT = 5.0
"""How many seconds to wait while other processes change tasks."""

MAX_FILES = 1_000_000


class FolderTasks:
    """The tasks in a folder. See :class:`kosmolua.stores.tasks.TaskQueue`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._due = os.path.join(folder, "due")

    def now(self) -> float:
        return time()

    def add(self, task: ServerTask, also: Sequence[str] = ()) -> bool:
        with self._alone():
            if any(os.path.exists(self._file(id)) for id in (task.id, *also)):
                return False
            self._write(task, None)  # first, so that a process that dies loses no task
            for id in also:
                self._write(replace(task, id=id, due=None, given="", source=""), None)
        return True

    def find(self, id: str) -> ServerTask | None:
        return self._read(self._file(id))

    def is_due(self) -> bool:
        """Return True if a task is due."""
        return min(self._markers(), default="~") <= _marker(self.now())

    def take(self, limit: int) -> list[ServerTask]:
        taken: list[ServerTask] = []
        if not self.is_due():
            return taken
        holder = secrets.token_hex(16)
        with self._alone():
            now = self.now()
            for marker in sorted(each for each in self._markers() if each <= _marker(now)):
                task = self._read(os.path.join(self._folder, f"{marker.partition('-')[2]}.json"))
                if task is None or task.due is None or _marker(task.due) > _marker(now):  # of a process that died
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

    def begin(self, task: ServerTask) -> bool:
        with self._alone():
            former = self.find(task.id)
            if former is None or former.holder != task.holder:
                return False
            begun = replace(former, status=RUNNING, note=task.note, due=self.now() + TASK_LEASE)
            self._write(begun, former)
        return True

    def put(self, task: ServerTask) -> bool:
        with self._alone():
            former = self.find(task.id)
            if former is None or former.holder != task.holder:
                return False
            self._write(replace(task, holder=""), former)
        return True

    def of(self, source: str, name: str, limit: int) -> list[ServerTask]:
        found = [each for each in self._all() if (each.source, each.name) == (source, name)]
        return sorted(found, key=lambda each: (each.due is None, -each.since))[:limit]

    def open(self, source: str, name: str = "") -> list[ServerTask]:
        paths = (os.path.join(self._folder, f"{each.partition('-')[2]}.json") for each in self._markers())
        found = [task for path in paths if (task := self._read(path))]
        return [each for each in found if each.due and each.source == source and name in ("", each.name)]

    def prune(self, keep: float) -> None:
        with self._alone():
            for each in self._all():
                if each.due is None and each.since < self.now() - keep:
                    os.remove(self._file(each.id))

    def trim(self, source: str, name: str, count: int) -> None:
        with self._alone():
            over = [each for each in self.of(source, name, MAX_FILES) if each.due is None]
            for each in over[count:]:
                os.remove(self._file(each.id))

    def _file(self, id: str) -> str:
        return os.path.join(self._folder, f"{sha256(id.encode()).hexdigest()[:32]}.json")

    def _markers(self) -> list[str]:
        try:
            return os.listdir(self._due)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"The tasks cannot be read: {error.strerror}", detail=self._due) from None

    def _all(self) -> Iterator[ServerTask]:
        with suppress(FileNotFoundError):
            for name in os.listdir(self._folder):
                if name.endswith(".json") and (task := self._read(os.path.join(self._folder, name))):
                    yield task

    def _read(self, path: str) -> ServerTask | None:
        try:
            with open(path, encoding="utf-8") as file:
                return ServerTask(**json.load(file))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise Unavailable(f"A task cannot be read: {error}", detail=path) from None

    def _write(self, task: ServerTask, former: ServerTask | None) -> None:
        """Write a task, and the marker of its time. A process that dies between both leaves one too many at most."""
        if task.due is not None:
            self._mark(task)
        replace_file(self._file(task.id), json.dumps(asdict(task)).encode())
        if former and former.due is not None and (task.due is None or _marker(former.due) != _marker(task.due)):
            with suppress(FileNotFoundError):
                os.remove(self._marker_of(former))

    def _mark(self, task: ServerTask) -> None:
        with open(self._marker_of(task), "wb"):
            pass

    def _marker_of(self, task: ServerTask) -> str:
        assert task.due is not None
        return os.path.join(self._due, f"{_marker(task.due)}-{os.path.basename(self._file(task.id))[:-5]}")

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


def _marker(due: float) -> str:
    """Return how the names of files begin that say that a task is due, in the order of time."""
    return f"{int(due * 1000):014d}"
