"""Transcripts and the results in them, kept for a while so that clients can read them, and give them to scripts."""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from contextlib import ExitStack, suppress
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any

from kosmolua.errors import BadDocArguments, DocNotFound
from kosmolua.mcp.clients import is_exact

PREFIX = "run:"
LAST = "run:last"
MAX_CHARACTERS = 64_000_000
"""The maximum total length of all texts that are kept, in characters. The oldest text is dropped first."""
MAX_TEXTS = 100
"""How many texts are kept at most."""
MAX_IN_MEMORY = 16_000
"""A longer text is kept in a temporary file, where all characters take the same number of bytes."""
NARROW, WIDE = (1, "ascii"), (4, "utf-32-le")
"""The bytes that each character takes in a file, and its encoding."""
MAX_OF_CLIENT = 4


class Transcripts:
    """The last transcripts of each client; ids begin with ``id_prefix``. Any thread may use this."""

    def __init__(self, id_prefix: str = "") -> None:
        self._prefix = PREFIX + id_prefix
        self._kept: OrderedDict[str, tuple[str | None, _Text, _Text]] = OrderedDict()
        self._lock = Lock()

    def keep(self, client: str | None, text: str, result: object, run: str = "") -> tuple[str, str]:
        """Keep a text and the result in it; return its page, and the one that cannot be guessed.

        The page is ``run:last`` if nobody else can have the client's name. The other has the id of the recorded ``run``
        if there is one; in a server of several processes it says which of them has it.
        """
        page = self._prefix + (run if run and self._prefix == PREFIX else secrets.token_hex(8))
        kept = _Text(text[:MAX_CHARACTERS]), _Text(json.dumps(result, ensure_ascii=False)[:MAX_CHARACTERS])
        with self._lock:
            self._kept[page] = (client, *kept)
            own = [name for name, (owner, *_) in self._kept.items() if owner == client]
            for name in own[:-MAX_OF_CLIENT]:
                del self._kept[name]
            while (
                len(self._kept) > MAX_TEXTS or sum(len(a) + len(b) for _, a, b in self._kept.values()) > MAX_CHARACTERS
            ):
                self._kept.popitem(last=False)
        return LAST if is_exact(client) else page, page

    def read(self, client: str | None, page: str, *, offset: int, budget: int) -> str:
        """Return a part of a page, from ``offset``, with a note where the next begins.

        Raises:
            DocNotFound: There is no page with this name, or it is no longer kept.
            BadDocArguments: The offset is beyond the end of the answer.
        """
        text, _ = self._find(client, page)
        if offset and offset >= len(text):
            raise BadDocArguments(
                f"{page} has {len(text):,} characters, so nothing is at offset {offset:,}", param="offset"
            )
        end = min(offset + budget, len(text))
        more = f'\n\n[Characters {offset:,} to {end:,} of {len(text):,}. The next part: page "{page}", offset {end}]'
        return text.part(offset, end) + (more if end < len(text) else "")

    def result(self, client: str | None, page: str) -> tuple[str, list[Any]]:
        """Return the values that a script returned, as JSON and as they are.

        Raises:
            DocNotFound: There is no page with this name, it is no longer kept, or the result was too long to be kept
                whole.
        """
        _, kept = self._find(client, page)
        text = kept.part(0, len(kept))
        try:
            return text, json.loads(text)
        except ValueError:
            what = f"The result of {page} is not kept whole, since it is too long or the disk is full"
            raise DocNotFound(what, hint="run the script again, and return less") from None

    def is_of_another(self, client: str | None, page: str) -> bool:
        """Return True if the answer of this page was given to another client, or in another session."""
        with self._lock:
            return page in self._kept and self._kept[page][0] != client

    def _find(self, client: str | None, page: str) -> tuple[_Text, _Text]:
        with self._lock:
            own = [(text, result) for owner, text, result in self._kept.values() if owner == client]
            if page == LAST and own and is_exact(client):
                return own[-1]
            if page in self._kept:  # such a name cannot be guessed, so a client can read only its own answers
                return self._kept[page][1:]
        raise DocNotFound(
            f"There is no kept answer with the page name {page[:80]!r}",
            hint="only the last few answers that were cut are kept; run the script again",
        )


class _Text:
    """A text in memory or, if it is long and there is room, in a temporary file."""

    def __init__(self, text: str) -> None:
        self._width, self._codec = NARROW if text.isascii() else WIDE
        self._file = _in_file(text, self._codec) if len(text) > MAX_IN_MEMORY else None
        self._text = text[:MAX_IN_MEMORY]
        self._length = len(text) if self._file else len(self._text)
        self._lock = Lock()

    def __len__(self) -> int:
        return self._length

    def part(self, first: int, end: int) -> str:
        """Return the characters from ``first`` to before ``end``."""
        if end <= len(self._text) or self._file is None:
            return self._text[first:end]
        with self._lock:
            self._file.seek(first * self._width)
            return self._file.read((end - first) * self._width).decode(self._codec, "surrogatepass")


def _in_file(text: str, codec: str) -> IO[bytes] | None:
    """Return a temporary file, or None if the disk is full."""
    with suppress(OSError), ExitStack() as stack:
        file = stack.enter_context(TemporaryFile())
        for place in range(0, len(text), MAX_IN_MEMORY):
            file.write(text[place : place + MAX_IN_MEMORY].encode(codec, "surrogatepass"))
        file.flush()
        stack.pop_all()
        return file
    return None
