"""The supervisor of one run: reads the messages of the sandbox process, answers them, and decides how the run ends.

Here the sandbox process is called the child. A message between the child and the host is called a frame, and is one
line of JSON. The thread that calls :meth:`Supervisor.run` is the owner of the run: only the owner changes the run's
state and calls the callbacks in the options. The other threads put work for the owner into a mailbox. The owner does
this work in order::

    child ══ frames ══> reader thread ── calls in parallel ──> call threads, at most 64
      ^                  │        │                             │        │
      ╚═════ replies ════╧════════│═════════════════════════════╛        │
                                  │                                      │
                  output, the end, errors            errors, questions, the last call's end
                                  └──────────> mailbox <─────────────────┘
                                                  │
         interrupt(), from any thread ──────> owner's thread ──> on_output, watch, approve

Until the script's first request, the owner reads the frames itself. So a script that makes no call needs no further
thread. The reader thread starts with the first request. It starts at once if the job is large, or if the child's
messages cannot be read with a timeout.

The reader answers a request itself if the whole script waits for the answer, since the child sends nothing else until
then. A script can also make several calls at once, in the branches of ``parallel``. Call threads answer these calls,
because the other branches continue while one of them waits. The owner waits for work in the mailbox only until the
limit of wall-clock time is reached, so a run ends in time even if a call hangs.

A call whose Python code does not return in time is left behind: a new thread answers it with an error, and does the
further work of the thread that is stuck. That one ends as soon as the code returns.

Which thread changes what:

- the owner: how the run ended, the errors of its calls, the isolation layers of the child, the sleeps of the script;
- the reader: how much was printed, and whether it is answering a request;
- all threads, under the lock: the output that was not emitted yet, and the number and total size of the calls that have
  no answer yet;
- a call thread: the call that it answers, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from heapq import heappop, heappush
from queue import SimpleQueue
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from kosmolua import protocol
from kosmolua.concurrency import (
    GRACE,
    Countdown,
    LeftBehind,
    Mailbox,
    MemoryBound,
    countdown,
    start_thread,
)
from kosmolua.errors import (
    CallError,
    ConfigError,
    Interrupted,
    KosmoError,
    LimitExceeded,
    Paused,
    ScriptError,
    WorkerLost,
)
from kosmolua.limits import MIB, spell_size
from kosmolua.processes.child import Child, PolledPipes
from kosmolua.protocol import BadFrame
from kosmolua.runs.job import Ending, Job, ending_of, ending_of_process

if TYPE_CHECKING:
    from kosmolua.broker.broker import Broker
    from kosmolua.broker.options import RunContext
    from kosmolua.clock import Clock
    from kosmolua.memory import Memory, Passage
    from kosmolua.recordings.tape import Tape

GRACE_TIMEOUT = 0.5
"""Seconds that unfinished calls have to finish after the script has ended."""
KILL_TIMEOUT = 5.0
"""Seconds that a killed child has to end. After that the zygote, the process that forks the children, is killed too."""
POLL_INTERVAL = 0.02
MAX_WAIT = 0.1 if sys.platform == "win32" else 3600.0
"""The longest single wait for work in the mailbox, in seconds. Windows delivers Ctrl-C only between waits."""
MAX_CALL_THREADS = 64
MAX_CALLS_OF_RUN = 64 * MIB
"""Bytes of memory that the unanswered calls of one run can use. If they need more, the run ends.

Blocking the child instead would cause a deadlock: the child reads no replies while it writes, so call threads could not
send their replies.
"""
MAX_CALLS = 256 * MIB
"""Bytes of memory that the unanswered calls of all runs can use together.

