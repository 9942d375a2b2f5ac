"""Recordings of sessions: records all chunks of a session in one file, and replays them in a new session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.clock import moment
from kosmolua.errors import Diverged
from kosmolua.recordings.answers import Answers
from kosmolua.recordings.recording import Recording
from kosmolua.runs import Outcome
from kosmolua.runs.job import Job
from kosmolua.runs.recorded import RunRecording, begin, replaying, script_fields, source_of
from kosmolua.runs.session import CHUNK, Session

if TYPE_CHECKING:
    from kosmolua.broker.host import Host
    from kosmolua.limits import Limits


class SessionRecorder:
    """Records the chunks of a session in one file, at ``path``, or in the store if that is None.

    Raises:
        ConfigError: The recording cannot be written.
    """

    def __init__(self, host: Host, path: str | os.PathLike[str] | None, limits: Limits, input: object = None) -> None:
        job = Job(b"", CHUNK, input=input, secrets=host.secret_names)
        self._writer = begin(host, path, b"", job, limits, session=True, account=None, client=None)
        self.path = self._writer.path
        self._host = host
        self._chunk: RunRecording | None = None

    def take(self, source: bytes, name: str, verb: str) -> RunRecording:
        """Record that the next chunk begins, and return the recording of the chunk's execution.

        ``verb`` says how the session returns the chunk's values: as text (``evaluate``) or as they are (``value``).
        """
        header = {**self._writer.header, "seed": os.urandom(16).hex()}
        chunk = {"event": "chunk", **script_fields(name, source), "verb": verb, "seed": header["seed"]}
        self._writer.write(chunk)
        earlier = self._chunk.last_call if self._chunk else 0
        self._chunk = RunRecording(
            header, self.path, Answers(), self._writer, host=self._host, earlier=earlier, is_chunk=True
        )
        return self._chunk

    def reset(self) -> None:
        """Record that the session loses its state, so that a replay also loses it."""
        self._writer.write({"event": "reset"})

    def close(self) -> None:
        """Record the end of the session, and close the recording."""
        try:
            self._writer.write({"event": "end", "time": moment(), "status": "done", "calls": []})
        finally:
            self._writer.close()
        self._host.tidy()


class Chapter(NamedTuple):
    """A chunk of a recorded session."""

    verb: str
    """How the session returned the chunk's values: as text (``evaluate``) or as they were (``value``)."""
    recording: Recording
    """The events of the chunk, as a separate recording."""


def chapters(recording: Recording) -> Iterator[Chapter | None]:
    """Yield the chunks of a recorded session in order. Where the session lost its state, yield None."""
    chapter: Chapter | None = None
    for event in recording.events[1:]:
        if event["event"] == "chunk" or event["event"] == "reset":
            if chapter:
                yield chapter
            chapter = None
        if event["event"] == "chunk":
            head = {name: value for name, value in recording.header.items() if name != "session"}
            head |= {"script": event, "seed": event["seed"]}
            chapter = Chapter(event["verb"], Recording(recording.place, [head]))
        elif event["event"] == "reset":
            yield None
        elif chapter and chapter.recording.end is None:  # what follows is the end of the session
            chapter.recording.events.append(event)
    if chapter:
        yield chapter


def repeat(
    recording: Recording, run: Callable[[str, Any, RunRecording], Outcome], options: Mapping[str, Any]
) -> Outcome:
    """Replay a recorded session chunk by chunk, with a function that runs a chunk, and return one outcome for all.

    The output of this outcome contains what the chunks printed, and their values as text. The result is the result of
    the last chunk. The error is that of the last chunk that failed. If a chunk makes a request that was not recorded,
    the replay ends with this chunk.
    """
    chapter: Chapter | None = None
    outcomes: list[Outcome] = []

    def run_chunk(source: str, **given: Any) -> Outcome:
        assert chapter
        return run(source, {**options, **given}, replaying(chapter.recording, is_changed=False))

    with Session(run_chunk, input=recording.header["input"]) as session:
        for chapter in chapters(recording):
            if chapter is None:
                session.reset()
                continue
            script = chapter.recording.script
            source = source_of(script).decode("utf-8", "surrogateescape")
            answer = (session.evaluate if chapter.verb == "evaluate" else session.value)(source, name=script["name"])
            outcomes.append(answer.outcome)
            if answer.text is not None:
                shown = answer.text + "\n"
                answer.outcome.output += shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                options.get("on_output", lambda _: None)(shown.encode("utf-8", "surrogateescape"))
                answer.outcome.result = []
            if isinstance(answer.outcome.error, Diverged):
                break
    return _joined(outcomes)


def _joined(outcomes: list[Outcome]) -> Outcome:
    failed = [(number, each) for number, each in enumerate(outcomes, start=1) if each.error]
    warnings = [f"chunk {number} failed: {each.error.message}" for number, each in failed[:-1] if each.error]
    last = failed[-1][1] if failed else None
    return Outcome(
        outcomes[-1].result if outcomes else [],
        "".join(each.output for each in outcomes),
        last.error if last else None,
        [call for each in outcomes for call in each.calls],
        {"wall_ms": round(sum(each.usage.wall_ms or 0.0 for each in outcomes), 1)},
        [*warnings, *(warning for each in outcomes for warning in each.warnings)],
        exit=last.exit if last else None,
    )
