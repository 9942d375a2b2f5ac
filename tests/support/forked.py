"""The program, forked from a process that has imported it, which is most of the time of a short command.

While :func:`forking` lasts, ``subprocess`` starts ``python -m kosmolua`` and the programs of ``tests/support`` so. What
it starts is a child of the process that asks for it, as always, with an environment and streams of its own, and knows
nothing of earlier ones. With KOSMOLUA_LONG in the environment, where the system cannot fork for a parent, and where an
option of ``subprocess`` asks for more, it is a new interpreter instead.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import os
import pickle
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

CLONE = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine) if sys.platform == "linux" else None
CLONE_PARENT = 0x8000
SUPPORT = str(Path(__file__).parent)
PROGRAM = [sys.executable, "-m", "kosmolua"]
COMMANDS = ("cli", "broker", "calls", "catalog", "docs", "flow", "lua", "processes", "recordings")
"""Packages of the program that most commands use."""
SERVERS = (*COMMANDS, "mcp", "mcp_client", "stores")
"""Packages of the program that its servers use, but for ``serve``, which decides as it is imported how it counts."""
LIBRARIES = ("h11", "itsdangerous", "jinja2", "jwt", "markdown_it", "pygments.lexers", "starlette.routing", "uvicorn")
"""What that package imports."""
UNKNOWN_TO_ALL = ("keyring", "prometheus_client")
UNKNOWN_TO_COMMANDS = (*UNKNOWN_TO_ALL, "opentelemetry.trace", "mcp")
"""Modules whose import has an effect of its own."""
DECIDED_AT_THE_START = ("PYTHON", "LC_", "LANG", "TZ", "OTEL_")
"""How variables begin that an interpreter reads when it starts."""


class Start(NamedTuple):
    """What a process is started with, beside its streams."""

    words: list[str]
    folder: str
    environment: dict[bytes, bytes]
    leads_session: bool
    takes_terminal: bool


def take_terminal() -> None:
    """Make standard input the terminal of the session that this process leads, as ``preexec_fn`` of ``Popen``."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Source:
    """A process that has imported some packages of the program, and forks. It starts at the first request."""

    def __init__(self, packages: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, __file__, *packages]
        self._environment = dict(environment)
        self._asking = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, start: Start, streams: Sequence[int]) -> int:
        """Return the id of a new child of this process."""
        said = pickle.dumps(tuple(start))
        with self._asking:
            if self._process is None:
                self._requests, theirs = socket.socketpair()
                with theirs:
                    self._process = subprocess.Popen(self._command, env=self._environment, stdin=theirs)
            socket.send_fds(self._requests, [len(said).to_bytes(4, sys.byteorder)], streams)
            self._requests.sendall(said)
            pid = int.from_bytes(self._requests.recv(4, socket.MSG_WAITALL), sys.byteorder, signed=True)
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._requests.close()
            self._process.wait()


class Forking:
    """Whether the program starts by forks now."""

    is_used = True


@contextmanager
def forking(environment: Mapping[str, str]) -> Iterator[Forking]:
    """Start the program by forks during the block, where this can be done and has the same effect."""
    now = Forking()
    if CLONE is None or os.environ.get("KOSMOLUA_LONG"):
        yield now
        return
    commands, servers = sources = [Source(packages, environment) for packages in (COMMANDS, SERVERS)]
    usual: Callable[..., None] = subprocess.Popen._execute_child  # type: ignore[attr-defined]
    owner = os.getpid()

    def execute_child(self: Any, *given: Any) -> None:
        command, executable, prepare, closes, passed, folder, variables, _, _, shell = given[:10]
        ends, how = given[10:16], given[16:]
        words = [] if isinstance(command, (str, bytes, os.PathLike)) else [os.fsdecode(word) for word in command]
        variables = os.environ if variables is None else variables
        is_special = executable or passed or shell or not closes or not {*how[1:5], *how[6:]} <= {None, -1}
        is_usual = now.is_used and not is_special and prepare in (None, take_terminal)
        if not (is_usual and os.getpid() == owner and is_program(words) and starts_alike(variables, environment)):
            return usual(self, *given)
        start = Start(
            words[1:],
            os.path.abspath(folder or "."),
            {os.fsencode(name): os.fsencode(value) for name, value in variables.items()},
            leads_session=how[5],
            takes_terminal=prepare is take_terminal,
        )
        source = commands if words[:3] == PROGRAM and words[3:4] not in (["mcp"], ["serve"]) else servers
        self.pid = source.fork(start, [ends[at] if ends[at] != -1 else number for number, at in enumerate((0, 3, 5))])
        self._child_created = True
        self._close_pipe_fds(*ends)
        return None

    subprocess.Popen._execute_child = execute_child  # type: ignore[attr-defined]
    yield now
    subprocess.Popen._execute_child = usual  # type: ignore[attr-defined]
    for each in sources:
        each.close()


