"""Starts of sandbox processes. This imports little, so that one can start while the program still imports."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # importing signal takes 2 ms longer, since it makes enums
import os
import sys
import time
from _frozen_importlib_external import PathFinder  # importing importlib.machinery and contextlib takes 3 ms longer
from _thread import RLock

import kosmolua

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import TypeAlias

    Started: TypeAlias = "Process | subprocess.Popen[bytes]"

BOOT = (
    "import gc, sys; gc.disable(); sys.path += sys.argv[1:]; "
    "from kosmolua.sandbox.{role} import main; gc.enable(); main()"
)
"""The Python program of a sandbox process. It imports modules without garbage collection, a tenth faster."""
_PR_SET_DUMPABLE = 4
STANDARD_DESCRIPTORS = 3
"""The number of standard descriptors: input, output and error."""
POLL_INTERVAL = 0.005
"""Seconds between two checks whether a process has ended, on systems that cannot wait without collecting its status."""
SIGKILL = 9
"""The number of the signal, for which Python has no name on Windows."""
UNKNOWN = 0
"""Stands for the exit status of a process if other code has collected it already, as in :mod:`subprocess`."""
BLOCKED = {"session": (_signal.SIGTERM, _signal.SIGPROF)} if hasattr(os, "posix_spawn") else {}
"""The signals that a process blocks from its start, by its role. In a session, they are meant for the running chunk."""

ENVIRONMENTS = {"zygote": {"LD_BIND_NOW": "1"}}
"""The environment variables of a process by its role. Other roles have none. A zygote resolves symbols at its start."""


class Process:
    """A sandbox process, in its own group, with only these descriptors (None: the null device). For its parent."""

    def __init__(self, role: str, stdin: int, stdout: int | None, stderr: int | None = None) -> None:
        nowhere = _open_nowhere()
        wanted = (stdin, *(nowhere if descriptor is None else descriptor for descriptor in (stdout, stderr)))
        # The last first, as the null device gets the number of a standard stream that was closed.
        actions = [(os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate(wanted)][::-1]
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                command(role),
                ENVIRONMENTS.get(role, {}),
                file_actions=actions,
                setsid=True,
                setsigmask=BLOCKED.get(role, ()),
                setsigdef=(_signal.SIGCHLD,),
            )
        finally:
            os.close(nowhere)
        self._status: int | None = None
        self._reaping = RLock()

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        with self._reaping:
            if self._status is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:  # reaped elsewhere, or SIGCHLD is ignored: the status is lost
                    self._status = UNKNOWN
                    return UNKNOWN
                self._status = os.waitstatus_to_exitcode(status) if pid else None
            return self._status

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""
        while (status := self.poll()) is None:
            _await_end(self.pid)
        if os.getpid() == 1:
            self._reap_orphans()
        return status

    def _reap_orphans(self) -> None:
        """Collect statuses of forks that the process left; only a container's first process gets any."""
        try:
            while True:
                os.waitpid(-self.pid, 0)
        except ChildProcessError:
            return

    def kill(self) -> None:
        """End the process at once; not if it has ended, as another could have its id by then."""
        with self._reaping:
            if self.poll() is None:
                os.kill(self.pid, SIGKILL)


def _open_nowhere() -> int:
    """Return a descriptor for output that nobody reads: the null device, or a pipe."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except (FileNotFoundError, PermissionError):
        reader, writer = pipe()
        os.close(reader)
        return writer


def _await_end(pid: int) -> None:
    """Wait until a child has ended, or a few ms, without collecting its status."""
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return  # another thread has reaped it
    else:
        time.sleep(POLL_INTERVAL)


def start(role: str, stdin: int, stdout: int | None, stderr: int | None = None) -> Started:
    """Start a sandbox process without this one's environment, and with its memory out of reach."""
    process = _spawn(role, stdin, stdout, stderr)
    hide()
    return process


def hide() -> None:
    """On Linux, hide the memory and environment of this process from others of its user, such as an escaped script.

    From then on only root can attach a debugger, and the system writes no core dump.
    """
    if sys.platform == "linux":
        import _ctypes  # importing ctypes takes 1.4 ms longer

        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
        _ctypes.call_function(prctl, (_PR_SET_DUMPABLE, 0, 0, 0, 0))


def _spawn(role: str, stdin: int, stdout: int | None, stderr: int | None) -> Started:
    if hasattr(os, "posix_spawn"):
        return Process(role, stdin, stdout, stderr)
    import subprocess

    return subprocess.Popen(
        command(role),
        stdin=stdin,
        stdout=subprocess.DEVNULL if stdout is None else stdout,
        stderr=subprocess.DEVNULL if stderr is None else stderr,
        env={name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
        cwd=os.path.abspath(os.sep),
    )


def pipe() -> tuple[int, int]:
    """Make a pipe; its descriptors are none of 0, 1 and 2, which ``os.pipe`` returns if these are closed."""
    low: list[int] = []
    try:
        while True:
            ends = os.pipe()
            if min(ends) >= STANDARD_DESCRIPTORS:
                return ends
            low.extend(ends)
    finally:
        for end in low:
            os.close(end)


class PipePair:
    """The two pipes to a child that the ``with`` block starts, with the descriptors of :attr:`theirs`.

    The end of the block closes our copies of these; after an error, our ends as well.

    Raises:
        OSError: Too many files are open.
    """

    def __init__(self) -> None:
        theirs, self.outgoing = pipe()
        try:
            self.incoming, other = pipe()
        except OSError:
            os.close(theirs)
            os.close(self.outgoing)
            raise
        self.theirs = theirs, other

    def __enter__(self) -> PipePair:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for end in self.theirs + ((self.incoming, self.outgoing) if kind else ()):
            os.close(end)


def command(role: str) -> list[str]:
    """Return the command line of a role: Python, isolated, without site-packages."""
    return [sys.executable, "-I", "-S", "-c", BOOT.format(role=role), *_import_paths()]


def _import_paths() -> list[str]:
    folders = [os.path.dirname(os.path.dirname(os.path.abspath(kosmolua.__file__)))]
    lupa = PathFinder.find_spec("lupa")
    if lupa and lupa.origin:
        folders.append(os.path.dirname(os.path.dirname(os.path.abspath(lupa.origin))))
    return folders


class WorkerProcess:
    """A worker as a new Python interpreter, which takes longer than a fork by a zygote."""

    def __init__(self) -> None:
        with PipePair() as pipes:
            self.process = start("worker", *pipes.theirs)
        self.incoming, self.outgoing = pipes.incoming, pipes.outgoing
