"""Credentials among the arguments of a call, which the journal does not keep."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from kosmolua.expressions import regex
from kosmolua.secret import MASK

_CREDENTIAL = regex(
    r".*(password|passwd|passphrase)|token|secret|authorization|cookie"
    r"|(.*[-_])?(api[-_]?key|(access|refresh|id|auth|session|bearer)[-_]?token|client[-_]?secret|private[-_]?key)"
)
"""Matches the name of an argument that is a credential, in lower case."""
_HEADERS = "headers"
_CREDENTIAL_HEADER = regex(r"(.*[-_])?(authorization|cookie|key|token|secret|signature)")
"""Matches the name of a header that is a credential, in lower case."""


_VARIABLE = regex(r"(.*_)?(key|token|secret|password|passwd|pass|pwd|dsn|url|uri|credentials?|auth|salt|pepper)(_.*)?")
"""Matches the name of an environment variable whose value looks like a credential, in lower case."""


def is_credential(variable: str) -> bool:
    """Return True if the value of an environment variable with this name looks like a credential."""
    return _VARIABLE.fullmatch(variable.lower()) is not None


def masked(arguments: Mapping[str, object], declared: Collection[str] = ()) -> dict[str, object]:
    """Return the arguments of a call with ``***`` for each credential, at any depth.

    ``declared`` are the names of those arguments that are credentials according to their function.
    """
    return {name: MASK if name in declared and value else _masked(name, value) for name, value in arguments.items()}


def _masked(name: str, value: Any, names: re.Pattern[str] = _CREDENTIAL) -> Any:
    if value and not isinstance(value, bool) and names.fullmatch(name.lower()):
        return MASK
    if isinstance(value, Mapping):
        inner = _CREDENTIAL_HEADER if name == _HEADERS else _CREDENTIAL
        return {key: _masked(str(key), item, inner) for key, item in value.items()}
    return [_masked("", item) for item in value] if isinstance(value, (list, tuple)) else value
