"""A rolling restart of two replicas behind the proxy of ``deploy/``, with PostgreSQL, while clients write."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from socket import create_connection, socket

from support.postgres import Postgres, reason_to_skip
from support.processes import eventually
from support.serving import Serving, serving

from operations.scenarios import Row, Skipped
from operations.traffic import NOTEBOOK, accounts_for, traffic

CADDYFILE = Path(__file__).parent.parent.parent / "deploy" / "Caddyfile"


def play(folder: Path, rounds: int, random: Random) -> Iterator[Row]:
    """Restart one replica after the other, so often, and look at what the clients were told."""
    if reason := reason_to_skip():
        raise Skipped(reason)
    ports = free_ports(3)
    with Postgres() as postgres, ExitStack() as stack:
        replicas = [Replica(folder / str(port), port, accounts_for(folder, postgres.address)) for port in ports[1:]]
        for replica in replicas:
            stack.callback(replica.close)
            replica.start()
        url = stack.enter_context(proxy(folder, *ports))
        with traffic(f"{url}/mcp", folder / "notebook") as seen:
            for _ in range(rounds):
                for replica in replicas:
                    yield Row("clients write", f"{len(seen.done)} writes", seen.goes_on())
                    began = time.monotonic()
                    status = replica.stop()
                    yield Row("stopped a replica", f"in {time.monotonic() - began:.1f} s", status == 0)
                    replica.start()
            seen.goes_on()
        yield Row("clients, through the proxy", *seen.verdict())


def free_ports(count: int) -> list[int]:
    """Return so many ports that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Replica:
    """A server at a port, which can be stopped and started again."""

    def __init__(self, folder: Path, port: int, accounts: str) -> None:
        folder.mkdir()
        self._given = (folder, accounts, "--listen", f"127.0.0.1:{port}", "--plugin", NOTEBOOK, "--drain", "10s")
        self._stack = ExitStack()
        self._server: Serving | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._server = self._stack.enter_context(serving(*self._given))

    def stop(self) -> int:
        """Tell it to stop, and return its exit status."""
        assert self._server
        self._server.process.send_signal(signal.SIGTERM)
        status = self._server.process.wait(60)
        self.close()
        return status

    def close(self) -> None:
        """Kill it if it still runs."""
        self._stack.close()


@contextmanager
def proxy(folder: Path, port: int, *replicas: int) -> Iterator[str]:
    """Run Caddy with the file of ``deploy/`` in front of replicas, and yield its URL."""
    program = shutil.which("caddy")
    if not program:
        raise Skipped("Caddy is not installed")
    url = f"http://127.0.0.1:{port}"
    environ = {
        **os.environ,
        "SITE": url,
        "REPLICAS": " ".join(f"127.0.0.1:{each}" for each in replicas),
        "CADDY_ADMIN": f"unix/{folder / 'caddy.sock'}",
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    command = [program, "run", "--adapter", "caddyfile", "--config", str(CADDYFILE)]
    with (folder / "caddy.log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        assert eventually(lambda: _listens(port)), (folder / "caddy.log").read_text()
        yield url
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
