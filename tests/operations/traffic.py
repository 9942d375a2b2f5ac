"""Clients that write through servers all the time, and know of each write what they were told."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from httpx2 import AsyncClient, AsyncHTTPTransport, HTTPError, Timeout
from support.processes import eventually
from support.serving import ACME, TWO_TENANTS, bearing

from operations.noisy import request

NOTEBOOK = str(Path(__file__).parent.parent / "plugins" / "notebook.py")
CLIENTS = 8


def accounts_for(folder: Path, store: str = "") -> str:
    """Return an accounts file of two tenants, with a notebook in a folder, and a store."""
    return f"""\
{TWO_TENANTS}
[serve]
{f'store = "{store}"' if store else ""}

[notebook.default]
key = "a-key-of-the-notebook"
file = "{folder / "notebook"}"
permissions.write = "allow"
"""


class Traffic:
    """What the clients were told.

    Args:
        notebook: The file into which they write.
    """

    def __init__(self, notebook: Path) -> None:
        self.done: set[str] = set()
        self.refused: set[str] = set()
        self.refusals: Counter[str] = Counter()
        self.doubts: Counter[str] = Counter()
        self._notebook = notebook

    @property
    def written(self) -> Counter[str]:
        """How often each line is in the notebook."""
        return Counter(self._notebook.read_text().split()) if self._notebook.exists() else Counter()

    def goes_on(self, writes: int = 20, seconds: float = 60) -> bool:
        """Wait until so many further writes are done; return whether that was in time."""
        wanted = len(self.done) + writes
        return eventually(lambda: len(self.done) >= wanted, seconds)

    def verdict(self) -> tuple[str, bool]:
        """Return what was seen, and True if each line that was told as written is there, and none is there twice."""
        written = self.written
        twice = sum(count > 1 for count in written.values())
        lost = len(self.done - written.keys())
        untold = len(self.refused & written.keys())
        seen = (
            f"{len(self.done)} writes, {twice} twice, {lost} lost, {untold} refused and done; "
            f"refusals {dict(self.refusals)}, in doubt {dict(self.doubts)}"
        )
        return seen, bool(self.done) and not (twice or lost or untold)

    async def work(self, url: str, number: int) -> None:
        """Be one client, with an address of its own, until cancelled. A refusal that says so is tried again."""
        transport = AsyncHTTPTransport(local_address=f"127.0.0.{number + 2}")
        async with AsyncClient(headers=bearing(ACME), timeout=Timeout(60), transport=transport) as web:
            for line in (f"{number}-{count}" for count in range(10**9)):
                while not await self._is_settled(web, url, line):
                    await asyncio.sleep(0.1)

    async def _is_settled(self, web: AsyncClient, url: str, line: str) -> bool:
        """Ask for a write. Return False if it was refused, and can be asked for again."""
        code = f'return app.integrations.notebook.add({{ line = "{line}" }}).line'
        try:
            answer = await request(web, url, "execute_lua", code)
        except HTTPError as error:
            self.doubts[type(error).__name__] += 1
            return True
        error = _error_in(answer.text)
        if answer.status_code == 200 and error is None:
            self.done.add(line)
            self.refused.discard(line)
        elif error and error.get("retryable"):
            self.refusals[error["code"]] += 1
            self.refused.add(line)
            return False
        else:
            self.doubts[error["code"] if error else f"status {answer.status_code}"] += 1
            self.refused.discard(line)
        return True


def _error_in(text: str) -> dict[str, Any] | None:
    """Return the error in an answer of a tool or of the server, in JSON or as an event; None if there is none."""
    found = re.findall(r"^(?:data: )?(\{.*\})\s*$", text, re.MULTILINE)
    answer = json.loads(found[-1]) if found else {}
    error: dict[str, Any] | None = answer.get("result", {}).get("structuredContent", {}).get("error")
    if failure := answer.get("error"):
        error = failure.get("data") or {"code": f"error {failure['code']}"}
    return error


@contextmanager
def traffic(url: str, notebook: Path) -> Iterator[Traffic]:
    """Let clients write while a ``with`` block lasts, and wait for their last answers."""
    seen, loop = Traffic(notebook), asyncio.new_event_loop()

    async def work() -> None:
        await asyncio.gather(*(seen.work(url, number) for number in range(CLIENTS)), return_exceptions=True)

    task = loop.create_task(work())
    thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.wait([task]),), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        time.sleep(1)  # what was asked for last is done by then
        loop.close()
