"""A service for tests of runs that last: it counts what it was asked to write, and fails as it is told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from kosmolua.plugin import Request, Response
from kosmolua.testing import answer


class Shelf:
    """A service that counts what is lent.

    ``before`` is called with the number of each writing request, and returns True to lose it; ``after`` when it is
    counted and not answered yet. ``fails`` is the status of all writing requests, if they fail.
    """

    def __init__(self) -> None:
        self.lent: Counter[str] = Counter()
        self.listed = self.fails = 0
        self.before: Callable[[int], bool | None] = lambda number: None
        self.after: Callable[[int], None] = lambda number: None
        self._arrived = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            self.listed += 1
            return answer(200, {"seen": [1, 2, 3]})
        with self._lock:
            self._arrived += 1
            number = self._arrived
        if self.before(number) or self.fails:
            return answer(self.fails or 503, {"message": "no"})
        with self._lock:
            self.lent[request.url.rpartition("/")[2]] += 1
        self.after(number)
        return answer(200, {"n": number})
