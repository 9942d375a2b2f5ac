"""Cards: what servers offered when last connected, so that docs, checks and searches need not start them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from kosmolua.folders import cache_folder

VERSION = 1
Card: TypeAlias = "dict[str, Any]"
"""``server`` (name, version and so on), ``instructions``, ``tools`` as in the protocol, and whether it has
``resources`` and ``prompts``."""


class Cards:
    """Keeps the cards of servers in a folder.

    A card belongs to a command or a URL. If that is changed, the server has no card until it is next connected.

    Args:
        folder: The folder, which need not exist; None for the user's own.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = Path(cache_folder()) / "servers" if folder is None else Path(folder)

    def read(self, name: str, identity: object) -> Card | None:
        """Return the card of a server, or None if there is no readable card.

        Args:
            name: The name of the server.
            identity: The command or URL of the server, without secrets.
        """
        try:
            card = json.loads(self._file(name, identity).read_bytes())
        except (OSError, ValueError):
            return None
        is_card = isinstance(card, dict) and card.get("version") == VERSION and isinstance(card.get("tools"), list)
        return card if is_card else None

    def write(self, name: str, identity: object, card: Mapping[str, Any]) -> None:
        """Keep a card. If it cannot be written, the server has to be started again when its card is needed."""
        file = self._file(name, identity)
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, fresh = tempfile.mkstemp(prefix=".", dir=file.parent)
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump({"version": VERSION, **card}, stream, ensure_ascii=False)
            os.replace(fresh, file)

    def remove(self, name: str, identity: object) -> None:
        """Remove a card, if there is one."""
        with suppress(OSError):
            self._file(name, identity).unlink()

    def _file(self, name: str, identity: object) -> Path:
        digest = sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        return self._folder / f"{name}-{digest}.json"
