"""The supervisor of one run: it reads the child's frames, has them answered, and decides how the run ends.

One thread owns the run: the one that calls :meth:`Supervisor.run`. It alone changes the run's state and calls the
embedder back. Other threads reach it through one mailbox of work that it does in order::

    child ══ frames ══> reader thread ── calls of branches ──> call threads, at most 64
      ^                  │        │                             │        │
      ╚═════ replies ════╧════════│═════════════════════════════╛        │
                                  │                                      │
                  output, the end, errors            errors, questions, the last call's end
                                  └──────────> mailbox <─────────────────┘
                                                  │
         interrupt(), from any thread ──────> owner's thread ──> on_output, watch, approve

Until the script asks for something, the owner reads itself, if it can wait for the child and the clock at once: a
script that makes no call needs no further thread. The reader thread begins with the first request.

The reader answers a request itself if the script waits for it, since there is nothing else to read until then. The
branches of ``parallel`` go on meanwhile, so their calls are answered by call threads. The owner waits for mail at most
until the wall limit: a run ends in time, whatever a call is stuck in.

Who owns what:

- the owner: how the run ended, the errors of its calls, the layers around the child, the requests to wait;
- the reader: how much was printed, and whether it is answering a request;
- all of them, under the lock: the output that was not emitted yet, the questions to the owner, and the count and the
  size of calls without an answer;
- a call thread: the call that it answers, and nothing beyond it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from queue import Empty, SimpleQueue
from threading import Event, Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from kosmolua import protocol
from kosmolua.clock import Clock
from kosmolua.concurrency import Budget, start_thread
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
from kosmolua.limits import MIB, Limits, spell_size
from kosmolua.processes.child import Child, PolledPipes
from kosmolua.protocol import BadFrame
from kosmolua.runs.job import Ending, Job, broken_protocol, ending_of, ending_of_process

if TYPE_CHECKING:
    from kosmolua.runs.tape import Tape

GRACE_TIMEOUT = 0.5
"""Seconds that calls under way get to finish once the script has ended."""
KILL_TIMEOUT = 5.0
"""Seconds in which a killed child must be gone before the processes that keep it alive are killed too."""
POLL_INTERVAL = 0.02
MAX_WAIT = 0.1 if sys.platform == "win32" else 3600.0
"""Seconds to wait for mail at a stretch. Windows delivers Ctrl-C only between waits."""
MAX_CALL_THREADS = 64
MAX_CALLS_OF_RUN = 64 * MIB
"""Bytes that the arguments of one run's unanswered calls may hold. Its child cannot be made to wait with them: while it
writes it does not read, and the call threads could not get rid of their replies."""
MAX_CALLS = 256 * MIB
"""Bytes for the calls of all runs together, beyond what each of them may hold in any case."""
FREE_CALLS = 8 * MIB
MAX_RESULT = 128 * MIB
"""Bytes that what a script returns may take as Python's values."""
MAX_SENT_HERE = 32 * 1024
"""Bytes of a job that a pipe takes in any case; the reader thread sends a larger one, since the child may not read."""
MAX_READ_WAIT = 0.2
"""Seconds that the owner reads at a stretch without a look at its mail. What interrupts a run ends its child first."""
MAX_READ_AT_ONCE = 256
"""Frames that the owner reads before it looks at its mail, so that output is passed on in pieces of some size."""
MAX_OUTPUT = MIB
"""Bytes of output to buffer before the script has to wait."""
MAX_SLEEP = 365 * 86400.0
"""Seconds that one request to wait can take; one for more takes this long."""
MAX_KEPT_ERRORS = 1000
FRAME_OVERHEAD = 512 * 1024
"""Bytes of a frame beyond the value it carries: its other fields, or a piece of output with every byte escaped."""
MORE_OF_CALL = {"line": int, "secrets": list, "contents": list, "through": list}
"""What a request may say besides its path and its arguments."""
SECRET_FOR_SCRIPT = {"where": "", "problem": "holds a secret, which another script finds in secrets by its name"}
_T = TypeVar("_T")
Request: TypeAlias = "tuple[dict[str, Any], int]"
"""A frame that asks for something, and the bytes of memory that it takes."""


