"""Stores, which keep the recordings of runs, the questions that wait for a person, and grants.

A store belongs to one tenant, and gives no access to the stores of other tenants. :class:`Stores` holds the stores of
all tenants. A store is in a folder or in a database (:mod:`kosmolua.stores.database`). Several processes and hosts
can use it at the same time.

A call that needs approval waits for a person in one of two ways. A *paused* run has ended; its calls are in its
recording, and the person who resumes the run says which of them are approved. A *question* comes from a run that is
still running, perhaps in another process; this run polls for the answer.

A *grant* is a person's approval of all later calls of a function with an account. These calls need no question.
"""

from __future__ import annotations

import glob
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from threading import Lock
from typing import Any, NamedTuple, Protocol
from unicodedata import normalize

from kosmolua.errors import ConfigError, Paused
from kosmolua.expressions import regex
from kosmolua.recordings.recording import Event, Recording, revived
from kosmolua.recordings.sheets import Place
from kosmolua.schema.effects import changes
from kosmolua.stores.tasks import TaskQueue

DAY = 86400.0
KEY_SIZE = 32
ENDED_DAYS = 2
"""Days for which a session that has ended is remembered. It must be longer than a session can last."""
APPROVAL_DAYS = 7
"""Days that a paused run waits for its approvals."""
DEFAULT_RUNS = 100
STATUSES = ("running", "waiting", "paused", "done", "failed", "limit", "interrupted", "damaged")
"""The statuses that a run in a store can have."""
MAX_WORDS = 20_000
"""How many characters of a script a search looks through."""
LOOK_PAUSE, LOOK_SHARE = 5.0, 0.01
"""Seconds between two looks at how many bytes the recordings of a store use, and the part of the time for looks."""
RUN_ID = regex(r"[0-9a-f]{12}")
MARK = regex(r"[A-Za-z0-9_-]{1,63}")
TENANT = regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class FleetName(NamedTuple):
    """What a run says of the fleet that it belongs to: the fleet's id, its title, and how many runs it has in all."""

    id: str
    title: str
    size: int


class FleetSummary(NamedTuple):
    """The entry of a fleet in a list: when its first run began, and how many of its runs have which status."""

    name: FleetName
    since: str
    statuses: Mapping[str, int]

    @property
    def begun(self) -> int:
        """How many runs have begun."""
        return sum(self.statuses.values())

    @property
    def status(self) -> str:
        """What a person has to know first: that runs are active, wait for somebody, are missing, or have failed."""
        for status in ("running", "paused", "waiting"):
            if self.statuses.get(status):
                return status
        if self.begun < self.name.size:
            return "interrupted"
        return next((each for each in self.statuses if each != "done"), "done")


class Summary(NamedTuple):
    """The entry of a recorded run in a list of runs.

    Args:
        run: The id of the run.
        status: ``running``, or the status of the run's outcome; ``damaged`` if the recording cannot be read.
        time: When the run began, in UTC.
        ended: When the run last ended; None while it runs, or if its process was killed.
        script: The name of the script.
        sha256: The hash of the script, in hex.
        mode: ``live`` or ``simulated``.
        client: The client that the run belongs to, in a server with several clients; else None.
        waiting: How many calls of the run wait for an approval.
        written: When the recording was last written, in seconds since 1970.
        title: What people recognise the run by; empty if it is not known yet.
        software: The client's own name and version.
        person: The person who was signed in at the client.
        error: The message of the error that ended the run.
        made: A row for each function that was called: path, effect, how many calls were sent, and how many refused.
            None if the run has not ended, or its recording is of an older version.
        worked: For how many seconds the run worked.
        waited: For how many seconds it waited for people while it ran.
        fleet: The fleet that the run belongs to, if it does.
    """

    run: str
    status: str
    time: str
    ended: str | None = None
    script: str = ""
    sha256: str = ""
    mode: str = ""
    client: str | None = None
    waiting: int = 0
    written: float = 0.0
    title: str = ""
    software: str = ""
    person: str = ""
    error: str = ""
    made: Sequence[Sequence[Any]] | None = None
    worked: float = 0.0
    waited: float = 0.0
    fleet: FleetName | None = None


