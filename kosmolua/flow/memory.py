"""What a session has seen: which values are trusted, and the texts that somebody else wrote.

Of a trusted value only a digest is kept. Of the other texts the words are, since a value must also be found inside one:
one text of bytes for each answer, with the place of each of its leaves before it. Nobody looks into an answer before a
write has a destination that is not known: until then it waits as it came.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.concurrency import lazy
from kosmolua.escaping import in_line
from kosmolua.expressions import regex
from kosmolua.flow.labels import (
    MADE_IDS,
    OWN,
    PUBLIC,
    SHARED,
    FunctionLabels,
    LabelRules,
    hosts_of,
    leaves,
    noun_in,
    noun_of,
    places,
    said_by,
    scope_of,
    typed_in,
)
from kosmolua.flow.texts import (
    MIN_SPELLED,
    MIN_SQUEEZED,
    MIN_TEXT,
    core,
    exact,
    is_joined,
    is_path,
    is_telling,
    literals,
    longest,
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
from kosmolua.schema.names import SERVERS

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Target
    from kosmolua.schema.function import Function

MAX_LEAVES = 100_000
MAX_SEEN = 3 * MIB
"""How many bytes of texts by somebody else, and as many of private ones, are kept."""
SMALL = 64 * 1024
"""Of shorter texts, only each sixteenth is the reason to see whether too much is kept."""
MAX_PENDING = 6 * MIB
"""How many bytes of answers may wait until a write needs to know what they contain."""
MIN_PRIVATE = 8
"""The shortest private text that is looked for in what leaves."""
MIN_PIECE = 16
"""The shortest piece of a private text that is looked for, and the shortest text that is without its punctuation."""
MIN_WORD = 3
"""The shortest literal of which a script puts a destination together that stays its own."""
MAX_WRITTEN = 16 * 1024
"""How many characters are kept of what a session wrote piece by piece."""
MAX_NAMES = 10_000
"""How many names are kept by which listings name what they list."""
MAX_SENT = 1000
"""Of how many private texts the pieces are kept that were sent."""
EVERYWHERE = ""
_SIGILS = "@#~+"
"""What services write before a name: ``@ann``."""
_NAMING = frozenset(("name", "full_name", "slug", "key", "login", "handle", "username"))
"""The fields by which a service's own listing names what it lists."""
_PLACEHOLDER = regex(r"%-?[\d.]*[a-z]")
_MARKS = regex("[\0-\3]")
_LEAF, _FIELD, _TEXT = b"\1", b"\2", b"\3"
_UNDERSCORE = ord("_")
_MARK_OF_TASK = _LEAF + _FIELD + _FIELD + _TEXT


class NotedAnswer(NamedTuple):
    """An answer of a service, as the session's memory needs it.

    Args:
        number: The call's number in its run.
        target: The function, and the account.
        given: The arguments, which an answer may only repeat.
        data: The answer as JSON.
        rules: The labels of all functions.
        run: How many scripts the session had begun before.
        literals: Returns the literals of the script that made the call, as they are compared.
    """

    number: int
    target: Target
    given: Mapping[str, object]
    data: str
    rules: LabelRules
    run: int
    literals: Callable[[], Collection[str]] = frozenset

    def repeated(self) -> set[str]:
        """Return the arguments, as they are compared, which mean nothing where the answer has them."""
        forms = ((value, core(str(value))) for _, value in places(self.given))
        return {form for value, form in forms if is_telling(value, form)}


class NotedWrite(NamedTuple):
    """Texts that a call writes, and that are not the session's own unless they are trusted for its ``scope``.

    Those that are too short to be told apart are among them: in a row they can say more.
    """

    texts: Sequence[str]
    scope: str


class NotedText(NamedTuple):
    """A text that came to the client without a call, with the name of its page and the last script begun before."""

    text: str
    page: str
    run: int


