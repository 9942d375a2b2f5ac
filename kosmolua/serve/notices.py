"""Notices: messages to people, in chats, by mail or to a program, about questions and about runs that end badly."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.client import HTTPException
from queue import Full, PriorityQueue
from threading import Lock, Thread
from typing import Any

from kosmolua.accounts.accounts import Accounts
from kosmolua.calls.approvals import shown_arguments
from kosmolua.calls.records import FinishedCall
from kosmolua.errors import ConfigError, KosmoError, Paused
from kosmolua.escaping import exposed
from kosmolua.http.redirects import NoRedirects
from kosmolua.recordings.outlines import literal
from kosmolua.runs import Outcome
from kosmolua.serve.runs import Running
from kosmolua.stores.store import WaitingCall

DELAYS = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds between the tries of a notice that cannot be sent."""
MAX_PENDING = 1_000
"""How many notices can wait to be sent. Further ones are dropped, and logged."""
TIMEOUT = 10.0
LOOK = 0.2
"""Seconds between two looks for something to send while a notice waits for its next try."""
MAX_CALLS, MAX_TEXT = 5, 300
"""How many calls a notice describes, and to how many characters their arguments are cut."""
EVENTS = ("approval", "failed", "paused")
"""What a channel is told of if it does not say."""
_PREFIX = "whsec_"


@dataclass(frozen=True)
class Notice:
    """What a notice says.

    Args:
        event: ``approval``, ``failed`` or ``paused``.
        tenant: The tenant.
        run: The id of the run.
        title: What people recognise the run by.
        calls: The calls that wait, as questions have them.
        error: The fields of the error that ended the run.
    """

    event: str
    tenant: str
    run: str
    title: str
    calls: Sequence[Mapping[str, Any]] = ()
    error: Mapping[str, Any] | None = None

    @property
    def subject(self) -> str:
        """The notice in one line."""
        what = {"approval": "asks", "failed": "failed", "paused": "is paused"}[self.event]
        return exposed(f"{self.title} {what}")

    def body(self, links: Sequence[str], page: str) -> str:
        """Return the notice as plain text, with the links to its questions, and that to the run."""
        lines = [exposed(str(self.error["message"]))] if self.error else []
        for number, call in enumerate(self.calls[:MAX_CALLS]):
            lines += [_described(call), *([links[number]] if links else [])]
        lines += [f"and {len(self.calls) - MAX_CALLS} more calls"] if len(self.calls) > MAX_CALLS else []
        return "\n".join([*lines, *([page] if page else [])])


@dataclass(order=True)
class _Delivery:
    due: float
    number: int
    send: Callable[[], None] = field(compare=False)
    about: dict[str, str] = field(compare=False)
    tries: int = field(default=0, compare=False)


