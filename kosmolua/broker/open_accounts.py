"""The accounts that a run has opened, lookups of names by ids, and errors in the code of integrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from kosmolua.calls.records import Call, current
from kosmolua.calls.sessions import OpenSessions
from kosmolua.concurrency import lazy
from kosmolua.errors import (
    ApiError,
    KosmoError,
    NetworkError,
    NotConfigured,
    PluginFault,
    SessionExpired,
    log_traceback,
)
from kosmolua.schema.effects import changes
from kosmolua.schema.names import holder_of

if TYPE_CHECKING:
    from kosmolua.broker.backends import Sender
    from kosmolua.broker.host import Host
    from kosmolua.clock import Until
    from kosmolua.http.messages import Attempt, Request, Response
    from kosmolua.schema.function import NewSession
    from kosmolua.schema.integration import Integration
    from kosmolua.secret import Redactor, Secret

_T = TypeVar("_T")
UNAUTHORIZED = 401
MAX_CONCURRENT_CALLS = 32
"""How many calls one run can make at once with one account. Further calls wait."""

NAME_TIMEOUT = 3.0
"""Seconds that the lookup of a name may take. If it takes longer, the person sees only the id."""
MAX_NAME = 100
MAX_TEXT = 300
"""How many characters of an exception's text are kept; a longer text is cut."""