class Broker(Protocol):
    """Answers a script with JSON text. A CallError goes to the script; any other KosmoError ends the run."""

    def describe(self, path: str) -> str:
        """Describe what is at a path under ``app``."""

    def call(
        self,
        path: str,
        given: Sequence[Any],
        fault: dict[str, str] | None,
        line: int = 0,
        through: tuple[str, ...] = (),
        secrets: Sequence[Any] = (),
        contents: Sequence[Any] = (),
    ) -> str:
        """Make a call.

        Args:
            path: The function, such as ``integrations.render2.list_services``.
            given: What the script passed.
            fault: What kept the script from passing its arguments, ``where`` and ``problem``; or None.
            line: The line of the script, if known.
            through: The scripts through which it is made, the outermost first.
            secrets: Where a secret stands in them, and its name, of each.
            contents: Where bytes stand in them, and the name of their handle, of each.
        """

    def content(self, name: str) -> str:
        """Return the base64 of bytes by the name of their handle."""

    def peek(self, number: int, key: str, line: int) -> None:
        """Note that the script looks at what a planned call returns."""

    def script(self, path: str, given: Sequence[Any], fault: dict[str, str] | None, through: tuple[str, ...]) -> str:
        """Answer with what the child needs to run another script."""

    def doc(self, verb: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """Answer a documentation request: ``list``, ``search`` or ``read``."""

    def sleep(self, seconds: float) -> float:
        """Let time pass, and return for how many seconds the script really has to wait."""

    def time(self, clock: str, own: float) -> float:
        """Return what a clock of the host's says, ``wall`` or ``cpu``; ``own`` is what the child's own says."""


class Supervisor:
    """Supervises one run. Create it in the thread that calls :meth:`run`.

    Args:
        child: A fresh child process.
        limits: The limits of the run.
        clock: Counts down to the wall limit.
        broker: Returns what answers the script; called on its first request.
        output: Called with each piece of output, in the owner's thread.
        memory: Counts what unanswered calls hold, together with other runs.
        isolated: Refuse to run if a layer around the sandbox is missing.
        tape: Keeps or repeats what the script learns, if the run is recorded.
    """

    def __init__(
        self,
        child: Child,
        limits: Limits,
        clock: Clock,
        broker: Callable[[], Broker],
        output: Callable[[bytes], None],
        *,
        memory: Budget | None = None,
        isolated: bool = False,
        tape: Tape | None = None,
    ) -> None:
        self._child = child
        self._limits = limits
        self._clock = clock
        self._broker = broker
        self._emit = output
        self._memory = memory or call_memory()
        self._isolated = isolated
        self._tape = tape
        if tape:
            tape.attach(child.send, self._keep, lambda error: self._mail.put(partial(self._stop, error)))
        self._usual = limits.max_arguments + FRAME_OVERHEAD
        self._longest = max(self._usual, limits.max_result + FRAME_OVERHEAD)
        self._owner = get_ident()
        self._mail: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._calls: SimpleQueue[tuple[dict[str, Any], int] | None] = SimpleQueue()
        # Shared by the threads, under the lock.
        self._lock = Lock()
        self._output = bytearray()
        self._questions: set[_Question[Any]] = set()
        self._threads = self._pending = self._pending_bytes = self._asleep_bytes = 0
        self._is_closed = False
        # Set by the reader alone.
        self._printed = 0
        self._is_ready = self._is_answering = False
        # Set by the owner alone.
        self._pipes = child if isinstance(child, PolledPipes) else None
        self._ending: Ending | None = None
        self._error: KosmoError | None = None
        self._crash: BaseException | None = None
        self._grace_ends: float | None = None
        self._isolation: list[str] | None = None
        self._sleepers: list[tuple[float, int, int]] = []
        self._call_errors: dict[int, KosmoError] = {}

    def run(self, job: Job) -> Ending:
        """Run a script to its end."""
        if len(job.source) > self._limits.max_source:
            self._stop(self._limits.exceeded("source"))
        try:
            frame = job.frame(self._limits, isolated=self._isolated)
            if self._pipes and len(frame) <= MAX_SENT_HERE:
                self._pipes.send(frame)
            else:
                self._pipes = None
                start_thread(partial(self._read, job=frame), "run")
            self._do_mail()
        finally:
            self._close()
        if self._crash:
            raise self._crash
        ending = Ending(error=self._error, usage=self._ending.usage if self._ending else None)
        if self._ending and not self._error:
            ending = self._ending
        if self._isolation is not None:
            ending.usage["isolation"] = self._isolation
        return ending

    def interrupt(self) -> None:
        """Interrupt the run, from any thread."""
        self._halt()
        self._mail.put(partial(self._stop, Interrupted("The script was interrupted")))

    def ask(self, work: Callable[[], _T]) -> _T:
        """Call a function in the owner's thread, and return or raise what it does.

        Raises:
            Interrupted: The run is over.
        """
        if get_ident() == self._owner:
            return work()
        question = _Question(work)
        with self._lock:
            if self._is_closed:
                raise Interrupted("The run is over")
            self._questions.add(question)
        self._mail.put(question)
        try:
            return question.wait()
        finally:
            with self._lock:
                self._questions.discard(question)

    # In the owner's thread

    def _do_mail(self) -> None:
        """Work through the mailbox until the script and its calls have ended, or the grace of the calls is over."""
        while True:
            try:
                while not (self._ending and not self._pending) and not self._is_late():
                    self._do_next(self._next_wait())
                    self._wake()
                return self._flush()
            except BaseException as error:  # noqa: BLE001 - raised when the run is over
                self._fail(error)

    def _do_next(self, seconds: float) -> None:
        if self._pipes and self._mail.empty():
            self._read_here(self._pipes, min(max(seconds, 0.0), MAX_READ_WAIT))
            seconds = 0.0
        with suppress(Empty):
            work = self._mail.get(timeout=seconds) if seconds > 0 and not self._pipes else self._mail.get_nowait()
            work()

    def _read_here(self, pipes: PolledPipes, seconds: float) -> None:
        """Read what comes in so many seconds, and give the reader thread all from the first request on."""
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
        except BadFrame as error:
            taken = self._refuse(error)
        except Exception as error:  # noqa: BLE001 - raised when the run is over; nothing more is read
            self._fail(error)
            taken = Ending
        if isinstance(taken, tuple):
            taken = self._start_reader(taken)
        if taken:
            self._pipes = None
            self._mail.put(partial(self._end, taken))

    def _start_reader(self, request: Request) -> Callable[[], Ending] | None:
        """Have the reader thread go on from a request; return what makes the ending if there can be no thread."""
        self._pipes = None
        try:
            start_thread(partial(self._read, request=request), "run")
        except WorkerLost as error:
            self._stop(error)
            return Ending
        return None

    def _sleep(self, number: int, seconds: float, size: int) -> None:
        """Note when a request to wait has to be answered."""
        try:
            real = self._broker().sleep(min(max(seconds, 0.0), MAX_SLEEP))
            heappush(self._sleepers, (monotonic() + real, number, size))
        except KosmoError as error:
            self._stop(error)

    def _wake(self) -> None:
        """Have the requests to wait whose time is over answered: a child that does not read would hold the owner up."""
        while self._sleepers and self._sleepers[0][0] <= monotonic():
            _, number, size = heappop(self._sleepers)
            with self._lock:
                self._pending_bytes -= size
                self._asleep_bytes -= size
            self._memory.give_back(size)
            self._hand_on({"kind": "sleep", "id": number}, size)

    @property
    def _has_ended_well(self) -> bool:
        """Whether the script ended by itself, in a way after which its process can go on."""
        if self._error or self._crash or self._tape or not self._ending or self._ending.exit is not None:
            return False
        return self._ending.error is None or isinstance(self._ending.error, (CallError, ScriptError))

    @property
    def _is_ending(self) -> bool:
        return bool(self._ending or self._error or self._crash)

    def _next_wait(self) -> float:
        """Return the seconds to wait for mail. Stop the run if it is past its wall limit and no end is in the mail."""
        if not self._is_ending and not self._clock.left:
            for _ in range(self._mail.qsize()):
                self._do_next(0)
            if not self._is_ending:
                self._stop(self._limits.exceeded("wall"))
            return 0.0  # the end that was in the mail may leave nothing to wait for
        if not self._is_ending:
            next_due = self._sleepers[0][0] - monotonic() if self._sleepers else MAX_WAIT
            return min(self._clock.left, next_due, MAX_WAIT)
        self._grace_ends = self._grace_ends or monotonic() + GRACE_TIMEOUT
        return max(self._grace_ends - monotonic(), POLL_INTERVAL)

    def _is_late(self) -> bool:
        """Return True if calls under way had their grace. A child that survives it by far ends with its zygote."""
        if not self._grace_ends or monotonic() < self._grace_ends:
            return False
        if self._ending is None and monotonic() > self._grace_ends + KILL_TIMEOUT:
            self._child.insist()
        return self._ending is not None or self._is_answering

    def _close(self) -> None:
        with self._lock:
            self._is_closed, questions = True, list(self._questions)
            is_busy = self._pending or self._asleep_bytes
        if isinstance(self._child, PolledPipes) and self._has_ended_well and not is_busy:
            self._child.is_clean = True
        else:
            self._child.kill()
        self._clock.run_out()
        self._memory.give_back(self._asleep_bytes)
        for question in questions:
            question.fail(Interrupted("The run is over"))
        for _ in range(self._threads):
            self._calls.put(None)

    def _halt(self) -> None:
        self._child.kill()
        self._clock.run_out()

    def _stop(self, error: KosmoError) -> None:
        """End the run with an error of its outcome; the first reason counts."""
        self._error = self._error or (None if self._ending else error)
        self._halt()

    def _fail(self, error: BaseException) -> None:
        """End the run with what was raised in the host; Ctrl-C is an outcome."""
        if isinstance(error, KeyboardInterrupt):
            self._stop(Interrupted("The script was interrupted"))
        else:
            self._crash = self._crash or error
            self._halt()

    def _end(self, read: Callable[[], Ending]) -> None:
        """Note how the script ended; the mail before this has the errors of its calls."""
        try:
            self._ending = read()
        except BaseException as error:  # noqa: BLE001 - raised when the run is over
            self._fail(error)
            self._ending = Ending()
        self._clock.run_out()

    def _flush(self) -> None:
        with self._lock:
            piece, self._output = bytes(self._output), bytearray()
        if piece:
            self._emit(piece)

    def _ready(self, frame: dict[str, Any]) -> None:
        """Note the layers that a child reports before it runs a script."""
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
        """Keep the error of a request in case it ends the script: the child only says which request it was."""
        self._call_errors[number] = error
        if len(self._call_errors) > MAX_KEPT_ERRORS:
            del self._call_errors[next(iter(self._call_errors))]

    # In the reader's thread

    def _read(self, job: bytes = b"", request: Request | None = None) -> None:
        """Send the job and take in all frames, or all from a request on, until one makes the ending."""
        taken: Request | Callable[[], Ending] | None = request
        try:
            if job:
                self._child.send(job)
            while taken is None or isinstance(taken, tuple):
                if taken:
                    self._serve(*taken)
                taken = self._take(self._child.read(self._longest))
        except BadFrame as error:
            taken = self._refuse(error)
        except BaseException as error:  # noqa: BLE001 - raised in the owner's thread
            self._mail.put(partial(self._fail, error))
            taken = Ending
        self._mail.put(partial(self._end, taken))
        self._clock.run_out()

    def _take(self, line: bytes | None) -> Request | Callable[[], Ending] | None:
        """Take in a frame, and return the request that it is, or what makes an ending of it; None for any other.

        Raises:
            BadFrame: It is not valid.
        """
        if line is None:
            return partial(ending_of_process, self._child.status(), self._limits)
        size = protocol.memory_of(line)
        if line.startswith(protocol.END) and size > MAX_RESULT:
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
            return frame, size
        return None

    def _refuse(self, error: BadFrame) -> Callable[[], Ending]:
        self._mail.put(self._child.kill)
        return partial(Ending, error=broken_protocol(error))

    def _serve(self, frame: dict[str, Any], size: int) -> None:
        """Have a request answered."""
        kind = frame["kind"]
        if kind == "wait":
            if self._tape:
                self._tape.wait()
        elif kind == "peek":
            self._broker().peek(frame["call"], frame["key"], frame["line"])
        elif self._tape and self._tape.ask(frame):
            return  # it needs no answer of the broker
        elif kind == "sleep":
            self._put_to_sleep(frame, size)
        elif kind == "call" and frame.get("branch") is True:
            self._hand_on(frame, size)
        else:
            self._answer_here(frame, size)

    def _answer_here(self, frame: dict[str, Any], size: int) -> None:
        """Answer in the reader's own thread: the script waits, so there is nothing else to read."""
        if not self._memory.take(size, self._pending_bytes):
            self._mail.put(partial(self._stop, _too_many_pending()))
            return
        self._is_answering = True
        try:
            self._answer(frame)
        finally:
            self._is_answering = False
            self._memory.give_back(size)

    def _put_to_sleep(self, frame: dict[str, Any], size: int) -> None:
        with self._lock:
            if self._is_closed:
                return
            if not self._memory.take(size, self._pending_bytes):
                self._mail.put(partial(self._stop, _too_many_pending()))
                return
            self._pending_bytes += size
            self._asleep_bytes += size
        self._mail.put(partial(self._sleep, frame["id"], frame["seconds"], size))

    def _hand_on(self, frame: dict[str, Any], size: int) -> None:
        """Hand a request to a call thread: the call of a branch, or one to wait whose time is over."""
        with self._lock:
            if self._is_closed:
                return
            if not self._memory.take(size, self._pending_bytes):
                self._mail.put(partial(self._stop, _too_many_pending()))
                return
            self._pending += 1
            self._pending_bytes += size
            is_short = self._threads < min(self._pending, MAX_CALL_THREADS)
            self._threads += is_short
        self._calls.put((frame, size))
        if is_short:
            self._start_call_thread()

    def _start_call_thread(self) -> None:
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
            try:
                self._answer(frame)
            except BaseException as error:  # noqa: BLE001 - raised in the owner's thread
                self._mail.put(partial(self._fail, error))
            finally:
                del frame, call  # a thread that waits for its next call holds nothing of the last one
                with self._lock:
                    self._pending -= 1
                    self._pending_bytes -= size
                self._memory.give_back(size)
                if self._ending:
                    self._mail.put(self._flush)  # wakes the owner, which waits for calls to end

    def _answer(self, frame: dict[str, Any]) -> None:
        """Answer one request, unless the run is over."""
        if self._is_ending or self._is_closed:
            return
        number, kind, fault = frame["id"], frame["kind"], None
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
                answer = self._broker().script(frame["path"], given, fault, _more_of(frame).get("through", ()))
            elif kind == "describe":
                answer = self._broker().describe(frame["path"])
            elif kind == "content":
                answer = self._broker().content(frame["name"])
            else:
                answer = self._broker().doc(frame["verb"], given, fault)
            if self._tape:
                self._tape.answer(number, answer)
            else:
                self._child.send(protocol.reply(number, answer))
        except CallError as error:
            _drop_frames(error)
            if self._tape:
                self._tape.refuse(number, error)
            else:
                self._keep(number, error)
                self._child.send(protocol.refusal(number, protocol.encode(error.fields())))
        except KosmoError as error:
            if self._tape and isinstance(error, Paused):
                self._tape.pause(number, error)
            else:
                self._mail.put(partial(self._stop, error))

    def _keep(self, number: int, error: KosmoError) -> None:
        self._mail.put(partial(self._keep_error, number, error))


class _Question(Generic[_T]):
    """Work that another thread waits for. (``concurrent.futures`` would do, and takes 15 ms to import.)"""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._work = work
        self._done = Event()
        self._answers: list[_T] = []
        self._error: BaseException | None = None

    def __call__(self) -> None:
        """Do the work, in the owner's thread. Ctrl-C meanwhile is the owner's, and ends the run."""
        try:
            self._answers.append(self._work())
        except KeyboardInterrupt:
            self.fail(Interrupted("The script was interrupted"))
            raise
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
            self.fail(error)
        else:
            self._done.set()

    def fail(self, error: BaseException) -> None:
        """Raise an error in the waiting thread, unless it has an answer."""
        if not self._done.is_set():
            self._error = error
            self._done.set()

    def wait(self) -> _T:
        """Wait for the answer and return it, or raise what was raised instead."""
        self._done.wait()
        if self._error:
            raise self._error
        return self._answers[0]


def call_memory() -> Budget:
    """Return the memory that the unanswered calls of all runs of a runtime may hold."""
    return Budget(MAX_CALLS, MAX_CALLS_OF_RUN, FREE_CALLS)


def _drop_frames(error: BaseException) -> None:
    """Drop the frames of an error that is kept, and of those before it: they hold what the call was made with."""
    errors: list[BaseException | None] = [error]
    while errors:
        if each := errors.pop():
            each.__traceback__ = None
            errors += [each.__cause__, each.__context__]


def _too_many_pending() -> LimitExceeded:
    return LimitExceeded(
        f"The script was stopped: its calls that wait for their turn hold more than {spell_size(MAX_CALLS_OF_RUN)}",
        limit="arguments",
        value=MAX_CALLS_OF_RUN,
        hint="give parallel a smaller limit, or send less with each",
    )


def _more_of(call: dict[str, Any]) -> dict[str, Any]:
    """Return what a few requests say besides: the line and the scripts that make it, and where handles stand in it."""
    if MORE_OF_CALL.keys().isdisjoint(call):
        return {}
    more = {name: call[name] for name, kind in MORE_OF_CALL.items() if isinstance(call.get(name), kind)}
    through = more.pop("through", None)
    if through:
        more["through"] = tuple(str(name)[: protocol.MAX_PATH] for name in through)
    return more


def _fault(fault: dict[str, Any]) -> dict[str, str]:
    """Return what kept a script from passing its arguments, as far as a child may say it."""
    return {key: str(fault.get(key, ""))[: protocol.MAX_PATH] for key in ("where", "problem")}