class Notices:
    """Sends notices in a thread of its own, so that none delays a run. This is an observer of runs.

    Args:
        accounts: Returns the accounts of a tenant, which say whom to tell, or None if there is no such tenant.
        link: Returns the link to the question ``RUN-NUMBER`` of a tenant for a person, or that to a run; empty if the
            server does not know its own URL.
        note: Gets a line for the log about each notice: the kind, and fields.
        count: Is told the channel's tenant and name, and whether a notice was ``sent``, ``retried`` or ``lost``.
    """

    def __init__(
        self,
        accounts: Callable[[str], Accounts | None],
        link: Callable[[str, str, str], str],
        note: Callable[..., None],
        count: Callable[[str, str, str], None],
    ) -> None:
        self._accounts = accounts
        self._link = link
        self._note = note
        self._count = count
        self._pending: PriorityQueue[_Delivery] = PriorityQueue(MAX_PENDING)
        self._lock = Lock()
        self._number = 0
        self._thread: Thread | None = None
        self._is_closed = False

    def started(self, run: Running) -> None:
        """Do nothing: nobody is told of it."""

    def called(self, run: Running, call: FinishedCall) -> None:
        """Do nothing: nobody is told of it."""

    def asked(self, run: Running, questions: Sequence[WaitingCall]) -> None:
        """Tell those who are to know that calls wait for a person."""
        self._tell(Notice("approval", run.tenant, run.id, run.title or run.script, [each.call for each in questions]))

    def ended(self, run: Running, outcome: Outcome) -> None:
        """Tell those who are to know that a run has paused or failed."""
        error, title = outcome.error, run.title or run.script
        if isinstance(error, Paused):
            self._tell(Notice("paused", run.tenant, run.id, title, error.calls))
        elif error and outcome.status == "failed" and not (run.is_retried and getattr(error, "retryable", False)):
            self._tell(Notice("failed", run.tenant, run.id, title, error=error.report()))

    def close(self) -> None:
        """Send no further notices. What waits for another try is lost."""
        self._is_closed = True
        with suppress(Full):
            self._pending.put_nowait(_Delivery(0.0, 0, lambda: None, {}))
        if self._thread:
            self._thread.join(TIMEOUT)

    def _tell(self, notice: Notice) -> None:
        accounts = self._accounts(notice.tenant)
        for name, channel in (accounts.notify if accounts else {}).items():
            if notice.event in channel.get("events", EVENTS):
                about = {"tenant": notice.tenant, "channel": name, "event": notice.event, "run": notice.run}
                self._put(_Delivery(time.monotonic(), 0, self._sender(notice, name, channel), about))

    def _sender(self, notice: Notice, name: str, channel: Mapping[str, Any]) -> Callable[[], None]:
        """Return what sends a notice to a channel. Its secrets are fetched when it is sent, and not kept."""
        name_of_message = f"msg_{secrets.token_hex(12)}"  # the same for every try

        def send() -> None:
            accounts = self._accounts(notice.tenant)
            if accounts is None:
                return
            person = str(channel.get("person", ""))
            calls = notice.calls[:MAX_CALLS]
            links = [self._link(notice.tenant, f"{notice.run}-{each['number']}", person) for each in calls]
            page = self._link(notice.tenant, notice.run, "")
            url = accounts.secret_of(f"notify.{name}.url", channel["url"]).reveal()
            if channel.get("kind") == "webhook":
                key = accounts.secret_of(f"notify.{name}.secret", channel["secret"]).reveal()
                _post(url, key, notice, name_of_message, links, page)
            else:
                _by_apprise(url, notice.subject, notice.body([each for each in links if each], page))

        return send

    def _put(self, delivery: _Delivery) -> None:
        with self._lock:
            self._number += 1
            delivery.number = self._number
            if self._thread is None and not self._is_closed:
                self._thread = Thread(target=self._send_all, name="kosmolua-notices", daemon=True)
                self._thread.start()
        try:
            self._pending.put_nowait(delivery)
        except Full:
            self._lose(delivery, "too many notices wait")

    def _send_all(self) -> None:
        while not self._is_closed:
            delivery = self._pending.get()
            wait = delivery.due - time.monotonic()
            if wait > 0:  # something that is due earlier may come meanwhile
                self._put(delivery)
                time.sleep(min(wait, LOOK))
            elif not self._is_closed:
                self._try(delivery)

    def _try(self, delivery: _Delivery) -> None:
        about = delivery.about
        try:
            delivery.send()
        except Exception as error:  # noqa: BLE001 - whatever a channel's library raises harms no run
            why = error.message if isinstance(error, KosmoError) else f"{type(error).__name__}: {error}"
            if delivery.tries >= len(DELAYS):
                self._lose(delivery, why)
                return
            delivery.due = time.monotonic() + DELAYS[delivery.tries]
            delivery.tries += 1
            self._note("notice not sent", **about, error=why, tries=delivery.tries)
            self._count(about["tenant"], about["channel"], "retried")
            self._put(delivery)
            return
        self._note("notice sent", **about)
        self._count(about["tenant"], about["channel"], "sent")

    def _lose(self, delivery: _Delivery, why: str) -> None:
        self._note("notice lost", **delivery.about, error=why)
        self._count(delivery.about["tenant"], delivery.about["channel"], "lost")


def signature(key: str, id: str, timestamp: int, body: bytes) -> str:
    """Return the header ``webhook-signature`` of Standard Webhooks; a key ``whsec_...`` is base64."""
    secret = key.encode()
    if key.startswith(_PREFIX):
        with suppress(binascii.Error):
            secret = base64.b64decode(key.removeprefix(_PREFIX), validate=True)
    digest = hmac.digest(secret, f"{id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def _post(url: str, key: str, notice: Notice, id: str, links: Sequence[str], page: str) -> None:
    calls = [{**call, "link": link} for call, link in zip(notice.calls, links, strict=False)]
    data = {"tenant": notice.tenant, "run": notice.run, "title": notice.title, "link": page}
    data |= {"calls": calls} if calls else {"error": notice.error}  # type: ignore[dict-item]
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