Even if they are used up, each run can use ``FREE_CALLS`` bytes.
"""
FREE_CALLS = 8 * MIB
MAX_RESULT = 128 * MIB
"""Bytes of memory that a script's result can take as Python values."""
MAX_SENT_HERE = 32 * 1024
"""Bytes that fit into an empty pipe. A larger job is sent by the reader thread, since writing it could block."""
MAX_READ_WAIT = 0.2
"""Seconds that the owner waits for a frame before it looks into the mailbox.

An interrupt need not wait for this: it kills the child, which ends the wait.
"""
MAX_READ_AT_ONCE = 256
"""How many frames the owner reads before it looks into the mailbox. Their output is emitted in one piece."""
MAX_OUTPUT = 256 * 1024
"""Bytes of output that are buffered before the script has to wait."""
MAX_SLEEP = 365 * 86400.0
"""The longest sleep of a script, in seconds. If the script requests a longer one, it sleeps for this long."""
MAX_KEPT_ERRORS = 1000
FRAME_OVERHEAD = 512 * 1024
"""Bytes that a frame can have in addition to its value, for the other fields and for escaped characters."""
MORE_OF_CALL = {"line": int, "secrets": list, "contents": list, "through": list, "hidden": str, "at": int}
"""The optional fields of a request frame, with their types."""
SECRET_FOR_SCRIPT = {"where": "", "problem": "holds a secret, which another script finds in secrets by its name"}
_T = TypeVar("_T")
Request: TypeAlias = "tuple[dict[str, Any], int]"
"""A frame with a request of the script, and the number of bytes that the frame takes in memory."""


class _Limited(NamedTuple):
    """A call with a limit of time, and the further work of the thread that makes it."""

    countdown: Countdown
    continues: Callable[[], None]


