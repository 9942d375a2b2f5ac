"""An execution: the calls that it makes, the approvals that it waits for, and its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from kosmolua.calls.approvals import Approval, Approver, Consent
from kosmolua.calls.records import CallStarted, Event, Watch
from kosmolua.errors import BadArguments, Denied, KosmoError
from kosmolua.flow.memory import SessionMemory
from kosmolua.mcp.questions import PlanQuestion, Question, SaveQuestion
from kosmolua.mcp.runner import Runner, plan_of
from kosmolua.mcp.tools import ScriptRequest
from kosmolua.runs import Outcome, RunOptions


class Execution(Approver):
    """A script that runs for a client, whose person it asks about calls; workers are shared fairly among clients.

    ``questions`` are what it waits for; ``latest`` the call started last; ``limits`` those of the server at its start;
    ``saved`` a sentence that says whether the script was saved. ``asks`` says that the client can ask a person to
    approve calls, ``counts`` that it is told of each call; ``about`` who the client is, for people.
    """

    name = "the person at the MCP client"

    def __init__(
        self,
        runner: Runner,
        script: ScriptRequest,
        memory: SessionMemory,
        *,
        client: str | None,
        asks: bool,
        counts: bool,
        check: bool,
        watch: Watch,
        about: RunOptions | None = None,
    ) -> None:
        super().__init__()
        self.script = script
        self.questions: list[Question] = []
        self.calls = 0
        self.latest = ""
        self.saved = ""
        self._watch = watch
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._started = monotonic()
        self.limits = runner.limits
        options: RunOptions = {**(about or {}), **script.options}
        options["client"] = client
        options["seen"] = memory
        options["check"] = check
        options["observe"] = self._note
        options["approve"] = self if asks else None
        self._room = runner.room()
        if self._room:
            options["room"] = self._room
        self._task = asyncio.create_task(_run(self, runner, script, options))
        self._task.add_done_callback(lambda _: self._changed.set())

    @property
    def question(self) -> Question | None:
        """The first of the questions, or None."""
        return self.questions[0] if self.questions else None

    @property
    def done(self) -> bool:
        """Whether the script has ended."""
        return self._task.done()

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return monotonic() - self._started

    async def change(self, seconds: float) -> None:
        """Wait at most ``seconds`` for a call that is counted, a question or the end."""
        timer = self._loop.call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
        self._changed.clear()

    async def end(self) -> None:
        """Wait for the end."""
        await asyncio.wait([self._task])

    @property
    def failure(self) -> BaseException | None:
        """The fault of the program that ended the script, or None."""
        return None if self._task.cancelled() else self._task.exception()

    @property
    def is_cancelled(self) -> bool:
        """Whether the script was stopped before it began."""
        return self._task.cancelled()

    def outcome(self) -> Outcome:
        """Return the outcome of the ended script."""
        return self._task.result()

    def answer(self, question: Question, answer: Consent) -> None:
        """Pass a person's answer to the script."""
        if question in self.questions:
            self.questions.remove(question)
        question.answer(answer)

    def release(self) -> None:
        """Forget the outcome, which is answered or not needed, and free its memory; nothing is asked of this then."""
        del self._task  # the run's options refer to this, so that only the garbage collector would free it
        if self._room:
            self._room.close()

    def stop(self) -> None:
        """End the script; a call that waits for an answer is refused."""
        self.denies_all = True
        self._answer_all(Consent.NEVER)
        self._task.cancel()

    # In the threads of the run

    def _note(self, event: Event) -> None:
        self._watch(event)
        if self._counts and isinstance(event, CallStarted):
            self._loop.call_soon_threadsafe(self._begin_call, event.path, event.account)

    def withdraw(self) -> None:
        """Withdraw the question from the client: the answer came from elsewhere or is not needed."""
        self._loop.call_soon_threadsafe(self._answer_all, Consent.NO)

    def ask(self, approvals: Sequence[Approval]) -> Consent:
        """Ask the person about calls in one question, and block until there is an answer."""
        question = Question(*approvals)
        while (answer := self.put(question)) is Consent.MORE:
            question = question.next_page()
        return answer

    def put(self, question: Question, unanswered: Consent = Consent.NEVER) -> Consent:
        """Ask the person a question, and block until there is an answer; ``unanswered`` if there is none in time."""
        self._loop.call_soon_threadsafe(self._ask, question)
        answer = question.wait(self.limits.timeout) or unanswered
        self._loop.call_soon_threadsafe(self.answer, question, answer)
        return answer

    # On the event loop

    def _begin_call(self, path: str, account: str | None) -> None:
        self.calls += 1
        self.latest = f"{path} [{account}]" if account else path
        self._changed.set()

    def _answer_all(self, answer: Consent) -> None:
        for question in [*self.questions]:
            self.answer(question, answer)

    def _ask(self, question: Question) -> None:
        if self.denies_all:
            question.answer(Consent.NEVER)
        elif question not in self.questions:
            self.questions.append(question)
        self._changed.set()


async def _run(execution: Execution, runner: Runner, script: ScriptRequest, options: RunOptions) -> Outcome:
    """Run a script, plan its writes, apply a plan, or continue a recorded run."""
    try:
        if script.apply:
            plan = await asyncio.to_thread(plan_of, runner.runtime, script.apply, options.get("client"))
            question = PlanQuestion(plan) if options.get("approve") else None
            if question and await asyncio.to_thread(execution.put, question) is not Consent.YES:
                raise Denied(f"The plan {plan.id} was not approved", hint="it is kept, and can be applied later")
            without = question.without if question else ()
            return await runner.apply(plan, options, without=without, agreed=question is not None)
        saving = await asyncio.to_thread(_saving, runner, script, options) if script.save else None
        if script.resume:
            if not script.decided:
                options.pop("person", None)  # who decided about its calls is in the recording
            outcome = await runner.resume(script.resume, options, **script.decided)
        else:
            outcome = await (runner.plan if script.plan else runner.run)(script.code, options)
        if saving and outcome.ok:
            execution.saved = await asyncio.to_thread(_save, execution, runner, saving)
        return outcome
    except KosmoError as error:
        return Outcome([], "", error, [])


def _saving(runner: Runner, script: ScriptRequest, options: RunOptions) -> SaveQuestion:
    """Return the question whether the script is saved; refuse it before it runs if this cannot be asked."""
    if not runner.saves:
        raise BadArguments(
            "This server saves no scripts: leave save out, and give the script to the user", param="save"
        )
    if not options.get("approve"):
        what = "A script is saved only if the user agrees, and this client cannot ask: leave save out"
        raise BadArguments(what, param="save")
    scripts = runner.runtime.scripts
    former = scripts.script(script.save).source.decode("utf-8", "replace") if script.save in scripts else None
    memory = options.get("seen")
    return SaveQuestion(script.save, script.code, former, memory.doubts(script.code) if memory else ())


def _save(execution: Execution, runner: Runner, question: SaveQuestion) -> str:
    """Save the script if the person agrees, and return a sentence about it."""
    script = execution.script
    if execution.put(question) is not Consent.YES:
        return "The script was not saved: the user did not agree."
    try:
        runner.runtime.scripts.save(script.save, script.code.encode())
    except KosmoError as error:
        return f"The script was not saved: {error.message}."
    return f"The script was saved: app.scripts.{script.save}."
