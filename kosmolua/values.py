"""What may cross the letterbox: JSON values that Lua reads without loss."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TypeAlias

Json: TypeAlias = "None | bool | int | float | str | Sequence[Json] | Mapping[str, Json]"

SMALLEST_INTEGER = -(2**63)
LARGEST_INTEGER = 2**63 - 1
_MAY_BE_WIDE = re.compile(r"\d{19}")


class NotJson(ValueError):
    """A value that JSON, and therefore Lua, cannot carry. The message says which and why."""


_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def decode(text: str) -> Json:
    """Return what a JSON text says, read strictly (RFC 8259).

    Raises:
        ValueError: It is not JSON, or it holds NaN, infinity, or a number beyond the range of a float.
        RecursionError: It is nested too deeply.
    """
    value: Json = _DECODER.decode(text)
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def encode(value: object) -> str:
    """Return a value as compact JSON that the guest reads without loss.

    Integers beyond 64 bits become strings, since Lua has no wider ones.

    Args:
        value: None, booleans, numbers, strings, and lists, tuples and dicts of them. Keys that are numbers, booleans or
            None become strings.

    Raises:
        NotJson: The value holds something else, a cycle, NaN or infinity.
    """
    try:
        text = _dumps(value)
        return _dumps(_narrow(value)) if _MAY_BE_WIDE.search(text) else text
    except TypeError as error:
        raise NotJson(_unsupported(error)) from None
    except ValueError as error:
        circular = "circular" in str(error).lower()
        raise NotJson("it contains itself" if circular else "it holds NaN or infinity") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None


def _unsupported(error: TypeError) -> str:
    kind = re.search(r"type (\w+)", str(error))
    if kind and kind[1] in ("bytes", "bytearray"):
        return "it holds bytes, which cross as base64 text"
    return f"it holds a Python {kind[1]}" if kind else "it holds a key that is not a string"


def _narrow(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _narrow(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_narrow(item) for item in value]
    wide = isinstance(value, int) and not SMALLEST_INTEGER <= value <= LARGEST_INTEGER
    return str(value) if wide else value
