"""The verdicts about the calls of one run: which destination somebody else's text decided, and what private leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from sys import getsizeof
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.escaping import exposed, in_line, shortened
from kosmolua.flow.labels import OWN, LabelRules, places, scope_of
from kosmolua.flow.memory import MAX_PENDING, NotedAnswer, SessionMemory
from kosmolua.flow.texts import (
    MIN_TEXT,
    assigned,
    core,
    is_address,
    is_telling,
    leaves,
    literals,
    longest,
    names_host,
    parts,
    plain,
    readings,
    revealed,
    settings,
    words,
)
from kosmolua.schema.effects import is_final
from kosmolua.schema.names import SERVERS
from kosmolua.schema.types import Choice
from kosmolua.secret import MASK, SecretText

if TYPE_CHECKING:
    from kosmolua.accounts.accounts import Accounts
    from kosmolua.catalog.catalog import Target
    from kosmolua.schema.function import Function

MAX_SHOWN = 60


class Verdict(NamedTuple):
    """Why a person should decide about a call, in one sentence.

    ``is_secret`` is True if a secret goes to another function than it is for. A person is asked about that in the mode
    ``note``, too.
    """

    text: str
    is_secret: bool = False


class _Given(NamedTuple):
    """A text or number of the arguments, with the keys under which it stands, and in the form that is compared."""

    keys: tuple[str, ...]
    value: Any
    form: str
    is_end: bool

    @property
    def text(self) -> str:
        return str(self.value)

    @property
    def place(self) -> str:
        return in_line(".".join(self.keys))

    def saying(self, text: str) -> _Given:
        return self._replace(value=text, form=core(text))

    def __str__(self) -> str:
        said = _shown(self.text)
        return f"{self.place} = {said if said.isascii() or not is_address(self.text) else ascii(said)[1:-1]}"


class Judge:
    """Says of the calls of one run where their destinations come from. Any number of threads may use it.

    The accounts know what each secret is for. ``seen`` is what the session has seen, None if the run is one of its own;
    ``given`` was passed to the script, and counts as its literals. ``heard`` is the id of the session that had read
    texts by others before the script was written, if it had.
    """

    def __init__(
        self,
        labels: LabelRules,
        accounts: Accounts,
        seen: SessionMemory | None = None,
        source: bytes | None = None,
        given: Sequence[object] = (),
        heard: str = "",
    ) -> None:
        self._labels = labels
        self._accounts = accounts
        self.memory = seen or SessionMemory()
        self._sources = [source or b""]
        self._given = given
        self._literals: tuple[int, frozenset[str]] = (0, frozenset())
        self._clear: dict[tuple[str, str], int] = {}
        with self.memory.lock:
            if heard and heard != self.memory.id:
                self.memory.forget()
            self._run = self.memory.runs
            self.memory.runs += 1

    def add(self, source: bytes) -> None:
        """Count the literals of another script, which the script calls, as its own."""
        self._sources.append(source)

    def note(
        self, number: int, target: Target, arguments: Mapping[str, object], answer: str, *, is_earlier: bool = False
    ) -> None:
        """Note what a call has returned, as JSON; ``is_earlier`` if it was returned to an earlier script."""
        if target.integration.root == SERVERS:
            self.memory.tools[target.path] = target.function
        literals, memory = frozenset if is_earlier else self._known_literals, self.memory
        noted = NotedAnswer(number, target, arguments, str(answer), self._labels, self._run - is_earlier, literals)
        with memory.lock:
            memory.pending.append(noted)
            memory.size += getsizeof(answer)
            if memory.size > MAX_PENDING:
                memory.settle()

    def verdicts(self, target: Target, arguments: Mapping[str, object]) -> tuple[Verdict, ...]:
        """Return why a person should decide about a call; nothing if its values come from where they may."""
        function, memory, is_server = target.function, self.memory, target.integration.root == SERVERS
        is_read = function.effect == "read"
        shown = repr(arguments) if is_read else ""
        known, scope = self._labels.of(target), scope_of(target)
        said = places(arguments, known.maps, opened=known.opened)
        if function.acts_as:
            said = _in_document(str(arguments.get("query", "")), said)
        given = [_Given(keys, value, core(str(value)), known.is_destination(keys)) for keys, value in said]
        named = [each for each in given if _may_name(each.value)]
        sends = is_server or known.labels.audience not in (None, OWN)
        sends = sends or any(_is_place(each.text, is_read=is_read, alone=each.is_end) for each in named)
        if is_read and not sends and MASK not in shown:
            return ()
        found: list[Verdict] = []
        literals = self._known_literals()
        can_be_led = not (is_read or memory.is_own)
        if can_be_led:
            short = literals if is_final(function.effect) else ()
            found += self._of_destinations(given, scope, short, function if is_server else None)
        if found and not memory.held:
            memory.held = f"{target.path}: {found[0].text}"
        before = memory.tools.get(target.path) or function.former
        if before and before is not function and (changes := _changes(_shape_of(before), _shape_of(function))):
            found.append(Verdict(f"the server has changed {target.path} since it was called: {changes}"))
        if named and can_be_led and known.labels.to:
            found += self._of_links([each for each in named if not each.is_end], scope)
        found += self._of_secrets(target, given, sends=sends)
        if sends:
            found += self._of_private(given)
        if can_be_led:
            self._taint(given, scope)
        if not found and memory.held and is_final(function.effect):
            found.append(Verdict(f"{target.path} destroys something after a call that was held: {memory.held}"))
        return tuple(dict.fromkeys(found)) if found else ()

    def _of_destinations(
        self, given: Iterable[_Given], scope: str, short: Collection[str], tool: Function | None
    ) -> Iterator[Verdict]:
        """Yield where destinations come from; of those that are in every answer, only of the literals ``short``.

        A literal that is among the only values that a server's ``tool`` takes is not one of them.
        """
        for each in given:
            if not each.is_end or isinstance(each.value, SecretText):
                continue
            if is_telling(each.value, each.form):
                reason = self._of_destination(each, scope)
            else:
                reason = self._of_literal(each, scope) if each.form in short else None
            if reason and not (tool and each.form in self._known_literals() and _is_offered(tool, each)):
                yield Verdict(reason)

    def _of_destination(self, given: _Given, scope: str) -> str | None:
        """Return where a destination comes from, if this is not for the script alone to decide; else None."""
        memory, form = self.memory, given.form
        if memory.is_trusted(form, scope):
            return None
        is_literal = form in self._known_literals()
        if self._is_clear(given, scope) if is_literal else memory.is_made(form, scope):
            return None
        memory.settle()
        if memory.is_trusted(form, scope):
            return None
        if is_literal:
            return self._of_literal(given, scope)
        first = memory.has_read()
        if first is None and not memory.has_forgotten(self._run):
            return None
        for each in (given.text, *readings(given.text)):
            if found := memory.source(each, scope):
                return _comes_from(given, each, *found)
        after = f"a text that others write: {first}" if first else "texts that others write and that are no longer kept"
        return f"{given} was put together by the script, after {after}"

    def _is_clear(self, given: _Given, scope: str) -> bool:
        """Return True if nothing that earlier scripts had read has a literal, or the person's own words have it."""
        if self._clear.get((given.form, scope)) != self.memory.version or self.memory.waits_before(self._run):
            if not self.memory.is_assigned(given.form) and self._of_literal(given, scope):
                return False
            self._clear[given.form, scope] = self.memory.version
        return True

    def _of_literal(self, given: _Given, scope: str) -> str | None:
        if self.memory.waits_before(self._run):
            self.memory.settle()
        for each in (given.text, *readings(given.text)):
            if found := self.memory.source(each, scope, before=self._run):
                return _comes_from(given, each, *found)
        if self.memory.has_forgotten(self._run):
            return f"{given} may come from a text that an earlier script had read, and that is no longer kept"
        return None

    def _of_links(self, given: Iterable[_Given], scope: str) -> Iterator[Verdict]:
        """Yield the links in a message that others wrote, since they say where its reader goes."""
        for each in given:
            if self.memory.foreign(each.text, scope):
                self.memory.settle()
            for part in longest(self.memory.foreign(each.text, scope)):
                before = self._run if any(part in literal for literal in self._known_literals()) else None
                if found := self.memory.source(part, scope, before=before):
                    yield Verdict(f"{each.place} contains {_shown(part)}, which comes from {found[1]}")
                    break

    def _of_secrets(self, target: Target, given: Iterable[_Given], *, sends: bool) -> Iterator[Verdict]:
        for each in given:
            value = each.value
            if not isinstance(value, SecretText) or not value.origin:
                continue
            call, is_of_call, number = value.origin.partition("#")
            owner = call.rpartition(".")[0]
            bound = [f"{owner}.*"] if is_of_call else self._accounts.sections.functions_for(value.origin)
            if any(fnmatchcase(target.path, pattern) for pattern in bound or ()) or (bound is None and not sends):
                continue
            said = f"the secret in the result of {call} (call {number})" if is_of_call else f"the secret {value.origin}"
            place = f"{each.place} is {said}, which"
            if bound is None:
                yield Verdict(f"{place} {target.path} sends to others", is_secret=True)
            else:
                yield Verdict(f"{place} is only for {', '.join(bound)}", is_secret=True)

    def _of_private(self, given: Iterable[_Given]) -> Iterator[Verdict]:
        for each in given if self.memory.has_private else ():
            if not isinstance(each.value, SecretText) and len(each.text) >= MIN_TEXT:
                for said in (each.text, *readings(each.text), *revealed(each.text)):
                    if found := self.memory.private_in(said, is_whole=not each.is_end):
                        yield Verdict(f"{each.place} contains {found}, which is private")
                        break

    def _taint(self, given: Iterable[_Given], scope: str) -> None:
        """Remember what is written that may be a text of somebody else."""
        written, known = [], self._known_literals()
        for each in given:
            if is_telling(each.value, each.form):
                if self.memory.is_trusted(each.form, scope):
                    continue
                said = (each, *map(each.saying, settings(each.text)))
                if each.form in known and all(self._is_clear(one, scope) for one in said):
                    continue
            written.append(each.text)
        if written:
            self.memory.note_write(written, scope)

    def _known_literals(self) -> frozenset[str]:
        """Return the literals as they are compared. Those of a session's first script are trusted from then on."""
        count, known = self._literals
        if len(self._sources) > count:
            sources = self._sources[count:]
            said = {literal for source in sources for literal in literals(source.decode("utf-8", "replace"))}
            given = () if count else map(str, leaves(self._given))
            found = frozenset[str]().union(*map(words, said.union(given)))
            if self.memory.waits_before(self._run):
                self.memory.settle()
            if self.memory.has_read(before=self._run) is None and not self.memory.has_forgotten(self._run):
                self.memory.trust(found.union(*map(parts, found)))
            known |= found
            self._literals = count + len(sources), known
        return known