ORDERS: Mapping[str, bool] = {"time": True, "worked": True, "title": False, "status": False}
"""By which fields of summaries a list of runs can be sorted, and whether the largest come first."""


class RunFilter(NamedTuple):
    """Which runs a list has, and in which order. An empty text fits every run.

    Args:
        words: Words that all occur in the run's title, script, output, client, person, error, id, or functions.
        status: The status.
        mode: ``live`` or ``simulated``.
        person: The person.
        client: The client's own name, or the name of the client.
        integration: An integration of which a function was called.
        since: The earliest time at which the run began, like :attr:`Summary.time`.
        until: The time before which it began.
        writes: Only runs that changed something.
        fleet: The id of a fleet.
        runs: Only runs with these ids; None for any.
        beginning: How the id begins.
        order: The name of a field of :class:`Summary` in :data:`ORDERS`; after it, the latest come first.
    """

    words: str = ""
    status: str = ""
    mode: str = ""
    person: str = ""
    client: str = ""
    integration: str = ""
    since: str = ""
    until: str = ""
    writes: bool = False
    fleet: str = ""
    runs: Collection[str] | None = None
    beginning: str = ""
    order: str = "time"

    def fits(self, run: Summary, text: str) -> bool:
        """Return True for a run with this text to search, which is in lower case."""
        return (
            self.status in ("", run.status)
            and self.mode in ("", run.mode)
            and self.person in ("", run.person)
            and self.client in ("", run.software, run.client)
            and self.since <= run.time
            and (not self.until or run.time < self.until)
            and (not self.writes or bool(writes_in(run.made)))
            and self.fleet in ("", run.fleet and run.fleet.id)
            and (self.runs is None or run.run in self.runs)
            and run.run.startswith(self.beginning)
            and (not self.integration or any(row[0].startswith(f"{self.integration}.") for row in run.made or ()))
            and all(word in text for word in self.words.lower().split())
        )


def pause_after(seconds: float) -> float:
    """Return the seconds until the next look at the bytes that recordings use, after one that took so long."""
    return max(LOOK_PAUSE, seconds / LOOK_SHARE)


class Looks:
    """Looks whether recordings leave room for more: one at a time, with pauses. Any number of threads may use it."""

    def __init__(self) -> None:
        self._next = 0.0
        self._was_full = False
        self._looking = Lock()

    def find_room(self, look: Callable[[], bool]) -> bool:
        """Return what a look finds. Without one, return True: after it found room, for a while, and during the next.

        While there is no room, each caller looks, since it may begin nothing.
        """
        if time.monotonic() < self._next or not self._looking.acquire(blocking=self._was_full):
            return True
        try:
            began = time.monotonic()
            self._was_full = not look()
            if not self._was_full:
                self._next = time.monotonic() + pause_after(time.monotonic() - began)
            return not self._was_full
        finally:
            self._looking.release()


def writes_in(made: Sequence[Sequence[Any]] | None) -> int:
    """Return how many calls changed something."""
    return sum(row[2] for row in made or () if changes(row[1]))


def words_of(head: Mapping[str, Any]) -> str:
    """Return what a search finds of a run from the first event of its recording."""
    script = head["script"]
    known = (head["run"], head.get("title"), script["name"], head["client"], head.get("software"), head.get("person"))
    return "\n".join([*(each for each in known if each), script["source"][:MAX_WORDS]]).lower()


def output_in(end: Mapping[str, Any]) -> str:
    """Return what a search finds of a run from the last event of its recording: the beginning of its output."""
    return str(end.get("output", "")).lower()


def fleets_of(rows: Iterable[tuple[FleetName, str, int, str]]) -> list[FleetSummary]:
    """Return the fleets of runs, the one that began last first.

    Each row says of some runs of a fleet which status they have, how many they are, and when the first of them began.
    """
    found: dict[FleetName, tuple[str, Counter[str]]] = {}
    for name, status, count, began in rows:
        since, statuses = found.get(name, (began, Counter[str]()))
        statuses[status] += count
        found[name] = min(since, began), statuses
    fleets = [FleetSummary(name, since, statuses) for name, (since, statuses) in found.items()]
    return sorted(fleets, key=lambda each: each.since, reverse=True)


