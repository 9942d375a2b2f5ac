"""The protocol between host and child: frames, one JSON object per line, and how to write and read them.

A handle is what a script has in place of a secret or of bytes, which stay in the host; the host gives it a name. A
planned call is a write that is only noted, not made; the script gets a placeholder as its result.

Child to host::

    ready    {isolation, missing}           the isolation layers that are in force, and those that are missing
    describe {id, path}                     asks what is at a path under app; the path is empty, integrations,
                                            integrations.NAME, integrations.NAME.ACCOUNT or integrations.NAME.*
    call     {id, path, args | fault, secrets, contents, through, line, hidden, at}
                                            args is what Lua passed; fault says why this could not be encoded;
                                            secrets has the place in args and the name of each handle of a secret;
                                            contents has the same for each handle of bytes; through has the names of
                                            the called scripts that led to the call, the outermost first; hidden
                                            says why line may be that of another call: a tail call, a loaded chunk;
                                            at is the line of the called script that makes the call
    script   {id, path, args | fault, secrets, through}
                                            asks for another script, which the child then runs
    content  {id, name}                     asks for bytes in base64, by the name of their handle
    doc      {id, verb, args | fault}       verb is list, search or read
    sleep    {id, seconds, for}             the reply comes when the time is over; for: in wait_until
    time     {id, clock, own}               asks for the time of a clock, wall or cpu; own is what it shows in the child
    peek     {call, key, line}              the script reads a field of the placeholder of a planned call
    wait     {}                             the script waits for replies, in a recorded run
    print    {text}
    end      {result | error, exit, usage}  exit is the status that the script asked for
    limit    {limit, usage}                 the child found that a limit is reached, and exits

A request from a branch of ``parallel`` has ``branch`` set to true. In a recorded run, each request also has the
line of the script in ``line``, and the name of its branch in ``of``, which is empty outside ``parallel``. The child
tells the host when the whole script waits: a request outside ``parallel`` has ``waits`` set to true, and ``wait`` is
sent when all branches wait. Each time the host sends exactly one reply, as ``kosmolua/recordings/tape.py`` explains.
For example, two branches each make a call, and the second call is answered first::

    child  call {"id": 1, "branch": true, "of": "1.1", "line": 3, ...}
    child  call {"id": 2, "branch": true, "of": "1.2", "line": 4, ...}
    child  wait {}
    host   reply {"id": 2, ...}
    child  wait {}
    host   reply {"id": 1, ...}

Host to child::

    job      {source, name, args, limits, isolated, asks_time, is_planned, input, params, secrets, seed}
                                            isolated: exit after ready if a layer is missing
                                            asks_time: the script uses the host's clocks
                                            is_planned: writes are only noted, not made
                                            seed: the seed of random numbers in a recorded run; else null
                                            secrets: the names of the secrets that the script may use
    reply    {id, ok, value | error, secrets, contents, truncated}
                                            secrets has the place in value and the name of each handle of a secret;
                                            contents has the same for each handle of bytes, whose base64 can be fetched;
                                            truncated is true if the service has more items than the list

In a session, a child does one job after another. Each job's only argument says what to do with its source: evaluate it,
return its value, check that it is complete, or list names. If a process of the session dies, the process that replaces
it sends an exit notice. This is not a frame, and it cuts off the line that the dead process was writing.

Bytes that are not UTF-8 are carried as lone surrogates, as with Python's ``surrogateescape``, in the field ``text`` and
in the fields source, name, args, input and params of a job.
"""

from __future__ import annotations

import math
import struct

# The C functions of the module json, which itself imports re and enum: a third of the start of a sandbox.
from _json import (
    encode_basestring,
    encode_basestring_ascii,
    make_encoder,
    make_scanner,
)
from time import monotonic, sleep

from kosmolua.expressions import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, BinaryIO, NoReturn, TypeAlias


Json: TypeAlias = "None | bool | int | float | str | Sequence[Json] | Mapping[str, Json]"

SMALLEST_INTEGER = -(2**63)
LARGEST_INTEGER = 2**63 - 1
_AS_NINES = bytes(ord("9") if 48 <= code <= 57 else code for code in range(256))
_NINES = b"9" * len(str(LARGEST_INTEGER))
_WIDE = tuple(mark + _NINES for mark in (b":", b",", b"[", b":-", b",-", b"[-"))