class Supervisor:
    """Supervises one run: answers the frames of the child, a new process, and decides how the run ends.

    Create it in the owner's thread, which calls ``output`` with each piece of output. ``broker`` returns the broker at
    each request. ``memory``, for calls that wait, and ``in_flight``, for large answers, are shared by all runs of a
    runtime. ``tape`` records or replays the answers, and ``room`` is the memory for large frames and the result.
    ``start`` calls a function in another thread, the reader.
    """

    def __init__(
        self,
        child: Child,
        context: RunContext,
        broker: Callable[[], Broker],
        output: Callable[[bytes], None],
        *,
        memory: MemoryBound | None = None,
        in_flight: Callable[[], Memory] | None = None,
        tape: Tape | None = None,
        room: Passage | None = None,
        pace: Callable[[Clock], None] | None = None,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._child = child
        self._start = start or partial(start_thread, name="run")
        self._room = room
        self._pace = pace
        if isinstance(child, PolledPipes):
            child.room = self._reserve if room else None
        self._limits = limits = context.limits
        self._clock = context.clock
        self._broker = broker
        self._emit = output
        self._memory = memory or call_memory()
        self._in_flight = in_flight or _own_in_flight
        self._isolated = context.require_isolation
        self._tape = tape
        if tape:
            tape.attach(child.send, self._keep, lambda error: self._mail.put(partial(self._stop, error)), self._recall)
        self._usual = limits.max_arguments + FRAME_OVERHEAD
        self._longest = max(self._usual, limits.max_result + FRAME_OVERHEAD)
        self._mail = Mailbox()
        self._calls: SimpleQueue[tuple[dict[str, Any], int] | None] = SimpleQueue()
        # Shared by the threads, under the lock.
        self._lock = Lock()
        self._output = bytearray()
        self._threads = self._pending = self._pending_bytes = self._asleep_bytes = 0
        self._is_closed = False
        self._limited: dict[int, _Limited] = {}
        # Set by the reader alone.
        self._printed = 0
        self._is_ready = self._is_answering = False
        # Set by the owner alone.
        self._pipes = child if isinstance(child, PolledPipes) else None
        self._ending: Ending | None = None
        self._error: KosmoError | None = None
        self._crash: BaseException | None = None
        self._is_ending = False
        self._grace_ends: float | None = None
        self._isolation: list[str] | None = None
        self._sleepers: list[tuple[float, int, int]] = []
        self._call_errors: dict[int, KosmoError] = {}
        self._looks_at = 0.0

    def run(self, job: Job) -> Ending:
        """Run a script to its end, and return how it ended. If a callback raised an exception, raise it at the end."""
        if len(job.source) > self._limits.max_source:
            self._stop(self._limits.exceeded("source"))
        try:
            frame = job.frame(self._limits, isolated=self._isolated)
            if self._pipes and len(frame) <= MAX_SENT_HERE:
                self._pipes.send(frame)
            else:
                self._pipes = None
                self._start(partial(self._read, job=frame))
            self._do_mail()
        finally:
            self._close()
        if self._crash:
            raise self._crash
        ending = self._ending or Ending()
        usage = ending.usage if self._isolation is None else {**ending.usage, "isolation": self._isolation}
        return Ending(error=self._error, usage=usage) if self._error else ending._replace(usage=usage)

    def _reserve(self, size: int) -> None:
        """Wait for memory for a frame of which ``size`` bytes have been read, unless the run is over."""
        assert self._room
        if not self._is_ending and not self._room.is_closed:
            self._room.need(2 * size)

    def interrupt(self) -> None:
        """End the run with the error Interrupted. Any thread may call this."""
        self._halt()
        self._mail.put(partial(self._stop, Interrupted("The script was interrupted")))

    def ask(self, work: Callable[[], _T]) -> _T:
        """Call a function in the thread that called :meth:`run`, wait for it, and return its result or raise its error.

        Raises:
            Interrupted: The run is over.
        """
        return self._mail.ask(work)

    # In the owner's thread

    def _do_mail(self) -> None:
        """Do the work in the mailbox until script and calls have ended; the latter have ``GRACE_TIMEOUT`` seconds."""
        while True:
            try:
                while not (self._ending and not self._pending) and not (self._grace_ends and self._is_late()):
                    seconds = self._next_wait()
                    if self._pipes and self._mail.is_empty():
                        self._read_here(self._pipes, min(max(seconds, 0.0), MAX_READ_WAIT))
                    else:
                        self._mail.do_next(seconds)
                    if self._sleepers:
                        self._wake()
                if self._output:
                    self._flush()
                return
            except BaseException as error:  # noqa: BLE001 - raised when the run is over
                self._fail(error)

    def _read_here(self, pipes: PolledPipes, seconds: float) -> None:
        """Read the child's frames in the owner's thread, until the first request starts the reader thread."""
        taken: Request | Callable[[], Ending] | None = None
        try:
            for _ in range(MAX_READ_AT_ONCE):
                try:
                    line = pipes.read(self._longest, seconds)
                except TimeoutError:
                    return
                taken = self._take(line)
                if taken:
                    break
                seconds = 0.0
        except (BadFrame, LimitExceeded) as error:
            taken = self._refuse(error)
        except Exception as error:  # noqa: BLE001 - raised when the run is over; nothing more is read
            self._fail(error)
            taken = Ending
        if taken is None:
            return
        self._pipes = None
        if isinstance(taken, tuple):
            try:
                self._start(partial(self._read, request=taken))
                return
            except WorkerLost as error:
                self._stop(error)
                taken = Ending
        self._mail.put(partial(self._end, taken))

    def _sleep(self, number: int, seconds: float, size: int, **more: Any) -> None:
        """Begin a sleep of the script: record when it ends, which is when its request has to be answered."""
        try:
            left = self._tape.left_of_sleep(number, seconds) if self._tape else seconds
            real = self._broker().sleep(min(max(left, 0.0), MAX_SLEEP), **more)
        except KosmoError as error:
            self._stop(error)
            return
        heappush(self._sleepers, (monotonic() + real, number, size))
        if self._tape:
            self._tape.sleeps(number, real)

    def _wake(self) -> None:
        """Pass the requests of sleeps that are over to call threads, since sending an answer may block."""
        while self._sleepers and self._sleepers[0][0] <= monotonic():
            _, number, size = heappop(self._sleepers)
            with self._lock:
                self._pending_bytes -= size
                self._asleep_bytes -= size
            self._memory.give_back(size)
            self._answer_in_call_thread({"kind": "sleep", "id": number}, size)

    def _next_wait(self) -> float:
        """Return how many seconds the owner can wait for new work in the mailbox.

        At the limit of wall-clock time, first do the work that is already there, since the script may have ended in
        time.
        """
        left = self._clock.left
        if not self._is_ending and not left:
            while not self._mail.is_empty():
                self._mail.do_next()
            if not self._is_ending:
                self._stop(self._limits.exceeded("wall"))
            return 0.0  # the run may have ended by a message in the mailbox
        if not self._is_ending:
            next_due = self._sleepers[0][0] - monotonic() if self._sleepers else MAX_WAIT
            return min(left, next_due, self._next_look(), MAX_WAIT)
        self._grace_ends = self._grace_ends or monotonic() + GRACE_TIMEOUT
        return max(self._grace_ends - monotonic(), POLL_INTERVAL)

    def _next_look(self) -> float:
        """Replace the threads whose calls are overdue; return the seconds until the next can be."""
        now = monotonic()
        if now >= self._looks_at:
            self._looks_at = now + self._limits.call_timeout + GRACE
            for number, call in self._limited.copy().items():
                ends = call.countdown.ends
                if ends is None:
                    continue
                if ends + GRACE > now:
                    self._looks_at = min(self._looks_at, ends + GRACE)
                elif call.countdown.give_up():
                    start_thread(partial(self._replace, number, call), "call")
        return self._looks_at - now

    def _is_late(self) -> bool:
        """Return True if the run has to end now; if the killed child still runs for long, kill the zygote too."""
        if not self._grace_ends or monotonic() < self._grace_ends:
            return False
        if self._ending is None and monotonic() > self._grace_ends + KILL_TIMEOUT:
            self._child.insist()
        return self._ending is not None or self._is_answering

    def _close(self) -> None:
        with self._lock:
            self._is_closed = True
            is_busy = self._pending or self._asleep_bytes
        ending = self._ending
        is_broken = self._error or self._crash or self._tape or ending is None or ending.exit is not None
        is_expected = ending is None or ending.error is None or isinstance(ending.error, (CallError, ScriptError))
        if isinstance(self._child, PolledPipes) and is_expected and not is_broken and not is_busy:
            self._child.is_clean = True  # it can run another script
        else:
            self._child.kill()
        self._clock.run_out()
        self._memory.give_back(self._asleep_bytes)
        self._mail.close()
        for _ in range(self._threads):
            self._calls.put(None)

    def _halt(self) -> None:
        self._child.kill()
        self._clock.run_out()

    def _stop(self, error: KosmoError) -> None:
        """End the run with an error, which becomes the error of the run's outcome. Only the first error counts."""
        self._error = self._error or (None if self._ending else error)
        self._is_ending = True
        self._halt()

    def _fail(self, error: BaseException) -> None:
        """End the run with an exception, which :meth:`run` raises, or Interrupted for a KeyboardInterrupt."""
        if isinstance(error, KeyboardInterrupt):
            self._stop(Interrupted("The script was interrupted"))
        else:
            self._crash = self._crash or error
            self._is_ending = True
            self._halt()

    def _end(self, read: Callable[[], Ending]) -> None:
        """Record how the script ended. This comes last into the mailbox, after the errors of all calls."""
        try:
            self._ending = read()
        except BaseException as error:  # noqa: BLE001 - raised when the run is over
            self._fail(error)
            self._ending = Ending()
        self._is_ending = True
        self._clock.run_out()

    def _flush(self) -> None:
        with self._lock:
            piece, self._output = bytes(self._output), bytearray()
        if piece:
            self._emit(piece)

    def _ready(self, frame: dict[str, Any]) -> None:
        """Record the isolation layers in force, and end the run if it requires missing ones."""
        self._isolation, missing = (
            [name[:32] for name in frame[field][:16] if isinstance(name, str)] for field in ("isolation", "missing")
        )
        if self._isolated and missing:
            self._stop(
                ConfigError(
                    f"This system cannot isolate the sandbox as required: it lacks {', '.join(missing)}",
                    hint="run without --require-isolation, or on a system that has these layers",
                )
            )

    def _keep_error(self, number: int, error: KosmoError) -> None:
        """Keep the error of a request by its number, which the child reports if it ends the script."""
        self._call_errors[number] = error
        if len(self._call_errors) > MAX_KEPT_ERRORS:
            del self._call_errors[next(iter(self._call_errors))]

    # In the reader's thread

    def _read(self, job: bytes = b"", request: Request | None = None) -> None:
        """Read and handle the child's frames until the script has ended. This is the work of the reader thread."""
        taken: Request | Callable[[], Ending] | None = request
        try:
            if job:
                self._child.send(job)
            while taken is None or isinstance(taken, tuple):
                if taken:
                    self._serve(*taken)
                taken = self._take(self._child.read(self._longest))
        except (BadFrame, LimitExceeded, TimeoutError) as error:
            taken = self._refuse(error)
        except LeftBehind:
            return  # another thread reads the frames now
        except BaseException as error:  # noqa: BLE001 - raised in the owner's thread
            self._mail.put(partial(self._fail, error))
            taken = Ending
        self._mail.put(partial(self._end, taken))
        self._clock.run_out()

    def _take(self, line: bytes | None) -> Request | Callable[[], Ending] | None:
        """Handle a frame of the child, unless it is a request."""
        if self._pace:
            self._pace(self._clock)
        if line is None:
            return partial(ending_of_process, self._child.status(), self._limits)
        if self._room and self._room.taken:
            try:
                self._hold(line)
            except (LimitExceeded, TimeoutError) as error:
                return self._refuse(error)
        if line.startswith(protocol.END) and protocol.memory_of(line) > MAX_RESULT:
            self._mail.put(self._child.kill)
            return partial(Ending, error=self._limits.exceeded("result"))
        if len(line) > self._usual and not line.startswith(protocol.END):
            raise BadFrame(f"a frame is longer than {self._usual} bytes")
        frame = protocol.decode_from_child(line)
        kind = frame["kind"]
        if kind in ("end", "limit"):
            return partial(ending_of, frame, self._limits, self._call_errors.get)
        if kind == "print":
            self._print(protocol.to_bytes(frame["text"]))
        elif kind == "ready":  # later reports may be forged
            if not self._is_ready:
                self._mail.put(partial(self._ready, frame))
            self._is_ready = True
        else:
            return frame, protocol.memory_of(line)
        return None

    def _hold(self, line: bytes) -> None:
        """Reserve memory for the script's result until its outcome has been answered, and none for other frames."""
        from kosmolua.memory import needed_by

        assert self._room
        if line.startswith(protocol.END):
            self._room.need(needed_by(line))
        else:
            self._room.keep(0)

    def _refuse(self, error: BadFrame | LimitExceeded | TimeoutError) -> Callable[[], Ending]:
        """End the run because of a frame: it is invalid, or too large, or there was no memory for it in time."""
        self._mail.put(self._child.kill)
        if isinstance(error, TimeoutError):
            return partial(Ending, error=self._limits.exceeded("wall"))
        return partial(Ending, error=error if isinstance(error, LimitExceeded) else WorkerLost.broken_protocol(error))

    def _serve(self, frame: dict[str, Any], size: int) -> None:
        """Answer a request of the script, or pass the request to the thread that answers it."""
        kind = frame["kind"]
        if kind == "wait":
            if self._tape:
                self._tape.wait()
        elif kind == "peek":
            self._broker().peek(frame["call"], frame["key"], frame["line"])
        elif self._tape and self._tape.ask(frame):
            return  # the broker need not answer it
        elif kind == "sleep":
            self._put_to_sleep(frame, size)
        elif kind == "call" and frame.get("branch") is True:
            self._answer_in_call_thread(frame, size)
        elif not self._memory.take(size, self._pending_bytes):
            self._mail.put(partial(self._stop, _too_many_pending()))
        else:  # until this is answered there is nothing else to read, since the whole script waits
            self._is_answering = True
            try:
                self._answer(frame, self._read)
                self._is_answering = False
            finally:
                self._memory.give_back(size)

    def _takes_room(self, size: int) -> bool:
        """Take room for a request that waits, or end the run if there is none. Called with the lock."""
        if self._is_closed:
            return False
        if self._memory.take(size, self._pending_bytes):
            self._pending_bytes += size
            return True
        self._mail.put(partial(self._stop, _too_many_pending()))
        return False

    def _put_to_sleep(self, frame: dict[str, Any], size: int) -> None:
        with self._lock:
            if not self._takes_room(size):
                return
            self._asleep_bytes += size
        line = frame.get("line")
        more: dict[str, Any] = {"line": line if isinstance(line, int) else 0}
        more |= {"in_branch": frame.get("branch") is True, "is_for": frame.get("for") is True}
        self._mail.put(partial(self._sleep, frame["id"], frame["seconds"], size, **more))

    def _answer_in_call_thread(self, frame: dict[str, Any], size: int) -> None:
        """Pass a request to a call thread, which answers it. It is a call in ``parallel``, or a sleep that is over."""
        with self._lock:
            if not self._takes_room(size):
                return
            self._pending += 1
            is_short = self._threads < min(self._pending, MAX_CALL_THREADS)
            self._threads += is_short
        self._calls.put((frame, size))
        if not is_short:
            return
        try:
            start_thread(self._answer_calls, "call")
        except WorkerLost as error:
            with self._lock:
                self._threads -= 1
            if not self._threads:
                self._mail.put(partial(self._stop, error))

    def _print(self, text: bytes) -> None:
        room = max(self._limits.max_output - self._printed, 0)
        self._printed += len(text)
        with self._lock:
            is_expected, is_full = bool(self._output), len(self._output) > MAX_OUTPUT
            self._output += text[:room]
        if self._printed > self._limits.max_output:
            self._mail.put(partial(self._stop, self._limits.exceeded("output")))
        if is_full:
            self.ask(self._flush)
        elif not is_expected:
            self._mail.put(self._flush)

    # In a call thread, or the reader's

    def _answer_calls(self) -> None:
        while call := self._calls.get():
            frame, size = call
            is_left_behind = False
            try:
                self._answer(frame, self._answer_calls)
            except LeftBehind:
                is_left_behind = True
            except BaseException as error:  # noqa: BLE001 - raised in the owner's thread
                self._mail.put(partial(self._fail, error))
            finally:
                del frame, call  # a thread that waits for its next call holds nothing of the last one
                with self._lock:
                    self._pending_bytes -= size
                self._memory.give_back(size)
            if is_left_behind:
                return  # another thread has taken the place of this one
            if self._pace:
                self._pace(self._clock)
            self._note_answered()

    def _note_answered(self) -> None:
        with self._lock:
            self._pending -= 1
        if self._ending:
            self._mail.put(self._flush)  # wakes the owner, which waits for the calls to end

    def _replace(self, number: int, call: _Limited) -> None:
        """Answer a call that was given up with its error, and then do the further work of the thread that makes it."""
        if self._tape:
            self._tape.begin(number)
        try:
            error = call.countdown.expire()
            assert isinstance(error, CallError)
            self._raise_in_script(number, error)
        except BaseException as failure:  # noqa: BLE001 - raised in the owner's thread
            self._mail.put(partial(self._fail, failure))
        if call.continues == self._read:
            self._is_answering = False
        else:
            self._note_answered()
        call.continues()

    def _answer(self, frame: dict[str, Any], continues: Callable[[], None]) -> None:
        """Answer one request, unless the run is over; a large answer takes part of the memory until it is sent."""
        if self._is_ending or self._is_closed:
            return
        limit = Countdown(self._limits.call_timeout)
        countdown.set(limit)
        number = frame["id"]
        if frame["kind"] == "call":
            self._limited[number] = _Limited(limit, continues)
        from kosmolua.memory import Passage, passage  # not at the start of a script that makes no request

        memory = Passage(self._in_flight, self, self._clock, self._room.tenant if self._room else "")
        passage.set(memory)
        kind, fault = frame["kind"], None
        given = frame["args"] if isinstance(frame.get("args"), list) else []
        if isinstance(frame.get("fault"), dict):
            fault, given = _fault(frame["fault"]), []
        if self._tape:
            self._tape.begin(number)
        try:
            if kind == "sleep":
                answer = "null"
            elif kind == "time":
                answer = protocol.encode(self._broker().time(frame["clock"], frame["own"]))
            elif kind == "call":
                answer = self._broker().call(frame["path"], given, fault, **_more_of(frame))
            elif kind == "script":
                fault = fault or (SECRET_FOR_SCRIPT if frame.get("secrets") else None)
                answer = self._broker().script(frame["path"], given, fault, **_more_of(frame))
            elif kind == "describe":
                answer = self._broker().describe(frame["path"])
            elif kind == "content":
                answer = self._broker().content(frame["name"])
            else:
                answer = self._broker().doc(frame["verb"], given, fault)
            if self._tape:
                self._tape.answer(number, answer)
            else:
                line = protocol.reply(number, answer)
                del answer  # sending may take long
                if memory.taken:
                    memory.keep(len(line))
                self._child.send(line)
        except CallError as error:
            self._raise_in_script(number, error)
        except KosmoError as error:
            if self._tape and isinstance(error, Paused):
                self._tape.pause(number, error)
            else:
                self._mail.put(partial(self._stop, error))
        finally:
            self._limited.pop(number, None)
            if memory.taken:
                memory.keep(0)

    def _raise_in_script(self, number: int, error: CallError) -> None:
        _drop_frames(error)
        if self._tape:
            self._tape.answer(number, error=error)
        else:
            self._keep(number, error)
            self._child.send(protocol.refusal(number, protocol.encode(error.fields())))

    def _recall(self, frame: Mapping[str, Any], value: str) -> None:
        given = frame["args"] if isinstance(frame.get("args"), list) else []
        if frame["kind"] == "script":
            self._broker().recall_script(frame["path"], value)
        else:
            self._broker().recall(frame["path"], given, value, **_more_of(frame))

    def _keep(self, number: int, error: KosmoError) -> None:
        self._mail.put(partial(self._keep_error, number, error))


def call_memory(total: int = MAX_CALLS, free: int = FREE_CALLS) -> MemoryBound:
    """Return a new bound for calls that wait: bytes for all runs together, and those that each can always use."""
    return MemoryBound(total, min(total, MAX_CALLS_OF_RUN), free)


def _own_in_flight() -> Memory:
    from kosmolua.memory import Memory

    return Memory()


def _drop_frames(error: BaseException) -> None:
    """Remove the tracebacks from an error and its causes, since tracebacks keep the call's arguments in memory."""
    errors: list[BaseException | None] = [error]
    while errors:
        if each := errors.pop():
            each.__traceback__ = None
            errors += [each.__cause__, each.__context__]


def _too_many_pending() -> LimitExceeded:
    return LimitExceeded(
        f"The script was stopped: the arguments of its waiting calls exceed {spell_size(MAX_CALLS_OF_RUN)}",
        limit="arguments",
        value=MAX_CALLS_OF_RUN,
        hint="give parallel a smaller limit, or pass less to each call",
    )


def _more_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the valid optional fields of a request: line, calling scripts, and secret or binary arguments."""
    given = MORE_OF_CALL.keys() & call.keys()
    more = {name: call[name] for name in given if isinstance(call[name], MORE_OF_CALL[name])}
    if "through" in more:
        more["through"] = tuple(str(name)[: protocol.MAX_PATH] for name in more["through"])
    return more


def _fault(fault: dict[str, Any]) -> dict[str, str]:
    """Return why the arguments could not be encoded: ``where`` and ``problem``, of limited length."""
    return {key: str(fault.get(key, ""))[: protocol.MAX_PATH] for key in ("where", "problem")}
