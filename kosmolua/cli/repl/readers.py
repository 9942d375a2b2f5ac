"""Reads chunks of Lua from a pipe, or at a terminal if prompt_toolkit is not installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Protocol

from kosmolua.authoring.completion import Candidates, is_command
from kosmolua.cli.streams import standard

FIRST, NEXT = "> ", ">> "
"""The prompts for the first line of a chunk and for further lines."""
DELIMITERS = " \t\n`~!@#$%^&*()-=+[{]}\\|;'\",<>/?"


class ChunkReader(Protocol):
    """A source of chunks for the REPL. If a person types them (``is_typed``), Ctrl-C ends only the current chunk."""

    is_typed: bool

    def read(self) -> str | None:
        """Return the next chunk, or None at the end of input. A chunk can be empty."""


class LineReader:
    """Reads lines and joins them to complete chunks; ``next_line`` gets the prompt, and returns "" at the end."""

    is_typed = False

    def __init__(self, next_line: Callable[[str], str], is_whole: Callable[[str], bool]) -> None:
        self._next_line = next_line
        self._is_whole = is_whole

    def read(self) -> str | None:
        """Return the next chunk, or None at the end of input. If the input ends within a chunk, return that part."""
        chunk = ""
        while line := self._next_line(NEXT if chunk else FIRST):
            chunk += line
            if not chunk.strip():
                chunk = ""
            elif is_command(chunk) or self._is_whole(chunk):
                return chunk
        return chunk or None


class TypedLines(LineReader):
    """Reads lines at a terminal and joins them to complete chunks. Ctrl-C discards the chunk that is being typed."""

    is_typed = True

    def __init__(self, is_whole: Callable[[str], bool]) -> None:
        super().__init__(_typed_line, is_whole)

    def read(self) -> str | None:
        """Return the next chunk, an empty chunk at Ctrl-C, or None at Ctrl-D."""
        try:
            return super().read()
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            return ""


def piped_line(_: str) -> str:
    """Return the next line of standard input, without a prompt. Bytes that are not UTF-8 become surrogate escapes."""
    return standard.read_line().decode("utf-8", "surrogateescape")


def _typed_line(prompt: str) -> str:
    """Show a prompt and return the line that is typed at the terminal, or an empty string at Ctrl-D."""
    try:
        return input(prompt) + "\n"
    except EOFError:
        sys.stdout.write("\n")
        return ""


def open_readline(candidates: Candidates, history: Path) -> Callable[[], None]:
    """Turn on completion and history for :class:`TypedLines`, if Python has the module readline.

    Return a function that writes the history to its file. Call it when the REPL ends.
    """
    try:
        import readline
    except ImportError:
        return lambda: None
    _complete_with(readline, candidates)
    with suppress(OSError):
        readline.read_history_file(history)

    def save() -> None:
        with suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(history, os.O_CREAT | os.O_WRONLY, 0o600))
            readline.write_history_file(history)

    return save


def _complete_with(readline: ModuleType, candidates: Candidates) -> None:
    found: Sequence[str] = ()

    def complete(word: str, state: int) -> str | None:
        nonlocal found
        if state == 0:
            found = _replacements(candidates, readline.get_line_buffer()[: readline.get_endidx()], word)
        return found[state] if state < len(found) else None

    readline.set_completer_delims(DELIMITERS)
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")


def _replacements(candidates: Candidates, text: str, word: str) -> list[str]:
    """Return the texts that can replace a word; a candidate may replace only the last part of it."""
    return [word[: len(word) + each.start] + each.text for each in candidates.of(text)]