class NotJson(ValueError):
    """A value cannot be passed to Lua, since JSON cannot represent it; the message says why."""


class _Rules:
    """What ``make_scanner`` reads of a ``json.JSONDecoder``."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None  # the last since Python 3.15
    parse_int = int

    def __init__(self, parse_float: Callable[[str], float], parse_constant: Callable[[str], float]) -> None:
        self.parse_float = parse_float
        self.parse_constant = parse_constant


_LENIENT = None, ":", ",", False, False, True
_STRICT = *_LENIENT[:-1], False
"""How ``make_encoder`` writes: indentation, separators, and no sorting of keys; with NaN and infinity, or without."""


def dumps(value: object) -> str:
    """Return JSON as compact text. ValueError: it contains NaN or infinity; TypeError: something else than JSON."""
    if isinstance(value, str):
        return str(encode_basestring(value))
    return "".join(make_encoder({}, _refuse_type, encode_basestring, *_STRICT)(value, 0))


def _refuse_type(value: object) -> NoReturn:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def encoder(default: Callable[[Any], object] = _refuse_type, *, sorts: bool = False) -> Callable[[object], str]:
    """Return a function that returns a value as compact JSON; ``default`` is called for what is not JSON.

    It is faster than ``json.JSONEncoder.encode``, which prepares itself for each value.
    """
    encode = make_encoder(None, default, encode_basestring, *_LENIENT[:3], sorts, *_LENIENT[4:])
    return lambda value: "".join(encode(value, 0))


def decode(text: str) -> Json:
    """Decode JSON strictly (RFC 8259).

    Raises:
        ValueError: The text is not JSON, or contains NaN, infinity, or a number beyond the range of a float.
        RecursionError: The text is nested too deeply.
    """
    stripped = text.strip(" \t\n\r")
    value: Json
    try:
        value, end = _scan(stripped, 0)
        if end == len(stripped):
            return value
    except (ValueError, StopIteration):
        pass  # json says where the mistake is
    from json import JSONDecoder

    value = JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode(text)
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


_scan: Callable[[str, int], tuple[Any, int]] = make_scanner(_Rules(_finite, _refuse))  # type: ignore[arg-type]
quote: Callable[[str], str] = encode_basestring_ascii
"""Writes a text as a JSON string, in ASCII."""
scan_of_host: Callable[[str, int], tuple[Any, int]] = make_scanner(_Rules(float, float))  # type: ignore[arg-type]
"""Decodes the JSON at a position of a text that the host wrote, and returns its end too."""


def encode(value: object) -> str:
    """Return a value as compact JSON that the child reads without loss.

    Integers beyond 64 bits become strings, since Lua has none; so do keys that are numbers, booleans or None.

    Raises:
        NotJson: The value contains something else than JSON and tuples, a cycle, NaN or infinity.
    """
    if value is None:
        return "null"
    try:
        text = dumps(value)
        return dumps(_narrow(value)) if len(text) >= len(_NINES) and _may_be_wide(text) else text
    except TypeError as error:
        raise NotJson(_unsupported(error)) from None
    except ValueError as error:
        circular = "circular" in str(error).lower()
        raise NotJson("it contains itself" if circular else "it contains NaN or infinity") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None


def _may_be_wide(text: str) -> bool:
    """Return False, fast, if a compact JSON text certainly has no integer beyond 64 bits."""
    digits = text.encode("utf-8", "surrogatepass").translate(_AS_NINES)
    if _NINES not in digits:
        return False
    return digits.startswith((_NINES, b"-" + _NINES)) or any(wide in digits for wide in _WIDE)


def _unsupported(error: TypeError) -> str:
    kind = regex(r"type (\w+)").search(str(error))
    if kind and kind[1] in ("bytes", "bytearray"):
        return "it contains bytes, which must be passed as base64 text"
    return f"it contains a Python {kind[1]}" if kind else "it contains a key that is not a string"


def _narrow(value: object) -> object:
    if isinstance(value, dict):
        return {key: _narrow(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_narrow(item) for item in value]
    wide = isinstance(value, int) and not SMALLEST_INTEGER <= value <= LARGEST_INTEGER
    return str(value) if wide else value


FORK, KILL, ASK = b"F", b"K", b"A"
ORDER = struct.Struct("<cQ")
"""An order to a session: end the chunk of this number."""
WORKER_ORDER = struct.Struct("<cQdQI?")
"""An order to a zygote: fork the worker of this number, end it, or report its status.

