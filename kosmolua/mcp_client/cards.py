"""The cards of MCP servers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from kosmolua.folders import cache_folder, replace_file

VERSION = 1
Card: TypeAlias = "dict[str, Any]"
"""What a server offers: ``server`` (its name, version and so on), ``instructions`` and ``tools`` as in the protocol,
whether it has ``resources`` and ``prompts``, and whether it ``is_old`` and must not be asked for its versions.

``former`` has what tools were before they changed, by name, and ``lowered`` the tools of whose milder effect was told.
"""


class Cards:
    """The cards, as files in a folder (None: one in the user's cache), by name and identity of the server."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = Path(cache_folder()) / "servers" if folder is None else Path(folder)

    def read(self, name: str, identity: object) -> Card | None:
        """Return a card, or None if there is none or it cannot be read."""
        try:
            card = json.loads(self._file(name, identity).read_bytes())
        except (OSError, ValueError):
            return None
        is_card = isinstance(card, dict) and card.get("version") == VERSION and isinstance(card.get("tools"), list)
        return card if is_card else None

    def write(self, name: str, identity: object, card: Mapping[str, Any]) -> None:
        """Write a card; nothing is raised if the file cannot be written."""
        file = self._file(name, identity)
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(file, json.dumps({"version": VERSION, **card}, ensure_ascii=False).encode())

    def remove(self, name: str, identity: object) -> None:
        with suppress(OSError):
            self._file(name, identity).unlink()

    def _file(self, name: str, identity: object) -> Path:
        digest = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        return self._folder / f"{name}-{digest}.json"