def told_by(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return those fields of a summary that an event of a recording changes, by their names."""
    if event["event"] == "run":
        script, fleet = event["script"], event.get("fleet")
        told = {name: event.get(name) or "" for name in ("time", "mode", "title", "software", "person")}
        told |= {"client": event["client"], "fleet": FleetName(**fleet) if fleet else None}
        return {**told, "script": script["name"].removeprefix("="), "sha256": script["sha256"]}
    if event["event"] == "resumed":
        return {"status": "running", "ended": None}
    if event["event"] == "end":
        error = revived(event["error"]).message if event.get("error") else ""
        told = {name: event[name] for name in ("title", "made", "worked", "waited") if name in event}
        return {**told, "status": event["status"], "ended": event["time"], "error": error}
    return {}


class WaitingCall(NamedTuple):
    """A call that waits for a person.

    Args:
        id: The id of the question in its store.
        run: The id of the run; None if the run is not recorded.
        script: The name of the script.
        call: The fields of the :class:`~kosmolua.calls.approvals.Approval`: ``number``, ``path``, ``account``,
            ``effect``, ``arguments``, ``about`` and ``names``.
        since: When the question was first asked, in seconds since 1970.
        until: When the call stops waiting, in seconds since 1970.
        is_live: True if the run is still running, and goes on after :meth:`Store.decide`; False if the run is paused,
            and goes on when it is resumed.
    """

    id: str
    run: str | None
    script: str
    call: Mapping[str, Any]
    since: float
    until: float
    is_live: bool = True

    @property
    def name(self) -> str:
        """The run and the number of the call, which stay as they are when the run pauses; without a run, the id."""
        return f"{self.run}-{self.call['number']}" if self.run else self.id


@dataclass(frozen=True)
class Decision:
    """A person's answer to a question.

    Args:
        is_approved: True for yes.
        by: The name of the person.
        time: When the person answered, in seconds since 1970.
    """

    is_approved: bool
    by: str = ""
    time: float = field(default_factory=time.time)


class Vote(NamedTuple):
    """A person's yes to a call that several people must approve: a name, and the ``sub`` of a token, if known."""

    person: str
    sub: str = ""


def ballot(run: str | None, call: Mapping[str, Any]) -> str:
    """Return the name under which the votes about a call of a run are kept; another one for other arguments."""
    about = [run, *(call[name] for name in ("path", "account", "arguments"))]
    return sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:40]


def people_in(votes: Sequence[Vote]) -> list[str]:
    """Return the people who voted; those with the same name or ``sub`` are one person."""
    found: list[list[Vote]] = []
    for vote in votes:
        same = [each for each in found if any(_is_same_person(vote, other) for other in each)]
        found = [each for each in found if each not in same] + [[*(other for each in same for other in each), vote]]
    return [each[0].person for each in found]


def same_name(text: str) -> str:
    """Return a person's name as it is compared, however a token or a channel of notices spells it."""
    return " ".join(normalize("NFKC", text).casefold().split())


def _is_same_person(one: Vote, other: Vote) -> bool:
    """Return True if a name or ``sub`` of one is that of the other, since a channel may name a person by either."""
    names, others = ({*map(same_name, vote)} - {""} for vote in (one, other))
    return not names.isdisjoint(others)


class Grant(NamedTuple):
    """A person's permission to call a function with an account at any time, without further questions.

    Args:
        path: The path of the function, such as ``render2.restart_service``.
        account: The name of the account.
        since: When the person gave the permission, in UTC.
    """

    path: str
    account: str
    since: str

    @property
    def pattern(self) -> str:
        """The grant as a pattern for ``--allow``."""
        integration, _, function = self.path.rpartition(".")
        return f"{integration}.{glob.escape(self.account)}.{function}"


