"""The program, forked from a process that has imported it: most of the time of a short command is that of its imports.

A command that runs this way has a process, an environment and streams of its own, and knows nothing of earlier ones.
With KOSMOLUA_LONG in the environment, or where the system has no ``pidfd_open``, each one is a new interpreter instead.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

IMPORTED = ("broker", "calls", "catalog", "docs", "flow", "lua", "processes", "recordings")
"""Packages of the program that most commands use, beside its command line."""
UNKNOWN_TO_IT = ("opentelemetry.trace", "keyring")
"""Modules whose import has an effect of its own."""
DECIDED_AT_THE_START = ("PYTHON", "LC_", "LANG", "TZ", "OTEL_")
"""How variables begin that an interpreter reads when it starts."""
CLIENT = """
import _signal, _socket, os, sys
server = _socket.socket(_socket.AF_UNIX)
server.connect(sys.argv[1])
variables = [name + b"=" + value for name, value in os.environb.items()]
words = [os.fsencode(each) for each in (os.getcwd(), str(len(sys.argv) - 2), *sys.argv[2:])]
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
server.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
server.sendall(b"\\0".join([*words, *variables]))
server.shutdown(_socket.SHUT_WR)
status = int(server.recv(10))
if status < 0:
    _signal.signal(-status, _signal.SIG_DFL) if -status != _signal.SIGKILL else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""
"""Has its streams, its folder, its variables and its words used by the program, and ends as that does."""


def starts_alike(variables: Mapping[str, str]) -> bool:
    """Say whether a forked process is what a new interpreter with these further variables would be."""
    return not any(name.startswith(DECIDED_AT_THE_START) for name in variables)


@contextmanager
def forking(environment: Mapping[str, str]) -> Iterator[list[str]]:
    """Start a process that forks, and yield the command that has the same effect as ``python -m kosmolua``."""
    usual = [sys.executable, "-m", "kosmolua"]
    if os.environ.get("KOSMOLUA_LONG") or not hasattr(os, "pidfd_open"):
        yield usual
        return
    with tempfile.TemporaryDirectory(prefix="kosmolua-fork-") as folder:
        address = os.path.join(folder, "socket")
        command = [sys.executable, str(Path(__file__)), address]
        with subprocess.Popen(
            command, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as server:
            assert server.stdout
            assert server.stdout.readline() == b"ready\n"
            yield [sys.executable, "-ISc", CLIENT, address]
            server.kill()


def serve(address: str) -> NoReturn:
    """Fork a process for each client, which forks the program and tells the client how that has ended."""
    for package in ("cli", *IMPORTED):
        module = importlib.import_module(f"kosmolua.{package}")
        for each in pkgutil.walk_packages(module.__path__, f"{module.__name__}."):
            importlib.import_module(each.name)
    from kosmolua import Runtime
    from kosmolua.runs import planned, recorded, resuming, session, undoing  # noqa: F401

    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        list(runtime.catalog.loadable())
    assert not {*UNKNOWN_TO_IT} & sys.modules.keys()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(100)
        gc.collect()
        gc.freeze()
        os.write(1, b"ready\n")
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _answer(client)
            client.close()


def _answer(client: socket.socket) -> NoReturn:
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    said = b"".join(iter(lambda: client.recv(65_536), b""))
    folder, count, *rest = said.split(b"\0")
    words, variables = rest[: int(count)], rest[int(count) :]
    program = os.fork()
    if program == 0:
        client.close()
        _become(folder, words, dict(each.split(b"=", 1) for each in variables), streams)  # type: ignore[misc]
    watched = select.poll()
    watched.register(os.pidfd_open(program), select.POLLIN)
    watched.register(client, 0)  # its end, as when it was killed
    if watched.poll()[0][0] == client.fileno():
        os.kill(program, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    client.sendall(b"%d" % status)
    os._exit(0)


def _become(folder: bytes, words: list[bytes], variables: dict[bytes, bytes], streams: list[int]) -> None:
    os.posix_spawn = _spawn_worker(os.posix_spawn)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 100)
    os.chdir(folder)
    os.environb.clear()
    os.environb.update(variables)
    sys.path[0] = os.getcwd()
    sys.argv = ["kosmolua", *map(os.fsdecode, words)]
    errors = sys.stdin.errors
    sys.stdin = os.fdopen(0, encoding="utf-8", errors=errors, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors=errors, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    runpy.run_module("kosmolua", run_name="__main__", alter_sys=True)


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
            worker.main()
        return child

    return spawn


if __name__ == "__main__":
    serve(sys.argv[1])
