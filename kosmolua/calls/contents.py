"""Binary results: the host keeps the bytes, and scripts get handles.

A handle is a table that stands for the bytes in the script. Its fields are ``content_type``, ``bytes`` (how many bytes
there are), and ``base64``, which is fetched from the host when the script reads it. The host gives each handle a name.
If the script passes the table as an argument, the request to the host has ``***`` in place of the base64. It also lists
the place of this ``***`` in the arguments, with the name of the handle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

from kosmolua.calls.places import MAX_PLACES, Place, handle_at, plain, reach
from kosmolua.errors import BadArguments, NotConfigured
from kosmolua.http.binary import Content
from kosmolua.limits import MIB

MAX_KEPT = 64 * MIB
"""How many characters of base64 are kept at most. Beyond that, the oldest bytes are dropped."""
MAX_PASSED = 64 * MIB
"""How many characters of base64 the arguments of one call can contain at most."""
KEY = "base64"


class Contents:
    """The binary results of the calls of one run, or of one session. Any number of threads may use them.

    ``recorded`` are those in a recording, in base64, by the names of their handles.
    """

    def __init__(self, recorded: Mapping[str, str] | None = None) -> None:
        self._prefix = os.urandom(4).hex()
        self._lock = Lock()
        # Guarded by the lock.
        self._latest = 0
        self._size = 0
        self._kept: dict[str, Content] = {}
        for name, text in (recorded or {}).items():
            self._keep(name, Content(text))

    def hide(self, value: Any) -> tuple[Any, list[tuple[Place, str, Content]]]:
        """Keep the bytes that a result contains, and return the result without them.

        The second returned value is a list with an entry for each table that contained bytes. An entry has the place of
        the table in the result, the name of the new handle, and the bytes in base64.
        """
        found = list(_contents_in(value, ()))
        if not found:
            return value, []
        hidden, places = [plain(value)], []
        for place, content in found:
            with self._lock:
                self._latest += 1
                name = f"{self._prefix}.{self._latest}"
                self._keep(name, content)
            table, _ = reach(hidden, (1, *place, KEY))
            del table[KEY]
            places.append((place, name, content))
        return hidden[0], places

    def text(self, name: str) -> Content:
        """Return, in base64, the bytes that the handle with this name stands for.

        Raises:
            NotConfigured: The bytes are no longer kept.
        """
        with self._lock:
            content = self._kept.get(name)
        if content is None:
            raise NotConfigured(
                f"These bytes are no longer kept: a run keeps only the newest {MAX_KEPT // MIB} MiB of base64",
                hint="repeat the call that returned the bytes, and use the bytes before you fetch more",
            )
        return content

    def fill(self, path: str, given: Sequence[Any], places: Sequence[Any]) -> Sequence[Any]:
        """Return a copy of the arguments with the bytes, in base64, in place of each ``***`` that stands for bytes.

        ``places`` has the place of each such ``***`` with the handle's name.

        Raises:
            BadArguments: A place does not exist in the arguments, or there are too many bytes or handles.
            NotConfigured: Some bytes are no longer kept.
        """
        filled, size = [plain(value) for value in given], 0
        for entry in places[:MAX_PLACES]:
            try:
                holder, key, name = handle_at(filled, entry)
            except LookupError:
                what = f"{path}: the request lists bytes at a place where its arguments have none"
                raise BadArguments(what) from None
            holder[key] = content = self.text(name)
            size += len(content)
            if size > MAX_PASSED:
                what = f"{path}: the arguments contain more than {MAX_PASSED // MIB} MiB of base64"
                raise BadArguments(what, hint="pass fewer bytes in one call")
        if len(places) > MAX_PLACES:
            what = f"{path}: the arguments contain bytes in more than {MAX_PLACES:,} places"
            raise BadArguments(what, hint="pass fewer values with bytes in one call")
        return filled

    def _keep(self, name: str, content: Content) -> None:
        self._kept[name] = content
        self._size += len(content)
        while self._size > MAX_KEPT:
            self._size -= len(self._kept.pop(next(iter(self._kept))))


def _contents_in(value: Any, place: Place) -> Iterator[tuple[Place, Content]]:
    """Yield all bytes in a value, with the place of the table that contains them."""
    if isinstance(value, Mapping):
        if isinstance(content := value.get(KEY), Content):
            yield place, content
        for key, item in value.items():
            if isinstance(item, (Mapping, list, tuple)):
                yield from _contents_in(item, (*place, key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value, start=1):
            yield from _contents_in(item, (*place, number))
