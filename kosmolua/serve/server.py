"""The server for several tenants: listens, stops without losing a run, and reloads its settings."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from types import FrameType

import uvicorn
from prometheus_client.multiprocess import mark_process_dead

from kosmolua.broker.journal import Journal
from kosmolua.errors import ConfigError
from kosmolua.locks import temporary_folder
from kosmolua.mcp.addresses import PATH, SocketAddress, UnixAddress
from kosmolua.mcp.connections import Listener
from kosmolua.mcp.hosts import host_names
from kosmolua.mcp.http import configured
from kosmolua.memory import bound_arenas, keep_what_is_there
from kosmolua.serve import settings as files
from kosmolua.serve.app import ServerState, application
from kosmolua.serve.audit import open_audit
from kosmolua.serve.forwarding import Forwarder
from kosmolua.serve.links import QuestionLink, question_links
from kosmolua.serve.log import Log, RunLog
from kosmolua.serve.metrics import Metrics
from kosmolua.serve.notices import Notices, Outbox
from kosmolua.serve.otlp import Collector, logs_endpoint
from kosmolua.serve.processes import run_processes
from kosmolua.serve.settings import Settings
from kosmolua.serve.siblings import Family, Siblings, id_prefix
from kosmolua.serve.syslog import Syslog
from kosmolua.serve.tenant_runtime import Common
from kosmolua.serve.tenants import Tenants

SWITCH_INTERVAL = 0.001
"""Seconds that a thread of Python keeps the others waiting, such as one that checks a script or searches."""
REFRESH_INTERVAL = 1.0
LINGER = 1.0
"""Seconds for which clients can still send requests after the last run, when the server has been told to stop."""
ANSWER_TIMEOUT = 5
"""Seconds that unfinished answers have to complete once no run is active."""


@dataclass(frozen=True)
class ServerOptions:
    """The options of a server, as they come from the command line.

    Args:
        listen: The address to listen on, as the user has typed it.
        accounts: The path of the accounts file; None if there is none.
        common: The options that apply to all tenants.
        drain: How many seconds active runs have to end when the server is told to stop.
        processes: How many processes serve the address.
        write: A function that writes lines of the log. It is used if the accounts file names no log file.
        announce: A function that is called with a sentence for the person who started the server.
    """

    listen: str
    accounts: str | None
    common: Common
    drain: float
    processes: int
    write: Callable[[bytes], None]
    announce: Callable[[str], None]


def serve(plan: ServerOptions) -> None:
    """Serve all tenants until the process receives a signal to stop.

    On SIGTERM the server lets active runs end and then stops. On a second SIGTERM it stops at once. On SIGHUP it reads
    the accounts file again, and reopens the log, the audit log and the journals.

    Raises:
        ConfigError: A tenant cannot be opened, or the server cannot listen on the address.
    """
    bound_arenas()
    sys.setswitchinterval(SWITCH_INTERVAL)
    address = SocketAddress.read(plan.listen)
    settings = files.read(plan.accounts)
    listener, bound = address.listen()
    with listener:
        if plan.processes == 1:
            asyncio.run(_serve(plan, settings, [listener], Tenants(settings, plan.common), bound.url))
        else:
            _serve_with_many(plan, settings, listener, bound.url)


def _serve_with_many(plan: ServerOptions, settings: Settings, listener: Listener, url: str) -> None:
    tenants = Tenants(settings, plan.common)  # a wrong file is reported before processes start
    tenants.disconnect()  # processes must not share a connection, nor a process for checks
    plan.announce(_announcement(tenants, plan, url))
    with temporary_folder("kosmolua-sockets-") as folder:
        sockets = [os.path.join(folder, str(number)) for number in range(plan.processes)]
        family = Family(sockets, secrets.token_hex(16))

        def work(number: int) -> None:
            common = replace(plan.common, id_prefix=id_prefix(number))
            own, siblings = Tenants(files.read(plan.accounts), common), Siblings(number, family)
            private, _ = UnixAddress(sockets[number]).listen()
            with private:
                asyncio.run(_serve(plan, settings, [listener, private], own, None, siblings))

        keep_what_is_there()  # which the processes share
        run_processes(plan.processes, work, mark_process_dead)


async def _serve(
    plan: ServerOptions,
    settings: Settings,
    listeners: list[socket.socket],
    tenants: Tenants,
    url: str | None,
    siblings: Siblings | None = None,
) -> None:
    log = Log(settings.log, plan.write)
    audit = open_audit(plan.common.warn, tenants.credentials.audit_key)
    metrics = Metrics(lambda: tenants, tenants.held.memory)
    receivers = _receivers(settings, plan.common)
    mode = "simulated" if plan.common.simulate else "live"
    notices = _notices(tenants, plan.common, log, metrics)
    notices.start()
    tenants.observe(metrics, RunLog(log, audit, mode, [each.send for each in receivers]), notices)
    state = ServerState(tenants, metrics, log, host_names(plan.listen))
    if url:
        plan.announce(_announcement(tenants, plan, url))
    await HttpServer(state, plan, audit, siblings).serve(listeners)
    for close in (notices.close, *(each.close for each in receivers)):
        await asyncio.to_thread(close)
    audit.close()
    log.close()


def _notices(tenants: Tenants, common: Common, log: Log, metrics: Metrics) -> Notices:
    """Return what sends notices with links to this server; a server that simulates sends none."""
    links = question_links(tenants.key)

    def outbox(name: str) -> Outbox | None:
        tenant = None if common.simulate else tenants.get(name)
        return Outbox(tenant.runtime.accounts, tenant.runtime.store.tasks) if tenant else None

    def link(tenant: str, page: str, person: str) -> str:
        url = tenants.settings.url
        if not url:
            return ""
        return f"{url}/a/{links.sign(QuestionLink(tenant, page, person))}" if "-" in page else f"{url}/runs/{page}"

    return Notices(outbox, tenants.stores.due_tenants, link, log.note, metrics.noticed)


def _receivers(settings: Settings, common: Common) -> list[Forwarder]:
    """Return who gets the lines of the audit log besides its file."""
    receivers: list[Forwarder] = []
    if settings.syslog:
        receivers.append(Syslog(settings.syslog, common.warn))
    if url := logs_endpoint(common.environ):
        receivers.append(Collector(url, common.environ, common.warn))
    return receivers


def _announcement(tenants: Tenants, plan: ServerOptions, url: str) -> str:
    """Return what the person is told who started the server: who is served, and where people and agents find it."""
    simulated = "; every call is simulated" if plan.common.simulate else ""
    served = f"serving {', '.join(tenant.name for tenant in tenants)} on {url}{simulated}"
    public = tenants.settings.url
    endpoint = f"{public}{PATH}" if public else url
    if not endpoint.startswith("http"):  # a socket, which no browser opens
        return served
    site = endpoint.removesuffix(PATH)
    connect = f"kosmolua install CLIENT --tenant {endpoint}"
    return f"{served}\npeople: {site}/\nagents: {endpoint}\nto connect an agent's client: {connect}"


class HttpServer(uvicorn.Server):
    """The HTTP server of this process, which serves the application and handles signals."""

    def __init__(self, state: ServerState, plan: ServerOptions, audit: Journal, siblings: Siblings | None) -> None:
        self._state = state
        self._plan = plan
        self._audit = audit
        self._is_alone = siblings is None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._loop = asyncio.get_running_loop()
        settings = state.tenants.settings
        super().__init__(
            configured(
                application(state, siblings),
                timeout_graceful_shutdown=ANSWER_TIMEOUT,
                h11_max_incomplete_event_size=settings.max_headers,
            )
        )
        if hasattr(signal, "SIGHUP"):
            self._loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._reload()))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve connections."""
        await super().startup(sockets)
        if not self._is_alone:
            self._begin(self._refresh())

    async def _refresh(self) -> None:
        """Update the gauges of this process at intervals, since another process may answer requests for the metrics."""
        while not self.should_exit:
            self._state.metrics.refresh()
            await asyncio.sleep(REFRESH_INTERVAL)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal to stop. On the first SIGTERM, let runs end and then stop. Otherwise stop at once."""
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
        """Answer readiness probes with "not ready", let active runs end, and stop the server."""
        self._state.is_ready, self._state.is_draining = False, True
        self._state.log.note("draining", seconds=self._plan.drain)
        await self._state.tenants.drain(self._plan.drain)
        await asyncio.sleep(min(LINGER, self._plan.drain))
        await self._state.tenants.stop()
        self.should_exit = True

    async def _reload(self) -> None:
        self._state.log.reopen()
        self._audit.reopen()
        tenants = self._state.tenants
        tenants.reopen_journals()
        try:
            await tenants.reload(await asyncio.to_thread(files.read, self._plan.accounts))
        except ConfigError as error:
            self._plan.common.warn(f"the settings were not reloaded: {error}")
            self._state.log.note("reload failed", error=str(error))
            return
        self._state.log.note("reloaded", tenants=[tenant.name for tenant in tenants])
