"""``kosmolua repl``: run Lua line by line, as the user types it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import click

from kosmolua import __version__
from kosmolua.cli import console, terminal
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, session_options
from kosmolua.cli.repl.conversation import Conversation
from kosmolua.cli.repl.readers import ChunkReader, LineReader, TypedLines, open_readline, piped_line
from kosmolua.cli.scripts import input_of, open_runtime
from kosmolua.cli.streams import standard
from kosmolua.errors import UsageError
from kosmolua.folders import state_folder
from kosmolua.runs.session import Session

GREETING = "KosmoLua {version}, Lua 5.4{mode}. :help explains, Ctrl-D leaves."


@click.command(
    "repl",
    cls=Command,
    epilog=examples(
        "kosmolua repl --simulate", "kosmolua repl --read-only", "kosmolua repl --simulate --json < chunks.lua"
    ),
)
@session_options
def command(options: Options) -> int:
    """Try Lua line by line.

    A chunk is a piece of Lua that is run as a whole; it sees the globals that earlier chunks have set. An expression
    shows its values. An unfinished chunk continues on the next line. Ctrl-C ends a running chunk; if the operating
    system can fork, the globals are then as they were before the chunk. Limits apply to each chunk. Lines that begin
    with a colon are commands; :help lists them.

    In a pipe, chunks are read from standard input, and the exit status is the highest one of all failures. With --json,
    each chunk, and each command except :quit, prints one JSON object on a line; commands that show text are refused.
    """
    if sys.stdin is None:
        raise UsageError("Standard input is closed, so there is nothing to read chunks from")
    with open_runtime(options) as runtime, Session(runtime.run, input=input_of(options, runtime)) as session:
        conversation = Conversation(runtime, session, options)
        with _reader(conversation) as reader:
            if reader.is_typed:
                console.line(GREETING.format(version=__version__, mode=", simulated" if options.simulate else ""))
            try:
                conversation.hold(reader)
            finally:
                conversation.end_recording()
            return 0 if reader.is_typed else conversation.status


@contextmanager
def _reader(conversation: Conversation) -> Iterator[ChunkReader]:
    """Yield the best reader of chunks that the terminal and the installed packages allow, for the ``with`` block."""
    if not (standard.is_typed and standard.is_shown):
        yield LineReader(piped_line, conversation.is_whole)
        return
    history = Path(state_folder())
    if terminal.on_terminal() and find_spec("prompt_toolkit") and find_spec("pygments"):
        from kosmolua.cli.repl.prompt import Prompt

        with standard.given_back():
            prompt = Prompt(conversation.candidates, conversation.is_whole, history / "repl_history")
        yield prompt
        return
    save = open_readline(conversation.candidates, history / "repl_history.txt")
    try:
        yield TypedLines(conversation.is_whole)
    finally:
        save()
