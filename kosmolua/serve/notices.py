"""Notices: messages to people, in chats, by mail or to a program, about questions and about runs that end badly.

A notice to a channel is a task in the tenant's store, so that it outlives the server, and any server sends it.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import partial
from http.client import HTTPException
from threading import Event, Thread
from typing import Any, NamedTuple

from kosmolua.accounts.accounts import Accounts
from kosmolua.accounts.sections import EVENTS
from kosmolua.calls.approvals import shown_arguments
from kosmolua.concurrency import start_thread
from kosmolua.errors import ConfigError, KosmoError, Paused, WorkerLost
from kosmolua.escaping import exposed
from kosmolua.http.redirects import NoRedirects
from kosmolua.recordings.outlines import literal
from kosmolua.runs import Outcome
from kosmolua.serve.runs import Observer, Running
from kosmolua.serve.work.signatures import standard_signature
from kosmolua.stores.store import WaitingCall
from kosmolua.stores.tasks import NOTICE, QUEUED, WAITING, ServerTask, TaskQueue

DELAYS = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds between the tries of a notice that cannot be sent."""
MAX_PENDING = 1_000
"""How many notices can wait for a store that is away. Further ones are dropped, and logged."""
MAX_AGE = 3600.0
"""Seconds after which a notice is of no use to anybody, and is not sent."""
TIMEOUT = 10.0
LOOK = 1.0
"""Seconds between two looks for notices to send."""
MAX_CALLS, MAX_TEXT = 5, 300
"""How many calls a notice describes, and to how many characters their arguments are cut."""
_PREFIX = "whsec_"


@dataclass(frozen=True)
class Notice:
    """What a notice says.

    Args:
        event: ``approval``, ``failed`` or ``paused``.
        tenant: The tenant.
        run: The id of the run.
        title: What people recognise the run by.
        calls: The calls that wait, as questions have them; at most :data:`MAX_CALLS`.
        more: How many calls wait besides these.
        error: The fields of the error that ended the run.
    """

    event: str
    tenant: str
    run: str
    title: str
    calls: Sequence[Mapping[str, Any]] = ()
    more: int = 0
    error: Mapping[str, Any] | None = None

    @property
    def subject(self) -> str:
        """The notice in one line."""
        return exposed(f"{self.title} {EVENTS[self.event]}")

    def body(self, links: Sequence[str], page: str) -> str:
        """Return the notice as plain text, with the links to its questions, and that to the run."""
        lines = [exposed(str(self.error["message"]))] if self.error else []
        for number, call in enumerate(self.calls):
            lines += [_described(call), *([links[number]] if links else [])]
        lines += [f"and {self.more} more calls"] if self.more else []
        return "\n".join([*lines, *([page] if page else [])])


class Outbox(NamedTuple):
    """What is needed to send the notices of a tenant: its accounts, which say whom to tell, and its tasks."""

    accounts: Accounts
    tasks: TaskQueue