class Store(Protocol):
    """The recordings, plans, questions and grants of one tenant. Any thread may use it.

    Every method raises a ConfigError if the store cannot be reached.
    """

    tasks: TaskQueue
    """The runs that begin or continue at their time."""

    def place(self, run: str) -> Place:
        """Return the place where a run's recording is kept. The recording need not exist.

        Raises:
            ConfigError: ``run`` is not the id of a run.
        """

    def read(self, run: str) -> Recording:
        """Return the recording of a run; raise ConfigError if the run has no recording, or the recording is damaged."""

    def find_runs(self, fitting: RunFilter, start: int = 0, limit: int = DEFAULT_RUNS) -> tuple[list[Summary], int]:
        """Return the runs that a filter finds from the place ``start`` on, and how many it finds in all."""

    def fleets(self) -> list[FleetSummary]:
        """Return the fleets that recorded runs belong to, the one that began last first."""

    def runs(
        self, *, status: str = "", before: str = "", beginning: str = "", limit: int = DEFAULT_RUNS
    ) -> list[Summary]:
        """Return the recorded runs that match all arguments, the latest first.

        ``before`` is a time like :attr:`Summary.time`, ``beginning`` how the ids begin.
        """
        return self.find_runs(RunFilter(status=status, until=before, beginning=beginning), limit=limit)[0]

    def prune(self, keep: float) -> int:
        """Remove the recordings that were last written more than ``keep`` seconds ago, and return their number.

        Plans that were last written so long ago are removed too.

        Recordings that a run is writing are kept. Recordings of paused runs are kept while their calls can still be
        approved.
        """

    def make_room(self, most: int) -> bool:
        """Remove the oldest recordings until all of them use less than ``most`` bytes, and return whether they do.

        Recordings that a run is writing or that sleeps are kept, and those of paused runs while their calls can still
        be approved.
        What they use is looked up every :data:`LOOK_PAUSE` seconds at most, more seldom if that takes long.
        """

    def tidy(self, keep: float) -> None:
        """Remove old recordings, as :meth:`prune` does, and questions of :meth:`ask` that dead processes left behind.

        Do nothing if this was done within the last day.
        """

    def waiting(self) -> list[WaitingCall]:
        """Return the calls that wait for a person. The call that has waited longest comes first."""

    def ask(self, question: WaitingCall) -> None:
        """Store the question whether a person approves a call. The run that makes the call is still running."""

    def decide(self, question: str, decision: Decision) -> bool:
        """Answer a question, and return True; False if it was answered already, has expired, or does not exist."""

    def decision(self, question: str) -> Decision | None:
        """Return the answer to a question, or None if there is none yet."""

    def answered(self, run: str) -> list[tuple[WaitingCall, Decision]]:
        """Return the questions of a run that were answered and not withdrawn, each with its answer.

        If the run does not execute any more, its process died before it could act on the answers.
        """

    def withdraw(self, question: str) -> None:
        """Remove a question, and its answer, when its run has the answer or no longer waits."""

    def vote(self, ballot: str, vote: Vote) -> bool:
        """Keep a person's yes for :data:`APPROVAL_DAYS`, and return True; False if it was kept before."""

    def unvote(self, ballot: str, vote: Vote) -> None:
        """Remove a person's yes, if it is there."""

    def votes(self, ballot: str) -> list[Vote]:
        """Return what people voted about a call."""

    def grants(self) -> list[Grant]:
        """Return all grants, the oldest first."""

    def grant(self, given: Grant) -> None:
        """Store a grant. It replaces an earlier grant for the same function and account."""

    def revoke(self, path: str, account: str) -> None:
        """Remove the grant for the function ``path`` with an account, if there is one."""

    def key(self, *, create: bool) -> bytes | None:
        """Return the key that signs recordings, plans and decisions of this tenant.

        Return None if there is no key and ``create`` is False, or if the store can keep none.
        """

    def plan(self, id: str) -> bytes | None:
        """Return the plan with a valid id, as it was stored; None if there is none."""

    def plans(self) -> list[bytes]:
        """Return all plans, as they were stored."""

    def put_plan(self, id: str, new: bytes, old: bytes | None) -> bool:
        """Store a plan in place of ``old``, what :meth:`plan` returned, and return True.

        Return False if the plan is not as ``old`` any more, since another process has changed or removed it.
        """

    def remove_plan(self, id: str) -> None:
        """Remove the plan with a valid id, if there is one."""

    def slot(self, kind: str, count: int) -> Slot:
        """Enter the line for one of the slots that all processes with this store share, and return the place in it.

        Each kind, such as ``workers``, has a line of its own, for ``count`` slots.
        """

    def mark(self, name: str, seconds: float) -> None:
        """Set a mark, which all processes with this store see. It replaces an earlier one with this name.

        The name is of letters, digits, - and _.
        """

    def unmark(self, name: str) -> None:
        """Remove the mark with this name, if there is one."""

    def marks(self) -> dict[str, float]:
        """Return when each mark ends, in seconds since 1970, by its name."""

    def count(self, kind: str, window: int, more: int, most: int | None = None) -> int | None:
        """Add to a count that all processes with this store share, and return it.

        Return None, and add nothing, if the count would be larger than ``most``.

        Args:
            kind: What is counted, such as ``runs``.
            window: The number of the span of time that is counted, such as a minute. The count of each begins at 0.
                Once a later one has begun, what is added to an earlier one counts for the later one.
            more: How much to add.
            most: The largest count; None for no limit.
        """


