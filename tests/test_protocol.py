"""The protocol: frames as they are written, and as they come from a child that lies."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kosmolua import Runtime, WorkerLost, protocol
from kosmolua.catalog.plugins import Plugins
from kosmolua.plugin import Api, Integration, Secret, Send
from kosmolua.protocol import BadFrame, Lines

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
    """Each kind of frame that a child may send is read as it was written."""
    assert protocol.decode_from_child(json.dumps(frame).encode()) == frame


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame["kind"])
def test_every_field_is_checked(frame: dict[str, Any]) -> None:
    """A frame without one of its fields, or with another type there, is refused."""
    for name in frame.keys() - {"kind", "args", "result"}:
        without = {key: value for key, value in frame.items() if key != name}
        for bad in (without, frame | {name: None}, frame | {name: True}, frame | {name: [1]}):
            with pytest.raises(BadFrame, match=f"the field {name} is .* a frame of the kind {frame['kind']}"):
                protocol.decode_from_child(json.dumps(bad).encode())


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
        b'{"kind": "call", "id": 1, "path": "' + b"x" * (protocol.MAX_PATH + 1) + b'"}',
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
        protocol.decode_from_child(line)


@pytest.mark.slow
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_do_anything_else_than_be_refused(line: bytes) -> None:
    """Whatever comes, the answer is a frame or BadFrame."""
    with contextlib.suppress(BadFrame):
        assert protocol.decode_from_child(line)["kind"] in [frame["kind"] for frame in FRAMES]


def nested(levels: int) -> bytes:
    """Return a call whose only argument is nested this deeply."""
    value = b"[" * levels + b"]" * levels
    return b'{"kind":"call","id":1,"path":"integrations.box.put_in","args":[{"value":' + value + b"}]}"


def test_a_frame_is_not_nested_more_deeply_than_the_host_can_write() -> None:
    """What json can read and not write again is refused as it comes, whether lists or objects, in any field."""
    assert protocol.decode_from_child(nested(protocol.MAX_DEPTH - 3))["args"]
    for line in (
        *map(nested, (protocol.MAX_DEPTH, 500, 980, 985, 20_000)),
        b'{"kind":"end","usage":{},"result":' + b'[{"a":' * 200 + b"1" + b"}]" * 200 + b"}",
        b'{"kind":"limit","limit":"cpu","usage":{"a":' + b"[" * 400 + b"]" * 400 + b"}}",
    ):
        with pytest.raises(BadFrame):
            protocol.decode_from_child(line)


def test_many_brackets_are_not_deep() -> None:
    """Lists beside each other, and brackets in text, count as what they are."""
    frame = {"kind": "end", "result": [[], {}] * 1000 + ["[" * 1000], "usage": {}}
    assert protocol.decode_from_child(json.dumps(frame).encode()) == frame


def test_fields_that_no_frame_has_are_dropped() -> None:
    """What a child adds to a frame takes no memory for as long as the call waits."""
    frame = {"kind": "call", "id": 1, "path": "a.b", "args": [], "branch": True, "more": ["x" * 1000]}
    assert "more" not in protocol.decode_from_child(json.dumps(frame).encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    ["x" * 100_000, "\U0001f600" + "x" * 100_000, "é" * 50_000, [[0]] * 20_000, [{"": 0}] * 20_000, [1.5] * 50_000],
    ids=["text", "emoji", "accents", "lists", "objects", "numbers"],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_memory_of_a_frame_is_counted_as_it_is(value: Any, ascii_only: bool) -> None:
    """What the host keeps of a frame is at most a quarter more than what is counted for it."""
    frame = {"kind": "call", "id": 1, "path": "a.b", "args": [value]}
    line = json.dumps(frame, ensure_ascii=ascii_only, separators=(",", ":")).encode()
    tracemalloc.start()
    try:
        kept = protocol.decode_from_child(line)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept["args"] == [value]
    assert taken < 1.25 * protocol.memory_of(line)


@dataclass(frozen=True)
class Card:
    """The account of a box."""

    api_key: Annotated[Secret, "On the card."]

    def open(self, send: Send) -> Api:
        return Api(send, "https://box.example", bearer=self.api_key)


class LyingChild:
    """A child that runs nothing and sends these lines."""

    def __init__(self, *lines: bytes) -> None:
        self._lines = list(lines)

    def read(self, limit: int) -> bytes | None:
        """Return the next line."""
        return self._lines.pop(0) if self._lines else None

    def send(self, line: bytes) -> None:
        """Take no notice."""

    def kill(self) -> None:
        """Have ended already."""

    insist = close = kill

    def status(self) -> int:
        """Say that it was ended."""
        return -9


@pytest.mark.slow
def test_no_write_is_made_that_the_journal_cannot_hold(tmp_path: Path) -> None:
    """A child that sends arguments just as deep as json reads, and does not write, makes no call."""
    put: list[object] = []
    box = Integration("box", Card, about="A box.")

    @box.writes
    def put_in(_: Api, /, *, value: Any) -> None:
        """Put a value into the box."""
        put.append(value)

    plugins = Plugins([box], places=(), entry_points=dict)
    accounts = {"box": {"main": {"api_key": "a long enough key", "permissions": {"write": "allow"}}}}
    ready = protocol.frame("ready", isolation=[], missing=[])[:-1]
    for levels in (100, 500, 970, 980, 984, 990):
        journal = tmp_path / f"{levels}.jsonl"
        with Runtime(accounts, plugins=plugins, environ={}, journal=journal) as runtime:
            outcome = runtime.run("", child=LyingChild(ready, nested(levels)))
        assert isinstance(outcome.error, WorkerLost)
        written = journal.read_text() if journal.exists() else ""
        assert len(put) == written.count('"path": "box.put_in"') == (levels == 100), levels
        put.clear()


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


@pytest.mark.slow
@given(st.binary())
def test_bytes_that_are_no_text_survive(raw: bytes) -> None:
    """Lua's strings are bytes; a frame carries any of them."""
    line = protocol.frame("print", text=protocol.to_text(raw))
    assert line.count(b"\n") == 1
    assert protocol.to_bytes(protocol.decode_from_child(line[:-1])["text"]) == raw


