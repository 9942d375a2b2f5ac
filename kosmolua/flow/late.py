"""A judge that is made when a call can lead somewhere: most scripts only read, and need none of its imports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from typing import TYPE_CHECKING, Any

from kosmolua.schema.names import SERVERS
from kosmolua.secret import MASK

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Target
    from kosmolua.flow.judge import Judge, Verdict

MAX_WAITING = 1000
"""How many answers wait for the judge, and of how many characters altogether."""
MAX_SIZE = 1_000_000
_LEAVING = ("@", "//", ".", MASK)
"""A read whose arguments have none of these, and only ASCII, certainly sends nothing away."""


class LateJudge:
    """Keeps the first answers of a run until one of its calls must be judged. Any number of threads may use it."""

    def __init__(self, make: Callable[[], Judge]) -> None:
        self._make = make
        self._judge: Judge | None = None
        self._lock = RLock()
        self._waiting: list[tuple[tuple[Any, ...], bool]] = []
        self._size = 0

    def add(self, source: bytes) -> None:
        """See :meth:`kosmolua.flow.judge.Judge.add`."""
        self.begin().add(source)

    def note(
        self, number: int, target: Target, arguments: Mapping[str, object], answer: str, *, is_earlier: bool = False
    ) -> None:
        """See :meth:`kosmolua.flow.judge.Judge.note`."""
        with self._lock:
            self._size += len(answer)
            if not self._judge and len(self._waiting) < MAX_WAITING and self._size < MAX_SIZE:
                self._waiting.append(((number, target, arguments, str(answer)), is_earlier))
                return
        self.begin().note(number, target, arguments, answer, is_earlier=is_earlier)

    def note_page(self, text: str, page: str, servers: Iterable[str]) -> None:
        """See :meth:`kosmolua.flow.memory.SessionMemory.note_page`."""
        self.begin().memory.note_page(text, page, servers)

    def verdicts(self, target: Target, arguments: Mapping[str, object]) -> tuple[Verdict, ...]:
        """See :meth:`kosmolua.flow.judge.Judge.verdicts`."""
        is_server, is_read = target.integration.root == SERVERS, target.function.effect == "read"
        if is_read and not is_server:
            shown = repr(arguments)
            if shown.isascii() and not any(mark in shown for mark in _LEAVING):
                return ()
        return self.begin().verdicts(target, arguments)

    def begin(self) -> Judge:
        """Make the judge, unless it is there, and return it."""
        with self._lock:
            if self._judge is None:
                self._judge = self._make()
                for noted, is_earlier in self._waiting:
                    self._judge.note(*noted, is_earlier=is_earlier)
                self._waiting.clear()
            return self._judge
