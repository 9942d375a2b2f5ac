"""The folder with the recordings of a fleet's runs, which the fleet shares with all workers.

An executor may run a task again: dask does so when the worker that had its result dies. It may even run two copies at
once, if a worker that is taken for dead still lives. Each copy locks the run's recording, and does nothing that the
recording has already. A copy that comes after the fleet has ended does nothing at all.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256

from kosmolua.errors import Busy, ConfigError
from kosmolua.folders import replace_file
from kosmolua.locks import FileLock

LOCKS = ".locks"
"""The folder of the locks, in the folder of the recordings."""
CURRENT = "fleet"
"""The file among the locks that holds the id of the fleet under way."""


class FleetRecordings:
    """The folder of one fleet's recordings, on the fleet's side. It is created if it is missing.

    ``fleet`` is an id of the fleet if the recordings are its own; otherwise it is empty. If they ``are_kept``, they
    stay when the fleet has ended, and other fleets may use them.

    Raises:
        ConfigError: The folder cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, are_kept: bool) -> None:
        self._path = os.path.abspath(path)
        self._locks = os.path.join(self._path, LOCKS)
        self.fleet = "" if are_kept else os.urandom(8).hex()
        try:
            os.makedirs(self._locks, mode=0o700, exist_ok=True)
            if self.fleet:
                replace_file(os.path.join(self._locks, CURRENT), self.fleet.encode())
        except OSError as error:
            raise ConfigError(f"The folder {self._path} cannot be written: {error.strerror}") from None

    def of(self, key: object, account: str | None) -> str:
        """Return the path of the recording of the run with this input's key and this default account."""
        said = json.dumps([key, account], default=str)
        plain = re.sub(r"[^\w.-]+", "_", f"{key}" if account is None else f"{key}.{account}")[:60]
        return os.path.join(self._path, f"{plain}-{sha256(said.encode()).hexdigest()[:10]}.jsonl")

    def end(self, done: Iterable[str]) -> None:
        """End the fleet. If the recordings are its own, remove those at the paths of runs that are done."""
        if not self.fleet:
            return
        with suppress(OSError):
            os.unlink(os.path.join(self._locks, CURRENT))
        for path in done:
            lock = _lock_of(path)
            # A copy of the run may still be under way, and the recording is what keeps it from writing.
            with suppress(OSError, Busy, ConfigError), FileLock(lock, f"The recording {path}"):
                with suppress(FileNotFoundError):
                    os.unlink(path)
                os.unlink(lock)
        for folder in (self._locks, self._path):
            with suppress(OSError):
                os.rmdir(folder)


@contextmanager
def locked(path: str, fleet: str, seconds: float) -> Iterator[None]:
    """Keep all other copies of a task from running until the ``with`` block ends; wait at most ``seconds`` for another.

    ``path`` is that of the recording of the task's run. The fleet with this id, unless that is empty, must be under
    way.

    Raises:
        Busy: Another copy was under way for all this time.
        ConfigError: The folder of the recordings cannot be seen from here, or the fleet has ended.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(_lock_of(path), f"The recording {path}", seconds))
            if fleet and _current(path) != fleet:
                raise FileNotFoundError
        except FileNotFoundError:
            what = f"{os.path.dirname(path)} is not there, or its fleet has ended. Nothing was sent"
            hint = "put it on a disk that all workers share at the same path"
            raise ConfigError(f"The folder of the fleet's recordings {what}", hint=hint) from None
        yield


def _lock_of(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, LOCKS, f"{name}.lock")


def _current(path: str) -> str:
    with open(os.path.join(os.path.dirname(path), LOCKS, CURRENT), encoding="ascii") as file:
        return file.read()
