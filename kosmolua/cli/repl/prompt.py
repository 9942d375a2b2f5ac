"""A prompt for chunks of Lua that uses the library prompt_toolkit: several lines, colours, completion and history."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.styles import Style
from pygments.lexers.scripting import LuaLexer

from kosmolua.authoring.completion import Candidates, is_command, signature
from kosmolua.cli import console
from kosmolua.cli.repl.readers import FIRST, NEXT

INDENT = "  "
COLOURS = {"keyword": "bold", "literal.string": "ansigreen", "literal.number": "ansicyan", "comment": "ansibrightblack"}
"""The terminal's own colours, which it shows well on its background, by the kind of a Lua token."""
KEYS = "Tab completes, Alt-Enter begins a new line, :help explains, Ctrl-D leaves"
_CLOSES = re.compile(r"\s*(end|else|elseif|until|[)}])(?!\w)")
_OPENS = re.compile(r"(\b(then|do|else|repeat|function\b.*\))|[{(])\s*$")


class Prompt:
    """Reads chunks of Lua at a terminal, and keeps them in the file ``history``."""

    is_typed = True

    def __init__(self, candidates: Candidates, is_whole: Callable[[str], bool], history: Path) -> None:
        self._candidates = candidates
        self._is_whole = is_whole
        self._session: PromptSession[str] = PromptSession(
            FIRST,
            multiline=True,
            prompt_continuation=lambda width, number, wraps: "" if wraps else NEXT,  # a long line only wraps
            lexer=PygmentsLexer(LuaLexer),
            style=Style.from_dict({f"pygments.{kind}": colour for kind, colour in COLOURS.items()}),
            include_default_pygments_style=False,
            completer=_Completer(candidates),
            complete_while_typing=False,
            auto_suggest=AutoSuggestFromHistory(),
            history=_open(history),
            key_bindings=self._keys(),
            bottom_toolbar=self._toolbar,
            enable_suspend=True,
        )

    def read(self) -> str | None:
        """Return the chunk that the person types, an empty chunk at Ctrl-C, or None at Ctrl-D."""
        try:
            return self._session.prompt()
        except KeyboardInterrupt:
            return ""
        except EOFError:
            return None

    def _toolbar(self) -> str:
        function = self._candidates.function_at(self._session.default_buffer.document.text_before_cursor)
        return signature(function) if function else KEYS

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        keys.add("enter")(self._enter)
        keys.add("escape", "enter")(lambda event: event.current_buffer.insert_text("\n"))
        return keys

    def _enter(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        document = buffer.document
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None
        elif document.text_after_cursor.strip():
            buffer.newline()
        else:
            self._go_on(buffer)

    def _go_on(self, buffer: Buffer) -> None:
        """Handle Enter: accept the typed chunk if it is complete, or else begin a new line with an indentation."""
        surplus = surplus_indent(buffer.document.lines)
        if surplus:
            buffer.transform_current_line(lambda line: line[surplus:])
        chunk = buffer.text
        if is_command(chunk) or not chunk.strip() or self._is_whole(chunk):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n" + indent_after(buffer.document.current_line))


class _Completer(Completer):
    def __init__(self, candidates: Candidates) -> None:
        self._candidates = candidates

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        for each in self._candidates.of(document.text_before_cursor):
            yield Completion(each.text, start_position=each.start, display_meta=each.about)


def indent_after(line: str) -> str:
    """Return the indentation of the line that follows a line of Lua: that of the line, or more if it opens a block."""
    own = line[: len(line) - len(line.lstrip())]
    return own + INDENT if _OPENS.search(line) else own


def surplus_indent(lines: Sequence[str]) -> int:
    """Return how many spaces to remove from the last line: it closes a block, and is indented like its inside."""
    if len(lines) < 2 or not _CLOSES.match(lines[-1]):
        return 0
    begun = indent_after(lines[-2])
    own = lines[-1][: len(lines[-1]) - len(lines[-1].lstrip())]
    return len(INDENT) if own == begun and own else 0


def _open(path: Path) -> History:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        console.warn(f"no history is kept, since {path} cannot be written: {error.strerror}")
        return InMemoryHistory()
    return FileHistory(path)