class Slot(Protocol):
    """A place in the line for one of a limited number of slots, which all processes with one store share.

    The first in the line have slots. When one of them leaves the line or its process dies, the next one moves up.
    """

    def is_held(self) -> bool:
        """Return True if this place has come far enough to have a slot; it then has the slot until it is released."""

    def release(self, *, again: bool = False) -> None:
        """Leave the line, whether or not this place has a slot; ``again`` says that this process may need one soon."""


class Stores(Protocol):
    """The stores of all tenants of a server. Every method raises a ConfigError if they cannot be reached."""

    def of(self, tenant: str) -> Store:
        """Return the store of a tenant; raise ConfigError if ``tenant`` is not a valid name of a tenant."""

    def due_tenants(self) -> Collection[str]:
        """Return the tenants that have tasks that are due."""

    def key(self) -> bytes:
        """Return the key that signs the website's cookies, which is created on first use."""

    def end_session(self, session: str) -> None:
        """Record that a session of the website has ended: every server with these stores refuses it from now on.

        Its id is kept for :data:`ENDED_DAYS`, after which its cookie is too old anyway.
        """

    def ended_sessions(self) -> frozenset[str]:
        """Return the ids of the website's sessions that have ended, and perhaps some that are too old anyway."""

    def probe(self) -> None:
        """Try a write; raise ConfigError if it failed."""

    def drop(self) -> None:
        """Let whatever waits for stores that do not answer fail at once, as far as that is possible."""

    def close(self) -> None:
        """Close all connections. If the stores are used again, they open new ones."""


def paused_calls(run: str, script: str, end: Event) -> list[WaitingCall]:
    """Return the calls that wait for an approval, of a run whose recording has this last event."""
    since = datetime.fromisoformat(end["time"]).timestamp()
    until = since + APPROVAL_DAYS * DAY
    calls: Sequence[Event] = end["error"]["fields"]["calls"]
    name = script.removeprefix("=")
    return [WaitingCall(f"{run}-{call['number']}", run, name, call, since, until, is_live=False) for call in calls]


def approved_calls(recording: Recording, approved: object) -> list[Event]:
    """Return those calls for which a run has paused that ``approved`` means: True for all, or a list of numbers."""
    numbers = approved if isinstance(approved, (list, tuple)) else ()
    return [call for call in recording.paused_calls if approved is True or call["number"] in numbers]


def waits(end: Mapping[str, Any]) -> bool:
    """Return True if the last event of a recording says that the run paused, and its calls can still be approved."""
    if end.get("event") != "end" or (end.get("error") or {}).get("type") != Paused.__name__:
        return False
    return time.time() - datetime.fromisoformat(end["time"]).timestamp() < APPROVAL_DAYS * DAY


def waiting_in(end: Mapping[str, Any]) -> int:
    """Return how many calls still wait for an approval, of a run whose recording has this last event."""
    return len(end["error"]["fields"]["calls"]) if waits(end) else 0


def checked_tenant(name: str) -> str:
    """Return ``name`` unchanged if it is a valid name for a tenant; raise ConfigError if ``name`` is not valid."""
    if not TENANT.fullmatch(name):
        raise ConfigError(f"{name[:40]!r} cannot be the name of a tenant", hint="use letters, digits, - and _")
    return name


def missing(run: str) -> ConfigError:
    """Return the error for a run that has no recording."""
    hint = "the answer that reports a paused script contains the id of its run"
    return ConfigError(f"There is no recorded run {run[:40]!r}", hint=hint)
