"""Tasks (SEP-2663): scripts that go on without their client, which finds them again by the ids of their recordings."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
    ElicitResult,
    RequestParams,
)
from pydantic import BaseModel, ValidationError

from kosmolua.calls.approvals import Approval, Consent, Reply, grouped
from kosmolua.clock import moment
from kosmolua.errors import ConfigError, UnderWay
from kosmolua.mcp.answer import refusal
from kosmolua.mcp.execution import Execution
from kosmolua.mcp.executions import TASKS, Client, Executions, in_thread, put_off
from kosmolua.mcp.questions import DoubtQuestion, Question
from kosmolua.mcp.runner import Runner
from kosmolua.mcp.tools import ScriptRequest
from kosmolua.recordings.recording import Recording
from kosmolua.runs import Outcome
from kosmolua.stores.store import Decision, WaitingCall, paused_calls, waits

GRACE = 1.0
"""Seconds within which a script can end so that its answer is that of its request, and it is no task."""
LOOK = 0.5
"""Seconds that a request waits for what became of a run that goes on."""
STEP = 0.05
"""Seconds between two looks at an execution."""
POLL_INTERVAL = 1_000
"""How often a client should ask what became of a task, in milliseconds."""
MAX_ANSWERS = 64
"""How many answers are in memory. Others are made again from the recording."""
LEFT, CANCELLED = "left-", "cancelled-"
"""What the marks in the store begin with: of runs that a server left when it stopped, and of tasks that a client
cancelled while they did not run."""
ENDS = ("done", "failed", "limit")
"""The statuses of runs that do not go on."""


class TaskParams(RequestParams):
    """The parameters of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str


class UpdateParams(TaskParams):
    """The parameters of ``tasks/update``."""

    input_responses: dict[str, Any]


def check_request(context: ServerRequestContext[Any], params: TaskParams) -> Client:
    """Return the client of a request about a task.

    Raises:
        MCPError: The client does not take tasks, or a header names another task.
    """
    client = Client(context)
    if not client.takes_tasks:
        raise needs_tasks(f"{context.method} needs a client with the extension {TASKS}")
    if context.request and decode_header_value(context.request.headers.get(MCP_NAME_HEADER)) != params.task_id:
        raise MCPError(HEADER_MISMATCH, f"The header Mcp-Name does not name the task of {context.method}")
    return client


def needs_tasks(what: str) -> MCPError:
    """Return the error for a client that does not take tasks."""
    required: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, what, required)


class TaskExecution(Execution):
    """The execution of a task, which asks about the calls of each function and account in a question of their own.

    A question that nobody answers pauses the run, so that it can still be answered later.
    """

    _early: dict[str, Question] | None = None

    def ask(self, approvals: Sequence[Approval]) -> Consent:
        """Ask about calls, and block until there is an answer, or so long that the run pauses."""
        new = Question(*approvals)
        question = (self._early or {}).pop(new.key, new)
        while (answer := self.put(question, Consent.LATER)) is Consent.MORE:
            question = question.next_page()
        return answer

    def approve_many(self, approvals: Sequence[Approval]) -> list[Reply]:
        """Ask about the calls of different functions at the same time."""
        kinds = grouped([each for each in approvals if each.subject not in self._allowed])
        if len(kinds) < 2:
            return super().approve_many(approvals)
        questions = [Question(*kind) for kind in kinds]
        self._early = {each.key: each for each in questions}
        for each in questions:
            self._loop.call_soon_threadsafe(self._ask, each)
        replies: dict[int, Reply] = {}
        for kind in kinds:
            replies |= zip((each.number for each in kind), super().approve_many(kind), strict=True)
        for each in questions:
            self._loop.call_soon_threadsafe(self.answer, each, Consent.NEVER)
        return [replies.get(each.number, True) for each in approvals]


@dataclass
class _Task:
    """A task that runs in this process."""

    execution: TaskExecution
    person: str
    created: str


