"""Encodes the options of a runtime, to open the same runtime in another process. Credentials are never encoded."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from kosmolua.folders import expanded
from kosmolua.limits import Limits

_STAY = {
    "environ": "environ could contain credentials, so it stays in this process: set the variables in the other process",
    "backend": "a backend works only in this process: open the runtime without one",
    "servers": "MCP servers that are passed as a table could contain credentials, so they stay in this process: "
    "put them into the accounts file",
}
"""The options of a runtime that are never sent to another process, each with the message for a runtime that uses it."""
_PATHS = ("accounts", "simulate", "journal", "scripts")


def packed(settings: Mapping[str, Any], limits: Limits) -> bytes:
    """Return the options of a runtime as bytes, with absolute paths. Equal options give equal bytes.

    Args:
        settings: The parameters of the runtime's constructor, by name.
        limits: The limits of the runtime.

    Raises:
        TypeError: An option could contain a credential or a connection.
    """
    for name, problem in _STAY.items():
        if settings[name] is not None and (name, settings[name]) != ("servers", {}):
            raise TypeError(problem)
    if isinstance(settings["accounts"], Mapping):
        raise TypeError(
            "accounts that are passed as a table could contain credentials, so they stay in this process: "
            "pass the path of a file"
        )
    kept = {name: settings[name] for name in sorted(settings.keys() - _STAY.keys())}
    kept |= {name: _absolute(kept[name]) for name in _PATHS}
    kept["plugins"] = _plugins(kept["plugins"])
    kept |= {name: tuple([kept[name]] if isinstance(kept[name], str) else kept[name]) for name in ("allow", "deny")}
    return pickle.dumps((kept, limits.as_dict()))


def unpacked(options: bytes) -> tuple[dict[str, Any], Limits]:
    """Decode bytes that :func:`packed` returned. Return the constructor parameters and the limits of the runtime."""
    settings, limits = pickle.loads(options)
    return settings | {"share_limits": True}, Limits(**limits)


def _plugins(given: Any) -> tuple[str, ...]:
    named: Sequence[Any] = [given] if isinstance(given, (str, os.PathLike)) else given
    if not isinstance(named, (list, tuple)) or not all(isinstance(each, (str, os.PathLike)) for each in named):
        raise TypeError(
            "an integration that is passed as an object cannot be sent to another process: "
            "pass the path of its file in plugins"
        )
    return tuple(_absolute(each) for each in named)


def _absolute(path: Any) -> Any:
    return os.path.abspath(expanded(path)) if isinstance(path, (str, os.PathLike)) else path