Pipes for a new worker come with the order. The order also has the worker's limits: seconds of processor time for each
job, the bytes that Lua may hold, the number of jobs, and whether it yields to others once it has computed for long.
"""
STATUS = struct.Struct("<Qi")
"""The answer of a zygote: the number of a worker that ended, and the worker's status, negative for a signal."""
NO_ROOM = 256
"""Takes the place of a status if the system allowed no further process. Every real status is smaller."""
MAX_PATH = 1000
"""How many characters a path under ``app``, such as ``integrations.render2``, can have at most."""
MAX_DEPTH = 320
"""How deeply a frame may be nested: deeper than any ``max_depth``, but not too deep for the host's JSON encoders."""
BYTES_PER_MARK = 64
"""How many bytes of memory each value of a frame takes in Python in addition to its text: the average at worst.

Values are counted by the punctuation marks before them.
"""
MAX_MEMORY_PER_BYTE = BYTES_PER_MARK + 4
"""How many bytes :func:`memory_of` returns at most for each byte of a text."""
END = b'{"kind":"end",'
"""The first bytes of a frame that ends a job."""
_EXIT_NOTICE = b"\0"
_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "ready": {"isolation": list, "missing": list},
    "describe": {"id": int, "path": str},
    "call": {"id": int, "path": str},
    "content": {"id": int, "name": str},
    "doc": {"id": int, "verb": str},
    "script": {"id": int, "path": str},
    "sleep": {"id": int, "seconds": (int, float)},
    "time": {"id": int, "clock": str, "own": (int, float)},
    "peek": {"call": int, "key": str, "line": int},
    "wait": {},
    "print": {"text": str},
    "end": {"usage": dict},
    "limit": {"limit": str, "usage": dict},
}
_OPTIONAL = {
    "describe": ("branch",),
    "sleep": ("branch", "for"),
    "time": ("branch",),
    "content": ("branch",),
    "call": ("args", "fault", "secrets", "contents", "branch", "through", "hidden", "at"),
    "script": ("args", "fault", "secrets", "branch", "through", "hidden", "at"),
    "doc": ("args", "fault", "branch"),
} | {"end": ("result", "error", "exit", "losses")}
_OF_RECORDED = ("of", "line", "waits")
_OPTIONAL |= {kind: (*_OPTIONAL[kind], *_OF_RECORDED) for kind, fields in _FIELDS.items() if "id" in fields}
_NAMES = {kind: {"kind", *fields, *_OPTIONAL.get(kind, ())} for kind, fields in _FIELDS.items()}
"""The names of the fields that a frame may have, by its kind."""
_SUBJECTS = {kind: [name for name in fields if name not in ("id", "own")] for kind, fields in _FIELDS.items()}
"""The names of the fields of a request that say what it is about, by its kind."""


def question_of(request: Mapping[str, Any]) -> list[Any]:
    """Return the kind, subject and arguments of a request, equal for requests that ask for the same."""
    kind = request["kind"]
    question = [kind, *[request[name] for name in _SUBJECTS[kind]]]
    if "args" not in _OPTIONAL[kind]:
        return question
    if "fault" in request:
        return [*question, request["fault"]]
    handles = (request[name] for name in ("secrets", "contents") if request.get(name))
    return [*question, request.get("args", []), *handles]


class BadFrame(ValueError):
    """A line is not a valid frame; the message says why."""


def frame(kind: str, **fields: object) -> bytes:
    """Return a frame as a line of JSON."""
    encode = make_encoder({}, _refuse_type, encode_basestring_ascii, *_LENIENT)
    return "".join(encode({"kind": kind, **fields}, 0)).encode() + b"\n"