class Tasks:
    """The tasks of a server's clients.

    A task is found by the id of its run, by the person who began it. Its state is that of the recording, so it survives
    the server: whoever asks next lets a run go on whose server died. ``runner`` and ``executions`` run the scripts;
    ``saved`` is called after one was saved.
    """

    def __init__(self, runner: Runner, executions: Executions, saved: Callable[[], Awaitable[object]]) -> None:
        self._runner = runner
        self._saved = saved
        self._executions = executions
        self._tasks: dict[str, _Task] = {}
        self._answers: OrderedDict[str, tuple[_Task, dict[str, Any]]] = OrderedDict()
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self, script: ScriptRequest, client: Client, words: str) -> CallToolResult | dict[str, Any]:
        """Run a script, and return its result if it ends at once, else a task. ``words`` are the person's own."""
        run = secrets.token_hex(6)
        execution = self._executions.begin(TaskExecution, replace(script, run=run), client, words)
        try:
            await _settle(execution, GRACE)
            while not execution.done and not await in_thread(self._is_recorded, run):
                await execution.change(STEP)
        except BaseException:
            execution.stop()
            execution.release()
            raise
        if execution.done:
            try:
                return await self._answer(execution, client)
            finally:
                execution.release()
        task = self._tasks[run] = _Task(execution, client.person, moment())
        self._follow(run, task, client)
        state = self._running(run, task)
        return {"resultType": "task", **{name: state[name] for name in state if name != "inputRequests"}}

    async def get(self, run: str, client: Client) -> dict[str, Any]:
        """Return the state of a task, with its questions or its result.

        Raises:
            MCPError: There is no such task of this person.
        """
        if task := self._task(run, client):
            return self._running(run, task)
        if (ended := self._answers.get(run)) and ended[0].person == client.person:
            return {**self._state(run, "", ended[0].created), **ended[1]}
        return await self._stored(await in_thread(self._read, run, client), client)

    async def update(self, run: str, replies: Mapping[str, Any], client: Client) -> None:
        """Take a person's replies to questions of a task. What was not asked is ignored.

        Raises:
            MCPError: There is no such task of this person.
        """
        given = {key: _reply(reply) for key, reply in replies.items()}
        if task := self._task(run, client):
            for question in [each for each in task.execution.questions if each.key in given]:
                task.execution.answer(question, question.meaning(given[question.key]))
            return
        recording = await in_thread(self._read, run, client)
        waiting = await in_thread(self._waiting, recording)
        decided: dict[str, Any] = {"approve": [], "deny": []}
        for question, calls in _kinds(waiting):
            if question.key not in given:
                continue
            meaning = question.meaning(given[question.key])
            is_yes = {Consent.YES: True, Consent.ALWAYS: True, Consent.NO: False, Consent.NEVER: False}.get(meaning)
            for call in calls if is_yes is not None else ():
                if call.is_live:
                    decision = Decision(bool(is_yes), client.person or TaskExecution.name)
                    await in_thread(self._runner.runtime.store.decide, call.id, decision)
                else:
                    decided["approve" if is_yes else "deny"].append(call.call["number"])
        doubts = {key: reply for key, reply in given.items() if key.startswith(DoubtQuestion.PREFIX)}
        if any(decided.values()) or (doubts and not waiting):
            await self._go_on(recording, client, {**decided, **DoubtQuestion.settled(doubts)})

    async def cancel(self, run: str, client: Client) -> None:
        """End a task, unless it has ended; raise MCPError if there is no such task of this person."""
        runtime = self._runner.runtime
        await in_thread(self._read, run, client)
        await in_thread(runtime.store.mark, CANCELLED + run, runtime.recordings.keep)
        if task := self._task(run, client):
            task.execution.stop()
        else:
            await in_thread(self._runner.end_run, run)

    async def leave(self) -> None:
        """Note that the tasks which run here go on elsewhere, since the server stops."""
        for run, task in self._tasks.items():
            if not task.execution.done:
                await in_thread(self._runner.runtime.store.mark, LEFT + run, self._runner.runtime.recordings.keep)

    # Tasks in this process

    def _task(self, run: str, client: Client) -> _Task | None:
        task = self._tasks.get(run)
        return task if task and task.person == client.person else None

    def _follow(self, run: str, task: _Task, client: Client) -> None:
        """Keep the answer of a task when it ends."""

        async def follow() -> None:
            await task.execution.end()
            await self._keep(run, task, client)

        following = asyncio.create_task(follow())
        self._ending.add(following)
        following.add_done_callback(self._ending.discard)

    async def _keep(self, run: str, task: _Task, client: Client) -> None:
        """Keep the answer of an ended task, unless the recording has to say what became of the run."""
        execution = task.execution
        try:
            if execution.failure:
                failure = {"code": INTERNAL_ERROR, "message": f"The run failed: {execution.failure!r}"[:1000]}
                self._answers[run] = task, {"status": "failed", "error": failure}
            elif not execution.is_cancelled and _is_final(execution.outcome()):
                result = await self._answer(execution, client)
                self._answers[run] = task, {"status": "completed", "result": _dumped(result)}
        finally:
            del self._tasks[run]
            execution.release()
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)

    async def _answer(self, execution: TaskExecution, client: Client) -> CallToolResult:
        if execution.saved:
            await self._saved()
        return await self._executions.answer(execution, client)

    def _running(self, run: str, task: _Task) -> dict[str, Any]:
        execution = task.execution
        if execution.questions:
            return self._asking(run, execution.questions, task.created)
        said = f"calls: {execution.calls}" + (f", the last {execution.latest}" if execution.latest else "")
        return self._state(run, "working", task.created, said)

    # Tasks in the store

    def _is_recorded(self, run: str) -> bool:
        try:
            self._runner.runtime.store.read(run)
        except ConfigError:
            return False
        return True

    def _is_in_use(self, run: str) -> bool:
        return self._runner.runtime.store.place(run).is_in_use()

    def _read(self, run: str, client: Client) -> Recording:
        """Return the recording of a task of this client's person."""
        try:
            recording = self._runner.runtime.store.read(run)
        except ConfigError:
            recording = None
        if not recording or "task" not in recording.header or (recording.header["person"] or "") != client.person:
            raise MCPError(INVALID_PARAMS, f"There is no task {run[:40]!r}: it was never begun, or is no longer kept")
        return recording

    async def _stored(self, recording: Recording, client: Client) -> dict[str, Any]:
        """Return the state of a task that does not run here; let it go on if its server has left it or died."""
        run, created = recording.header["run"], recording.header["time"]
        store = self._runner.runtime.store
        marks = await in_thread(store.marks) if recording.status in ("interrupted", "paused") else {}
        if CANCELLED + run in marks:
            return self._state(run, "cancelled", created)
        if await in_thread(self._is_in_use, run):
            waiting = await in_thread(self._waiting, recording)
            if waiting and client.asks_a_person:
                return self._asking(run, [question for question, _ in _kinds(waiting)], created)
            return self._state(run, "working", created)
        if recording.end is None:  # it may have ended since it was read
            recording = await in_thread(self._read, run, client)
        if recording.end is None or (recording.status == "interrupted" and LEFT + run in marks):
            await in_thread(store.unmark, LEFT + run)
            return await self._go_on(recording, client, {})
        if recording.status == "interrupted":
            return self._state(run, "cancelled", created)
        if waits(recording.end) and client.asks_a_person:
            waiting = await in_thread(self._waiting, recording)
            return self._asking(run, [question for question, _ in _kinds(waiting)], created)
        if recording.status not in (*ENDS, "paused"):
            return self._state(run, "working", created)
        outcome = await in_thread(self._runner.runtime.replay, recording)
        outcome.recording = recording.path
        result = await self._executions.report(outcome, _request(recording), client)
        return {**self._state(run, "completed", created), "result": _dumped(result)}

    def _waiting(self, recording: Recording) -> list[WaitingCall]:
        """Return the calls of a run that wait for a person, whether it is paused or runs in another process."""
        run, end = recording.header["run"], recording.end
        if end and waits(end):
            return paused_calls(run, recording.script["name"], end)
        return [each for each in self._runner.runtime.store.waiting() if each.run == run]

    async def _go_on(self, recording: Recording, client: Client, decided: Mapping[str, Any]) -> dict[str, Any]:
        """Resume a run with what a person decided about its calls, and return the state of the task."""
        run, created = recording.header["run"], recording.header["time"]
        if task := self._task(run, client):  # another request was faster
            return self._running(run, task)
        script = replace(_request(recording), resume=run, decided=decided)
        script = script if client.asks_a_person else replace(script, save="")
        execution = self._executions.begin(TaskExecution, script, client, owner=recording.header["client"])
        task = self._tasks[run] = _Task(execution, client.person, created)
        try:
            await _settle(execution, LOOK)
        except BaseException:
            self._follow(run, task, client)
            raise
        if not execution.done:
            self._follow(run, task, client)
            return self._running(run, task)
        if execution.failure:
            await self._keep(run, task, client)
            return await self.get(run, client)
        outcome = execution.outcome()
        await self._keep(run, task, client)
        if outcome.recording:
            return await self.get(run, client)
        error = outcome.error
        assert error
        if isinstance(error, UnderWay) and client.asks_a_person:
            return self._asking(run, [DoubtQuestion(call) for call in error.calls], created)
        if error.fields().get("retryable") or await in_thread(self._is_in_use, run):
            return self._state(run, "working", created, error.message)
        return {**self._state(run, "completed", created), "result": _dumped(refusal(error))}

    # States

    def _state(self, run: str, status: str, created: str = "", said: str = "") -> dict[str, Any]:
        keep = int(self._runner.runtime.recordings.keep * 1000)
        now = moment()
        times = {"createdAt": created or now, "lastUpdatedAt": now, "ttlMs": keep, "pollIntervalMs": POLL_INTERVAL}
        return {"taskId": run, "status": status, **times, **({"statusMessage": said} if said else {})}

    def _asking(self, run: str, questions: Sequence[Question], created: str) -> dict[str, Any]:
        requests = {each.key: _dumped(put_off(each)) for each in questions}
        return {**self._state(run, "input_required", created, "waiting for an answer"), "inputRequests": requests}


