"""GraphQL documents: their operations, and what they select, without a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from kosmolua.limits import whole_number

_TOKEN = re.compile(
    r'#[^\r\n]*|"""(?:\\"""|(?!""").)*"""|"(?:\\.|[^"\\\r\n])*"|\.\.\.|[_A-Za-z][_0-9A-Za-z]*|[^\s,\ufeff]', re.DOTALL
)
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_CLOSING = {"(": ")", "{": "}", "[": "]"}
KINDS = ("query", "mutation", "subscription")
MAX_DEPTH = 100


@dataclass(frozen=True)
class Selection:
    """A selected field, or the fields of a fragment.

    Args:
        name: The field, or the fragment that is spread; empty for a fragment that is written here.
        alias: The name in the response.
        is_fragment: Whether it is a fragment.
        on: The type for which a fragment is; empty for any.
        arguments: The tokens of the arguments.
        inner: What is selected of it.
    """

    name: str
    alias: str = ""
    is_fragment: bool = False
    on: str = ""
    arguments: Sequence[str] = ()
    inner: Sequence[Selection] = ()


@dataclass(frozen=True)
class GraphQLOperation:
    """An operation of a document; ``kind`` is one of :data:`KINDS`, the name can be empty."""

    kind: str
    name: str
    selections: Sequence[Selection] = ()
    variables: Sequence[str] = ()


@dataclass(frozen=True)
class GraphQLDocument:
    """The operations of a document, and its fragments by name."""

    operations: list[GraphQLOperation] = field(default_factory=list)
    fragments: dict[str, Selection] = field(default_factory=dict)

    def chosen(self, name: str | None = None) -> GraphQLOperation:
        """Return the operation of this name, or the only one.

        Raises:
            ValueError: There is no such operation, or more than one.
        """
        fitting = [each for each in self.operations if not name or each.name == name]
        if len(fitting) == 1:
            return fitting[0]
        names = ", ".join(each.name or "one without a name" for each in self.operations) or "none"
        wanted = "one operation, unless operation= names one" if not name else f"an operation {name!r}"
        raise ValueError(f"the GraphQL document must have {wanted}; it has {names}")

    def fields(self, selections: Sequence[Selection], on: str = "") -> Iterator[Selection]:
        """Yield the fields of a selection and of its fragments, each once; with ``on``, only those for a type."""
        seen: set[str] = set()
        left = [iter(selections)]
        while left:
            each = next(left[-1], None)
            if each is None:
                left.pop()
            elif not each.is_fragment:
                yield each
            elif each.name not in seen:
                found = self.fragments.get(each.name) if each.name else each
                if found is None:
                    raise ValueError(f"the GraphQL document has no fragment {each.name}")
                if not on or found.on in ("", on):
                    seen |= {each.name} - {""}
                    left.append(iter(found.inner))


def read_document(text: str) -> GraphQLDocument:
    """Read a document with operations and fragments; raise ValueError if the text is no such document."""
    reader = _SyntaxReader(text)
    document = GraphQLDocument()
    while reader.next:
        reader.definition(document)
    return document


def read_selections(text: str) -> Sequence[Selection]:
    """Read what a selection has between its braces; raise ValueError if the text is no such selection."""
    reader = _SyntaxReader(f"{{{text}\n}}")
    found = reader.selections()
    if reader.next:
        raise ValueError(f"{reader.next[:40]!r} stands after the selection")
    return found


class _SyntaxReader:
    """Reads tokens one after the other."""

    def __init__(self, text: str) -> None:
        self._tokens = [each for each in _TOKEN.findall(text) if not each.startswith("#")]
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def definition(self, document: GraphQLDocument) -> None:
        if self.next.startswith('"') and self.next != '"':
            self._at += 1  # a description
        if self.next == "{":
            document.operations.append(GraphQLOperation("query", "", self.selections()))
            return
        kind = self._name()
        if kind == "fragment":
            name = self._name()
            if name in document.fragments:
                raise ValueError(f"the GraphQL document has two fragments {name}")
            document.fragments[name] = self._fragment()
        elif kind in KINDS:
            name = "" if self.next in ("{", "(", "@") else self._name()
            variables = self._enclosed() if self.next == "(" else []
            names = [each for before, each in pairwise(variables) if before == "$"]
            self._directives()
            document.operations.append(GraphQLOperation(kind, name, self.selections(), names))
        else:
            raise ValueError(f"{kind!r} is not an operation of GraphQL: write query or mutation")

    def selections(self) -> list[Selection]:
        self._take("{")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"the GraphQL document is nested more than {MAX_DEPTH} levels deep")
        found = []
        while self.next != "}":
            found.append(self._selection())
        self._take("}")
        self._depth -= 1
        return found

    def _selection(self) -> Selection:
        if self.next == "...":
            self._take("...")
            if self.next not in ("on", "{", "@"):
                name = self._name()
                self._directives()
                return Selection(name, is_fragment=True)
            return self._fragment()
        alias = name = self._name()
        if self.next == ":":
            self._take(":")
            name = self._name()
        arguments = self._enclosed() if self.next == "(" else []
        self._directives()
        return Selection(name, alias, arguments=arguments, inner=self.selections() if self.next == "{" else ())

    def _fragment(self) -> Selection:
        on = ""
        if self.next == "on":
            self._take("on")
            on = self._name()
        self._directives()
        return Selection("", is_fragment=True, on=on, inner=self.selections())

    def _directives(self) -> None:
        while self.next == "@":
            self._take("@")
            self._name()
            if self.next == "(":
                self._enclosed()

    def _enclosed(self) -> list[str]:
        start, open_ = self._at + 1, [")"]
        self._at += 1
        while open_:
            token = self.next
            if not token:
                raise ValueError("the GraphQL document ends within parentheses")
            self._at += 1
            if token in _CLOSING:
                open_.append(_CLOSING[token])
            elif token in _CLOSING.values() and token != open_.pop():
                raise ValueError(f"the GraphQL document has {token!r} where another bracket is open")
        return self._tokens[start : self._at - 1]

    def _name(self) -> str:
        name = self.next
        if not _NAME.fullmatch(name):
            raise ValueError(f"the GraphQL document has {name[:40] or 'its end'!r} where a name belongs")
        self._at += 1
        return name

    def _take(self, token: str) -> None:
        if self.next != token:
            raise ValueError(f"the GraphQL document has {self.next[:40] or 'its end'!r} where {token!r} belongs")
        self._at += 1


def argument(selection: Selection, name: str, variables: Mapping[str, object]) -> object:
    """Return the value of an argument that is a variable or a number; None for any other."""
    tokens = [*selection.arguments]
    for at, token in enumerate(tokens[:-2]):
        if token == name and tokens[at + 1] == ":":
            given = tokens[at + 2]
            if given == "$":
                return variables.get(tokens[at + 3])
            number = whole_number(given)
            return given.strip('"') if number is None else number
    return None