def _in_document(text: str, given: Iterable[tuple[tuple[str, ...], Any]]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what a GraphQL document says, and its variables under the names of the arguments that they are for."""
    names: dict[str, list[str]] = {}
    for name, said, is_variable in assigned(text):
        if is_variable:
            names.setdefault(said, []).append(name)
        else:
            yield ("query", name), said
    for keys, value in given:
        if len(keys) == 1 or keys[1] not in names:
            yield keys, value
        else:
            yield from (((keys[0], name, *keys[2:]), value) for name in dict.fromkeys(names[keys[1]]))


def _may_name(value: object) -> bool:
    """Return False, fast, for an argument in which there certainly is no address, URL or host."""
    if not isinstance(value, str) or isinstance(value, SecretText):
        return False
    return "." in value or "//" in value or not value.isascii()


def _is_offered(function: Function, given: _Given) -> bool:
    """Return True for one of the values that are all that a server's tool takes: the server can go there by itself."""
    kinds = (each.type for each in function.parameters if given.keys == (each.name,))
    return any(isinstance(kind, Choice) and given.value in kind.values for kind in kinds)


def _is_place(text: str, *, is_read: bool, alone: bool) -> bool:
    """Return True for an argument that is an address to which the others are sent."""
    if is_address(text):
        return is_read or "@" not in text
    return is_read and names_host(text, alone=alone)


def _shape_of(function: Function) -> dict[str, str]:
    """Return the effect of a server's tool, what it says of itself, and what it takes and says of that."""
    given = [(each.name, (each.type, each.about, each.required or each.default)) for each in function.parameters]
    parameters = {f"the parameter {name}": repr(said) for name, said in given}
    return {"the effect": function.effect, "its description": function.doc, **parameters}


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what differs between two shapes of a tool, such as ``the parameter url is new``; empty if nothing does."""
    said = [f"{name} is new" for name in now if name not in before]
    said += [f"{name} is gone" for name in before if name not in now]
    if before["the effect"] != now["the effect"]:
        said.append(f"the effect was {before['the effect']} and is {now['the effect']}")
    said += [f"{name} is another" for name in list(now)[1:] if before.get(name, now[name]) != now[name]]
    return ", ".join(said)


def _comes_from(given: _Given, spelled: str, part: str, source: object) -> str:
    if part not in (given.form, core(plain(given.text))):
        return f"{given} contains {_shown(part)}, which comes from {source}"
    return f"{given} comes from {source}" if spelled == given.text else f"{given} is {_shown(spelled)} from {source}"


def _shown(text: str) -> str:
    said = exposed(text).replace("\n", "\\n")
    return shortened(said, MAX_SHOWN, MAX_SHOWN // 2) if len(text) > 2 * MAX_SHOWN else said
