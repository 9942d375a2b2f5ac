"""The verdicts about the calls of one run: which destination somebody else's text decided, and what private leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.escaping import exposed, shortened
from kosmolua.flow.labels import OWN, LabelRules, compared, is_destination, places, scope_of
from kosmolua.flow.literals import leaves, literals, words
from kosmolua.flow.memory import MIN_PRIVATE, NotedAnswer, SessionMemory
from kosmolua.flow.texts import core, is_address, is_telling, names_host, parts, readings, settings
from kosmolua.schema.effects import is_final
from kosmolua.schema.labels import Labels
from kosmolua.schema.names import SERVERS
from kosmolua.secret import MASK, SecretText

if TYPE_CHECKING:
    from kosmolua.accounts.accounts import Accounts
    from kosmolua.catalog.catalog import Target
    from kosmolua.schema.function import Function

MAX_SHOWN = 60
_MAY_LEAVE = ("@", "://", ".", MASK)
"""What stands in the arguments of a read that can send something away."""


class Verdict(NamedTuple):
    """Why a person should decide about a call, in one sentence.

    ``is_secret`` is True if a secret goes to another function than it is for. A person is asked about that in the mode
    ``note``, too.
    """

    text: str
    is_secret: bool = False


class Judge:
    """Says of the calls of one run where their destinations come from. Any number of threads may use it.

    Args:
        labels: The labels of functions.
        accounts: They know what each secret is for.
        seen: What the session has seen; None if the run is a session of its own.
        source: The text of the script; None if no script makes the calls.
        given: The values that were passed to the script, which count as its literals.
    """

    def __init__(
        self,
        labels: LabelRules,
        accounts: Accounts,
        seen: SessionMemory | None = None,
        source: bytes | None = None,
        given: Sequence[object] = (),
    ) -> None:
        self._labels = labels
        self._accounts = accounts
        self._memory = seen or SessionMemory()
        self._sources = [source or b""]
        self._given = given
        self._literals: tuple[int, frozenset[str]] = (0, frozenset())
        with self._memory.lock:
            self._run = self._memory.runs
            self._memory.runs += 1

    def add(self, source: bytes) -> None:
        """Count the literals of another script, which the script calls, as its own."""
        self._sources.append(source)

    def note(
        self, number: int, target: Target, arguments: Mapping[str, object], answer: str, *, is_earlier: bool = False
    ) -> None:
        """Note what a call has returned, as JSON; ``is_earlier`` if it was returned to an earlier script."""
        if target.integration.root == SERVERS:
            self._memory.tools[target.path] = _shape_of(target.function)
        literals = frozenset if is_earlier else self._known_literals
        noted = NotedAnswer(number, target, arguments, answer, self._run - is_earlier, literals)
        with self._memory.lock:
            self._memory.pending.append(noted)
            self._memory.size += len(answer)
            if self._memory.size > self._memory.most:
                self._memory.relieve(self._labels)

    def verdicts(self, target: Target, arguments: Mapping[str, object]) -> tuple[Verdict, ...]:
        """Return why a person should decide about a call; nothing if its values come from where they may."""
        is_read = target.function.effect == "read"
        shown = repr(arguments) if is_read else ""
        if is_read and target.integration.root != SERVERS and not any(mark in shown for mark in _MAY_LEAVE):
            return ()
        given = list(places(arguments))
        labels, scope = self._labels.of(target), scope_of(target)
        sends = target.integration.root == SERVERS or labels.audience not in (None, OWN)
        sends = sends or any(
            _is_place(value, is_read=is_read, alone=is_destination(target.function, labels, keys))
            for keys, value in given
        )
        if is_read and not sends and MASK not in shown:
            return ()
        if is_own := self._memory.is_own(self._labels):
            self._known_literals()
        else:
            self._memory.settle(self._labels)
        found: list[Verdict] = []
        can_be_led = not is_read and not is_own
        for keys, value in given if can_be_led else ():
            if isinstance(value, SecretText) or not is_destination(target.function, labels, keys):
                continue
            said, is_short = f"{'.'.join(keys)} = {_shown(str(value))}", not is_telling(value)
            if is_short and is_final(target.function.effect) and compared(value) in self._known_literals():
                reason = self._of_literal(said, str(value), scope)
            else:
                reason = None if is_short else self._of_destination(said, value, scope)
            if reason:
                found.append(Verdict(reason))
        if found and not self._memory.held:
            self._memory.held = f"{target.path}: {found[0].text}"
        former = target.function.former
        shape = self._memory.tools.get(target.path) or (_shape_of(former) if former else None)
        if shape and (changes := _changes(shape, _shape_of(target.function))):
            found.append(Verdict(f"the server has changed {target.path} since it was called: {changes}"))
        if labels.to and can_be_led:
            found += self._of_links(target, labels, given, scope)
        found += self._of_secrets(target, given, sends=sends)
        if sends:
            self._memory.settle(self._labels)
            found += self._of_private(given)
        if can_be_led:
            self._taint(given, scope)
        if is_final(target.function.effect) and self._memory.held and not found:
            found.append(Verdict(f"{target.path} destroys something after a call that was held: {self._memory.held}"))
        return tuple(dict.fromkeys(found))

    def _of_destination(self, said: str, value: Any, scope: str) -> str | None:
        """Return where a destination comes from, if this is not for the script alone to decide; else None."""
        text, form = str(value), compared(value)
        if self._memory.is_trusted(form, scope):
            return None
        if form in self._known_literals():
            return None if self._memory.is_assigned(form) else self._of_literal(said, text, scope)
        first = self._memory.has_read()
        if first is None:
            return None
        for each in (text, *readings(text)):
            if found := self._memory.source(each, scope):
                return _comes_from(said, text, each, *found)
        return f"{said} was put together by the script, after a text that others write: {first}"

    def _of_literal(self, said: str, text: str, scope: str) -> str | None:
        for each in (text, *readings(text)):
            if found := self._memory.source(each, scope, before=self._run):
                return _comes_from(said, text, each, *found)
        if self._memory.has_forgotten(self._run):
            return f"{said} may come from a text that an earlier script had read, of which there were too many to keep"
        return None

    def _of_links(
        self, target: Target, labels: Labels, given: Iterable[tuple[tuple[str, ...], Any]], scope: str
    ) -> Iterator[Verdict]:
        """Yield the links in a message that others wrote, since they say where its reader goes."""
        for keys, value in given:
            is_text = isinstance(value, str) and not isinstance(value, SecretText)
            if not is_text or is_destination(target.function, labels, keys):
                continue
            for part in sorted(parts(value), key=len, reverse=True):
                if self._memory.is_trusted(part, scope):
                    continue
                before = self._run if any(part in literal for literal in self._known_literals()) else None
                if found := self._memory.source(part, scope, before=before):
                    yield Verdict(f"{'.'.join(keys)} contains {_shown(part)}, which comes from {found[1]}")
                    break

    def _of_secrets(
        self, target: Target, given: Iterable[tuple[tuple[str, ...], Any]], *, sends: bool
    ) -> Iterator[Verdict]:
        for keys, value in given:
            if not isinstance(value, SecretText) or not value.origin:
                continue
            call, is_of_call, number = value.origin.partition("#")
            owner = call.rpartition(".")[0]
            bound = [f"{owner}.*"] if is_of_call else self._accounts.functions_for(value.origin)
            if any(fnmatchcase(target.path, pattern) for pattern in bound or ()) or (bound is None and not sends):
                continue
            said = f"the secret in the result of {call} (call {number})" if is_of_call else f"the secret {value.origin}"
            place = f"{'.'.join(keys)} is {said}, which"
            if bound is None:
                yield Verdict(f"{place} {target.path} sends to others", is_secret=True)
            else:
                yield Verdict(f"{place} is only for {', '.join(bound)}", is_secret=True)

    def _of_private(self, given: Iterable[tuple[tuple[str, ...], Any]]) -> Iterator[Verdict]:
        for keys, value in given:
            text = str(value)
            if not isinstance(value, SecretText) and len(text) >= MIN_PRIVATE:
                for each in (text, *readings(text)):
                    if found := self._memory.private_in(each):
                        yield Verdict(f"{'.'.join(keys)} contains {found}, which is private")
                        break

    def _taint(self, given: Iterable[tuple[tuple[str, ...], Any]], scope: str) -> None:
        """Remember what is written from a text of somebody else."""
        if self._memory.has_read() is None:
            return
        for _, value in given:
            if not is_telling(value) or self._memory.is_trusted(compared(value), scope):
                continue
            text = str(value)
            said = (text, *readings(text), *settings(text))
            is_own = compared(value) in self._known_literals()
            if not is_own or any(self._memory.source(each, scope, before=self._run) for each in said):
                self._memory.taint(text)

    def _known_literals(self) -> frozenset[str]:
        """Return the literals as they are compared. Those of a session's first script are trusted from then on."""
        count, known = self._literals
        if sources := self._sources[count:]:
            said = [literal for source in sources for literal in literals(source.decode("utf-8", "replace"))]
            given = () if count else map(str, leaves(self._given))
            found = frozenset[str]().union(*map(words, (*said, *given)))
            if self._memory.has_read(before=self._run) is None:
                self._memory.trust(found.union(*map(parts, found)))
            known |= found
            self._literals = count + len(sources), known
        return known


