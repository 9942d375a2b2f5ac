"""Lua's syntax: parses scripts with tree-sitter, for code that examines scripts without running them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from functools import lru_cache
from threading import local
from time import thread_time
from typing import TYPE_CHECKING, NamedTuple

from kosmolua.expressions import regex

if TYPE_CHECKING:
    from tree_sitter import Language, Tree
    from tree_sitter import Node as TreeNode

MAX_NESTING = 200
"""Levels of brackets. Lua itself refuses more."""
_OPENING = b"([{"
_NO_BRACKETS = bytes(each for each in range(256) if each not in b"()[]{}")
MAX_PARSED = 64 * 1024
"""The largest size of a source that is parsed, in bytes: about 2,000 lines.

Longer sources are not parsed, since unclosed strings take quadratic time.
"""
MAX_SECONDS = 0.5
"""Seconds of processor time after which parsing is given up.

Tree-sitter's error recovery is slow for text that is far from being Lua.
"""
MAX_UNCLOSED = 1024
"""If more bytes than this follow an unclosed long string, it is reported without parsing."""
_CHUNK = 16 * 1024
_STRING_OR_COMMENT = regex(
    rb"""(?:--)?\[(?P<level>=*)\[|--[^\n]*|"(?:\\z\s*|\\.|[^"\\\n])*"|'(?:\\z\s*|\\.|[^'\\\n])*'""", re.DOTALL
)
QUOTES = ('"', "'")
_PIECE = regex(
    r"[^\\]+|\\(?:x(?P<hex>[0-9a-fA-F]{2})|(?P<decimal>\d{1,3})|u\{(?P<code>[0-9a-fA-F]+)\}|(?P<skipped>z\s*)"
    r"|(?P<escaped>\r?\n|.))"
)
"""Matches characters of a short string, or one escape."""
_ESCAPES = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "\r\n": "\n"}
_IDENTIFIER = regex(rb"[A-Za-z_]\w*")
_chunks = local()
FUNCTIONS = frozenset({"function_definition", "function_declaration"})
NAMING = frozenset({"identifier", "dot_index_expression", "bracket_index_expression", "parenthesized_expression"})
"""The kinds of expressions that can stand for a function, or for a table of the program, that is named elsewhere."""
LOOPS = frozenset({"for_statement", "while_statement", "repeat_statement"})
BRANCHES = frozenset({"if_statement", "elseif_statement", "while_statement"})
INDEXED = frozenset({"dot_index_expression", "bracket_index_expression"})
ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "^"})
LEAVING = frozenset({"return_statement", "goto_statement", "break_statement"})