def is_program(words: list[str]) -> bool:
    """Say whether a command starts the program, or one of this folder."""
    is_here = words[:1] == PROGRAM[:1] and words[1:] and words[1].startswith(f"{SUPPORT}/") and words[1] != __file__
    return words[:3] == PROGRAM or bool(is_here)


def starts_alike(variables: Mapping[Any, Any], usual: Mapping[str, str]) -> bool:
    """Say whether a forked process is what a new interpreter with these variables would be."""
    decided = {name: value for name, value in variables.items() if os.fsdecode(name).startswith(DECIDED_AT_THE_START)}
    return decided.items() <= usual.items()


def serve(packages: Sequence[str]) -> None:
    """Fork a process for each request, as a child of the one that asks."""
    import ctypes

    for package in packages:
        module = importlib.import_module(f"kosmolua.{package}")
        for each in pkgutil.walk_packages(module.__path__, f"{module.__name__}."):
            importlib.import_module(each.name)
    from kosmolua import Runtime
    from kosmolua.runs import planned, recorded, resuming, session, undoing  # noqa: F401

    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        list(runtime.catalog.loadable())
    is_for_servers = "mcp" in packages
    for library in LIBRARIES if is_for_servers else ():
        importlib.import_module(library)
    assert not {*(UNKNOWN_TO_ALL if is_for_servers else UNKNOWN_TO_COMMANDS)} & sys.modules.keys()
    syscall, python = ctypes.CDLL(None, use_errno=True).syscall, ctypes.pythonapi
    requests = socket.socket(fileno=os.dup(0))
    gc.collect()
    gc.freeze()
    while True:
        size, streams, _, _ = socket.recv_fds(requests, 4, 3)
        if not size:
            return
        said = requests.recv(int.from_bytes(size, sys.byteorder), socket.MSG_WAITALL)
        python.PyOS_BeforeFork()
        pid = syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            python.PyOS_AfterFork_Child()
            requests.detach()
            become(Start(*pickle.loads(said)), streams)
            return
        python.PyOS_AfterFork_Parent()
        for stream in streams:
            os.close(stream)
        requests.sendall((pid if pid > 0 else -ctypes.get_errno()).to_bytes(4, sys.byteorder, signed=True))


def become(start: Start, streams: Sequence[int]) -> None:
    """Run what a new interpreter would."""
    if start.leads_session:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 100)
    if start.takes_terminal:
        take_terminal()
    os.chdir(start.folder)
    os.environb.clear()
    os.environb.update(start.environment)
    errors = sys.stdin.errors
    sys.stdin = os.fdopen(0, encoding="utf-8", errors=errors, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors=errors, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    os.posix_spawn = _spawn_worker(os.posix_spawn)
    option, *words = start.words
    if option == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(option)
        sys.argv = start.words
        runpy.run_path(option, run_name="__main__")


def _spawn_worker(usual: Callable[..., int]) -> Callable[..., int]:
    """Return what does as ``os.posix_spawn``, but forks a worker, since this process has imported what that runs."""
    from kosmolua.processes import launch
    from kosmolua.sandbox import worker

    def spawn(path: str, command: list[str], environment: dict[str, str], **options: Any) -> int:
        if command != launch.command("worker"):
            return usual(path, command, environment, **options)
        child = os.fork()
        if not child:
            os.setsid()
            os.environb.clear()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for _, descriptor, number in options["file_actions"]:
                os.dup2(descriptor, number)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            worker.main()
        return child

    return spawn


if __name__ == "__main__":
    serve(sys.argv[1:])
