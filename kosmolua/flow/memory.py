"""What a session has seen: which values are trusted, and the texts that somebody else wrote.

Of a trusted value only a digest is kept. Of the other texts the words are, since a value must also be found inside one:
one text of bytes for each answer, with the place of each of its leaves before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.flow.labels import (
    OWN,
    SHARED,
    LabelRules,
    compared,
    hosts_of,
    is_destination,
    leaves,
    noun_of,
    places,
    said_by,
    scope_of,
)
from kosmolua.flow.texts import (
    MIN_SPELLED,
    MIN_SQUEEZED,
    core,
    is_joined,
    is_path,
    is_telling,
    parents,
    parts,
    plain,
    readings,
    revealed,
    settings,
    spellings,
    squeezed,
    whole,
)
from kosmolua.limits import MIB
from kosmolua.schema.labels import Labels

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Target

MAX_LEAVES = 100_000
MAX_SEEN = 3 * MIB
"""How many bytes of texts by somebody else, and as many of private ones, are kept."""
SMALL = 64 * 1024
"""Of shorter texts, only each sixteenth is the reason to see whether too much is kept."""
MAX_PENDING = 1 * MIB
"""How many characters of answers may wait until a write needs to know what they contain."""
MAX_OWN = 6 * MIB
"""How many may wait while all that was read is the account's own, so that nothing needs to be known."""
MIN_PRIVATE = 8
"""The shortest private text that is looked for in what leaves."""
MIN_PIECE = 16
"""The shortest piece of a private text that is looked for, and the shortest text that is without its punctuation."""
EVERYWHERE = ""
_MARKS = re.compile("[\0-\3]")
_LEAF, _FIELD, _TEXT = b"\1", b"\2", b"\3"
_MARK_OF_TASK = _LEAF + _FIELD + _FIELD + _TEXT


class NotedAnswer(NamedTuple):
    """An answer of a service, as the session's memory needs it.

    Args:
        number: The call's number in its run.
        target: The function, and the account.
        given: The arguments, which an answer may only repeat.
        text: The answer as JSON.
        run: How many scripts the session had begun before.
        literals: Returns the literals of the script that made the call, as they are compared.
    """

    number: int
    target: Target
    given: Mapping[str, object]
    text: str
    run: int
    literals: Callable[[], Collection[str]] = frozenset


class Provenance(NamedTuple):
    """Where a value comes from."""

    number: int
    path: str
    origin: str
    item: str
    field: str
    is_earlier: bool

    def __str__(self) -> str:
        call = f"call {self.number}" if self.number else "a recorded call"
        call += " of an earlier script" if self.is_earlier else ""
        where = f"the {self.field} of {noun_of(self.path)}" if self.field else f"a result of {self.path}"
        named = f"{where} {self.item}" if self.item and self.field else where
        return f"{named} ({call}, {self.origin})"


class _Seen(NamedTuple):
    """The leaves of one answer that have a property, each after its place."""

    number: int
    path: str
    run: int
    data: bytes

    def search(self, needle: bytes, *, is_word: bool) -> tuple[str, str, str] | None:
        """Return origin, record and field of the leaf in which a text stands, or None."""
        at = self.data.find(needle)
        while at >= 0:
            is_inside = _is_letter(needle, 0) and _is_letter(self.data, at - 1)
            if not is_word or not (is_inside or _is_letter(self.data, at + len(needle))):
                return self._place(at)
            at = self.data.find(needle, at + 1)
        return None

    def _place(self, at: int) -> tuple[str, str, str]:
        begin = self.data.rfind(_LEAF, 0, at)
        origin, item, field = self.data[begin + 1 : self.data.find(_TEXT, begin)].decode().split("\2")
        return origin, item, field

    def texts(self) -> Iterator[tuple[bytes, tuple[str, str, str]]]:
        """Yield each leaf with its place."""
        for entry in self.data.split(_LEAF)[1:]:
            head, _, text = entry.partition(_TEXT)
            origin, item, field = head.decode().split("\2")
            yield text, (origin, item, field)