class Provenance(NamedTuple):
    """Where a value comes from."""

    number: int
    path: str
    origin: str
    item: str
    field: str
    is_earlier: bool

    def __str__(self) -> str:
        if self.number < 0:
            return f"the page {self.path} ({self.origin})" if self.path != "input" else f"the input ({self.origin})"
        call = f"call {self.number}" if self.number else "a recorded call"
        call += " of an earlier script" if self.is_earlier else ""
        where = f"the {in_line(self.field)} of {noun_of(self.path)}" if self.field else f"a result of {self.path}"
        named = f"{where} {in_line(self.item)}" if self.item and self.field else where
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
            end = at + len(needle)
            if not is_word or not (_goes_on(needle[0], self.data, at - 1, -1) or _goes_on(needle[-1], self.data, end)):
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
    about a destination said, and ``tools`` keeps the tools of MCP servers as they were called. Guarded by ``lock``,
    ``runs`` counts the scripts that the session has begun, and ``version`` the answers looked into; ``pending`` is what
    waits until a write needs to know what it contains, and ``size`` counts the bytes of that.
    """

    held: str = ""
    tools: dict[str, Function] = field(default_factory=dict)
    lock: Any = field(default_factory=RLock)
    runs: int = 0
    version: int = 0
    pending: list[NotedAnswer | NotedWrite | NotedText] = field(default_factory=list)
    size: int = 0
    # Guarded by the lock, too. How much of what waits was glanced over, and how much looked through for ids; what its
    # writes may have of others.
    _glanced: int = 0
    _indexed: int = 0
    _doubted: set[str] = field(default_factory=set)
    _pending_run: float = inf
    _waits_private: bool = False
    _has_others: bool = False
    _trusted: dict[int, str] = field(default_factory=dict)
    _tainted: set[int] = field(default_factory=set)
    _pieces: str = ""
    _joined: str = ""
    _names: set[int] = field(default_factory=set)
    _seen: list[_Seen] = field(default_factory=list)
    _private: list[_Seen] = field(default_factory=list)
    _sent: dict[int, set[bytes]] = field(default_factory=dict)
    _led: set[str] = field(default_factory=set)
    _forgot_run: float = -inf
    _task: bytes = b""

    @lazy
    def id(self) -> str:
        """What tells this session from others."""
        return os.urandom(6).hex()

    @property
    def is_own(self) -> bool:
        """Whether everything that the session has read is the account's own."""
        self._glance()
        return not self._has_others

    def _glance(self) -> None:
        """Find out which labels the answers that wait have, and the first script of which one waits."""
        if self._glanced == len(self.pending):
            return
        with self.lock:
            for noted in self.pending[self._glanced :]:
                if isinstance(noted, NotedAnswer):
                    labels = noted.rules.of(noted.target).labels
                    self._pending_run = min(self._pending_run, noted.run)
                    self._has_others = self._has_others or labels.origin != OWN
                    self._waits_private = self._waits_private or bool(labels.private)
                elif isinstance(noted, NotedText):
                    self._pending_run, self._has_others = min(self._pending_run, noted.run), True
            self._glanced = len(self.pending)

    def note_text(self, text: str, page: str) -> None:
        """Keep a text by anybody that the client gets without a call.

        Such are the words of an MCP server in the documentation, and the result of a run of another session
        (``run:ID``), whose calls this session does not know: whatever of it is in a destination is asked about.
        ``page`` is where it stands, as questions name it.
        """
        with self.lock:
            self.pending.append(NotedText(text[:MAX_SEEN], page, self.runs - 1))
            if len(text) > MAX_SEEN:
                self._forgot_run = max(self._forgot_run, self.runs - 1)
            self.size += len(text)
            if self.size > MAX_PENDING:
                self.settle()

    def note_page(self, text: str, page: str, servers: Iterable[str], source: bytes = b"") -> None:
        """Keep what MCP servers say of themselves in a page, or in the hits of a search: each is two lines.

        What the page repeats of the script ``source`` is left out.
        """
        names, before, kept = [f"{SERVERS}.{name}" for name in servers], "", []
        for line in text.splitlines():
            if any(name in page or name in line or name in before for name in names):
                kept.append(line)
            before = line
        if kept:
            said = "\n".join(kept)
            for each in longest({*literals(source.decode("utf-8", "replace"))}) if source else ():
                said = said.replace(each, " ") if len(each) >= MIN_TEXT else said
            self.note_text(said, page)

    def note_write(self, texts: Sequence[str], scope: str) -> None:
        """Keep what a call writes, which stays somebody else's when it is read back, unless it turns out as trusted."""
        with self.lock:
            self.pending.append(NotedWrite(texts, scope))
            self.size += sum(map(len, texts))

    def waits_before(self, run: int) -> bool:
        """Return True if an answer waits that a script before this one got."""
        self._glance()
        return self._pending_run < run

    def settle(self) -> None:
        """Find out what waits contains."""
        if not self.pending:
            return
        with self.lock:
            pending, self.pending, self.size, self._glanced, self._indexed = self.pending, [], 0, 0, 0
            self._doubted, self._pending_run, self._waits_private = set(), inf, False
            for noted in _emptied(pending):
                if isinstance(noted, NotedAnswer):
                    self._take(noted, noted.rules.of(noted.target))
                elif isinstance(noted, NotedText):
                    entries = [_entry(PUBLIC, "", "", each) for each in (noted.text, *revealed(noted.text))]
                    self._see(self._seen, _Seen(-1, noted.page, noted.run, b"".join(entries)))
                elif self._seen:
                    said = [exact(_MARKS.sub(" ", text)) for text in noted.texts]
                    self._joined = (self._joined + "".join(said))[-MAX_WRITTEN:]
                    self._pieces = "\0".join([self._pieces, *said])[-2 * MAX_WRITTEN :]
                    for text in noted.texts:
                        if is_telling(text) and not self.is_trusted(core(text), noted.scope):
                            self.taint(text)
            self._has_others = bool(self._seen) or self._forgot_run > -inf

    def is_made(self, value: str, scope: str) -> bool:
        """Return True if a value is an id that a service made in an answer that waits; it is trusted from then on."""
        with self.lock:
            for noted in self.pending[self._indexed :]:
                if isinstance(noted, NotedWrite):
                    self._doubted.update(*map(_written, noted.texts))
                if not isinstance(noted, NotedAnswer):
                    continue
                place, known = scope_of(noted.target), noted.rules.of(noted.target)
                given = noted.repeated()
                echoed = {each for each in given if not self.is_trusted(each, place)}
                if any(f'"{name}":{{' in noted.data for name in typed_in(noted.target, noted.data)) or (
                    echoed
                    and any(
                        known.is_destination(keys) and core(str(said)) in echoed for keys, said in places(noted.given)
                    )
                ):
                    continue  # others may have named its keys, or said of what it is an answer
                ids = {core(found) for found in MADE_IDS.findall(noted.data)} - given - self._doubted
                self.trust((each for each in ids if not any(echo in each for echo in echoed)), place)
            self._indexed = len(self.pending)
            return self.is_trusted(value, scope)

    def has_read(self, before: int | None = None) -> Provenance | None:
        """Return where the session, or its scripts before one, first saw a text that somebody else wrote."""
        with self.lock:
            seen = next((each for each in self._seen if before is None or each.run < before), None)
            return self._source(seen, ("", "", ""), before) if seen else None

    def has_forgotten(self, before: int) -> bool:
        """Return True if texts that scripts before one had read are no longer kept."""
        return -inf < self._forgot_run < before

    def forget(self) -> None:
        """Judge the next script as one whose session had read texts by others that are not kept."""
        with self.lock:
            self._forgot_run, self._has_others = max(self._forgot_run, self.runs - 1), True

    def doubts(self, source: str) -> Iterator[str]:
        """Yield the addresses in a script's literals that come from somebody else's text, with where from."""
        self.settle()
        for each in dict.fromkeys(literals(source)):
            if self.is_trusted(core(each), EVERYWHERE) or self.is_assigned(core(each)):
                continue
            said = (text for text in (each, *readings(each)) if parts(text))
            if found := next(filter(None, (self.source(text, EVERYWHERE, before=self.runs) for text in said)), None):
                yield f"{found[0]} comes from {found[1]}"

    def is_trusted(self, value: str, scope: str) -> bool:
        """Return True if a value, as it is compared, is one that only the account's people or the service write."""
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
            if len(self._tainted) < MAX_LEAVES:
                self._tainted.update(map(hash, _written(text)))
                if "@" not in text and len(text.split()) == 1:
                    self._tainted.update(hash(f"//{host}") for host in parts(text))

    def assign(self, task: str) -> None:
        """Trust the literals of scripts that stand in a person's own words."""
        self._task = exact(task).encode("utf-8", "surrogatepass")

    def is_assigned(self, value: str) -> bool:
        """Return True if a value, as it is compared, stands in the person's own words."""
        task = _Seen(0, "", 0, _MARK_OF_TASK + self._task)
        return task.search(_bytes(value), is_word=True) is not None

    def foreign(self, text: str, scope: str) -> set[str]:
        """Return the addresses, URLs and hosts in a text that are not trusted; one that only looks so is not."""
        said = parts(text)
        hidden = set() if text.isascii() else parts(text, plain) - set(map(plain, said))
        return hidden.union(each for each in said if not self.is_trusted(each, scope))

    def source(self, text: str, scope: str, *, before: int | None = None) -> tuple[str, Provenance] | None:
        """Return which part of a value comes from somebody else's text, and where from; or None.

        ``scope`` is integration and account of the call that gets the value. With ``before``, only what scripts before
        that one have read counts.
        """
        with self.lock:
            seen = [each for each in self._seen if before is None or each.run < before]
            if not seen:
                return None
            value, said = core(plain(text)), exact(text)
            others = longest({plain(each) for each in self.foreign(text, scope)} - {value})
            for part in (value, *others):
                if (part == value or is_telling(part)) and (found := self._search(seen, [part], before, is_word=True)):
                    return part, found
            for parent in longest({each for part in (value, *others) for each in parents(part)}):
                if parent not in said or not self.is_trusted(parent, scope):
                    needles = [f"{mark}{parent}" for mark in "@/ \3"]
                    if found := self._search(seen, needles, before, is_word=True):
                        return parent, found
            hidden = [each for each in longest(spellings(text)) if len(each) >= MIN_SPELLED]
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

    @property
    def has_private(self) -> bool:
        """Whether the session has read something private."""
        with self.lock:
            self._glance()
            if self._waits_private:
                self.settle()
            return bool(self._private)

    def private_in(self, text: str, *, is_whole: bool) -> Provenance | None:
        """Return where a private text that occurs in this one comes from, or None.

        ``is_whole``: the text is all that an argument says, so that it can be one of several pieces of a private text.
        """
        data = _bytes(plain(text))
        bare = squeezed(data)
        with self.lock:
            for seen in self._private:
                for each, place in seen.texts():
                    if len(each) >= MIN_PRIVATE and (each in data or _is_cut_out(each, data, bare)):
                        return self._source(seen, place, None)
                    if is_whole and len(data) >= MIN_TEXT and data in each and self._is_sent(each, data):
                        return self._source(seen, place, None)
        return None

    def _is_sent(self, private: bytes, piece: bytes) -> bool:
        """Return True if the pieces of a private text that were sent, with this one, are as long as a long piece."""
        sent = self._sent.setdefault(hash(private), set())
        if sum(map(len, sent)) < MIN_PIECE:
            sent.add(piece)
        if len(self._sent) > MAX_SENT:
            del self._sent[next(iter(self._sent))]
        return len(sent) > 1 and sum(map(len, sent)) >= MIN_PIECE

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

    def _leading(self, answer: NotedAnswer, known: FunctionLabels, scope: str) -> Iterator[tuple[str, str]]:
        """Yield the arguments with which somebody else's text said what was asked for: what it names can be theirs."""
        said = answer.literals() if self._seen else ()
        for keys, value in places(answer.given) if self._seen else ():
            text = core(str(value))
            is_place = known.is_destination(keys) and is_telling(value, text)
            if not is_place or self.is_trusted(text, scope):
                continue
            is_put_together = bool(said) and text not in said and hash(text) not in self._trusted
            if (
                text in self._led
                or (is_put_together and not self._is_of_literals(text, said, scope, answer.run))
                or self.source(str(value), scope)
            ):
                if len(self._led) < MAX_LEAVES:
                    self._led.add(text)
                yield keys[-1], text

    def _is_of_literals(self, text: str, said: Collection[str], scope: str, run: int) -> bool:
        """Return True if a script put a text together of its own literals, trusted values and a small number only."""
        rest = text
        for each in longest(
            {part for one in said for part in _PLACEHOLDER.split(one) if len(part) >= MIN_WORD and part in text}
        ):
            if each in rest and (self.is_trusted(each, scope) or not self.source(each, scope, before=run)):
                rest = rest.replace(each, " ")
        others = [word for word in re.findall(r"\w+", rest) if not self.is_trusted(word, scope)]
        return not others or (len(others) == 1 and others[0].isdecimal() and len(others[0]) < MIN_TEXT)

    def _is_read_back(self, form: str) -> bool:
        """Return True if an answer has what the session wrote from a text of others, in other words or joined."""
        if not self._tainted and not self._pieces:
            return False
        found = parts(form)
        said = (part if "@" in part or "/" in part else f"//{part}" for part in found)
        return any(hash(each) in self._tainted for each in (form, form.lstrip(_SIGILS), *said)) or any(
            len(each) >= MIN_SPELLED and self._joined.count(each) > self._pieces.count(each) for each in (form, *found)
        )

    def _clear(self, written: Iterable[str], scope: str, run: int) -> None:
        """Trust the literals that a script passed to a call, and that nothing had which earlier scripts had read."""
        if self.has_read(run) is None or self.has_forgotten(run):
            return
        for value in written:
            if not self.is_trusted(value, scope) and not any(
                self.source(each, scope, before=run) for each in (value, *readings(value))
            ):
                self.trust([value, *parts(value)])

    def _take(self, answer: NotedAnswer, known: FunctionLabels) -> None:
        others, private = bytearray(), bytearray()
        own: list[str] = []
        made: list[str] = []
        seen: set[tuple[object, ...]] = set()
        scope, given = scope_of(answer.target), answer.repeated()
        self._clear(given.intersection(answer.literals()), scope, answer.run)
        led = [*self._leading(answer, known, scope)]
        are_listed = all(hash((scope, noun_in(key), text)) in self._names for key, text in led)
        noun = noun_of(answer.target.path)
        echoed = self._echoed(answer, scope)
        typed = typed_in(answer.target, answer.data)
        for leaf in leaves(json.loads(answer.data), known.labels, hosts_of(answer.target), typed):
            value, key, item, origin, is_private, is_made = leaf
            if (value, origin, is_made, is_private) in seen:
                continue
            seen.add((value, origin, is_made, is_private))
            text = str(whole(value))
            form = core(text)
            if not is_telling(value, form):
                continue
            is_own = ((origin == OWN and not led) or (is_made and are_listed)) and not self._is_read_back(form)
            is_name = key in _NAMING and not led and len(self._names) < MAX_NAMES
            is_echo = (is_own or is_name) and (
                form in given or any(each in form or (form in each and not is_made) for each in echoed)
            )
            if is_name and not is_echo and not parts(form):
                self._names.add(hash((scope, noun, form)))
            if is_own:
                if not is_echo:
                    (made if is_made else own).append(form)
                    own += () if is_made else parts(text)
            else:
                origin = SHARED if origin == OWN else origin
                others += _entry(origin, item, key, text)
                for each in revealed(text):
                    others += _entry(origin, item, key, each)
            if is_private and not (is_made and (isinstance(value, str) or said_by(key)[0])):
                for line in text.splitlines():
                    private += _entry(leaf.origin, item, key, line.strip())
        self.trust(made, scope)
        self.trust(own)
        self.version += 1
        place = answer.number, answer.target.path, answer.run
        for kept, data in ((self._seen, others), (self._private, private)):
            self._see(kept, _Seen(*place, bytes(data)))

    def _echoed(self, answer: NotedAnswer, scope: str) -> set[str]:
        """Return the arguments that are not trusted, also decoded: an answer that has one, or a part, repeats it."""
        said = [str(value) for _, value in places(answer.given)]
        others = [text for text in said if not (is_telling(text) and self.is_trusted(core(text), scope))]
        return {
            form
            for text in (*others, "".join(others))
            for form in (core(text), *map(core, readings(text)))
            if is_telling(form)
        }

    def _see(self, kept: list[_Seen], new: _Seen) -> None:
        """Keep texts, of which as many are dropped as are too many."""
        is_cut = len(new.data) > MAX_SEEN
        if new.data and (lost := _keep(kept, new._replace(data=new.data[:MAX_SEEN]), is_cut=is_cut)):
            self._forgot_run = max(self._forgot_run, lost.run)