def _is_final(outcome: Outcome) -> bool:
    """Return True unless the recording has to say what became of the run, or there is none."""
    return bool(outcome.recording) and outcome.status in ENDS


async def _settle(execution: Execution, seconds: float) -> None:
    """Wait for a question or the end, but at most so long."""
    ends = execution.seconds + seconds
    while not execution.done and not execution.questions and (left := ends - execution.seconds) > 0:
        await execution.change(min(left, STEP))


def _kinds(waiting: Sequence[WaitingCall]) -> Iterator[tuple[Question, list[WaitingCall]]]:
    """Yield the questions about calls that wait, as their run asks them, each with its calls."""
    calls = {each.call["number"]: each for each in waiting}
    asked = [Approval(**{name: each.call[name] for name in Approval._fields if name in each.call}) for each in waiting]
    for kind in grouped([each._replace(flows=tuple(each.flows)) for each in asked]):
        yield Question(*kind), [calls[each.number] for each in kind]


def _request(recording: Recording) -> ScriptRequest:
    """Return the request with which a task began, as far as its answer depends on it."""
    header = recording.header
    task, is_reading = header["task"], header["options"]["read_only"]
    return ScriptRequest(recording.script["source"], budget=task["budget"], save=task["save"], read_only=is_reading)


def _reply(given: object) -> ElicitResult | None:
    try:
        return ElicitResult.model_validate(given, by_name=False)
    except ValidationError:
        return None


def _dumped(result: BaseModel) -> dict[str, Any]:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)
