"""The letterbox between host and guest: frames, one JSON object a line, and how one is written and read.

Guest to host::

    ready    {isolation, missing}           the layers around the guest that are in force, and that are not
    describe {id, path}                     what is under app.integrations, or under one integration
    call     {id, path, args | fault}       args is what Lua passed; fault is what kept it from being encoded
    doc      {id, verb, args | fault}       verb is list, search or read
    print    {text}
    end      {result | error, usage}
    limit    {limit, usage}                 the guest found that a limit is spent, and ends

Host to guest::

    job      {source, name, args, limits, isolated}
                                            isolated: give up, after ready, where a layer is missing
    reply    {id, ok, value | error}

In a session a guest does one job after another. Each job's only argument says what to do with its source: evaluate it,
return its value, check that it is whole, or list names. A guest that takes over from a dead one sends an epitaph, which
is no frame: it breaks off whatever line the dead one was writing.

Bytes that are not UTF-8 travel in source, name, args of a job and text as lone surrogates, as Python's
``surrogateescape`` has them.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, NoReturn, TypeAlias


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


FORK, KILL = b"F", b"K"
ORDER = struct.Struct("<cQ")
"""What the host tells a zygote: fork a worker of this number, whose pipes come along, or end it."""
STATUS = struct.Struct("<Qi")
"""What a zygote tells the host: the number of a worker that ended, and its status, negative for a signal."""
NO_ROOM = 256
"""In place of the status, which is less: the system allowed no further process."""
LONGEST_PATH = 1000
END = b'{"kind":"end",'
"""How a guest begins the frame that ends a job."""
_EPITAPH = b"\0"
_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "ready": {"isolation": list, "missing": list},
    "describe": {"id": int, "path": str},
    "call": {"id": int, "path": str},
    "doc": {"id": int, "verb": str},
    "print": {"text": str},
    "end": {"usage": dict},
    "limit": {"limit": str, "usage": dict},
}


class BadFrame(ValueError):
    """What came from the other side is no frame. The message says what is wrong with it."""


def frame(kind: str, **fields: object) -> bytes:
    """Return a frame as a line."""
    return json.dumps({"kind": kind, **fields}, separators=(",", ":")).encode() + b"\n"


def reply(number: int, value: str) -> bytes:
    """Return the frame that answers a request, around a value that is encoded already."""
    return f'{{"kind":"reply","id":{number},"ok":true,"value":{value}}}\n'.encode("utf-8", "replace")


def refusal(number: int, error: str) -> bytes:
    """Return the frame that answers a request with an error, whose fields are encoded already."""
    return f'{{"kind":"reply","id":{number},"ok":false,"error":{error}}}\n'.encode("utf-8", "replace")


def epitaph(status: int) -> bytes:
    """Return what a session's guest writes when it takes over from one that ended with a status."""
    return _EPITAPH + str(status).encode() + b"\n"


def read_epitaph(line: bytes) -> int | None:
    """Return the status that a line tells of, or None where it is a frame."""
    _, mark, status = line.rpartition(_EPITAPH)
    try:
        return int(status) if mark else None
    except ValueError:
        return None


def read_line(stream: BinaryIO, limit: int) -> bytes | None:
    """Return the next line without its end, or None when the other side is gone.

    Raises:
        BadFrame: The line is longer than ``limit`` bytes.
    """
    line = stream.readline(limit + 1)
    if line.endswith(b"\n"):
        return line[:-1]
    if len(line) > limit:
        raise BadFrame(f"a frame is longer than {limit} bytes")
    return None


def decode_from_guest(line: bytes) -> dict[str, Any]:
    """Return a frame that a guest wrote, after distrustful checks of its shape.

    Raises:
        BadFrame: It is not JSON, not a known kind, or a field is missing or of another type.
    """
    try:
        frame = decode(line.decode())
    except (ValueError, RecursionError):
        raise BadFrame("a frame is not JSON") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("kind"), str) or frame["kind"] not in _FIELDS:
        raise BadFrame("a frame is of no known kind")
    if frame["kind"] != "end" and line.startswith(END):
        raise BadFrame("a frame is of two kinds")
    if frame["kind"] != "print" and (b"\\ud" in line or b"\\uD" in line) and not _is_text(frame):
        raise BadFrame("a frame has half a character")
    fields = _FIELDS[frame["kind"]]
    for name, kind in fields.items():
        if not isinstance(frame.get(name), kind) or isinstance(frame[name], bool):
            raise BadFrame(f"a {frame['kind']} frame has no proper {name}")
    if "path" in fields and len(frame["path"]) > LONGEST_PATH:
        raise BadFrame("a path is too long")
    return frame


def _is_text(frame: dict[str, Any]) -> bool:
    """Say whether all strings of a frame can be written as UTF-8: JSON can spell what is no character."""
    try:
        json.dumps(frame, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def to_text(raw: bytes) -> str:
    """Return bytes as text that a frame can carry without loss."""
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Return the bytes that :func:`to_text` was given; a surrogate it cannot have made becomes ``?``."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
