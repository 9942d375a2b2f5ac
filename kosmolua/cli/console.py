"""Writes text for people, JSON for programs, and errors to the console, and maps errors to exit statuses.

The module that escapes invisible characters is imported on first use, since most runs in a pipe do not need it.
"""

from __future__ import annotations

import errno
import re
import sys

from kosmolua.cli import terminal
from kosmolua.cli.streams import OutputLost, standard
from kosmolua.errors import (
    NOTHING_SENT,
    CheckFailed,
    ConfigError,
    Exited,
    Interrupted,
    KosmoError,
    LimitExceeded,
    Parked,
    Paused,
    PluginError,
    ScriptError,
    UsageError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


INDENT = "    "
"""What a message's further lines begin with, so that none of them looks like a message of its own."""
MAX_LINES, MAX_CHARACTERS = 60, 6000
"""How many lines and characters of a very long value a terminal shows. A pipe gets the whole value."""
FEW_LINES, FEW_CHARACTERS = 6, 600
"""A value that exceeds the limits by no more lines and characters than these is still shown whole."""


def complain(sentence: str) -> None:
    """Write a sentence for the user to standard error, after the program's name."""
    first, *more = _harmless(sentence).rstrip("\n").split("\n")
    text = "\n".join([f"kosmolua: {first}", *(f"{INDENT}{each}" for each in more)])
    sys.stderr.write(terminal.fitted(text, sys.stderr, INDENT) + "\n")


def warn(sentence: str) -> None:
    """Write a warning to standard error."""
    complain(f"warning: {sentence}")


def complain_of(error: KosmoError, script: str | None = None) -> None:
    """Write an error that ended ``script``, if any, to standard error, with its place, message, traceback and hint."""
    if isinstance(error, CheckFailed):
        _list_findings(error, script or error.script)
        return
    place = ""
    if isinstance(error, PluginError):
        place = f"{error.origin}: "
    elif script and error.line and not error.message.startswith(f"{script}:"):
        place = f"{script}:{error.line}: "
    complain(place + str(error))
    if error.traceback and isinstance(error, ScriptError):
        sys.stderr.write(terminal.fitted(_harmless(error.traceback), sys.stderr, INDENT) + "\n")
    if error.hint and "\n" in error.hint:
        sys.stderr.write("\n" + "\n".join(INDENT + line for line in _harmless(error.hint).splitlines()) + "\n")


def _list_findings(error: CheckFailed, script: str) -> None:
    """Write the findings of a script's check to standard error, one on a line, and say that the script was not run."""
    for finding in error.findings:
        hint = f" ({finding['hint']})" if finding["hint"] else ""
        note = complain if finding["severity"] == "error" else warn
        note(f"{script}:{finding['line']}:{finding['column']}: {finding['message']}{hint}")
    complain(f"{script} was not run. {NOTHING_SENT} (--no-check runs it anyway)")


def line(text: str) -> None:
    """Write a line of text to standard output. If that is a terminal, control characters are escaped."""
    text = _harmless(text) if standard.is_shown else text
    standard.write(text.encode("utf-8", "replace") + b"\n")


def say(text: str) -> None:
    """Write a text for people to standard output: on a terminal with long lines broken between words."""
    line(terminal.fitted(text, indent=INDENT))


def shown(lines: Sequence[str]) -> None:
    """Write lines to a terminal that are escaped already, without escaping the colours in them."""
    standard.write("".join(f"{each}\n" for each in lines).encode("utf-8", "replace"))


def as_json(value: object, indent: int | None = 2) -> None:
    """Write a value as JSON, on one line if ``indent`` is None. A terminal gets no invisible characters."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    if standard.is_shown:
        from kosmolua.escaping import visible

        text = visible(text)
    line(text)


def answer(value: object, show: Callable[[], object], *, in_json: bool) -> None:
    """Answer a command: write a value as JSON, or call a function that shows it to a person."""
    if in_json:
        as_json(value)
    else:
        show()


def _harmless(text: str) -> str:
    """Return text with terminal control characters escaped.

    The module for this is imported only for a text with such characters: an import fails if no file can be opened.
    """
    if text.isprintable():
        return text
    from kosmolua.escaping import harmless

    return harmless(text)


def show_values(values: Sequence[object]) -> None:
    """Write the values that a script returned: strings as text, others as JSON. On a terminal, long values are cut."""
    import json

    for value in values:
        whole = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        shown = fit(whole) if terminal.on_terminal() else whole
        line(shown)
        if len(shown) < len(whole):
            remark = f"... {len(whole) - len(shown):,} more characters; --json shows the value whole"
            sys.stderr.write(terminal.styled(remark, "dim", sys.stderr) + "\n")


def fit(text: str) -> str:
    """Return a text, or only its beginning if the text is much longer than a screen."""
    if len(text) > MAX_CHARACTERS + FEW_CHARACTERS:
        text = text[:MAX_CHARACTERS]
    lines = text.split("\n")
    return text if len(lines) <= MAX_LINES + FEW_LINES else "\n".join(lines[:MAX_LINES])


def markdown(text: str, *, paged: bool = False) -> None:
    """Write a page of Markdown: formatted on a terminal, and in the user's pager if it is long and ``paged``."""
    if not terminal.on_terminal():
        line(text.rstrip("\n"))
        return
    from kosmolua.cli.rendering import draw_page

    draw_page(_harmless(text), paged=paged)


def trace(text: str) -> None:
    """Write a line of an MCP server's log or output to standard error, with terminal control characters escaped."""
    from kosmolua.escaping import harmless

    if sys.stderr is not None:
        sys.stderr.write(f"{harmless(text)}\n")


def ask(question: str, **options: Any) -> str:
    """Ask the person at the terminal a question, and return the answer; ``options`` are those of ``click.prompt``."""
    import click

    with standard.asking():
        return str(click.prompt(question, err=True, **options))


def agrees(question: str) -> bool:
    """Ask the person at the terminal a question, and return True if the answer is yes."""
    import click

    with standard.asking():
        return bool(click.confirm(question, err=True))


def confirm(question: str, *, yes: bool) -> None:
    """Ask the person at the terminal whether to go on, unless ``yes`` says so already; end the program if not.

    Raises:
        UsageError: There is no terminal.
    """
    import click

    if yes:
        return
    if not can_ask():
        raise UsageError(f"{question} There is no terminal to ask on: pass --yes to confirm")
    if not agrees(question):
        raise click.Abort


def need(extra: str, what: str, *libraries: str) -> None:
    """Raise ConfigError if one of the libraries is missing that an extra of the package installs; ``what`` needs it."""
    from importlib.util import find_spec

    for library in libraries:
        if not find_spec(library):
            raise ConfigError(f"{what} the Python package {library}", hint=f"pip install 'kosmolua[{extra}]'")


def can_ask() -> bool:
    """Return True if there is a terminal at which a person can be asked."""
    return sys.stderr.isatty() and standard.answers is not None


def table(
    title: str,
    columns: list[str],
    rows: Sequence[Sequence[object]],
    *,
    has_header: bool = False,
    spare: Sequence[str] = (),
) -> None:
    """Write a table to standard output: with aligned columns on a terminal, as lines with tabs in a pipe.

    A cell that is None is empty.
    In a pipe, ``has_header`` says whether the first line has the names of the columns, unless the table is empty. A
    terminal that is too narrow does not show the columns in ``spare``, the first ones first.
    """
    from kosmolua.escaping import harmless, visible

    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not terminal.on_terminal():
        for row in [columns, *cells] if has_header and rows else cells:
            line("\t".join(harmless(re.sub(r"[\t\r\n]", " ", cell)) for cell in row))
        return
    shown(terminal.tabulated(title, columns, [[visible(cell) for cell in row] for row in cells], spare))


def status_of(error: KosmoError | None) -> int:
    """Return the exit status of a command that ends with this error, or 0 if the error is None."""
    if error is None:
        return 0
    if isinstance(error, UsageError):
        return 2
    if isinstance(error, (ConfigError, PluginError)) or isinstance(error.__cause__, PluginError):
        return 3
    if isinstance(error, LimitExceeded):
        return 124
    if isinstance(error, (Parked, Paused)):
        return 75
    if isinstance(error, Exited):
        return error.exit
    return 130 if isinstance(error, Interrupted) else 1


def guarded(work: Callable[[], int]) -> int:
    """Call a function that runs a command, and return the exit status. Errors are written to standard error."""
    try:
        return work()
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except KosmoError as error:
        complain_of(error)
        return status_of(error)
    except OutputLost as error:
        if error.errno != errno.EPIPE:  # it is no error if the reader stops, as in `kosmolua run long.lua | head -1`
            complain(f"standard output cannot be written: {error.strerror}")
        return 1
    except OSError as error:
        complain(worded(error))
        return 1
    except MemoryError:
        complain("there is not enough memory (give it a smaller file, or run it where there is more)")
        return 1


def worded(error: OSError) -> str:
    """Return a sentence for the user that explains an error of the operating system."""
    reason = error.strerror or str(error)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"no more files can be opened: {reason} (raise the limit, as with ulimit -n)"
    if error.filename is None and error.errno == errno.ENOENT:
        return "the current folder no longer exists (change to another one)"
    if error.filename is None:
        return f"the operating system refuses: {reason}"
    return f"{error.filename} cannot be used: {reason}"
