"""The server: where it listens, how it stops without losing a run, and how it is told of new settings."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import ip_address
from types import FrameType
from urllib.parse import urlsplit

import uvicorn

from kosmolua.broker.journal import Journal
from kosmolua.errors import ConfigError
from kosmolua.mcp.addresses import Address, UnixAddress
from kosmolua.mcp.connections import Listener
from kosmolua.mcp.http import configured
from kosmolua.serve import settings as files
from kosmolua.serve.app import House, application
from kosmolua.serve.log import Log, RunLog, open_audit
from kosmolua.serve.metrics import Metrics
from kosmolua.serve.settings import STANZA, Settings
from kosmolua.serve.tenants import Common, Tenants

ANSWER_TIMEOUT = 5
"""Seconds for answers under way, once no run is."""


@dataclass(frozen=True)
class Plan:
    """What the command line says of a server.

    Args:
        listen: Where to listen, as it was typed.
        accounts: The accounts file, or None if there is none.
        common: What all tenants have.
        drain: Seconds that runs under way get to end when the server is told to stop.
        write: Writes a line of the log if the accounts file names no file for it.
        announce: Called with a sentence for the person who started it.
    """

    listen: str
    accounts: str | None
    common: Common
    drain: float
    write: Callable[[bytes], None]
    announce: Callable[[str], None]


def serve(plan: Plan) -> None:
    """Serve until the process receives a signal to stop.

    SIGTERM lets runs under way end first, and a second one does not. SIGHUP reads the accounts file again and reopens
    log, audit and journals.

    Args:
        plan: What the command line says.

    Raises:
        ConfigError: There is no tenant, or one cannot be opened, or the address cannot be listened on.
    """
    address = Address.read(plan.listen)
    settings = files.read(plan.accounts)
    if not settings.tenants and not (plan.common.simulate and _is_loopback(address)):
        raise ConfigError("No tenant is served", hint=STANZA)
    asyncio.run(_serve(plan, address, settings))


async def _serve(plan: Plan, address: Address | UnixAddress, settings: Settings) -> None:
    log = Log(settings.log, plan.write)
    audit = open_audit(plan.common.warn)
    metrics = Metrics(lambda: tenants)
    run_log = RunLog(log, audit, "simulated" if plan.common.simulate else "live")
    tenants = Tenants(settings, plan.common, [metrics, run_log])
    house = House(tenants, metrics, log, _names_in(plan.listen))
    listener, bound = address.listen()
    with listener:
        plan.announce(f"serving {', '.join(tenant.name for tenant in tenants)} on {bound.url}")
        server = Server(house, plan, audit, listener)
        await server.serve([listener])
    audit.close()
    log.close()


class Server(uvicorn.Server):
    """The server of one process.

    Args:
        house: What it serves.
        plan: What the command line says.
        audit: The audit.
        listener: What it listens on.
    """

    def __init__(self, house: House, plan: Plan, audit: Journal, listener: Listener) -> None:
        self._house = house
        self._plan = plan
        self._audit = audit
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._loop = asyncio.get_running_loop()
        settings = house.tenants.settings
        super().__init__(
            configured(
                application(house),
                timeout_graceful_shutdown=ANSWER_TIMEOUT,
                h11_max_incomplete_event_size=settings.max_headers,
            )
        )
        if hasattr(signal, "SIGHUP"):
            self._loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._reload()))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Let runs end and then stop, for SIGTERM; stop at once for Ctrl-C, or the second signal."""
        if self._is_draining or sig == signal.SIGINT:
            self.should_exit = True
            return
        self._is_draining = True
        self._loop.call_soon_threadsafe(lambda: self._begin(self._drain()))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        """Answer no probe for readiness any more, let runs end, and stop."""
        self._house.is_ready = False
        self._house.log.note("draining", seconds=self._plan.drain)
        await self._house.tenants.drain(self._plan.drain)
        await self._house.tenants.stop()
        self.should_exit = True

    async def _reload(self) -> None:
        self._house.log.reopen()
        self._audit.reopen()
        tenants = self._house.tenants
        tenants.reopen_journals()
        try:
            await tenants.reload(await asyncio.to_thread(files.read, self._plan.accounts))
        except ConfigError as error:
            self._plan.common.warn(f"nothing was reloaded: {error}")
            self._house.log.note("reload failed", error=str(error))
            return
        self._house.log.note("reloaded", tenants=[tenant.name for tenant in tenants])


def _names_in(listen: str) -> tuple[str, ...]:
    """Return the host of an address as it was typed, if it is a name."""
    try:
        host = urlsplit(f"//{listen}").hostname
    except ValueError:
        host = None
    return (host,) if host else ()


def _is_loopback(address: Address | UnixAddress) -> bool:
    return isinstance(address, UnixAddress) or ip_address(address.ip).is_loopback
