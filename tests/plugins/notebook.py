"""A notebook in a file: reads and writes that take as long as they are asked to, so that tests see what was done."""

import time
from dataclasses import dataclass
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
def wait(file: str, /, *, seconds: float) -> dict[str, Any]:
    """Wait for a while."""
    time.sleep(seconds)
    return {"waited": seconds}


@integration.writes
def add(file: str, /, *, line: str, seconds: float = 0) -> dict[str, Any]:
    """Add a line."""
    with open(file, "a", encoding="utf-8") as notebook:
        notebook.write(line + "\n")
    time.sleep(seconds)
    return {"line": line}
