"""A notebook in a file: reads and writes that take as long as they are asked to, so that tests see what was done."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from kosmolua.plugin import Integration, Secret, Send


@dataclass(frozen=True)
class Account:
    """One notebook."""

    key: Annotated[Secret, "A key."]
    file: Annotated[str, "The file."]

    def open(self, send: Send) -> str:
        return self.file


integration = Integration("notebook", Account, about="A notebook in a file.")


@integration.reads
def wait(
    notebook: str,
    /,
    *,
    seconds: float,
    file: Annotated[str | None, "It waits no longer once this file is there."] = None,
    sign: Annotated[str | None, "The file that it makes once it is under way."] = None,
) -> dict[str, Any]:
    """Wait for a while."""
    if sign:
        Path(sign).touch()
    ends = time.monotonic() + seconds
    while not (came := file is not None and Path(file).exists()) and (left := ends - time.monotonic()) > 0:
        time.sleep(min(left, 0.02) if file else left)
    return {"waited": seconds, "came": came}


@integration.writes
def add(file: str, /, *, line: str, seconds: float = 0) -> dict[str, Any]:
    """Add a line."""
    with open(file, "a", encoding="utf-8") as notebook:
        notebook.write(line + "\n")
    time.sleep(seconds)
    return {"line": line}
