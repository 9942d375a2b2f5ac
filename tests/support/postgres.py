"""A PostgreSQL server for tests: it runs as an unprivileged user, with its data in a folder of its own."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType

from support.processes import descendants, eventually

USER = "nobody"
"""Who runs the server if the tests run as root, which PostgreSQL refuses to be."""


def programs() -> tuple[str, str] | None:
    """Return the paths of ``initdb`` and ``postgres``, or None if they are not installed."""
    found = [shutil.which(name) for name in ("initdb", "postgres")]
    return (found[0], found[1]) if found[0] and found[1] else None


class Postgres:
    """A server, as a context manager. ``address`` is that of its database, by a Unix socket."""

    def __init__(self) -> None:
        found = programs()
        assert found
        self._initdb, self._postgres = map(os.path.realpath, found)
        self._folder = Path(tempfile.mkdtemp(prefix="kosmolua-pg-"))
        self._server: subprocess.Popen[bytes] | None = None
        self._identity: dict[str, str] = {}
        self._user = getpass.getuser()
        if os.getuid() == 0:
            self._identity, self._user = {"user": USER}, USER
            os.chown(self._folder, pwd.getpwnam(USER).pw_uid, -1)
        self.address = f"postgresql://{self._user}@/postgres?host={self._folder}"

    def __enter__(self) -> Postgres:
        command = [self._initdb, "-D", str(self._folder / "data"), "--auth=trust", "--no-sync", "-E", "UTF8"]
        try:
            subprocess.run(command, check=True, capture_output=True, cwd=self._folder, **self._identity)  # type: ignore[call-overload]
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server, and remove its data."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = ["listen_addresses=", f"unix_socket_directories={self._folder}", "fsync=off", "shared_buffers=8MB"]
        options = [word for setting in settings for word in ("-c", setting)]
        self._server = subprocess.Popen(
            [self._postgres, "-D", str(self._folder / "data"), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            **self._identity,  # type: ignore[arg-type]
        )
        assert eventually(self._answers), "PostgreSQL does not answer"

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        if self._server:
            self._server.send_signal(3)  # SIGQUIT: an immediate shutdown
            self._server.wait(60)
            self._server = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Suspend the server and its connections during the block: they stay open, and nothing answers."""
        assert self._server
        os.kill(self._server.pid, signal.SIGSTOP)  # it starts no further process
        processes = [self._server.pid, *descendants(self._server.pid)]
        _signal(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(processes, signal.SIGCONT)

    def _answers(self) -> bool:
        import psycopg

        with suppress(psycopg.OperationalError), psycopg.connect(self.address, connect_timeout=1):
            return True
        return False


def _signal(processes: list[int], number: int) -> None:
    """Send a signal to those of the processes that have not ended."""
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, number)


@cache
def reason_to_skip() -> str | None:
    """Return why there can be no server here, or None if there can."""
    if programs() is None:
        return "PostgreSQL is not installed"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "psycopg is not installed: the extra postgres has it"
    return None