class JsonObject(dict[str, Json]):
    """A JSON object with known keys, which are attributes too. An attribute is None if the object has no such key."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Json:
            if name not in type(self).__annotations__:
                raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
            return self.get(name)


class Truncated(list[Json]):
    """A list that was cut: the service has more items. In a script, ``truncated`` of such a list is true."""

    truncated = True


class Answer(str):
    """A value as JSON text, with what JSON cannot express: secrets, bytes, and whether a list was cut.

    Args:
        text: The value as JSON, with ``***`` in place of each secret.
        secrets: For each secret in the value: its place, and the name of the handle that the script gets. A place is
            the keys that lead to the secret, such as ``["env", 2, "value"]``; lists are counted from 1, as in Lua.
        contents: For each table that stands for bytes in the script: its place, the name of its handle, and the bytes
            in base64.
        truncated: True if the value is a list that was cut, since the service has more items.
    """

    secrets: Sequence[Any]
    contents: Sequence[Any]
    truncated: bool

    def __new__(
        cls, text: str, secrets: Sequence[Any] = (), contents: Sequence[Any] = (), *, truncated: bool = False
    ) -> Answer:
        answer = super().__new__(cls, text)
        answer.secrets, answer.contents, answer.truncated = secrets, contents, truncated
        return answer

    @property
    def marks(self) -> dict[str, Any]:
        """The fields that a reply has beside the value; empty ones are left out."""
        found = {"secrets": self.secrets, "contents": self.contents, "truncated": self.truncated}
        return {key: value for key, value in found.items() if value}


def reply(number: int, value: str) -> bytes:
    """Return the frame that answers a request with JSON text."""
    marks = value.marks if isinstance(value, Answer) else {}
    if "contents" in marks:
        marks["contents"] = [(place, name) for place, name, _ in marks["contents"]]
    beside = f"{dumps(marks)[1:-1]}," if marks else ""
    head = f'{{"kind":"reply","id":{number},"ok":true,{beside}"value":'
    return b"".join((head.encode("utf-8", "replace"), value.encode("utf-8", "replace"), b"}\n"))


def refusal(number: int, error: str) -> bytes:
    """Return the frame that answers a request with the JSON text of an error."""
    return f'{{"kind":"reply","id":{number},"ok":false,"error":{error}}}\n'.encode("utf-8", "replace")


def exit_notice(status: int) -> bytes:
    """Return the line in which a session's new process reports how the old one ended."""
    return _EXIT_NOTICE + str(status).encode() + b"\n"


def read_exit_notice(line: bytes) -> int | None:
    """Return the status in an exit notice, or None for a frame."""
    _, mark, status = line.rpartition(_EXIT_NOTICE)
    try:
        return int(status) if mark else None
    except ValueError:
        return None


SPIN_TIME = 100e-6
"""Seconds to poll for a frame before sleeping. Waking up an idle processor takes a quarter of that."""
WAITS_WITHOUT_SPIN = 15
"""How many waits do not poll: the first ones, and those after a wait in which polling found nothing."""


