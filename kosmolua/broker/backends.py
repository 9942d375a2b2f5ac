"""Backends, which answer the HTTP requests of integrations: real services, simulators, or canned answers in tests."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock, RLock
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

from kosmolua.clock import SIMULATION_START, Until
from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.folders import replace_file
from kosmolua.http.messages import Attempt, Observe, Request, Response, Send
from kosmolua.locks import is_at, lock_file
from kosmolua.schema.function import taken_by
from kosmolua.schema.integration import Integration

if TYPE_CHECKING:
    from kosmolua.http.rate_limit import RateLimit
    from kosmolua.http.transport import Transport

VERSION = 1
"""The version of the format of the file that keeps the state of simulators."""
LOCK_TIMEOUT = 2.0
"""Seconds to wait for another run to release the file."""
REQUEST_SECONDS = 1.0
"""Seconds of simulated time that a request takes."""
GLANCE_SECONDS = 0.001
"""Seconds by which reading the simulated clock advances it, so that a loop that waits for a time ends."""


class Sender(Protocol):
    """Sends the HTTP requests of one account."""

    def __call__(self, request: Request, *, until: Until | None, observe: Observe) -> Response:
        """Send a request and return the answer.

        ``until`` returns the deadline, on the scale of :func:`time.monotonic`. ``observe`` is called after each
        attempt.
        """


class Backend(Protocol):
    """Answers the HTTP requests of all accounts, and keeps the time that scripts see, which can be simulated."""

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the function that sends the requests of an account."""

    def sleep(self, seconds: float) -> float:
        """Let ``seconds`` pass for a script that sleeps.

        Return how many seconds the script must really wait, which is 0 in simulated time.
        """

    def time(self) -> float:
        """Return the time that scripts see, in seconds since 1970."""

    def close(self) -> None:
        """Close all connections and files."""


class Live:
    """Sends requests to the services, with one :class:`~kosmolua.http.transport.Transport` for each account.

    ``option`` returns the value of a key in an account's table. ``limits`` is the folder in which the processes of this
    machine share rate limits, if they share any.
    """

    def __init__(self, option: Callable[[Integration, str, str], Any], limits: str | None = None) -> None:
        self._option = option
        self._limits = limits
        self._transports: dict[tuple[str, str], Transport] = {}
        self._is_closed = False
        self._lock = RLock()

    def sleep(self, seconds: float) -> float:
        """Return ``seconds`` unchanged: with real services, the script really has to wait."""
        return seconds

    def time(self) -> float:
        """Return the system's time."""
        return time()

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the function that sends an account's requests.

        It comes from the integration's own function for this (its carrier), or else from an HTTP transport.
        """
        if integration.carrier:
            carrier: Sender = integration.carrier(account)
            return carrier
        key = (integration.name, account)
        with self._lock:
            if key not in self._transports:
                from kosmolua.http.transport import Transport

                proxy = self._option(integration, account, "proxy")
                self._transports[key] = Transport(rate_limit=self._rate_limit(key), proxy=proxy)
            if self._is_closed:
                self._transports[key].close()
            return self._transports[key].send

    def _rate_limit(self, key: tuple[str, str]) -> RateLimit | None:
        """Return the rate limit that an account shares with other processes, or None if no limits are shared."""
        if self._limits is None:
            return None
        from kosmolua.http.rate_limit import RateLimit
        from kosmolua.http.shared_limit import SharedLimit

        return RateLimit(shared=SharedLimit(os.path.join(self._limits, f"{'.'.join(key)}.json")))

    def close(self) -> None:
        """Close all connections; later requests fail."""
        with self._lock:
            self._is_closed = True
            for transport in self._transports.values():
                transport.close()


def one_at_a_time(send: Send) -> Sender:
    """Return a sender that passes requests to ``send`` one at a time, even if several threads use the sender."""
    lock = Lock()

    def carry(request: Request, *, until: Until | None, observe: Observe) -> Response:
        started = monotonic()
        with lock:
            response = send(request)
        observe(Attempt(1, monotonic() - started, status=response.status, request_id=response.request_id))
        return response

    return carry


class Canned:
    """A backend for tests, in which functions answer the requests. Its attribute ``requests`` lists every request.

    ``answers`` returns, for the name of an account, the function that answers its requests.
    """

    def __init__(self, answers: Callable[[str], Send]) -> None:
        self.requests: list[Request] = []
        self._answers = answers
        self._senders: dict[str, Sender] = {}
        self._lock = Lock()

    def sleep(self, seconds: float) -> float:
        """Return 0: with canned answers, scripts do not really wait."""
        return 0.0

    def time(self) -> float:
        """Return the system's time."""
        return time()

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the function that answers an account's requests and adds them to ``requests``."""
        with self._lock:
            if account not in self._senders:
                self._senders[account] = one_at_a_time(self._kept(self._answers(account)))
            return self._senders[account]

    def close(self) -> None:
        """Forget the functions that answer requests. The list ``requests`` is kept."""
        self._senders.clear()

    def _kept(self, send: Send) -> Send:
        def keep(request: Request) -> Response:
            self.requests.append(request)
            return send(request)

        return keep