class Node:
    """A node of the syntax tree of a script.

    ``kind`` is its name in the grammar of tree-sitter-lua, such as ``function_call``, and ``field`` its role around it,
    such as ``arguments``. Offsets are in bytes. ``children`` contains the nodes inside this node, without brackets,
    commas and keywords, and ``around`` is the node that contains it; it is None for the whole script. A string has no
    nodes inside. ``operator`` is that of an expression, such as ``==``, or an empty string. ``index`` counts the nodes
    of the script from 0, in the order of the source, and ``after`` is the index behind the last node inside this one.
    """

    __slots__ = (
        "_keys",
        "_nodes",
        "_text",
        "after",
        "around",
        "children",
        "end",
        "field",
        "index",
        "kind",
        "operator",
        "source",
        "start",
    )

    def __init__(
        self, kind: str, field: str, start: int, end: int, source: bytes, nodes: list[Node], around: Node | None
    ) -> None:
        self.kind = kind
        self.field = field
        self.start = start
        self.end = end
        self.source = source
        self.around = around
        self.operator = ""
        self.children: list[Node] = []
        self._text: str | None = None
        self._keys: Sequence[str] | None = None
        self._nodes = nodes
        self.index = len(nodes)
        self.after = self.index + 1
        nodes.append(self)
        if around is not None:
            around.children.append(self)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.line}:{self.column} {self.text[:40]!r}>"

    @property
    def line(self) -> int:
        """The line on which the node begins, counted from 1."""
        return self.source.count(b"\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """The byte of its line at which the node begins, counted from 1."""
        return self.start - self.source.rfind(b"\n", 0, self.start)

    @property
    def text(self) -> str:
        """The part of the source that belongs to the node."""
        if self._text is None:
            self._text = self.source[self.start : self.end].decode("utf-8", "replace")
        return self._text

    @property
    def keys(self) -> Sequence[str]:
        """The keys of the fields in a table constructor, except computed keys."""
        if self._keys is None:
            fields = [child for child in self.children if child.kind == "field"]
            self._keys = [key for field in fields if (key := key_of(field)) is not None]
        return self._keys

    def get(self, field: str) -> Node | None:
        """Return the first child with the role ``field``, such as ``arguments``, or None."""
        for child in self.children:
            if child.field == field:
                return child
        return None

    def all(self, field: str) -> list[Node]:
        """Return all children with the role ``field``, such as ``alternative``."""
        return [child for child in self.children if child.field == field]

    def first(self, kind: str) -> Node | None:
        """Return the first child of the kind ``kind``, such as ``expression_list``, or None."""
        for child in self.children:
            if child.kind == kind:
                return child
        return None

    def walk(self) -> Sequence[Node]:
        """Return the node and all nodes inside it, in the order of the source."""
        return self._nodes[self.index : self.after]

    def walk_own(self) -> Iterator[Node]:
        """Yield the node and all nodes inside it, except those inside functions."""
        index = self.index
        while index < self.after:
            node = self._nodes[index]
            yield node
            index = node.after if node.kind in FUNCTIONS else index + 1

    def outer(self, kinds: Container[str]) -> Iterator[Node]:
        """Yield the nodes of these kinds that contain the node, the innermost first."""
        node = self.around
        while node is not None:
            if node.kind in kinds:
                yield node
            node = node.around


class SyntaxProblem(NamedTuple):
    """A syntax error: the text ``near`` is unexpected, or another text is missing. Lines and columns count from 1."""

    line: int
    column: int
    near: str
    missing: str
    last_line: int


class Script(NamedTuple):
    """A parsed script; without problems, it is Lua."""

    root: Node
    problems: list[SyntaxProblem]


def parse(source: str | bytes) -> Script | None:
    """Parse the source of a script.

    Return None if it is too long or nested too deeply, or if parsing takes over :data:`MAX_SECONDS`.
    """
    text = source.encode("utf-8", "surrogateescape") if isinstance(source, str) else source
    if len(text) > MAX_PARSED:
        return None
    if text.startswith(b"#"):
        text = b"--" + text[2:] if len(text) > 1 and text[1:2] != b"\n" else b" " + text[1:]
    if _is_nested_deeply(text):
        return None
    if unclosed := _unclosed(text):
        return Script(Node("chunk", "", 0, len(text), text, [], None), [unclosed])
    tree = _tree(text)
    script = _script(tree, text) if tree else None
    if script and script.problems and (plain := _without_dashes(text)) != text:
        tree = _tree(plain)
        again = _script(tree, text) if tree else script
        return script if again.problems else again
    return script


def _without_dashes(text: bytes) -> bytes:
    """Return a source with other characters for the dashes in its strings, which the parser may take for comments."""
    return _STRING_OR_COMMENT.sub(
        lambda found: found[0].replace(b"-", b"_") if found[0][:1] in (b'"', b"'") else found[0], text
    )


def _is_nested_deeply(text: bytes) -> bool:
    """Return True if brackets are nested more deeply than Lua allows, which takes long to parse.

    Brackets in strings and comments count too. A script that has so many of them is not checked.
    """
    brackets = text.translate(None, delete=_NO_BRACKETS)
    if len(brackets) <= 2 * MAX_NESTING:
        return False
    depth = 0
    for each in brackets:
        depth = depth + 1 if each in _OPENING else max(depth - 1, 0)
        if depth > MAX_NESTING:
            return True
    return False


def _unclosed(text: bytes) -> SyntaxProblem | None:
    """Return the syntax error for a long string or comment that has no end, or None.

    The error is reported here only if so much text follows that parsing would be slow. Otherwise the parser reports it.
    """
    place = 0 if b"[[" in text or b"[=" in text else len(text)
    while found := _STRING_OR_COMMENT.search(text, place):
        place = found.end()
        level = found["level"]
        if level is not None:
            end = text.find(b"]" + level + b"]", place)
            if end < 0:
                return _problem_at(text, found) if len(text) - place > MAX_UNCLOSED else None
            place = end + len(level) + 2
    return None


def _problem_at(text: bytes, found: re.Match[bytes]) -> SyntaxProblem:
    before = text[: found.start()]
    column = found.start() - before.rfind(b"\n")
    return SyntaxProblem(before.count(b"\n") + 1, column, found[0].decode(), f"]{found['level'].decode()}]", 1)


def _tree(text: bytes) -> Tree | None:
    from tree_sitter import Parser

    deadline, chunk = thread_time() + MAX_SECONDS, _chunk_of_thread()

    def read(offset: int, _: object) -> bytearray:
        chunk[:] = text[offset : offset + _CHUNK]
        return chunk

    try:
        return Parser(_language()).parse(read, progress_callback=lambda offset, has_error: thread_time() > deadline)
    except ValueError:  # the callback stopped the parser
        return None
    finally:
        chunk.clear()


def _chunk_of_thread() -> bytearray:
    """Return the buffer that this thread's parser reads from. The buffer is reused, since the parser never releases it.

    Do not use the ``text`` of a tree-sitter node, which would be read from this buffer.
    """
    chunk: bytearray | None = getattr(_chunks, "chunk", None)
    if chunk is None:
        chunk = _chunks.chunk = bytearray()
    return chunk


def _script(tree: Tree, text: bytes) -> Script:
    """Convert a tree of tree-sitter to a :class:`Script`, with its named nodes and its syntax errors."""
    cursor, kinds, fields = tree.walk(), *_names()
    is_broken, is_identifier = tree.root_node.has_error, _IDENTIFIER.fullmatch
    problems: list[SyntaxProblem] = []
    nodes: list[Node] = []
    outer: Node | None = None
    while True:
        found, field = cursor.node, fields[cursor.field_id or 0]
        assert found is not None
        kind, is_named = (found.type, found.is_named) if is_broken else kinds[found.kind_id]
        if is_broken and (found.is_error or found.is_missing):
            problems.append(_problem(found, text))
        if is_named and kind != "comment":
            start, end = found.start_byte, found.end_byte
            # a line with #! after empty lines; in the first line it is a comment by now
            if kind == "hash_bang_line" or (kind == "identifier" and not is_identifier(text, start, end)):
                problems.append(_problem(found, text))
            node = Node(kind, field, start, end, text, nodes, outer)
            if (is_broken or kind != "string") and cursor.goto_first_child():
                outer = node
                continue
        elif outer and field == "operator":
            outer.operator = kind
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return Script(nodes[0], problems)
            if outer:
                outer.after, outer = len(nodes), outer.around


@lru_cache(maxsize=1)
def _names() -> tuple[list[tuple[str, bool]], list[str]]:
    """Return the name of each kind of nodes, with whether it is named, and of each field, by their numbers."""
    language = _language()
    kinds = [
        (language.node_kind_for_id(each) or "", language.node_kind_is_named(each))
        for each in range(language.node_kind_count)
    ]
    return kinds, ["", *(language.field_name_for_id(each) or "" for each in range(1, language.field_count + 1))]


@lru_cache(maxsize=1)
def _language() -> Language:
    import tree_sitter
    import tree_sitter_lua

    return tree_sitter.Language(tree_sitter_lua.language())


def _problem(found: TreeNode, text: bytes) -> SyntaxProblem:
    row, column = found.start_point
    near = text[found.start_byte : found.end_byte].decode("utf-8", "replace").strip().partition("\n")[0][:30]
    return SyntaxProblem(row + 1, column + 1, near, found.type if found.is_missing else "", found.end_point[0] + 1)


def string_of(node: Node | None) -> str | None:
    """Return the value of a string literal, or None for one that is not UTF-8, and for any other node."""
    if node is None or node.kind != "string":
        return None
    text = node.text
    if text.startswith(QUOTES):
        return _unescaped(text[1:-1]) if "\\" in text else text[1:-1]
    bracket = text.index("[", 1) + 1
    # Lua drops a line break at the beginning of a long string
    return text[bracket:-bracket].replace("\r\n", "\n").removeprefix("\n")


def _unescaped(text: str) -> str | None:
    """Return what the escapes of a short string stand for, or None if that is not UTF-8."""
    try:
        return b"".join(map(_bytes_of, _PIECE.finditer(text))).decode()
    except (UnicodeDecodeError, OverflowError, ValueError):
        return None


def _bytes_of(piece: re.Match[str]) -> bytes:
    if number := piece["hex"] or piece["decimal"]:
        return bytes([int(number, 16 if piece["hex"] else 10)])
    if piece["code"]:
        return chr(int(piece["code"], 16)).encode()
    if piece["skipped"]:
        return b""
    escaped = piece["escaped"]
    return _ESCAPES.get(escaped, escaped).encode() if escaped else piece[0].encode()


def base_of(node: Node) -> Node:
    """Return the expression that a path begins with: ``a`` for ``a.b[1]``, and ``f()`` for ``f().b``."""
    while table := node.get("table"):
        node = table
    return node


def called_in(call: Node | None) -> Node | None:
    """Return the expression of the function that a call calls, or None for anything else."""
    return call.get("name") if call and call.kind == "function_call" else None


def arguments_of(call: Node | None) -> Sequence[Node]:
    """Return the expressions of the arguments of a call, or an empty list for anything else."""
    arguments = call.get("arguments") if call and call.kind == "function_call" else None
    return arguments.children if arguments else []


def first_argument(call: Node | None) -> Node | None:
    """Return the expression of the first argument of a call, or None for anything else."""
    return next(iter(arguments_of(call)), None)


def parameters_of(function: Node) -> list[Node]:
    """Return the names of the parameters of a function."""
    parameters = function.get("parameters")
    return parameters.all("name") if parameters else []


def targets_of(statement: Node) -> list[Node]:
    """Return what a declaration, an assignment or a loop gives values to."""
    names = (statement.first("assignment_statement") or statement).first("variable_list")
    return names.all("name") if names else []


def values_of(statement: Node | None) -> Sequence[Node]:
    """Return the expressions of a declaration, an assignment, a ``return`` or the clause of a loop."""
    inner = (statement.first("assignment_statement") or statement) if statement else None
    expressions = inner.first("expression_list") if inner else None
    return expressions.children if expressions else []


def key_of(node: Node) -> str | None:
    """Return the key in an index expression or in a field of a table constructor, or None if the key is computed."""
    if node.kind == "bracket_index_expression":
        return string_of(node.get("field"))
    if node.kind == "field":
        name = node.get("name")
        return name.text if name and name.kind == "identifier" and not node.text.startswith("[") else string_of(name)
    name = node.get("field") or node.get("method")
    return name.text if name else None


def keys_of(table: Node | None) -> Sequence[str]:
    """Return the keys in a table constructor, except computed keys. Return an empty list for any other node."""
    return table.keys if table and table.kind == "table_constructor" else []


def assigned(statement: Node) -> Iterator[tuple[Node, Node | None]]:
    """Yield each variable that an assignment or a declaration names, with the assigned expression or None."""
    values = values_of(statement)
    for index, target in enumerate(targets_of(statement)):
        yield target, values[index] if index < len(values) else None


_OPENING_OF = {")": "(", "]": "[", "}": "{"}


class OpenBrackets(NamedTuple):
    """The bracket and the string that are open at the end of incomplete Lua code, for completion.

    Args:
        bracket: The offset of the innermost open bracket, or None if no bracket is open.
        comma: The offset at which the last argument or item inside that bracket begins.
        quote: The offset at which an open string begins, or None if no string is open.
    """

    bracket: int | None
    comma: int
    quote: int | None

    def opens_table(self, text: str) -> bool:
        """Return True if the innermost open bracket of a text is a brace, which opens a table."""
        return self.bracket is not None and text[self.bracket] == "{"


def place_of(text: str) -> OpenBrackets:
    """Return which bracket and string are open at the end of Lua code. If the code is too long, nothing is found."""
    raw = text.encode("utf-8", "surrogatepass")
    tree = _tree(raw) if len(raw) <= MAX_PARSED else None
    brackets: list[tuple[int, int]] = []
    comma, quote = 0, None
    for kind, offset in _tokens(tree.root_node) if tree else ():
        start = len(raw[:offset].decode("utf-8", "surrogatepass"))
        if kind in QUOTES and "\n" not in text[start:]:
            quote = start
            break
        if kind in ("(", "{", "["):
            brackets.append((start, comma))
            comma = start + 1
        elif kind in _OPENING_OF and brackets and text[brackets[-1][0]] == _OPENING_OF[kind]:
            comma = brackets.pop()[1]
        elif kind in (",", ";"):
            comma = start + 1
    return OpenBrackets(brackets[-1][0] if brackets else None, comma, quote)


def _tokens(root: TreeNode) -> Iterator[tuple[str, int]]:
    """Yield the kind and offset of each token in a tree of tree-sitter.

    A string or a comment is one token. If a string is not closed, its opening quote is a token.
    """
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.child_count and (node.has_error or node.type not in ("string", "comment")):
            waiting.extend(reversed(node.children))
        elif not node.is_missing:
            yield node.type, node.start_byte
