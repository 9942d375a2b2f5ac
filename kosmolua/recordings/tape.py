"""The tape of a recorded run: records the answers that a script gets, and replays them.

The supervisor passes each request of the script to the tape. If the recording has the answer, the tape replays it.
Otherwise the broker answers the request, and the tape records the answer and sends it to the script.

Whenever all branches of ``parallel`` in the script wait, the script's process reports this and gets exactly one reply.
The recorded replies come first, in their recorded order, and then those of the broker. So the branches continue in the
same order in every replay.

Any thread may use a tape. Replies are sent while the lock is held. This does not block for long, since the script is
waiting for the reply and reads it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from hashlib import sha256
from heapq import heappop, heappush
from threading import Condition, RLock, local
from time import time
from typing import Any, NamedTuple, cast

from kosmolua import protocol
from kosmolua.calls.records import CallEnded, CallStarted, FinishedCall, Write, key_of
from kosmolua.calls.records import Event as CallEvent
from kosmolua.clock import moment
from kosmolua.errors import CallError, Diverged, KosmoError, Parked, Paused, WorkerLost
from kosmolua.limits import MIB
from kosmolua.recordings.answers import Answers, RecordedAnswer, number_of
from kosmolua.recordings.notes import Notes, key_in_order
from kosmolua.recordings.recording import Event, Writer, error_fields, question, revived
from kosmolua.secret import Redactor

RECORDED, NEW = 0, 1
LATE = 10**9
"""What is added to the order of replies that come as they are ready."""
MAX_HELD = 64 * MIB
"""Bytes of replies that can be kept until the script waits. With more, call threads block until some were sent."""
MAX_REPLIES = 200_000
"""How many replies can be kept until the script waits. If there are more, the run ends."""
POLL_INTERVAL = 0.2
MIN_PARKED = 60.0
"""A run parks if its script sleeps for so many seconds or longer, and does nothing else meanwhile."""
MIN_PAGE, DIGEST = 256, 32
"""A page of the documentation of more than ``MIN_PAGE`` characters is recorded once, under a digest of so many digits.
"""
MAX_NAMED = 3
MAX_RAISED = 1000
"""How many of the latest errors of requests are kept. One of them may end the script."""
MAX_ARGUMENTS = 200
"""The length to which the arguments of a call are cut in a message, in characters."""


class _Request(NamedTuple):
    """A request of the script that has no reply yet."""

    branch: str
    """The branch of ``parallel`` that makes the request; empty outside of ``parallel``."""
    ask: list[Any]
    """The request as it is recorded: a list of its kind, its subject and its arguments, with known secrets masked."""
    line: int
    """The line of the script that makes the request; 0 if unknown."""
    is_in_call_thread: bool
    """True if a call thread answers the request."""
    place: int
    """How often this branch had made the same request before."""
    turn: int | None
    """Which reply this request got in the order that the tape keeps; None if it is not in this order."""


class _Reply(NamedTuple):
    """A reply kept until the script waits. Recorded ones come first, in their order."""

    rank: int
    order: int
    number: int
    value: str = "null"
    error: CallError | None = None
    event: Event | None = None
    is_written: bool = True

    @property
    def line(self) -> bytes:
        if self.error:
            return protocol.refusal(self.number, protocol.encode(self.error.fields()))
        return protocol.reply(self.number, self.value)


class Tape:
    """Records the answers that a script gets, and replays answers that were recorded earlier.

    Args:
        run: The id of the run. All executions in one recording have the same id.
        answers: The answers in the recording so far.
        writer: Records the new answers of the broker, or notes them for a plan; None in a replay, in which the broker
            answers no requests.
        redactor: Masks the secrets in use in the requests of the script; None in a replay.
        identify: A function that returns what identifies an account, given the name of the integration and that of the
            account; see :mod:`kosmolua.broker.used_accounts`. None to record no accounts.
        is_chunk: Whether the recording stays open at the end, for the next chunk of a session.
        cut: In a replay, the error that stopped the recorded script from outside, such as a limit. None if the script
            ended by itself.
    """

    def __init__(
        self,
        run: str,
        answers: Answers,
        writer: Writer | Notes | None,
        redactor: Redactor | None = None,
        identify: Callable[[str, str], Event | None] = lambda *_: None,
        *,
        is_chunk: bool = False,
        cut: KosmoError | None = None,
    ) -> None:
        self.run = run
        self.answers = answers
        self._writer = writer
        self._is_chunk = is_chunk
        self._cut = cut
        self._redactor = redactor or Redactor()
        self._identify = identify
        self._clocks: dict[str, float] = {}
        self._local = local()
        # Guarded by the lock.
        self._lock = RLock()
        self._has_room = Condition(self._lock)
        self._held = 0
        self._open: dict[int, _Request] = {}
        self._asked: Counter[tuple[str, str]] = Counter()
        self._asleep: dict[int, float] = {}
        self._turns: dict[str, deque[int]] = defaultdict(deque)
        self._replies: list[_Reply] = []
        self._stuck: dict[int, KosmoError | None] = {}
        self._calls: dict[int, Event] = {}
        self._questions: list[dict[str, str]] = []
        self._call_of: dict[int, int] = {}
        self._pages: set[str] = set()
        self._identified: set[tuple[str, str]] = set()
        self._raised: deque[tuple[KosmoError, Event]] = deque(maxlen=MAX_RAISED)
        self._latest = 0
        self._lost: KosmoError | None = None
        self._waits = False
        self.last_call = 0
        """The number of the last call that has ended."""
        self.park: Callable[[float], None] | None = None
        """Arranges for the run to be resumed at a time, in seconds since 1970; None if the run cannot park."""

    def attach(
        self,
        send: Callable[[bytes], None],
        fail: Callable[[int, CallError], None],
        stop: Callable[[KosmoError], None],
        recall: Callable[[Mapping[str, Any], str], None],
    ) -> None:
        """Connect the tape to the supervisor of a run, before the run begins.

        ``send`` sends a line to the script's process, ``fail`` is called before an error is sent, with the number of
        the request, and ``stop`` ends the run. ``recall`` is called with each call, of a function or a script, that the
        recording of a resumed run answers, and its value.
        """
        self._send, self._fail, self._stop, self._recall = send, fail, stop, recall

    def detach(self) -> None:
        """Let go of the supervisor, whose run is over: what is still answered goes nowhere."""
        self.attach(_ignore, _ignore, _ignore, _ignore)

    def follow(self, order: Sequence[str]) -> None:
        """Keep an order of replies, before the run begins.

        It is that in which the script gets the replies of the broker, as digests of the requests that
        :func:`key_in_order` returns. Others come last, as they are ready.
        """
        for turn, key in enumerate(order):
            self._turns[key].append(turn)

    # Called by the supervisor

    def ask(self, frame: Mapping[str, Any]) -> bool:
        """Accept a request of the script. Return True if the tape handles it, False if the broker has to."""
        branch, line = frame.get("of"), frame.get("line")
        of, ask = branch if isinstance(branch, str) else "", protocol.question_of(frame)
        text = question(ask)
        if self._redactor.knows(text):
            ask = cast("list[Any]", self._redactor.value(ask))
            text = question(ask)
        is_in_call_thread = frame["kind"] == "call" and frame.get("branch") is True
        with self._lock:
            place = self._count(of, text) if frame["kind"] == "call" else 0
            turn = self._turn_of(of, ask) if self._turns else None
            request = _Request(of, ask, line if isinstance(line, int) else 0, is_in_call_thread, place, turn)
            number = frame["id"]
            self._open[number] = request
            answer = self.answers.take(of, ask) if self.answers.all else None
            is_known = self._settle(number, request, answer, frame)
            if frame.get("waits") is True:
                self._waits = True
            self._advance()
        if self._writer and answer and answer.value is not None and frame["kind"] in ("call", "script"):
            self._recall(frame, answer.value)
        return is_known

    def wait(self) -> None:
        """Record that the script waits for a reply, and send the next reply if there is one."""
        with self._lock:
            self._waits = True
            self._advance()

    def begin(self, number: int) -> None:
        """Record that the current thread now answers the request with this number.

        Calls that this thread then reports to :meth:`watch` belong to this request.
        """
        self._local.number = number

    def write(self) -> Write:
        """Return the key of the write that the current thread is about to send, and whether it may have been done.

        The key is made of the run and of the place of the request among those of the script, so that it is the same
        when the run is resumed.
        """
        with self._lock:
            request = self._open.get(getattr(self._local, "number", 0))
            if request is None:
                return Write(key_of(self.run))
            if self.answers.all and (key := self.answers.take_doubt(request.branch, request.ask)):
                return Write(key, is_doubtful=True)
            if not self.answers.is_changed and (doubt := self.answers.masked_doubt(request.branch)):
                raise _other_write(request.ask, f"{_words(doubt)} may have been done")
            return Write(key_of(self.run, request.branch, request.ask, request.place))

    def answer(self, number: int, value: str = "null", error: CallError | None = None) -> None:
        """Record the broker's answer to a request: ``value`` as JSON, or ``error``. Send it as soon as the script
        waits.

        The answer to a write is recorded at once.
        """
        with self._lock:
            request = self._open.get(number)
            if self._asleep.pop(number, None):
                self._stuck.pop(number, None)
            while request and request.is_in_call_thread and self._held > MAX_HELD and self._writer:
                if request.turn is not None and request.turn < self._replies[0].order:
                    break  # the other replies wait for this one
                self._has_room.wait(POLL_INTERVAL)
            if request is None or self._writer is None:
                return
            event: Event = {"event": "answer", "id": number, "branch": request.branch, "ask": request.ask}
            if call := self._calls.pop(self._call_of.pop(number, 0), None):
                event["call"] = call
            if error:
                event["error"] = error_fields(error)
            if isinstance(value, protocol.Answer):
                event |= value.marks
            left: Event | None = event
            if is_write := call is not None and call["effect"] not in ("read", None):
                if is_next := self._waits and not self._replies and not self._turns:
                    event["given"] = True
                if not self._write(event, None if error else value):
                    return
                left = None if is_next else {"event": "given", "id": number}
            turn = self._next() if request.turn is None else request.turn
            self._queue(_Reply(NEW, turn, number, value, error, left, is_written=is_write))
            self._advance()

    def pause(self, number: int, error: Paused) -> None:
        """Record that a call needs the approval of a person, and that nobody can be asked now.

        The run pauses, with such an error, as soon as no other request of the script can be answered.
        """
        with self._lock:
            self._stuck[number] = error
            self._advance()

    def left_of_sleep(self, number: int, seconds: float) -> float:
        """Return how many seconds are left of a sleep, which may have begun before the run parked."""
        with self._lock:
            request = self._open.get(number)
            until = self.answers.take_asleep(request.branch, request.ask) if request else None
            return seconds if until is None else max(0.0, until - time())

    def sleeps(self, number: int, seconds: float) -> None:
        """Note for how many seconds a sleep goes on; if it is long, and nothing else goes on, the run parks."""
        if self.park and seconds >= MIN_PARKED:
            with self._lock:
                self._asleep[number] = time() + seconds
                self._stuck[number] = None
                self._advance()

    def watch(self, event: CallEvent) -> None:
        """Record that a call starts or ends. The start of a write is in the recording before the write is sent.

        Raises:
            Diverged: The script was changed after the recording, and would send a write again that was already done
                according to the recording. It passes the same arguments in a different form, such as by name instead
                of in order.
            KosmoError: The recording cannot be written.
        """
        if isinstance(event, CallStarted):
            self._begin_call(event)
        elif isinstance(event, CallEnded):
            self._end_call(event.record)

    # The end

    @property
    def is_live(self) -> bool:
        """True if the broker answers requests for which the recording has no answer; False in a replay."""
        return self._writer is not None

    def question_that_raised(self, error: KosmoError) -> Event | None:
        """Return the request whose answer was this error, or None if there is no such request.

        The dict has the request's branch of ``parallel`` as ``branch``, and the request itself as ``ask``.
        """
        return next((asked for raised, asked in self._raised if raised is error), None)

    def unanswered(self) -> list[Event]:
        """Return the calls that have ended but whose answers to the script have not been recorded."""
        with self._lock:
            return list(self._calls.values())

    def note_asleep(self) -> None:
        """Write when the sleeps end that are under way, unless that was written.

        Raises:
            KosmoError: The recording cannot be written.
        """
        while self._writer and self._asleep:
            number = next(iter(self._asleep))
            asleep = {"branch": self._open[number].branch, "ask": self._open[number].ask, "until": self._asleep[number]}
            self._writer.write({"event": "asleep", **asleep})
            del self._asleep[number]

    def close(self, end: Event | None = None) -> None:
        """Close the recording of the run, after appending the event that says how it ended, if that is given.

        Raises:
            KosmoError: The recording cannot be written, or lacks an answer that could not, so that it has no end.
        """
        if self._writer is None:
            return
        with self._lock:
            writer, self._writer = self._writer, None
        try:
            if self._lost and end and end["status"] == "done":
                raise self._lost
            if end:
                writer.write(end)
        finally:
            if self._is_chunk:
                writer.sync()
            else:
                writer.close()

    # Under the lock

    def _count(self, branch: str, text: str) -> int:
        """Count a request, as text, and return how often its branch had made the same request before."""
        key = branch, text
        self._asked[key] += 1
        return self._asked[key] - 1

    def _settle(self, number: int, request: _Request, answer: RecordedAnswer | None, frame: Mapping[str, Any]) -> bool:
        """Prepare the reply to a request and return True. Return False if the broker has to answer the request."""
        if answer and answer.is_under_way:
            self._stuck[number] = None
        elif answer:
            self._queue(_recalled(number, answer))
            self._note_clock(request.ask, answer.value, frame)
        elif self._writer:
            return False
        elif request.ask[0] == "content" and request.ask[1] in self.answers.contents:
            content = protocol.encode(self.answers.contents[request.ask[1]])
            self._queue(_Reply(NEW, self._next(), number, content))
        elif self._cut:
            self._stuck[number] = None
        elif request.ask[0] == "sleep":
            self._clocks = {clock: ahead + request.ask[1] for clock, ahead in self._clocks.items()}
            self._queue(_Reply(NEW, self._next(), number))
        elif request.ask[0] == "time":
            value = protocol.encode(frame["own"] + self._clocks.get(frame["clock"], 0.0))
            self._queue(_Reply(NEW, self._next(), number, value))
        else:
            self._stuck[number] = error = self._diverged(request)
            self._stop(error)
        return True

    def _note_clock(self, ask: list[Any], value: str | None, frame: Mapping[str, Any]) -> None:
        """If a request was for the time, keep by how much the recorded time differs from that in the script's process.

        If a replayed script reads the clock more often than the recording says, its time is computed from this
        difference.
        """
        if ask[0] == "time" and value is not None:
            self._clocks[ask[1]] = json.loads(value) - frame["own"]

    def _queue(self, reply: _Reply) -> None:
        heappush(self._replies, reply)
        self._held += len(reply.value)
        if len(self._replies) > MAX_REPLIES:
            self._stop(WorkerLost.broken_protocol("it sends requests without waiting for the replies"))

    def _next(self) -> int:
        self._latest += 1
        return LATE + self._latest

    def _turn_of(self, branch: str, ask: list[Any]) -> int | None:
        turns = self._turns.get(key_in_order(branch, ask))
        return turns.popleft() if turns else None

    def _comes_early(self, reply: _Reply) -> bool:
        """Return True if a request whose reply comes before this one has none yet."""
        if not self._turns or reply.rank == RECORDED:
            return False
        left = self._open.keys() - {each.number for each in self._replies} - self._stuck.keys()
        return any(turn < reply.order for number in left if (turn := self._open[number].turn) is not None)

    def _advance(self) -> None:
        """If the script waits, send the next reply, or end the run if no reply can come anymore."""
        if not self._waits:
            return
        if self._replies:
            if not self._comes_early(self._replies[0]):
                self._hand_out(heappop(self._replies))
        elif self._open and self._open.keys() <= self._stuck.keys() and (error := self._reason()):
            self._stop(error)

    def _hand_out(self, reply: _Reply) -> None:
        """Send a reply, and write it, unless it is written already, while the script goes on.

        The script's next request is looked at only after that, so it is in the recording after what led to it.
        """
        if self._held > MAX_HELD:
            self._has_room.notify_all()
        self._held -= len(reply.value)
        self._waits = False
        request = self._open.pop(reply.number, None)
        if reply.error:
            if request:
                self._raised.append((reply.error, {"branch": request.branch, "ask": request.ask}))
            self._fail(reply.number, reply.error)
        self._send(reply.line)
        if not reply.event:
            return
        event, value = reply.event, None if reply.is_written or reply.error else reply.value
        if value and event["ask"][0] == "doc" and len(value) > MIN_PAGE:
            digest = sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
            if digest not in self._pages and not self._write({"event": "page", "digest": digest}, value):
                return
            self._pages.add(digest)
            event, value = {**event, "page": digest}, None
        self._write(event, value)

    def _write(self, event: Event, value: str | None = None) -> bool:
        """Write an event to the recording and return True. If it cannot be written, end the run and return False."""
        if self._writer is None:
            return False
        try:
            self._writer.write(event, value)
        except KosmoError as error:
            self._lost = error
            self._stop(error)
            return False
        return True

    def _reason(self) -> KosmoError | None:
        """Return the error that ends a run in which none of the requests without a reply can be answered.

        Return None if a sleep is about to end.
        """
        if error := next((each for each in self._stuck.values() if isinstance(each, Diverged)), None):
            return error
        pauses = [error for error in self._stuck.values() if isinstance(error, Paused)]
        if not pauses and self._asleep:
            until = min(self._asleep.values())
            if until - time() < MIN_PARKED / 2:
                return None
            at = datetime.fromtimestamp(until, timezone.utc).isoformat(timespec="seconds")
            return Parked(f"The script sleeps until {at}, and goes on then by itself", until=until)
        if not pauses:
            assert self._cut
            return self._cut
        calls = sorted((call for error in pauses for call in error.calls), key=lambda call: int(str(call["number"])))
        kinds = Counter(f"{call['path']} with {call['account']}" for call in calls)
        named = [f"{count} x {kind}" if count > 1 else kind for kind, count in kinds.most_common(MAX_NAMED)]
        if len(kinds) > MAX_NAMED:
            named.append("others")
        return Paused(
            f"The script is paused: {' and '.join(named)} must be approved",
            calls=calls,
            hint="nobody can be asked here; to continue, run kosmolua resume with --approve or --deny",
        )

    def _diverged(self, request: _Request) -> Diverged:
        following = [each for each in self.answers.left if each.branch == request.branch]
        hint = f"the recording continues with {_words(following[0].ask)} there" if following else None
        place = f"in line {request.line}, " if request.line else ""
        return Diverged(
            f"The script leaves the recording {place}where it asks for {_words(request.ask)}: that was not recorded",
            hint=hint or "the recording has no further call there",
        )

    # In the thread of a call

    def _begin_call(self, event: CallStarted) -> None:
        number = getattr(self._local, "number", 0)
        with self._lock:
            request = self._open.get(number)
            self._call_of[number] = event.number
            writer = self._writer
            account = (event.path.rpartition(".")[0], event.account)
            is_new = account not in self._identified
            self._identified.add(account)
        if writer and is_new and (used := self._identify(*account)):
            writer.write({"event": "account", **used})
        if request is None or writer is None or event.effect == "read":
            return
        if self._lost:
            raise self._lost
        if done := self.answers.done_already(request.branch, event.path, event.account, event.arguments):
            if not self.answers.is_changed:
                raise _other_write(request.ask, f"call {number_of(done)}, {_words(done.ask)}, was done")
            raise Diverged(
                f"{event.path} was already done with these arguments, by call {number_of(done)} of the recording, "
                "but the changed script passes them in a different form",
                hint=f"make the call as in the recording: {_words(done.ask)}",
            )
        writer.write(
            {
                "event": "intent",
                "id": number,
                "branch": request.branch,
                "ask": request.ask,
                "number": event.number,
                "path": event.path,
                "account": event.account,
                "effect": event.effect,
                "arguments": event.arguments,
                "key": event.key,
                "time": moment(),
                **({"before": json.loads(event.before)} if event.before else {}),
            }
        )
        writer.sync()

    def _end_call(self, record: FinishedCall) -> None:
        with self._lock:
            self._call_of.setdefault(getattr(self._local, "number", 0), record.number)
            self._calls[record.number] = _call_of(record)
            self._questions += [record.question] if record.asked else []
            self.last_call = max(self.last_call, record.number)


def _ignore(*_: object) -> None:
    pass


def _call_of(record: FinishedCall) -> Event:
    return {
        "number": record.number,
        **record.summary(),
        "started": record.started.isoformat(),
        "attempts": list(record.attempts),
        "request_id": record.request_id,
        "allowed_by": record.allowed_by,
        **({"http": record.request.line} if record.request and record.attempts else {}),
        **record.question,
        **({"redirects": list(record.redirects)} if record.redirects else {}),
        **({"arguments": record.arguments} if record.effect != "read" else {}),
    }


def _recalled(number: int, answer: RecordedAnswer) -> _Reply:
    """Return the reply that sends a recorded answer to the script again."""
    if answer.error is None:
        return _Reply(RECORDED, answer.order, number, answer.value or "null")
    error = revived(answer.error)
    assert isinstance(error, CallError)
    return _Reply(RECORDED, answer.order, number, error=error)


def _other_write(ask: list[Any], there: str) -> Diverged:
    """Return the error for a new write ``ask`` before one that is recorded, of which ``there`` says what is known."""
    return Diverged(
        f"The script leaves the recording where it calls {str(ask[1]).removeprefix('integrations.')}: there, {there}",
        hint="a recording has *** for a secret in a script's text: use secrets.NAME instead of such texts",
    )


def _words(ask: list[Any]) -> str:
    """Return a request as text for a message, such as the function and the arguments of a call."""
    kind, subject = ask[0], ask[1]
    if kind == "describe":
        return f"app.{subject}"
    if kind == "doc":
        return f"the documentation ({subject})"
    if kind == "content":
        return "the base64 of a binary result"
    path = str(subject).removeprefix("integrations.")
    return f"{path}({json.dumps(ask[2], ensure_ascii=False)[1:-1][:MAX_ARGUMENTS]})"