class Simulated:
    """Answers requests from the integrations' simulators, one for each account.

    All simulators share a simulated clock, which starts at :data:`kosmolua.clock.SIMULATION_START`. A request advances
    the clock by one second, and a script's ``sleep`` advances it by the seconds that the script asks for.

    The function that creates an integration's simulator can have three parameters besides the account: ``clock``, a
    function that returns the simulated time in seconds since 1970; ``failures``, a dict that maps the name of a
    function to how it fails; and ``state``, the value that the simulator's ``dump()`` returned in an earlier run.

    Args:
        file: The file that keeps the state of the simulators between runs; None keeps the state in memory.
        failures: How functions fail, by their paths, such as ``build_failed`` for ``render2.trigger_deploy``.

    Raises:
        ConfigError: The file cannot be read, does not contain the state of simulators, or is used by another run.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None, failures: Mapping[str, str] | None = None) -> None:
        self._file = None if file is None else Path(file)
        self._failures: dict[str, dict[str, str]] = {}
        for path, outcome in (failures or {}).items():
            integration, _, function = path.rpartition(".")
            self._failures.setdefault(integration, {})[function] = outcome
        self._simulators: dict[str, Send] = {}
        self._senders: dict[str, Sender] = {}
        self._reserved = _reserve(self._file) if self._file else None
        try:
            kept = _read(self._file) if self._file else {}
        except ConfigError:
            self._release()
            raise
        self._time = SIMULATION_START + float(kept.get("seconds", 0.0))
        self._states: dict[str, Any] = kept.get("accounts", {})
        self._lock = Lock()

    def sleep(self, seconds: float) -> float:
        """Advance the simulated clock by ``seconds``, and return 0, since the script does not really have to wait."""
        self._move_on(seconds)
        return 0.0

    def time(self) -> float:
        """Return the simulated time in seconds since 1970, after advancing it by a millisecond.

        If the time stood still, a script that reads the clock until some time has passed would never end.
        """
        return self._move_on(GLANCE_SECONDS)

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the function that passes an account's requests to the account's simulator.

        Raises:
            ConfigError: The simulator cannot simulate a failure that was asked for, or cannot use the state that the
                file keeps for it.
            NotConfigured: The integration has no simulator.
        """
        if integration.simulate is None:
            raise NotConfigured(f"{integration.name} has no simulator", hint="leave out --simulate")
        with self._lock:
            key = f"{integration.name}.{account}"
            if key not in self._senders:
                self._simulators[key] = self._simulate(integration, account, key)
                self._senders[key] = one_at_a_time(self._timed(self._simulators[key]))
            return self._senders[key]

    def close(self) -> None:
        """Write the state of the simulators to the file, if there is one, and discard the simulators."""
        with self._lock:
            try:
                if self._file and self._simulators:
                    dumps = {key: each.dump() for key, each in self._simulators.items() if hasattr(each, "dump")}
                    seconds = self._time - SIMULATION_START
                    _write(self._file, {"version": VERSION, "seconds": seconds, "accounts": self._states | dumps})
            finally:
                self._release()
                self._simulators.clear()
                self._senders.clear()

    def _release(self) -> None:
        """Unlock the state file for other runs. If nothing was written to it, remove the empty file."""
        reserved, self._reserved = self._reserved, None
        if reserved is None:
            return
        if self._file and not os.fstat(reserved).st_size and is_at(self._file, reserved):
            self._file.unlink()
        os.close(reserved)

    def _move_on(self, seconds: float) -> float:
        with self._lock:
            self._time += seconds
            return self._time

    def _timed(self, simulator: Send) -> Send:
        def send(request: Request) -> Response:
            self._move_on(REQUEST_SECONDS)
            return simulator(request)

        return send

    def _simulate(self, integration: Integration, account: str, key: str) -> Send:
        assert integration.simulate
        options = {
            "clock": lambda: self._time,
            "failures": self._failures.get(integration.name),
            "state": self._states.get(key),
        }
        given = taken_by(integration.simulate, {name: value for name, value in options.items() if value is not None})
        lacking = [name for name in ("failures", "state") if options[name] is not None and name not in given]
        if lacking:
            raise ConfigError(f"The simulator of {integration.name} does not take the parameter {' or '.join(lacking)}")
        try:
            return integration.simulate(account, **given)
        except ValueError as error:
            raise ConfigError(f"The simulator of {key} cannot start: {error}") from None


def _reserve(file: Path) -> int | None:
    """Open the state file, lock it for this run alone, and return its descriptor.

    The file is created if it is missing. On Windows nothing is locked and the result is None, since a file that is open
    cannot be replaced there.
    """
    if sys.platform == "win32":
        return None
    ends = monotonic() + LOCK_TIMEOUT
    while True:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"The state of the simulators cannot be kept in {file}: {error.strerror}") from None
        if lock_file(descriptor, ends - monotonic()) and is_at(file, descriptor):
            return descriptor
        os.close(descriptor)  # it is locked by another run, or was replaced or removed meanwhile
        if monotonic() > ends:
            hint = "wait until it has ended, or give each run a file of its own"
            raise ConfigError(f"Another run uses the simulators' state in {file}", hint=hint)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        kept = json.loads(text) if text else {"version": VERSION, "seconds": 0.0, "accounts": {}}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"The state of the simulators in {file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The state of the simulators in {file} is not JSON: {error}") from None
    if (
        not isinstance(kept, dict)
        or kept.get("version") != VERSION
        or not isinstance(kept.get("accounts"), dict)
        or not isinstance(kept.get("seconds"), (int, float))
    ):
        raise ConfigError(
            f"{file} does not contain the state of simulators",
            hint=f"give the path of a new file for the simulators' state, or remove {file}",
        )
    return kept


def _write(file: Path, state: Mapping[str, Any]) -> None:
    try:
        replace_file(file, json.dumps(state, ensure_ascii=False).encode())
    except OSError as error:
        raise ConfigError(f"The state of the simulators cannot be written to {file}: {error.strerror}") from None