class Arrivals:
    """Waits before a pipe is read. If frames come quickly, it polls briefly, without the delay of waking up."""

    def __init__(self, descriptor: int) -> None:
        from select import POLLIN, poll  # imported here, since a cold start does not need it

        poller = poll()
        poller.register(descriptor, POLLIN)
        self._poll = poller.poll
        self._waits_without = WAITS_WITHOUT_SPIN

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait until something can be read or the pipe is closed; return False after ``seconds`` without.

        Without a limit of time, the wait ends after polling, since reading the pipe waits as well.
        """
        if self._waits_without:
            self._waits_without -= 1
        else:
            ends = monotonic() + SPIN_TIME
            while monotonic() < ends:
                if self._poll(0):
                    return True
            self._waits_without = WAITS_WITHOUT_SPIN
        return seconds == math.inf or bool(self._poll(seconds * 1000))


PRINT = b'{"kind":"print","text":"'
"""How the frame of an output begins."""
_PRINTS = regex(rb'(?:\{"kind":"print","text":"[^\n]*\n)+')
MAX_GATHERED = 32 * 1024
"""Up to this size, in bytes, frames of outputs become one."""
BURST, PAUSE = 32, 0.0005
"""After how many outputs in a row more are waited for, and how long, in seconds."""


class Lines(bytearray):
    """Bytes that arrive in pieces, of which whole lines are taken."""

    _searched = _printed = 0

    def take(self, limit: float = math.inf) -> bytes | None:
        """Remove the first line, and return it without its line feed; None if it has not arrived as a whole.

        Outputs that follow one another are returned as one. After many of them, this waits briefly before it says that
        there is no line: more arrive meanwhile, without a wake-up for each.

        Raises:
            BadFrame: The line is longer than ``limit`` bytes.
        """
        end = self.find(b"\n", self._searched)
        self._searched = len(self) if end < 0 else 0
        if (len(self) if end < 0 else end) > limit:
            raise BadFrame(f"a frame is longer than {limit} bytes")
        if end < 0:
            if self._printed > BURST:
                sleep(PAUSE)
            return None
        line = bytes(memoryview(self)[:end])
        self._printed = self._printed + 1 if line.startswith(PRINT) else 0
        if self._printed and (prints := _PRINTS.match(self, 0, MAX_GATHERED)):
            end, line = prints.end() - 1, prints[0].replace(b'"}\n' + PRINT, b"")[:-1]
        del self[: end + 1]
        return line


def read_line(stream: BinaryIO, limit: int) -> bytes | None:
    """Return the next line without its line feed, or None at the end.

    Raises:
        BadFrame: The line is longer than ``limit`` bytes.
    """
    line = stream.readline(limit + 1)
    if line.endswith(b"\n"):
        return line[:-1]
    if len(line) > limit:
        raise BadFrame(f"a frame is longer than {limit} bytes")
    return None


def decode_from_child(line: bytes) -> dict[str, Any]:
    """Return the checked fields of a frame that a child wrote, without unknown ones.

    Raises:
        BadFrame: The line is not JSON or is nested too deeply, the kind of the frame is unknown, or a field is missing
            or has the wrong type.
    """
    try:
        text = line.decode()
        frame, end = _scan(text, 0)
    except (ValueError, RecursionError, StopIteration):
        raise BadFrame("a frame is not JSON") from None
    if end != len(text):
        raise BadFrame("a frame is not JSON")
    kind = frame.get("kind") if isinstance(frame, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise BadFrame("a frame has an unknown kind")
    if kind != "end" and line.startswith(END):
        raise BadFrame("a frame has two kinds")
    if kind != "print":  # which has a text only
        if line.count(b"[") + line.count(b"{") > MAX_DEPTH and is_deeper(frame, MAX_DEPTH):
            raise BadFrame(f"a frame is nested more than {MAX_DEPTH} levels deep")
        if (b"\\ud" in line or b"\\uD" in line) and not _is_text(frame):
            raise BadFrame("a string in a frame has a lone surrogate")
    for name, expected in _FIELDS[kind].items():
        value = frame.get(name)
        if not isinstance(value, expected) or value is True or value is False:
            raise BadFrame(f"the field {name} is missing or invalid in a frame of the kind {kind}")
        if name == "path" and len(frame["path"]) > MAX_PATH:
            raise BadFrame(f"a path under app has more than {MAX_PATH} characters")
    return frame if frame.keys() <= _NAMES[kind] else {name: frame[name] for name in _NAMES[kind] if name in frame}


def memory_of(line: bytes | bytearray) -> int:
    """Estimate the bytes that a frame's values take in the host at worst.

    Small values take many times as many as in JSON. In a string with an emoji, every character takes four.
    """
    width = 1
    if not line.isascii() or b"\\u" in line:
        width = 4 if _MAY_HAVE_EMOJI.search(line) else 2
    marks = line.count(b",") + line.count(b":") + line.count(b"[") + line.count(b"{")
    return width * len(line) + BYTES_PER_MARK * marks


_MAY_HAVE_EMOJI = regex(rb"[\xF0-\xFF]|\\u[dD][89abAB]")


def is_deeper(value: object, levels: int) -> bool:
    """Return True if tables and lists are nested in more levels than these."""
    level: list[Any] = [value]
    for _ in range(levels + 1):
        level = [each for each in level if isinstance(each, (dict, list))]
        if not level:
            return False
        level = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
    return True


def _is_text(frame: dict[str, Any]) -> bool:
    """Return True if no string of a frame has a lone surrogate."""
    try:
        dumps(frame).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def to_text(raw: bytes) -> str:
    """Return bytes, even if not UTF-8, as text from which :func:`to_bytes` gets them back."""
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Return the bytes of :func:`to_text`; with surrogates that it does not make, all become ``?``."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