@dataclass(eq=False)
class SessionMemory:
    """What one session has seen. Any number of threads may use it.

    A session is that of one client of a server, or one run of the command line. ``held`` is what the first question
    about a destination said, and ``tools`` keeps the shapes of the tools of MCP servers that were called. Guarded by
    ``lock``, ``runs`` counts the scripts that the session has begun, ``pending`` are the answers that nobody has looked
    into yet, ``size`` counts their characters, and ``most`` is how many of these may wait.
    """

    held: str = ""
    tools: dict[str, dict[str, str]] = field(default_factory=dict)
    lock: Any = field(default_factory=RLock)
    runs: int = 0
    pending: list[NotedAnswer] = field(default_factory=list)
    size: int = 0
    most: int = MAX_PENDING
    # Guarded by the lock, too.
    _trusted: dict[int, str] = field(default_factory=dict)
    _tainted: set[int] = field(default_factory=set)
    _seen: list[_Seen] = field(default_factory=list)
    _private: list[_Seen] = field(default_factory=list)
    _led: set[str] = field(default_factory=set)
    _forgot_run: int = -1
    _task: bytes = b""

    def is_own(self, rules: LabelRules) -> bool:
        """Return True if everything that the session has read is the account's own."""
        with self.lock:
            return not self._seen and all(rules.of(answer.target).origin == OWN for answer in self.pending)

    def relieve(self, rules: LabelRules) -> None:
        """Make room for answers: find out what they contain, unless all are the account's own and few enough."""
        with self.lock:
            if self.size < MAX_OWN and self.is_own(rules):
                self.most = MAX_OWN
                return
            self.settle(rules)
            self.most = MAX_PENDING

    def settle(self, rules: LabelRules) -> None:
        """Find out what the answers that wait contain. ``rules`` are the labels of all functions."""
        with self.lock:
            pending, self.pending, self.size = self.pending, [], 0
            for answer in pending:
                self._take(answer, rules.of(answer.target))

    def has_read(self, before: int | None = None) -> Provenance | None:
        """Return where the session, or its scripts before one, first saw a text that somebody else wrote."""
        with self.lock:
            seen = next((each for each in self._seen if before is None or each.run < before), None)
            return self._source(seen, ("", "", ""), before) if seen else None

    def has_forgotten(self, before: int) -> bool:
        """Return True if texts that scripts before one had read are no longer kept."""
        return 0 <= self._forgot_run < before

    def is_trusted(self, value: str, scope: str) -> bool:
        """Return True if a value, as it is compared, is one that only the account's people or the service write."""
        with self.lock:
            return self._trusted.get(hash(value)) in (EVERYWHERE, scope)

    def trust(self, values: Iterable[str], scope: str = EVERYWHERE) -> None:
        """Trust values, except those that the session wrote from a text of others; if these are too many, none."""
        with self.lock:
            for value in values if len(self._tainted) < MAX_LEAVES else ():
                digest = hash(value)
                if digest not in self._tainted and self._trusted.get(digest) != EVERYWHERE:
                    self._trusted[digest] = scope
            while len(self._trusted) > MAX_LEAVES:
                del self._trusted[next(iter(self._trusted))]

    def taint(self, text: str) -> None:
        """Note that the session writes a text that is not its own, which stays so when it is read back."""
        with self.lock:
            for each in (text, *readings(text)) if len(self._tainted) < MAX_LEAVES else ():
                self._tainted.update(map(hash, {core(each), *parts(each), *settings(each)}))

    def assign(self, task: str) -> None:
        """Trust the literals of scripts that stand in a person's own words."""
        self._task = plain(task).encode("utf-8", "surrogatepass")

    def is_assigned(self, value: str) -> bool:
        """Return True if a value, as it is compared, stands in the person's own words."""
        task = _Seen(0, "", 0, _MARK_OF_TASK + self._task)
        return task.search(_bytes(value), is_word=True) is not None

    def source(self, text: str, scope: str, *, before: int | None = None) -> tuple[str, Provenance] | None:
        """Return which part of a value comes from somebody else's text, and where from; or None.

        Args:
            text: The value.
            scope: Integration and account of the call that gets it.
            before: Look only at what scripts before this one have read; None for all.
        """
        with self.lock:
            value = core(text)
            seen = [each for each in self._seen if before is None or each.run < before]
            others = sorted((each for each in parts(text) - {value} if not self.is_trusted(each, scope)), key=len)
            for part in (value, *reversed(others)):
                if (part == value or is_telling(part)) and (found := self._search(seen, [part], before, is_word=True)):
                    return part, found
            for parent in {each for part in (value, *others) for each in parents(part)}:
                if not self.is_trusted(parent, scope):
                    needles = [f"{mark}{parent}" for mark in "@/ \3"]
                    if found := self._search(seen, needles, before, is_word=True):
                        return parent, found
            hidden = [each for each in spellings(text) if len(each) >= MIN_SPELLED]
            if found := self._search(seen, hidden, before, is_word=False):
                return value, found
            return self._scattered(value, scope, seen, before)

    def _scattered(
        self, value: str, scope: str, seen: Sequence[_Seen], before: int | None
    ) -> tuple[str, Provenance] | None:
        """Look for a value without regard to punctuation, and for the pieces of an address."""
        bare = squeezed(_bytes(value))
        if len(bare) >= MIN_SQUEEZED and not is_path(value):
            for each in seen:
                if bare in squeezed(each.data):
                    return value, self._source(each, (_origin(each), "", ""), before)
        _, is_mail, host = value.partition("@")
        if seen and is_mail and not self.is_trusted(host, scope) and is_joined(value, [each.data for each in seen]):
            return value, self._source(seen[-1], (_origin(seen[-1]), "", ""), before)
        return None

    def private_in(self, text: str) -> Provenance | None:
        """Return where a private text that occurs in this one comes from, or None."""
        data = _bytes(plain(text))
        bare = squeezed(data)
        with self.lock:
            for seen in self._private:
                for each, place in seen.texts():
                    if len(each) >= MIN_PRIVATE and (each in data or _is_cut_out(each, data, bare)):
                        return self._source(seen, place, None)
        return None

    def _search(
        self, seen: Iterable[_Seen], needles: Iterable[str], before: int | None, *, is_word: bool
    ) -> Provenance | None:
        sought = [_bytes(needle) for needle in needles]
        for each in seen:
            for needle in sought:
                if place := each.search(needle, is_word=is_word):
                    return self._source(each, place, before)
        return None

    def _source(self, seen: _Seen, place: tuple[str, str, str], before: int | None) -> Provenance:
        (said, item, key), current = place, self.runs - 1 if before is None else before
        return Provenance(seen.number, seen.path, said or _origin(seen), item, key, seen.run < current)

    def _is_led(self, answer: NotedAnswer, labels: Labels, scope: str) -> bool:
        """Return True if somebody else's text said what was asked for, such as a repository, which can be theirs."""
        for keys, value in places(answer.given) if self._seen else ():
            text = compared(value)
            is_place = is_destination(answer.target.function, labels, keys) and is_telling(value)
            if not is_place or self.is_trusted(text, scope):
                continue
            if text in self._led or self.source(str(value), scope):
                if len(self._led) < MAX_LEAVES:
                    self._led.add(text)
                return True
        return False

    def _clear(self, written: Iterable[str], scope: str, run: int) -> None:
        """Trust the literals that a script passed to a call, and that nothing had which earlier scripts had read."""
        if self.has_read(run) is None or self.has_forgotten(run):
            return
        for value in written:
            if not self.is_trusted(value, scope) and not any(
                self.source(each, scope, before=run) for each in (value, *readings(value))
            ):
                self.trust([value, *parts(value)])

    def _take(self, answer: NotedAnswer, labels: Labels) -> None:
        others, private = bytearray(), bytearray()
        own: list[str] = []
        made: list[str] = []
        seen: set[tuple[object, ...]] = set()
        scope = scope_of(answer.target)
        given = {compared(value) for _, value in places(answer.given) if is_telling(value)}
        self._clear(given.intersection(answer.literals()), scope, answer.run)
        is_led = self._is_led(answer, labels, scope)
        echoed = [value for value in given if not self.is_trusted(value, scope)]
        for leaf in leaves(json.loads(answer.text), labels, hosts_of(answer.target)):
            known = leaf.value, leaf.origin, leaf.is_made, leaf.is_private
            if known in seen:
                continue
            seen.add(known)
            text = str(whole(leaf.value))
            value = core(text)
            if not is_telling(leaf.value, value):
                continue
            if leaf.is_made or (leaf.origin == OWN and not is_led):
                if value not in given and not (echoed and any(each in value for each in echoed)):
                    (made if leaf.is_made else own).append(value)
                    own += () if leaf.is_made else parts(text)
            else:
                origin = SHARED if leaf.origin == OWN else leaf.origin
                others += _entry(origin, leaf.item, leaf.key, text)
                for each in revealed(text):
                    others += _entry(origin, leaf.item, leaf.key, each)
            if leaf.is_private and not (leaf.is_made and (isinstance(leaf.value, str) or said_by(leaf.key)[0])):
                for line in text.splitlines():
                    private += _entry(leaf.origin, leaf.item, leaf.key, line.strip())
        self.trust(made, scope)
        self.trust(own)
        place = answer.number, answer.target.path, answer.run
        for kept, data in ((self._seen, others), (self._private, private)):
            if data and (lost := _keep(kept, _Seen(*place, bytes(data[:MAX_SEEN])), is_cut=len(data) > MAX_SEEN)):
                self._forgot_run = max(self._forgot_run, lost.run)


