"""Sends the lines of the audit log to another program too, such as a syslog server or a collector of OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Thread
from time import sleep

MAX_PENDING = 10_000
TIMEOUT = 5.0
"""Seconds that a delivery may take, and that the last ones have when the server stops."""


def batches(waiting: Queue[bytes | None], most: int, pause: float = 0.0) -> Iterator[list[bytes]]:
    """Yield what is put into a queue, in lists, until None is taken from it.

    A list has at most ``most`` items. More are gathered for ``pause`` seconds after the first one.
    """
    is_over = False
    while not is_over:
        taken = [waiting.get()]
        sleep(pause)
        with suppress(Empty):
            while taken[-1] is not None and len(taken) < most:
                taken.append(waiting.get_nowait())
        is_over = taken[-1] is None
        yield [each for each in taken if each is not None]


class Forwarder:
    """Delivers messages in a thread, so that a slow network delays nobody.

    A class for a ``receiver``, who is named so in warnings, extends this one: its ``deliver`` gets at most ``most``
    messages, and raises OSError if it cannot deliver them; it is called a second time then.
    """

    receiver: str
    most = 1

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._is_lost = False
        self._pending: Queue[bytes | None] = Queue(MAX_PENDING)
        self._thread = Thread(target=self._deliver_all, name="kosmolua-audit", daemon=True)
        self._thread.start()

    def deliver(self, messages: Sequence[bytes]) -> None:
        """Send messages over the network."""
        raise NotImplementedError

    def send(self, message: bytes) -> None:
        """Deliver a message soon. If too many wait, drop it, and warn."""
        try:
            self._pending.put_nowait(message)
        except Full:
            self._lose("too many messages wait")

    def close(self) -> None:
        """Deliver the messages that still wait, and end the thread. Give up after a few seconds."""
        with suppress(Full):
            self._pending.put(None, timeout=TIMEOUT)
        self._thread.join(TIMEOUT)
        with suppress(Empty):
            while True:
                self._pending.get_nowait()

    def _deliver_all(self) -> None:
        for messages in filter(None, batches(self._pending, self.most)):
            self._try_twice(messages)

    def _try_twice(self, messages: Sequence[bytes]) -> None:
        """Deliver messages; the second time over a connection that is opened anew."""
        for is_last in (False, True):
            try:
                self.deliver(messages)
            except OSError as error:
                if is_last:
                    self._lose(error.strerror or str(error))
                continue
            if self._is_lost:
                self._is_lost = False
                self._warn(f"the audit reaches the {self.receiver} again")
            return

    def _lose(self, why: str) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._warn(f"the audit does not reach the {self.receiver}: {why}; the file has all lines")
