"""The simulators of the integrations, their time, their failures, and the file that keeps their state."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from kosmolua.broker.backends import Sender, one_at_a_time
from kosmolua.clock import SIMULATION_START
from kosmolua.errors import ConfigError, NotConfigured
from kosmolua.schema.integration import Integration

if TYPE_CHECKING:
    from kosmolua.http.messages import Request, Response, Send

VERSION = 1
REQUEST_SECONDS = 1.0
"""What a request takes of simulated time."""
GLANCE_SECONDS = 0.001
"""What a look at the clock takes of it, so that a script which looks until some time has passed comes to an end."""


class Simulated:
    """Answers requests from the integrations' simulators, one for each account.

    They share one time, which starts at :data:`kosmolua.clock.SIMULATION_START`. Requests take a second of it, and
    scripts that sleep as long as they say. A simulator may take ``clock``, which returns it in seconds since 1970,
    ``failures``, the ways in which functions fail by their names, and ``state``, what its ``dump()`` returned earlier.

    Args:
        file: The file that keeps the state of the simulators; None keeps it in memory.
        failures: How functions fail, such as ``build_failed`` for ``render2.trigger_deploy``.

    Raises:
        ConfigError: The file cannot be read, or is not one of these.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None, failures: Mapping[str, str] | None = None) -> None:
        self._file = None if file is None else Path(file)
        self._failures: dict[str, dict[str, str]] = {}
        for path, outcome in (failures or {}).items():
            integration, _, function = path.rpartition(".")
            self._failures.setdefault(integration, {})[function] = outcome
        self._simulators: dict[str, Send] = {}
        self._senders: dict[str, Sender] = {}
        kept = _read(self._file) if self._file else {}
        self._time = SIMULATION_START + float(kept.get("seconds", 0.0))
        self._states: dict[str, Any] = kept.get("accounts", {})
        self._lock = Lock()

    def sleep(self, seconds: float) -> float:
        """Move the clock of the simulators on. Nothing waits."""
        self._move_on(seconds)
        return 0.0

    def time(self) -> float:
        """Return the time of the simulators."""
        return self._move_on(GLANCE_SECONDS)

    def sender(self, integration: Integration, account: str) -> Sender:
        """Return the simulator of an account.

        Raises:
            ConfigError: It does not know a failure, or its state in the file is not its own.
            NotConfigured: The integration has none.
        """
        if integration.simulate is None:
            raise NotConfigured(f"{integration.name} has no simulator", hint="run it without --simulate")
        with self._lock:
            key = f"{integration.name}.{account}"
            if key not in self._senders:
                self._simulators[key] = self._simulate(integration, account, key)
                self._senders[key] = one_at_a_time(self._timed(self._simulators[key]))
            return self._senders[key]

    def close(self) -> None:
        """Write the state into its file, if there is one, and forget it."""
        with self._lock:
            if self._file and self._simulators:
                dumps = {key: each.dump() for key, each in self._simulators.items() if hasattr(each, "dump")}
                _write(
                    self._file,
                    {"version": VERSION, "seconds": self._time - SIMULATION_START, "accounts": self._states | dumps},
                )
            self._simulators.clear()
            self._senders.clear()

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
        parameters = signature(integration.simulate).parameters.values()
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
        known = {each.name for each in parameters}
        options = {
            "clock": lambda: self._time,
            "failures": self._failures.get(integration.name),
            "state": self._states.get(key),
        }
        given = {name: value for name, value in options.items() if value is not None and (takes_all or name in known)}
        lacking = [name for name in ("failures", "state") if options[name] is not None and name not in given]
        if lacking:
            raise ConfigError(f"The simulator of {integration.name} has no {' and no '.join(lacking)}")
        try:
            return integration.simulate(account, **given)
        except ValueError as error:
            raise ConfigError(f"The simulator of {key} cannot start: {error}") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
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
        raise ConfigError(f"{file} does not hold the state of simulators", hint="name a new file, or remove this one")
    return kept


def _write(file: Path, state: Mapping[str, Any]) -> None:
    """Replace a file as a whole, readable by its owner only."""
    try:
        descriptor, fresh = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(state, stream, ensure_ascii=False)
        os.replace(fresh, file)
    except OSError as error:
        raise ConfigError(f"The state of the simulators cannot be written to {file}: {error.strerror}") from None