def _emptied(
    pending: list[NotedAnswer | NotedWrite | NotedText],
) -> Iterator[NotedAnswer | NotedWrite | NotedText]:
    """Yield what waited, and let go of each, since what it contains takes as much memory."""
    pending.reverse()
    while pending:
        yield pending.pop()


def _written(text: str) -> set[str]:
    """Return what stays somebody else's if a text is written that is theirs."""
    said = (text, *readings(text))
    found = {form for each in said for form in (core(each), *parts(each), *settings(each))}
    return found | {form.partition("@")[0] for form in found if "@" in form}


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
    head, said = f"{origin}\2{_MARKS.sub('', item)}\2{_MARKS.sub('', key)[:80]}", _MARKS.sub(" ", plain(text))
    return _bytes(f"\1{head}\3{said}")


def _origin(seen: _Seen) -> str:
    return seen.data[1 : seen.data.find(_FIELD)].decode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _goes_on(letter: int, data: bytes, at: int, step: int = 1) -> bool:
    """Return True if a word with this letter at its edge goes on in the data; underscores may be emphasis."""
    while 0 <= at < len(data) and data[at] == _UNDERSCORE:
        at += step
    if not 0 <= at < len(data):
        return False
    if letter > 127 or data[at] > 127:  # scripts are written without blanks between them: "请加mallory"
        return letter > 127 and data[at] > 127
    return data[at : at + 1].isalnum() and (letter == _UNDERSCORE or bytes((letter,)).isalnum())