def _is_cut_out(private: bytes, data: bytes, bare: bytes) -> bool:
    """Return True if a text has a private one with other punctuation, or a long piece of it."""
    if len(private) < MIN_PIECE:
        return False
    starts = range(0, len(private) - MIN_PIECE + 1, 4)
    return squeezed(private) in bare or any(private[at : at + MIN_PIECE] in data for at in starts)


def _keep(kept: list[_Seen], new: _Seen, *, is_cut: bool) -> _Seen | None:
    """Keep texts, and return the newest of those of which something had to be dropped for them, or None."""
    lost = new if is_cut else None
    kept.append(new)
    while (is_cut or len(new.data) >= SMALL or len(kept) % 16 == 0) and sum(len(each.data) for each in kept) > MAX_SEEN:
        lost = lost or kept[0]
        del kept[0]
    return lost


def _entry(origin: str, item: str, key: str, text: str) -> bytes:
    head = "\2".join((origin, _MARKS.sub("", item), _MARKS.sub("", key)[:80]))
    return _LEAF + _bytes(head) + _TEXT + _bytes(_MARKS.sub(" ", plain(text)))


def _origin(seen: _Seen) -> str:
    return seen.data[1 : seen.data.find(_FIELD)].decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _is_letter(data: bytes, at: int) -> bool:
    return 0 <= at < len(data) and (data[at : at + 1].isalnum() or data[at] > 127 or data[at] == 95)