def _is_place(value: object, *, is_read: bool, alone: bool) -> bool:
    """Return True for an argument that is an address to which the others are sent."""
    if not isinstance(value, str) or isinstance(value, SecretText):
        return False
    if is_address(value):
        return is_read or "@" not in value
    return is_read and names_host(value, alone=alone)


def _shape_of(function: Function) -> dict[str, str]:
    """Return the effect of a server's tool, what it says of itself, and what it takes."""
    parameters = {f"the parameter {each.name}": repr((each.type, each.required)) for each in function.parameters}
    return {"the effect": function.effect, "its description": function.doc, **parameters}


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what differs between two shapes of a tool, such as ``the parameter url is new``; empty if nothing does."""
    said = [f"{name} is new" for name in now if name not in before]
    said += [f"{name} is gone" for name in before if name not in now]
    if before["the effect"] != now["the effect"]:
        said.append(f"the effect was {before['the effect']} and is {now['the effect']}")
    said += [f"{name} is another" for name in list(now)[1:] if before.get(name, now[name]) != now[name]]
    return ", ".join(said)


def _comes_from(said: str, text: str, spelled: str, part: str, source: object) -> str:
    if part != core(text):
        return f"{said} contains {_shown(part)}, which comes from {source}"
    return f"{said} comes from {source}" if spelled == text else f"{said} is {_shown(spelled)} from {source}"


def _shown(text: str) -> str:
    return shortened(exposed(text), MAX_SHOWN, MAX_SHOWN // 2) if len(text) > 2 * MAX_SHOWN else exposed(text)