class Notices(Observer):
    """Keeps notices in the store, and sends them, each channel in a thread of its own. This is an observer of runs.

    Args:
        outbox: Returns what is needed to send the notices of a tenant, or None if there is no such tenant.
        due: Returns the tenants that have tasks that are due.
        link: Returns the link to the question ``RUN-NUMBER`` of a tenant for a person, or that to a run; empty if the
            server does not know its own URL.
        note: Gets a line for the log about each notice: the kind, and fields.
        count: Is told the channel's tenant and name, and whether a notice was ``sent``, ``retried`` or ``lost``.
    """

    def __init__(
        self,
        outbox: Callable[[str], Outbox | None],
        due: Callable[[], Collection[str]],
        link: Callable[[str, str, str], str],
        note: Callable[..., None],
        count: Callable[[str, str, str], None],
    ) -> None:
        self._outbox = outbox
        self._due = due
        self._link = link
        self._note = note
        self._count = count
        self._new: deque[tuple[str, ServerTask]] = deque()
        self._wake = Event()
        self._sending: set[tuple[str, str]] = set()
        self._thread = Thread(target=self._work, name="kosmolua-notices", daemon=True)
        self._is_closed = False

    def start(self) -> None:
        """Begin to send notices, also those that a server before this one has left."""
        self._thread.start()

    def asked(self, run: Running, questions: Sequence[WaitingCall]) -> None:
        """Tell those who are to know that calls wait for a person."""
        self._tell(_about_calls("approval", run, [each.call for each in questions]))

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Tell those who are to know that a run has paused or failed."""
        error = outcome.error
        if isinstance(error, Paused):
            self._tell(_about_calls("paused", run, error.calls))
        elif error and outcome.status == "failed" and not (run.is_retried and getattr(error, "retryable", False)):
            self._tell(Notice("failed", run.tenant, run.id, run.title or run.script, error=error.report()))

    def close(self) -> None:
        """Begin to send no further notices. Those that are not sent stay in the store."""
        self._is_closed = True
        self._wake.set()
        ends = time.monotonic() + TIMEOUT
        while (self._sending or self._thread.is_alive()) and time.monotonic() < ends:
            time.sleep(LOOK / 20)
        for tenant, task in self._new:
            self._lose(tenant, task, "the store is away")

    def _tell(self, notice: Notice) -> None:
        found = self._outbox(notice.tenant)
        for name, channel in (found.accounts.sections.notify if found else {}).items():
            if notice.event in channel.get("events", EVENTS):
                id = f"{NOTICE}/{name}/{notice.run}/{secrets.token_hex(12)}"
                given = json.dumps(asdict(notice), default=str)
                task = ServerTask(id, NOTICE, name, notice.run, 0.0, 0.0, QUEUED, given=given)
                if len(self._new) < MAX_PENDING:
                    self._new.append((notice.tenant, task))
                else:
                    self._lose(notice.tenant, task, "too many notices wait")
        self._wake.set()

    def _work(self) -> None:
        while not self._is_closed:
            self._wake.wait(LOOK)
            self._wake.clear()
            self._keep()
            self._look()

    def _keep(self) -> None:
        """Put the new notices into the store; while it is away, they wait."""
        for _ in range(len(self._new)):
            tenant, task = self._new.popleft()
            try:
                if found := self._outbox(tenant):
                    now = found.tasks.now()
                    found.tasks.add(replace(task, since=now, due=now))
            except ConfigError:
                self._new.append((tenant, task))

    def _look(self) -> None:
        """Begin to send what is due to channels to which nothing is being sent."""
        with suppress(ConfigError):  # the store is away
            for tenant in self._due():
                found = self._outbox(tenant)
                for channel in found.accounts.sections.notify if found and not self._is_closed else ():
                    if (tenant, channel) not in self._sending and (task := self._taken(tenant, channel)):
                        self._begin(tenant, task)

    def _begin(self, tenant: str, task: ServerTask) -> None:
        self._sending.add((tenant, task.name))
        try:
            start_thread(partial(self._send_all, tenant, task), "notice")
        except WorkerLost:  # the task is taken again after its lease
            self._sending.discard((tenant, task.name))

    def _taken(self, tenant: str, channel: str) -> ServerTask | None:
        found = self._outbox(tenant)
        with suppress(ConfigError):
            return next(iter(found.tasks.take(1, (NOTICE,), channel)), None) if found else None
        return None

    def _send_all(self, tenant: str, first: ServerTask) -> None:
        """Send a notice that is due, and what is due to the same channel after it."""
        task: ServerTask | None = first
        try:
            while task and (found := self._outbox(tenant)):
                left = self._tried(tenant, task, found.accounts)
                with suppress(ConfigError):  # it is sent again after the lease, under the same id
                    found.tasks.put(left)
                task = None if self._is_closed else self._taken(tenant, first.name)
        finally:
            self._sending.discard((tenant, first.name))

    def _tried(self, tenant: str, task: ServerTask, accounts: Accounts) -> ServerTask:
        """Try to send a notice, and return what becomes of it."""
        notice, over, now = Notice(**json.loads(task.given)), replace(task, due=None, given=""), time.time()
        about = {"tenant": tenant, "channel": task.name, "event": notice.event, "run": task.run}
        is_late = now - task.since > MAX_AGE
        try:
            if is_late:
                raise ConfigError("it is too old")
            self._send(notice, task, accounts)
        except Exception as error:  # noqa: BLE001 - whatever a channel's library raises harms no run
            why = error.message if isinstance(error, KosmoError) else f"{type(error).__name__}: {error}"
            if is_late or task.attempt >= len(DELAYS):
                self._lose(tenant, task, why)
                return replace(over, status="lost", note=why)
            self._note("notice not sent", **about, error=why, tries=task.attempt + 1)
            self._count(tenant, task.name, "retried")
            return replace(task, status=WAITING, attempt=task.attempt + 1, due=now + DELAYS[task.attempt], note=why)
        self._note("notice sent", **about)
        self._count(tenant, task.name, "sent")
        return replace(over, status="done", note="")

    def _send(self, notice: Notice, task: ServerTask, accounts: Accounts) -> None:
        """Send a notice to its channel, whose secrets are fetched now, and not kept."""
        channel = accounts.sections.notify[task.name]
        person = str(channel.get("person", ""))
        links = [self._link(notice.tenant, f"{notice.run}-{each['number']}", person) for each in notice.calls]
        page = self._link(notice.tenant, notice.run, "")
        url = accounts.secret_of(f"notify.{task.name}.url", channel["url"]).reveal()
        if channel.get("kind") == "webhook":
            key = accounts.secret_of(f"notify.{task.name}.secret", channel["secret"]).reveal()
            _post(url, key, notice, f"msg_{task.id.rpartition('/')[2]}", links, page)
        else:
            _by_apprise(url, notice.subject, notice.body([each for each in links if each], page))

    def _lose(self, tenant: str, task: ServerTask, why: str) -> None:
        event = json.loads(task.given)["event"]
        self._note("notice lost", tenant=tenant, channel=task.name, event=event, run=task.run, error=why)
        self._count(tenant, task.name, "lost")


def _about_calls(event: str, run: Running, calls: Sequence[Mapping[str, Any]]) -> Notice:
    more = max(0, len(calls) - MAX_CALLS)
    return Notice(event, run.tenant, run.id, run.title or run.script, calls[:MAX_CALLS], more)


def signature(key: str, id: str, timestamp: int, body: bytes) -> str:
    """Return the header ``webhook-signature`` of Standard Webhooks; a key ``whsec_...`` is base64."""
    secret = key.encode()
    if key.startswith(_PREFIX):
        with suppress(binascii.Error):
            secret = base64.b64decode(key.removeprefix(_PREFIX), validate=True)
    return f"v1,{standard_signature(secret, id, str(timestamp), body)}"


def _post(url: str, key: str, notice: Notice, id: str, links: Sequence[str], page: str) -> None:
    calls = [{**call, "link": link} for call, link in zip(notice.calls, links, strict=False)]
    data = {"tenant": notice.tenant, "run": notice.run, "title": notice.title, "link": page}
    data |= {"calls": calls, "more": notice.more} if calls else {"error": notice.error}  # type: ignore[dict-item]
    now = datetime.now(timezone.utc)
    sent = {"type": notice.event, "timestamp": now.isoformat(timespec="milliseconds"), "data": data}
    body, seconds = json.dumps(sent, default=str).encode(), int(now.timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "kosmolua",
        "webhook-id": id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature(key, id, seconds, body),
    }
    try:
        request = urllib.request.Request(url, body, headers)
        with urllib.request.build_opener(NoRedirects).open(request, timeout=TIMEOUT):
            pass  # what it says may have no end
    except (OSError, HTTPException, ValueError) as error:  # the message may not have the URL, which is a secret
        status = getattr(error, "code", None)
        raise ConfigError(f"it was answered with {status}" if status else type(error).__name__) from None


def _by_apprise(url: str, title: str, body: str) -> None:
    try:
        import apprise
    except ImportError:
        raise ConfigError("Notices by Apprise need a package", hint="pip install 'kosmolua[notify]'") from None
    channel = apprise.Apprise()
    if not channel.add(url):
        raise ConfigError("the url is none that Apprise knows")
    if not channel.notify(title=title, body=body):
        raise ConfigError("Apprise could not send it")


def _described(call: Mapping[str, Any]) -> str:
    given = ", ".join(f"{name} = {value}" for name, value in shown_arguments(call, literal).items())
    text = f"{call['effect']} {call['path']} [{call['account']}] {given}"
    return exposed(text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}...")
