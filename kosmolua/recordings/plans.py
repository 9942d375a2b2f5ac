"""Plans: the writes that a script would make, noted instead of sent, and all that it learned until then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kosmolua import __version__
from kosmolua.calls.titles import made_by, title_of
from kosmolua.errors import ConfigError
from kosmolua.escaping import exposed
from kosmolua.folders import is_special, read_within, replace_file
from kosmolua.limits import MIB
from kosmolua.protocol import to_bytes
from kosmolua.recordings.events import plan_fault
from kosmolua.recordings.outlines import Line, PlannedCall, kind_of, literal, markdown, outline
from kosmolua.recordings.sheets import held_file
from kosmolua.recordings.signing import SIGNATURE

if TYPE_CHECKING:
    from kosmolua.recordings.signing import Signer

FORMAT = 3
MAX_PLAN = 1024 * MIB
"""The most bytes of a plan's file."""
PLAN = "plan"
"""What the signature of a plan is bound to, so that it is not that of a line of a recording."""
PLANNED = "the plan"
"""The journal's words for what allowed a call that is in a plan."""


def new_id() -> str:
    """Return an id for a plan: ``p-`` and eight hexadecimal digits."""
    return f"p-{os.urandom(4).hex()}"


@dataclass
class Plan:
    """A plan: the writes that a script would make.

    Args:
        script: The script: ``name``, ``sha256`` and ``source``.
        run: How the script was run: ``mode``, ``host``, ``args``, ``input``, ``params``, ``account``, ``client``,
            ``title``, ``software`` and ``person``, see :mod:`kosmolua.recordings.recording`, and its options
            ``read_only``, ``deny`` and ``check``.
        calls: The writes that the script would make, and the reads that depend on them.
        decisions: The places where the script reads a field of a planned call's result, or what the call changes. Each
            has the ``line`` of the script, the ``number`` and ``path`` of the call, and the field's name, or the read,
            as ``key``. What the script does after such a place can depend on the real result, and so differ from the
            plan.
        time: The time when the plan was made.
        seed: The seed of the script's random numbers.
        clocks: The readings of each clock that the script asked for, in order.
        reads: The reads that were made, each with ``number``, ``path``, ``account``, the arguments as ``given``, and
            the ``digest`` of its answer.
        order: The order in which the branches of ``parallel`` got their answers, as digests of the requests.
        assumptions: What the script found as if a planned call had been done: ``line``, the ``number`` and ``path`` of
            the call, the field as ``key``, and its ``value``.
        refused: The calls that a run would refuse, each with ``number``, ``line``, ``path`` and ``message``; also the
            error that ended the script, as number 0. Such a plan cannot be applied.
        accounts: What identifies each account that the plan's calls and reads use, as a recording has it.
        open_at: The line at which planning ended, since the script waits there for what a plan cannot know; 0 if the
            line is not known, None if the script came to its end.
        id: ``p-`` and eight hexadecimal digits.
        lost: For the plan of an undo, a sentence for each write of the run that cannot be undone.
        applied: The ``time`` when the plan was applied, ``without`` which of its calls, and the ``recording`` of the
            run that applied it: its file, or the run's id in the store, or None; None if it has not been applied.
        signature: Shows that the plan was written with the key of a store, see :mod:`kosmolua.recordings.signing`.
        kosmolua: The version that made the plan.
        path: The regular file that the plan was saved to or loaded from, or None.
    """

    script: dict[str, Any]
    run: dict[str, Any]
    calls: list[PlannedCall]
    decisions: list[dict[str, Any]]
    time: str
    seed: str = field(default_factory=lambda: os.urandom(16).hex())
    clocks: dict[str, list[float]] = field(default_factory=dict)
    reads: list[dict[str, Any]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    assumptions: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    accounts: list[dict[str, Any]] = field(default_factory=list)
    open_at: int | None = None
    id: str = field(default_factory=new_id)
    lost: list[str] = field(default_factory=list)
    applied: dict[str, Any] | None = None
    signature: str | None = None
    kosmolua: str = __version__
    path: str | None = field(default=None, repr=False, compare=False)

    kept: bytes | None = field(default=None, repr=False, compare=False)
    """The plan as the store had it when :class:`kosmolua.recordings.kept_plans.KeptPlans` read it; None if it had none.
    """
    outcome: Any = field(default=None, repr=False, compare=False)
    """The outcome of the script when the plan was made; None for a plan that was loaded from a file."""

    @property
    def title(self) -> str:
        """What people recognise the plan by: the title that its client gave, or that of its script."""
        script = self.script["name"].removeprefix("=")
        return title_of(to_bytes(self.script["source"]), script, self.run.get("title")) or script

    @property
    def made_by(self) -> str:
        """The client and the person that made the plan, as far as they are known."""
        return made_by(self.run.get("software"), self.run["client"], self.run.get("person"))

    @property
    def is_open(self) -> bool:
        """True if the script goes on after the end of the plan, where each write is asked about."""
        return self.open_at is not None

    @property
    def status(self) -> str:
        """``planned``, ``open``, ``refused`` or ``applied``."""
        return "applied" if self.applied else "refused" if self.refused else "open" if self.is_open else "planned"

    @property
    def writes(self) -> list[PlannedCall]:
        """The calls that write or destroy."""
        return [call for call in self.calls if call.effect != "read"]

    @property
    def changes(self) -> bool:
        """True if the plan has something to apply: a call that changes something, or an end that is open."""
        return self.is_open or any(kind_of(call) != "same" for call in self.writes)

    def outline(self) -> list[Line]:
        """Return what the plan would do as lines for people, at most 60; the last counts the writes of each kind."""
        faults = [f"{_where(each)}{each['message']}" for each in self.refused]
        if self.is_open:
            faults.append(f"planning ended in line {self.open_at}: each write from there on is asked about")
        flows = [f"call {each.number}: {said}" for each in self.calls for said in (*each.flows, each.why) if said]
        return outline(self.calls, [*faults, *self.lost, *flows], [*self._assumed(), *self._decided()])

    def markdown(self) -> str:
        """Return the outline as Markdown, for instance for a comment on a pull request."""
        name = exposed(self.script["name"].removeprefix("=")).replace("`", "'")
        applies = f"`kosmolua apply {self.id}` makes these writes of `{name}`."
        return markdown(self.outline(), applies if self.changes else f"`{name}` changes nothing.")

    def _assumed(self) -> Iterator[str]:
        for each in self.assumptions:
            said = f"{each['key']} were {literal(each['value'])} after call {each['number']}"
            yield f"line {each['line']} goes on as if {said}"

    def _decided(self) -> Iterator[str]:
        """Yield a sentence for each planned call whose result, which does not exist yet, the script looks at."""
        of_calls: dict[int, list[dict[str, Any]]] = {}
        for each in self.decisions:
            of_calls.setdefault(each["number"], []).append(each)
        for number, seen in of_calls.items():
            keys = ", ".join(dict.fromkeys(str(each["key"]) for each in seen))
            what = f"the result of {seen[0]['path']} (call {number}): {keys}"
            yield f"from line {seen[0]['line']} on it depends on {what}"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        fields = {name: value for name, value in vars(self).items() if name not in _OF_OBJECT}
        return {"format": FORMAT, **fields, "calls": [vars(call) for call in self.calls]}

    def to_bytes(self) -> bytes:
        """Return the plan as indented JSON, as it is in a file."""
        return (json.dumps(self.to_json(), ensure_ascii=False, indent=2) + "\n").encode("utf-8", "surrogatepass")

    def sign(self, signer: Signer) -> None:
        """Sign the plan as it is now."""
        self.signature = signer.signed(self.to_json(), PLAN).get(SIGNATURE)

    def was_made_here(self, signer: Signer) -> bool:
        """Return True if the plan is as it was signed with the key of this store."""
        return signer.has_signed(self.to_json(), PLAN)

    @contextmanager
    def held(self) -> Iterator[None]:
        """In the ``with`` block, keep other processes from applying the plan's file, whose mark is read again.

        Raises:
            ConfigError: The file cannot be written, has changed, or another process is about to apply it.
        """
        if self.path is None:
            yield
            return
        with held_file(self.path, f"The plan {self.path}"):
            now = type(self).load(self.path)
            if now._content != self._content:
                raise ConfigError(f"The plan {self.path} has changed since it was read", hint="try again")
            self.applied, self.signature = now.applied, now.signature
            yield

    @property
    def _content(self) -> str:
        return json.dumps({**self.to_json(), "applied": None, "signature": None}, sort_keys=True)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file as indented JSON, readable by its owner only.

        Raises:
            ConfigError: The file cannot be written.
        """
        try:
            replace_file(os.fspath(path), self.to_bytes())
        except OSError as error:
            raise ConfigError(f"The plan cannot be written to {os.fspath(path)}: {error.strerror}") from None
        self.path = os.path.abspath(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan from a file, and return it.

        Raises:
            ConfigError: The file cannot be read, is not a plan, or has a different version of the format.
        """
        name = os.fspath(path)
        try:
            data = read_within(name, MAX_PLAN, b"{")
        except OSError as error:
            raise ConfigError(f"The plan {name} cannot be read: {error.strerror}") from None
        plan = cls.parse(data, name)
        path = os.path.abspath(name)
        plan.path = None if is_special(name) or path.startswith(_STREAMS) else path  # these cannot be read again
        return plan

    @classmethod
    def parse(cls, data: bytes, name: str) -> Plan:
        """Return the plan that :meth:`to_bytes` returned as ``data``; ``name`` is for messages.

        Raises:
            ConfigError: It is not a plan, or has a different version of the format.
        """
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or "format" not in found:
            raise ConfigError(f"{name} is not a plan", hint="kosmolua run --plan=FILE makes one")
        if found["format"] != FORMAT:
            what = f"The plan {name} has a different format: it was made by kosmolua {found.get('kosmolua')}"
            raise ConfigError(what, hint="make a new plan")
        if fault := plan_fault(found):
            raise ConfigError(f"The plan {name} is not valid: {fault}", hint="make a new plan")
        calls = [PlannedCall(**{key: call[key] for key in _CALL_FIELDS}) for call in found["calls"]]
        fields = {key: found[key] for key in cls.__dataclass_fields__ if key not in _OF_OBJECT}
        return cls(**{**fields, "calls": calls})


_STREAMS = "/dev/stdin", "/dev/fd/", "/proc/"
"""Where a process finds what it has open. It may be a file, but something else as soon as that was read."""
_OF_OBJECT = ("outcome", "path", "kept")
"""The attributes of a plan that its file does not have."""
_CALL_FIELDS = tuple(PlannedCall.__dataclass_fields__)


def _where(refused: dict[str, Any]) -> str:
    return f"refused: call {refused['number']} in line {refused['line']}: " if refused["number"] else "refused: "