def test_a_surrogate_that_stands_for_no_byte_is_lost() -> None:
    """A child that makes up surrogates gets question marks, not an exception in the host."""
    assert protocol.to_bytes("a\ud800b") == b"a?b"


def test_replies_are_one_line_also_with_broken_text() -> None:
    """An answer stays one line of UTF-8, whatever text a service sent."""
    answers = [protocol.reply(7, '"line\\nend \ud800"'), protocol.refusal(8, '{"code":"api_error"}')]
    assert [json.loads(answer)["id"] for answer in answers] == [7, 8]
    assert all(answer.count(b"\n") == 1 and answer.decode() for answer in answers)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's ends, to read from and to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork, no pipe is polled")
def test_a_reader_polls_as_long_as_that_helps(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader polls from the sixteenth wait on, and if that was in vain, again sixteen waits later."""
    looks: list[float] = []

    def clock() -> float:
        looks.append(len(looks) * protocol.SPIN_TIME / 2)
        return looks[-1]

    def polls() -> bool:
        looks.clear()
        arrivals.wait()
        return bool(looks)

    monkeypatch.setattr(protocol, "monotonic", clock)
    arrivals = protocol.Arrivals(pipe[0])
    assert [polls() for _ in range(32)] == (15 * [False] + [True]) * 2
    os.write(pipe[1], b"x")
    assert [polls() for _ in range(32)] == 15 * [False] + 17 * [True]


def test_outputs_that_follow_one_another_are_taken_as_one() -> None:
    """Whatever bytes they have; but not across another frame, and not one that has not arrived as a whole."""
    printed = [b'a "quoted" line\n', b"\xff\xc3\xa9\\\n", b'"}\n{"kind":"print","text":"', b"last"]
    frames = [protocol.PRINT + json.dumps(protocol.to_text(each))[1:].encode() + b"}\n" for each in printed]
    lines = Lines(b"".join(frames[:3]) + b'{"kind":"wait"}\n' + frames[3] + frames[0][:-4])
    taken = [protocol.decode_from_child(line) for line in iter(lines.take, None)]
    assert [each["kind"] for each in taken] == ["print", "wait", "print"]
    assert [protocol.to_bytes(each["text"]) for each in taken[::2]] == [b"".join(printed[:3]), printed[3]]


def test_outputs_are_gathered_up_to_a_size() -> None:
    """A frame of many of them is no longer than one that a child may write."""
    frame = protocol.PRINT + b"x" * 1000 + b'"}\n'
    lines = Lines(frame * 100)
    sizes = [len(line) for line in iter(lines.take, None)]
    assert len(sizes) == 4
    assert max(sizes) < protocol.MAX_GATHERED


def test_a_line_is_taken_when_it_is_whole() -> None:
    """However it was cut into pieces, and without its line feed."""
    lines = Lines()
    taken = []
    for piece in (b"a", b"b\n\nc", b"", b"d\n"):
        lines += piece
        while (line := lines.take()) is not None:
            taken.append(line)
    assert taken == [b"ab", b"", b"cd"]
