"""The letterbox: frames as they are written, and as they come from a guest that lies."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kosmolua import protocol
from kosmolua.protocol import BadFrame

FRAMES: list[dict[str, Any]] = [
    {"kind": "describe", "id": 1, "path": "integrations"},
    {"kind": "call", "id": 2, "path": "integrations.render2.list_services", "args": [{"limit": 5}]},
    {"kind": "doc", "id": 3, "verb": "search", "args": ["deploys"]},
    {"kind": "print", "text": "hello\n"},
    {"kind": "end", "result": [1.5, "\U0001f600"], "usage": {"cpu_ms": 1.5}},
    {"kind": "limit", "limit": "memory", "usage": {}},
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame["kind"])
def test_proper_frames_are_read(frame: dict[str, Any]) -> None:
    """Each kind of frame that a guest may send is read as it was written."""
    assert protocol.decode_from_guest(json.dumps(frame).encode()) == frame


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame["kind"])
def test_every_field_is_checked(frame: dict[str, Any]) -> None:
    """A frame without one of its fields, or with another type there, is refused."""
    for name in frame.keys() - {"kind", "args", "result"}:
        without = {key: value for key, value in frame.items() if key != name}
        for bad in (without, frame | {name: None}, frame | {name: True}, frame | {name: [1]}):
            with pytest.raises(BadFrame, match=f"a {frame['kind']} frame has no proper {name}"):
                protocol.decode_from_guest(json.dumps(bad).encode())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"print",
        b"null",
        b"[]",
        b'"print"',
        b"{}",
        b'{"kind": "job"}',
        b'{"kind": "reply", "id": 1, "ok": true}',
        b'{"kind": null}',
        b'{"kind": ["print"], "text": ""}',
        b'{"kind": {"print": 1}}',
        b'{"kind": "print", "text": "\xff"}',
        b'{"kind": "print", "text": "unfinished',
        b'{"kind": "print", "text": ""} {"kind": "print", "text": ""}',
        b'{"kind": "end", "result": [NaN], "usage": {}}',
        b'{"kind": "end", "result": [Infinity], "usage": {}}',
        b'{"kind": "end", "result": [1e999], "usage": {}}',
        b'{"kind": "end", "usage": {"memory_bytes": -1e999}}',
        b'{"kind": "call", "id": 1, "path": "' + b"x" * (protocol.LONGEST_PATH + 1) + b'"}',
        b'{"kind": "call", "id": 1.5, "path": ""}',
        b'{"kind": "doc", "id": 1, "args": []}',
        b'{"kind": "end", "result": ' + b"[" * 200_000 + b"]" * 200_000 + b', "usage": {}}',
        b'{"kind":"end","kind":"call","id":1,"path":"a.b","args":[]}',
        b'{"kind":"end","result":["\\ud800"],"usage":{}}',
        b'{"kind":"call","id":1,"path":"a.\\uDFFF","args":[]}',
    ],
    ids=lambda line: line[:40].decode("ascii", "replace"),
)
def test_nonsense_is_refused(line: bytes) -> None:
    """What is no frame is refused by its shape; nothing of it is taken over."""
    with pytest.raises(BadFrame):
        protocol.decode_from_guest(line)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_do_anything_else_than_be_refused(line: bytes) -> None:
    """Whatever comes, the answer is a frame or BadFrame."""
    with contextlib.suppress(BadFrame):
        assert protocol.decode_from_guest(line)["kind"] in [frame["kind"] for frame in FRAMES]


def test_a_line_has_a_longest_length() -> None:
    """A line of just the limit is read; a longer one is refused without being read to its end."""
    stream = io.BytesIO(b"x" * 10 + b"\n" + b"y" * 11 + b"\n" + b"z" * 1000)
    assert protocol.read_line(stream, 10) == b"x" * 10
    with pytest.raises(BadFrame, match="longer than 10 bytes"):
        protocol.read_line(stream, 10)
    assert stream.tell() == 22


def test_a_line_that_breaks_off_is_no_line() -> None:
    """A side that is gone in the middle of a frame is gone."""
    assert protocol.read_line(io.BytesIO(b'{"kind": "pri'), 100) is None
    assert protocol.read_line(io.BytesIO(b""), 100) is None


@given(st.binary())
def test_bytes_that_are_no_text_survive(raw: bytes) -> None:
    """Lua's strings are bytes; a frame carries any of them."""
    line = protocol.frame("print", text=protocol.to_text(raw))
    assert line.count(b"\n") == 1
    assert protocol.to_bytes(protocol.decode_from_guest(line[:-1])["text"]) == raw


def test_a_surrogate_that_stands_for_no_byte_is_lost() -> None:
    """A guest that makes up surrogates gets question marks, not an exception in the host."""
    assert protocol.to_bytes("a\ud800b") == b"a?b"


def test_replies_are_one_line_also_with_broken_text() -> None:
    """An answer stays one line of UTF-8, whatever text a service sent."""
    answers = [protocol.reply(7, '"line\\nend \ud800"'), protocol.refusal(8, '{"code":"api_error"}')]
    assert [json.loads(answer)["id"] for answer in answers] == [7, 8]
    assert all(answer.count(b"\n") == 1 and answer.decode() for answer in answers)
