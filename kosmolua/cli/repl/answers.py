"""What a person sees of a chunk's end: its values, its error, and what became of the session's state."""

from __future__ import annotations

import sys

from kosmolua import wire
from kosmolua.cli import show
from kosmolua.cli.streams import standard
from kosmolua.session import CHUNK, Answer
from kosmolua.spelling import harmless

MOST_LINES, MOST_CHARACTERS = 60, 6000
"""What a terminal is shown of a value that is much longer; a pipe gets all that there is."""
FEW_LINES, FEW_CHARACTERS = 6, 600
"""How far beyond that a value may go and still be shown whole."""
REMARKS = {
    "restored": "the state is as it was before this chunk",
    "lost": "the state is gone; a new session begins",
}


def show_answer(answer: Answer, name: str = CHUNK) -> None:
    """Show what came of a chunk: values on standard output, all else on standard error.

    Args:
        answer: What came of it.
        name: The chunk's name in messages.
    """
    error = answer.outcome.error
    if error:
        show.complain_of(error, name.removeprefix("="))
    if answer.state in REMARKS:
        show.complain(REMARKS[answer.state])
    if answer.text is None:
        return
    if answer.is_page:
        show.markdown(answer.text)
    else:
        _show_values(answer.text, answer.size)


def _show_values(text: str, size: int) -> None:
    whole = wire.to_bytes(text)
    shown = _on_screen(whole) if standard.is_shown else whole
    standard.write(shown + b"\n")
    if len(shown) < len(whole) or len(whole) < size:
        remark = f"... {size - len(shown):,} more bytes; print(_) shows the first value whole"
        sys.stderr.write(show.styled(remark, "dim", sys.stderr) + "\n")


def _on_screen(whole: bytes) -> bytes:
    text = harmless(whole.decode("utf-8", "backslashreplace"))
    return (_fitting(text) if show.on_terminal() else text).encode()


def _fitting(text: str) -> str:
    if len(text) > MOST_CHARACTERS + FEW_CHARACTERS:
        text = text[:MOST_CHARACTERS]
    lines = text.split("\n")
    return text if len(lines) <= MOST_LINES + FEW_LINES else "\n".join(lines[:MOST_LINES])