class OpenAccounts:
    """Opens each account of a run once, and lends the account's client to calls.

    ``until`` returns the deadline of requests that belong to no call, such as those of a thread of an integration;
    ``person`` is the token of the person on whose behalf accounts may act.
    """

    def __init__(self, host: Host, until: Until, person: Secret | None = None) -> None:
        self._host = host
        self._person = person
        self._until = until
        self._open: dict[tuple[str, str], _OpenAccount] = {}
        self._lock = Lock()

    @lazy
    def _sessions(self) -> OpenSessions:
        return OpenSessions()

    def begin(self, integration: Integration, account: str, session: NewSession) -> str:
        """Begin a session, as :meth:`kosmolua.calls.sessions.OpenSessions.begin`."""
        name = self._sessions.begin(integration, account, session)
        self._open.pop((integration.name, name), None)
        return name

    def _end(self, *session: str) -> None:
        self._sessions.end(*session)
        self._open.pop((session[0], session[1]), None)

    def use(self, integration: Integration, account: str, call: Call, until: Until, work: Callable[[Any], _T]) -> _T:
        """Call ``work`` with an account's client, and return the result of ``work``. Create the client on first use.

        The call waits while too many others use the account.

        Raises:
            NotConfigured: The account cannot be used.
            PluginFault: The integration raised an unexpected exception, while it opened the account or in ``work``.
        """
        key = integration.name, account
        in_use = self._open.get(key)
        if in_use is None:
            with self._lock:
                in_use = self._open.setdefault(key, _OpenAccount())
        token = current.set((call, until))
        try:
            acts = key in self._host.accounts.acting
            lent = self._host.accounts.on_behalf(integration, account, self._person) if acts else None
            if not in_use.is_open or in_use.lent != lent:
                with in_use.opening:
                    if not in_use.is_open or in_use.lent != lent:
                        in_use.value = self._open_account(integration, account, until, lent or {})
                        in_use.is_open, in_use.lent = True, lent
            call.places, call.held = in_use.places, [in_use.places.get()]
            try:
                value = work(in_use.value)
            finally:
                call.give_place()
            rule = integration.session if call.number and "/" in account else None
            if rule and call.path.rpartition(".")[2] in rule.logouts:
                self._end(*key)
            return value
        except ApiError as error:
            if "/" not in account or error.status != UNAUTHORIZED:
                raise
            self._end(*key)
            what = f"The session {integration.name}.{account} is over: {error.what}"
            raise SessionExpired(what, status=error.status, hint="log in again") from error
        except (KosmoError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise blamed(call.path, integration.origin, error, self._host.redactor) from error
        finally:
            current.reset(token)

    def _open_account(self, integration: Integration, account: str, until: Until, lent: Mapping[str, Any]) -> Any:
        holder = holder_of(account) if integration.session else account
        settings = {**self._host.accounts.settings(integration, holder, until=until()), **lent}
        if integration.session and holder != account:
            credentials = self._sessions.credentials(integration.name, account)
            settings = integration.session.settings(settings, credentials)
        sender = self._host.backend.sender(integration, holder)
        opened: Any = integration.account(**settings)
        try:
            return opened.open(partial(self._send, (integration.name, account), sender))
        except NotConfigured as error:
            error.what = f"The account {integration.name}.{account} cannot be used: {error.what}"
            error.detail = error.detail or self._host.accounts.place(integration, holder)
            raise

    def _send(self, account: tuple[str, str], sender: Sender, request: Request) -> Response:
        """Send a request of the current thread's call; in an integration's own thread, of none."""
        for secret in request.secrets:
            self._host.redactor.learn(secret, owner=account)
        call, until = current.get() or (None, self._until)
        if until() <= monotonic():
            raise NetworkError(f"{request.line} was not sent, since no time was left", retryable=False)
        if request.mutates and call and not changes(call.effect):
            raise PluginFault(
                f"{call.path} may only read, but {request.line} may change something, so it was not sent",
                detail="register the function with @integration.writes or @integration.destroys",
            )
        if call and call.addition:
            request = call.addition.added_to(request)
        observe = call.observe if call else _ignore
        if call:
            call.request = request = call.keyed(request) if call.idempotency and not request.safe else request
        response = sender(request, until=until, observe=observe)
        if response.status == UNAUTHORIZED and (again := _signed_anew(request)):
            response = sender(again, until=until, observe=observe)
        if call and call.addition:
            call.addition.note(response)
        if call and call.effect != "read" and response.is_success and not request.safe:
            call.has_written = True
        return response


def _signed_anew(request: Request) -> Request | None:
    """Return a copy of a refused request with a fresh token, or None if the request has no token from a login."""
    if all(secret.roots == (secret,) for secret in request.secrets):
        return None
    from kosmolua.accounts.logins import renewed

    return renewed(request)


def _free_places() -> SimpleQueue[int]:
    """Return a queue with as many entries as calls can run at once.

    A call takes an entry when it begins, and puts the entry back when it ends. (A semaphore would do this too, but
    takes ten times as long.)
    """
    places: SimpleQueue[int] = SimpleQueue()
    for place in range(MAX_CONCURRENT_CALLS):
        places.put(place)
    return places


@dataclass(eq=False, repr=False)
class _OpenAccount:
    """The client of an account, and the queue that limits how many calls use the client at once.

    ``lent`` is the field with the token of the person on whose behalf it acts; the client of a new token is a new one.
    """

    value: Any = None
    lent: Mapping[str, Any] | None = None
    is_open: bool = False
    opening: Lock = field(default_factory=Lock)
    places: SimpleQueue[int] = field(default_factory=_free_places)


def _ignore(_: Attempt) -> None:
    return


class ObjectNames:
    """Looks up the names of objects by their ids. The requests for this do not count as calls of the script."""

    def __init__(self, accounts: OpenAccounts) -> None:
        self._accounts = accounts
        self._known: dict[tuple[str, str, str, str], _Name] = {}
        self._lock = Lock()

    def of(self, integration: Integration, account: str, parameter: str, value: str) -> str:
        """Return the name of the object with the id ``value``, or an empty string if the name is not found.

        Each id is looked up only once.
        """
        with self._lock:
            name = self._known.setdefault((integration.name, account, parameter, value), _Name())
        with name.lock:
            if name.text is None:
                name.text = self._look_up(integration, account, parameter, value)
        return name.text

    def _look_up(self, integration: Integration, account: str, parameter: str, value: str) -> str:
        path, ends = f"{integration.name}, the name of a {parameter}", monotonic() + NAME_TIMEOUT
        call = Call("", 0, path)
        call.effect = "read"
        try:
            name_of = integration.naming[parameter]
            said = self._accounts.use(integration, account, call, lambda: ends, lambda opened: name_of(opened, value))
            return str(said)[:MAX_NAME]
        except KosmoError:  # only the id is shown
            return ""


@dataclass(eq=False, repr=False)
class _Name:
    """The name of an object, None until a thread has looked it up, and the lock that this thread holds meanwhile."""

    text: str | None = None
    lock: Lock = field(default_factory=Lock)


def blamed(path: str, origin: str, error: BaseException, redactor: Redactor) -> PluginFault:
    """Log an exception that an integration raised, and return the error that the script gets instead.

    ``origin`` is where the integration is defined, as ``file:line``.
    """
    log_traceback(path, error, redactor.text)
    kind, text = type(error).__name__, _text_of(error)
    return PluginFault(f"{path} failed inside its integration: {kind}", detail=f"{_place_of(origin, error)}: {text}")


def _text_of(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception as another:  # noqa: BLE001 - the exception's own __str__ may fail
        text = f"its text cannot be read, {type(another).__name__}"
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _place_of(origin: str, error: BaseException) -> str:
    """Return ``file:line`` of the innermost place in the integration's own code, else ``origin``."""
    folder = Path(origin.rpartition(":")[0]).parent
    place, step = origin, error.__traceback__
    while step:
        file = step.tb_frame.f_code.co_filename
        if Path(file).is_relative_to(folder):
            place = f"{file}:{step.tb_lineno}"
        step = step.tb_next
    return place
